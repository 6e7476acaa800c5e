"""The errors a user of the SDK can meet: one class a cause, one sentence a message.

Every message says what is wrong and, where there is one, the way out; the command line prints
it as it stands. Malformed SCALE input raises `ganglion.scale.DecodeError`, which is separate
because the codec knows nothing of this package's users.
"""

from __future__ import annotations

from typing import Any


class GanglionError(Exception):
    """Base of every error below; catch this to catch them all."""


class InvalidAddress(GanglionError, ValueError):
    """Text that is not an SS58 address, or one of another network."""


class InvalidKey(GanglionError, ValueError):
    """A mnemonic, seed or secret URI that yields no key."""


class CannotSign(GanglionError):
    """A signature was asked of a key pair that holds only the public half."""


class KeyfileError(GanglionError):
    """A key file that is missing, unreadable or not in a known format."""


class WrongPassword(KeyfileError):
    """The password does not open the key file."""


class AmountError(GanglionError, ValueError):
    """An amount that is not an exact, non-negative number of base units."""


class UnitMismatch(GanglionError, TypeError):
    """Two amounts of different tokens met in one sum or comparison."""


class MetadataError(GanglionError):
    """Metadata that cannot be used: an unknown version or a broken type registry."""


class UnknownName(GanglionError, LookupError):
    """A pallet, item, call, API or block that this chain does not have."""


class EncodeError(GanglionError, ValueError):
    """A value that does not fit the type the chain asks for."""


class NodeUnreachable(GanglionError, ConnectionError):
    """No connection to the node, or the connection was lost and could not be restored."""


class RequestTimeout(GanglionError, TimeoutError):
    """The node did not answer within the time allowed."""


class SubscriptionLost(GanglionError):
    """A subscription ended before the caller closed it."""


class RpcError(GanglionError):
    """The node answered a request with a JSON-RPC error.

    `code` and `data` are the node's own; `message` is its text.
    """

    def __init__(self, code: int, message: str, data: Any = None) -> None:
        self.code, self.message, self.data = code, message, data
        detail = f": {data}" if data not in (None, "") else ""
        super().__init__(f"{message}{detail} (code {code})")


class TransactionRejected(RpcError):
    """The node's pool refused a transaction or dropped it before inclusion."""


class TransactionFailed(GanglionError):
    """A transaction was included in a block but its dispatch failed.

    `pallet` and `name` are the chain's error, as in `Balances.InsufficientBalance`; both are
    empty for failures outside any pallet, such as `BadOrigin`, which is then in `name`.
    `doc` is the chain's own text, `remedy` what usually helps.
    """

    def __init__(self, pallet: str, name: str, doc: str = "", remedy: str = "") -> None:
        self.pallet, self.name, self.doc, self.remedy = pallet, name, doc, remedy
        where = f"{pallet}.{name}" if pallet else name
        said = " ".join(part for part in (doc, remedy) if part)
        super().__init__(f"{where}: {said}" if said else where)
