"""`scripts/adversaries`: the table of cheats, by what and after how many tokens each is caught."""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
from collections.abc import Sequence
from dataclasses import asdict
from statistics import median
from typing import Any

import numpy as np

from localnet import doors
from localnet.adversaries import Bench, Honest, Outcome, bench, false_rejects
from localnet.faults import KINDS
from localnet.splitting import split
from neurons import program
from neurons.engine.base import LanguageModel, bfloat16_patterns
from neurons.engine.folder import TINY
from subnets.proofs import toploc
from subnets.proofs.toploc import BadProof

SEEDS = 5
NOT_AT_THIS_SIZE = {"int8": "within the honest band of bfloat16", "stalling": "slow, not wrong"}
UNSEEN = (
    "resale of right answers, for the computation is right; delay, which earns less; what a miner "
    "keeps of what it read"
)


def honest_miners(exact: LanguageModel) -> list[Honest]:
    """Honest miners; those of the fast class if torch is there."""
    made = [
        Honest("exact x16", exact, 16),
        Honest("exact x16, drafts", exact, 16, draft=True),
        Honest("exact as fast x16", exact, 16, fast=True),
    ]
    try:
        import torch

        from neurons.engine.hf import HfModel
    except ImportError:
        return made
    for dtype in (torch.float32, torch.bfloat16):
        name, model = str(dtype).removeprefix("torch."), HfModel(TINY, "ganglion/tiny", dtype)
        made += [Honest(f"{name} x{width}", model, width) for width in (16, 4)]
        made.append(Honest(f"{name} x16, drafts", model, 16, draft=True))
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
    """Honest miners: how many answers the judge refuses."""
    miners = honest_miners(judge.loaded.model)
    rows = []
    for miner in miners:
        requests = chunks // len(miners) // 2 + miner.width
        seen, refused, guessed = await false_rejects(judge, miner, requests, seed=7)
        rows.append(
            {
                "engine": miner.name,
                "chunks": seen,
                "answers_refused": refused,
                "guessed_right": guessed,
            }
        )
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
    lines += [
        "",
        f"{'honest miner':20} {'chunks':>7} {'answers refused':>16} {'guessed right':>14}",
    ]
    lines += [
        f"{r['engine']:20} {r['chunks']:7} {r['answers_refused']:16} {r['guessed_right']:14}"
        for r in report["honest"]
    ]
    chunks = sum(r["chunks"] for r in report["honest"])
    refused = sum(r["answers_refused"] for r in report["honest"])
    lines += [f"{'together':20} {chunks:7} {refused:16}"]
    lines += ["", f"malformed fingerprints: {report['fuzz']}", ""]
    lines += [
        f"{d['name']:20} {'held' if d['held'] else 'BROKEN':7} {d['outcome']}"
        for d in report["doors"]
    ]
    lines += ["", f"not detectable: {UNSEEN}"]
    return "\n".join(lines)


async def report(options: argparse.Namespace) -> dict[str, Any]:
    """Run everything."""
    async with bench() as judge:
        return {
            "faults": await trials(judge, options.tokens),
            "honest": await honesty(judge, options.chunks),
            "fuzz": fuzz(options.fuzz),
            "doors": [asdict(one) for one in await doors.tries(judge.loaded)]
            + [asdict(await split(judge.loaded))],
        }


def main(argv: Sequence[str]) -> int:
    """Print the table.

    Exit code 1 if something detectable within the tokens was not caught, an honest answer was
    refused, or an attack on the server did not end as it must.
    """
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
    refused = [r for r in found["honest"] if r["answers_refused"]]
    broken = [d for d in found["doors"] if not d["held"]]
    return 1 if missed or refused or broken else 0


if __name__ == "__main__":
    program.limit_threads()
    sys.exit(main(sys.argv[1:]))
