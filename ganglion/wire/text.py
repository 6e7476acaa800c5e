"""Requests and answers of the text generation subnet, as they travel.

A request is a JSON object, posted to `/v1/generate` under signed headers. Exactly one of
`messages` (turns of a chat), `prompt` (text) and `tokens` (ids) says what to continue. The
answer is a stream of server-sent events: `tokens` events with new ids and text (the first also
with the prompt's length), then one `done` event with the finish, the usage and the signed
receipt; or one `error` event.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson

from ganglion.wire import fields
from ganglion.wire.fields import BadMessage
from ganglion.wire.paid import PayTerms
from ganglion.wire.receipts import BadReceipt, Finish, SignedReceipt

PATH = "/v1/generate"
ID_SIZE = 16
SEED_SIZE = 32
CACHE_SIZE = 8
MAX_TOKENS = 1 << 17
MAX_TURNS = 256
MAX_STOPS = 4
MOST_COUNTED = (1 << 31) - 1
"""The largest count of tokens that anybody may claim; databases keep it in four bytes."""
KNOWN = frozenset(
    {
        "id",
        "model",
        "messages",
        "prompt",
        "tokens",
        "resume",
        "seed",
        "temperature",
        "top_k",
        "top_p",
        "max_tokens",
        "stop",
        "pay",
        "cache",
    }
)
FINISHES = {"length": Finish.LENGTH, "stop": Finish.STOP}


@dataclass(frozen=True, slots=True)
class Sampling:
    """How tokens are drawn. `top_k` 0 and `top_p` 1.0 leave every token; `seed` has 32 bytes."""

    seed: bytes
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0


@dataclass(frozen=True, slots=True)
class TextRequest:
    """One order for text. `resume` holds output tokens that another miner already delivered.

    `max_tokens` counts from the very first output token, resumed ones included. `pay` says from
    which channel the answer is paid. Requests of one caller that name the same `cache` may share
    what a miner keeps of their beginnings; a gateway keeps its callers apart by it.
    """

    id: bytes
    model: str
    sampling: Sampling
    max_tokens: int
    messages: tuple[tuple[str, str], ...] = ()
    prompt: str | None = None
    tokens: tuple[int, ...] = ()
    resume: tuple[int, ...] = ()
    stop: tuple[str, ...] = ()
    pay: PayTerms | None = None
    cache: bytes = b""

    @property
    def spoken(self) -> int:
        """Characters of what is to be continued, 0 if that is token ids."""
        if self.prompt is not None:
            return len(self.prompt)
        return sum(len(content) + 1 for _, content in self.messages)

    def to_bytes(self) -> bytes:
        """The body to sign and send."""
        body: dict[str, Any] = {
            "id": "0x" + self.id.hex(),
            "model": self.model,
            "seed": "0x" + self.sampling.seed.hex(),
            "temperature": self.sampling.temperature,
            "top_k": self.sampling.top_k,
            "top_p": self.sampling.top_p,
            "max_tokens": self.max_tokens,
        }
        if self.messages:
            body["messages"] = [{"role": r, "content": c} for r, c in self.messages]
        elif self.prompt is not None:
            body["prompt"] = self.prompt
        else:
            body["tokens"] = self.tokens
        if self.resume:
            body["resume"] = self.resume
        if self.stop:
            body["stop"] = self.stop
        if self.pay is not None:
            body["pay"] = self.pay.to_json()
        if self.cache:
            body["cache"] = "0x" + self.cache.hex()
        return orjson.dumps(body)

    @classmethod
    def from_bytes(cls, body: bytes) -> TextRequest:
        """Parse a stranger's request; BadMessage names the first field that is wrong."""
        given = fields.load_object(body)
        fields.only(given, KNOWN)
        asked = [name for name in ("messages", "prompt", "tokens") if name in given]
        if len(asked) != 1:
            raise BadMessage("give exactly one of messages, prompt and tokens")
        sampling = Sampling(
            seed=fields.hexadecimal(given, "seed", SEED_SIZE),
            temperature=fields.number(given, "temperature", 0.0, 2.0, 1.0),
            top_k=fields.integer(given, "top_k", 0, 1 << 20, 0),
            top_p=fields.number(given, "top_p", 1e-6, 1.0, 1.0),
        )
        request = cls(
            id=fields.hexadecimal(given, "id", ID_SIZE),
            model=fields.text(given, "model", 200),
            sampling=sampling,
            max_tokens=fields.integer(given, "max_tokens", 1, MAX_TOKENS, None),
            messages=_messages(given["messages"]) if "messages" in given else (),
            prompt=fields.text(given, "prompt", fields.MAX_BODY) if "prompt" in given else None,
            tokens=fields.token_ids(given, "tokens", MAX_TOKENS),
            resume=fields.token_ids(given, "resume", MAX_TOKENS),
            stop=fields.strings(given, "stop", MAX_STOPS, 64),
            pay=PayTerms.from_json(given["pay"]) if "pay" in given else None,
            cache=fields.hexadecimal(given, "cache", CACHE_SIZE) if "cache" in given else b"",
        )
        if not (request.messages or request.prompt or request.tokens):
            raise BadMessage(f"{asked[0]} is empty: there is nothing to continue")
        if len(request.resume) >= request.max_tokens:
            raise BadMessage("resume already holds max_tokens tokens: nothing is left to do")
        return request


def _messages(value: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, list) or len(value) > MAX_TURNS:
        raise BadMessage(f"messages must be a list of at most {MAX_TURNS} turns")
    turns = []
    for turn in value:
        if not isinstance(turn, dict) or turn.keys() != {"role", "content"}:
            raise BadMessage("every message is an object with role and content")
        role, content = turn["role"], turn["content"]
        if role not in ("system", "user", "assistant") or not isinstance(content, str):
            raise BadMessage("a message's role is system, user or assistant, its content text")
        turns.append((role, content))
    return tuple(turns)


def most_prompt(request: TextRequest) -> int:
    """Tokens that a prompt has at most: a token is a byte at least, and a turn adds a few."""
    if request.tokens:
        return len(request.tokens)
    size = len((request.prompt or "").encode())
    size += sum(len(role) + len(content.encode()) for role, content in request.messages)
    return size + 8 * (len(request.messages) + 2)


class Reported(BadMessage):
    """The miner itself says that it cannot go on: `said` is its sentence, `reason` is `request`
    where that is at fault."""

    def __init__(self, said: str, reason: str = "") -> None:
        super().__init__(f"the miner reports: {said}")
        self.said, self.reason = said, reason


@dataclass(slots=True)
class TextAnswer:
    """What came back, put together from the stream; nothing in it is believed yet.

    `cached_tokens` of the prompt and what was resumed were in the miner's cache, it says.
    """

    tokens: list[int] = field(default_factory=list)
    pieces: list[str] = field(default_factory=list)
    finish: Finish | None = None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    signed: SignedReceipt | None = None
    cached_tokens: int = 0

    @property
    def text(self) -> str:
        """All text so far."""
        return "".join(self.pieces)

    @property
    def read(self) -> tuple[int, int]:
        """Tokens of the prompt, and those that were in the cache."""
        return self.prompt_tokens, self.cached_tokens

    def check_bill(self) -> None:
        """Raise BadReceipt unless the miner has signed all that it bills: these tokens, this end,
        this count of the prompt. A bill is no more than a copy of the receipt."""
        if self.signed is None or list(self.signed.receipt.tokens) != self.tokens:
            raise BadReceipt("the receipt is about other tokens than were streamed")
        receipt = self.signed.receipt
        if (receipt.finish, receipt.prompt_tokens) != (self.finish, self.prompt_tokens):
            raise BadReceipt("the receipt tells another end or another prompt than the stream")
        if self.completion_tokens != len(receipt.tokens):
            raise BadReceipt("the bill counts other tokens than the receipt holds")

    def take(self, event: str, data: bytes) -> bool:
        """Add one event; True when the answer is complete.

        BadMessage if it is malformed, Reported if the miner gives up.
        """
        given = fields.load_object(data)
        if event == "tokens":
            self.tokens += fields.token_ids(given, "tokens", MAX_TOKENS)
            self.pieces.append(fields.text(given, "text", fields.MAX_BODY))
            if "prompt_tokens" in given:
                self.prompt_tokens = fields.integer(given, "prompt_tokens", 0, MOST_COUNTED, None)
                self.cached_tokens = fields.integer(given, "cached_tokens", 0, MOST_COUNTED, 0)
            return False
        if event == "error":
            raise Reported(str(given.get("message"))[:300], str(given.get("reason"))[:40])
        finish = given.get("finish")
        if event != "done" or not isinstance(finish, str) or finish not in FINISHES:
            raise BadMessage("events are tokens, then done with finish length or stop")
        self.finish = FINISHES[finish]
        usage = given.get("usage")
        if not isinstance(usage, dict):
            raise BadMessage("usage must be an object")
        self.prompt_tokens = fields.integer(usage, "prompt_tokens", 0, MOST_COUNTED, None)
        self.completion_tokens = fields.integer(usage, "completion_tokens", 0, MOST_COUNTED, None)
        cached = cached_of(usage)
        if cached < self.cached_tokens:
            raise BadMessage("it takes back what it said to have in its cache")
        self.cached_tokens = cached
        try:
            self.signed = SignedReceipt.from_json(given.get("receipt"))
        except BadReceipt as e:
            raise BadMessage(str(e)) from e
        return True


def usage_of(prompt: int, completion: int, cached: int = 0) -> dict[str, Any]:
    """A usage object: tokens of the prompt, of the answer, and those that were in a cache."""
    usage: dict[str, Any] = {"prompt_tokens": prompt, "completion_tokens": completion}
    if cached:
        usage["prompt_tokens_details"] = {"cached_tokens": cached}
    return usage


def cached_of(usage: dict[str, Any]) -> int:
    """The tokens of a stranger's usage that were in its cache; BadMessage."""
    details = usage.get("prompt_tokens_details", {})
    if not isinstance(details, dict):
        raise BadMessage("prompt_tokens_details must be an object")
    return fields.integer(details, "cached_tokens", 0, MOST_COUNTED, 0)


def tokens_event(
    tokens: list[int], new_text: str, prompt_tokens: int | None = None, cached: int = 0
) -> tuple[str, bytes]:
    """The event that carries new tokens; the first one tells the prompt's length as well, and
    how much of it was in the cache."""
    body: dict[str, Any] = {"tokens": tokens, "text": new_text}
    if prompt_tokens is not None:
        body["prompt_tokens"] = prompt_tokens
        if cached:
            body["cached_tokens"] = cached
    return "tokens", orjson.dumps(body)


def done_event(signed: SignedReceipt, cached: int = 0) -> tuple[str, bytes]:
    """The event that ends an answer."""
    receipt = signed.receipt
    usage = usage_of(receipt.prompt_tokens, len(receipt.tokens), cached)
    finish = "stop" if receipt.finish is Finish.STOP else "length"
    return "done", orjson.dumps({"finish": finish, "usage": usage, "receipt": signed.to_json()})


def error_event(reason: str, message: str) -> tuple[str, bytes]:
    """The event that ends an answer which failed half-way."""
    return "error", orjson.dumps({"reason": reason, "message": message})
