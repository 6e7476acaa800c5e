"""Drafts from an inference server: what comes next in its view, with its likeliest tokens.

The server decodes greedily and tells log-probabilities; which token the request's own noise
demands is decided here, and whether that is right by the side engine (`remote.py`). Three
dialects are spoken, all with token ids in and out:

| dialect | route | ids come as |
|---|---|---|
| `openai`: vLLM | /v1/completions | `token_id:7` (`return_tokens_as_token_ids`) |
| `openai`: llama.cpp | /v1/completions | `id` beside every token |
| `sglang` | /generate | `[logprob, id, text]` |
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any, Protocol

import aiohttp
import orjson

MOST_BYTES = 8 << 20
DIALECTS = ("openai", "sglang")
TOKEN_PREFIX = "token_id:"


class DraftFailed(Exception):
    """The server gave no usable draft; the message says why."""


@dataclass(frozen=True, slots=True)
class Step:
    """One drafted position: the server's choice and log-probabilities of its likeliest tokens."""

    token: int
    likely: Mapping[int, float]


class Drafter(Protocol):
    """Somebody who guesses what comes next; being wrong costs only time."""

    async def draft(self, tokens: Sequence[int], count: int) -> list[Step]:
        """Up to `count` steps that follow `tokens`. DraftFailed if there are none to be had."""
        ...

    async def close(self) -> None:
        """Let go of connections."""
        ...


@dataclass(frozen=True, slots=True)
class Backend:
    """Where a server is and how to speak to it. `url` is its base, with /v1 for `openai`."""

    url: str
    model: str
    dialect: str = "openai"
    key: str = ""
    likely: int = 20
    timeout: float = 5.0


class Payoff:
    """Whether drafts save more time than waiting for them takes."""

    TRIALS = 3

    def __init__(self) -> None:
        self._saved, self._rounds = 0.0, 0

    def is_loss(self, drafting: float, checking: float, gained: int) -> bool:
        """Enter one round: seconds for the draft and for the check, tokens gained beyond the one
        that any check brings. True if drafts cost more than they save by now; then it starts anew.
        """
        self._saved += 0.3 * (gained * checking - drafting - self._saved)
        self._rounds += 1
        if self._rounds < self.TRIALS or self._saved >= 0:
            return False
        self._saved, self._rounds = 0.0, 0
        return True


class ServerDrafter:
    """Drafts over HTTP from vLLM, SGLang or llama.cpp."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._session: aiohttp.ClientSession | None = None

    async def draft(self, tokens: Sequence[int], count: int) -> list[Step]:
        """See Drafter."""
        sglang = self._backend.dialect == "sglang"
        path, body = self._sglang(tokens, count) if sglang else self._openai(tokens, count)
        answer = await self._post(path, body)
        try:
            steps = read_sglang(answer) if sglang else read_openai(answer)
        except (AttributeError, LookupError, OverflowError, TypeError, ValueError) as e:
            raise DraftFailed(
                f"{self._backend.url} sent no token ids and log-probabilities "
                f"that can be read ({type(e).__name__}: {e})"
            ) from e
        return steps[:count]

    async def close(self) -> None:
        """See Drafter."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _openai(self, tokens: Sequence[int], count: int) -> tuple[str, dict[str, Any]]:
        likely = self._backend.likely
        return "/completions", {
            "model": self._backend.model,
            "prompt": list(tokens),
            "max_tokens": count,
            "temperature": 0,
            "logprobs": likely,
            "n_probs": likely,
            "return_tokens_as_token_ids": True,
        }

    def _sglang(self, tokens: Sequence[int], count: int) -> tuple[str, dict[str, Any]]:
        return "/generate", {
            "input_ids": list(tokens),
            "sampling_params": {"temperature": 0, "max_new_tokens": count},
            "return_logprob": True,
            "top_logprobs_num": self._backend.likely,
        }

    async def _post(self, path: str, body: dict[str, Any]) -> Any:
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=self._backend.timeout, sock_connect=3.0)
            headers = {"Content-Type": "application/json"}
            if self._backend.key:
                headers["Authorization"] = f"Bearer {self._backend.key}"
            self._session = aiohttp.ClientSession(timeout=timeout, headers=headers)
        url = self._backend.url.rstrip("/") + path
        try:
            async with self._session.post(url, data=orjson.dumps(body)) as reply:
                raw = await reply.content.read(MOST_BYTES)
                while len(raw) < MOST_BYTES and not reply.content.at_eof():
                    raw += await reply.content.read(MOST_BYTES - len(raw))
                if reply.status != 200:
                    said = raw[:200].decode("utf-8", "replace")
                    raise DraftFailed(f"{url} answers with status {reply.status}: {said}")
                return orjson.loads(raw)
        except orjson.JSONDecodeError as e:
            raise DraftFailed(f"{url} sent no JSON: {e}") from e
        except TimeoutError as e:
            raise DraftFailed(f"{url} did not answer in {self._backend.timeout:g} s") from e
        except (aiohttp.ClientError, OSError) as e:
            raise DraftFailed(f"{url} cannot be reached: {e}") from e


def _token(value: Any) -> int:
    """A token id, as a number or as `token_id:7`."""
    if isinstance(value, str):
        if not value.startswith(TOKEN_PREFIX):
            raise ValueError(f"{value[:40]!r} is no token id: does the server tell ids?")
        value = int(value[len(TOKEN_PREFIX) :])
    if type(value) is not int or not 0 <= value < 1 << 31:
        raise ValueError(f"{value!r} is no token id")
    return value


def _likely(pairs: Any) -> dict[int, float]:
    """Log-probabilities by token id; those that are minus infinity say nothing."""
    found = {_token(token): float(value) for token, value in pairs}
    return {token: value for token, value in found.items() if isfinite(value)}


def read_openai(answer: Any) -> list[Step]:
    """The steps of a /v1/completions answer; ValueError and its like for anything else."""
    told = answer["choices"][0]["logprobs"]
    if told is None:
        raise ValueError("the answer has no logprobs")
    if "content" in told:
        return [
            Step(_token(at["id"]), _likely((t["id"], t["logprob"]) for t in at["top_logprobs"]))
            for at in told["content"] or ()
        ]
    tops = told["top_logprobs"] or [{}] * len(told["tokens"])
    return [
        Step(_token(token), _likely((top or {}).items()))
        for token, top in zip(told["tokens"], tops, strict=True)
    ]


def read_sglang(answer: Any) -> list[Step]:
    """The steps of a /generate answer; ValueError and its like for anything else."""
    meta = answer["meta_info"]
    tokens, tops = meta["output_token_logprobs"], meta["output_top_logprobs"]
    return [
        Step(_token(token[1]), _likely((t[1], t[0]) for t in top or ()))
        for token, top in zip(tokens, tops, strict=True)
    ]
