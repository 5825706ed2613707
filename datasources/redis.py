"""What workers share: token buckets and signals, in Redis where REDIS_URL is set and otherwise in this process.

Redis only ever makes these better. Without it, or while it is down, a bucket is this process's own and a signal reaches
this process alone; no caller sees an error, and none waits longer than REDIS_TIMEOUT_S. Keys begin with `PREFIX`; what
is kept under an identity is kept under its hash, keyed by KEY_PEPPER, which workers that share have in common. Works
with Redis 5 and newer, and with Valkey.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, cast

import redis.asyncio as redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from core.buckets import Buckets, Clock, Limit, LocalBuckets, Taken, outcome
from core.errors import StartFailed
from core.settings import Settings
from core.signals import LocalSignals, Signals

PREFIX = "omnistack:"
PAUSE_S = 1.0
"""How long Redis is left alone after it did not answer."""
CONNECT_TIMEOUT_S = 2.0
CONNECTIONS = 8
"""At most: one answers thousands of questions a second, and each takes longer to open than many answers."""
SILENCE_S = 10.0
"""After so long without a message the listening connection is probed, and after as long again given up."""

_CHANNEL = f"{PREFIX}signals"
_FAILURES = (RedisError, OSError, TimeoutError)
_Wait = Callable[[float], Awaitable[object]]

log = logging.getLogger("omnistack.redis")


@dataclass(frozen=True)
class Shared:
    """What this worker has in common with the others."""

    signals: Signals
    _redis: Redis | None = None

    @classmethod
    def open(cls, settings: Settings) -> Shared:
        """Connects in the background: a Redis that is down keeps nothing from starting. Raises StartFailed for an
        address that is none."""
        if settings.redis_url is None:
            return cls(LocalSignals())
        pepper = settings.key_pepper.get_secret_value() if settings.key_pepper else ""
        try:
            opened = Redis(settings.redis_url.get_secret_value(), pepper, timeout_s=settings.redis_timeout_s)
        except (TypeError, ValueError) as exc:
            raise StartFailed("REDIS_URL is no address of a Redis, or has an option that there is none of") from exc
        opened.connect()
        signals = RedisSignals(opened)
        signals.listen()
        return cls(signals, opened)

    def buckets(self, name: str, *, clock: Clock = time.monotonic) -> Buckets:
        """A set of buckets of that name, which every worker that asks for the name shares."""
        local = LocalBuckets(clock=clock)
        return local if self._redis is None else RedisBuckets(self._redis, name, local)

    async def aclose(self) -> None:
        if isinstance(self.signals, RedisSignals):
            await self.signals.aclose()
        if self._redis is not None:
            await self._redis.aclose()


class Redis:
    """The connection. Answers within `timeout_s` or not at all; after a failure it is left alone for `PAUSE_S`."""

    def __init__(self, url: str, pepper: str = "", *, timeout_s: float = 0.1, clock: Clock = time.monotonic) -> None:
        pool = redis.BlockingConnectionPool.from_url(
            url,
            max_connections=CONNECTIONS,
            timeout=CONNECT_TIMEOUT_S,
            socket_timeout=CONNECT_TIMEOUT_S,
            socket_connect_timeout=CONNECT_TIMEOUT_S,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
        )
        # Not opened; but an unknown option in the address shows now, and not at a caller's cost.
        pool.make_connection()  # type: ignore[no-untyped-call]
        self.client = redis.Redis.from_pool(pool)
        self._pepper = pepper.encode()[:64]
        self._timeout_s = timeout_s
        self._clock = clock
        self._rests_until = 0.0
        self._is_down = False
        self._under_way: set[asyncio.Future[Any]] = set()

    def connect(self) -> None:
        """Begin to, so that the first who asks need not wait for it."""
        self._begin(lambda: cast("Awaitable[Any]", self.client.ping()))

    def key(self, name: str, identity: str) -> str:
        """Where something about an identity is kept, from which nobody can tell whose it is."""
        return f"{PREFIX}{name}:{hashlib.blake2b(identity.encode(), digest_size=16, key=self._pepper).hexdigest()}"

    async def ask(self, question: Callable[[], Awaitable[Any]], *, is_urgent: bool = False) -> Any:
        """The answer; None when there is none in time. Never fails. What is urgent is tried in a pause too."""
        if self._clock() < self._rests_until and not is_urgent:
            return None
        task = self._begin(question)
        # Not cancelled when it takes too long: a connection that is slow to open would never be opened.
        try:
            answer = await asyncio.wait_for(asyncio.shield(task), self._timeout_s)
        except _FAILURES as exc:
            self._fail(exc)
            return None
        self._recover()
        return answer

    async def aclose(self) -> None:
        for task in list(self._under_way):
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        with suppress(*_FAILURES):
            await self.client.aclose()

    def _begin(self, question: Callable[[], Awaitable[Any]]) -> asyncio.Future[Any]:
        task = asyncio.ensure_future(question())
        self._under_way.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Future[Any]) -> None:
        self._under_way.discard(task)
        if not task.cancelled():
            task.exception()  # looked at, so that asyncio does not report it

    def _fail(self, error: Exception) -> None:
        self._rests_until = self._clock() + PAUSE_S
        if not self._is_down:
            self._is_down = True
            # Its kind alone: the message may hold the address.
            log.warning("redis does not answer; limits are local until it does", extra={"reason": type(error).__name__})

    def _recover(self) -> None:
        if self._is_down:
            self._is_down = False
            log.warning("redis answers again")


# -- buckets -----------------------------------------------------------------------------------------------------------

# As core.buckets.taking, in microseconds of the server's clock, which all workers share.
_TAKE = """
local rate, burst, cost = tonumber(ARGV[1]) / 1e6, tonumber(ARGV[2]), tonumber(ARGV[3])
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1e6 + tonumber(time[2])
local before = math.max(0, (tonumber(redis.call('GET', KEYS[1]) or now)) - now)
before = math.min(before, burst / rate)
local after = before + math.min(cost, burst) / rate
local lacking = after - (burst + 1e-3) / rate
if lacking > 0 then
    return {0, string.format('%.3f', before), string.format('%.3f', lacking)}
end
if after > 0 then
    redis.call('SET', KEYS[1], string.format('%.17g', now + after), 'PX', math.ceil(after / 1e3) + 1)
end
return {1, string.format('%.3f', after), '0'}
"""


class RedisBuckets:
    """Buckets that all workers share; `local` ones while Redis does not answer."""

    def __init__(self, connection: Redis, name: str, local: LocalBuckets) -> None:
        self._redis = connection
        self._name = name
        self._local = local
        self._script = connection.client.register_script(_TAKE)

    async def take(self, key: str, limit: Limit, cost: float) -> Taken:
        """As `Buckets` says."""
        keys = [self._redis.key(self._name, key)]
        numbers = [limit.rate_per_s, limit.burst, cost]
        answer = await self._redis.ask(lambda: cast("Awaitable[Any]", self._script(keys, numbers)))
        if answer is None:
            return await self._local.take(key, limit, cost)
        is_allowed, full_after_us, lacking_us = answer
        return outcome(bool(is_allowed), float(full_after_us) / 1e6, limit, float(lacking_us) / 1e6)


# -- signals -----------------------------------------------------------------------------------------------------------


class RedisSignals(LocalSignals):
    """Signals that all workers hear. Whenever the listening connection was away, every topic counts as heard."""

    def __init__(self, connection: Redis, *, wait: _Wait = asyncio.sleep) -> None:
        super().__init__()
        self._redis = connection
        self._wait = wait
        self._me = secrets.token_hex(8)
        self._task: asyncio.Task[None] | None = None

    async def send(self, topic: str) -> None:
        """As `Signals` says."""
        self.tell(topic)
        said = f"{self._me}:{topic}"
        # One slow answer about a limit must not keep the others from hearing of a revoked key.
        await self._redis.ask(
            lambda: cast("Awaitable[Any]", self._redis.client.publish(_CHANNEL, said)), is_urgent=True
        )

    def listen(self) -> None:
        """Begin to hear the others, until `aclose`."""
        self._task = asyncio.create_task(self._listen())

    async def aclose(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _listen(self) -> None:
        while True:
            with suppress(*_FAILURES):
                async with self._redis.client.pubsub() as channel:
                    await channel.subscribe(_CHANNEL)
                    await self._hear(channel)
            await self._wait(PAUSE_S)

    async def _hear(self, channel: redis.client.PubSub) -> None:
        """Raises what redis-py raises when the connection is lost, and TimeoutError when it is silent."""
        is_probed = False
        while True:
            message = await channel.get_message(timeout=SILENCE_S)
            if message is None:
                if is_probed:
                    raise TimeoutError("the connection is silent")
                await channel.ping()
                is_probed = True
                continue
            is_probed = False
            if message["type"] == "subscribe":
                # At first, and each time that redis-py has connected again on its own.
                self.tell_all()
            elif message["type"] == "message":
                sender, _, topic = message["data"].decode(errors="replace").partition(":")
                if sender != self._me:
                    self.tell(topic)
