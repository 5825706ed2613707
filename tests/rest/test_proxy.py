"""Proxied routes: the backend's own words, of the caller's rows alone, and nothing in them that is nobody's to see."""

from __future__ import annotations

import re
from typing import Any
from uuid import uuid4

import msgspec
import orjson
import pytest

from core.backends import BackendName
from core.kept import Kept
from rest.proxy import NEVER_SHOWN, Found, NotKept, fleetbase_list, row, rows
from sandbox.world import short
from tests.access.callers import CUSTOMER
from tests.callers import WORLD
from tests.rest.counter import Counter

pytest_plugins = ["tests.engines", "tests.rest.opened"]

ORDER = next(order for order in reversed(WORLD.orders) if order.customer is CUSTOMER and order in WORLD.delivered)
DELIVERY = short("order", ORDER.n)
VARIANT = WORLD.products[5].variants[0]


class Thing(msgspec.Struct):
    id: str


def kept(*said: dict[str, Any]) -> Kept:
    """As if a backend had answered these."""
    found = Kept()
    for each in said:
        found.add(BackendName.MEDUSA, Thing(each["id"]), orjson.dumps(each))
    return found


def names(said: Any) -> set[str]:
    """Every name in JSON, at any depth."""
    if isinstance(said, list):
        return {name for one in said for name in names(one)}
    if isinstance(said, dict):
        return said.keys() | {name for one in said.values() for name in names(one)}
    return set()


async def test_a_row_is_told_in_the_backends_own_words(counter: Counter) -> None:
    order = (await counter.data("GET", f"/commerce/orders/{ORDER.id}"))["order"]
    stored = counter.company._stores["medusa"].get("order", ORDER.id)
    assert (order["id"], order["display_id"]) == (ORDER.id, ORDER.n)
    assert order["currency_code"] == stored["currency_code"], "in small letters, as Medusa writes it"
    assert isinstance(order["total"], int | float), "and not as text"
    delivery = await counter.data("GET", f"/logistics/orders/{DELIVERY}")
    assert (delivery["id"], delivery["internal_id"]) == (DELIVERY, ORDER.id)
    assert delivery["payload"]["pickup"]["location"]["type"] == "Point"


async def test_a_list_counts_what_the_caller_may_see(counter: Counter) -> None:
    everything = await counter.data("GET", "/commerce/orders?limit=1")
    own = await counter.data("GET", "/commerce/orders?limit=100", "customer")
    assert everything["count"] == len(counter.company.rows("medusa", "order"))
    assert own["count"] == len(own["orders"]) < everything["count"]
    assert (own["offset"], own["limit"]) == (0, 100)
    assert {order["email"] for order in own["orders"]} == {CUSTOMER.email}
    assert await counter.data("GET", "/commerce/orders", "browser") == {
        "orders": [], "count": 0, "offset": 0, "limit": 20
    }  # fmt: skip


async def test_a_list_can_be_walked_by_numbers_and_by_what_the_answer_says(counter: Counter) -> None:
    whole = [order["id"] for order in (await counter.data("GET", "/commerce/orders?limit=5"))["orders"]]
    second = await counter.data("GET", "/commerce/orders?limit=2&offset=2")
    assert [order["id"] for order in second["orders"]] == whole[2:4]
    assert second["offset"] == 2
    path, walked = "/api/gateway/commerce/orders?limit=2", []
    for _ in range(2):
        answer = await counter.ask("GET", path)
        walked += [order["id"] for order in answer.json()["data"]["orders"]]
        [path] = re.findall(r'<([^>]*)>; rel="next"', answer.headers["link"])
    assert walked == whole[:4]


async def test_every_backend_lists_in_its_own_way(counter: Counter) -> None:
    assert isinstance(await counter.data("GET", "/logistics/drivers?limit=2"), list)
    assert (await counter.data("GET", "/erp/invoices?limit=2")).keys() == {"data"}
    methods = await counter.data("GET", f"/payments/methods/{CUSTOMER.stripe_id}")
    assert (methods["object"], methods["data"][0]["card"]["last4"]) == ("list", "4242")
    pages = await counter.data("GET", "/content/pages?limit=2&page=2")
    assert (pages["page"], pages["hasPrevPage"], len(pages["docs"])) == (2, True, 2)
    assert pages["totalPages"] == -(-pages["totalDocs"] // 2)


async def test_an_invoice_comes_with_its_lines(counter: Counter) -> None:
    [first] = (await counter.data("GET", "/erp/invoices?limit=1"))["data"]
    invoice = (await counter.data("GET", f"/erp/invoices/{first['name']}"))["data"]
    assert {line["parent"] for line in invoice["items"]} == {first["name"]}
    assert sum(line["amount"] for line in invoice["items"]) == pytest.approx(invoice["net_total"])


async def test_numbers_of_embeddings_are_numbers(counter: Counter) -> None:
    answered = await counter.data("POST", "/ai/embeddings", json={"input": ["one", "two"]})
    assert [each["index"] for each in answered["data"]] == [0, 1]
    assert all(isinstance(number, float) for each in answered["data"] for number in each["embedding"])


PROXIED = [
    "/commerce/products?limit=5", "/commerce/orders?limit=5", f"/logistics/orders/{DELIVERY}",
    "/logistics/drivers?limit=5", "/logistics/fleets?limit=5", "/erp/employees?limit=5",
    f"/payments/methods/{CUSTOMER.stripe_id}", "/content/collections/posts?limit=5",
]  # fmt: skip


@pytest.mark.parametrize("path", PROXIED)
async def test_nothing_that_lets_somebody_in_is_shown(counter: Counter, path: str) -> None:
    assert not names(await counter.data("GET", path)) & NEVER_SHOWN


async def test_what_nobody_needs_to_know_of_a_driver_stays_behind(counter: Counter) -> None:
    store = counter.company._stores["fleetbase"]
    driver = store.rows("driver")[0]
    store.put("driver", driver["id"], {**driver, "token": "flb_secret", "drivers_license_number": "LV77"})
    shown = await counter.data("GET", "/logistics/drivers?limit=100")
    [found] = [each for each in shown if each["id"] == driver["id"]]
    assert found["phone"]
    assert not {"token", "drivers_license_number", "email", "user"} & found.keys()


def test_prices_and_categories_that_are_not_for_buyers_are_cut() -> None:
    said = {
        "id": "1",
        "prices": [{"amount": 9, "rules": {}}, {"amount": 5, "rules": {"customer.groups.id": "vip"}}],
        "categories": [{"name": "Cups"}, {"name": "Secret", "is_internal": True}, {"name": "Old", "is_active": False}],
    }
    shown = row(Thing).make(Found({"id": "1"}, kept(said), {"limit": 20}))
    assert shown == {"id": "1", "prices": [{"amount": 9, "rules": {}}], "categories": [{"name": "Cups"}]}


def test_of_what_was_read_only_the_rows_of_the_answer_are_shown() -> None:
    found = Found({"nodes": [{"id": "2"}]}, kept({"id": "1"}, {"id": "2", "token": "x"}), {"limit": 20})
    assert rows(Thing, fleetbase_list).make(found) == [{"id": "2"}]


def test_a_row_whose_words_were_not_kept_is_a_defect() -> None:
    with pytest.raises(NotKept):
        rows(Thing, fleetbase_list).make(Found({"nodes": [{"id": "2"}]}, kept({"id": "1"}), {"limit": 20}))


async def test_the_secret_of_a_payment_is_shown_once_to_who_makes_it(counter: Counter) -> None:
    body = {"customerId": CUSTOMER.stripe_id, "amount": {"amount": "9.90", "currency": "EUR"}}
    key = {"Idempotency-Key": uuid4().hex}
    made = await counter.data("POST", "/payments/intents", json=body, headers=key)
    assert made["client_secret"].startswith(made["id"])
    again = await counter.ask("POST", "/api/gateway/payments/intents", json=body, headers=key)
    assert (again.status_code, again.json()["error"]["code"]) == (409, "CONFLICT")
    assert made["client_secret"] not in again.text


async def test_a_write_is_done_once_and_answered_twice_in_the_same_words(counter: Counter) -> None:
    body = {"userId": CUSTOMER.id, "items": [{"variantId": VARIANT.id}]}
    key = {"Idempotency-Key": uuid4().hex}
    before = len(counter.company.rows("medusa", "cart"))
    first, second = [await counter.ask("POST", "/api/gateway/commerce/cart", json=body, headers=key) for _ in range(2)]
    assert first.json()["data"] == second.json()["data"]
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert len(counter.company.rows("medusa", "cart")) == before + 1
    other = await counter.ask("POST", "/api/gateway/commerce/cart", json={"userId": CUSTOMER.id}, headers=key)
    assert (other.status_code, other.json()["error"]["code"]) == (409, "IDEMPOTENCY_CONFLICT")


# -- content -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "query",
    [
        "where[price][less_than]=30",
        "where[price][less_than]=30&where[price][greater_than]=1",
        "where[or][0][price][less_than]=30&where[or][1][slug][equals]=nothing",
        'where={"price": {"less_than": 30}}',
    ],
)
async def test_content_is_filtered_as_its_callers_write_it(counter: Counter, query: str) -> None:
    everything = (await counter.data("GET", "/content/collections/services?limit=100"))["docs"]
    cheap = (await counter.data("GET", f"/content/collections/services?limit=100&{query}"))["docs"]
    assert [each["id"] for each in cheap] == [each["id"] for each in everything if each["price"] < 30]
    assert 0 < len(cheap) < len(everything)


@pytest.mark.parametrize(
    "query",
    [
        "where[price][less_than]=cheap",
        "where[secret][equals]=1",
        "where[slug]=x",
        "where[slug][equals]=a&where[slug][equals]=b",
        "where[or]=x",
        "where=" + '{"or":[' * 240 + "{}" + "]}" * 240,
        "where[or][x][slug][equals]=a",
        "where=[]",
        "where={}&where[slug][equals]=x",
    ],
)
async def test_a_filter_that_says_nothing_sensible_is_refused(counter: Counter, query: str) -> None:
    answer = await counter.ask("GET", f"/api/gateway/content/collections/services?{query}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "BAD_USER_INPUT")


# -- whose rows --------------------------------------------------------------------------------------------------------

LISTS = {
    "/commerce/products": ("products", "products", "id", "id"),
    "/commerce/categories": ("categories", "product_categories", "id", "id"),
    "/commerce/orders": ("orders", "orders", "id", "id"),
    "/logistics/fleets": ("fleets", None, "id", "id"),
    "/logistics/vehicles": ("vehicles", None, "id", "id"),
    "/logistics/drivers": ("drivers", None, "id", "id"),
    "/erp/customers": ("erpCustomers", "data", "id", "name"),
    "/erp/invoices": ("invoices", "data", "id", "name"),
    "/erp/employees": ("employees", "data", "id", "name"),
    "/erp/inventory": ("stockLevels", "data", "sku", "item_code"),
    "/content/pages": ("pages", "docs", "id", "id"),
}
"""Where a list's rows are, and what their id is called in GraphQL and by the backend."""
ASKING = ("service", "browser", "server", "shop", "here", "there", "customer", "stranger", "staff", "manager", "admin")


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize("caller", ASKING)
async def test_a_list_shows_the_rows_that_graphql_shows(counter: Counter, path: str, caller: str) -> None:
    field, under, key, name = LISTS[path]
    query = f"{{ {field}(first: 100) {{ nodes {{ {key} }} }} }}"
    shown = (await counter.ask("POST", "/graphql", caller, json={"query": query})).json()
    answer = await counter.ask("GET", f"/api/gateway{path}?limit=100", caller)
    if shown["data"][field] is None:
        assert shown["errors"][0]["extensions"]["code"] == answer.json()["error"]["code"] == "FORBIDDEN"
        return
    data = answer.json()["data"]
    rows_shown = data if under is None else data[under]
    assert [str(each[name]) for each in rows_shown] == [each[key] for each in shown["data"][field]["nodes"]]
