"""Bringing a store to what this release expects of it: its documents first, then its indexes.

Which migrations a store has had stands in `schema_versions`. Several processes may start at once: whoever takes the
lease migrates, the others wait until nothing is left to do, and one that dies is taken over from when its lease ends.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime

from pymongo.errors import DuplicateKeyError, OperationFailure

from core.errors import StartFailed
from datasources.mongo.driver import Document
from datasources.mongo.indexes import COLLECTIONS, for_mongodb
from datasources.mongo.leases import Leases
from datasources.mongo.migrations import MIGRATIONS, Migration

LEASE = "migrations"
LEASE_S = 30.0
WAIT_S = 600.0
"""How long a process waits for another one that migrates."""
POLL_S = 0.1
MIGRATION_TIMEOUT_S = 3600.0
INDEX_TIMEOUT_S = 600.0
EMBEDDED_ENGINE, EMBEDDED_DUPLICATE = "nx_27017", "UNIQUE constraint failed"


class Versions(Leases):
    """The collection `schema_versions`, and everything's indexes."""

    migrations: Sequence[Migration] = MIGRATIONS

    async def prepare(self, *, lease_s: float = LEASE_S, wait_s: float = WAIT_S) -> None:
        """Migrate documents and make indexes; safe to repeat and with several processes starting at once.

        Raises StartFailed for a store that a newer release has migrated, for one that holds twice what must be unique,
        and when another process migrates for longer than `wait_s`.
        """
        deadline = time.monotonic() + wait_s
        while await self._pending():
            holder = await self.lease(LEASE, seconds=lease_s)
            if holder is not None:
                await self._migrate_holding(holder, lease_s)
            elif time.monotonic() > deadline:
                raise StartFailed(
                    f"Another process has been migrating the core store for {wait_s:g} s. If it is dead, start again."
                )
            else:
                await asyncio.sleep(POLL_S)
        await self._make_indexes()

    async def _pending(self) -> list[Migration]:
        """What this store has not had yet, in order."""
        async with self._call("find", "schema_versions"):
            applied: list[Document] = await self._db.schema_versions.find({}).to_list(None)
        numbers = {version["number"] for version in applied}
        newest = max((migration.number for migration in self.migrations), default=0)
        if numbers and max(numbers) > newest:
            raise StartFailed(
                f"The core store is at schema version {max(numbers)}, and this release knows those up to {newest}: "
                "start the newer release that migrated it."
            )
        return [migration for migration in self.migrations if migration.number not in numbers]

    async def _migrate_holding(self, holder: str, lease_s: float) -> None:
        """Until all is applied, or the lease was lost."""
        work = asyncio.create_task(self._migrate())
        try:
            while not (await asyncio.wait({work}, timeout=lease_s / 3))[0]:
                if not await self.extend_lease(LEASE, holder, seconds=lease_s):
                    return
            await work
        finally:
            work.cancel()
            await asyncio.wait({work})
            await self.end_lease(LEASE, holder)

    async def _migrate(self) -> None:
        for migration in await self._pending():
            async with self._call("migrate", migration.name, timeout_s=MIGRATION_TIMEOUT_S):
                await migration.apply(self._db)
            applied = {"number": migration.number, "name": migration.name, "appliedAt": datetime.now(UTC)}
            await self._insert_once("schema_versions", {"_id": f"version-{migration.number}", **applied})

    async def _make_indexes(self) -> None:
        async with self._call("buildInfo", "admin"):
            is_embedded = (await self._client.admin.command("buildInfo")).get("process") == EMBEDDED_ENGINE
        for name, indexes in COLLECTIONS.items():
            wanted = indexes if is_embedded else [for_mongodb(index) for index in indexes]
            async with self._call("createIndexes", name, timeout_s=INDEX_TIMEOUT_S):
                try:
                    await self._db[name].create_indexes(wanted)
                except OperationFailure as exc:
                    if not (isinstance(exc, DuplicateKeyError) or EMBEDDED_DUPLICATE in str(exc)):
                        raise
                    reason = f"Two documents of `{name}` in the core store share what must be unique."
                    raise StartFailed(reason) from exc
