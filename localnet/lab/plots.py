"""Plots of a history as PNG files. Needs the extra `lab` (matplotlib)."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from localnet.lab.market import Floats
from localnet.lab.play import RAO, History


class PlotsMissing(Exception):
    """matplotlib is not installed; the message says how to get it."""


def ensure() -> None:
    """Raise PlotsMissing unless plots can be drawn."""
    if find_spec("matplotlib") is None:
        raise PlotsMissing("plots need matplotlib: pip install 'ganglion[lab]'")


def _pyplot() -> Any:
    ensure()
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    return pyplot


def smoothed(series: Floats, window: int) -> Floats:
    """The mean of each value and up to `window` - 1 before it."""
    total = np.cumsum(np.insert(series, 0, 0.0))
    ends = np.arange(1, len(series) + 1)
    starts = np.maximum(ends - window, 0)
    result: Floats = (total[ends] - total[starts]) / (ends - starts)
    return result


def save(history: History, folder: Path) -> list[Path]:
    """Write earnings.png, trust.png and bonds.png; returns their paths. Raises PlotsMissing."""
    pyplot = _pyplot()
    folder.mkdir(parents=True, exist_ok=True)
    epochs = len(history.dividends)
    window = max(1, epochs // 50)
    earnings = {
        f"{name} ({role})": paid[:, uids].sum(axis=1) / RAO
        for role, groups, paid in (
            ("validators", history.validators, history.dividends),
            ("miners", history.miners, history.incentive),
        )
        for name, uids in groups.items()
    }
    trust = {n: history.trust[:, u].mean(axis=1) for n, u in history.validators.items()}
    bonds = {n: history.bonds[:, u].mean(axis=1) for n, u in history.validators.items()}
    paths = []
    for name, title, lines in (
        ("earnings", "Earnings, TAO per epoch", earnings),
        ("trust", "Mean validator trust", trust),
        ("bonds", "Mean bond to a watched miner", bonds),
    ):
        figure, axes = pyplot.subplots(figsize=(9, 5))
        for label, series in lines.items():
            axes.plot(smoothed(series, window), label=label)
        axes.set(xlabel="epoch", title=f"{history.scenario.name}: {title}", ylim=(0, None))
        axes.grid(alpha=0.3)
        axes.legend()
        path = folder / f"{name}.png"
        figure.savefig(path, dpi=110, bbox_inches="tight")
        pyplot.close(figure)
        paths.append(path)
    return paths
