"""A scripted node with the small metadata: blocks, storage and a pool as the test tells it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from scripted_node import Refusal, ScriptedNode, Silence
from small_metadata import build

from ganglion.extrinsic import extrinsic_hash
from ganglion.header import ZERO_HASH, Header
from ganglion.runtime import Runtime
from ganglion.scale import codec

METADATA = build()
RUNTIME = Runtime.from_bytes(METADATA, 1)
SUCCESS, FAILED = "0003", "000403010300" + "0000"


@dataclass
class Block:
    head: dict[str, Any]
    extrinsics: list[str] = field(default_factory=list)
    events: str = "0x00"

    @property
    def hash(self) -> str:
        return Header.from_json(self.head).hash


class ScriptedChain(ScriptedNode):
    """`grow` adds a block; the pool keeps what was submitted in `pool`."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks: list[Block] = []
        self.spec = 1
        self.final = 0
        self.pool: list[str] = []
        self.status_before_reply: list[Any] = []
        self.refusal: Refusal | None = None
        self.metadata_calls = 0
        self.salt = 0
        self.answers = {
            "chain_getBlockHash": self._block_hash,
            "chain_getFinalizedHead": lambda n, r: self.blocks[self.final].hash,
            "chain_getHeader": self._header,
            "chain_getBlock": self._block,
            "state_getRuntimeVersion": lambda n, r: self._version(),
            "state_call": self._state_call,
            "state_getMetadata": lambda n, r: "0x" + METADATA.hex(),
            "state_getStorage": self._storage,
            "state_subscribeRuntimeVersion": lambda n, r: "versions",
            "state_unsubscribeRuntimeVersion": lambda n, r: True,
            "chain_subscribeNewHeads": lambda n, r: "heads",
            "chain_unsubscribeNewHeads": lambda n, r: True,
            "system_accountNextIndex": lambda n, r: 0,
            "author_submitExtrinsic": self._submit,
            "author_submitAndWatchExtrinsic": self._watch,
            "author_unwatchExtrinsic": lambda n, r: True,
        }
        self.grow()

    def grow(self, count: int = 1, extrinsics: tuple[str, ...] = (), outcome: str = SUCCESS) -> str:
        for _ in range(count):
            number = len(self.blocks)
            head = {
                "parentHash": self.blocks[-1].hash if self.blocks else ZERO_HASH,
                "number": hex(number),
                "stateRoot": "0x" + f"{self.salt:02x}" * 32,
                "extrinsicsRoot": "0x" + "22" * 32,
                "digest": {"logs": ["0x0661757261080000"]},
            }
            records = "".join(
                "00" + n.to_bytes(4, "little").hex() + outcome + "00"
                for n in range(len(extrinsics))
            )
            events = f"0x{len(extrinsics) * 4:02x}{records}"
            self.blocks.append(Block(head, list(extrinsics), events))
        return self.blocks[-1].hash

    async def announce(self) -> None:
        await self.push("heads", self.blocks[-1].head)

    def find(self, block_hash: str) -> Block | None:
        return next((b for b in self.blocks if b.hash == block_hash), None)

    def _at(self, params: list[Any]) -> Block | None:
        return self.find(params[0]) if params and params[0] else self.blocks[-1]

    def _block_hash(self, _: ScriptedNode, request: dict[str, Any]) -> Any:
        params = request["params"]
        if not params:
            return self.blocks[-1].hash
        return self.blocks[params[0]].hash if params[0] < len(self.blocks) else None

    def _header(self, _: ScriptedNode, request: dict[str, Any]) -> Any:
        found = self._at(request["params"])
        return found.head if found else None

    def _block(self, _: ScriptedNode, request: dict[str, Any]) -> Any:
        found = self._at(request["params"])
        return {"block": {"header": found.head, "extrinsics": found.extrinsics}} if found else None

    def _version(self) -> dict[str, Any]:
        return {"specVersion": self.spec, "transactionVersion": 1}

    def _state_call(self, _: ScriptedNode, request: dict[str, Any]) -> Any:
        name = request["params"][0]
        if name == "Metadata_metadata_at_version":
            self.metadata_calls += 1
            return "0x" + codec(bytes | None).encode(METADATA).hex()
        if name == "Core_answer":
            return "0x0107"
        raise Refusal(-32603, "Exported method is not found")

    def _storage(self, _: ScriptedNode, request: dict[str, Any]) -> Any:
        key, *at = request["params"]
        if key == "0x" + RUNTIME.storage_key("System", "Events").hex():
            found = self._at(at)
            return found.events if found else None
        if key == "0x" + RUNTIME.storage_key("System", "Number").hex():
            return "0x07000000"
        return None

    def _submit(self, _: ScriptedNode, request: dict[str, Any]) -> Any:
        if self.refusal is not None:
            raise self.refusal
        self.pool.append(request["params"][0])
        return "0x" + extrinsic_hash(bytes.fromhex(request["params"][0][2:])).hex()

    async def _watch(self, _: ScriptedNode, request: dict[str, Any]) -> Any:
        self._submit(self, request)
        for status in self.status_before_reply:
            await self.push("watch", status)
        return "watch"


__all__ = ["FAILED", "RUNTIME", "SUCCESS", "Refusal", "ScriptedChain", "Silence"]
