"""What of the upstream surface is served, and that every absence has its reason."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
from world import RUNTIME

SCRIPT = Path(__file__).resolve().parents[2] / "scripts/lib/surface.py"
SPEC = importlib.util.spec_from_file_location("surface_script", SCRIPT)
surface = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(surface)

UPSTREAM = json.loads(surface.NAMES.read_text())
ROWS = surface.compare(RUNTIME, UPSTREAM)
APIS = surface.compare_apis(RUNTIME)
LEAST = {"storage": 85, "calls": 85, "events": 80, "errors": 80, "constants": 80}


def test_every_absence_has_a_reason_and_no_reason_is_stale():
    unexplained, stale = surface.unexplained(ROWS, APIS)
    assert unexplained == [], "say why in docs/absent.toml"
    assert stale == [], "these are served: take them out of docs/absent.toml"


@pytest.mark.parametrize(("kind", "least"), LEAST.items())
def test_so_much_is_served(kind, least):
    served, total = surface.totals(ROWS)[kind]
    assert 100 * served >= least * total


def test_nearly_all_that_clients_touch_is_served():
    assert 100 * APIS["served"] >= 90 * APIS["of"]


def test_a_missing_item_is_noticed():
    rows = [dict(row) for row in ROWS]
    sudo = next(row for row in rows if row["pallet"] == "Sudo")
    sudo["calls"] = {"served": 4, "of": 5, "missing": ["set_key"]}
    assert surface.unexplained(rows, APIS)[0] == ["Sudo.set_key"]


def test_no_pallet_is_at_another_index():
    assert [row["pallet"] for row in ROWS if row["wrong_index"]] == []
