"""Types of the C module; every array is C-contiguous, of items of eight bytes."""

from typing import Any

def set_table(entries: Any, /) -> None: ...
def round_rows(x: Any, out: Any, n: int, width: int, bits: int, /) -> None: ...
def round_and_scale(
    x: Any, out: Any, scales: Any, n: int, width: int, bits: int, epsilon: float, /
) -> None: ...
def gate(gate_up: Any, scales: Any, out: Any, n: int, half: int, bits: int, /) -> None: ...
def remember(
    qkv: Any, scales: Any, cosines: Any, sines: Any, places: Any, query: Any, stored: Any,
    factors: Any, n: int, slots: int, heads: int, kv_heads: int, head: int, query_bits: int,
    key_bits: int, /,
) -> None: ...  # fmt: skip
def gather(
    stored: Any, scales: Any, pages: Any, keys: Any, values: Any, factors: Any, slots: int,
    page: int, length: int, kv_heads: int, head: int, /,
) -> None: ...  # fmt: skip
def weigh(
    scores: Any, factors: Any, totals: Any, kv_heads: int, lines: int, keys: int, stride: int,
    count: int, start: int, scale: float, bits: int, /,
) -> None: ...  # fmt: skip
def settle(mixed: Any, totals: Any, n: int, heads: int, head: int, /) -> None: ...
