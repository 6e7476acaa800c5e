"""Requests through the command line, and the proof of an answer: two checkers that share nothing
agree on it, and refuse whatever was changed."""

from __future__ import annotations

import asyncio
import io
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import state_proof_checker
from hypothesis import given
from hypothesis import strategies as st

from chain.dev.devnode import DevNode
from chain.trie.proof import prove
from chain.trie.trie import Trie
from ganglion import requests
from ganglion.cli.main import main
from ganglion.cli.request import proven
from ganglion.client import Client
from ganglion.hashing import blake2_256
from ganglion.keys import Keypair, dev_key
from ganglion.requests import PALLET
from ganglion.state_proof import BadProof, StateProof, value_at
from ganglion.wire import receipts
from ganglion.wire.receipts import Finish, Receipt
from ganglion.wire.requests import Verdict

ALICE, BOB, CHARLIE = (dev_key(name) for name in ("Alice", "Bob", "Charlie"))
MODEL, WEIGHTS = "ganglion/tiny", b"w" * 32
ASK = ("request", "ask", "1", MODEL, "How warm is it?", "0.005", "-s", "//Alice", "--no-wait")


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DevNode]:
    """A node on which CHARLIE may answer."""
    with DevNode() as running, pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(tmp_path_factory.mktemp("home")))
        assert ganglion(running, "tx", "register", "1", "//Charlie", "-s", "//Bob")[0] == 0
        yield running


def ganglion(node: DevNode | None, *argv: str) -> tuple[int, str, str]:
    """Exit code and both outputs of `ganglion ARGV`."""
    out, err, before = io.StringIO(), io.StringIO(), (sys.stdout, sys.stderr)
    sys.stdout, sys.stderr = out, err
    try:
        code = main([*argv, *(("--url", node.url) if node else ())])
    finally:
        sys.stdout, sys.stderr = before
    return code, out.getvalue(), err.getvalue()


def done(node: DevNode | None, *argv: str) -> Any:
    code, out, err = ganglion(node, *argv, "--json")
    assert code == 0, err
    return json.loads(out)


def refused(node: DevNode | None, *argv: str) -> str:
    code, _, err = ganglion(node, *argv)
    assert code == 1
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    return err


async def send(client: Client, signer: Keypair, name: str, /, **args: object) -> str:
    call = await client.compose(PALLET, name, **args)
    block = (await client.submit(call, signer)).check().block_hash
    assert block is not None
    return block


async def fulfil(url: str, number: int, text: bytes) -> tuple[Receipt, str]:
    """CHARLIE takes the seat and answers; the receipt and the block of the answer."""
    async with Client(url) as client:
        await send(client, CHARLIE, "accept", id=number, hotkey=CHARLIE.address)
        facts = await requests.read(await client.at_head(), number)
        assert facts is not None
        assert facts.started is not None
        genesis = bytes.fromhex(client.genesis_hash[2:])
        block_hash = bytes.fromhex((await client.block_hash(facts.started))[2:])
        receipt = Receipt(
            *(receipts.VERSION, genesis, 1, facts.order(genesis).digest(), ALICE.public_key),
            *(CHARLIE.public_key, WEIGHTS, True),
            facts.seed(genesis, block_hash, CHARLIE.public_key),
            *(4, 0, (5, 6), Finish.STOP, b"e" * 32),
        )
        answer = {
            "output": text,
            "tokens": [5, 6],
            "prompt_tokens": 4,
            "finish": "STOP",
            "exact": True,
            "weights": WEIGHTS,
            "evidence": b"e" * 32,
        }
        signature = {"Sr25519": receipts.sign(receipt, CHARLIE).signature}
        given = {"id": number, "hotkey": CHARLIE.address, "answer": answer}
        # blocks come with extrinsics here, and the seed is that of a block before
        return receipt, await send(
            client, CHARLIE, "fulfil", **given, salt=bytes(32), signature=signature
        )


def test_a_request_from_its_question_to_its_cleared_answer(asked: DevNode) -> None:
    number = done(asked, *ASK, "--inbox", "weather")["request"]
    (one,) = done(asked, "request", "list")
    assert (one["request"], one["state"], one["seats"]) == (number, "open", "0 of 1")
    assert MODEL in ganglion(asked, "request", "list")[1]
    assert "NotRequester" in refused(asked, "request", "cancel", str(number), "-s", "//Bob")
    assert "TooEarly" in refused(asked, "request", "expire", str(number), "-s", "//Bob")
    asyncio.run(fulfil(asked.url, number, b"21.5"))
    found = done(asked, "request", "show", str(number))
    assert (found["answer"], found["miners"][0]["verdict"]) == ("21.5", "Agreed")
    assert done(asked, "request", "list") == []
    assert "21.5" in ganglion(asked, "request", "list", "--done")[1]
    (entry,) = done(asked, "request", "inbox", "//Alice")
    assert (entry["key"], entry["output"]) == ("weather", "21.5")
    done(asked, "request", "remove", "weather", "-s", "//Alice")
    assert "hexadecimal" in refused(asked, "request", "remove", "0xno", "-s", "//Alice")
    done(asked, "request", "clear", str(number), "-s", "//Alice")
    assert "is unknown" in refused(asked, "request", "show", str(number))
    number = done(asked, *ASK)["request"]
    done(asked, "request", "cancel", str(number), "-s", "//Alice")
    bad = refused(asked, *ASK, "--miners", "3", "--agree", "1")
    assert "BadSeats" in bad
    assert "cannot be read" in refused(asked, *ASK[:4], "@/no/such/file", *ASK[5:])


def test_a_receipt_is_proven_to_who_trusts_a_header(asked: DevNode, tmp_path: Path) -> None:
    number = done(asked, *ASK)["request"]
    receipt, block = asyncio.run(fulfil(asked.url, number, b"42"))
    file = tmp_path / "proof.json"
    assert "holds no answer" in refused(asked, "request", "proof", "99", "--out", str(file))
    code, out, err = ganglion(asked, "request", "proof", str(number), "--out", str(file),
                              "--at", block)  # fmt: skip
    assert code == 0, err
    assert block in out
    # From here on there is no node, only the file and the hash of a block.
    said = done(None, "request", "check", str(file), block, "--number", str(number))
    assert (said["request"], said["answer"]) == (number, "42")
    assert said["miners"] == [
        {
            "hotkey": CHARLIE.address,
            "verdict": "Agreed",
            "exact": True,
            "receipt": "0x" + receipt.signing_hash().hex(),
        }
    ]
    assert "about request" in refused(None, "request", "check", str(file), block, "--number", "7")
    other = "0x" + "11" * 32
    assert "the header is that of" in refused(None, "request", "check", str(file), other)
    proof = StateProof.from_json(json.loads(file.read_text()))
    about, result = proven(proof, block)
    assert (about, result.output) == (number, b"42")
    assert result.parts[0].verdict is Verdict.Agreed
    # What shares no line with it, nor with the node's own trie, says the same.
    root = state_proof_checker.state_root(proof.to_json()["header"], bytes.fromhex(block[2:]))
    assert state_proof_checker.value_at(root, proof.key, list(proof.nodes)) == proof.value(block)
    for at, node in enumerate(proof.nodes):
        for place in (0, len(node) // 2, len(node) - 1):
            spoilt = bytearray(node)
            spoilt[place] ^= 1
            nodes = (*proof.nodes[:at], bytes(spoilt), *proof.nodes[at + 1 :])
            with pytest.raises(BadProof):
                replace(proof, nodes=nodes).value(block)
    with pytest.raises(BadProof):
        proven(replace(proof, key=proof.key[:-1] + b"\xff"), block)


def test_files_that_are_no_proofs_are_refused_in_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "proof.json"
    for text in ("", "[]", "{}", '{"nodes": []}', '{"nodes": [1], "header": {}, "key": "0x"}'):
        file.write_text(text)
        refused(None, "request", "check", str(file), "0x" + "11" * 32)


TRIES = st.dictionaries(st.binary(min_size=1, max_size=6), st.binary(max_size=80), min_size=1)


@given(TRIES, st.data())
def test_both_checkers_read_every_trie(pairs: dict[bytes, bytes], data: st.DataObject) -> None:
    trie = Trie.of(pairs)
    key = data.draw(st.sampled_from(sorted(pairs)))
    nodes = prove(trie, [key])
    assert value_at(trie.root, key, nodes) == pairs[key]
    assert state_proof_checker.value_at(trie.root, key, nodes) == pairs[key]
    missing = data.draw(st.binary(min_size=1, max_size=6).filter(lambda k: k not in pairs))
    with pytest.raises(BadProof):
        value_at(trie.root, missing, nodes)


@given(st.binary(max_size=60), st.binary(max_size=8))
def test_any_node_is_read_or_refused(node: bytes, key: bytes) -> None:
    try:
        value_at(blake2_256(node), key, [node])
    except BadProof:
        return
