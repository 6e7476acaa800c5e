"""`neuron-validator --dispute`: wrong answers to probes go before the chain by themselves."""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack

from ganglion import disputes, ss58
from ganglion.client import Client
from ganglion.errors import GanglionError
from ganglion.exact.case import Case, NotCovered, case_of, is_misbilled
from ganglion.exact.players import Book, Challenger
from ganglion.keys import Keypair
from ganglion.wire.receipts import SignedReceipt, is_signed
from neurons.chainlink import ChainLink, ChainProblem
from neurons.disputes.book import book_of
from neurons.disputes.party import LOOK_SECONDS, Party, begin
from neurons.engine.load import Loaded

log = logging.getLogger("disputes")


class Accuser:
    """Disputes wrong answers, one at a time for each miner: the newest that was noted."""

    def __init__(self, client: Client, key: Keypair, book: Book) -> None:
        self._client, self._key, self._book = client, key, book
        self._party = Party(client, key, book)
        self._noted: dict[str, tuple[SignedReceipt, bytes]] = {}
        self._said: dict[str, str] = {}

    def note(self, signed: SignedReceipt, body: bytes) -> None:
        """Keep an answer that has wrong tokens or counts, with the request as it was sent."""
        if is_signed(signed):
            self._noted[ss58.encode(signed.receipt.miner)] = signed, body

    async def step(self) -> int:
        """Open what can be opened and make the moves that are due; how many both were."""
        done = 0
        if self._noted:
            busy = {one.hotkey for one in await disputes.disputes(self._client)
                    if one.challenger == self._key.address}  # fmt: skip
            for hotkey in [h for h in self._noted if h not in busy]:
                done += await self._accuse(hotkey, *self._noted.pop(hotkey))
        return done + await self._party.moves()

    async def keep(self) -> None:
        """Do so for ever."""
        while True:
            try:
                done = await self.step()
            except GanglionError as e:
                done = 0
                self._say("", str(e))
            if not done:
                await asyncio.sleep(LOOK_SECONDS)

    async def _accuse(self, hotkey: str, signed: SignedReceipt, body: bytes) -> int:
        """Open a dispute or report, if the miner stands by its answers and this one is wrong."""
        receipt, program = signed.receipt, self._book.program
        try:
            miscounts = is_misbilled(program, receipt, body)
            case = None if miscounts else case_of(program, receipt, body)
        except NotCovered as e:
            self._say(hotkey, str(e))
            return 0
        behind = await disputes.accepted(self._client, receipt.netuid, hotkey, program.weights)
        bond = await self._client.query("Bonds", "Bonds", receipt.netuid, hotkey)
        if bond is None or behind != program.name():
            self._say(hotkey, "it answers wrongly, and no bond stands behind that")
            return 0
        if case is None:
            await disputes.report_usage(self._client, self._key, signed, body)
            log.warning("%s signed wrong counts and was slashed", hotkey)
            return 1
        if not await asyncio.to_thread(self._objects, case):
            return 0
        number = await disputes.open_dispute(self._client, self._key, signed, body)
        log.warning("dispute %d: %s signed wrong tokens", number, hotkey)
        return 1

    def _objects(self, case: Case) -> bool:
        return Challenger(self._book, case).objects

    def _say(self, hotkey: str, what: str) -> None:
        if self._said.get(hotkey) != what:
            log.warning("%s: %s", hotkey or "the chain", what)
        self._said[hotkey] = what


async def begin_disputes(chain: ChainLink, loaded: Loaded, stack: AsyncExitStack) -> Accuser:
    """An accuser that works until the stack unwinds. EngineError or ChainProblem if it cannot."""
    book = book_of(loaded.model, loaded.tokenizer)
    if not await disputes.are_judged(chain.client):
        raise ChainProblem("this chain judges no disputes: leave out --dispute")
    accuser = Accuser(chain.client, chain.hotkey, book)
    begin(accuser.keep(), stack)
    return accuser
