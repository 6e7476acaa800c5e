"""The programs: span servers and a front find each other on the chain, and an app asks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from chain.dev.devnode import DevNode
from ganglion.inference import Inference, NoAnswer, Style
from ganglion.keys import Keypair
from neurons.engine.batch import Job, run_alone
from neurons.engine.load import Loaded
from neurons.miner import main as miner
from neurons.miner.options import contradiction, parser
from neurons.shards import program
from neurons.shards.options import AUTO
from subnets.proofs.sampling import Sampling

PLACE = "--netuid 1 --host 127.0.0.1 --external-host 0.0.0.0 --port 0"
SEED = b"\3" * 32


Programs = list["asyncio.Task[None]"]


async def ready(caplog: pytest.LogCaptureFixture, programs: Programs, word: str) -> None:
    """Wait until programs say so; what one of them died of is raised."""
    while not any(word in r.getMessage() for r in caplog.records):
        for ended in (p for p in programs if p.done()):
            ended.result()
        await asyncio.sleep(0.02)


@asynccontextmanager
async def running(*works: object) -> AsyncIterator[Programs]:
    tasks = [asyncio.ensure_future(work) for work in works]  # type: ignore[call-overload]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def span(node: DevNode, uri: str, *words: str) -> object:
    common = (*PLACE.split(), "--network", node.url, "--uri", uri)
    return program.serve(program.parser().parse_args([*common, *words]))


async def test_servers_and_front_find_each_other_on_the_chain(
    tiny: Loaded, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    words = f"{PLACE} --uri //Bob --spans subnet --audit 1"
    with DevNode() as node:
        front = parser().parse_args([*words.split(), "--network", node.url])
        async with (
            running(miner.serve(front, miner.build_services)) as fronts,
            Inference(1, Keypair.from_uri("//Alice"), node.url) as subnet,
        ):
            await ready(caplog, fronts, miner.PROVEN_START)
            with pytest.raises(NoAnswer, match="blocks 0:4 of ganglion/tiny have no server now"):
                await subnet.ask("Explain", Style(max_tokens=8))
            async with running(span(node, "//Charlie", "--blocks", "0:2")) as first:
                await ready(caplog, first, f"{program.READY} blocks=0:2")
                second = span(node, "//Dave", "--blocks", AUTO, "--count", "2")
                async with running(second) as others:
                    await ready(caplog, others, f"{program.READY} blocks=2:4")
                    answer = await retried(subnet)
    prompt = tuple(tiny.tokenizer.chat([("user", "Explain")]))
    want, _, _ = run_alone(
        tiny.model, Job("x", prompt, Sampling(SEED, 0.7), 24, stops=tiny.model.card.stops)
    )
    assert answer == want


async def retried(subnet: Inference) -> list[int]:
    """The tokens of an answer, once the front has heard of its servers."""
    while True:
        try:
            found = await subnet.ask("Explain", Style(max_tokens=24, seed=SEED))
        except NoAnswer:
            await asyncio.sleep(0.5)
        else:
            return list(found.tokens)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--spans nonsense", "no hotkey's address"),
        ("--spans 5FHneW46xGXgs5mUiveU4sbTyGBzmstUspZC92UhjJM694ty@host", "give HOTKEY@HOST:PORT"),
        ("--audit 2", "no share"),
    ],
)
def test_wrong_words_of_a_front(words: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(["--netuid", "1", *words.split()])
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    ["--task embedding", "--backend http://127.0.0.1:1/v1", "--stand-by-answers", "--attest mock"],
)
def test_a_front_makes_text_through_its_spans_and_vouches_for_nothing_more(words: str) -> None:
    options = parser().parse_args(["--netuid", "1", "--spans", "subnet", *words.split()])
    assert "--spans" in (contradiction(options) or "")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--blocks 2:2", "is no span"),
        ("--blocks auto", "belong together"),
        ("--blocks 0:2 --count 2", "belong together"),
        ("--blocks 0:2 --front x", "no hotkey's address"),
        ("--blocks 0:2 --task embedding", "for text"),
    ],
)
def test_wrong_words_of_a_span_server(
    words: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        miner.main(["span", "--netuid", "1", *words.split()])
    assert said in capsys.readouterr().err
