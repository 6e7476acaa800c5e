"""substrate-interface, unmodified, on pallets of our own: a lease, a bond, and what it stands behind."""

from __future__ import annotations

import sys

from substrateinterface import Keypair, SubstrateInterface

ALICE, BOB = Keypair.create_from_uri("//Alice"), Keypair.create_from_uri("//Bob")
MINER = Keypair.create_from_uri("//Charlie")
MODEL = "ganglion/tiny"


def main(url: str) -> None:
    node = SubstrateInterface(url=url, ss58_format=42)

    def send(key, module, function, **args):
        call = node.compose_call(module, function, args)
        extrinsic = node.create_signed_extrinsic(call, key, era={"period": 64})
        receipt = node.submit_extrinsic(extrinsic, wait_for_inclusion=True)
        assert receipt.is_success, f"{module}.{function}: {receipt.error_message}"
        return [record.value["event_id"] for record in receipt.triggered_events]

    send(BOB, "SubtensorModule", "burned_register", netuid=1, hotkey=MINER.ss58_address)
    miner = MINER.ss58_address
    prices = {"prompt": 500, "cached": 100, "completion": 2000}
    events = send(
        MINER,
        "Market",
        "post_ask",
        netuid=1,
        model=MODEL,
        hotkey=miner,
        prices=prices,
        capacity=600,
        blocks=100,
    )
    assert "AskPosted" in events, events
    ask = node.query("Market", "Asks", [1, MODEL, miner]).value
    assert ask["prices"] == prices, ask
    spec = {
        "netuid": 1,
        "model": MODEL,
        "capacity": 500,
        "max_rate": 1000,
        "duration": 100,
        "lessee": ALICE.ss58_address,
    }
    send(ALICE, "Leases", "create_order", spec=spec, bid_blocks=50, deposit=10_000_000)
    send(BOB, "Leases", "bid", order=0, hotkey=miner, rate=900)
    assert "LeaseStarted" in send(ALICE, "Leases", "accept", order=0)
    lease = node.query("Leases", "Leases", [0]).value
    assert (lease["hotkey"], lease["rate"]) == (miner, 900), lease
    assert node.query("Leases", "Escrows", [0]).value["state"] == "Open"
    trade = node.query("Market", "Trades", [1, MODEL]).value
    assert (trade["asked"], trade["used"]) == (600, 500), trade
    send(ALICE, "Leases", "deposit", order=0, amount=5000)
    assert "LeaseClosed" in send(MINER, "Leases", "close", order=0)
    assert node.query("Leases", "Orders", [0]).value is None
    assert "Bonded" in send(BOB, "Bonds", "bond", netuid=1, hotkey=miner, amount=10**9)
    assert node.query("Bonds", "Bonds", [1, miner]).value["amount"] == 10**9
    stand_by_a_program(node, send, miner)
    assert node.get_constant("Leases", "OrderMaxBids").value == 20
    print("all well")  # noqa: T201


def stand_by_a_program(node, send, miner):
    """Publish a program, and put the bond behind it."""
    sizes = {"layers": 1, "hidden": 4, "heads": 1, "kv_heads": 1, "head": 4, "inner": 4,
             "vocab": 300, "context": 8, "tile_bits": 5, "block_bits": 1,
             "epsilon": 4532020583610935537, "theta": 4666723172467343360}  # fmt: skip
    text = {"bos": 256, "eos": 257, "system": 258, "user": 259, "assistant": 260}
    weights, root = "0x" + "11" * 32, "0x" + "22" * 32
    program = sizes | {"weights": weights, "text": text, "root": root}
    assert "ProgramPublished" in send(ALICE, "Disputes", "publish", program=program)
    ((name, kept),) = node.query_map("Disputes", "Programs")
    assert kept.value["program"] == program, kept.value
    accepted = send(BOB, "Disputes", "accept", netuid=1, hotkey=miner, program=name.value)
    assert "ProgramAccepted" in accepted, accepted
    found = node.query("Disputes", "Accepted", [1, miner, weights]).value
    assert found["program"] == name.value, found


main(sys.argv[1])
