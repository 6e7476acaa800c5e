"""One epoch from stored bytes to stored bytes, on one core."""

from __future__ import annotations

import numpy as np
from benchmark import Row, median_ms, run

from consensus.yuma import engine, reference
from consensus.yuma.types import EpochOutcome, SubnetEpoch
from ganglion.scale import Packed64, PackedBool, PackedPairs, codec, u16, u64

ROW, FLAGS, BLOCKS = codec(PackedPairs), codec(PackedBool), codec(Packed64)
U16S, U64S, BOOLS = codec(tuple[u16, ...]), codec(tuple[u64, ...]), codec(tuple[bool, ...])

ANCHORS = {
    (256, 64): {"Yuma 2": 2.0, "Yuma 3": 1.9, "Yuma 3, liquid alpha": 20.7},
    (1024, 64): {"Yuma 2": 8.2, "Yuma 3": 5.8, "Yuma 3, liquid alpha": 326.0},
    (4096, 64): {"Yuma 2": 39.0, "Yuma 3": 28.0, "Yuma 3, liquid alpha": 5141.0},
    (4096, 256): {"Yuma 2": 203.0, "Yuma 3": 300.0, "Yuma 3, liquid alpha": 5239.0},
}
"""Milliseconds of the chain's native code on its own machine (one core, another processor)."""

TARGETS = {(256, 64): 4.0, (1024, 64): 16.0, (4096, 64): 60.0, (4096, 256): 300.0}
VARIANTS = {
    "Yuma 2": {"yuma3_on": False},
    "Yuma 3": {"yuma3_on": True},
    "Yuma 3, liquid alpha": {"yuma3_on": True, "liquid_alpha_on": True},
}


class Stored:
    """A dense subnet as the chain's store holds it: SCALE values, rows for every uid."""

    def __init__(self, n: int, validators: int) -> None:
        draw = np.random.default_rng(7)
        quality = draw.integers(1, 60_000, n)
        self.n, self.validators = n, validators

        def rows(noise: int) -> list[bytes]:
            result = [ROW.encode(b"")] * n
            for uid in range(validators):
                pairs = np.empty((n, 2), dtype="<u2")
                pairs[:, 0] = np.arange(n)
                pairs[:, 1] = quality + draw.integers(0, noise, n)
                result[uid] = ROW.encode(pairs.tobytes())
            return result

        self.weights, self.bonds = rows(4_000), rows(5_000)
        self.last_update = BLOCKS.encode(np.full(n, 9_990, dtype="<u8").tobytes())
        permits = np.arange(n) < validators
        self.permits = FLAGS.encode(permits.astype(np.uint8).tobytes())
        self.registered = [codec(u64).encode(int(b)) for b in draw.integers(0, 5_000, n)]
        self.alpha = [
            int(10**12 + a) if p else 1_000 for a, p in zip(draw.integers(0, 10**12, n), permits)
        ]

    def epoch(self, run: object, options: dict[str, object]) -> list[bytes]:
        """Decode, run, encode: what a node does between two reads of its store."""
        read = codec(u64).decode
        subnet = SubnetEpoch(
            n=self.n,
            current_block=10_000,
            last_update=np.frombuffer(BLOCKS.decode(self.last_update), "<u8").tolist(),
            block_at_registration=[read(raw) for raw in self.registered],
            alpha_stake=self.alpha,
            tao_stake=self.alpha,
            validator_permits=list(map(bool, FLAGS.decode(self.permits))),
            weights=[ROW.decode(raw) for raw in self.weights],
            bonds=[ROW.decode(raw) for raw in self.bonds],
            tao_weight=971718665099567868,
            max_allowed_validators=self.validators,
            last_mechanism_step_block=9_640,
            **options,  # type: ignore[arg-type]
        )
        return encoded(run(subnet))  # type: ignore[operator]


def encoded(o: EpochOutcome) -> list[bytes]:
    """The SCALE values the chain writes after an epoch."""
    u16s = (
        o.stake_weight_u16,
        o.consensus_u16,
        o.validator_trust_u16,
        o.incentive_u16,
        o.dividends_u16,
    )
    return [
        *map(U16S.encode, u16s),
        *map(U64S.encode, (o.combined_emission, o.server_emission, o.validator_emission)),
        *map(BOOLS.encode, (o.active, o.new_permits)),
        *map(ROW.encode, o.bonds),
    ]


def measured(stored: Stored, name: str, *, slow: bool) -> Row:
    """One line of the table; with `slow` the reference too, whose bytes must be the same."""
    size, options = (stored.n, stored.validators), VARIANTS[name]
    fast = median_ms(lambda: stored.epoch(engine.epoch, options))
    plain = None
    if slow:
        plain = median_ms(lambda: stored.epoch(reference.epoch, options), seconds=0, least=3)
        if stored.epoch(engine.epoch, options) != stored.epoch(reference.epoch, options):
            raise SystemExit(f"the engines disagree at {size}, {name}")
    return {
        "neurons x validators": f"{size[0]} x {size[1]}",
        "variant": name,
        "numpy, ms": round(fast, 2),
        "limit, ms": TARGETS[size] * (2 if "liquid" in name else 1),
        "reference, ms": plain and round(plain, 1),
        "native anchor, ms": ANCHORS[size][name],
    }


def rows(quick: bool) -> list[Row]:
    """Every size and variant; the reference only where it ends within seconds."""
    return [
        measured(stored, name, slow=n <= 1024 and not quick)
        for n, validators in TARGETS
        if n <= 1024 or not quick
        for stored in [Stored(n, validators)]
        for name in VARIANTS
    ]


run(
    "consensus",
    "One epoch with dense weights from stored bytes to stored bytes, median on one core. The "
    "anchor is the chain's native code on another machine: an order of magnitude, not a race.",
    rows,
)
