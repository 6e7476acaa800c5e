"""A recorded runtime (spec 461) reproduced byte for byte: every type, key, call and payload."""

from __future__ import annotations

from typing import Any

import pytest
from golden_sdist import fixture

from ganglion.era import Era
from ganglion.extrinsic import (
    SigningContext,
    assemble,
    bare_extrinsic,
    extrinsic_hash,
    parse_extrinsic,
    signing_payload,
)
from ganglion.hashing import blake2_256
from ganglion.keys import CryptoType
from ganglion.metadata_types import MAGIC, Metadata14, Metadata15
from ganglion.registry import Registry
from ganglion.runtime import Runtime
from ganglion.scale import DecodeError, codec, compact_encode
from ganglion.subnet_views import axon_of, metagraph_of, neuron_of, subnet_of


def raw(text: str) -> bytes:
    return bytes.fromhex(text.removeprefix("0x"))


@pytest.fixture(scope="module")
def golden() -> Any:
    return fixture("golden.json")


@pytest.fixture(scope="module")
def v15(golden: Any) -> bytes:
    framed = raw(golden["metadata"]["v15_hex"])
    return framed[framed.index(MAGIC) :]


@pytest.fixture(scope="module")
def runtime(golden: Any, v15: bytes) -> Runtime:
    network = golden["network"]
    return Runtime.from_bytes(v15, network["spec_version"], network["transaction_version"])


@pytest.fixture(scope="module")
def runtime14(golden: Any) -> Runtime:
    return Runtime.from_bytes(raw(golden["metadata"]["v14_hex"]), 461, 1)


def test_metadata_encodes_to_the_same_bytes(golden: Any, v15: bytes) -> None:
    v14 = raw(golden["metadata"]["v14_hex"])
    assert codec(Metadata15).encode(codec(Metadata15).decode(v15[5:])) == v15[5:]
    assert codec(Metadata14).encode(codec(Metadata14).decode(v14[5:])) == v14[5:]


def test_both_versions_declare_the_same(runtime: Runtime, runtime14: Runtime) -> None:
    new, old = runtime.metadata, runtime14.metadata
    assert len(new.pallets) == 28
    assert list(new.pallets) == list(old.pallets)
    for name, pallet in new.pallets.items():
        assert list(pallet.storage) == list(old.pallets[name].storage)
        assert list(pallet.constants) == list(old.pallets[name].constants)
    assert runtime.extensions() == runtime14.extensions()
    assert sum(len(api) for api in new.apis.values()) == 122
    assert runtime.constant("System", "SS58Prefix") == 42


def test_every_sample_of_every_type(runtime: Runtime) -> None:
    """2,899 samples decode to the recorded value and encode to the recorded bytes."""
    corpus = fixture("shape_corpus/corpus.json")
    registry = Registry(runtime.metadata, wide_compacts=True)
    seen = 0
    for entry in corpus["types"]:
        made = registry.codec(entry["id"])
        for sample in entry["samples"]:
            data = raw(sample["scale_hex"])
            value = made.decode(data)
            assert made.encode(value) == data, (entry["name"], sample)
            assert plain(value) == upstream(sample["decoded"]), (entry["name"], sample)
            seen += 1
    assert seen == 2_899
    assert len(corpus["types"]) == 797


def test_strict_decoding_refuses_only_what_a_node_refuses(runtime: Runtime) -> None:
    """The samples put numbers of 28 bits into every compact, whatever its width."""
    refused = 0
    for entry in fixture("shape_corpus/corpus.json")["types"]:
        made = runtime.registry.codec(entry["id"])
        for sample in entry["samples"]:
            data = raw(sample["scale_hex"])
            try:
                assert made.encode(made.decode(data)) == data
            except DecodeError:
                refused += 1
                assert data
    assert refused == 143


def test_cut_short_or_too_long_is_refused(runtime: Runtime) -> None:
    registry = Registry(runtime.metadata, wide_compacts=True)
    for entry in fixture("shape_corpus/corpus.json")["types"][::3]:
        made = registry.codec(entry["id"])
        data = raw(entry["samples"][0]["scale_hex"])
        with pytest.raises(DecodeError):
            made.decode(data + b"\0")
        if data:
            with pytest.raises(DecodeError):
                made.decode(data[:-1])


def plain(value: Any) -> Any:
    """Our value in the recorder's JSON spelling."""
    match value:
        case bytes():
            try:
                return value.decode()
            except UnicodeDecodeError:
                return "0x" + value.hex()
        case "0x" | ():
            return []  # the recorder writes [] for an empty array and {} or [] for ()
        case {"phase": _, "event": event, **_rest}:
            return plain(event)
        case {"pallet": pallet, "name": name, "args": args}:
            if isinstance(args, tuple) and len(args) == 1:
                args = args[0]
            return {"pallet": pallet, "name": name, "args": plain(args) or []}
        case "Immortal":
            return "00"
        case dict() if len(value) == 1 and str(next(iter(value))).startswith("Mortal"):
            [(name, high)] = value.items()
            word = int(name.removeprefix("Mortal")) | high << 8
            period = 2 << (word & 15)
            return [period, (word >> 4) * max(period >> 12, 1)]
        case {"Some": inner}:
            return plain(inner)
        case {"Index": inner}:
            return plain(inner)
        case dict():
            return {str(k): plain(v) for k, v in value.items()} or []
        case list() | tuple():
            return [plain(v) for v in value]
    return value


def upstream(value: Any) -> Any:
    """The recorder's calls and events in our spelling."""
    match value:
        case {"phase": _, "event": event, **_rest}:
            return upstream(event)
        case {"module_id": pallet, "event_id": name, "attributes": args, **_rest}:
            return {"pallet": pallet, "name": name, "args": upstream(args) or []}
        case {"call_module": pallet, "call_function": name, "call_args": args, **_rest}:
            found = {a["name"]: upstream(a["value"]) for a in args}
            return {"pallet": pallet, "name": name, "args": found or []}
        case dict():
            return {k: upstream(v) for k, v in value.items()} or []
        case list():
            return [upstream(v) for v in value]
    return value


@pytest.mark.parametrize("version", ["runtime", "runtime14"])
def test_storage_keys(version: str, golden: Any, request: pytest.FixtureRequest) -> None:
    found: Runtime = request.getfixturevalue(version)
    for case in golden["storage_keys"]:
        pallet, item = case["pallet"], case["storage_function"]
        key = found.storage_key(pallet, item, *case["params"])
        assert key == raw(case["key_hex"]), (pallet, item)
        if case["params"]:
            keys = found.storage_map_key(pallet, item, key)
            assert keys == (tuple(case["params"]) if len(case["params"]) > 1 else case["params"][0])


@pytest.mark.parametrize("version", ["runtime", "runtime14"])
def test_storage_values(version: str, golden: Any, request: pytest.FixtureRequest) -> None:
    found: Runtime = request.getfixturevalue(version)
    for case in golden["storage_values"]:
        data = None if case["raw_hex"] is None else raw(case["raw_hex"])
        value = found.storage_value(case["pallet"], case["storage_function"], data)
        assert value == case["decoded"]


def test_maps(runtime: Runtime, golden: Any) -> None:
    for case in golden["query_maps"]:
        pallet, item, params = case["pallet"], case["storage_function"], case["params"]
        assert runtime.storage_key(pallet, item, *params) == raw(case["prefix_hex"])
        pairs = [
            [
                runtime.storage_map_key(pallet, item, raw(key), skip=len(params)),
                runtime.storage_value(pallet, item, raw(value)),
            ]
            for key, value in case["raw_changes"]
        ]
        assert plain(pairs) == upstream(case["pairs"])


def test_runtime_calls(runtime: Runtime, golden: Any) -> None:
    for case in golden["runtime_calls"]:
        api, method = case["api"], case["method"]
        assert runtime.encode_api(api, method, *case["params"]) == raw(case["encoded_params_hex"])
        value = runtime.decode_api(api, method, raw(case["raw_hex"]))
        assert plain(value) == upstream(case["decoded"])


def test_neurons_of_a_recorded_subnet(runtime: Runtime, golden: Any) -> None:
    case = golden["runtime_calls"][0]
    assert case["method"] == "get_neurons_lite"
    value = runtime.decode_api(case["api"], case["method"], raw(case["raw_hex"]))
    [neuron] = [neuron_of(n) for n in value]
    assert (neuron.uid, neuron.stake, neuron.axon.is_serving) == (0, 10**9, False)
    assert neuron.hotkey == case["decoded"][0]["hotkey"]


def test_the_declared_structs_have_the_fields_that_views_read(runtime: Runtime) -> None:
    """Subnets and metagraphs are built from default values of the recorded types."""

    def empty(type_id: int) -> Any:
        made = runtime.registry.codec(type_id)
        return made.decode(_zeros(runtime, type_id))

    dynamic = runtime.api("SubnetInfoRuntimeApi", "get_dynamic_info").output
    subnet = subnet_of(empty(_some(runtime, dynamic)))
    assert (subnet.netuid, subnet.name, subnet.price) == (0, "", 1.0)
    graph = runtime.api("SubnetInfoRuntimeApi", "get_metagraph").output
    assert len(metagraph_of(empty(_some(runtime, graph)))) == 0
    with pytest.raises(DecodeError, match="subnet has no field 'netuid'"):
        subnet_of({})
    axon = {"block": 1, "version": 1, "ip": 2130706433, "port": 80, "ip_type": 4, "protocol": 4}
    assert axon_of(axon).host == "127.0.0.1"
    assert axon_of(axon | {"ip": 1, "ip_type": 6}).host == "::1"
    assert axon_of(axon | {"ip": 2**128 - 1}).host.startswith("ffff:")


def _some(runtime: Runtime, option: int) -> int:
    return runtime.registry.variants(option)[1].fields[0].type


def _zeros(runtime: Runtime, type_id: int) -> bytes:
    """Zero bytes of the right length: empty lists, None, zero."""
    made = runtime.registry.codec(type_id)
    return bytes(made.read(bytes(5_000), 0)[1])


def test_constants(runtime: Runtime, golden: Any) -> None:
    for case in golden["constants"]:
        assert runtime.constant(case["module"], case["name"]) == case["decoded"]


def _calls(runtime: Runtime, golden: Any) -> list[tuple[Any, bytes]]:
    """The recorded calls; the recorder describes nested ones in words."""
    alice, bob, charlie = (golden["ss58"][n]["address"] for n in range(3))
    one = runtime.call("Balances", "transfer_keep_alive", dest=bob, value=1)
    two = runtime.call("Balances", "transfer_keep_alive", dest=charlie, value=2)
    nested = {
        "Sudo": {"call": {"pallet": "System", "name": "remark", "args": {"remark": "0xdeadbeef"}}},
        "Utility": {"calls": [one, two.data]},
        "Proxy": {"real": alice, "force_proxy_type": "Transfer", "call": one},
    }
    return [
        (
            runtime.call(c["module"], c["function"], **nested.get(c["module"], c["params"])),
            raw(c["data_hex"]),
        )
        for c in golden["calls"]
    ]


@pytest.mark.parametrize("version", ["runtime", "runtime14"])
def test_calls(version: str, golden: Any, request: pytest.FixtureRequest) -> None:
    found: Runtime = request.getfixturevalue(version)
    for call, expected in _calls(found, golden):
        assert call.data == expected, str(call)
        again = found.decode_call(expected)
        assert (again.pallet, again.name) == (call.pallet, call.name)
        assert found.call(again.pallet, again.name, **again.args).data == expected


def _context(golden: Any, case: Any, extensions: tuple[str, ...]) -> SigningContext:
    era = case["era"]
    birth = case.get("era_birth_block_hash")
    return SigningContext(
        genesis_hash=raw(golden["network"]["genesis_hash"]),
        spec_version=golden["network"]["spec_version"],
        transaction_version=golden["network"]["transaction_version"],
        nonce=case["nonce"],
        era=Era() if era == "00" else Era.mortal(era["period"], era["current"]),
        birth_hash=raw(birth) if birth else None,
        tip=case["tip"],
        extensions=extensions,
    )


def test_payloads_and_extrinsics(runtime: Runtime, golden: Any) -> None:
    for case in golden["signature_payloads"]:
        context = _context(golden, case, runtime.extensions())
        assert signing_payload(raw(case["call_data_hex"]), context) == raw(case["payload_hex"])
    for case in golden["extrinsics"]:
        call, key = raw(case["call_data_hex"]), raw(case["public_key_hex"])
        context = _context(golden, case, runtime.extensions())
        crypto, signature = CryptoType(case["crypto_type"]), raw(case["signature_hex"])
        made = assemble(call, context, key, crypto, signature)
        assert made == raw(case["extrinsic_hex"])
        assert extrinsic_hash(made) == raw(case["extrinsic_hash"])
        found = parse_extrinsic(made)
        assert (found.signer, found.nonce, found.era) == (key, case["nonce"], context.era)
        assert found.call == call


def test_a_real_block(runtime: Runtime, golden: Any) -> None:
    """Header hash, extrinsics and the signature in it."""
    block = golden["block"]["raw"]["block"]
    head = block["header"]
    logs = head["digest"]["logs"]
    encoded = (
        raw(head["parentHash"])
        + compact_encode(int(head["number"], 16))
        + raw(head["stateRoot"])
        + raw(head["extrinsicsRoot"])
        + compact_encode(len(logs))
        + b"".join(map(raw, logs))
    )
    assert blake2_256(encoded) == raw(golden["events"]["block_hash"])
    digest = next(k for k, t in runtime.metadata.types.items() if t.path[-1:] == ("DigestItem",))
    for log in logs:
        assert runtime.registry.codec(digest).decode(raw(log))
    for text, known in zip(block["extrinsics"], golden["block"]["decoded_extrinsics"], strict=True):
        found = parse_extrinsic(raw(text))
        call = runtime.decode_call(found.call)
        assert plain({"pallet": call.pallet, "name": call.name, "args": call.args}) == upstream(
            known["call"]
        )
        if found.is_signed:
            assert known["address"]
        else:
            assert bare_extrinsic(found.call, found.version) == raw(text)


def test_events_and_receipt(runtime: Runtime, golden: Any) -> None:
    events = runtime.events(raw(golden["events"]["raw_hex"]))
    for event, known in zip(events, golden["events"]["decoded"], strict=True):
        assert (event.pallet, event.name) == (known["module_id"], known["event_id"])
        assert event.extrinsic == known["extrinsic_idx"]
        assert plain(event.args) == upstream(known["attributes"])
    receipt = golden["receipt"]
    own = [e for e in events if e.extrinsic == receipt["extrinsic_idx"]]
    assert [e.name for e in own] == [e["event_id"] for e in receipt["triggered_events"]]
    paid = next(e for e in own if e.name == "TransactionFeePaid")
    assert paid.args["actual_fee"] == receipt["total_fee_amount"]


def test_errors_by_number(runtime: Runtime) -> None:
    found = runtime.dispatch_error({"Module": {"index": 5, "error": "0x02000000"}})
    assert (found.pallet, found.name) == ("Balances", "InsufficientBalance")
    assert found.doc
    assert runtime.error(5, 200).name == "error 200"
    assert runtime.error(250, 1).pallet == "pallet 250"
    assert runtime.dispatch_error("BadOrigin").name == "BadOrigin"
    assert runtime.dispatch_error({"Token": "FundsUnavailable"}).name == "Token.FundsUnavailable"
    assert len(runtime.errors("SubtensorModule")) == 168
