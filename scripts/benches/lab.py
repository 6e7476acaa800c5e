"""A thousand epochs of the incentive laboratory on one core."""

from __future__ import annotations

import time

from benchmark import Row, run

from localnet.lab.play import play
from localnet.lab.scenario import build


def rows(quick: bool) -> list[Row]:
    """Honest and attacked worlds of 64 validators and 256 miners."""
    epochs = 100 if quick else 1_000
    result: list[Row] = []
    for name, options in (
        ("honest", {"validators": 64, "miners": 256}),
        ("copier", {"validators": 60, "copiers": 4, "miners": 256}),
        ("cabal", {"validators": 60, "members": 4, "miners": 252}),
    ):
        start = time.perf_counter()
        play(build(name, options), epochs)
        seconds = time.perf_counter() - start
        result.append(
            {
                "scenario": name,
                "validators x miners": "64 x 256",
                "epochs": epochs,
                "seconds": round(seconds, 2),
                "limit, s": 20.0 * epochs / 1_000,
            }
        )
    return result


run("lab", "The incentive laboratory on one core: every epoch on the chain's own engine.", rows)
