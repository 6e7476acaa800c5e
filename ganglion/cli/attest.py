"""`ganglion attest`: judge evidence of trusted hardware, from a file or from a running miner."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from ganglion.attest.call import AttestedCaller, Trust
from ganglion.attest.evidence import BadEvidence, parse
from ganglion.attest.policy import ANYTHING
from ganglion.attest.verdict import Verdict
from ganglion.cli.common import (
    ROOT_DEFAULT,
    URL_DEFAULT,
    Json,
    Netuid,
    Root,
    Signer,
    Url,
    ask,
    new_app,
    show,
    signer_of,
)
from ganglion.cli.subnet import host_and_port, neuron_of
from ganglion.client import Client
from ganglion.errors import GanglionError
from ganglion.wire.call import Caller, Target

app = new_app("Judge evidence of trusted hardware.")

Policy = Annotated[
    Path | None, typer.Option(help="TOML file; without one any program and firmware will do.")
]
Roots = Annotated[
    Path | None, typer.Option(help="Folder with amd-*.pem, amd-*.crl and nvidia-jwks.json.")
]


class Refused(GanglionError):
    """The evidence does not hold."""


def trust_of(policy: Path | None, roots: Path | None) -> Trust:
    """The trust that the options name."""
    if policy is not None:
        return Trust.load(policy, roots)
    return Trust.of(ANYTHING, roots)


def told(verdicts: Sequence[Verdict]) -> list[dict[str, Any]]:
    """Verdicts as they are printed."""
    return [
        {
            "kind": verdict.kind,
            "status": verdict.status,
            "confidential": verdict.confidential,
            "advisories": list(verdict.advisories),
            "measurements": dict(verdict.measurements),
        }
        for verdict in verdicts
    ]


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(help="JSON as an --attest-command prints it.")],
    report_data: Annotated[str, typer.Option(help="The 64 bytes it must carry, in hex.")],
    policy: Policy = None,
    roots: Roots = None,
    at: Annotated[int, typer.Option(help="Seconds since 1970; by default now.")] = 0,
    as_json: Json = False,
) -> None:
    """Judge every piece of evidence in a file, and show what it measured."""
    trust, now = trust_of(policy, roots), at or time.time()
    try:
        expected = bytes.fromhex(report_data.removeprefix("0x"))
        if len(expected) != 64:
            raise ValueError("64 bytes are 128 digits")
    except ValueError as e:
        raise typer.BadParameter(f"--report-data is no hex text of 64 bytes: {e}") from e
    try:
        pieces = parse(file.read_bytes())
        found = [trust.attestor.verify(p, trust.policy, expected, float(now)) for p in pieces]
    except (BadEvidence, OSError) as e:
        raise Refused(str(e)) from e
    show(told(found), as_json)


@app.command()
def miner(
    netuid: Netuid,
    uid: Annotated[int, typer.Argument(min=0, max=65_535, help="The miner's number.")],
    signer: Signer = "",
    policy: Policy = None,
    roots: Roots = None,
    address: Annotated[str, typer.Option(help="HOST:PORT, if not the one on the chain.")] = "",
    url: Url = URL_DEFAULT,
    root: Root = ROOT_DEFAULT,
    as_json: Json = False,
) -> None:
    """Ask a miner for evidence about the newest block, judge it, and show what it measured."""
    hotkey, elsewhere = signer_of(signer, root, hotkey=True), host_and_port(address)
    trust = trust_of(policy, roots)

    async def look(client: Client) -> dict[str, Any]:
        neuron = await neuron_of(client, netuid, uid)
        target = Target(neuron.hotkey, *elsewhere) if elsewhere else Target.of(neuron)
        book = trust.book(bytes.fromhex(client.genesis_hash.removeprefix("0x")), netuid)
        best = await client.head_hash()
        number = (await client.header(best)).number
        book.on_block(number, bytes.fromhex(best.removeprefix("0x")), time.time())
        async with Caller(hotkey) as caller:
            live = await AttestedCaller(caller, book).renew(target)
        return {
            "miner": neuron.hotkey,
            "block": number,
            "last_block": live.last_block,
            "sealing_key": "0x" + live.key.key.hex(),
            "signing_key": "0x" + live.signer.hex(),
            "verdicts": told(live.verdicts),
        }

    show(ask(url, look), as_json)
