"""The router: price weights, outages, affinity, capability."""

from collections import Counter
from collections.abc import Callable

import pytest

from ganglion.wire.call import Target
from neurons.engine.base import PAGE, pages_for
from neurons.engine.pages import PagePool
from neurons.gateway.router import ROOM, Miner, Policy, Router, Wanted, prefix_names

MODEL = Wanted("m")


def miner(uid: int, price: float = 1.0, **more: object) -> Miner:
    fields = {"model": "m", "context": 1024, "exact": True} | more
    return Miner(uid, Target(f"hotkey{uid}", "127.0.0.1", 1 + uid), price=price, **fields)  # type: ignore[arg-type]


def router(*miners: Miner, policy: Policy | None = None) -> Router:
    made = Router(policy, seed=4)
    made.update(miners)
    return made


def first_choices(made: Router, wanted: Wanted, draws: int, now: float = 0.0) -> Counter[int]:
    return Counter(made.rank(wanted, now)[0].uid for _ in range(draws))


def test_traffic_goes_with_the_inverse_square_of_the_price() -> None:
    counts = first_choices(router(miner(1, 1), miner(2, 2), miner(3, 3)), MODEL, 10_000)
    total = 1 + 1 / 4 + 1 / 9
    for uid, weight in ((1, 1), (2, 1 / 4), (3, 1 / 9)):
        share = weight / total
        sigma = (10_000 * share * (1 - share)) ** 0.5
        assert abs(counts[uid] - 10_000 * share) < 3 * sigma


def test_each_policy_prefers_the_miner_that_is_best_in_its_attribute() -> None:
    cheap, quick, able = miner(1, 1, context=100), miner(2, 50, context=100), miner(3, 50)
    quick.first_token, cheap.first_token, able.first_token = 0.01, 2.0, 2.0
    sharp = {"load": 0.0, "quality": 0.0}
    by_price = router(cheap, quick, able, policy=Policy(price=6, latency=0, **sharp))
    by_speed = router(cheap, quick, able, policy=Policy(price=0, latency=6, **sharp))
    assert first_choices(by_price, MODEL, 100)[1] > 98
    assert first_choices(by_speed, MODEL, 100)[2] > 98
    assert first_choices(by_price, Wanted("m", tokens=500), 100) == {3: 100}


@pytest.mark.parametrize(("power", "times"), [(1.0, 2), (3.0, 8), (0.0, 1)])
def test_miners_that_validators_reward_are_chosen_more(power: float, times: int) -> None:
    best, worst = miner(1, incentive=65_535), miner(2, incentive=0)
    counts = first_choices(router(best, worst, policy=Policy(quality=power)), MODEL, 6000)
    assert counts[1] / counts[2] == pytest.approx(times, rel=0.15)


def conversations(route: Callable[[str, int], int]) -> tuple[int, list[int]]:
    """Prompt tokens that four miners compute for 24 conversations of 8 turns, and their load."""
    pools, load, computed = [PagePool(4096) for _ in range(4)], [0] * 4, 0
    texts = [f"You are assistant {session}. " * 12 for session in range(24)]
    for turn in range(8):
        for session in range(24):
            texts[session] += f" turn {turn}: " + "and then what happened? " * 6
            at = route(texts[session], turn * 24 + session)
            tokens = list(texts[session].encode())
            shared = pools[at].take_prefix(tokens)
            fresh = pools[at].take(pages_for(len(tokens)) - len(shared))
            assert fresh is not None
            pools[at].give_back(shared + fresh, tokens)
            computed += len(tokens) - len(shared) * PAGE
            load[at] += 1
    return computed, load


def test_affinity_saves_half_of_the_prefill_and_floods_nobody() -> None:
    made = router(*(miner(uid) for uid in range(4)))

    def by_router(text: str, number: int) -> int:
        return made.rank(Wanted("m", prefix=prefix_names(text)), 0.0)[0].uid

    ours, load = conversations(by_router)
    round_robin, _ = conversations(lambda text, number: (number + number // 24) % 4)
    assert ours <= 0.5 * round_robin
    assert max(load) <= 1.5 * sum(load) / 4


def test_limits_of_price_and_class_are_kept() -> None:
    made = router(miner(1, 5), miner(2, 1, exact=False))
    assert [m.uid for m in made.rank(Wanted("m", max_price=2), 0.0)] == [2]
    assert [m.uid for m in made.rank(Wanted("m", exact=True), 0.0)] == [1]
    assert made.rank(Wanted("other"), 0.0) == []


def test_a_failing_miner_gets_no_traffic_and_comes_back() -> None:
    bad, good = miner(1), miner(2)
    made = router(bad, good)
    for _ in range(3):
        made.on_failure(bad, 100.0)
    assert first_choices(made, MODEL, 200, 100.1) == {2: 200}
    assert first_choices(made, MODEL, 200, 106.0)[1] > 50
    made.on_failure(bad, 106.0)
    assert first_choices(made, MODEL, 50, 112.0) == {2: 50}  # the second ban is longer
    made.on_success(bad)
    assert first_choices(made, MODEL, 200, 112.0)[1] > 50


def test_a_wrong_answer_bans_at_once_and_a_single_break_does_not() -> None:
    wrong, shaky = miner(1), miner(2)
    made = router(wrong, shaky)
    made.on_failure(wrong, 0.0, hard=True)
    made.on_failure(shaky, 0.0)
    assert first_choices(made, MODEL, 50, 200.0) == {2: 50}


def test_when_all_are_banned_somebody_is_still_tried() -> None:
    only = miner(1)
    made = router(only)
    made.on_failure(only, 0.0, hard=True)
    assert first_choices(made, MODEL, 3, 1.0) == {1: 3}


def paced(uid: int, first_token: float, gap: float, price: float = 1.0) -> Miner:
    made = miner(uid, price)
    made.first_token, made.gap = first_token, gap
    made.recent.extend([first_token] * 8)
    return made


def test_the_latency_tier_goes_to_fast_miners_while_one_is_free() -> None:
    """However cheap and near a slow-class miner is; and it serves when no fast one is free."""
    fast, second = paced(1, 0.2, 0.01, price=50), paced(2, 0.3, 0.015, price=50)
    slow, fresh = paced(3, 0.05, 0.1), miner(4)  # quick to begin, slow to go on; never measured
    made, quick = router(fast, second, slow, fresh), Wanted("m", quick=True)
    assert set(first_choices(made, quick, 2000)) == {1, 2}
    assert [sorted(m.uid for m in made.rank(quick, 0.0)[2:]) for _ in range(99)] == [[3, 4]] * 99
    assert set(first_choices(made, MODEL, 2000)) >= {3, 4}, "other requests go where it is cheap"
    fast.open = ROOM
    assert first_choices(made, quick, 500) == {2: 500}
    second.banned_until = 9.0
    assert set(first_choices(made, quick, 500)) >= {3, 4}
    fast.open = ROOM - 1
    assert first_choices(made, quick, 500) == {1: 500}


def test_with_nobody_measured_the_latency_tier_is_as_any_other() -> None:
    made = router(miner(1), miner(2))
    assert set(first_choices(made, Wanted("m", quick=True), 200)) == {1, 2}


def test_busy_miners_are_chosen_less() -> None:
    idle, busy = miner(1), miner(2)
    busy.open = 9
    assert first_choices(router(idle, busy), MODEL, 500)[1] > 400


def test_a_conversation_stays_where_its_beginning_is() -> None:
    made = router(miner(1), miner(2), miner(3), policy=Policy(affinity=1e6))
    text = "word " * 200
    home = made.rank(Wanted("m", prefix=prefix_names(text)), 0.0)[0].uid
    longer = Wanted("m", prefix=prefix_names(text + "more " * 100))
    assert first_choices(made, longer, 50) == {home: 50}
    assert len(first_choices(made, Wanted("m", prefix=prefix_names("x" * 999)), 1)) == 1


def test_a_busy_miner_is_not_flooded_for_its_prefixes() -> None:
    made, wanted = router(miner(1), miner(2)), Wanted("m", prefix=prefix_names("system " * 100))
    home = made.rank(wanted, 0.0)[0]
    home.open = 4
    assert made.affinity(wanted, list(made.miners.values())) == (home.target.hotkey, 128.0)
    home.open = 5
    assert made.affinity(wanted, list(made.miners.values())) == (home.target.hotkey, 1.0)
    home.open, other = 0, Wanted("m", prefix=prefix_names("system " * 100 + "other " * 200))
    assert 1.0 < made.affinity(other, list(made.miners.values()))[1] < 64.0


def test_prefix_names_grow_with_the_text() -> None:
    text = "".join(map(str, range(600)))
    assert prefix_names(text)[: len(prefix_names(text[:700]))] == prefix_names(text[:700])
    assert prefix_names("y" + text)[:1] != prefix_names(text)[:1]
    assert prefix_names("short") == ()


def test_measurements_survive_a_refresh_and_facts_do_not() -> None:
    made = router(miner(1))
    made.on_first_token(made.miners["hotkey1"], 3.0)
    measured = made.miners["hotkey1"].first_token
    made.update([miner(1, 7.0)])
    assert (made.miners["hotkey1"].first_token, made.miners["hotkey1"].price) == (measured, 7.0)
    made.update([])
    assert made.models() == {}


@pytest.mark.parametrize("samples", [0, 7, 64])
def test_the_rolling_percentile_is_sane(samples: int) -> None:
    made, one = router(), miner(1)
    for i in range(samples):
        made.on_first_token(one, 0.01 * (i + 1))
    assert 0 < one.p95 <= 1.0


def test_slow_starts_get_rivals_for_a_twentieth_of_the_requests_only() -> None:
    made, given = router(miner(1), miner(2)), 0
    for _ in range(1000):
        made.rank(MODEL, 0.0)
        if made.may_rival:
            made.on_rival()
            given += 1
    assert 55 <= given <= 61
