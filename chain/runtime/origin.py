"""Who calls: the origin, and the annotations by which a call says whom it admits.

`who: Signed` gives the account; `origin: Root` gives None; `who: SignedOrRoot` gives the
account or None for root; `Unsigned` admits inherents and unsigned extrinsics; `AnyOrigin`
hands the origin itself over, for calls that dispatch other calls.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Literal

from chain.runtime.call import RuntimeCall
from chain.runtime.errors import BadOrigin
from ganglion.scale import slotted
from ganglion.units import AccountId

Kind = Literal["signed", "root", "none"]
CallFilter = Callable[[RuntimeCall], bool]


@slotted
class Origin:
    """`who` is set for signed origins only; `filters` travel into calls inside calls."""

    kind: Kind
    who: AccountId | None = None
    filters: tuple[CallFilter, ...] = ()

    @property
    def is_root(self) -> bool:
        """Whether no account stands behind it and everything is allowed."""
        return self.kind == "root"

    def ensure_signed(self) -> AccountId:
        """The account behind it; raises BadOrigin."""
        if self.who is None:
            raise BadOrigin(f"not for a {self.kind} origin")
        return self.who

    def filtered(self, admits: CallFilter) -> Origin:
        """The same origin, limited to calls that `admits` too."""
        return replace(self, filters=(*self.filters, admits))

    def as_account(self, who: AccountId) -> Origin:
        """The origin of another account under the same filters."""
        return Origin("signed", who, self.filters)


ROOT = Origin("root")
NONE = Origin("none")


def signed(who: AccountId) -> Origin:
    """The origin of an extrinsic that `who` signed."""
    return Origin("signed", who)


class Admit:
    """Marks the origin parameter of a call; `kinds` are the origins it admits."""

    def __init__(self, *kinds: Kind, whole: bool = False) -> None:
        self.kinds = frozenset(kinds)
        self.whole = whole


Signed = Annotated[AccountId, Admit("signed")]
Root = Annotated[None, Admit("root")]
SignedOrRoot = Annotated[AccountId | None, Admit("signed", "root")]
Unsigned = Annotated[None, Admit("none")]
AnyOrigin = Annotated[Origin, Admit("signed", "root", "none", whole=True)]
