"""What an answer costs: unit prices, the terms a caller agrees to, and the receipt of a payment.

Whoever asks a paying miner names channel, lane and prices in the request itself, so that both
sides count alike and the miner's signed receipt, which commits to the request, commits to the
prices too. A miner counts what it has sent, a payer what has arrived; both round an answer's
price up to whole rao.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from ganglion import ss58
from ganglion.errors import InvalidAddress
from ganglion.hashing import blake2_256
from ganglion.scale import Fixed, codec, u32, u64
from ganglion.wire import fields
from ganglion.wire.fields import BadMessage
from ganglion.wire.receipt_tree import Frontier, Path, leads_to
from ganglion.wire.vouchers import NO_RECEIPTS

VOUCHER_PATH = "/v1/voucher"
CHUNK = 32
"""Tokens that a miner sends ahead of being paid for them, and that one fingerprint covers."""
MILLION = 1_000_000
MAX_PRICE = (1 << 63) - 1
MOST_PAID = 4096
"""Answers that one message with a voucher may be about."""
DOMAIN = b"ganglion/payment/1"
Digest = Annotated[bytes, Fixed(32)]


@dataclass(frozen=True, slots=True)
class UnitPrices:
    """Rao for a million tokens: of the prompt, of the part of it still in a cache, and new ones."""

    prompt: int
    cached: int
    completion: int

    @classmethod
    def flat(cls, price: int) -> UnitPrices:
        """The same price for every token."""
        return cls(price, price, price)

    @property
    def highest(self) -> int:
        """The dearest of them, which a caller's limit is compared with."""
        return max(self.prompt, self.cached, self.completion)

    def cost(self, prompt: int, completion: int, cached: int = 0) -> int:
        """Rao for so many tokens, rounded up; `cached` of the prompt's were in a cache."""
        due = (prompt - cached) * self.prompt + cached * self.cached + completion * self.completion
        return -(-due // MILLION)

    def covers(self, other: UnitPrices) -> bool:
        """Whether none of these is below the other's."""
        pairs = zip(self.to_json().values(), other.to_json().values())
        return all(mine >= asked for mine, asked in pairs)

    def to_json(self) -> dict[str, int]:
        """As an object."""
        return {"prompt": self.prompt, "cached": self.cached, "completion": self.completion}

    @classmethod
    def from_json(cls, value: object) -> UnitPrices:
        """Read a stranger's; BadMessage."""
        if not isinstance(value, dict):
            raise BadMessage("prices must be an object with prompt, cached and completion")
        names = ("prompt", "cached", "completion")
        prices = cls(*(fields.integer(value, name, 0, MAX_PRICE, None) for name in names))
        if prices.cached > prices.prompt:  # or a miner could earn by claiming to have all cached
            raise BadMessage("tokens from a cache cannot cost more than those that are read")
        return prices


@dataclass(frozen=True, slots=True)
class PayTerms:
    """How a request is paid. `known` (0 or 1): the first token is known already and costs nothing.

    Who resumes another's answer makes its last token once more, as it may have been the end.
    """

    channel: int
    lane: int
    prices: UnitPrices
    known: int = 0

    def to_json(self) -> dict[str, Any]:
        """As the field `pay` of a request."""
        body: dict[str, Any] = {"channel": self.channel, "lane": self.lane}
        body["prices"] = self.prices.to_json()
        if self.known:
            body["known"] = self.known
        return body

    @classmethod
    def from_json(cls, value: object) -> PayTerms:
        """Read a stranger's; BadMessage says what is malformed."""
        if not isinstance(value, dict):
            raise BadMessage("pay must be an object with channel, lane and prices")
        fields.only(value, frozenset({"channel", "lane", "prices", "known"}))
        return cls(
            fields.integer(value, "channel", 0, (1 << 64) - 1, None),
            fields.integer(value, "lane", 0, (1 << 16) - 1, None),
            UnitPrices.from_json(value.get("prices")),
            fields.integer(value, "known", 0, 1, 0),
        )

    def due(self, prompt: int, sent: int, cached: int = 0) -> int:
        """Rao for an answer of which `sent` tokens were sent; nothing before the first."""
        if not sent:
            return 0
        return self.prices.cost(prompt, max(sent - self.known, 0), cached)


@dataclass(frozen=True, slots=True)
class Offer:
    """What a miner asks, to which account, and for how many chunks it gives credit."""

    payee: bytes
    prices: UnitPrices
    credit: int = 1

    def to_json(self) -> dict[str, Any]:
        """As a miner's status tells it."""
        return {
            "payee": ss58.encode(self.payee),
            "prices": self.prices.to_json(),
            "chunk": CHUNK,
            "credit": self.credit,
        }

    @classmethod
    def from_json(cls, value: object) -> Offer:
        """Read a stranger's; BadMessage says what is malformed."""
        if not isinstance(value, dict) or value.get("chunk") != CHUNK:
            raise BadMessage(f"pay must be an object for chunks of {CHUNK} tokens")
        try:
            payee = ss58.decode(fields.text(value, "payee", 64), prefix=None)
        except InvalidAddress as e:
            raise BadMessage(f"payee must be an address: {e}") from e
        credit = fields.integer(value, "credit", 1, 1 << 20, None)
        return cls(payee, UnitPrices.from_json(value.get("prices")), credit)


@dataclass(frozen=True, slots=True)
class PaidAnswer:
    """What a lane paid for one answer: a leaf under the root that its vouchers carry.

    `request` is the request's id, `weights` names the model, `output` is the hash of the token
    ids, `receipt` the signing hash of the miner's signed receipt (zeros if it broke off before
    signing). `amount` is in rao. Tokens to resume from count among the prompt's.
    """

    request: Annotated[bytes, Fixed(16)]
    weights: Digest
    prompt_tokens: u32
    cached_tokens: u32
    tokens: u32
    price_prompt: u64
    price_cached: u64
    price_completion: u64
    output: Digest
    receipt: Digest
    amount: u64

    def leaf(self) -> bytes:
        """The 32 bytes that enter the tree."""
        return blake2_256(DOMAIN + PAID_ANSWER.encode(self))

    def is_under(self, root: bytes, path: Path) -> bool:
        """Whether the path leads from this answer to a voucher's root."""
        return leads_to(self.leaf(), path, root)


PAID_ANSWER = codec(PaidAnswer)


def output_hash(tokens: Sequence[int]) -> bytes:
    """The hash of an answer's token ids, 4 bytes each."""
    return blake2_256(b"".join(token.to_bytes(4, "little") for token in tokens))


def root_under(frontier: Frontier) -> bytes:
    """The root that a voucher carries after these answers."""
    return frontier.root() if frontier.count else NO_RECEIPTS


@dataclass(frozen=True, slots=True)
class VoucherMessage:
    """A voucher on its way, and which answers it pays: the rao paid so far for each request id."""

    voucher: Mapping[str, str]
    paid: tuple[tuple[bytes, int], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The body of a POST to VOUCHER_PATH."""
        return {**self.voucher, "paid": [["0x" + i.hex(), amount] for i, amount in self.paid]}

    @classmethod
    def from_bytes(cls, body: bytes) -> VoucherMessage:
        """Read a stranger's; BadMessage. The voucher itself is read by SignedVoucher."""
        given = fields.load_object(body)
        fields.only(given, frozenset({"voucher", "signature", "crypto", "paid"}))
        paid = given.pop("paid", [])
        if not isinstance(paid, list) or len(paid) > MOST_PAID:
            raise BadMessage(f"paid must be a list of at most {MOST_PAID} pairs")
        return cls(given, tuple(map(_paid, paid)))


def _paid(pair: object) -> tuple[bytes, int]:
    if not isinstance(pair, list) or len(pair) != 2:
        raise BadMessage("paid must hold pairs of a request id and rao")
    named = {"id": pair[0], "amount": pair[1]}
    identity = fields.hexadecimal(named, "id", 16)
    return identity, fields.integer(named, "amount", 0, MAX_PRICE, None)
