"""Families."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from datasources.mongo.driver import Document, Store, among, matching
from datasources.mongo.records import FamilyRecord, Keyset


class Families(Store):
    """The collection `families`."""

    async def families_by_ids(self, ids: Sequence[str]) -> list[FamilyRecord]:
        return await self._by_ids("families", FamilyRecord, ids)

    async def families(self, *, limit: int, after: Keyset | None = None, **filter: Any) -> list[FamilyRecord]:
        """`filter` as for `count_families`."""
        return await self._page("families", FamilyRecord, _family_filter(**filter), limit, after)

    async def count_families(self, **filter: Any) -> int:
        """Of these `client_ids` (None: all), with this `member_id`."""
        return await self._count("families", _family_filter(**filter))


def _family_filter(*, client_ids: Sequence[str] | None = None, member_id: str | None = None) -> Document:
    members = None if member_id is None else {"$in": [member_id]}
    return matching(clientId=among(client_ids), memberIds=members)
