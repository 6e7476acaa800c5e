"""Sealed orders through a gateway that runs in its own process: it passes them on, bills them and
holds no word of them, in its memory, its logs or its database."""

from __future__ import annotations

import asyncio
import base64
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import orjson
import pytest
from running_miner import GENESIS, NETUID, Running, serving
from test_inference_sdk import asking, neuron

pytest.importorskip("sqlalchemy")

from ganglion.attest.attestor import Attestor  # noqa: E402
from ganglion.attest.call import Trust  # noqa: E402
from ganglion.attest.policy import AttestPolicy  # noqa: E402
from ganglion.inference import NoAnswer, Style  # noqa: E402
from ganglion.keys import Keypair  # noqa: E402
from ganglion.wire.call import CallFailed, Target  # noqa: E402
from ganglion.wire.sealed import BadSeal, KeyRing, Opener, padded  # noqa: E402
from ganglion.wire.sealed_call import SealedCaller  # noqa: E402
from ganglion.wire.text import Sampling, TextRequest  # noqa: E402
from ganglion.wire.through import GatewayCaller  # noqa: E402
from neurons.engine.load import Loaded  # noqa: E402
from neurons.gateway.store import Store  # noqa: E402
from neurons.identity import Identity  # noqa: E402
from neurons.miner.attest import AttestService, mock_evidence  # noqa: E402

HERE = Path(__file__).parent
GATEWAY = Keypair.from_uri("//Gateway")
CANARY = "canary-7f3a91c4-of-a-secret-prompt"
PROMPT = f"{CANARY}\nimport os\n"
ROOT = HERE.parents[1]


@dataclass
class Outside:
    """A gateway's process, and how to reach it."""

    process: subprocess.Popen[str]
    folder: Path
    url: str
    key: str

    def memory(self) -> bytes:
        """All of its writable memory."""
        found = []
        pid = self.process.pid
        with open(f"/proc/{pid}/mem", "rb", 0) as mem:
            for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
                span, rights = line.split()[:2]
                if not rights.startswith("rw") or line.endswith(("[vvar]", "[vsyscall]")):
                    continue
                start, end = (int(part, 16) for part in span.split("-"))
                mem.seek(start)
                try:
                    found.append(mem.read(end - start))
                except OSError:
                    continue
        return b"\n".join(found)

    def everything(self) -> bytes:
        """Its memory, its database and its log."""
        files = [file.read_bytes() for file in sorted(self.folder.iterdir())]
        return b"\n".join([self.memory(), *files])


def forms(text: str) -> list[bytes]:
    """How a text could lie in memory: as it is, wide, and inside base64 at any offset."""
    raw = text.encode()
    inside = [base64.b64encode(b"x" * i + raw)[4:-4] for i in range(3)]
    return [raw, text.encode("utf-16-le"), text.encode("utf-32-le"), raw.hex().encode(), *inside]


@pytest.fixture
async def outside(miner: Running, tmp_path: Path) -> AsyncIterator[Outside]:
    command = [sys.executable, str(HERE / "gateway_process.py"), str(tmp_path)]
    command += [miner.target.hotkey, str(miner.target.port)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment
        )
        try:
            assert process.stdout is not None
            said = await _line(process)
            port, key = said.split()
            yield Outside(process, tmp_path, f"http://127.0.0.1:{port}/v1", key)
        finally:
            process.kill()
            process.wait()


async def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return await asyncio.to_thread(process.stdout.readline)


def order(prompt: str = PROMPT) -> TextRequest:
    return TextRequest(os.urandom(16), "ganglion/tiny", Sampling(b"\5" * 32), 48, prompt=prompt)


async def test_a_gateway_that_passes_sealed_orders_holds_no_word_of_them(
    outside: Outside, miner: Running
) -> None:
    async with GatewayCaller(outside.url, outside.key) as way:
        timed = await SealedCaller(way, GENESIS, NETUID).text(miner.target, order())
    signed = timed.answer.signed
    assert signed is not None
    assert signed.receipt.caller == GATEWAY.public_key
    assert len(timed.answer.text) > 20  # long enough to be nobody else's text
    kept = outside.everything()
    assert b"sealed-" in kept  # the order's id: the scan sees what is there
    for secret in (CANARY, timed.answer.text):
        assert [form for form in forms(secret) if form in kept] == []


async def test_the_scan_would_find_a_prompt(outside: Outside) -> None:
    """The same gateway reads what is not sealed, and then it is found."""
    async with aiohttp.ClientSession() as session:
        body = {"model": "ganglion/tiny", "prompt": CANARY, "max_tokens": 4}
        headers = {"Authorization": f"Bearer {outside.key}"}
        url = f"{outside.url}/completions"
        async with session.post(url, json=body, headers=headers) as reply:
            assert reply.status == 200
    assert any(form in outside.everything() for form in forms(CANARY))


async def test_a_sealed_order_is_billed_by_the_usage_that_the_miner_says(
    outside: Outside, miner: Running
) -> None:
    async with GatewayCaller(outside.url, outside.key) as way:
        timed = await SealedCaller(way, GENESIS, NETUID).text(miner.target, order())
    store = Store(f"sqlite:///{outside.folder}/gw.db")
    row = store.list_keys()[0]
    while row["reserved"]:  # the bill is made when the answer is over
        await asyncio.sleep(0.01)
        row = store.list_keys()[0]
    store.close()
    answer = timed.answer
    assert (row["spent"], row["reserved"]) == (answer.prompt_tokens + answer.completion_tokens, 0)


async def test_the_sdk_asks_through_a_gateway(outside: Outside, miner: Running) -> None:
    way = GatewayCaller(outside.url, outside.key)
    async with asking(neuron(3, miner.target)) as subnet, way:
        subnet.sealed, subnet._through = True, way
        answer = await subnet.ask(CANARY, Style(max_tokens=10))
        assert answer.receipt.receipt.caller == GATEWAY.public_key
        with pytest.raises(NoAnswer, match="embeddings cannot be sealed"):
            await subnet.embed(["one"])


async def test_attested_from_end_to_end_through_a_gateway(tiny: Loaded, tmp_path: Path) -> None:
    """The asker judges the evidence itself: whoever passes it on cannot change it."""

    async def behind(block_hash: bytes) -> int | None:
        return 0 if block_hash == b"\1" * 32 else None

    def service(identity: Identity, ring: KeyRing) -> AttestService:
        return AttestService(identity, ring, "mock", mock_evidence, behind)

    trust = Trust(AttestPolicy(frozenset(), test_only_mock=True), Attestor())
    async with serving(tiny, attest=service) as miner:
        async for gate in outside.__wrapped__(miner, tmp_path):  # type: ignore[attr-defined]
            way = GatewayCaller(gate.url, gate.key)
            async with asking(neuron(3, miner.target)) as subnet, way:
                subnet.sealed, subnet._through, subnet.confidential = True, way, trust
                subnet._attest(trust).book.on_block(7, b"\1" * 32, time.time())
                answer = await subnet.ask(CANARY, Style(max_tokens=6))
            assert answer.confidential == "mock"


async def test_replays_bit_flips_and_wrong_miners_are_refused(
    outside: Outside, miner: Running
) -> None:
    async with GatewayCaller(outside.url, outside.key) as way:
        key = await SealedCaller(way, GENESIS, NETUID).key(miner.target)
        opener = Opener(key, "ganglion/tiny", 48, padded(order().to_bytes()))
        again = Opener(key, "ganglion/tiny", 48, padded(order().to_bytes()))
        events = [e async for e in way.events(miner.target, opener.envelope)]
        opened = [opener.open(*event) for event in events[:3]]
        assert [name for name, _ in opened] == ["tokens"] * 3
        with pytest.raises(BadSeal, match="the seal is broken"):
            opener.open(*events[2])  # an event again
        with pytest.raises(BadSeal, match="the seal is broken"):
            again.open(*events[0])  # an answer to another order
        flipped = orjson.loads(opener.envelope)
        flipped["box"] = ("B" if flipped["box"][0] == "A" else "A") + flipped["box"][1:]
        with pytest.raises(CallFailed, match="the seal is broken"):
            [e async for e in way.events(miner.target, orjson.dumps(flipped))]
        eve = Keypair.from_uri("//Eve")
        flipped["miner"] = "0x" + eve.public_key.hex()
        with pytest.raises(CallFailed, match="no miner"):
            [e async for e in way.events(miner.target, orjson.dumps(flipped))]
        with pytest.raises(CallFailed, match="no miner"):
            await way.fetch(Target(eve.address, "127.0.0.1", 1), "GET", "/v1/seal")


async def test_what_is_no_envelope_is_refused(outside: Outside) -> None:
    nobody = Target(GATEWAY.address, "", 1)
    cases = [
        (b"", "no JSON"),
        (b"[]", "no JSON object"),
        (b'{"messages": []}', "unknown field"),
        (b'{"miner": "0x00"}', "miner must be"),
        (orjson.dumps({"miner": "0x" + "00" * 32, "model": "x", "max_tokens": 0}), "max_tokens"),
    ]
    async with GatewayCaller(outside.url, outside.key) as way:
        for body, said in cases:
            with pytest.raises(CallFailed, match=said):
                [e async for e in way.events(nobody, body)]
        with pytest.raises(CallFailed, match="only sealed"):
            [e async for e in way.events(nobody, b"{}", "/v1/generate")]
    async with GatewayCaller(outside.url, "wrong") as way:
        with pytest.raises(CallFailed, match="key"):
            await way.signer()
