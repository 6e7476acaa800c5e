"""What proofs cost, over three sizes of network and of scoring rule."""

from __future__ import annotations

import sys

from benchmark import run
from zk_cost import report

from subnets.zk.rule import ZkError

try:
    run(
        "zk",
        "Proofs with EZKL: a network of two layers, and the validator's scoring rule "
        "(exponent 2), by size. Memory is the peak of any stage. Setup, prove, key and memory must "
        "grow with the size.",
        report,
    )
except ZkError as e:
    sys.exit(str(e))
