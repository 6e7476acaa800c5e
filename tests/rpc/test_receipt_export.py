"""A receipt is shown to somebody who trusts a block header, and nothing else of this project."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from state_proof_checker import BadProof, state_root, value_at

from chain.dev.devnode import DevNode
from ganglion.keys import Keypair
from ganglion.sync import SyncClient
from ganglion.wire.receipt_tree import leads_to, path_of, root_of
from ganglion.wire.receipts import VERSION, Finish, Receipt

HASHES = st.lists(
    st.binary(min_size=32, max_size=32).filter(any), min_size=1, max_size=20, unique=True
)


def receipt(miner: Keypair, genesis: bytes, tokens: int) -> Receipt:
    zero = bytes(32)
    return Receipt(
        *(VERSION, genesis, 1, zero, zero, miner.public_key, zero, True, zero, 5, 0),
        tuple(range(tokens)),
        Finish.STOP,
        zero,
    )


@given(HASHES, st.data())
def test_paths_lead_to_the_root_and_others_do_not(hashes: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(hashes) - 1))
    root, path = root_of(hashes), path_of(hashes, index)
    assert leads_to(hashes[index], path, root)
    assert not leads_to(bytes(32), path, root)
    assert not leads_to(hashes[index], path, root_of([*hashes, bytes(32)]))
    if path:
        left, neighbour = path[0]
        assert not leads_to(hashes[index], ((not left, neighbour), *path[1:]), root)
        assert not leads_to(hashes[index], path[1:], root)


def test_trees_of_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="one receipt"):
        root_of([])
    with pytest.raises(IndexError, match="no receipt 1 among 1"):
        path_of([bytes(32)], 1)


def test_a_receipt_is_proven_against_a_header_by_an_independent_checker(node: DevNode) -> None:
    (seat,) = node.rpc("dev_registerNeurons", 1, 1)
    miner = Keypair.from_uri(seat["uri"])
    genesis = bytes.fromhex(node.rpc("chain_getBlockHash", 0)[2:])
    hashes = [receipt(miner, genesis, n).signing_hash() for n in range(7)]
    with SyncClient(node.url) as client:
        fields = [{"BlakeTwo256": "0x" + root_of(hashes).hex()}]
        call = client.compose("Commitments", "set_commitment", netuid=1, info={"fields": fields})
        block = client.submit(call, miner).check().block_hash
        raw = client.runtime.storage_key("Commitments", "CommitmentOf", 1, miner.address)
    answer = node.rpc("state_getReadProof", ["0x" + raw.hex()], block)
    nodes = [bytes.fromhex(n[2:]) for n in answer["proof"]]
    # From here on nothing but the header, the nodes, the path and the receipt itself.
    header = node.rpc("chain_getHeader", block)
    stored = value_at(state_root(header, bytes.fromhex(block[2:])), raw, nodes)
    assert stored.endswith(root_of(hashes))
    assert leads_to(receipt(miner, genesis, 3).signing_hash(), path_of(hashes, 3), stored[-32:])
    assert not leads_to(
        receipt(miner, genesis, 99).signing_hash(), path_of(hashes, 3), stored[-32:]
    )
    for at in range(len(nodes)):
        spoilt = nodes[:at] + [nodes[at][:-1] + bytes([nodes[at][-1] ^ 1])] + nodes[at + 1 :]
        with pytest.raises(BadProof):
            value_at(state_root(header, bytes.fromhex(block[2:])), raw, spoilt)
    with pytest.raises(BadProof, match="not the header"):
        state_root(header | {"stateRoot": "0x" + "11" * 32}, bytes.fromhex(block[2:]))
