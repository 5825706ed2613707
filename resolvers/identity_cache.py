"""Who was recognised a moment ago: a burst of requests with the same credentials is looked up once."""

from __future__ import annotations

import asyncio
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from core.auth import Credentials
from core.principals import Principal

LIFE_S = 2.5
"""How old an answer may be, at most. A socket looks at its caller every two seconds, so that both together let nobody
stay for longer than the five seconds in which a revocation reaches every worker."""
SIZE = 10_000

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Recognised:
    """A caller, and the Unix second in which one of the credentials ends if nobody ends it before."""

    principal: Principal
    ends_at: float = float("inf")


@dataclass(frozen=True, slots=True)
class _Kept:
    recognised: Recognised
    until: float


class IdentityCache:
    """Remembers who was recognised, at most `size` callers, and no refusals. Credentials are kept as their HMAC under a
    key that this process alone knows and soon forgets."""

    def __init__(
        self,
        recognise: Callable[[Credentials], Awaitable[Recognised]],
        *,
        size: int = SIZE,
        life_s: float = LIFE_S,
        clock: Clock = time.monotonic,
        now: Clock = time.time,
    ) -> None:
        self._recognise = recognise
        self._size = size
        self._life_s = life_s
        self._clock = clock
        self._now = now
        self._secret = secrets.token_bytes(32)
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()
        self._under_way: dict[bytes, asyncio.Task[Recognised]] = {}

    async def identify(self, shown: Credentials) -> Principal:
        """Whose credentials these are. Raises what looking them up raises."""
        key = self._key(shown)
        kept = self._kept.get(key)
        if kept is not None:
            if self._clock() < kept.until and self._now() < kept.recognised.ends_at:
                self._kept.move_to_end(key)
                return kept.recognised.principal
            del self._kept[key]
        look_up = self._under_way.get(key)
        if look_up is None:
            look_up = self._under_way[key] = asyncio.create_task(self._look_up(key, shown))
            look_up.add_done_callback(lambda task: self._ended(key, task))
        # One who leaves does not take the answer away from the others.
        await asyncio.wait({look_up})
        return look_up.result().principal

    def forget(self) -> None:
        """All of it. What is being looked up now answers those who wait for it, and is not kept."""
        self._kept.clear()
        self._under_way.clear()

    async def _look_up(self, key: bytes, shown: Credentials) -> Recognised:
        # Its age counts from before the first question to the store.
        until = self._clock() + self._life_s
        recognised = await self._recognise(shown)
        if self._under_way.get(key) is asyncio.current_task():
            self._kept[key] = _Kept(recognised, until)
            if len(self._kept) > self._size:
                self._kept.popitem(last=False)
        return recognised

    def _ended(self, key: bytes, task: asyncio.Task[Recognised]) -> None:
        if self._under_way.get(key) is task:
            del self._under_way[key]
        if not task.cancelled():
            task.exception()  # looked at, so that asyncio does not report it when everybody has left

    def _key(self, shown: Credentials) -> bytes:
        told = repr((shown.api_key, shown.client_api_key, shown.bearer))
        return hmac.digest(self._secret, told.encode(), "sha256")
