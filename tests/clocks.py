"""A clock that tests turn by hand."""

from __future__ import annotations


class ManualClock:
    """Seconds; from an hour that no code may count on, unless a test says which."""

    def __init__(self, now: float = 1_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now
