"""The print shop in a test: its simulator behind the real datasource, and the real core store with the demo world."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import httpx
from pydantic import SecretStr

from core import operation
from core.backends import BackendName
from core.idempotency import KeyedRequest
from core.operation import Operation
from core.principals import Principal
from core.settings import StrapiSettings
from datasources.mongo import Mongo
from datasources.strapi import Strapi
from resolvers.context import Context
from sandbox import strapi as simulator
from sandbox.faults import Fault, FaultLine
from sandbox.keys import STRAPI_API_TOKEN
from sandbox.store import Row, Store
from sandbox.strapi.seeding import JOBS

SETTINGS = StrapiSettings(api_token=SecretStr(STRAPI_API_TOKEN), timeout_s=0.4)
"""Impatient: some tests let it hang."""


def open_strapi(line: Any, settings: StrapiSettings = SETTINGS) -> Strapi:
    headers = {"Authorization": f"Bearer {STRAPI_API_TOKEN}"}
    client = httpx.AsyncClient(base_url="http://strapi", transport=httpx.ASGITransport(line), headers=headers)
    return Strapi(client, settings)


class PrintShop:
    """`line` is what stands before the simulator, `store` holds its rows."""

    def __init__(self, mongo: Mongo) -> None:
        self.mongo = mongo
        self.store = Store(None)
        self.store.seed(simulator.seed)
        self.line = FaultLine(simulator.create_app(self.store))
        self.strapi = open_strapi(self.line)
        self._attempts = 0

    def context(self, principal: Principal, *, key: str | None = None, notes: dict[str, str] | None = None) -> Context:
        """As an entrance makes one, in an operation of its own; with a `key` one that runs under it, where `notes` are
        what earlier tries have left."""
        running = Operation()
        if key is not None:
            self._attempts += 1
            running.keyed = KeyedRequest(principal.id, "", key, f"attempt {self._attempts}", notes or {}, "made")
        operation.enter(running)
        sources = SimpleNamespace(mongo=self.mongo, strapi=self.strapi)
        return Context(cast("Any", sources), principal)

    @property
    def calls(self) -> int:
        """How often the running operation has asked the print shop."""
        return sum(call.backend is BackendName.STRAPI for call in operation.current().calls)

    @property
    def made(self) -> list[Row]:
        """Published jobs that are not of the demo world, oldest first."""
        return [row["published"] for row in self.store.rows("job")[JOBS + 1 :]]

    def customers(self, name: str) -> list[Row]:
        return [row["published"] for row in self.store.rows("customer") if row["published"]["Name"] == name]

    def fail(self, **rule: Any) -> None:
        self.line.faults.append(Fault(**rule))

    async def owner(self, id: str) -> tuple[str | None, str | None] | None:
        """The client and the user that a row is recorded for."""
        found = await self.mongo.owner(BackendName.STRAPI, id)
        return (found.client_id, found.user_id) if found else None
