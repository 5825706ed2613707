"""The print shop: Strapi 5 with PrintShop OS's jobs and customers.

What must not be forgotten of this wire: a list is cut at 25 rows unless told otherwise and at 100 whatever it is told;
a filter of more than 100 values is left out without a word, and then every row answers; relations are absent unless
asked for; `unique` is looked up and enforced by nothing, so that whoever makes jobs takes turns (see `resolvers.jobs`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar, Generic, Self, TypeVar

import httpx
import msgspec

from core.backends import BackendName
from core.concurrency import bounded_map
from core.errors import BackendBadResponse, BackendRejected, Conflict
from core.settings import StrapiSettings
from datasources._http import Answer, HttpBackend, Limits, Query, open_client
from datasources._strapi_records import ErrorBody, JobCustomerRecord, JobRecord, One, Page

__all__ = [
    "Behind",
    "Found",
    "JobCustomerRecord",
    "JobRecord",
    "JobSelection",
    "NewJob",
    "Strapi",
    "is_document_id",
]

R = TypeVar("R", JobRecord, JobCustomerRecord)
Filters = list[tuple[str, str]]

MAX_IDS = 50
"""Of one filter: half of what Strapi still reads as a list, and few enough for two of them in 16 KB."""
MAX_PAGE = 100
ID_LENGTH = 24
TAKEN = "there is a job with this `jobId` already"

_JOB = [("populate[customer][fields][0]", "Name"), ("populate[customer][fields][1]", "Email"),
        ("populate[customer][fields][2]", "createdAt")]  # fmt: skip
_NEWEST_FIRST = [("sort[0]", "createdAt:desc"), ("sort[1]", "documentId:desc")]


@dataclass(frozen=True)
class Behind:
    """A place in a list, newest first: behind the row of this time and id."""

    created_at: datetime
    id: str


@dataclass(frozen=True)
class JobSelection:
    """Which jobs; None: not narrowed. At most `MAX_IDS` ids of either kind; an empty list finds nothing."""

    customer_ids: tuple[str, ...] | None = None
    ids: tuple[str, ...] | None = None
    status: str | None = None


@dataclass(frozen=True)
class NewJob:
    """`status` None: the print shop's default."""

    job_id: str
    quantity: int
    customer_id: str | None = None
    status: str | None = None

    def is_like(self, made: JobRecord) -> bool:
        """Whether this could have made it."""
        return (made.job_id, made.quantity, made.customer_id) == (self.job_id, self.quantity, self.customer_id) and (
            self.status in (None, made.status)
        )


@dataclass(frozen=True)
class Found(Generic[R]):
    """The first rows of a list, and how many it has."""

    rows: list[R]
    total: int


class Strapi(HttpBackend):
    """The print shop. Ids are documentIds; what is no such id is not there. Every method raises BackendError."""

    name: ClassVar[BackendName] = BackendName.STRAPI

    def __init__(self, client: httpx.AsyncClient, settings: StrapiSettings, limits: Limits | None = None) -> None:
        super().__init__(client, limits or Limits(timeout_s=settings.timeout_s))

    @classmethod
    def open(cls, settings: StrapiSettings) -> Self:
        """Raises ValueError without a token."""
        if settings.api_token is None:
            raise ValueError("STRAPI_API_TOKEN is needed")
        headers = {"Authorization": f"Bearer {settings.api_token.get_secret_value()}"}
        return cls(open_client(str(settings.url), headers), settings)

    async def ping(self) -> None:
        """GET /api/jobs: `/_health` would reach neither the database nor the token."""
        query = [("pagination[pageSize]", "1"), ("fields[0]", "JobID")]
        await self.read("GET", "/api/jobs", Page[dict[str, Any]], query=query)

    # -- jobs --------------------------------------------------------------------------------------------------

    async def jobs(self, wanted: JobSelection, *, limit: int, behind: Behind | None = None) -> Found[JobRecord]:
        """Published ones, newest first; `total` counts those behind the place. GET /api/jobs

        Raises BackendBadResponse when a row comes that was not asked for.
        """
        filters = _job_filters(wanted)
        if filters is None:
            return Found([], 0)
        found = await self._newest("/api/jobs", Page[JobRecord], [*filters, *_behind(behind)], _JOB, limit)
        self._check("customer_ids", wanted.customer_ids, [job.customer_id for job in found.rows])
        self._check("ids", wanted.ids, [job.id for job in found.rows])
        return found

    async def jobs_by_ids(self, ids: Sequence[str]) -> list[JobRecord]:
        """In any order, unknown ones left out. GET /api/jobs, one call for 50."""

        async def some(chunk: list[str]) -> list[JobRecord]:
            return (await self.jobs(JobSelection(ids=tuple(chunk)), limit=len(chunk))).rows

        return [job for rows in await bounded_map(some, chunks(ids)) for job in rows]

    async def job_by_job_id(self, job_id: str) -> JobRecord | None:
        """The oldest of those that the print shop calls so; there should be one at most. GET /api/jobs"""
        query = [("filters[JobID][$eq]", job_id), ("sort[0]", "createdAt:asc"), ("pagination[pageSize]", "2")]
        found = await self.read("GET", "/api/jobs", Page[JobRecord], query=[*query, *_JOB])
        return found.data[0] if found.data else None

    async def create_job(self, new: NewJob) -> JobRecord:
        """POST /api/jobs. Two at a time could both succeed: look first, and let nobody else make one of this name.

        Raises Conflict where there is one of this `job_id`.
        """
        data: dict[str, object] = {"JobID": new.job_id, "Quantity": new.quantity}
        data |= {"Status": new.status} if new.status is not None else {}
        data |= {"customer": new.customer_id} if new.customer_id is not None else {}
        try:
            made = await self.write("POST", "/api/jobs", One[JobRecord], query=_JOB, json={"data": data})
        except BackendRejected as exc:
            if exc.reason == "unique":
                raise Conflict(TAKEN) from exc
            raise
        return made.data

    async def update_job(self, id: str, *, quantity: int | None = None, status: str | None = None) -> JobRecord | None:
        """What is None stays as it is. None when there is no such job. PUT /api/jobs/{documentId}, which is partial."""
        data = {"Quantity": quantity, "Status": status}
        body = {"data": {name: value for name, value in data.items() if value is not None}}
        try:
            changed = await self.keyed_write(
                "PUT", "/api/jobs/{id}", One[JobRecord], args={"id": id}, query=_JOB, json=body
            )
        except BackendRejected as exc:
            if exc.status == 404:
                return None
            raise
        return changed.data

    # -- customers ---------------------------------------------------------------------------------------------

    async def customers(
        self, ids: Sequence[str] | None, *, limit: int, behind: Behind | None = None
    ) -> Found[JobCustomerRecord]:
        """Those of these ids (None: all; at most 50), newest first. GET /api/customers

        Raises BackendBadResponse when a row comes that was not asked for.
        """
        known = None if ids is None else tuple(filter(is_document_id, ids))
        if known == ():
            return Found([], 0)
        filters = [*_in("documentId", known), *_behind(behind)]
        found = await self._newest("/api/customers", Page[JobCustomerRecord], filters, [], limit)
        self._check("ids", known, [customer.id for customer in found.rows])
        return found

    async def customers_by_ids(self, ids: Sequence[str]) -> list[JobCustomerRecord]:
        """In any order, unknown ones left out. GET /api/customers, one call for 50."""

        async def some(chunk: list[str]) -> list[JobCustomerRecord]:
            return (await self.customers(chunk, limit=len(chunk))).rows

        return [customer for rows in await bounded_map(some, chunks(ids)) for customer in rows]

    async def customers_like(self, name: str, email: str | None, *, since: datetime) -> list[JobCustomerRecord]:
        """Those of exactly this name and address that were made at that time or later, oldest first; at most 25.
        GET /api/customers"""
        address = ("filters[Email][$null]", "true") if email is None else ("filters[Email][$eq]", email)
        query = [("filters[Name][$eq]", name), address, ("filters[createdAt][$gte]", _time(since))]
        found = await self.read(
            "GET", "/api/customers", Page[JobCustomerRecord], query=[*query, ("sort[0]", "createdAt:asc")]
        )
        return found.data

    async def create_customer(self, name: str, email: str | None) -> JobCustomerRecord:
        """POST /api/customers. Nothing about customers is unique, so that a second call makes a second one."""
        data = {"Name": name} | ({"Email": email} if email is not None else {})
        return (await self.write("POST", "/api/customers", One[JobCustomerRecord], json={"data": data})).data

    async def delete_customer(self, id: str) -> None:
        """Nothing happens when there is none. DELETE /api/customers/{documentId}"""
        await self.send("DELETE", "/api/customers/{id}", args={"id": id})

    # -- the dialect -------------------------------------------------------------------------------------------

    async def _newest(self, path: str, into: type[Page[R]], filters: Filters, populate: Query, limit: int) -> Found[R]:
        """As many rows as are wanted and there, in as many pages as Strapi makes of them."""
        rows: list[R] = []
        number = 1
        while True:
            size = min(limit, MAX_PAGE)
            query = [*filters, *_NEWEST_FIRST, *populate, ("pagination[page]", number), ("pagination[pageSize]", size)]
            page = await self.read("GET", path, into, query=query, batch_size=limit)
            rows += page.data
            if len(rows) >= min(limit, page.total) or not page.data:
                return Found(rows[:limit], page.total)
            number += 1

    def _check(self, what: str, wanted: Sequence[str] | None, got: Collection[str | None]) -> None:
        """Strapi drops a filter that it does not understand, and then shows everybody's rows."""
        if wanted is not None and not set(got) <= set(wanted):
            raise BackendBadResponse(self.name, f"strapi answered rows that were not asked for: it ignored {what}")

    def refusal(self, answer: Answer) -> tuple[str, str | None]:
        """Of `{data: null, error: {name, message, details}}`; reason `unique` for what is taken."""
        if answer.status == 401:
            return "strapi does not accept the gateway's credentials: its configuration is wrong", "unauthorized"
        if answer.status == 403:
            return "the gateway's token may not do this in strapi: its configuration is wrong", "forbidden"
        if answer.status == 431:
            return "the request was too long for strapi", "too_long"
        try:
            error = msgspec.json.decode(answer.body, type=ErrorBody).error
        except (msgspec.DecodeError, UnicodeDecodeError):
            return super().refusal(answer)
        problems = error.details.errors
        if any(problem.path == ["JobID"] and "unique" in problem.message for problem in problems):
            return error.message, "unique"
        return error.message, error.name


def is_document_id(id: str) -> bool:
    return len(id) == ID_LENGTH and id.isascii() and id.isalnum() and id == id.lower()


def chunks(ids: Sequence[str]) -> list[list[str]]:
    """The distinct ones that can be ids, as many at a time as one filter holds."""
    known = [each for each in dict.fromkeys(ids) if is_document_id(each)]
    return [known[start : start + MAX_IDS] for start in range(0, len(known), MAX_IDS)]


def _job_filters(wanted: JobSelection) -> Filters | None:
    """None: nothing can match."""
    if wanted.customer_ids == () or wanted.ids == ():
        return None
    status = [] if wanted.status is None else [("filters[Status][$eq]", wanted.status)]
    return [*_in("customer][documentId", wanted.customer_ids), *_in("documentId", wanted.ids), *status]


def _in(field: str, values: Sequence[str] | None) -> Filters:
    """`filters[field][$in][0]=a&filters[field][$in][1]=b`; a comma would be a part of the value."""
    if values is None:
        return []
    if len(values) > MAX_IDS:
        raise ValueError(f"a filter of {len(values)} values would be left out in silence")
    return [(f"filters[{field}][$in][{i}]", value) for i, value in enumerate(values)]


def _behind(place: Behind | None) -> Filters:
    if place is None:
        return []
    at = _time(place.created_at)
    return [
        ("filters[$or][0][createdAt][$lt]", at),
        ("filters[$or][1][createdAt][$eq]", at),
        ("filters[$or][1][documentId][$lt]", place.id),
    ]


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
