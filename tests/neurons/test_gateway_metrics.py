# ruff: noqa: E402 - optional packages decide first whether this file runs
"""What a gateway tells of itself, and which headers it takes."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("openai")
pytest.importorskip("sqlalchemy")
from running_miner import Running
from test_gateway_openai import ONE_TOKEN, Gatewayed, gateways

from ganglion.market import AskFacts
from ganglion.wire.call import Target
from neurons.engine.load import Loaded
from neurons.gateway.directory import described
from neurons.gateway.metrics import HELP, Totals, gauges, render
from neurons.gateway.router import Miner, Router
from neurons.gateway.wishes import KNOWN

MODEL = "ganglion/tiny"
LINE = re.compile(r'ganglion_\w+\{\w+="(?:[^"\\]|\\.)*"(?:,\w+="\w+")?\} [0-9.e+-]+')


@pytest.fixture
async def gateway(tiny: Loaded, miner: Running, tmp_path: Path) -> AsyncIterator[Gatewayed]:
    async for made in gateways(tiny, tmp_path, miner):
        yield made


def named(uid: int, running: int, places: int) -> Miner:
    made = Miner(uid, Target(f"5Miner{uid}", "127.0.0.1", 1), MODEL)
    made.running, made.places = running, places
    return made


def test_utilisation_is_that_of_the_miners_and_of_the_leases() -> None:
    router = Router()
    router.update([named(0, 3, 4), named(1, 9, 4), named(2, 0, 0)])
    router.miners["5Miner1"].banned_until = 10.0
    asks = [
        AskFacts(1, MODEL, "a", 1, 1, 1, 300, 100, 9),
        AskFacts(1, "other", "b", 1, 1, 1, 0, 0, 9),
    ]
    found = gauges(router, asks, 5.0)
    one = found[MODEL]
    assert one["utilisation"] == 7 / 8  # nobody makes more than it can
    assert (one["miners"], one["miners_resting"], one["places"]) == (3, 1, 8)
    assert one["utilisation_leased"] == pytest.approx(1 / 3)
    assert found["other"]["utilisation_leased"] == 0


@given(st.text(), st.integers(0, 1 << 40))
def test_every_line_can_be_read_whatever_a_model_is_called(model: str, tokens: int) -> None:
    totals = Totals()
    totals.served(model, tokens, tokens // 2, 1)
    totals.failed(model)
    router = Router()
    router.update([Miner(0, Target("5A", "127.0.0.1", 1), model)])
    text = render(totals, [gauges(router, [], 0.0)])
    assert text.endswith("\n")
    lines = text[:-1].split("\n")
    for line in lines:
        assert line.startswith("# ") or LINE.fullmatch(line), line
    names = {line.split("{")[0].removeprefix("ganglion_") for line in lines if line[0] != "#"}
    assert names <= HELP.keys()


@pytest.mark.parametrize("said", [None, -1, True, "7", 1 << 40, 2.5, []])
def test_a_miners_odd_count_is_none(said: object) -> None:
    given_ = {"price": 1, "context": 9, "model": "m", "running": said, "places": 4}
    made = described(0, Target("5A", "127.0.0.1", 1), given_)
    assert (made.running, made.places) == (0, 4)


async def test_a_gateway_counts_what_it_serves(gateway: Gatewayed) -> None:
    for _ in range(2):
        made = await gateway.client.chat.completions.with_raw_response.create(**ONE_TOKEN)
    whole = made.parse()
    assert made.headers["X-Request-Id"] == whole.id
    url, key = gateway.url.removesuffix("/v1") + "/metrics", gateway.key
    async with aiohttp.ClientSession() as http:
        async with http.get(url) as reply:
            assert reply.status == 401
        async with http.get(url, headers={"Authorization": f"Bearer {key}"}) as reply:
            assert reply.content_type == "text/plain"
            text = await reply.text()
    prompt = 2 * whole.usage.prompt_tokens
    assert f'ganglion_requests_total{{model="{MODEL}",outcome="served"}} 2' in text
    assert f'ganglion_tokens_total{{model="{MODEL}",kind="prompt"}} {prompt}' in text
    assert f'ganglion_tokens_total{{model="{MODEL}",kind="cached"}} 16' in text
    assert f'ganglion_miners{{model="{MODEL}"}} 1' in text
    assert f'ganglion_places{{model="{MODEL}"}} 32' in text
    assert f'ganglion_utilisation{{model="{MODEL}"}} 0' in text


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("X-Ganglion-MaxPrice", "5", "there is no header X-Ganglion-MaxPrice; known are"),
        ("X-Ganglion-Verify", "after", "X-Ganglion-Verify is `before`"),
        ("X-Ganglion-Class", "fast", "X-Ganglion-Class is `exact`"),
        ("X-Ganglion-Tier", "fast", "X-Ganglion-Tier is `latency`"),
        ("X-Ganglion-Confidential", "yes", "X-Ganglion-Confidential is `required`"),
    ],
)
async def test_a_misspelt_condition_is_refused(
    gateway: Gatewayed, name: str, value: str, said: str
) -> None:
    url, key = gateway.url + "/chat/completions", gateway.key
    headers = {"Authorization": f"Bearer {key}", name: value}
    async with (
        aiohttp.ClientSession() as http,
        http.post(url, json=ONE_TOKEN, headers=headers) as reply,
    ):
        assert reply.status == 400
        error = (await reply.json())["error"]
        assert said in error["message"]
        assert error["type"] == "invalid_request_error"


def test_every_header_is_in_the_documentation() -> None:
    page = (Path(__file__).parents[2] / "docs" / "gateway.md").read_text()
    for name in (*KNOWN, "X-Ganglion-Miner", "X-Request-Id"):
        assert f"`{name}" in page
    for metric in HELP:
        assert f"ganglion_{metric}" in page
