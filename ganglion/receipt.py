"""What became of a transaction: where it stands, what it caused, what it cost, why it failed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ganglion.errors import TransactionFailed
from ganglion.remedies import remedy
from ganglion.runtime import Event, ModuleError, Runtime
from ganglion.scale import DecodeError

_RESULT_FIELDS = ("sudo_result", "result", "error")
"""Fields in which Sudo, Proxy, Multisig and Utility report how the inner call went."""

_CARRIERS = ("Sudo", "Proxy", "Multisig", "Utility")


@dataclass(frozen=True, slots=True)
class Receipt:
    """A transaction in a block, or (without block) in the pool.

    `error` is why the dispatch failed, `inner_errors` why calls inside it did (sudo, proxy,
    multisig, batches), `fee` what was paid in rao.
    """

    extrinsic_hash: str
    block_hash: str | None = None
    block_number: int | None = None
    index: int | None = None
    events: tuple[Event, ...] = field(default=(), repr=False)
    fee: int = 0
    error: ModuleError | None = None
    inner_errors: tuple[ModuleError, ...] = ()
    finalized: bool = False

    @property
    def is_success(self) -> bool:
        """True if the transaction is in a block and it and all calls inside it succeeded."""
        return self.block_hash is not None and self.error is None and not self.inner_errors

    def check(self) -> Receipt:
        """This receipt, or TransactionFailed with the chain's reason."""
        found = self.error or next(iter(self.inner_errors), None)
        if found is not None:
            helps = remedy(found.pallet, found.name)
            raise TransactionFailed(found.pallet, found.name, found.doc, helps)
        return self

    def find(self, pallet: str, name: str) -> Event | None:
        """The first event of that name that this transaction caused."""
        return next((e for e in self.events if e.pallet == pallet and e.name == name), None)


def build_receipt(
    runtime: Runtime,
    extrinsic_hash: str,
    block: tuple[str, int],
    index: int,
    events: list[Event],
    finalized: bool,
) -> Receipt:
    """The receipt of extrinsic `index` of a block (hash, number) from the block's events.

    Raises DecodeError when the events do not say how it went.
    """
    own = tuple(e for e in events if e.extrinsic == index)
    outcome = next((e for e in own if e.pallet == "System" and e.name in _OUTCOMES), None)
    if outcome is None:
        raise DecodeError(f"block {block[1]} does not say how extrinsic {index} went")
    error = None
    if outcome.name == "ExtrinsicFailed":
        error = runtime.dispatch_error(outcome.args["dispatch_error"])
    paid = next((e for e in own if e.name == "TransactionFeePaid"), None)
    return Receipt(
        extrinsic_hash=extrinsic_hash,
        block_hash=block[0],
        block_number=block[1],
        index=index,
        events=own,
        fee=paid.args["actual_fee"] if paid else 0,
        error=error,
        inner_errors=tuple(_inner_errors(runtime, own)),
        finalized=finalized,
    )


_OUTCOMES = ("ExtrinsicSuccess", "ExtrinsicFailed")


def _inner_errors(runtime: Runtime, events: tuple[Event, ...]) -> list[ModuleError]:
    out = []
    for event in events:
        if event.pallet not in _CARRIERS or not isinstance(event.args, dict):
            continue
        for name in _RESULT_FIELDS:
            value: Any = event.args.get(name)
            if isinstance(value, dict) and "Err" in value:
                out.append(runtime.dispatch_error(value["Err"]))
            elif name == "error" and value is not None:
                out.append(runtime.dispatch_error(value))
    return out
