"""Each linear layer of the shipped model's first block, plain and between two parties."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from neurons.engine.folder import TINY, read_model
from subnets.shares import deal, linear, masked, opened, product, share, to_reals, to_ring

ROWS = 32
Floats = npt.NDArray[np.float64]


def timed(work: Callable[[], Floats]) -> tuple[Floats, float]:
    """The result and the least processor milliseconds of twenty runs."""
    spent = []
    for _ in range(20):
        start = time.process_time()
        result = work()
        spent.append(1e3 * (time.process_time() - start))
    return result, min(spent)


def public_weights(x: Floats, weights: Floats) -> Floats:
    """Both parties know the weights, neither knows x."""
    ring = to_ring(weights)
    return to_reals(opened(*(linear(ring, part) for part in share(to_ring(x)))), products=1)


def hidden_weights(x: Floats, weights: Floats) -> Floats:
    """Neither party knows anything."""
    (x1, x2), (w1, w2) = share(to_ring(x)), share(to_ring(weights.T))
    one, two = deal(len(x), *weights.T.shape)
    told = masked(one, x1, w1), masked(two, x2, w2)
    parts = product(one, *told, first=True), product(two, *told[::-1], first=False)
    return to_reals(opened(*parts), products=1)


def main() -> None:
    """Print a line a layer; end with an error if a shared result is not the plain one."""
    print(__doc__)
    print(f"Experimental; see docs/privacy.md. {ROWS} rows, processor time of both parties.\n")
    print(f"{'layer':28} {'plain':>9} {'weights public':>15} {'all hidden':>11} {'off by':>8}")
    rng = np.random.default_rng(0)
    worst = 0.0
    for name, tensor in read_model(TINY).items():
        if not name.startswith("model.layers.0.") or tensor.ndim != 2:
            continue
        weights = tensor.astype(np.float64)
        x = rng.normal(size=(ROWS, weights.shape[1]))
        plain, ms = timed(lambda x=x, w=weights: x @ w.T)  # type: ignore[misc]
        public, public_ms = timed(lambda x=x, w=weights: public_weights(x, w))  # type: ignore[misc]
        hidden, hidden_ms = timed(lambda x=x, w=weights: hidden_weights(x, w))  # type: ignore[misc]
        off = max(float(np.abs(result - plain).max()) for result in (public, hidden))
        worst = max(worst, off)
        label = name.removeprefix("model.layers.0.").removesuffix(".weight")
        print(f"{label:28} {ms:6.2f} ms {public_ms:12.1f} ms {hidden_ms:8.1f} ms {off:8.0e}")
    if worst > 1e-3:
        raise SystemExit(f"a shared result differs from the plain one by {worst}")


if __name__ == "__main__":
    main()
