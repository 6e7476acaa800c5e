"""`python -m neurons.calibration`: measure a model's honest bands and write its entry.

The verifier is the engine that validators will run; the variants are what honest miners may run:
float32 and bfloat16, two attention kernels, alone and sixteen at once.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from neurons import program
from neurons.calibration.measure import Distances, Variant, calibrate
from neurons.engine.base import KINDS, EngineError
from neurons.engine.load import CALIBRATION, load, resolve


def honest_variants(folder: Path, name: str) -> dict[str, tuple[Variant, int]]:
    """Engines an honest miner of the fast class may run, and how many answers at once."""
    try:
        import torch
        from torch.nn.attention import SDPBackend, sdpa_kernel

        from neurons.engine.hf import HfModel
    except ImportError as e:
        raise EngineError(f"calibration needs {e.name}: pip install 'ganglion[miner]'") from e

    def variant(dtype: torch.dtype, plain: bool) -> Variant:
        def make() -> HfModel:
            model = HfModel(folder, name, dtype)
            if plain:
                inner = model.net.forward

                def forward(*args: object, **more: object) -> object:
                    with sdpa_kernel(SDPBackend.MATH):
                        return inner(*args, **more)

                model.net.forward = forward
            return model

        return make

    return {
        f"{str(dtype).removeprefix('torch.')} {'plain' if plain else 'default'} x{width}": (
            variant(dtype, plain),
            width,
        )
        for dtype in (torch.float32, torch.bfloat16)
        for plain, width in ((False, 16), (False, 1), (True, 16))
    }


HEADER = f"{'honest variant':24} chunks exponents mean error median err exact %  margin"


def tell(name: str, found: Distances) -> None:
    """Print what one variant measured: the whole takes minutes."""
    print(row(name, found), flush=True)  # noqa: T201


def row(name: str, found: Distances) -> str:
    """One line of the table of measurements."""
    worst = [
        max(getattr(c, n) for c in found.chunks)
        for n in ("exponents", "mantissa_mean", "mantissa_median")
    ]
    margin = max(found.misses, default=0) / 1e6
    return (
        f"{name:24} {len(found.chunks):6} {worst[0]:9} {worst[1] / 1000:9.2f} "
        f"{worst[2] / 1000:11.2f} {100 - found.mismatch_ppm / 1e4:8.2f} {margin:8.4f}"
    )


def writable(path: Path) -> Path:
    """A file that can be written when all is measured; EngineError now if it cannot."""
    can_be_made = path.parent.is_dir() and os.access(path.parent, os.W_OK)
    can_be_replaced = path.is_file() and os.access(path, os.W_OK)
    if path.is_dir() or not (can_be_made or can_be_replaced):
        raise EngineError(f"{path} cannot be written: name another file with --out")
    return path


def main(argv: Sequence[str]) -> int:
    """Calibrate a model; the exit code."""
    parser = argparse.ArgumentParser("ganglion models calibrate")
    parser.add_argument("--model", default="tiny", help="a model folder")
    parser.add_argument("--engine", default="exact", choices=KINDS)
    parser.add_argument(
        "--chunks", type=program.whole(4, 1 << 24), default=400, help="honest chunks a variant"
    )
    parser.add_argument("--out", type=Path, help="default: calibration.json beside the weights")
    options = parser.parse_args(argv)
    name, folder = resolve(options.model)
    try:
        if folder is None:
            raise EngineError(f"{options.model} is no folder here: fetch the model first")
        path = writable(options.out or folder / CALIBRATION)
        loaded = load(options.engine, options.model)
        variants = honest_variants(folder, name)
        print(HEADER)  # noqa: T201
        limits, _ = calibrate(loaded.model, loaded.tokenizer, variants, options.chunks, tell=tell)
    except EngineError as e:
        print(f"error: {e}", file=sys.stderr)  # noqa: T201
        return 1
    entry = replace(loaded.entry, fast=limits)
    path.write_text(json.dumps(entry.to_json(), indent=1) + "\n", "utf-8")
    print(f"{limits}\nwritten to {path}")  # noqa: T201
    return 0


if __name__ == "__main__":
    program.limit_threads()
    sys.exit(main(sys.argv[1:]))
