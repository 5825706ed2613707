"""A circuit breaker, so that a backend that is down costs its callers nothing and is left alone to recover.

Own code, because the libraries we found count consecutive failures only; ours also opens at half of the last twenty
calls, which is how a backend that answers every other call looks.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from enum import Enum


class CircuitState(Enum):
    CLOSED = "CLOSED"
    OPEN = "OPEN"
    HALF_OPEN = "HALF_OPEN"


class Breaker:
    """Opens after `consecutive` failures in a row or when half of the last `window` calls failed; after `open_s`
    seconds one probe call may pass, whose outcome closes it or opens it again."""

    def __init__(
        self,
        *,
        consecutive: int = 5,
        window: int = 20,
        open_s: float = 30.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._consecutive = consecutive
        self._open_s = open_s
        self._clock = clock
        self._recent: deque[bool] = deque(maxlen=window)
        self._failures_in_a_row = 0
        self._opened_at: float | None = None
        self._probing = False

    @property
    def state(self) -> CircuitState:
        if self._opened_at is None:
            return CircuitState.CLOSED
        return CircuitState.OPEN if self._clock() < self._opened_at + self._open_s else CircuitState.HALF_OPEN

    @property
    def retry_after_s(self) -> float:
        """Seconds until a call may pass again."""
        return 0.0 if self._opened_at is None else max(0.0, self._opened_at + self._open_s - self._clock())

    def admits(self) -> bool:
        """Whether a call may be made now. A half-open circuit admits one at a time; report its outcome."""
        state = self.state
        if state is CircuitState.HALF_OPEN and not self._probing:
            self._probing = True
            return True
        return state is CircuitState.CLOSED

    def succeeded(self) -> None:
        if self._opened_at is not None:
            self._recent.clear()
        self._opened_at, self._probing, self._failures_in_a_row = None, False, 0
        self._recent.append(True)

    def failed(self) -> None:
        self._failures_in_a_row += 1
        self._recent.append(False)
        full = len(self._recent) == self._recent.maxlen
        half_failed = full and self._recent.count(False) * 2 >= len(self._recent)
        if self._probing or self._failures_in_a_row >= self._consecutive or half_failed:
            self._opened_at, self._probing = self._clock(), False

    def abandoned(self) -> None:
        """The caller left before there was an outcome: a probe is free to be made again."""
        self._probing = False
