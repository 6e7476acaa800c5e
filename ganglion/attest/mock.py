"""Evidence that anybody can make: for local networks and tests of what hangs on a verdict."""

from __future__ import annotations

from ganglion.attest.evidence import MOCK, BadEvidence, Evidence
from ganglion.attest.verdict import Verdict
from ganglion.wire import fields


def verify(evidence: Evidence, expected_report_data: bytes) -> Verdict:
    """A verdict of kind mock, which is never confidential; BadEvidence for other report data."""
    fields.only(evidence.fields, frozenset({"report_data"}))
    if fields.hexadecimal(evidence.fields, "report_data", 64) != expected_report_data:
        raise BadEvidence("the mock evidence is bound to another miner, key or block")
    return Verdict(MOCK, MOCK, {})
