"""`scripts/zk-report` measures, and its costs grow with the size."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from subnets.zk.circuit import Circuit, Recipe
from subnets.zk.graph import network_graph

ROOT = Path(__file__).resolve().parents[2]
GROWING = ("parameters", "setup cpu, s", "prove cpu, s", "key, MB", "memory, MB")


def test_the_report_is_made_anew_and_grows_over_three_sizes() -> None:
    pytest.importorskip("ezkl")
    before = (ROOT / "docs/benchmarks.md").read_bytes()
    path = os.pathsep.join(map(str, (ROOT / "scripts/lib", ROOT)))
    done = subprocess.run(
        [sys.executable, "-P", str(ROOT / "scripts/benches/zk.py"), "--quick", "--json"],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout.splitlines()[-1])["rows"]
    assert len(rows) == 3
    for name in GROWING:
        values = [row[name] for row in rows]
        assert values == sorted(set(values)), name
    assert all(row["verify, ms"] > 0 and row["proof, bytes"] > 1000 for row in rows)
    assert (ROOT / "docs/benchmarks.md").read_bytes() == before  # --json and --quick only print


def test_a_cost_that_does_not_grow_is_named() -> None:
    sys.path.insert(0, str(ROOT / "scripts/lib"))
    try:
        import zk_cost
    finally:
        sys.path.pop(0)
    rows = [dict.fromkeys(GROWING, i) for i in range(3)]
    assert zk_cost.not_growing(rows) == []
    rows[2]["key, MB"] = 1
    assert zk_cost.not_growing(rows) == ["key, MB: [0, 1, 1]"]


def test_the_network_that_is_measured_computes(tmp_path: Path) -> None:
    """The circuit's answer is the network's, within its fraction bits."""
    ezkl = pytest.importorskip("ezkl")
    onnx = pytest.importorskip("onnx")
    reference = pytest.importorskip("onnx.reference")
    import numpy as np

    graph, parameters = network_graph(4, 4, 2)
    assert parameters == 4 * 4 + 4 + 4 * 2 + 2
    circuit = Circuit(tmp_path)
    circuit.compile(graph, Recipe(scale=7, inputs="public", base=128, legs=5))
    x = [0.5, -0.25, 0.75, 1.0]
    found = circuit.run([x], tmp_path)["outputs"][0]
    model = reference.ReferenceEvaluator(onnx.load_model_from_string(graph))
    wanted = model.run(None, {"x": np.array(x, np.float32)})[0]
    scale = json.loads((tmp_path / "settings.json").read_text())["model_output_scales"][0]
    assert [ezkl.felt_to_float(v, scale) for v in found] == pytest.approx(list(wanted), abs=0.05)
