"""Orders: listed, shown, updated, canceled."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sandbox.medusa.body import ADDRESS, METADATA, Field, validate
from sandbox.medusa.catalogue import Catalogue
from sandbox.medusa.customers import checked_email
from sandbox.medusa.fields import LEAF, Kind, Selection, View, pick, select
from sandbox.medusa.lines import LINE_TOTALS, RETURN_TOTALS, net, ordered_item, ordered_item_totals, ordered_tax_line
from sandbox.medusa.listing import Listing, column, columns
from sandbox.medusa.money import ZERO, number, raw, tax_percent, taxed, totals, with_raw
from sandbox.medusa.payments import COLLECTION, Payments, captured, refunded
from sandbox.medusa.query import words
from sandbox.medusa.wire import Call, MedusaError, missing, now, twin
from sandbox.store import Row, Store

TOTALS = frozenset(totals([], [], None))
ITEM_TOTALS = frozenset(LINE_TOTALS) | {f"{name}_total" for name in RETURN_TOTALS} | {"tax_lines", "adjustments"}
LIST_DEFAULTS = (
    "id", "display_id", "custom_display_id", "status", "version", "summary", "total", "metadata", "locale",
    "created_at", "updated_at",
)  # fmt: skip
DETAIL_TOTALS = tuple(sorted(name for name in TOTALS if name not in (
    "discount_subtotal", "item_discount_total", "shipping_discount_total",
)))  # fmt: skip
AROUND = (
    "*items.variant", "*items.variant.product", "*credit_lines", "*shipping_address", "*billing_address",
    "*shipping_methods", "*payment_collections",
)  # fmt: skip
ADMIN_DEFAULTS = (
    *LIST_DEFAULTS, "region_id", *DETAIL_TOTALS, *AROUND, "*payment_collections.payments",
    "*payment_collections.payments.payment_session", "*payment_collections.payments.refunds",
    "*payment_collections.payments.captures",
)  # fmt: skip
STORE_DEFAULTS = ("id", "status", "summary", "currency_code", "display_id", "custom_display_id", "region_id", "email",
                  *DETAIL_TOTALS, "discount_subtotal", "created_at", "updated_at", *AROUND)  # fmt: skip
ORDER = Kind(
    {
        "credit_lines": LEAF,
        "shipping_address": LEAF,
        "billing_address": LEAF,
        "shipping_methods": LEAF,
        "fulfillments": LEAF,
        "payment_collections": COLLECTION,
        "customer": LEAF,
        "region": Kind({"countries": LEAF}),
        "sales_channel": LEAF,
    },
    # Items come with every answer; how much of them depends on what else is asked for.
    hidden=frozenset({"items", "totalled_items", "payment_status", "fulfillment_status"}),
)
ITEM_VARIANT = Kind({"product": LEAF})
ADMIN_ORDERS = Listing(
    "orders",
    ORDER,
    LIST_DEFAULTS,
    {
        **columns("id", "status", "customer_id", "region_id", "sales_channel_id", "created_at", "updated_at"),
        "q": words(
            column("email"),
            column("display_id"),
            lambda row: list((row["shipping_address"] or {}).values()),
        ),
    },
    limit=15,
    strict=False,
    declined=frozenset({"$and", "$or", "with_deleted", "total"}),
    sortable=frozenset({"id", "display_id", "email", "status", "created_at", "updated_at"}),
)
PAYMENT_STATUS = {"completed": "captured"}


class Orders:
    """Handlers. Views are kept as long as the rows they were made of stay the same objects."""

    def __init__(self, store: Store, catalogue: Catalogue, payments: Payments) -> None:
        self._store, self._catalogue, self._payments = store, catalogue, payments
        self._views: dict[str, tuple[list[Row], View]] = {}

    def orders(self, call: Call) -> Any:
        """GET /admin/orders: unknown filters are ignored, `sales_channel_id` must be an array."""
        for name in ("sales_channel_id",):
            if isinstance(call.query.get(name), str):
                raise MedusaError(
                    "invalid_data",
                    f"Invalid request: Expected type: 'array' for field '{name}', got: '{call.query[name]}'",
                )
        return ADMIN_ORDERS.answer(call, self._store.rows("order"), self._listed)

    def order(self, call: Call) -> Any:
        return {"order": self._detailed(self._known(call.id), select(call.fields, ADMIN_DEFAULTS))}

    def store_order(self, call: Call) -> Any:
        """GET /store/orders/:id: whoever has the id may read it."""
        return {"order": self._detailed(self._known(call.id), select(call.fields, STORE_DEFAULTS))}

    def update(self, call: Call) -> Any:
        """POST /admin/orders/:id; metadata is replaced as a whole."""
        address = {"shipping_address": ADDRESS, "billing_address": ADDRESS}
        validate(call.body, {"email": Field("string"), "locale": Field("string"), "metadata": METADATA, **address})
        row = self._known(call.id)
        changed: Row = {**row, "updated_at": now()}
        changed |= {key: call.body[key] for key in ("locale", "metadata") if key in call.body}
        if call.body.get("email"):
            changed["email"] = checked_email(call.body["email"])
        for name in address:
            if call.body.get(name):
                changed[name] = {**(row[name] or order_address({}, call.id, changed["updated_at"])), **call.body[name]}
        self._store.put("order", call.id, changed)
        return {"order": self._detailed(changed, select(call.fields, ADMIN_DEFAULTS))}

    def cancel(self, call: Call) -> Any:
        """POST /admin/orders/:id/cancel: frees the stock, gives back the money."""
        row = self._known(call.id)
        if row["status"] == "canceled":
            raise MedusaError("invalid_data", f"Order with id {call.id} has been canceled.")
        if row["status"] == "completed":
            raise MedusaError("not_allowed", f"Order with id {call.id} has been completed and cannot be canceled")
        if any(not fulfilment["canceled_at"] for fulfilment in row["fulfillments"]):
            raise MedusaError("not_allowed", "All fulfillments must be canceled before canceling an order")
        moment = now()
        credit_lines = [
            {"collection_id": each, "version": row["version"] + 1, "created_at": moment}
            for each in row["payment_collection_ids"]
        ]
        changed = {
            **row,
            "status": "canceled",
            "version": row["version"] + 1,
            "canceled_at": moment,
            "updated_at": moment,
            "credit_lines": credit_lines,
            "reservations": {},
        }
        with self._store.transaction():
            for collection in self._collections(row):
                self._payments.cancel_of_order(collection)
            for item_id, quantity in row["reservations"].items():
                item = self._store.get("inventory_item", item_id)
                if item:
                    freed = {**item, "reserved_quantity": item["reserved_quantity"] - quantity}
                    self._store.put("inventory_item", item_id, freed)
            self._store.put("order", call.id, changed)
        return {"order": self._picked(changed, select(call.fields, ADMIN_DEFAULTS))}

    def completed(self, row: Row) -> View:
        """An order as the completion of its cart answers it."""
        return self._picked(row, select(None, STORE_DEFAULTS))

    def _known(self, id: str) -> Row:
        row = self._store.get("order", id)
        if row is None:
            raise missing("Order", id)
        return row

    def _collections(self, row: Row) -> list[Row]:
        found = (self._store.get("payment_collection", each) for each in row["payment_collection_ids"])
        return [collection for collection in found if collection]

    # Views

    def _listed(self, row: Row, wanted: Selection) -> View:
        """With status, version, items and computed statuses, whether asked for or not."""
        view = self._view(row)
        shown = self._picked(row, wanted)
        for name in ("status", "version", "payment_status", "fulfillment_status"):
            shown[name] = view[name]
        return shown

    def _detailed(self, row: Row, wanted: Selection) -> View:
        shown = self._listed(row, wanted)
        shown["fulfillments"] = self._view(row)["fulfillments"]
        return shown

    def _picked(self, row: Row, wanted: Selection) -> View:
        view = self._view(row)
        shown = pick(view, wanted, ORDER)
        items = wanted.at("items")
        totalled = bool(wanted.names & TOTALS) or bool(items and items.names & ITEM_TOTALS)
        shown["items"] = view["totalled_items"] if totalled else view["items"]
        variant = wanted.at("items", "variant")
        if variant:
            shown["items"] = [
                {**item, "variant": self._item_variant(item["variant_id"], variant)} for item in shown["items"]
            ]
        return shown

    def _item_variant(self, id: str, wanted: Selection) -> View | None:
        found = self._catalogue.variant(id)
        if found is None:
            return None
        product, variant = found
        view = self._catalogue.own_variant_view(variant)
        view["product"] = {**self._catalogue.own_product_view(product), "type": None, "collection": None}
        return pick(view, wanted, ITEM_VARIANT)

    def _view(self, row: Row) -> View:
        collections = self._collections(row)
        made_of = [
            row,
            *collections,
            *(payment for each in collections for payment in self._payments.of_collection(each)),
        ]
        kept = self._views.get(row["id"])
        if (
            kept is None
            or len(kept[0]) != len(made_of)
            or any(a is not b for a, b in zip(kept[0], made_of, strict=True))
        ):
            kept = self._views[row["id"]] = (made_of, self._make_view(row, collections))
        return kept[1]

    def _make_view(self, row: Row, collections: list[Row]) -> View:
        percent = tax_percent(row["shipping_address"])
        country = (row["shipping_address"] or {}).get("country_code")
        sums = totals(
            map(net, row["items"]), [Decimal(method["amount"]) for method in row["shipping_methods"]], percent
        )
        items = [ordered_item(item, row) for item in row["items"]]
        kept = (
            "id", "display_id", "status", "version", "email", "customer_id", "currency_code", "region_id",
            "sales_channel_id", "metadata", "locale", "canceled_at", "created_at", "updated_at",
        )  # fmt: skip
        return {
            **{name: row[name] for name in kept},
            "custom_display_id": None,
            "is_draft_order": False,
            "deleted_at": None,
            **sums,
            "summary": self._summary(Decimal(str(sums["total"])), collections),
            "items": items,
            "totalled_items": [
                {**item, **ordered_item_totals(each, percent, country)}
                for item, each in zip(items, row["items"], strict=True)
            ],
            "credit_lines": [_credit_line(each, row) for each in row["credit_lines"]],
            "shipping_address": row["shipping_address"],
            "billing_address": row["billing_address"],
            "shipping_methods": [_shipping_method(each, row, percent, country) for each in row["shipping_methods"]],
            "fulfillments": row["fulfillments"],
            "payment_collections": [self._payments.collection_view(each) for each in collections],
            "customer": lambda _: self._store.get("customer", row["customer_id"] or ""),
            "region": lambda _: self._catalogue.region(row["region_id"]),
            "sales_channel": lambda _: self._store.get("sales_channel", row["sales_channel_id"]),
            "payment_status": self._payment_status(collections),
            "fulfillment_status": _fulfillment_status(row),
        }

    def _summary(self, total: Decimal, collections: list[Row]) -> View:
        payments = [payment for collection in collections for payment in self._payments.of_collection(collection)]
        paid, returned = sum(map(captured, payments), ZERO), sum(map(refunded, payments), ZERO)
        return with_raw(
            {
                "paid_total": paid,
                "refunded_total": returned,
                "accounting_total": total,
                "credit_line_total": ZERO,
                "transaction_total": paid - returned,
                "pending_difference": total - paid + returned,
                "current_order_total": total,
                "original_order_total": total,
            }
        )

    def _payment_status(self, collections: list[Row]) -> str:
        """Medusa's reading of the newest payment collection."""
        if not collections:
            return "not_paid"
        payments = self._payments.of_collection(collections[-1])
        paid, returned = sum(map(captured, payments), ZERO), sum(map(refunded, payments), ZERO)
        if returned:
            return "refunded" if returned >= paid else "partially_refunded"
        status = str(collections[-1]["status"])
        if paid and status == "authorized":
            return "partially_captured"
        return PAYMENT_STATUS.get(status, status)


def order_address(address: Row, owner_id: str, moment: str, *, billing: bool = False) -> Row:
    """An order's own copy of an address."""
    names = (
        "company", "first_name", "last_name", "address_1", "address_2", "city", "country_code", "province",
        "postal_code", "phone", "metadata",
    )  # fmt: skip
    return {
        "id": twin("ordaddr", owner_id)[:-1] + ("B" if billing else "S"),
        "customer_id": None,
        **{name: address.get(name) for name in names},
        "created_at": moment,
        "updated_at": moment,
        "deleted_at": None,
    }


def _credit_line(row: Row, order: Row) -> View:
    return {
        "id": twin("ordcl", row["collection_id"]),
        "version": row["version"],
        "reference": "payment_collection",
        "reference_id": row["collection_id"],
        "metadata": {"created_in_version": row["version"]},
        "order_id": order["id"],
        "created_at": row["created_at"],
        "updated_at": row["created_at"],
        "deleted_at": None,
        **with_raw(dict.fromkeys(("amount", "subtotal", "total"), ZERO)),
    }


def _shipping_method(row: Row, order: Row, percent: Decimal | None, country: str | None) -> View:
    amount = Decimal(row["amount"])
    times = {"created_at": order["created_at"], "updated_at": order["created_at"], "deleted_at": None}
    return {
        "id": row["id"],
        "name": row["name"],
        "description": None,
        "is_tax_inclusive": False,
        "is_custom_amount": False,
        "shipping_option_id": row["shipping_option_id"],
        "data": row["data"],
        "metadata": None,
        "amount": number(amount),
        "raw_amount": raw(amount),
        **times,
        "tax_lines": ordered_tax_line("ordsmtxl", {**row, **times}, "shipping_method_id", amount, percent, country),
        "adjustments": [],
        "order_id": order["id"],
        "detail": {
            "id": twin("ordspmv", row["id"]),
            "version": order["version"],
            "order_id": order["id"],
            "return_id": None,
            "exchange_id": None,
            "claim_id": None,
            "shipping_method_id": row["id"],
            **times,
        },
        **with_raw(taxed(amount, percent)),
    }


def _fulfillment_status(row: Row) -> str:
    live = [fulfilment for fulfilment in row["fulfillments"] if not fulfilment["canceled_at"]]
    if not row["fulfillments"]:
        return "not_fulfilled"
    if not live:
        return "canceled"
    return "delivered" if all(fulfilment["delivered_at"] for fulfilment in live) else "fulfilled"
