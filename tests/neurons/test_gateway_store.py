# ruff: noqa: E402 - optional packages decide first whether this file runs
"""Budgets, idempotency and receipts, in SQLite and, where there is one, PostgreSQL."""

import asyncio
import os
import secrets
import shutil
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("sqlalchemy")
from ganglion.wire.text import MOST_COUNTED
from neurons.gateway.lane_store import LaneStore
from neurons.gateway.store import Denied, Order, Outcome, PartRow, Store, StoreProblem


def postgres_folder() -> Path | None:
    found = shutil.which("initdb") or next(
        iter(map(str, Path("/usr/lib/postgresql").glob("*/bin/initdb"))), None
    )
    return Path(found).parent if found else None


@pytest.fixture(scope="module")
def postgres_url() -> Iterator[str]:
    """A throw-away PostgreSQL server on a Unix socket."""
    pytest.importorskip("psycopg")
    binaries = postgres_folder()
    if binaries is None:
        pytest.skip("no PostgreSQL server is installed")
    with tempfile.TemporaryDirectory(prefix="gpg") as folder:
        os.chmod(folder, 0o777)
        user = ["runuser", "-u", "nobody", "--"] if os.geteuid() == 0 else []
        data = f"{folder}/data"
        made = subprocess.run(
            [*user, str(binaries / "initdb"), "-A", "trust", "-U", "gw", "-D", data],
            capture_output=True,
            check=False,
        )
        if made.returncode:
            pytest.skip(f"initdb fails here: {made.stderr[-200:]!r}")
        options = f"-k {folder} -c listen_addresses='' -c fsync=off"
        control = [*user, str(binaries / "pg_ctl"), "-D", data, "-w"]
        subprocess.run(
            [*control, "-o", options, "-l", f"{folder}/log", "start"],
            check=True,
            capture_output=True,
        )
        try:
            yield f"postgresql+psycopg://gw@/postgres?host={folder}"
        finally:
            subprocess.run([*control, "-m", "immediate", "stop"], check=True, capture_output=True)


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/gw.db"
    return str(request.getfixturevalue("postgres_url"))


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    made = Store(url)
    yield made
    made.close()


def order(reserve: int = 10, idempotency: str | None = None, digest: bytes = b"d" * 32) -> Order:
    return Order(secrets.token_hex(8), "m", digest, reserve, idempotency)


def spent(store: Store, key: str) -> tuple[int, int]:
    row = next(r for r in store.list_keys() if r["id"] in key)
    return row["spent"], row["reserved"]


DONE = Outcome(5, 6, 7, [PartRow(2, 1, "5abc", 6, {"receipt": "0x00"})], b'{"x":1}')


async def test_a_reservation_becomes_the_true_cost(store: Store) -> None:
    key, one = store.add_key("a", 100), order()
    opened = await store.open(key, one)
    assert spent(store, key) == (0, 10)
    await store.close_request(one, opened.key_id, DONE)
    await store.fail_request(one, opened.key_id)  # a second closing changes nothing
    assert spent(store, key) == (7, 0)
    parts = await store.receipts_of(key, one.id)
    assert parts is not None
    assert parts[0]["signed"] == {"receipt": "0x00"}
    assert await store.receipts_of(store.add_key("b"), one.id) is None


async def test_a_failed_request_costs_nothing(store: Store) -> None:
    key, one = store.add_key("a", 10), order(idempotency="once")
    opened = await store.open(key, one)
    await store.fail_request(one, opened.key_id)
    assert spent(store, key) == (0, 0)
    await store.open(key, order(idempotency="once"))  # and may be tried again


async def test_sixteen_callers_of_two_gateways_cannot_overdraw(store: Store, url: str) -> None:
    other, key = Store(url), store.add_key("a", 100)
    calls = [gate.open(key, order(10)) for gate in (store, other) for _ in range(16)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    refused = [r for r in results if isinstance(r, Denied)]
    assert len(refused) == 22
    assert {r.code for r in refused} == {"insufficient_quota"}
    assert spent(store, key) == (0, 100)
    other.close()


async def test_an_idempotency_key_never_charges_twice(store: Store) -> None:
    key, one = store.add_key("a", 100), order(idempotency="k")
    opened = await store.open(key, one)
    with pytest.raises(Denied) as running:
        await store.open(key, order(idempotency="k"))
    assert running.value.code == "in_progress"
    await store.close_request(one, opened.key_id, DONE)
    again = await store.open(key, order(idempotency="k"))
    assert again.replay == b'{"x":1}'
    assert spent(store, key) == (7, 0)
    with pytest.raises(Denied) as conflict:
        await store.open(key, order(idempotency="k", digest=b"e" * 32))
    assert conflict.value.code == "idempotency_conflict"
    other = await store.open(store.add_key("b"), order(idempotency="k"))
    assert other.replay is None


async def test_an_answer_that_broke_off_may_be_asked_for_again(store: Store) -> None:
    key, one = store.add_key("a", 100), order(idempotency="k")
    opened = await store.open(key, one)
    await store.close_request(one, opened.key_id, Outcome(5, 6, 7, []))
    assert (await store.open(key, order(idempotency="k"))).replay is None
    assert spent(store, key) == (7, 10)


@pytest.mark.parametrize("steps", range(4))
async def test_who_leaves_while_it_is_admitted_holds_nothing(store: Store, steps: int) -> None:
    key = store.add_key("a", 100)
    leaving = asyncio.create_task(store.open(key, order()))
    for _ in range(steps):
        await asyncio.sleep(0)
    leaving.cancel()
    with suppress(asyncio.CancelledError):
        await leaving
    if leaving.cancelled():
        assert spent(store, key) == (0, 0)


async def test_the_most_that_a_miner_may_count_fits_into_the_database(store: Store) -> None:
    key, one = store.add_key("a", 100), order()
    opened = await store.open(key, one)
    most = Outcome(MOST_COUNTED, MOST_COUNTED, 7, [])
    await store.close_request(one, opened.key_id, most)
    assert spent(store, key) == (7, 0)


async def test_racing_duplicates_run_once(store: Store) -> None:
    key = store.add_key("a", 1000)
    calls = [store.open(key, order(idempotency="same")) for _ in range(8)]
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert sum(not isinstance(r, Denied) for r in results) == 1
    assert spent(store, key) == (0, 10)


async def test_a_model_is_another_in_capitals(store: Store) -> None:
    key = store.add_key("a", models=["M", "a_c", "a%"])
    for name in ("m", "abc", "ab", "a", '"M"', 'M", "a_c'):
        with pytest.raises(Denied) as refused:
            await store.open(key, replace(order(), model=name))
        assert refused.value.code == "model_not_allowed"
    for name in ("M", "a_c", "a%"):
        await store.open(key, replace(order(1), model=name))


async def test_keys_are_checked(store: Store) -> None:
    key = store.add_key("a", models=["other"])
    for wrong in ("", "gk-", "gk-x-y", key + "x", key[:-1], "nonsense"):
        with pytest.raises(Denied) as caught:
            await store.open(wrong, order())
        assert caught.value.code == "invalid_api_key"
    with pytest.raises(Denied) as caught:
        await store.open(key, order())
    assert caught.value.code == "model_not_allowed"
    assert store.disable_key(key.split("-")[1])
    with pytest.raises(Denied, match="switched off"):
        await store.authenticate(key)
    assert not store.disable_key("nobody")


async def test_what_a_dead_gateway_held_is_released(store: Store) -> None:
    key = store.add_key("a", 10)
    await store.open(key, order(10))
    assert store.release_stale() == 0
    assert store.release_stale(time.time() + 7200) >= 1
    assert spent(store, key) == (0, 0)


async def test_a_gateway_that_runs_releases_what_dead_ones_hold(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("neurons.gateway.store.STALE_SECONDS", 0.02)
    key = store.add_key("a", 100)
    await store.open(key, order())
    cleaning = asyncio.create_task(store.keep_clean())
    while spent(store, key) != (0, 0):
        await asyncio.sleep(0.01)
    cleaning.cancel()


async def test_samples_are_handed_out_once_the_latest_first(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    netuid = secrets.randbelow(10**6)
    for i in range(3):
        await store.add_sample(netuid, f"miner{i}", b"body", {"tokens": [i]}, 5)
    first, rest = await store.take_samples(netuid, 2), await store.take_samples(netuid, 9)
    assert [s["answer"]["tokens"] for s in first + rest] == [[2], [1], [0]]
    assert await store.take_samples(netuid, 9) == []
    monkeypatch.setattr("neurons.gateway.store.SAMPLES_KEPT", 2)
    for i in range(5):
        await store.add_sample(netuid, "miner", b"body", {"tokens": [i]}, 5)
    kept = await store.take_samples(netuid, 9)
    assert [s["answer"]["tokens"] for s in kept] == [[4], [3]]


def test_an_unusable_url_is_one_sentence(tmp_path: Path) -> None:
    for url in ("nonsense", "oracle+nothing://x", f"sqlite:///{tmp_path}/no/such/folder/x.db"):
        with pytest.raises(StoreProblem) as caught:
            Store(url)
        assert str(tmp_path) in str(caught.value) or not url.startswith("sqlite")
        assert "sqlalche.me" not in str(caught.value)


async def test_a_keys_price_limit(store: Store) -> None:
    free, bound = store.add_key("free"), store.add_key("bound", max_price=7)
    assert [await store.price_limit(key) for key in (free, bound, bound)] == [None, 7, 7]
    with pytest.raises(Denied, match="not known"):
        await store.price_limit(bound[:-1] + ("a" if bound[-1] != "a" else "b"))


async def test_a_database_of_an_older_gateway_gets_the_new_columns(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/old.db"
    old = Store(url)
    key = old.add_key("kept", 5)
    old.close()
    with closing(sqlite3.connect(tmp_path / "old.db")) as connection:
        connection.execute("ALTER TABLE api_keys DROP COLUMN max_price")
    new = Store(url)
    assert await new.price_limit(key) is None
    assert spent(new, key) == (0, 0)
    new.close()


async def test_gateways_never_share_a_lane(url: str) -> None:
    stores = [Store(url) for _ in range(8)]
    several = [LaneStore(store, b"g" * 32, str(n)) for n, store in enumerate(stores)]
    lanes = await asyncio.gather(*(one.take(5, 6) for one in several))
    numbers = [lane.lane for lane in lanes if lane is not None]
    assert sorted(numbers) == [0, 1, 2, 3, 4, 5]
    owner = next(n for n, lane in enumerate(lanes) if lane is not None and lane.lane == 3)
    lane = lanes[owner]
    assert lane is not None
    assert await several[owner].promise(lane.raised(10), []) == 10
    assert await several[owner].promise(lane.raised(99), []) is None  # the same nonce twice
    assert await several[(owner + 1) % 8].promise(lane.raised(10).raised(5), []) is None
    await several[owner].release()
    loser = next(n for n, lane in enumerate(lanes) if lane is None)
    taken = await several[loser].take(5, 6)
    assert taken is not None
    assert (taken.lane, taken.nonce, taken.cumulative) == (3, 1, 10)
    assert await LaneStore(stores[0], b"h" * 32, "x").take(5, 6) is not None  # another chain's
    for store in stores:
        store.close()


async def test_one_gateway_at_a_time_opens_a_channel(url: str) -> None:
    stores = [Store(url) for _ in range(4)]
    several = [LaneStore(store, b"g" * 32, str(n)) for n, store in enumerate(stores)]
    began = await asyncio.gather(*(one.begin("5Miner") for one in several))
    assert sorted(began) == [False, False, False, True]
    assert await several[0].channel_of("5Miner") is None
    await several[began.index(True)].end("5Miner", 7)
    assert await several[0].channel_of("5Miner") == 7
    assert await several[0].others("5Miner") == frozenset()
    assert await several[0].others("5Other") == {7}
    assert await several[1].begin("5Miner")  # to top it up, say
    await several[1].end("5Miner", 7)
    for store in stores:
        store.close()


async def test_gateways_without_keys_share_one_row_however_often_they_start(store: Store) -> None:
    """Its secret is nowhere in the database, and another gateway's opens nothing."""
    ordinary = store.add_key("alice")
    stores = [Store(store._engine.url.render_as_string(hide_password=False)) for _ in range(3)]
    keys = [one.open_key() for one in (*stores, *stores)][3:]
    assert [row["name"] for row in store.list_keys()].count("anybody") == 1
    for one, key in zip(stores, keys):
        opened = await one.open(key, order())
        assert opened.key_id == "anybody"
        assert (await one.open(ordinary, order())).key_id in ordinary
    for refused in (keys[0], "gk-anybody-", "gk-anybody-x", "anybody"):
        with pytest.raises(Denied, match="not known"):
            await store.open(refused, order())
    assert store.disable_key("anybody")
    with pytest.raises(Denied, match="switched off"):
        await stores[0].open(keys[0], order())
    stores[1].open_key()
    await stores[0].open(keys[0], order())
    for one in stores:
        one.close()
