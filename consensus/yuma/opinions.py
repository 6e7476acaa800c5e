"""Stored rows as dense arrays: what validators say and hold, less what may not count.

Arrays here are validators x miners and small (u16 and bool); a validator's index in them is its
place in `uids`. Only a row out of order keeps its stored order, for the two places that care.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from consensus.yuma.lanes import Bools, u64s
from consensus.yuma.rows import EMPTY, checked, view_row
from consensus.yuma.standing import Standing, bonds_horizon, padded
from consensus.yuma.types import SubnetEpoch

U16s = NDArray[np.uint16]


class Unsupported(Exception):
    """The fast path cannot hold this subnet; the message says why."""


@dataclass(slots=True)
class Dense:
    """Rows scattered into an array."""

    values: U16s
    present: Bools
    """Where a row has an entry, zero or not."""
    unsorted: dict[int, U16s]
    """The uids of each row that is not in ascending order, as stored."""


@dataclass(slots=True)
class Opinions:
    """Weights and bonds of the validators that matter."""

    uids: list[int]
    weights: Dense
    bonds: Dense


def read_opinions(subnet: SubnetEpoch, who: Standing) -> Opinions:
    """Masked weights and bonds; `Unsupported` for a row that names a miner twice."""
    n = subnet.n
    rows, bonds = padded(subnet.weights, n, EMPTY), padded(subnet.bonds, n, EMPTY)
    uids = [
        i
        for i in range(n)
        if bonds[i] != EMPTY or who.active_stake[i] or (who.permits[i] and rows[i] != EMPTY)
    ]
    return Opinions(
        uids=uids,
        weights=_fresh_weights(subnet, uids, [rows[i] if who.permits[i] else EMPTY for i in uids]),
        bonds=_fresh_bonds(subnet, [bonds[i] for i in uids]),
    )


def scatter(rows: Sequence[bytes], n: int) -> Dense:
    """Stored rows as a dense array of n columns; entries beyond are left out."""
    dense = Dense(
        values=np.zeros((len(rows), n), dtype=np.uint16),
        present=np.zeros((len(rows), n), dtype=np.bool_),
        unsorted={},
    )
    rest = _place_full_rows(dense, rows)
    pairs = view_row(b"".join(checked(rows[k]) for k in rest))
    column, value = pairs[:, 0].astype(np.intp), pairs[:, 1]
    line = np.repeat(np.array(rest, dtype=np.intp), [len(rows[k]) // 4 for k in rest])
    place = (line << 16) + column
    if not (place[1:] > place[:-1]).all():
        dense.unsorted = _unsorted(rows)
    place = line * n + column
    if (column >= n).any():
        inside = column < n
        place, value = place[inside], value[inside]
    dense.values.ravel()[place] = value
    dense.present.ravel()[place] = True
    return dense


def _place_full_rows(dense: Dense, rows: Sequence[bytes]) -> list[int]:
    """Fill in the rows that name every uid in order, with one copy; returns the others."""
    n = dense.values.shape[1]
    full = [k for k, row in enumerate(rows) if len(row) == 4 * n]
    if not full or n == 0:
        return list(range(len(rows)))
    pairs = view_row(b"".join(rows[k] for k in full)).reshape(len(full), n, 2)
    in_order = (pairs[:, :, 0] == np.arange(n, dtype=np.uint16)).all(axis=1)
    placed = np.array(full)[in_order]
    dense.values[placed] = pairs[in_order, :, 1]
    dense.present[placed] = True
    done = set(placed.tolist())
    return [k for k in range(len(rows)) if k not in done]


def _unsorted(rows: Sequence[bytes]) -> dict[int, U16s]:
    result = {}
    for k, row in enumerate(rows):
        uids = view_row(row)[:, 0]
        if (uids[1:] <= uids[:-1]).any():
            if len(np.unique(uids)) != len(uids):
                raise Unsupported("a row names a miner twice")
            result[k] = uids
    return result


def _fresh_weights(subnet: SubnetEpoch, uids: list[int], rows: Sequence[bytes]) -> Dense:
    """Without self-weights, weights to neurons newer than the row, and commit-masked ones."""
    n = subnet.n
    dense = scatter(rows, n)
    present = dense.present
    registered = u64s(padded(subnet.block_at_registration, n, 0))
    updated = padded(subnet.last_update, n, 0)
    present &= registered < u64s([updated[i] for i in uids])[:, None]
    if subnet.commit_blocks is not None:
        present &= registered <= u64s([subnet.commit_blocks[i] for i in uids])[:, None]
    for k, uid in enumerate(uids):
        if uid != subnet.owner_uid:
            present[k, uid] = False
    dense.values *= present
    return dense


def _fresh_bonds(subnet: SubnetEpoch, rows: Sequence[bytes]) -> Dense:
    """Without bonds to neurons that registered since the last epoch."""
    n, horizon = subnet.n, bonds_horizon(subnet)
    dense = scatter(rows, n)
    registered = padded(subnet.block_at_registration, n, 0)
    stale = np.array([block >= horizon for block in registered], dtype=np.bool_)
    dense.present &= ~stale
    dense.values *= dense.present
    return dense


def hidden(dense: Dense, *, beyond: bool) -> Bools | None:
    """Entries a forward walk misses because a larger uid stands before them; None for none.

    See `bonds.seen_in_order`. Only entries still present stand in the way, and entries for uids
    the subnet does not have if `beyond`: bonds keep those, weights do not.
    """
    if not dense.unsorted:
        return None
    n = dense.present.shape[1]
    mask = np.zeros_like(dense.present)
    for k, uids in dense.unsorted.items():
        inside = uids < n
        alive = ~inside & beyond
        alive[inside] = dense.present[k, uids[inside]]
        left = uids[alive]
        behind = left[1:] < np.maximum.accumulate(left)[:-1]
        missed = left[1:][behind]
        mask[k, missed[missed < n]] = True
    return mask


def stored_rows(
    values: U16s, present: Bools, order: dict[int, U16s], wanted: Sequence[bool]
) -> list[bytes]:
    """Each row as stored, ascending except where `order` gives uids; `EMPTY` if not wanted."""
    n = present.shape[1]
    pairs = np.empty((*present.shape, 2), dtype="<u2")
    pairs[:, :, 0] = np.arange(n)
    pairs[:, :, 1] = values
    full: Bools = np.logical_and.reduce(present, axis=1)
    result = []
    for k, is_wanted in enumerate(wanted):
        if not is_wanted:
            result.append(EMPTY)
        elif k in order:
            uids = order[k][order[k] < n]
            result.append(pairs[k, uids[present[k, uids]]].tobytes())
        else:
            result.append((pairs[k] if full[k] else pairs[k, present[k]]).tobytes())
    return result
