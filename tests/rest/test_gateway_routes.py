"""What all routes of `/api/gateway` have in common: methods, bodies, limits, errors, headers, the log."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import httpx
import pytest

from core.backends import BackendMode
from core.buckets import Limit, LocalBuckets
from core.principals import PrincipalKind
from core.settings import Settings
from datasources._health import HealthProbe
from engine.rate_limits import OPERATION_COST, RateLimits
from rest.bodies import MAX_BYTES
from sandbox.faults import Fault
from server import create_app
from tests.access.callers import CUSTOMER
from tests.callers import WORLD
from tests.rest.counter import Counter

pytest_plugins = ["tests.engines", "tests.rest.opened"]

PRODUCTS = "/api/gateway/commerce/products"
PROBED = ("mongo", "medusa", "fleetbase", "erpnext")


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Any:
    """The log lines of operations, as fields."""
    caplog.set_level(logging.INFO, "omnistack.operation")
    return lambda: [vars(record) for record in caplog.records if record.name == "omnistack.operation"]


# -- methods and paths -------------------------------------------------------------------------------------------------


async def test_head_is_get_without_the_body(counter: Counter) -> None:
    whole = await counter.ask("GET", f"{PRODUCTS}?limit=1")
    head = await counter.ask("HEAD", f"{PRODUCTS}?limit=1")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == str(len(whole.content))
    assert head.headers.get_list("link") == whole.headers.get_list("link")


@pytest.mark.parametrize(
    ("path", "allowed"),
    [("/commerce/products", "GET, HEAD"), ("/commerce/orders", "GET, HEAD, POST"), ("/health", "GET, HEAD")],
)
async def test_a_method_that_a_path_has_not_is_refused_with_those_that_it_has(
    counter: Counter, path: str, allowed: str
) -> None:
    answer = await counter.ask("PUT", f"/api/gateway{path}")
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    assert answer.json()["error"]["code"] == "METHOD_NOT_ALLOWED"


@pytest.mark.parametrize("path", ["", "/", "/commerce", "/commerce/products/x/y", "/nothing/of/this/name"])
async def test_a_path_that_is_not_there_is_told_in_the_envelope(counter: Counter, path: str) -> None:
    answer = await counter.ask("GET", f"/api/gateway/{path}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "NOT_FOUND")


@pytest.mark.parametrize("id", ["%2e%2e", "a%00b", "%0a", "..", "x" * 3000])
async def test_what_can_be_no_id_names_nothing(counter: Counter, id: str) -> None:
    answer = await counter.ask("GET", f"{PRODUCTS}/{id}")
    assert answer.status_code in (400, 404)
    assert answer.json()["success"] is False


# -- what requests say -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("limit=101", "`limit` is a whole number from 1 to 100"),
        ("limit=ten", "`limit` is a whole number from 1 to 100"),
        ("limit=1&limit=2", "`limit` is given once"),
        ("offset=1&after=WzBd", "only one of `offset`, `after`"),
        ("after=made-up", "`after` is not a cursor of this list"),
        ("fields=*", "there is no parameter `fields` here"),
        ("q=" + "x" * 2001, "`q` has at most 2000 characters"),
        ("status=unheard-of", "`status` is one of"),
    ],
)
async def test_a_query_that_a_route_does_not_know_is_refused(counter: Counter, query: str, told: str) -> None:
    answer = await counter.ask("GET", f"{PRODUCTS}?{query}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BAD_USER_INPUT")
    assert told in answer.json()["error"]["message"]


@pytest.mark.parametrize("query", ["id={0}&id={1}", "id={0},{1}", "id[]={0}&id[]={1}"])
async def test_a_list_may_be_written_in_several_ways(counter: Counter, query: str) -> None:
    ids = [WORLD.products[5].id, WORLD.products[6].id]
    products = (await counter.data("GET", f"/commerce/products?{query.format(*ids)}"))["products"]
    assert {product["id"] for product in products} == set(ids)


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ({"content": b"{"}, "the body is no JSON"),
        ({"content": b'{"a": NaN}'}, "the body is no JSON"),
        ({"json": []}, "the body is a JSON object"),
        ({"json": {"items": [{"variantId": "x", "price": 1}]}}, "the body holds no `price`"),
        ({"json": {"userId": "a", "user_id": "b"}}, "the body says `userId` twice"),
        ({"content": b"{}", "headers": {"Content-Type": "text/plain"}}, "its Content-Type is application/json"),
    ],
)
async def test_a_body_that_a_route_does_not_know_is_refused(counter: Counter, sent: Any, told: str) -> None:
    sent = {"headers": {"Content-Type": "application/json"}, **sent}
    answer = await counter.ask("POST", "/api/gateway/commerce/cart", **sent)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BAD_USER_INPUT")
    assert told in answer.json()["error"]["message"]


async def test_a_body_has_a_largest_size(counter: Counter) -> None:
    body = b'{"email": "' + b"x" * MAX_BYTES + b'"}'
    for path in ("/api/gateway/commerce/cart", "/users"):
        answer = await counter.ask("POST", path, content=body, headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "BAD_USER_INPUT")


# -- errors ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ({"kind": "status", "status": 503}, 503, "UPSTREAM_UNAVAILABLE"),
        ({"kind": "status", "status": 429}, 503, "RATE_LIMITED"),
        ({"kind": "status", "status": 400}, 422, "UPSTREAM_REJECTED"),
        ({"kind": "malformed"}, 502, "UPSTREAM_BAD_RESPONSE"),
    ],
)
async def test_a_failing_backend_is_told_by_status_and_code(
    counter: Counter, fault: dict[str, Any], status: int, code: str
) -> None:
    counter.company.lines["medusa"].faults.append(Fault(**fault))
    try:
        answer = await counter.ask("GET", f"{PRODUCTS}?q=unusual", headers={"X-Request-Timeout-Ms": "2000"})
    finally:
        counter.company.heal()
    body = answer.json()
    assert (answer.status_code, body["error"]["code"], body["meta"]["source"]) == (status, code, "medusa")
    assert body["error"]["details"]["retryable"] is (code in ("UPSTREAM_UNAVAILABLE", "RATE_LIMITED"))


async def test_an_answer_that_does_not_come_in_time_is_a_timeout(counter: Counter) -> None:
    counter.company.lines["medusa"].faults.append(Fault("hang"))
    try:
        answer = await counter.ask("GET", f"{PRODUCTS}?q=slow", headers={"X-Request-Timeout-Ms": "100"})
    finally:
        counter.company.heal()
    assert (answer.status_code, answer.json()["error"]["code"]) == (504, "UPSTREAM_TIMEOUT")


# -- limits, ids, origins, the log -------------------------------------------------------------------------------------


async def test_a_caller_beyond_their_limit_is_told_when_to_come_again(counter: Counter) -> None:
    gateway = counter.app.state.gateway
    limits = RateLimits(LocalBuckets(), {PrincipalKind.USER: Limit(1, OPERATION_COST)})
    counter.app.state.gateway = replace(gateway, rate_limits=limits)
    try:
        first = await counter.ask("GET", PRODUCTS, "customer")
        second = await counter.ask("GET", PRODUCTS, "customer")
        third = await counter.ask("GET", "/users", "customer")
    finally:
        counter.app.state.gateway = gateway
    assert (first.status_code, first.headers["ratelimit-remaining"]) == (200, "0")
    for refused in (second, third):
        assert (refused.status_code, refused.json()["error"]["code"]) == (429, "RATE_LIMITED")
        assert int(refused.headers["retry-after"]) >= 1
        assert refused.headers["ratelimit-limit"] == str(int(OPERATION_COST))


async def test_a_request_that_is_in_no_order_costs_too(counter: Counter) -> None:
    answer = await counter.ask("GET", f"{PRODUCTS}?limit=0", "customer")
    assert (answer.status_code, "ratelimit-remaining" in answer.headers) == (400, False)
    gateway = counter.app.state.gateway
    limits = RateLimits(LocalBuckets(), {PrincipalKind.USER: Limit(1, 3 * OPERATION_COST)})
    counter.app.state.gateway = replace(gateway, rate_limits=limits)
    try:
        left = [
            (await counter.ask("GET", f"{PRODUCTS}?limit=0", "customer")).headers["ratelimit-remaining"]
            for _ in range(2)
        ]
    finally:
        counter.app.state.gateway = gateway
    assert left == ["20", "10"]


async def test_every_request_has_one_line_in_the_log(counter: Counter, lines: Any) -> None:
    asked = [
        ("GET", f"{PRODUCTS}?limit=1&q=secret-words", "customer", "GET_commerce_products", []),
        ("GET", f"{PRODUCTS}?limit=0", "customer", "GET_commerce_products", ["BAD_USER_INPUT"]),
        ("GET", "/api/gateway/erp/employees?limit=1", "customer", "GET_erp_employees", ["FORBIDDEN"]),
        ("GET", "/api/gateway/health", None, "GET_health", ["UNAUTHENTICATED"]),
        ("GET", "/clients?limit=1", "here", "GET_clients", []),
        ("GET", "/clients?limit=0", "here", "GET_clients", ["BAD_USER_INPUT"]),
    ]
    for number, (method, path, caller, _, _) in enumerate(asked):
        await counter.ask(method, path, caller, headers={"X-Request-Id": f"log-{number}"})
    told = lines()
    assert [(line["request_id"], line["operation"], line["errors"]) for line in told] == [
        (f"log-{number}", name, errors) for number, (*_, name, errors) in enumerate(asked)
    ]
    assert told[0]["viewer"] == told[1]["viewer"] == f"user:{CUSTOMER.id}"
    assert "medusa" in told[0]["upstream"]
    assert "secret-words" not in str(told)


async def test_the_calls_made_are_told_to_who_may_ask(counter: Counter) -> None:
    traced = {"X-Gateway-Trace": "1"}
    answer = (await counter.ask("GET", f"{PRODUCTS}?limit=1", headers=traced)).json()
    assert [call["path"] for call in answer["meta"]["trace"]["upstreamCalls"]] == ["/admin/products"]
    answer = (await counter.ask("GET", f"{PRODUCTS}?limit=1", "customer", headers=traced)).json()
    assert "trace" not in answer["meta"]


async def test_a_list_costs_one_call(counter: Counter) -> None:
    for path, calls in (("/commerce/orders?limit=50", 1), ("/logistics/drivers?limit=50", 1)):
        answer = await counter.ask("GET", f"/api/gateway{path}", headers={"X-Gateway-Trace": "1"})
        assert len(answer.json()["meta"]["trace"]["upstreamCalls"]) == calls


# -- health ------------------------------------------------------------------------------------------------------------


async def test_health_tells_of_every_system_how_quickly_it_answers(counter: Counter) -> None:
    gateway = counter.app.state.gateway
    health = HealthProbe([(getattr(gateway.sources, name), BackendMode.SANDBOX) for name in PROBED])
    counter.app.state.gateway = replace(gateway, sources=replace(gateway.sources, health=health))
    counter.company.lines["fleetbase"].faults.append(Fault("status", status=500))
    try:
        answer = await counter.ask("GET", "/api/gateway/health", "customer")
    finally:
        counter.company.heal()
        counter.app.state.gateway = gateway
    body = answer.json()
    assert (answer.status_code, body["success"], body["status"]) == (200, True, "degraded")
    assert body["data"]["systems"] == body["systems"]
    assert body["systems"]["medusa"].items() >= {"status": "up", "mode": "sandbox", "circuit": "closed"}.items()
    assert body["systems"]["medusa"]["latency"] >= 0
    assert body["systems"]["fleetbase"]["status"] == "down"


# -- browsers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [PRODUCTS, "/users", "/graphql"])
@pytest.mark.parametrize("origin", ["https://shop.example", "http://localhost:5000", "https://www.shop.example"])
async def test_browsers_may_call_from_the_storefronts(path: str, origin: str) -> None:
    app = create_app(
        Settings(
            storefront_url_dev="https://shop.example",
            storefront_url_local="http://localhost:5000",
            cors_origins=("https://www.shop.example",),
        )
    )
    asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-api-key,idempotency-key"}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        allowed = await client.options(path, headers={"Origin": origin, **asked})
        refused = await client.options(path, headers={"Origin": "https://evil.example", **asked})
    assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (200, origin)
    assert {"PATCH", "DELETE"} <= set(allowed.headers["access-control-allow-methods"].split(", "))
    assert "access-control-allow-credentials" not in allowed.headers
    assert (refused.status_code, "access-control-allow-origin" in refused.headers) == (400, False)


@pytest.mark.parametrize("path", [f"{PRODUCTS}?limit=1", "/users?limit=1"])
async def test_what_nobody_has_foreseen_is_masked_and_logged_whole(path: str, caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def __getattr__(self, name: str) -> Any:
            raise ZeroDivisionError("the inner workings")

    app = create_app(Settings())
    app.state.gateway = Broken()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        answer = await client.get(path, headers={"X-Request-Id": "r1"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "INTERNAL")
    assert "inner workings" not in answer.text
    [record] = [record for record in caplog.records if record.name == "omnistack.errors"]
    assert (record.request_id, record.exc_info is not None) == ("r1", True)  # type: ignore[attr-defined]


@pytest.mark.parametrize("path", ["/users?limit=1", "/users?limit=0", "/api/gateway/health"])
async def test_what_is_somebodys_is_stored_by_nobody(counter: Counter, path: str) -> None:
    assert (await counter.ask("GET", path, "here")).headers["cache-control"] == "private, no-store"
