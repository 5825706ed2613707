"""Line items: what a cart and an order remember of the products they hold, and what they show of them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sandbox.medusa.fields import View
from sandbox.medusa.money import ZERO, number, raw, taxed, with_raw
from sandbox.medusa.wire import twin
from sandbox.store import Row

SNAPSHOT = (
    "title", "subtitle", "thumbnail", "variant_id", "product_id", "product_title", "product_description",
    "product_subtitle", "product_type", "product_type_id", "product_collection", "product_handle",
    "variant_sku", "variant_barcode", "variant_title", "variant_option_values", "requires_shipping",
    "is_discountable", "is_giftcard", "is_tax_inclusive", "is_custom_price", "metadata", "created_at",
    "updated_at", "deleted_at",
)  # fmt: skip
LINE_TOTALS = tuple(taxed(ZERO, None))
RETURN_TOTALS = ("fulfilled", "shipped", "return_requested", "return_received", "return_dismissed", "write_off")
QUANTITIES = (
    "fulfilled",
    "delivered",
    "shipped",
    "return_requested",
    "return_received",
    "return_dismissed",
    "written_off",
)


def line(id: str, product: Row, variant: Row, quantity: int, currency: str, metadata: Any, created_at: str) -> Row:
    """A new line: a snapshot of the variant at today's price."""
    return {
        "id": id,
        "title": product["title"],
        "subtitle": variant["title"],
        "thumbnail": product["thumbnail"],
        "variant_id": variant["id"],
        "product_id": product["id"],
        "product_title": product["title"],
        "product_description": product["description"],
        "product_subtitle": product["subtitle"],
        "product_type": None,
        "product_type_id": product["type_id"],
        "product_collection": None,
        "product_handle": product["handle"],
        "variant_sku": variant["sku"],
        "variant_barcode": variant["barcode"],
        "variant_title": variant["title"],
        "variant_option_values": None,
        "requires_shipping": True,
        "is_discountable": True,
        "is_giftcard": False,
        "is_tax_inclusive": False,
        "is_custom_price": False,
        "metadata": metadata or {},
        "created_at": created_at,
        "updated_at": created_at,
        "deleted_at": None,
        "quantity": quantity,
        "unit_price": variant["prices"][currency],
    }


def net(row: Row) -> Decimal:
    """What a line comes to before tax."""
    return Decimal(row["unit_price"]) * Decimal(str(row["quantity"]))


def tax_line(prefix: str, owner: Row, percent: Decimal | None, country: str | None) -> list[View]:
    """The tax of a line or shipping method, as carts show it; none while the country is unknown."""
    if percent is None:
        return []
    return [
        {
            "id": twin(prefix, owner["id"]),
            "description": f"VAT {country}",
            "code": f"vat-{country}",
            "rate": number(percent),
            "provider_id": "system",
            "data": None,
            "metadata": None,
        }
    ]


def ordered_tax_line(
    prefix: str, owner: Row, owner_key: str, subtotal: Decimal, percent: Decimal | None, country: str | None
) -> list[View]:
    """The same as orders show it: with its amounts."""
    return [
        {
            **tax,
            "tax_rate_id": f"txr_01DEMO{str(country).upper():0>20}",
            owner_key: owner["id"],
            "raw_rate": raw(percent or ZERO),
            "created_at": owner["created_at"],
            "updated_at": owner["created_at"],
            "deleted_at": None,
            **with_raw(dict.fromkeys(("total", "subtotal"), taxed(subtotal, percent)["tax_total"])),
        }
        for tax in tax_line(prefix, owner, percent, country)
    ]


def price_view(row: Row) -> View:
    """Unit price and quantity, with their exact twins."""
    price = Decimal(row["unit_price"])
    return {
        "quantity": row["quantity"],
        "unit_price": number(price),
        "raw_unit_price": raw(price),
        "compare_at_unit_price": None,
        "raw_compare_at_unit_price": None,
    }


def ordered_item(row: Row, order: Row) -> View:
    """An order's line without totals: what every answer with orders has."""
    changed = order["version"] > 1
    price = Decimal(row["unit_price"])
    quantities = {"quantity": Decimal(str(row["quantity"]))} | {f"{name}_quantity": ZERO for name in QUANTITIES}
    if order["fulfillments"]:
        quantities["fulfilled_quantity"] = quantities["quantity"]
    return {
        "id": row["id"],
        **{name: row[name] for name in SNAPSHOT},
        **price_view(row),
        "raw_quantity": raw(quantities["quantity"]),
        "line_item_metadata": row["metadata"],
        "detail": {
            "id": twin("orditem", row["id"]),
            "version": order["version"],
            "metadata": row["metadata"],
            "order_id": order["id"],
            # Medusa writes the price into this row only when a change makes a new version of it.
            "unit_price": number(price) if changed else None,
            "raw_unit_price": raw(price) if changed else None,
            "compare_at_unit_price": None,
            "raw_compare_at_unit_price": None,
            "created_at": row["created_at"],
            "updated_at": row["created_at"],
            "deleted_at": None,
            "item_id": row["id"],
            **with_raw(quantities),
        },
    }


def ordered_item_totals(row: Row, percent: Decimal | None, country: str | None) -> View:
    """What an order's line has besides, when the order's totals are asked for."""
    amounts = taxed(net(row), percent)
    amounts["refundable_total"] = amounts["total"]
    amounts["refundable_total_per_unit"] = amounts["total"] / Decimal(str(row["quantity"]))
    amounts |= {f"{name}_total": ZERO for name in RETURN_TOTALS}
    return {
        "tax_lines": ordered_tax_line("ordlitxl", row, "item_id", net(row), percent, country),
        "adjustments": [],
        **with_raw(amounts),
    }
