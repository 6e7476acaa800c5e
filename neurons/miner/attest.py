"""The miner's evidence: made by a command of the operator's, once a block at most, and signed.

The program makes two keys when it starts and keeps them in memory: the sealing key (`KeyRing`)
and one that signs answers. Evidence binds both to the hotkey and to a recent block, so it is worth
as much as the machine's promise that this very program runs and nobody looks into it.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Awaitable, Callable

import orjson

from ganglion.attest.evidence import MAX_EVIDENCE, MOCK, BadEvidence, parse
from ganglion.attest.statement import SignedStatement, Statement, answer_digest
from ganglion.client import Client
from ganglion.errors import GanglionError, UnknownName
from ganglion.keys import CryptoType, Keypair
from ganglion.wire.receipts import Receipt
from ganglion.wire.sealed import KeyRing
from neurons.http import Refusal
from neurons.identity import Identity

MOST_BLOCKS_BEHIND = 64
"""The oldest block that evidence is made for."""

RUNS_A_MINUTE, CALLER_RUNS = 60, 12
MOST_QUEUED = 8
LOOKS, LOOK_SECONDS = 6, 0.5
"""How often, and after how long, an unknown block is looked for again."""

KEPT = 2 * (MOST_BLOCKS_BEHIND + 1)
"""Statements that are kept: for every block that may be asked about, with the last two keys. Were
it fewer, who asks about all of them in turn would have all of them made for ever."""

MOST_LOOKING = 64
"""Callers that may wait at once for the chain to know a block."""

COMMAND_SECONDS = 60.0

Make = Callable[[bytes], Awaitable[bytes]]
"""Evidence (JSON) for 64 bytes of report data; GanglionError if there is none."""

Behind = Callable[[bytes], Awaitable[int | None]]
"""How many blocks the best one is ahead of the one with this hash; None if it is unknown."""


class NoEvidence(GanglionError):
    """The command made no evidence; the message says why, for the operator's log."""


async def mock_evidence(report_data: bytes) -> bytes:
    """Evidence of kind mock."""
    return orjson.dumps({"kind": MOCK, "report_data": "0x" + report_data.hex()})


def words_of(line: str) -> list[str]:
    """The words of a command as a shell splits them; ValueError if there are none."""
    words = shlex.split(line)
    if not words:
        raise ValueError("no command")
    return words


def command_evidence(line: str, kind: str) -> Make:
    """What a command prints: it gets the report data in hex as its last argument and prints JSON
    that holds a piece of `kind`."""
    words = words_of(line)

    async def make(report_data: bytes) -> bytes:
        try:
            process = await asyncio.create_subprocess_exec(
                *words,
                report_data.hex(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )
        except OSError as e:
            raise NoEvidence(f"{words[0]} cannot be run: {e.strerror}") from e
        try:
            out, said = await asyncio.wait_for(process.communicate(), COMMAND_SECONDS)
        except TimeoutError as e:
            raise NoEvidence(f"{words[0]} took over {COMMAND_SECONDS:g} s") from e
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            last = said.decode("utf-8", "replace").strip().splitlines()[-1:]
            raise NoEvidence(f"{words[0]} ended with {process.returncode}: {''.join(last)[:300]}")
        return checked(out, kind)

    return make


def checked(evidence: bytes, kind: str) -> bytes:
    """The evidence as it came; NoEvidence unless it holds a piece of this kind."""
    try:
        kinds = [piece.kind for piece in parse(evidence)]
        evidence.decode()
    except (BadEvidence, UnicodeDecodeError) as e:
        raise NoEvidence(f"the attest command prints no evidence: {e}") from e
    if kind not in kinds:
        raise NoEvidence(f"the attest command prints evidence of kind {kinds}, not {kind}")
    return evidence


def behind_of(client: Client) -> Behind:
    """Ask the chain how old a block is."""

    async def behind(block_hash: bytes) -> int | None:
        try:
            header = await client.header("0x" + block_hash.hex())
        except UnknownName:
            return None
        return int(await client.block_number()) - int(header.number)

    return behind


class AttestService:
    """Statements for those who ask, one for each block and key, made one at a time."""

    def __init__(
        self, identity: Identity, seals: KeyRing, kind: str, make: Make, behind: Behind
    ) -> None:
        self.kind, self._identity, self._seals = kind, identity, seals
        self._make, self._behind = make, behind
        self._signer = Keypair.from_seed(os.urandom(32), CryptoType.ED25519)
        self._made: OrderedDict[tuple[bytes, bytes], bytes] = OrderedDict()
        self._runs: deque[tuple[float, bytes]] = deque()
        self._turn = asyncio.Lock()
        self._looking = 0
        self._making: dict[tuple[bytes, bytes], asyncio.Task[bytes]] = {}

    def sign_answer(self, receipt: Receipt, text: str) -> bytes:
        """The attested key's signature over an answer."""
        return self._signer.sign(answer_digest(receipt.signing_hash(), text))

    async def statement(self, nonce: bytes, caller: bytes) -> bytes:
        """The signed statement for a block hash. Refusal for old blocks and for too many runs,
        NoEvidence if the command failed, or the errors of the connection to the chain."""
        about = nonce, self._seals.announced().key.key
        if about in self._made:
            return self._made[about]
        if about not in self._making:
            await self._check(nonce)
        if about not in self._making:  # nobody else began while the chain was asked
            self._count_run(caller)
            task = asyncio.create_task(self._fresh(nonce))
            self._making[about] = task
            task.add_done_callback(lambda done: self._ended(about, done))
        # who stops waiting does not stop it: others wait too, and it is kept
        return await asyncio.shield(self._making[about])

    def _ended(self, about: tuple[bytes, bytes], task: asyncio.Task[bytes]) -> None:
        self._making.pop(about, None)
        if not task.cancelled() and task.exception() is None:
            self._made[about] = task.result()
            while len(self._made) > KEPT:
                self._made.popitem(last=False)

    async def _check(self, nonce: bytes) -> None:
        """Refusal unless the nonce is a block of late; another node may know the newest before
        ours does, so it is waited for."""
        if self._looking >= MOST_LOOKING:
            raise Refusal(429, "busy", "too many ask here about blocks that are not known", 5)
        self._looking += 1
        try:
            for _ in range(LOOKS):
                behind = await self._behind(nonce)
                if behind is not None:
                    break
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            self._looking -= 1
        if behind is None or behind > MOST_BLOCKS_BEHIND:
            raise Refusal(
                400, "nonce", "the nonce is no block of this chain, or too old: give the newest's"
            )

    async def _fresh(self, nonce: bytes) -> bytes:
        """Run the command, after those who came before."""
        async with self._turn:
            seal, hotkey = self._seals.announced().key, self._identity.hotkey
            draft = Statement(seal, self._signer.public_key, nonce, bytes(32))
            evidence = await self._make(draft.report_data())
            if len(evidence) > MAX_EVIDENCE:
                raise NoEvidence(f"the evidence is longer than {MAX_EVIDENCE} bytes")
            made = SignedStatement.make(seal, self._signer.public_key, nonce, evidence, hotkey)
            return made.to_bytes()

    def _count_run(self, caller: bytes) -> None:
        """Note a run of the command; Refusal if there were too many in the last minute."""
        now = time.monotonic()
        while self._runs and now - self._runs[0][0] > 60:
            self._runs.popleft()
        by = Counter(who for _, who in self._runs)
        if len(self._making) >= MOST_QUEUED:
            raise Refusal(429, "busy", "too many wait for evidence here already", 5)
        if len(self._runs) >= RUNS_A_MINUTE or by[caller] >= CALLER_RUNS:
            raise Refusal(429, "busy", "evidence was made often enough this minute", 10)
        self._runs.append((now, caller))
