"""A small chain's metadata built by hand, for tests that need no recorded one.

Pallets: System 0 (remark, Account, Number, Events), Boss 1 (order: a call in a call), Odd 2 (one
storage item per unusual type).
"""

from __future__ import annotations

from typing import Any

from ganglion.metadata import Metadata, decode_metadata
from ganglion.metadata_types import (
    MAGIC,
    Api15,
    ArrayOf,
    BitSequence,
    CompactOf,
    Composite,
    Constant,
    ExtensionDef,
    Extrinsic15,
    Field,
    HasherKind,
    MapOf,
    Metadata15,
    Method15,
    MethodInput,
    Modifier,
    OuterEnums,
    Pallet15,
    PalletStorage,
    Plain,
    PortableType,
    Primitive,
    PrimitiveKind,
    Sequence,
    StorageEntry,
    TupleOf,
    TypeDef,
    TypeParam,
    Variant,
    VariantDef,
)
from ganglion.scale import codec


class Types:
    """Hands out type ids."""

    def __init__(self) -> None:
        self.all: list[PortableType] = []

    def add(self, definition: TypeDef, path: str = "", params: tuple[TypeParam, ...] = ()) -> int:
        made = PortableType(
            len(self.all), tuple(path.split("::")) if path else (), params, definition, ()
        )
        self.all.append(made)
        return made.id

    def reserve(self) -> int:
        return self.add(TupleOf(()))

    def set(self, type_id: int, definition: TypeDef, path: str = "") -> None:
        self.all[type_id] = PortableType(
            type_id, tuple(path.split("::")) if path else (), (), definition, ()
        )


def field(type_id: int, name: str | None = None) -> Field:
    return Field(name, type_id, None, ())


def option(types: Types, inner: int) -> int:
    variants = (variant("None", 0), variant("Some", 1, field(inner)))
    return types.add(Variant(variants), "Option")


def variant(name: str, index: int, *fields: Field) -> VariantDef:
    return VariantDef(name, fields, index, (f"About {name}.",))


def build(change: Any = None) -> bytes:
    """The metadata as bytes; `change(types, names)` may alter the types first."""
    t = Types()
    ids: dict[str, int] = {}
    for kind in PrimitiveKind:
        ids[kind.name.lower()] = t.add(Primitive(kind))
    ids["empty"] = t.add(TupleOf(()))
    ids["bytes"] = t.add(Sequence(ids["u8"]))
    ids["h256"] = t.add(ArrayOf(32, ids["u8"]), "")
    ids["hash"] = t.add(Composite((field(ids["h256"]),)), "primitive_types::H256")
    ids["account"] = t.add(Composite((field(ids["h256"]),)), "sp_core::crypto::AccountId32")
    ids["call"], ids["event"] = t.reserve(), t.reserve()
    ids["calls"] = t.add(Sequence(ids["call"]))
    ids["system_call"] = t.add(Variant((variant("remark", 0, field(ids["bytes"], "remark")),)))
    ids["boss_call"] = t.add(
        Variant(
            (
                variant("order", 0, field(ids["call"], "call")),
                variant("orders", 1, field(ids["calls"], "calls")),
                variant("rest", 7),
            )
        )
    )
    t.set(
        ids["call"],
        Variant(
            (
                variant("System", 0, field(ids["system_call"])),
                variant("Boss", 1, field(ids["boss_call"])),
            )
        ),
        "small::RuntimeCall",
    )
    module_error = (field(ids["u8"], "index"), field(t.add(ArrayOf(4, ids["u8"])), "error"))
    ids["module_error"] = t.add(Composite(module_error))
    ids["dispatch_error"] = t.add(
        Variant((variant("BadOrigin", 2), variant("Module", 3, field(ids["module_error"]))))
    )
    ids["system_event"] = t.add(
        Variant(
            (
                variant("Done", 0, field(ids["u32"]), field(ids["bool"])),
                variant("Named", 1, field(ids["account"], "who")),
                variant("Bare", 2),
                variant("ExtrinsicSuccess", 3),
                variant("ExtrinsicFailed", 4, field(ids["dispatch_error"], "dispatch_error")),
            )
        )
    )
    t.set(
        ids["event"],
        Variant((variant("System", 0, field(ids["system_event"])),)),
        "small::RuntimeEvent",
    )
    ids["phase"] = t.add(
        Variant((variant("ApplyExtrinsic", 0, field(ids["u32"])), variant("Finalization", 1)))
    )
    ids["topics"] = t.add(Sequence(ids["hash"]))
    ids["record"] = t.add(
        Composite(
            (
                field(ids["phase"], "phase"),
                field(ids["event"], "event"),
                field(ids["topics"], "topics"),
            )
        ),
        "frame_system::EventRecord",
    )
    ids["records"] = t.add(Sequence(ids["record"]))
    ids["error"] = t.add(Variant((variant("Tired", 3),)), "boss::Error")
    _odd_types(t, ids)
    if change is not None:
        change(t, ids)
    raw = codec(Metadata15).encode(
        Metadata15(
            tuple(t.all),
            _pallets(ids),
            _extrinsic(ids),
            ids["empty"],
            _apis(ids),
            OuterEnums(ids["call"], ids["event"], ids["empty"]),
            (),
        )
    )
    return MAGIC + b"\x0f" + raw


def _odd_types(t: Types, ids: dict[str, int]) -> None:
    ids["lsb"] = t.add(Composite(()), "bitvec::order::Lsb0")
    ids["msb"] = t.add(Composite(()), "bitvec::order::Msb0")
    ids["bits"] = t.add(BitSequence(ids["u8"], ids["lsb"]))
    ids["bits16m"] = t.add(BitSequence(ids["u16"], ids["msb"]))
    ids["maybe"] = option(t, ids["u8"])
    ids["maybe2"] = option(t, ids["maybe"])
    ids["compact16"] = t.add(CompactOf(ids["u16"]))
    ids["percent"] = t.add(Composite((field(ids["u8"]),)), "Percent")
    ids["compact_percent"] = t.add(CompactOf(ids["percent"]))
    ids["compact_empty"] = t.add(CompactOf(ids["empty"]))
    pair = t.add(TupleOf((ids["u16"], ids["str"])))
    pairs = t.add(Sequence(pair))
    ids["pair"], ids["map"] = pair, t.add(Composite((field(pairs),)), "BTreeMap")
    ids["numbers"] = t.add(Sequence(ids["u64"]))
    ids["empties"] = t.add(Sequence(ids["empty"]))
    ids["row"] = t.add(ArrayOf(3, ids["u16"]))
    ids["u256_of"] = t.add(
        Composite((field(t.add(ArrayOf(4, ids["u64"]))),)), "primitive_types::U256"
    )
    tree = t.reserve()
    branches = t.add(Sequence(tree))
    t.set(tree, Variant((variant("Leaf", 0), variant("Node", 1, field(branches)))), "Tree")
    ids["tree"] = tree


def _pallets(ids: dict[str, int]) -> tuple[Pallet15, ...]:
    def plain(name: str, tp: int, default: bytes | None = None) -> StorageEntry:
        mode = Modifier.OPTIONAL if default is None else Modifier.DEFAULT
        return StorageEntry(name, mode, Plain(tp), default or b"", ())

    odd = [k for k in ids if k in ODD]
    account = MapOf((HasherKind.BLAKE2_128_CONCAT,), ids["account"], ids["u64"])
    double = MapOf((HasherKind.TWOX_64_CONCAT, HasherKind.IDENTITY), ids["pair"], ids["u8"])
    hidden = MapOf((HasherKind.BLAKE2_256,), ids["u8"], ids["u8"])
    system = (
        StorageEntry("Account", Modifier.DEFAULT, account, bytes(8), ()),
        StorageEntry("Double", Modifier.OPTIONAL, double, b"", ()),
        StorageEntry("Hidden", Modifier.OPTIONAL, hidden, b"", ()),
        plain("Number", ids["u32"], bytes(4)),
        plain("Events", ids["records"], b"\0"),
    )
    prefix = Constant("SS58Prefix", ids["u16"], b"\x2a\0", ())
    return (
        Pallet15(
            "System",
            PalletStorage("System", system),
            ids["system_call"],
            ids["system_event"],
            (prefix,),
            None,
            0,
            (),
        ),
        Pallet15("Boss", None, ids["boss_call"], None, (), ids["error"], 1, ()),
        Pallet15(
            "Odd",
            PalletStorage("Odd", tuple(plain(k, ids[k]) for k in odd)),
            None,
            None,
            (),
            None,
            2,
            (),
        ),
    )


ODD = [
    "bits",
    "bits16m",
    "maybe",
    "maybe2",
    "compact16",
    "compact_percent",
    "compact_empty",
    "map",
    "numbers",
    "empties",
    "row",
    "u256_of",
    "tree",
    "char",
    "str",
    "bool",
    "i8",
    "i128",
    "i256",
    "bytes",
    "hash",
    "account",
    "pair",
    "percent",
]


def _extrinsic(ids: dict[str, int]) -> Extrinsic15:
    extensions = (
        ExtensionDef("CheckSpecVersion", ids["empty"], ids["u32"]),
        ExtensionDef("CheckNonce", ids["compact16"], ids["empty"]),
        ExtensionDef("Harmless", ids["empty"], ids["empty"]),
    )
    return Extrinsic15(4, ids["account"], ids["call"], ids["h256"], ids["empty"], extensions)


def _apis(ids: dict[str, int]) -> tuple[Api15, ...]:
    inputs = (MethodInput("who", ids["account"]), MethodInput("n", ids["u16"]))
    return (Api15("Core", (Method15("answer", inputs, ids["maybe"], ()),), ()),)


def small_metadata(change: Any = None) -> Metadata:
    return decode_metadata(build(change))
