"""The Medusa simulator's behaviour: what a shop does with a request, beyond the shape of its answers."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox import medusa
from sandbox.keys import MEDUSA_API_KEY, MEDUSA_PUBLISHABLE_KEY
from sandbox.store import Store
from sandbox.world import REGION_ALL, REGION_EUR, SHIPPING_ALL, SHIPPING_EUR, World, ulid

PRODUCT, VARIANT, STOCK = ulid("prod", 1), ulid("variant", 11), ulid("iitem", 11)
CHANNEL = ulid("sc", 2)
TIRANA = {"first_name": "A", "last_name": "B", "address_1": "Rruga 1", "city": "Tirana", "country_code": "al"}
PRICE = 8.77
"""Of the first product's only variant, in euros."""


class Shop:
    """A client of one simulator, with the right key for each path."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.http = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=medusa.create_app(store)), base_url="http://medusa"
        )

    async def send(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        keys = {"authorization": f"Basic {MEDUSA_API_KEY}", "x-publishable-api-key": MEDUSA_PUBLISHABLE_KEY}
        return await self.http.request(method, path, headers=kwargs.pop("headers", keys), **kwargs)

    async def get(self, path: str, status: int = 200, **kwargs: Any) -> Any:
        response = await self.send("GET", path, **kwargs)
        assert response.status_code == status, response.text
        return response.json()

    async def post(self, path: str, body: dict[str, Any] | None = None, status: int = 200) -> Any:
        response = await self.send("POST", path, json=body or {})
        assert response.status_code == status, response.text
        return response.json()

    async def cart(self, quantity: int = 1, **body: Any) -> str:
        """The id of a cart with one line, an address and an e-mail."""
        filled = {
            "region_id": REGION_EUR,
            "sales_channel_id": CHANNEL,
            "email": "ann@buyers.example",
            "items": [{"variant_id": VARIANT, "quantity": quantity}],
            "shipping_address": TIRANA,
            "metadata": {"ref": "r1"},
            **body,
        }
        return str((await self.post("/store/carts", filled))["cart"]["id"])

    async def ready(self, quantity: int = 1, provider: str = "pp_system_default", **body: Any) -> str:
        """The id of a cart that only has to be completed."""
        cart = await self.cart(quantity, **body)
        await self.post(f"/store/carts/{cart}/shipping-methods", {"option_id": SHIPPING_EUR})
        await self.pay(cart, provider)
        return cart

    async def pay(self, cart: str, provider: str = "pp_system_default") -> Any:
        collection = (await self.post("/store/payment-collections", {"cart_id": cart}))["payment_collection"]
        path = f"/store/payment-collections/{collection['id']}/payment-sessions"
        return (await self.post(path, {"provider_id": provider}))["payment_collection"]

    async def ordered(self, quantity: int = 1) -> str:
        completed = await self.post(f"/store/carts/{await self.ready(quantity)}/complete")
        return str(completed["order"]["id"])

    async def payment_of(self, order: str) -> dict[str, Any]:
        shown = (await self.get(f"/admin/orders/{order}"))["order"]
        payment: dict[str, Any] = shown["payment_collections"][0]["payments"][0]
        return payment

    async def available(self) -> int:
        fields = "id,variants.inventory_quantity"
        shown = await self.get(f"/store/products/{PRODUCT}?fields={fields}")
        return int(shown["product"]["variants"][0]["inventory_quantity"])


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    store = Store(None)
    store.seed(medusa.seed)
    shop = Shop(store)
    yield shop
    await shop.http.aclose()
    store.close()


# Placing orders


async def test_a_cart_becomes_an_order_with_totals_customer_payment_and_reserved_stock(shop: Shop) -> None:
    before = await shop.available()
    cart = await shop.cart(3)
    options = (await shop.get(f"/store/shipping-options?cart_id={cart}"))["shipping_options"]
    assert [(option["id"], option["amount"]) for option in options] == [(SHIPPING_EUR, 5)]
    await shop.post(f"/store/carts/{cart}/shipping-methods", {"option_id": options[0]["id"]})
    collection = await shop.pay(cart)
    assert collection["amount"] == 3 * PRICE + 5
    completed = await shop.post(f"/store/carts/{cart}/complete")

    assert completed["type"] == "order"
    order = completed["order"]
    assert (order["status"], order["email"], order["display_id"]) == ("pending", "ann@buyers.example", 201)
    assert (order["item_total"], order["shipping_total"], order["total"]) == (26.31, 5, 31.31)
    assert order["summary"]["pending_difference"] == 31.31
    assert [(item["variant_sku"], item["quantity"], item["unit_price"]) for item in order["items"]] == [
        ("SKU-001-1", 3, PRICE)
    ]
    admin = (await shop.get(f"/admin/orders/{order['id']}?fields=%2Bcustomer_id,%2Bsales_channel_id"))["order"]
    assert (admin["payment_status"], admin["fulfillment_status"]) == ("authorized", "not_fulfilled")
    assert (admin["sales_channel_id"], admin["metadata"]) == (CHANNEL, {"ref": "r1"})
    guest = (await shop.get(f"/admin/customers/{admin['customer_id']}"))["customer"]
    assert (guest["email"], guest["has_account"]) == ("ann@buyers.example", False)
    assert await shop.available() == before - 3


async def test_completing_again_or_at_once_makes_one_order(shop: Shop) -> None:
    cart = await shop.ready()
    answers = await asyncio.gather(*(shop.post(f"/store/carts/{cart}/complete") for _ in range(4)))
    assert len({answer["order"]["id"] for answer in answers}) == 1
    assert len(shop.store.rows("order")) == 201
    assert len(shop.store.rows("payment")) == 201


async def test_a_change_of_the_cart_drops_its_sessions_and_moves_the_amount(shop: Shop) -> None:
    cart = await shop.ready()
    await shop.post(f"/store/carts/{cart}/line-items", {"variant_id": VARIANT, "quantity": 1})
    refusal = await shop.post(f"/store/carts/{cart}/complete", status=400)
    assert refusal == {"type": "invalid_data", "message": "Payment sessions are required to complete cart"}
    assert (await shop.pay(cart))["amount"] == 2 * PRICE + 5
    assert (await shop.post(f"/store/carts/{cart}/complete"))["type"] == "order"


async def test_a_second_session_replaces_the_first(shop: Shop) -> None:
    cart = await shop.ready()
    first, second = await shop.pay(cart), await shop.pay(cart)
    assert first["id"] == second["id"]
    assert len(second["payment_sessions"]) == 1
    assert first["payment_sessions"][0]["id"] != second["payment_sessions"][0]["id"]


async def test_an_empty_cart_cannot_be_completed(shop: Shop) -> None:
    cart = await shop.cart(items=[])
    refusal = await shop.post(f"/store/carts/{cart}/complete", status=400)
    assert refusal["message"] == "Cannot complete a cart with no items"


async def test_a_refused_payment_answers_200_with_the_cart(shop: Shop) -> None:
    cart = await shop.ready(provider="pp_fail")
    answer = await shop.post(f"/store/carts/{cart}/complete")
    assert (answer["type"], answer["cart"]["id"]) == ("cart", cart)
    assert answer["error"]["type"] == "payment_authorization_error"
    assert len(shop.store.rows("order")) == 200


async def test_a_completion_in_progress_is_a_conflict_once(shop: Shop) -> None:
    cart = await shop.ready(provider="pp_conflict")
    assert (await shop.post(f"/store/carts/{cart}/complete", status=409))["type"] == "conflict"
    assert (await shop.post(f"/store/carts/{cart}/complete"))["type"] == "order"


async def test_the_same_variant_and_metadata_share_a_line(shop: Shop) -> None:
    cart = await shop.cart()
    path = f"/store/carts/{cart}/line-items"
    await shop.post(path, {"variant_id": VARIANT, "quantity": 2})
    shown = (await shop.post(path, {"variant_id": VARIANT, "quantity": 1, "metadata": {"gift": True}}))["cart"]
    assert sorted(item["quantity"] for item in shown["items"]) == [1, 3]
    gift = next(item["id"] for item in shown["items"] if item["quantity"] == 1)
    shown = (await shop.post(f"{path}/{gift}", {"quantity": 0}))["cart"]
    assert [item["quantity"] for item in shown["items"]] == [3]
    gone = (await shop.send("DELETE", f"{path}/{shown['items'][0]['id']}")).json()
    assert (gone["deleted"], gone["parent"]["items"], gone["parent"]["total"]) == (True, [], 0)


async def test_the_other_currency_has_its_own_prices_and_shipping(shop: Shop) -> None:
    cart = await shop.cart(region_id=REGION_ALL)
    options = (await shop.get(f"/store/shipping-options?cart_id={cart}"))["shipping_options"]
    assert [(option["id"], option["amount"]) for option in options] == [(SHIPPING_ALL, 500)]
    refusal = await shop.post(f"/store/carts/{cart}/shipping-methods", {"option_id": SHIPPING_EUR}, 400)
    assert refusal["type"] == "invalid_data"
    shown = (await shop.post(f"/store/carts/{cart}/shipping-methods", {"option_id": SHIPPING_ALL}))["cart"]
    assert (shown["currency_code"], shown["total"]) == ("all", 1377)
    shown = (await shop.post(f"/store/carts/{cart}", {"region_id": REGION_EUR}))["cart"]
    assert (shown["currency_code"], shown["total"], shown["shipping_methods"]) == ("eur", PRICE, [])


async def test_taxes_follow_the_country_and_are_not_rounded(shop: Shop) -> None:
    cart = await shop.cart(3, shipping_address={**TIRANA, "country_code": "de"})
    shown = (await shop.get(f"/store/carts/{cart}?fields=%2Bitems.total"))["cart"]
    assert (shown["subtotal"], shown["tax_total"], shown["total"]) == (26.31, 4.9989, 31.3089)
    assert shown["items"][0]["raw_total"] == {"value": "31.3089", "precision": 20}


async def test_a_country_outside_the_region_is_refused(shop: Shop) -> None:
    body = {"region_id": REGION_EUR, "sales_channel_id": CHANNEL, "shipping_address": {**TIRANA, "country_code": "us"}}
    assert (await shop.post("/store/carts", body, 400))["message"] == "Country with code us is not within region Europe"


async def test_stock_limits_what_is_added_and_what_is_ordered(shop: Shop) -> None:
    row = shop.store.get("inventory_item", STOCK)
    assert row is not None
    shop.store.put("inventory_item", STOCK, {**row, "stocked_quantity": row["reserved_quantity"] + 3})
    first, second = await shop.ready(2), await shop.ready(2)
    refusal = await shop.post(f"/store/carts/{first}/line-items", {"variant_id": VARIANT, "quantity": 2}, 400)
    assert refusal["code"] == "insufficient_inventory"
    assert (await shop.post(f"/store/carts/{first}/complete"))["type"] == "order"
    refusal = await shop.post(f"/store/carts/{second}/complete", status=400)
    assert refusal["message"] == f"Not enough stock available for item {STOCK} at location {ulid('sloc', 1)}"
    assert await shop.available() == 1


async def test_guests_are_found_by_their_address_and_accounts_never(shop: Shop) -> None:
    account = next(row for row in shop.store.rows("customer") if row["has_account"])
    customers = []
    for email in (account["email"], account["email"].upper(), "someone@else.example"):
        cart = await shop.cart(email=email)
        customers.append((await shop.get(f"/store/carts/{cart}"))["cart"]["customer_id"])
    assert customers[0] == customers[1] != customers[2]
    assert account["id"] not in customers
    page = await shop.get(f"/admin/customers?email={account['email']}")
    assert sorted(each["has_account"] for each in page["customers"]) == [False, True]


async def test_a_key_of_several_channels_needs_one_named(shop: Shop) -> None:
    refusal = await shop.post("/store/carts", {"region_id": REGION_EUR}, 400)
    assert refusal["type"] == "invalid_data"
    assert "multiple associated sales channels" in refusal["message"]
    body = {"region_id": REGION_EUR, "sales_channel_id": "sc_other"}
    assert (await shop.post("/store/carts", body, 400))["type"] == "invalid_data"


async def test_a_refused_change_leaves_the_cart_as_it_was(shop: Shop) -> None:
    cart = await shop.cart()
    before = shop.store.get("cart", cart)
    await shop.post(f"/store/carts/{cart}/line-items", {"variant_id": "variant_missing", "quantity": 1}, 400)
    await shop.post(f"/store/carts/{cart}", {"email": "nobody", "metadata": {"x": 1}}, 400)
    await shop.post(f"/store/carts/{cart}", {"shipping_address": {"country_code": "us"}}, 400)
    assert shop.store.get("cart", cart) == before


# Canceling, capturing, refunding


async def test_canceling_frees_the_stock_and_the_hold(shop: Shop) -> None:
    before = await shop.available()
    order = await shop.ordered(4)
    shown = (await shop.post(f"/admin/orders/{order}/cancel"))["order"]
    assert (shown["status"], shown["version"]) == ("canceled", 2)
    assert "payment_status" not in shown
    payment = await shop.payment_of(order)
    assert payment["canceled_at"]
    assert payment["refunds"] == []
    assert (await shop.get(f"/admin/orders/{order}"))["order"]["payment_status"] == "canceled"
    assert await shop.available() == before
    refusal = await shop.post(f"/admin/payments/{payment['id']}/capture", status=400)
    assert refusal["message"] == f"The payment: {payment['id']} has been canceled."


async def test_canceling_a_captured_order_refunds_all_that_is_left(shop: Shop) -> None:
    order = await shop.ordered()
    payment = await shop.payment_of(order)
    await shop.post(f"/admin/payments/{payment['id']}/capture")
    await shop.post(f"/admin/payments/{payment['id']}/refund", {"amount": 1.27})
    await shop.post(f"/admin/orders/{order}/cancel")
    assert [refund["amount"] for refund in (await shop.payment_of(order))["refunds"]] == [1.27, 12.5]
    shown = (await shop.get(f"/admin/orders/{order}"))["order"]
    assert (shown["payment_status"], shown["summary"]["refunded_total"]) == ("refunded", 13.77)


@pytest.mark.parametrize(
    ("status", "fulfilled", "answer"),
    [
        ("canceled", False, (400, "invalid_data", "Order with id {id} has been canceled.")),
        ("completed", True, (400, "not_allowed", "Order with id {id} has been completed and cannot be canceled")),
        ("pending", True, (400, "not_allowed", "All fulfillments must be canceled before canceling an order")),
    ],
)
async def test_orders_that_cannot_be_canceled(
    shop: Shop, status: str, fulfilled: bool, answer: tuple[int, str, str]
) -> None:
    rows = shop.store.rows("order")
    order = next(row["id"] for row in rows if row["status"] == status and bool(row["fulfillments"]) is fulfilled)
    refusal = await shop.post(f"/admin/orders/{order}/cancel", status=answer[0])
    assert refusal == {"type": answer[1], "message": answer[2].format(id=order)}


async def test_a_payment_is_captured_in_parts_and_refunded_up_to_them(shop: Shop) -> None:
    order = await shop.ordered()
    path = f"/admin/payments/{(await shop.payment_of(order))['id']}"
    assert (await shop.post(f"{path}/refund", {"amount": 1}, 400))["type"] == "invalid_data"
    shown = (await shop.post(f"{path}/capture", {"amount": 5}))["payment"]
    assert (shown["captured_at"], [each["amount"] for each in shown["captures"]]) == (None, [5])
    assert (await shop.get(f"/admin/orders/{order}"))["order"]["payment_status"] == "partially_captured"
    assert (await shop.post(f"{path}/capture", {"amount": 8.78}, 400))["type"] == "invalid_data"
    await shop.post(f"{path}/capture", {"amount": 8.77})
    again = (await shop.post(f"{path}/capture"))["payment"]
    assert [each["amount"] for each in again["captures"]] == [5, 8.77]
    assert (await shop.get(f"/admin/orders/{order}"))["order"]["payment_status"] == "captured"
    shown = (await shop.post(f"{path}/refund", {"amount": 0.5, "note": "gw:1"}))["payment"]
    assert [(each["amount"], each["note"]) for each in shown["refunds"]] == [(0.5, "gw:1")]
    assert (await shop.post(f"{path}/refund", {"amount": 13.28}, 400))["type"] == "invalid_data"
    shown = (await shop.post(f"{path}/refund"))["payment"]
    assert [each["amount"] for each in shown["refunds"]] == [0.5, 13.27]


async def test_only_an_unpaid_collection_can_be_marked_as_paid(shop: Shop) -> None:
    order = await shop.ordered()
    row = shop.store.get("order", order)
    assert row is not None
    collection = shop.store.get("payment_collection", row["payment_collection_ids"][0])
    assert collection is not None
    path = f"/admin/payment-collections/{collection['id']}/mark-as-paid"
    assert (await shop.post(path, {"order_id": order}, 400))["type"] == "not_allowed"
    unpaid = {**collection, "status": "not_paid", "payment_ids": [], "sessions": []}
    shop.store.put("payment_collection", collection["id"], unpaid)
    assert (await shop.get(f"/admin/orders/{order}"))["order"]["payment_status"] == "not_paid"
    assert (await shop.post(path, {"order_id": order}))["payment_collection"]["status"] == "completed"
    assert (await shop.get(f"/admin/orders/{order}"))["order"]["payment_status"] == "captured"


async def test_an_orders_metadata_is_replaced_as_a_whole(shop: Shop) -> None:
    path = f"/admin/orders/{await shop.ordered()}"
    assert (await shop.post(path, {"metadata": {"invoice": "I-1"}}))["order"]["metadata"] == {"invoice": "I-1"}
    assert (await shop.get(path))["order"]["metadata"] == {"invoice": "I-1"}
    assert (await shop.post(path, {"status": "completed"}, 400))["type"] == "invalid_data"


# Reading


async def test_the_demo_world_has_the_ids_that_other_backends_know(shop: Shop) -> None:
    orders = (await shop.get("/admin/orders?limit=300&fields=id,customer_id,sales_channel_id,total,email"))["orders"]
    world = World(datetime.now(UTC))
    assert [order["id"] for order in orders] == [order.id for order in world.orders]
    for shown, order in zip(orders, world.orders, strict=True):
        assert shown["customer_id"] == order.medusa_customer_id
        assert shown["sales_channel_id"] == order.client.channel_id
        assert (shown["email"], shown["total"]) == (order.email, float(order.total))
    products = (await shop.get("/admin/products?limit=100&fields=id"))["products"]
    assert {product["id"] for product in products} == {product.id for product in world.products}
    newest = [row["status"] for row in shop.store.rows("order")[-120:]]
    assert set(newest) == {"pending"}
    assert {row["status"] for row in shop.store.rows("order")} == {"pending", "completed", "canceled"}


@pytest.mark.parametrize("spelling", ["id[]={}", "id%5B%5D={}", "id={}", "id[{i}]={}"])
async def test_every_spelling_of_many_ids_works(shop: Shop, spelling: str) -> None:
    wanted = [ulid("prod", n) for n in (30, 2, 2, 999, *range(40, 60))]
    query = "&".join(spelling.format(each, i=i) for i, each in enumerate(wanted))
    for side in ("store", "admin"):
        page = await shop.get(f"/{side}/products?{query}&fields=id&limit=100")
        assert [each["id"] for each in page["products"]] == [ulid("prod", n) for n in (2, 30, *range(40, 60))]


async def test_a_comma_list_matches_nothing_unless_it_is_the_only_array_element(shop: Shop) -> None:
    both = f"{PRODUCT},{ulid('prod', 2)}"
    assert (await shop.get(f"/store/products?id={both}"))["count"] == 0
    assert (await shop.get(f"/store/products?id[]={both}"))["count"] == 2


async def test_pages_are_cut_at_each_routes_default(shop: Shop) -> None:
    assert len((await shop.get("/store/products?fields=id"))["products"]) == 50
    page = await shop.get("/admin/orders?fields=id")
    assert (len(page["orders"]), page["limit"], page["count"]) == (15, 15, 200)
    page = await shop.get("/admin/orders?fields=id&order=-display_id&offset=198&limit=5")
    assert [order["id"] for order in page["orders"]] == [ulid("order", 2), ulid("order", 1)]


async def test_the_store_is_strict_and_the_admins_orders_are_not(shop: Shop) -> None:
    refusal = await shop.get("/store/products?colour=red&size=1", 400)
    assert refusal["message"] == "Invalid request: Unrecognized fields: 'colour, size'"
    assert (await shop.get("/admin/orders?email=nobody@x.example&colour=red"))["count"] == 200
    refusal = await shop.get(f"/admin/orders?sales_channel_id={CHANNEL}", 400)
    assert refusal["type"] == "invalid_data"
    assert (await shop.get(f"/admin/orders?sales_channel_id[]={CHANNEL}"))["count"] == 50
    refusal = await shop.post("/store/carts", {"items": [{"variant_id": 5, "amount": 1}]}, 400)
    assert refusal["message"] == (
        "Invalid request: Expected type: 'string' for field 'items, 0, variant_id', got: '5'; "
        "Field 'items, 0, quantity' is required; Unrecognized fields: 'amount'"
    )


@pytest.mark.parametrize(
    "path", ["/store/products?tag_id=t", "/admin/orders?$or[0][id]=x", "/admin/returns", "/admin/orders?total[$gt]=5"]
)
async def test_what_medusa_has_and_the_sandbox_has_not_is_501(shop: Shop, path: str) -> None:
    assert (await shop.get(path, 501))["type"] == "not_supported"


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("status=canceled", 4),
        ("status[]=canceled&status[]=completed", 44),
        (f"customer_id[]={ulid('cus', 100_005)}", 1),
        (f"region_id={REGION_ALL}", 40),
        ("q=guest7@guests", 1),
        ("created_at[$gte]=2020-01-01T00:00:00Z", 200),
        ("created_at[$lt]=2020-01-01", 0),
        (f"id[$nin][]={ulid('order', 1)}", 199),
    ],
)
async def test_order_filters(shop: Shop, query: str, count: int) -> None:
    assert (await shop.get(f"/admin/orders?{query}&limit=1&fields=id"))["count"] == count


async def test_fields_replace_add_and_remove(shop: Shop) -> None:
    path = f"/admin/orders/{ulid('order', 200)}"
    always = {"id", "status", "version", "items", "payment_status", "fulfillment_status", "fulfillments"}
    assert set((await shop.get(f"{path}?fields=email"))["order"]) == always | {"email"}
    default = (await shop.get(path))["order"]
    assert not {"email", "customer_id", "currency_code"} & set(default)
    changed = (await shop.get(f"{path}?fields=%2Bemail,-metadata,*customer"))["order"]
    assert set(changed) == (set(default) | {"email", "customer"}) - {"metadata"}
    assert changed["customer"]["email"] == changed["email"]
    spaced = (await shop.get(f"{path}?fields=+email"))["order"]
    assert set(spaced) == set(default) | {"email"}


async def test_an_orders_total_brings_the_totals_of_its_items(shop: Shop) -> None:
    bare = (await shop.get("/admin/orders?limit=1&fields=id"))["orders"][0]
    assert "total" not in bare["items"][0]
    full = (await shop.get("/admin/orders?limit=1&fields=id,total"))["orders"][0]
    assert sum(item["total"] for item in full["items"]) == pytest.approx(full["total"] - 5)


async def test_store_answers_hide_what_only_the_admin_may_see(shop: Shop) -> None:
    fields = "id,status,*sales_channels,*variants.prices"
    store = (await shop.get(f"/store/products/{PRODUCT}?fields={fields}"))["product"]
    admin = (await shop.get(f"/admin/products/{PRODUCT}?fields={fields}"))["product"]
    assert "sales_channels" not in store
    assert "prices" not in store["variants"][0]
    assert len(admin["sales_channels"]) == 4
    assert {price["currency_code"]: price["amount"] for price in admin["variants"][0]["prices"]} == {
        "eur": PRICE,
        "all": 877,
    }


async def test_products_of_other_channels_and_drafts_are_absent_from_the_store(shop: Shop) -> None:
    for n, values in ((1, {"status": "draft"}), (2, {"sales_channel_ids": ["sc_other"]})):
        row = shop.store.get("product", ulid("prod", n))
        assert row is not None
        shop.store.put("product", ulid("prod", n), {**row, **values})
        await shop.get(f"/store/products/{ulid('prod', n)}", 404)
    assert (await shop.get("/store/products"))["count"] == 58
    assert (await shop.get("/admin/products"))["count"] == 60
    assert (await shop.get("/admin/products?status[]=draft"))["count"] == 1


async def test_skus_are_found_through_products_and_variants(shop: Shop) -> None:
    for path in (
        "/admin/products?variants[sku][]=SKU-001-1&variants[sku][]=SKU-003-2&fields=id",
        "/admin/products?variants.sku=SKU-001-1&variants.sku=SKU-003-2&fields=id",
    ):
        assert [each["id"] for each in (await shop.get(path))["products"]] == [PRODUCT, ulid("prod", 3)]
    for side in ("store", "admin"):
        page = await shop.get(f"/{side}/product-variants?sku[]=SKU-001-1&sku[]=SKU-003-2&fields=%2Binventory_quantity")
        assert [(each["product_id"], each["inventory_quantity"]) for each in page["variants"]] == [
            (PRODUCT, 100_000),
            (ulid("prod", 3), 100_000),
        ]


async def test_categories_know_their_parents(shop: Shop) -> None:
    page = await shop.get("/store/product-categories")
    parents = {each["name"]: (each["parent_category"] or {}).get("name") for each in page["product_categories"]}
    assert parents["Children's Books"] == "Books"
    assert parents["Notebooks"] == "Stationery"
    assert parents["Books"] is None
    roots = await shop.get("/store/product-categories?parent_category_id=null&include_descendants_tree=true")
    assert [child["name"] for child in roots["product_categories"][0]["category_children"]] == ["Children's Books"]


async def test_customers_are_created_once_per_address_and_updated(shop: Shop) -> None:
    created = (await shop.post("/admin/customers", {"email": "Bea@Buyers.example", "first_name": "Bea"}))["customer"]
    assert (created["email"], created["has_account"]) == ("bea@buyers.example", False)
    refusal = await shop.post("/admin/customers", {"email": "bea@buyers.example"}, 422)
    assert (refusal["type"], refusal["code"]) == ("duplicate_error", "invalid_request_error")
    path = f"/admin/customers/{created['id']}"
    assert (await shop.post(path, {"phone": "+355"}))["customer"]["first_name"] == "Bea"
    assert (await shop.get(path))["customer"]["phone"] == "+355"
    cart = await shop.cart(email="bea@buyers.example")
    assert (await shop.get(f"/store/carts/{cart}"))["cart"]["customer_id"] == created["id"]
    page = await shop.get("/admin/customers?has_account=true&q=customer")
    assert page["count"] == 40


# The wire


@pytest.mark.parametrize(
    ("authorization", "status"),
    [
        (f"Basic {MEDUSA_API_KEY}", 200),
        (f"Basic {base64.b64encode(f'{MEDUSA_API_KEY}:'.encode()).decode()}", 200),
        (f"Bearer {MEDUSA_API_KEY}", 401),
        ("Basic sk_wrong", 401),
        ("Basic %%%", 401),
        ("Bearer a.b.c", 501),
        ("", 401),
    ],
)
async def test_the_admin_takes_the_secret_key_by_basic_only(shop: Shop, authorization: str, status: int) -> None:
    await shop.get("/admin/stores", status, headers={"authorization": authorization})


async def test_the_store_needs_its_publishable_key_even_for_routes_it_has_not(shop: Shop) -> None:
    for path in ("/store/products", "/store/nonsense"):
        assert (await shop.get(path, 400, headers={}))["type"] == "not_allowed"
    assert (await shop.send("GET", "/store/nonsense")).status_code == 404


async def test_a_head_of_more_than_16_kilobytes_is_431(shop: Shop) -> None:
    room = 16 * 1024 - 400
    assert (await shop.send("GET", f"/store/products?handle={'x' * room}")).status_code == 200
    response = await shop.send("GET", f"/store/products?handle={'x' * (room + 400)}")
    assert (response.status_code, response.content) == (431, b"")


async def test_an_etag_saves_the_body(shop: Shop) -> None:
    response = await shop.send("GET", "/store/regions")
    assert response.headers["keep-alive"] == "timeout=5"
    headers = {"x-publishable-api-key": MEDUSA_PUBLISHABLE_KEY, "if-none-match": response.headers["etag"]}
    again = await shop.send("GET", "/store/regions", headers=headers)
    assert (again.status_code, again.content) == (304, b"")


async def test_everything_acknowledged_is_there_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "medusa.db"
    first = Shop(Store(path))
    first.store.seed(medusa.seed)
    order = await first.ordered(2)
    before = await first.get(f"/admin/orders/{order}?fields=%2Bemail")
    open_cart, left = await first.ready(), await first.available()
    await first.http.aclose()
    # Nothing is closed or flushed here: a killed process does not either.

    second = Shop(Store(path))
    second.store.seed(medusa.seed)
    assert await second.get(f"/admin/orders/{order}?fields=%2Bemail") == before
    assert await second.available() == left
    assert (await second.post(f"/store/carts/{open_cart}/complete"))["order"]["display_id"] == 202
    assert (await second.get("/admin/orders"))["count"] == 202
    await second.http.aclose()
    second.store.close()
    first.store.close()
