"""Transaction extensions: what is checked and charged around every extrinsic.

An extension validates (in the pool and again in the block), may change state before the call
(`prepare`, for fees and nonces), and may settle afterwards (`post_dispatch`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from chain.runtime.call import DispatchInfo, RuntimeCall
from chain.runtime.state import State
from chain.runtime.validity import Validity
from ganglion.units import AccountId


@dataclass(slots=True)
class Context:
    """One extrinsic on its way through the extensions."""

    who: AccountId | None
    call: RuntimeCall
    info: DispatchInfo
    length: int
    nonce: int = 0
    tip: int = 0
    era: bytes = b"\0"
    mode: int = 0
    in_block: bool = True
    validity: Validity = field(default_factory=Validity)
    notes: dict[str, Any] = field(default_factory=dict)


class Extension:
    """Base: an extension that encodes nothing and checks nothing.

    `explicit` and `implicit` are the SCALE types that travel in the extrinsic and that are
    only signed; both appear in metadata under `identifier`.
    """

    identifier: str
    explicit: Any = None
    implicit: Any = None

    def validate(self, s: State, ctx: Context) -> None:
        """Raise InvalidTransaction, or add to `ctx.validity`. Must not write."""

    def prepare(self, s: State, ctx: Context) -> None:
        """Write what must stay even when the call fails; raises InvalidTransaction."""

    def post_dispatch(self, s: State, ctx: Context, weight: int, failed: bool) -> None:
        """Settle after the call; `weight` is what it used."""
