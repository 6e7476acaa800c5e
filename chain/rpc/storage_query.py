"""Storage questions of the new JSON-RPC specification: values, hashes, descendants, proofs.

Shared by chainHead_v1_storage and archive_v1_storage.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from chain.rpc.errors import invalid_params
from chain.rpc.params import parse_hex
from chain.store.states import StateView
from ganglion.hashing import blake2_256

KINDS = ("value", "hash", "closestDescendantMerkleValue", "descendantsValues", "descendantsHashes")
MAX_ITEMS = 1024


@dataclass(frozen=True, slots=True)
class Query:
    """One item asked for; `start` continues a walk over descendants."""

    key: bytes
    kind: str
    start: bytes | None = None


def parse_queries(items: list[Any], *, paginated: bool = False) -> list[Query]:
    """The queries in an `items` parameter; raises RpcError."""
    if len(items) > MAX_ITEMS:
        raise invalid_params(f"items: at most {MAX_ITEMS}")
    return [_parse(item, paginated) for item in items]


def _parse(item: Any, paginated: bool) -> Query:
    allowed = {"key", "type", "paginationStartKey"} if paginated else {"key", "type"}
    if type(item) is not dict or not {"key", "type"} <= set(item) <= allowed:
        raise invalid_params("items: each is an object of key and type")
    kind, start = item["type"], item.get("paginationStartKey")
    if kind not in KINDS:
        raise invalid_params(f"items: type is one of {', '.join(KINDS)}")
    if start is not None and not kind.startswith("descendants"):
        raise invalid_params("items: paginationStartKey belongs to descendants only")
    try:
        return Query(parse_hex(item["key"]), kind, None if start is None else parse_hex(start))
    except ValueError as error:
        raise invalid_params(f"items: {error}") from None


def answers(state: StateView, queries: list[Query]) -> Iterator[dict[str, str]]:
    """What the state has for the queries, in their order."""
    for query in queries:
        match query.kind:
            case "value" | "hash":
                value = state.get(query.key)
                if value is not None:
                    yield _entry(query.key, value, query.kind == "hash")
            case "closestDescendantMerkleValue":
                found = state.trie().closest_merkle_value(query.key)
                if found is not None:
                    yield {"key": _hex(query.key), "closestDescendantMerkleValue": _hex(found)}
            case _:
                hashed = query.kind == "descendantsHashes"
                for key, value in state.items(query.key, query.start):
                    yield _entry(key, value, hashed)


def _entry(key: bytes, value: bytes, hashed: bool) -> dict[str, str]:
    if hashed:
        return {"key": _hex(key), "hash": _hex(blake2_256(value))}
    return {"key": _hex(key), "value": _hex(value)}


def _hex(raw: bytes) -> str:
    return "0x" + raw.hex()
