"""Shared fixtures and hypothesis profiles."""

from __future__ import annotations

import logging
import os
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from neurons.program import limit_threads

limit_threads()

ROOT = Path(__file__).parent.parent

settings.register_profile(
    "dev", max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "ci",
    max_examples=200,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--deselect-localnet", action="store_true", help="leave out tests that start networks"
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not config.getoption("--deselect-localnet"):
        return
    dropped = [i for i in items if i.get_closest_marker("localnet")]
    items[:] = [i for i in items if not i.get_closest_marker("localnet")]
    config.hook.pytest_deselected(items=dropped)


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """A program run inside a test sets up logging on streams that end with that test."""
    loggers = [logging.getLogger(name) for name in (None, "blocks")]
    before = [(log.handlers[:], log.level, log.propagate) for log in loggers]
    yield
    for log, (handlers, level, propagate) in zip(loggers, before):
        log.handlers[:], log.propagate = handlers, propagate
        log.setLevel(level)


def claimed_tests() -> set[str]:
    """Test ids that docs/rows.toml says show a feature."""
    rows = tomllib.loads((ROOT / "docs/rows.toml").read_text())["row"]
    return {test for r in rows if r["status"] == "done" for test in r["tests"]}


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A row's test that ran must have passed: what was skipped, or failed as expected, shows
    nothing."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if reporter is None or hasattr(session.config, "workerinput"):
        return
    claimed = claimed_tests()
    for report in reporter.stats.get("skipped", []) + reporter.stats.get("xfailed", []):
        base = report.nodeid.split("[")[0]
        if base in claimed:
            reporter.write_line(f"docs/rows.toml claims {base}, which did not pass", red=True)
            session.exitstatus = pytest.ExitCode.TESTS_FAILED
