"""Every item this chain declares decodes in clients to the shape upstream's does.

Compared with the recorded metadata of spec 461, item by item: names, indices, hashers, modifiers,
defaults, and the structure of every type. What encodes and decodes alike counts as alike: structs
of one unnamed field, bounded vectors, sets. Known deviations are listed with their reason.
"""

from __future__ import annotations

from typing import Any

import pytest
from golden_sdist import fixture

from chain.runtime.metadata import metadata_bytes
from chain.runtime_spec import make_runtime
from ganglion.metadata import Pallet
from ganglion.metadata_types import (
    MAGIC,
    ArrayOf,
    CompactOf,
    Composite,
    Primitive,
    Sequence,
    TupleOf,
    Variant,
)
from ganglion.runtime import Runtime

DEEPEST = 7

DEVIATIONS = {
    # Dead maps of old migrations: upstream keeps Option<Vec<u8>> as a value with a default.
    "SubtensorModule.AlphaMapLastKey",
    "SubtensorModule.AlphaV2MapLastKey",
    # Its key names the owner's hyperparameters. Upstream's golden metadata of 461 has no Null
    # epochs and ends with 34; ours has one more for them (chain/pallets/subtensor/types.py).
    "SubtensorModule.LastRateLimitedBlock",
}


def upstream_runtime() -> Runtime:
    framed = bytes.fromhex(fixture("golden.json")["metadata"]["v15_hex"][2:])
    return Runtime.from_bytes(framed[framed.index(MAGIC) :], 461, 1)


@pytest.fixture(scope="module")
def upstream() -> Runtime:
    return upstream_runtime()


@pytest.fixture(scope="module")
def ours() -> Runtime:
    return Runtime.from_bytes(metadata_bytes(make_runtime(), 15), 461, 1)


def shape(runtime: Runtime, type_id: int, depth: int = 0) -> Any:
    """The structure of a type as clients see values of it."""
    found = runtime.registry.definition(type_id)
    if depth > DEEPEST or found.path[-1:] in (("RuntimeCall",), ("RuntimeEvent",)):
        return "..."
    if found.path[-1:] == ("UncheckedExtrinsic",):
        return "UncheckedExtrinsic"
    inner = depth + 1
    match found.definition:
        case Primitive(kind):
            return kind.name
        case Composite(fields) if found.path == ("BTreeMap",):
            return ("map", shape(runtime, fields[0].type, inner))
        case Composite(fields) if len(fields) == 1 and fields[0].name is None:
            return shape(runtime, fields[0].type, depth)
        case Composite(fields):
            return {f.name: shape(runtime, f.type, inner) for f in fields}
        case Variant(variants):
            return {
                (v.index, v.name): [(f.name, shape(runtime, f.type, inner)) for f in v.fields]
                for v in variants
            }
        case Sequence(item):
            return ("list", shape(runtime, item, inner))
        case ArrayOf(size, item):
            return ("array", size, shape(runtime, item, inner))
        case TupleOf(parts):
            return tuple(shape(runtime, p, inner) for p in parts)
        case CompactOf(item):
            return ("compact", shape(runtime, item, inner))
    return "bits"


def differences(mine: Any, theirs: Any, where: str) -> list[str]:
    """Where two shapes differ; enums of ours may leave variants out."""
    if isinstance(mine, dict) and isinstance(theirs, dict):
        missing = [k for k in mine if k not in theirs]
        if missing or (
            not isinstance(next(iter(mine), None), tuple) and list(mine) != list(theirs)
        ):
            return [f"{where}: {list(mine)[:9]} is not {list(theirs)[:9]}"]
        return [d for k in mine for d in differences(mine[k], theirs[k], f"{where}.{k}")]
    if type(mine) is type(theirs) and isinstance(mine, list | tuple) and len(mine) == len(theirs):
        return [
            d
            for n, (a, b) in enumerate(zip(mine, theirs))
            for d in differences(a, b, f"{where}/{n}")
        ]
    return [] if mine == theirs or "..." in (mine, theirs) else [f"{where}: {mine} is not {theirs}"]


def _compare(ours: Runtime, upstream: Runtime, mine: int, theirs: int, where: str) -> list[str]:
    return differences(shape(ours, mine), shape(upstream, theirs), where)


def _pallets(ours: Runtime, upstream: Runtime) -> list[tuple[Pallet, Pallet]]:
    both = ours.metadata.pallets.keys() & upstream.metadata.pallets.keys()
    assert len(both) >= 15
    return [(ours.metadata.pallets[n], upstream.metadata.pallets[n]) for n in sorted(both)]


def test_pallets_keep_their_places(ours: Runtime, upstream: Runtime) -> None:
    for mine, theirs in _pallets(ours, upstream):
        assert mine.index == theirs.index
    own = ours.metadata.pallets.keys() - upstream.metadata.pallets.keys()
    assert all(ours.metadata.pallets[name].index >= 100 for name in own), own


def test_storage(ours: Runtime, upstream: Runtime) -> None:
    found: list[str] = []
    compared = 0
    for mine, theirs in _pallets(ours, upstream):
        for name in mine.storage.keys() & theirs.storage.keys():
            a, b, where = mine.storage[name], theirs.storage[name], f"{mine.name}.{name}"
            if where in DEVIATIONS:
                continue
            compared += 1
            if (a.prefix, a.modifier, a.hashers) != (b.prefix, b.modifier, b.hashers):
                found.append(f"{where}: prefix, modifier or hashers")
            if a.default != b.default:
                found.append(f"{where}: default {a.default.hex()} is not {b.default.hex()}")
            found += _compare(ours, upstream, a.value_type, b.value_type, where)
            for n, (x, y) in enumerate(zip(a.key_types, b.key_types, strict=True)):
                found += _compare(ours, upstream, x, y, f"{where} key {n}")
    assert not found, "\n".join(sorted(found))
    assert compared >= 200


@pytest.mark.parametrize("kind", ["calls", "events", "errors"])
def test_calls_events_errors(kind: str, ours: Runtime, upstream: Runtime) -> None:
    found: list[str] = []
    compared = 0
    for mine, theirs in _pallets(ours, upstream):
        a, b = getattr(mine, kind), getattr(theirs, kind)
        if a is None or b is None:
            continue
        known = {v.index: v for v in upstream.registry.variants(b)}
        for v in ours.registry.variants(a):
            where = f"{mine.name}.{v.name}"
            other = known.get(v.index)
            if other is None:
                continue  # not in 461; the names and numbers of others must stay free for them
            compared += 1
            if v.name != other.name:
                found.append(f"{where}: number {v.index} is {other.name}")
                continue
            x = [(f.name, shape(ours, f.type)) for f in v.fields]
            y = [(f.name, shape(upstream, f.type)) for f in other.fields]
            found += differences(x, y, where)
    assert not found, "\n".join(sorted(found))
    assert compared >= 100


def test_runtime_apis(ours: Runtime, upstream: Runtime) -> None:
    found: list[str] = []
    for api, methods in ours.metadata.apis.items():
        for name in methods.keys() & upstream.metadata.apis.get(api, {}).keys():
            mine, theirs, where = ours.api(api, name), upstream.api(api, name), f"{api}.{name}"
            x = [(n, shape(ours, t)) for n, t in mine.inputs]
            y = [(n, shape(upstream, t)) for n, t in theirs.inputs]
            found += differences(x, y, f"{where} takes")
            found += _compare(ours, upstream, mine.output, theirs.output, f"{where} gives")
    assert not found, "\n".join(sorted(found))


def test_the_comparison_sees_differences() -> None:
    enum = {(0, "A"): [], (2, "B"): [(None, "U8")]}
    assert not differences({(0, "A"): []}, enum, "x")
    assert differences({(1, "A"): []}, enum, "x")
    assert differences({(2, "B"): [(None, "U16")]}, enum, "x") == ["x.(2, 'B')/0/1: U16 is not U8"]
    assert differences({"a": "U8"}, {"a": "U8", "b": "U8"}, "x")
    assert differences({"bits": "U8"}, "U8", "x")
    assert differences(("list", "U8"), ("array", 4, "U8"), "x")


def test_transaction_extensions(ours: Runtime, upstream: Runtime) -> None:
    assert ours.extensions() == upstream.extensions()
    for a, b in zip(ours.metadata.extensions, upstream.metadata.extensions, strict=True):
        sizes = [
            (r.registry.codec(e.type).size, r.registry.codec(e.implicit).size)
            for r, e in ((ours, a), (upstream, b))
        ]
        assert sizes[0] == sizes[1], a.name
