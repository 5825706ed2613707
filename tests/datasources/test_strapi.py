"""Strapi's wire: what is sent, what comes back, and the traps between."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote_plus

import httpx
import pytest

from core import operation
from core.errors import BackendBadResponse, BackendError, BackendRejected, BackendUnavailable, Conflict
from core.operation import Operation
from datasources.strapi import MAX_IDS, Behind, JobSelection, NewJob, Strapi, chunks
from sandbox import strapi as simulator
from sandbox.store import Store
from sandbox.strapi import documents
from sandbox.strapi.seeding import JOBS
from sandbox.strapi.types import JOB
from sandbox.world import document_id
from tests.printing import SETTINGS, open_strapi

Answer = Callable[[httpx.Request], httpx.Response]
JOB_ID, CUSTOMER_ID = document_id("job", 1), document_id("customer", 17)
ROW = {
    "id": 135,
    "documentId": JOB_ID,
    "JobID": "JOB-0001",
    "Status": "In Progress",
    "Quantity": 10,
    "Notes": "Note 1",
    "createdAt": "2026-11-21T00:12:55.715Z",
    "updatedAt": "2026-11-21T00:12:56.715Z",
    "publishedAt": "2026-11-21T00:12:55.721Z",
    "customer": {
        "id": 2,
        "documentId": CUSTOMER_ID,
        "Name": "Ada",
        "Email": "ada@example.com",
        "createdAt": "2026-11-21T00:12:55.545Z",
    },
}


def answering(answer: Answer) -> Strapi:
    return Strapi(httpx.AsyncClient(base_url="http://strapi", transport=httpx.MockTransport(answer)), SETTINGS)


def page(rows: list[dict[str, Any]], total: int | None = None) -> httpx.Response:
    return httpx.Response(
        200, json={"data": rows, "meta": {"pagination": {"total": len(rows) if total is None else total}}}
    )


def refused(status: int, name: str, message: str, details: object = None) -> httpx.Response:
    error = {"status": status, "name": name, "message": message, "details": details or {}}
    return httpx.Response(status, json={"data": None, "error": error})


@pytest.fixture
async def shop() -> AsyncIterator[tuple[Strapi, Store]]:
    """The simulator with the demo world behind the datasource."""
    store = Store(None)
    store.seed(simulator.seed)
    strapi = open_strapi(simulator.create_app(store))
    operation.enter(Operation())
    yield strapi, store
    await strapi.aclose()
    store.close()


# -- what is sent and what comes back ----------------------------------------------------------------------------------


async def test_a_row_becomes_a_record_known_by_its_document_id() -> None:
    [job] = await answering(lambda request: page([ROW])).jobs_by_ids([JOB_ID])
    assert (job.id, job.job_id, job.status, job.quantity) == (JOB_ID, "JOB-0001", "In Progress", 10)
    assert job.updated_at == datetime(2026, 11, 21, 0, 12, 56, 715000, UTC)
    assert job.customer is not None
    assert (job.customer_id, job.customer.name, job.customer.email) == (CUSTOMER_ID, "Ada", "ada@example.com")


async def test_a_list_says_how_long_it_may_be_how_it_is_sorted_and_what_comes_with_it() -> None:
    sent: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(unquote_plus(request.url.query.decode()))
        return page([])

    place = Behind(datetime(2026, 11, 21, 1, 2, 3, 456000, UTC), JOB_ID)
    await answering(answer).jobs(JobSelection((CUSTOMER_ID,), status="Pending"), limit=20, behind=place)
    [query] = sent
    assert query.split("&") == [
        f"filters[customer][documentId][$in][0]={CUSTOMER_ID}",
        "filters[Status][$eq]=Pending",
        "filters[$or][0][createdAt][$lt]=2026-11-21T01:02:03.456Z",
        "filters[$or][1][createdAt][$eq]=2026-11-21T01:02:03.456Z",
        f"filters[$or][1][documentId][$lt]={JOB_ID}",
        "sort[0]=createdAt:desc",
        "sort[1]=documentId:desc",
        "populate[customer][fields][0]=Name",
        "populate[customer][fields][1]=Email",
        "populate[customer][fields][2]=createdAt",
        "pagination[page]=1",
        "pagination[pageSize]=20",
    ]


async def test_a_job_is_sent_in_its_wrapper_and_without_what_is_not_said() -> None:
    sent: list[Any] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append((request.method, request.url.path, json.loads(request.content)))
        return httpx.Response(201, json={"data": ROW, "meta": {}})

    await answering(answer).create_job(NewJob("J", 5))
    await answering(answer).create_job(NewJob("J", 5, CUSTOMER_ID, "Pending"))
    everything = {"JobID": "J", "Quantity": 5, "Status": "Pending", "customer": CUSTOMER_ID}
    assert sent == [
        ("POST", "/api/jobs", {"data": {"JobID": "J", "Quantity": 5}}),
        ("POST", "/api/jobs", {"data": everything}),
    ]


async def test_the_newest_come_first_and_a_place_continues_the_list(shop: tuple[Strapi, Store]) -> None:
    strapi, _ = shop
    first = await strapi.jobs(JobSelection(), limit=7)
    assert (len(first.rows), first.total) == (7, JOBS)
    last = first.rows[-1]
    then = await strapi.jobs(JobSelection(), limit=7, behind=Behind(last.created_at, last.id))
    assert then.total == JOBS - 7
    names = [job.job_id for job in (*first.rows, *then.rows)]
    assert names == [f"JOB-{n:04d}" for n in range(JOBS, JOBS - 14, -1)]


async def test_jobs_of_one_instant_are_told_apart_by_their_ids(shop: tuple[Strapi, Store]) -> None:
    strapi, store = shop
    at = datetime(2030, 1, 1, tzinfo=UTC)
    for n in range(1, 5):
        values = {"JobID": f"SAME-{n}", "Quantity": n}
        documents.create(store, JOB, values, publish=True, id=document_id("same", n), at=at)
    seen: list[str] = []
    place = None
    for _ in range(4):
        [job] = (await strapi.jobs(JobSelection(), limit=1, behind=place)).rows
        seen.append(job.job_id)
        place = Behind(job.created_at, job.id)
    assert seen == ["SAME-4", "SAME-3", "SAME-2", "SAME-1"]


async def test_a_job_keeps_its_identity_when_its_number_changes(shop: tuple[Strapi, Store]) -> None:
    strapi, store = shop

    def number() -> int:
        row = store.get("job", JOB_ID)
        assert row is not None
        return int(row["published"]["id"])

    before = number()
    changed = await strapi.update_job(JOB_ID, quantity=77)
    assert changed is not None
    assert (changed.id, changed.quantity, changed.job_id) == (JOB_ID, 77, "JOB-0001")
    assert number() != before
    [read] = await strapi.jobs_by_ids([JOB_ID])
    assert read == changed
    assert await strapi.jobs_by_ids([str(number())]) == []


async def test_drafts_are_not_shown(shop: tuple[Strapi, Store]) -> None:
    strapi, _ = shop
    assert await strapi.job_by_job_id("JOB-DRAFT") is None
    assert await strapi.jobs_by_ids([document_id("draft", 1)]) == []


async def test_customers_are_made_found_and_deleted(shop: tuple[Strapi, Store]) -> None:
    strapi, _ = shop
    since = datetime.now(UTC).replace(microsecond=0)
    ada = await strapi.create_customer("Ada", "ada@example.com")
    nobody = await strapi.create_customer("Ada", None)
    found = await strapi.customers_by_ids([ada.id, nobody.id, ada.id])
    assert sorted(found, key=lambda row: row.email or "") == [nobody, ada]
    assert await strapi.customers_like("Ada", "ada@example.com", since=since) == [ada]
    assert await strapi.customers_like("Ada", None, since=since) == [nobody]
    assert await strapi.customers_like("Ada", None, since=datetime(2100, 1, 1, tzinfo=UTC)) == []
    await strapi.delete_customer(ada.id)
    await strapi.delete_customer(ada.id)
    assert await strapi.customers_by_ids([ada.id]) == []


# -- traps -------------------------------------------------------------------------------------------------------------


async def test_many_ids_are_asked_for_in_chunks_and_nothing_else_comes_back(shop: tuple[Strapi, Store]) -> None:
    """Beyond a hundred values the filter would be dropped, and everybody's jobs would answer."""
    strapi, _ = shop
    wanted = [document_id("job", n) for n in range(1, 61)] + [document_id("absent", n) for n in range(70)]
    found = await strapi.jobs_by_ids(wanted)
    assert {job.id for job in found} == set(wanted[:60])
    assert len(operation.current().calls) == 3
    assert max(len(chunk) for chunk in chunks(wanted)) == MAX_IDS


def test_a_filter_that_strapi_would_drop_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="left out"):
        answering(lambda request: page([])).jobs(JobSelection(ids=("x",) * 101), limit=1).send(None)


@pytest.mark.parametrize(
    "ask",
    [
        lambda strapi: strapi.jobs(JobSelection((document_id("customer", 99),)), limit=20),
        lambda strapi: strapi.jobs(JobSelection(ids=(document_id("job", 99),)), limit=20),
        lambda strapi: strapi.customers([document_id("customer", 99)], limit=20),
    ],
)
async def test_rows_that_were_not_asked_for_are_shown_to_nobody(ask: Callable[[Strapi], Any]) -> None:
    customers = {**ROW["customer"], "documentId": CUSTOMER_ID}  # type: ignore[dict-item]
    strapi = answering(lambda request: page([ROW if request.url.path == "/api/jobs" else customers]))
    with pytest.raises(BackendBadResponse, match="not asked for"):
        await ask(strapi)


async def test_a_list_that_was_cut_is_continued() -> None:
    """A project may cut its pages shorter than it is asked to."""
    rows = [{**ROW, "documentId": document_id("job", n), "JobID": f"J{n}"} for n in range(25)]

    def answer(request: httpx.Request) -> httpx.Response:
        number = int(request.url.params["pagination[page]"])
        return page(rows[(number - 1) * 10 : number * 10], total=25)

    found = await answering(answer).jobs(JobSelection(), limit=22)
    assert ([job.job_id for job in found.rows], found.total) == ([f"J{n}" for n in range(22)], 25)


async def test_more_than_a_page_holds_is_several_pages(shop: tuple[Strapi, Store]) -> None:
    strapi, _ = shop
    found = await strapi.jobs(JobSelection(), limit=101)
    assert (len(found.rows), len({job.id for job in found.rows}), found.total) == (101, 101, JOBS)


async def test_what_can_be_no_id_is_not_asked_for() -> None:
    def never(request: httpx.Request) -> httpx.Response:
        raise AssertionError(request.url)

    strapi = answering(never)
    assert await strapi.jobs_by_ids(["1", "", JOB_ID.upper(), "../jobs", "a,b"]) == []
    assert (await strapi.customers(["135"], limit=5)).rows == []
    assert (await strapi.jobs(JobSelection(()), limit=5)).total == 0
    assert (await strapi.jobs(JobSelection(ids=()), limit=5)).total == 0


async def test_a_name_that_is_taken_is_a_conflict(shop: tuple[Strapi, Store]) -> None:
    strapi, _ = shop
    with pytest.raises(Conflict):
        await strapi.create_job(NewJob("JOB-0001", 1))


async def test_creates_are_never_repeated_and_changes_are() -> None:
    asked: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.method)
        return httpx.Response(503)

    strapi = answering(answer)
    with pytest.raises(BackendUnavailable):
        await strapi.create_job(NewJob("J", 1))
    assert asked == ["POST"]
    with pytest.raises(BackendUnavailable):
        await strapi.update_job(JOB_ID, quantity=1)
    assert asked == ["POST", "PUT", "PUT", "PUT"]


async def test_nothing_can_be_changed_that_is_not_there(shop: tuple[Strapi, Store]) -> None:
    strapi, _ = shop
    assert await strapi.update_job(document_id("absent", 1), quantity=1) is None


# -- refusals ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "status", "reason", "message"),
    [
        (refused(401, "UnauthorizedError", "Missing or invalid credentials"), 401, "unauthorized", "configuration"),
        (refused(403, "ForbiddenError", "Forbidden"), 403, "forbidden", "configuration"),
        (refused(400, "ValidationError", "Invalid key nope"), 400, "ValidationError", "Invalid key nope"),
        (httpx.Response(400, json={"data": None, "error": {"name": "SyntaxError", "message": "no"}}), 400,
         "SyntaxError", "no"),
        (httpx.Response(405, text="Method Not Allowed"), 405, None, "strapi answered 405"),
        (httpx.Response(431), 431, "too_long", "too long"),
    ],
)  # fmt: skip
async def test_a_refusal_tells_what_may_be_told(
    answer: httpx.Response, status: int, reason: str | None, message: str
) -> None:
    with pytest.raises(BackendRejected, match=message) as said:
        await answering(lambda request: answer).jobs(JobSelection(), limit=1)
    assert (said.value.status, said.value.reason) == (status, reason)


async def test_what_was_sent_is_not_told_back() -> None:
    problem = {"path": ["Email"], "message": "Email must be a valid email", "value": "s3cret"}
    answer = refused(400, "ValidationError", "Email must be a valid email", {"errors": [problem]})
    with pytest.raises(BackendRejected) as said:
        await answering(lambda request: answer).create_customer("Ada", "s3cret")
    assert "s3cret" not in str(said.value)


@pytest.mark.parametrize(
    "body",
    ['{"data": [', '{"data": [{"documentId": 5}], "meta": {}}', '{"data": [], "meta": {"pagination": {}}}', "[]"],
)
async def test_an_answer_of_another_shape_is_a_bad_response(body: str) -> None:
    with pytest.raises(BackendBadResponse):
        await answering(lambda request: httpx.Response(200, text=body)).jobs(JobSelection(), limit=1)


async def test_a_ping_reaches_the_rows_and_shows_the_token(shop: tuple[Strapi, Store]) -> None:
    strapi, _ = shop
    await strapi.ping()
    with pytest.raises(BackendError):
        await answering(lambda request: refused(401, "UnauthorizedError", "no")).ping()
