"""What every client script shares: cells, their order, and the line that asks for a restart.

Standard library only: it runs inside each client's own environment.
Each cell prints one JSON line {"cell", "ok", "note"}; `ok` is null where the client has no way to
do the thing, and the note says why.
"""

from __future__ import annotations

import json
import sys
import time
import traceback

CELLS = {}
NAMES = (
    "connect",
    "read",
    "subscribe",
    "transfer",
    "sudo_hyperparameter",
    "register_subnet",
    "register_neuron",
    "serve_axon",
    "stake",
    "commitment",
    "set_weights",
    "commit_reveal",
    "restart",
)


class NotApplicable(Exception):
    """The client has no way to do this; the message says why."""


def cell(function):
    """Register a function `cell(ctx)` under its own name."""
    assert function.__name__ in NAMES, function.__name__
    CELLS[function.__name__] = function
    return function


def ask_for_restart():
    """Have the harness kill the node and start it again on the same data; returns when it is up."""
    print(json.dumps({"ask": "restart"}), flush=True)
    sys.stdin.readline()


def run(context, url):
    """Run the registered cells in order; a cell that fails does not stop the next."""
    wanted = set(sys.argv[2].split(",")) if len(sys.argv) > 2 and sys.argv[2] else set(NAMES)
    for name in NAMES:
        if name not in CELLS or name not in wanted:
            continue
        started = time.monotonic()
        try:
            note = CELLS[name](context) or ""
            ok = True
        except NotApplicable as e:
            ok, note = None, e
        except BaseException as e:  # the matrix wants every outcome, whatever a client raises
            ok = False
            note = f"{type(e).__name__}: {e}"[:300]
            traceback.print_exc(file=sys.stderr)
            if isinstance(e, KeyboardInterrupt):
                raise
        seconds = round(time.monotonic() - started, 2)
        print(
            json.dumps({"cell": name, "ok": ok, "note": str(note), "seconds": seconds}), flush=True
        )
