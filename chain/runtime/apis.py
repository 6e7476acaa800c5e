"""Runtime APIs: functions that `state_call` runs, declared like calls.

    neuron_info = Api("NeuronInfoRuntimeApi", 4)

    @neuron_info.method
    def get_neurons_lite(s: State, netuid: NetUid) -> tuple[NeuronInfoLite, ...]: ...

Arguments and result are encoded by their annotations; metadata V15 lists every method.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, get_type_hints

from chain.runtime.state import State
from ganglion.scale import Codec, DecodeError, codec

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Method:
    """One function of an API."""

    api: str
    name: str
    doc: str
    fn: Callable[..., Any]
    params: tuple[tuple[str, Any], ...]
    codecs: tuple[Codec[Any], ...]
    result_type: Any
    result: Codec[Any]

    @property
    def full_name(self) -> str:
        """As `state_call` names it."""
        return f"{self.api}_{self.name}"

    def run(self, s: State, data: bytes) -> bytes:
        """Decode the arguments, call, encode the result; raises DecodeError."""
        args, at = [], 0
        for part in self.codecs:
            value, at = part.read(data, at)
            args.append(value)
        if at != len(data):
            raise DecodeError(f"{self.full_name}: {len(data) - at} bytes too many")
        return self.result.encode(self.fn(s, *args))


class Api:
    """A runtime API and its version."""

    def __init__(self, name: str, version: int, doc: str = "") -> None:
        self.name, self.version, self.doc = name, version, doc
        self.methods: list[Method] = []

    def method(self, fn: F) -> F:
        """Add `fn(state, *args)` under its own name (without trailing underscore)."""
        hints = get_type_hints(fn, include_extras=True)
        names = list(inspect.signature(fn).parameters)[1:]
        params = tuple((n.rstrip("_"), hints[n]) for n in names)
        result = hints["return"]
        self.methods.append(
            Method(
                self.name,
                fn.__name__.rstrip("_"),
                inspect.getdoc(fn) or "",
                fn,
                params,
                tuple(codec(tp) for _, tp in params),
                result,
                codec(result),
            )
        )
        return fn
