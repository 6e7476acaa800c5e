"""`neuron-miner --stand-by-answers`: answer for tokens with the bond, and defend the right ones."""

from __future__ import annotations

import argparse
import logging
from contextlib import AsyncExitStack

from ganglion import disputes
from ganglion.balance import Balance
from neurons import program
from neurons.chainlink import ChainLink, ChainProblem
from neurons.disputes.book import book_of
from neurons.disputes.party import Party, begin
from neurons.miner.textgen import TextService

log = logging.getLogger("miner")

FEES = 200_000_000
"""Rao that the hotkey should have for moves; their fees come back."""


def stand_options(made: program.Options) -> None:
    """The option of a miner that answers for its tokens with its bond."""
    made.add_argument(
        "--stand-by-answers",
        action="store_true",
        help="let the bond be slashed for tokens that the model does not give, and defend those "
        "that it gives; the exact engine only; see docs/disputes.md",
    )


async def stand_by_answers(
    options: argparse.Namespace,
    chain: ChainLink,
    service: TextService | None,
    stack: AsyncExitStack,
) -> None:
    """Accept the program if the options want it, and make every move that is due until the stack
    unwinds. ChainProblem if there is no bond to stand behind it, or another program does."""
    if not options.stand_by_answers or service is None:
        return
    client, hotkey, netuid = chain.client, chain.hotkey, chain.netuid
    book = book_of(service.worker.model, service.tokenizer)
    if not await disputes.are_judged(client):
        raise ChainProblem("this chain judges no disputes: leave out --stand-by-answers")
    if await client.query("Bonds", "Bonds", netuid, hotkey.address) is None:
        raise ChainProblem(
            "--stand-by-answers needs a bond: `ganglion bond add "
            f"{netuid} {hotkey.address} 10 -s WALLET`"
        )
    found = await disputes.accepted(client, netuid, hotkey.address, book.program.weights)
    if found is not None and found != book.program.name():
        raise ChainProblem(
            f"this hotkey stands behind another program, 0x{found.hex()}, for the model that is "
            "loaded; that stays as long as its bond"
        )
    await _ensure_funds(chain, book.program.name(), found)
    if await disputes.stand_by(client, hotkey, netuid, hotkey.address, book.program):
        log.info("the bond now stands behind program 0x%s", book.program.name().hex())
    begin(Party(client, hotkey, book, hotkey.address).keep(), stack)


async def _ensure_funds(chain: ChainLink, name: bytes, accepted: bytes | None) -> None:
    client, hotkey = chain.client, chain.hotkey.address
    need = FEES
    if accepted is None:
        need += int(await client.constant(disputes.PALLET, "AcceptDeposit"))
        if await client.query(disputes.PALLET, "Programs", name) is None:
            need += int(await client.constant(disputes.PALLET, "ProgramDeposit"))
    funds = await client.balance(hotkey)
    if funds.as_rao() < need:
        raise ChainProblem(
            f"--stand-by-answers needs {Balance(need)} on the hotkey for deposits and fees, and "
            f"{hotkey} has {funds}: send it some TAO"
        )
