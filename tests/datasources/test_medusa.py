"""Medusa's wire: by samples of it, then against the simulator."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

import httpx
import orjson
import pytest
from pydantic import SecretStr

from core import operation
from core.address import Address
from core.errors import (
    BackendBadResponse,
    BackendError,
    BackendRejected,
    BackendUnavailable,
    BadUserInput,
)
from core.settings import MedusaSettings
from datasources._medusa_records import Done
from datasources.medusa import Medusa, NewCart, NewItem, OrderStatus
from sandbox.faults import Fault
from sandbox.world import REGION_ALL, REGION_EUR, ulid
from tests.callers import WORLD
from tests.market import Shop

pytest_plugins = ["tests.backends"]

SETTINGS = MedusaSettings(api_key=SecretStr("sk_x"), publishable_key=SecretStr("pk_x"))
TIRANA = Address(name="Ann Lee Hoxha", street="Rruga 1", city="Tirana", postal_code="1001", country="AL")
Answers = dict[str, Any]


class Wire:
    """Answers by `METHOD path`: a body, a response, or several of them in turn; the last one stays."""

    def __init__(self, **answers: Any) -> None:
        self.answers: dict[str, list[Any]] = {}
        self.requests: list[httpx.Request] = []

    def on(self, route: str, *answers: Any) -> Wire:
        self.answers[route] = list(answers)
        return self

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answers = self.answers[f"{request.method} {request.url.path}"]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        return answer if isinstance(answer, httpx.Response) else httpx.Response(200, json=answer)

    @property
    def routes(self) -> list[str]:
        return [f"{request.method} {request.url.path}" for request in self.requests]

    def medusa(self, settings: MedusaSettings = SETTINGS) -> Medusa:
        return Medusa(httpx.AsyncClient(base_url="http://shop", transport=httpx.MockTransport(self)), settings)


def asked(request: httpx.Request) -> list[tuple[str, str]]:
    return parse_qsl(request.url.query.decode(), keep_blank_values=True)


def line(**changes: Any) -> Answers:
    return {
        "id": "ordli_1",
        "title": "Oak desk",
        "quantity": 2,
        "unit_price": 9.99,
        "total": 23.7762,
        "variant_id": "variant_1",
        "product_id": "prod_1",
        "requires_shipping": True,
        "raw_unit_price": {"value": "9.99", "precision": 20},
        **changes,
    }


def order(**changes: Any) -> Answers:
    return {
        "id": "order_1",
        "display_id": 28,
        "status": "pending",
        "version": 1,
        "payment_status": "authorized",
        "fulfillment_status": "not_fulfilled",
        "email": "ann@buyers.example",
        "customer_id": "cus_1",
        "sales_channel_id": "sc_1",
        "region_id": "reg_1",
        "currency_code": "eur",
        "subtotal": 24.98,
        "shipping_total": 5.95,
        "tax_total": 4.7462,
        "total": 29.7262,
        "items": [line()],
        "created_at": "2026-11-21T00:33:16.845Z",
        "updated_at": "2026-11-21T00:33:22.728Z",
        **changes,
    }


def cart(**changes: Any) -> Answers:
    return {
        "id": "cart_1",
        "currency_code": "eur",
        "email": "ann@buyers.example",
        "region_id": "reg_1",
        "sales_channel_id": "sc_1",
        "customer_id": "cus_1",
        "completed_at": None,
        "subtotal": 19.98,
        "total": 19.98,
        "items": [line(id="cali_1", total=19.98)],
        "shipping_methods": [],
        "shipping_address": None,
        **changes,
    }


ADDRESSED = {"first_name": "Ann", "last_name": "Lee Hoxha", "address_1": "Rruga 1", "city": "Tirana",
             "postal_code": "1001", "country_code": "al", "id": "caaddr_1", "company": None, "phone": None}  # fmt: skip


def page(plural: str, rows: list[Answers], count: int | None = None) -> Answers:
    return {plural: rows, "count": len(rows) if count is None else count, "offset": 0, "limit": 50}


@pytest.fixture(autouse=True)
async def running() -> AsyncIterator[operation.Operation]:
    with operation.running(operation.Operation(may_retry=False)) as current:
        yield current


# -- reading -------------------------------------------------------------------------------------------------------


async def test_an_order_is_read_with_exact_money_in_upper_case_currencies() -> None:
    wire = Wire().on("GET /admin/orders/order_1", {"order": order()})
    found = await wire.medusa().order("order_1")
    assert found is not None
    assert (found.total, found.tax_total, found.currency) == (Decimal("29.7262"), Decimal("4.7462"), "EUR")
    assert (found.status, found.display_id, found.customer_id) == (OrderStatus.PENDING, 28, "cus_1")
    assert found.created_at == datetime(2026, 11, 21, 0, 33, 16, 845_000, UTC)
    [item] = found.items
    assert (item.unit_price, item.total, item.currency) == (Decimal("9.99"), Decimal("23.7762"), "EUR")


async def test_a_line_without_a_total_costs_its_quantity() -> None:
    bare = {key: value for key, value in line(quantity=3).items() if key != "total"}
    wire = Wire().on("GET /store/carts/cart_1", {"cart": cart(items=[bare])})
    found = await wire.medusa().cart("cart_1")
    assert found is not None
    assert found.items[0].total == Decimal("29.97")


async def test_a_list_of_orders_says_everything_that_medusa_would_guess() -> None:
    wire = Wire().on("GET /admin/orders", page("orders", [order()], count=31))
    found = await wire.medusa().orders(
        limit=20,
        offset=40,
        status=OrderStatus.CANCELED,
        customer_ids=["cus_1", "cus_2"],
        channel_ids=["sc_1"],
        created_after=datetime(2026, 1, 1, 2, tzinfo=timezone(timedelta(hours=2))),
        created_before=datetime(2026, 2, 1, tzinfo=UTC),
    )
    assert (found.count, [each.id for each in found.rows]) == (31, ["order_1"])
    [request] = wire.requests
    query = asked(request)
    assert request.headers["authorization"] == "Basic c2tfeDo="
    assert {"currency_code", "email", "customer_id", "sales_channel_id", "*items"} <= set(
        dict(query)["fields"].split(",")
    )
    assert [pair for pair in query if pair[0] != "fields"] == [
        ("limit", "20"),
        ("offset", "40"),
        ("order", "-created_at"),
        ("customer_id[]", "cus_1"),
        ("customer_id[]", "cus_2"),
        ("sales_channel_id[]", "sc_1"),
        ("status[]", "canceled"),
        ("created_at[$gte]", "2026-01-01T00:00:00.000Z"),
        ("created_at[$lt]", "2026-02-01T00:00:00.000Z"),
    ]


@pytest.mark.parametrize("empty", [{"ids": []}, {"customer_ids": []}, {"channel_ids": ()}])
async def test_an_empty_filter_matches_nothing_rather_than_everything(empty: dict[str, Any]) -> None:
    wire = Wire()
    found = await wire.medusa().orders(limit=20, **empty)
    assert (found.rows, found.count, wire.requests) == ([], 0, [])


async def test_products_of_no_channel_are_none() -> None:
    wire = Wire()
    shop = wire.medusa()
    assert (await shop.products(limit=5, channel_ids=())).rows == []
    assert await shop.products_by_ids(["prod_1"], channel_ids=()) == []
    assert await shop.products_by_skus(["SKU-1"], channel_ids=()) == []
    assert await shop.orders_by_ids(["order_1"], channel_ids=()) == []
    assert wire.requests == []


async def test_many_ids_go_in_requests_that_medusa_can_take(running: operation.Operation) -> None:
    ids = [ulid("prod", n) for n in range(650)]
    wire = Wire().on("GET /admin/products", page("products", []))
    await wire.medusa().products_by_ids([*ids, ids[0]], channel_ids=["sc_1"])
    sent = [[value for key, value in asked(request) if key == "id[]"] for request in wire.requests]
    assert sorted(each for chunk in sent for each in chunk) == ids
    assert [len(chunk) for chunk in sent] == [300, 300, 50]
    for request, chunk in zip(wire.requests, sent, strict=True):
        assert dict(asked(request))["limit"] == str(len(chunk))
        assert len(str(request.url)) < 15_500
    assert [call.batch_size for call in running.calls] == [300, 300, 50]


async def test_long_values_go_in_smaller_requests() -> None:
    skus = [f"{n:03d}" + "x" * 200 for n in range(100)]
    wire = Wire().on("GET /admin/product-variants", page("variants", []))
    await wire.medusa().variants(skus=skus)
    assert len(wire.requests) == 2
    assert all(len(str(request.url)) < 15_500 for request in wire.requests)
    assert [value for request in wire.requests for key, value in asked(request) if key == "sku[]"] == skus


async def test_a_single_value_with_a_comma_goes_twice_because_medusa_would_split_it() -> None:
    wire = Wire().on("GET /admin/product-variants", page("variants", []))
    await wire.medusa().variants(skus=["BOX 2,5"])
    assert [value for key, value in asked(wire.requests[0]) if key == "sku[]"] == ["BOX 2,5", "BOX 2,5"]


async def test_prices_for_some_buyers_only_are_not_what_anybody_pays() -> None:
    prices = [
        {"amount": 10, "currency_code": "eur", "min_quantity": None, "rules": {}},
        {"amount": 8, "currency_code": "eur", "min_quantity": 10, "rules": {}},
        {"amount": 9, "currency_code": "eur", "min_quantity": None, "rules": {"customer.groups.id": "cusgroup_1"}},
        {"amount": 1000, "currency_code": "all", "min_quantity": None, "rules": {}},
    ]
    variant = {"id": "variant_1", "title": "S", "sku": "SKU-1", "prices": prices}
    row = {
        "id": "prod_1", "title": "Desk", "handle": "desk", "status": "draft", "variants": [variant],
        "images": [{"url": "b", "rank": 1}, {"url": "a", "rank": 0}],
        "categories": [
            {"id": "pcat_1", "name": "Old", "handle": "old", "is_active": False},
            {"id": "pcat_2", "name": "New", "handle": "new", "is_active": True, "is_internal": False},
        ],
        "created_at": "2026-11-21T00:06:49.249Z", "updated_at": "2026-11-21T00:06:49.249Z",
    }  # fmt: skip
    wire = Wire().on("GET /admin/products", page("products", [row]))
    [found] = (await wire.medusa().products(limit=1)).rows
    [read] = found.variants
    assert [(price.amount, price.currency) for price in read.prices] == [(Decimal(10), "EUR"), (Decimal(1000), "ALL")]
    assert (found.images, found.skus) == (["a", "b"], ("SKU-1",))
    assert [category.name for category in found.categories] == ["New"]


async def test_what_is_not_there_is_none() -> None:
    gone = httpx.Response(404, json={"type": "not_found", "message": "not found"})
    wire = Wire().on("GET /admin/orders/x", gone).on("GET /store/carts/x", gone)
    wire.on("GET /store/product-categories/x", {})
    shop = wire.medusa()
    assert await shop.order("x") is None
    assert await shop.cart("x") is None
    assert await shop.category("x") is None


async def test_a_route_that_is_not_there_is_no_missing_row() -> None:
    wire = Wire().on("GET /admin/orders/x", httpx.Response(404, html="<!DOCTYPE html><pre>Cannot GET /x</pre>"))
    with pytest.raises(BackendBadResponse, match="does not know this route"):
        await wire.medusa().order("x")


async def test_a_wrong_type_is_an_error_that_names_the_field() -> None:
    wire = Wire().on("GET /admin/orders/x", {"order": order(display_id="28")})
    with pytest.raises(BackendBadResponse, match="display_id"):
        await wire.medusa().order("x")


@pytest.mark.parametrize(
    ("answer", "message", "reason"),
    [
        (
            httpx.Response(400, json={"code": "insufficient_inventory", "type": "not_allowed", "message": "No stock"}),
            "No stock",
            "insufficient_inventory",
        ),
        (httpx.Response(400, json={"message": "Bad", "type": "invalid_data"}), "Bad", "invalid_data"),
        (
            httpx.Response(400, json={"type": "not_allowed", "message": "A valid publishable key is required"}),
            "medusa does not accept the gateway's credentials: its configuration is wrong",
            "unauthorized",
        ),
        (
            httpx.Response(401, json={"message": "Unauthorized"}),
            "medusa does not accept the gateway's credentials: its configuration is wrong",
            "unauthorized",
        ),
        (httpx.Response(431), "the request was too long for medusa", "too_long"),
        (
            httpx.Response(422, json={"type": "x", "message": "<b>See</b>\n http://10.0.0.7:9000/a?k=1 now"}),
            "See now",
            "x",
        ),
        (httpx.Response(403, html="<h1>Forbidden</h1>"), "medusa answered 403", None),
    ],
)
async def test_a_refusal_is_told_in_plain_words(answer: httpx.Response, message: str, reason: str | None) -> None:
    wire = Wire().on("GET /store/regions", answer)
    with pytest.raises(BackendRejected) as caught:
        await wire.medusa().regions()
    assert (str(caught.value), caught.value.reason, caught.value.status) == (message, reason, answer.status_code)


async def test_the_secret_key_stays_with_the_admin_api() -> None:
    wire = Wire().on("GET /store/regions", page("regions", [])).on("GET /admin/stores", page("stores", []))
    shop = wire.medusa()
    await shop.regions()
    await shop.ping()
    store, admin = wire.requests
    assert store.headers["x-publishable-api-key"] == "pk_x"
    assert "authorization" not in store.headers
    assert "x-publishable-api-key" not in admin.headers


# -- carts and orders ----------------------------------------------------------------------------------------------


def region(id: str, currency: str, *countries: str) -> Answers:
    return {"id": id, "name": id, "currency_code": currency, "countries": [{"iso_2": each} for each in countries]}


REGIONS = page(
    "regions",
    [region("reg_us", "usd", "us"), region("reg_eu", "eur", "de", "al"), region("reg_al", "all", "al"),
     region("reg_eu2", "eur", "al")],
)  # fmt: skip


@pytest.mark.parametrize(
    ("new", "default", "chosen"),
    [
        (NewCart(), None, "reg_us"),
        (NewCart(), "reg_al", "reg_al"),
        (NewCart(region_id="reg_9"), "reg_al", "reg_9"),
        (NewCart(currency="EUR"), None, "reg_eu"),
        (NewCart(currency="EUR"), "reg_eu2", "reg_eu2"),
        (NewCart(currency="ALL"), "reg_eu", "reg_al"),
        (NewCart(address=TIRANA), None, "reg_eu"),
        (NewCart(address=TIRANA), "reg_us", "reg_eu"),
        (NewCart(address=TIRANA), "reg_al", "reg_al"),
        (NewCart(region_id="reg_eu2", currency="EUR"), None, "reg_eu2"),
    ],
)
async def test_a_cart_is_made_where_its_currency_and_address_are_sold_to(
    new: NewCart, default: str | None, chosen: str
) -> None:
    wire = Wire().on("GET /store/regions", REGIONS).on("POST /store/carts", {"cart": cart()})
    await wire.medusa(SETTINGS.model_copy(update={"region_id": default})).create_cart(new)
    assert body(wire.requests[-1])["region_id"] == chosen


@pytest.mark.parametrize(
    "new",
    [NewCart(currency="CHF"), NewCart(region_id="reg_us", currency="EUR"),
     NewCart(address=Address(street="1", city="Rome", country="IT")), NewCart(currency="USD", address=TIRANA)],
)  # fmt: skip
async def test_what_no_region_sells_is_the_callers_mistake(new: NewCart) -> None:
    wire = Wire().on("GET /store/regions", REGIONS)
    with pytest.raises(BadUserInput, match="nothing is sold"):
        await wire.medusa().create_cart(new)


def body(request: httpx.Request) -> Any:
    return httpx.Response(200, content=request.content).json()


@pytest.mark.parametrize(
    "call",
    [lambda shop: shop.create_cart(NewCart(region_id="reg_1")), lambda shop: shop.add_cart_item("cart_1", "v", 1)],
)
async def test_what_would_double_is_never_repeated(running: operation.Operation, call: Callable[[Medusa], Any]) -> None:
    running.may_retry = True
    wire = Wire().on("POST /store/carts", httpx.Response(503))
    wire.on("POST /store/carts/cart_1/line-items", httpx.Response(503))
    with pytest.raises(BackendUnavailable):
        await call(wire.medusa())
    assert len(wire.requests) == 1


COMPLETE = "POST /store/carts/cart_1/complete"
PLACED = {"type": "order", "order": {"id": "order_1", "display_id": 28}}


def checkout(**changes: Any) -> Wire:
    """Everything that a cart meets on its way to an order."""
    wire = Wire().on("GET /store/carts/cart_1", {"cart": cart(**changes)})
    wire.on("POST /store/carts/cart_1", {"cart": cart(**{**changes, "shipping_address": ADDRESSED})})
    options = [
        {"id": "so_calc", "price_type": "calculated", "amount": None, "shipping_profile_id": "sp_1"},
        {"id": "so_fast", "price_type": "flat", "amount": 9, "shipping_profile_id": "sp_1"},
        {"id": "so_slow", "price_type": "flat", "amount": 4.5, "shipping_profile_id": "sp_1"},
        {"id": "so_gone", "amount": 1, "shipping_profile_id": "sp_1", "insufficient_inventory": True},
        {"id": "so_big", "price_type": "flat", "amount": 40, "shipping_profile_id": "sp_2"},
    ]  # fmt: skip
    wire.on("GET /store/shipping-options", {"shipping_options": options})
    shipped = {**changes, "shipping_methods": [{"id": "casm_1"}], "shipping_address": ADDRESSED}
    wire.on("POST /store/carts/cart_1/shipping-methods", {"cart": cart(**shipped)})
    wire.on("POST /store/payment-collections", {"payment_collection": {"id": "pay_col_1", "amount": 1}})
    wire.on("POST /store/payment-collections/pay_col_1/payment-sessions", {"payment_collection": {"id": "pay_col_1"}})
    wire.on(COMPLETE, PLACED)
    return wire.on("GET /admin/orders/order_1", {"order": order()})


async def test_placing_an_order_ships_by_the_cheapest_way_and_pays_by_hand() -> None:
    wire = checkout()
    placed = await wire.medusa().place_order("cart_1", address=TIRANA)
    assert placed.id == "order_1"
    assert wire.routes == [
        "GET /store/carts/cart_1",
        "POST /store/carts/cart_1",
        "GET /store/shipping-options",
        "POST /store/carts/cart_1/shipping-methods",
        "POST /store/carts/cart_1/shipping-methods",
        "POST /store/payment-collections",
        "POST /store/payment-collections/pay_col_1/payment-sessions",
        COMPLETE,
        "GET /admin/orders/order_1",
    ]
    assert body(wire.requests[1]) == {
        "shipping_address": {
            "first_name": "Ann",
            "last_name": "Lee Hoxha",
            "address_1": "Rruga 1",
            "city": "Tirana",
            "postal_code": "1001",
            "country_code": "al",
        }
    }
    assert [body(request)["option_id"] for request in wire.requests[3:5]] == ["so_slow", "so_big"]
    assert body(wire.requests[5]) == {"cart_id": "cart_1"}
    assert body(wire.requests[6]) == {"provider_id": "pp_system_default"}


async def test_a_free_order_of_goods_that_are_not_shipped_needs_neither_payment_nor_shipping() -> None:
    wire = checkout(total=0, items=[line(requires_shipping=False, total=0)])
    await wire.medusa().place_order("cart_1", email="ANN@buyers.example")
    assert wire.routes == ["GET /store/carts/cart_1", COMPLETE, "GET /admin/orders/order_1"]


async def test_a_cart_that_has_everything_is_left_alone() -> None:
    wire = checkout(shipping_methods=[{"id": "casm_1"}], shipping_address=ADDRESSED)
    prepared = await wire.medusa().prepare_cart("cart_1", email="ann@buyers.example", address=TIRANA)
    assert (prepared.total, wire.routes) == (Decimal("19.98"), ["GET /store/carts/cart_1"])


async def test_an_address_that_nothing_is_shipped_to_is_refused() -> None:
    wire = checkout().on("GET /store/shipping-options", {"shipping_options": []})
    with pytest.raises(BackendRejected, match="nothing is shipped"):
        await wire.medusa().prepare_cart("cart_1")


async def test_an_ordered_cart_gives_its_order_again() -> None:
    wire = checkout(completed_at="2026-11-21T00:33:16.872Z")
    placed = await wire.medusa().place_order("cart_1", email="other@buyers.example", address=TIRANA)
    assert placed.id == "order_1"
    assert wire.routes == ["GET /store/carts/cart_1", COMPLETE, "GET /admin/orders/order_1"]


async def test_a_cart_that_somebody_else_completed_meanwhile_gives_their_order() -> None:
    ordered = {"type": "invalid_data", "message": "Cart cart_1 is already completed."}
    wire = checkout().on("POST /store/carts/cart_1/shipping-methods", httpx.Response(400, json=ordered))
    wire.on("GET /store/carts/cart_1", {"cart": cart()}, {"cart": cart(completed_at="2026-11-21T00:33:16.872Z")})
    assert (await wire.medusa().place_order("cart_1")).id == "order_1"
    assert wire.routes.count(COMPLETE) == 1


async def test_a_completion_that_meets_another_one_waits_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Medusa, "completion_waits_s", (0.0, 0.0))
    busy = httpx.Response(409, json={"type": "conflict", "code": "invalid_state_error", "message": "busy"})
    wire = checkout().on(COMPLETE, busy, busy, PLACED)
    assert (await wire.medusa().place_order("cart_1")).id == "order_1"
    assert wire.routes.count(COMPLETE) == 3
    wire.on(COMPLETE, busy)
    with pytest.raises(BackendRejected, match="busy"):
        await wire.medusa().place_order("cart_1")


async def test_a_completion_that_answers_the_cart_is_a_refusal() -> None:
    declined = {"message": "Payment authorization failed", "name": "Error", "type": "payment_authorization_error"}
    wire = checkout().on(COMPLETE, {"type": "cart", "cart": {"id": "cart_1"}, "error": declined})
    with pytest.raises(BackendRejected, match="Payment authorization failed") as caught:
        await wire.medusa().place_order("cart_1")
    assert caught.value.reason == "payment_authorization_error"


async def test_looking_for_a_carts_order_makes_none() -> None:
    wire = checkout()
    assert await wire.medusa().order_of_cart("cart_1") is None
    assert wire.routes == ["GET /store/carts/cart_1"]


async def test_cancelling_a_canceled_order_is_fine_and_a_fulfilled_one_is_not() -> None:
    again = httpx.Response(400, json={"type": "invalid_data", "message": "Order with id order_1 has been canceled."})
    wire = Wire().on("POST /admin/orders/order_1/cancel", again)
    wire.on("GET /admin/orders/order_1", {"order": order(status="canceled")})
    assert (await wire.medusa().cancel_order("order_1")).status is OrderStatus.CANCELED
    unwilling = httpx.Response(400, json={"type": "not_allowed", "message": "All fulfillments must be canceled"})
    wire.on("POST /admin/orders/order_1/cancel", unwilling).on("GET /admin/orders/order_1", {"order": order()})
    with pytest.raises(BackendRejected, match="fulfillments"):
        await wire.medusa().cancel_order("order_1")


# -- the simulator -------------------------------------------------------------------------------------------------


async def new_cart(shop: Shop, **changes: Any) -> str:
    new: dict[str, Any] = {
        "items": [NewItem(ulid("variant", 11), 2)],
        "email": "ann@buyers.example",
        "sales_channel_id": ulid("sc", 2),
        "region_id": REGION_EUR,
        **changes,
    }
    return (await shop.medusa.create_cart(NewCart(**new))).id


async def test_the_shop_answers_to_our_keys_alone(shop: Shop) -> None:
    await shop.medusa.ping()
    stranger = Medusa(shop.medusa._client, SETTINGS)
    with pytest.raises(BackendRejected, match="credentials"):
        await stranger.ping()
    with pytest.raises(BackendRejected, match="credentials"):
        await stranger.regions()


async def test_fifty_orders_with_their_items_are_one_call_and_their_products_another(
    shop: Shop, running: operation.Operation
) -> None:
    found = await shop.medusa.orders(limit=50)
    products = await shop.medusa.products_by_ids([i.product_id for o in found.rows for i in o.items if i.product_id])
    assert (len(found.rows), found.count) == (50, 200)
    assert {item.product_id for each in found.rows for item in each.items} == {product.id for product in products}
    assert [(call.path, call.batch_size) for call in running.calls] == [
        ("/admin/orders", None),
        ("/admin/products", len(products)),
    ]
    assert len(shop.line.calls) == 2


async def test_products_are_found_by_sku_in_two_calls(shop: Shop) -> None:
    found = await shop.medusa.products_by_skus(["SKU-003-1", "SKU-003-2", "SKU-007-1", "SKU-999-1"])
    assert sorted(product.id for product in found) == [ulid("prod", 3), ulid("prod", 7)]
    assert [call.path for call in shop.line.calls] == ["/admin/product-variants", "/admin/products"]


async def test_lists_are_narrowed_by_what_is_asked(shop: Shop) -> None:
    medusa = shop.medusa
    books = await medusa.products(limit=100, category_id=ulid("pcat", 1))
    assert 0 < books.count < 60
    assert all(ulid("pcat", 1) in [category.id for category in product.categories] for product in books.rows)
    assert [product.id for product in (await medusa.products(limit=5, handle="atlas-60")).rows] == [ulid("prod", 60)]
    assert (await medusa.products(limit=5, search="Atlas")).count == 6
    assert (await medusa.products(limit=5, status="draft")).count == 0
    theirs = await medusa.orders(limit=100, channel_ids=[ulid("sc", 2)], customer_ids=[ulid("cus", 18)])
    assert theirs.count > 0
    assert {(each.sales_channel_id, each.customer_id) for each in theirs.rows} == {(ulid("sc", 2), ulid("cus", 18))}


async def test_stock_is_told_by_variant(shop: Shop) -> None:
    [stock] = await shop.medusa.variant_stocks_by_ids([ulid("variant", 11)])
    assert (stock.id, stock.inventory_quantity) == (ulid("variant", 11), 100_000)


async def test_a_cart_becomes_one_paid_order_and_can_be_undone(shop: Shop) -> None:
    medusa = shop.medusa
    cart_id = await new_cart(shop)
    changed = await medusa.add_cart_item(cart_id, ulid("variant", 11), 1)
    assert [item.quantity for item in changed.items] == [3]
    prepared = await medusa.prepare_cart(cart_id, address=TIRANA)
    assert prepared.total == changed.total + 5
    placed = await medusa.place_order(cart_id)
    assert (placed.total, placed.currency, placed.email) == (prepared.total, "EUR", "ann@buyers.example")
    assert (placed.payment_status, placed.sales_channel_id) == ("authorized", ulid("sc", 2))
    assert await medusa.place_order(cart_id) == placed
    assert await medusa.order_of_cart(cart_id) == placed
    await medusa.capture_order_payment(placed.id)
    await medusa.capture_order_payment(placed.id)
    captures = [call for call in shop.line.calls if call.path.endswith("/capture")]
    assert len(captures) == 1
    canceled = await medusa.cancel_order(placed.id)
    assert (canceled.status, canceled.payment_status) == (OrderStatus.CANCELED, "refunded")
    assert (await medusa.cancel_order(placed.id)).status is OrderStatus.CANCELED
    assert len(shop.store.rows("order")) == 201


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    "path",
    [
        "/store/carts/[^/]+",
        "/store/carts/[^/]+/shipping-methods",
        "/store/payment-collections",
        "/store/payment-collections/[^/]+/payment-sessions",
        "/store/carts/[^/]+/complete",
        "/admin/orders/[^/]+",
    ],
)
async def test_an_order_that_broke_off_anywhere_is_placed_once(shop: Shop, path: str, when: str) -> None:
    cart_id = await new_cart(shop)
    shop.line.replace([{"path": path, "kind": "status", "when": when, "count": 1}])
    with pytest.raises(BackendError):
        await shop.medusa.place_order(cart_id, email="ben@buyers.example", address=TIRANA)
    placed = await shop.medusa.place_order(cart_id, email="ben@buyers.example", address=TIRANA)
    assert placed.email == "ben@buyers.example"
    assert [row["id"] for row in shop.store.rows("order")[200:]] == [placed.id]


async def test_a_completion_whose_answer_was_lost_is_found_by_its_cart(shop: Shop) -> None:
    cart_id = await new_cart(shop, address=TIRANA)
    assert await shop.medusa.order_of_cart(cart_id) is None
    shop.line.replace([{"path": ".*/complete", "kind": "malformed", "when": "after", "count": 1}])
    with pytest.raises(BackendBadResponse):
        await shop.medusa.place_order(cart_id)
    found = await shop.medusa.order_of_cart(cart_id)
    assert found is not None
    assert [row["id"] for row in shop.store.rows("order")[200:]] == [found.id]


async def test_refusals_of_the_shop_are_told(shop: Shop) -> None:
    medusa = shop.medusa
    with pytest.raises(BackendRejected, match="do not exist"):
        await new_cart(shop, items=[NewItem("variant_x", 1)])
    with pytest.raises(BackendRejected, match="multiple associated sales channels"):
        await new_cart(shop, sales_channel_id=None)
    with pytest.raises(BackendRejected, match="no such cart") as caught:
        await medusa.place_order("cart_x")
    assert (caught.value.status, caught.value.reason) == (404, "not_found")
    with pytest.raises(BackendRejected) as caught:
        await medusa.cancel_order("order_x")
    assert caught.value.reason == "not_found"


async def test_regions_of_the_demo_shop_sell_in_both_currencies(shop: Shop) -> None:
    for currency, region_id in (("ALL", REGION_ALL), ("EUR", REGION_EUR)):
        made = await shop.medusa.create_cart(NewCart(currency=currency, address=TIRANA, sales_channel_id=ulid("sc", 1)))
        assert (made.currency, made.region_id) == (currency, region_id)


# -- refunds -------------------------------------------------------------------------------------------------------


def paid(*refunds: Answers, captured: float = 29.73) -> Answers:
    payment = {
        "id": "pay_1",
        "currency_code": "eur",
        "amount": 29.73,
        "captures": [{"id": "capt_1", "amount": captured}] if captured else [],
        "refunds": list(refunds),
    }
    return {"order": {"id": "order_1", "payment_collections": [{"id": "pay_col_1", "payments": [payment]}]}}


def refund(amount: float, note: str | None) -> Answers:
    return {"id": f"ref_{note}", "amount": amount, "note": note, "payment_id": "pay_1", "refund_reason": None}


REFUND = "POST /admin/payments/pay_1/refund"


async def test_a_refund_says_how_much_and_for_what() -> None:
    after = {"payment": {"id": "pay_1", "refunds": [refund(3, "other"), refund(10.5, "run-1")]}}
    wire = Wire().on("GET /admin/orders/order_1", paid(refund(3, "other"))).on(REFUND, after)
    made = await wire.medusa().refund_order("order_1", Decimal("10.50"), reference="run-1")
    assert (made.id, made.amount) == ("ref_run-1", Decimal("10.5"))
    assert orjson.loads(wire.requests[-1].content) == {"amount": 10.5, "note": "run-1"}


async def test_without_an_amount_all_that_is_left_goes_back() -> None:
    after = {"payment": {"id": "pay_1", "refunds": [refund(29.73, "run-1")]}}
    wire = Wire().on("GET /admin/orders/order_1", paid()).on(REFUND, after)
    await wire.medusa().refund_order("order_1", None, reference="run-1")
    assert orjson.loads(wire.requests[-1].content) == {"note": "run-1"}


async def test_what_has_gone_back_does_not_go_back_again() -> None:
    wire = Wire().on("GET /admin/orders/order_1", paid(refund(10.5, "run-1")))
    made = await wire.medusa().refund_order("order_1", Decimal("10.50"), reference="run-1")
    assert made.amount == Decimal("10.5")
    assert wire.routes == ["GET /admin/orders/order_1"]


@pytest.mark.parametrize(
    ("order_now", "amount"),
    [
        (paid(captured=0), None),
        (paid(captured=0), Decimal(1)),
        (paid(), Decimal("29.74")),
        (paid(refund(20, "other")), Decimal("9.74")),
        (paid(refund(29.73, "other")), None),
        ({"order": {"id": "order_1", "payment_collections": []}}, None),
    ],
)
async def test_no_more_goes_back_than_was_captured(order_now: Answers, amount: Decimal | None) -> None:
    wire = Wire().on("GET /admin/orders/order_1", order_now)
    with pytest.raises(BackendRejected, match="left to refund"):
        await wire.medusa().refund_order("order_1", amount, reference="run-1")
    assert wire.routes == ["GET /admin/orders/order_1"]


def captured_order(shop: Shop) -> str:
    """An order whose money has been captured."""
    row = next(
        row
        for row in shop.store.rows("payment")
        if row["captured_at"] and not row["refunds"] and row["currency_code"] == "eur"
    )
    orders = shop.store.rows("order")
    return str(next(order["id"] for order in orders if row["payment_collection_id"] in order["payment_collection_ids"]))


async def test_a_refund_is_made_once_by_however_many(shop: Shop) -> None:
    order_id = captured_order(shop)
    made = await asyncio.gather(
        *(shop.medusa.refund_order(order_id, Decimal(1), reference="run-1") for _ in range(3)),
        shop.medusa.refund_order(order_id, Decimal(2), reference="run-2"),
    )
    assert len({each.id for each in made}) == 2
    found = await shop.medusa.refunds_by_order_ids([order_id, "order_nobody"])
    assert {order: sorted((each.note, each.amount) for each in refunds) for order, refunds in found.items()} == {
        order_id: [("run-1", Decimal(1)), ("run-2", Decimal(2))]
    }


async def test_a_refund_whose_answer_was_lost_is_found_again(shop: Shop) -> None:
    order_id = captured_order(shop)
    shop.line.faults = [Fault("status", "after", method="POST", status=502)]
    made = await shop.medusa.refund_order(order_id, Decimal(1), reference="run-1")
    assert (made.amount, made.note) == (Decimal(1), "run-1")
    assert len((await shop.medusa.refunds_by_order_ids([order_id]))[order_id]) == 1


async def test_a_refund_that_never_happened_fails_and_is_not_repeated(shop: Shop) -> None:
    order_id = captured_order(shop)
    shop.line.faults = [Fault("status", "before", method="POST", status=502)]
    with pytest.raises(BackendUnavailable):
        await shop.medusa.refund_order(order_id, Decimal(1), reference="run-1")
    assert [path for path in shop.paths if path.startswith("POST")] == [
        path for path in shop.paths if path.endswith("/refund")
    ]
    assert len([path for path in shop.paths if path.endswith("/refund")]) == 1


async def test_refunds_of_fifty_orders_are_one_call(shop: Shop) -> None:
    ids = [order.id for order in WORLD.orders[-50:]]
    assert set(await shop.medusa.refunds_by_order_ids(ids)) == set(ids)
    assert shop.paths == ["GET /admin/orders"]


# -- what is too long ----------------------------------------------------------------------------------------------


async def test_more_ids_than_a_request_can_hold_are_several_requests(shop: Shop) -> None:
    """In one they would be refused with 431 and no word."""
    ids = [f"prod_{n:026}" for n in range(600)]
    at_once = [("limit", 600), *(("id[]", each) for each in ids)]
    with pytest.raises(BackendRejected, match="too long") as caught:
        await shop.medusa.read("GET", "/admin/products", Done, query=at_once, headers=shop.medusa._admin)
    assert caught.value.status == 431
    shop.line.calls.clear()
    assert await shop.medusa.products_by_ids([*ids, WORLD.products[0].id]) != []
    assert shop.paths == ["GET /admin/products"] * 3
