"""The Medusa simulator against every recording of a real Medusa 2.21.

Each recording is made again with the simulator's own ids, on state prepared for it, by a function or a path below; the
few that need what the simulator has not are in `UNSUPPORTED`, and must be answered 501.
"""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import httpx
import pytest

from sandbox import medusa
from sandbox.keys import MEDUSA_API_KEY, MEDUSA_PUBLISHABLE_KEY
from sandbox.store import Store
from sandbox.world import REGION_ALL, REGION_EUR, SHIPPING_EUR, ulid
from tests.conformance.recordings import Recording, compare, load

pytestmark = pytest.mark.conformance

RECORDINGS = load("medusa")
IDS = re.compile(r"\b[a-z_]+_(?:01[0-9A-Z]{24}|missing)\b")
FREE_FORM = ("metadata", "line_item_metadata", "data", "context")

PRODUCT, VARIANT, CATEGORY, CUSTOMER = ulid("prod", 1), ulid("variant", 11), ulid("pcat", 5), ulid("cus", 17)
SKU_VARIANT = ulid("variant", 21)
GERMAN = {"first_name": "A", "last_name": "B", "address_1": "Street 1", "city": "Berlin", "postal_code": "10115",
          "country_code": "de"}  # fmt: skip
TOTAL_FIELDS = "id,currency_code,total,subtotal,tax_total,item_total,shipping_total,discount_total"
ORDER_FIELDS = "id,display_id,status,payment_status,fulfillment_status,email,currency_code,total,created_at,customer_id"

CUSTOMER_TOKEN = {"x-publishable-api-key": MEDUSA_PUBLISHABLE_KEY, "authorization": "Bearer eyJh.eyJz.c2ln"}
UNSUPPORTED = {
    "auth_admin_bearer_jwt": "admin users have no log-in; the gateway uses a secret key",
    "auth_customer_login": "customers have no passwords in the sandbox",
    "auth_customer_login_wrong": "customers have no passwords in the sandbox",
    "store_customer_me": "needs a customer's token",
    "store_orders_list_customer": "needs a customer's token",
    "admin_draft_order_create": "draft orders are not used by the gateway",
    "admin_product_create_400": "the gateway makes no products",
    "admin_product_create_400_no_options": "the gateway makes no products",
}


class Shop:
    """A freshly seeded simulator, a client for it, and the steps that recordings have in common."""

    def __init__(self) -> None:
        self.store = Store(None)
        self.store.seed(medusa.seed)
        self.http = httpx.AsyncClient(
            transport=httpx.ASGITransport(app=medusa.create_app(self.store)), base_url="http://medusa"
        )
        # The recordings were made with a publishable key of one sales channel.
        self.change("api_key", MEDUSA_PUBLISHABLE_KEY, sales_channel_ids=[ulid("sc", 1)])

    def change(self, kind: str, id: str, **values: Any) -> None:
        row = self.store.get(kind, id)
        assert row is not None
        self.store.put(kind, id, {**row, **values})

    def change_variant(self, **values: Any) -> None:
        """Change the first product's only variant."""
        product = self.store.get("product", PRODUCT)
        assert product is not None
        self.change("product", PRODUCT, variants=[{**product["variants"][0], **values}])

    def set_stock(self, quantity: int) -> None:
        item = ulid("iitem", 11)
        self.change("inventory_item", item, stocked_quantity=quantity, reserved_quantity=0)

    async def send(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        side = {"/admin": {"authorization": f"Basic {MEDUSA_API_KEY}"}}
        headers = side.get(path[:6], {"x-publishable-api-key": MEDUSA_PUBLISHABLE_KEY})
        return await self.http.request(method, path, headers=kwargs.pop("headers", headers), **kwargs)

    async def post(self, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        return await self.send("POST", path, json=body or {})

    async def made(self, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """The record that a POST answers. A refusal is a mistake of the test."""
        response = await self.post(path, body)
        assert response.status_code == 200, response.text
        answer: dict[str, Any] = response.json()
        return next(value for key, value in answer.items() if key != "type")

    async def cart(self, *, region: str = REGION_EUR, gift: bool = False) -> str:
        """The id of a cart with one line."""
        cart = await self.made("/store/carts", {"region_id": region})
        item = {"variant_id": VARIANT, "quantity": 1, **({"metadata": {"gift": True}} if gift else {})}
        await self.made(f"/store/carts/{cart['id']}/line-items", item)
        return str(cart["id"])

    async def addressed(self) -> str:
        cart = await self.cart(gift=True)
        await self.made(
            f"/store/carts/{cart}",
            {"email": "rec@acc.test", "shipping_address": GERMAN, "billing_address": GERMAN},
        )
        return cart

    async def ship(self, cart: str) -> httpx.Response:
        return await self.post(f"/store/carts/{cart}/shipping-methods", {"option_id": SHIPPING_EUR})

    async def pay(self, cart: str) -> httpx.Response:
        collection = await self.made("/store/payment-collections", {"cart_id": cart})
        return await self.post(
            f"/store/payment-collections/{collection['id']}/payment-sessions", {"provider_id": "pp_system_default"}
        )

    async def ready(self) -> str:
        """A cart that only needs to be completed."""
        cart = await self.addressed()
        await self.ship(cart)
        await self.pay(cart)
        return cart

    async def complete(self, cart: str) -> httpx.Response:
        return await self.post(f"/store/carts/{cart}/complete")

    async def ordered(self) -> str:
        response = await self.complete(await self.ready())
        return str(response.json()["order"]["id"])


Case = Callable[[Shop], Awaitable[httpx.Response]]
CASES: dict[str, Case] = {}


def case(*names: str) -> Callable[[Case], Case]:
    def register(function: Case) -> Case:
        CASES.update(dict.fromkeys(names, function))
        return function

    return register


def path_case(name: str, path: str) -> None:
    CASES[name] = lambda shop: shop.send("GET", path)


def ids(count: int, spelling: str = "id[]={}", more: str = "&fields=id&limit=1000") -> str:
    """A query for as many products, of which 40 exist."""
    wanted = [ulid("prod", n) if n <= 40 else ulid("prod", 1000 + n) for n in range(1, count + 1)]
    return "/store/products?" + "&".join(spelling.format(each, i=i) for i, each in enumerate(wanted)) + more


TITLES = "&fields=id,title"
for name, path in {
    "health": "/health",
    "unknown_route": "/admin/nonsense",
    "unknown_route_unauth": "/nonsense",
    "auth_admin_basic_key_raw": "/admin/products?limit=1&fields=id,title",
    "store_products_list": "/store/products?limit=3&offset=0",
    "store_products_ids_brackets": ids(3, more=""),
    "store_products_ids_brackets_reversed_dup_missing": (
        f"/store/products?id[]={ulid('prod', 3)}&id[]={PRODUCT}&id[]={PRODUCT}&id[]=prod_missing&fields=id,title,handle"
    ),
    "store_products_ids_plain_repeat": ids(3, "id={}", TITLES),
    "store_products_ids_index": ids(3, "id[{i}]={}", TITLES),
    "store_products_ids_comma": f"/store/products?id={PRODUCT},{ulid('prod', 2)}{TITLES}",
    "store_products_ids_25_brackets": ids(25, more="&fields=id"),
    "store_products_ids_40_brackets_limit": ids(40, more="&fields=id&limit=100"),
    **{f"store_products_ids_{n}_brackets": ids(n, "id%5B%5D={}") for n in (50, 100, 200, 350, 420, 600)},
    **{f"store_products_ids_{n}_index": ids(n, "id[{i}]={}") for n in (20, 21, 25, 60)},
    **{f"store_products_ids_{n}_plain_repeat": ids(n, "id={}") for n in (20, 21, 25, 60)},
    "store_products_priced": (
        f"/store/products?limit=2&region_id={REGION_EUR}"
        "&fields=id,title,handle,thumbnail,*variants,*variants.calculated_price"
    ),
    "store_products_priced_country": (
        f"/store/products?limit=1&region_id={REGION_EUR}&country_code=de&fields=id,*variants.calculated_price"
    ),
    "store_products_priced_no_region": "/store/products?limit=1&fields=id,*variants.calculated_price",
    "store_products_inventory": "/store/products?limit=2&fields=id,title,+variants.inventory_quantity",
    "store_products_fields_plus_metadata": "/store/products?limit=1&fields=+metadata,*categories",
    "store_products_fields_unknown": "/store/products?limit=1&fields=id,title,nonsense",
    "store_products_q": "/store/products?q=Guide+01&limit=2&fields=id,title",
    "store_products_handle": "/store/products?handle=guide-01&fields=id,title,handle",
    "store_products_order": "/store/products?order=-created_at&limit=2&fields=id,title,created_at",
    "store_products_order_bad": "/store/products?order=nope&limit=2&fields=id",
    "store_products_limit_bad": "/store/products?limit=abc",
    "store_products_limit_0": "/store/products?limit=0&fields=id",
    "store_products_unknown_param": "/store/products?nonsense=1&limit=1",
    "store_products_offset_past_end": "/store/products?limit=5&offset=5000&fields=id",
    "store_product_by_id": f"/store/products/{PRODUCT}?region_id={REGION_EUR}",
    "store_product_404": "/store/products/prod_missing",
    "store_categories_list": "/store/product-categories?limit=10",
    "store_categories_tree": "/store/product-categories?include_descendants_tree=true&parent_category_id=null",
    "store_category_by_id": f"/store/product-categories/{CATEGORY}?fields=*products,id,name,handle",
    "store_category_404": "/store/product-categories/pcat_missing",
    "store_products_by_category": f"/store/products?category_id[]={CATEGORY}&limit=2&fields=id,title",
    "store_regions": "/store/regions?limit=2",
    "store_cart_get_404": "/store/carts/cart_missing",
    "store_orders_list_no_login": "/store/orders?limit=1",
    "admin_products_list": "/admin/products?limit=2",
    "admin_products_ids_brackets": f"/admin/products?id[]={PRODUCT}&fields=id,title,status,metadata",
    "admin_product_by_id": f"/admin/products/{PRODUCT}",
    "admin_product_404": "/admin/products/prod_missing",
    "admin_orders_list": "/admin/orders?limit=2&order=-created_at",
    "admin_orders_list_fields": f"/admin/orders?limit=2&fields={ORDER_FIELDS}",
    "admin_orders_ids_brackets": (
        f"/admin/orders?id[]={ulid('order', 1)}&id[]={ulid('order', 2)}&fields=id,display_id,status"
    ),
    "admin_orders_status_filter": "/admin/orders?status[]=canceled&limit=2&fields=id,status",
    "admin_orders_created_at_gte": "/admin/orders?created_at[$gte]=2020-01-01T00:00:00Z&limit=1&fields=id,created_at",
    "admin_orders_by_customer": f"/admin/orders?customer_id[]={CUSTOMER}&limit=2&fields=id,customer_id,total",
    "admin_order_404": "/admin/orders/order_missing",
    "admin_customers_list": "/admin/customers?limit=2",
    "admin_customer_by_id": f"/admin/customers/{CUSTOMER}",
    "admin_inventory_items": "/admin/inventory-items?limit=1",
    "admin_stock_locations": "/admin/stock-locations?limit=1",
}.items():
    path_case(name, path)


@case("auth_admin_basic_key_colon")
async def _(shop: Shop) -> httpx.Response:
    key = base64.b64encode(f"{MEDUSA_API_KEY}:".encode()).decode()
    path = "/admin/products?limit=1&fields=id,title"
    return await shop.send("GET", path, headers={"authorization": f"Basic {key}"})


for name, headers in {
    "auth_admin_bearer_key": {"authorization": f"Bearer {MEDUSA_API_KEY}"},
    "auth_admin_x_api_token": {"x-medusa-access-token": MEDUSA_API_KEY},
    "auth_admin_none": {},
    "auth_admin_bad_key": {"authorization": "Basic sk_wrong"},
    "auth_admin_bearer_jwt": {"authorization": "Bearer eyJh.eyJz.c2ln"},
}.items():
    CASES[name] = lambda shop, headers=headers: shop.send("GET", "/admin/products?limit=1", headers=headers)  # type: ignore[misc]

for name, headers in {
    "auth_store_no_publishable_key": {},
    "auth_store_bad_publishable_key": {"x-publishable-api-key": "pk_wrong"},
    "auth_store_secret_key_as_publishable": {"x-publishable-api-key": MEDUSA_API_KEY},
    "auth_store_bearer_secret_key": {"authorization": f"Bearer {MEDUSA_API_KEY}"},
}.items():
    CASES[name] = lambda shop, headers=headers: shop.send("GET", "/store/products?limit=1", headers=headers)  # type: ignore[misc]

for name, path in {
    "store_customer_me": "/store/customers/me",
    "store_orders_list_customer": "/store/orders?limit=2",
}.items():
    CASES[name] = lambda shop, path=path: shop.send("GET", path, headers=CUSTOMER_TOKEN)  # type: ignore[misc]

for name, path, body in (
    ("auth_customer_login", "/auth/customer/emailpass", {"email": "customer1@acc.test", "password": "acceptance"}),
    ("auth_customer_login_wrong", "/auth/customer/emailpass", {"email": "customer1@acc.test", "password": "no"}),
    ("admin_draft_order_create", "/admin/draft-orders", {"email": "draft@acc.test", "region_id": REGION_EUR}),
    ("admin_product_create_400", "/admin/products", {"title": 5}),
    ("admin_product_create_400_no_options", "/admin/products", {"title": "No options"}),
    (
        "admin_product_update",
        f"/admin/products/{PRODUCT}?fields=id,title,subtitle,updated_at",
        {"subtitle": "recorded"},
    ),
    ("admin_product_update_404", "/admin/products/prod_missing", {"subtitle": "x"}),
    ("admin_order_cancel_404", "/admin/orders/order_missing/cancel", {}),
    ("store_cart_create", "/store/carts", {"region_id": REGION_EUR}),
    ("store_cart_create_empty_body", "/store/carts", {}),
    ("store_cart_create_bad_region", "/store/carts", {"region_id": "reg_missing"}),
    ("store_cart_create_unknown_field", "/store/carts", {"region_id": REGION_EUR, "bogus": 1}),
    ("store_cart_line_add_bad_cart", "/store/carts/cart_missing/line-items", {"variant_id": VARIANT, "quantity": 1}),
    (
        "store_cart_create_with_items",
        "/store/carts",
        {"region_id": REGION_EUR, "items": [{"variant_id": VARIANT, "quantity": 1}]},
    ),
):
    CASES[name] = lambda shop, path=path, body=body: shop.post(path, body)  # type: ignore[misc]

for name, body in (
    ("store_cart_line_add_bad_variant", {"variant_id": "variant_missing", "quantity": 1}),
    ("store_cart_line_add_quantity_0", {"variant_id": VARIANT, "quantity": 0}),
    ("store_cart_line_add_quantity_text", {"variant_id": VARIANT, "quantity": "2"}),
    ("store_cart_line_add_missing_field", {"quantity": 1}),
    ("store_cart_line_add", {"variant_id": VARIANT, "quantity": 2}),
    ("store_cart_line_add_same_again", {"variant_id": VARIANT, "quantity": 1}),
    ("store_cart_line_add_second", {"variant_id": SKU_VARIANT, "quantity": 1, "metadata": {"gift": True}}),
):

    async def add(shop: Shop, body: dict[str, Any] = body) -> httpx.Response:
        return await shop.post(f"/store/carts/{await shop.cart()}/line-items", body)

    CASES[name] = add


@case("method_not_allowed")
async def _(shop: Shop) -> httpx.Response:
    return await shop.send("PUT", f"/store/products/{PRODUCT}", json={})


@case("store_cart_create_no_body")
async def _(shop: Shop) -> httpx.Response:
    return await shop.send("POST", "/store/carts")


@case("store_cart_create_bad_json")
async def _(shop: Shop) -> httpx.Response:
    headers = {"x-publishable-api-key": MEDUSA_PUBLISHABLE_KEY, "content-type": "application/json"}
    return await shop.send("POST", "/store/carts", headers=headers, content="{not json")


@case("store_collections")
async def _(shop: Shop) -> httpx.Response:
    collection = {"title": "Summer", "handle": "summer", "external_id": None, "created_at": "", "updated_at": ""}
    shop.store.put("product_collection", "pcol_1", {"id": "pcol_1", **collection})
    return await shop.send("GET", "/store/collections?limit=2")


@case("store_product_draft_404")
async def _(shop: Shop) -> httpx.Response:
    shop.change("product", PRODUCT, status="draft")
    return await shop.send("GET", "/store/products?handle=guide-01&fields=id,status")


@case("store_products_priced_no_price")
async def _(shop: Shop) -> httpx.Response:
    shop.change_variant(prices={"eur": "9.99"})
    fields = "id,title,*variants.calculated_price"
    return await shop.send("GET", f"/store/products?handle=guide-01&region_id={REGION_ALL}&fields={fields}")


@case("store_cart_line_add_no_price")
async def _(shop: Shop) -> httpx.Response:
    cart = await shop.made("/store/carts", {"region_id": REGION_ALL})
    shop.change_variant(prices={"eur": "9.99"})
    return await shop.post(f"/store/carts/{cart['id']}/line-items", {"variant_id": VARIANT, "quantity": 1})


@case("store_cart_line_add_no_stock")
async def _(shop: Shop) -> httpx.Response:
    cart = await shop.made("/store/carts", {"region_id": REGION_EUR})
    shop.set_stock(0)
    return await shop.post(f"/store/carts/{cart['id']}/line-items", {"variant_id": VARIANT, "quantity": 1})


@case("store_cart_line_add_completed")
async def _(shop: Shop) -> httpx.Response:
    cart = await shop.ready()
    await shop.complete(cart)
    return await shop.post(f"/store/carts/{cart}/line-items", {"variant_id": VARIANT, "quantity": 1})


@case("store_cart_line_update")
async def _(shop: Shop) -> httpx.Response:
    cart = await shop.made(f"/store/carts/{await shop.cart()}")
    return await shop.post(f"/store/carts/{cart['id']}/line-items/{cart['items'][0]['id']}", {"quantity": 5})


@case("store_cart_line_delete")
async def _(shop: Shop) -> httpx.Response:
    cart = await shop.cart()
    items = (await shop.made(f"/store/carts/{cart}/line-items", {"variant_id": SKU_VARIANT, "quantity": 1}))["items"]
    return await shop.send("DELETE", f"/store/carts/{cart}/line-items/{items[0]['id']}")


@case("store_cart_get")
async def _(shop: Shop) -> httpx.Response:
    return await shop.send("GET", f"/store/carts/{await shop.cart()}")


@case("store_cart_get_fields")
async def _(shop: Shop) -> httpx.Response:
    fields = f"{TOTAL_FIELDS},*items,items.total,items.unit_price"
    return await shop.send("GET", f"/store/carts/{await shop.cart()}?fields={fields}")


@case("store_cart_update")
async def _(shop: Shop) -> httpx.Response:
    body = {"email": "rec@acc.test", "shipping_address": GERMAN, "billing_address": GERMAN}
    return await shop.post(f"/store/carts/{await shop.cart()}", body)


@case("store_cart_update_bad_email")
async def _(shop: Shop) -> httpx.Response:
    return await shop.post(f"/store/carts/{await shop.cart()}", {"email": 5})


@case("store_shipping_options")
async def _(shop: Shop) -> httpx.Response:
    return await shop.send("GET", f"/store/shipping-options?cart_id={await shop.addressed()}")


@case("store_cart_shipping_method")
async def _(shop: Shop) -> httpx.Response:
    return await shop.ship(await shop.addressed())


@case("store_payment_collection")
async def _(shop: Shop) -> httpx.Response:
    return await shop.post("/store/payment-collections", {"cart_id": await shop.addressed()})


@case("store_payment_session")
async def _(shop: Shop) -> httpx.Response:
    return await shop.pay(await shop.addressed())


@case("store_cart_complete")
async def _(shop: Shop) -> httpx.Response:
    return await shop.complete(await shop.ready())


@case("store_cart_complete_again")
async def _(shop: Shop) -> httpx.Response:
    cart = await shop.ready()
    first = await shop.complete(cart)
    again = await shop.complete(cart)
    assert first.json()["order"]["id"] == again.json()["order"]["id"]
    return again


@case("store_cart_get_completed")
async def _(shop: Shop) -> httpx.Response:
    cart = await shop.ready()
    await shop.complete(cart)
    return await shop.send("GET", f"/store/carts/{cart}?fields=id,completed_at,total")


@case("store_cart_complete_too_early")
async def _(shop: Shop) -> httpx.Response:
    return await shop.complete(await shop.cart())


@case("store_cart_complete_no_payment_session")
async def _(shop: Shop) -> httpx.Response:
    cart = await shop.addressed()
    await shop.made("/store/payment-collections", {"cart_id": cart})
    return await shop.complete(cart)


@case("store_cart_complete_no_shipping_method")
async def _(shop: Shop) -> httpx.Response:
    cart = await shop.addressed()
    await shop.pay(cart)
    return await shop.complete(cart)


@case("store_cart_complete_session_gone")
async def _(shop: Shop) -> httpx.Response:
    cart = await shop.addressed()
    await shop.pay(cart)
    await shop.ship(cart)
    return await shop.complete(cart)


@case("store_cart_complete_stock_gone")
async def _(shop: Shop) -> httpx.Response:
    cart = await shop.ready()
    shop.set_stock(0)
    return await shop.complete(cart)


@case("store_order_by_id_guest")
async def _(shop: Shop) -> httpx.Response:
    return await shop.send("GET", f"/store/orders/{await shop.ordered()}")


@case("admin_order_by_id")
async def _(shop: Shop) -> httpx.Response:
    return await shop.send("GET", f"/admin/orders/{await shop.ordered()}")


@case("admin_order_cancel")
async def _(shop: Shop) -> httpx.Response:
    return await shop.post(f"/admin/orders/{await shop.ordered()}/cancel")


@case("admin_order_cancel_again")
async def _(shop: Shop) -> httpx.Response:
    order = await shop.ordered()
    await shop.made(f"/admin/orders/{order}/cancel")
    return await shop.post(f"/admin/orders/{order}/cancel")


@case("admin_order_cancel_fulfilled")
async def _(shop: Shop) -> httpx.Response:
    rows = shop.store.rows("order")
    fulfilled = next(row["id"] for row in rows if row["status"] == "pending" and row["fulfillments"])
    return await shop.post(f"/admin/orders/{fulfilled}/cancel")


async def complete_in_parallel(shop: Shop, recorded: dict[str, Any]) -> None:
    """Summaries of simultaneous requests have no body to compare, but numbers."""
    cart = await shop.ready()
    answers = [each.json() for each in await asyncio.gather(*(shop.complete(cart) for _ in recorded["statuses"]))]
    assert [answer["type"] for answer in answers] == recorded["types"]
    assert len({answer["order"]["id"] for answer in answers}) == recorded["orders"]


async def add_in_parallel(shop: Shop, recorded: dict[str, Any]) -> None:
    cart = await shop.made("/store/carts", {"region_id": REGION_EUR})
    path, body = f"/store/carts/{cart['id']}/line-items", {"variant_id": VARIANT, "quantity": 1}
    answers = await asyncio.gather(*(shop.post(path, body) for _ in recorded["statuses"]))
    assert [answer.status_code for answer in answers] == recorded["statuses"]
    cart = (await shop.send("GET", f"/store/carts/{cart['id']}")).json()["cart"]
    assert [item["quantity"] for item in cart["items"]] == [quantity for _, quantity in recorded["items_after"]]


SUMMARIES = {
    "store_cart_complete_parallel": complete_in_parallel,
    "store_cart_line_add_parallel": add_in_parallel,
}


@pytest.fixture
async def shop() -> AsyncIterator[Shop]:
    shop = Shop()
    yield shop
    await shop.http.aclose()
    shop.store.close()


def decoded(response: httpx.Response) -> Any:
    return response.json() if "json" in response.headers.get("content-type", "") else response.text


@pytest.mark.parametrize("name", RECORDINGS)
async def test_simulator_answers_as_recorded(name: str, shop: Shop) -> None:
    recording: Recording = RECORDINGS[name]
    if name in SUMMARIES:
        await SUMMARIES[name](shop, recording.raw)
        return
    response = await CASES[name](shop)
    if name in UNSUPPORTED:
        assert (response.status_code, response.json()["type"]) == (501, "not_supported"), UNSUPPORTED[name]
        return
    differences = compare(recording, response.status_code, decoded(response), ids=IDS, free_form=FREE_FORM)
    assert not differences, "\n".join(differences)
    if response.status_code < 400 and isinstance(recording.answer, dict):
        for key, value in recording.answer.items():
            assert not value or decoded(response)[key], f"an empty {key} shows nothing of its shape"
    for header in ("content-type", "x-powered-by", "vary"):
        assert response.headers.get(header) == recording.answer_headers.get(header), header
    assert ("etag" in response.headers) == ("etag" in recording.answer_headers)


def test_there_are_recordings_and_each_has_its_case() -> None:
    assert RECORDINGS, "no recordings in ../shared/recorded/medusa"
    covered = CASES.keys() | SUMMARIES.keys()
    assert covered == RECORDINGS.keys()
    assert UNSUPPORTED.keys() <= CASES.keys()
