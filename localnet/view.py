"""The live terminal view of a local network: block, epochs, neurons, weights, emission."""

from __future__ import annotations

from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from localnet.observer import Observer

COLUMNS = ("uid", "role", "kind", "answers", "right", "incentive", "dividends", "set", "alpha")
"""Answers and those found right; how often weights were set; emission in alpha."""


def render(observer: Observer, url: str, tempo: int, *, over: bool = False) -> Group:
    """One frame, 80 columns wide; `over` when it is the last."""
    report = observer.report()
    head = Text.assemble(
        ("ganglion localnet", "bold"),
        f"  {url}   block ",
        (str(report["blocks"]), "bold cyan"),
        f"   epochs on weights {report['epochs']}",
    )
    parts: list[Any] = [head]
    for subnet, watch in zip(report["subnets"], observer.watches, strict=True):
        since = max(report["blocks"] - watch.last_step, 0)
        parts.append(_table(subnet, since, tempo))
        parts.extend(
            Text(f"uid {m['uid']} {m['complaint']}", style="dim red")
            for m in subnet["miners"]
            if m["complaint"]
        )
    if not over:
        subnet = report["subnets"][0]["netuid"]
        hint = (
            f"Ctrl-C stops the network; why uid 1 earned what it did: ganglion explain {subnet} 1"
        )
        parts.append(Text(hint, style="dim"))
    return Group(*parts)


def _table(subnet: dict[str, Any], since: int, tempo: int) -> Table:
    done = min(since, tempo)
    bar = "█" * (20 * done // max(tempo, 1))
    title = f"subnet {subnet['netuid']}  {subnet['task']}   next epoch {bar:░<20} {done}/{tempo}"
    table = Table(
        title=title, title_justify="left", box=None, padding=(0, 1, 0, 0), header_style="bold"
    )
    for name in COLUMNS:
        left = name in ("role", "kind")
        table.add_column(name, justify="left" if left else "right", no_wrap=True)
    for m in subnet["miners"]:
        style = None if m["kind"] == "honest" else "red"
        share = f"{m['incentive'] / 65535:.1%}"
        row = [m["uid"], "miner", m["kind"], m["answers"], m["verified"], share, "", ""]
        table.add_row(*map(str, row), _alpha(m["emission_rao"]), style=style)
    for v in subnet["validators"]:
        share = f"{v['dividends'] / 65535:.1%}"
        row = [v["uid"], "validator", "", "", "", "", share, v["weights_set"]]
        table.add_row(*map(str, row), _alpha(v["emission_rao"]))
    return table


def _alpha(rao: int) -> str:
    return f"{rao / 1e9:.2f}"
