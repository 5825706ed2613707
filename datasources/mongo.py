"""OmniStack's own records, in MongoDB. The only module that knows motor, whose end of life is near: its successor,
`pymongo.AsyncMongoClient`, has the same methods.

Documents are camelCase as the platforms' documents show them; ids are ObjectId inside and hex outside, and an id that
is no ObjectId is simply not there. A client's JSON never reaches a filter.

Only what means the same on MongoDB and on the embedded engine is used. The engine silently does something else for

- an upsert through find_one_and_update, and `$addToSet` to an array that is not there: nothing is written;
- a date or a boolean in `$set`: text or a number is stored (`$currentDate` and `$setOnInsert` are right);
- an ObjectId by equality, but for `_id`, or inside an array: nothing matches (`$in` does, and ids in arrays are text);
- an ObjectId in a count: nothing matches, so what a find gives is counted;
- a value by equality in an array that has an index, `$in` into arrays of documents, and `$ne` on arrays: the first
  and second find nothing, the third what it should not (`$in` into a flat array is right).
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from enum import Enum
from typing import Any, ClassVar, Self, TypeVar, cast

import msgspec
import pymongo
from bson import ObjectId
from bson.errors import BSONError
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import ASCENDING, DESCENDING, IndexModel
from pymongo.errors import (
    ConnectionFailure,
    DuplicateKeyError,
    ExecutionTimeout,
    NetworkTimeout,
    OperationFailure,
    PyMongoError,
    ServerSelectionTimeoutError,
)

from core import operation
from core.backends import BackendName
from core.errors import BackendBadResponse, BackendTimeout, BackendUnavailable, BadUserInput, Conflict
from core.scopes import UserRole
from core.settings import MongoSettings
from datasources._breaker import Breaker

R = TypeVar("R", bound="_Record")
Document = dict[str, Any]

CALL_TIMEOUT_S = 5.0
FAIR_WAIT_S = 1.0
"""A caller who waits less than this and gives up says nothing about the store: its breaker does not count it."""
IDS_PER_CALL = 1000


class UserStatus(Enum):
    ACTIVE = "ACTIVE"
    SUSPENDED = "SUSPENDED"
    DEACTIVATED = "DEACTIVATED"


class FamilyRole(Enum):
    OWNER = "OWNER"
    ADULT = "ADULT"
    CHILD = "CHILD"


class MessageStatus(Enum):
    """Of a message in the outbox. SENDING that is found by a second attempt is UNKNOWN: nobody saw an answer."""

    SENDING = "SENDING"
    SENT = "SENT"
    FAILED = "FAILED"
    UNKNOWN = "UNKNOWN"


class _Record(msgspec.Struct, frozen=True, rename="camel"):
    """Base of what the collections hold."""


class _Stored(_Record, frozen=True, kw_only=True):
    id: str = msgspec.field(name="_id")
    created_at: datetime
    updated_at: datetime


class PointRecord(_Record, frozen=True):
    latitude: float
    longitude: float


class PlaceRecord(_Record, frozen=True):
    name: str | None = None
    street: str | None = None
    city: str | None = None
    postal_code: str | None = None
    country: str | None = None
    phone: str | None = None
    location: PointRecord | None = None


class BackendScopeRecord(_Record, frozen=True):
    medusa_sales_channel_ids: tuple[str, ...] = ()
    medusa_region_id: str | None = None
    erp_company: str | None = None
    erp_warehouse: str | None = None
    strapi_customer_ids: tuple[str, ...] = ()
    payload_tenant: str | None = None
    pickup: PlaceRecord | None = None


class ClientAppRecord(_Stored, frozen=True, kw_only=True):
    """A platform, such as BookMaster."""

    name: str
    scopes: tuple[str, ...]
    is_active: bool = True
    is_server_side: bool = False
    key_hint: str | None = None
    key_expires_at: datetime | None = None


class ClientRecord(_Stored, frozen=True, kw_only=True):
    """A company that uses a platform. `code` and `external_id` are unique per client app."""

    name: str
    code: str
    client_app_id: str
    external_id: str | None = None
    default_currency: str = "EUR"
    is_active: bool = True
    key_hint: str | None = None
    key_expires_at: datetime | None = None
    backend_scope: BackendScopeRecord | None = None


class LinkedAccountsRecord(_Record, frozen=True):
    medusa_customer_id: str | None = None
    stripe_customer_id: str | None = None
    erp_customer_id: str | None = None
    wallet_id: str | None = None
    fleetbase_contact_id: str | None = None


class StaffAccessRecord(_Record, frozen=True):
    permissions: tuple[str, ...]
    granted_at: datetime


class UserRecord(_Stored, frozen=True, kw_only=True):
    """A person. `medusa_customer_ids` are all of theirs in Medusa: the linked account and those that carts made."""

    client_id: str
    email: str
    name: str
    phone: str | None = None
    role: UserRole = UserRole.CUSTOMER
    status: UserStatus = UserStatus.ACTIVE
    linked_accounts: LinkedAccountsRecord = LinkedAccountsRecord()
    medusa_customer_ids: tuple[str, ...] = ()
    staff_access: StaffAccessRecord | None = None
    family_id: str | None = None


class FamilyMemberRecord(_Record, frozen=True):
    user_id: str
    role: FamilyRole
    joined_at: datetime


class FamilyBenefitRecord(_Record, frozen=True):
    """`percent_off` is a decimal number as text; no Decimal128 in the embedded engine."""

    code: str
    name: str
    shared_by_id: str
    percent_off: str | None = None
    valid_until: datetime | None = None


class FamilyRecord(_Stored, frozen=True, kw_only=True):
    client_id: str
    name: str
    members: tuple[FamilyMemberRecord, ...] = ()
    benefits: tuple[FamilyBenefitRecord, ...] = ()


class KeyRecord(_Record, frozen=True, kw_only=True):
    """An API key by its hash. `owner_kind` is `client_app` or `client`."""

    hash: str = msgspec.field(name="_id")
    owner_kind: str
    owner_id: str
    expires_at: datetime | None = None
    revoked_at: datetime | None = None


class OwnershipRecord(_Record, frozen=True, kw_only=True):
    """Whose a row is that the gateway created in a backend."""

    backend: str
    row_id: str
    client_id: str | None = None
    user_id: str | None = None
    created_at: datetime


class MessageRecord(_Record, frozen=True, kw_only=True):
    """A mail or text message in the outbox, by its key."""

    key: str = msgspec.field(name="_id")
    status: MessageStatus
    provider_id: str | None = None
    detail: str | None = None


class Keyset(msgspec.Struct, frozen=True):
    """Where a page begins: behind the row of this creation time and id."""

    created_at: datetime
    id: str


# No index names `_id`: the embedded engine then refuses every write. Rows of one instant are few.
_COLLECTIONS: dict[str, list[IndexModel]] = {
    "client_apps": [IndexModel([("createdAt", DESCENDING)])],
    "clients": [
        IndexModel([("clientAppId", ASCENDING), ("code", ASCENDING)], unique=True),
        IndexModel(
            [("clientAppId", ASCENDING), ("externalId", ASCENDING)],
            unique=True,
            partialFilterExpression={"externalId": {"$exists": True}},
        ),
        IndexModel([("createdAt", DESCENDING)]),
    ],
    "users": [
        IndexModel([("clientId", ASCENDING), ("email", ASCENDING)], unique=True),
        IndexModel([("clientId", ASCENDING), ("createdAt", DESCENDING)]),
        IndexModel([("createdAt", DESCENDING)]),
        IndexModel([("medusaCustomerIds", ASCENDING)]),
        IndexModel([("linkedAccounts.erpCustomerId", ASCENDING)]),
        IndexModel([("linkedAccounts.stripeCustomerId", ASCENDING)]),
        IndexModel([("familyId", ASCENDING)]),
    ],
    "families": [
        IndexModel([("clientId", ASCENDING), ("createdAt", DESCENDING)]),
        IndexModel([("memberIds", ASCENDING)]),
    ],
    "keys": [IndexModel([("ownerId", ASCENDING)])],
    "ownership": [
        IndexModel([("backend", ASCENDING), ("rowId", ASCENDING)], unique=True),
        IndexModel([("backend", ASCENDING), ("clientId", ASCENDING), ("createdAt", DESCENDING)]),
        IndexModel([("backend", ASCENDING), ("userId", ASCENDING), ("createdAt", DESCENDING)]),
    ],
    "outbox": [IndexModel([("status", ASCENDING)])],
}


class Mongo:
    """The core store. Every method raises BackendError when MongoDB does not answer."""

    name: ClassVar[BackendName] = BackendName.OMNISTACK

    def __init__(self, client: AsyncIOMotorClient[Document], database: str) -> None:
        self._client = client
        self._db = client[database]
        self.breaker = Breaker()

    @classmethod
    def open(cls, settings: MongoSettings, uri: str, *, event_listeners: Sequence[Any] = ()) -> Self:
        """`event_listeners` are pymongo's monitors; tests count commands with them."""
        client: AsyncIOMotorClient[Document] = AsyncIOMotorClient(
            uri,
            tz_aware=True,
            serverSelectionTimeoutMS=3000,
            maxPoolSize=50,
            w="majority",
            appname="omnistack-gateway",
            event_listeners=list(event_listeners),
        )
        return cls(client, settings.database)

    async def aclose(self) -> None:
        self._client.close()

    async def ping(self) -> None:
        async with self._call("ping", "admin"):
            await self._client.admin.command("ping")

    async def prepare(self) -> None:
        """Make collections and indexes; safe to repeat and with several workers starting at once."""
        for name, indexes in _COLLECTIONS.items():
            async with self._call("createIndexes", name, timeout_s=30):
                await self._db[name].create_indexes(indexes)

    async def is_empty(self) -> bool:
        async with self._call("find", "client_apps"):
            return await self._db.client_apps.find_one({}, {"_id": 1}) is None

    async def insert(self, documents: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        """Documents by collection, `_id` and every `…Id` of ours as hex. Those that are there already are left
        alone, so a seeding that was cut off can be repeated.

        Raises Conflict where another document has what must be unique.
        """
        for name, rows in documents.items():
            for row in rows:
                await self._insert_once(name, _to_document(row))

    # -- reading by key ----------------------------------------------------------------------------------------

    async def client_app(self, id: str) -> ClientAppRecord | None:
        return _one(await self._by_ids("client_apps", ClientAppRecord, [id]))

    async def client_apps_by_ids(self, ids: Sequence[str]) -> list[ClientAppRecord]:
        return await self._by_ids("client_apps", ClientAppRecord, ids)

    async def client(self, id: str) -> ClientRecord | None:
        return _one(await self._by_ids("clients", ClientRecord, [id]))

    async def clients_by_ids(self, ids: Sequence[str]) -> list[ClientRecord]:
        return await self._by_ids("clients", ClientRecord, ids)

    async def user(self, id: str) -> UserRecord | None:
        return _one(await self._by_ids("users", UserRecord, [id]))

    async def users_by_ids(self, ids: Sequence[str]) -> list[UserRecord]:
        return await self._by_ids("users", UserRecord, ids)

    async def users_by_medusa_customer_ids(self, ids: Sequence[str]) -> list[UserRecord]:
        """One row may answer several of the ids."""
        return await self._in("users", UserRecord, "medusaCustomerIds", list(ids))

    async def users_by_erp_customer_ids(self, ids: Sequence[str]) -> list[UserRecord]:
        return await self._in("users", UserRecord, "linkedAccounts.erpCustomerId", list(ids))

    async def families_by_ids(self, ids: Sequence[str]) -> list[FamilyRecord]:
        return await self._by_ids("families", FamilyRecord, ids)

    async def key(self, hash: str) -> KeyRecord | None:
        async with self._call("find", "keys"):
            document = await self._db["keys"].find_one({"_id": hash})
        return self._record(KeyRecord, document)

    # -- pages, newest first -----------------------------------------------------------------------------------

    async def client_apps(
        self, *, limit: int, after: Keyset | None = None, ids: Sequence[str] | None = None
    ) -> list[ClientAppRecord]:
        return await self._page("client_apps", ClientAppRecord, _filter(_id=_among(ids)), limit, after)

    async def count_client_apps(self, *, ids: Sequence[str] | None = None) -> int:
        return await self._count("client_apps", _filter(_id=_among(ids)))

    async def clients(self, *, limit: int, after: Keyset | None = None, **filter: Any) -> list[ClientRecord]:
        """`filter` as for `count_clients`."""
        return await self._page("clients", ClientRecord, _client_filter(**filter), limit, after)

    async def count_clients(self, **filter: Any) -> int:
        """Of these `ids`, `app_ids` (None: all), this `external_id`, `code`, `is_active`, `search` in name or code."""
        return await self._count("clients", _client_filter(**filter))

    async def users(self, *, limit: int, after: Keyset | None = None, **filter: Any) -> list[UserRecord]:
        """`filter` as for `count_users`."""
        return await self._page("users", UserRecord, _user_filter(**filter), limit, after)

    async def count_users(self, **filter: Any) -> int:
        """Of these `ids`, `client_ids` (None: all), `role`, `status`, `search` in name or e-mail address."""
        return await self._count("users", _user_filter(**filter))

    async def families(self, *, limit: int, after: Keyset | None = None, **filter: Any) -> list[FamilyRecord]:
        """`filter` as for `count_families`."""
        return await self._page("families", FamilyRecord, _family_filter(**filter), limit, after)

    async def count_families(self, **filter: Any) -> int:
        """Of these `client_ids` (None: all), with this `member_id`."""
        return await self._count("families", _family_filter(**filter))

    # -- whose is what -----------------------------------------------------------------------------------------

    async def add_medusa_customer_id(self, user_id: str, customer_id: str) -> None:
        """Remember a customer that a cart of this user made in Medusa. Every user's document has the array."""
        if not ObjectId.is_valid(user_id):
            return
        async with self._call("update", "users"):
            await self._db.users.update_one(
                {"_id": ObjectId(user_id)},
                {"$addToSet": {"medusaCustomerIds": customer_id}, "$currentDate": {"updatedAt": True}},
            )

    async def record_ownership(self, backend: BackendName, id: str, client_id: str | None, user_id: str | None) -> None:
        """Remember whose this row is; the first word stays."""
        row = {
            "_id": f"{backend.name}:{id}",
            "backend": backend.name,
            "rowId": id,
            "clientId": client_id,
            "userId": user_id,
            "createdAt": datetime.now(UTC),
        }
        await self._insert_once("ownership", _to_document(row))

    async def owner(self, backend: BackendName, id: str) -> OwnershipRecord | None:
        return _one(await self.owners(backend, [id]))

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
    ) -> list[OwnershipRecord]:
        """What these clients or this user own in a backend, newest first, recorded before that moment."""
        user_ids = None if user_id is None else [user_id]
        conditions = _filter(
            backend=backend.name,
            clientId=_among(client_ids),
            userId=_among(user_ids),
            createdAt=None if before is None else {"$lt": before},
        )
        return await self._page("ownership", OwnershipRecord, conditions, limit, None)

    # -- the outbox: messages that go out at most once ---------------------------------------------------------

    async def claim_message(self, key: str) -> MessageRecord:
        """The right to send this message. The first caller gets SENDING; a later one the state it found, where
        SENDING has become UNKNOWN, because the first never told how it ended."""
        async with self._call("insert", "outbox"):
            try:
                now = datetime.now(UTC)
                await self._db.outbox.insert_one({"_id": key, "status": MessageStatus.SENDING.value, "createdAt": now})
            except DuplicateKeyError:
                pass
            else:
                return MessageRecord(key=key, status=MessageStatus.SENDING)
        async with self._call("update", "outbox"):
            await self._db.outbox.update_one(
                {"_id": key, "status": MessageStatus.SENDING.value}, {"$set": {"status": MessageStatus.UNKNOWN.value}}
            )
        found = _one(await self._in("outbox", MessageRecord, "_id", [key]))
        return found or MessageRecord(key=key, status=MessageStatus.UNKNOWN)

    async def settle_message(
        self, key: str, status: MessageStatus, *, provider_id: str | None = None, detail: str | None = None
    ) -> None:
        """How sending ended. A message that is SENT stays SENT."""
        async with self._call("update", "outbox"):
            await self._db.outbox.update_one(
                {"_id": key, "status": {"$in": [MessageStatus.SENDING.value, MessageStatus.UNKNOWN.value]}},
                {
                    "$set": {"status": status.value, "providerId": provider_id, "detail": detail},
                    "$currentDate": {"settledAt": True},
                },
            )

    # -- the machinery -----------------------------------------------------------------------------------------

    async def _by_ids(self, collection: str, into: type[R], ids: Sequence[str]) -> list[R]:
        return await self._in(collection, into, "_id", _object_ids(ids))

    async def _in(self, collection: str, into: type[R], field: str, values: Sequence[Any]) -> list[R]:
        documents: list[Document] = []
        for start in range(0, len(values), IDS_PER_CALL):
            some = list(values[start : start + IDS_PER_CALL])
            async with self._call("find", collection, batch_size=len(some)):
                # One batch holds all of them, so that one read is one command.
                documents += await self._db[collection].find({field: {"$in": some}}).batch_size(10_000).to_list(None)
        return self._records(into, documents)

    async def _insert_once(self, collection: str, document: Document) -> None:
        """Insert it unless its `_id` is there already. Raises Conflict where another one has what must be unique."""
        async with self._call("insert", collection):
            try:
                await self._db[collection].insert_one(dict(document))
            except DuplicateKeyError:
                if await self._db[collection].find_one({"_id": document["_id"]}, {"_id": 1}) is None:
                    raise

    async def _page(
        self, collection: str, into: type[R], conditions: Document, limit: int, after: Keyset | None
    ) -> list[R]:
        if after is not None:
            if not ObjectId.is_valid(after.id):
                return []
            behind = [
                {"createdAt": {"$lt": after.created_at}},
                {"createdAt": after.created_at, "_id": {"$lt": ObjectId(after.id)}},
            ]
            conditions = {"$and": [conditions, {"$or": behind}]}
        async with self._call("find", collection):
            found = self._db[collection].find(conditions).sort([("createdAt", DESCENDING), ("_id", DESCENDING)])
            documents = await found.limit(limit).batch_size(limit + 1).to_list(limit)
        return self._records(into, documents)

    async def _count(self, collection: str, conditions: Document) -> int:
        if not _has_object_ids(conditions):
            async with self._call("aggregate", collection):
                return await self._db[collection].count_documents(conditions)
        async with self._call("find", collection):
            # From an index, and in one batch up to half a million.
            found = self._db[collection].find(conditions, {"_id": 1}).batch_size(1_000_000)
            return len(await found.to_list(None))

    def _records(self, into: type[R], documents: Sequence[Document]) -> list[R]:
        return [cast("R", self._record(into, document)) for document in documents]

    def _record(self, into: type[R], document: Document | None) -> R | None:
        if document is None:
            return None
        try:
            return msgspec.convert(_from_document(document), into)
        except msgspec.ValidationError as exc:
            raise BackendBadResponse(self.name, f"a stored record has another shape than expected: {exc}") from exc

    @asynccontextmanager
    async def _call(
        self, command: str, collection: str, *, batch_size: int | None = None, timeout_s: float = CALL_TIMEOUT_S
    ) -> AsyncIterator[None]:
        """One command: bounded in time, traced, its errors ours."""
        running = operation.current()
        left = running.remaining_s()
        limit = timeout_s if left is None else min(timeout_s, left)
        if limit <= 0:
            raise BackendTimeout(self.name, "no time was left to ask the core store")
        started = time.perf_counter()
        if not self.breaker.admits():
            raise BackendUnavailable(
                self.name,
                "the core store has failed repeatedly and is left alone",
                retry_after_s=self.breaker.retry_after_s,
            )
        try:
            # The driver's own timeout as well: it works in threads, which nothing else would end.
            with pymongo.timeout(limit):
                async with asyncio.timeout(limit):
                    yield
        except (TimeoutError, NetworkTimeout, ExecutionTimeout) as exc:
            if limit < FAIR_WAIT_S:
                self.breaker.abandoned()
            else:
                self.breaker.failed()
            raise BackendTimeout(self.name, "the core store did not answer in time") from exc
        except (ServerSelectionTimeoutError, ConnectionFailure) as exc:
            self.breaker.failed()
            raise BackendUnavailable(self.name, "the core store cannot be reached") from exc
        except DuplicateKeyError as exc:
            self.breaker.succeeded()
            raise Conflict("a record with this identity exists already") from exc
        except (BSONError, UnicodeError, OverflowError) as exc:
            self.breaker.abandoned()
            raise BadUserInput("a value cannot be stored or searched for: it is no valid text or number") from exc
        except OperationFailure as exc:
            self.breaker.succeeded()  # it answers, and says that the mistake is ours
            raise BackendBadResponse(self.name, "the core store refused a command") from exc
        except PyMongoError as exc:
            self.breaker.failed()
            raise BackendBadResponse(self.name, "the core store refused a command") from exc
        except BaseException:
            self.breaker.abandoned()
            raise
        else:
            self.breaker.succeeded()
        finally:
            ms = round((time.perf_counter() - started) * 1000, 2)
            running.calls.append(operation.UpstreamCall(self.name, command, collection, None, ms, batch_size))


_ID_FIELDS = frozenset({"_id", "clientAppId", "clientId", "familyId", "userId", "sharedById", "ownerId"})


def _to_document(value: Any, key: str | None = None) -> Any:
    """Hex ids of ours become ObjectIds, wherever a document holds them."""
    if isinstance(value, Mapping):
        return {name: _to_document(inner, name) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_to_document(inner) for inner in value]
    if key in _ID_FIELDS and isinstance(value, str) and ObjectId.is_valid(value):
        return ObjectId(value)
    return value


def _from_document(value: Any) -> Any:
    if isinstance(value, ObjectId):
        return str(value)
    if isinstance(value, dict):
        return {name: _from_document(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_from_document(inner) for inner in value]
    return value


def _has_object_ids(conditions: Document) -> bool:
    return any(
        isinstance(condition, dict) and any(isinstance(value, ObjectId) for value in condition.get("$in", ()))
        for condition in conditions.values()
    )


def _object_ids(ids: Sequence[str]) -> list[ObjectId]:
    return [ObjectId(hex_id) for hex_id in ids if ObjectId.is_valid(hex_id)]


def _one(rows: list[R]) -> R | None:
    return rows[0] if rows else None


def _among(ids: Sequence[str] | None) -> Document | None:
    return None if ids is None else {"$in": _object_ids(ids)}


def _filter(**conditions: Any) -> Document:
    """Equality on all that are given."""
    return {field: value for field, value in conditions.items() if value is not None}


def _containing(search: str | None, *fields: str) -> Document:
    if not search:
        return {}
    if "\0" in search:
        raise BadUserInput("`search` holds a character that no name has")  # MongoDB refuses it in a pattern
    pattern = {"$regex": re.escape(search), "$options": "i"}
    return {"$or": [{field: pattern} for field in fields]}


def _client_filter(
    *,
    ids: Sequence[str] | None = None,
    app_ids: Sequence[str] | None = None,
    external_id: str | None = None,
    code: str | None = None,
    is_active: bool | None = None,
    search: str | None = None,
) -> Document:
    conditions = _filter(
        _id=_among(ids), clientAppId=_among(app_ids), externalId=external_id, code=code, isActive=is_active
    )
    return conditions | _containing(search, "name", "code")


def _user_filter(
    *,
    ids: Sequence[str] | None = None,
    client_ids: Sequence[str] | None = None,
    role: UserRole | None = None,
    status: UserStatus | None = None,
    search: str | None = None,
) -> Document:
    conditions = _filter(
        _id=_among(ids),
        clientId=_among(client_ids),
        role=role.value if role else None,
        status=status.value if status else None,
    )
    return conditions | _containing(search, "name", "email")


def _family_filter(*, client_ids: Sequence[str] | None = None, member_id: str | None = None) -> Document:
    members = None if member_id is None else {"$in": [member_id]}
    return _filter(clientId=_among(client_ids), memberIds=members)
