"""The live view fits a terminal of 80 columns, whatever the faults are called."""

from __future__ import annotations

import io
from types import SimpleNamespace

from rich.console import Console

from localnet.faults import KINDS
from localnet.view import COLUMNS, render


def test_nothing_is_cut_at_80_columns():
    miners = [
        {
            "uid": uid,
            "kind": kind,
            "answers": 1000,
            "verified": 999,
            "incentive": 65_535,
            "emission_rao": 12_345_678_000_000,
            "complaint": "wrong-sampling: 60 of 64 tokens are not those the seed demands",
        }
        for uid, kind in enumerate(["honest", *KINDS], 100)
    ]
    seat = {"uid": 4, "weights_set": 88, "dividends": 65_535, "emission_rao": 36 * 10**9}
    subnet = {"netuid": 2, "task": "text", "miners": miners, "validators": [seat]}
    report = {"blocks": 165, "epochs": 5, "subnets": [subnet]}
    observer = SimpleNamespace(report=lambda: report, watches=[SimpleNamespace(last_step=150)])
    out = io.StringIO()
    Console(file=out, width=80).print(render(observer, "ws://127.0.0.1:9944", 20))
    shown = out.getvalue()
    assert "…" not in shown
    assert "uid 100 wrong-sampling: 60 of 64 tokens are not those the seed demands" in shown
    for word in (*COLUMNS, *KINDS, "12345.68", "Ctrl-C"):
        assert word in shown
    out = io.StringIO()
    Console(file=out, width=80).print(render(observer, "x", 20, over=True))
    assert "Ctrl-C" not in out.getvalue()
