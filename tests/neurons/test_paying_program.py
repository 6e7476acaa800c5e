"""A program that pays miners through the SDK, without a gateway."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("sqlalchemy")

from running_miner import dying_first  # noqa: E402

from chain.dev.devnode import DevNode  # noqa: E402 - an optional package decides first
from ganglion.inference import Inference, NoAnswer, Style  # noqa: E402
from ganglion.keys import Keypair  # noqa: E402
from ganglion.payer import Payer  # noqa: E402
from ganglion.subnet_views import Neuron  # noqa: E402
from ganglion.wire.paid import UnitPrices  # noqa: E402
from localnet.paid_market import Listed, Market, Plan, market  # noqa: E402
from neurons.engine.load import Loaded  # noqa: E402

LONG = Style(max_tokens=64, seed=b"\1" * 32)
PRICES = UnitPrices.flat(1_000_000), UnitPrices.flat(2_000_000)


class Told(Inference):
    """Is told who the miners are, the cheapest first."""

    neurons: tuple[Neuron, ...] = ()

    async def _drawn(self) -> list[Neuron]:
        return list(self.neurons)


def asking(node: DevNode, m: Market, payer: Payer | None) -> Told:
    made = Told(1, m.payer, node.url, payer=payer)
    made.neurons = Listed(m.client, m.payer, [miner.target for miner in m.miners]).serving
    return made


def earned(m: Market) -> list[int]:
    return [
        sum(v.voucher.cumulative for v in miner.till.ledger.best.values()) for miner in m.miners
    ]


async def test_a_program_pays_for_what_it_got_and_goes_on_after_a_restart(
    tiny: Loaded, tmp_path: Path
) -> None:
    plan = Plan(2, 0, PRICES, payer="Eve", worker=dying_first)
    with DevNode() as node:
        async with market(node.url, tmp_path, tiny, plan) as m:
            for round_ in (1, 2):
                payer = Payer("0.1", tmp_path / "paid.db")
                async with asking(node, m, payer) as subnet:
                    answer = await subnet.ask("Explain ☃", LONG)
                payer.close()
                prompt, total = answer.prompt_tokens, len(answer.tokens)
                assert [len(part.tokens) for part in answer.parts] == [20, total - 20]
                due = [prompt + 20, 2 * (prompt + 20 + total - 20)]
                assert earned(m) == [round_ * rao for rao in due]
            assert [len(miner.till.ledger.best) for miner in m.miners] == [1, 1]


async def test_what_is_too_dear_or_unpaid_is_told(tiny: Loaded, tmp_path: Path) -> None:
    with DevNode() as node:
        async with market(node.url, tmp_path, tiny, Plan(1, 0, PRICES, payer="Eve")) as m:
            payer = Payer("0.1", tmp_path / "paid.db", max_price=999_999)
            async with asking(node, m, payer) as subnet:
                with pytest.raises(NoAnswer, match="too dear"):
                    await subnet.ask("Explain", LONG)
            async with asking(node, m, None) as subnet:
                with pytest.raises(NoAnswer, match="this miner is paid: open a channel"):
                    await subnet.ask("Explain", LONG)
            poor = Payer("0.1", tmp_path / "poor.db")
            m.payer = Keypair.from_uri("//Nobody//at//all")
            async with asking(node, m, poor) as subnet:
                with pytest.raises(NoAnswer, match="it cannot be paid: "):
                    await subnet.ask("Explain", LONG)
            assert earned(m) == [0]
