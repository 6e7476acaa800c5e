"""What a node's pool means when it refuses a transaction.

The runtime answers with numbers ("Custom error: 8"); the names are upstream's, from
`CustomTransactionError` of pallets/subtensor. The sentences are for people.
"""

from __future__ import annotations

import re

from ganglion.errors import TransactionRejected

CUSTOM_ERRORS: dict[int, tuple[str, str]] = {
    0: ("ColdkeyInSwapSchedule", "the cold key is about to be swapped and may do nothing else"),
    1: ("StakeAmountTooLow", "the amount is below the smallest stake"),
    2: ("BalanceTooLow", "the account does not hold that much"),
    3: ("SubnetNotExists", "there is no such subnet"),
    4: ("HotkeyAccountDoesntExist", "the hot key belongs to no account on this chain"),
    5: ("NotEnoughStakeToWithdraw", "less is staked than should be withdrawn"),
    6: ("RateLimitExceeded", "the same action was done too recently: wait some blocks"),
    7: ("InsufficientLiquidity", "the subnet's pool is too small for this amount"),
    8: ("SlippageTooHigh", "the price would move further than the limit allows"),
    9: ("TransferDisallowed", "this subnet does not allow stake to be transferred"),
    10: ("HotKeyNotRegisteredInNetwork", "the hot key is not registered on this subnet"),
    11: ("InvalidIpAddress", "the IP address cannot be served on"),
    12: ("ServingRateLimitExceeded", "the axon was announced too recently: wait some blocks"),
    13: ("InvalidPort", "the port cannot be served on"),
    14: ("ZeroMaxAmount", "with this price limit the largest possible amount is zero"),
    15: ("InvalidRevealRound", "the reveal round has passed already"),
    16: ("CommitNotFound", "no commit matches what is revealed"),
    17: ("CommitBlockNotInRevealRange", "the commit may not be revealed in this epoch"),
    18: ("InputLengthsUnequal", "the lists have different lengths"),
    19: ("UidNotFound", "the subnet has no neuron with this uid"),
    20: ("EvmKeyAssociateRateLimitExceeded", "the EVM key was associated too recently"),
    21: ("ColdkeySwapDisputed", "the cold key's swap is disputed: the account is frozen"),
    22: ("InvalidRealAccount", "the proxied account is not valid here"),
    23: ("FailedShieldedTxParsing", "the encrypted transaction cannot be read"),
    24: ("InvalidShieldedTxPubKeyHash", "it was encrypted for a key that is no longer in use"),
    25: ("NonAssociatedColdKey", "this cold key does not own the hot key"),
    26: ("DelegateTakeTooLow", "the take is below the minimum"),
    27: ("DelegateTakeTooHigh", "the take is above the maximum"),
    255: ("BadRequest", "the call cannot succeed in the present state"),
}

CODES: dict[int, tuple[str, str]] = {
    1001: ("BadFormat", "the bytes are no extrinsic of this chain: build it from its metadata"),
    1010: ("Invalid", "it cannot go into a block as it is; the words beside the code say why"),
    1011: ("Unknown", "the node cannot judge it now: look whether its chain is the right one"),
    1012: ("Banned", "it was refused before: wait half an hour, or change it"),
    1013: (
        "AlreadyImported",
        "the same transaction is waiting in the pool: look for it in a block",
    ),
    1014: ("TooLowPriority", "another one with this nonce is waiting: wait, or offer a higher tip"),
    1015: ("Cycle", "it needs what it brings itself: send it alone"),
    1016: (
        "ImmediatelyDropped",
        "the pool is full: send it again later, with a tip if it is urgent",
    ),
}
"""The codes of `author_submitExtrinsic`'s errors."""

_LONGEST_BARE_REASON = 80
"""Substrate's own reasons are shorter than this; what is longer explains itself."""

_CUSTOM = re.compile(r"Custom error: (\d+)")

_TEXTS = (
    ("inability to pay some fees", "the account cannot pay the fee"),
    ("transaction is outdated", "its nonce was used already, or its era is over"),
    ("will be valid in the future", "its nonce is ahead of the account's"),
    ("has a bad signature", "the signature does not match: wrong key, chain or runtime version"),
    ("ancient birth block", "its era began too long ago: sign it again"),
    ("block limit", "the block has no room for it: send it again"),
    ("temporarily banned", "it was refused before: wait, or change it"),
    ("already imported", "the same transaction is waiting in the pool"),
    ("priority is too low", "another transaction with this nonce is waiting in the pool"),
)


def explain_custom(number: int) -> tuple[str, str] | None:
    """Name and meaning of a custom pool error or of a code of the pool's, None if unknown."""
    return CUSTOM_ERRORS.get(number) or CODES.get(number)


def explain(text: str) -> str:
    """What the node's words mean, or an empty text when they say it themselves."""
    custom = _CUSTOM.search(text)
    if custom:
        found = CUSTOM_ERRORS.get(int(custom[1]))
        return f"{found[0]}: {found[1]}" if found else ""
    lowered = text.lower()
    return next((meaning for needle, meaning in _TEXTS if needle in lowered), "")


def explained(error: TransactionRejected) -> TransactionRejected:
    """The same refusal with its meaning in the message, unless the node gave one itself."""
    said = str(error.data or "")
    meaning = explain(f"{error.message} {said}")
    if not meaning or len(said) > _LONGEST_BARE_REASON:
        return error
    data = f"{error.data} ({meaning})" if error.data else meaning
    return TransactionRejected(error.code, error.message, data)
