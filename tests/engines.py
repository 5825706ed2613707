"""The real engines behind tests: one MongoDB and one Temporal for the whole session, as the gateway embeds them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest
from temporalio.client import Client

from core.scopes import CLIENT_SCOPES
from core.settings import MongoSettings, TemporalSettings
from datasources._embedded import Endpoints, Needs, children
from datasources.mongo import Mongo
from datasources.temporal import Temporal, connect
from sandbox import omnistack
from tests.fulfilment import Company, open_company


@pytest.fixture(scope="session")
async def engines(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Endpoints]:
    """Their addresses; no sandbox, which tests call in process."""
    data_dir = tmp_path_factory.mktemp("engines")
    async with children(data_dir, Needs(mongodb=True, temporal=True, sandbox=False)) as endpoints:
        yield endpoints
    # Leaving right after the last use of Temporal may crash the interpreter (temporalio/sdk-python#300).
    await asyncio.sleep(0.5)


@pytest.fixture(scope="session")
async def worker_client(engines: Endpoints) -> Client:
    """A client as workers have it."""
    return await connect(TemporalSettings(), engines.temporal_address or "", brisk=False)


@pytest.fixture
def temporal_settings() -> TemporalSettings:
    """With a task queue that no other test serves."""
    return TemporalSettings(task_queue=f"test-{uuid4()}")


@pytest.fixture
async def temporal(engines: Endpoints, temporal_settings: TemporalSettings) -> AsyncIterator[Temporal]:
    opened = await Temporal.open(temporal_settings, engines.temporal_address or "")
    yield opened
    await opened.aclose()


@pytest.fixture(scope="session")
async def company_store(engines: Endpoints) -> AsyncIterator[Mongo]:
    """The core store with the demo world's people and clients."""
    opened = Mongo.open(MongoSettings(database="fulfilment"), engines.mongodb_uri or "")
    try:
        await opened.prepare()
        names = omnistack.key_owners()
        marks = dict.fromkeys(names, "none")
        documents = omnistack.documents(sorted(CLIENT_SCOPES), {name: f"hash of {name}" for name in names}, marks)
        await opened.insert({kind: documents[kind] for kind in ("users", "clients", "client_apps")})
        yield opened
    finally:
        await opened.aclose()


@pytest.fixture
async def company(engines: Endpoints, company_store: Mongo) -> AsyncIterator[Company]:
    """A company of the test's own, without a worker."""
    async with open_company(engines, company_store) as opened:
        yield opened
