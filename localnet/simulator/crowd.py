"""What people do in a block: stake in every way, register, lend, claim; and validators' weights.

All chance comes from one seeded generator, so that the same seed on the same chain draws the same
calls. Many calls fail, as on any chain: that is part of the economy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

from chain.pallets.subtensor.commit_reveal import compute_commit_hash, is_expired, is_revealable
from chain.pallets.subtensor.fund import get_holdings
from chain.pallets.subtensor.neurons import storage_index
from chain.pallets.subtensor.share_pool import get_stake
from chain.pallets.subtensor.storage_keys import Owner
from chain.pallets.subtensor.storage_network import SubnetEpochIndex, SubnetworkN
from chain.pallets.subtensor.storage_neurons import Keys, ValidatorPermit
from chain.pallets.subtensor.types import Keep, Swap
from chain.runtime.state import State
from chain.runtime.types import Id
from ganglion.units import ROOT_NETUID, AccountId, Alpha, NetUid, PerU16, Rao, Uid
from localnet.simulator.chain import Act, MemoryChain
from localnet.simulator.world import (
    ROOT_SEATS,
    TAO,
    Size,
    account,
    coldkey,
    hotkey,
    nominator,
    uses_commits,
)

Weights = tuple[tuple[int, ...], tuple[int, ...]]
Position = tuple[AccountId, AccountId, NetUid]
"""Coldkey, hotkey, subnet."""
MAX_POSITIONS = 5_000
MAX_PRICE, MIN_PRICE = Rao(20 * TAO), Rao(TAO // 1_000)
HALF_KEY = 1 << 63
"""Half of a hotkey's stake, as children count it."""
TAKE_RANGE = (0, 11_796)


@dataclass(frozen=True, slots=True)
class Committed:
    """Weights that wait for their reveal epoch."""

    hotkey: AccountId
    netuid: NetUid
    epoch: int
    weights: Weights
    salt: int


class Crowd:
    """The seeded people of one chain; `calls` is how many of their calls a block has on average."""

    def __init__(self, chain: MemoryChain, size: Size, seed: int, calls: int = 6) -> None:
        self.chain, self.size, self.calls = chain, size, calls
        self.draw = Random(seed)
        self.positions: list[Position] = []
        self.committed: list[Committed] = []
        self.newcomers = 0
        self.quality = {
            netuid: [self.draw.randrange(1, 60_000) for _ in range(size.neurons)]
            for netuid in size.netuids
        }
        self.kinds: list[Callable[[State], Act]] = []
        for kind, share in (
            (self.add, 30),
            (self.add_limit, 6),
            (self.root, 8),
            (self.remove, 20),
            (self.remove_limit, 5),
            (self.move, 6),
            (self.swap, 5),
            (self.give, 4),
            (self.unstake_all, 1),
            (self.claim, 4),
            (self.claim_one, 2),
            (self.claim_type, 1),
            (self.buy_shares, 3),
            (self.trade, 2),
            (self.children, 3),
            (self.child_take, 1),
            (self.take, 1),
            (self.register, 4),
            (self.transfer, 3),
        ):
            self.kinds += [kind] * share

    def acts(self, s: State) -> Iterator[Act]:
        """The calls of the block that `s` is in; drawn one by one as they are run."""
        for _ in range(self.draw.randrange(2 * self.calls + 1)):
            yield self.draw.choice(self.kinds)(s)
        yield from self.reveals(s)
        yield from self.weights(s)

    # --- weights -------------------------------------------------------------------------------

    def weights(self, s: State) -> Iterator[Act]:
        """Validators weigh once a tempo, each in a block of its own."""
        for netuid in map(NetUid, self.size.netuids):
            phase = (self.chain.number - 31 * netuid) % self.size.tempo
            for uid in range(phase, self.size.validators + 1, self.size.tempo):
                permits = s[ValidatorPermit, netuid]
                if uid < len(permits) and permits[uid]:
                    yield self.weigh(s, netuid, s[Keys, netuid, Uid(uid)])

    def weigh(self, s: State, netuid: NetUid, who: AccountId) -> Act:
        """Set or commit to what a validator sees of the miners' quality."""
        n = s[SubnetworkN, netuid]
        seen = tuple(q * self.draw.randrange(90, 110) // 110 for q in self.quality[netuid][:n])
        uids = tuple(range(len(seen)))
        if not uses_commits(netuid):
            return who, self.chain.call("set_weights", netuid, uids, seen, 0)
        salt = self.draw.randrange(1 << 16)
        self.committed.append(
            Committed(who, netuid, s[SubnetEpochIndex, netuid], (uids, seen), salt)
        )
        index = storage_index(netuid, 0)
        digest = compute_commit_hash(who, index, uids, seen, (salt,), 0)
        return who, self.chain.call("commit_weights", netuid, digest)

    def reveals(self, s: State) -> Iterator[Act]:
        """Show every commit whose epoch has come; forget those that are too late."""
        waiting: list[Committed] = []
        for each in self.committed:
            if is_revealable(s, each.netuid, each.epoch):
                uids, values = each.weights
                salt = (each.salt,)
                call = self.chain.call("reveal_weights", each.netuid, uids, values, salt, 0)
                yield each.hotkey, call
            elif not is_expired(s, each.netuid, each.epoch):
                waiting.append(each)
        self.committed = waiting

    # --- who and what ----------------------------------------------------------------------------

    def subnet(self) -> NetUid:
        """Any subnet."""
        return NetUid(self.draw.choice(self.size.netuids))

    def somebody(self) -> AccountId:
        """Any coldkey with TAO."""
        if self.draw.random() < 0.8:
            return nominator(self.draw.randrange(self.size.nominators))
        return coldkey(self.size, self.subnet(), self.draw.randint(1, self.size.validators))

    def validator(self, s: State, netuid: NetUid) -> AccountId:
        """The hotkey at one of the validators' uids."""
        return s[Keys, netuid, Uid(self.draw.randint(1, self.size.validators))]

    def tao(self) -> Rao:
        """Up to 20 TAO, small amounts more often."""
        return Rao(int(20 * TAO * self.draw.random() ** 3))

    def held(self, s: State) -> tuple[Position, Alpha]:
        """A position that was opened some time, and a part of what is in it: often nothing."""
        if not self.positions:
            netuid = self.subnet()
            place = self.draw.randint(1, self.size.validators)
            position = coldkey(self.size, netuid, place), hotkey(netuid, place), netuid
        else:
            position = self.draw.choice(self.positions)
        who, hot, netuid = position
        stake = get_stake(s, hot, who, netuid)
        return position, Alpha(stake * self.draw.randint(1, 4) // 4)

    def remember(self, position: Position) -> None:
        """Keep a position for later, in place of any other once there are many."""
        if len(self.positions) < MAX_POSITIONS:
            self.positions.append(position)
        else:
            self.positions[self.draw.randrange(MAX_POSITIONS)] = position

    # --- calls ---------------------------------------------------------------------------------

    def add(self, s: State) -> Act:
        """Stake on a subnet."""
        who, netuid = self.somebody(), self.subnet()
        hot = self.validator(s, netuid)
        self.remember((who, hot, netuid))
        return who, self.chain.call("add_stake", hot, netuid, self.tao())

    def add_limit(self, s: State) -> Act:
        """Stake under a price."""
        who, netuid = self.somebody(), self.subnet()
        hot = self.validator(s, netuid)
        self.remember((who, hot, netuid))
        partial = self.draw.random() < 0.5
        limit = Rao(self.draw.randrange(MAX_PRICE))
        return who, self.chain.call("add_stake_limit", hot, netuid, self.tao(), limit, partial)

    def root(self, s: State) -> Act:
        """Stake on root behind the first validator of some subnet."""
        who, hot = self.somebody(), hotkey(self.subnet(), 1)
        self.remember((who, hot, ROOT_NETUID))
        return who, self.chain.call("add_stake", hot, ROOT_NETUID, self.tao())

    def remove(self, s: State) -> Act:
        """Sell a part of a position."""
        (who, hot, netuid), amount = self.held(s)
        return who, self.chain.call("remove_stake", hot, netuid, amount)

    def remove_limit(self, s: State) -> Act:
        """Sell above a price."""
        (who, hot, netuid), amount = self.held(s)
        limit = Rao(self.draw.randrange(MIN_PRICE, TAO))
        return who, self.chain.call("remove_stake_limit", hot, netuid, amount, limit, True)

    def move(self, s: State) -> Act:
        """Move a part of a position to another hotkey, here or elsewhere."""
        (who, hot, netuid), amount = self.held(s)
        to = self.subnet()
        call = self.chain.call("move_stake", hot, self.validator(s, to), netuid, to, amount)
        return who, call

    def swap(self, s: State) -> Act:
        """Move a part of a position to another subnet."""
        (who, hot, netuid), amount = self.held(s)
        to = self.subnet()
        self.remember((who, hot, to))
        return who, self.chain.call("swap_stake", hot, netuid, to, amount)

    def give(self, s: State) -> Act:
        """Give a part of a position away."""
        (who, hot, netuid), amount = self.held(s)
        to = self.somebody()
        self.remember((to, hot, netuid))
        return who, self.chain.call("transfer_stake", to, hot, netuid, netuid, amount)

    def unstake_all(self, s: State) -> Act:
        """Sell all that is behind a hotkey."""
        (who, hot, _), _ = self.held(s)
        return who, self.chain.call("unstake_all", hot)

    def claim(self, s: State) -> Act:
        """Redeem what all funds owe; the subnets are what older clients name."""
        count = self.draw.randint(1, min(5, self.size.subnets))
        subnets = tuple(map(NetUid, sorted(self.draw.sample(self.size.netuids, count))))
        return self.somebody(), self.chain.call("claim_root", subnets)

    def claim_one(self, s: State) -> Act:
        """Redeem what one fund owes."""
        return self.somebody(), self.chain.call("claim_root_with_hotkey", self.fund())

    def fund(self) -> AccountId:
        """A hotkey with a seat on root."""
        seat = self.draw.randrange(min(ROOT_SEATS, self.size.subnets))
        return hotkey(self.size.netuids[seat], 1)

    def buy_shares(self, s: State) -> Act:
        """Buy shares of a fund."""
        return self.somebody(), self.chain.call("stake_into_basket", self.fund(), self.tao())

    def trade(self, s: State) -> Act:
        """Sell a little of what a fund has, for TAO or for the alpha of another subnet."""
        hot = self.fund()
        held = get_holdings(s, hot) or [(ROOT_NETUID, Alpha(0))]
        origin, alpha = self.draw.choice(held)
        to = ROOT_NETUID if self.draw.random() < 0.7 else self.subnet()
        part = Alpha(alpha // self.draw.randint(2, 50))
        return s[Owner, hot], self.chain.call("swap_basket", hot, origin, to, part, 0)

    def claim_type(self, s: State) -> Act:
        """Choose between alpha and TAO."""
        choice = self.draw.choice((Keep(), Swap()))
        return self.somebody(), self.chain.call("set_root_claim_type", choice)

    def children(self, s: State) -> Act:
        """Lend a validator's stake to another one."""
        netuid = self.subnet()
        parent, child = self.validator(s, netuid), self.validator(s, netuid)
        lent = ((self.draw.randrange(HALF_KEY), child),)
        return s[Owner, parent], self.chain.call("set_children", parent, netuid, lent)

    def child_take(self, s: State) -> Act:
        """Change what a validator takes from those who lend it stake."""
        netuid = self.subnet()
        hot, take = self.validator(s, netuid), PerU16(self.draw.randint(*TAKE_RANGE))
        return s[Owner, hot], self.chain.call("set_childkey_take", hot, netuid, take)

    def take(self, s: State) -> Act:
        """Change what a validator takes from nominators."""
        hot = self.validator(s, self.subnet())
        name = self.draw.choice(("increase_take", "decrease_take"))
        take = PerU16(self.draw.randint(*TAKE_RANGE))
        return s[Owner, hot], self.chain.call(name, hot, take)

    def register(self, s: State) -> Act:
        """Register a new hotkey; on a full subnet somebody has to go."""
        self.newcomers += 1
        hot = account("newcomer", self.newcomers)
        return self.somebody(), self.chain.call("burned_register", self.subnet(), hot)

    def transfer(self, s: State) -> Act:
        """Send TAO."""
        to = Id(self.somebody())
        call = self.chain.call("Balances.transfer_keep_alive", to, Rao(self.tao() // 10))
        return self.somebody(), call
