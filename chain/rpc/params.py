"""Parameters of RPC methods: from JSON values to typed arguments, by the method's signature.

A method declares `def get_storage(node, key: HexBytes, at: Hash | None = None)`; `binder`
turns that signature, once, into a function from a JSON array (or object) to the arguments.
Wrong types, wrong lengths and surplus arguments raise "Invalid params" with the parameter's
name and what was expected.
"""

from __future__ import annotations

import inspect
import json
import types
from binascii import unhexlify
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NewType, Union, get_args, get_origin, get_type_hints

from chain.rpc.errors import invalid_params
from ganglion.units import Hash

HexBytes = NewType("HexBytes", bytes)
"""Bytes in hex, with or without 0x: some clients leave it out."""

Parser = Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter as documents name it: `kind` as in JSON, `default` as JSON or None."""

    name: str
    kind: str
    required: bool
    default: str | None


class _Bad(ValueError):
    """A value does not parse; the text says what was expected."""


def parse_hex(value: Any) -> bytes:
    if type(value) is not str:
        raise _Bad("expected a hex string")
    try:
        # Not bytes.fromhex: that skips blanks.
        return unhexlify(value[2:] if value[:2] == "0x" else value)
    except ValueError:
        raise _Bad("expected an even number of hex digits, as in 0x26aa") from None


def parse_block_hash(value: Any) -> bytes:
    raw = parse_hex(value)
    if len(raw) != 32:
        raise _Bad(f"expected a hash of 32 bytes in hex, got {len(raw)} bytes")
    return raw


def parse_natural(value: Any) -> int:
    if type(value) is int and 0 <= value < 2**64:
        return value
    if type(value) is str and value[:2] == "0x" and 2 < len(value) <= 18:
        try:
            return int(value[2:], 16)
        except ValueError:
            pass
    raise _Bad("expected an unsigned integer of at most 64 bits")


def _exactly(kind: type, name: str) -> Parser:
    def parse(value: Any) -> Any:
        if type(value) is not kind:
            raise _Bad(f"expected {name}")
        return value

    return parse


def _list_of(item: Parser) -> Parser:
    def parse(value: Any) -> list[Any]:
        if type(value) is not list:
            raise _Bad("expected an array")
        return [item(v) for v in value]

    return parse


def _optional(inner: Parser) -> Parser:
    return lambda value: None if value is None else inner(value)


def _either(choices: list[Parser]) -> Parser:
    def parse(value: Any) -> Any:
        reasons = []
        for choice in choices:
            try:
                return choice(value)
            except _Bad as bad:
                reasons.append(str(bad))
        raise _Bad(" or ".join(reasons))

    return parse


_SIMPLE: dict[Any, Parser] = {
    HexBytes: parse_hex,
    Hash: parse_block_hash,
    int: parse_natural,
    str: _exactly(str, "a string"),
    bool: _exactly(bool, "true or false"),
    dict: _exactly(dict, "an object"),
    Any: lambda value: value,
}


def parser_for(annotation: Any) -> Parser:
    """The parser of one annotation; KeyError if a method uses a type this module lacks."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        inner = [parser_for(a) for a in args if a is not types.NoneType]
        parse = inner[0] if len(inner) == 1 else _either(inner)
        return _optional(parse) if types.NoneType in args else parse
    if origin is list:
        return _list_of(parser_for(args[0]))
    if origin is dict:
        return _SIMPLE[dict]
    return _SIMPLE[annotation]


_KINDS = {HexBytes: "hex", Hash: "hash", int: "number", str: "string", bool: "bool", Any: "any"}


def _kind(annotation: Any) -> str:
    """How a document names what `parser_for` reads."""
    origin, args = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        return " or ".join(_kind(a) for a in args if a is not types.NoneType)
    if origin is list:
        return f"[{_kind(args[0])}]"
    return "object" if annotation is dict or origin is dict else _KINDS[annotation]


def parameters(function: Callable[..., Any], skip: int) -> list[Parameter]:
    """The parameters of a method after the first `skip`, as `binder` reads them."""
    hints = get_type_hints(function)
    out = []
    for p in list(inspect.signature(function).parameters.values())[skip:]:
        required = p.default is inspect.Parameter.empty
        default = None if required or p.default is None else json.dumps(p.default)
        out.append(Parameter(p.name, _kind(hints[p.name]), required, default))
    return out


def binder(function: Callable[..., Any], skip: int) -> Callable[[Any], list[Any]]:
    """A function from the request's `params` to positional arguments after the first `skip`."""
    hints = get_type_hints(function)
    slots = [
        (p.name, parser_for(hints[p.name]), p.default)
        for p in list(inspect.signature(function).parameters.values())[skip:]
    ]
    names = [name for name, _, _ in slots]

    def bind(params: Any) -> list[Any]:
        if params is None:
            params = ()
        elif type(params) is dict:
            params = _by_name(params, names)
        elif type(params) is not list:
            raise invalid_params("params must be an array or an object")
        if len(params) > len(slots):
            raise invalid_params(f"at most {len(slots)} parameters are known: {names}")
        arguments = []
        given = len(params)
        for i, (name, parse, default) in enumerate(slots):
            value = params[i] if i < given else None
            if value is None and default is not inspect.Parameter.empty:
                arguments.append(default)
                continue
            if i >= given:
                raise invalid_params(f"parameter {i + 1} ({name}) is missing")
            try:
                arguments.append(parse(value))
            except _Bad as bad:
                raise invalid_params(f"parameter {i + 1} ({name}): {bad}") from None
        return arguments

    return bind


def _by_name(params: dict[str, Any], names: list[str]) -> list[Any]:
    unknown = sorted(set(params) - set(names))
    if unknown:
        raise invalid_params(f"unknown parameters {unknown}, known are {names}")
    return [params.get(name) for name in names]
