"""The REST layer as it is served, before a whole company: real stores, simulators in process, nobody who works."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from dataclasses import replace

import jwt
import pytest
from pydantic import SecretStr

from core.buckets import Limit, LocalBuckets
from core.demo import DemoCredentials
from core.settings import MongoSettings, Settings
from datasources._embedded import Endpoints
from datasources.mongo import Mongo
from resolvers.principals import Identification
from rest.gateway import Gateway
from rest.guessing import Guessing
from server import create_app
from tests.access.callers import MANAGER, Caller, Credentials
from tests.conftest import demo_documents
from tests.fulfilment import open_company
from tests.rest.counter import Counter


@pytest.fixture(scope="session")
async def counter(engines: Endpoints, demo: DemoCredentials, identification: Identification) -> AsyncIterator[Counter]:
    """For all tests of the session: who changes something makes it first."""
    mongo = Mongo.open(MongoSettings(database="rest"), engines.mongodb_uri or "")
    try:
        await mongo.prepare()
        await mongo.insert(demo_documents(demo))
        async with open_company(engines, mongo) as company:
            settings = company.sources.settings.model_copy(update={"key_pepper": SecretStr(demo.key_pepper)})
            company.sources = replace(company.sources, settings=settings)
            app = create_app(Settings())
            # Tests that show wrong credentials are not about guessing.
            guessing = Guessing(LocalBuckets(), Limit(0, 0))
            app.state.gateway = Gateway(company.sources, identification, guessing=guessing)
            yield Counter(app, company, Credentials(demo).callers() | {"narrow": _narrow(demo)})
    finally:
        await mongo.aclose()


def _narrow(demo: DemoCredentials) -> Caller:
    claims = {"sub": MANAGER.id, "role": "MANAGER", "exp": int(time.time()) + 3600, "scope": "webhooks:read"}
    token = jwt.encode(claims, demo.jwt_secret, algorithm="HS256")
    return Caller("narrow", "manager", {"authorization": f"Bearer {token}"})
