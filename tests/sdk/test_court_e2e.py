"""A rejected job goes to court, by the command line, on a node of developers: bonds, a drawn jury,
hidden votes, an appeal, and the money."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_market_e2e import done, ganglion, refused

from chain.dev.devnode import DevNode
from ganglion import court
from ganglion.balance import Balance
from ganglion.errors import EncodeError
from ganglion.keys import dev_key
from ganglion.wire.votes import Side, Vote

ALICE, BOB, CHARLIE = (dev_key(name).address for name in ("Alice", "Bob", "Charlie"))
OWNERS = ("Dave", "Eve", "Ferdie")
MODEL = "ganglion/tiny"
STAKE = 10**12


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevNode]:
    with DevNode() as running, pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        yield running


@pytest.fixture(scope="module")
def jurors(node: DevNode) -> dict[str, str]:
    """Validators of different owners that stand ready, and who signs for them."""
    found = {}
    for n, name in enumerate(OWNERS):
        owner = dev_key(name).address
        node.rpc("dev_faucet", owner)
        (made,) = node.rpc("dev_registerNeurons", 1, 1, STAKE * (n + 1), owner)
        found[made["hotkey"]] = f"//{name}"
    node.rpc("dev_runEpoch", 1)
    for hotkey, signer in found.items():
        done(node, "court", "stand", "1", hotkey, "20", "-s", signer)
    return found


def paths(tmp_path: Path) -> tuple[str, str]:
    """Evidence, and where votes are kept."""
    evidence = tmp_path / "evidence.txt"
    evidence.write_text("the task, the result, and what is wrong with it")
    return str(evidence), str(tmp_path)


def case_of(node: DevNode, number: int = 0) -> dict:
    return done(node, "court", "show", str(number))  # type: ignore[return-value]


def until(node: DevNode, phase: str) -> None:
    """Make blocks until a case waits for something else."""
    for _ in range(300):
        if case_of(node)["waits_for"] == phase:
            return
        node.rpc("dev_newBlock", 1)
    raise AssertionError(phase)


def vote_all(node: DevNode, jurors: dict[str, str], kept: str, side: str) -> None:
    """All of the jury votes alike, hidden, and then shows it."""
    case = case_of(node)
    jury, round_ = case["juries"][-1], len(case["juries"]) - 1
    files = {seat["juror"]: f"{kept}/{round_}-{seat['juror']}.json" for seat in jury}
    for juror, file in files.items():
        done(node, "court", "vote", "0", juror, side, file, "-s", jurors[juror])
    assert all(seat["has_voted"] and seat["for"] is None for seat in case_of(node)["juries"][-1])
    if case_of(node)["waits_for"] != "Revealing":
        until(node, "Revealing")
    for juror, file in files.items():
        done(node, "court", "reveal", file, "-s", jurors[juror])
    node.rpc("dev_newBlock", 1)


def test_a_worker_wins_a_rejected_job_on_appeal(
    node: DevNode, jurors: dict[str, str], tmp_path: Path
) -> None:
    evidence, kept = paths(tmp_path)
    done(node, "tx", "register", "1", "//Charlie", "-s", "//Charlie")
    done(node, "job", "open", "1", MODEL, "0.5", "--timeout", "20", "--review", "20", "-s", "//Eve")
    done(node, "job", "court", "0", "20", "-s", "//Eve")
    assert done(node, "job", "markets")[0]["court"] == 20
    done(node, "job", "post", "0", evidence, "-s", "//Bob")
    done(node, "job", "work", "0", "//Charlie", "-s", "//Charlie")
    done(node, "job", "finish", "0", evidence, "-s", "//Charlie")
    contest = ("job", "contest", "0", evidence, "--reference", "ipfs://x", "-s")
    assert "NotPayer" in refused(node, *contest, "//Charlie")
    done(node, "job", "reject", "0", "-s", "//Bob")
    assert "rejected, delivered by" in ganglion(node, "job", "list")[1]
    done(node, *contest, "//Charlie")
    case = case_of(node)
    assert (case["claimant"], case["respondent"], case["job"]) == (CHARLIE, BOB, 0)
    assert (case["reference"], case["next_bond"]) == ("ipfs://x", "2")
    for n in range(4):
        done(node, "court", "double", "0", "-s", ("//Bob", "//Charlie")[n % 2])
    assert "NotBonding" in refused(node, "court", "double", "0", "-s", "//Bob")
    done(node, "court", "evidence", "0", evidence, "-s", "//Bob")
    until(node, "Voting")
    (jury,) = case_of(node)["juries"]
    assert sum(seat["votes"] for seat in jury) == 7
    assert {seat["juror"] for seat in jury} <= set(jurors)
    vote_all(node, jurors, kept, "respondent")
    assert case_of(node)["ruling"] == "respondent"
    assert len(done(node, "court", "list", "--account", jury[0]["juror"])) == 1
    assert done(node, "court", "list", "--account", "//Alice") == []
    assert "an appeal against the respondent" in ganglion(node, "court", "list")[1]
    done(node, "court", "appeal", "0", "-s", "//Charlie")
    until(node, "Voting")
    assert sum(seat["votes"] for seat in case_of(node)["juries"][1]) == 15
    before = balance(node, "//Charlie")
    vote_all(node, jurors, kept, "claimant")
    assert done(node, "court", "list") == []
    assert "it is over" in refused(node, "court", "show", "0")
    assert done(node, "job", "list") == []  # paid, and gone
    # its bonds of 1, 4, 16 and 32 TAO, and Bob's of 2 and 8 less 22 seats at 0.25; and the work
    assert balance(node, "//Charlie") - before > (53 + 10 - 5.5) * 10**9
    found = done(node, "court", "jurors", "1")
    assert {one["hotkey"] for one in found} == set(jurors)
    assert all(one["locked"] == 0 for one in found)
    assert sum(one["amount"] for one in found) == 60 * 10**9 - 7 * 10**9 // 2


def balance(node: DevNode, who: str) -> int:
    free = str(done(node, "query", "account", who)["free"])
    return Balance.tao(free.removesuffix(" TAO").replace(",", "")).as_rao()


def test_a_statement_is_lost_by_who_does_not_answer(
    node: DevNode, jurors: dict[str, str], tmp_path: Path
) -> None:
    evidence, _ = paths(tmp_path)
    against = ("court", "open", "1", "//Bob", evidence, "-s", "//Alice")
    assert "BadBond" in refused(node, *against, "--bond", "0.5")
    done(node, *against, "--bond", "2")
    (one,) = done(node, "court", "list", "1")
    assert (one["claimant"], one["respondent"], one["job"]) == (ALICE, BOB, None)
    code, text, _ = ganglion(node, "court", "list")
    assert code == 0
    assert "4 TAO for the respondent" in text
    hotkey, signer = next(iter(jurors.items()))
    vote = ("court", "vote", str(one["case"]), hotkey, "claimant")
    assert "does not sit" in refused(node, *vote, str(tmp_path / "no.json"), "-s", signer)
    assert "StillJuror" in refused(node, "court", "withdraw", "1", hotkey, "-s", signer)
    done(node, "court", "leave", "1", hotkey, "-s", signer)
    node.rpc("dev_newBlock", 480)
    assert done(node, "court", "list") == []
    node.rpc("dev_newBlock", 240)
    done(node, "court", "withdraw", "1", hotkey, "-s", signer)
    code, text, _ = ganglion(node, "court", "jurors", "1")
    assert (code, hotkey in text) == (0, False)


def test_votes_are_kept_where_only_their_owner_reads_them(tmp_path: Path) -> None:
    made = Vote(b"g" * 32, 7, 1, dev_key("Bob").public_key, Side.Respondent, b"s" * 32)
    path = tmp_path / "vote.json"
    court.write_vote(path, made)
    assert court.read_vote(path) == made
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(EncodeError, match="cannot be written"):
        court.write_vote(path, made)  # nor is one that may be needed overwritten
    assert json.loads(path.read_text())["side"] == "respondent"


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner),
    max_leaves=8,
)
FIELDS = ("genesis", "case", "round", "juror", "side", "salt")


@given(st.binary(max_size=60) | st.fixed_dictionaries({}, optional=dict.fromkeys(FIELDS, VALUES)))
def test_what_is_no_vote_is_refused_in_one_sentence(tmp_path_factory, value) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzzed-vote.json"
    path.write_bytes(value if isinstance(value, bytes) else json.dumps(value).encode())
    with pytest.raises(EncodeError, match="is no vote"):
        court.read_vote(path)
