"""Token buckets: how much may be done how fast, and how much of that is left.

No library: throttled-py counts time in whole seconds and cannot live beside this redis-py, `limits` has windows only,
pyrate-limiter keeps a log of every hit and a thread, aiolimiter waits instead of refusing. A bucket is one number here,
the time at which it will be full again, so that taking is one comparison, in memory as in Redis.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

Clock = Callable[[], float]
"""Seconds from anywhere, never backwards."""


@dataclass(frozen=True, slots=True)
class Limit:
    """Tokens a second, and how many may be taken at once by whoever has saved them up. A rate of 0: no limit."""

    rate_per_s: float
    burst: float

    @property
    def is_off(self) -> bool:
        return self.rate_per_s <= 0


class Taken(NamedTuple):
    """What became of an attempt. `remaining` are tokens; `retry_after_s` until as many are there as were asked for,
    0 when they were; `full_after_s` until the bucket is full again."""

    is_allowed: bool
    remaining: float
    retry_after_s: float
    full_after_s: float


class Buckets(Protocol):
    """Buckets by key. One that nobody has taken from for long enough is full, and is not kept."""

    async def take(self, key: str, limit: Limit, cost: float) -> Taken:
        """Take `cost` tokens, or none if there are fewer. What costs more than a whole bucket takes a whole one."""


class LocalBuckets:
    """Buckets of this process; beyond `size` keys the one that was touched longest ago is forgotten."""

    def __init__(self, *, size: int = 100_000, clock: Clock = time.monotonic) -> None:
        self._full_at: OrderedDict[str, float] = OrderedDict()
        self._size = size
        self._clock = clock

    async def take(self, key: str, limit: Limit, cost: float) -> Taken:
        """As `Buckets` says."""
        now = self._clock()
        taken = taking(self._full_at.pop(key, now) - now, limit, cost)
        if taken.full_after_s > 0:
            self._full_at[key] = now + taken.full_after_s
            if len(self._full_at) > self._size:
                self._full_at.popitem(last=False)
        return taken


def taking(full_after_s: float, limit: Limit, cost: float) -> Taken:
    """Take from a bucket that would be full after that time."""
    before_s = max(0.0, full_after_s)
    after_s = before_s + min(cost, limit.burst) / limit.rate_per_s
    # A rounding error must not cost a token; a thousandth of one is nobody's.
    lacking_s = after_s - (limit.burst + 1e-3) / limit.rate_per_s
    return outcome(lacking_s <= 0, after_s if lacking_s <= 0 else before_s, limit, lacking_s)


def outcome(is_allowed: bool, full_after_s: float, limit: Limit, lacking_s: float) -> Taken:
    """`Taken` from what a bucket's one number tells."""
    remaining = max(0.0, limit.burst - full_after_s * limit.rate_per_s)
    return Taken(is_allowed, remaining, 0.0 if is_allowed else lacking_s, full_after_s)
