"""System's constants, byte for byte those of the network's runtime."""

from __future__ import annotations

from chain.pallets import system
from chain.runtime_spec import make_runtime
from ganglion.scale import Codec

BLOCK_WEIGHTS = (
    "c2a0e766000b00409452a30313ffffffffffffffff2261c91900010bb837a1555d02136666666666666"
    "6a6010b0030ef7dba0213ffffffffffffffbf0100002261c91900010bb847462a460313666666666666"
    "66e6010b00409452a30313ffffffffffffffff01070010a5d4e81300000000000000402261c91900000000"
)


def encoded(constant: object) -> str:
    made: Codec[object] = constant.codec  # type: ignore[attr-defined]
    return made.encode(constant.value).hex()  # type: ignore[attr-defined]


def test_limits_are_upstream_s() -> None:
    assert encoded(system.BlockWeights_) == BLOCK_WEIGHTS
    assert encoded(system.BlockLength_) == "000078000000a0000000a000"
    assert encoded(system.BlockHashCount) == "60090000"
    assert encoded(system.DbWeight) == "40787d010000000000e1f50500000000"
    assert encoded(system.SS58Prefix) == "2a00"


def test_the_version_is_the_runtime_s() -> None:
    runtime = make_runtime()
    assert system.Version.value.spec_version == runtime.version.spec_version
    assert system.Version.value.apis == runtime.version.apis
