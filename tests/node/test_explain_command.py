"""`ganglion explain`: an epoch that has run, recomputed from another node's state."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chain import remote_state
from chain.dev.devnode import DevNode
from chain.explain_cli import run
from chain.pallets.subtensor.storage_network import LastMechansimStepBlock
from chain.remote_state import RemoteState
from chain.runtime.state import DictBackend, State
from ganglion.cli.main import main
from ganglion.units import NetUid

NETUID = 1


def served(backend: DictBackend) -> Any:
    """Answers the two methods as a node does, one page at a time."""

    def answer(method: str, params: Sequence[Any]) -> Any:
        if method == "state_getStorage":
            value = backend.get(bytes.fromhex(params[0][2:]))
            return None if value is None else "0x" + value.hex()
        prefix, count, start, _ = params
        after = None if start is None else bytes.fromhex(start[2:])
        found = backend.keys(bytes.fromhex(prefix[2:]), after)
        return ["0x" + key.hex() for key in list(found)[:count]]

    return lambda requests: [answer(method, params) for method, params in requests]


ITEMS = st.sampled_from([bytes([n]) * 32 for n in range(3)])
KEYS = st.builds(lambda item, rest: item + rest, ITEMS, st.binary(max_size=2))


@given(st.dictionaries(KEYS, st.binary(max_size=3), max_size=40), st.lists(KEYS, max_size=8))
def test_it_reads_as_the_state_itself(entries: dict[bytes, bytes], asked: list[bytes]) -> None:
    backend = DictBackend(entries)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(remote_state, "PAGE", 4)
        remote = RemoteState(served(backend), "0x00")
        for key in [*asked, *entries]:
            assert remote.get(key) == backend.get(key)
            for prefix in (key[:32], key[:33]):
                assert list(remote.keys(prefix)) == list(backend.keys(prefix))
                assert list(remote.keys(prefix, key)) == list(backend.keys(prefix, key))


@pytest.fixture(scope="module")
def node() -> Iterator[DevNode]:
    """Two validators; the smaller one thinks more of a miner than consensus."""
    with DevNode("manual") as running:
        running.rpc("dev_registerNeurons", NETUID, 3, 10**12)
        running.rpc("dev_registerNeurons", NETUID, 1, 10**11)
        share = [[1, 65535], [2, 65535]], [[1, 65535], [2, 20000]]
        running.rpc(
            "dev_setStorage",
            {
                "SubtensorModule": {
                    "Weights": [[[NETUID, 3], share[0]], [[NETUID, 4], share[1]]],
                    "ValidatorPermit": [[[NETUID], [False, False, False, True, True]]],
                    "LastUpdate": [[[NETUID], [2, 2, 2, 2, 2]]],
                    "Tempo": [[[NETUID], 5]],
                    "PendingServerEmission": [[[NETUID], 10**9]],
                    "PendingValidatorEmission": [[[NETUID], 10**9]],
                }
            },
        )
        before = last_epoch(running)
        while last_epoch(running) == before:
            running.rpc("dev_newBlock")
        yield running


def last_epoch(node: DevNode) -> int:
    store = node.node.store
    return int(State(store.state_at(store.best()[0]))[LastMechansimStepBlock, NetUid(NETUID)])


def explained(node: DevNode, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    code = run([*words, "--url", node.url])
    said = capsys.readouterr()
    return code, said.out + said.err


def test_a_miners_pay_is_explained(node: DevNode, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = explained(node, capsys, "1", "1", "--json")
    assert code == 0, said
    answer = json.loads(said)
    assert answer["agrees"] is True
    assert answer["paid_rao"] == answer["stored_rao"] > 0
    (part,) = answer["mechanisms"]
    voices = {voice["uid"]: voice for voice in part["voices"]}
    assert set(voices) == {3, 4}
    assert float(voices[4]["lost"]) > 0
    assert sum(voice["paid"] for voice in part["voices"]) <= part["server_emission"]


def test_the_table_names_the_epoch(node: DevNode, capsys: pytest.CaptureFixture[str]) -> None:
    code, said = explained(node, capsys, "1", "2")
    assert code == 0
    assert said.startswith("subnet 1, epoch of block ")
    assert said.rstrip().endswith("rao of alpha in all, as the chain stored it")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("1", "99"), "uid 99 is not on this subnet"),
        (("7", "0"), "there is no subnet 7"),
        (("1", "0", "--block", "1"), "no epoch in block 1"),
        (("1", "0", "--block", "99999"), "99999"),
        (("0", "0"), "greater than or equal to 1"),
    ],
)
def test_what_cannot_be_explained_is_one_sentence(
    node: DevNode, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], why: str
) -> None:
    code, said = explained(node, capsys, *words)
    assert code != 0
    assert why in said
    assert len(said.strip().splitlines()) == 1


def test_the_command_is_found(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "--help"]) == 0
    assert "validator by validator" in capsys.readouterr().out
