"""Fast or slow blocks: one of two sets of constants, chosen once, when the runtime is loaded.

Upstream builds two binaries, with and without `fast-runtime`: 250 ms slots and short waits for
local networks, 12 s slots and the public network's waits otherwise. Ours is fast unless the
environment says GANGLION_SLOW_BLOCKS=1. A chain keeps the flavour it was made with: the two lie
in different folders.

Upstream: runtime_common::prod_or_fast
"""

from __future__ import annotations

import os
from typing import TypeVar

T = TypeVar("T")

SLOW = os.environ.get("GANGLION_SLOW_BLOCKS", "0") not in ("", "0")
"""Whether this process runs the slow build."""


def slow_or_fast(slow: T, fast: T) -> T:
    """The value for this process's build."""
    return slow if SLOW else fast
