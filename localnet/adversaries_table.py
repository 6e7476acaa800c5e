"""`scripts/adversaries`: the table of cheats, by what and after how many tokens each is caught."""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
from collections.abc import Sequence
from statistics import median
from typing import Any

import numpy as np

from localnet.adversaries import Bench, Outcome, bench, false_rejects
from localnet.faults import KINDS
from neurons import program
from neurons.engine.base import LanguageModel, bfloat16_patterns
from neurons.engine.folder import TINY
from subnets.proofs import toploc
from subnets.proofs.toploc import BadProof

SEEDS = 5
NOT_AT_THIS_SIZE = {"int8": "within the honest band of bfloat16", "stalling": "slow, not wrong"}
ELSEWHERE = (
    ("unsigned request", "refused by the gate (401) before anything reads it"),
    ("replayed request", "refused by the gate (401): nonce seen, or older than the server"),
    ("slow-loris", "cut after 10 s without a whole request, 20 s without a head"),
    ("burst streaming", "gains nothing: speed counts to the last token"),
    ("resale of honest answers", "not detectable: the computation is right; a shared address is"),
)


def honest_engines() -> dict[str, tuple[LanguageModel, int]]:
    """Honest engines of the fast class, if torch is there."""
    try:
        import torch

        from neurons.engine.hf import HfModel
    except ImportError:
        return {}
    made: dict[str, tuple[LanguageModel, int]] = {}
    for dtype in (torch.float32, torch.bfloat16):
        name = str(dtype).removeprefix("torch.")
        made[f"{name} x16"] = HfModel(TINY, "ganglion/tiny", dtype), 16
        made[f"{name} x4"] = HfModel(TINY, "ganglion/tiny", dtype), 4
    return made


async def trials(judge: Bench, tokens: int) -> list[dict[str, Any]]:
    """Every kind in both classes, several seeds each."""
    rows = []
    for kind in KINDS:
        if kind == "stalling":
            continue
        for exact in (True, False):
            found: list[Outcome] = [
                await judge.until_caught(kind, exact, tokens, seed) for seed in range(SEEDS)
            ]
            caught = [o for o in found if o.caught]
            rows.append(
                {
                    "kind": kind,
                    "class": "exact" if exact else "fast",
                    "caught": len(caught),
                    "of": SEEDS,
                    "by": sorted({str(o.reason) for o in caught}),
                    "tokens_median": median([o.tokens for o in caught]) if caught else None,
                    "tokens_max": max((o.tokens for o in caught), default=None),
                }
            )
    return rows


async def honesty(judge: Bench, chunks: int) -> list[dict[str, Any]]:
    """Honest engines: how many answers the judge refuses."""
    engines = honest_engines() | {"exact x16": (judge.loaded.model, 16)}
    rows = []
    for name, (model, width) in engines.items():
        requests = chunks // max(1, len(engines)) // 2 + width
        seen, refused = await false_rejects(judge, model, requests, width, seed=7)
        rows.append({"engine": name, "chunks": seen, "answers_refused": refused})
    return rows


def fuzz(cases: int) -> dict[str, int]:
    """Malformed fingerprints against the parser: how many were refused, how many read as far."""
    rng = random.Random(5)
    states = bfloat16_patterns(np.random.default_rng(5).normal(size=(32, 128)))
    good, counts = toploc.build(states)[0], {"refused": 0, "far": 0, "near": 0}
    for case in range(cases):
        proof = bytearray(good)
        if case % 3 == 0:
            proof = bytearray(rng.randbytes(rng.choice((0, 1, 2, 257, 258, 259, 516))))
        elif case % 3 == 1:
            proof[0:2] = rng.randbytes(2)
        else:
            at = rng.randrange(len(proof))
            proof[at] ^= 1 << rng.randrange(8)
        try:
            distance = toploc.compare((bytes(proof),), states)[0]
        except BadProof:
            counts["refused"] += 1
        else:
            counts["far" if distance.exponents > 10 else "near"] += 1
    return counts


def show(report: dict[str, Any]) -> str:
    """The report as text."""
    lines = [f"{'fault':18} {'class':6} {'caught':7} {'tokens':>13}  by"]
    for row in report["faults"]:
        when = f"{row['tokens_median']:g} (max {row['tokens_max']})" if row["caught"] else "-"
        note = ", ".join(row["by"]) or NOT_AT_THIS_SIZE.get(row["kind"], "NOT DETECTED")
        lines.append(
            f"{row['kind']:18} {row['class']:6} {row['caught']}/{row['of']:<5} {when:>13}  {note}"
        )
    lines += ["", f"{'honest engine':18} {'chunks':>7} {'answers refused':>16}"]
    lines += [
        f"{r['engine']:18} {r['chunks']:7} {r['answers_refused']:16}" for r in report["honest"]
    ]
    lines += ["", f"malformed fingerprints: {report['fuzz']}", ""]
    lines += [f"{name:26} {what}" for name, what in ELSEWHERE]
    return "\n".join(lines)


async def report(options: argparse.Namespace) -> dict[str, Any]:
    """Run everything."""
    async with bench() as judge:
        return {
            "faults": await trials(judge, options.tokens),
            "honest": await honesty(judge, options.chunks),
            "fuzz": fuzz(options.fuzz),
        }


def main(argv: Sequence[str]) -> int:
    """Print the table; exit code 1 if something detectable within the tokens was not caught."""
    parser = argparse.ArgumentParser("scripts/adversaries")
    parser.add_argument("--tokens", type=int, default=128, help="tokens a fault may answer")
    parser.add_argument("--chunks", type=int, default=2000, help="honest chunks to judge")
    parser.add_argument("--fuzz", type=int, default=100_000, help="malformed fingerprints")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(argv)
    found = asyncio.run(report(options))
    print(json.dumps(found) if options.json else show(found))
    missed = [
        r for r in found["faults"] if r["caught"] < r["of"] and r["kind"] not in NOT_AT_THIS_SIZE
    ]
    return 1 if missed else 0


if __name__ == "__main__":
    program.limit_threads()
    sys.exit(main(sys.argv[1:]))
