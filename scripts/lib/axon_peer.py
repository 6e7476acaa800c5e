"""bittensor's Axon and Dendrite for the neuron benchmark; runs in that SDK's own environment.

axon_peer.py serve PORT                 answer {x, text} with {y} until killed
axon_peer.py load PORT CONNECTIONS SECONDS    ask, then print one JSON line of latencies

Nothing of the SDK is changed but the look-up of this machine's public address, which needs the
internet. Every connection has a dendrite of its own, because the axon refuses nonces of one
dendrite that arrive out of order. The axon reads the types of its handler, so this file does not
postpone annotations.
"""

import asyncio
import json
import sys
import tempfile
import time

import bittensor as bt
from bittensor.core.dendrite import networking
from bittensor_wallet import Keypair, Wallet

networking.get_external_ip = lambda: "127.0.0.1"
WARM = 1


class Ask(bt.Synapse):
    """The smallest useful synapse."""

    x: int = 0
    text: str = ""
    y: int | None = None


def wallet(uri: str) -> Wallet:
    made = Wallet(name=uri.strip("/"), path=tempfile.mkdtemp(prefix="axon-"))
    made.set_coldkey(keypair=Keypair.create_from_uri(uri), encrypt=False, overwrite=True)
    made.set_coldkeypub(keypair=Keypair.create_from_uri(uri), encrypt=False, overwrite=True)
    made.set_hotkey(keypair=Keypair.create_from_uri(uri), encrypt=False, overwrite=True)
    return made


def answer(synapse: Ask) -> Ask:
    synapse.y = synapse.x + 1
    return synapse


def serve(port: int) -> None:
    axon = bt.Axon(wallet=wallet("//Bob"), port=port, ip="127.0.0.1", external_ip="127.0.0.1")
    axon.attach(forward_fn=answer)
    axon.start()
    while True:
        time.sleep(60)


async def ask_on(dendrite: bt.Dendrite, info: bt.AxonInfo, until: float, found: list[float]) -> int:
    """Ask again and again on one connection; how many calls failed."""
    failed, asked = 0, 0
    while time.perf_counter() < until or asked <= WARM:
        started = time.perf_counter()
        reply = await dendrite.call(info, Ask(x=asked, text="a body of some length"), timeout=30)
        asked += 1
        if reply.y != asked:
            failed += 1
        elif asked > WARM:
            found.append(time.perf_counter() - started)
    return failed


async def load(port: int, connections: int, seconds: float) -> None:
    miner, key = wallet("//Bob"), wallet("//Alice")
    info = bt.AxonInfo(
        version=1,
        ip="127.0.0.1",
        port=port,
        ip_type=4,
        hotkey=miner.hotkey.ss58_address,
        coldkey=miner.hotkey.ss58_address,
    )
    dendrites = [bt.Dendrite(wallet=key) for _ in range(connections)]
    found: list[float] = []
    started = time.perf_counter()
    work = [ask_on(d, info, started + seconds, found) for d in dendrites]
    failed = sum(await asyncio.gather(*work))
    elapsed = time.perf_counter() - started
    for dendrite in dendrites:
        await dendrite.aclose_session()
    done = len(found) + WARM * connections
    print(json.dumps({"requests": done, "seconds": elapsed, "failed": failed, "latencies": found}))


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(int(sys.argv[2]))
    else:
        asyncio.run(load(int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])))
