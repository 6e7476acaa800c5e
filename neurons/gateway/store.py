"""API keys, budgets, idempotency and receipts in SQLite or PostgreSQL, by URL.

Everything a gateway must not forget is here, so several gateways can share one database. A
request reserves the most it can cost before any miner is asked; the reservation becomes the true
cost when it ends. Both are single conditional updates: a budget cannot be overdrawn by any number
of gateways at once.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, TypeVar

from sqlalchemy import (
    Connection,
    Engine,
    create_engine,
    delete,
    event,
    insert,
    inspect,
    select,
    text,
    update,
)
from sqlalchemy.exc import ArgumentError, IntegrityError, NoSuchModuleError, SQLAlchemyError

from ganglion.errors import GanglionError
from neurons.gateway import statements as sql
from neurons.gateway.batches import Batches, Refused
from neurons.gateway.metrics import Totals
from neurons.gateway.tables import api_keys, metadata, receipts, requests, samples

log = logging.getLogger("gateway")

T = TypeVar("T")
STALE_SECONDS = 3600.0
KEYS_REMEMBERED = 4096
SAMPLES_KEPT = 1000
ANYBODY = "anybody"
"""The id and name of the key of who has none; other ids are hexadecimal."""

Parts = tuple[str, bytes]
"""The id of a presented key and the digest of its secret."""


class StoreProblem(GanglionError):
    """The database cannot be used; the message says why."""


class Denied(Refused):
    """A key may not do this: `code` is invalid_api_key, model_not_allowed, insufficient_quota,
    idempotency_conflict or in_progress."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


@dataclass(frozen=True, slots=True)
class Order:
    """What is known of a request before it runs. `reserve` is the most it can cost."""

    id: str
    model: str
    digest: bytes
    reserve: int
    idempotency: str | None = None


@dataclass(frozen=True, slots=True)
class Opened:
    """A request was admitted, or (`replay`) it had been answered before."""

    key_id: str
    replay: bytes | None = None


@dataclass(frozen=True, slots=True)
class PartRow:
    """One miner's part of an answer, as it is stored."""

    netuid: int
    uid: int
    miner: str
    tokens: int
    signed: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a request ended."""

    prompt_tokens: int
    completion_tokens: int
    cost: int
    parts: Sequence[PartRow]
    response: bytes | None = None
    cached_tokens: int = 0


def _digest(secret: str) -> bytes:
    return blake2b(secret.encode(), digest_size=32, person=b"gateway/key").digest()


class Store:
    """The database behind one or several gateways. Methods without `async` block."""

    def __init__(self, url: str) -> None:
        try:
            self._engine = create_engine(url, pool_pre_ping=not url.startswith("sqlite"))
            if self._engine.dialect.name == "sqlite":
                event.listen(self._engine, "connect", _tune_sqlite)
            metadata.create_all(self._engine)
            _add_new_columns(self._engine)
        except (ArgumentError, NoSuchModuleError, ImportError) as e:
            raise StoreProblem(f"{url} is no usable database URL: {e}") from e
        except SQLAlchemyError as e:
            reason = getattr(e, "orig", None) or e  # without SQLAlchemy's own remarks
            place = self._engine.url.render_as_string()
            raise StoreProblem(f"the database {place} cannot be opened: {reason}") from e
        self._batches = Batches(self._engine)
        self.totals = Totals()
        self._anybody: tuple[str, bytes] = ("", b"")  # this process's own secret, the row's digest
        self._limits: OrderedDict[str, int | None] = OrderedDict()

    def close(self) -> None:
        """Let go of all connections."""
        self._batches.close()
        self._engine.dispose()

    async def _run(self, work: Callable[[Connection], T], about: str = "") -> T:
        """One transaction, or a part of one, on the store's thread."""
        try:
            return await self._batches.run(work, about)
        except IntegrityError:
            raise
        except SQLAlchemyError as e:
            raise StoreProblem(f"the database failed: {e}") from e

    async def transact(self, work: Callable[[Connection], T]) -> T:
        """One transaction for who keeps tables of its own here; IntegrityError goes through."""
        return await self._run(work)

    # --- keys ---

    def add_key(
        self,
        name: str,
        budget: int | None = None,
        models: Sequence[str] | None = None,
        max_price: int | None = None,
    ) -> str:
        """A new API key; its secret is shown now and never again.

        It may spend `budget` rao in all, use these models, and be served by miners that ask at
        most `max_price` rao per million tokens; None: no limit.
        """
        identity, secret = secrets.token_hex(8), secrets.token_urlsafe(24)
        row = {
            "id": identity,
            "name": name,
            "digest": _digest(secret),
            "budget": budget,
            "models": None if models is None else json.dumps(list(models)),
            "max_price": max_price,
            "created": time.time(),
        }
        with self._engine.begin() as connection:
            connection.execute(insert(api_keys).values(row))
        return f"gk-{identity}-{secret}"

    def open_key(self) -> str:
        """The key of everybody who has none. All gateways on a database share its one row, and
        each has a secret of its own for it that is kept nowhere."""
        row = {
            "id": ANYBODY,
            "name": ANYBODY,
            "digest": secrets.token_bytes(32),
            "created": time.time(),
        }
        with suppress(IntegrityError), self._engine.begin() as connection:
            connection.execute(insert(api_keys).values(row))
        mine = api_keys.c.id == ANYBODY
        with self._engine.begin() as connection:
            connection.execute(update(api_keys).where(mine).values(disabled=False))
            digest = connection.execute(select(api_keys.c.digest).where(mine)).scalar_one()
        self._anybody = f"gk-{ANYBODY}-{secrets.token_urlsafe(24)}", bytes(digest)
        return self._anybody[0]

    def _parts(self, key: str) -> Parts:
        """The id of a presented key and the digest of its secret."""
        known, digest = self._anybody
        if known and secrets.compare_digest(key.encode(), known.encode()):
            return ANYBODY, digest
        identity, _, secret = key.removeprefix("gk-").partition("-")
        return identity, _digest(secret)

    def list_keys(self) -> list[dict[str, Any]]:
        """All keys without their secrets."""
        shown = [c for c in api_keys.columns if c.name != "digest"]
        with self._engine.begin() as connection:
            return [dict(row._mapping) for row in connection.execute(select(*shown))]

    def disable_key(self, identity: str) -> bool:
        """Switch a key off; False if there is none."""
        with self._engine.begin() as connection:
            done = connection.execute(
                update(api_keys).where(api_keys.c.id == identity).values(disabled=True)
            )
            return bool(done.rowcount)

    # --- requests ---

    async def open(self, key: str, order: Order) -> Opened:
        """Admit a request: key, model, idempotency, budget. Denied says what is wrong."""
        parts = self._parts(key)
        key_id = parts[0]
        try:
            return await self._run(lambda connection: _open(connection, parts, order), key_id)
        except IntegrityError as e:
            raise Denied("in_progress", "a request with this Idempotency-Key is running") from e
        except asyncio.CancelledError:  # who left before it knew: nothing stays reserved
            await asyncio.shield(asyncio.ensure_future(self.fail_request(order, key_id)))
            raise

    async def authenticate(self, key: str) -> str:
        """The id of a key for requests that cost nothing; Denied if it is not valid."""

        def work(connection: Connection) -> str:
            return str(_key_row(connection, self._parts(key)).id)

        return await self._run(work)

    async def price_limit(self, key: str) -> int | None:
        """The most a miner may ask for this key's requests; Denied if the key is not valid.

        It never changes, so it is read once; whether the key may still be used is for `open`.
        """
        if key not in self._limits:

            def work(connection: Connection) -> int | None:
                limit: int | None = _key_row(connection, self._parts(key)).max_price
                return limit

            self._limits[key] = await self._run(work)
            while len(self._limits) > KEYS_REMEMBERED:
                self._limits.popitem(last=False)
        return self._limits[key]

    async def close_request(self, order: Order, key_id: str, outcome: Outcome) -> None:
        """Turn the reservation into the true cost and keep the receipts. Without a response (the
        answer broke off) the idempotency key is free again."""

        ending = {
            "request": order.id,
            "price": outcome.cost,
            "prompt": outcome.prompt_tokens,
            "completion": outcome.completion_tokens,
            "cached": outcome.cached_tokens,
            "body": outcome.response,
        }
        kept = [_part(order.id, i, part) for i, part in enumerate(outcome.parts)]

        finish = sql.BREAK_OFF if outcome.response is None else sql.FINISH
        counts = outcome.prompt_tokens, outcome.cached_tokens, outcome.completion_tokens
        self.totals.served(order.model, *counts)

        def work(connection: Connection) -> None:
            if not finish.run(connection, ending):
                return
            spent = {"key": key_id, "held": order.reserve, "price": outcome.cost}
            sql.SPEND.run(connection, spent)
            for part in kept:
                sql.KEEP.run(connection, part)

        await self._run(work, key_id)

    async def fail_request(self, order: Order, key_id: str) -> None:
        """Release the reservation of a request that brought nothing; its idempotency key too."""
        self.totals.failed(order.model)
        await self._run(lambda connection: _fail(connection, order, key_id), key_id)

    def release_stale(self, now: float | None = None) -> int:
        """Release what gateways that died still hold; how many requests that were."""
        with self._engine.begin() as connection:
            return _release_stale(connection, time.time() if now is None else now)

    async def keep_clean(self) -> None:
        """Do that again and again: a gateway may die at any time, and its last requests with it."""
        while True:
            await asyncio.sleep(STALE_SECONDS / 4)
            try:
                await self._run(lambda connection: _release_stale(connection, time.time()))
            except StoreProblem as e:
                log.warning("stale reservations stay for now: %s", e)

    async def receipts_of(self, key: str, request_id: str) -> list[dict[str, Any]] | None:
        """The parts of a request of this key with their receipts; None if there is none."""

        def work(connection: Connection) -> list[dict[str, Any]] | None:
            key_id = _key_row(connection, self._parts(key)).id
            owner = select(requests.c.id).where(
                requests.c.id == request_id, requests.c.key_id == key_id
            )
            if connection.execute(owner).first() is None:
                return None
            mine = receipts.c.request_id == request_id
            rows = connection.execute(select(receipts).where(mine).order_by(receipts.c.part))
            return [
                {**row._mapping, "signed": json.loads(row.signed) if row.signed else None}
                for row in rows
            ]

        return await self._run(work)

    # --- organic samples for validators ---

    async def add_sample(
        self, netuid: int, miner: str, body: bytes, answer: dict[str, Any], total_ms: int
    ) -> None:
        """Keep a request and its answer for a validator to judge, while they are among the latest
        `SAMPLES_KEPT`: people's words are not hoarded."""
        row = {
            "netuid": netuid,
            "miner": miner,
            "body": body,
            "answer": json.dumps(answer),
            "total_ms": total_ms,
        }

        def work(connection: Connection) -> None:
            made = connection.execute(insert(samples).values(row)).inserted_primary_key
            if made is not None:
                old = samples.c.id <= made[0] - SAMPLES_KEPT
                connection.execute(delete(samples).where(old))

        await self._run(work)

    async def take_samples(self, netuid: int, most: int) -> list[dict[str, Any]]:
        """Up to `most` samples, the latest first; they are not kept after that."""

        def work(connection: Connection) -> list[dict[str, Any]]:
            fresh = select(samples).where(samples.c.judged.is_(False), samples.c.netuid == netuid)
            rows = connection.execute(fresh.order_by(samples.c.id.desc()).limit(most)).all()
            taken = samples.c.id.in_([row.id for row in rows])
            connection.execute(delete(samples).where(taken))
            return [{**row._mapping, "answer": json.loads(row.answer)} for row in rows]

        return await self._run(work)


def _add_new_columns(engine: Engine) -> None:
    """Give the tables of an older gateway the columns that have come since; all may be empty."""
    for table in metadata.tables.values():
        there = {column["name"] for column in inspect(engine).get_columns(table.name)}
        for column in table.columns:
            if column.name not in there:
                kind = column.type.compile(engine.dialect)
                with engine.begin() as connection:
                    connection.execute(text(f"ALTER TABLE {table.name} ADD {column.name} {kind}"))


def _tune_sqlite(connection: Any, _: Any) -> None:
    """Readers beside one writer, and a commit that survives the process but not a power cut."""
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=5000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _key_row(connection: Connection, key: Parts) -> Any:
    """The row of a presented key; Denied unless its secret is right."""
    identity, digest = key
    row = connection.execute(sql.KEY, {"key": identity}).first()
    if row is None or not secrets.compare_digest(row.digest, digest):
        raise Denied("invalid_api_key", "this API key is not known here")
    if row.disabled:
        raise Denied("invalid_api_key", "this API key was switched off")
    return row


def _open(connection: Connection, key: Parts, order: Order) -> Opened:
    if order.idempotency is not None:
        row = _key_row(connection, key)
        same = {"key": row.id, "again": order.idempotency}
        before = connection.execute(sql.EARLIER, same).first()
        if before is not None:
            return _answered_before(before, order, row.id)
    identity, digest = key
    wanted = {
        "key": identity,
        "secret": digest,
        "named": sql.named(order.model),
        "amount": order.reserve,
    }
    if not sql.RESERVE.run(connection, wanted):
        raise _refusal(connection, key, order)
    begun = {
        "id": order.id,
        "key_id": identity,
        "idempotency": order.idempotency,
        "digest": order.digest,
        "model": order.model,
        "reserved": order.reserve,
        "created": time.time(),
    }
    sql.BEGIN.run(connection, begun)
    return Opened(identity)


def _refusal(connection: Connection, key: Parts, order: Order) -> Denied:
    """Why a key may not make a request."""
    row = _key_row(connection, key)
    if row.models is not None and order.model not in json.loads(row.models):
        return Denied("model_not_allowed", f"this API key may not use the model {order.model}")
    left = max((row.budget or 0) - row.spent - row.reserved, 0)
    return Denied(
        "insufficient_quota",
        f"this request may cost {order.reserve} rao and the budget of this key has {left} left",
    )


def _answered_before(before: Any, order: Order, key_id: str) -> Opened:
    if before.digest != order.digest:
        raise Denied("idempotency_conflict", "this Idempotency-Key was used for another request")
    if before.state != "done" or before.response is None:
        raise Denied("in_progress", "a request with this Idempotency-Key is running")
    return Opened(key_id, before.response)


def _fail(connection: Connection, order: Order, key_id: str) -> None:
    """Close an open request at no cost; a second closing changes nothing."""
    if sql.FAIL.run(connection, {"request": order.id}):
        sql.SPEND.run(connection, {"key": key_id, "held": order.reserve, "price": 0})


def _release_stale(connection: Connection, now: float) -> int:
    """Fail the requests that are open for too long; how many those were."""
    before = now - STALE_SECONDS
    old = connection.execute(
        select(requests).where(requests.c.state == "open", requests.c.created < before)
    ).all()
    for row in old:
        _fail(connection, Order(row.id, row.model, row.digest, row.reserved), row.key_id)
    return len(old)


def _part(request_id: str, number: int, part: PartRow) -> dict[str, Any]:
    return {
        "request_id": request_id,
        "part": number,
        "netuid": part.netuid,
        "uid": part.uid,
        "miner": part.miner,
        "tokens": part.tokens,
        "signed": None if part.signed is None else json.dumps(part.signed),
    }
