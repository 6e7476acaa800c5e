"""The tokenizer of byte-level models: a token id below 256 is the byte itself.

Recognised by its tokenizer.json (a BPE with 256 entries and no merges), so the transformers
library and this file read the same folder the same way.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ganglion.exact.program import ByteTokens
from neurons.engine.base import EngineError
from neurons.engine.folder import read_json

ROLES = ("system", "user", "assistant")


def byte_alphabet() -> list[str]:
    """The printable character that stands for each byte in byte-level vocabularies."""
    plain = {*range(33, 127), *range(161, 173), *range(174, 256)}
    spare = iter(range(256, 512))
    return [chr(b) if b in plain else chr(next(spare)) for b in range(256)]


class ByteTokenizer:
    """Bytes as tokens, and special tokens that open a turn or end one."""

    def __init__(self, folder: Path) -> None:
        spec = read_json(folder / "tokenizer.json")
        model = spec.get("model") or {}
        wanted = {char: byte for byte, char in enumerate(byte_alphabet())}
        if model.get("merges") or model.get("vocab") != wanted:
            raise EngineError(f"the tokenizer of {folder} is not byte-level: use --engine hf")
        added = {t.get("content"): t.get("id") for t in spec.get("added_tokens") or []}
        try:
            names = ("bos", "eos", *ROLES)
            self.special = ByteTokens(*(int(added[f"<|{name}|>"]) for name in names))
        except (KeyError, TypeError) as e:
            raise EngineError(f"the tokenizer of {folder} lacks the special token {e}") from e

    def encode(self, text: str) -> list[int]:
        """The bytes of the text; no special token is ever read out of it."""
        return list(text.encode("utf-8", "replace"))

    def complete(self, text: str) -> list[int]:
        """The prompt that asks to continue the text."""
        return self.special.complete(text)

    def decode(self, tokens: Sequence[int]) -> str:
        """The text of the byte tokens, special tokens left out."""
        return bytes(t for t in tokens if t < 256).decode("utf-8", "replace")

    def chat(self, messages: Sequence[tuple[str, str]]) -> list[int]:
        """The prompt that asks for the assistant's next turn; ValueError for an unknown role."""
        if any(role not in ROLES for role, _ in messages):
            raise ValueError(f"a message's role is one of {', '.join(ROLES)}")
        return self.special.chat(messages)
