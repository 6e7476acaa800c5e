"""Sparse rows of I32F32 bits: lists of (uid, value) in a meaningful order.

Two things set them apart from a dense matrix: an entry may be present with value 0, and a row
keeps the order its validator sent. Both reach the result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from consensus.yuma.scalar import ONE, clamp, mul, safe_div

Row = list[tuple[int, int]]
Matrix = list[Row]


def keep(matrix: Matrix, wanted: Callable[[int, int], bool]) -> Matrix:
    """The entries (i, j) for which `wanted(i, j)` holds."""
    return [[(j, v) for j, v in row if wanted(i, j)] for i, row in enumerate(matrix)]


def row_normalise(matrix: Matrix) -> Matrix:
    """Every row over its sum; rows that sum to 0 stay."""
    result = []
    for row in matrix:
        total = sum(v for _, v in row)
        result.append([(j, safe_div(v, total)) for j, v in row] if total > 0 else row)
    return result


def column_sums(matrix: Matrix, n: int) -> list[int]:
    """The sum of each of the first n columns."""
    sums = [0] * n
    for row in matrix:
        for j, v in row:
            if j < n:
                sums[j] += v
    return sums


def divide_columns(matrix: Matrix, divisors: Sequence[int]) -> Matrix:
    """Every entry over its column's divisor; entries of a zero or missing divisor stay."""
    n = len(divisors)
    return [
        [(j, safe_div(v, divisors[j]) if j < n and divisors[j] else v) for j, v in row]
        for row in matrix
    ]


def column_normalise(matrix: Matrix, n: int) -> Matrix:
    """Every column over its sum."""
    return divide_columns(matrix, column_sums(matrix, n))


def column_max_upscale(matrix: Matrix, n: int) -> Matrix:
    """Every column over its largest entry, which becomes exactly one."""
    top = [0] * n
    for row in matrix:
        for j, v in row:
            if j < n and v > top[j]:
                top[j] = v
    return divide_columns(matrix, top)


def clip_columns(matrix: Matrix, limit: Sequence[int]) -> Matrix:
    """No entry above its column's limit; what is clipped to 0 vanishes, stored zeros stay."""
    return [
        [(j, min(v, limit[j])) for j, v in row if v <= limit[j] or limit[j] > 0] for row in matrix
    ]


def interpolate(from_: Matrix, to: Matrix, ratio: int) -> Matrix:
    """from + ratio * (to - from) entry by entry; at 0 and 1 the operand itself, order and all.

    In between rows come out sorted and without zeros.
    """
    if ratio == 0:
        return from_
    if ratio == ONE:
        return to
    result = []
    for row, other in zip(from_, to):
        target = dict(other)
        source = dict(row)
        mixed = ((j, v + mul(ratio, target.get(j, 0) - v)) for j, v in sorted(source.items()))
        result.append([(j, v) for j, v in mixed if v > 0])
    return result


def scale_rows(matrix: Matrix, factors: Sequence[int]) -> Matrix:
    """Row i times factor i."""
    return [[(j, mul(v, f)) for j, v in row] for row, f in zip(matrix, factors)]


def row_sums(matrix: Matrix) -> list[int]:
    """The sum of every row."""
    return [sum(v for _, v in row) for row in matrix]


def weighted_column_sums(matrix: Matrix, factors: Sequence[int], n: int) -> list[int]:
    """Per column the sum of entry times row factor, each product floored."""
    return column_sums(scale_rows(matrix, factors), n)


def weighted_row_sums(matrix: Matrix, factors: Sequence[int]) -> list[int]:
    """Per row the sum of entry times column factor, each product floored."""
    n = len(factors)
    return [sum(mul(v, factors[j]) for j, v in row if j < n) for row in matrix]


def moving_average(new: Matrix, old: Matrix, alpha: int) -> Matrix:
    """alpha * new + (1 - alpha) * old; only positive entries, sorted, columns below n."""
    n = len(new)
    result = []
    for new_row, old_row in zip(new, old):
        row = [0] * n
        for part, factor in ((new_row, alpha), (old_row, ONE - alpha)):
            for j, v in part:
                if j < n:
                    row[j] = clamp(row[j] + mul(factor, v))
        result.append([(j, v) for j, v in enumerate(row) if v > 0])
    return result
