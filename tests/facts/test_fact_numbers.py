"""Every numbered fact has a test that carries its number, or a reason why not."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "lib" / "facts.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("facts_script", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_facts_are_numbered_without_gaps(script):
    assert [int(fact.number[1:]) for fact in script.facts()] == list(range(1, 161))


def test_facts_have_a_test_or_a_reason_but_not_both(script):
    for fact in script.facts():
        assert bool(fact.tests) != bool(fact.reason), fact.number


def test_most_facts_have_a_test(script):
    assert sum(bool(fact.tests) for fact in script.facts()) >= 140


def test_the_page_is_fresh(script):
    assert script.DOCS.read_text(encoding="utf-8") == script.page(script.facts())
