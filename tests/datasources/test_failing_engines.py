"""MongoDB and Temporal on bad days: the real engines behind a tunnel that fails. Each failure ends in the error that it
is, in time, and when it is over everything works again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any
from uuid import uuid4

import pytest

from core import operation
from core.backends import BackendName
from core.errors import BackendError
from core.settings import MongoSettings, TemporalSettings
from datasources._embedded import Endpoints
from datasources.mongo import Mongo
from datasources.temporal import Memo, NewWorkflow, Temporal, WorkflowFilter, WorkflowType

pytest_plugins = ["tests.engines"]

SLACK_S = 2.0
HEALED_S = 15.0
PASSES, HANGS, DROPS, BABBLES = "passes", "hangs", "drops", "babbles"
UNAVAILABLE, TIMEOUT = "UPSTREAM_UNAVAILABLE", "UPSTREAM_TIMEOUT"
CODES = {HANGS: {TIMEOUT}, DROPS: {UNAVAILABLE, TIMEOUT}, BABBLES: {UNAVAILABLE, TIMEOUT}}
"""Both drivers look for a better connection by themselves, until the time is up."""
NONSENSE = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"


class Tunnel:
    """What it does with a connection: passes everything on; hangs and passes nothing; drops it; or babbles, as
    something else would that listens there."""

    def __init__(self, host: str, port: int) -> None:
        self._there = (host, port)
        self._does = PASSES
        self._writers: set[asyncio.StreamWriter] = set()
        self._may_pass = asyncio.Event()
        self._may_pass.set()

    def now(self, does: str) -> None:
        """Connections that are open are treated so too."""
        self._does = does
        if does == HANGS:
            self._may_pass.clear()
            return
        self._may_pass.set()
        if does != PASSES:
            self.end()

    def end(self) -> None:
        for writer in list(self._writers):
            writer.close()

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        try:
            if self._does == BABBLES:
                writer.write(NONSENSE)
            elif self._does != DROPS:
                there_reader, there = await asyncio.open_connection(*self._there)
                self._writers.add(there)
                try:
                    await asyncio.gather(self._pump(reader, there), self._pump(there_reader, writer))
                finally:
                    self._writers.discard(there)
                    there.close()
        finally:
            self._writers.discard(writer)
            writer.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                await self._may_pass.wait()
                writer.write(data)
                await writer.drain()
        writer.close()


@asynccontextmanager
async def tunnel(address: str) -> AsyncIterator[tuple[Tunnel, str]]:
    """One to an address, and its own."""
    host, _, port = address.rpartition(":")
    made = Tunnel(host, int(port))
    server = await asyncio.start_server(made.connected, "127.0.0.1", 0)
    try:
        yield made, f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        made.now(DROPS)
        await server.wait_closed()


Work = Callable[[], Awaitable[Any]]


@asynccontextmanager
async def mongo(engines: Endpoints) -> AsyncIterator[tuple[Tunnel, Work, Work]]:
    uri = engines.mongodb_uri or ""
    address = uri.removeprefix("mongodb://").partition("/")[0].rpartition("@")[2]
    async with tunnel(address) as (between, near):
        store = Mongo.open(MongoSettings(database=f"tunnel_{uuid4().hex}"), uri.replace(address, near))

        async def write() -> None:
            await store.record_ownership(BackendName.FLEETBASE, f"order_{uuid4().hex}", None, None)

        yield between, lambda: store.client_apps(limit=1), write
        await store.aclose()


@asynccontextmanager
async def temporal(engines: Endpoints) -> AsyncIterator[tuple[Tunnel, Work, Work]]:
    async with tunnel(engines.temporal_address or "") as (between, near):
        opened = await Temporal.open(TemporalSettings(task_queue=f"test-{uuid4()}"), near)

        def new() -> NewWorkflow:
            id = f"order-fulfillment-{uuid4().hex}"  # noqa: A001
            return NewWorkflow(id, WorkflowType.ORDER_FULFILLMENT, "", "x", "u", "c", "a", Memo())

        yield between, lambda: opened.list_page(WorkflowFilter(), limit=1), lambda: opened.start(new())
        await opened.aclose()


@pytest.mark.parametrize("what", ["reads", "writes"])
@pytest.mark.parametrize("engine", [mongo, temporal])
@pytest.mark.parametrize("does", CODES)
async def test_a_failure_ends_as_what_it_is_and_then_all_works_again(
    engines: Endpoints, engine: Any, does: str, what: str
) -> None:
    async with engine(engines) as (between, read, write):
        work = read if what == "reads" else write
        await done(work)
        between.now(does)
        limit_s = 0.5 if does == HANGS else 2.0
        started = time.monotonic()
        with operation.running(operation.within(limit_s)), pytest.raises(BackendError) as caught:
            await work()
        assert time.monotonic() - started < limit_s + SLACK_S
        assert caught.value.extensions["code"] in CODES[does]
        assert "127.0.0.1" not in str(caught.value)
        between.now(PASSES)
        async with asyncio.timeout(HEALED_S):
            while not await works(work):
                await asyncio.sleep(0.05)


async def done(work: Work) -> None:
    with operation.running(operation.within(5)):
        await work()


async def works(work: Work) -> bool:
    try:
        await done(work)
    except BackendError:
        return False
    return True
