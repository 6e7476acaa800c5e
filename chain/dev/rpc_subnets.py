"""dev_* methods for subnet developers."""

from __future__ import annotations

from typing import Any

from chain.dev import subnets
from chain.dev.beacon import advance_beacon
from chain.dev.rpc_common import account, on_worker, subnet, tools_of
from chain.rpc.context import Node, hex0x
from chain.rpc.methods import MethodTable
from ganglion import ss58
from ganglion.keys import dev_key

methods = MethodTable()


@methods.rpc_async("dev_runEpoch")
async def run_epoch(node: Node, netuid: int) -> str:
    """Run a subnet's epoch now; the hash of the block that ran it."""
    block = await on_worker(node, subnets.run_epoch, tools_of(node), subnet(netuid))
    return hex0x(block)


@methods.rpc_async("dev_registerNeurons")
async def register_neurons(
    node: Node, netuid: int, count: int, stake: int = 0, coldkey: str | None = None
) -> list[dict[str, Any]]:
    """Register new neurons of a coldkey (Alice's) with alpha behind each; uids and key URIs."""
    owner = dev_key("Alice").account_id if coldkey is None else account(coldkey)
    made = await on_worker(
        node, subnets.register_neurons, tools_of(node), subnet(netuid), count, stake, owner
    )
    return [{"uid": n.uid, "hotkey": ss58.encode(n.hotkey), "uri": n.uri} for n in made]


@methods.rpc_async("dev_skipImmunity")
async def skip_immunity(node: Node, netuid: int, uids: list[int] | None = None) -> int:
    """Make neurons old enough to be pruned; the subnet's immunity period after that."""
    work = subnets.skip_immunity
    return int(await on_worker(node, work, tools_of(node), subnet(netuid), uids))


@methods.rpc_async("dev_skipRateLimits")
async def skip_rate_limits(node: Node, netuid: int | None = None) -> str:
    """Forget when anybody last did anything; on a subnet also when weights were last set."""
    which = None if netuid is None else subnet(netuid)
    return hex0x(await on_worker(node, subnets.skip_rate_limits, tools_of(node), which))


@methods.rpc_async("dev_advanceBeacon")
async def advance(node: Node, round: int | None = None) -> int:  # noqa: A002
    """Write the local beacon's pulses up to a round (default: the one due now); the last one."""
    return int(await on_worker(node, advance_beacon, tools_of(node), round))
