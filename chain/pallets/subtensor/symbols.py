"""Symbols and fallback names of subnets, by netuid: the lists that upstream hands out."""

from __future__ import annotations

from importlib import resources

_RUNS = """
    03a4 03b1+16 03c3 0074 03c5+4 05d0+26 0627+1 062a+16 0641+7 064a 0649 16a0 16a2 16a6 16a8
    16b1 16b3 042b 16c9 16d2 1680+5 169b 10d0+5 0531+5 055e 0400+5 044a 2c80+5 11000+3 11005
    0db1 0db3+4 2c00+32 0e01+34 0e25 0e27+7 3131 3134 3137 3139 3141+1 3145 3147+1 314a+25
    12a0+7 12c8+6 12b0+6 1310+2 1218 1314+2 0905+6 090f+1 0913+21 092a+6 0932 0935+4 30a2 30a4
    30a6 30a8 30aa+1 30ad 30af 30b1 30b3 30b5 30b7 30b9 30bb 30bd 30bf 30c1 30c4 30c6 30c8
    30ca+5 30d2 30d5 30d8 30db 30de+4 30e4 30e6 30e8+5 30ef 30f2+1 2d30+35 0d85+1 0d89+13 0d9a+4
    0da0+4 0da7 0da5+1 0da9 0da8 0daa+6
"""


def _run(text: str) -> list[bytes]:
    """`03b1+17` is U+03B1 and the 17 characters after it."""
    first, _, more = text.partition("+")
    return [chr(int(first, 16) + i).encode() for i in range(int(more or 0) + 1)]


SYMBOLS: tuple[bytes, ...] = tuple(symbol for run in _RUNS.split() for symbol in _run(run))
"""The symbol of netuid 0, 1, ...; those from 1 on may be chosen by owners."""

NAMES: tuple[str, ...] = tuple(
    resources.files(__package__).joinpath("subnet_names.txt").read_text().splitlines()
)
"""The name of a subnet whose owner gave none."""
