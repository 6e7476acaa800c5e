"""InferenceRequests: which answer is taken. Pure: what was shown comes in, the answer comes out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chain.pallets.requests_store import Equal, First, Median, Mode, Seat

NUMBER = re.compile(rb"[+-]?[0-9]{1,18}(?:\.[0-9]{1,9})?")
BILLION = 10**9
MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Taken:
    """The answer, and the places of those that agree with it."""

    output: bytes
    agreed: frozenset[int]


def decide(mode: Mode, seats: Sequence[Seat], shown: Mapping[bytes, bytes]) -> Taken | None:
    """The answer that the shown ones make; None if they make none.

    `shown` holds the outputs by their hashes; a seat without one has shown nothing.
    """
    match mode:
        case First():
            return _most_alike(1, seats, shown)
        case Equal(least):
            return _most_alike(least, seats, shown)
        case Median(tolerance):
            return _median(tolerance, seats, shown)
        case _:
            return None


def _most_alike(least: int, seats: Sequence[Seat], shown: Mapping[bytes, bytes]) -> Taken | None:
    """More than half of the seats are needed, so no two outputs can be taken."""
    counts = Counter(seat.output for seat in seats if seat.output is not None)
    for digest, count in counts.items():
        if count >= least:
            alike = frozenset(n for n, seat in enumerate(seats) if seat.output == digest)
            return Taken(shown[digest], alike)
    return None


def _median(tolerance: int, seats: Sequence[Seat], shown: Mapping[bytes, bytes]) -> Taken | None:
    """The lower median by stake, of more than half of the seats."""
    given: list[tuple[int, int]] = []
    for place, seat in enumerate(seats):
        number = None if seat.output is None else read_number(shown[seat.output])
        if number is not None:
            given.append((number, place))
    if 2 * len(given) <= len(seats):
        return None
    given.sort()
    total = sum(weight(seats[place]) for _, place in given)
    below, median = 0, 0
    for number, place in given:
        below += weight(seats[place])
        if 2 * below >= total:
            median = number
            break
    slack = abs(median) * tolerance // MILLION
    near = frozenset(place for number, place in given if abs(number - median) <= slack)
    return Taken(write_number(median), near)


def weight(seat: Seat) -> int:
    """What a seat weighs: its stake, and one rao where nobody has any."""
    return seat.stake + 1


def read_number(output: bytes) -> int | None:
    """The first decimal number in an output, in billionths; None without one."""
    found = NUMBER.search(output)
    if found is None:
        return None
    text = found.group().lstrip(b"+-")
    whole, _, rest = text.partition(b".")
    size = int(whole) * BILLION + int(rest.ljust(9, b"0"))
    return -size if found.group().startswith(b"-") else size


def write_number(number: int) -> bytes:
    """A number in billionths as the shortest decimal text."""
    whole, rest = divmod(abs(number), BILLION)
    text = f"{whole}.{rest:09}".rstrip("0").rstrip(".")
    return (f"-{text}" if number < 0 else text).encode()
