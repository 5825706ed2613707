"""Workers tell each other that callers may have changed: over a real Redis, and within a process without."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from pydantic import SecretStr

from core.auth import Credentials
from core.principals import Principal, PrincipalKind
from core.settings import Settings
from core.signals import LocalSignals
from datasources.identities import Identities
from datasources.redis import Shared
from resolvers.identity_cache import IdentityCache, Recognised
from tests.clocks import ManualClock
from tests.redis_server import RedisServer

SHOWN = Credentials(api_key="sk_shown")


class Worker:
    """A process that remembers a caller for as long as nobody says otherwise: its clock stands still."""

    def __init__(self, identities: Identities) -> None:
        self.identities = identities
        self.looked_up = 0
        clock = ManualClock()
        self._cache = IdentityCache(self._recognise, clock=clock, now=clock)
        self.ends_hearing = identities.on_change(self._cache.forget)

    async def _recognise(self, shown: Credentials) -> Recognised:
        self.looked_up += 1
        return Recognised(Principal(PrincipalKind.SERVICE, frozenset()))

    async def serve(self) -> int:
        """Another request: how often the caller was looked up until then."""
        await self._cache.identify(SHOWN)
        return self.looked_up


@pytest.fixture
async def redis_url() -> AsyncIterator[str]:
    with TemporaryDirectory(prefix="redis") as folder:  # a socket's path must be short
        server = RedisServer(Path(folder))
        await server.start()
        try:
            yield server.url
        finally:
            server.stop()


async def test_a_change_is_heard_here_before_it_is_said_to_be_done() -> None:
    worker = Worker(Identities(LocalSignals()))
    assert [await worker.serve(), await worker.serve()] == [1, 1]
    await worker.identities.changed()
    assert [await worker.serve(), await worker.serve()] == [2, 2]
    worker.ends_hearing()
    await worker.identities.changed()
    assert await worker.serve() == 2


async def test_with_redis_a_change_is_heard_by_every_worker(redis_url: str) -> None:
    settings = Settings(redis_url=SecretStr(redis_url), redis_timeout_s=10)
    async with AsyncExitStack() as stack, asyncio.timeout(20):
        workers = []
        for _ in range(3):
            shared = Shared.open(settings)
            stack.push_async_callback(shared.aclose)
            workers.append(Worker(Identities(shared.signals)))
        for worker in workers[1:]:
            # Until everybody listens.
            before = await worker.serve()
            while await worker.serve() == before:
                await workers[0].identities.changed()
        before_all = [await worker.serve() for worker in workers]
        await workers[0].identities.changed()
        assert await workers[0].serve() == before_all[0] + 1
        for worker, before in zip(workers[1:], before_all[1:], strict=True):
            while await worker.serve() == before:
                await asyncio.sleep(0.005)
