"""Court: bonds double, juries are drawn by stake, votes stay hidden, appeals overturn, sums fit."""

from __future__ import annotations

from dataclasses import replace

import pytest
from courthouse import (
    BOND,
    CLAIMANT,
    DEPOSIT,
    EVIDENCE,
    JURORS,
    REFERENCE,
    RESPONDENT,
    cast,
    changes,
    courthouse,
    doubled,
    drawn,
    finished,
    forward,
    judged,
    jury_of,
    locks_agree,
    opened,
    reserves_agree,
    seat_stakes,
    to_jury,
    vote_of,
    wealth,
)
from town import NET, free, register, reserved
from world import ALICE, BOB, CHARLIE, DAVE, EVE, TAO, fails, last, names, ok

from chain.pallets import court
from chain.pallets.balances_store import TotalIssuance
from chain.pallets.court_store import (
    AppealBlocks,
    AppealJurySize,
    CaseClosed,
    CaseFee,
    Cases,
    CommitBlocks,
    DrawBlocks,
    Due,
    Error,
    Juries,
    JurorBlocks,
    JurorCount,
    JurorFee,
    Jurors,
    JurorSettled,
    JuryDrawn,
    JurySize,
    LeaveBlocks,
    LossShare,
    MaxEscalations,
    MinBond,
    Phase,
    QuietBlocks,
    Reason,
    RevealBlocks,
    Ruled,
    SeatDeposit,
)
from chain.pallets.drand import BeaconConfig, LastStoredRound, Pulses
from chain.pallets.drand_types import QUICKNET, Pulse
from chain.pallets.market import TotalBurned
from chain.pallets.subtensor.storage_keys import Owner
from chain.pallets.subtensor.storage_network import NetworksAdded
from chain.pallets.subtensor.storage_neurons import Uids
from chain.pallets.system import BlockHash, Number
from chain.pallets.timestamp import Now
from chain.runtime.call import Pays
from ganglion.hashing import blake2_256
from ganglion.units import BlockNumber, Hash

LOSS = SeatDeposit.value * LossShare.value // 1_000_000
BONDS = [BOND * 2**n for n in range(6)]


# -- bonds -----------------------------------------------------------------------------------------


def test_who_does_not_answer_loses_by_default_but_no_money():
    s = courthouse()
    before = wealth(s)
    number = opened(s)
    assert reserved(s, ALICE) == BOND
    forward(s, QuietBlocks.value - 1)
    assert s[Cases, number] is not None
    forward(s, 1)
    assert last(s, CaseClosed) == CaseClosed(number, CLAIMANT, Reason.Unanswered, 0)
    assert changes(before, wealth(s)) == {ALICE: -CaseFee.value}
    assert (reserved(s, ALICE), s.keys_of(Cases), s.keys_of(Due)) == (0, (), ())


@pytest.mark.parametrize("times", [1, 2, 3])
def test_when_nobody_doubles_the_last_bond_wins_and_losers_fund_winners(times):
    s = courthouse()
    before = wealth(s)
    number = opened(s)
    doubled(s, number, times)
    forward(s, QuietBlocks.value - 1)
    assert s[Cases, number] is not None
    forward(s, 1)
    lost = sum(BONDS[n] for n in range(times) if (times - n) % 2)
    winner, loser = (ALICE, BOB) if times % 2 == 0 else (BOB, ALICE)
    closed = last(s, CaseClosed)
    assert (closed.side, closed.reason, closed.gained) == (times % 2, Reason.Undoubled, lost)
    moved = changes(before, wealth(s))
    moved[ALICE] += CaseFee.value
    assert moved == {winner: lost, loser: -lost}
    assert reserves_agree(s)


def test_four_escalations_double_the_bond_each_and_then_a_jury_is_drawn():
    s = courthouse()
    number = opened(s)
    for n in range(MaxEscalations.value):
        side, amount = (BOB, ALICE)[n % 2], BONDS[n + 1]
        before = reserved(s, side)
        forward(s, QuietBlocks.value - 1)  # every one begins the quiet blocks anew
        ok(s, side, "Court.double", number)
        assert reserved(s, side) - before == amount == 2 * BONDS[n]
    assert MaxEscalations.value == 4
    assert [stake.amount for stake in s[Cases, number].bonds] == BONDS[:5]
    assert s[Cases, number].phase is Phase.Drawing
    fails(s, Error.NotBonding, BOB, "Court.double", number)
    jury = drawn(s, number)
    assert sum(seat.votes for seat in jury) == JurySize.value == 7
    assert s[Cases, number].phase is Phase.Voting


def test_anybody_may_bond_for_a_side_and_shares_its_gains_but_judges_no_more():
    s = courthouse()
    number = opened(s)
    backer = JURORS[0]  # the one with the most stake
    ok(s, EVE, "Court.double", number)
    ok(s, DAVE, "Court.double", number)
    ok(s, backer, "Court.double", number)
    ok(s, ALICE, "Court.double", number)
    assert backer not in {seat.hotkey for seat in drawn(s, number)}
    before = {who: free(s, who) for who in (EVE, DAVE, backer, ALICE)}
    judged(s, number, RESPONDENT)
    finished(s, number)
    lost = BONDS[0] + BONDS[2] + BONDS[4] - 7 * JurorFee.value
    whole = BONDS[1] + BONDS[3]
    assert free(s, EVE) - before[EVE] == BONDS[1] + -(-lost * BONDS[1] // whole)
    assert free(s, backer) - before[backer] == BONDS[3] + lost * BONDS[3] // whole
    assert free(s, DAVE) == before[DAVE]
    assert reserves_agree(s)


def test_bonds_are_bounded_and_cases_need_two_sides_and_jurors():
    s = courthouse()
    say = (EVIDENCE, REFERENCE)
    fails(s, Error.BadBond, ALICE, "Court.open", NET, BOB, MinBond.value - 1, *say)
    fails(s, Error.BadBond, ALICE, "Court.open", NET, BOB, 1_001 * TAO, *say)
    fails(s, Error.SameParty, ALICE, "Court.open", NET, ALICE, BOND, *say)
    fails(s, Error.UnknownSubnet, ALICE, "Court.open", 9, BOB, BOND, *say)
    fails(s, Error.UnknownCase, ALICE, "Court.double", 0)
    s = courthouse(jurors=2)
    fails(s, Error.TooFewJurors, ALICE, "Court.open", NET, BOB, BOND, *say)
    s = courthouse(jurors=4)
    s[Owner, JURORS[0]] = s[Owner, JURORS[1]] = s[Owner, JURORS[2]] = EVE  # of two owners
    fails(s, Error.TooFewJurors, ALICE, "Court.open", NET, BOB, BOND, *say)
    s = courthouse(stakes=(5, 5, 5), deposit=2 * TAO)  # six seats
    fails(s, Error.TooFewJurors, ALICE, "Court.open", NET, BOB, BOND, *say)


# -- jurors ----------------------------------------------------------------------------------------


def test_validators_with_a_permit_stand_ready_for_a_deposit_and_leave_after_a_while():
    s = courthouse(jurors=3)
    someone = JURORS[4]
    fails(s, Error.NoPermit, ALICE, "Court.stand", NET, ALICE, TAO)
    fails(s, Error.DepositTooLow, someone, "Court.stand", NET, someone, TAO - 1)
    s[Owner, someone] = ALICE
    ok(s, ALICE, "Court.stand", NET, someone, 2 * TAO)
    fails(s, Error.NotPayer, someone, "Court.stand", NET, someone, TAO)
    ok(s, ALICE, "Court.stand", NET, someone, TAO)
    assert (s[Jurors, NET, someone].amount, reserved(s, ALICE)) == (3 * TAO, 3 * TAO)
    fails(s, Error.NotPayer, BOB, "Court.leave", NET, someone)
    fails(s, Error.NotJuror, BOB, "Court.leave", NET, ALICE)
    fails(s, Error.StillJuror, ALICE, "Court.withdraw", NET, someone)
    ok(s, ALICE, "Court.leave", NET, someone)
    forward(s, LeaveBlocks.value - 1)
    fails(s, Error.StillJuror, ALICE, "Court.withdraw", NET, someone)
    forward(s, 1)
    ok(s, ALICE, "Court.withdraw", NET, someone)
    assert (reserved(s, ALICE), s[JurorCount, NET]) == (0, 3)
    assert s[Jurors, NET, someone] is None
    assert LeaveBlocks.value > DrawBlocks.value  # nobody leaves who sees that he will be drawn


def test_a_full_pool_takes_who_has_more_stake_and_sends_the_least_home():
    s = courthouse(stakes=tuple(range(100, 166)), jurors=64)
    small, large = (bytes([n]) * 32 for n in (65, 66))
    seat_stakes(s, {n: 99 + n for n in range(1, 67)} | {65: 50})
    fails(s, Error.PoolFull, small, "Court.stand", NET, small, TAO)
    ok(s, large, "Court.stand", NET, large, TAO)
    assert (s[JurorCount, NET], len(s.keys_of(Jurors))) == (64, 64)
    assert s[Jurors, NET, JURORS[0]] is None
    assert reserved(s, JURORS[0]) == 0


def test_parties_their_hotkeys_and_who_put_money_never_judge():
    s = courthouse()
    one, two, three = JURORS[:3]
    s[Owner, one] = ALICE  # the claimant's own validator
    s[Owner, two] = s[Owner, three] = CHARLIE  # two validators of one owner
    number = opened(s, against=two)
    doubled(s, number, sides=(DAVE, EVE))
    sits = {seat.hotkey for seat in drawn(s, number)}
    assert sits
    assert not sits & {one, two, three}
    other = opened(s, who=EVE, against=DAVE)
    doubled(s, other, sides=(DAVE, EVE))
    assert {seat.hotkey for seat in drawn(s, other)} & {one, two, three}


def test_who_comes_after_the_last_bond_is_not_drawn_and_who_leaves_still_is():
    s = courthouse(stakes=(10_000, 10, 10, 10, 30_000), jurors=4)
    number = opened(s)
    doubled(s, number, 3)
    late, leaving = JURORS[4], JURORS[0]
    ok(s, leaving, "Court.leave", NET, leaving)
    ok(s, ALICE, "Court.double", number)
    ok(s, late, "Court.stand", NET, late, DEPOSIT)
    sits = {seat.hotkey for seat in drawn(s, number)}
    assert late not in sits
    assert leaving in sits
    assert s[Jurors, NET, leaving].locked > 0
    forward(s, LeaveBlocks.value)
    fails(s, Error.StillJuror, leaving, "Court.withdraw", NET, leaving)
    other = opened(s, EVE, DAVE)
    doubled(s, other, sides=(DAVE, EVE))
    sits = {seat.hotkey for seat in drawn(s, other)}
    assert late in sits
    assert leaving not in sits  # though its deposit is still there
    finished(s, number)
    ok(s, leaving, "Court.withdraw", NET, leaving)


def test_a_jurors_deposit_bounds_its_seats():
    s = courthouse(stakes=(60_000, 10, 10), deposit=3 * TAO)
    number = to_jury(s)
    assert next(seat.votes for seat in jury_of(s, number) if seat.hotkey == JURORS[0]) == 3
    assert sum(seat.votes for seat in jury_of(s, number)) == 7
    assert s[Jurors, NET, JURORS[0]].locked == 3 * TAO
    assert locks_agree(s)


# -- the draw's seed -------------------------------------------------------------------------------


def draws_of(hash_after):
    s = courthouse()
    number = opened(s)
    doubled(s, number)
    forward(s, 1)
    at = s[Number]
    s[Number] = BlockNumber(at + 1)
    s[BlockHash, at] = Hash(hash_after)
    court.start(s, at + 1)
    return jury_of(s, number)


def test_the_hash_of_the_block_after_the_last_bond_decides_the_draw():
    assert draws_of(b"a" * 32) == draws_of(b"a" * 32)
    assert len({draws_of(bytes([n]) * 32) for n in range(8)}) > 4


def beacon_at(s, number, randomness=None):
    """The beacon's newest round, and perhaps a later one."""
    s[BeaconConfig] = QUICKNET
    s[LastStoredRound] = number
    s[Now] = (QUICKNET.genesis_time + (number - 1) * QUICKNET.period) * 1000
    if randomness is not None:
        s[Pulses, number] = Pulse(number, randomness, b"s")


def test_with_a_beacon_the_draw_waits_for_a_round_that_nobody_knew_at_the_last_bond():
    juries = set()
    for n in range(6):
        s = courthouse()
        beacon_at(s, 1000)
        number = opened(s)
        doubled(s, number)
        assert s[Cases, number].draw.round == 1010
        forward(s, 20)
        assert s[Cases, number].phase is Phase.Drawing
        s[Pulses, 1010] = Pulse(1010, bytes([n]) * 32, b"s")
        forward(s, 5)
        juries.add(jury_of(s, number))
        assert s[Cases, number].phase is Phase.Voting
    assert len(juries) > 3  # all block hashes were the same


@pytest.mark.parametrize("age", [50, 500])
def test_without_news_of_the_beacon_the_hash_decides_in_the_end(age):
    s = courthouse()
    beacon_at(s, 1000)
    s[Now] += age * QUICKNET.period * 1000
    number = opened(s)
    doubled(s, number)
    forward(s, 2)
    assert (s[Cases, number].phase is Phase.Drawing) == (age == 50)  # an old one is not waited for
    drawn(s, number)
    assert s[Number] - s[Cases, number].until + CommitBlocks.value == 0
    assert s[Cases, number].phase is Phase.Voting


# -- votes -----------------------------------------------------------------------------------------


def test_votes_are_hidden_until_all_had_their_time_to_vote():
    s = courthouse()
    number = to_jury(s)
    first, second = (seat.hotkey for seat in jury_of(s, number)[:2])
    vote = vote_of(number, 0, first, CLAIMANT)
    fails(s, Error.NotSeated, second, "Court.commit", number, first, Hash(vote.commitment()))
    done = ok(s, first, "Court.commit", number, first, Hash(vote.commitment()))
    assert done.pays is Pays.No
    fails(s, Error.AlreadyVoted, first, "Court.commit", number, first, Hash(bytes(32)))
    show = (number, first, CLAIMANT, Hash(vote.salt))
    fails(s, Error.NotRevealing, first, "Court.reveal", *show)
    assert all(seat.shown is None for seat in jury_of(s, number))
    forward(s, CommitBlocks.value)
    fails(s, Error.NotVoting, second, "Court.commit", number, second, Hash(bytes(32)))
    fails(s, Error.OtherVote, first, "Court.reveal", number, first, RESPONDENT, Hash(vote.salt))
    fails(s, Error.OtherVote, second, "Court.reveal", number, second, CLAIMANT, Hash(vote.salt))
    assert ok(s, first, "Court.reveal", *show).pays is Pays.No
    fails(s, Error.AlreadyShown, first, "Court.reveal", *show)


def test_nothing_on_the_chain_tells_a_vote_before_it_is_shown():
    """Two worlds that differ only in how a juror votes differ only in the commitment's bytes."""
    seen = []
    for side in (CLAIMANT, RESPONDENT):
        s = courthouse()
        number = to_jury(s)
        seat = jury_of(s, number)[0]
        vote = vote_of(number, 0, seat.hotkey, side)
        ok(s, seat.hotkey, "Court.commit", number, seat.hotkey, Hash(vote.commitment()))
        seen.append((names(s), jury_of(s, number), vote.commitment()))
    (one, first, mine), (two, second, other) = seen
    assert one == two
    assert mine != other
    assert first[0].commitment == mine
    assert replace(first[0], commitment=other) == second[0]
    assert first[1:] == second[1:]


def test_a_copied_commitment_can_never_be_shown():
    s = courthouse()
    number = to_jury(s)
    author, copier = (seat.hotkey for seat in jury_of(s, number)[:2])
    vote = vote_of(number, 0, author, CLAIMANT)
    for who in (author, copier):
        ok(s, who, "Court.commit", number, who, Hash(vote.commitment()))
    forward(s, CommitBlocks.value)
    ok(s, author, "Court.reveal", number, author, CLAIMANT, Hash(vote.salt))
    for side in (CLAIMANT, RESPONDENT):
        fails(s, Error.OtherVote, copier, "Court.reveal", number, copier, side, Hash(vote.salt))
    finished(s, number)
    assert s[Jurors, NET, copier].amount < DEPOSIT


def test_a_jury_that_has_voted_need_not_wait():
    s = courthouse()
    number = to_jury(s)
    for seat in jury_of(s, number):
        vote = vote_of(number, 0, seat.hotkey, RESPONDENT)
        ok(s, seat.hotkey, "Court.commit", number, seat.hotkey, Hash(vote.commitment()))
    forward(s, 1)
    assert s[Cases, number].phase is Phase.Revealing
    for seat in jury_of(s, number):
        salt = Hash(blake2_256(seat.hotkey + b"\0"))
        ok(s, seat.hotkey, "Court.reveal", number, seat.hotkey, RESPONDENT, salt)
    forward(s, 1)
    assert last(s, Ruled).votes == 7
    assert s[Cases, number].phase is Phase.Appealing


def split(s, number, votes=3):
    """Jurors that hold at most so many seats for the respondent, the others for the claimant."""
    said, count = {}, 0
    for seat in jury_of(s, number):
        fits = count + seat.votes <= votes
        count += seat.votes * fits
        said[seat.hotkey] = RESPONDENT if fits else CLAIMANT
    return said, count


def test_incoherent_jurors_lose_to_coherent_ones_and_the_sum_is_zero_to_the_rao():
    s = courthouse()
    number = to_jury(s)
    jury, before, issued = jury_of(s, number), wealth(s), s[TotalIssuance]
    said, against = split(s, number)
    assert 0 < against < 4
    cast(s, number, said)
    ruled = last(s, Ruled)
    assert (ruled.side, ruled.votes, ruled.against) == (CLAIMANT, 7 - against, against)
    forward(s, AppealBlocks.value)
    settled = [e for e in s.events if isinstance(e, JurorSettled)]
    fees = 7 * JurorFee.value
    assert sum(e.gained for e in settled) == sum(e.lost for e in settled) + fees
    for seat, event in zip(jury, settled, strict=True):
        moved = wealth(s)[seat.hotkey] - before[seat.hotkey]
        if said[seat.hotkey] is RESPONDENT:
            assert (event.gained, event.lost, moved) == (0, seat.votes * LOSS, -event.lost)
        else:
            assert event.lost == 0
            assert moved == event.gained > seat.votes * JurorFee.value
    lost = BONDS[1] + BONDS[3]
    assert last(s, CaseClosed).gained == lost - fees
    assert sum(changes(before, wealth(s)).values()) == 0
    assert s[TotalIssuance] == issued
    assert locks_agree(s)
    assert reserves_agree(s)
    assert not s.keys_of(Juries)


def test_who_shows_nothing_loses_like_who_was_wrong():
    s = courthouse()
    number = to_jury(s)
    jury = jury_of(s, number)
    silent = jury[-1]
    cast(s, number, {seat.hotkey: CLAIMANT for seat in jury[:-1]})
    finished(s, number)
    assert s[Jurors, NET, silent.hotkey].amount == DEPOSIT - silent.votes * LOSS
    assert all(s[Jurors, NET, seat.hotkey].amount == DEPOSIT for seat in jury[:-1])


def test_a_jury_without_a_majority_leaves_it_to_the_last_bond_and_all_bonds_go_back():
    s = courthouse()
    before = wealth(s)
    number = to_jury(s)
    jury = jury_of(s, number)
    forward(s, CommitBlocks.value)  # nobody votes: nothing to show either
    assert last(s, CaseClosed) == CaseClosed(number, CLAIMANT, Reason.NoMajority, 0)
    lost = {seat.hotkey: -seat.votes * LOSS for seat in jury}
    assert changes(before, wealth(s)) == lost | {ALICE: -CaseFee.value}
    assert s[TotalBurned] == CaseFee.value + 7 * LOSS
    assert reserves_agree(s)


def test_of_a_tie_only_the_silent_pay_the_others():
    s = courthouse(stakes=(10, 10, 10), deposit=3 * TAO)
    number = to_jury(s)
    one, two, three = sorted(jury_of(s, number), key=lambda seat: seat.votes)
    assert (one.votes, two.votes, three.votes) in ((1, 3, 3), (2, 2, 3))
    equal = (two, three) if one.votes == 1 else (one, two)
    other = one if one.votes == 1 else three
    cast(s, number, {equal[0].hotkey: CLAIMANT, equal[1].hotkey: RESPONDENT})
    assert last(s, CaseClosed).reason is Reason.NoMajority
    settled = {e.hotkey: (e.gained, e.lost) for e in s.events if isinstance(e, JurorSettled)}
    assert settled[other.hotkey] == (0, other.votes * LOSS)
    assert sum(gained - lost for gained, lost in settled.values()) == 0
    assert all(settled[seat.hotkey][1] == 0 for seat in equal)


def test_when_no_jury_can_be_drawn_the_last_bond_rules_and_all_bonds_go_back():
    s = courthouse(jurors=3)
    before = wealth(s)
    number = opened(s)
    doubled(s, number)
    for who in JURORS[:2]:
        del s[Uids, NET, who]
    forward(s, JurorBlocks.value - 1)
    assert s[Cases, number].phase is Phase.Drawing
    finished(s, number)
    assert last(s, CaseClosed) == CaseClosed(number, CLAIMANT, Reason.NoJury, 0)
    assert changes(before, wealth(s)) == {ALICE: -CaseFee.value}
    assert reserves_agree(s)


def test_a_draw_waits_for_jurors_that_are_busy():
    s = courthouse(stakes=(10, 10, 10), deposit=3 * TAO)
    to_jury(s)
    fails(s, Error.TooFewJurors, ALICE, "Court.open", NET, BOB, BOND, EVIDENCE, REFERENCE)
    s = courthouse(stakes=(10, 10, 10), deposit=3 * TAO)
    first, second = opened(s), opened(s, who=EVE, against=DAVE)
    doubled(s, first)
    doubled(s, second, sides=(DAVE, EVE))
    drawn(s, first)
    forward(s, 3)
    assert s[Cases, second].phase is Phase.Drawing
    forward(s, CommitBlocks.value - 60)  # as late as it may be
    judged(s, first, CLAIMANT)
    forward(s, AppealBlocks.value)
    assert s[Cases, first] is None
    assert sum(seat.votes for seat in drawn(s, second)) == 7


def test_a_draw_that_waits_takes_who_stands_up_meanwhile_by_another_seed():
    juries = set()
    for blocks in (30, 60, 90, 120):
        s = courthouse(jurors=3)
        number = opened(s)
        doubled(s, number)
        gives_up = s[Cases, number].draw.gives_up
        del s[Uids, NET, JURORS[0]]  # two are left
        forward(s, blocks)
        assert s[Cases, number].phase is Phase.Drawing
        for who in JURORS[3:]:
            ok(s, who, "Court.stand", NET, who, DEPOSIT)
        assert s[Cases, number].draw.gives_up == gives_up
        jury = drawn(s, number)
        assert {seat.hotkey for seat in jury} & set(JURORS[3:])
        juries.add(jury)
    assert len(juries) > 1


def test_a_beacon_that_comes_late_is_looked_for_again_and_again():
    s = courthouse()
    beacon_at(s, 1000)
    number = opened(s)
    doubled(s, number)
    forward(s, DrawBlocks.value - 10)
    s[Pulses, 1010] = Pulse(1010, b"r" * 32, b"s")
    forward(s, 5)
    assert s[Cases, number].phase is Phase.Voting


# -- appeals ---------------------------------------------------------------------------------------


def test_an_appeal_draws_a_jury_twice_as_large_of_others_and_can_overturn():
    s = courthouse()
    number = to_jury(s)
    before, first = wealth(s), jury_of(s, number)
    judged(s, number, CLAIMANT)
    fails(s, Error.NotBonding, BOB, "Court.double", number)
    ok(s, BOB, "Court.appeal", number)
    assert s[Cases, number].bonds[-1].amount == BONDS[5] == 2 * BONDS[4]
    fails(s, Error.NotAppealing, BOB, "Court.appeal", number)
    second = drawn(s, number)
    assert sum(seat.votes for seat in second) == AppealJurySize.value == 2 * 7 + 1
    assert last(s, JuryDrawn).round == 1
    judged(s, number, RESPONDENT)
    assert s[Cases, number] is None  # no second appeal
    assert last(s, CaseClosed).side is RESPONDENT
    assert last(s, CaseClosed).reason is Reason.Jury
    fees = (7 + 15) * JurorFee.value
    won = BONDS[0] + BONDS[2] + BONDS[4] - fees
    moved = changes(before, wealth(s))
    assert (moved[BOB], moved[ALICE]) == (won, -won - fees)
    # the first jury was wrong in the end, and pays the second
    pot = fees + 7 * LOSS
    earned = {seat.hotkey: 0 for seat in (*first, *second)}
    for seat in first:
        earned[seat.hotkey] -= seat.votes * LOSS
    for seat in second:
        earned[seat.hotkey] += seat.votes * pot // 15
    assert all(abs(moved[who] - sum_) <= 2 for who, sum_ in earned.items())
    assert sum(moved.values()) == 0
    assert locks_agree(s)
    assert reserves_agree(s)


def test_jurors_of_the_first_jury_are_drawn_again_only_for_want_of_others():
    s = courthouse(stakes=(10,) * 60, deposit=10 * TAO)
    number = to_jury(s)
    first = {seat.hotkey for seat in jury_of(s, number)}
    judged(s, number, CLAIMANT)
    ok(s, BOB, "Court.appeal", number)
    assert not first & {seat.hotkey for seat in drawn(s, number)}
    s = courthouse(stakes=(10,) * 4)
    number = to_jury(s)
    first = {seat.hotkey for seat in jury_of(s, number)}
    judged(s, number, CLAIMANT)
    ok(s, BOB, "Court.appeal", number)
    assert first & {seat.hotkey for seat in drawn(s, number)}


def test_an_appeal_may_confirm_and_costs_the_appellant_more_than_opening_did():
    s = courthouse()
    number = to_jury(s)
    before = wealth(s)
    judged(s, number, CLAIMANT)
    ok(s, BOB, "Court.appeal", number)
    drawn(s, number)
    judged(s, number, CLAIMANT)
    moved = changes(before, wealth(s))
    lost = BONDS[1] + BONDS[3] + BONDS[5]
    assert moved[BOB] == -lost
    assert moved[ALICE] == lost - 22 * JurorFee.value


def test_an_appeal_that_nobody_judges_leaves_the_ruling_and_gives_its_bond_back():
    s = courthouse()
    number = to_jury(s)
    before = wealth(s)
    judged(s, number, CLAIMANT)
    ok(s, BOB, "Court.appeal", number)
    seat_stakes(s, {1: 5, 2: 5})
    finished(s, number)
    moved = changes(before, wealth(s))
    assert moved[BOB] == -BONDS[1] - BONDS[3]
    assert last(s, CaseClosed).side is CLAIMANT
    assert reserves_agree(s)
    assert locks_agree(s)


def test_a_second_jury_without_a_majority_leaves_the_first_ruling():
    s = courthouse()
    number = to_jury(s)
    judged(s, number, CLAIMANT)
    ok(s, BOB, "Court.appeal", number)
    drawn(s, number)
    forward(s, CommitBlocks.value)
    assert last(s, CaseClosed).side is CLAIMANT
    assert locks_agree(s)
    assert reserves_agree(s)


def test_there_is_no_appeal_when_its_time_is_over_or_before_a_ruling():
    s = courthouse()
    number = opened(s)
    fails(s, Error.NotAppealing, BOB, "Court.appeal", number)
    doubled(s, number)
    drawn(s, number)
    fails(s, Error.NotAppealing, BOB, "Court.appeal", number)
    judged(s, number, CLAIMANT)
    forward(s, AppealBlocks.value)
    fails(s, Error.UnknownCase, BOB, "Court.appeal", number)


# -- bounds ----------------------------------------------------------------------------------------


def test_the_least_losing_bonds_pay_for_all_seats_that_there_can_be():
    least = MinBond.value
    fees = 7 * JurorFee.value
    assert min(least * (1 + 4 + 16), least * (2 + 8)) >= fees
    assert min(least * (1 + 4 + 16), least * (2 + 8)) >= 22 * JurorFee.value


def test_the_longest_case_ends():
    s = courthouse()
    number, began = opened(s), s[Number]
    for n in range(4):
        forward(s, QuietBlocks.value - 1)
        ok(s, (BOB, ALICE)[n % 2], "Court.double", number)
    drawn(s, number)
    sits = jury_of(s, number)
    cast(s, number, {seat.hotkey: CLAIMANT for seat in sits})
    forward(s, AppealBlocks.value - 1)
    ok(s, BOB, "Court.appeal", number)
    finished(s, number)
    phases = 4 * QuietBlocks.value + 2 * (JurorBlocks.value + CommitBlocks.value)
    assert s[Number] - began <= phases + 2 * RevealBlocks.value + AppealBlocks.value + 12
    assert not s.keys_of(Due)
    assert not s.keys_of(Cases)
    assert not s.keys_of(Juries)


def test_a_crowded_block_shortens_nobodys_time():
    s = courthouse(deposit=40 * TAO)
    s[Due, BlockNumber(s[Number] + QuietBlocks.value)] = tuple(range(900, 964))
    number = opened(s)
    case = s[Cases, number]
    assert case.due == case.until - 1
    forward(s, QuietBlocks.value - 1)
    assert s[Cases, number].due == case.until
    ok(s, BOB, "Court.double", number)
    assert s[Cases, number].until == s[Number] + QuietBlocks.value


def test_phases_that_blocks_begin_find_a_place_however_full_blocks_are():
    s = courthouse()
    number = opened(s)
    doubled(s, number)
    for at in range(s[Number] + 3, s[Number] + 2_000):
        s[Due, BlockNumber(at)] = tuple(range(900, 964))
    fails(s, Error.CrowdedBlock, EVE, "Court.open", NET, BOB, BOND, EVIDENCE, REFERENCE)
    drawn(s, number)
    judged(s, number, CLAIMANT)
    assert s[Cases, number].phase is Phase.Appealing
    forward(s, AppealBlocks.value)
    assert s[Cases, number] is None


def test_only_who_has_to_do_with_a_case_gives_evidence():
    s = courthouse()
    number = opened(s)
    ok(s, BOB, "Court.give_evidence", number, EVIDENCE, b"https://there.example")
    fails(s, Error.NotParty, EVE, "Court.give_evidence", number, EVIDENCE, b"")
    ok(s, EVE, "Court.double", number)
    ok(s, EVE, "Court.give_evidence", number, EVIDENCE, b"")


def test_a_dissolved_subnet_keeps_nobodys_money():
    s = courthouse()
    number, other = to_jury(s), opened(s)
    del s[NetworksAdded, NET]
    for who in JURORS:
        del s[Uids, NET, who]
    doubled(s, other)
    judged(s, number, CLAIMANT)
    finished(s, number)
    finished(s, other)
    for who in JURORS:
        ok(s, who, "Court.leave", NET, who)
    forward(s, LeaveBlocks.value)
    for who in JURORS:
        ok(s, who, "Court.withdraw", NET, who)
    assert not any(reserved(s, who) for who in (ALICE, BOB, *JURORS))
    assert not s.keys_of(Jurors)
    assert (JurorCount, NET) not in s
    register(s, JURORS[0])
