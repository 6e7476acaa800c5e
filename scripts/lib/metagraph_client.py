"""Reads a subnet's metagraph with the unmodified client: metagraph_client.py URL NETUID TIMES."""

from __future__ import annotations

import asyncio
import sys

import bittensor


async def main(url: str, netuid: int, times: int) -> None:
    """Read it so many times; how many neurons it has goes to standard output."""
    client = bittensor.Client(url, fallback_endpoints=[], archive_endpoints=[])
    await client.connect()
    for _ in range(times):
        found = await client.neurons.all(netuid=netuid)
        await client.read("metagraph", netuid=netuid)
    print(len(found))


asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
