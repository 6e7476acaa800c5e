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
    pairs = view_row(b"".join(map(checked, rows)))
    column, value = pairs[:, 0].astype(np.intp), pairs[:, 1]
    line = np.repeat(np.arange(len(rows)), [len(row) // 4 for row in rows])
    place = (line << 16) + column
    unsorted = {} if (place[1:] > place[:-1]).all() else _unsorted(rows)
    place = line * n + column
    if (column >= n).any():
        inside = column < n
        place, value = place[inside], value[inside]
    dense = Dense(
        values=np.zeros((len(rows), n), dtype=np.uint16),
        present=np.zeros((len(rows), n), dtype=np.bool_),
        unsorted=unsorted,
    )
    dense.values.ravel()[place] = value
    dense.present.ravel()[place] = True
    return dense


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
    line, column = np.nonzero(present)
    pairs = np.empty((len(line), 2), dtype="<u2")
    pairs[:, 0] = column
    pairs[:, 1] = values[line, column]
    raw, counts, at = pairs.tobytes(), np.count_nonzero(present, axis=1).tolist(), 0
    result = []
    for k, count in enumerate(counts):
        end = at + 4 * count
        row = raw[at:end]
        at = end
        if not wanted[k]:
            result.append(EMPTY)
            continue
        if k in order:
            uids = order[k][order[k] < present.shape[1]]
            uids = uids[present[k, uids]]
            row = np.stack([uids, values[k, uids]], axis=1).astype("<u2").tobytes()
        result.append(row)
    return result
