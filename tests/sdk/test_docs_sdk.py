"""docs/sdk.md: its programs compile, its commands and names exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from ganglion import btauth, errors, scale
from ganglion.cli.main import main
from ganglion.client import Client
from ganglion.view import Reads

TEXT = (Path(__file__).parents[2] / "docs" / "sdk.md").read_text()
COMMANDS = re.findall(r"^ganglion (.+)$", TEXT, re.M)


@pytest.mark.parametrize("code", re.findall(r"```python\n(.+?)```", TEXT, re.S))
def test_programs_parse(code: str) -> None:
    compile(code, "sdk.md", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_exist(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = command.split()
    depth = {"explain-error": 1}.get(words[0], 3 if words[:2] == ["tx", "stake"] else 2)
    assert main([*words[:depth], "--help"]) == 0
    out = capsys.readouterr().out
    for option in re.findall(r"(?<= )--?[a-z-]+", command):
        assert option in out, command


def test_errors_exist() -> None:
    table = TEXT.split("## Errors")[1].split("## Keys")[0]
    for name in re.findall(r"`([A-Z]\w+)`", table):
        assert hasattr(errors, name), name
    assert scale.DecodeError
    assert btauth.Verifier


def test_methods_exist() -> None:
    for name in set(re.findall(r"client\.(\w+)", TEXT)):
        assert hasattr(Client, name) or name in Reads.__annotations__, name
