"""A party at its table: watches the chain for disputes of its own and makes the moves that are due.

What a move needs is on the chain and in the model: nothing has to be kept from the time of the
answer. A program that is stopped goes on where the game stands when it is started again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from typing import Any

from ganglion import disputes
from ganglion.client import Client
from ganglion.disputes import DisputeFacts
from ganglion.errors import GanglionError
from ganglion.exact.ops import Impossible
from ganglion.exact.players import Book, Challenger, Defender, Move
from ganglion.keys import Keypair

log = logging.getLogger("disputes")

LOOK_SECONDS = 3.0


def begin(work: Coroutine[Any, Any, None], stack: AsyncExitStack) -> None:
    """Let something run until the stack unwinds; if it ends before, the log says so."""

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            log.error("disputes are played no more: %r; start again", task.exception())

    task = asyncio.create_task(work)
    task.add_done_callback(ended)
    stack.callback(task.cancel)


class Party:
    """One key's part in disputes about answers of one model: those about `hotkey`, if one is given,
    and those that the key has opened."""

    def __init__(self, client: Client, key: Keypair, book: Book, hotkey: str | None = None) -> None:
        self._client, self._key, self._book, self._hotkey = client, key, book, hotkey
        self._players: dict[tuple[int, bool], Defender | Challenger] = {}
        self._said: dict[int, str] = {}

    async def moves(self) -> int:
        """Make every move that is due now; how many were made."""
        head = await self._client.at_head()
        now = (await self._client.header(head.at_hash)).number
        found = await disputes.disputes(head)
        numbers = {one.number for one in found}
        for gone in [seat for seat in self._players if seat[0] not in numbers]:
            del self._players[gone]
        made = 0
        for one in found:
            if self._hotkey == one.hotkey or self._key.address == one.challenger:
                try:
                    made += await self._move(one, now)
                except GanglionError as e:
                    self._say(one.number, str(e))
        return made

    async def keep(self) -> None:
        """Make moves for ever; what goes wrong is told once and tried again."""
        while True:
            try:
                made = await self.moves()
            except GanglionError as e:
                made = 0
                self._say(-1, str(e))
            if not made:
                await asyncio.sleep(LOOK_SECONDS)

    async def _move(self, one: DisputeFacts, now: int) -> int:
        """Make the next move of a dispute, or end one that is decided; how many that were."""
        party = self._hotkey if one.game.of_defender else self._key.address
        mine = party == (one.hotkey if one.game.of_defender else one.challenger)
        late = now > one.deadline
        if (late and not mine) or await disputes.is_moot(self._client, one):
            await disputes.resolve(self._client, self._key, one.number)
            return 1
        if late:
            self._say(one.number, "our move comes too late")
        if late or not mine:
            return 0
        if one.program != self._book.program.name():
            self._say(one.number, "it goes by another program than the model that is loaded here")
            return 0
        move = await self._next(one)
        if move is None:
            self._say(one.number, "nothing that is shown is wrong: there is no move to make")
            return 0
        await disputes.make_move(self._client, self._key, one.number, move)
        log.info("dispute %d: %s", one.number, type(move).__name__.lower())
        return 1

    async def _next(self, one: DisputeFacts) -> Move | None:
        """Our next move; the first computes the whole answer, in another thread."""
        seat = one.number, one.game.of_defender
        player = self._players.get(seat)
        if player is None:
            case = await disputes.case_of_dispute(self._client, one.number)
            if case is None:
                return None
            kind = Defender if one.game.of_defender else Challenger
            player = self._players[seat] = kind(self._book, case)
        try:
            return await asyncio.to_thread(player.move, one.game)
        except Impossible as e:
            self._say(one.number, f"the answer cannot be computed: {e}")
            return None

    def _say(self, number: int, what: str) -> None:
        if self._said.get(number) != what:
            log.warning("%s%s", f"dispute {number}: " if number >= 0 else "", what)
        self._said[number] = what
