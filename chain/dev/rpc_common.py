"""What the dev_* methods share: reaching the tools, and parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chain.author import CannotAuthor
from chain.dev.tools import DevError, DevTools
from chain.rpc.context import Node
from chain.rpc.errors import DEV_ERROR, RpcError, invalid_params
from chain.rpc.params import parse_hex
from ganglion import ss58
from ganglion.errors import InvalidAddress
from ganglion.units import AccountId, NetUid


def tools_of(node: Node) -> DevTools:
    """The node's tools."""
    assert isinstance(node.dev, DevTools), "dev methods are served on developers' nodes only"
    return node.dev


async def on_worker(node: Node, work: Callable[..., Any], *args: Any) -> Any:
    """Run a tool on the worker thread. Raises RpcError for what it refuses."""
    try:
        return await node.run(work, *args)
    except (DevError, CannotAuthor) as error:
        raise RpcError(DEV_ERROR, str(error)) from None


def account(text: str) -> AccountId:
    """An address as an account. Raises RpcError."""
    try:
        return ss58.decode(text)
    except InvalidAddress as error:
        raise invalid_params(f"address: {error}") from None


def subnet(number: int) -> NetUid:
    """A subnet's number. Raises RpcError."""
    if number >= 1 << 16:
        raise invalid_params(f"netuid: {number} is no subnet's number")
    return NetUid(number)


def hex_bytes(value: Any) -> bytes:
    """Bytes from 0x and hex digits. Raises RpcError."""
    if type(value) is not str or not value.startswith("0x"):
        raise invalid_params("expected hex digits after 0x")
    try:
        return parse_hex(value)
    except ValueError as error:
        raise invalid_params(str(error)) from None
