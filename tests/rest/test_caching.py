"""Answers to GET that may be used again, and for how long."""

from __future__ import annotations

from typing import Any

import pytest

from core.settings import Settings
from engine.cache_policy import cache_policy
from rest.routes import ROUTES
from schema import build_schema
from tests.callers import WORLD
from tests.rest.counter import Counter

pytest_plugins = ["tests.engines", "tests.rest.opened"]

SCHEMA = build_schema(Settings())._schema
PRODUCT = f"/api/gateway/commerce/products/{WORLD.products[7].id}"
ORDERS = "/api/gateway/commerce/orders?limit=2"
VARY = {"authorization", "client-x-api-key", "x-api-key"}


def varies(answer: Any) -> set[str]:
    return {name.strip().lower() for name in answer.headers["vary"].split(",")}


@pytest.mark.parametrize(
    ("path", "seconds"),
    [
        ("commerce/products?limit=1", 30),
        (f"commerce/products/{WORLD.products[7].id}", 30),
        ("commerce/categories", 300),
        ("commerce/stores", 300),
        ("content/pages", 60),
        ("logistics/zones", 300),
    ],
)
async def test_what_rarely_changes_may_be_used_again_by_who_has_asked(
    counter: Counter, path: str, seconds: int
) -> None:
    answer = await counter.ask("GET", f"/api/gateway/{path}")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == f"private, max-age={seconds}"
    assert varies(answer) >= VARY


async def test_everything_else_is_kept_by_nobody(counter: Counter) -> None:
    for path in (ORDERS, "/api/gateway/commerce/products/nothing", "/api/gateway/erp/invoices?limit=1"):
        answer = await counter.ask("GET", path)
        assert answer.headers["cache-control"] == "private, no-store", path
    refused = await counter.ask("GET", PRODUCT, None)
    assert (refused.status_code, refused.headers["cache-control"]) == (401, "private, no-store")
    written = await counter.ask("POST", "/api/gateway/content/search", json={"query": "news"})
    assert written.headers["cache-control"] == "private, no-store"
    assert "etag" not in written.headers


async def test_a_trace_is_of_one_request(counter: Counter) -> None:
    answer = await counter.ask("GET", PRODUCT, headers={"X-Gateway-Trace": "1"})
    assert "trace" in answer.json()["meta"]
    assert answer.headers["cache-control"] == "private, no-store"


@pytest.mark.parametrize("path", [PRODUCT, ORDERS])
async def test_who_has_it_already_gets_only_headers(counter: Counter, path: str) -> None:
    whole = await counter.ask("GET", path)
    tag = whole.headers["etag"]
    assert tag.startswith('W/"')
    for named in (tag, tag.removeprefix("W/"), f'"other", {tag}', "*"):
        answer = await counter.ask("GET", path, headers={"If-None-Match": named})
        assert (answer.status_code, answer.content) == (304, b""), named
        for header in ("etag", "cache-control", "vary", "deprecation"):
            assert answer.headers[header] == whole.headers[header]
        assert "content-type" not in answer.headers
    for named in ('"other"', "", tag.strip('W/"')):
        assert (await counter.ask("GET", path, headers={"If-None-Match": named})).status_code == 200


async def test_the_tag_is_of_the_data_and_changes_with_it(counter: Counter) -> None:
    first, again = [await counter.ask("GET", PRODUCT) for _ in range(2)]
    assert first.json()["meta"]["requestId"] != again.json()["meta"]["requestId"]
    assert first.headers["etag"] == again.headers["etag"]
    other = await counter.ask("GET", f"/api/gateway/commerce/products/{WORLD.products[8].id}")
    assert other.headers["etag"] != first.headers["etag"]


async def test_a_tag_opens_nothing_to_who_may_not_see_it(counter: Counter) -> None:
    path = f"/api/gateway/commerce/orders/{WORLD.orders[0].id}"
    tag = (await counter.ask("GET", path)).headers["etag"]
    answers = [await counter.ask("GET", path, "outsider", headers={"If-None-Match": named}) for named in (tag, "*")]
    assert [answer.status_code for answer in answers] == [404, 404]


def test_nothing_is_public() -> None:
    """Whatever is shown is shown to somebody because of who they are."""
    assert [route.path for route in ROUTES if cache_policy(SCHEMA, [route.field]).is_public] == []


def test_no_change_is_ever_kept() -> None:
    assert [route.path for route in ROUTES if route.is_write and cache_policy(SCHEMA, [route.field]).max_age_s] == []
