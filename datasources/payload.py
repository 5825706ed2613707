"""Payload CMS: published content, and the documents in which the gateway mirrors other backends' rows.

Who shows Payload a wrong key is not refused but anonymous, and gets what is public: so the key is checked before it is
relied on, and again every minute. A list without a limit has ten rows and relations come as whole documents unless
`depth` says otherwise, so that both are always said. A number that is none makes a 500 of an id, so such ids are not
asked for. Filters are sent in brackets, whose parser passes over what is too deep or too much without a word.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, Self, TypeVar
from urllib.parse import urlencode

import httpx
import msgspec

from core.backends import BackendName
from core.errors import BackendBadResponse, BackendRejected, BadUserInput
from core.settings import PayloadSettings
from datasources._http import Answer, HttpBackend, Limits, Query, open_client
from datasources._payload_records import (
    MIRROR_KEY,
    ChangedDocument,
    ChangedDocuments,
    Document,
    DocumentRecord,
    DocumentsPage,
    ErrorBody,
    ErrorData,
    EventRecord,
    Me,
    Mirror,
    MirrorRecord,
    PageRecord,
    Rows,
    ServiceRecord,
    Where,
    shown,
)

__all__ = ["DocumentRecord", "EventRecord", "Mirror", "MirrorRecord", "PageRecord", "Payload", "Rows", "ServiceRecord"]

T = TypeVar("T")
R = TypeVar("R", bound=msgspec.Struct)

MAX_KEYS = 100
"""Of one call."""
TRUSTED_S = 60.0
"""For so long a key that was recognised is relied on."""
LONGEST_QUERY = 4000
"""Bytes of a request line's query; what is longer travels in a body."""
MOST_PAIRS, DEEPEST = 900, 10
"""Parameters and levels of brackets that Payload's parser reads, with room for what is not a filter."""
LARGEST_ID = 2**31 - 1
PAGES, SERVICES, EVENTS = "pages", "services", "events"
PUBLISHED = "published"
STATUS_FIELDS = ("_status", "status")
"""Where a document says whether it is published: Payload's own field in a collection with drafts, else the editors'."""
_NEWEST_FIRST = "-createdAt,-id"


class Payload(HttpBackend):
    """The content. `tenants` are the tenants whose documents are wanted; None: everybody's. Every method raises
    BackendError."""

    name: ClassVar[BackendName] = BackendName.PAYLOAD

    def __init__(
        self,
        client: httpx.AsyncClient,
        settings: PayloadSettings,
        limits: Limits | None = None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(client, limits or Limits(timeout_s=settings.timeout_s))
        self._accounts, self._tenant_field = settings.auth_collection, settings.tenant_field
        if settings.outbound_api_key is not None:
            key = settings.outbound_api_key.get_secret_value()
            client.headers["Authorization"] = f"{self._accounts} API-Key {key}"
        self.collections = settings.collections
        """What callers may read."""
        self._clock = clock
        self._trusted_until = 0.0
        self._ids_are_numbers: bool | None = None
        self._status_fields: dict[str, str] = {}

    @classmethod
    def open(cls, settings: PayloadSettings) -> Self:
        """Raises ValueError without address or key."""
        if settings.url is None or settings.outbound_api_key is None:
            raise ValueError("PAYLOAD_URL and PAYLOAD_OUTBOUND_API_KEY are needed")
        # Messages are in the caller's language unless one is asked for.
        return cls(open_client(str(settings.url), {"Accept-Language": "en"}), settings)

    async def ping(self) -> None:
        """`GET /api/{accounts}/me`"""
        await self._ask_who_we_are()

    # -- content -----------------------------------------------------------------------------------------------

    async def documents(
        self,
        collection: str,
        *,
        limit: int,
        offset: int = 0,
        where: Where | None = None,
        tenants: Sequence[str] | None = None,
    ) -> Rows[DocumentRecord]:
        """Published ones, newest first. `GET /api/{collection}`, twice where `offset` fits no page of the wire.

        Raises: BackendRejected for a path in `where` that the collection has not, BadUserInput for a filter beyond
        what Payload's parser reads.
        """
        docs, count = await self._slice(collection, where, tenants, limit=limit, offset=offset)
        return Rows(rows=[self._record(collection, doc) for doc in docs], count=count)

    async def documents_by_ids(
        self, collection: str, ids: Sequence[str], *, tenants: Sequence[str] | None = None
    ) -> list[DocumentRecord]:
        """Published ones, in any order, absent ones left out. `GET /api/{collection}?where[id][in]`, once per 100."""
        docs = await self._by_keys(collection, "id", ids, tenants)
        return [self._record(collection, doc) for doc in docs]

    async def pages_by_slugs(self, slugs: Sequence[str], *, tenants: Sequence[str] | None = None) -> list[PageRecord]:
        """Published ones, in any order; one slug may be of several tenants. `GET /api/pages?where[slug][in]`, once per
        100."""
        docs = await self._by_keys(PAGES, "slug", slugs, tenants)
        return [self._page(doc) for doc in docs]

    async def pages(self, *, limit: int, offset: int = 0, tenants: Sequence[str] | None = None) -> Rows[PageRecord]:
        """As `documents`."""
        docs, count = await self._slice(PAGES, None, tenants, limit=limit, offset=offset)
        return Rows(rows=[self._page(doc) for doc in docs], count=count)

    # -- what can be booked ------------------------------------------------------------------------------------

    async def service_by_slug(self, slug: str, *, tenants: Sequence[str] | None = None) -> ServiceRecord | None:
        """The newest that is published; None for none. `GET /api/services?where[slug][in]`"""
        return self._only(ServiceRecord, await self._by_keys(SERVICES, "slug", [slug], tenants))

    async def event_by_slug(self, slug: str, *, tenants: Sequence[str] | None = None) -> EventRecord | None:
        """The newest that is published; None for none. `GET /api/events?where[slug][in]`"""
        return self._only(EventRecord, await self._by_keys(EVENTS, "slug", [slug], tenants))

    # -- mirrored rows -----------------------------------------------------------------------------------------

    async def mirrored(self, mirror: Mirror, key: str) -> MirrorRecord | None:
        """What the mirror says of a row, None when it says nothing. `GET /api/{collection}?where[gatewayId][equals]`"""
        found = await self._find(mirror.value, _with_key(key), size=1, pages=[1])
        return next((MirrorRecord(key=key, data=doc) for doc in found.docs), None)

    async def mirror(self, mirror: Mirror, key: str, fields: Mapping[str, Any]) -> MirrorRecord:
        """Make what the mirror says of a row equal to these fields; others stay. Safe to repeat, and for several at a
        time: the key is unique. `PATCH /api/{collection}?where[gatewayId][equals]`, else `POST`

        Raises: BackendBadResponse for a field that Payload passed over, which it does with what it does not know.
        """
        written = {**fields, MIRROR_KEY: key}
        doc = await self._update_mirror(mirror, key, written)
        if doc is None:
            try:
                doc = await self._create_mirror(mirror, written)
            except BackendRejected as exc:
                if exc.reason != f"taken {MIRROR_KEY}":
                    raise
                # Somebody was quicker, or an answer of ours was lost.
                doc = await self._update_mirror(mirror, key, written)
                if doc is None:
                    raise
        missing = [name for name, value in written.items() if value is not None and doc.get(name) is None]
        if missing:
            raise BackendBadResponse(self.name, f"payload keeps no {', '.join(missing)} in {mirror.value}")
        return MirrorRecord(key=key, data=doc)

    async def forget_mirrored(self, mirror: Mirror, key: str) -> None:
        """Fine when it is not there. `DELETE /api/{collection}?where[gatewayId][equals]`"""
        await self._known()
        query = [("depth", 0), *_pairs(_with_key(key))]
        await self.keyed_write(
            "DELETE", "/api/{collection}", ChangedDocuments, args={"collection": mirror.value}, query=query
        )

    async def _update_mirror(self, mirror: Mirror, key: str, fields: Document) -> Document | None:
        """None when there is nothing to update."""
        await self._known()
        query = [("depth", 0), *_pairs(_with_key(key))]
        changed = await self.keyed_write(
            "PATCH", "/api/{collection}", ChangedDocuments, args={"collection": mirror.value}, query=query, json=fields
        )
        return changed.docs[0] if changed.docs else None

    async def _create_mirror(self, mirror: Mirror, fields: Document) -> Document:
        made = await self.keyed_write(
            "POST",
            "/api/{collection}",
            ChangedDocument,
            args={"collection": mirror.value},
            query=[("depth", 0)],
            json=fields,
        )
        return made.doc

    # -- how it is asked ---------------------------------------------------------------------------------------

    async def _slice(
        self, collection: str, where: Where | None, tenants: Sequence[str] | None, *, limit: int, offset: int
    ) -> tuple[list[Document], int]:
        """So many published documents behind an offset, and how many the whole list has."""
        size, pages = covering(offset, limit)
        found = await self._published(collection, where, tenants, size=size, pages=pages)
        start = offset - (pages[0] - 1) * size
        return found.docs[start : start + limit], found.total

    async def _by_keys(
        self, collection: str, path: str, keys: Sequence[str], tenants: Sequence[str] | None
    ) -> list[Document]:
        """Published documents that have one of these values, newest first within each chunk."""
        wanted = list(dict.fromkeys(keys))
        chunks = [wanted[start : start + MAX_KEYS] for start in range(0, len(wanted), MAX_KEYS)]
        answers = await asyncio.gather(
            # Unlimited: one slug may be of many tenants, and a limit of as many rows as keys would cut some off.
            *(self._published(collection, {path: {"in": chunk}}, tenants, size=0, pages=[1]) for chunk in chunks)
        )
        found = [doc for answer in answers for doc in answer.docs]
        if any(str(doc.get(path)) not in keys for doc in found):
            raise self._unasked(collection)
        return found

    async def _published(
        self, collection: str, where: Where | None, tenants: Sequence[str] | None, *, size: int, pages: Sequence[int]
    ) -> DocumentsPage:
        """As `_find`, of documents that are published and these tenants'. Raises also: BackendRejected for a collection
        that does not tell drafts from what is published."""
        if tenants is not None and not tenants:
            return DocumentsPage(docs=[], total=0)
        known = self._status_fields.get(collection)
        for field in STATUS_FIELDS if known is None else (known,):
            conditions: list[Where] = [{field: {"equals": PUBLISHED}}]
            if tenants is not None:
                conditions.append({self._tenant_field: {"in": list(tenants)}})
            if where is not None:
                conditions += where["and"] if where.keys() == {"and"} else [where]
            try:
                found = await self._find(collection, {"and": conditions}, size=size, pages=pages)
            except BackendRejected as exc:
                if exc.reason != f"unknown {field}":
                    raise
                self._status_fields.pop(collection, None)
                continue
            self._status_fields[collection] = field
            self._check(collection, found.docs, field, tenants)
            return found
        raise BackendRejected(
            self.name,
            f"payload's collection {collection} does not tell drafts from published documents: switch its drafts on",
            status=400,
            reason="no_drafts",
        )

    def _check(self, collection: str, docs: Sequence[Document], field: str, tenants: Sequence[str] | None) -> None:
        """Raises BackendBadResponse for a document that no filter of ours lets through."""
        is_plain = "." not in self._tenant_field
        for doc in docs:
            is_theirs = tenants is None or not is_plain or str(doc.get(self._tenant_field)) in tenants
            if doc.get(field) != PUBLISHED or not is_theirs:
                raise self._unasked(collection)

    def _unasked(self, collection: str) -> BackendBadResponse:
        return BackendBadResponse(self.name, f"payload answered documents of {collection} that were not asked for")

    async def _find(self, collection: str, where: Where, *, size: int, pages: Sequence[int]) -> DocumentsPage:
        """These pages of a list, put together. `size` 0: all of it."""
        await self._known()
        possible = self._possible(where)
        if possible is None:
            return DocumentsPage(docs=[], total=0)
        fixed: Query = [("depth", 0), ("limit", size), ("sort", _NEWEST_FIRST), *_pairs(possible)]
        found = await asyncio.gather(*(self._list(collection, [*fixed, ("page", page)]) for page in pages))
        # Between two pages a list may move on by a row.
        docs = {str(doc.get("id")): doc for page in found for doc in page.docs}
        return DocumentsPage(docs=list(docs.values()), total=found[-1].total)

    async def _list(self, collection: str, query: Query) -> DocumentsPage:
        args = {"collection": collection}
        if len(urlencode(query)) <= LONGEST_QUERY:
            return await self.read("GET", "/api/{collection}", DocumentsPage, args=args, query=query)
        override = {"X-HTTP-Method-Override": "GET"}
        return await self.read("POST", "/api/{collection}", DocumentsPage, args=args, form=query, headers=override)

    def _possible(self, where: Where) -> Where | None:
        """A filter without ids that the site's database cannot read, None if that leaves nothing to find."""
        [(name, value)] = where.items()
        if name in ("and", "or"):
            parts = [self._possible(part) for part in value]
            left = [part for part in parts if part is not None]
            return None if not left or (name == "and" and len(left) < len(parts)) else {name: left}
        if name != "id":
            return None if value.get("in") == [] else where
        [(operator, operand)] = value.items()
        ids = [each for each in (operand if operator == "in" else [operand]) if self._can_be_known(str(each))]
        return {"id": {"in": ids}} if ids else None

    def _can_be_known(self, id: str) -> bool:
        if self._ids_are_numbers:
            return id.isascii() and id.isdigit() and int(id) <= LARGEST_ID
        return id.isascii() and id.replace("-", "").isalnum()

    # -- who we are --------------------------------------------------------------------------------------------

    async def _known(self) -> None:
        """Make sure that Payload knows our key. Raises BackendRejected when it does not."""
        if self._clock() < self._trusted_until:
            return
        if self._ids_are_numbers is not None:
            # It was known before: one asks again, the others need not wait for that.
            self._trusted_until = self._clock() + TRUSTED_S
        await self._ask_who_we_are()

    async def _ask_who_we_are(self) -> None:
        try:
            me = await self.read("GET", "/api/{accounts}/me", Me, args={"accounts": self._accounts})
        except BaseException:
            self._trusted_until = 0.0
            raise
        if me.user is None:
            self._trusted_until = 0.0
            raise BackendRejected(
                self.name,
                "payload does not accept the gateway's credentials: its configuration is wrong",
                status=401,
                reason="anonymous",
            )
        self._ids_are_numbers = isinstance(me.user.id, int)
        self._trusted_until = self._clock() + TRUSTED_S

    def refusal(self, answer: Answer) -> tuple[str, str | None]:
        """Reasons are `unknown {path}` for a filter, `taken {path}` and `invalid` for a document, `forbidden`,
        `not_found` and `no_route`. Names of errors are minified and say nothing."""
        if answer.status == 403:
            # Perhaps the key is not what it was.
            self._trusted_until = 0.0
            return "payload does not allow the gateway this: its account lacks access", "forbidden"
        try:
            said = msgspec.json.decode(answer.body, type=ErrorBody)
        except (msgspec.DecodeError, UnicodeDecodeError):
            said = ErrorBody()
        if not said.errors:
            return ("payload has no such collection", "no_route") if answer.status == 404 else super().refusal(answer)
        message, data = said.errors[0].message, said.errors[0].data
        if answer.status == 404:
            return message, "not_found"
        if isinstance(data, ErrorData) and data.errors:
            told = "; ".join(f"{problem.path}: {problem.message}" for problem in data.errors)
            taken = [problem.path for problem in data.errors if "unique" in problem.message]
            return f"{message} ({told})", f"taken {taken[0]}" if taken else "invalid"
        if isinstance(data, list) and data:
            return message, f"unknown {data[0].path}"
        return message, None

    # -- what it answers ---------------------------------------------------------------------------------------

    def _record(self, collection: str, doc: Document) -> DocumentRecord:
        cleaned = shown(doc)
        status = next((doc[field] for field in STATUS_FIELDS if field in doc), None)
        title = doc.get("title", doc.get("name"))
        head = {**doc, "collection": collection, "status": status, "title": title, "data": cleaned}
        return self._converted(head, DocumentRecord)

    def _page(self, doc: Document) -> PageRecord:
        slug = doc.get("slug") or ""
        head = {"slug": slug, "title": doc.get("title") or slug, "status": doc.get("_status", doc.get("status"))}
        return self._converted({**doc, **head, "collection": PAGES, "data": shown(doc)}, PageRecord)

    def _only(self, kind: type[R], docs: Sequence[Document]) -> R | None:
        return self._converted(docs[0], kind) if docs else None

    def _converted(self, doc: Document, kind: type[R]) -> R:
        try:
            return msgspec.convert(doc, kind)
        except msgspec.ValidationError as exc:
            raise BackendBadResponse(self.name, f"payload answered something unexpected: {exc}") from exc


def covering(offset: int, limit: int) -> tuple[int, list[int]]:
    """The size and the numbers, from 1, of the pages that hold rows `offset` to `offset + limit` of a list: one page
    where a size of less than twice the limit makes that possible, else two."""
    for size in range(limit, 2 * limit):
        if offset // size == (offset + limit - 1) // size:
            return size, [offset // size + 1]
    return limit, [offset // limit + 1, offset // limit + 2]


def _with_key(key: str) -> Where:
    """Raises ValueError for an empty key, which would be every row without one."""
    if not key:
        raise ValueError("a mirrored row has a key")
    return {MIRROR_KEY: {"equals": key}}


def _pairs(where: Where) -> list[tuple[str, str]]:
    """A filter in brackets. Raises BadUserInput for more, or deeper, than Payload's parser reads."""
    pairs = list(_flat("where", where, 0))
    if len(pairs) > MOST_PAIRS:
        raise BadUserInput("this filter holds too many values")
    return pairs


def _flat(name: str, value: Any, depth: int) -> Iterator[tuple[str, str]]:
    if depth > DEEPEST:
        raise BadUserInput("this filter is nested too deeply")
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(f"{name}[{key}]", inner, depth + 1)
    elif isinstance(value, list):
        # With an index: a bare text would be split at its commas.
        for index, inner in enumerate(value):
            yield from _flat(f"{name}[{index}]", inner, depth + 1)
    else:
        yield name, _text(value)


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return str(value)
