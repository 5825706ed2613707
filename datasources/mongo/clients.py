"""Client apps and their clients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import msgspec
from bson import ObjectId
from msgspec import UNSET, UnsetType

from core.errors import Conflict
from datasources.mongo.driver import Document, Store, among, containing, matching, one
from datasources.mongo.records import BackendScopeRecord, ClientAppRecord, ClientRecord, Keyset

Owned = TypeVar("Owned", ClientAppRecord, ClientRecord)
"""What has keys."""

TAKEN = "this platform has a client with this `code` or `externalId` already"
_COLLECTIONS: dict[type, str] = {ClientAppRecord: "client_apps", ClientRecord: "clients"}
_KEY_FIELDS = ("keyHint", "keyExpiresAt")


@dataclass(frozen=True, slots=True)
class KeyMark:
    """What its owner's document tells of a key."""

    generation: int
    hint: str
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class NewClientApp:
    name: str
    scopes: tuple[str, ...]
    is_server_side: bool
    key: KeyMark
    id: str


@dataclass(frozen=True, slots=True)
class NewClient:
    client_app_id: str
    name: str
    code: str
    external_id: str | None
    default_currency: str
    key: KeyMark
    id: str


@dataclass(frozen=True, slots=True)
class ClientChanges:
    """What is to become of a client; UNSET: what it was."""

    name: str | UnsetType = UNSET
    external_id: str | UnsetType | None = UNSET
    default_currency: str | UnsetType = UNSET


def new_id() -> str:
    """For a document that is yet to be made."""
    return str(ObjectId())


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

    # -- writing -----------------------------------------------------------------------------------------------

    async def create_client_app(self, new: NewClientApp) -> ClientAppRecord:
        document = {
            "_id": new.id,
            "name": new.name,
            "scopes": list(new.scopes),
            "isActive": True,
            "isServerSide": new.is_server_side,
        }
        return await self._insert_new("client_apps", _marked(document, new.key), ClientAppRecord)

    async def create_client(self, new: NewClient) -> ClientRecord:
        """Raises Conflict where the platform has a client of that code or external id."""
        document = {
            "_id": new.id,
            "clientAppId": new.client_app_id,
            "name": new.name,
            "code": new.code,
            "defaultCurrency": new.default_currency,
            "isActive": True,
            **matching(externalId=new.external_id),
        }
        try:
            return await self._insert_new("clients", _marked(document, new.key), ClientRecord)
        except Conflict as exc:
            raise Conflict(TAKEN) from exc

    async def revise_client(self, id: str, changes: ClientChanges) -> ClientRecord | None:
        """None when there is no such client. Raises Conflict where the platform has one of that external id."""
        wanted = {
            "name": changes.name,
            "externalId": changes.external_id,
            "defaultCurrency": changes.default_currency,
        }
        given = {name: value for name, value in wanted.items() if value is not UNSET}
        try:
            return await self._revise("clients", id, _with(given), ClientRecord)
        except Conflict as exc:
            if "externalId" not in given:
                raise
            raise Conflict(TAKEN) from exc

    async def set_backend_scope(self, client_id: str, scope: BackendScopeRecord) -> ClientRecord | None:
        """Replace the whole scope. None when there is no such client."""
        fields = {name: value for name, value in msgspec.to_builtins(scope).items() if value is not None}
        if scope.pickup is not None:
            fields["pickup"] = {name: value for name, value in fields["pickup"].items() if value is not None}
        return await self._revise("clients", client_id, _with({"backendScope": fields}), ClientRecord)

    async def set_active(self, kind: type[Owned], id: str, is_active: bool) -> Owned | None:
        """Without its key's marks when it is not. None when there is none of that id."""

        def change(document: Document) -> Document | None:
            changed = {**document, "isActive": is_active}
            if not is_active:
                changed = {name: value for name, value in changed.items() if name not in _KEY_FIELDS}
            return None if changed == document else changed

        return await self._revise(_COLLECTIONS[kind], id, change, kind)

    async def mark_key(self, kind: type[Owned], id: str, mark: KeyMark) -> Owned | None:
        """Tell of a key, unless a later one is told of already or its owner is not active. None when there is none."""

        def change(document: Document) -> Document | None:
            is_later = mark.generation > (document.get("keyGeneration") or 0)
            return _marked(document, mark) if document.get("isActive", True) and is_later else None

        return await self._revise(_COLLECTIONS[kind], id, change, kind)


def _marked(document: Document, mark: KeyMark) -> Document:
    kept = {name: value for name, value in document.items() if name not in _KEY_FIELDS}
    return kept | {"keyGeneration": mark.generation, "keyHint": mark.hint} | matching(keyExpiresAt=mark.expires_at)


def _with(values: Document) -> Callable[[Document], Document | None]:
    """A change to these values; None takes the field away, so that no index finds it."""

    def change(document: Document) -> Document | None:
        changed = {name: value for name, value in (document | values).items() if value is not None}
        return None if changed == document else changed

    return change


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
