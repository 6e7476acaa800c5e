"""The list of upstream's tests is whole, and scripts/upstream tells every change of it."""

from __future__ import annotations

import asyncio
import re
import shutil
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts/lib"))

import standins  # noqa: E402
import upstream_list  # noqa: E402

LIST = ROOT / "docs/upstream.toml"


def row(test: str, outcome: str, when: str = "call") -> dict[str, Any]:
    return {"test": test, "outcome": outcome, "when": when, "seconds": 0.1, "words": ""}


def test_every_test_passes_or_has_a_reason() -> None:
    listing = upstream_list.read(LIST)
    known = {upstream_list.PASSES, upstream_list.SKIPS, *listing.reasons}
    used = {value for tests in listing.suites.values() for value in tests.values()}
    assert set(listing.suites) == {"sdk10", "btcli9", "sdk11"}
    assert used <= known, f"no reason is given for {sorted(used - known)}"
    assert set(listing.reasons) <= used, "a reason that no test needs"


def test_the_page_has_the_lists_counts() -> None:
    page = (ROOT / "docs/upstream.md").read_text()
    for suite, tests in upstream_list.read(LIST).suites.items():
        passed, total = upstream_list.counts(tests)
        assert re.search(rf"\| `{suite}` \|.*\| {passed} of {total} \|", page), (
            suite,
            passed,
            total,
        )


def test_the_list_reads_back_as_written(tmp_path: Path) -> None:
    listing = upstream_list.read(LIST)
    upstream_list.write(tmp_path / "list.toml", listing)
    assert upstream_list.read(tmp_path / "list.toml") == listing


def test_a_failed_setup_or_teardown_is_a_failure() -> None:
    seen = upstream_list.outcomes(
        [row("a", "failed", "setup"), row("b", "passed"), row("b", "failed", "teardown")]
    )
    assert seen == {"a": "failed", "b": "failed"}


def test_a_failure_keeps_its_reason_and_a_new_one_has_none() -> None:
    tests = {"a": "drand", "b": "passes", "c": "drand"}
    seen = {"a": "failed", "b": "failed", "c": "passed", "d": "skipped"}
    assert upstream_list.merged(tests, seen) == {
        "a": "drand",
        "b": "unexplained",
        "c": "passes",
        "d": "skips",
    }
    assert upstream_list.differences(tests, seen) == [
        "b: the list says passes, now unexplained",
        "c: the list says drand, now passes",
        "d: the list says nothing, now skips",
    ]


def test_an_unknown_suite_is_told_in_a_sentence() -> None:
    script = [sys.executable, str(ROOT / "scripts/lib/upstream.py"), "sdk9"]
    done = subprocess.run(script, capture_output=True, text=True)
    assert done.returncode == 2
    assert "invalid choice: 'sdk9'" in done.stderr


async def ask(port: int, pem: Path, host: str) -> bytes:
    """GET / of an HTTPS host through the stand-in."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"CONNECT {host}:443 HTTP/1.1\r\n\r\n".encode())
    head = await reader.readuntil(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        return head
    await writer.start_tls(ssl.create_default_context(cafile=pem), server_hostname=host)
    writer.write(b"GET / HTTP/1.1\r\n\r\n")
    answer = await reader.read()
    writer.close()
    return answer


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl makes the certificate")
def test_the_stand_in_tells_an_address_and_refuses_what_it_cannot_reach(tmp_path: Path) -> None:
    async def talk() -> tuple[bytes, bytes]:
        pem = standins.certificate(tmp_path)
        async with standins.StandIn(pem) as port:
            return await ask(port, pem, standins.HOST), await ask(port, pem, "no.such.invalid")

    answer, refusal = asyncio.run(talk())
    assert answer.endswith(b"\r\n\r\n198.51.100.7\n")
    assert refusal.startswith(b"HTTP/1.1 502")
