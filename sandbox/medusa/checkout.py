"""Completing a cart: the one call that makes an order."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sandbox.medusa.carts import Carts
from sandbox.medusa.catalogue import Catalogue
from sandbox.medusa.orders import Orders, order_address
from sandbox.medusa.payments import CONFLICTING_PROVIDER, FAILING_PROVIDER, SYSTEM_PROVIDER, new_payment
from sandbox.medusa.wire import Call, MedusaError, missing, new_id, now, twin
from sandbox.store import Row, Store


class Checkout:
    """The completion handler. It runs without a pause, so completions of one cart queue up as behind Medusa's lock."""

    def __init__(self, store: Store, catalogue: Catalogue, carts: Carts, orders: Orders) -> None:
        self._store, self._catalogue = store, catalogue
        self._carts, self._orders = carts, orders

    def complete(self, call: Call) -> Any:
        """POST /store/carts/:id/complete: the order, the same one however often it is called."""
        cart = self._store.get("cart", call.id)
        if cart is None:
            raise missing("Cart", call.id)
        order = self._store.get("order", cart["order_id"] or "")
        if order is None:
            collection = self._ready_to_pay(cart)
            self._check_shipping(cart)
            if not cart["items"]:
                raise MedusaError("invalid_data", "Cannot complete a cart with no items")
            reservations = self._reservations(cart)
            session = collection and collection["sessions"][0]
            if collection and session and session["provider_id"] != SYSTEM_PROVIDER:
                refusal = self._refused(cart, collection, session)
                if refusal:
                    return refusal
            order = self._place(cart, collection, reservations)
        return {"type": "order", "order": self._orders.completed(order)}

    def _ready_to_pay(self, cart: Row) -> Row | None:
        """The collection that pays for the cart, None when there is nothing to pay."""
        if not Decimal(self._carts.amount(cart)):
            return None
        collection = self._store.get("payment_collection", cart["payment_collection_id"] or "")
        if collection is None:
            raise MedusaError("invalid_data", "Payment collection has not been initiated for cart")
        if not collection["sessions"]:
            raise MedusaError("invalid_data", "Payment sessions are required to complete cart")
        return collection

    def _check_shipping(self, cart: Row) -> None:
        if any(item["requires_shipping"] for item in cart["items"]) and not cart["shipping_methods"]:
            raise MedusaError(
                "invalid_data", "No shipping method selected but the cart contains items that require shipping."
            )

    def _reservations(self, cart: Row) -> dict[str, Any]:
        """Quantities by inventory item. Raises: MedusaError when one is not in stock any more."""
        wanted: dict[str, Any] = {}
        for item in cart["items"]:
            found = self._catalogue.variant(item["variant_id"])
            if found and found[1]["manage_inventory"]:
                item_id = twin("iitem", item["variant_id"])
                wanted[item_id] = wanted.get(item_id, 0) + item["quantity"]
        for item_id, quantity in wanted.items():
            stock = self._store.get("inventory_item", item_id)
            if stock is None or stock["stocked_quantity"] - stock["reserved_quantity"] < quantity:
                location = self._store.rows("stock_location")[0]["id"]
                raise MedusaError(
                    "not_allowed", f"Not enough stock available for item {item_id} at location {location}"
                )
        return wanted

    def _refused(self, cart: Row, collection: Row, session: Row) -> Any:
        """What the two providers that only the sandbox has do to a completion."""
        if session["provider_id"] == FAILING_PROVIDER:
            error = {"message": "Payment authorization failed", "name": "Error", "type": "payment_authorization_error"}
            return {"type": "cart", "cart": self._carts.shown(cart), "error": error}
        if session["provider_id"] == CONFLICTING_PROVIDER and not session["data"].get("conflicted"):
            conflicted = {**session, "data": {**session["data"], "conflicted": True}}
            self._store.put("payment_collection", collection["id"], {**collection, "sessions": [conflicted]})
            raise MedusaError("conflict", "The cart is being completed by another request", code="invalid_state_error")
        return None

    def _place(self, cart: Row, collection: Row | None, reservations: dict[str, Any]) -> Row:
        moment, order_id = now(), new_id("order")
        with self._store.transaction():
            order = self._order(cart, order_id, moment, collection, reservations)
            for item_id, quantity in reservations.items():
                stock = self._store.get("inventory_item", item_id) or {}
                reserved = {**stock, "reserved_quantity": stock["reserved_quantity"] + quantity}
                self._store.put("inventory_item", item_id, reserved)
            if collection:
                session = {
                    **collection["sessions"][0],
                    "status": "authorized",
                    "authorized_at": moment,
                    "updated_at": moment,
                }
                payment = new_payment(new_id("pay"), collection, session, moment)
                paid = {
                    "order_id": order_id,
                    "status": "authorized",
                    "sessions": [session],
                    "payment_ids": [payment["id"]],
                    "updated_at": moment,
                }
                self._store.put("payment", payment["id"], payment)
                self._store.put("payment_collection", collection["id"], {**collection, **paid})
            self._store.put(
                "cart", cart["id"], {**cart, "completed_at": moment, "updated_at": moment, "order_id": order_id}
            )
            return self._store.put("order", order_id, order)

    def _order(self, cart: Row, id: str, moment: str, collection: Row | None, reservations: dict[str, Any]) -> Row:
        addresses = {
            name: cart[name] and order_address(cart[name], id, moment, billing=name == "billing_address")
            for name in ("shipping_address", "billing_address")
        }
        copied = ("email", "customer_id", "currency_code", "region_id", "sales_channel_id", "metadata", "locale")
        return {
            "id": id,
            "display_id": self._store.counter("order_display_id"),
            "status": "pending",
            "version": 1,
            **{name: cart[name] for name in copied},
            **addresses,
            "cart_id": cart["id"],
            "items": [
                {**item, "id": twin("ordli", item["id"]), "created_at": moment, "updated_at": moment}
                for item in cart["items"]
            ],
            "shipping_methods": [{**method, "id": twin("ordsm", method["id"])} for method in cart["shipping_methods"]],
            "payment_collection_ids": [collection["id"]] if collection else [],
            "fulfillments": [],
            "credit_lines": [],
            "reservations": reservations,
            "canceled_at": None,
            "created_at": moment,
            "updated_at": moment,
        }
