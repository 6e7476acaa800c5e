"""Timestamp (pallet 2): the block's time, set by an inherent. Upstream: pallet_timestamp."""

from __future__ import annotations

from chain.pallets.aura import SlotDuration, on_timestamp_set
from chain.runtime.call import DispatchClass, RuntimeCall
from chain.runtime.errors import CallError, ensure
from chain.runtime.origin import Unsigned
from chain.runtime.pallet import Constant, Pallet, call, constant, inherent, on_finalize
from chain.runtime.state import State
from chain.runtime.storage import Value, storage
from ganglion.scale import Compact
from ganglion.units import BlockNumber, Moment

MinimumPeriod: Constant[Moment] = constant(Moment(SlotDuration.value // 2))
"""The minimum period between blocks, in milliseconds."""

MAX_DRIFT = 30_000
"""How far ahead of the importer's clock a block's time may be, in milliseconds."""

Now: Value[Moment] = storage(default=Moment(0))
"""The current time for the current block."""

DidUpdate: Value[bool] = storage(default=False)
"""Whether the timestamp has been updated in this block."""


class BadTimestamp(CallError):
    """The inherent breaks a rule that an honest author keeps: the block is invalid."""


@call(0, weight=63_816_000, reads=2, writes=1, dispatch_class=DispatchClass.Mandatory)
def set(s: State, origin: Unsigned, now: Compact[Moment]) -> None:
    """Set the current time; once per block, by inherent."""
    before = s[Now]
    ensure(not s[DidUpdate], BadTimestamp("Timestamp must be updated only once in the block"))
    ensure(
        before == 0 or now >= before + MinimumPeriod.value,
        BadTimestamp("Timestamp must increment by at least <MinimumPeriod> between blocks"),
    )
    s[Now] = Moment(now)
    s[DidUpdate] = True
    on_timestamp_set(s, now)


@inherent
def set_inherent(s: State, now_ms: int, data: object) -> RuntimeCall:
    """The author's clock, but never before what the rules allow."""
    earliest = s[Now] + MinimumPeriod.value if s[Now] else 0
    return RuntimeCall(pallet.index, 0, (Moment(max(now_ms, earliest)),))


@on_finalize
def finalize(s: State, now: BlockNumber) -> None:
    """Forget that the time was set."""
    ensure(s[DidUpdate], BadTimestamp("Timestamp must be updated once in the block"))
    del s[DidUpdate]


pallet = Pallet("Timestamp", __name__).seal()
