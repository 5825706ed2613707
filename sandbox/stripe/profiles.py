"""Customers as objects, with addresses and shipping, which payments have too; customers.py has their endpoints."""

from __future__ import annotations

from collections.abc import Mapping

from sandbox.store import Row
from sandbox.stripe.calls import Call
from sandbox.stripe.errors import no_such
from sandbox.stripe.forms import Check, fields, text

LINES = ("city", "country", "line1", "line2", "postal_code", "state")
address: Check = fields(dict.fromkeys(LINES, text(unset=True)), unset=True)


def shipping(*also: str) -> Check:
    """A shipping object: `name` and `address` are required, `also` and `phone` are not."""
    optional: Mapping[str, Check] = dict.fromkeys((*also, "phone"), text(unset=True))
    return fields({"address": address, "name": text(), **optional}, ("address", "name"), unset=True)


def whole_address(sent: Row | None) -> Row | None:
    """An address as Stripe shows it: every line, those not sent null."""
    return None if sent is None else {**dict.fromkeys(LINES), **sent}


def whole_shipping(sent: Row | None, *also: str) -> Row | None:
    if sent is None:
        return None
    return {**dict.fromkeys((*also, "phone")), **sent, "address": whole_address(sent["address"])}


def customer(id: str, created: int) -> Row:
    """A customer of whom nothing is known."""
    return {
        "id": id,
        "object": "customer",
        "address": None,
        "balance": 0,
        "created": created,
        "currency": None,
        "default_source": None,
        "delinquent": False,
        "description": None,
        "discount": None,
        "email": None,
        "invoice_prefix": id[-8:].upper(),
        "invoice_settings": {
            "custom_fields": None,
            "default_payment_method": None,
            "footer": None,
            "rendering_options": None,
        },
        "livemode": False,
        "metadata": {},
        "name": None,
        "next_invoice_sequence": 1,
        "phone": None,
        "preferred_locales": [],
        "shipping": None,
        "tax_exempt": "none",
        "test_clock": None,
    }


def find(call: Call, id: str, param: str = "customer", *, status: int = 400) -> Row:
    """A customer that was not deleted. Raises: StripeError `resource_missing`."""
    row = call.load("customer", id, param, status=status)
    if row.get("deleted"):
        raise no_such("customer", id, param, status=status)
    return row
