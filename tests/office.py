"""Where people are looked after, in a test: the real core store, and every backend that has accounts, simulated in
process. Both hold the demo world, and nothing that another test wrote."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from core import operation
from core.operation import Operation
from core.principals import Principal
from core.signals import LocalSignals
from datasources.identities import Identities
from datasources.mongo import Mongo, UserRecord
from datasources.rows import RowCache
from resolvers.context import Context
from sandbox.app import create_app
from sandbox.faults import Fault, FaultLine
from sandbox.store import Row, Store
from tests.simulators import open_simulated

ACCOUNTS = {
    "medusa": "customer",
    "stripe": "customer",
    "erpnext": "Customer",
    "fleetbase": "contact",
    "waltid": "wallet",
}
"""What each simulator calls somebody's account."""


class Office:
    """`told` counts how often identities were said to have changed."""

    def __init__(self, mongo: Mongo, sources: Any, lines: dict[str, FaultLine], stores: dict[str, Store]) -> None:
        self.mongo, self.sources, self.lines, self._stores = mongo, sources, lines, stores
        self._before = {backend: len(self.rows(backend)) for backend in ACCOUNTS}
        self.told = 0
        sources.identities.on_change(self._count)

    def _count(self) -> None:
        self.told += 1

    def context(self, principal: Principal) -> Context:
        """As an entrance makes one, in an operation of its own."""
        operation.enter(Operation())
        return Context(self.sources, principal, address="192.0.2.7")

    def rows(self, backend: str) -> list[Row]:
        return self._stores[backend].rows(ACCOUNTS[backend])

    def made(self, backend: str) -> list[Row]:
        """The accounts that are not of the demo world."""
        return self.rows(backend)[self._before[backend] :]

    def count_made(self) -> dict[str, int]:
        return {backend: len(self.made(backend)) for backend in ACCOUNTS}

    def put(self, backend: str, row: Row) -> None:
        self._stores[backend].put(ACCOUNTS[backend], row.get("id") or row["name"], row)
        self._before[backend] = len(self.rows(backend))

    def calls(self, backend: str) -> list[str]:
        return [f"{call.method} {call.path}" for call in self.lines[backend].calls]

    def forget_calls(self) -> None:
        for line in self.lines.values():
            line.calls.clear()

    def fail(self, backend: str, **rule: Any) -> None:
        self.lines[backend].faults.append(Fault(**rule))

    def heal(self) -> None:
        for line in self.lines.values():
            line.replace([])

    async def user(self, id: str) -> UserRecord:
        found = await self.mongo.user(id)
        assert found is not None
        return found

    async def document(self, id: str) -> dict[str, Any]:
        """A user as the store keeps them."""
        [found] = [each for each in await self.mongo._db.users.find({}).to_list(None) if str(each["_id"]) == id]
        return found

    async def audit(self, subject_id: str) -> list[dict[str, Any]]:
        """What was written down about somebody, in order."""
        entries = await self.mongo._db.audit.find({}).to_list(None)
        return [entry for entry in entries if str(entry["subject"]["id"]) == subject_id]


@asynccontextmanager
async def open_office(mongo: Mongo, rows: Path) -> AsyncIterator[Office]:
    """Over a store that holds the demo world, and simulators that keep their rows in this folder."""
    app = create_app(rows)

    signals = LocalSignals()
    backends = open_simulated(app, signals=signals)
    sources = SimpleNamespace(mongo=mongo, identities=Identities(signals), rows=RowCache(signals), **vars(backends))
    yield Office(mongo, sources, app.state.lines, app.state.stores)
    for backend in backends.each():
        await backend.aclose()
    for store in app.state.stores.values():
        store.close()
