"""A small settlement of each kind: exact to the rao, in few extrinsics; see scripts/settle."""

from __future__ import annotations

import pytest

pytest.importorskip("sqlalchemy")

from localnet.settle import PROOFS, run  # noqa: E402 - an optional package decides first


@pytest.mark.parametrize(("count", "http"), [(600, False), (24, True)])
def test_many_requests_settle_exactly_in_few_extrinsics(count: int, http: bool) -> None:
    result = run(count, http)
    assert result.is_exact, result
    assert result.extrinsics <= 10
    assert sum(row.answers for row in result.rows) >= count
    assert sum(row.proven for row in result.rows) >= min(count, PROOFS)
    assert result.refused == {
        "replayed": "StaleNonce",
        "lower nonce": "StaleNonce",
        "wrong genesis": "WrongGenesis",
        "over deposit": "OverDeposit",
        "wrong signer": "BadSignature",
    }


@pytest.mark.slow
def test_ten_thousand_requests_settle_in_nine_extrinsics() -> None:
    result = run(10_000, http=False)
    assert result.is_exact, result
    assert (result.extrinsics, sum(row.answers for row in result.rows)) == (9, 10_000)
    assert [row.lanes for row in result.rows] == [2, 2, 2]
    assert all(row.proven == 2 * PROOFS for row in result.rows)
