"""What the recordings do not show of the Strapi simulator, as its contract has it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox import strapi
from sandbox.keys import STRAPI_API_TOKEN
from sandbox.store import Store
from sandbox.strapi.seeding import JOBS
from sandbox.strapi.types import STATUSES
from sandbox.world import document_id

JOB, CUSTOMER = document_id("job", 40), document_id("customer", 17)


def client_of(store: Store) -> httpx.AsyncClient:
    headers = {"authorization": f"Bearer {STRAPI_API_TOKEN}"}
    transport = httpx.ASGITransport(strapi.create_app(store), raise_app_exceptions=False)
    return httpx.AsyncClient(base_url="http://strapi", transport=transport, headers=headers)


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    store = Store(None)
    store.seed(strapi.seed)
    async with client_of(store) as client:
        yield client
    store.close()


async def rows(http: httpx.AsyncClient, query: str, path: str = "/api/jobs") -> list[dict[str, Any]]:
    response = await http.get(f"{path}?pagination[pageSize]=100&{query}")
    assert response.status_code == 200, response.text
    found: list[dict[str, Any]] = response.json()["data"]
    return found


async def error_of(http: httpx.AsyncClient, path: str) -> tuple[int, str, str]:
    response = await http.get(path)
    error = response.json()["error"]
    return response.status_code, error["name"], error["message"]


async def test_health_needs_no_token(http: httpx.AsyncClient) -> None:
    assert (await http.get("/_health", headers={"authorization": ""})).status_code == 204


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("filters[Quantity][$gt]=1190", ["JOB-0120"]),
        ("filters[Quantity][$between][0]=10&filters[Quantity][$between][1]=20", ["JOB-0001", "JOB-0002"]),
        ("filters[JobID][$containsi]=job-012", ["JOB-0120"]),
        ("filters[JobID][$startsWith]=job-012", []),
        ("filters[$or][0][JobID][$eq]=JOB-0007&filters[$or][1][Quantity][$eq]=90", ["JOB-0007", "JOB-0009"]),
        ("filters[$not][Quantity][$gt]=20", ["JOB-0001", "JOB-0002"]),
        ("filters[JobID]=JOB-0003", ["JOB-0003"]),
        ("filters[Quantity][$lte]=30&filters[Notes][$null]=true", ["JOB-0002"]),
        ("filters[Quantity][$lte]=30&filters[Notes][$notNull]=true", ["JOB-0001", "JOB-0003"]),
        ("filters[customer][Name][$eq]=Passer-by", ["JOB-0004"]),
    ],
)
async def test_filters_find_what_they_say(http: httpx.AsyncClient, query: str, expected: list[str]) -> None:
    assert [row["JobID"] for row in await rows(http, query)] == expected


async def test_times_are_compared_as_times(http: httpx.AsyncClient) -> None:
    newest = (await rows(http, "sort=createdAt:desc"))[0]
    at = newest["createdAt"].replace("Z", "%2B00:00")
    assert [row["JobID"] for row in await rows(http, f"filters[createdAt][$gte]={at}")] == [newest["JobID"]]
    assert newest["JobID"] == f"JOB-{JOBS:04d}"


async def test_a_text_where_a_number_is_kept_breaks_the_query(http: httpx.AsyncClient) -> None:
    status, name, _ = await error_of(http, "/api/jobs?filters[Quantity][$in][0]=abc")
    assert (status, name) == (500, "InternalServerError")


async def test_pages_and_offsets_do_not_mix(http: httpx.AsyncClient) -> None:
    status, name, message = await error_of(http, "/api/jobs?pagination[page]=1&pagination[limit]=5")
    assert (status, name) == (400, "PaginationError")
    assert message == "Cannot use both page & offset pagination in the same query"


async def test_totals_can_be_left_out(http: httpx.AsyncClient) -> None:
    response = await http.get("/api/jobs?pagination[pageSize]=-3&pagination[withCount]=false")
    assert response.json()["meta"] == {"pagination": {"page": 1, "pageSize": 1}}


@pytest.mark.parametrize("param", ["fields", "sort", "populate"])
async def test_what_nothing_is_called_by_is_refused(http: httpx.AsyncClient, param: str) -> None:
    response = await http.get(f"/api/jobs?{param}=nope")
    details = response.json()["error"]["details"]
    assert (response.status_code, details["key"], details["param"]) == (400, "nope", param)


async def test_a_request_that_is_too_long_is_refused_without_a_word(http: httpx.AsyncClient) -> None:
    response = await http.get(f"/api/jobs?filters[JobID][$eq]={'x' * 17_000}")
    assert (response.status_code, response.content) == (431, b"")


async def test_a_draft_is_shown_to_who_asks_for_drafts(http: httpx.AsyncClient) -> None:
    draft = document_id("draft", 1)
    assert (await http.get(f"/api/jobs/{draft}")).status_code == 404
    seen = (await http.get(f"/api/jobs/{draft}?status=draft")).json()["data"]
    assert (seen["JobID"], seen["publishedAt"]) == ("JOB-DRAFT", None)
    published = await http.put(f"/api/jobs/{draft}", json={"data": {"Quantity": 3}})
    assert published.json()["data"]["publishedAt"] is not None
    assert (await http.get(f"/api/jobs/{draft}")).json()["data"]["Quantity"] == 3


async def test_a_change_is_partial_and_gives_the_row_a_new_number(http: httpx.AsyncClient) -> None:
    before = (await http.get(f"/api/jobs/{JOB}?populate=customer")).json()["data"]
    after = (await http.put(f"/api/jobs/{JOB}?populate=customer", json={"data": {"Status": STATUSES[2]}})).json()
    unlike = {key for key in before if before[key] != after["data"][key]}
    assert unlike <= {"id", "Status", "updatedAt", "publishedAt"}
    assert before["id"] != after["data"]["id"]


async def test_a_relation_is_taken_away_and_given(http: httpx.AsyncClient) -> None:
    async def put(customer: object) -> Any:
        response = await http.put(f"/api/jobs/{JOB}?populate=customer", json={"data": {"customer": customer}})
        return response.json()["data"]["customer"]

    assert await put(None) is None
    assert (await put({"set": [CUSTOMER]}))["documentId"] == CUSTOMER
    assert await put({"disconnect": [CUSTOMER]}) is None
    assert (await put(CUSTOMER))["documentId"] == CUSTOMER


async def test_what_must_be_there_cannot_be_taken_away(http: httpx.AsyncClient) -> None:
    response = await http.put(f"/api/jobs/{JOB}", json={"data": {"JobID": None}})
    assert (response.status_code, response.json()["error"]["details"]["errors"][0]["path"]) == (400, ["JobID"])
    taken = await http.put(f"/api/jobs/{JOB}", json={"data": {"JobID": "JOB-0001"}})
    assert taken.json()["error"]["message"] == "This attribute must be unique"
    same = await http.put(f"/api/jobs/{JOB}", json={"data": {"JobID": "JOB-0040"}})
    assert same.status_code == 200


async def test_what_was_made_outlives_the_process(tmp_path: Path) -> None:
    first = Store(tmp_path / "strapi.db")
    first.seed(strapi.seed)
    async with client_of(first) as http:
        made = (await http.post("/api/jobs", json={"data": {"JobID": "KEPT", "Quantity": 1}})).json()["data"]
    first.close()
    second = Store(tmp_path / "strapi.db")
    second.seed(strapi.seed)
    async with client_of(second) as http:
        assert (await http.get(f"/api/jobs/{made['documentId']}")).json()["data"] == made
        again = (await http.post("/api/jobs", json={"data": {"JobID": "NEXT", "Quantity": 1}})).json()["data"]
    second.close()
    assert again["id"] > made["id"]
