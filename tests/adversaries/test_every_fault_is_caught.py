"""Each planted fault, over real HTTP, against the exact class: caught, and for the right reason."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ganglion.keys import Keypair
from ganglion.wire.call import Caller, Patience, Target
from localnet import faults
from neurons.engine.load import Loaded, load
from neurons.engine.worker import Worker
from neurons.http import Gate, Server
from neurons.identity import Identity
from neurons.miner.server import MinerApp
from neurons.validator.examiner import TextExaminer
from subnets.verdict import Reason, Verdict

ALICE, MINER = Keypair.from_uri("//Alice"), Keypair.from_uri("//Eve")
GENESIS, NETUID = b"\5" * 32, 3
LOADED: Loaded = load("exact", "tiny")

EXPECTED = {
    **dict.fromkeys(faults.WEIGHT_FAULTS, {Reason.SAMPLING, Reason.FINGERPRINT}),
    "prompt": {Reason.SAMPLING, Reason.FINGERPRINT},
    "temperature": {Reason.SAMPLING, Reason.FINISH},
    "seed": {Reason.SAMPLING, Reason.FINISH},
    "relay": {Reason.SAMPLING},
    "early-stop": {Reason.FINISH},
    "usage": {Reason.USAGE},
    "answer-usage": {Reason.USAGE},
    "endless": {Reason.FORMAT},
    "malformed-proofs": {Reason.FINGERPRINT},
    "swapped-proofs": {Reason.RECEIPT},
    "replayed-receipt": {Reason.RECEIPT},
    "borrowed-receipt": {Reason.RECEIPT},
    "withheld-receipt": {Reason.UNREACHABLE},
    "late-switch": {Reason.SAMPLING, Reason.FINGERPRINT},
    "cached": {Reason.SAMPLING, Reason.FINISH, Reason.TOKENS},
    "stalling": {Reason.TIMEOUT},
}


@asynccontextmanager
async def examined(kind: str) -> AsyncIterator[tuple[TextExaminer, Target]]:
    identity = Identity(MINER, GENESIS, NETUID)
    service = faults.faulty_service(kind, LOADED, identity)
    service.worker.start()
    app = MinerApp(Gate(MINER.address), lambda caller: 1.0, service)
    server = Server(app.app, "127.0.0.1", 0)
    await server.start()
    verifier = Worker(LOADED.model, pages=1)
    verifier.start()
    async with Caller(ALICE, Patience(total=1.0 if kind == "stalling" else 20.0)) as caller:
        checker = TextExaminer(caller, Identity(ALICE, GENESIS, NETUID), LOADED, verifier, 128)
        yield checker, Target(MINER.address, "127.0.0.1", server.port)
    await server.stop()
    service.worker.stop()
    verifier.stop()


async def check_until_caught(kind: str, tokens: int) -> tuple[Verdict, int]:
    """Verdicts until the first failure, and the tokens it took."""
    spent, rng = 0, random.Random(kind)
    async with examined(kind) as (checker, target):
        while True:
            verdict = await checker.examine(target, rng)
            spent += verdict.tokens
            if not verdict.verified or spent >= tokens:
                return verdict, spent


@pytest.mark.parametrize("kind", faults.KINDS)
async def test_caught(kind: str) -> None:
    verdict, spent = await check_until_caught(kind, 512)
    assert verdict.reason in EXPECTED[kind], (verdict, spent)


async def test_an_unknown_fault_is_named() -> None:
    await asyncio.sleep(0)
    with pytest.raises(faults.UnknownFault, match="wrong-model"):
        faults.faulty_service("nice", LOADED, Identity(MINER, GENESIS, NETUID))


def test_the_guide_names_every_fault() -> None:
    guide = (Path(__file__).parents[2] / "docs" / "verification.md").read_text()
    missing = [kind for kind in faults.KINDS if kind != "stalling" and f"| `{kind}` |" not in guide]
    assert missing == []
