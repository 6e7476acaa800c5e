"""Setting up the economy: subnets, neurons, validators with stake, root, all by real calls."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from chain.pallets.sudo import Sudid
from chain.runtime.call import RuntimeCall
from ganglion.hashing import blake2_256
from ganglion.units import I96F32, ROOT_NETUID, AccountId, NetUid, Rao
from localnet.simulator.chain import Act, MemoryChain

TAO = 1_000_000_000
LOCK = 10_000 * TAO
LOCK_FALLS_IN = 4
"""Blocks after which a subnet costs no more than the one before it."""
OWNER_FUNDS, VALIDATOR_FUNDS, MINER_FUNDS = 12_000 * TAO, 500 * TAO, 60 * TAO
NOMINATOR_FUNDS = 5_000 * TAO
MINERS_PER_COLDKEY = 16
CALLS_PER_BLOCK = 400
FLAT_BURN = 1 << 64
"""A registration multiplies the price by one."""
ROOT_SEATS = 16
MOVING_ALPHA = I96F32(1 << 30)
"""Moving prices follow within a few tempos: root earns, and funds may trade, once they do."""

Say = Callable[[str], object]


class SetupFailed(Exception):
    """A call of the set-up did not do what it must; the text says which and why."""


@dataclass(frozen=True)
class Size:
    """How large the economy is; `validators` of each subnet's `neurons` have stake."""

    subnets: int = 32
    neurons: int = 256
    tempo: int = 360
    nominators: int = 200

    @property
    def validators(self) -> int:
        """Every fourth neuron, at most 64, at least one."""
        return max(1, min(64, self.neurons // 4))

    @property
    def netuids(self) -> range:
        """The subnets, root not counted."""
        return range(1, self.subnets + 1)


def account(kind: str, *numbers: int) -> AccountId:
    """An account that nobody has a key of: this economy needs none."""
    return AccountId(blake2_256(f"{kind} {' '.join(map(str, numbers))}".encode()))


def hotkey(netuid: int, place: int) -> AccountId:
    """The hotkey that registers at a place of a subnet; 0 is the owner's."""
    return account("hotkey", netuid, place)


def coldkey(size: Size, netuid: int, place: int) -> AccountId:
    """Who owns that hotkey: owner and validators one each, miners a few."""
    if place == 0:
        return account("owner", netuid)
    if place <= size.validators:
        return account("validator", netuid, place)
    return account("miner", netuid, place // MINERS_PER_COLDKEY)


def nominator(number: int) -> AccountId:
    """Somebody with TAO and no neuron."""
    return account("nominator", number)


def balances(size: Size) -> dict[AccountId, Rao]:
    """What everybody starts with."""
    funds: dict[AccountId, Rao] = {}
    for netuid in size.netuids:
        for place in range(size.neurons):
            amount = VALIDATOR_FUNDS if 0 < place <= size.validators else MINER_FUNDS
            funds[coldkey(size, netuid, place)] = Rao(amount if place else OWNER_FUNDS)
    for number in range(size.nominators):
        funds[nominator(number)] = Rao(NOMINATOR_FUNDS)
    return funds


def build(size: Size, say: Say = lambda text: None) -> MemoryChain:
    """A chain whose subnets are full and running; raises SetupFailed."""
    chain = MemoryChain(tuple(balances(size).items()))
    must(chain, _sudo(chain, _global_settings(chain)))
    for netuid in size.netuids:
        say(f"subnet {netuid} of {size.subnets}")
        _add_subnet(chain, size, NetUid(netuid))
    say("registering neurons")
    _in_blocks(chain, _registrations(chain, size))
    say("staking")
    _in_blocks(chain, _stakes(chain, size))
    return chain


def must(chain: MemoryChain, acts: Iterable[Act]) -> None:
    """A block in which every call succeeds, sudo's inner calls too; raises SetupFailed."""
    tally = chain.tally
    s = chain.block(lambda _: acts)
    for failure in (*tally.failed, *tally.refused):
        raise SetupFailed(failure)
    for event in s.events:
        if isinstance(event, Sudid) and event.sudo_result is not None:
            raise SetupFailed(f"sudo: {event.sudo_result}")


def _in_blocks(chain: MemoryChain, acts: Iterator[Act]) -> None:
    while chunk := list(islice(acts, CALLS_PER_BLOCK)):
        must(chain, chunk)


def _sudo(chain: MemoryChain, calls: Iterable[RuntimeCall]) -> list[Act]:
    return [(chain.sudo, chain.call("Sudo.sudo", call)) for call in calls]


def _global_settings(chain: MemoryChain) -> Iterator[RuntimeCall]:
    """No waiting between administrative calls, and room on root."""
    for name, *values in (
        ("network_rate_limit", 0),
        ("tx_rate_limit", 0),
        ("admin_freeze_window", 0),
        ("start_call_delay", 0),
        ("network_min_lock_cost", LOCK),
        ("lock_reduction_interval", LOCK_FALLS_IN),
        ("max_registrations_per_block", ROOT_NETUID, ROOT_SEATS),
        ("target_registrations_per_interval", ROOT_NETUID, ROOT_SEATS),
        ("subtoken_enabled", ROOT_NETUID, True),
        ("basket_trading_enabled", True),
        ("subnet_moving_alpha", MOVING_ALPHA),
    ):
        yield chain.call(f"AdminUtils.sudo_set_{name}", *values)


def _add_subnet(chain: MemoryChain, size: Size, netuid: NetUid) -> None:
    owner = account("owner", netuid)
    for _ in range(LOCK_FALLS_IN - 1):
        must(chain, ())
    must(chain, [(owner, chain.call("register_network", hotkey(netuid, 0)))])
    settings = (
        ("tempo", size.tempo),
        ("burn_increase_mult", FLAT_BURN),
        ("commit_reveal_weights_enabled", uses_commits(netuid)),
        ("liquid_alpha_enabled", netuid % 3 == 0),
        ("yuma3_enabled", netuid % 5 != 0),
        ("weights_set_rate_limit", 0),
        ("ema_price_halving_period", size.tempo),
        ("immunity_period", min(4 * size.tempo, 5_000)),
        ("subnet_emission_enabled", True),
    )
    calls = [chain.call(f"AdminUtils.sudo_set_{k}", netuid, v) for k, v in settings]
    start = (owner, chain.call("start_call", netuid))
    must(chain, [*_sudo(chain, calls), start])


def uses_commits(netuid: int) -> bool:
    """Whether weights of the subnet are committed first and revealed an epoch later."""
    return netuid % 4 == 0


def _registrations(chain: MemoryChain, size: Size) -> Iterator[Act]:
    for place in range(1, size.neurons):
        for netuid in size.netuids:
            call = chain.call("burned_register", NetUid(netuid), hotkey(netuid, place))
            yield coldkey(size, netuid, place), call


def _stakes(chain: MemoryChain, size: Size) -> Iterator[Act]:
    """Validators stake behind themselves, larger and smaller; a few sit on root."""
    for netuid in size.netuids:
        for place in range(1, size.validators + 1):
            who, hot = coldkey(size, netuid, place), hotkey(netuid, place)
            tao = Rao((20 + 37 * place * netuid % 180) * TAO)
            yield who, chain.call("add_stake", hot, NetUid(netuid), tao)
    for seat in range(min(ROOT_SEATS, size.subnets)):
        netuid = size.netuids[seat]
        yield coldkey(size, netuid, 1), chain.call("root_register", hotkey(netuid, 1))
    for number in range(size.nominators):
        hot = hotkey(size.netuids[number % min(ROOT_SEATS, size.subnets)], 1)
        tao = Rao((100 + 11 * number % 900) * TAO)
        yield nominator(number), chain.call("add_stake", hot, ROOT_NETUID, tao)
