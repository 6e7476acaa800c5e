"""OpenAI's HTTP dialect: requests in, responses, stream chunks and errors out. Sans-IO.

What is not supported is refused with the field's name, never ignored: a caller who asks for tools
or log-probabilities should know that nobody looked.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
import orjson

from ganglion.wire.text import MAX_STOPS, Sampling
from ganglion.wire.vectors import MAX_TEXTS, Vectors

DEFAULT_TOKENS = 512
IGNORED = frozenset(
    {
        "user",
        "store",
        "metadata",
        "service_tier",
        "safety_identifier",
        "prompt_cache_key",
        "parallel_tool_calls",
        "best_of",
        "echo",
        "suffix",
        "verbosity",
    }
)
NEUTRAL: Mapping[str, tuple[Any, ...]] = {
    "n": (1, None),
    "best_of": (1, None),
    "echo": (False, None),
    "suffix": (None, ""),
    "frequency_penalty": (0, None),
    "presence_penalty": (0, None),
    "logprobs": (False, None),
    "top_logprobs": (None, 0),
    "logit_bias": (None, {}),
    "tools": (None, []),
    "tool_choice": (None, "none", "auto"),
    "functions": (None, []),
    "function_call": (None, "none"),
    "response_format": (None, {"type": "text"}),
    "modalities": (None, ["text"]),
    "audio": (None,),
    "prediction": (None,),
    "reasoning_effort": (None, "none"),
}
KNOWN = frozenset(
    {
        "model",
        "messages",
        "prompt",
        "temperature",
        "top_p",
        "top_k",
        "max_tokens",
        "max_completion_tokens",
        "stop",
        "seed",
        "stream",
        "stream_options",
    }
)


class ApiError(Exception):
    """An answer in OpenAI's error shape."""

    def __init__(
        self,
        status: int,
        kind: str,
        message: str,
        code: str | None = None,
        param: str | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"message": message, "type": kind, "param": param, "code": code}

    def to_bytes(self) -> bytes:
        """The body of the response."""
        return orjson.dumps({"error": self.body})


def invalid(message: str, param: str | None = None, code: str | None = None) -> ApiError:
    """Status 400."""
    return ApiError(400, "invalid_request_error", message, code, param)


@dataclass(frozen=True, slots=True)
class TextCall:
    """A chat or completion request, understood. `seed` is the caller's own, if any."""

    chat: bool
    model: str
    messages: tuple[tuple[str, str], ...]
    prompt: str | None
    temperature: float
    top_p: float
    top_k: int
    max_tokens: int
    stop: tuple[str, ...]
    seed: int | None
    stream: bool
    usage_chunk: bool

    @property
    def spoken(self) -> str:
        """All the text of the request, for prefix affinity and for bounding its cost."""
        return self.prompt if self.prompt is not None else "\0".join(c for _, c in self.messages)

    def sampling(self, seed: bytes) -> Sampling:
        """The sampling settings under a seed."""
        return Sampling(seed, self.temperature, self.top_k, self.top_p)

    def own_seed(self) -> bytes | None:
        """The stream that the caller's integer seed names, the same at every gateway."""
        if self.seed is None:
            return None
        return blake2b(f"{self.model}\0{self.seed}".encode(), digest_size=32).digest()


def load(body: bytes) -> dict[str, Any]:
    """The JSON object of a request."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError as e:
        raise invalid(f"the body is no JSON: {e}") from e
    if not isinstance(value, dict):
        raise invalid("the body is no JSON object")
    return value


def parse_text(given: dict[str, Any], chat: bool) -> TextCall:
    """A request to /v1/chat/completions (`chat`) or /v1/completions; ApiError names the field."""
    for name, value in given.items():
        neutral = NEUTRAL.get(name)
        if neutral is not None and value not in neutral:
            raise invalid(f"{name} is not supported here", name, "unsupported_parameter")
        if neutral is None and name not in KNOWN | IGNORED:
            raise invalid(f"unknown field {name[:60]}", name, "unknown_parameter")
    prompt = None if chat else _prompt(given.get("prompt"))
    limit = given.get("max_completion_tokens", given.get("max_tokens"))
    options = given.get("stream_options")
    if options is not None and not isinstance(options, dict):
        raise invalid("stream_options must be an object", "stream_options")
    return TextCall(
        chat=chat,
        model=_string(given, "model"),
        messages=_messages(given.get("messages")) if chat else (),
        prompt=prompt,
        temperature=_number(given, "temperature", 0.0, 2.0, 1.0),
        top_p=max(_number(given, "top_p", 0.0, 1.0, 1.0), 1e-6),
        top_k=_integer(given.get("top_k"), "top_k", 0, 1 << 20, 0),
        max_tokens=_integer(limit, "max_tokens", 1, 1 << 17, DEFAULT_TOKENS),
        stop=_stops(given.get("stop")),
        seed=None
        if given.get("seed") is None
        else _integer(given["seed"], "seed", -(1 << 63), (1 << 63) - 1, 0),
        stream=given.get("stream") is True,
        usage_chunk=bool(options and options.get("include_usage")),
    )


def _string(given: dict[str, Any], name: str) -> str:
    value = given.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= 200:
        raise invalid(f"{name} must be a string", name)
    return value


def _number(given: dict[str, Any], name: str, low: float, high: float, default: float) -> float:
    value = given.get(name)
    value = default if value is None else value
    if type(value) not in (int, float) or not low <= value <= high:
        raise invalid(f"{name} must be a number from {low:g} to {high:g}", name)
    return float(value)


def _integer(value: object, name: str, low: int, high: int, default: int) -> int:
    value = default if value is None else value
    if type(value) is not int or not low <= value <= high:
        raise invalid(f"{name} must be an integer from {low} to {high}", name)
    return value


def _stops(value: object) -> tuple[str, ...]:
    stops = [value] if isinstance(value, str) else value or []
    if not isinstance(stops, list) or len(stops) > MAX_STOPS:
        raise invalid(f"stop must be a string or a list of at most {MAX_STOPS}", "stop")
    if not all(isinstance(s, str) and 0 < len(s) <= 64 for s in stops):
        raise invalid("every stop must be a string of 1 to 64 characters", "stop")
    return tuple(stops)


def _prompt(value: object) -> str:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, str) or not value:
        raise invalid("prompt must be one non-empty string", "prompt")
    return value


def _content(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list) and all(
        isinstance(p, dict) and p.get("type") == "text" and isinstance(p.get("text"), str)
        for p in value
    ):
        return "".join(p["text"] for p in value)
    raise invalid("a message's content must be text", "messages")


def _messages(value: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, list) or not value:
        raise invalid("messages must be a non-empty list", "messages")
    turns = []
    for turn in value:
        role = turn.get("role") if isinstance(turn, dict) else None
        role = "system" if role == "developer" else role
        if role not in ("system", "user", "assistant"):
            raise invalid("a message's role is system, developer, user or assistant", "messages")
        turns.append((role, _content(turn.get("content"))))
    return tuple(turns)


@dataclass(frozen=True, slots=True)
class Reply:
    """What all responses to one request share."""

    id: str
    created: int
    call: TextCall
    fingerprint: str = ""

    def _frame(self, kind: str, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {
            "id": self.id,
            "object": kind,
            "created": self.created,
            "model": self.call.model,
            "system_fingerprint": self.fingerprint or None,
            "choices": choices,
        }

    def whole(self, text: str, finish: str, usage: dict[str, Any]) -> bytes:
        """The response that is not streamed."""
        if self.call.chat:
            message = {"role": "assistant", "content": text, "refusal": None}
            choice = {"index": 0, "message": message, "finish_reason": finish, "logprobs": None}
            kind = "chat.completion"
        else:
            choice = {"index": 0, "text": text, "finish_reason": finish, "logprobs": None}
            kind = "text_completion"
        return orjson.dumps({**self._frame(kind, [choice]), "usage": usage})

    def chunk(self, text: str | None, finish: str | None = None, first: bool = False) -> bytes:
        """One streamed event's data."""
        if self.call.chat:
            delta: dict[str, Any] = {} if text is None else {"content": text}
            delta = {"role": "assistant", **delta} if first else delta
            choice = {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}
            kind = "chat.completion.chunk"
        else:
            choice = {"index": 0, "text": text or "", "finish_reason": finish, "logprobs": None}
            kind = "text_completion"
        frame = self._frame(kind, [choice])
        return orjson.dumps({**frame, "usage": None} if self.call.usage_chunk else frame)

    def usage_only(self, usage: dict[str, Any]) -> bytes:
        """The last chunk when the caller asked for the usage."""
        kind = "chat.completion.chunk" if self.call.chat else "text_completion"
        return orjson.dumps({**self._frame(kind, []), "usage": usage})


def usage_of(prompt: int, completion: int, cached: int = 0) -> dict[str, Any]:
    """OpenAI's usage object; `cached` tokens of the prompt were in the miner's cache."""
    return {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion,
        "prompt_tokens_details": {"cached_tokens": cached},
    }


class StopTrimmer:
    """Cuts a streamed text before its first stop string, holding back what might become one."""

    def __init__(self, stops: tuple[str, ...]) -> None:
        self._stops, self._held, self.stopped = stops, "", False

    def push(self, text: str) -> str:
        """The text that may go out now."""
        if self.stopped:
            return ""
        self._held += text
        found = [i for i in (self._held.find(s) for s in self._stops) if i >= 0]
        if found:
            out, self._held, self.stopped = self._held[: min(found)], "", True
            return out
        keep = max((_overlap(self._held, s) for s in self._stops), default=0)
        cut = len(self._held) - keep
        out, self._held = self._held[:cut], self._held[cut:]
        return out

    def finish(self) -> str:
        """What was held back and turned out to be no stop string."""
        out, self._held = self._held, ""
        return out


def _overlap(text: str, stop: str) -> int:
    """The longest end of `text` that begins `stop`."""
    longest = min(len(text), len(stop) - 1)
    return next((n for n in range(longest, 0, -1) if stop.startswith(text[-n:])), 0)


def parse_embeddings(given: dict[str, Any]) -> tuple[str, tuple[str, ...], bool]:
    """Model, texts, and whether the vectors are wanted as base64."""
    for name in given.keys() - {"model", "input", "encoding_format", "user"}:
        raise invalid(f"{name} is not supported here", name, "unsupported_parameter")
    texts = [given["input"]] if isinstance(given.get("input"), str) else given.get("input")
    if not isinstance(texts, list) or not 0 < len(texts) <= MAX_TEXTS:
        raise invalid(f"input must be a string or a list of 1 to {MAX_TEXTS} strings", "input")
    if not all(isinstance(t, str) and t for t in texts):
        raise invalid("input must hold non-empty strings", "input")
    encoding = given.get("encoding_format", "float")
    if encoding not in ("float", "base64"):
        raise invalid("encoding_format is float or base64", "encoding_format")
    return _string(given, "model"), tuple(texts), encoding == "base64"


def embeddings(model: str, vectors: Vectors, tokens: int, packed: bool) -> bytes:
    """The response to an embeddings request."""
    data = [
        {
            "object": "embedding",
            "index": i,
            "embedding": base64.b64encode(row.astype("<f4").tobytes()).decode()
            if packed
            else np.asarray(row, np.float64).tolist(),
        }
        for i, row in enumerate(vectors)
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return orjson.dumps({"object": "list", "data": data, "model": model, "usage": usage})
