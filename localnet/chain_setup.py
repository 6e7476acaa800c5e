"""Preparing the chain: funds, relaxed limits, subnets, registrations, stake.

Everything goes through signed transactions, as on any chain; //Alice is sudo on a dev chain.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ganglion.client import Client
from ganglion.keys import dev_key
from ganglion.receipt import Receipt
from ganglion.registry import Call
from localnet.plan import Neuron, Plan, Subnet

TAO = 1_000_000_000
OWNER_FUNDS = 20_000 * TAO
COLDKEY_FUNDS = 5_000 * TAO
HOTKEY_FUNDS = 10 * TAO
VALIDATOR_STAKE = 1_000 * TAO

Say = Callable[[str], None]


@dataclass(frozen=True)
class Setup:
    """What `prepare` does to the chain. `tempo` is blocks between epochs."""

    client: Client
    plan: Plan
    tempo: int
    say: Say


async def prepare(setup: Setup) -> None:
    """Bring an empty dev chain to the plan; raises TransactionFailed with the chain's reason."""
    setup.say("funding accounts")
    await _fund(setup)
    await _relax(setup)
    for subnet in setup.plan.subnets:
        known = await _find_subnet(setup.client, subnet)
        if known is not None:
            setup.say(f"the {subnet.task} subnet is there already: {known}")
            subnet.netuid = known
            continue
        setup.say(f"registering the {subnet.task} subnet")
        await _register_subnet(setup, subnet)
    setup.say("registering neurons")
    for subnet in setup.plan.subnets:
        await _register_neurons(setup, subnet)


async def _sudo(client: Client, *calls: Call) -> Receipt:
    batch = await client.compose("Utility", "batch_all", calls=list(calls))
    made = await client.compose("Sudo", "sudo", call=batch)
    return (await client.submit(made, dev_key("Alice"))).check()


async def _fund(setup: Setup) -> None:
    wanted: dict[str, int] = {}
    for subnet in setup.plan.subnets:
        wanted[subnet.owner.address] = OWNER_FUNDS
        wanted[subnet.owner_hotkey.address] = HOTKEY_FUNDS
    for neuron in setup.plan.neurons:
        wanted[neuron.coldkey.address] = COLDKEY_FUNDS
        wanted[neuron.hotkey.address] = HOTKEY_FUNDS
    calls = [
        await setup.client.compose("Balances", "transfer_keep_alive", dest=who, value=amount)
        for who, amount in wanted.items()
    ]
    batch = await setup.client.compose("Utility", "batch_all", calls=calls)
    (await setup.client.submit(batch, dev_key("Alice"))).check()


async def _relax(setup: Setup) -> None:
    """No waiting between administrative calls: a local chain lives for minutes."""
    compose = setup.client.compose
    await _sudo(
        setup.client,
        await compose("AdminUtils", "sudo_set_network_rate_limit", rate_limit=0),
        await compose("AdminUtils", "sudo_set_tx_rate_limit", tx_rate_limit=0),
        await compose("AdminUtils", "sudo_set_admin_freeze_window", window=0),
        await compose("AdminUtils", "sudo_set_start_call_delay", delay=0),
    )


async def _find_subnet(client: Client, subnet: Subnet) -> int | None:
    """The subnet that an earlier run on the same data folder registered."""
    owners = await client.query_map("SubtensorModule", "SubnetOwner")
    found = [int(netuid) for netuid, who in owners if who == subnet.owner.address]
    return max(found, default=None)


async def _register_subnet(setup: Setup, subnet: Subnet) -> None:
    client = setup.client
    call = await client.compose(
        "SubtensorModule", "register_network", hotkey=subnet.owner_hotkey.address
    )
    receipt = (await client.submit(call, subnet.owner)).check()
    added = receipt.find("SubtensorModule", "NetworkAdded")
    if added is None:
        raise RuntimeError("register_network succeeded without a NetworkAdded event")
    subnet.netuid = int(added.args[0])
    await _sudo(client, *await _subnet_settings(setup, subnet.netuid))
    start = await client.compose("SubtensorModule", "start_call", netuid=subnet.netuid)
    (await client.submit(start, subnet.owner)).check()


async def _subnet_settings(setup: Setup, netuid: int) -> list[Call]:
    room = 2 + len(setup.plan.neurons)
    wanted: Iterable[tuple[str, dict[str, int | bool]]] = (
        ("sudo_set_tempo", {"tempo": setup.tempo}),
        ("sudo_set_commit_reveal_weights_enabled", {"enabled": False}),
        ("sudo_set_weights_set_rate_limit", {"weights_set_rate_limit": 0}),
        ("sudo_set_min_allowed_weights", {"min_allowed_weights": 0}),
        ("sudo_set_max_registrations_per_block", {"max_registrations_per_block": room}),
        ("sudo_set_target_registrations_per_interval", {"target_registrations_per_interval": room}),
        ("sudo_set_serving_rate_limit", {"serving_rate_limit": 0}),
    )
    return [
        await setup.client.compose("AdminUtils", name, netuid=netuid, **args)
        for name, args in wanted
    ]


async def _register_neurons(setup: Setup, subnet: Subnet) -> None:
    members = [n for n in setup.plan.neurons if n.subnet == subnet.task]
    # Each costs more than the one before it, so they go one after the other, in a fixed order:
    # uids are the same in every run.
    fresh = [
        n for n in members if await setup.client.uid_of(subnet.netuid, n.hotkey.address) is None
    ]
    for neuron in fresh:
        await _register(setup.client, subnet.netuid, neuron)
    validators = [n for n in fresh if n.role == "validator"]
    await asyncio.gather(*(_stake(setup.client, subnet.netuid, v) for v in validators))


async def _register(client: Client, netuid: int, neuron: Neuron) -> None:
    call = await client.compose(
        "SubtensorModule", "burned_register", netuid=netuid, hotkey=neuron.hotkey.address
    )
    (await client.submit(call, neuron.coldkey)).check()


async def _stake(client: Client, netuid: int, validator: Neuron) -> None:
    call = await client.compose(
        "SubtensorModule",
        "add_stake",
        hotkey=validator.hotkey.address,
        netuid=netuid,
        amount_staked=VALIDATOR_STAKE,
    )
    (await client.submit(call, validator.coldkey)).check()
