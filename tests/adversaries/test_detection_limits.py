"""How soon cheats are caught, in both service classes, and how rarely honest miners are refused."""

import pytest

from localnet.adversaries import Honest, bench, false_rejects
from localnet.faults import KINDS

TOKENS = 128
HIDDEN = {("int8", False)}
"""Within the honest band of bfloat16 at this size; the exact class does catch it."""

CASES = [
    (kind, exact)
    for kind in KINDS
    if kind != "stalling"
    for exact in (True, False)
    if (kind, exact) not in HIDDEN
]


@pytest.mark.parametrize(("kind", "exact"), CASES)
async def test_detectable_cheats_are_caught_within_128_tokens(kind: str, exact: bool) -> None:
    async with bench() as judge:
        outcome = await judge.until_caught(kind, exact, TOKENS)
    assert outcome.caught, outcome
    assert outcome.tokens <= TOKENS


@pytest.mark.parametrize("exact", [True, False], ids=["exact", "fast"])
@pytest.mark.parametrize("kind", ["relay", "temperature", "seed"])
async def test_sampler_fraud_is_caught_within_64_tokens(kind: str, exact: bool) -> None:
    async with bench() as judge:
        for seed in range(3):
            outcome = await judge.until_caught(kind, exact, 64, seed)
            assert outcome.caught, outcome


@pytest.mark.parametrize("draft", [False, True], ids=["plain", "drafts"])
@pytest.mark.parametrize("fast", [False, True], ids=["exact", "as-fast"])
async def test_honest_exact_miners_are_never_refused(draft: bool, fast: bool) -> None:
    async with bench() as judge:
        miner = Honest("exact", judge.loaded.model, 16, draft, fast)
        chunks, refused, guessed = await false_rejects(judge, miner, 32)
    assert chunks > 60
    assert refused == 0
    assert (guessed > 0) == draft


@pytest.mark.slow
async def test_honest_exact_miners_pass_two_thousand_chunks() -> None:
    async with bench() as judge:
        miner = Honest("exact", judge.loaded.model, 16)
        chunks, refused, _ = await false_rejects(judge, miner, 1200, seed=3)
    assert chunks >= 2000
    assert refused == 0
