"""The model registry on the chain: read entries, register them, vouch for them.

Anybody may register a free name, so an entry counts only by who vouches for its content: the
hashes and the thresholds. `backing` says how much stake does.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from ganglion.client import Client
from ganglion.errors import UnknownName
from ganglion.hashing import blake2_256
from ganglion.keys import Keypair
from ganglion.receipt import Receipt
from ganglion.scale import Fixed, codec, u32, u64
from ganglion.subnet_views import Neuron
from ganglion.view import Reads
from subnets.models import ModelEntry, Thresholds

PALLET = "ModelRegistry"
Digest = Annotated[bytes, Fixed(32)]


@dataclass(frozen=True, slots=True)
class _Wire:
    """Thresholds as the chain encodes them."""

    exponents: u32
    mantissa_mean: u32
    mantissa_median: u32
    mismatch_ppm: u32
    margin: u64
    samples: u32


_CONTENT = codec(tuple[Digest, Digest, _Wire | None])


@dataclass(frozen=True, slots=True)
class Price:
    """What to expect to pay, in rao a million tokens."""

    prompt: int = 0
    completion: int = 0


@dataclass(frozen=True, slots=True)
class Registered:
    """A model on the chain. `vouchers` vouch for its present content, not for an earlier one."""

    entry: ModelEntry
    owner: str
    price: Price
    updated_at: int
    vouchers: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As the command line prints it."""
        return {
            **self.entry.to_json(),
            "owner": self.owner,
            "price": asdict(self.price),
            "updated_at": self.updated_at,
            "content": "0x" + content_of(self.entry).hex(),
            "vouchers": list(self.vouchers),
        }


def content_of(entry: ModelEntry) -> bytes:
    """What a vouch for this entry names: the hash of its hashes and thresholds."""
    fast = None if entry.fast is None else _Wire(**asdict(entry.fast))
    return blake2_256(_CONTENT.encode((entry.weights_hash, entry.tokenizer_hash, fast)))


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else bytes.fromhex(str(value).removeprefix("0x"))


def _name(key: Any) -> str:
    text = str(key)
    raw = key if isinstance(key, bytes) else _bytes(text) if text[:2] == "0x" else text.encode()
    return raw.decode("utf-8", "replace")


def _registered(name: str, value: dict[str, Any]) -> Registered:
    fast = value["fast"]
    entry = ModelEntry(
        name,
        _bytes(value["weights_hash"]),
        _bytes(value["tokenizer_hash"]),
        None if fast is None else Thresholds(**{k: int(v) for k, v in fast.items()}),
    )
    price = Price(int(value["price"]["prompt"]), int(value["price"]["completion"]))
    return Registered(entry, str(value["owner"]), price, int(value["updated_at"]))


async def listed(chain: Reads) -> list[Registered]:
    """All models, by name, without their vouchers. UnknownName where there is no registry."""
    found = await chain.query_map(PALLET, "Models")
    return sorted((_registered(_name(k), v) for k, v in found), key=lambda r: r.entry.name)


async def read(chain: Reads, name: str) -> Registered | None:
    """A model and who vouches for it as it is now; None if the chain knows no such model.

    Raises UnknownName where the chain has no registry at all.
    """
    value = await chain.query(PALLET, "Models", name.encode())
    if value is None:
        return None
    model = _registered(name, value)
    content = content_of(model.entry)
    vouches = await chain.query_map(PALLET, "Vouches", name.encode())
    current = tuple(sorted(str(who) for who, v in vouches if _bytes(v["content"]) == content))
    return Registered(model.entry, model.owner, model.price, model.updated_at, current)


async def read_if_any(chain: Reads, name: str) -> Registered | None:
    """As `read`, and None as well on a chain without a registry."""
    try:
        return await read(chain, name)
    except UnknownName:
        return None


def backing(model: Registered, neurons: Iterable[Neuron]) -> tuple[int, int]:
    """The stake of a subnet's validators that vouch, and of all; a hot or a cold key may vouch."""
    backers, backed, total = set(model.vouchers), 0, 0
    for neuron in neurons:
        if neuron.validator_permit:
            total += neuron.stake
            backed += neuron.stake if backers & {neuron.hotkey, neuron.coldkey} else 0
    return backed, total


async def register(client: Client, signer: Keypair, entry: ModelEntry, price: Price) -> Receipt:
    """Write an entry: a new one, or an update of the signer's own.

    Raises the errors of submitting, among them TransactionFailed when the name is another's.
    """
    known = await read(client, entry.name)
    call = await client.compose(
        PALLET,
        "register_model" if known is None else "update_model",
        model=entry.name.encode(),
        weights_hash=entry.weights_hash,
        tokenizer_hash=entry.tokenizer_hash,
        fast=None if entry.fast is None else asdict(entry.fast),
        price=asdict(price),
    )
    return (await client.submit(call, signer)).check()


async def vouch(client: Client, signer: Keypair, entry: ModelEntry) -> Receipt:
    """Vouch for an entry as it was checked here; the chain refuses if its own differs."""
    call = await client.compose(
        PALLET, "vouch", model=entry.name.encode(), content=content_of(entry)
    )
    return (await client.submit(call, signer)).check()


async def withdraw(client: Client, signer: Keypair, name: str) -> Receipt:
    """Vouch for a model no more."""
    call = await client.compose(PALLET, "withdraw_vouch", model=name.encode())
    return (await client.submit(call, signer)).check()


async def remove(client: Client, signer: Keypair, name: str) -> Receipt:
    """Remove one's own model; all deposits come back."""
    call = await client.compose(PALLET, "remove", model=name.encode())
    return (await client.submit(call, signer)).check()
