"""Refusals of the pool: upstream's code and text, then a sentence on cause and remedy.

Clients look for upstream's words in `message` and `data`, so those come first and unchanged;
`Custom error: N` stands alone because clients parse the number to the end of the text. No
remedy contains the words by which another refusal is recognised.
"""

from __future__ import annotations

from chain.runtime.validity import Invalid, InvalidTransaction, UnknownTransaction

BAD_FORMAT = 1001
INVALID = 1010
UNKNOWN = 1011
BANNED = 1012
ALREADY_IMPORTED = 1013
TOO_LOW_PRIORITY = 1014
CYCLE = 1015
IMMEDIATELY_DROPPED = 1016
NO_TAGS = 1019

_REMEDY = {
    Invalid.Call: "This call may not be sent as a transaction: inherents and disabled calls "
    "are made by block authors only.",
    Invalid.Payment: "The signer's free balance does not cover the fee: fund the account, or "
    "ask payment_queryInfo for the fee first.",
    Invalid.Future: "The nonce is ahead of the account: send the missing nonces first, or ask "
    "account_nextIndex for the next one.",
    Invalid.Stale: "Its nonce was used already or its era is over: take a fresh nonce from "
    "account_nextIndex and a recent block for the era, and sign again.",
    Invalid.BadProof: "The signed bytes differ from what this chain expects: check genesis "
    "hash, spec version, transaction version, nonce, era and metadata mode, and sign again.",
    Invalid.AncientBirthBlock: "The era starts at a block this chain no longer remembers or has "
    "never had: sign again with a recent block and a shorter period.",
    Invalid.ExhaustsResources: "The extrinsic is too heavy or too long for what is left of a "
    "block: split it, or send it again later.",
    Invalid.BadMandatory: "Only block authors send such calls.",
    Invalid.MandatoryValidation: "Only block authors send such calls.",
    Invalid.BadSigner: "The sending account may not sign: use another account.",
    Invalid.IndeterminateImplicit: "The node lacks data that the signature covers: send it again "
    "when the node is in sync.",
    Invalid.UnknownOrigin: "The extrinsic is not signed in a way this chain knows.",
}


class PoolError(Exception):
    """A transaction was not taken: JSON-RPC `code`, `message` and `data`."""

    def __init__(self, code: int, message: str, data: str | None = None) -> None:
        super().__init__(f"{message}: {data}" if data else message)
        self.code, self.message, self.data = code, message, data


def invalid(error: InvalidTransaction) -> PoolError:
    """The runtime says it cannot be applied."""
    data = str(error)
    if error.kind is not Invalid.Custom:
        data = f"{data.removesuffix('.')}. {_REMEDY[error.kind]}"
    return PoolError(INVALID, "Invalid Transaction", data)


def unknown(error: UnknownTransaction) -> PoolError:
    """The runtime cannot tell."""
    return PoolError(
        UNKNOWN,
        "Unknown Transaction Validity",
        f"{error}. Sign the transaction: unsigned ones are taken only where a pallet vouches "
        "for them.",
    )


def bad_format(reason: str) -> PoolError:
    """The bytes are no extrinsic of this chain."""
    return PoolError(
        BAD_FORMAT,
        f"Extrinsic has invalid format: {reason}",
        "Encode the extrinsic with this chain's current metadata (state_getMetadata).",
    )


def banned(seconds: int) -> PoolError:
    """These very bytes were found wanting a short while ago."""
    return PoolError(
        BANNED,
        "Transaction is temporarily banned",
        f"The same bytes were refused or expired; they are looked at again in {seconds} s. "
        "Signing anew gives a transaction with another hash.",
    )


def already_imported(tx_hash: bytes) -> PoolError:
    """It waits in the pool."""
    return PoolError(
        ALREADY_IMPORTED,
        "Transaction Already Imported",
        f"0x{tx_hash.hex()} waits in the pool: watch blocks for it instead of sending it again.",
    )


def too_low_priority(old: int, new: int) -> PoolError:
    """Another transaction holds the same nonce, at the same priority or a higher one."""
    return PoolError(
        TOO_LOW_PRIORITY,
        f"Priority is too low: ({old} vs {new})",
        "The transaction has too low priority to replace another transaction already in the "
        "pool. It has the same account and nonce: wait for the other, or take the next nonce "
        "from account_nextIndex.",
    )


def cycle() -> PoolError:
    """It needs what it provides."""
    return PoolError(CYCLE, "Cycle Detected", "The transaction depends on itself.")


def immediately_dropped() -> PoolError:
    """The pool is full of transactions that rank higher."""
    return PoolError(
        IMMEDIATELY_DROPPED,
        "Immediately Dropped",
        "The transaction couldn't enter the pool because of the limit. Send it again when "
        "blocks have drained the pool, or raise --pool-limit and --pool-kbytes.",
    )


def no_tags() -> PoolError:
    """Nothing identifies it."""
    return PoolError(
        NO_TAGS,
        "No tags provided",
        "Transaction does not provide any tags, so the pool can't identify it. Sign it, or send "
        "a call for which a pallet vouches unsigned.",
    )
