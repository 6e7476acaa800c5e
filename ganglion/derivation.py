"""Secret URIs taken apart: phrase or seed, junctions, password.

Rule: Substrate's `sp_core::crypto::{SecretUri, DeriveJunction}`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ganglion.errors import InvalidKey
from ganglion.hashing import blake2_256
from ganglion.scale import compact_encode

_URI = re.compile(r"(?P<phrase>[\w ]*)(?P<path>(?:/{1,2}[^/]+)*)(?:///(?P<password>.*))?", re.S)
_JUNCTION = re.compile(r"(/{1,2})([^/]+)")
_NUMBER = re.compile(r"\+?[0-9]+")


@dataclass(frozen=True, slots=True)
class Junction:
    """One step of a derivation path; `text` is as written."""

    text: str
    hard: bool

    @property
    def chain_code(self) -> bytes:
        """32 bytes: a number below 2**64 as u64, any other text SCALE-encoded, padded with zeros
        or, when longer, hashed."""
        if _NUMBER.fullmatch(self.text) and int(self.text) < 1 << 64:
            return int(self.text).to_bytes(8, "little").ljust(32, b"\0")
        raw = self.text.encode()
        coded = compact_encode(len(raw)) + raw
        return coded.ljust(32, b"\0") if len(coded) <= 32 else blake2_256(coded)


@dataclass(frozen=True, slots=True)
class SecretUri:
    """The parts of a secret URI; an empty phrase without seed means the development phrase."""

    phrase: str = field(repr=False)
    seed: bytes | None = field(repr=False)
    junctions: tuple[Junction, ...]
    password: str = field(default="", repr=False)


def parse_uri(uri: str) -> SecretUri:
    """Take a secret URI apart; raises InvalidKey. The password of a 0x seed has no effect."""
    found = _URI.fullmatch(uri)
    if found is None or not uri.strip():
        raise InvalidKey("a secret URI reads PHRASE//hard/soft///password, for example //Alice")
    phrase = found["phrase"].strip()
    seed = None
    if phrase.startswith("0x"):
        try:
            seed = bytes.fromhex(phrase[2:])
        except ValueError as e:
            raise InvalidKey("the seed of the secret URI is not hexadecimal") from e
        if len(seed) != 32:
            raise InvalidKey(f"a seed has 64 hex digits, not {len(phrase) - 2}")
    junctions = tuple(
        Junction(text, slashes == "//") for slashes, text in _JUNCTION.findall(found["path"])
    )
    return SecretUri("" if seed else phrase, seed, junctions, found["password"] or "")
