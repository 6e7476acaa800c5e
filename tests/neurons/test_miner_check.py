"""`neuron-miner check` on a real node, and the price from the option to the router."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from chain.dev.devnode import DevNode
from ganglion.client import Client
from ganglion.errors import WrongPassword
from ganglion.keys import Keypair
from ganglion.wallet import Wallet
from neurons import models_cli, program
from neurons.chainlink import ChainLink, ChainProblem
from neurons.engine.load import Loaded
from neurons.miner.main import main as mine
from neurons.miner.main import seat_of
from neurons.miner.options import parser as miner_parser

Run = Callable[..., tuple[int, list[str], str]]


@pytest.fixture(scope="module")
def node() -> Iterator[DevNode]:
    with DevNode("instant") as started:
        yield started


@pytest.fixture
def check(node: DevNode, capsys: pytest.CaptureFixture[str]) -> Run:
    def go(*argv: str) -> tuple[int, list[str], str]:
        code = mine(["check", "--network", node.url, "--port", "0", "--log", "error", *argv])
        said = capsys.readouterr()
        return code, said.out.splitlines(), said.err

    return go


def test_all_is_well(check: Run) -> None:
    code, lines, _ = check("--netuid", "1", "--uri", "//Alice", "--draft", "lookup")
    assert code == 0
    assert all(line.startswith("ok ") for line in lines)
    assert any("registration costs" in line for line in lines)
    assert any("tokens judged" in line for line in lines)


def test_what_is_wrong_is_named(check: Run) -> None:
    code, lines, error = check("--netuid", "99", "--uri", "//Alice")
    assert (code, lines[-1]) == (1, "WRONG there is no subnet 99 on this chain")
    assert "1 of these" in error
    code, lines, _ = check("--netuid", "1", "--uri", "//Pauper")
    assert code == 1
    assert "registration costs" in lines[-1]
    code, lines, _ = check("--netuid", "1", "--uri", "//Pauper", "--no-register")
    assert "--no-register forbids it" in lines[-1]


def test_the_registry_is_read(check: Run, node: DevNode, tiny: Loaded, tmp_path: Path) -> None:
    path = tmp_path / "entry.json"
    path.write_text(json.dumps(tiny.entry.to_json()))
    register = ["register", str(path), "--signer", "//Alice", "--url", node.url]
    assert models_cli.run([*register, "--price", "40", "--prompt-price", "20"]) == 0
    code, lines, _ = check("--netuid", "1", "--uri", "//Alice", "--price", "7")
    assert code == 0
    assert "ok    you ask 7 rao per million tokens, the registry expects 40" in lines
    path.write_text(json.dumps(replace(tiny.entry, weights_hash=bytes(32)).to_json()))
    assert models_cli.run(register) == 0
    code, lines, _ = check("--netuid", "1", "--uri", "//Alice")
    assert code == 1
    assert any("other weights than these" in line for line in lines)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--price", "-1"], "is no price"),
        (["--price", "0.5"], "is no price"),
        (["--backend", "localhost"], "is no URL"),
        (["--backend", "http://h/v1", "--draft", "lookup"], "leave one of them out"),
        (["--backend", "http://h/v1", "--task", "embedding"], "--backend drafts text"),
    ],
)
def test_options_that_make_no_sense(
    options: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        mine(["--netuid", "1", *options])
    assert words in capsys.readouterr().err


@pytest.fixture
def locked(tmp_path: Path) -> tuple[str, ...]:
    """A wallet whose cold key has a password, as options."""
    wallet = Wallet("w", "h", tmp_path)
    wallet.save_coldkey(Keypair.from_uri("//Alice"), "secret")
    wallet.save_hotkey(Keypair.from_uri("//Alice//locked"))
    return "--wallet", "w/h", "--wallet-path", str(tmp_path)


def test_a_locked_cold_key_can_be_checked(check: Run, locked: tuple[str, ...]) -> None:
    _, lines, _ = check("--netuid", "1", *locked)
    assert any(line.startswith("ok    registration costs") for line in lines)


async def test_only_who_has_to_pay_needs_the_cold_key(
    node: DevNode, locked: tuple[str, ...]
) -> None:
    options = miner_parser().parse_args(["--netuid", "1", *locked])
    hotkey, alice = program.hotkey_of(options), Keypair.from_uri("//Alice")
    async with Client(node.url) as client:
        chain = ChainLink(client, 1, hotkey)
        with pytest.raises(ChainProblem, match="leave out --no-register"):
            await seat_of(chain)
        with pytest.raises(
            WrongPassword, match="or register first: ganglion tx register 1 w/h -s w"
        ):
            await chain.register(lambda: program.coldkey_of(options))
        uid = await chain.register(lambda: alice)
        assert await chain.register(lambda: program.coldkey_of(options)) == uid
        assert await seat_of(chain) == uid
