"""What the executor needs for blocks of a large economy: epochs of many subnets, many stake calls.

Executor time is a block from its first hook to its encoded changes. Signatures were checked when
the pool took the calls, and the trie and the disk come after.
"""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import islice
from multiprocessing import get_context

from benchmark import Row, run

from chain.pallets.subtensor.events_stake import StakeAdded, StakeRemoved
from chain.pallets.subtensor.share_pool import get_stake
from chain.pallets.subtensor.storage_network import LastEpochBlock, SubnetEpochIndex, Tempo
from chain.pallets.subtensor.storage_neurons import Keys, ValidatorPermit
from chain.pallets.system import Account
from chain.runtime.state import State
from ganglion.units import Alpha, NetUid, Rao, Uid
from localnet.simulator.chain import Act, MemoryChain
from localnet.simulator.crowd import Crowd
from localnet.simulator.world import TAO, Size, build, coldkey, hotkey, uses_commits

RUNS = 3
EPOCHS_WITHIN = 100
STAKE_CALLS = 1_000
WEIGHTS_PER_BLOCK = 20
TRADES = (StakeAdded, StakeRemoved)
Changes = dict[bytes, bytes | None]
EPOCH_LIMIT_MS, STAKE_LIMIT_MS = 100.0, 150.0


def spread_epochs(chain: MemoryChain, size: Size) -> None:
    """Let every subnet's next epoch be due in one of the next hundred blocks."""
    while chain.number < EPOCHS_WITHIN:
        chain.block(lambda s: ())
    s = chain.state.child()
    for place, netuid in enumerate(map(NetUid, size.netuids)):
        due = chain.number + 1 + place * EPOCHS_WITHIN // size.subnets
        s[LastEpochBlock, netuid] = due - s[Tempo, netuid]
    chain.backend.apply(s.changes())
    chain.state.absorb(s)


def block_ms(chain: MemoryChain, raws: list[bytes], kinds: tuple[type, ...] = ()) -> float:
    """Executor time of the next block of these extrinsics; each must emit one of these events.

    The block is run a few times over the same state, and the least time counts: what a shared
    machine adds is not the executor's.
    """
    times, last = [], chain.number
    for raw in raws:  # as the pool does
        chain.executive.validate_transaction(chain.state, raw)
    for _ in range(RUNS):
        chain.number = last
        s, changes, ms = one_run(chain, raws)  # the run before is given back here, out of the time
        times.append(ms)
    done = sum(isinstance(event, kinds) for event in s.events)
    if done != len(raws):
        raise SystemExit(f"{len(raws)} calls, {done} of them did what they should")
    chain.backend.apply(changes)
    chain.state.absorb(s)
    return min(times)


def one_run(chain: MemoryChain, raws: list[bytes]) -> tuple[State, Changes, float]:
    """The block's state, its encoded changes, and the milliseconds that it took."""
    start = time.process_time()
    s = chain.begin()
    for raw in raws:
        chain.executive.apply_extrinsic(s, raw)
    chain.executive.finalize_block(s)
    changes = s.changes()
    return s, changes, (time.process_time() - start) * 1e3


def apart(work: Callable[[], Row]) -> Row:
    """Measure in a process of its own: a node holds one economy, not two."""
    with ProcessPoolExecutor(1, get_context("fork")) as pool:
        return pool.submit(work).result()


def row(what: str, times: list[float], goal: float) -> Row:
    """One line of the table."""
    return {
        "block": what,
        "blocks": len(times),
        "p50, ms": round(statistics.median(times), 1),
        "p99, ms": round(statistics.quantiles(times, n=100, method="inclusive")[98], 1),
        "max, ms": round(max(times), 1),
        "goal (max), ms": goal,
    }


# --- epochs --------------------------------------------------------------------------------------


def epochs(size: Size) -> Row:
    """Blocks without calls in which all epochs come due, after a round that set all weights."""
    chain = ready(size)
    spread_epochs(chain, size)
    for _ in range(EPOCHS_WITHIN):
        chain.block(lambda s: ())
    acts = weights(Crowd(chain, size, seed=1), chain.state, size)
    while chunk := list(islice(acts, WEIGHTS_PER_BLOCK)):
        chain.block(lambda s, chunk=chunk: chunk)
    if chain.tally.failed or chain.tally.refused:
        raise SystemExit(f"weights: {chain.tally.failed} {chain.tally.refused}")
    spread_epochs(chain, size)
    before = total_epochs(chain, size)
    times = [block_ms(chain, []) for _ in range(EPOCHS_WITHIN)]
    ran = total_epochs(chain, size) - before
    return row(f"of {ran} epochs in {EPOCHS_WITHIN} blocks", times, EPOCH_LIMIT_MS)


def weights(crowd: Crowd, s: State, size: Size) -> Iterator[Act]:
    """Every validator weighs all neurons of its subnet, where weights are not committed first."""
    for uid in map(Uid, range(1, size.validators + 1)):
        for netuid in map(NetUid, size.netuids):
            if s[ValidatorPermit, netuid][uid] and not uses_commits(netuid):
                yield crowd.weigh(s, netuid, s[Keys, netuid, uid])


def total_epochs(chain: MemoryChain, size: Size) -> int:
    """Epochs that have ever run."""
    return sum(chain.state[SubnetEpochIndex, NetUid(n)] for n in size.netuids)


# --- stake calls ---------------------------------------------------------------------------------


def stakes(size: Size, blocks: int) -> Row:
    """Blocks of a thousand stake calls, half purchases and half sales: what a block can carry.

    The first four blocks only warm the state's cache: every validator has then bought and sold.
    """
    chain = ready(size)
    times = [block_ms(chain, list(stake_calls(chain, size, n)), TRADES) for n in range(4 + blocks)]
    return row(f"of {STAKE_CALLS} stake calls", times[4:], STAKE_LIMIT_MS)


def stake_calls(chain: MemoryChain, size: Size, turn: int) -> Iterator[bytes]:
    """Validators of all subnets in turns buy a TAO of their own alpha, or sell a tenth of it."""
    s = chain.state
    for number in range(STAKE_CALLS):
        netuid = NetUid(size.netuids[number % size.subnets])
        place = 1 + number // size.subnets
        who, hot = coldkey(size, netuid, place), hotkey(netuid, place)
        if (place + turn) % 2:
            call = chain.call("add_stake", hot, netuid, Rao(TAO))
        else:
            tenth = Alpha(get_stake(s, hot, who, netuid) // 10)
            call = chain.call("remove_stake", hot, netuid, tenth)
        yield chain.extrinsic(who, call, s[Account, who].nonce)


def ready(size: Size) -> MemoryChain:
    """A chain of that size, with the collector set as in the node."""
    chain = build(size)
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 20, 100)
    return chain


def rows(quick: bool) -> list[Row]:
    """Epochs on the chain's largest economy, stake calls where no epoch is due beside them."""
    large = Size(16 if quick else 128, 256, tempo=EPOCHS_WITHIN)
    calm = Size(16, 256, tempo=5_000)
    return [
        {"economy": f"{large.subnets} x {large.neurons}"} | apart(partial(epochs, large)),
        {"economy": f"{calm.subnets} x {calm.neurons}"} | apart(partial(stakes, calm, 20)),
    ]


run(
    "economy",
    "Executor time of blocks of a large economy (subnets x neurons), on one core: processor time "
    "from the block's first hook to its encoded changes, without signatures, trie and disk; "
    "the least of three runs of each block.",
    rows,
)
