"""Carts: created, filled, addressed, given a shipping method and a payment collection."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sandbox.medusa.body import ADDRESS, METADATA, QUANTITY, Field, validate
from sandbox.medusa.cart_views import ADDRESS_NAMES, CART, CART_DEFAULTS, ITEM_EXTRAS, CartViews
from sandbox.medusa.catalogue import Catalogue
from sandbox.medusa.customers import Customers, checked_email, customer_row
from sandbox.medusa.fields import Selection, View, pick, select
from sandbox.medusa.lines import line, net
from sandbox.medusa.money import tax_percent, taxed, text
from sandbox.medusa.payments import COLLECTION, COLLECTION_DEFAULTS, Payments
from sandbox.medusa.wire import Call, MedusaError, missing, new_id, now
from sandbox.store import Row, Store

ITEM_FIELDS = {
    "variant_id": Field("string", required=True, nullable=False),
    "quantity": QUANTITY,
    "metadata": METADATA,
}
CART_FIELDS = {
    **dict.fromkeys(("region_id", "currency_code", "email", "sales_channel_id", "locale"), Field("string")),
    "shipping_address": ADDRESS,
    "billing_address": ADDRESS,
    "promo_codes": Field("array", supported=False),
    "metadata": METADATA,
}
SEVERAL_CHANNELS = (
    "Cannot assign sales channel to cart. The Publishable API Key in the header has multiple associated sales "
    "channels. Please provide a sales channel ID in the request body."
)


class Carts:
    """Handlers. A cart's row is replaced, never changed, once everything about a request is known to be right."""

    def __init__(self, store: Store, catalogue: Catalogue, customers: Customers, payments: Payments) -> None:
        self._store, self._catalogue = store, catalogue
        self._customers, self._payments = customers, payments
        self._views = CartViews(store, catalogue, payments)

    def create(self, call: Call) -> Any:
        """POST /store/carts: the first region and the key's only channel where the body names none."""
        validate(call.body, {**CART_FIELDS, "items": Field("array", fields=ITEM_FIELDS)})
        region = self._region(call.body.get("region_id"))
        moment = now()
        cart = {
            "id": new_id("cart"),
            "currency_code": (call.body.get("currency_code") or region["currency_code"]).lower(),
            "email": None,
            "locale": call.body.get("locale"),
            "region_id": region["id"],
            "sales_channel_id": self._channel(call.body.get("sales_channel_id"), call.channels),
            "customer_id": None,
            "metadata": call.body.get("metadata"),
            "items": [],
            "shipping_methods": [],
            "shipping_address": None,
            "billing_address": None,
            "payment_collection_id": None,
            "order_id": None,
            "completed_at": None,
            "created_at": moment,
            "updated_at": moment,
        }
        guest = self._address_and_name(cart, call.body)
        for item in call.body.get("items") or []:
            cart["items"] = self._with_item(cart, item)
        self._save(cart, guest)
        return self._answer(call, cart)

    def cart(self, call: Call) -> Any:
        row = self._store.get("cart", call.id)
        if row is None:
            raise MedusaError("not_found", f"Cart with id '{call.id}' not found")
        return self._answer(call, row)

    def update(self, call: Call) -> Any:
        """POST /store/carts/:id; another region changes the currency, the prices and drops the shipping methods."""
        validate(call.body, CART_FIELDS)
        cart = {**self.open_cart(call.id), "updated_at": now()}
        for name in ("metadata", "locale"):
            if name in call.body:
                cart[name] = call.body[name]
        if call.body.get("sales_channel_id"):
            cart["sales_channel_id"] = self._channel(call.body["sales_channel_id"], call.channels)
        if call.body.get("region_id", cart["region_id"]) != cart["region_id"]:
            region = self._region(call.body["region_id"])
            cart |= {"region_id": region["id"], "currency_code": region["currency_code"], "shipping_methods": []}
            cart["items"] = [{**item, "unit_price": self._price(item["variant_id"], cart)} for item in cart["items"]]
        self._save(cart, self._address_and_name(cart, call.body))
        return self._answer(call, cart)

    def add_item(self, call: Call) -> Any:
        """POST /store/carts/:id/line-items: the same variant with the same metadata raises its line's quantity."""
        validate(call.body, ITEM_FIELDS)
        cart = self.open_cart(call.id)
        cart = {**cart, "items": self._with_item(cart, call.body)}
        self._save(cart)
        return self._answer(call, cart)

    def update_item(self, call: Call) -> Any:
        """POST /store/carts/:id/line-items/:line_id: sets the quantity; 0 removes the line."""
        validate(
            call.body, {"quantity": Field("number", required=True, nullable=False, minimum=0), "metadata": METADATA}
        )
        cart = self.open_cart(call.id)
        item = next((item for item in cart["items"] if item["id"] == call.path["line_id"]), None)
        if item is None:
            raise MedusaError("not_found", f"Line item with id: {call.path['line_id']} was not found")
        quantity = call.body["quantity"]
        self._check_stock(item["variant_id"], quantity)
        changed = {**item, "quantity": quantity, "updated_at": now()}
        if "metadata" in call.body:
            changed["metadata"] = call.body["metadata"] or {}
        items = [changed if each is item else each for each in cart["items"] if each is not item or quantity]
        cart = {**cart, "items": items}
        self._save(cart)
        return self._answer(call, cart)

    def delete_item(self, call: Call) -> Any:
        """DELETE .../line-items/:line_id: a line that is not there counts as deleted."""
        cart = self.open_cart(call.id)
        line_id = call.path["line_id"]
        cart = {**cart, "items": [item for item in cart["items"] if item["id"] != line_id]}
        self._save(cart)
        return {"id": line_id, "object": "line-item", "deleted": True, "parent": self._answer(call, cart)["cart"]}

    def add_shipping_method(self, call: Call) -> Any:
        """POST /store/carts/:id/shipping-methods: replaces the method chosen before."""
        validate(call.body, {"option_id": Field("string", required=True, nullable=False), "data": Field("object")})
        cart = self.open_cart(call.id)
        option = self._store.get("shipping_option", call.body["option_id"])
        if option is None or cart["currency_code"] not in option["prices"]:
            raise MedusaError("invalid_data", "Shipping Options are invalid for cart.")
        method = {
            "id": new_id("casm"),
            "name": option["name"],
            "shipping_option_id": option["id"],
            "amount": option["prices"][cart["currency_code"]],
            "data": call.body.get("data") or {},
        }
        cart = {**cart, "shipping_methods": [method]}
        self._save(cart)
        return self._answer(call, cart)

    def shipping_options(self, call: Call) -> Any:
        """GET /store/shipping-options?cart_id=: those with a price in the cart's currency."""
        for name in call.query:
            if name not in ("cart_id", "fields", "is_return"):
                raise MedusaError("invalid_data", f"Invalid request: Unrecognized fields: '{name}'")
        if "cart_id" not in call.query:
            raise MedusaError("invalid_data", "Invalid request: Field 'cart_id' is required")
        cart = self._store.get("cart", str(call.query["cart_id"]))
        if cart is None:
            raise missing("Cart", str(call.query["cart_id"]))
        options = self._store.rows("shipping_option")
        return {
            "shipping_options": [
                self._views.shipping_option(option, cart["currency_code"])
                for option in options
                if cart["currency_code"] in option["prices"]
            ]
        }

    def create_payment_collection(self, call: Call) -> Any:
        """POST /store/payment-collections: the cart's collection, made when there is none yet."""
        validate(call.body, {"cart_id": Field("string", required=True, nullable=False)})
        cart = self._store.get("cart", call.body["cart_id"])
        if cart is None:
            raise missing("Cart", call.body["cart_id"])
        collection = self._store.get("payment_collection", cart["payment_collection_id"] or "")
        if collection is None:
            moment = now()
            collection = {
                "id": new_id("pay_col"),
                "cart_id": cart["id"],
                "order_id": None,
                "currency_code": cart["currency_code"],
                "amount": self.amount(cart),
                "status": "not_paid",
                "completed_at": None,
                "metadata": None,
                "sessions": [],
                "payment_ids": [],
                "created_at": moment,
                "updated_at": moment,
            }
            with self._store.transaction():
                self._store.put("payment_collection", collection["id"], collection)
                self._store.put("cart", cart["id"], {**cart, "payment_collection_id": collection["id"]})
        view = self._payments.collection_view(collection)
        return {"payment_collection": pick(view, select(call.fields, COLLECTION_DEFAULTS), COLLECTION)}

    def open_cart(self, id: str) -> Row:
        """A cart that may still change. Raises: MedusaError when it is unknown or completed."""
        cart = self._store.get("cart", id)
        if cart is None:
            raise missing("Cart", id)
        if cart["completed_at"]:
            raise MedusaError("invalid_data", f"Cart {id} is already completed.")
        return cart

    def amount(self, cart: Row) -> str:
        """The cart's total."""
        percent = tax_percent(cart["shipping_address"])
        subtotal = sum(map(net, cart["items"]), Decimal(0)) + sum(
            (Decimal(method["amount"]) for method in cart["shipping_methods"]), Decimal(0)
        )
        return text(taxed(subtotal, percent)["total"])

    # Parts of a change

    def _region(self, id: str | None) -> Row:
        region = self._catalogue.region(id) if id else next(iter(self._store.rows("region")), None)
        if region is None:
            raise MedusaError("not_found", "No regions found")
        return region

    def _channel(self, asked: str | None, channels: list[str]) -> str:
        if asked is None and len(channels) > 1:
            raise MedusaError("invalid_data", SEVERAL_CHANNELS)
        if asked is not None and asked not in channels:
            raise MedusaError("invalid_data", "Requested sales channel is not part of the publishable key")
        return asked or channels[0]

    def _address_and_name(self, cart: Row, body: dict[str, Any]) -> Row | None:
        """Put addresses and e-mail of a request into a cart; the guest to be created, if there is one."""
        region = self._catalogue.region(cart["region_id"]) or {}
        for name in ("shipping_address", "billing_address"):
            if name in body:
                address = body[name]
                cart[name] = address and {**dict.fromkeys(ADDRESS_NAMES), **address, "id": new_id("caaddr")}
        country = (cart["shipping_address"] or {}).get("country_code")
        if country and country not in [each["iso_2"] for each in region["countries"]]:
            raise MedusaError("invalid_data", f"Country with code {country} is not within region {region['name']}")
        if not body.get("email"):
            return None
        cart["email"] = checked_email(body["email"])
        guest = self._customers.guest(cart["email"])
        new = None if guest else customer_row(cart["email"], now())
        cart["customer_id"] = (guest or new or {})["id"]
        return new

    def _with_item(self, cart: Row, asked: dict[str, Any]) -> list[Row]:
        """The cart's lines with one more, newest first, as Medusa lists them."""
        found = self._catalogue.variant(asked["variant_id"])
        if found is None or found[0]["status"] != "published":
            raise MedusaError(
                "invalid_data",
                f"Variants {asked['variant_id']} do not exist or belong to a product that is not published",
            )
        self._price(asked["variant_id"], cart)
        metadata = asked.get("metadata") or {}
        same = next(
            (
                item
                for item in cart["items"]
                if item["variant_id"] == asked["variant_id"] and item["metadata"] == metadata
            ),
            None,
        )
        quantity = asked["quantity"] + (same["quantity"] if same else 0)
        self._check_stock(asked["variant_id"], quantity)
        if same:
            changed = {**same, "quantity": quantity, "updated_at": now()}
            return [changed if item is same else item for item in cart["items"]]
        return [line(new_id("cali"), *found, quantity, cart["currency_code"], metadata, now()), *cart["items"]]

    def _price(self, variant_id: str, cart: Row) -> str:
        found = self._catalogue.variant(variant_id)
        prices = found[1]["prices"] if found else {}
        if cart["currency_code"] not in prices:
            raise MedusaError("invalid_data", f"Variants with IDs {variant_id} do not have a price")
        return str(prices[cart["currency_code"]])

    def _check_stock(self, variant_id: str, quantity: float) -> None:
        found = self._catalogue.variant(variant_id)
        if found and found[1]["manage_inventory"] and quantity > self._catalogue.available(variant_id):
            raise MedusaError(
                "not_allowed", "Some variant does not have the required inventory", code="insufficient_inventory"
            )

    def _save(self, cart: Row, guest: Row | None = None) -> None:
        """Every change of a cart brings its payment collection to the new total and drops its sessions."""
        collection = self._store.get("payment_collection", cart["payment_collection_id"] or "")
        with self._store.transaction():
            if guest:
                self._store.put("customer", guest["id"], guest)
            if collection:
                changed = {
                    **collection,
                    "currency_code": cart["currency_code"],
                    "amount": self.amount(cart),
                    "status": "not_paid",
                    "sessions": [],
                    "updated_at": now(),
                }
                self._store.put("payment_collection", collection["id"], changed)
            self._store.put("cart", cart["id"], cart)

    # Views

    def _answer(self, call: Call, cart: Row) -> Any:
        wanted = select(call.fields, CART_DEFAULTS)
        items = wanted.at("items")
        if items and items.names & ITEM_EXTRAS:
            items.names |= ITEM_EXTRAS
        return {"cart": self.shown(cart, wanted)}

    def shown(self, cart: Row, wanted: Selection | None = None) -> View:
        """A cart as answers have it."""
        return pick(self._views.cart(cart), wanted or select(None, CART_DEFAULTS), CART)
