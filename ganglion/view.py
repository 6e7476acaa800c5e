"""Reading the chain: storage, runtime APIs and what is made of them, at one block or at the head.

`Client` reads at the head; `client.at(block_hash)` reads at one block, so that several reads fit
together. Everything comes back decoded.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

from ganglion.balance import Balance
from ganglion.errors import NodeUnreachable, UnknownName
from ganglion.rpc import Rpc
from ganglion.rpc_core import result_bytes
from ganglion.runtime import Event, Runtime
from ganglion.subnet_views import (
    Metagraph,
    Neuron,
    Subnet,
    metagraph_of,
    neuron_of,
    subnet_of,
)

PAGE = 500


@dataclass(frozen=True, slots=True)
class Account:
    """An account's nonce and funds in rao; `reserved` and `frozen` cannot be spent freely."""

    nonce: int
    free: int
    reserved: int
    frozen: int


class Reads:
    """What can be read; `rpc` and `at` (a block hash, None for the head) come from the subclass."""

    rpc: Rpc
    at_hash: str | None = None

    async def runtime_here(self) -> Runtime:
        """The runtime whose types the state at this block has."""
        raise NotImplementedError

    # --- storage ---

    async def query(self, pallet: str, item: str, *keys: Any) -> Any:
        """The value of a storage item; a missing one is its default, or None if optional.

        Raises UnknownName, EncodeError, or the errors of the connection.
        """
        runtime = await self.runtime_here()
        key = runtime.storage_key(pallet, item, *keys)
        _full(runtime, pallet, item, len(keys))
        raw = await self.rpc.call("state_getStorage", self._params(_hex(key)))
        return runtime.storage_value(pallet, item, _maybe(raw))

    async def query_many(self, wanted: Sequence[tuple[Any, ...]]) -> list[Any]:
        """The values of several `(pallet, item, *keys)` at the same block, in one request."""
        runtime = await self.runtime_here()
        keys = []
        for pallet, item, *rest in wanted:
            _full(runtime, pallet, item, len(rest))
            keys.append(_hex(runtime.storage_key(pallet, item, *rest)))
        found = await self._values(keys, self.at_hash)
        return [
            runtime.storage_value(pallet, item, found.get(key))
            for (pallet, item, *_), key in zip(wanted, keys)
        ]

    async def query_map(
        self, pallet: str, item: str, *prefix: Any, limit: int | None = None
    ) -> list[tuple[Any, Any]]:
        """The entries of a map as (key, value), all at one block; with `prefix` keys, only those
        below. A key that is left of several is given alone, several as a tuple."""
        out: list[tuple[Any, Any]] = []
        async for entry in self.iter_map(pallet, item, *prefix):
            out.append(entry)
            if limit is not None and len(out) >= limit:
                break
        return out

    async def iter_map(
        self, pallet: str, item: str, *prefix: Any
    ) -> AsyncIterator[tuple[Any, Any]]:
        """As `query_map`, page by page."""
        runtime = await self.runtime_here()
        start = _hex(runtime.storage_key(pallet, item, *prefix))
        at = self.at_hash or await self.rpc.call("chain_getBlockHash", [])
        last = start
        while True:
            keys = await self.rpc.call("state_getKeysPaged", [start, PAGE, last, at])
            values = await self._values(keys, at) if keys else {}
            for key in keys:
                name = runtime.storage_map_key(pallet, item, result_bytes(key), len(prefix))
                yield name, runtime.storage_value(pallet, item, values.get(key))
            if len(keys) < PAGE:
                return
            last = keys[-1]

    async def _values(self, keys: list[str], at: str | None) -> dict[str, bytes | None]:
        params: list[Any] = [keys] if at is None else [keys, at]
        found = await self.rpc.call("state_queryStorageAt", params)
        try:
            return {key: _maybe(raw) for block in found for key, raw in block["changes"]}
        except (TypeError, KeyError, ValueError) as e:
            raise NodeUnreachable("the node sent storage values in an unknown form") from e

    # --- runtime APIs, constants, events ---

    async def api(self, api: str, method: str, *args: Any) -> Any:
        """The decoded result of a runtime API method.

        Raises UnknownName, EncodeError, or the errors of the connection.
        """
        runtime = await self.runtime_here()
        data = runtime.encode_api(api, method, *args)
        raw = await self.rpc.call("state_call", self._params(f"{api}_{method}", _hex(data)))
        return runtime.decode_api(api, method, result_bytes(raw))

    async def constant(self, pallet: str, name: str) -> Any:
        """A constant of a pallet."""
        return (await self.runtime_here()).constant(pallet, name)

    async def events(self) -> list[Event]:
        """The events of this block."""
        runtime = await self.runtime_here()
        key = runtime.storage_key("System", "Events")
        raw = await self.rpc.call("state_getStorage", self._params(_hex(key)))
        return runtime.events(_maybe(raw))

    # --- accounts and subnets ---

    async def account(self, address: Any) -> Account:
        """Nonce and funds of an account, which need not exist."""
        found = await self.query("System", "Account", address)
        data = found["data"]
        return Account(found["nonce"], data["free"], data["reserved"], data["frozen"])

    async def balance(self, address: Any) -> Balance:
        """The free TAO of an account."""
        return Balance((await self.account(address)).free)

    async def subnets(self) -> list[Subnet]:
        """All subnets."""
        found = await self.api("SubnetInfoRuntimeApi", "get_all_dynamic_info")
        return [subnet_of(s) for s in found if s is not None]

    async def subnet(self, netuid: int) -> Subnet:
        """One subnet; raises UnknownName if there is none with that number."""
        found = await self.api("SubnetInfoRuntimeApi", "get_dynamic_info", netuid)
        if found is None:
            raise UnknownName(f"there is no subnet {netuid}")
        return subnet_of(found)

    async def neurons(self, netuid: int) -> list[Neuron]:
        """The neurons of a subnet by uid."""
        found = await self.api("NeuronInfoRuntimeApi", "get_neurons_lite", netuid)
        return [neuron_of(n) for n in found]

    async def metagraph(self, netuid: int) -> Metagraph:
        """A subnet and all its neurons; raises UnknownName if there is none with that number."""
        found = await self.api("SubnetInfoRuntimeApi", "get_metagraph", netuid)
        if found is None:
            raise UnknownName(f"there is no subnet {netuid}")
        return metagraph_of(found)

    async def uid_of(self, netuid: int, hotkey: Any) -> int | None:
        """The uid of a hot key on a subnet, None if it is not registered there."""
        found: int | None = await self.query("SubtensorModule", "Uids", netuid, hotkey)
        return found

    async def stakes(self, coldkey: Any) -> list[dict[str, Any]]:
        """Where a cold key has stake: one StakeInfo per hot key and subnet."""
        found: list[dict[str, Any]] = await self.api(
            "StakeInfoRuntimeApi", "get_stake_info_for_coldkey", coldkey
        )
        return found

    def _params(self, *params: Any) -> list[Any]:
        return [*params] if self.at_hash is None else [*params, self.at_hash]


def _full(runtime: Runtime, pallet: str, item: str, given: int) -> None:
    wanted = len(runtime.storage(pallet, item).hashers)
    if given != wanted:
        hint = " (use query_map for several)" if given < wanted else ""
        raise UnknownName(f"{pallet}.{item} takes {wanted} keys and {given} were given{hint}")


def _hex(raw: bytes) -> str:
    return "0x" + raw.hex()


def _maybe(raw: Any) -> bytes | None:
    return None if raw is None else result_bytes(raw)
