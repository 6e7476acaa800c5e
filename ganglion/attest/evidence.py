"""What hardware says about a miner, as it travels, and what it must be bound to. Without IO.

Evidence is a JSON list of at most four objects, one a kind: a quote or report of the machine
(`tdx-v4`, `sgx`, `sev-snp`), the GPUs' tokens (`nvidia-eat`), or `mock`, which proves nothing and
is for tests. All of it carries the same 64 bytes of report data, so that it is about one miner,
one sealing key and one block of one chain.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from ganglion.errors import GanglionError
from ganglion.hashing import blake2_256
from ganglion.wire.fields import BadMessage

TDX, SGX, SNP, NVIDIA, MOCK = "tdx-v4", "sgx", "sev-snp", "nvidia-eat", "mock"
KINDS = (TDX, SGX, SNP, NVIDIA, MOCK)
MACHINES = frozenset({TDX, SGX, SNP})
"""Kinds that say which program holds the key. A GPU's token alone does not."""

MAX_EVIDENCE = 512 << 10
"""Bytes of the longest evidence that is looked at: eight GPUs' tokens and a quote fit often."""
MAX_PIECES = 4


class BadEvidence(BadMessage):
    """Evidence that is malformed, forged, too old, or about something else."""


class AttestUnavailable(GanglionError):
    """This installation cannot judge that kind: a package or a root of trust is missing."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """One piece of evidence: its kind, and the fields that the kind's verifier reads."""

    kind: str
    fields: Mapping[str, Any]


def parse(text: bytes) -> tuple[Evidence, ...]:
    """The pieces of a list, or the one of an object; BadEvidence says what is wrong."""
    if len(text) > MAX_EVIDENCE:
        raise BadEvidence(f"evidence has at most {MAX_EVIDENCE} bytes")
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as e:
        raise BadEvidence(f"the evidence is no JSON: {e}") from e
    pieces = value if isinstance(value, list) else [value]
    if not 0 < len(pieces) <= MAX_PIECES:
        raise BadEvidence(f"evidence is a list of 1 to {MAX_PIECES} pieces")
    made = tuple(_piece(piece) for piece in pieces)
    if len({piece.kind for piece in made}) < len(made):
        raise BadEvidence("evidence holds two pieces of one kind")
    return made


def _piece(value: object) -> Evidence:
    if not isinstance(value, dict) or value.get("kind") not in KINDS:
        raise BadEvidence(f"a piece of evidence is an object whose kind is one of {list(KINDS)}")
    return Evidence(value["kind"], {k: v for k, v in value.items() if k != "kind"})


def report_data(genesis: bytes, hotkey: bytes, key: bytes, nonce: bytes, signer: bytes) -> bytes:
    """The 64 bytes that evidence must carry: 32 that bind the X25519 key, then the signing key.

    `nonce` is the hash of a block, `signer` the Ed25519 key that signs answers; all have 32 bytes.
    """
    return blake2_256(genesis + hotkey + key + nonce) + signer
