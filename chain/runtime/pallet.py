"""The pallet framework: a module with declarations becomes one on-chain pallet.

A pallet module holds annotated storage, `@event(i)` classes, an `Error(Errors)` namespace,
`@call(i)` functions whose first parameter is the state and whose second is the origin,
constants, hooks; `Pallet("Name", __name__).seal()` at the foot collects them. One on-chain
pallet may assemble from several modules. Indices are explicit and never reused.
"""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import (
    Annotated,
    Any,
    Generic,
    TypeVar,
    dataclass_transform,
    get_args,
    get_origin,
    get_type_hints,
)

from chain.runtime.call import READ_WEIGHT, WRITE_WEIGHT, DispatchClass, DispatchInfo, Pays
from chain.runtime.errors import BadOrigin, Errors, ModuleError
from chain.runtime.origin import Admit, Origin
from chain.runtime.storage import Item, Map, Value, seal_item
from ganglion.scale import Codec, codec, record

F = TypeVar("F", bound=Callable[..., Any])
C = TypeVar("C", bound=type)
T = TypeVar("T")

WeightOf = Callable[..., int]
ClassOf = Callable[..., DispatchClass]
PaysOf = Callable[..., Pays]


class Constant(Generic[T]):
    """`ExistentialDeposit: Constant[Rao] = constant(Rao(500))`; read it by `.value`."""

    __slots__ = ("codec", "name", "type", "value")

    name: str
    type: Any
    codec: Codec[Any]

    def __init__(self, value: T) -> None:
        self.value = value


def constant(value: Any) -> Any:
    """Declare a constant that metadata shows."""
    return Constant(value)


@dataclass(frozen=True)
class Call:
    """One dispatchable: `fn(state, origin, *args)`."""

    pallet: str
    index: int
    name: str
    doc: str
    fn: Callable[..., Any]
    admit: Admit
    params: tuple[tuple[str, Any], ...]
    codecs: tuple[Codec[Any], ...]
    weight: int | WeightOf
    dispatch_class: DispatchClass | ClassOf
    pays: Pays | PaysOf

    @cached_property
    def path(self) -> tuple[str, str]:
        """Pallet and call name."""
        return self.pallet, self.name

    @cached_property
    def constant_info(self) -> DispatchInfo | None:
        """Weight, class and fee rule when no argument changes them."""
        parts = (self.weight, self.dispatch_class, self.pays)
        return None if any(map(callable, parts)) else DispatchInfo(*parts)  # type: ignore[arg-type]

    def info(self, args: tuple[Any, ...]) -> DispatchInfo:
        """Weight, class and fee rule for these arguments."""
        if self.constant_info is not None:
            return self.constant_info
        weight, kind, pays = self.weight, self.dispatch_class, self.pays
        return DispatchInfo(
            weight if isinstance(weight, int) else weight(*args),
            kind if isinstance(kind, DispatchClass) else kind(*args),
            pays if isinstance(pays, Pays) else pays(*args),
        )

    def run(self, s: Any, origin: Origin, args: tuple[Any, ...]) -> Any:
        """Check the origin, then run; raises CallError."""
        admit = self.admit
        if admit.whole:
            return self.fn(s, origin, *args)
        if origin.kind not in admit.kinds:
            raise BadOrigin(f"{self.pallet}.{self.name} is not for a {origin.kind} origin")
        return self.fn(s, origin.who, *args)


def call(
    index: int,
    *,
    weight: int | WeightOf = 10_000_000,
    reads: int = 0,
    writes: int = 0,
    dispatch_class: DispatchClass | ClassOf = DispatchClass.Normal,
    pays: Pays | PaysOf = Pays.Yes,
) -> Callable[[F], F]:
    """Mark a function as call `index`.

    `weight` is reference time in picoseconds without storage, or a function of the arguments;
    `reads` and `writes` add RocksDB's figures, as upstream's benchmarks do. Class and fee rule
    may be functions of the arguments too, for calls that carry calls.
    """

    def mark(fn: F) -> F:
        target: Any = fn
        extra = reads * READ_WEIGHT + writes * WRITE_WEIGHT
        total = weight + extra if isinstance(weight, int) else weight
        target.__scale_call__ = (index, total, dispatch_class, pays)
        return fn

    return mark


@dataclass_transform(frozen_default=True)
def event(index: int) -> Callable[[C], C]:
    """Make a class event `index`: a frozen dataclass; fields named `_0`, `_1` are positional."""

    def mark(cls: C) -> C:
        made: Any = record(cls)
        made.__scale_event__ = index
        return made  # type: ignore[no-any-return]

    return mark


def on_initialize(fn: F) -> F:
    """Mark `fn(state, block_number)` to run at the start of every block."""
    target: Any = fn
    target.__hook__ = "on_initialize"
    return fn


def on_finalize(fn: F) -> F:
    """Mark `fn(state, block_number)` to run after the last extrinsic of every block."""
    target: Any = fn
    target.__hook__ = "on_finalize"
    return fn


def inherent(fn: F) -> F:
    """Mark `fn(state, now_ms, data) -> RuntimeCall | None`, asked by every author."""
    target: Any = fn
    target.__hook__ = "inherent"
    return fn


def validate_unsigned(fn: F) -> F:
    """Mark `fn(state, call, in_block) -> Validity | None`; None when the call is not its own."""
    target: Any = fn
    target.__hook__ = "validate_unsigned"
    return fn


def genesis(fn: F) -> F:
    """Mark `fn(state, genesis)` to write a pallet's part of block 0."""
    target: Any = fn
    target.__hook__ = "genesis"
    return fn


HOOKS = ("genesis", "on_initialize", "on_finalize", "inherent", "validate_unsigned")


class Pallet:
    """Everything derived from one or more modules."""

    def __init__(self, name: str, *modules: str, crate: str | None = None) -> None:
        self.name = name
        self.crate = crate or "pallet_" + _snake(name)
        self.modules = modules
        self.index = -1
        self.items: dict[str, Item] = {}
        self.calls: dict[int, Call] = {}
        self.events: dict[int, type] = {}
        self.errors: dict[int, type[ModuleError]] = {}
        self.constants: dict[str, Constant[Any]] = {}
        self.hooks: dict[str, list[Callable[..., Any]]] = {name: [] for name in HOOKS}

    def seal(self) -> Pallet:
        """Collect the declarations of all modules; raises ValueError for an index used twice."""
        for name in self.modules:
            _collect(self, sys.modules[name])
        return self

    def place(self, index: int) -> None:
        """Give the pallet its index in the runtime."""
        self.index = index
        for entry in self.errors.values():
            entry.pallet_index = index
        for made in self.events.values():
            made.__pallet_index__ = index  # type: ignore[attr-defined]

    def docs(self) -> dict[str, str]:
        """Documentation of storage items and constants by name; read from the sources."""
        out: dict[str, str] = {}
        for module in self.modules:
            found = _attribute_docs(inspect.getsource(sys.modules[module]))
            out |= {name.rstrip("_"): doc for name, doc in found.items()}
        return out

    def call_named(self, name: str) -> Call:
        """The call of that name; KeyError when there is none."""
        for entry in self.calls.values():
            if entry.name == name:
                return entry
        raise KeyError(f"{self.name} has no call {name}")


def _snake(name: str) -> str:
    return "".join("_" + c.lower() if c.isupper() else c for c in name).lstrip("_")


def _put(table: dict[int, Any], index: int, entry: Any, what: str) -> None:
    if index in table:
        raise ValueError(f"{what} index {index} is used twice: {table[index]} and {entry}")
    table[index] = entry


def _collect(pallet: Pallet, module: Any) -> None:
    hints = get_type_hints(module, include_extras=True)
    declared = vars(module).get("__annotations__", {})
    for name, tp in hints.items():
        if name not in declared:
            continue
        kind = get_origin(tp)
        if kind in (Value, Map):
            item = getattr(module, name)
            seal_item(item, pallet.name, name.rstrip("_"), tp)
            pallet.items[item.name] = item
        elif kind is Constant:
            _seal_constant(pallet, name, getattr(module, name), get_args(tp)[0])
    for name, obj in list(vars(module).items()):
        if getattr(obj, "__module__", None) == module.__name__:
            _collect_object(pallet, name, obj)


def _seal_constant(pallet: Pallet, name: str, entry: Constant[Any], tp: Any) -> None:
    entry.name, entry.type = name.rstrip("_"), tp
    entry.codec = codec(tp)
    entry.codec.encode(entry.value)
    pallet.constants[entry.name] = entry


def _collect_object(pallet: Pallet, name: str, obj: Any) -> None:
    if hasattr(obj, "__scale_call__"):
        entry = _make_call(pallet.name, name, obj)
        _put(pallet.calls, entry.index, entry, f"{pallet.name} call")
    elif hasattr(obj, "__scale_event__"):
        obj.__pallet__ = pallet.name
        _put(pallet.events, obj.__scale_event__, obj, f"{pallet.name} event")
    elif hasattr(obj, "__hook__"):
        pallet.hooks[obj.__hook__].append(obj)
    elif isinstance(obj, type) and issubclass(obj, Errors):
        for made in vars(obj).values():
            if isinstance(made, type) and issubclass(made, ModuleError):
                made.pallet = pallet.name
                _put(pallet.errors, made.index, made, f"{pallet.name} error")


def _make_call(pallet: str, name: str, fn: Any) -> Call:
    index, weight, dispatch_class, pays = fn.__scale_call__
    hints = get_type_hints(fn, include_extras=True)
    names = list(inspect.signature(fn).parameters)
    origin_type = hints[names[1]]
    admit = None
    if get_origin(origin_type) is Annotated:
        admit = next((m for m in get_args(origin_type)[1:] if isinstance(m, Admit)), None)
    if admit is None:
        raise TypeError(f"{pallet}.{name}: the second parameter must be an origin")
    params = tuple((p.rstrip("_"), hints[p]) for p in names[2:])
    return Call(
        pallet,
        index,
        name.rstrip("_"),
        inspect.getdoc(fn) or "",
        fn,
        admit,
        params,
        tuple(codec(tp) for _, tp in params),
        weight,
        dispatch_class,
        pays,
    )


def _attribute_docs(source: str) -> dict[str, str]:
    """The string literal under each annotated name, as documentation tools read it."""
    body = ast.parse(source).body
    out = {}
    for before, after in zip(body, body[1:], strict=False):
        if (
            isinstance(before, ast.AnnAssign)
            and isinstance(before.target, ast.Name)
            and isinstance(after, ast.Expr)
            and isinstance(after.value, ast.Constant)
            and isinstance(after.value.value, str)
        ):
            out[before.target.id] = inspect.cleandoc(after.value.value)
    return out
