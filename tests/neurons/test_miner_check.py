"""`neuron-miner check` on a real node, and the price from the option to the router."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from chain.dev.devnode import DevNode
from neurons import models_cli
from neurons.engine.load import Loaded
from neurons.miner.main import main as mine

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
