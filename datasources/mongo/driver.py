"""The machinery under every collection: commands bounded in time and traced, their errors ours, documents to
records and back. The only module that knows motor, whose end of life is near: its successor,
`pymongo.AsyncMongoClient`, has the same methods.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, ClassVar, Self, TypeVar, cast

import msgspec
import pymongo
from bson import ObjectId
from bson.errors import BSONError
from motor.motor_asyncio import AsyncIOMotorClient
from pymongo import DESCENDING
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
from core.settings import MongoSettings
from datasources._breaker import Breaker
from datasources.mongo.records import Keyset, Record

R = TypeVar("R", bound=Record)
Document = dict[str, Any]

CALL_TIMEOUT_S = 5.0
FAIR_WAIT_S = 1.0
"""A caller who waits less than this and gives up says nothing about the store: its breaker does not count it."""
IDS_PER_CALL = 1000
TRIES_TO_CLAIM = 10
"""Every one but the first follows a claim that was given up at just this moment."""
TRIES_TO_REVISE = 30
"""Every lost race means that somebody else's change went in, so that this bounds how many are in front."""


class Store:
    """Every method raises BackendError when MongoDB does not answer."""

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
        # It says goodbye to the server, and waits for what it is told.
        await asyncio.to_thread(self._client.close)

    async def ping(self) -> None:
        async with self._call("ping", "admin"):
            await self._client.admin.command("ping")

    # -- reading -----------------------------------------------------------------------------------------------

    async def _by_ids(self, collection: str, into: type[R], ids: Sequence[str]) -> list[R]:
        return await self._in(collection, into, "_id", object_ids(ids))

    async def _in(self, collection: str, into: type[R], field: str, values: Sequence[Any]) -> list[R]:
        documents: list[Document] = []
        for start in range(0, len(values), IDS_PER_CALL):
            some = list(values[start : start + IDS_PER_CALL])
            async with self._call("find", collection, batch_size=len(some)):
                # One batch holds all of them, so that one read is one command.
                documents += await self._db[collection].find({field: {"$in": some}}).batch_size(10_000).to_list(None)
        return self._records(into, documents)

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

    # -- writing -----------------------------------------------------------------------------------------------

    async def _insert_new(self, collection: str, document: Mapping[str, Any], into: type[R]) -> R:
        """Insert it with an id and times of its own. Raises Conflict where another has what must be unique."""
        now = moment()
        made = to_document({**document, "createdAt": now, "updatedAt": now, "revision": 1})
        async with self._call("insert", collection):
            await self._db[collection].insert_one(made)
        return self._records(into, [made])[0]

    async def _insert_once(self, collection: str, document: Document) -> None:
        """Insert it unless its `_id` is there already. Raises Conflict where another one has what must be unique."""
        async with self._call("insert", collection):
            try:
                await self._db[collection].insert_one(dict(document))
            except DuplicateKeyError:
                if await self._db[collection].find_one({"_id": document["_id"]}, {"_id": 1}) is None:
                    raise

    async def _revise(
        self, collection: str, id: str, change: Callable[[Document], Document | None], into: type[R]
    ) -> R | None:
        """Replace a document by what `change` makes of it, as if nobody else wrote in the meantime; None from it leaves
        the document alone. None when there is none.

        Raises what `change` raises; Conflict where another document has what must be unique, or too many write at once.
        """
        key = ObjectId(id) if ObjectId.is_valid(id) else id
        for _ in range(TRIES_TO_REVISE):
            async with self._call("find", collection):
                found: Document | None = await self._db[collection].find_one({"_id": key})
            if found is None:
                return None
            revision = found.get("revision")
            changed = change(dict(found))
            if changed is None:
                return self._records(into, [found])[0]
            changed = to_document({**changed, "updatedAt": moment(), "revision": (revision or 0) + 1})
            async with self._call("update", collection):
                done = await self._db[collection].replace_one({"_id": key, "revision": revision}, changed)
            if done.matched_count:
                return self._records(into, [changed])[0]
        raise Conflict("this record is being changed by too many at once")

    async def _claim(
        self, collection: str, claim: Document, take_over: Callable[[Document], Document | None], into: type[R]
    ) -> R:
        """The claim itself if there was none of its `_id`, or what `take_over` makes of the one that is there; None
        from it leaves that to whoever has it, and it comes back. Raises Conflict when too many try at once."""
        for _ in range(TRIES_TO_CLAIM):
            try:
                return await self._insert_new(collection, claim, into)
            except Conflict:
                if there := await self._revise(collection, claim["_id"], take_over, into):
                    return there
        raise Conflict("this is being claimed by too many at once")

    # -- the machinery -----------------------------------------------------------------------------------------

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


_ID_FIELDS = frozenset(
    {"_id", "clientAppId", "clientId", "familyId", "heirId", "ownerId", "ownsFamilyId", "sharedById", "userId"}
)


def moment() -> datetime:
    """As exact as MongoDB keeps it, so that a record just written equals the one read later."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def to_document(value: Any, key: str | None = None) -> Any:
    """Hex ids of ours become ObjectIds, wherever a document holds them."""
    if isinstance(value, Mapping):
        return {name: to_document(inner, name) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [to_document(inner) for inner in value]
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


def object_ids(ids: Sequence[str]) -> list[ObjectId]:
    return [ObjectId(hex_id) for hex_id in ids if ObjectId.is_valid(hex_id)]


def one(rows: list[R]) -> R | None:
    return rows[0] if rows else None


def among(ids: Sequence[str] | None) -> Document | None:
    return None if ids is None else {"$in": object_ids(ids)}


def matching(**conditions: Any) -> Document:
    """Equality on all that are given."""
    return {field: value for field, value in conditions.items() if value is not None}


def containing(search: str | None, *fields: str) -> Document:
    if not search:
        return {}
    if "\0" in search:
        raise BadUserInput("`search` holds a character that no name has")  # MongoDB refuses it in a pattern
    pattern = {"$regex": re.escape(search), "$options": "i"}
    return {"$or": [{field: pattern} for field in fields]}
