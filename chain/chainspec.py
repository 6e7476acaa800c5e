"""Chain specifications: what a chain starts from and what it is called.

`dev` and `local` are built in; any other chain is a JSON file with a raw genesis, as
`build-spec --raw` writes it and as other Substrate nodes read it.
"""

from __future__ import annotations

import json
import os
from binascii import unhexlify
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chain.genesis import Genesis, build_genesis
from chain.runtime.flavour import SLOW
from chain.runtime.runtime import Runtime
from ganglion import ss58
from ganglion.errors import InvalidAddress
from ganglion.keys import CryptoType, dev_key
from ganglion.units import AccountId, Rao

RICH, MODEST = Rao(10**15), Rao(2 * 10**12)
RICH_NAMES = ("Alice", "Bob", "Charlie")
MODEST_NAMES = ("Dave", "Eve", "Ferdie", "One", "Two", "Three")
LOCAL_AUTHORITIES = ("One", "Two", "Three")

EXTRA_WALLET = "BT_DEFAULT_TOKEN_WALLET"
"""Environment variable: an address that starts as rich as Alice, as on upstream's localnet."""

PROPERTIES = {"ss58Format": 42, "tokenDecimals": 9, "tokenSymbol": "TAO"}


class BadSpec(Exception):
    """A chain specification that cannot be used; the message says why and what to do."""


@dataclass(frozen=True)
class ChainSpec:
    """Name, identity and raw genesis of a chain."""

    name: str
    id: str
    chain_type: str
    genesis: dict[bytes, bytes]
    properties: dict[str, Any] = field(default_factory=lambda: dict(PROPERTIES))
    boot_nodes: tuple[str, ...] = ()
    protocol_id: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The raw form that nodes and light clients read."""
        top = {"0x" + k.hex(): "0x" + v.hex() for k, v in sorted(self.genesis.items())}
        return {
            "name": self.name,
            "id": self.id,
            "chainType": self.chain_type,
            "bootNodes": list(self.boot_nodes),
            "telemetryEndpoints": None,
            "protocolId": self.protocol_id,
            "properties": self.properties,
            "codeSubstitutes": {},
            "genesis": {"raw": {"top": top, "childrenDefault": {}}},
        }


def preset(name: str, runtime: Runtime, nonce: bytes | None = None) -> ChainSpec:
    """The built-in chain `dev` (Alice authors) or `local` (One, Two and Three do).

    A fresh nonce gives every chain its own genesis hash, which clients key their caches by.
    """
    names = {"dev": ("Alice",), "local": LOCAL_AUTHORITIES}.get(name)
    if names is None:
        raise BadSpec(f"there is no built-in chain {name!r}: use dev, local or a JSON file")
    balances = [(dev_key(n).account_id, RICH) for n in RICH_NAMES]
    balances += [(dev_key(n).account_id, MODEST) for n in MODEST_NAMES]
    extra = _extra_wallet()
    if extra is not None and extra not in dict(balances):
        balances.append((extra, RICH))
    genesis = Genesis(
        balances=tuple(balances),
        authorities=tuple(dev_key(n).public_key for n in names),
        voters=tuple(dev_key(n, CryptoType.ED25519).public_key for n in names),
        sudo=dev_key("Alice").account_id,
        nonce=os.urandom(16) if nonce is None else nonce,
    )
    title = {"dev": "Development", "local": "Bittensor"}[name]
    kind = {"dev": "Development", "local": "Local"}[name]
    return ChainSpec(title, preset_id(name), kind, build_genesis(runtime, genesis))


def preset_id(name: str) -> str:
    """The id of a built-in chain, which names its folder."""
    return f"ganglion_{name}{'_slow' if SLOW else ''}"


def _extra_wallet() -> AccountId | None:
    address = os.environ.get(EXTRA_WALLET)
    if not address:
        return None
    try:
        return ss58.decode(address)
    except InvalidAddress as error:
        raise BadSpec(f"{EXTRA_WALLET} holds no address of this chain: {error}") from None


def load(path: Path) -> ChainSpec:
    """The specification in a file; raises BadSpec."""
    try:
        data = json.loads(path.read_text())
    except OSError as error:
        raise BadSpec(f"chain specification {path}: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise BadSpec(f"chain specification {path} is not JSON: {error}") from None
    return parse(data, str(path))


def parse(data: Any, origin: str) -> ChainSpec:
    """The specification in a decoded JSON value; raises BadSpec."""
    if not isinstance(data, dict):
        raise BadSpec(f"chain specification {origin}: expected a JSON object")
    genesis = data.get("genesis")
    raw = genesis.get("raw") if isinstance(genesis, dict) else None
    top = raw.get("top") if isinstance(raw, dict) else None
    if not isinstance(top, dict) or not top:
        raise BadSpec(
            f"chain specification {origin}: genesis.raw.top is missing; "
            "make a raw one with build-spec --raw"
        )
    chain_type = data.get("chainType", "Live")
    if isinstance(chain_type, dict):
        chain_type = str(chain_type.get("Custom", "Custom"))
    properties = data.get("properties") or dict(PROPERTIES)
    boot_nodes = data.get("bootNodes") or []
    if not isinstance(properties, dict) or not isinstance(boot_nodes, list):
        raise BadSpec(f"chain specification {origin}: properties or bootNodes of a wrong kind")
    return ChainSpec(
        name=_text(data, "name", origin),
        id=_text(data, "id", origin),
        chain_type=str(chain_type),
        genesis=_raw_map(top, origin),
        properties=properties,
        boot_nodes=tuple(map(str, boot_nodes)),
        protocol_id=data.get("protocolId"),
    )


def _text(data: dict[str, Any], key: str, origin: str) -> str:
    value = data.get(key)
    if not isinstance(value, str) or not value:
        raise BadSpec(f"chain specification {origin}: {key} is missing")
    if key == "id" and not all(c.isalnum() or c in "_-" for c in value):
        raise BadSpec(f"chain specification {origin}: id may hold letters, digits, _ and - only")
    return value


def _raw_map(top: dict[str, Any], origin: str) -> dict[bytes, bytes]:
    out = {}
    for key, value in top.items():
        try:
            if not key.startswith("0x") or not value.startswith("0x"):
                raise ValueError
            out[unhexlify(key[2:])] = unhexlify(value[2:])
        except (ValueError, AttributeError):
            raise BadSpec(
                f"chain specification {origin}: the genesis entry {key[:20]!r} is not hex"
            ) from None
    return out
