"""One model on several machines: the same bits, replay after a failure, and the liar is found."""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import pytest
from running_spans import Swarm, swarm

from ganglion.wire.spans import Values
from neurons.engine.base import Output, Row
from neurons.engine.batch import Job, Scheduler, run_alone
from neurons.engine.load import Loaded
from neurons.engine.pages import PagePool
from neurons.engine.parts import Blocks
from neurons.shards.audit import case_of, judged, truth
from neurons.shards.calls import CONNECT_SECONDS
from neurons.shards.directory import URGENT_SECONDS
from neurons.shards.front import Distrusted, ShardedModel
from neurons.shards.routing import MissingBlocks
from subnets.proofs.sampling import Sampling

PROMPT = "Three machines and one model: "
TOKENS = 48


def job(tiny: Loaded, key: str = "one") -> Job:
    return Job(key, tuple(tiny.tokenizer.encode(PROMPT)), Sampling(b"\5" * 32), TOKENS)


@pytest.fixture(scope="module")
def true(tiny: Loaded) -> tuple[list[int], Any]:
    """Tokens and states of the model on one machine."""
    tokens, states, _ = run_alone(tiny.model, job(tiny))
    assert len(tokens) == TOKENS
    return tokens, states


@pytest.fixture
def servers() -> Iterator[Swarm]:
    with swarm() as made:
        yield made


def patiently(work: Callable[[], Any]) -> Any:
    """A busy test machine may take longer than a front waits for a server that came back."""
    for _ in range(20):
        try:
            return work()
        except MissingBlocks:
            threading.Event().wait(0.2)
    return work()


class Watched:
    """A front on which something happens after so many passes; remembers its last session."""

    def __init__(self, front: ShardedModel, after: int = -1, happen: Any = None) -> None:
        self._front, self._after, self._happen, self.passes = front, after, happen, 0
        self.card = front.card
        self.session: Any = None

    def new_cache(self, pages: int) -> Any:
        self.session = self._front.new_cache(pages)
        return self.session

    def forward(self, cache: Any, rows: Sequence[Row]) -> list[Output]:
        if self.passes == self._after:
            self._happen()
        self.passes += 1
        return self._front.forward(cache, rows)

    @property
    def way(self) -> list[tuple[int, int, str]]:
        """Where its session went last: blocks and server."""
        legs = self._front.pipeline._ways[self.session.ident]
        return [(leg.first, leg.last, leg.peer.key) for leg in legs]


def pinned(servers: Swarm, front: ShardedModel, *names: str) -> None:
    """Make some servers the nearest."""
    for name, span in servers.spans.items():
        peer = front.directory.peers[span.identity.hotkey.address]
        peer.rtt = 0.001 if name in names else 0.5


def test_three_servers_give_the_bits_of_one_machine(
    servers: Swarm, tiny: Loaded, true: tuple[list[int], Any]
) -> None:
    tokens, states, _ = run_alone(servers.front(), job(tiny))
    assert tokens == true[0]
    assert (states == true[1]).all()
    assert sum(span.app.tokens for span in servers.spans.values()) > TOKENS


def test_logits_are_those_of_one_machine_to_the_bit(servers: Swarm, tiny: Loaded) -> None:
    front, prompt = servers.front(), tiny.tokenizer.encode(PROMPT * 3)
    rows = [Row(prompt[:40], 0, (3, 1, 2), 5), Row(prompt[:17], 0, (0, 5), 1)]
    ours = front.forward(front.new_cache(6), rows)
    theirs = tiny.model.forward(tiny.model.new_cache(6), rows)
    for a, b in zip(ours, theirs):
        assert (a.logits.view(np.uint64) == b.logits.view(np.uint64)).all()


def test_a_killed_server_is_replaced_and_only_its_blocks_are_replayed(
    servers: Swarm, tiny: Loaded, true: tuple[list[int], Any]
) -> None:
    front = servers.front()
    pinned(servers, front, "A", "B")
    model = Watched(front, 18, servers.spans["B"].kill)  # the prompt's pass gave token 0
    tokens, states, _ = run_alone(model, job(tiny))
    assert tokens == true[0]
    assert (states == true[1]).all()
    a, c = (servers.spans[name].identity.hotkey.address for name in "AC")
    assert model.way == [(0, 2, a), (2, 4, c)]
    # Token 17 is the first that had to wait: 17 made before it lie in the cache, and the prompt.
    positions = len(job(tiny).prompt) + 17
    assert model.session.replays.positions == {(2, 4): positions}
    assert model.session.replays.size == {(2, 4): positions * front.card.hidden * 8}
    assert servers.spans["A"].app.tokens == len(job(tiny).prompt) + TOKENS - 1


def test_the_next_session_uses_whoever_came(
    servers: Swarm, tiny: Loaded, true: tuple[list[int], Any]
) -> None:
    servers.spans["B"].kill()
    front = servers.front()
    first = Watched(front)
    assert run_alone(first, job(tiny))[0] == true[0]
    assert first.way[-1][2] == servers.spans["C"].identity.hotkey.address
    servers.serve("D", 2, 4)
    servers.spans["C"].kill()
    second = Watched(front)
    assert run_alone(second, job(tiny))[0] == true[0]
    assert second.way[-1] == (2, 4, servers.spans["D"].identity.hotkey.address)


def test_a_tarpit_is_left_in_the_middle_of_an_answer(
    servers: Swarm, tiny: Loaded, true: tuple[list[int], Any]
) -> None:
    front = servers.front()
    pinned(servers, front, "A", "B")
    b, c = (servers.spans[name].identity.hotkey.address for name in "BC")

    def slow() -> None:
        assert model.way[-1] == (2, 4, b)
        front.directory.peers[b].lag = 4.9

    model = Watched(front, 20, slow)
    assert run_alone(model, job(tiny))[0] == true[0]
    assert model.way[-1][2] == c
    assert b not in front.pipeline.bans.until


def test_many_answers_at_once_through_every_failure(servers: Swarm, tiny: Loaded) -> None:
    """Six answers that share a prefix, with guesses, in a cache that is too small for all."""
    front, spans = servers.front(audit=0.2), servers.spans
    opening = PROMPT * 3
    orders = [
        Job(
            str(i), tuple(tiny.tokenizer.encode(f"{opening}{i * 7}")), Sampling(bytes([i]) * 32), 30
        )
        for i in range(6)
    ]
    events = {5: spans["A"].app.rooms.clear, 9: spans["B"].kill, 14: spans["B"].start,
              18: spans["C"].kill, 25: spans["A"].kill,
              30: spans["C"].start, 33: spans["B"].kill}  # fmt: skip
    scheduler = Scheduler(PagePool(30), 264, 1024, width=4, draft=True)
    cache, made, passes = front.new_cache(30), {order.key: list[int]() for order in orders}, 0
    missed = list[int]()
    for order in orders:
        scheduler.submit(order)
    while rows := scheduler.plan():
        passes += 1
        if passes in events:
            events[passes]()
        try:
            outputs = front.forward(cache, rows)
        except MissingBlocks:  # in the 25th, as A alone has the first block; more if all is slow
            missed.append(passes)
            if passes == 25:
                spans["A"].start()
            outputs = patiently(partial(front.forward, cache, rows))
        for token in scheduler.absorb(outputs):
            made[token.key].append(token.token)
    assert passes > max(events)
    assert 25 in missed
    for order in orders:
        assert made[order.key] == run_alone(tiny.model, order)[0]
    assert not front.findings
    assert front.report()["liars"] == []
    assert len(front.report()["servers"]) == 3


def test_missing_blocks_are_named_at_once_and_found_again(
    servers: Swarm, tiny: Loaded, true: tuple[list[int], Any]
) -> None:
    front = servers.front()
    servers.spans["B"].kill()
    servers.spans["C"].kill()
    with pytest.raises(MissingBlocks, match=r"blocks 2:4 of ganglion/tiny have no server") as e:
        run_alone(front, job(tiny))
    assert e.value.blocks == (2, 3)
    # Said within a second even if the machines do not refuse but keep silent.
    assert CONNECT_SECONDS + URGENT_SECONDS < 0.9
    servers.spans["B"].start()
    tokens = patiently(lambda: run_alone(front, job(tiny, secrets.token_hex(4)))[0])
    assert tokens == true[0]


def flipping(after: int, again: bool = False) -> Any:
    """Blocks that flip the lowest bit of one activation, once or from then on."""

    def change(true: Blocks) -> Blocks:
        class Flipping:
            blocks, seen = true.blocks, 0

            def new_cache(self, pages: int) -> Any:
                return true.new_cache(pages)

            def run(
                self, cache: Any, rows: Sequence[Row], x: Values, first: int, last: int
            ) -> Values:
                y = true.run(cache, rows, x, first, last)
                self.seen += 1
                if self.seen == after or (again and self.seen > after and len(y)):
                    y.view(np.uint64)[0, 7] ^= 1
                return y

        return Flipping()

    return change


def test_one_flipped_bit_is_found_by_replay_and_its_server_alone_is_penalised(
    tiny: Loaded, true: tuple[list[int], Any]
) -> None:
    with swarm(abc=False) as servers:
        servers.serve("A", 0, 2)
        servers.serve("B", 2, 4, change=flipping(6 + 20))  # its rate was measured in six passes
        servers.serve("C", 1, 4)
        front = servers.front()
        pinned(servers, front, "A", "B")
        model = Watched(front)
        assert run_alone(model, job(tiny))[0]
        legs = front.pipeline._ways[model.session.ident]
        cases = [case_of(model.session, leg, 0) for leg in legs]
        found = [judged(case, truth(front.parts, case)) for case in cases if case is not None]
        assert found[0] == []
        (finding,) = found[1]
        liar = servers.spans["B"].identity.hotkey
        assert finding.claim.claim.server == liar.public_key
        assert finding.claim.holds()
        assert finding.position == len(job(tiny).prompt) + 18  # its 20th hop, the first: the prompt
        assert finding.claim.claim.step in model.session.claims
        front._lied(finding)
        with pytest.raises(Distrusted, match="false result"):
            model.forward(model.session, [Row([1], 0, (0,))])
        again = Watched(front)
        assert run_alone(again, job(tiny))[0] == true[0]
        assert liar.address not in {key for _, _, key in again.way}
        assert front.pipeline.bans.liars == {liar.address}


async def test_a_false_row_whose_claim_is_gone_still_ends_the_answer(
    servers: Swarm, tiny: Loaded
) -> None:
    front = servers.front()
    model = Watched(front)
    run_alone(model, job(tiny))
    case = case_of(model.session, front.pipeline._ways[model.session.ident][0], 0)
    assert case is not None
    case.y.view(np.uint64)[4, 4] ^= 1
    nobodys = replace(case, claims=(None,) * len(case.claims))
    front.auditor._ask = lambda case: asyncio.sleep(0)  # type: ignore[assignment, method-assign]
    assert await front.auditor.audit(nobodys) == [None]
    front._lied(None)
    assert front.new_cache(1) not in front._doubted  # what begins now was touched by nobody
    with pytest.raises(Distrusted):
        model.forward(model.session, [Row([1], 0, (0,))])
    assert len(model.forward(model.session, [Row([1], 0, (0,))])) == 1
    assert not front.pipeline.bans.liars


@pytest.mark.parametrize("others", [True, False])
def test_the_front_audits_by_itself(tiny: Loaded, others: bool) -> None:
    """With another server of the blocks to ask, and without."""
    with swarm(abc=False) as servers:
        servers.serve("A", 0, 2)
        servers.serve("B", 2, 4, change=flipping(6 + 3, again=True))
        if others:
            servers.serve("C", 1, 4)
        front = servers.front(audit=1.0)
        pinned(servers, front, "A", "B")
        for number in range(20):
            with suppress(Distrusted, MissingBlocks):
                run_alone(front, job(tiny, str(number)))
            if front.findings:
                break
        liar = servers.spans["B"].identity.hotkey.public_key
        assert {finding.claim.claim.server for finding in front.findings} == {liar}
        assert front.pipeline.bans.liars == {servers.spans["B"].identity.hotkey.address}


def test_honest_servers_are_never_penalised(
    servers: Swarm, tiny: Loaded, true: tuple[list[int], Any]
) -> None:
    front = servers.front(audit=1.0)
    assert run_alone(front, job(tiny))[0] == true[0]
    assert front.auditor.done > 1
    assert not front.findings
