"""What proving costs: circuits of three sizes, each stage in a process of its own.

Run with a stage and a folder, it does that stage and prints its cost as JSON; a process of its
own is how the peak memory of a stage is known.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

from subnets.zk.circuit import Circuit, Recipe, make_test_srs
from subnets.zk.graph import TAIL, network_graph, scoring_graph
from subnets.zk.rule import SCORE_MAX, Shape, weights_of
from subnets.zk.weights import BASE_BITS

NETWORKS = ((16, 16, 4), (64, 64, 16), (256, 128, 64))
QUICK_NETWORKS = ((2, 2, 1), (8, 8, 2), (16, 16, 4))
SLOTS = (16, 64, 256)
NETWORK_RECIPE = Recipe(scale=7, inputs="public", base=128, legs=5)
VERIFICATIONS = 9
GROWING = ("parameters", "setup cpu, s", "prove cpu, s", "key, MB", "memory, MB")
"""What must grow with the size: processor time, because it depends less on what else runs."""


@dataclass(frozen=True)
class Case:
    """A circuit to measure; inputs of whole numbers are exact."""

    name: str
    parameters: int | None
    graph: bytes
    recipe: Recipe
    inputs: list[list[int]] | list[list[float]]


def network(sizes: tuple[int, int, int]) -> Case:
    """A network of two layers."""
    graph, parameters = network_graph(*sizes)
    draw = random.Random(1)
    x = [draw.uniform(-1, 1) for _ in range(sizes[0])]
    return Case(f"network {'-'.join(map(str, sizes))}", parameters, graph, NETWORK_RECIPE, [x])


def scoring(slots: int) -> Case:
    """The scoring rule, every slot taken."""
    shape, draw = Shape(slots, 2), random.Random(2)
    scores = [draw.randint(1, SCORE_MAX) for _ in range(slots)]
    given = weights_of(dict(enumerate(scores)), shape.exponent)
    weights = [given.get(uid, 0) for uid in range(slots)]
    recipe = Recipe(0, "hashed", 1 << BASE_BITS, ceil(shape.bits / BASE_BITS))
    inputs = [scores + [1] * TAIL, weights + [2] * TAIL]
    return Case(f"scoring, {slots} miners", None, scoring_graph(shape), recipe, inputs)


def peak_mb() -> float:
    """The most memory that this process ever held. ru_maxrss would count its parent's too."""
    status = Path("/proc/self/status")
    if status.exists():
        line = next(s for s in status.read_text().splitlines() if s.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    import resource

    unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def timed(work: Callable[[], Any]) -> tuple[float, float, Any]:
    """Wall seconds, processor seconds, result."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = work()
    return time.perf_counter() - wall, time.process_time() - cpu, result


def stage(name: str, folder: Path) -> dict[str, Any]:
    """Do one stage on the circuit in `folder`."""
    circuit = Circuit(folder)
    if name == "setup":
        wall, cpu, _ = timed(circuit.make_keys)
    elif name == "prove":
        wall, cpu, (proof, public) = timed(lambda: circuit.prove(folder))
        (folder / "made.json").write_text(json.dumps([proof.hex(), public]))
    else:
        text, public = json.loads((folder / "made.json").read_text())
        proof = bytes.fromhex(text)
        runs = [timed(lambda: circuit.verify(proof, public)) for _ in range(VERIFICATIONS)]
        if not all(good for _, _, good in runs):
            raise SystemExit(f"{folder.name}: the proof that was just made does not verify")
        wall, cpu = (statistics.median(run[i] for run in runs) for i in (0, 1))
    return {"wall": wall, "cpu": cpu, "memory": peak_mb()}


def in_process(name: str, folder: Path) -> dict[str, Any]:
    """A stage in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, name, str(folder)],
        stdout=subprocess.PIPE,
        check=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def measure(case: Case, folder: Path) -> dict[str, Any]:
    """One row of the report."""
    circuit = Circuit(folder / case.name.replace(" ", "-").replace(",", ""))
    logrows = circuit.compile(case.graph, case.recipe)
    make_test_srs(folder, logrows)
    circuit.run(case.inputs, circuit.folder)
    cost = {name: in_process(name, circuit.folder) for name in ("setup", "prove", "verify")}
    proof = json.loads((circuit.folder / "made.json").read_text())[0]
    return {
        "circuit": case.name,
        "parameters": case.parameters,
        "rows": f"2^{logrows}",
        "setup, s": cost["setup"]["wall"],
        "setup cpu, s": cost["setup"]["cpu"],
        "prove, s": cost["prove"]["wall"],
        "prove cpu, s": cost["prove"]["cpu"],
        "verify, ms": cost["verify"]["wall"] * 1e3,
        "proof, bytes": len(proof) // 2,
        "key, MB": (circuit.folder / "pk").stat().st_size / 1e6,
        "memory, MB": max(c["memory"] for c in cost.values()),
    }


def not_growing(rows: Sequence[dict[str, Any]]) -> list[str]:
    """The columns that should grow from row to row and do not."""
    wrong = []
    for name in GROWING:
        values = [row[name] for row in rows]
        if None not in values and any(a >= b for a, b in zip(values, values[1:])):
            wrong.append(f"{name}: {values}")
    return wrong


def report(quick: bool) -> list[dict[str, Any]]:
    """The table; SystemExit if a cost does not grow with the size."""
    groups = [[network(sizes) for sizes in (QUICK_NETWORKS if quick else NETWORKS)]]
    if not quick:
        groups.append([scoring(slots) for slots in SLOTS])
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix="ganglion-zk-") as folder:
        for group in groups:
            made = [measure(case, Path(folder)) for case in group]
            if wrong := not_growing(made):
                raise SystemExit("the cost should grow with the size: " + "; ".join(wrong))
            rows += made
    return rows


if __name__ == "__main__":
    print(json.dumps(stage(sys.argv[1], Path(sys.argv[2]))))
