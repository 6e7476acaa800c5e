"""Why a dispatch failed: exceptions on the inside, `sp_runtime::DispatchError` on the wire."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Annotated, ClassVar

from ganglion.scale import Enumeration, Fixed, scale_type, u8, variant


@scale_type("sp_runtime::TokenError")
class TokenErrorKind(IntEnum):
    """What is wrong with a balance operation."""

    FundsUnavailable = 0
    OnlyProvider = 1
    BelowMinimum = 2
    CannotCreate = 3
    UnknownAsset = 4
    Frozen = 5
    Unsupported = 6
    CannotCreateHold = 7
    NotExpendable = 8
    Blocked = 9


@scale_type("sp_arithmetic::ArithmeticError")
class ArithmeticErrorKind(IntEnum):
    """What is wrong with a sum."""

    Underflow = 0
    Overflow = 1
    DivisionByZero = 2


@scale_type("sp_runtime::TransactionalError")
class TransactionalErrorKind(IntEnum):
    """What is wrong with nested storage layers."""

    LimitReached = 0
    NoLayer = 1


@scale_type("sp_runtime::proving_trie::TrieError")
class TrieErrorKind(IntEnum):
    """Errors of runtime tries; none of our pallets raises one."""

    InvalidStateRoot = 0
    IncompleteDatabase = 1
    ValueAtIncompleteKey = 2
    DecoderError = 3
    InvalidHash = 4
    DuplicateKey = 5
    ExtraneousNode = 6
    ExtraneousValue = 7
    ExtraneousHashReference = 8
    InvalidChildReference = 9
    ValueMismatch = 10
    IncompleteProof = 11
    RootMismatch = 12
    DecodeError = 13


@scale_type("sp_runtime::DispatchError")
class DispatchError(Enumeration):
    """The wire form, as events carry it."""


@variant(0)
class Other(DispatchError):
    """An error that has no number."""


@variant(1)
class CannotLookup(DispatchError):
    """An address that stands for no account."""


@variant(2, name="BadOrigin")
class BadOriginError(DispatchError):
    """Not for this caller."""


@scale_type("sp_runtime::ModuleError")
@dataclass(frozen=True, slots=True)
class ModuleErrorValue:
    """Error number `error[0]` of pallet `index`."""

    index: u8
    error: Annotated[bytes, Fixed(4)]


@variant(3)
class Module(DispatchError):
    """An error that a pallet declares."""

    _0: ModuleErrorValue


@variant(4)
class ConsumerRemaining(DispatchError):
    """The account is still in use."""


@variant(5)
class NoProviders(DispatchError):
    """Nothing keeps the account alive."""


@variant(6)
class TooManyConsumers(DispatchError):
    """Too many users of one account."""


@variant(7)
class Token(DispatchError):
    """A balance operation failed."""

    _0: TokenErrorKind


@variant(8)
class Arithmetic(DispatchError):
    """A sum left its range."""

    _0: ArithmeticErrorKind


@variant(9)
class Transactional(DispatchError):
    """A storage layer failed."""

    _0: TransactionalErrorKind


@variant(10)
class Exhausted(DispatchError):
    """Out of some resource."""


@variant(11)
class Corruption(DispatchError):
    """The state is broken."""


@variant(12)
class Unavailable(DispatchError):
    """Some resource is not there now."""


@variant(13)
class RootNotAllowed(DispatchError):
    """Root cannot do this."""


@variant(14)
class Trie(DispatchError):
    """A runtime trie failed."""

    _0: TrieErrorKind


class CallError(Exception):
    """Base of everything a call raises on purpose; the dispatch rolls back."""

    def value(self) -> DispatchError:
        """The wire form."""
        return Other()


class BadOrigin(CallError):
    """The origin is not admitted."""

    def value(self) -> DispatchError:
        return BadOriginError()


class PlainError(CallError):
    """One of the errors without fields, by value."""

    def __init__(self, value: DispatchError) -> None:
        super().__init__(type(value).__name__)
        self._value = value

    def value(self) -> DispatchError:
        return self._value


class TokenError(CallError):
    """A balance operation failed."""

    def __init__(self, kind: TokenErrorKind) -> None:
        super().__init__(kind.name)
        self.kind = kind

    def value(self) -> DispatchError:
        return Token(self.kind)


class ArithmeticFailure(CallError):
    """A sum left its range."""

    def __init__(self, kind: ArithmeticErrorKind = ArithmeticErrorKind.Overflow) -> None:
        super().__init__(kind.name)
        self.kind = kind

    def value(self) -> DispatchError:
        return Arithmetic(self.kind)


class ModuleError(CallError):
    """An error that a pallet declares: `NotRegistered = error(3, "...")`."""

    index: ClassVar[int] = -1
    pallet: ClassVar[str] = ""
    pallet_index: ClassVar[int] = -1

    def value(self) -> DispatchError:
        return Module(ModuleErrorValue(self.pallet_index, bytes((self.index, 0, 0, 0))))

    def __str__(self) -> str:
        return f"{self.pallet}.{type(self).__name__}: {type(self).__doc__}"


class Errors:
    """Namespace of a pallet's errors."""

    def __init_subclass__(cls) -> None:
        for name, entry in vars(cls).items():
            if isinstance(entry, type) and issubclass(entry, ModuleError):
                entry.__name__ = entry.__qualname__ = name


def error(index: int, doc: str) -> type[ModuleError]:
    """Declare error `index`; `doc` reaches clients through the metadata."""
    return type("error", (ModuleError,), {"index": index, "__doc__": doc})


def ensure(condition: bool, failure: type[CallError] | CallError) -> None:
    """Raise `failure` unless `condition` holds."""
    if not condition:
        raise failure
