"""Medusa, the shop: its catalogue, carts and orders.

Products and orders are read, canceled and captured over the admin API (secret key); categories, carts and the placing
of orders go over the store API (publishable key). Money is decimal in major units on this wire, currencies and
countries are lower-case; records have both in upper case.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import ClassVar, Self, TypeVar
from urllib.parse import quote_plus, urlencode
from weakref import WeakValueDictionary

import httpx
import msgspec

from core.address import Address
from core.backends import BackendName
from core.errors import (
    BackendBadResponse,
    BackendError,
    BackendRejected,
    BackendTimeout,
    BackendUnavailable,
    BadUserInput,
)
from core.person import REFERENCE, Person
from core.settings import MedusaSettings
from datasources._http import Answer, HttpBackend, Limits, Query, open_client, plain
from datasources._medusa_records import (
    CartAnswer,
    CartRecord,
    CategoriesPage,
    CategoryAnswer,
    CategoryRecord,
    Completion,
    CustomerAnswer,
    CustomerRecord,
    CustomersPage,
    Done,
    LineItemRecord,
    NewCart,
    NewItem,
    OrderAnswer,
    OrderPaymentsAnswer,
    OrderRecord,
    OrdersPage,
    OrderStatus,
    PaidOrder,
    PaidOrdersPage,
    PaymentAnswer,
    PaymentCollectionAnswer,
    PriceRecord,
    ProductRecord,
    ProductsPage,
    RefundRecord,
    Refusal,
    RegionRecord,
    RegionsPage,
    Rows,
    ShippingOption,
    ShippingOptionsAnswer,
    StoreRecord,
    StoresPage,
    VariantRecord,
    VariantsPage,
    VariantStockRecord,
    VariantStocksPage,
)

__all__ = [
    "CartRecord",
    "CategoryRecord",
    "CustomerRecord",
    "LineItemRecord",
    "Medusa",
    "NewCart",
    "NewItem",
    "OrderRecord",
    "OrderStatus",
    "PriceRecord",
    "ProductRecord",
    "RefundRecord",
    "RegionRecord",
    "Rows",
    "StoreRecord",
    "VariantRecord",
    "VariantStockRecord",
]

R = TypeVar("R")

MAX_IDS = 300
"""Of one request."""
MAX_QUERY_BYTES = 14_500
"""Node refuses requests whose line and headers exceed 16 KB (431, no body); the rest is left for headers."""
SLOW_S = 20.0
"""Carts queue on a lock while they are changed: adding takes up to two seconds, completing longer."""
PAYMENT_PROVIDER = "pp_system_default"
"""Medusa's manual provider, which authorizes at once; real money moves elsewhere."""


_PRODUCT_FIELDS = (
    "id,title,handle,description,status,thumbnail,created_at,updated_at,images.url,images.rank,"
    "variants.id,variants.title,variants.sku,variants.product_id,"
    "*variants.prices,variants.prices.price_rules.attribute,variants.prices.price_rules.value,"
    "categories.id,categories.name,categories.handle,categories.parent_category_id,"
    "categories.is_active,categories.is_internal"
)
# The defaults lack currency_code, email and customer_id; asking for a total brings the items along.
_ORDER_FIELDS = (
    "id,display_id,status,payment_status,fulfillment_status,email,customer_id,sales_channel_id,region_id,"
    "currency_code,subtotal,shipping_total,tax_total,total,created_at,updated_at,*items"
)
_CART_FIELDS = (
    "id,currency_code,email,region_id,sales_channel_id,customer_id,customer.id,completed_at,subtotal,total,"
    "*items,items.total,shipping_methods.id,*shipping_address"
)
_PAYMENT_FIELDS = (
    "id,*payment_collections,*payment_collections.payments,*payment_collections.payments.captures,"
    "*payment_collections.payments.refunds"
)
_CUSTOMER_FIELDS = "id,email,has_account,metadata"
_CATEGORY_FIELDS = "id,name,handle,parent_category_id"
_NEWEST_FIRST = ("order", "-created_at")


class Medusa(HttpBackend):
    """The shop. Every method raises BackendError."""

    name: ClassVar[BackendName] = BackendName.MEDUSA
    completion_waits_s: ClassVar[tuple[float, ...]] = (0.2, 0.4, 0.8, 1.6, 3.2)
    """Between tries while another completion of the same cart runs (409)."""

    def __init__(self, client: httpx.AsyncClient, settings: MedusaSettings, limits: Limits | None = None) -> None:
        super().__init__(client, limits or Limits(timeout_s=settings.timeout_s))
        self._default_region_id = settings.region_id
        self._slow_s = max(SLOW_S, settings.timeout_s)
        self._refunding: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._admin = _headers(httpx.BasicAuth(settings.api_key.get_secret_value(), "") if settings.api_key else None)
        key = settings.publishable_key
        self._store = {"x-publishable-api-key": key.get_secret_value()} if key else {}

    @classmethod
    def open(cls, settings: MedusaSettings) -> Self:
        return cls(open_client(str(settings.api_url), {}), settings)

    async def ping(self) -> None:
        """GET /admin/stores: reaches the database and checks the secret key."""
        query = [("limit", 1), ("fields", "id")]
        await self.read("GET", "/admin/stores", Done, query=query, headers=self._admin)

    # -- catalogue ---------------------------------------------------------------------------------------------

    async def products(
        self,
        *,
        limit: int,
        offset: int = 0,
        ids: Sequence[str] | None = None,
        handle: str | None = None,
        search: str | None = None,
        category_id: str | None = None,
        status: str | None = None,
        channel_ids: Sequence[str] | None = None,
    ) -> Rows[ProductRecord]:
        """Newest first. A category's products are its own, not those of the categories below it.
        GET /admin/products."""
        if _nothing_matches(ids, channel_ids):
            return Rows(rows=[], count=0)
        query: list[tuple[str, str | int]] = [
            ("limit", limit),
            ("offset", offset),
            _NEWEST_FIRST,
            ("fields", _PRODUCT_FIELDS),
            *_many("id", ids),
            *_many("category_id", [category_id] if category_id else None),
            *_product_scope(channel_ids, status),
        ]
        if handle is not None:
            query.append(("handle", handle))
        if search is not None:
            query.append(("q", search))
        return await self.read("GET", "/admin/products", ProductsPage, query=query, headers=self._admin)

    async def products_by_ids(
        self, ids: Sequence[str], *, channel_ids: Sequence[str] | None = None, status: str | None = None
    ) -> list[ProductRecord]:
        """In any order, absent ones left out. GET /admin/products, once per 300."""
        if _nothing_matches(channel_ids):
            return []
        query = [("fields", _PRODUCT_FIELDS), *_product_scope(channel_ids, status)]
        return await self._all("/admin/products", ProductsPage, "id", ids, query)

    async def products_by_skus(
        self, skus: Sequence[str], *, channel_ids: Sequence[str] | None = None, status: str | None = None
    ) -> list[ProductRecord]:
        """The products that have a variant with one of these SKUs. Two calls: variants, then their products."""
        if _nothing_matches(channel_ids):
            return []
        variants = await self.variants(skus=skus)
        ids = list(dict.fromkeys(variant.product_id for variant in variants if variant.product_id))
        return await self.products_by_ids(ids, channel_ids=channel_ids, status=status)

    async def variants(self, *, ids: Sequence[str] = (), skus: Sequence[str] = ()) -> list[VariantRecord]:
        """By ids or by SKUs, without prices; absent ones left out. GET /admin/product-variants."""
        key, values = ("id", ids) if ids else ("sku", skus)
        query = [("fields", "id,title,sku,product_id")]
        return await self._all("/admin/product-variants", VariantsPage, key, values, query)

    async def variant_stocks_by_ids(self, ids: Sequence[str]) -> list[VariantStockRecord]:
        """How many of each can be sold. GET /admin/product-variants."""
        query = [("fields", "id,manage_inventory,inventory_quantity")]
        return await self._all("/admin/product-variants", VariantStocksPage, "id", ids, query)

    async def categories(self, *, limit: int, offset: int = 0) -> Rows[CategoryRecord]:
        """Those that buyers see, newest first. GET /store/product-categories."""
        query = [("limit", limit), ("offset", offset), _NEWEST_FIRST, ("fields", _CATEGORY_FIELDS)]
        return await self.read("GET", "/store/product-categories", CategoriesPage, query=query, headers=self._store)

    async def category(self, id: str) -> CategoryRecord | None:
        """GET /store/product-categories/{id}, which answers 200 `{}` for an unknown one."""
        found = await self.read_or_none(
            "GET",
            "/store/product-categories/{id}",
            CategoryAnswer,
            args={"id": id},
            query=[("fields", _CATEGORY_FIELDS)],
            headers=self._store,
        )
        return found.product_category if found else None

    async def categories_by_ids(self, ids: Sequence[str]) -> list[CategoryRecord]:
        """In any order, absent ones left out. GET /store/product-categories."""
        query = [("fields", _CATEGORY_FIELDS)]
        return await self._all("/store/product-categories", CategoriesPage, "id", ids, query)

    async def stores(self) -> list[StoreRecord]:
        """Normally one. GET /admin/stores."""
        page = await self.read("GET", "/admin/stores", StoresPage, query=[("limit", 50)], headers=self._admin)
        return page.rows

    async def regions(self) -> list[RegionRecord]:
        """GET /store/regions."""
        page = await self.read("GET", "/store/regions", RegionsPage, query=[("limit", 200)], headers=self._store)
        return page.rows

    # -- orders ------------------------------------------------------------------------------------------------

    async def orders(
        self,
        *,
        limit: int,
        offset: int = 0,
        ids: Sequence[str] | None = None,
        status: OrderStatus | None = None,
        customer_ids: Sequence[str] | None = None,
        channel_ids: Sequence[str] | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
    ) -> Rows[OrderRecord]:
        """Newest first, items included. `created_after` is inclusive, `created_before` is not. GET /admin/orders."""
        if _nothing_matches(ids, customer_ids, channel_ids):
            return Rows(rows=[], count=0)
        query: list[tuple[str, str | int]] = [
            ("limit", limit),
            ("offset", offset),
            _NEWEST_FIRST,
            ("fields", _ORDER_FIELDS),
            *_many("id", ids),
            *_many("customer_id", customer_ids),
            *_many("sales_channel_id", channel_ids),
            *_many("status", [status.value] if status else None),
        ]
        if created_after is not None:
            query.append(("created_at[$gte]", _time(created_after)))
        if created_before is not None:
            query.append(("created_at[$lt]", _time(created_before)))
        batch = len(customer_ids) if customer_ids else None
        return await self.read(
            "GET", "/admin/orders", OrdersPage, query=query, headers=self._admin, batch_size=len(ids) if ids else batch
        )

    async def orders_by_ids(self, ids: Sequence[str], *, channel_ids: Sequence[str] | None = None) -> list[OrderRecord]:
        """In any order, absent ones left out. GET /admin/orders, once per 300."""
        if _nothing_matches(channel_ids):
            return []
        query = [("fields", _ORDER_FIELDS), *_many("sales_channel_id", channel_ids)]
        return await self._all("/admin/orders", OrdersPage, "id", ids, query)

    async def order(self, id: str) -> OrderRecord | None:
        """GET /admin/orders/{id}. The store API would answer to whoever knows the id."""
        found = await self.read_or_none(
            "GET",
            "/admin/orders/{id}",
            OrderAnswer,
            args={"id": id},
            query=[("fields", _ORDER_FIELDS)],
            headers=self._admin,
        )
        return found.order if found else None

    async def cancel_order(self, id: str) -> OrderRecord:
        """Cancel, refund what was captured and free the stock; fine when that has happened already.

        POST /admin/orders/{id}/cancel. Raises BackendRejected for an order that is unknown (`not_found`), completed or
        fulfilled (`not_allowed`).
        """
        refused: BackendRejected | None = None
        try:
            await self.keyed_write(
                "POST",
                "/admin/orders/{id}/cancel",
                Done,
                args={"id": id},
                json={},
                headers=self._admin,
                timeout_s=self._slow_s,
            )
        except BackendRejected as exc:
            refused = exc
        # Its answer lacks the computed statuses; and "has been canceled" is a refusal like any other.
        order = await self.order(id)
        if order is None or order.status is not OrderStatus.CANCELED:
            raise refused or BackendBadResponse(self.name, "medusa accepted the cancellation and did not cancel")
        return order

    async def capture_order_payment(self, order_id: str) -> None:
        """Mark the order as paid: capture each of its payments that is not yet.

        GET /admin/orders/{id}, POST /admin/payments/{id}/capture. Safe to repeat.
        """
        for payment in (await self._paid(order_id)).payments:
            if payment.captured_at is None and payment.canceled_at is None:
                await self.write(
                    "POST",
                    "/admin/payments/{id}/capture",
                    Done,
                    args={"id": payment.id},
                    json={},
                    headers=self._admin,
                    timeout_s=self._slow_s,
                )

    async def refunds_by_order_ids(self, ids: Sequence[str]) -> dict[str, list[RefundRecord]]:
        """Of each order that is there, what went back. GET /admin/orders, once per 300."""
        orders = await self._all("/admin/orders", PaidOrdersPage, "id", ids, [("fields", _PAYMENT_FIELDS)])
        return {order.id: order.refunds for order in orders}

    async def refund_order(self, order_id: str, amount: Decimal | None, *, reference: str) -> RefundRecord:
        """Send this much of what was captured back to the buyer, or None: all that is left, once per reference.

        GET /admin/orders/{id}, POST /admin/payments/{id}/refund. Medusa would refund again each time, so the refund is
        looked for before, and after an outcome that nobody saw: its note is the reference.
        Raises BackendRejected for an unknown order, and for more than was captured and is left.
        """
        lock = self._refunding.setdefault(reference, asyncio.Lock())
        async with lock:
            order = await self._paid(order_id)
            if there := _refunded(order, reference):
                return there
            left = [payment for payment in order.payments if payment.refundable > 0]
            if not left or (amount is not None and max(each.refundable for each in left) < amount):
                raise BackendRejected(
                    self.name, "no payment of the order has so much left to refund", status=400, reason="invalid_data"
                )
            payment = next(each for each in left if amount is None or each.refundable >= amount)
            body = {"amount": float(amount)} if amount is not None else {}
            try:
                after = await self.write(
                    "POST",
                    "/admin/payments/{id}/refund",
                    PaymentAnswer,
                    args={"id": payment.id},
                    json={**body, "note": reference},
                    headers=self._admin,
                    timeout_s=self._slow_s,
                )
            except (BackendTimeout, BackendUnavailable, BackendBadResponse):
                if made := await self._refunded_all_the_same(order_id, reference):
                    return made
                raise
        made = next((each for each in after.payment.refunds if each.note == reference), None)
        if made is None:
            raise BackendBadResponse(self.name, "medusa accepted the refund and does not show it")
        return made

    async def _paid(self, order_id: str) -> PaidOrder:
        """Raises BackendRejected for an unknown one."""
        found = await self.read(
            "GET",
            "/admin/orders/{id}",
            OrderPaymentsAnswer,
            args={"id": order_id},
            query=[("fields", _PAYMENT_FIELDS)],
            headers=self._admin,
        )
        return found.order

    async def _refunded_all_the_same(self, order_id: str, reference: str) -> RefundRecord | None:
        """What a refund left behind whose answer was lost; None as well if that cannot be found out."""
        try:
            return _refunded(await self._paid(order_id), reference)
        except BackendError:
            return None

    # -- carts -------------------------------------------------------------------------------------------------

    async def cart(self, id: str) -> CartRecord | None:
        """GET /store/carts/{id}."""
        found = await self.read_or_none(
            "GET",
            "/store/carts/{id}",
            CartAnswer,
            args={"id": id},
            query=[("fields", _CART_FIELDS)],
            headers=self._store,
        )
        return found.cart if found else None

    async def create_cart(self, new: NewCart) -> CartRecord:
        """Another cart each time: never repeated. POST /store/carts.

        Raises BadUserInput when nothing is sold in that currency or to that country, BackendRejected for variants that
        are unknown, out of stock or without price.
        """
        body = {
            "region_id": await self._region_id(new),
            "email": new.email,
            "sales_channel_id": new.sales_channel_id,
            "items": [{"variant_id": item.variant_id, "quantity": item.quantity} for item in new.items] or None,
            "shipping_address": _address(new.address) if new.address else None,
        }
        made = await self.write(
            "POST",
            "/store/carts",
            CartAnswer,
            query=[("fields", _CART_FIELDS)],
            json={key: value for key, value in body.items() if value is not None},
            headers=self._store,
            timeout_s=self._slow_s,
        )
        return made.cart

    async def add_cart_item(self, cart_id: str, variant_id: str, quantity: int) -> CartRecord:
        """Raises the quantity of a line that has this variant already, so it is never repeated.

        POST /store/carts/{id}/line-items. Raises BackendRejected for a variant that is unknown, out of stock or without
        price, and for a cart that is unknown or ordered.
        """
        changed = await self.write(
            "POST",
            "/store/carts/{id}/line-items",
            CartAnswer,
            args={"id": cart_id},
            query=[("fields", _CART_FIELDS)],
            json={"variant_id": variant_id, "quantity": quantity},
            headers=self._store,
            timeout_s=self._slow_s,
        )
        return changed.cart

    async def prepare_cart(
        self, cart_id: str, *, email: str | None = None, address: Address | None = None
    ) -> CartRecord:
        """The cart with everything that its total hangs on: e-mail, address, the cheapest shipping.

        Only what differs is changed, for every change drops the cart's payment sessions. Safe to repeat; a cart that
        has become an order is given as it is. Raises BackendRejected for an unknown cart or an address that nothing is
        shipped to.
        """
        cart = await self._known_cart(cart_id)
        if cart.completed_at is not None:
            return cart
        changes: dict[str, object] = {}
        if email is not None and (cart.email or "").lower() != email.lower():
            changes["email"] = email
        if address is not None and not _is_at(cart, address):
            changes["shipping_address"] = _address(address)
        if changes:
            cart = await self._change_cart("/store/carts/{id}", cart_id, changes)
        if cart.requires_shipping and not cart.shipping_methods:
            for option in await self._shipping_options(cart_id):
                cart = await self._change_cart("/store/carts/{id}/shipping-methods", cart_id, {"option_id": option.id})
        return cart

    async def place_order(
        self, cart_id: str, *, email: str | None = None, address: Address | None = None
    ) -> OrderRecord:
        """Turn a cart into an unpaid order: prepare it, give it a manual payment, complete it, read the order.

        A cart makes one order, so that this is safe to repeat after anything. Raises BackendRejected when Medusa
        refuses.
        """
        try:
            cart = await self.prepare_cart(cart_id, email=email, address=address)
            if cart.completed_at is None and cart.total > 0:
                await self._start_payment(cart_id)
            order_id = await self._complete(cart_id)
        except BackendRejected:
            # Another caller may have completed the cart meanwhile; then every change of it is refused.
            order = await self.order_of_cart(cart_id)
            if order is None:
                raise
            return order
        return await self._placed_order(order_id)

    async def order_of_cart(self, cart_id: str) -> OrderRecord | None:
        """The order that a cart has become; None while it has not. Makes none."""
        cart = await self.cart(cart_id)
        if cart is None or cart.completed_at is None:
            return None
        return await self._placed_order(await self._complete(cart_id))

    async def _known_cart(self, id: str) -> CartRecord:
        cart = await self.cart(id)
        if cart is None:
            raise BackendRejected(self.name, "there is no such cart", status=404, reason="not_found")
        return cart

    async def _change_cart(self, path: str, cart_id: str, body: Mapping[str, object]) -> CartRecord:
        """Sets an absolute state: the same change twice is one."""
        changed = await self.keyed_write(
            "POST",
            path,
            CartAnswer,
            args={"id": cart_id},
            query=[("fields", _CART_FIELDS)],
            json=body,
            headers=self._store,
            timeout_s=self._slow_s,
        )
        return changed.cart

    async def _shipping_options(self, cart_id: str) -> list[ShippingOption]:
        """The cheapest option with a fixed price for each kind of goods. GET /store/shipping-options."""
        found = await self.read(
            "GET", "/store/shipping-options", ShippingOptionsAnswer, query=[("cart_id", cart_id)], headers=self._store
        )
        cheapest: dict[str | None, ShippingOption] = {}
        usable = [option for option in found.shipping_options if not option.insufficient_inventory]
        for option in sorted(usable, key=lambda option: (option.price_type != "flat", option.amount or Decimal(0))):
            cheapest.setdefault(option.shipping_profile_id, option)
        if not cheapest:
            raise BackendRejected(
                self.name, "nothing is shipped to this address", status=400, reason="no_shipping_option"
            )
        return list(cheapest.values())

    async def _start_payment(self, cart_id: str) -> None:
        """The cart's collection is made once, its session replaced.
        POST /store/payment-collections, POST .../payment-sessions."""
        made = await self.keyed_write(
            "POST",
            "/store/payment-collections",
            PaymentCollectionAnswer,
            json={"cart_id": cart_id},
            headers=self._store,
        )
        await self.keyed_write(
            "POST",
            "/store/payment-collections/{id}/payment-sessions",
            Done,
            args={"id": made.payment_collection.id},
            json={"provider_id": PAYMENT_PROVIDER},
            headers=self._store,
        )

    async def _complete(self, cart_id: str) -> str:
        """The order's id. POST /store/carts/{id}/complete, where 200 may be a refusal and 409 says to come back."""
        for wait_s in (*self.completion_waits_s, None):
            try:
                done = await self.keyed_write(
                    "POST",
                    "/store/carts/{id}/complete",
                    Completion,
                    args={"id": cart_id},
                    json={},
                    headers=self._store,
                    timeout_s=self._slow_s,
                )
                break
            except BackendRejected as exc:
                if exc.status != 409 or wait_s is None:
                    raise
                await asyncio.sleep(wait_s)
        if done.type == "order" and done.order is not None:
            return done.order.id
        refusal = done.error or Refusal()
        raise BackendRejected(
            self.name, plain(refusal.message) or "medusa made no order of the cart", status=200, reason=refusal.type
        )

    async def _placed_order(self, id: str) -> OrderRecord:
        order = await self.order(id)
        if order is None:
            raise BackendBadResponse(self.name, "medusa placed an order that it does not know")
        return order

    async def _region_id(self, new: NewCart) -> str:
        """Raises BadUserInput when no region fits."""
        country = new.address.country if new.address else None
        if new.currency is None and (new.region_id or (self._default_region_id and country is None)):
            return new.region_id or self._default_region_id or ""
        regions = await self.regions()
        if new.region_id is not None:
            regions = [region for region in regions if region.id == new.region_id]
        if new.currency is not None:
            regions = [region for region in regions if region.currency == new.currency]
            if not regions:
                raise BadUserInput(f"nothing is sold in {new.currency} there")
        if country is not None:
            regions = [region for region in regions if country in region.countries]
        if not regions:
            raise BadUserInput(f"nothing is sold to {country}" if country else "the shop has no region to sell in")
        preferred = [region for region in regions if region.id == self._default_region_id]
        return (preferred or regions)[0].id

    # -- customers ---------------------------------------------------------------------------------------------

    async def customers_by_email(self, email: str) -> list[CustomerRecord]:
        """Whoever has this address, in any case: a guest, somebody with an account, or both. GET /admin/customers."""
        # Medusa keeps addresses in lower case and compares them as they are.
        wanted = email.lower()
        query = [("limit", MAX_IDS), ("fields", _CUSTOMER_FIELDS), ("email", wanted)]
        page = await self.read("GET", "/admin/customers", CustomersPage, query=query, headers=self._admin)
        return [row for row in page.rows if (row.email or "").lower() == wanted]

    async def create_customer(self, person: Person) -> CustomerRecord:
        """The guest with this person's address, whom carts will find too: a new one, or the one that is there.

        POST /admin/customers. Safe to repeat, because a second guest with one address is refused.
        """
        first_name, last_name = person.names
        body = {
            "email": person.email.lower(),
            "first_name": first_name,
            "last_name": last_name,
            "phone": person.phone,
            "metadata": {REFERENCE: person.user_id},
        }
        try:
            made = await self.keyed_write(
                "POST",
                "/admin/customers",
                CustomerAnswer,
                query=[("fields", _CUSTOMER_FIELDS)],
                json={key: value for key, value in body.items() if value},
                headers=self._admin,
                timeout_s=self._slow_s,
            )
        except BackendRejected:
            # Made meanwhile, or by a try whose answer was lost.
            guests = [row for row in await self.customers_by_email(person.email) if not row.has_account]
            if not guests:
                raise
            return guests[0]
        return made.customer

    # -- the dialect -------------------------------------------------------------------------------------------

    async def _all(self, path: str, page: type[Rows[R]], key: str, values: Sequence[str], query: Query) -> list[R]:
        """Every row whose `key` is among `values`, in as few calls as the limits allow. Medusa cuts at `limit`, drops
        unknown values and duplicates without a word, and answers in an order of its own."""
        headers = self._admin if path.startswith("/admin/") else self._store

        async def some(chunk: list[str]) -> list[R]:
            asked = [("limit", len(chunk)), *query, *_many(key, chunk)]
            answer = await self.read("GET", path, page, query=asked, headers=headers, batch_size=len(chunk))
            return answer.rows

        pages = await asyncio.gather(*map(some, _chunks(key, values, query)))
        return [row for rows in pages for row in rows]

    def _raise_for_status(self, answer: Answer, absent_is_fine: bool) -> None:
        # An unknown route is a 404 in HTML, which must not pass for a row that is not there.
        if answer.status == 404 and answer.headers.get("content-type", "").startswith("text/html"):
            raise BackendBadResponse(self.name, "medusa does not know this route: its address or version is wrong")
        super()._raise_for_status(answer, absent_is_fine)

    def refusal(self, answer: Answer) -> tuple[str, str | None]:
        """Of `{type, message[, code]}`, where a wrong publishable key is 400 and a wrong secret key has no type."""
        try:
            said = msgspec.json.decode(answer.body, type=Refusal)
        except (msgspec.DecodeError, UnicodeDecodeError):
            said = Refusal()
        if answer.status == 431:
            return "the request was too long for medusa", "too_long"
        if answer.status == 401 or (said.type == "not_allowed" and "publishable" in said.message.lower()):
            return "medusa does not accept the gateway's credentials: its configuration is wrong", "unauthorized"
        return said.message, said.code or said.type


def _refunded(order: PaidOrder, reference: str) -> RefundRecord | None:
    return next((refund for refund in order.refunds if refund.note == reference), None)


def _headers(auth: httpx.BasicAuth | None) -> dict[str, str]:
    """What Basic authentication adds to a request, computed once."""
    if auth is None:
        return {}
    request = next(auth.auth_flow(httpx.Request("GET", "http://localhost")))
    return {"Authorization": request.headers["Authorization"]}


def _nothing_matches(*filters: Sequence[str] | None) -> bool:
    """Whether one of these lists is empty. On the wire it would not be there, and then everything matches."""
    return any(values is not None and not values for values in filters)


def _many(key: str, values: Sequence[str] | None) -> list[tuple[str, str]]:
    """`key[]=a&key[]=b`. An array of one is split at its commas, so that such a value goes twice."""
    if values is None:
        return []
    values = [*values, *values] if len(values) == 1 and "," in values[0] else values
    return [(f"{key}[]", value) for value in values]


def _product_scope(channel_ids: Sequence[str] | None, status: str | None) -> list[tuple[str, str]]:
    return [*_many("sales_channel_id", channel_ids), *_many("status", [status] if status else None)]


def _chunks(key: str, values: Sequence[str], query: Query) -> Iterator[list[str]]:
    """The distinct values, cut so that each request stays below Medusa's limits."""
    room = MAX_QUERY_BYTES - len(urlencode(query))
    chunk: list[str] = []
    size = 0
    for value in dict.fromkeys(values):
        cost = len(quote_plus(f"{key}[]")) + len(quote_plus(value)) + 2
        if chunk and (len(chunk) == MAX_IDS or size + cost > room):
            yield chunk
            chunk, size = [], 0
        chunk.append(value)
        size += cost
    if chunk:
        yield chunk


def _address(address: Address) -> dict[str, str]:
    first_name, _, last_name = (address.name or "").strip().partition(" ")
    written = {
        "first_name": first_name,
        "last_name": last_name.strip(),
        "address_1": address.street,
        "city": address.city,
        "postal_code": address.postal_code,
        "country_code": address.country.lower(),
        "phone": address.phone,
    }
    return {key: value for key, value in written.items() if value}


def _is_at(cart: CartRecord, address: Address) -> bool:
    return cart.shipping_address is not None and _address(address) == {
        key: value for key, value in msgspec.structs.asdict(cart.shipping_address).items() if value
    }


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
