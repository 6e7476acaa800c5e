# ruff: noqa: E402 - optional packages decide first whether this file runs
"""Confidential requests, from the SDK and through a gateway: only to attested miners, sealed to
attested keys, signed by attested keys; and to nobody when a verdict is over."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace

import orjson
import pytest
from evidence_intel import Intel
from running_miner import GENESIS, NETUID, Running, serving
from test_inference_sdk import asking, neuron

openai = pytest.importorskip("openai")
pytest.importorskip("sqlalchemy")

from ganglion.attest.attestor import Attestor
from ganglion.attest.book import BLIND_SECONDS
from ganglion.attest.call import AttestedCaller, NotAttested, Trust
from ganglion.attest.policy import AttestPolicy
from ganglion.attest.roots import Roots
from ganglion.hashing import blake2_256
from ganglion.inference import Inference, NoAnswer, Style
from ganglion.keys import Keypair
from ganglion.wire.call import Caller, CallFailed
from ganglion.wire.sealed import KeyRing
from neurons.engine.load import Loaded
from neurons.gateway import confidential
from neurons.gateway.app import GatewayApp
from neurons.gateway.confidential import Confidential
from neurons.gateway.directory import Directory
from neurons.gateway.router import Miner, Router
from neurons.gateway.service import Prices, TextGateway
from neurons.gateway.store import Store
from neurons.http import Server
from neurons.identity import Identity
from neurons.miner import attest
from neurons.miner.attest import AttestService, Make, command_evidence, mock_evidence

ALICE = Keypair.from_uri("//Alice")
MODEL = "ganglion/tiny"
SECRET = "What does json.dumps do?"
HEADERS = {"X-Ganglion-Confidential": "required"}
FOR_TESTS = Trust(AttestPolicy(frozenset(), test_only_mock=True, max_age_blocks=20), Attestor())
Made = Callable[[Identity, KeyRing], AttestService]


@dataclass
class Chain:
    """A subnet with these miners at some height: what a ChainLink would read."""

    miners: list[Running] = field(default_factory=list)
    block: int = 100
    tempo: int = 360
    hotkey: Keypair = ALICE

    def hash(self, number: int) -> bytes:
        return blake2_256(number.to_bytes(8, "little"))

    @property
    def block_hash(self) -> str:
        return "0x" + self.hash(self.block).hex()

    @property
    def graph(self) -> SimpleNamespace:
        return SimpleNamespace(tempo=self.tempo)

    async def behind(self, block_hash: bytes) -> int | None:
        return next((n for n in range(100) if self.hash(self.block - n) == block_hash), None)

    def attesting(self, make: Make = mock_evidence, kind: str = "mock") -> Made:
        """How a miner on this chain makes its evidence."""
        return lambda identity, ring: AttestService(identity, ring, kind, make, self.behind)

    def tell(self, subnet: Inference) -> None:
        """Let an SDK believe that this is the chain."""
        assert subnet.confidential is not None
        book = subnet._attest(subnet.confidential).book
        book.on_block(self.block, self.hash(self.block), time.time(), self.tempo)


@asynccontextmanager
async def trusting(
    chain: Chain, *miners: Running, trust: Trust = FOR_TESTS
) -> AsyncIterator[Inference]:
    """An SDK that asks only miners which this trust accepts."""
    async with asking(*(neuron(i, m.target) for i, m in enumerate(miners))) as subnet:
        subnet.confidential, subnet.sealed = trust, True
        chain.tell(subnet)
        yield subnet


# --- the SDK -------------------------------------------------------------------------------------


async def test_the_sdk_asks_an_attested_miner_from_end_to_end(tiny: Loaded) -> None:
    chain = Chain()
    async with (
        serving(tiny, "//Bob") as plain,
        serving(tiny, "//Charlie", attest=chain.attesting()) as attested,
        trusting(chain, plain, attested) as subnet,
    ):
        answer = await subnet.ask(SECRET, Style(max_tokens=10))
        assert plain.worker.tokens_made == 0
        assert answer.miner == attested.target.hotkey
        assert answer.confidential == "mock"  # what it is called where tests let it pass
        assert answer.receipt.attested is not None


async def test_an_unattested_miner_cannot_serve_confidential(tiny: Loaded) -> None:
    chain = Chain()
    async with (
        serving(tiny, "//Bob") as plain,
        serving(tiny, "//Charlie", attest=chain.attesting()) as mock,
    ):
        async with trusting(chain, plain) as subnet:
            with pytest.raises(NoAnswer, match="uid 0: it shows no evidence of trusted hardware"):
                await subnet.ask(SECRET)
        strict = Trust(AttestPolicy(frozenset({"tdx-v4"}), any_software=True), Attestor())
        async with trusting(chain, mock, trust=strict) as subnet:
            with pytest.raises(NoAnswer, match="asks for evidence of kind tdx-v4; there is none"):
                await subnet.ask(SECRET)
        assert plain.worker.tokens_made == mock.worker.tokens_made == 0


@pytest.mark.parametrize("kind", ["tdx-v4", "sgx"])
async def test_quotes_open_the_way_to_a_miner(tiny: Loaded, kind: str, tmp_path: Path) -> None:
    """A command prints real quotes, but of a root of our own; the policy names the program."""
    pytest.importorskip("dcap_qvl", reason="quotes are judged by dcap-qvl, which is not here")
    intel, chain = Intel(), Chain()

    async def quote(data: bytes) -> bytes:
        return orjson.dumps(intel.evidence(kind, data))

    program = {"kind": kind, "mrtd": "aa" * 48} if kind == "tdx-v4" else {}
    program = program or {"kind": kind, "mrenclave": "cc" * 32}
    policy = AttestPolicy(frozenset({kind}), (program,))
    trust = Trust(policy, Attestor(Roots(intel=intel.root_der())))
    async with serving(tiny, attest=chain.attesting(quote, kind)) as miner:
        async with trusting(chain, miner, trust=trust) as subnet:
            answer = await subnet.ask(SECRET, Style(max_tokens=6))
        assert answer.confidential == kind
        other = replace(policy, measurements=({"kind": kind, "mrtd": "00" * 48},))
        async with trusting(chain, miner, trust=replace(trust, policy=other)) as subnet:
            with pytest.raises(NoAnswer, match="not those of a trusted program"):
                await subnet.ask(SECRET)
        async with trusting(chain, miner, trust=Trust(policy, Attestor())) as subnet:
            with pytest.raises(NoAnswer, match="the quote does not hold"):
                await subnet.ask(SECRET)


async def test_expiry_revokes_key_delivery_within_one_epoch(tiny: Loaded) -> None:
    """A machine that loses its evidence gets no secret after one epoch of the subnet at most."""
    chain, works = Chain(tempo=10), [True]

    async def make(data: bytes) -> bytes:
        if not works[0]:
            raise CallFailed("gone", "the machine is gone")
        return await mock_evidence(data)

    async with (
        serving(tiny, attest=chain.attesting(make)) as miner,
        trusting(chain, miner) as subnet,
        Caller(ALICE) as caller,
    ):
        await subnet.ask(SECRET, Style(max_tokens=4))
        works[0] = False
        chain.block += chain.tempo  # the last block of the verdict
        chain.tell(subnet)
        await subnet.ask(SECRET, Style(max_tokens=4))
        made = miner.worker.tokens_made
        chain.block += 1
        chain.tell(subnet)
        with pytest.raises(NoAnswer, match="no miner here is attested"):
            await subnet.ask(SECRET, Style(max_tokens=4))
        seals = AttestedCaller(caller, subnet._attest(FOR_TESTS).book)
        with pytest.raises(CallFailed, match="evidence cannot be made now"):
            await seals.key(miner.target)  # no key, so nothing to seal an order with
        assert miner.worker.tokens_made == made


async def test_an_answer_must_be_signed_by_the_attested_key(tiny: Loaded) -> None:
    """Evidence of one program, answers of another: the attested key did not sign."""
    chain = Chain()
    async with (
        serving(tiny, attest=chain.attesting()) as miner,
        trusting(chain, miner) as subnet,
    ):
        assert miner.app.text is not None
        miner.app.text.sign_answer = None
        with pytest.raises(NoAnswer, match="not signed by the attested key"):
            await subnet.ask(SECRET, Style(max_tokens=4))


async def test_a_miner_that_restarts_is_judged_again(tiny: Loaded) -> None:
    chain = Chain()
    async with Caller(ALICE) as caller:
        book = FOR_TESTS.book(GENESIS, NETUID)
        book.on_block(chain.block, chain.hash(chain.block), time.time())
        seals = AttestedCaller(caller, book)
        async with serving(tiny, attest=chain.attesting()) as before:
            first = await seals.key(before.target)
        async with serving(tiny, attest=chain.attesting()) as after:
            seals.forget(after.target)
            assert (await seals.key(after.target)).key != first.key
        seals.forget(after.target)
        with pytest.raises(CallFailed, match="cannot be reached"):
            await seals.key(after.target)


async def test_without_a_block_nobody_is_trusted(miner: Running) -> None:
    async with Caller(ALICE) as caller:
        seals = AttestedCaller(caller, FOR_TESTS.book(GENESIS, NETUID))
        with pytest.raises(NotAttested, match="no block of the chain"):
            await seals.key(miner.target)


async def test_no_key_is_given_while_the_chain_cannot_be_read(tiny: Loaded) -> None:
    """The miner would still show evidence for the last block that was read; it proves nothing
    about now."""
    chain = Chain()
    async with serving(tiny, attest=chain.attesting()) as miner, Caller(ALICE) as caller:
        book = FOR_TESTS.book(GENESIS, NETUID)
        book.on_block(chain.block, chain.hash(chain.block), time.time() - BLIND_SECONDS - 1)
        with pytest.raises(NotAttested, match="ended before anything was sent"):
            await AttestedCaller(caller, book).key(miner.target)


async def test_who_asks_at_once_waits_for_one_judgement(tiny: Loaded) -> None:
    chain, runs = Chain(), []

    async def make(data: bytes) -> bytes:
        runs.append(data)
        await asyncio.sleep(0.05)
        return await mock_evidence(data)

    async with serving(tiny, attest=chain.attesting(make)) as miner, Caller(ALICE) as caller:
        book = FOR_TESTS.book(GENESIS, NETUID)
        book.on_block(chain.block, chain.hash(chain.block), time.time())
        seals = AttestedCaller(caller, book)
        refused = await asyncio.gather(*(seals.refresh([miner.target]) for _ in range(5)))
        assert (refused, len(runs)) == ([{}] * 5, 1)
        assert book.live(miner.target.hotkey, time.time()) is not None


async def test_a_slow_miner_delays_nobody_elses_verdict(
    tiny: Loaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confidential, "LOOK_SECONDS", 0.0)
    chain, asked = Chain(tempo=4), asyncio.Event()

    async def never(data: bytes) -> bytes:
        asked.set()
        await asyncio.sleep(60)
        return b""

    async with AsyncExitStack() as stack:
        slow = await stack.enter_async_context(
            serving(tiny, "//Eve", attest=chain.attesting(never))
        )
        quick = await stack.enter_async_context(serving(tiny, attest=chain.attesting()))
        caller, router = await stack.enter_async_context(Caller(ALICE)), Router()
        router.update([Miner(i, m.target, MODEL) for i, m in enumerate((slow, quick))])
        made = Confidential(AttestedCaller(caller, FOR_TESTS.book(GENESIS, NETUID)), router)
        keeping = asyncio.create_task(made.keep_fresh())
        for _ in range(3):  # longer than a verdict lives
            made.on_view(chain)  # type: ignore[arg-type]
            await asyncio.wait_for(asked.wait(), 10)
            async with asyncio.timeout(10):
                while not (found := made.badge(quick.target.hotkey)) or (
                    found["last_block"] < chain.block + chain.tempo
                ):
                    await asyncio.sleep(0.01)
            chain.block += 3
        keeping.cancel()


# --- the miner's command -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo no; exit 3", "ended with 3"),
        ("echo quote failed >&2; exit 1", "quote failed"),
        ("echo hello", "prints no evidence"),
        ("printf '\\377'", "prints no evidence"),
        ('echo \'{"kind": "mock", "report_data": "0x"}\'', "not tdx-v4"),
    ],
)
async def test_a_command_that_fails_is_told_to_the_operator(
    tmp_path: Path, script: str, said: str
) -> None:
    file = tmp_path / "attest"
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)
    with pytest.raises(Exception, match=said):
        await command_evidence(str(file), "tdx-v4")(bytes(64))
    with pytest.raises(Exception, match="cannot be run"):
        await command_evidence(str(tmp_path / "nothing"), "tdx-v4")(bytes(64))


async def test_a_command_gets_the_report_data(tmp_path: Path) -> None:
    file = tmp_path / "attest"
    file.write_text('#!/bin/sh\necho "{\\"kind\\": \\"mock\\", \\"report_data\\": \\"0x$2\\"}"\n')
    file.chmod(0o755)
    made = await command_evidence(f"{file} --flag", "mock")(b"\5" * 64)
    assert orjson.loads(made)["report_data"] == "0x" + "05" * 64


async def test_a_miner_tells_strangers_little_of_what_failed(
    tiny: Loaded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attest, "LOOK_SECONDS", 0.0)
    chain = Chain()
    broken = command_evidence(str(tmp_path / "secret-path"), "tdx-v4")
    async with serving(tiny, attest=chain.attesting(broken, "tdx-v4")) as miner:
        async with Caller(ALICE) as caller:
            for nonce, said in (
                (chain.hash(100).hex(), "cannot be made now"),
                ("00" * 32, "no block of this chain"),
                ("xyz", "give the hash of the newest block"),
            ):
                with pytest.raises(CallFailed, match=said) as refused:
                    await caller.fetch(miner.target, "GET", f"/v1/attestation?nonce=0x{nonce}")
                assert "secret-path" not in str(refused.value)
            status = orjson.loads(await caller.fetch(miner.target, "GET", "/status"))
        assert status["text"]["attestation"] == "tdx-v4"
        assert status["refused"]["evidence"] == 1


# --- the gateway ---------------------------------------------------------------------------------


@dataclass
class Gatewayed:
    """A gateway with a policy for tests, and the openai client for it."""

    chain: Chain
    directory: Directory
    secret: Confidential | None
    store: Store
    client: openai.AsyncOpenAI

    async def refresh(self) -> None:
        """Look at the chain: who serves, and which verdicts are over."""
        self.directory.router.update(
            [
                Miner(i, m.target, MODEL, True, m.worker.model.card.context)
                for i, m in enumerate(self.chain.miners)
            ]
        )
        if self.secret is not None:
            self.secret.on_view(self.chain)  # type: ignore[arg-type]
            await self.secret.refresh()

    async def ask(self, **more: object) -> object:
        return await self.client.chat.completions.create(
            model=MODEL,
            messages=[{"role": "user", "content": SECRET}],
            max_tokens=8,
            **{"extra_headers": HEADERS, **more},
        )


@asynccontextmanager
async def gateway(
    chain: Chain, folder: Path, *miners: Running, trust: Trust | None = FOR_TESTS
) -> AsyncIterator[Gatewayed]:
    chain.miners = list(miners)
    async with AsyncExitStack() as stack:
        store = Store(f"sqlite:///{folder}/gw.db")
        stack.callback(store.close)
        caller = await stack.enter_async_context(Caller(ALICE))
        directory = Directory(chain, caller, Router(), "text")  # type: ignore[arg-type]
        secret = None
        if trust is not None:
            secret = Confidential(
                AttestedCaller(caller, trust.book(GENESIS, NETUID)), directory.router
            )
        identity = Identity(ALICE, GENESIS, NETUID)
        text = TextGateway(caller, identity, directory, store, Prices(), 1.0, confidential=secret)
        server = Server(GatewayApp(store, text, None).app, "127.0.0.1", 0)
        await server.start()
        stack.push_async_callback(server.stop)
        client = await stack.enter_async_context(
            openai.AsyncOpenAI(
                api_key=store.add_key("test"),
                base_url=f"http://127.0.0.1:{server.port}/v1",
                max_retries=0,
            )
        )
        made = Gatewayed(chain, directory, secret, store, client)
        await made.refresh()
        yield made


async def test_a_gateway_sends_confidential_requests_to_attested_miners_alone(
    tiny: Loaded, tmp_path: Path
) -> None:
    chain = Chain()
    async with (
        serving(tiny, "//Bob") as plain,
        serving(tiny, "//Charlie", attest=chain.attesting()) as attested,
        gateway(chain, tmp_path, plain, attested) as made,
    ):
        for _ in range(6):
            answer = await made.ask()
        assert plain.worker.tokens_made == 0
        assert attested.app.text.answers == 6
        shown = (await made.client.models.list()).data[0].model_extra
        assert shown["confidential"]["kind"] == "mock"
        receipts = await made.client.get(f"/receipts/{answer.id}", cast_to=object)
        signed = receipts["data"][0]["signed"]
        assert signed["confidential"]["last_block"] == 120
        assert len(signed["attested"]) == 130
        plainly = await made.ask(extra_headers={})
        receipts = await made.client.get(f"/receipts/{plainly.id}", cast_to=object)
        assert "confidential" not in receipts["data"][0]["signed"]
        stream = await made.ask(stream=True)
        assert [chunk async for chunk in stream][-1].choices[0].finish_reason


async def test_several_attested_miners_confirm_a_confidential_answer(
    tiny: Loaded, tmp_path: Path
) -> None:
    chain = Chain()
    async with (
        serving(tiny, "//Bob") as plain,
        serving(tiny, "//Charlie", attest=chain.attesting()) as one,
        serving(tiny, "//Dave", attest=chain.attesting()) as two,
        gateway(chain, tmp_path, plain, one, two) as made,
    ):
        answer = await made.ask(extra_headers=HEADERS | {"X-Ganglion-Confirm": "2"})
        receipts = await made.client.get(f"/receipts/{answer.id}", cast_to=object)
        assert {part["uid"] for part in receipts["data"]} == {1, 2}
        assert all("confidential" in part["signed"] for part in receipts["data"])
        with pytest.raises(openai.APIError, match="miners must agree"):
            await made.ask(extra_headers=HEADERS | {"X-Ganglion-Confirm": "3"})
        assert plain.worker.tokens_made == 0


async def test_a_gateway_keeps_no_confidential_request(tiny: Loaded, tmp_path: Path) -> None:
    """Nothing of it is left for validators, replays or readers of the database."""
    chain = Chain()
    async with (
        serving(tiny, attest=chain.attesting()) as miner,
        gateway(chain, tmp_path, miner) as made,
    ):
        answer = await made.ask()
        said = answer.choices[0].message.content
        assert await made.store.take_samples(NETUID, 10) == []
    kept = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert answer.id.encode() in kept
    assert SECRET.encode() not in kept
    assert said.encode() not in kept


async def test_no_live_verdict_means_a_clear_refusal(tiny: Loaded, tmp_path: Path) -> None:
    chain = Chain(tempo=10)
    works = [True]

    async def make(data: bytes) -> bytes:
        if not works[0]:
            raise CallFailed("gone", "the machine is gone")
        return await mock_evidence(data)

    async with (
        serving(tiny, attest=chain.attesting(make)) as miner,
        gateway(chain, tmp_path, miner) as made,
    ):
        await made.ask()
        works[0] = False
        chain.block += 11
        await made.refresh()
        with pytest.raises(openai.InternalServerError) as refused:
            await made.ask()
        assert refused.value.code == "no_confidential_miner"
        assert "leave out X-Ganglion-Confidential" in refused.value.message
        assert "confidential" not in (await made.client.models.list()).data[0].model_extra
        assert (await made.ask(extra_headers={})).choices  # without the promise it serves on
        works[0] = True
        chain.block += 1
        assert made.secret is not None
        made.secret.caller._refused.clear()  # not asked again for half a minute
        await made.refresh()
        await made.ask()


async def test_a_gateway_without_a_policy_promises_nothing(tiny: Loaded, tmp_path: Path) -> None:
    chain = Chain()
    async with (
        serving(tiny, attest=chain.attesting()) as miner,
        gateway(chain, tmp_path, miner, trust=None) as made,
    ):
        with pytest.raises(openai.BadRequestError, match="no attestation policy"):
            await made.ask()
        with pytest.raises(openai.BadRequestError, match="is `required`, or left out"):
            await made.ask(extra_headers={"X-Ganglion-Confidential": "maybe"})
        assert "confidential" not in (await made.client.models.list()).data[0].model_extra


async def test_a_gateway_believes_no_answer_without_the_attested_signature(
    tiny: Loaded, tmp_path: Path
) -> None:
    chain = Chain()
    async with (
        serving(tiny, attest=chain.attesting()) as miner,
        gateway(chain, tmp_path, miner) as made,
    ):
        assert miner.app.text is not None
        miner.app.text.sign_answer = None
        with pytest.raises(openai.APIError, match="not signed by the attested key"):
            await made.ask()
