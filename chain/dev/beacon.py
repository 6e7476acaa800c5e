"""The local randomness beacon, moved by hand: the clock of timelocked commits and calls."""

from __future__ import annotations

from chain import timelock
from chain.beacon import LOCAL_HASH, local_pulse, round_at
from chain.dev.tools import DevError, DevTools
from chain.pallets.drand import BeaconConfig, LastStoredRound, OldestStoredRound, Pulses
from chain.runtime.state import State

MAX_ROUNDS = 5_000


def advance_beacon(tools: DevTools, to: int | None) -> int:
    """Write the pulses of all rounds up to `to` (None: the one that is due) in one block.

    The last stored round after that; what these rounds open is opened by the blocks to come.
    """
    if not timelock.available():
        raise DevError("timelocks need the package py-arkworks-bls12381, which is not installed")
    state = tools.engine.best_state()
    config = state[BeaconConfig]
    if config.hash != LOCAL_HASH:
        raise DevError(
            "this chain listens to the public beacon, whose pulses nobody can make up: set "
            "Drand.BeaconConfig to the local one first"
        )
    last = state[LastStoredRound]
    end = round_at(config, tools.engine.now_ms() // 1000) if to is None else to
    if end <= last:
        return last
    if end - last > MAX_ROUNDS and last:
        raise DevError(f"round {end} is {end - last} ahead: move at most {MAX_ROUNDS} at once")
    first = last + 1 if last else end
    pulses = [local_pulse(number) for number in range(first, end + 1)]

    def write(s: State) -> None:
        # The block's own inherent may have been here first.
        for pulse in pulses:
            if pulse.round > s[LastStoredRound]:
                s[Pulses, pulse.round] = pulse
                s[LastStoredRound] = pulse.round
                s[OldestStoredRound] = s[OldestStoredRound] or pulse.round

    tools.new_block(write)
    return tools.engine.best_state()[LastStoredRound]
