"""What a validator has measured of every miner, signed by it: for gateways and app builders.

`GET /performance` at a validator's status port answers
`{"report": {...}, "signature": "0x...", "crypto": "sr25519"}`. The signature is over the report as
JSON with sorted keys and no spaces; numbers in it are whole, so that everybody writes them alike.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import orjson

from ganglion import ss58
from ganglion.errors import GanglionError
from ganglion.hashing import blake2_256
from ganglion.keys import CryptoType, Keypair
from ganglion.wire import fields
from ganglion.wire.fields import BadMessage

PATH = "/performance"
VERSION = 1
DOMAIN = b"ganglion/performance/1"
MAX_MINERS = 4096
MAX_REASONS = 64
LARGEST = (1 << 63) - 1
FRESH_SECONDS = 900
"""How old a report may be, and how far ahead of the reader's clock a tenth of it."""


@dataclass(frozen=True, slots=True)
class MinerPerformance:
    """One miner. `speed` is in thousandths of a token a second and, like `first_token_ms`, the
    median of the latest right answers, 0 if there is none. `hardware_rate` is the class it
    claims, `hardware_proven` what this validator vouches for, in multiply-adds a second.
    `reasons` counts the outcomes of its latest checks, those of its hardware included.
    """

    hotkey: str
    checks: int
    verified: int
    speed: int
    first_token_ms: int
    hardware_rate: int
    hardware_proven: int
    hardware_checks: int
    hardware_passes: int
    reasons: Mapping[str, int]


_NUMBERS = (
    "checks",
    "verified",
    "speed",
    "first_token_ms",
    "hardware_rate",
    "hardware_proven",
    "hardware_checks",
    "hardware_passes",
)


@dataclass(frozen=True, slots=True)
class Report:
    """All miners of one subnet, as one validator saw them at a block and a time (since 1970)."""

    genesis: bytes
    netuid: int
    validator: str
    block: int
    at: int
    miners: tuple[MinerPerformance, ...]

    def canonical(self) -> bytes:
        """The bytes that are signed."""
        body = {
            "version": VERSION,
            "genesis": "0x" + self.genesis.hex(),
            "netuid": self.netuid,
            "validator": self.validator,
            "block": self.block,
            "at": self.at,
            "miners": [asdict(miner) for miner in self.miners],
        }
        return orjson.dumps(body, option=orjson.OPT_SORT_KEYS)

    def signed(self, hotkey: Keypair) -> bytes:
        """As it travels."""
        report = self.canonical()
        signature = hotkey.sign(blake2_256(DOMAIN + report))
        tail = {"signature": "0x" + signature.hex(), "crypto": hotkey.crypto.name.lower()}
        return b'{"report":' + report + b"," + orjson.dumps(tail)[1:]

    def check(self, genesis: bytes, netuid: int, validator: str, now: float) -> None:
        """Raise BadMessage unless it is this validator's, about this subnet, and fresh."""
        if (self.genesis, self.netuid) != (genesis, netuid):
            raise BadMessage("the report is about another subnet or chain")
        if ss58.decode(self.validator, prefix=None) != ss58.decode(validator, prefix=None):
            raise BadMessage(f"the report is {self.validator}'s, not {validator}'s")
        if not now - FRESH_SECONDS <= self.at <= now + FRESH_SECONDS / 10:
            raise BadMessage(
                f"the report was made {now - self.at:.0f} s ago: clocks differ, or it is an old one"
            )


def read(body: bytes) -> Report:
    """A stranger's report whose signature holds; BadMessage says what is wrong with it."""
    outer = fields.load_object(body)
    fields.only(outer, frozenset({"report", "signature", "crypto"}))
    given = outer.get("report")
    if not isinstance(given, dict):
        raise BadMessage("report must be an object")
    fields.only(
        given,
        frozenset({"version", "genesis", "netuid", "validator", "block", "at", "miners"}),
    )
    fields.integer(given, "version", VERSION, VERSION, None)
    listed = given.get("miners")
    if not isinstance(listed, list) or len(listed) > MAX_MINERS:
        raise BadMessage(f"miners must be a list of at most {MAX_MINERS}")
    report = Report(
        fields.hexadecimal(given, "genesis", 32),
        fields.integer(given, "netuid", 0, 65_535, None),
        _address(given, "validator"),
        fields.integer(given, "block", 0, LARGEST, None),
        fields.integer(given, "at", 0, LARGEST, None),
        tuple(_miner(one) for one in listed),
    )
    if len({miner.hotkey for miner in report.miners}) < len(report.miners):
        raise BadMessage("a miner is listed twice")
    crypto = outer.get("crypto")
    if crypto not in ("sr25519", "ed25519"):
        raise BadMessage("crypto must be sr25519 or ed25519")
    signature = fields.hexadecimal(outer, "signature", 64)
    signer = Keypair.from_public(report.validator, CryptoType[crypto.upper()])
    if not signer.verify(blake2_256(DOMAIN + report.canonical()), signature):
        raise BadMessage("the report is not signed by the validator it names")
    return report


def _address(given: Mapping[str, Any], name: str) -> str:
    address = fields.text(given, name, 64)
    try:
        ss58.decode(address, prefix=None)
    except (GanglionError, ValueError) as e:
        raise BadMessage(f"{name} is no address: {e}") from e
    return address


def _miner(given: object) -> MinerPerformance:
    if not isinstance(given, dict):
        raise BadMessage("every miner is an object")
    fields.only(given, frozenset({"hotkey", "reasons", *_NUMBERS}))
    reasons = given.get("reasons")
    if not isinstance(reasons, dict) or len(reasons) > MAX_REASONS:
        raise BadMessage(f"reasons must be an object of at most {MAX_REASONS} numbers")
    if any(len(name) > 64 for name in reasons):
        raise BadMessage("a reason has at most 64 characters")
    counts = {name: fields.integer(reasons, name, 0, LARGEST, None) for name in reasons}
    numbers = {name: fields.integer(given, name, 0, LARGEST, None) for name in _NUMBERS}
    return MinerPerformance(hotkey=_address(given, "hotkey"), reasons=counts, **numbers)
