"""All methods of a node, put together: `rpc_methods` lists exactly these."""

from __future__ import annotations

from collections.abc import Iterable

from chain.rpc import archive, author, chain, chain_head, payment, state, system, transaction
from chain.rpc.context import Node
from chain.rpc.custom import custom_methods
from chain.rpc.methods import MethodTable
from chain.runtime.runtime import Runtime

_about = MethodTable()


@_about.rpc("rpc_methods")
def rpc_methods(node: Node) -> dict[str, list[str]]:
    """The names of all methods that this node serves."""
    return {"methods": list(node.names)}


LEGACY = (author.methods, chain.methods, payment.methods, state.methods, system.methods)
CURRENT = (chain_head.methods, transaction.methods)


def method_table(
    runtime: Runtime,
    *,
    unsafe: bool,
    keeps_all: bool,
    networked: bool = False,
    extra: Iterable[MethodTable] = (),
) -> MethodTable:
    """The table for one node.

    `unsafe` admits what should not be offered to strangers, `keeps_all` says that the state of
    every block is kept, `networked` that there is a network.
    """
    tables = [*LEGACY, *CURRENT]
    if keeps_all:
        tables.append(archive.methods)
    if networked:
        tables.append(system.network_methods)
    table = MethodTable([*tables, custom_methods(runtime), _about, *extra])
    if not unsafe:
        table.methods = {n: m for n, m in table.methods.items() if not m.unsafe}
    table.methods = dict(sorted(table.methods.items()))
    return table
