"""Client apps and their clients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from datasources.mongo.driver import Document, Store, among, containing, matching, one
from datasources.mongo.records import ClientAppRecord, ClientRecord, Keyset


class Clients(Store):
    """The collections `client_apps` and `clients`."""

    async def client_app(self, id: str) -> ClientAppRecord | None:
        return one(await self._by_ids("client_apps", ClientAppRecord, [id]))

    async def client_apps_by_ids(self, ids: Sequence[str]) -> list[ClientAppRecord]:
        return await self._by_ids("client_apps", ClientAppRecord, ids)

    async def client_apps(
        self, *, limit: int, after: Keyset | None = None, ids: Sequence[str] | None = None
    ) -> list[ClientAppRecord]:
        return await self._page("client_apps", ClientAppRecord, matching(_id=among(ids)), limit, after)

    async def count_client_apps(self, *, ids: Sequence[str] | None = None) -> int:
        return await self._count("client_apps", matching(_id=among(ids)))

    async def client(self, id: str) -> ClientRecord | None:
        return one(await self._by_ids("clients", ClientRecord, [id]))

    async def clients_by_ids(self, ids: Sequence[str]) -> list[ClientRecord]:
        return await self._by_ids("clients", ClientRecord, ids)

    async def clients(self, *, limit: int, after: Keyset | None = None, **filter: Any) -> list[ClientRecord]:
        """`filter` as for `count_clients`."""
        return await self._page("clients", ClientRecord, _client_filter(**filter), limit, after)

    async def count_clients(self, **filter: Any) -> int:
        """Of these `ids`, `app_ids` (None: all), this `external_id`, `code`, `is_active`, `search` in name or code."""
        return await self._count("clients", _client_filter(**filter))


def _client_filter(
    *,
    ids: Sequence[str] | None = None,
    app_ids: Sequence[str] | None = None,
    external_id: str | None = None,
    code: str | None = None,
    is_active: bool | None = None,
    search: str | None = None,
) -> Document:
    conditions = matching(
        _id=among(ids), clientAppId=among(app_ids), externalId=external_id, code=code, isActive=is_active
    )
    return conditions | containing(search, "name", "code")
