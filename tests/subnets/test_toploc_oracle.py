# ruff: noqa: E402 - torch decides first whether this file runs
"""Our fingerprints equal the `toploc` package's, byte for byte. Only with GANGLION_ORACLES=1.

What the package made is recorded (`vectors/toploc-proofs.jsonl`), and test_fingerprints.py
compares with that always; this asks the package itself. The wheel's compiled parts fit one release
of torch, so the C++ source in it is compiled against the torch that is here; that takes a compiler
and most of a minute.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from toploc_cases import SEEDS, recorded, states

from subnets.proofs import toploc

pytestmark = pytest.mark.skipif(
    not (os.environ.get("GANGLION_ORACLES") and shutil.which("g++")),
    reason="set GANGLION_ORACLES=1 (and have g++) to compile and compare with toploc",
)


@pytest.fixture(scope="module")
def oracle(tmp_path_factory):
    """The package's ProofPoly."""
    from torch.utils import cpp_extension

    place = tmp_path_factory.mktemp("toploc")
    fetch = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "toploc==0.1.6"]
    if subprocess.run([*fetch, "-d", place], check=False).returncode:
        pytest.skip("the package registry cannot be reached")
    with zipfile.ZipFile(next(place.glob("*.whl"))) as wheel:
        wheel.extractall(place)
    libraries = Path(torch.__file__).parent / "lib"
    made = place / f"poly{sysconfig.get_config_var('EXT_SUFFIX')}"
    include = [*cpp_extension.include_paths(), sysconfig.get_paths()["include"]]
    subprocess.run(
        [
            *("g++", "-O1", "-fopenmp", "-shared", "-fPIC", "-std=c++20", "-w"),
            *("-include", "torch/extension.h", "-DTORCH_EXTENSION_NAME=poly"),
            *(f"-I{path}" for path in include),
            *(place / "toploc/C/csrc/poly.cpp", "-o", made, f"-L{libraries}"),
            *("-ltorch", "-ltorch_cpu", "-lc10", "-ltorch_python", f"-Wl,-rpath,{libraries}"),
        ],
        check=True,
    )
    spec = importlib.util.spec_from_file_location("poly", made)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.ProofPoly


@pytest.mark.parametrize("seed", SEEDS)
def test_a_chunk_has_the_same_bytes(oracle, seed):
    patterns = states(seed)
    flat = torch.from_numpy(patterns.view(np.int16).reshape(-1)).view(torch.bfloat16)
    # of equal values at the border the package takes any; the indices are the canonical ones
    picked = torch.from_numpy(toploc.top_indices(patterns.reshape(-1), 128).astype(np.int64))
    theirs = flat.abs().topk(128).values
    assert torch.equal(flat[picked].abs().sort().values, theirs.sort().values)
    proof = oracle.from_points_tensor(picked, flat[picked]).to_bytes()
    assert toploc.build(patterns)[0] == proof == recorded()[seed]
