"""`ganglion explain NETUID UID`: why a neuron earned what it earned, from any node's state."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import typer
from rich.console import Console

from chain.explain import NothingToExplain, SubnetInputs, read_inputs
from chain.remote_state import RemoteState
from chain.runtime_spec import SPEC_VERSION
from consensus.explain import Explanation, as_json, table
from ganglion.cli.common import URL_DEFAULT, Json, Url, ask, new_app
from ganglion.cli.own import run_app
from ganglion.client import Client
from ganglion.errors import GanglionError, RpcError

ANSWER_SECONDS = 60.0

app = new_app("Why a neuron earned what it earned.")

Netuid = Annotated[int, typer.Argument(min=1, max=65_535, help="The subnet's number.")]
Uid = Annotated[int, typer.Argument(min=0, max=65_535, help="The neuron's number on it.")]
At = Annotated[
    int | None, typer.Option("--block", min=1, help="An epoch's block. Default: the latest epoch.")
]


class CannotExplain(GanglionError):
    """The chain cannot be asked, or has nothing of the kind; the message says why."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One neuron's epoch, recomputed, beside what the chain stored of it."""

    netuid: int
    block: int
    hotkeys: tuple[str, ...]
    explanations: tuple[Explanation, ...]
    paid: int
    stored: int

    @property
    def agrees(self) -> bool:
        """Whether the chain paid what was recomputed."""
        return self.paid == self.stored


@app.command()
def explain(
    netuid: Netuid, uid: Uid, block: At = None, url: Url = URL_DEFAULT, as_lines: Json = False
) -> None:
    """Show, validator by validator, what made a neuron's pay in one epoch.

    Per validator: its share of the stake, the weight it gave, what consensus left of it, the
    trust that cost it, its bond before and after, what of the miner's pay its opinion stands for,
    what of its own dividends came through this miner, and what it would miss without the weight.
    """
    answer = ask(url, lambda client: _answer(client, netuid, uid, block))
    if as_lines:
        sys.stdout.write(json.dumps(_as_json(answer, uid)) + "\n")
    else:
        sys.stdout.write(_as_text(answer, uid) + "\n")


async def _answer(client: Client, netuid: int, uid: int, block: int | None) -> Answer:
    await _check_version(client)
    head = await client.at_head()
    if block is None:
        if not await head.query("SubtensorModule", "NetworksAdded", netuid):
            raise CannotExplain(f"there is no subnet {netuid}: `ganglion subnet list` shows all")
        block = int(await head.query("SubtensorModule", "LastMechansimStepBlock", netuid))
        if block == 0:
            raise CannotExplain(f"subnet {netuid} has had no epoch yet")
    after, before = await client.block_hash(block), await client.block_hash(block - 1)
    try:
        inputs = await _inputs(client, netuid, block, before)
        graph = await client.at(after).metagraph(netuid)
        explanations = inputs.explain(uid)
        paid = inputs.paid(uid)
    except NothingToExplain as error:
        raise CannotExplain(str(error)) from error
    except RpcError as error:
        way = "an archive node has it: give --url"
        raise CannotExplain(
            f"the node does not give the state of block {block - 1} ({error}); {way}"
        ) from error
    stored = graph.neurons[uid].emission
    hotkeys = tuple(n.hotkey for n in graph.neurons)
    return Answer(netuid, block, hotkeys, tuple(explanations), paid, stored)


async def _check_version(client: Client) -> None:
    version = await client.rpc.call("state_getRuntimeVersion", [])
    if version["specVersion"] != SPEC_VERSION:
        raise CannotExplain(
            f"the chain runs runtime {version['specVersion']}, and this release knows the rules "
            f"of {SPEC_VERSION} only"
        )


async def _inputs(client: Client, netuid: int, block: int, parent: str) -> SubnetInputs:
    """Recompute in a thread, whose reads this loop sends; shows progress at a terminal."""
    loop = asyncio.get_running_loop()
    console = Console(stderr=True)
    with console.status("reading the chain ...") as status:

        def fetch(requests: Sequence[tuple[str, Sequence[Any]]]) -> list[Any]:
            status.update(f"reading the chain: {state.reads} values of block {block - 1}")
            sent = asyncio.run_coroutine_threadsafe(client.rpc.batch(requests), loop)
            return sent.result(ANSWER_SECONDS)

        state = RemoteState(fetch, parent)
        parent_hash = bytes.fromhex(parent[2:])
        return await asyncio.to_thread(read_inputs, state, block, parent_hash, netuid)


def _as_json(answer: Answer, uid: int) -> dict[str, Any]:
    parts = [as_json(explanation) for explanation in answer.explanations]
    for part in parts:
        voices: Any = part["voices"]
        for voice in voices:
            voice["hotkey"] = answer.hotkeys[voice["uid"]]
    return {
        "netuid": answer.netuid,
        "uid": uid,
        "hotkey": answer.hotkeys[uid],
        "block": answer.block,
        "paid_rao": answer.paid,
        "stored_rao": answer.stored,
        "agrees": answer.agrees,
        "mechanisms": parts,
    }


def _as_text(answer: Answer, uid: int) -> str:
    lines = [f"subnet {answer.netuid}, epoch of block {answer.block}, {answer.hotkeys[uid]}"]
    for number, explanation in enumerate(answer.explanations):
        if len(answer.explanations) > 1:
            lines.append(f"mechanism {number}")
        lines.append(table(explanation))
    said = "as the chain stored it" if answer.agrees else f"but the chain stored {answer.stored}"
    lines.append(f"{answer.paid} rao of alpha in all, {said}")
    return "\n".join(lines)


def run(argv: list[str]) -> int:
    """Run the command line; the exit code."""
    return run_app(app, "explain", argv)
