"""Whose the rows are that the gateway made in backends which know no clients."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from core.backends import BackendName
from datasources.mongo.driver import Store, among, matching, one, to_document
from datasources.mongo.records import OwnershipRecord


class Ownership(Store):
    """The collection `ownership`."""

    async def record_ownership(
        self, backend: BackendName, id: str, client_id: str | None, user_id: str | None, *, kind: str | None = None
    ) -> None:
        """Remember whose this row is; the first word stays. `kind` tells rows apart where a backend has several."""
        row = {
            "_id": f"{backend.name}:{id}",
            "backend": backend.name,
            "rowId": id,
            "clientId": client_id,
            "userId": user_id,
            **matching(kind=kind),
            "createdAt": datetime.now(UTC),
        }
        await self._insert_once("ownership", to_document(row))

    async def forget_ownership(self, backend: BackendName, id: str) -> None:
        """For a row that is gone, and whose name somebody else's may get."""
        async with self._call("delete", "ownership"):
            await self._db.ownership.delete_one({"_id": f"{backend.name}:{id}"})

    async def owner(self, backend: BackendName, id: str) -> OwnershipRecord | None:
        return one(await self.owners(backend, [id]))

    async def owners(self, backend: BackendName, ids: Sequence[str]) -> list[OwnershipRecord]:
        return await self._in("ownership", OwnershipRecord, "_id", [f"{backend.name}:{row_id}" for row_id in ids])

    async def owned(
        self,
        backend: BackendName,
        *,
        limit: int,
        client_ids: Sequence[str] | None = None,
        user_id: str | None = None,
        before: datetime | None = None,
        kind: str | None = None,
    ) -> list[OwnershipRecord]:
        """What these clients or this user own in a backend, newest first, recorded before that moment; of one kind,
        or (None) of any."""
        user_ids = None if user_id is None else [user_id]
        conditions = matching(
            backend=backend.name,
            kind=kind,
            clientId=among(client_ids),
            userId=among(user_ids),
            createdAt=None if before is None else {"$lt": before},
        )
        return await self._page("ownership", OwnershipRecord, conditions, limit, None)
