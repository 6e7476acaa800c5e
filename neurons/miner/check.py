"""`neuron-miner check`: what would go wrong, said before anything is paid or published."""

from __future__ import annotations

import argparse
import os
import random
import socket
import time
from collections.abc import AsyncIterator

from ganglion.attest.attestor import Attestor
from ganglion.attest.evidence import SGX, TDX, AttestUnavailable, BadEvidence, parse
from ganglion.attest.policy import ANYTHING
from ganglion.client import Client
from ganglion.errors import GanglionError
from ganglion.keys import Keypair
from ganglion.wire.call import Caller, Target
from ganglion.wire.text import TextAnswer
from neurons import program
from neurons.calibration.measure import readable
from neurons.chainlink import ChainLink
from neurons.engine.load import Loaded
from neurons.engine.worker import Worker
from neurons.identity import Identity
from neurons.miner.attest import NoEvidence, command_evidence
from neurons.miner.textgen import TextService
from neurons.shards.options import load_model, release
from neurons.validator.examiner import TextExaminer
from neurons.validator.thresholds import agreed
from subnets import registry
from subnets.models import ModelEntry
from subnets.textgen.probe import draw_probe

PROBES, TOKENS = 3, 64
PINNED = (TDX, SGX)
"""Kinds of evidence that can be judged without roots from the operator."""

Line = tuple[bool, str]
"""Whether all is well, and a sentence."""


async def chain_lines(client: Client, options: argparse.Namespace, hotkey: Keypair) -> list[Line]:
    """What the chain says of the subnet and of this hot key."""
    chain = ChainLink(client, options.netuid, hotkey)
    if not await client.query("SubtensorModule", "NetworksAdded", options.netuid):
        return [(False, f"there is no subnet {options.netuid} on this chain")]
    uid = await client.uid_of(options.netuid, hotkey.address)
    if uid is not None:
        return [(True, f"{hotkey.address} is registered as uid {uid}")]
    if options.no_register:
        return [(False, f"{hotkey.address} is not registered, and --no-register forbids it")]
    payer = program.payer_of(options)
    cost, funds = await chain.registration_cost(), await client.balance(payer)
    enough = funds.as_rao() > cost.as_rao()
    return [(enough, f"registration costs {cost}, {payer} has {funds}")]


async def model_lines(
    client: Client, options: argparse.Namespace, hotkey: Keypair, own: ModelEntry, exact: bool
) -> tuple[ModelEntry, list[Line]]:
    """By which thresholds validators judge this model, and what the chain expects it to cost."""
    found = await registry.read_if_any(client, own.name)
    view = await ChainLink(client, options.netuid, hotkey).view()
    entry = agreed(own, found, view)
    if found is None:
        lines = [(True, f"the chain's registry does not know {own.name}: validators judge by "
                  "their own calibration")]  # fmt: skip
    elif found.entry.weights_hash != own.weights_hash:
        lines = [(False, f"the chain registers {own.name} with other weights than these")]
    else:
        source = "the chain's entry" if entry is found.entry else "their own calibration"
        hint = max(found.price.prompt, found.price.completion)
        lines = [(True, f"validators judge {own.name} by {source}")]
        lines.append((True, f"you ask {options.price} rao per million tokens, the registry "
                      f"expects {hint}"))  # fmt: skip
    if entry.thresholds(exact) is None:
        lines.append((False, f"{own.name} has no thresholds for the fast class, so no answer "
                      "counts: `ganglion models calibrate`, or --engine exact"))  # fmt: skip
    return entry, lines


async def probe_lines(
    loaded: Loaded, entry: ModelEntry, identity: Identity, draft: bool
) -> AsyncIterator[Line]:
    """A few probes, answered by this engine and judged as a validator judges."""
    worker = Worker(loaded.model, pages=128, draft=draft)
    worker.start()
    try:
        service = TextService(worker, loaded.tokenizer, identity)
        judge = TextExaminer(Caller(identity.hotkey), identity, loaded, worker)
        judge.entry = entry
        rng, made, spent = random.Random(time.time_ns()), 0, 0.0
        for _ in range(PROBES):
            request = draw_probe(rng, loaded.entry.name, TOKENS, loaded.model.card.context)
            request = readable(request, loaded.tokenizer, rng)
            body, answer, started = request.to_bytes(), TextAnswer(), time.perf_counter()
            async for event in service.answer(service.accept(body, identity.hotkey.public_key)):
                answer.take(*event)
            spent, made = spent + time.perf_counter() - started, made + len(answer.tokens)
            target = Target(identity.hotkey.address, "127.0.0.1", 1)
            verdict = await judge.judge(target, request, body, answer)
            if not verdict.verified:
                yield False, f"a validator refuses an answer: {verdict.reason}: {verdict.detail}"
        yield True, f"{made} tokens judged, {made / spent:.0f} a second, one answer at a time"
    finally:
        worker.stop()


def port_line(host: str, port: int) -> Line:
    """Whether this port is free."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as tried:
        tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            tried.bind((host, port))
        except OSError as e:
            return False, f"{host} port {port} cannot be listened on: {e.strerror}"
    return True, f"{host} port {port} is free"


async def attest_lines(kind: str | None, command: str | None) -> list[Line]:
    """What the attest command gives for report data that only this check asked for."""
    if kind is None:
        return []
    if command is None:
        return [(True, f"evidence of kind {kind} proves nothing; it is for tests")]
    data = os.urandom(64)
    try:
        pieces = parse(await command_evidence(command, kind)(data))
        found = [
            Attestor().verify(piece, ANYTHING, data, time.time())
            for piece in pieces
            if piece.kind in PINNED
        ]
    except (NoEvidence, BadEvidence, AttestUnavailable) as e:
        return [(False, f"the evidence would not be believed: {e}")]
    kinds = ", ".join(piece.kind for piece in pieces)
    lines = [(True, f"the attest command prints evidence of kind {kinds}")]
    for verdict in found:
        lines.append((True, f"its {verdict.kind} holds, firmware {verdict.status}, "
                      f"{', '.join(verdict.advisories) or 'no'} known weaknesses"))  # fmt: skip
    return lines


class NotReady(GanglionError):
    """Something was found wrong; the lines before say what."""


async def check(options: argparse.Namespace) -> None:
    """Print one line a finding; NotReady if something is wrong."""
    hotkey, bad = program.hotkey_of(options), 0

    def tell(line: Line) -> None:
        nonlocal bad
        bad += not line[0]
        print(f"{'ok   ' if line[0] else 'WRONG'} {line[1]}")  # noqa: T201

    tell(port_line(options.host, options.port))
    for line in await attest_lines(options.attest, options.attest_command):
        tell(line)
    async with Client(options.network) as client:
        for line in await chain_lines(client, options, hotkey):
            tell(line)
        if options.task == "text" and not bad:
            genesis = bytes.fromhex(client.genesis_hash.removeprefix("0x"))
            identity = Identity(hotkey, genesis, options.netuid)
            loaded = load_model(options, identity)
            exact = loaded.model.card.exact
            entry, lines = await model_lines(client, options, hotkey, loaded.entry, exact)
            for line in lines:
                tell(line)
            try:
                async for line in probe_lines(loaded, entry, identity, options.draft == "lookup"):
                    tell(line)
            finally:
                release(loaded.model)
    if bad:
        raise NotReady(f"{bad} of these would keep this miner from earning")
