"""A validator that knows some accounts weighs miners by the vouches that lead to them."""

from __future__ import annotations

import asyncio
import io
import json
import sys
from collections.abc import Iterator

import pytest

from chain.dev.devnode import DevNode
from ganglion.cli.main import main
from ganglion.client import Client
from ganglion.keys import dev_key
from neurons.chainlink import ChainLink
from neurons.validator.main import main as validate
from neurons.validator.trusting import Trust, scaled
from subnets.trust import ONE

ALICE, BOB, CHARLIE, DAVE = (dev_key(name) for name in ("Alice", "Bob", "Charlie", "Dave"))


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevNode]:
    with DevNode() as running, pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        yield running


def ganglion(node: DevNode, *argv: str) -> tuple[int, str, str]:
    out, err, before = io.StringIO(), io.StringIO(), (sys.stdout, sys.stderr)
    sys.stdout, sys.stderr = out, err
    try:
        code = main([*argv, "--url", node.url])
    finally:
        sys.stdout, sys.stderr = before
    return code, out.getvalue(), err.getvalue()


def test_vouches_made_on_the_chain_decide_who_gets_weight(node: DevNode) -> None:
    """Bob's miner is known to Alice, Dave's to nobody: he vouches for Alice, which is no help."""
    for hotkey, coldkey in (("//m1", "//Bob"), ("//m2", "//Dave")):
        assert ganglion(node, "tx", "register", "1", hotkey, "-s", coldkey)[0] == 0
    given = [("//Alice", BOB), ("//Bob", ALICE), ("//Bob", CHARLIE), ("//Charlie", BOB),
             ("//Dave", ALICE)]  # fmt: skip
    for signer, other in given:
        code, _, err = ganglion(node, "vouch", "for", other.address, "-s", signer)
        assert code == 0, err
    code, _, err = ganglion(node, "vouch", "for", BOB.address, "-s", "//Alice")
    assert (code, err.count("\n")) == (1, 1)
    assert "once the other account vouches back" in err

    _, out, _ = ganglion(node, "vouch", "show", ALICE.address, "--json")
    assert {row["account"]: (row["vouched_for"], row["vouches_for_it"])
            for row in json.loads(out)} == {
        BOB.address: (True, True), DAVE.address: (False, True)}  # fmt: skip

    async def weigh() -> tuple[dict[str, int], object]:
        async with Client(node.url) as client:
            chain = ChainLink(client, 1, ALICE)
            trust, view = Trust(chain, [ALICE.address]), await chain.view()
            await trust.refresh(view)
            uids = {n.coldkey: n.uid for n in view.graph.neurons}
            weights = [(uids[BOB.address], 30_000), (uids[DAVE.address], 65_535)]
            return uids, trust.applied(tuple(weights), view)

    uids, weights = asyncio.run(weigh())
    assert weights == ((uids[BOB.address], 65_535),)

    assert ganglion(node, "vouch", "withdraw", BOB.address, "-s", "//Alice")[0] == 0
    assert asyncio.run(weigh())[1] == ()


def test_scaled_weights_keep_their_proportions() -> None:
    assert scaled(((1, 65_535), (2, 30_000), (3, 9)), {1: ONE // 2, 2: ONE, 3: 0}) == (
        (1, 65_535),
        (2, 60_000),
    )
    assert scaled((), {}) == ()
    assert scaled(((1, 5),), {1: 0}) == ()


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (("--trust", "bob"), "length of an SS58 address"),
        (("--trust", ALICE.address, "--prove-weights", "keys"), "leave out --trust"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(
    argv: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        validate(["--netuid", "1", "--wallet", "x", *argv])
    assert said in capsys.readouterr().err
