"""Which of the upstream surface (spec 461) the runtime serves, and why the rest is absent.

scripts/surface [--json] [--missing]. docs/absent.toml explains every absence: each reason
there is for pallets and `Pallet.item`s; this tool names absences that it does not explain, and
explanations of things that are served by now.
"""

from __future__ import annotations

import argparse
import json
import sys
import tomllib
from pathlib import Path
from typing import Any

from chain.runtime.runtime import Runtime
from chain.runtime_spec import make_runtime

ROOT = Path(__file__).resolve().parents[2]
NAMES = ROOT / "tests/vectors/surface-461-names.json"
ABSENT = ROOT / "docs/absent.toml"
KINDS = ("storage", "calls", "events", "errors", "constants")
CLIENT_APIS = {
    "Metadata": ("metadata", "metadata_at_version", "metadata_versions"),
    "Core": ("version",),
    "AccountNonceApi": ("account_nonce",),
    "TransactionPaymentApi": ("query_info", "query_fee_details"),
    "NeuronInfoRuntimeApi": ("get_neurons", "get_neuron", "get_neurons_lite", "get_neuron_lite"),
    "SubnetInfoRuntimeApi": (
        "get_metagraph",
        "get_all_metagraphs",
        "get_mechagraph",
        "get_all_mechagraphs",
        "get_selective_metagraph",
        "get_selective_mechagraph",
        "get_subnet_state",
        "get_all_dynamic_info",
        "get_dynamic_info",
        "get_subnet_hyperparams",
        "get_subnet_hyperparams_v2",
        "get_subnet_hyperparams_v3",
        "get_subnet_info",
        "get_subnets_info",
        "get_subnet_info_v2",
        "get_subnets_info_v2",
        "get_coldkey_auto_stake_hotkey",
        "get_subnet_to_prune",
        "get_subnet_account_id",
        "get_next_epoch_start_block",
        "get_block_emission",
    ),
    "StakeInfoRuntimeApi": (
        "get_stake_info_for_coldkey",
        "get_stake_info_for_coldkeys",
        "get_stake_info_for_hotkey_coldkey_netuid",
        "get_stake_fee",
        "get_stake_availability_for_coldkeys",
        "get_coldkey_lock",
        "get_hotkey_conviction",
        "get_most_convicted_hotkey_on_subnet",
    ),
    "DelegateInfoRuntimeApi": ("get_delegates", "get_delegate", "get_delegated"),
    "SubnetRegistrationRuntimeApi": ("get_network_registration_cost",),
    "SwapRuntimeApi": (
        "current_alpha_price",
        "current_alpha_price_all",
        "sim_swap_tao_for_alpha",
        "sim_swap_alpha_for_tao",
    ),
    "ProxyFilterRuntimeApi": ("get_proxy_types",),
    "BetaBasketRuntimeApi": (
        "get_root_basket_owed",
        "get_basket_payout",
        "get_validator_basket_nav",
        "get_validator_basket",
        "get_root_basket_total_nav",
        "get_validator_basket_summary",
        "get_all_validator_baskets",
        "get_root_basket_positions",
        "get_basket_position",
        "get_root_basket_portfolio",
        "get_beta_pricing",
        "get_all_beta_pricing",
        "get_basket_trading_status",
    ),
}
"""The API methods that any of the clients in scripts/compat touches."""


def served(runtime: Runtime) -> dict[str, dict[str, Any]]:
    """What the runtime has, by pallet and kind; calls, events and errors with their index."""
    return {
        p.name: {
            "index": p.index,
            "storage": set(p.items),
            "calls": {c.name: i for i, c in p.calls.items()},
            "events": {e.__name__.rstrip("_"): i for i, e in p.events.items()},
            "errors": {e.__name__.rstrip("_"): i for i, e in p.errors.items()},
            "constants": set(p.constants),
        }
        for p in runtime.pallets.values()
    }


def compare(runtime: Runtime, upstream: dict[str, Any]) -> list[dict[str, Any]]:
    """One row a pallet: per kind how many are served and which are not."""
    ours = served(runtime)
    rows = []
    for pallet in upstream["pallets"]:
        mine = ours.get(pallet["name"])
        row: dict[str, Any] = {"pallet": pallet["name"], "index": pallet["index"]}
        for kind in KINDS:
            wanted = pallet[kind]
            missing = [
                name for name in wanted if mine is None or not _has(mine[kind], wanted, name)
            ]
            row[kind] = {
                "served": len(wanted) - len(missing),
                "of": len(wanted),
                "missing": missing,
            }
        row["wrong_index"] = mine is not None and mine["index"] != pallet["index"]
        rows.append(row)
    return rows


def _has(mine: Any, wanted: Any, name: str) -> bool:
    """Whether an item is there, at upstream's index where it has one."""
    return name in mine and (not isinstance(wanted, dict) or mine[name] == wanted[name])


def compare_apis(runtime: Runtime) -> dict[str, Any]:
    """The API methods that clients touch, served and missing."""
    names = [f"{api}_{method}" for api, methods in CLIENT_APIS.items() for method in methods]
    missing = [n for n in names if n not in runtime.methods]
    return {"served": len(names) - len(missing), "of": len(names), "missing": missing}


def unexplained(rows: list[dict[str, Any]], apis: dict[str, Any]) -> tuple[list[str], list[str]]:
    """Absences without a reason, and reasons for what is not absent."""
    reasons = [
        name for group in tomllib.loads(ABSENT.read_text())["absent"] for name in group["names"]
    ]
    absent = {f"{r['pallet']}.{n}" for r in rows for k in KINDS for n in r[k]["missing"]}
    absent |= set(apis["missing"])
    whole = {r["pallet"] for r in rows if all(r[k]["served"] == 0 for k in KINDS)}
    open_ones = [a for a in sorted(absent) if a not in reasons and a.split(".")[0] not in reasons]
    stale = [name for name in reasons if name not in absent and name not in whole]
    return open_ones, stale


def totals(rows: list[dict[str, Any]]) -> dict[str, tuple[int, int]]:
    """Served and total by kind."""
    return {k: (sum(r[k]["served"] for r in rows), sum(r[k]["of"] for r in rows)) for k in KINDS}


def main() -> int:
    """Print the comparison; exit code 1 when an absence is unexplained."""
    parser = argparse.ArgumentParser(prog="scripts/surface")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--missing", action="store_true", help="name everything that is absent")
    args = parser.parse_args()
    runtime = make_runtime()
    upstream = json.loads(NAMES.read_text())
    rows, apis = compare(runtime, upstream), compare_apis(runtime)
    open_ones, stale = unexplained(rows, apis)
    if args.json:
        print(json.dumps({"pallets": rows, "client_apis": apis, "unexplained": open_ones}))
        return 1 if open_ones or stale else 0
    print(f"{'pallet':26} " + " ".join(f"{k:>12}" for k in KINDS))
    for row in rows:
        cells = [f"{row[k]['served']}/{row[k]['of']}" if row[k]["of"] else "-" for k in KINDS]
        print(f"{row['pallet']:26} " + " ".join(f"{c:>12}" for c in cells))
    sums = totals(rows)
    print(f"{'all':26} " + " ".join(f"{f'{a}/{b}':>12}" for a, b in sums.values()))
    print(f"{'':26} " + " ".join(f"{f'{100 * a / b:.0f} %':>12}" for a, b in sums.values()))
    share = 100 * apis["served"] / apis["of"]
    print(f"runtime API methods that clients touch: {apis['served']}/{apis['of']} ({share:.0f} %)")
    if args.missing:
        for row in rows:
            for kind in KINDS:
                if row[kind]["missing"]:
                    print(f"{row['pallet']} {kind}: {', '.join(row[kind]['missing'])}")
        print(f"APIs: {', '.join(apis['missing'])}")
    if open_ones:
        print(
            f"{len(open_ones)} absences without a reason in docs/absent.toml: {open_ones[:8]} ..."
        )
    if stale:
        print(f"reasons in docs/absent.toml for what is served: {', '.join(stale)}")
    return 1 if open_ones or stale else 0


if __name__ == "__main__":
    sys.exit(main())
