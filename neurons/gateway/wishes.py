"""What a caller wants of a request, from its headers. Sans-IO.

A promise that nobody would keep is refused, never ignored: an unknown header of ours, or an
unknown value, may be a caller's misspelt condition.
"""

from __future__ import annotations

import math

from aiohttp import web

from neurons.gateway import openai_api as api
from neurons.gateway.confirm import MOST_COPIES
from neurons.gateway.openai_api import ApiError
from neurons.gateway.service import Wish

PREFIX = "x-ganglion-"
VALUES = {
    "X-Ganglion-Verify": "before",
    "X-Ganglion-Class": "exact",
    "X-Ganglion-Tier": "latency",
    "X-Ganglion-Confidential": "required",
}
"""The one value that each of these has."""
KNOWN = (*VALUES, "X-Ganglion-Confirm", "X-Ganglion-Max-Price", "X-Ganglion-Capability")
LOWER = frozenset(name.lower() for name in KNOWN)


def wish_of(request: web.Request, open_key: str | None) -> Wish:
    """What the headers say; ApiError without an API key."""
    scheme, _, key = request.headers.get("Authorization", "").partition(" ")
    if open_key is not None:
        key = open_key
    elif scheme.lower() != "bearer" or not key or not key.isascii():
        raise ApiError(
            401,
            "authentication_error",
            "send your API key as `Authorization: Bearer KEY`",
            "invalid_api_key",
        )
    most = limit_of(request, "X-Ganglion-Max-Price")
    asked = named(request)
    idempotency = request.headers.get("Idempotency-Key")
    if idempotency is not None and not (0 < len(idempotency) <= 255 and idempotency.isascii()):
        raise api.invalid("Idempotency-Key has 1 to 255 characters of ASCII")
    return Wish(
        key.strip(),
        idempotency,
        "X-Ganglion-Verify" in asked,
        "X-Ganglion-Class" in asked,
        most,
        "X-Ganglion-Tier" in asked,
        "X-Ganglion-Confidential" in asked,
        limit_of(request, "X-Ganglion-Capability"),
        copies_of(request),
    )


def named(request: web.Request) -> frozenset[str]:
    """Which of the headers with one value are there; ApiError for unknown ones and values."""
    for name in request.headers:
        if name.lower().startswith(PREFIX) and name.lower() not in LOWER:
            raise api.invalid(f"there is no header {name[:60]}; known are {', '.join(KNOWN)}", name)
    for name, value in VALUES.items():
        if name in request.headers and request.headers[name].lower() != value:
            raise api.invalid(f"{name} is `{value}`, or left out", name)
    return frozenset(name for name in VALUES if name in request.headers)


def copies_of(request: web.Request) -> int:
    """How many miners must give an answer alike; ApiError for too few or too many."""
    said = request.headers.get("X-Ganglion-Confirm", "1")
    if said not in map(str, range(1, MOST_COPIES + 1)):
        raise api.invalid(f"X-Ganglion-Confirm is a number of miners from 2 to {MOST_COPIES}")
    return int(said)


def limit_of(request: web.Request, name: str) -> float | None:
    """The number in a header, None without it; ApiError if it is none."""
    said = request.headers.get(name)
    try:
        limit = None if said is None else float(said)
    except ValueError:
        limit = math.nan
    if limit is not None and not limit >= 0:
        raise api.invalid(f"{name} must be a number from 0 up")
    return limit


def refuse_unmet(wish: Wish, of: str, has_key: bool = False) -> None:
    """ApiError for a promise that is kept for text in OpenAI's form alone."""
    promises = {
        "X-Ganglion-Confidential": wish.confidential,
        "X-Ganglion-Verify": wish.verify_first,
        "X-Ganglion-Confirm": wish.copies > 1,
        "Idempotency-Key": has_key,
    }
    for name, asked in promises.items():
        if asked:
            raise api.invalid(f"{name} cannot be asked of {of}; leave it out", name)
