"""A validator's memory of its miners, kept in one JSON file that survives restarts."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

from ganglion.errors import GanglionError
from subnets.hardware.judge import Capability
from subnets.scoring import Record

log = logging.getLogger(__name__)


class BookProblem(GanglionError):
    """The file of the scores cannot be read or written; the message says why."""


class Book:
    """Records by hotkey, what is known of hardware beside them, and commitments of weights that
    are still to be revealed.

    `place` names the chain and subnet that they are about: a file about another is set aside.
    """

    def __init__(self, path: Path | None, place: str = "") -> None:
        self.path, self.place = path, place
        self.records: dict[str, Record] = {}
        self.hardware: dict[str, Capability] = {}
        self.commits: list[dict[str, Any]] = []
        if path is not None and path.exists():
            try:
                self._read(path)
            except OSError as e:
                raise self._problem(e) from e

    def _problem(self, e: OSError) -> BookProblem:
        return BookProblem(
            f"the scores cannot be kept in {self.path} ({e.strerror}): name a file in a folder "
            "that you may write, with --state"
        )

    def _read(self, path: Path) -> None:
        try:
            stored = json.loads(path.read_text("utf-8"))
            if self.place and stored.get("place", self.place) != self.place:
                raise ValueError("it is about another chain or subnet")
            self.records = {k: Record.from_json(v) for k, v in stored["records"].items()}
            self.commits = list(stored["commits"])
            seen = stored.get("hardware", {})  # books of before know nothing of it
            self.hardware.update({k: Capability.from_json(v) for k, v in seen.items()})
        except (AttributeError, KeyError, TypeError, ValueError) as e:
            aside = path.with_suffix(".broken")
            path.replace(aside)
            log.warning(
                "%s cannot be used (%s); it is now %s and scores start anew", path, e, aside
            )

    def hardware_of(self, hotkey: str) -> Capability:
        """What is known of a miner's hardware, nothing if it was never asked."""
        return self.hardware.get(hotkey) or Capability()

    def keep_only(self, hotkeys: Collection[str]) -> None:
        """Forget hotkeys that left the subnet."""
        for gone in [h for h in self.records if h not in hotkeys]:
            del self.records[gone]
        for gone in [h for h in self.hardware if h not in hotkeys]:
            del self.hardware[gone]

    def save(self) -> None:
        """Write the file in one step, so that a crash leaves the old or the new one.

        BookProblem if that is not possible.
        """
        if self.path is None:
            return
        records = {hotkey: record.to_json() for hotkey, record in self.records.items()}
        hardware = {hotkey: known.to_json() for hotkey, known in self.hardware.items()}
        whole = {
            "place": self.place,
            "records": records,
            "hardware": hardware,
            "commits": self.commits,
        }
        fresh = self.path.with_suffix(".new")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            fresh.write_text(json.dumps(whole), "utf-8")
            os.replace(fresh, self.path)
        except OSError as e:
            raise self._problem(e) from e
