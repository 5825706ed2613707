"""The demo world as Medusa holds it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sandbox import world as demo
from sandbox.keys import MEDUSA_PUBLISHABLE_KEY
from sandbox.medusa.customers import customer_row
from sandbox.medusa.lines import line, net
from sandbox.medusa.money import tax_percent, taxed, text
from sandbox.medusa.orders import order_address
from sandbox.medusa.payments import SYSTEM_PROVIDER
from sandbox.medusa.wire import iso, twin
from sandbox.store import Row, Store
from sandbox.world import World, ulid

COUNTRIES = {
    "al": ("alb", "008", "Albania"),
    "it": ("ita", "380", "Italy"),
    "gr": ("grc", "300", "Greece"),
    "xk": ("xkx", "983", "Kosovo"),
    "de": ("deu", "276", "Germany"),
}
REGIONS = (
    (demo.REGION_EUR, "Europe", "eur", ("al", "it", "gr", "xk", "de")),
    # Medusa keeps a country in one region only; the demo sells to Albania in both currencies.
    (demo.REGION_ALL, "Albania", "all", ("al",)),
)
SHIPPING = ((demo.SHIPPING_EUR, {"eur": "5"}), (demo.SHIPPING_ALL, {"all": "500"}))
CURRENCIES = {"eur": ("€", "Euro"), "all": ("Lekë", "Albanian Lek")}
NEWEST_OPEN = 120
"""The newest orders are all pending and not fulfilled; older ones have seen more."""


def seed(store: Store) -> None:
    """Fill an empty store with the demo world of this moment."""
    world = World(datetime.now(UTC))
    start = iso(world.anchor - timedelta(days=365))
    _places(store, world, start)
    for category in world.categories:
        _category(store, category, start)
    for n, product in enumerate(world.products, 1):
        _product(store, n, product, [client.channel_id for client in world.clients])
    for person in world.customers:
        moment = iso(person.created_at)
        first, _, last = person.name.partition(" ")
        known: Row = {"first_name": first, "last_name": last, "phone": person.phone, "has_account": True}
        store.put("customer", person.medusa_id, customer_row(person.email, moment, id=person.medusa_id, **known))
    for order in world.orders:
        if order.customer is None:
            guest = customer_row(order.email, iso(order.created_at), id=order.medusa_customer_id)
            store.put("customer", guest["id"], guest)
        _order(store, order)
    store.counter("order_display_id", step=len(world.orders))


def _times(moment: str) -> Row:
    return {"created_at": moment, "updated_at": moment, "deleted_at": None}


def _places(store: Store, world: World, start: str) -> None:
    for client in world.clients:
        channel = {"id": client.channel_id, "name": client.name, "description": f"Sales of {client.name}",
                   "is_disabled": False, "metadata": None, **_times(start)}  # fmt: skip
        store.put("sales_channel", client.channel_id, channel)
    channels = [client.channel_id for client in world.clients]
    store.put("api_key", MEDUSA_PUBLISHABLE_KEY, {"token": MEDUSA_PUBLISHABLE_KEY, "sales_channel_ids": channels})
    for region_id, name, currency, countries in REGIONS:
        shown = [_country(code, region_id, start) for code in countries]
        region = {"id": region_id, "name": name, "currency_code": currency, "automatic_taxes": True, "metadata": None}
        store.put("region", region_id, {**region, **_times(start), "countries": shown})
    for option_id, prices in SHIPPING:
        store.put(
            "shipping_option", option_id, {"id": option_id, "name": "Standard", "prices": prices, "created_at": start}
        )
    _warehouse(store, world.clients[0].pickup, start)
    currencies = [
        {
            "id": ulid("stocur", n),
            "currency_code": code,
            "is_default": code == "eur",
            "store_id": demo.STORE_ID,
            "currency": {"code": code, "symbol": symbol, "symbol_native": symbol, "name": name},
            **_times(start),
        }
        for n, (code, (symbol, name)) in enumerate(CURRENCIES.items(), 1)
    ]
    shop = {
        "id": demo.STORE_ID,
        "name": "OmniStack Demo",
        "supported_currencies": currencies,
        "default_sales_channel_id": channels[0],
        "default_region_id": demo.REGION_EUR,
        "default_location_id": ulid("sloc", 1),
        "metadata": None,
        "created_at": start,
        "updated_at": start,
    }
    store.put("store", demo.STORE_ID, shop)


def _country(code: str, region_id: str, start: str) -> Row:
    iso_3, number, name = COUNTRIES[code]
    return {"iso_2": code, "iso_3": iso_3, "num_code": number, "name": name.upper(), "display_name": name,
            "region_id": region_id, "metadata": None, **_times(start)}  # fmt: skip


def _warehouse(store: Store, address: demo.Address, start: str) -> None:
    location: Row = {
        "id": ulid("sloc", 1),
        "name": "Main warehouse",
        "metadata": None,
        "created_at": start,
        "updated_at": start,
        "address": {
            "id": ulid("laddr", 1),
            "address_1": address.street,
            "address_2": None,
            "company": None,
            "city": address.city,
            "country_code": address.country,
            "phone": address.phone,
            "province": None,
            "postal_code": address.postal_code,
            "metadata": None,
            **_times(start),
        },
    }
    store.put("stock_location", location["id"], location)


def _category(store: Store, category: demo.Category, start: str) -> None:
    siblings = [row for row in store.rows("product_category") if row["parent_category_id"] == category.parent_id]
    row: Row = {
        "id": category.id,
        "name": category.name,
        "description": "",
        "handle": category.handle,
        "mpath": f"{category.parent_id}.{category.id}" if category.parent_id else category.id,
        "is_active": True,
        "is_internal": False,
        "rank": len(siblings),
        "external_id": None,
        "metadata": None,
        "parent_category_id": category.parent_id,
        **_times(start),
    }
    store.put("product_category", category.id, row)


def _product(store: Store, n: int, product: demo.Product, channels: list[str]) -> None:
    times = _times(iso(product.created_at))
    option = {"id": ulid("opt", n), "title": "Size", "is_exclusive": True, "metadata": None, **times}
    values = [
        {"id": twin("optval", variant.id), "value": variant.title, "rank": None, "metadata": None,
         "option_id": option["id"], **times}
        for variant in product.variants
    ]  # fmt: skip
    image = {
        "id": ulid("img", n),
        "url": product.thumbnail,
        "rank": 0,
        "metadata": None,
        "product_id": product.id,
        **times,
    }
    unknown = (
        "subtitle", "collection_id", "type_id", "weight", "length", "height", "width", "hs_code",
        "origin_country", "mid_code", "material", "external_id", "metadata", "type", "collection",
    )  # fmt: skip
    row = {
        **dict.fromkeys(unknown),
        "id": product.id,
        "title": product.title,
        "description": product.description,
        "handle": product.handle,
        "status": "published",
        "is_giftcard": False,
        "discountable": True,
        "thumbnail": product.thumbnail,
        **times,
        "tags": [],
        "images": [image],
        "options": [{**option, "values": values}],
        "variants": [_variant(variant, product.id, rank, times) for rank, variant in enumerate(product.variants)],
        "category_ids": [product.category.id],
        "sales_channel_ids": channels,
    }
    store.put("product", product.id, row)
    for variant in product.variants:
        _inventory_item(store, variant, times)


def _variant(variant: demo.Variant, product_id: str, rank: int, times: Row) -> Row:
    unknown = (
        "barcode", "ean", "upc", "hs_code", "origin_country", "mid_code", "material", "weight", "length",
        "height", "width", "metadata", "thumbnail",
    )  # fmt: skip
    return {
        **dict.fromkeys(unknown),
        "id": variant.id,
        "title": variant.title,
        "sku": variant.sku,
        "allow_backorder": False,
        "manage_inventory": True,
        "variant_rank": rank,
        "product_id": product_id,
        **times,
        "prices": {"eur": text(variant.eur), "all": text(variant.lek)},
        "option_value_id": twin("optval", variant.id),
    }


def _inventory_item(store: Store, variant: demo.Variant, times: Row) -> None:
    unknown = (
        "thumbnail", "origin_country", "hs_code", "mid_code", "material", "unit_of_measure", "weight", "length",
        "height", "width", "metadata",
    )  # fmt: skip
    row = {
        **dict.fromkeys(unknown),
        "id": twin("iitem", variant.id),
        "sku": variant.sku,
        "title": variant.title,
        "description": variant.title,
        "requires_shipping": True,
        "stocked_quantity": variant.stock,
        "reserved_quantity": 0,
        "created_at": times["created_at"],
        "updated_at": times["updated_at"],
    }
    store.put("inventory_item", row["id"], row)


def _history(order: demo.Order) -> tuple[str, bool, bool]:
    """Status, fulfilled, captured of an order."""
    oldest_open = demo.ORDERS - NEWEST_OPEN
    if order.n > oldest_open:
        return "pending", False, order.n % 3 != 0
    if order.n <= oldest_open // 2:
        return "completed", True, True
    if order.n % 10 == 0:
        return "canceled", False, False
    return "pending", order.n % 2 == 0, True


def _order(store: Store, order: demo.Order) -> None:
    status, fulfilled, captured = _history(order)
    moment, currency = iso(order.created_at), order.currency.lower()
    items = [
        line(ulid("ordli", order.n * 10 + i), *_known(store, each), each.quantity, currency, None, moment)
        for i, each in enumerate(order.lines)
    ]
    reservations = {} if fulfilled or status == "canceled" else _reserve(store, items)
    address = _address(order, moment)
    method = {
        "id": ulid("ordsm", order.n),
        "name": "Standard",
        "shipping_option_id": demo.SHIPPING_EUR if currency == "eur" else demo.SHIPPING_ALL,
        "amount": text(order.shipping),
        "data": {},
    }
    collection_id = ulid("pay_col", order.n)
    row = {
        "id": order.id,
        "display_id": order.n,
        "status": status,
        "version": 2 if status == "canceled" else 1,
        "email": order.email,
        "customer_id": order.medusa_customer_id,
        "currency_code": currency,
        "region_id": demo.REGION_EUR if currency == "eur" else demo.REGION_ALL,
        "sales_channel_id": order.client.channel_id,
        "metadata": None,
        "locale": None,
        "shipping_address": address,
        "billing_address": {**address, "id": address["id"][:-1] + "B"},
        "cart_id": None,
        "items": items,
        "shipping_methods": [method],
        "payment_collection_ids": [collection_id],
        "fulfillments": [_fulfilment(order, moment)] if fulfilled else [],
        "credit_lines": [],
        "reservations": reservations,
        "canceled_at": moment if status == "canceled" else None,
        "created_at": moment,
        "updated_at": moment,
    }
    store.put("order", order.id, row)
    subtotal = sum(map(net, items), order.shipping)
    total = taxed(subtotal, tax_percent(address))["total"]
    _payment(store, row, collection_id, total, captured=captured)


def _known(store: Store, each: demo.Line) -> tuple[Row, Row]:
    product = store.get("product", each.product.id) or {}
    return product, next(variant for variant in product["variants"] if variant["id"] == each.variant.id)


def _reserve(store: Store, items: list[Row]) -> dict[str, int]:
    """Set goods aside for an order, on top of what the world says can still be sold."""
    reserved: dict[str, int] = {}
    for item in items:
        item_id = twin("iitem", item["variant_id"])
        stock = store.get("inventory_item", item_id) or {}
        quantities = {name: stock[name] + item["quantity"] for name in ("stocked_quantity", "reserved_quantity")}
        store.put("inventory_item", item_id, {**stock, **quantities})
        reserved[item_id] = reserved.get(item_id, 0) + item["quantity"]
    return reserved


def _address(order: demo.Order, moment: str) -> Row:
    person = order.customer
    first, _, last = (person.name if person else f"Guest {order.n}").partition(" ")
    at = person.address if person else order.client.pickup
    known = {
        "first_name": first,
        "last_name": last,
        "address_1": at.street,
        "city": at.city,
        "country_code": at.country.lower(),
        "postal_code": at.postal_code,
        "phone": person.phone if person else at.phone,
    }
    return order_address(known, order.id, moment)


def _fulfilment(order: demo.Order, moment: str) -> Row:
    done = iso(order.created_at + timedelta(days=1))
    return {
        "id": ulid("ful", order.n),
        "location_id": ulid("sloc", 1),
        "provider_id": "manual_manual",
        "packed_at": moment,
        "shipped_at": moment,
        "delivered_at": done,
        "canceled_at": None,
        "marked_shipped_by": None,
        "created_by": None,
        "requires_shipping": True,
        "data": {},
        "metadata": None,
        "created_at": moment,
        "updated_at": done,
        "deleted_at": None,
    }


def _payment(store: Store, order: Row, collection_id: str, total: Decimal, *, captured: bool) -> None:
    moment, amount, n = order["created_at"], text(total), order["display_id"]
    canceled = order["status"] == "canceled"
    session = {
        "id": ulid("payses", n),
        "currency_code": order["currency_code"],
        "provider_id": SYSTEM_PROVIDER,
        "data": {},
        "context": {},
        "status": "authorized",
        "authorized_at": moment,
        "amount": amount,
        "created_at": moment,
        "updated_at": moment,
    }
    payment: dict[str, Any] = {
        "id": ulid("pay", n),
        "currency_code": order["currency_code"],
        "provider_id": SYSTEM_PROVIDER,
        "data": {},
        "metadata": None,
        "amount": amount,
        "payment_collection_id": collection_id,
        "payment_session_id": session["id"],
        "captured_at": moment if captured else None,
        "canceled_at": moment if canceled else None,
        "captures": [{"id": ulid("capt", n), "amount": amount, "created_at": moment}] if captured else [],
        "refunds": [],
        "created_at": moment,
        "updated_at": moment,
    }
    store.put("payment", payment["id"], payment)
    status = "canceled" if canceled else "completed" if captured else "authorized"
    collection = {
        "id": collection_id,
        "cart_id": None,
        "order_id": order["id"],
        "currency_code": order["currency_code"],
        "amount": amount,
        "status": status,
        "completed_at": moment if captured else None,
        "metadata": None,
        "sessions": [session],
        "payment_ids": [payment["id"]],
        "created_at": moment,
        "updated_at": moment,
    }
    store.put("payment_collection", collection_id, collection)
