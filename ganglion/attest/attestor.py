"""The one door to all verifiers: evidence and a policy in, a verdict out. Without IO or clock."""

from __future__ import annotations

from collections.abc import Sequence

from ganglion.attest import amd, intel, mock, nvidia
from ganglion.attest.evidence import (
    MACHINES,
    MOCK,
    NVIDIA,
    SNP,
    AttestUnavailable,
    BadEvidence,
    Evidence,
)
from ganglion.attest.policy import AttestPolicy
from ganglion.attest.roots import Roots
from ganglion.attest.verdict import Verdict
from ganglion.wire.fields import BadMessage

REPORT_DATA = 64


class Attestor:
    """Judges evidence with these roots of trust; without any, Intel's machines alone."""

    def __init__(self, roots: Roots | None = None) -> None:
        self.roots = roots or Roots()

    def verify(
        self, evidence: Evidence, policy: AttestPolicy, expected_report_data: bytes, now: float
    ) -> Verdict:
        """The verdict on one piece of evidence at `now` (seconds since 1970).

        `expected_report_data` has 64 bytes; of GPUs the first one's verdict is given. Raises
        BadEvidence for all that is wrong with it, AttestUnavailable for what is missing here.
        """
        return self._verified(evidence, policy, expected_report_data, now)[0]

    def _verified(
        self, evidence: Evidence, policy: AttestPolicy, expected: bytes, now: float
    ) -> tuple[Verdict, ...]:
        if len(expected) != REPORT_DATA:
            raise ValueError(f"report data has {REPORT_DATA} bytes")
        if evidence.kind == MOCK and not policy.test_only_mock:
            raise BadEvidence("mock evidence proves nothing, and this policy is not one for tests")
        if evidence.kind in MACHINES and evidence.kind not in policy.kinds:
            raise BadEvidence(f"the policy does not accept machines of kind {evidence.kind}")
        try:
            found = self._found(evidence, policy, expected, now)
        except BadEvidence:
            raise
        except BadMessage as e:
            raise BadEvidence(str(e)) from e
        return tuple(policy.check(verdict) for verdict in found)

    def _found(
        self, evidence: Evidence, policy: AttestPolicy, expected: bytes, now: float
    ) -> tuple[Verdict, ...]:
        if evidence.kind == MOCK:
            return (mock.verify(evidence, expected),)
        if evidence.kind == NVIDIA:
            return nvidia.verify(evidence, expected, now, self.roots.nvidia)
        if evidence.kind == SNP:
            return (amd.verify(evidence, expected, now, self.roots, policy.minimum_tcb),)
        return (intel.verify(evidence, expected, now, self.roots.intel),)

    def accept(
        self, pieces: Sequence[Evidence], policy: AttestPolicy, expected: bytes, now: float
    ) -> tuple[Verdict, ...]:
        """All verdicts that the policy asks for, the machine's first; BadEvidence if one lacks.

        Pieces that it does not ask for are not looked at.
        """
        trusted = policy.kinds | ({MOCK} if policy.test_only_mock else set())
        machine = next((p for p in pieces if p.kind in trusted), None)
        if machine is None:
            wanted = " or ".join(sorted(trusted))
            raise BadEvidence(f"the policy asks for evidence of kind {wanted}; there is none")
        found = self._verified(machine, policy, expected, now)
        if not policy.gpu:
            return found
        gpus = next((p for p in pieces if p.kind == NVIDIA), None)
        if gpus is None:
            raise BadEvidence("the policy asks for evidence of the GPUs too; there is none")
        return found + self._verified(gpus, policy, expected, now)


__all__ = ["AttestUnavailable", "Attestor", "BadEvidence"]
