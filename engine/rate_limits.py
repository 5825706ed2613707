"""How much a principal may ask for: one token bucket each, from which an operation takes what it costs."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from core.buckets import Buckets, Limit, Taken
from core.errors import RateLimited
from core.principals import Principal, PrincipalKind

Cost = Callable[[str | None], float]
"""What an operation costs, by its document; None when there is none."""

OPERATION_COST = 10.0
"""What any operation costs, until the document's static cost takes its place."""


def constant_cost(document: str | None) -> float:
    """The same for every operation."""
    return OPERATION_COST


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left to a principal after an operation was let in or refused, as HTTP tells it."""

    limit: Limit
    cost: float
    taken: Taken

    @property
    def headers(self) -> dict[str, str]:
        """`RateLimit-*`: the whole bucket and what is left of it, in points, and the seconds until it is full."""
        return {
            "RateLimit-Limit": str(int(self.limit.burst)),
            "RateLimit-Remaining": str(int(self.taken.remaining)),
            "RateLimit-Reset": str(math.ceil(self.taken.full_after_s)),
        }

    @property
    def refusal(self) -> RateLimited | None:
        """Why the operation must not run, if so."""
        if self.taken.is_allowed:
            return None
        passed = {"name": "costPerSecond", "value": self.limit.rate_per_s, "request": self.cost}
        return RateLimited("too much, too fast", retry_after_s=self.taken.retry_after_s, limit=passed)


class RateLimits:
    """A limit per kind of principal. A kind that is absent, or whose limit is off, has none."""

    def __init__(self, buckets: Buckets, limits: Mapping[PrincipalKind, Limit], cost: Cost = constant_cost) -> None:
        self._buckets = buckets
        self._limits = {kind: limit for kind, limit in limits.items() if not limit.is_off}
        self._cost = cost

    async def take(self, principal: Principal, document: str | None) -> Allowance | None:
        """Take what an operation costs, if it is there; None for whom nothing is limited."""
        limit = self._limits.get(principal.kind)
        if limit is None:
            return None
        cost = self._cost(document)
        return Allowance(limit, cost, await self._buckets.take(principal.id, limit, cost))
