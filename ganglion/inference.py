"""Ask a subnet: text or vectors, the miner that answered, and its signed and checked receipt.

    from ganglion.inference import ask
    answer = ask("What does json.dumps do?", netuid=1, key="//Alice")
    print(answer.text, answer.miner, answer.receipt.signature.hex())

Miners are drawn by incentive. If one fails in the middle, another continues the same seeded
stream; every miner that took part signs its part. `Inference` is the asynchronous form. With
`sealed=True` only the miner that answers can read the question (`docs/privacy.md`), with
`confidential=Trust.load("policy.toml")` only a miner on attested hardware
(`docs/attestation.md`), both also by way of a gateway that is paid by API key and reads nothing.
"""

from __future__ import annotations

import asyncio
import random
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Self

from ganglion import ss58
from ganglion.attest.call import AttestedCaller, Trust
from ganglion.attest.statement import check_answer
from ganglion.client import Client
from ganglion.errors import GanglionError
from ganglion.hashing import blake2_256
from ganglion.keys import Keypair
from ganglion.payer import Payer, Payment
from ganglion.rpc import DEFAULT_URL
from ganglion.subnet_views import Neuron
from ganglion.wire import receipts
from ganglion.wire import vectors as wire_vectors
from ganglion.wire.call import Caller, CallFailed, Patience, Target
from ganglion.wire.fields import BadMessage
from ganglion.wire.receipts import BadReceipt, Expected, SignedReceipt
from ganglion.wire.sealed import padded
from ganglion.wire.sealed_call import SealedCaller
from ganglion.wire.seeds import draw_seed as draw_seed
from ganglion.wire.text import CACHE_SIZE, ID_SIZE, Reported, Sampling, TextAnswer, TextRequest
from ganglion.wire.through import GatewayCaller
from ganglion.wire.vectors import EmbedAnswer, EmbedRequest, Vectors, vector_bytes

REFRESH_SECONDS = 12.0
ATTEMPTS = 4
ANY_MODEL = "default"
NO_SEED = bytes(32)
OWN_CACHE = bytes(CACHE_SIZE)


class NoAnswer(GanglionError):
    """No miner gave an answer with a valid receipt; the message says what each did."""


@dataclass(frozen=True, slots=True)
class Part:
    """The part of an answer that one miner made; no receipt if it failed before signing it.

    `body` is the request that the receipt is about, as it was sent: keep both where an answer may
    have to be disputed.
    """

    uid: int
    miner: str
    tokens: tuple[int, ...]
    receipt: SignedReceipt | None
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer. `parts` has several entries when a miner failed half-way.

    `confidential` is the kind of attested machine that finished it, if that was asked for;
    `cached_tokens` is what that miner says to have had in its cache of prompt and earlier parts.
    """

    text: str
    finish: str
    prompt_tokens: int
    parts: tuple[Part, ...]
    confidential: str | None = None
    cached_tokens: int = 0

    @property
    def miner(self) -> str:
        """Address of the miner that finished the answer."""
        return self.parts[-1].miner

    @property
    def receipt(self) -> SignedReceipt:
        """The signed receipt of the miner that finished the answer."""
        signed = self.parts[-1].receipt
        assert signed is not None  # an answer is complete only with it
        return signed

    @property
    def tokens(self) -> tuple[int, ...]:
        """All output tokens."""
        return tuple(token for part in self.parts for token in part.tokens)


@dataclass(frozen=True, slots=True)
class Embeddings:
    """Vectors [texts, width] with the miner that made them and its signed receipt."""

    vectors: Vectors
    uid: int
    miner: str
    receipt: SignedReceipt


@dataclass(frozen=True, slots=True)
class Style:
    """How to sample. `seed` left out means a fresh one that no miner could foresee."""

    temperature: float = 0.7
    top_p: float = 1.0
    top_k: int = 0
    max_tokens: int = 128
    stop: tuple[str, ...] = ()
    seed: bytes | None = None


@dataclass(slots=True)
class _Progress:
    """An answer under way."""

    request: TextRequest
    text: str = ""
    parts: list[Part] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    known: int = 0  # 1: the next miner's first token has been received already


class Inference:
    """Questions to one subnet, signed with one key. Use as `async with`.

    `sealed` asks only miners that take sealed text requests, `confidential` only those that this
    trust accepts, sealed to their attested keys. `through` sends sealed requests by way of a
    gateway; `key` then signs nothing. `payer` pays miners that ask for it, which orders that go
    through a gateway cannot.
    """

    def __init__(
        self,
        netuid: int,
        key: Keypair,
        network: str = DEFAULT_URL,
        patience: Patience | None = None,
        sealed: bool = False,
        confidential: Trust | None = None,
        through: GatewayCaller | None = None,
        payer: Payer | None = None,
    ) -> None:
        self.netuid, self.key, self._through, self._payer = netuid, key, through, payer
        self.sealed = sealed or confidential is not None or through is not None
        self.confidential = confidential
        self._seals: SealedCaller | None = None
        self._attested: AttestedCaller | None = None
        self._signer = key.public_key  # whom receipts name as the caller
        self._client = Client(network)
        self._caller = Caller(key, patience)
        self._neurons: list[Neuron] = []
        self._block_hash = b""
        self._read_at = -REFRESH_SECONDS

    async def __aenter__(self) -> Self:
        await self._client.connect()
        await self._caller.__aenter__()
        if self._through is not None:
            await self._through.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._through is not None:
            await self._through.__aexit__()
        await self._caller.__aexit__()
        await self._client.close()

    async def miners(self) -> list[Neuron]:
        """Who serves on the subnet, as of a few seconds ago at most. UnknownName without it."""
        if time.monotonic() - self._read_at > REFRESH_SECONDS:
            head = await self._client.at_head()
            graph = await head.metagraph(self.netuid)
            self._neurons = [n for n in graph.neurons if n.axon.is_serving]
            self._block_hash = bytes.fromhex((head.at_hash or "0x")[2:])
            self._read_at = time.monotonic()
            if self.confidential is not None:
                tempo = graph.tempo
                book = self._attest(self.confidential).book
                book.on_block(graph.block, self._block_hash, time.time(), tempo)
        return self._neurons

    async def _drawn(self) -> list[Neuron]:
        """The miners in a random order that favours incentive."""
        found = [n for n in await self.miners() if n.hotkey != self.key.address]
        if not found:
            raise NoAnswer(f"nobody serves on subnet {self.netuid}: is a miner running there?")
        if self.confidential is not None:
            found = await self._trusted(found, self._attest(self.confidential))
        ranked = sorted(found, key=lambda n: random.random() ** (1.0 / (n.incentive + 1)))
        return ranked[::-1][:ATTEMPTS]

    async def _trusted(self, found: Sequence[Neuron], caller: AttestedCaller) -> list[Neuron]:
        """Those with a live verdict; NoAnswer, with what each lacks, if there is none."""
        refused = await caller.refresh([Target.of(neuron) for neuron in found])
        live = caller.book.everyone(time.time())
        trusted = [neuron for neuron in found if neuron.hotkey in live]
        if not trusted:
            said = [f"uid {n.uid}: {refused.get(n.hotkey, 'not judged yet')}" for n in found[:8]]
            raise NoAnswer(
                "no miner here is attested under your policy, so nobody was asked: "
                f"{'; '.join(said)}. Relax the policy, or ask without confidential"
            )
        return trusted

    async def ask(
        self,
        prompt: str | Sequence[tuple[str, str]],
        style: Style | None = None,
        model: str = ANY_MODEL,
    ) -> Answer:
        """The answer to a question or a chat of (role, content) turns.

        Raises NoAnswer when several miners in turn gave none, or the errors of the connection.
        """
        if self._through is not None:
            self._signer = await self._through.signer()
        style, turns = style or Style(), (("user", prompt),) if isinstance(prompt, str) else prompt
        order, nonce = await self._drawn(), secrets.token_bytes(ID_SIZE)
        first = ss58.decode(order[0].hotkey, prefix=None)
        seed = style.seed or draw_seed(nonce, self.key.public_key, first, self._block_hash)
        sampling = Sampling(seed, style.temperature, style.top_k, style.top_p)
        request = TextRequest(
            nonce, model, sampling, style.max_tokens, messages=tuple(turns), stop=style.stop
        )
        progress = _Progress(request)
        for neuron in order:
            answer = await self._try(neuron, progress)
            if answer is not None:
                return answer
        raise NoAnswer("no miner answered: " + "; ".join(progress.failures))

    async def _try(self, neuron: Neuron, progress: _Progress) -> Answer | None:
        """One miner's go at what is left; None if it failed, its tokens kept for the next."""
        done = tuple(token for part in progress.parts for token in part.tokens)
        # a fresh id a try: the next miner's request is another request
        identity = progress.request.id if not done else secrets.token_bytes(ID_SIZE)
        # who asks for itself may have its own beginnings in a cache, also where it asks sealed
        cache = OWN_CACHE if self.sealed and self._through is None else b""
        request = replace(progress.request, resume=done, id=identity, cache=cache)
        answer, sure, payment = TextAnswer(), (0, 0), None
        try:
            payment = await self._payment(neuron, request, progress.known)
            if payment is not None:
                request = replace(request, pay=payment.terms)
            body = request.to_bytes()
            if self.sealed:
                body = padded(body)
                events = self._seal().events(Target.of(neuron), request, body)
            else:
                events = self._caller.events(Target.of(neuron), body)
            async for event, data in events:
                sure = len(answer.tokens), len(answer.pieces)
                whole = None
                if answer.take(event, data):
                    whole = self._finish(neuron, progress, body, answer, len(done))
                if payment is not None:
                    await payment.arrived(answer, ended=whole is not None)
                if whole is not None:
                    return whole
            raise CallFailed("bad-format", "the stream ended before the answer was complete")
        except (CallFailed, BadMessage, BadReceipt) as e:
            progress.failures.append(f"uid {neuron.uid}: {e}")
            if payment is not None and isinstance(e, CallFailed | Reported):
                await payment.arrived(answer, ended=True)  # it was not wrong, it only broke off
        tokens, pieces = sure
        if tokens and answer.finish is None:
            # the next miner goes on from here; the last token may have been the end, so it is
            # left for the next miner to make again
            progress.text += "".join(answer.pieces[:pieces])
            part = Part(neuron.uid, neuron.hotkey, tuple(answer.tokens[:tokens]), None)
            progress.parts.append(part)
            progress.known = min(len(answer.tokens) - tokens, 1)
        return None

    async def _payment(self, neuron: Neuron, request: TextRequest, known: int) -> Payment | None:
        if self._payer is None or self._through is not None:
            return None
        target = Target.of(neuron)
        return await self._payer.payment(self._client, self._caller, target, request, known)

    def _attest(self, trust: Trust) -> AttestedCaller:
        if self._attested is None:
            way = self._through or self._caller
            self._attested = AttestedCaller(way, trust.book(self._genesis, self.netuid))
        return self._attested

    def _seal(self) -> SealedCaller:
        if self.confidential is not None:
            return self._attest(self.confidential)
        if self._seals is None:
            way = self._through or self._caller
            self._seals = SealedCaller(way, self._genesis, self.netuid)
        return self._seals

    @property
    def _genesis(self) -> bytes:
        return bytes.fromhex(self._client.genesis_hash.removeprefix("0x"))

    def _finish(
        self, neuron: Neuron, progress: _Progress, body: bytes, answer: TextAnswer, first: int
    ) -> Answer:
        signed = answer.signed
        answer.check_bill()
        assert signed is not None
        seed = progress.request.sampling.seed
        receipts.check(signed, self._expected(neuron, body, signed, seed, first))
        kind = None
        if self.confidential is not None:
            live = self._attest(self.confidential).live(Target.of(neuron))
            check_answer(signed, answer.text, live.signer)
            kind = live.kind
        part = Part(neuron.uid, neuron.hotkey, tuple(answer.tokens), signed, body)
        finish, parts = signed.receipt.finish.name.lower(), (*progress.parts, part)
        text, (prompt, cached) = progress.text + answer.text, answer.read
        return Answer(text, finish, prompt, parts, kind, cached)

    def _expected(
        self, neuron: Neuron, body: bytes, signed: SignedReceipt, seed: bytes, first: int = 0
    ) -> Expected:
        miner = ss58.decode(neuron.hotkey, prefix=None)
        # which weights are the right ones is for validators to judge; the receipt names them
        weights = signed.receipt.weights
        return Expected(
            self._genesis,
            self.netuid,
            blake2_256(body),
            self._signer,
            miner,
            weights,
            seed,
            first,
        )

    async def embed(self, texts: Sequence[str], model: str = ANY_MODEL) -> Embeddings:
        """Vectors for texts. Raises NoAnswer, or the errors of the connection."""
        if self.sealed:
            raise NoAnswer("embeddings cannot be sealed: ask without sealed, confidential, through")
        failures = []
        for neuron in await self._drawn():
            request = EmbedRequest(secrets.token_bytes(ID_SIZE), model, tuple(texts))
            body = request.to_bytes()
            try:
                reply = await self._caller.fetch(Target.of(neuron), "POST", wire_vectors.PATH, body)
                answer = EmbedAnswer.from_bytes(reply, len(texts))
                receipts.check(answer.signed, self._expected(neuron, body, answer.signed, NO_SEED))
                answer.check_bill()
                if answer.signed.receipt.evidence != wire_vectors.evidence(
                    vector_bytes(answer.vectors)
                ):
                    raise BadReceipt("the receipt commits to other vectors")
            except (CallFailed, BadMessage, BadReceipt) as e:
                failures.append(f"uid {neuron.uid}: {e}")
            else:
                return Embeddings(answer.vectors, neuron.uid, neuron.hotkey, answer.signed)
        raise NoAnswer("no miner answered: " + "; ".join(failures))


def _keypair(key: Keypair | str) -> Keypair:
    return key if isinstance(key, Keypair) else Keypair.from_uri(key)


def ask(
    prompt: str | Sequence[tuple[str, str]],
    *,
    netuid: int,
    key: Keypair | str,
    network: str = DEFAULT_URL,
    style: Style | None = None,
    model: str = ANY_MODEL,
    sealed: bool = False,
    confidential: Trust | None = None,
    through: GatewayCaller | None = None,
    payer: Payer | None = None,
) -> Answer:
    """Ask once and wait; `key` (a key pair or a secret URI) signs. See Inference.ask."""

    async def once() -> Answer:
        async with Inference(
            netuid,
            _keypair(key),
            network,
            sealed=sealed,
            confidential=confidential,
            through=through,
            payer=payer,
        ) as subnet:
            return await subnet.ask(prompt, style, model)

    return asyncio.run(once())


def embed(
    texts: Sequence[str],
    *,
    netuid: int,
    key: Keypair | str,
    network: str = DEFAULT_URL,
    model: str = ANY_MODEL,
) -> Embeddings:
    """Embed once and wait. See Inference.embed."""

    async def once() -> Embeddings:
        async with Inference(netuid, _keypair(key), network) as subnet:
            return await subnet.embed(texts, model)

    return asyncio.run(once())
