"""Court: whatever parties, jurors and root do, money adds up, blocks go on and all cases end; and
to win one round by force costs more than it brings."""

from __future__ import annotations

from fractions import Fraction
from math import comb

import pytest
from courthouse import (
    BOND,
    CLAIMANT,
    EVIDENCE,
    JURORS,
    REFERENCE,
    RESPONDENT,
    cast,
    courthouse,
    doubled,
    drawn,
    finished,
    forward,
    jury_of,
    locks_agree,
    opened,
    reserves_agree,
    vote_of,
    wealth,
)
from hypothesis import given
from hypothesis import strategies as st
from test_market_hooks import take_everything
from town import NET
from world import ALICE, BOB, CHARLIE, DAVE, EVE, TAO, last, names, ok, run

from chain.pallets.balances_ops import issue
from chain.pallets.balances_store import TotalIssuance
from chain.pallets.court_cases import bond_for
from chain.pallets.court_settle import give
from chain.pallets.court_store import (
    AppealBlocks,
    AppealJurySize,
    BondShare,
    CaseClosed,
    CaseFee,
    Cases,
    Due,
    Juries,
    JurorFee,
    Jurors,
    JurySize,
    LeaveBlocks,
    MinBond,
    Phase,
)
from chain.pallets.market import TotalBurned
from chain.pallets.system import Account, Number
from ganglion.units import Hash

PEOPLE = (ALICE, BOB, CHARLIE, DAVE, EVE)
STEPS = st.lists(
    st.tuples(
        st.sampled_from(["push"] * 12 + ["open", "leave", "withdraw", "stand", "wrong", "blocks"]),
        st.integers(0, 255),
        st.sampled_from([1, 7, 60, 490]),
    ),
    min_size=10,
    max_size=60,
)


def push(s, number, n):
    """What somebody may do now about a case: mostly what brings it on, at times nothing."""
    case = s[Cases, number]
    if case is None:
        return
    round_ = int(case.appealed)
    match case.phase:
        case Phase.Bonding if n % 32 != 3:
            run(s, PEOPLE[n % 5], "Court.double", number)
        case Phase.Appealing if n % 3 != 1:
            run(s, (*PEOPLE, *JURORS)[n % 13], "Court.appeal", number)
        case Phase.Voting | Phase.Revealing:
            for seat in jury_of(s, number):
                who, turn = seat.hotkey, (seat.hotkey[0] * 7 + n) % 10
                vote = vote_of(number, round_, who, (CLAIMANT, RESPONDENT)[who[0] * n % 3 % 2])
                if case.phase is Phase.Voting and turn:
                    run(s, who, "Court.commit", number, who, Hash(vote.commitment()))
                for side in (CLAIMANT, RESPONDENT) if turn != 5 else ():
                    said = vote_of(number, round_, who, side)
                    run(s, who, "Court.reveal", number, who, side, Hash(said.salt))
            if n % 4 != 1:
                forward(s, s[Cases, number].until - s[Number])
        case _:
            forward(s, max(case.until - s[Number], 1))


def step(s, what, n, blocks):
    """One deed of somebody; some fail."""
    number, juror = n % 5 % 2, JURORS[n % 8]
    match what:
        case "push":
            push(s, number, n)
        case "open":
            run(s, PEOPLE[n % 5], "Court.open", NET, BOB, BOND, EVIDENCE, REFERENCE)
        case "wrong":
            for call in ("double", "appeal"):
                run(s, juror, f"Court.{call}", number)
            run(s, juror, "Court.commit", number, juror, Hash(bytes(32)))
            run(s, juror, "Court.reveal", number, juror, CLAIMANT, Hash(bytes(32)))
        case "leave" | "withdraw":
            run(s, juror, f"Court.{what}", NET, juror)
        case "stand":
            run(s, juror, "Court.stand", NET, juror, 5 * TAO)
        case "blocks":
            forward(s, blocks)


@given(steps=STEPS)
def test_nothing_is_made_or_lost_and_everything_ends(steps):
    s = courthouse()
    before = s[TotalIssuance] + s[TotalBurned]
    opened(s, ALICE, BOB)
    opened(s, EVE, DAVE)
    for one in steps:
        step(s, *one)
        assert reserves_agree(s)
        assert locks_agree(s)
        assert (
            s[TotalIssuance] + s[TotalBurned] == before == sum(wealth(s).values()) + s[TotalBurned]
        )
        planned = [number for ref in s.keys_of(Due) for number in s[ref]]
        assert sorted(planned) == sorted(ref[1] for ref in s.keys_of(Cases))
        assert all(ref[1] in s[Due, s[ref].due] for ref in s.keys_of(Cases))
        assert {ref[1] for ref in s.keys_of(Juries)} <= {ref[1] for ref in s.keys_of(Cases)}
    for ref in s.keys_of(Cases):
        finished(s, ref[1])
    for who in JURORS:
        run(s, who, "Court.leave", NET, who)
    forward(s, LeaveBlocks.value)
    for who in JURORS:
        run(s, who, "Court.withdraw", NET, who)
    assert not any(s.keys_of(kind) for kind in (Cases, Juries, Due, Jurors))
    assert not any(s[Account, who].data.reserved for who in (*PEOPLE, *JURORS))


@given(
    robbed=st.sets(st.sampled_from([ALICE, BOB, *JURORS[:4]])),
    when=st.integers(0, 16),
    silent=st.booleans(),
)
def test_blocks_go_on_whatever_root_took(robbed, when, silent):
    s = courthouse()
    for who, against in ((ALICE, BOB), (BOB, ALICE)):
        opened(s, who, against)
    doubled(s, 0)
    drawn(s, 0)
    other = opened(s, EVE, DAVE)
    for n in range(20):
        if n == when:
            for who in robbed:
                take_everything(s, who)
        forward(s, 100)
        case = s[Cases, 0]
        if case is not None and case.phase is Phase.Voting and not silent:
            for seat in jury_of(s, 0)[1:]:
                vote = vote_of(0, 0, seat.hotkey, CLAIMANT)
                run(s, seat.hotkey, "Court.commit", 0, seat.hotkey, Hash(vote.commitment()))
        elif case is not None and case.phase is Phase.Revealing:
            for seat in jury_of(s, 0):
                salt = Hash(vote_of(0, 0, seat.hotkey, CLAIMANT).salt)
                run(s, seat.hotkey, "Court.reveal", 0, seat.hotkey, CLAIMANT, salt)
        assert sum(wealth(s).values()) == s[TotalIssuance]
    assert not s.keys_of(Cases)
    assert other == 2
    assert locks_agree(s)


def test_jurors_whose_fees_root_took_are_not_paid_by_who_won():
    s = courthouse()
    before = wealth(s)
    number = opened(s)
    doubled(s, number)
    drawn(s, number)
    take_everything(s, BOB)
    cast(s, number, {seat.hotkey: CLAIMANT for seat in jury_of(s, number)})
    finished(s, number)
    assert last(s, CaseClosed).gained == 0
    assert before[ALICE] - wealth(s)[ALICE] == CaseFee.value
    assert all(wealth(s)[who] == before[who] for who in JURORS)


def test_who_is_gone_and_cannot_take_so_little_is_not_paid():
    s = courthouse()
    nobody = bytes([99]) * 32
    before = s[TotalIssuance]
    for amount, found in ((499, 0), (500, 500), (1, 501)):
        issue(s, amount)
        give(s, nobody, amount)
        assert s[Account, nobody].data.free == found
    assert s[TotalIssuance] == before + 501 == sum(wealth(s).values())


# -- what force costs ------------------------------------------------------------------------------

AT_STAKE = 8 * TAO
"""What the attacker claims falsely: money that waits for the ruling, as a job's does."""
ATTACKERS, HONEST, RESERVE = (5_100,) * 2, (2_450,) * 4, (2_500,) * 8
MINE = JURORS[: len(ATTACKERS)]
TRIALS = 40


def attacked(trial):
    """A false claim by whoever has 51 % of the stake of the first jury's pool, and of no more
    than that: when the first jury has found for it, other validators stand ready for the appeal.

    What the attacker, with its validators, and what the respondent have gained, the money at stake
    included; and whether the first jury and the case were won.
    """
    stakes = (*ATTACKERS, *HONEST, *RESERVE)
    s = courthouse(stakes, jurors=len(ATTACKERS) + len(HONEST), block=1000 * (trial + 1))
    before = wealth(s)
    number = opened(s, bond=bond_for(AT_STAKE))
    doubled(s, number)
    drawn(s, number)
    cast(s, number, votes_of(s, number))
    first = s[Cases, number].ruling is CLAIMANT
    if first:
        for n in range(len(ATTACKERS) + len(HONEST) + 1, len(stakes) + 1):
            who = bytes([n]) * 32
            ok(s, who, "Court.stand", NET, who, 30 * TAO)
        forward(s, 1)
        ok(s, BOB, "Court.appeal", number)
        drawn(s, number)
        cast(s, number, votes_of(s, number))
    else:
        forward(s, AppealBlocks.value)
    won = last(s, CaseClosed).side is CLAIMANT
    after = wealth(s)
    gained = sum(after[who] - before[who] for who in (ALICE, *MINE)) + won * AT_STAKE
    harmed = after[BOB] - before[BOB] - won * AT_STAKE
    return gained, harmed, first, won


def votes_of(s, number):
    """The attacker's validators vote for it, the others for what is right."""
    return {
        seat.hotkey: CLAIMANT if seat.hotkey in MINE else RESPONDENT for seat in jury_of(s, number)
    }


def test_to_win_one_round_by_51_percent_costs_more_than_it_brings():
    results = [attacked(trial) for trial in range(TRIALS)]
    assert sum(ATTACKERS) * 100 // (sum(ATTACKERS) + sum(HONEST)) == 51
    rounds = sum(first for _, _, first, _ in results)
    assert TRIALS // 4 < rounds < TRIALS  # it does win the first round, about every second time
    assert sum(gained for gained, _, _, _ in results) < -TRIALS * AT_STAKE
    assert sum(harmed for _, harmed, _, _ in results) > 0  # and the honest side gains by it
    forced = [(gained, won) for gained, _, first, won in results if first]
    assert sum(gained for gained, _ in forced) < -len(forced) * AT_STAKE
    assert all(gained < -AT_STAKE for gained, won in forced if not won)


def test_to_outbid_in_one_round_of_bonds_costs_more_than_it_brings():
    """Who doubles once more and then stops loses all its bonds to a side that goes on."""
    for times in (1, 3):
        s = courthouse()
        before = wealth(s)
        number = opened(s, bond=bond_for(AT_STAKE))
        doubled(s, number, times)
        finished(s, number)
        assert last(s, CaseClosed).side is RESPONDENT
        lost = bond_for(AT_STAKE) * (1, 1 + 4)[times // 2]
        assert before[ALICE] - wealth(s)[ALICE] == lost + CaseFee.value
        assert wealth(s)[BOB] - before[BOB] == last(s, CaseClosed).gained == lost
        assert "Court.JuryDrawn" not in names(s)


def chance(seats, share):
    """That most of so many seats are of somebody with a share of the stake."""
    most = range(seats // 2 + 1, seats + 1)
    return sum(comb(seats, n) * share**n * (1 - share) ** (seats - n) for n in most)


@pytest.mark.parametrize(("percent", "pays"), [(20, False), (40, False), (50, False), (60, True)])
def test_a_false_claim_loses_on_average_below_half_of_the_stake_in_both_rounds(percent, pays):
    """What is at stake and the bonds, as shares of the first bond; jurors' own losses left out,
    which only make it dearer."""
    share = Fraction(percent, 100)
    wins = chance(JurySize.value, share) * chance(AppealJurySize.value, share)
    at_stake = Fraction(1_000_000, BondShare.value)
    fees = Fraction((JurySize.value + AppealJurySize.value) * JurorFee.value, MinBond.value)
    gain = wins * (at_stake + 2 + 8 + 32 - fees) - (1 - wins) * (1 + 4 + 16)
    assert (gain > 0) == pays


@pytest.mark.parametrize("at_stake", [0, TAO, 100 * TAO, 10**6 * TAO])
def test_the_first_bond_follows_what_is_at_stake_within_bounds(at_stake):
    assert bond_for(at_stake) == min(max(at_stake // 4, TAO), 1_000 * TAO)
