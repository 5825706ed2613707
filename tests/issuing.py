"""Credentials behind tests: the real core store with the demo world, and walt.id's simulator, with no calls yet."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import cast

import pytest

from core.demo import DemoCredentials
from core.settings import Settings, WaltidSettings
from core.signals import LocalSignals
from datasources import Sources
from datasources.identities import Identities
from datasources.mongo import Mongo
from tests.conftest import demo_documents
from tests.identity import GATEWAY, open_identity
from tests.registry import Registry


@pytest.fixture
async def registry(empty_mongo: Mongo, demo: DemoCredentials) -> AsyncIterator[Registry]:
    await empty_mongo.insert(demo_documents(demo))
    async with open_identity() as identity:
        waltid = WaltidSettings(presentation_hosts=("verifier.example",))
        sources = SimpleNamespace(
            mongo=empty_mongo,
            waltid=identity.waltid,
            settings=Settings.model_validate({"public_url": GATEWAY, "waltid": waltid}),
            identities=Identities(LocalSignals()),
        )
        yield Registry(empty_mongo, identity, cast("Sources", sources))
