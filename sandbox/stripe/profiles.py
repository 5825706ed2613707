"""Customers as objects; customers.py has their endpoints."""

from __future__ import annotations

from sandbox.store import Row
from sandbox.stripe.calls import Call
from sandbox.stripe.errors import no_such


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
