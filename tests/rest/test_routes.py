"""Every route of `/api/gateway`: with a request that is in order, with one that is not, and by callers who may not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest

from rest.routes import PREFIX, ROUTES, Route
from sandbox.stripe.seeding import PRICE_ID
from sandbox.world import short
from tests.access.callers import CUSTOMER, STRANGER
from tests.callers import WORLD
from tests.rest.counter import Counter

pytest_plugins = ["tests.engines", "tests.rest.opened"]

DOCUMENTED = """
GET /content/pages
GET /content/pages/:slug
GET /content/collections/:collection
POST /content/search
GET /commerce/products
GET /commerce/products/:id
GET /commerce/categories
POST /commerce/cart
POST /commerce/cart/:id/items
GET /commerce/cart/:id
POST /commerce/orders
GET /commerce/orders
GET /commerce/orders/:id
GET /commerce/stores
GET /logistics/fleets
GET /logistics/vehicles
GET /logistics/drivers
POST /logistics/orders
GET /logistics/orders/:id
GET /logistics/orders/:id/track
POST /logistics/quotes
GET /logistics/zones
GET /erp/customers
GET /erp/invoices
GET /erp/invoices/:id
GET /erp/inventory
GET /erp/reports/:type
GET /erp/employees
POST /erp/purchase-orders
POST /identity/credentials/issue
POST /identity/credentials/verify
GET /identity/credentials/:id
POST /identity/presentations
GET /identity/dids
POST /payments/intents
POST /payments/customers
GET /payments/methods/:customerId
POST /payments/subscriptions
POST /payments/webhooks
POST /comms/email
POST /comms/email/template
POST /storage/upload
GET /storage/files/:key
DELETE /storage/files/:key
POST /ai/chat
POST /ai/embeddings
POST /workflows/start
GET /workflows/:id
POST /workflows/:id/signal
POST /workflows/:id/cancel
GET /workflows/list
"""
"""What the gateway's callers were promised."""
NOT_OF_THE_TABLE = {"POST /payments/webhooks"}
"""Signed by their sender, and so no operation of a caller."""

VARIANT = WORLD.products[5].variants[0]
ORDER = next(order for order in reversed(WORLD.orders) if order.customer is CUSTOMER and order in WORLD.delivered)
ADDRESS = {"street": "Rruga 1", "city": "Tirana", "country": "AL", "latitude": 41.33, "longitude": 19.82}
ITEMS = [{"variantId": VARIANT.id, "quantity": 1}]
LINES = [{"sku": VARIANT.sku, "quantity": "1", "rate": "9.90"}]
NOT_THERE = "nothing-of-this-name"

Prepare = Callable[[Counter], Awaitable[dict[str, str]]]


async def _nothing(counter: Counter) -> dict[str, str]:
    return {}


async def _cart(counter: Counter) -> dict[str, str]:
    body = {"userId": CUSTOMER.id, "items": ITEMS}
    return {"id": (await counter.data("POST", "/commerce/cart", json=body))["cart"]["id"]}


async def _invoice(counter: Counter) -> dict[str, str]:
    return {"id": (await counter.data("GET", "/erp/invoices"))["data"][0]["name"]}


async def _credential(counter: Counter) -> dict[str, str]:
    body = {"userId": CUSTOMER.id, "type": "MembershipCredential", "claims": {"level": "gold"}}
    return {"id": (await counter.data("POST", "/identity/credentials/issue", json=body))["id"]}


async def _request(counter: Counter) -> dict[str, str]:
    """A credential in somebody's wallet, and a verifier who asks for it."""
    asked = {"credentialType": "MembershipCredential"}
    request = (await counter.data("POST", "/identity/credentials/verify", json=asked))["requestUrl"]
    return {"credential": (await _credential(counter))["id"], "request": request}


async def _file(counter: Counter) -> dict[str, str]:
    key = f"service/{uuid4().hex}.txt"
    return {"key": (await counter.data("POST", f"/storage/upload?key={key}", content=b"hello"))["key"]}


async def _workflow(counter: Counter) -> dict[str, str]:
    return {"id": (await counter.data("POST", "/workflows/start", json=_start()))["id"]}


def _start() -> dict[str, Any]:
    data = {"items": ITEMS, "shippingAddress": ADDRESS}
    return {"type": "ORDER_FULFILLMENT", "action": "order.fulfill", "userId": CUSTOMER.id, "data": data}


@dataclass(frozen=True)
class Case:
    """How a route is asked: `parts` of its path, `query`, and `body` as JSON. `bad` are changes of that which are in
    no order, and `code` what they are refused with; `prepare` makes what path and body name."""

    parts: dict[str, str] = field(default_factory=dict)
    query: str = ""
    body: Any = None
    bad_parts: dict[str, str] = field(default_factory=dict)
    bad_query: str = ""
    bad_body: Any = None
    code: str = "BAD_USER_INPUT"
    prepare: Prepare = _nothing
    by: str = "service"


def _listed(**parts: str) -> Case:
    """A list, and a page that is none."""
    return Case(parts, query="?limit=2", bad_query="?limit=0")


def _one(name: str = "id", value: str = "", prepare: Prepare = _nothing) -> Case:
    """A row, and one that is not there."""
    return Case({name: value}, bad_parts={name: NOT_THERE}, code="NOT_FOUND", prepare=prepare)


def _said(body: dict[str, Any], **more: Any) -> Case:
    """A body, and one that holds what nobody knows."""
    return Case(body=body, bad_body={**body, "surprise": 1}, **more)


MAIL = {"to": ["ada@people.example"], "subject": "Hello", "text": "Hello!"}
TEMPLATE = {"to": ["ada@people.example"], "templateId": "d-0123456789abcdef0123456789abcdef", "data": {"order": 1}}


def _presentation(made: dict[str, str]) -> dict[str, Any]:
    return {"userId": CUSTOMER.id, "credentialIds": [made["credential"]], "requestUrl": made["request"]}


PAYMENT = {"customerId": CUSTOMER.stripe_id, "amount": {"amount": "9.90", "currency": "EUR"}}
PURCHASE = {
    "clientId": CUSTOMER.client.id, "supplier": f"Supplier of {CUSTOMER.client.code}", "scheduleDate": "2199-12-31",
    "items": LINES,
}  # fmt: skip

CASES: dict[str, Case] = {
    "GET /content/pages": _listed(),
    "GET /content/pages/{slug}": _one("slug", "home"),
    "GET /content/collections/{collection}": Case(
        {"collection": "services"}, query="?limit=1&where[slug][equals]=city-tour", bad_parts={"collection": "users"}
    ),
    "POST /content/search": _said({"query": "tour", "limit": 5}),
    "GET /commerce/products": _listed(),
    "GET /commerce/products/{id}": _one(value=WORLD.products[5].id),
    "GET /commerce/categories": _listed(),
    "POST /commerce/cart": _said({"user_id": CUSTOMER.id, "items": [{"variant_id": VARIANT.id}]}),
    "POST /commerce/cart/{id}/items": _said({"variant_id": VARIANT.id, "quantity": 2}, prepare=_cart),
    "GET /commerce/cart/{id}": _one(prepare=_cart),
    "POST /commerce/orders": _said({"userId": CUSTOMER.id, "items": ITEMS, "shippingAddress": ADDRESS}),
    "GET /commerce/orders": Case(query="?limit=2&status=pending", bad_query="?status=unheard-of"),
    "GET /commerce/orders/{id}": _one(value=ORDER.id),
    "GET /commerce/stores": Case(bad_query="?limit=2"),
    "GET /logistics/fleets": _listed(),
    "GET /logistics/vehicles": _listed(),
    "GET /logistics/drivers": _listed(),
    "POST /logistics/orders": _said({"pickup": ADDRESS, "dropoff": ADDRESS}),
    "GET /logistics/orders/{id}": _one(value=short("order", ORDER.n)),
    "GET /logistics/orders/{id}/track": _one(value=short("order", ORDER.n)),
    "POST /logistics/quotes": _said({"pickup": ADDRESS, "dropoff": ADDRESS}),
    "GET /logistics/zones": Case(bad_query="?limit=2"),
    "GET /erp/customers": _listed(),
    "GET /erp/invoices": Case(query="?limit=2&status=Unpaid", bad_query="?status=Unpaid&status=Paid"),
    "GET /erp/invoices/{id:path}": _one(prepare=_invoice),
    "GET /erp/inventory": Case(query=f"?item_code={VARIANT.sku}", bad_query="?offset=-1"),
    "GET /erp/reports/{type}": Case({"type": "profit-and-loss"}, bad_parts={"type": "profit-and-fun"}, by="manager"),
    "GET /erp/employees": _listed(),
    "POST /erp/purchase-orders": _said(PURCHASE),
    "POST /identity/credentials/issue": _said(
        {"userId": CUSTOMER.id, "type": "MembershipCredential", "claims": {"level": "gold"}}
    ),
    "POST /identity/credentials/verify": _said({"credentialType": "MembershipCredential"}),
    "GET /identity/credentials/{id}": _one(prepare=_credential),
    "POST /identity/presentations": Case(
        body=_presentation, bad_body={"userId": CUSTOMER.id, "surprise": 1}, prepare=_request
    ),
    "GET /identity/dids": Case(bad_query="?first=2"),
    "POST /payments/intents": _said(
        {"customerId": CUSTOMER.stripe_id, "amount": {"amount": "9.90", "currency": "EUR"}}
    ),
    "POST /payments/customers": _said({"userId": CUSTOMER.id, "email": CUSTOMER.email}),
    "GET /payments/methods/{customerId}": _one("customerId", CUSTOMER.stripe_id),
    "POST /payments/subscriptions": _said({"customerId": CUSTOMER.stripe_id, "priceId": PRICE_ID}),
    "POST /comms/email": _said(MAIL),
    "POST /comms/email/template": _said(TEMPLATE),
    "POST /storage/upload": Case(query="?key=service/made.txt", body=b"hello", bad_query="?key=../made.txt"),
    "GET /storage/files/{key:path}": _one("key", prepare=_file),
    "DELETE /storage/files/{key:path}": _one("key", prepare=_file),
    "POST /ai/chat": _said({"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 5}),
    "POST /ai/embeddings": _said({"input": ["Hello"]}),
    "POST /workflows/start": _said(_start()),
    "GET /workflows/{id}": _one(prepare=_workflow),
    "POST /workflows/{id}/signal": Case(body={"name": "approve"}, bad_body={"name": "unheard-of"}, prepare=_workflow),
    "POST /workflows/{id}/cancel": _said({"reason": "no more"}, prepare=_workflow),
    "GET /workflows/list": Case(query="?limit=1&type=order-fulfillment", bad_query="?offset=1"),
}
NOT_DONE = {
    "POST /workflows/{id}/signal": ("BAD_USER_INPUT", "a fulfilment takes no signal from callers"),
}
"""Requests in order that are refused all the same, for a reason of the world that they are made in."""


def name(route: Route) -> str:
    return f"{route.method} {route.path}"


async def send(counter: Counter, route: Route, case: Case, by: str | None, made: dict[str, str], *, bad: bool) -> Any:
    parts = {**case.parts, **made} | (case.bad_parts if bad else {})
    path = route.path
    for part, value in parts.items():
        path = path.replace(f"{{{part}}}", value).replace(f"{{{part}:path}}", value)
    query = case.bad_query if bad and case.bad_query else case.query
    body = case.bad_body if bad and case.bad_body is not None else case.body
    body = body(made) if callable(body) else body
    sent = {"content": body} if isinstance(body, bytes) else {} if body is None else {"json": body}
    return await counter.ask(route.method, f"{PREFIX}{path}{query}", by, **sent)


def test_every_route_of_the_document_is_in_the_table_and_no_other() -> None:
    def plain(path: str) -> str:
        return path.replace("{", ":").replace(":path}", "").replace("}", "")

    promised = set(DOCUMENTED.strip().splitlines())
    assert len(promised) == 51
    assert {plain(name(route)) for route in ROUTES} == promised - NOT_OF_THE_TABLE


def test_every_route_is_asked_below() -> None:
    assert {name(route) for route in ROUTES} == set(CASES)


@pytest.mark.parametrize("route", ROUTES, ids=name)
async def test_a_request_in_order_is_answered_in_the_envelope(counter: Counter, route: Route) -> None:
    case = CASES[name(route)]
    answer = await send(counter, route, case, case.by, await case.prepare(counter), bad=False)
    body = answer.json()
    if name(route) in NOT_DONE:
        code, why = NOT_DONE[name(route)]
        assert body["error"]["code"] == code, why
        return
    assert answer.status_code == route.status, body
    assert body.keys() == {"success", "data", "meta"}
    assert body["success"] is True
    assert body["data"], "an answer that holds something"
    assert body["meta"].keys() == {"source", "timestamp", "requestId"}
    assert body["meta"]["source"] == route.source.value
    assert body["meta"]["requestId"] == answer.headers["x-request-id"]
    assert answer.headers["deprecation"].startswith("@")
    assert f'rel="successor-version"; title="{route.field}"' in answer.headers["link"]


@pytest.mark.parametrize("route", ROUTES, ids=name)
async def test_a_request_that_is_in_no_order_is_refused_with_its_code(counter: Counter, route: Route) -> None:
    case = CASES[name(route)]
    answer = await send(counter, route, case, case.by, await case.prepare(counter), bad=True)
    body = answer.json()
    assert body.keys() == {"success", "error", "meta"}
    assert body["success"] is False
    assert (body["error"]["code"], answer.status_code) == (case.code, {"NOT_FOUND": 404}.get(case.code, 400)), body


@pytest.mark.parametrize("route", ROUTES, ids=name)
async def test_who_lacks_the_scope_is_refused_and_no_backend_is_asked(counter: Counter, route: Route) -> None:
    case = CASES[name(route)]
    made = await case.prepare(counter)
    lines = counter.company.lines.values()
    before = sum(len(line.calls) for line in lines)
    answer = await send(counter, route, case, "narrow", made, bad=False)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "FORBIDDEN"), answer.json()
    assert sum(len(line.calls) for line in lines) == before


@pytest.mark.parametrize("route", ROUTES, ids=name)
async def test_who_is_nobody_is_refused(counter: Counter, route: Route) -> None:
    answer = await counter.ask(route.method, f"{PREFIX}{route.path}", None)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "UNAUTHENTICATED")


@pytest.mark.parametrize("route", [route for route in ROUTES if route.is_write], ids=name)
async def test_a_platform_in_a_browser_changes_nothing(counter: Counter, route: Route) -> None:
    case = CASES[name(route)]
    answer = await send(counter, route, case, "browser", await case.prepare(counter), bad=False)
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "FORBIDDEN")


OTHERS = set(
    """
GET /commerce/cart/{id}
POST /commerce/cart/{id}/items
GET /commerce/orders/{id}
GET /logistics/orders/{id}
GET /logistics/orders/{id}/track
GET /erp/invoices/{id:path}
GET /identity/credentials/{id}
GET /payments/methods/{customerId}
GET /storage/files/{key:path}
DELETE /storage/files/{key:path}
GET /workflows/{id}
POST /workflows/{id}/cancel
""".strip().splitlines()
)
"""Routes whose rows are somebody's."""


@pytest.mark.parametrize("route", [route for route in ROUTES if name(route) in OTHERS], ids=name)
async def test_what_is_somebody_elses_looks_like_what_is_not_there(counter: Counter, route: Route) -> None:
    case = CASES[name(route)]
    made = await case.prepare(counter)
    by = "there" if route.method == "DELETE" else "stranger"
    theirs = await send(counter, route, case, by, made, bad=False)
    absent = await send(counter, route, case, by, dict.fromkeys(made or case.parts, NOT_THERE), bad=False)
    assert (theirs.status_code, theirs.json()["error"]["code"]) == (404, "NOT_FOUND")
    assert theirs.status_code == absent.status_code
    assert theirs.json()["error"].keys() == absent.json()["error"].keys()
    assert STRANGER.client is not CUSTOMER.client
