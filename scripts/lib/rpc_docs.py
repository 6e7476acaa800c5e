"""The RPC reference, from the declarations: prints docs/rpc.md."""

from __future__ import annotations

from collections.abc import Iterable

from chain.node import DEV_METHODS
from chain.rpc import archive, author, chain, chain_head, payment, state, system, transaction
from chain.rpc.custom import BRIDGES, Bridge
from chain.rpc.methods import Method, MethodTable

HEAD = """# RPC methods

One port serves JSON-RPC 2.0 over HTTP POST and WebSocket; batches work on both, subscriptions on
the latter. `rpc_methods` lists what a given node serves. Errors have upstream's codes and words,
and `data` adds one sentence of cause and remedy where no client parses it.

Parameters come as an array in this order, or as an object by name; `?` marks those that may be
left out or null. `hex` is bytes in hex, with or without 0x, `hash` 32 of them, usually a block's
(left out: the best); a `number` may also be 0x and hex digits; `[x]` is an array of x; of
`any` the text says more.

Written by `scripts/rpc-docs` from the declarations in `chain/rpc` and `chain/dev`.
"""

SECTIONS: tuple[tuple[str, str, Iterable[MethodTable]], ...] = (
    ("Chain", "Blocks and headers.", (chain.methods,)),
    ("State", "Storage, runtime calls, metadata.", (state.methods,)),
    ("Author", "Transactions.", (author.methods,)),
    ("Payment", "Fees.", (payment.methods,)),
    ("System", "The node itself.", (system.methods,)),
    ("Network", "Only on a node that has a network.", (system.network_methods,)),
    ("The head of the chain", "json-rpc-interface-spec, chainHead.", (chain_head.methods,)),
    (
        "Transactions and chain specification",
        "json-rpc-interface-spec, transaction, transactionWatch and chainSpec.",
        (transaction.methods,),
    ),
    (
        "The archive",
        "json-rpc-interface-spec, archive; only on a node that keeps every state.",
        (archive.methods,),
    ),
    ("Developers' tools", "Only on a developers' chain (`--dev`).", DEV_METHODS),
)


def render() -> str:
    """The whole document."""
    parts = [HEAD]
    for title, about, tables in SECTIONS:
        parts.append(f"## {title}\n\n{about}\n\n{_table(MethodTable(tables))}")
    rows = "\n".join(
        f"| `{b.rpc}` | {_parameters(b)} | {b.api.replace('_', '.', 1)} |" for b in BRIDGES
    )
    head = "| method | parameters | runtime API |\n|---|---|---|"
    parts.append(
        "## Upstream's own\n\nA runtime API's answer as an array of bytes, or as a number; served "
        f"where the runtime has the API.\n\n{head}\n{rows}\n"
    )
    return "\n".join(parts)


def _table(table: MethodTable) -> str:
    lines = ["| method | parameters | what it does |", "|---|---|---|"]
    seen: dict[str, str] = {}
    for method in table.methods.values():
        text = " ".join(method.doc.split("\n\n")[0].split())
        if text in seen.values() and not method.doc.startswith("End what"):
            text = f"the same as `{next(n for n, t in seen.items() if t == text)}`"
        else:
            seen[method.name] = text
        note = " Not for strangers: see `--rpc-methods`." if method.unsafe else ""
        lines.append(f"| `{method.name}` | {_parameters(method)} | {text}{note} |")
    return "\n".join(lines) + "\n"


def _parameters(method: Method | Bridge) -> str:
    texts = []
    for p in method.parameters():
        default = f" = {p.default}" if p.default is not None else ""
        texts.append(f"`{p.name}{'' if p.required else '?'}: {p.kind}{default}`")
    return ", ".join(texts)


if __name__ == "__main__":
    print(render(), end="")
