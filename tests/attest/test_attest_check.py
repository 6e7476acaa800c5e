"""What `neuron-miner check` says of an attest command."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from neurons.miner.check import attest_lines
from neurons.miner.main import main

TESTS = Path(__file__).parents[1]


def command(folder: Path, script: str) -> str:
    """A command that runs this Python script with the report data as its argument."""
    file = folder / "quote.py"
    file.write_text(f"import sys, orjson\nsys.path.insert(0, {str(TESTS)!r})\n{script}\n")
    return f"{sys.executable} {file}"


async def test_without_evidence_there_is_nothing_to_say() -> None:
    assert await attest_lines(None, None) == []
    assert await attest_lines("mock", None) == [
        (True, "evidence of kind mock proves nothing; it is for tests")
    ]


async def test_what_would_not_be_believed_is_said(tmp_path: Path) -> None:
    pytest.importorskip("dcap_qvl", reason="quotes are judged by dcap-qvl, which is not here")
    broken = command(tmp_path, "sys.exit('no /dev/tdx_guest here')")
    ((good, said),) = await attest_lines("tdx-v4", broken)
    assert (good, "no /dev/tdx_guest here" in said) == (False, True)
    own = "from evidence_intel import Intel\ndata = bytes.fromhex(sys.argv[1])\n"
    own += "sys.stdout.buffer.write(orjson.dumps(Intel().evidence('tdx-v4', data)))"
    ((good, said),) = await attest_lines("tdx-v4", command(tmp_path, own))
    assert (good, "the quote does not hold" in said) == (False, True)  # not Intel's root


async def test_reports_without_a_root_here_are_taken_as_printed(tmp_path: Path) -> None:
    own = "from evidence_others import Amd\ndata = bytes.fromhex(sys.argv[1])\n"
    own += "sys.stdout.buffer.write(orjson.dumps([Amd().evidence(data)]))"
    assert await attest_lines("sev-snp", command(tmp_path, own)) == [
        (True, "the attest command prints evidence of kind sev-snp")
    ]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--attest", "tdx-v4"], "belong together"),
        (["--attest-command", "quote"], "belong together"),
        (["--attest", "mock", "--attest-command", "quote"], "belong together"),
        (["--attest", "mock", "--task", "embedding"], "--attest is for text"),
        (["--attest", "tdx-v4", "--attest-command", "quote 'x"], "is no command"),
        (["--attest", "nvidia-eat", "--attest-command", "quote"], "invalid choice"),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--netuid", "1", *options], None)  # type: ignore[arg-type]
    assert ended.value.code == 2
    assert said in capsys.readouterr().err
