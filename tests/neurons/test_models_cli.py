"""`ganglion models` and the thresholds that validators agree on, against a real node."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from chain.dev.devnode import DevNode
from ganglion.balance import Balance
from ganglion.cli.main import main
from ganglion.client import Client
from ganglion.keys import Keypair
from ganglion.wire.call import Caller
from neurons import models_cli
from neurons.chainlink import ChainLink
from neurons.engine.load import Loaded
from neurons.engine.worker import Worker
from neurons.identity import Identity
from neurons.validator.examiner import TextExaminer
from neurons.validator.thresholds import AgreedThresholds
from subnets import registry
from subnets.models import Thresholds

ALICE = Keypair.from_uri("//Alice")
LOOSE = Thresholds(100, 99_000, 99_000, 900_000, 10**9, 7)
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def shared_node() -> Iterator[DevNode]:
    with DevNode("instant") as node:
        yield node


@pytest.fixture
def node(shared_node: DevNode) -> Iterator[DevNode]:
    mark = shared_node.rpc("dev_snapshot")
    yield shared_node
    shared_node.rpc("dev_revert", mark)


@pytest.fixture
def run(node: DevNode, capsys: pytest.CaptureFixture[str]) -> Run:
    def go(*argv: str, online: bool = True) -> tuple[int, str, str]:
        code = models_cli.run([*argv, *(("--url", node.url) if online else ())])
        said = capsys.readouterr()
        return code, said.out, said.err

    return go


@pytest.fixture
def entry(tiny: Loaded, tmp_path: Path) -> Path:
    path = tmp_path / "calibration.json"
    path.write_text(json.dumps(tiny.entry.to_json()))
    return path


def test_an_entry_is_registered_shown_vouched_for_and_removed(run: Run, entry: Path) -> None:
    assert "0 models" in run("list")[1]
    code, out, _ = run("register", str(entry), "--signer", "//Alice", "--prompt-price", "5")
    assert (code, "registered" in out) == (0, True)
    assert run("vouch", str(entry), "--signer", "//Bob")[0] == 0
    shown = json.loads(run("show", "ganglion/tiny", "--json")[1])
    assert shown["vouchers"] == [Keypair.from_uri("//Bob").address]
    assert shown["price"] == {"prompt": 5, "completion": 0}
    assert shown["fast"] == json.loads(entry.read_text())["fast"]
    assert "ganglion/tiny" in run("list")[1]

    # new thresholds end the vouch, and the old file can no longer be vouched for
    changed = entry.with_name("changed.json")
    changed.write_text(entry.read_text().replace('"exponents": ', '"exponents": 1'))
    assert run("register", str(changed), "--signer", "//Alice")[0] == 0
    assert json.loads(run("show", "ganglion/tiny", "--json")[1])["vouchers"] == []
    code, _, err = run("vouch", str(entry), "--signer", "//Bob")
    assert (code, "ContentChanged" in err) == (1, True)

    assert run("withdraw", "ganglion/tiny", "--signer", "//Bob")[0] == 0
    assert run("remove", "ganglion/tiny", "--signer", "//Alice")[0] == 0
    assert "0 models" in run("list")[1]


def test_mistakes_are_one_sentence(run: Run, entry: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text("[1")
    for argv, says in (
        (("show", "nobody/knows"), "no model nobody/knows"),
        (("register", str(broken), "--signer", "//Alice"), "holds no entry"),
        (("register", str(tmp_path / "none.json"), "--signer", "//Alice"), "holds no entry"),
        (("register", str(entry)), "who signs?"),
        (("vouch", str(entry), "--signer", "//Bob"), "UnknownModel"),
        (("remove", "x", "--signer", "//Bob"), "UnknownModel"),
    ):
        code, out, err = run(*argv)
        assert (code, out) == (1, "")
        assert says in err
        assert err.count("\n") == 1
    assert run("register", str(entry), "--signer", "//Alice")[0] == 0
    code, _, err = run("register", str(entry), "--signer", "//Bob")
    assert (code, "NotOwner" in err) == (1, True)


def test_ganglion_finds_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models", "--help"]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in ("list", "show", "calibrate", "register", "vouch"))


def test_calibrate_writes_an_entry(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("torch")
    out = tmp_path / "made.json"
    assert models_cli.run(["calibrate", "--chunks", "8", "--out", str(out)]) == 0
    made = json.loads(out.read_text())["fast"]
    assert made["samples"] >= 6 * 8
    assert "bfloat16" in capsys.readouterr().out
    assert models_cli.run(["calibrate", "--model", "/nowhere", "--out", str(out)]) == 1
    capsys.readouterr()
    assert models_cli.run(["calibrate", "--out", str(out / "below-a-file")]) == 1
    assert "cannot be written: name another file with --out" in capsys.readouterr().err


async def test_the_content_hash_is_the_chains(node: DevNode, tiny: Loaded) -> None:
    """The chain refuses a vouch for any other hash, so acceptance shows equality."""
    async with Client(node.url) as client:
        for entry in (tiny.entry, replace(tiny.entry, fast=None)):
            await registry.register(client, ALICE, entry, registry.Price())
            await registry.vouch(client, ALICE, entry)
            found = await registry.read(client, entry.name)
            assert found is not None
            assert found.entry == entry
            assert found.vouchers == (ALICE.address,)


async def test_validators_judge_by_what_most_stake_vouches_for(node: DevNode, tiny: Loaded) -> None:
    made = node.rpc("dev_registerNeurons", 1, 3, 1000 * 10**9)
    node.rpc("dev_runEpoch", 1)
    uris = [Keypair.from_uri(neuron["uri"]) for neuron in made]
    loose = replace(tiny.entry, fast=LOOSE)
    worker = Worker(tiny.model, pages=1)
    async with Client(node.url) as client, Caller(uris[0]) as caller:
        chain = ChainLink(client, 1, uris[0])
        for key in uris:
            await client.transfer(ALICE, key.address, Balance(10**10))
        examiner = TextExaminer(caller, Identity(uris[0], chain.genesis, 1), tiny, worker)
        agreed = AgreedThresholds(chain, examiner)
        view = await chain.view()
        backers = sum(n.validator_permit for n in view.graph.neurons)
        assert backers >= 3

        async def judged_by() -> Thresholds | None:
            await agreed.refresh(await chain.view())
            return examiner.entry.fast

        assert await judged_by() == tiny.entry.fast
        await registry.register(client, ALICE, loose, registry.Price())
        assert await judged_by() == tiny.entry.fast  # nobody vouches
        await registry.vouch(client, uris[0], loose)
        assert await judged_by() == tiny.entry.fast  # a third of the stake does
        for key in uris[1:]:
            await registry.vouch(client, key, loose)
        assert await judged_by() == LOOSE
        other = replace(loose, weights_hash=bytes(32))
        await registry.register(client, ALICE, other, registry.Price())
        for key in uris:
            await registry.vouch(client, key, other)
        assert await judged_by() == tiny.entry.fast  # the chain speaks of other weights


async def test_a_chain_without_a_registry_changes_nothing(
    node: DevNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "PALLET", "NoSuchPallet")
    async with Client(node.url) as client:
        assert await registry.read_if_any(client, "ganglion/tiny") is None
