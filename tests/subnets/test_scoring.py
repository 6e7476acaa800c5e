"""Verdicts to weights: failures cost, outages of our own do not, splitting does not pay."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from subnets.scoring import ONE, Policy, Record, apply_loads, apply_round, compute_weights
from subnets.verdict import HARD, Reason, Verdict

POLICY = Policy()


def good(ms: int = 1000, tokens: int = 100) -> Verdict:
    return Verdict(Reason.OK, tokens=tokens, total_ms=ms)


def rounds(*verdicts: dict[str, Verdict], policy: Policy = POLICY) -> dict[str, Record]:
    records: dict[str, Record] = {}
    for block, each in enumerate(verdicts):
        apply_round(records, each, policy, block)
    return records


def weights_of(records: dict[str, Record], policy: Policy = POLICY) -> dict[str, int]:
    names = sorted(records)
    made = compute_weights([(i, records[n]) for i, n in enumerate(names)], policy)
    return {names[uid]: weight for uid, weight in made}


def test_equal_miners_get_equal_full_weights() -> None:
    assert weights_of(rounds(*[{"a": good(), "b": good()}] * 5)) == {"a": 65535, "b": 65535}


@pytest.mark.parametrize("reason", sorted(HARD))
def test_one_hard_failure_zeroes_until_enough_right_answers(reason: Reason) -> None:
    history = [{"a": good(), "b": good()}] * 9 + [{"a": Verdict(reason), "b": good()}]
    for right in range(POLICY.lookback):
        later = [{"a": good(), "b": good()}] * right
        assert "a" not in weights_of(rounds(*history, *later))
    back = weights_of(rounds(*history, *[{"a": good(), "b": good()}] * POLICY.lookback))
    assert 0 < back["a"] < back["b"]


def test_soft_failures_lower_the_weight_a_little() -> None:
    down = Verdict(Reason.UNREACHABLE)
    weights = weights_of(rounds(*[{"a": good(), "b": good()}] * 9, {"a": down, "b": good()}))
    assert 0.7 * 65535 < weights["a"] < 0.8 * 65535


def test_nobody_pays_for_an_outage_of_the_verifier() -> None:
    before = [{"a": good(), "b": good()}] * 3
    outage = {"a": Verdict(Reason.TIMEOUT), "b": Verdict(Reason.UNREACHABLE)}
    records = rounds(*before, outage)
    assert records["a"].average == rounds(*before)["a"].average
    assert records["a"].recent[-1]["reason"] == "verifier-outage"
    assert records["a"].checks == 3


def test_a_lone_miner_that_is_down_is_charged() -> None:
    records = rounds({"a": good()}, {"a": Verdict(Reason.UNREACHABLE)})
    assert records["a"].average < ONE << 16


def test_slower_miners_earn_less_but_not_nothing() -> None:
    weights = weights_of(rounds(*[{"fast": good(1000), "slow": good(4000)}] * 4))
    assert 0 < weights["slow"] < weights["fast"] == 65535


def loaded(loads: dict[str, int]) -> dict[str, Record]:
    """Miners that answer rightly and equally fast, one question at a time, but carry so much."""
    records: dict[str, Record] = {}
    for block in range(30):
        apply_round(records, dict.fromkeys(loads, good()), POLICY, block)
        apply_loads(records, loads)
    return records


def test_first_tokens_that_come_late_earn_less() -> None:
    def after(ms: int) -> Verdict:
        return Verdict(Reason.OK, tokens=100, first_token_ms=ms, total_ms=4_000)

    found = rounds(*[{"a": after(20), "b": after(249), "c": after(1_000), "d": after(4_000)}] * 20)
    weights = weights_of(found)
    assert weights["a"] == weights["b"] == 65_535
    assert weights["d"] < weights["c"] < 65_535
    part = POLICY.speed / ONE * POLICY.latency / ONE
    assert weights["c"] == pytest.approx(65_535 * (1 - part * 3 / 4) ** 2, rel=0.01)
    everyone_late = rounds({"a": after(2_000), "b": after(2_000)})
    assert weights_of(everyone_late) == {"a": 65_535, "b": 65_535}


@pytest.mark.parametrize("names", [2, 4, 16])
def test_splitting_one_machine_over_identities_does_not_pay(names: int) -> None:
    whole = weights_of(loaded({"rival": 1000, "me": 1000}))
    parts = weights_of(loaded({"rival": 1000} | {f"me{i}": 1000 // names for i in range(names)}))
    mine = sum(w for name, w in parts.items() if name != "rival")
    share = whole["me"] / (whole["me"] + whole["rival"])
    assert mine / (mine + parts["rival"]) < 0.75 * share


def test_who_carries_less_earns_less_and_new_names_start_at_the_bottom() -> None:
    records = loaded({"big": 4000, "small": 1000})
    for block in range(30):
        apply_round(records, dict.fromkeys(("big", "small", "new"), good()), POLICY, block)
    weights = weights_of(records)
    assert weights["new"] == pytest.approx(weights["small"], rel=0.05)
    assert weights["small"] < weights["big"] / 10


def test_loads_that_nobody_carried_are_the_verifiers_trouble() -> None:
    records = loaded({"a": 1000, "b": 500})
    apply_loads(records, {"a": 0, "b": 0})
    assert (records["a"].load, records["b"].load) == (1000, 500)
    apply_loads(records, {"a": 0, "b": 500})
    assert records["a"].load == 750


def test_what_a_cheat_carried_is_no_measure() -> None:
    records = loaded({"a": 1000, "cheat": 9000})
    apply_round(records, {"a": good(), "cheat": Verdict(Reason.SAMPLING)}, POLICY, 1)
    assert records["a"].recent[-1]["reward"] == ONE // 9
    apply_round(records, {"a": good(), "cheat": good()}, POLICY, 2)
    assert records["a"].recent[-1]["reward"] == ONE


def test_a_record_of_before_has_carried_nothing_yet() -> None:
    value = Record(average=5).to_json()
    del value["load"]
    assert Record.from_json(value) == Record(average=5)


def test_unknown_and_failed_miners_get_no_weight() -> None:
    assert compute_weights([], POLICY) == ()
    assert compute_weights([(3, Record())], POLICY) == ()


verdicts = st.builds(
    Verdict,
    st.sampled_from(list(Reason)),
    tokens=st.integers(0, 10**6),
    total_ms=st.integers(0, 10**6),
)


@given(st.lists(st.dictionaries(st.sampled_from("abcd"), verdicts, max_size=4), max_size=20))
def test_averages_and_weights_stay_in_range_and_records_travel(
    history: list[dict[str, Verdict]],
) -> None:
    records = rounds(*history)
    for record in records.values():
        assert 0 <= record.average <= ONE << 16
        assert Record.from_json(record.to_json()) == record
    weights = weights_of(records)
    assert all(0 < w <= 65535 for w in weights.values())
    assert not weights or max(weights.values()) == 65535
