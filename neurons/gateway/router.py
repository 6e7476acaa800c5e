"""Which miner gets a request. Sans-IO: facts and the clock come in, a ranking comes out.

A miner's score is quality over price, time to first token and load, each to a power that the
policy sets; the draw is by weight, so that nobody starves and nobody is flooded. Miners that fail
are left out for a while that doubles with every failure. A conversation tends to go where its
beginning is still in the cache. Requests of the latency tier go to a free miner of the fast class
as long as there is one.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b

from ganglion.wire.call import Target
from ganglion.wire.paid import Offer
from neurons.gateway.caches import Caches, honoured

WINDOW = 64
FIRST_BAN_SECONDS = 5.0
LONGEST_BAN_SECONDS = 300.0
OUTAGE_FAILURES = 3
PREFIX_STEPS = ((1024, 64), (8192, 256), (1 << 20, 2048))
"""How a conversation's beginning is cut: up to so many characters, in pieces of so many."""
BUSY_SLACK = 4  # open requests that the holder of a prefix may have beyond twice the least
PREFIXES_KEPT = 1 << 15
FACTS = (
    "uid",
    "model",
    "exact",
    "context",
    "incentive",
    "price",
    "pay",
    "running",
    "places",
)  # what the chain and the miners say, beside what is measured here
MEASURED = 3  # first tokens that must have been timed before a miner can be of the fast class
FAST_FACTOR = 2.0  # times that one of the fast class may take of the quickest one's
USUAL_ANSWER = 64  # tokens over which classes are compared
RIVALS_SHARE = 0.05  # of requests that may get a rival merely because they are slow to begin
RIVALS_AT_ONCE = 10.0  # and how many of those rights may be saved up
ROOM = 8  # open requests of this gateway at which a miner counts as busy


@dataclass(frozen=True, slots=True)
class Policy:
    """Exponents of the score; see `Router.score`. `affinity` favours who has the whole prefix."""

    price: float = 2.0
    latency: float = 1.0
    load: float = 1.0
    quality: float = 1.0
    affinity: float = 128.0


@dataclass(slots=True)
class Miner:
    """One miner as the gateway knows it. Prices are rao per million tokens, times seconds."""

    uid: int
    target: Target
    model: str = ""
    exact: bool = False
    context: int = 0
    incentive: int = 0
    price: float = 1.0
    pay: Offer | None = None  # how it wants to be paid; None: not at all
    running: int = 0  # answers that it says it makes now, for everybody
    places: int = 0  # and how many it can make at once
    open: int = 0
    first_token: float = 0.05
    gap: float = 0.01
    failures: int = 0
    banned_until: float = 0.0
    recent: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))
    disputes: frozenset[str] = frozenset()  # hotkeys of those that answered otherwise
    honours: float = 1.0  # how far it says what it must have in its cache

    @property
    def p95(self) -> float:
        """The rolling 95th percentile of the time to the first token."""
        if len(self.recent) < 8:
            return max(4 * self.first_token, 0.2)
        return sorted(self.recent)[int(0.95 * (len(self.recent) - 1))]

    @property
    def pace(self) -> float:
        """Seconds that a usual answer takes here, as measured; infinite before that."""
        if len(self.recent) < MEASURED:
            return math.inf
        return self.first_token + (USUAL_ANSWER - 1) * self.gap


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a request needs of a miner. `prefix` names its beginning; see `prefix_names`."""

    model: str
    tokens: int = 0
    max_price: float | None = None
    exact: bool = False
    prefix: tuple[bytes, ...] = ()
    quick: bool = False  # of the latency tier
    among: frozenset[str] | None = None  # hotkeys, where only some will do: the attested ones
    capability: float = 0.0  # multiply-adds a second that validators must have measured


@dataclass(frozen=True, slots=True)
class Counted:
    """What a miner said of a prompt, and when: its tokens, and those that were in its cache."""

    prompt: int
    cached: int
    now: float


PREFIX_ENDS = tuple(
    end
    for (before, _), (until, step) in zip(((0, 0), *PREFIX_STEPS), PREFIX_STEPS)
    for end in range(before + step, until + 1, step)
)
"""Characters up to the end of each piece."""


def prefix_names(text: str, owner: bytes = b"") -> tuple[bytes, ...]:
    """Chain hashes of the beginning of somebody's conversation, one for each whole piece."""
    names, last, at = [], owner, 0
    for end in PREFIX_ENDS[: bisect_right(PREFIX_ENDS, len(text))]:
        last = blake2b(last + text[at:end].encode(), digest_size=8).digest()
        names.append(last)
        at = end
    return tuple(names)


def fast_and_free(miners: Sequence[Miner]) -> list[Miner]:
    """Those that are not much slower than the quickest and have room now."""
    limit = FAST_FACTOR * min((m.pace for m in miners), default=math.inf)
    return [m for m in miners if m.pace <= limit and m.pace < math.inf and m.open < ROOM]


class Router:
    """The miners of one subnet, ranked for each request."""

    def __init__(self, policy: Policy | None = None, seed: int | None = None) -> None:
        self.policy = policy or Policy()
        self.miners: dict[str, Miner] = {}
        self.capability: dict[str, int] | None = None  # by hotkey; None: nobody tells
        self._random = random.Random(seed)
        self._prefixes: OrderedDict[bytes, str] = OrderedDict()
        self.caches = Caches()
        self._rivals = RIVALS_AT_ONCE

    def update(self, found: Sequence[Miner]) -> None:
        """Take over the chain's and the miners' own facts; measurements of known ones stay."""
        kept: dict[str, Miner] = {}
        for fresh in found:
            known = self.miners.get(fresh.target.hotkey)
            if known is None or known.target != fresh.target:
                known = fresh
            for name in FACTS:
                setattr(known, name, getattr(fresh, name))
            kept[fresh.target.hotkey] = known
        self.miners = kept

    def models(self) -> dict[str, list[Miner]]:
        """Who serves which model."""
        served: dict[str, list[Miner]] = {}
        for miner in self.miners.values():
            if miner.model:
                served.setdefault(miner.model, []).append(miner)
        return served

    def able(self, wanted: Wanted, now: float) -> list[Miner]:
        """The miners that can take a request, those on probation left out if others remain."""
        fit = [
            m
            for m in self.miners.values()
            if m.model == wanted.model
            and m.context >= wanted.tokens
            and (wanted.max_price is None or m.price <= wanted.max_price)
            and (m.exact or not wanted.exact)
            and (wanted.among is None or m.target.hotkey in wanted.among)
            and self.capability_of(m) >= wanted.capability
        ]
        up = [m for m in fit if m.banned_until <= now]
        return up or fit

    def has_resting(self, model: str, now: float) -> bool:
        """Whether a miner of this model is left out for a while."""
        return any(m.banned_until > now for m in self.miners.values() if m.model == model)

    def capability_of(self, miner: Miner) -> int:
        """Multiply-adds a second that validators vouch for, 0 if none does."""
        return (self.capability or {}).get(miner.target.hotkey, 0)

    def score(self, miner: Miner) -> float:
        """quality**d / (price**a * first_token**b * (1 + open)**c)."""
        p = self.policy
        quality = (1.0 + miner.incentive / 65_535) ** p.quality
        cost = max(miner.price, 1e-9) ** p.price * max(miner.first_token, 1e-3) ** p.latency
        return float(quality / (cost * (1.0 + miner.open) ** p.load))

    def affinity(self, wanted: Wanted, able: Sequence[Miner]) -> tuple[str, float]:
        """Who has the beginning of this request, and how many times likelier it is chosen.

        The more of the request it has, the likelier, and the more it says of what it has; but not
        while it is much busier than others.
        """
        names = wanted.prefix
        known = (i for i in reversed(range(len(names))) if names[i] in self._prefixes)
        longest = next(known, None)
        if longest is None:
            return "", 1.0
        holder = self._prefixes[names[longest]]
        busy, honours = next(
            ((m.open, m.honours) for m in able if m.target.hotkey == holder), (0, 1.0)
        )
        if busy > 2 * min((m.open for m in able), default=0) + BUSY_SLACK:
            return holder, 1.0
        share = honours * PREFIX_ENDS[longest] / PREFIX_ENDS[len(names) - 1]
        return holder, 1.0 + (self.policy.affinity - 1.0) * share

    def rank(self, wanted: Wanted, now: float) -> list[Miner]:
        """All able miners in the order to try them: a weighted draw without replacement, in which
        those that are fast and free come first if the request is of the latency tier."""
        able = self.able(wanted, now)
        holder, times = self.affinity(wanted, able)

        def drawn(miner: Miner) -> float:
            weight = self.score(miner) * (times if miner.target.hotkey == holder else 1.0)
            return self._random.expovariate(max(weight, 1e-300))

        if wanted.quick:
            first = {m.target.hotkey for m in fast_and_free(able)}
            ranked = sorted(able, key=lambda m: (m.target.hotkey not in first, drawn(m)))
        else:
            ranked = sorted(able, key=drawn)
        if ranked:
            self._remember(wanted.prefix, ranked[0].target.hotkey)
            self._rivals = min(self._rivals + RIVALS_SHARE, RIVALS_AT_ONCE)
        return ranked

    @property
    def may_rival(self) -> bool:
        """Whether a miner that is slow to begin may get a rival now. Were there no limit, an
        overload would make everybody slow, and the rivals would double it."""
        return self._rivals >= 1.0

    def on_rival(self) -> None:
        """A miner that was slow to begin got a rival."""
        self._rivals = max(self._rivals - 1.0, 0.0)

    def _remember(self, prefix: tuple[bytes, ...], hotkey: str) -> None:
        for name in prefix:
            self._prefixes[name] = hotkey
            self._prefixes.move_to_end(name)
        while len(self._prefixes) > PREFIXES_KEPT:
            self._prefixes.popitem(last=False)

    def on_first_token(self, miner: Miner, seconds: float) -> None:
        """A first token came after so many seconds."""
        miner.recent.append(seconds)
        miner.first_token += 0.2 * (seconds - miner.first_token)

    def on_gap(self, miner: Miner, seconds: float) -> None:
        """The next token came so many seconds after the one before."""
        miner.gap += 0.1 * (seconds - miner.gap)

    def on_cached(
        self, miner: Miner, prefix: tuple[bytes, ...], size: int, began: float, counted: Counted
    ) -> None:
        """A prompt of `size` characters was read, and the miner has told its tokens of it."""
        pieces = self.caches.pieces(miner.target.hotkey, prefix, began)
        if pieces:
            expected = counted.prompt * PREFIX_ENDS[pieces - 1] / max(size, 1)
            miner.honours = honoured(miner.honours, expected, counted.cached)
        self.caches.on_read(miner.target.hotkey, prefix, counted.now)

    def on_success(self, miner: Miner) -> None:
        """An answer was complete."""
        miner.failures, miner.banned_until = 0, 0.0

    def on_failure(self, miner: Miner, now: float, hard: bool = False) -> None:
        """An answer broke off, or was wrong (`hard`); the third in a row, or a hard one, bans."""
        miner.failures = max(miner.failures + 1, OUTAGE_FAILURES if hard else 0)
        beyond = miner.failures - OUTAGE_FAILURES
        if beyond >= 0:
            ban = min(FIRST_BAN_SECONDS * 2.0**beyond, LONGEST_BAN_SECONDS)
            miner.banned_until = now + (LONGEST_BAN_SECONDS if hard else ban)

    def on_dispute(self, one: Miner, other: Miner, now: float) -> None:
        """Two miners answered differently. In the exact class one of them is wrong, but not even
        two against one tell which: miners of one operator may agree on a lie. Out is who is at
        odds with more than half of those that serve its model; so no minority bans the others.
        """
        if not (one.exact and other.exact):
            return
        for miner, against in ((one, other), (other, one)):
            peers = {m.target.hotkey for m in self.models().get(miner.model, ()) if m.exact}
            miner.disputes = (miner.disputes | {against.target.hotkey}) & peers
            if 2 * len(miner.disputes) > len(peers):
                miner.disputes = frozenset()
                self.on_failure(miner, now, hard=True)
