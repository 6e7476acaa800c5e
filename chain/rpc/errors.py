"""JSON-RPC errors in upstream's codes and words.

Clients match on both: the codes 1010 to 1021 and the text of `data` are an interface (see
`chain.pool.errors`), and "State already discarded for" makes a client turn to an archive node.
Upstream: jsonrpsee's `types/src/error.rs`, Substrate's `client/rpc-api`.
"""

from __future__ import annotations

import orjson

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INVALID_PARAMS = -32602
INTERNAL_ERROR = -32603
TOO_MANY_SUBSCRIPTIONS = -32006
OVERSIZED_REQUEST = -32007
OVERSIZED_RESPONSE = -32008
TOO_BIG_BATCH = -32010

STATE_ERROR = 4003
STATE_INVALID_COUNT = 4002
DECODE_ERROR = 2
DEV_ERROR = 6000


class RpcError(Exception):
    """A refusal that reaches the caller: `code`, `message` and, unless None, `data`."""

    def __init__(self, code: int, message: str, data: object = None) -> None:
        super().__init__(message)
        self.code, self.message, self.data = code, message, data

    def to_json(self) -> bytes:
        body: dict[str, object] = {"code": self.code, "message": self.message}
        if self.data is not None:
            body["data"] = self.data
        return orjson.dumps(body)


def invalid_params(reason: str) -> RpcError:
    """The caller's parameters are wrong; `reason` says which and what was expected."""
    return RpcError(INVALID_PARAMS, "Invalid params", reason)


def unknown_block(block_hash: bytes) -> RpcError:
    """No header of this hash is known."""
    return RpcError(
        STATE_ERROR,
        f"Client error: UnknownBlock: Header was not found in the database: 0x{block_hash.hex()}",
        "No block of this hash is known here: check the hash and that the node follows the "
        "same chain.",
    )


def state_discarded(block_hash: bytes, *, in_call: bool) -> RpcError:
    """The block is known, its state is pruned; `in_call` picks the wording of state_call."""
    kind = "Api called for an unknown Block" if in_call else "UnknownBlock"
    return RpcError(
        STATE_ERROR,
        f"Client error: {kind}: State already discarded for 0x{block_hash.hex()}",
    )


def error_reply(request_id: bytes, error: RpcError) -> bytes:
    """The whole response object; `request_id` is the id as JSON."""
    return b'{"jsonrpc":"2.0","id":%b,"error":%b}' % (request_id, error.to_json())
