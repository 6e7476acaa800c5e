"""Fast or slow blocks: one of two sets of constants, chosen once, when the runtime is loaded.

Upstream builds two binaries, with and without `fast-runtime`: 250 ms slots and short waits for
local networks, 12 s slots and the public network's waits otherwise. Ours is fast unless the
environment says GANGLION_SLOW_BLOCKS=1. A chain keeps the flavour it was made with: the two lie
in different folders.

Upstream's local networks are built with shorter waits whatever their blocks: GANGLION_SLOW_BLOCKS
is "local" for slow blocks with those waits.

Upstream: runtime_common::prod_or_fast
"""

from __future__ import annotations

import os
from typing import TypeVar

T = TypeVar("T")

_ASKED = os.environ.get("GANGLION_SLOW_BLOCKS", "0")
SLOW = _ASKED not in ("", "0")
"""Whether this process runs the slow build."""
LOCAL = not SLOW or _ASKED == "local"
"""Whether it has the waits of upstream's local networks."""


def slow_or_fast(slow: T, fast: T) -> T:
    """The value for this process's build."""
    return slow if SLOW else fast


def public_or_local(public: T, local: T) -> T:
    """The value for the public network or for a local one."""
    return local if LOCAL else public
