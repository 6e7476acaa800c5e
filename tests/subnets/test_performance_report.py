"""The signed report of measured performance: what is in it, and who is believed."""

from dataclasses import replace

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ganglion.keys import CryptoType, Keypair
from ganglion.wire import performance
from ganglion.wire.fields import BadMessage
from ganglion.wire.performance import MinerPerformance, Report
from subnets.hardware.judge import Capability, Outcome, Result
from subnets.performance import summarise
from subnets.scoring import Policy, Record, apply_round
from subnets.verdict import Reason, Verdict

VALIDATOR, MINER = Keypair.from_uri("//Alice"), Keypair.from_uri("//Bob").address
GENESIS = b"\7" * 32
LINE = MinerPerformance(MINER, 9, 8, 123_456, 40, 100, 90, 5, 5, {"ok": 4})
REPORT = Report(GENESIS, 2, VALIDATOR.address, 77, 1_000_000, (LINE,))


def test_a_line_tells_what_the_book_knows() -> None:
    records: dict[str, Record] = {}
    for ms in (100, 200, 400):
        verdict = Verdict(Reason.OK, tokens=20, total_ms=ms, first_token_ms=ms // 10)
        apply_round(records, {MINER: verdict}, Policy(), 1)
    apply_round(records, {MINER: Verdict(Reason.SAMPLING, tokens=20, total_ms=1)}, Policy(), 1)
    hardware = Capability()
    hardware.enter(Result(Outcome.OK, "", 1000, 900), 1, 1)
    line = summarise(MINER, records[MINER], hardware)
    assert (line.checks, line.verified, line.speed, line.first_token_ms) == (4, 3, 100_000, 20)
    assert (line.hardware_rate, line.hardware_proven, line.hardware_passes) == (1000, 900, 1)
    assert line.reasons == {"ok": 3, "wrong-sampling": 1, "hardware ok": 1}
    assert summarise(MINER, Record(), Capability()).speed == 0


@pytest.mark.parametrize("crypto", list(CryptoType))
def test_a_report_travels_and_is_believed(crypto: CryptoType) -> None:
    signer = Keypair.from_seed(b"\1" * 32, crypto)
    report = replace(REPORT, validator=signer.address)
    again = performance.read(report.signed(signer))
    assert again == report
    again.check(GENESIS, 2, signer.address, 1_000_010)


def test_a_miner_that_is_listed_twice_counts_not_twice() -> None:
    with pytest.raises(BadMessage, match="listed twice"):
        performance.read(replace(REPORT, miners=(LINE, LINE)).signed(VALIDATOR))


def test_a_changed_report_is_not_believed() -> None:
    body = REPORT.signed(VALIDATOR)
    assert body.count(b"123456") == 1
    with pytest.raises(BadMessage, match="not signed by the validator it names"):
        performance.read(body.replace(b"123456", b"223456"))
    with pytest.raises(BadMessage, match="not signed"):
        performance.read(REPORT.signed(Keypair.from_uri("//Eve")))


@pytest.mark.parametrize(
    ("genesis", "netuid", "validator", "now", "why"),
    [
        (b"\1" * 32, 2, VALIDATOR.address, 1_000_000, "another subnet or chain"),
        (GENESIS, 3, VALIDATOR.address, 1_000_000, "another subnet or chain"),
        (GENESIS, 2, MINER, 1_000_000, "'s, not "),
        (GENESIS, 2, VALIDATOR.address, 1_001_000, "1000 s ago"),
        (GENESIS, 2, VALIDATOR.address, 999_000, "clocks differ"),
    ],
)
def test_a_report_is_of_one_validator_one_subnet_and_one_time(
    genesis: bytes, netuid: int, validator: str, now: int, why: str
) -> None:
    with pytest.raises(BadMessage, match=why):
        REPORT.check(genesis, netuid, validator, now)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 70), 1 << 70) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
PLACES = ["report", "signature", "crypto", "miners", "hotkey", "reasons", "at", "validator"]


@given(st.sampled_from(PLACES), json_values)
def test_strangers_reports_are_read_or_refused(name: str, value: object) -> None:
    outer = orjson.loads(REPORT.signed(VALIDATOR))
    inside = outer["report"]
    for place in (outer, inside, inside["miners"][0]):
        if name in place:
            place[name] = value
    try:
        body = orjson.dumps(outer)
    except TypeError:
        return  # a number that JSON of this library cannot hold
    with pytest.raises(BadMessage):
        performance.read(body)


@given(st.binary(max_size=200))
def test_noise_is_refused(body: bytes) -> None:
    with pytest.raises(BadMessage):
        performance.read(body)
