"""A gateway that recognises callers, over a store of the test's own with the demo world in it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from pydantic import SecretStr

from core import operation
from core.auth import Credentials
from core.buckets import LocalBuckets
from core.demo import DemoCredentials
from core.errors import Unauthenticated
from core.operation import Operation
from core.principals import Principal
from core.settings import Settings
from core.signals import LocalSignals
from datasources import Sources
from datasources.identities import Identities
from datasources.mongo import Mongo
from datasources.rows import RowCache
from resolvers.context import Context
from resolvers.principals import Identification
from rest.gateway import Gateway


def core_sources(mongo: Mongo, demo: DemoCredentials) -> Sources:
    """Of the backends only the core store."""
    settings = Settings(key_pepper=SecretStr(demo.key_pepper))
    signals = LocalSignals()
    kept = {"identities": Identities(signals), "rows": RowCache(signals), "registrations": LocalBuckets()}
    return cast("Sources", SimpleNamespace(mongo=mongo, settings=settings, **kept))


class Gatehouse:
    """Credentials are named as in `Credentials`; without any, the caller is the service."""

    def __init__(self, mongo: Mongo, demo: DemoCredentials, identification: Identification) -> None:
        self.mongo, self.demo, self.identification = mongo, demo, identification
        self.sources = core_sources(mongo, demo)
        self.gateway = Gateway(self.sources, identification)

    async def identify(self, **shown: str) -> Principal:
        return await self.gateway.identify(Credentials(**(shown or {"api_key": self.demo.service_key})))

    async def admits(self, **shown: str) -> bool:
        try:
            await self.identify(**shown)
        except Unauthenticated:
            return False
        return True

    async def context(self, **shown: str) -> Context:
        """As an entrance makes one."""
        principal = await self.identify(**shown)
        operation.enter(Operation())
        return Context(self.sources, principal, address="192.0.2.7")

    async def everything_kept(self) -> str:
        """Every document of the store, as text."""
        kept: list[Any] = []
        for name in await self.mongo._db.list_collection_names():
            kept += await self.mongo._db[name].find({}).to_list(None)
        return repr(kept)
