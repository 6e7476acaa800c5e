"""`neuron-gateway keys ...`: who may use a gateway, and for how much."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

from ganglion.balance import Balance
from neurons import program
from neurons.gateway.options import database_option
from neurons.gateway.store import Store


def keys_parser() -> argparse.ArgumentParser:
    """`neuron-gateway keys add|list|disable`."""
    made = argparse.ArgumentParser("neuron-gateway keys")
    made.add_argument("action", choices=("add", "list", "disable"))
    made.add_argument("name", nargs="?", default="", help="add: a name; disable: the key's id")
    made.add_argument("--budget", metavar="TAO", help="add: the most this key may ever spend")
    made.add_argument("--models", help="add: comma-separated; default: all")
    made.add_argument(
        "--max-price",
        type=program.price,
        metavar="RAO",
        help="add: the most a miner may ask per million tokens; default: any",
    )
    database_option(made)
    return made


def keys(argv: Sequence[str]) -> int:
    """Manage API keys; the exit code."""
    options = keys_parser().parse_args(argv)
    store = Store(options.database)
    if options.action == "add":
        budget = None if options.budget is None else Balance.tao(options.budget).as_rao()
        models = options.models.split(",") if options.models else None
        made = store.add_key(options.name or "unnamed", budget, models, options.max_price)
        print(made)  # noqa: T201
    elif options.action == "disable":
        if not store.disable_key(options.name):
            print(f"error: there is no key {options.name!r}", file=sys.stderr)  # noqa: T201
            return 1
    else:
        for row in store.list_keys():
            print(key_line(row))  # noqa: T201
    return 0


def key_line(row: dict[str, Any]) -> str:
    """A key as `keys list` shows it."""
    budget = "unlimited" if row["budget"] is None else str(Balance(row["budget"]))
    parts = [f"{row['id']} {'off' if row['disabled'] else 'on':3} {row['name']:20}"]
    parts.append(f"budget {budget} spent {Balance(row['spent'])}")
    if row["models"] is not None:
        parts.append("models " + ",".join(json.loads(row["models"])))
    if row["max_price"] is not None:
        parts.append(f"max-price {row['max_price']}")
    return " ".join(parts)
