"""What every command that submits shares: its options, signing, and showing what became of it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from ganglion.balance import format_amount
from ganglion.cli.common import (
    ROOT_DEFAULT,
    URL_DEFAULT,
    Json,
    Root,
    Signer,
    Url,
    ask,
    show,
    signer_of,
)
from ganglion.client import Client
from ganglion.keys import Keypair
from ganglion.receipt import Receipt
from ganglion.registry import Call
from ganglion.runtime import Runtime

Final = Annotated[bool, typer.Option("--finalized", help="Wait until the block is final.")]
Dry = Annotated[bool, typer.Option("--dry-run", help="Show the call and its fee; sign nothing.")]


@dataclass(frozen=True, slots=True)
class How:
    """How to send: where, by whom, and how long to wait."""

    signer: str
    url: str
    root: Path
    finalized: bool
    dry_run: bool
    as_json: bool
    hotkey: bool = False

    def by_hotkey(self) -> How:
        """The same, signed by the wallet's hot key."""
        return replace(self, hotkey=True)

    def key(self) -> Keypair:
        """Who signs; raises InvalidKey or KeyfileError."""
        return signer_of(self.signer, self.root, hotkey=self.hotkey)


def options(
    signer: Signer = "",
    url: Url = URL_DEFAULT,
    root: Root = ROOT_DEFAULT,
    finalized: Final = False,
    dry_run: Dry = False,
    as_json: Json = False,
) -> How:
    """The options of all that sends."""
    return How(signer, url, root, finalized, dry_run, as_json)


def sending(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of all sending in place of its parameter `how`."""
    shared = inspect.signature(options, eval_str=True).parameters
    own = inspect.signature(command, eval_str=True).parameters

    @wraps(command)
    def run(**given: Any) -> None:
        how = options(**{name: given.pop(name) for name in shared})
        command(how=how, **given)

    # typer reads both; parameters without a default come first
    merged = [p for name, p in own.items() if name != "how"] + list(shared.values())
    keyword = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in merged]
    run.__signature__ = inspect.Signature(keyword)  # type: ignore[attr-defined]
    run.__annotations__ = {p.name: p.annotation for p in merged}
    del run.__wrapped__  # type: ignore[attr-defined]
    return run


def send(how: How, make: Callable[[Runtime], Call]) -> None:
    """Compose, sign, submit and show what became of it; raises TransactionFailed."""
    signer = how.key()

    async def work(client: Client) -> dict[str, Any]:
        call = make(client.runtime)
        if how.dry_run:
            fee = await client.fee(call, signer)
            return {
                "call": str(call),
                "args": call.args,
                "data": "0x" + call.data.hex(),
                "signer": signer.address,
                "fee": str(fee),
            }
        wait = "finalized" if how.finalized else "block"
        receipt = (await client.submit(call, signer, wait=wait)).check()  # type: ignore[arg-type]
        return _facts(call, signer, receipt)

    show(ask(how.url, work), how.as_json)


def _facts(call: Call, signer: Keypair, receipt: Receipt) -> dict[str, Any]:
    return {
        "call": str(call),
        "signer": signer.address,
        "block": receipt.block_number,
        "block_hash": receipt.block_hash,
        "extrinsic": f"{receipt.block_number}-{receipt.index}",
        "fee": f"{format_amount(receipt.fee)} TAO",
        "finalized": receipt.finalized,
        "events": [str(e) for e in receipt.events],
    }
