"""A pytest plugin for somebody else's suite: one JSON line a test, as soon as it has ended.

GANGLION_RECORD names the file. A run that is cut off keeps what it has seen, and a test that
fails in its setup or its teardown is told from one that fails itself.
"""

from __future__ import annotations

import json
import os
from typing import Any


def last_words(text: str) -> str:
    """The line of a traceback that says what went wrong."""
    lines = [line[1:].strip() for line in text.splitlines() if line.startswith("E ")]
    return next((line for line in lines if line), text.strip().splitlines()[-1] if text else "")


def pytest_runtest_logreport(report: Any) -> None:
    """Write down the outcome of a call, or of a setup or teardown that did not pass."""
    if report.when != "call" and report.outcome == "passed":
        return
    words = report.longreprtext if report.failed else ""
    row = {
        "test": report.nodeid,
        "outcome": report.outcome,
        "when": report.when,
        "seconds": round(report.duration, 1),
        "words": last_words(words)[:300],
    }
    with open(os.environ["GANGLION_RECORD"], "a") as out:
        out.write(json.dumps(row) + "\n")
