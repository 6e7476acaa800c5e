"""The statements of every request, built once: building one takes longer than running it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, func, insert, select, update
from sqlalchemy.sql.dml import UpdateBase

from neurons.gateway.tables import api_keys, receipts, requests


class Change:
    """A statement that changes rows, put into a database's own words once.

    SQLAlchemy's work on a statement takes several times as long as the statement itself, so these
    go to the driver as they are. `columns` are those that an INSERT fills.
    """

    def __init__(self, clause: UpdateBase, columns: Sequence[str] | None = None) -> None:
        self._clause, self._columns = clause, columns
        self._words: dict[str, tuple[str, dict[str, Any], list[str] | None]] = {}

    def run(self, connection: Connection, given: Mapping[str, Any]) -> int:
        """How many rows it changed."""
        known = self._words.get(connection.dialect.name)
        text, fixed, order = known or self._put(connection)
        values = {**fixed, **given}
        placed = values if order is None else tuple(values[name] for name in order)
        return connection.exec_driver_sql(text, placed).rowcount

    def _put(self, connection: Connection) -> tuple[str, dict[str, Any], list[str] | None]:
        compiled = self._clause.compile(connection, column_keys=self._columns)
        order = list(compiled.positiontup or ()) if compiled.positional else None
        words = str(compiled), dict(compiled.params), order
        self._words[connection.dialect.name] = words
        return words


KEY = select(api_keys).where(api_keys.c.id == bindparam("key"))

RESERVE = Change(
    update(api_keys)
    .where(
        api_keys.c.id == bindparam("key"),
        api_keys.c.digest == bindparam("secret"),
        api_keys.c.disabled.is_(False),
        api_keys.c.models.is_(None)
        | (func.replace(api_keys.c.models, bindparam("named"), "") != api_keys.c.models),
        api_keys.c.budget.is_(None)
        | (api_keys.c.budget - api_keys.c.spent - api_keys.c.reserved >= bindparam("amount")),
    )
    .values(reserved=api_keys.c.reserved + bindparam("amount"))
)
"""Checks everything about a key and reserves, at once: only a refusal looks for its reason. (LIKE
would take upper for lower case in SQLite; `replace` finds a name as it is spelt, everywhere.)"""

BEGIN = Change(
    insert(requests).values(state="open", prompt_tokens=0, completion_tokens=0, cost=0),
    ("id", "key_id", "idempotency", "digest", "model", "reserved", "created"),
)

EARLIER = select(requests).where(
    requests.c.key_id == bindparam("key"), requests.c.idempotency == bindparam("again")
)

_OPEN = (requests.c.id == bindparam("request"), requests.c.state == "open")

_FINISH = (
    update(requests)
    .where(*_OPEN)
    .values(
        state="done",
        cost=bindparam("price"),
        prompt_tokens=bindparam("prompt"),
        completion_tokens=bindparam("completion"),
        cached_tokens=bindparam("cached"),
        response=bindparam("body"),
    )
)
FINISH = Change(_FINISH)
"""Ends an open request, once."""

BREAK_OFF = Change(_FINISH.values(idempotency=None))
"""The same for one without a whole response: there is nothing to give again, so its idempotency
key may be used again."""

FAIL = Change(update(requests).where(*_OPEN).values(state="failed", cost=0, idempotency=None))
"""Ends an open request that brought nothing; its idempotency key may be used again."""

SPEND = Change(
    update(api_keys)
    .where(api_keys.c.id == bindparam("key"))
    .values(
        reserved=api_keys.c.reserved - bindparam("held"),
        spent=api_keys.c.spent + bindparam("price"),
    )
)

KEEP = Change(insert(receipts), [column.name for column in receipts.columns])


def named(model: str) -> str:
    """What RESERVE looks for in a key's list of models."""
    return json.dumps(model)
