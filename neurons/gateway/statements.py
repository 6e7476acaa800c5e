"""The statements of every request, built once: building one takes longer than running it."""

from __future__ import annotations

import json

from sqlalchemy import bindparam, func, insert, select, update

from neurons.gateway.tables import api_keys, receipts, requests

KEY = select(api_keys).where(api_keys.c.id == bindparam("key"))

RESERVE = (
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

BEGIN = insert(requests)

EARLIER = select(requests).where(
    requests.c.key_id == bindparam("key"), requests.c.idempotency == bindparam("again")
)

_OPEN = (requests.c.id == bindparam("request"), requests.c.state == "open")

FINISH = (
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
"""Ends an open request, once."""

BREAK_OFF = FINISH.values(idempotency=None)
"""The same for one without a whole response: there is nothing to give again, so its idempotency
key may be used again."""

FAIL = update(requests).where(*_OPEN).values(state="failed", cost=0, idempotency=None)
"""Ends an open request that brought nothing; its idempotency key may be used again."""

SPEND = (
    update(api_keys)
    .where(api_keys.c.id == bindparam("key"))
    .values(
        reserved=api_keys.c.reserved - bindparam("held"),
        spent=api_keys.c.spent + bindparam("price"),
    )
)

KEEP = insert(receipts)


def named(model: str) -> str:
    """What RESERVE looks for in a key's list of models."""
    return json.dumps(model)
