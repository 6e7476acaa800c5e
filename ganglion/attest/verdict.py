"""What a verifier found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ganglion.attest.evidence import MACHINES


@dataclass(frozen=True, slots=True)
class Verdict:
    """Evidence that held: the state of the firmware, what runs (name to hex), known weaknesses."""

    kind: str
    status: str
    measurements: Mapping[str, str]
    advisories: tuple[str, ...] = ()

    @property
    def confidential(self) -> bool:
        """Whether this is about a machine that keeps its operator out; a mock never is."""
        return self.kind in MACHINES
