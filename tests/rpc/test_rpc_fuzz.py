"""Random frames, parameters, extrinsics and runtime calls: never a crash, always an answer."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chain.dev.devnode import DevNode
from chain.dev.signing import signed_call, transfer
from chain.rpc.params import parse_hex
from ganglion.keys import dev_key

relaxed = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
hexes = st.binary(max_size=40).map(lambda b: "0x" + b.hex())
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 3),
    st.sampled_from([2**16, 2**32 - 1, 2**63, 2**64 - 1, -(2**63)]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=12),
    hexes,
    st.binary(min_size=32, max_size=32).map(lambda b: "0x" + b.hex()),
    st.just(dev_key("Alice").address),
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["hash", "count", "call", "raw", "x"]), inner, max_size=3)
    ),
    max_leaves=8,
)
small = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-2, 3), st.text(max_size=4), hexes),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["count", "to", "call", "origin"]), inner, max_size=2)
    ),
    max_leaves=5,
)
"""For the tools that make blocks or mint: small numbers keep the test quick."""


def check(reply) -> None:
    assert set(reply) in ({"jsonrpc", "id", "result"}, {"jsonrpc", "id", "error"})
    if "error" in reply:
        assert isinstance(reply["error"]["message"], str)
        assert reply["error"]["code"] != -32603, reply


def ask(node: DevNode, method: str, params) -> None:
    check(node.post({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}))


@pytest.fixture(scope="module")
def methods(manual: DevNode) -> list[str]:
    return manual.rpc("rpc_methods")["methods"]


@relaxed
@given(st.data())
def test_methods_take_any_parameters(manual: DevNode, methods: list[str], data):
    for method in data.draw(st.lists(st.sampled_from(methods), min_size=25, max_size=25)):
        source = small if method.startswith(("dev_", "engine_")) else values
        params = data.draw(st.lists(source, max_size=4) | source)
        ask(manual, method, params)


@relaxed
@given(st.binary(max_size=200))
def test_frames_of_any_bytes(manual: DevNode, frame: bytes):
    reply = manual.post(frame)
    for one in reply if isinstance(reply, list) else [reply]:
        assert one is None or "error" in one


@relaxed
@given(st.data())
def test_frames_with_a_broken_byte(manual: DevNode, data):
    frame = bytearray(
        json.dumps({"jsonrpc": "2.0", "id": 1, "method": "system_chain", "params": []}).encode()
    )
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(frame) - 1))
        frame[at] = data.draw(st.integers(0, 255))
    reply = manual.post(bytes(frame))
    assert reply is None or isinstance(reply, dict | list)


@relaxed
@given(st.data())
def test_extrinsics_with_broken_bytes_change_nothing(manual: DevNode, data):
    executive = manual.node.engine.executive
    call = transfer(executive, dev_key("Bob").account_id, 1)
    raw = bytearray(signed_call(executive, dev_key("Alice"), call, 0))
    kind = data.draw(st.sampled_from(["flip", "cut", "grow", "random"]))
    if kind == "flip":
        at = data.draw(st.integers(0, len(raw) - 1))
        raw[at] ^= data.draw(st.integers(1, 255))
    elif kind == "cut":
        raw = raw[: data.draw(st.integers(0, len(raw) - 1))]
    elif kind == "grow":
        raw += data.draw(st.binary(min_size=1, max_size=9))
    else:
        raw = bytearray(data.draw(st.binary(max_size=300)))
    before = manual.rpc("chain_getBlockHash")
    for method in ("author_submitExtrinsic", "payment_queryInfo", "system_dryRun"):
        ask(manual, method, ["0x" + raw.hex()])
    assert manual.rpc("chain_getBlockHash") == before


@relaxed
@given(st.data())
def test_runtime_calls_take_any_bytes(manual: DevNode, data):
    functions = sorted(manual.node.engine.executive.runtime.methods)
    for name in functions:
        arguments = data.draw(st.binary(max_size=24))
        ask(manual, "state_call", [name, "0x" + arguments.hex()])


@given(st.text(max_size=20))
def test_hex_parsing_has_no_surprises(text: str):
    try:
        raw = parse_hex(text)
    except ValueError:
        return
    assert raw.hex() == text.removeprefix("0x").lower()
