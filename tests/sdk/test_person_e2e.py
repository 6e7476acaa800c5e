"""From a gate to a seat by the command line: owner, issuer and a person who is not seen."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from chain.dev.devnode import DevNode
from ganglion.cli.main import main
from ganglion.keys import Keypair, dev_key


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevNode]:
    with DevNode() as running, pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        patch.setenv("GANGLION_URL", running.url)
        owner = {"SubnetOwner": [[[1], dev_key("Bob").address]]}
        running.rpc("dev_setStorage", {"SubtensorModule": owner})
        yield running


def ganglion(*argv: str) -> tuple[int, str, str]:
    out, err, before = io.StringIO(), io.StringIO(), (sys.stdout, sys.stderr)
    sys.stdout, sys.stderr = out, err
    try:
        code = main(list(argv))
    finally:
        sys.stdout, sys.stderr = before
    return code, out.getvalue().strip(), err.getvalue()


def done(*argv: str) -> str:
    code, out, err = ganglion(*argv)
    assert code == 0, err
    return out


def refused(*argv: str) -> str:
    code, _, err = ganglion(*argv)
    assert code == 1
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    return err


def test_from_a_gate_to_a_seat(node: DevNode, tmp_path: Path) -> None:
    key, mine = str(tmp_path / "issuer.pem"), str(tmp_path / "mine.json")
    assert "asks for no credentials" in refused("person", "ask", "1", "--secret", mine)
    done("person", "issuer", key)
    assert "cannot be written" in refused("person", "issuer", key)
    assert Path(key).stat().st_mode & 0o077 == 0
    done("person", "gate", "1", key, "-s", "//Bob")

    register = ("tx", "register", "1", "//Ann", "-s", "//Charlie")
    assert "`ganglion person present`" in refused(*register)
    request = done("person", "ask", "1", "--secret", mine)
    assert "base64" in refused("person", "issue", key, request[:-3])
    assert "not for the issuer's key" in refused("person", "issue", key, "AAAA")
    answer = done("person", "issue", key, request)
    present = ("person", "present", "//Ann", answer, "--secret", mine, "-s", "//Charlie")
    assert "not a signature of what was asked" in refused(*present[:3], request, *present[4:])
    done(*present)
    done(*register)
    assert "`ganglion person show` names it" in refused(
        "person", "present", "//Ben", answer, "--secret", mine, "-s", "//Charlie"
    )
    shown = json.loads(done("person", "show", "1", "--json"))
    assert list(shown["holders"]) == [Keypair.from_uri("//Ann").address]

    person = next(iter(shown["holders"].values()))
    assert "once the subnet's gate is gone" in refused(
        "person", "forget", "1", person, "-s", "//Eve"
    )
    done("person", "ungate", "1", "-s", "//Bob")
    done("person", "forget", "1", person, "-s", "//Eve")
    assert json.loads(done("person", "show", "1", "--json"))["holders"] == {}


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"netuid": 1}', "not json"])
def test_a_damaged_secret_is_said_in_one_sentence(
    node: DevNode, tmp_path: Path, content: str
) -> None:
    file = tmp_path / "secret.json"
    file.write_text(content)
    assert "is not what `ganglion person ask` wrote" in refused(
        "person", "present", "//Ann", "AAAA", "--secret", str(file), "-s", "//Charlie"
    )
    assert "holds no issuer's key" in refused("person", "issue", str(file), "AAAA")
