"""The first invoice of a subscription, and the PaymentIntent that pays it.

Invoices have no endpoints here and are seen through a subscription's `latest_invoice`, without the members about tax,
shipping and rendering.
"""

from __future__ import annotations

from sandbox.store import Row
from sandbox.stripe import intents
from sandbox.stripe.calls import Call, new_id


def invoice(call: Call, subscription: Row, total: int) -> Row:
    """A finalized, unpaid invoice over what `subscription` costs in its first period."""
    invoice_id = new_id("in")
    return {
        "id": invoice_id,
        "object": "invoice",
        "account_country": "IE",
        "account_name": "OmniStack sandbox",
        "amount_due": total,
        "amount_overpaid": 0,
        "amount_paid": 0,
        "amount_remaining": total,
        "attempt_count": 0,
        "attempted": False,
        "auto_advance": False,
        "billing_reason": "subscription_create",
        "collection_method": subscription["collection_method"],
        "created": call.now,
        "currency": subscription["currency"],
        "customer": subscription["customer"],
        "customer_account": None,
        "default_payment_method": None,
        "description": None,
        "due_date": None,
        "lines": _lines(invoice_id, subscription, free=total == 0),
        "livemode": False,
        "metadata": {},
        "number": f"{subscription['id'][-8:].upper()}-0001",
        "parent": {
            "quote_details": None,
            "subscription_details": {"metadata": subscription["metadata"], "subscription": subscription["id"]},
            "type": "subscription_details",
        },
        "period_end": call.now,
        "period_start": call.now,
        "status": "open",
        "status_transitions": {
            "finalized_at": call.now,
            "marked_uncollectible_at": None,
            "paid_at": None,
            "voided_at": None,
        },
        "subtotal": total,
        "test_clock": None,
        "total": total,
    }


def _lines(id: str, subscription: Row, *, free: bool) -> Row:
    lines = [
        {
            "id": new_id("il"),
            "object": "line_item",
            "amount": 0 if free else item["price"]["unit_amount"] * item["quantity"],
            "currency": subscription["currency"],
            "description": None,
            "invoice": id,
            "livemode": False,
            "metadata": subscription["metadata"],
            "period": {"start": item["current_period_start"], "end": item["current_period_end"]},
            "pricing": {
                "price_details": {"price": item["price"]["id"], "product": item["price"]["product"]},
                "type": "price_details",
                "unit_amount_decimal": "0" if free else item["price"]["unit_amount_decimal"],
            },
            "quantity": item["quantity"],
        }
        for item in subscription["items"]["data"]
    ]
    return {"object": "list", "data": lines, "has_more": False, "url": f"/v1/invoices/{id}/lines"}


def bill(call: Call, invoice: Row, method: str | None) -> Row:
    """The unsaved PaymentIntent that would pay `invoice`; `link` ties it to the invoice once it is saved."""
    intent = intents.intent(call, invoice["total"], invoice["currency"])
    return intent | {
        "customer": invoice["customer"],
        "description": "Subscription creation",
        "payment_method": method,
        "setup_future_usage": "off_session",
        "status": "requires_confirmation" if method else "requires_payment_method",
    }


def link(call: Call, invoice: Row, intent: Row) -> None:
    call.save(
        {
            "id": new_id("inpay"),
            "object": "invoice_payment",
            "amount_paid": None,
            "amount_requested": invoice["total"],
            "created": call.now,
            "currency": invoice["currency"],
            "invoice": invoice["id"],
            "is_default": True,
            "livemode": False,
            "payment": {"payment_intent": intent["id"], "type": "payment_intent"},
            "status": "open",
            "status_transitions": {"canceled_at": None, "paid_at": None},
        }
    )


def settle(call: Call, invoice: Row) -> None:
    """Mark `invoice` as paid."""
    invoice |= {"status": "paid", "amount_paid": invoice["total"], "amount_remaining": 0, "attempted": True}
    invoice["status_transitions"] = {**invoice["status_transitions"], "paid_at": call.now}
    call.save(invoice)
    call.emit("invoice.paid", invoice)


def was_paid(call: Call, invoice: str) -> bool:
    """Whether a PaymentIntent for this invoice has succeeded since."""
    paying = [
        row["payment"]["payment_intent"] for row in call.store.rows("invoice_payment") if row["invoice"] == invoice
    ]
    found = [call.store.get("payment_intent", intent) for intent in paying]
    return any(row is not None and row["status"] == "succeeded" for row in found)
