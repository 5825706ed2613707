"""What workers share, through a real Redis server that dies, hangs and comes back."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import redis.asyncio as redis
from pydantic import SecretStr

from core.buckets import Limit, LocalBuckets
from core.errors import StartFailed
from core.settings import Settings
from datasources.redis import PAUSE_S, PREFIX, Redis, RedisBuckets, RedisSignals, Shared
from tests.clocks import ManualClock
from tests.redis_server import RedisServer

# So slow that nothing worth a token comes back while a test runs.
LIMIT = Limit(rate_per_s=0.01, burst=50)


@pytest.fixture
async def server() -> AsyncIterator[RedisServer]:
    with TemporaryDirectory(prefix="redis") as folder:  # a socket's path must be short
        running = RedisServer(Path(folder))
        await running.start()
        try:
            yield running
        finally:
            running.stop()


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as closing:
        yield closing


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


class Worker:
    """One process of several, as far as Redis can tell."""

    def __init__(self, server: RedisServer, stack: AsyncExitStack, clock: ManualClock | None = None) -> None:
        # On a machine that is busy with other tests, too slow is not down.
        self.redis = Redis(server.url, "pepper", timeout_s=10, clock=clock or time.monotonic)
        self.buckets = RedisBuckets(self.redis, "operations", LocalBuckets(clock=clock or time.monotonic))
        self.signals = RedisSignals(self.redis, wait=self._wait)
        self.times_cut_off = 0
        stack.push_async_callback(self.redis.aclose)
        stack.push_async_callback(self.signals.aclose)

    async def _wait(self, seconds: float) -> None:
        self.times_cut_off += 1
        await asyncio.sleep(0.01)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():
            await asyncio.sleep(0.005)


# -- buckets -----------------------------------------------------------------------------------------------------------


async def test_workers_share_a_bucket(server: RedisServer, stack: AsyncExitStack) -> None:
    one, other = Worker(server, stack), Worker(server, stack)
    assert (await one.buckets.take("USER:a", LIMIT, 30)).is_allowed
    refused = await other.buckets.take("USER:a", LIMIT, 30)
    assert not refused.is_allowed
    assert refused == pytest.approx((False, 20, 1_000, 3_000), abs=1)
    assert (await other.buckets.take("USER:a", LIMIT, 20)).is_allowed
    assert (await other.buckets.take("USER:b", LIMIT, 50)).is_allowed


async def test_of_many_at_once_exactly_as_many_as_there_are_tokens_come_in(
    server: RedisServer, stack: AsyncExitStack
) -> None:
    workers = [Worker(server, stack) for _ in range(2)]
    for worker in workers:  # connected, so that no first attempt is too slow
        await worker.buckets.take("warm", LIMIT, 0)
    taken = await asyncio.gather(*(workers[n % 2].buckets.take("a", LIMIT, 1) for n in range(100)))
    assert sum(each.is_allowed for each in taken) == 50


async def test_a_shared_bucket_fills_by_the_servers_clock(server: RedisServer, stack: AsyncExitStack) -> None:
    worker, fast = Worker(server, stack), Limit(rate_per_s=1_000_000, burst=10)
    for _ in range(20):
        # Ten microseconds are less than a round trip.
        assert (await worker.buckets.take("a", fast, 10)).is_allowed


async def test_it_answers_as_a_local_bucket_does(server: RedisServer, stack: AsyncExitStack) -> None:
    worker, local = Worker(server, stack), LocalBuckets(clock=ManualClock())
    for cost in (45, 15, 0, 5, 1, 1_000):
        assert await worker.buckets.take("a", LIMIT, cost) == pytest.approx(await local.take("a", LIMIT, cost), abs=1)


async def test_keys_are_prefixed_end_by_themselves_and_tell_nobodys_id(
    server: RedisServer, stack: AsyncExitStack
) -> None:
    await Worker(server, stack).buckets.take("USER:app:client:user", LIMIT, 50)
    async with redis.Redis.from_url(server.url) as client:
        [key] = await client.keys("*")
        name = key if isinstance(key, str) else key.decode()
        assert name.startswith(f"{PREFIX}operations:")
        assert not any(part in name.removeprefix(PREFIX) for part in ("USER", "user", "app", "client"))
        assert 4_999_000 < await client.pttl(key) <= 5_001_000


async def test_while_redis_is_dead_the_limit_is_each_workers_own(
    server: RedisServer, stack: AsyncExitStack, clock: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    one, other = Worker(server, stack, clock), Worker(server, stack, clock)
    assert (await one.buckets.take("a", LIMIT, 50)).is_allowed
    assert not (await other.buckets.take("a", LIMIT, 50)).is_allowed
    server.kill()
    with caplog.at_level(logging.WARNING, "omnistack.redis"):
        assert [(await one.buckets.take("a", LIMIT, 50)).is_allowed for _ in range(3)] == [True, False, False]
        assert (await other.buckets.take("a", LIMIT, 50)).is_allowed
        clock.now += PAUSE_S
        assert not (await one.buckets.take("a", LIMIT, 50)).is_allowed
    assert [record.message for record in caplog.records] == [
        "redis does not answer; limits are local until it does",
        "redis does not answer; limits are local until it does",
    ], "once by each worker"
    assert server.url.removeprefix("unix://") not in caplog.text
    await server.start()
    clock.now += PAUSE_S
    assert (await one.buckets.take("b", LIMIT, 50)).is_allowed
    assert not (await other.buckets.take("b", LIMIT, 1)).is_allowed


async def test_a_redis_that_hangs_costs_one_caller_a_moment_and_the_next_ones_nothing(
    server: RedisServer, stack: AsyncExitStack, clock: ManualClock
) -> None:
    worker = Worker(server, stack, clock)
    await worker.buckets.take("a", LIMIT, 0)
    worker.redis._timeout_s = 0.1
    server.hang()
    try:
        began = time.monotonic()
        assert (await worker.buckets.take("a", LIMIT, 50)).is_allowed
        assert 0.09 <= time.monotonic() - began < 2
        asked = len(worker.redis._under_way)
        assert not (await worker.buckets.take("a", LIMIT, 50)).is_allowed
        assert len(worker.redis._under_way) == asked == 1
    finally:
        server.go_on()


async def test_a_server_that_refuses_is_as_good_as_none(server: RedisServer, stack: AsyncExitStack) -> None:
    async with redis.Redis.from_url(server.url) as client:
        await client.config_set("requirepass", "s3cret")
    worker = Worker(server, stack)
    assert [(await worker.buckets.take("a", LIMIT, 50)).is_allowed for _ in range(2)] == [True, False]


# -- signals -----------------------------------------------------------------------------------------------------------


class Ears:
    def __init__(self, worker: Worker, *topics: str) -> None:
        self.heard: list[str] = []
        for topic in topics:
            worker.signals.on(topic, lambda topic=topic: self.heard.append(topic))  # type: ignore[misc]
        worker.signals.listen()

    async def ready(self) -> None:
        """Subscribed, of which everything counts as heard."""
        await until(lambda: bool(self.heard))
        self.heard.clear()


async def test_a_signal_reaches_every_worker_and_its_sender_once(server: RedisServer, stack: AsyncExitStack) -> None:
    one, other = Worker(server, stack), Worker(server, stack)
    ears = [Ears(one, "keys"), Ears(other, "keys")]
    for each in ears:
        await each.ready()
    await one.signals.send("keys")
    assert ears[0].heard == ["keys"], "before sending ends"
    await until(lambda: ears[1].heard == ["keys"])
    await other.signals.send("keys")
    await until(lambda: ears[0].heard == ["keys", "keys"])
    assert ears[1].heard == ["keys", "keys"]


async def test_a_worker_that_was_cut_off_takes_everything_as_heard(server: RedisServer, stack: AsyncExitStack) -> None:
    one, other = Worker(server, stack), Worker(server, stack)
    ears = Ears(other, "keys", "users")
    await ears.ready()
    server.kill()
    await one.signals.send("keys")  # lost, and no error
    assert ears.heard == []
    await server.start()
    await until(lambda: ears.heard == ["keys", "users"])
    one.redis._rests_until = float("inf")  # a signal does not wait for a pause to end
    await one.signals.send("users")
    await until(lambda: ears.heard == ["keys", "users", "users"])


async def test_a_silent_connection_is_probed_and_given_up(
    server: RedisServer, stack: AsyncExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("datasources.redis.SILENCE_S", 0.05)
    monkeypatch.setattr("datasources.redis.CONNECT_TIMEOUT_S", 0.2)
    worker = Worker(server, stack)
    ears = Ears(worker, "keys")
    await ears.ready()
    async with redis.Redis.from_url(server.url) as client:

        async def pings() -> int:
            stats = await client.info("commandstats")
            return int(stats.get("cmdstat_ping", {"calls": 0})["calls"])

        async with asyncio.timeout(10):
            while await pings() < 3:
                await asyncio.sleep(0.01)
    assert ears.heard == [], "a connection that answers is kept"
    server.hang()
    await until(lambda: worker.times_cut_off > 0)
    server.go_on()
    await until(lambda: ears.heard == ["keys"])


# -- both, as the gateway opens them -----------------------------------------------------------------------------------


async def test_without_a_url_everything_is_in_process() -> None:
    shared, heard = Shared.open(Settings()), list[str]()
    shared.signals.on("keys", lambda: heard.append("keys"))
    await shared.signals.send("keys")
    assert heard == ["keys"]
    assert isinstance(shared.buckets("operations"), LocalBuckets)
    await shared.aclose()


async def test_with_a_url_it_is_shared(server: RedisServer) -> None:
    settings = Settings(redis_url=SecretStr(server.url), redis_timeout_s=10)
    one, other = Shared.open(settings), Shared.open(settings)
    assert (await one.buckets("operations").take("a", LIMIT, 50)).is_allowed
    assert not (await other.buckets("operations").take("a", LIMIT, 1)).is_allowed
    assert (await other.buckets("failures").take("a", LIMIT, 1)).is_allowed
    await one.aclose()
    await other.aclose()


async def test_a_redis_that_is_down_at_the_start_keeps_nothing_from_starting() -> None:
    shared = Shared.open(Settings(redis_url=SecretStr("unix:///nowhere/redis.sock")))
    assert (await shared.buckets("operations").take("a", LIMIT, 50)).is_allowed
    await shared.signals.send("keys")
    await shared.aclose()


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0?no_such_option=1", "redis://["])
async def test_an_address_that_is_none_shows_at_the_start(url: str) -> None:
    with pytest.raises(StartFailed, match="REDIS_URL"):
        Shared.open(Settings(redis_url=SecretStr(url)))
