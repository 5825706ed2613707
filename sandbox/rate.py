"""A rate limit as backends keep it: so many requests in a fixed window of time."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Allowance:
    """What the limiter says to one request."""

    granted: bool
    limit: int
    remaining: int
    resets_at: int
    """Unix seconds."""
    retry_after_s: int


class FixedWindow:
    """`limit` requests in each `seconds`, counted from the first request of a window."""

    def __init__(self, limit: int, seconds: float, clock: Callable[[], float] = time.time) -> None:
        self._limit, self._seconds, self._clock = limit, seconds, clock
        self._used, self._resets_at = 0, 0.0

    def take(self) -> Allowance:
        now = self._clock()
        if now >= self._resets_at:
            self._used, self._resets_at = 0, now + self._seconds
        granted = self._used < self._limit
        self._used += granted
        return Allowance(
            granted=granted,
            limit=self._limit,
            remaining=self._limit - self._used,
            resets_at=math.ceil(self._resets_at),
            retry_after_s=math.ceil(self._resets_at - now),
        )
