"""The simulator of Payload: what it has beyond what was recorded, and where it says that it has not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox import payload
from sandbox.keys import PAYLOAD_API_KEY
from sandbox.payload.query import parse
from sandbox.store import Store

KEY = {"authorization": f"users API-Key {PAYLOAD_API_KEY}"}


def client_of(store: Store, headers: dict[str, str] = KEY) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(payload.create_app(store))
    return httpx.AsyncClient(transport=transport, base_url="http://cms", headers=headers)


@pytest.fixture
def store() -> Store:
    made = Store(None)
    made.seed(payload.seed)
    return made


@pytest.fixture
async def cms(store: Store) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(store) as client:
        yield client


@pytest.fixture
async def anonymous(store: Store) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(store, {}) as client:
        yield client


async def slugs(client: httpx.AsyncClient, query: str) -> list[str]:
    answer = await client.get(f"/api/services?{query}&sort=slug&limit=0")
    assert answer.status_code == 200, answer.text
    return [doc["slug"] for doc in answer.json()["docs"]]


MINE = "where[tenant][equals]=DKTR01"


@pytest.mark.parametrize(
    ("where", "found"),
    [
        ("where[price][greater_than]=25", ["city-tour", "night-tour"]),
        ("where[price][greater_than_equal]=25", ["airport-transfer", "city-tour", "night-tour"]),
        ("where[price][less_than]=25", ["gift-wrapping"]),
        ("where[price][less_than_equal]=4.5", ["gift-wrapping"]),
        ("where[price][in]=4.5,35", ["city-tour", "gift-wrapping"]),
        ("where[price][not_in]=4.5,35", ["airport-transfer", "night-tour"]),
        ("where[price][equals]=many", []),
        ("where[title][not_equals]=City tour", ["airport-transfer", "gift-wrapping", "night-tour"]),
        ("where[title][like]=TOUR ci", ["city-tour"]),
        ("where[title][not_like]=tour", ["airport-transfer", "gift-wrapping"]),
        ("where[title][contains]=y tou", ["city-tour"]),
        ("where[description][exists]=false", []),
        ("where[_status][equals]=draft", ["night-tour"]),
        ("where[createdAt][less_than]=2000-01-01", []),
        (
            "where[or][0][slug][equals]=city-tour&where[or][1][and][0][seats][equals]=4",
            ["airport-transfer", "city-tour"],
        ),
        ("where[or][0][slug][in][0]=city-tour&where[and][0][seats][equals]=4", []),
    ],
)
async def test_filters_find_what_they_say(cms: httpx.AsyncClient, where: str, found: list[str]) -> None:
    assert await slugs(cms, f"{MINE}&{where}") == found


async def test_a_filter_may_be_json(cms: httpx.AsyncClient) -> None:
    answer = await cms.get("/api/services", params={"where": '{"slug": {"in": ["city-tour", "x,y"]}}'})
    assert [doc["slug"] for doc in answer.json()["docs"]] == ["city-tour"]


async def test_a_filter_follows_relations_and_groups(cms: httpx.AsyncClient) -> None:
    by_author = await cms.get("/api/posts/count?where[author.email][equals]=gateway@cms.example")
    assert by_author.json() == {"totalDocs": 60}
    by_meta = await cms.get("/api/pages/count?where[meta.title][equals]=Home")
    assert by_meta.json() == {"totalDocs": 1}


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("where[nope][equals]=1", 400),
        ("where[author.nope][equals]=1", 400),
        ("where[title][nope]=1", 400),
        ("where[id][equals]=abc", 500),
        ("where[id][in]=", 500),
        ("where[publishedAt][equals]=soon", 500),
        ("where[tags][all]=news", 501),
        ("where[body.root][exists]=true", 501),
        ("draft=true", 501),
    ],
)
async def test_what_cannot_be_answered_says_so(cms: httpx.AsyncClient, query: str, status: int) -> None:
    answer = await cms.get(f"/api/posts?{query}")
    assert answer.status_code == status
    assert answer.json()["errors"][0]["message"]


def test_the_parser_passes_over_what_is_too_much() -> None:
    many = "&".join(f"where[slug][in][]={n}" for n in range(1500))
    assert len(parse(many)["where"]["slug"]["in"]) == 1000
    assert isinstance(parse("a[1000]=x")["a"], dict)
    assert parse("a[1]=y&a[0]=x")["a"] == ["x", "y"]
    deep: Any = parse("a" + "".join(f"[{n}x]" for n in range(12)) + "=v")["a"]
    for n in range(10):
        deep = deep[f"{n}x"]
    assert deep == {"[10x][11x]": "v"}


async def test_nobody_sees_what_is_for_users(anonymous: httpx.AsyncClient) -> None:
    for path in ("orders", "orders/1", "orders/count", "users"):
        assert (await anonymous.get(f"/api/{path}")).status_code == 403
    for method, path in (
        ("POST", "pages"),
        ("PATCH", "pages/1"),
        ("DELETE", "pages/1"),
        ("DELETE", "pages?where[id]=1"),
    ):
        assert (await anonymous.request(method, f"/api/{path}", json={})).status_code == 403
    services = (await anonymous.get("/api/services?limit=0")).json()
    assert services["totalDocs"] == 12
    assert (await anonymous.get("/api/services/4")).status_code == 404
    assert (await anonymous.get("/api/services/3")).status_code == 200


async def test_a_key_that_is_switched_off_is_nobodys(cms: httpx.AsyncClient, store: Store) -> None:
    assert (await cms.get("/api/users/me")).json()["user"]["id"] == 1
    store.put("users", "1", {**store.rows("users")[0], "enableAPIKey": False})
    assert (await cms.get("/api/users/me")).json() == {"user": None, "message": "Account"}


async def test_documents_live_their_life(cms: httpx.AsyncClient) -> None:
    made = await cms.post("/api/orders", json={"gatewayId": "o1", "status": 5, "id": 99})
    assert (made.status_code, made.json()["message"]) == (201, "Order successfully created.")
    assert (made.json()["doc"]["id"], made.json()["doc"]["status"]) == (1, "5")
    again = await cms.post("/api/orders", json={"gatewayId": "o1"})
    assert (again.status_code, again.json()["errors"][0]["data"]["errors"][0]["path"]) == (400, "gatewayId")
    await cms.post("/api/orders", json={"gatewayId": "o2"})
    where = "where[gatewayId][in]=o1,o2"
    clash = await cms.patch(f"/api/orders?{where}", json={"gatewayId": "o1"})
    assert (clash.status_code, [doc["id"] for doc in clash.json()["docs"]]) == (400, [1])
    assert clash.json()["errors"][0]["id"] == 2
    changed = await cms.patch(f"/api/orders?{where}", json={"status": "done"})
    assert changed.json()["message"] == "Updated 2 Orders successfully."
    assert (await cms.patch("/api/orders?where[gatewayId][equals]=x", json={})).json()["docs"] == []
    gone = await cms.delete(f"/api/orders?{where}")
    assert gone.json()["message"] == "Deleted 2 Orders successfully."
    for method in ("PATCH", "DELETE"):
        assert (await cms.request(method, "/api/orders", json={})).status_code == 400


async def test_a_new_document_is_a_draft_until_it_is_published(cms: httpx.AsyncClient) -> None:
    made = (await cms.post("/api/pages", json={"title": "New", "slug": "new"})).json()["doc"]
    assert made["_status"] == "draft"
    published = await cms.patch(f"/api/pages/{made['id']}", json={"_status": "published"})
    assert published.json()["doc"]["_status"] == "published"


async def test_select_can_leave_fields_out(cms: httpx.AsyncClient) -> None:
    doc = (await cms.get("/api/pages?limit=1&select[content]=false&select[id]=false")).json()["docs"][0]
    assert "content" not in doc
    assert {"id", "title"} <= doc.keys()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/", 404), ("GET", "/admin", 404), ("PUT", "/api/pages/1", 404), ("GET", "/api/globals/x", 501),
     ("GET", "/api/pages/1/versions", 404)],
)  # fmt: skip
async def test_what_is_not_there_says_so(cms: httpx.AsyncClient, method: str, path: str, status: int) -> None:
    assert (await cms.request(method, path)).status_code == status


async def test_documents_outlive_the_process(tmp_path: Path) -> None:
    store = Store(tmp_path / "payload.db")
    store.seed(payload.seed)
    async with client_of(store) as client:
        await client.post("/api/orders", json={"gatewayId": "o1"})
    again = Store(tmp_path / "payload.db")
    assert again.rows("orders") == store.rows("orders") != []
    async with client_of(again) as client:
        assert (await client.post("/api/orders", json={"gatewayId": "o2"})).json()["doc"]["id"] == 2
    store.close()
    again.close()
