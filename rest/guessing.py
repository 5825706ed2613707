"""Against guessing: failed authentications are counted per network address, and cost whoever collects them.

Right credentials are never refused for what else came from their address; wrong ones learn no more than before.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from core.auth import Credentials, read_credentials
from core.buckets import Buckets, Clock, Limit
from core.errors import RateLimited, Unauthenticated
from core.networks import network_of
from core.principals import Principal

Identify = Callable[[Credentials], Awaitable[Principal]]


@dataclass(slots=True)
class _Place:
    """An address with attempts under way, or beyond its limit until `guesses_until`."""

    under_way: int = 0
    guesses_until: float = 0.0
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)


class Guessing:
    """Watches who is identified from where.

    From an address beyond its limit, and beyond a burst of attempts at once, credentials that were not right lately are
    looked up one at a time, so that the store does not suffer. Remembers at most `size` addresses and credentials.
    """

    def __init__(self, buckets: Buckets, limit: Limit, *, size: int = 10_000, clock: Clock = time.monotonic) -> None:
        self._buckets = buckets
        self._limit = limit
        self._size = size
        self._clock = clock
        self._places: OrderedDict[str, _Place] = OrderedDict()
        self._right: OrderedDict[bytes, None] = OrderedDict()
        self._hash_key = secrets.token_bytes(32)

    async def watch(self, address: str | None, shown: Mapping[str, Any], identify: Identify) -> Principal:
        """Who shows these headers, or this `connection_init`, from there.

        Raises Unauthenticated; RateLimited instead beyond the address's limit; and whatever else `identify` raises.
        """
        if self._limit.is_off:
            return await identify(read_credentials(shown))
        network = network_of(address)
        try:
            credentials = read_credentials(shown)
        except Unauthenticated as exc:
            raise await self._refusal(network, exc) from exc
        place = self._place(network)
        place.under_way += 1
        try:
            is_crowded = place.guesses_until > self._clock() or place.under_way > self._limit.burst
            if is_crowded and self._digest(credentials) not in self._right:
                async with place.turn:
                    return await self._tried(network, credentials, identify)
            return await self._tried(network, credentials, identify)
        finally:
            place.under_way -= 1
            self._leave(network, place)

    async def _tried(self, network: str, credentials: Credentials, identify: Identify) -> Principal:
        try:
            principal = await identify(credentials)
        except Unauthenticated as exc:
            self._right.pop(self._digest(credentials), None)
            raise await self._refusal(network, exc) from exc
        digest = self._digest(credentials)
        self._right[digest] = None
        self._right.move_to_end(digest)
        if len(self._right) > self._size:
            self._right.popitem(last=False)
        return principal

    async def _refusal(self, network: str, failure: Unauthenticated) -> Unauthenticated | RateLimited:
        """Count a failure: what to tell of it."""
        taken = await self._buckets.take(network, self._limit, 1)
        if taken.is_allowed:
            return failure
        self._place(network).guesses_until = self._clock() + taken.retry_after_s
        passed = {"name": "failedAuthenticationsPerSecond", "value": self._limit.rate_per_s}
        return RateLimited(
            "too many failed authentications from this address", retry_after_s=taken.retry_after_s, limit=passed
        )

    def _place(self, network: str) -> _Place:
        place = self._places.setdefault(network, _Place())
        self._places.move_to_end(network)
        if len(self._places) > self._size:
            self._places.popitem(last=False)
        return place

    def _leave(self, network: str, place: _Place) -> None:
        """Forget an address of which there is nothing to know."""
        is_quiet = place.under_way == 0 and place.guesses_until <= self._clock()
        if is_quiet and self._places.get(network) is place:
            del self._places[network]

    def _digest(self, credentials: Credentials) -> bytes:
        shown = repr((credentials.api_key, credentials.client_api_key, credentials.bearer))
        return hashlib.blake2b(shown.encode(), digest_size=16, key=self._hash_key).digest()
