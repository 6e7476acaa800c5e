"""A miner's side of the proof of hardware: a class, and the chains that show it.

One chain at a time, in a thread of its own, and no more than a tenth of the time: a challenge is
cheap to send and dear to answer. Only validators of the subnet may send any, a few in a turn.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from aiohttp import web

from ganglion.wire import hardware as wire
from ganglion.wire.fields import BadMessage
from neurons.http import Answer, Handler, Refusal, Reply, Signed
from neurons.identity import Identity
from subnets.hardware.chain import (
    EngineTrouble,
    Machine,
    Matrix,
    NumpyMachine,
    commitment,
    draw,
    shape_of,
)
from subnets.hardware.judge import TRIES
from subnets.hardware.measure import claim_of, fastest

log = logging.getLogger("miner")

REST = 9.0
"""Times that a challenge took for which none is taken after it."""
CALLER_SECONDS = 20.0
"""How long one validator waits between challenges at least."""
CALLERS_KEPT = 4096
ENDS_KEPT = 4
RECENT = 8


@dataclass(slots=True)
class Turn:
    """A validator's turn: a challenge and, while the rest after it lasts, some tries more."""

    caller: bytes
    free_at: float
    tries: int = 1
    spent: float = 0.0


class HardwareService:
    """Answers challenges of one class. `may_ask` says which hotkeys may; `rate` 0 claims none."""

    def __init__(
        self,
        identity: Identity,
        machine: Machine,
        may_ask: Callable[[bytes], bool],
        rate: int = 0,
        clock: Callable[[], float] = time.monotonic,
        rest: float = REST,
        caller_seconds: float = CALLER_SECONDS,
    ) -> None:
        self.identity, self.machine, self.may_ask, self.rate = identity, machine, may_ask, rate
        self._clock, self._rest, self._caller_seconds = clock, rest, caller_seconds
        self._thread = ThreadPoolExecutor(1, "hardware")
        self._asked: OrderedDict[bytes, float] = OrderedDict()
        self._turn = Turn(b"", 0.0)
        self._ends: OrderedDict[tuple[bytes, bytes], Matrix] = OrderedDict()
        self._busy = False
        self.challenges = 0
        self.recent: deque[dict[str, Any]] = deque(maxlen=RECENT)

    def routes(self) -> dict[tuple[str, str], Handler]:
        """What a server has to know of this."""
        return {
            ("GET", wire.PATH): self.tell,
            ("POST", wire.PATH): self.challenge,
            ("POST", wire.OPEN_PATH): self.open,
        }

    def report(self) -> dict[str, Any]:
        """What the miner's status says."""
        return {
            "rate": self.rate,
            "machine": self.machine.name,
            "challenges": self.challenges,
            "recent": list(self.recent),
        }

    async def settle_class(self) -> None:
        """Measure the machine and claim its class, unless one was given."""
        if self.rate:
            return
        loop = asyncio.get_running_loop()
        self._busy = True
        try:
            self.machine, measured = await loop.run_in_executor(self._thread, fastest, machines())
        except (EngineTrouble, MemoryError) as e:
            log.warning("no hardware class is claimed: %s", e)
            return
        finally:
            self._busy = False
        self.rate = claim_of(measured)
        log.info("hardware class %d: %s, measured %d", self.rate, self.machine.name, measured)

    async def tell(self, request: web.BaseRequest, signed: Signed) -> Answer:
        """GET /v1/hardware: the class; validators time the round trip with it."""
        return Reply(wire.class_body(self.rate))

    async def challenge(self, request: web.BaseRequest, signed: Signed) -> Answer:
        """POST /v1/hardware: walk a chain, answer the commitment to its end."""
        try:
            asked = wire.ChallengeRequest.from_bytes(signed.body)
        except BadMessage as e:
            raise Refusal(400, "request", str(e)) from e
        self._admit(signed.caller, asked.rate)
        self._busy, started = True, self._clock()
        loop = asyncio.get_running_loop()
        work = loop.run_in_executor(self._thread, self._walk, asked, signed.caller)
        work.add_done_callback(lambda _: self._pause(started))
        try:
            # the chain goes on when its asker leaves: a second one must not run beside it
            answer, end = await asyncio.shield(work)
        except (EngineTrouble, MemoryError) as e:
            raise Refusal(503, "busy", f"the chain cannot be walked now: {e}", 60) from e
        self._ends[signed.caller, asked.nonce] = end
        while len(self._ends) > ENDS_KEPT:
            self._ends.popitem(last=False)
        return Reply(answer)

    def _pause(self, started: float) -> None:
        """The end of a challenge, and the beginning of the rest."""
        now = self._clock()
        self._busy, self._turn.spent = False, self._turn.spent + now - started
        self._turn.free_at = now + self._rest * self._turn.spent

    def _admit(self, caller: bytes, rate: int) -> None:
        """Take note of a caller whose turn it is; Refusal for others."""
        if not self.may_ask(caller):
            raise Refusal(
                403, "not-permitted", "only validators with a permit on this subnet may challenge"
            )
        if rate != self.rate or not self.rate:
            raise Refusal(
                409, "class", f"this miner claims class {self.rate}, not {rate}: ask again for it"
            )
        now, turn = self._clock(), self._turn
        if not self._busy and turn.caller == caller and turn.tries < TRIES and now < turn.free_at:
            turn.tries += 1
            return
        wait = max(turn.free_at, self._asked.get(caller, -1e9) + self._caller_seconds) - now
        if self._busy or wait > 0:
            raise Refusal(
                429, "busy", "another challenge runs, or ran just now", max(1, round(wait))
            )
        self._turn, self._asked[caller] = Turn(caller, now), now
        self._asked.move_to_end(caller)
        while len(self._asked) > CALLERS_KEPT:
            self._asked.popitem(last=False)

    def _walk(self, asked: wire.ChallengeRequest, caller: bytes) -> tuple[bytes, Matrix]:
        """In the thread: from the challenge to the commitment, and the end that it is to."""
        started, who = time.perf_counter(), self.identity
        bound = wire.Bound(
            who.genesis,
            who.netuid,
            caller,
            who.hotkey.public_key,
            asked.nonce,
            asked.block_hash,
            asked.rate,
        )
        seed = bound.seed()
        material = draw(seed, shape_of(asked.rate))
        end = self.machine.walk(material, material.start)
        answer = wire.Commitment.make(seed, commitment(end), who.hotkey).to_bytes()
        self.challenges += 1
        spent = round((time.perf_counter() - started) * 1000)
        self.recent.append({"at": int(time.time()), "rate": asked.rate, "ms": spent})
        return answer, end

    async def open(self, request: web.BaseRequest, signed: Signed) -> Answer:
        """POST /v1/hardware/open: the end of a chain, once, for who asked for it."""
        try:
            nonce = wire.read_open_request(signed.body)
        except BadMessage as e:
            raise Refusal(400, "request", str(e)) from e
        end = self._ends.pop((signed.caller, nonce), None)
        if end is None:
            raise Refusal(404, "not-kept", "no end of such a challenge of yours is kept here")
        return web.Response(body=end.tobytes(), content_type="application/octet-stream")


def machines() -> list[Machine]:
    """What this process can walk chains with; torch only where an engine has loaded it."""
    if "torch" not in sys.modules:
        return [NumpyMachine()]
    import torch

    from neurons.engine.device_chain import TorchMachine

    if torch.cuda.is_available():
        return [TorchMachine("cuda")]
    return [NumpyMachine(), TorchMachine("cpu")]
