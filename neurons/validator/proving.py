"""Proofs of weights beside the weights: made by a process of its own, one at a time, if wanted.

Nothing waits for a proof and nothing depends on one: if it cannot be made, one line says why.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from subnets.scoring import Record
from subnets.zk.bundle import Place
from subnets.zk.graph import MISSING
from subnets.zk.rule import scores_of

log = logging.getLogger("validator")


def wanted_prover(folder: Path | None, exponent: int) -> WeightProver | None:
    """The prover for a folder of keys; None, and a line in the log, where proofs cannot be made."""
    if folder is None:
        return None
    if find_spec("ezkl") is None:
        log.warning("weights are set without proofs: %s", MISSING.format("ezkl"))
        return None
    return WeightProver(folder, exponent)


class WeightProver:
    """Writes FOLDER/proofs/BLOCK.proof.json, to publish, and BLOCK.opening.json, to keep."""

    def __init__(self, folder: Path, exponent: int) -> None:
        self._folder, self._exponent = folder, exponent
        self._task: asyncio.Task[None] | None = None
        self.made = 0

    def start(self, place: Place, records: Mapping[int, Record]) -> None:
        """Begin to prove the weights of these records (by uid), unless a proof is under way."""
        if self._task is not None and not self._task.done():
            log.info("block %d: no proof, because the last one is still being made", place.block)
            return
        scores = {str(uid): score for uid, score in scores_of(records).items()}
        job = {
            "genesis": place.genesis.hex(),
            "netuid": place.netuid,
            "hotkey": place.hotkey,
            "block": place.block,
            "exponent": self._exponent,
            "scores": scores,
        }
        self._task = asyncio.create_task(self._prove(place.block, json.dumps(job).encode()))

    async def _prove(self, block: int, job: bytes) -> None:
        out = self._folder / "proofs" / str(block)
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "subnets.zk", "prove", str(self._folder), str(out)),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
            )
        except OSError as e:
            log.warning("block %d: no proof of the weights: %s", block, e)
            return
        try:
            _, errors = await process.communicate(job)
        finally:
            if process.returncode is None:
                process.kill()
        if process.returncode == 0:
            self.made += 1
            log.info("block %d: the weights are proven in %s.proof.json", block, out)
            return
        lines = errors.decode(errors="replace").strip().splitlines() or ["the prover ended"]
        log.warning("block %d: no proof of the weights: %s", block, lines[-1])

    async def wait(self) -> None:
        """Until no proof is under way."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def stop(self) -> None:
        """Give up what is under way."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
