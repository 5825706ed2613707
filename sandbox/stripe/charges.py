"""Charges: one attempt to take money from a card, and what it does to the balance."""

from __future__ import annotations

from sandbox.store import Row
from sandbox.stripe.calls import Call, Operation, new_id
from sandbox.stripe.methods import Decline, card_of

HOLD_S = 7 * 86_400
VISA_HOLD_WITHOUT_CUSTOMER_S = 4 * 86_400 + 18 * 3600
"""A Visa hold that the merchant placed while the customer was away."""
FEE_PER_MILLE = 15
"""The sandbox's own price; an account's real one is agreed with Stripe."""
PAYOUT_DELAY_S = 2 * 86_400


def record(call: Call, intent: Row, method: Row, *, decline: Decline | None = None, off_session: bool = False) -> Row:
    """Save and announce the charge of `intent` on `method`: a hold for manual capture, captured otherwise."""
    held = intent["capture_method"] == "manual" and decline is None
    charge = _charge(call, intent, method, decline)
    if held:
        short = off_session and card_of(method).brand == "visa"
        deadline = call.now + (VISA_HOLD_WITHOUT_CUSTOMER_S if short else HOLD_S)
        charge["payment_method_details"]["card"]["capture_before"] = deadline
    elif decline is None:
        _settle(call, charge, intent["amount"])
    call.save(charge)
    call.emit("charge.failed" if decline else "charge.succeeded", charge)
    return charge


def capture(call: Call, charge: Row, amount: int) -> None:
    """Take `amount` of a hold; what is left of it is released."""
    before = {"captured": False, "amount_captured": 0, "balance_transaction": None}
    _settle(call, charge, amount)
    call.save(charge)
    call.emit("charge.captured", charge, before)


def refund(call: Call, charge: Row, amount: int) -> str:
    """Give back `amount` of what was captured. Answers the id of the balance transaction."""
    before = {"amount_refunded": charge["amount_refunded"], "refunded": charge["refunded"]}
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] == charge["amount_captured"]
    call.save(charge)
    call.emit("charge.refunded", charge, before)
    booked: str = _book(call, -amount, charge["currency"], "refund", charge["id"])["id"]
    return booked


def refundable(charge: Row) -> int:
    left: int = charge["amount_captured"] - charge["amount_refunded"]
    return left


def _settle(call: Call, charge: Row, amount: int) -> None:
    charge["captured"], charge["amount_captured"] = True, amount
    charge["balance_transaction"] = _book(call, amount, charge["currency"], "charge", charge["id"])["id"]


def _book(call: Call, amount: int, currency: str, type: str, source: str) -> Row:
    fee = amount * FEE_PER_MILLE // 1000 if amount > 0 else 0
    details = [
        {
            "amount": fee,
            "application": None,
            "currency": currency,
            "description": "Processing fee",
            "type": "stripe_fee",
        }
    ]
    return call.save(
        {
            "id": new_id("txn"),
            "object": "balance_transaction",
            "amount": amount,
            "available_on": call.now + PAYOUT_DELAY_S,
            "balance_type": "payments",
            "created": call.now,
            "currency": currency,
            "description": None,
            "exchange_rate": None,
            "fee": fee,
            "fee_details": details if fee else [],
            "net": amount - fee,
            "reporting_category": type,
            "source": source,
            "status": "pending",
            "type": type,
        }
    )


def _charge(call: Call, intent: Row, method: Row, decline: Decline | None) -> Row:
    charge_id = new_id("ch")
    return {
        "id": charge_id,
        "object": "charge",
        "amount": intent["amount"],
        "amount_captured": 0,
        "amount_refunded": 0,
        "application": None,
        "application_fee": None,
        "application_fee_amount": None,
        "balance_transaction": None,
        "billing_details": method["billing_details"],
        "calculated_statement_descriptor": "OMNISTACK",
        "captured": False,
        "created": call.now,
        "currency": intent["currency"],
        "customer": intent["customer"],
        "description": intent["description"],
        "disputed": False,
        "failure_balance_transaction": None,
        "failure_code": decline.code if decline else None,
        "failure_message": decline.message if decline else None,
        "fraud_details": {},
        "livemode": False,
        "metadata": intent["metadata"],
        "on_behalf_of": None,
        "outcome": _outcome(decline),
        "paid": decline is None,
        "payment_intent": intent["id"],
        "payment_method": method["id"],
        "payment_method_details": {"card": _card_details(intent, method), "type": "card"},
        "receipt_email": intent["receipt_email"],
        "receipt_number": None,
        "receipt_url": None if decline else f"https://pay.stripe.com/receipts/payment/{charge_id}",
        "refunded": False,
        "review": None,
        "shipping": intent["shipping"],
        "source_transfer": None,
        "statement_descriptor": intent["statement_descriptor"],
        "statement_descriptor_suffix": intent["statement_descriptor_suffix"],
        "status": "failed" if decline else "succeeded",
        "transfer_data": None,
        "transfer_group": intent["transfer_group"],
    }


def _outcome(decline: Decline | None) -> Row:
    if decline is None:
        seller_message, network, verdict, reason = "Payment complete.", "approved_by_network", "authorized", None
    else:
        seller_message, network, verdict = "The bank declined the payment.", "declined_by_network", "issuer_declined"
        reason = decline.decline_code or decline.code
    return {
        "advice_code": None,
        "network_advice_code": None,
        "network_decline_code": None,
        "network_status": network,
        "reason": reason,
        "risk_level": "normal",
        "risk_score": 32,
        "seller_message": seller_message,
        "type": verdict,
    }


def _card_details(intent: Row, method: Row) -> Row:
    card = method["card"]
    unavailable = {"status": "unavailable"}
    return {
        "amount_authorized": intent["amount"],
        "authorization_code": None,
        "brand": card["brand"],
        "checks": card["checks"],
        "country": card["country"],
        "exp_month": card["exp_month"],
        "exp_year": card["exp_year"],
        "extended_authorization": {"status": "disabled"},
        "fingerprint": card["fingerprint"],
        "funding": card["funding"],
        "incremental_authorization": unavailable,
        "installments": None,
        "last4": card["last4"],
        "mandate": None,
        "multicapture": unavailable,
        "network": card["brand"],
        "network_token": {"used": False},
        "overcapture": {"maximum_amount_capturable": intent["amount"], **unavailable},
        "regulated_status": card["regulated_status"],
        "three_d_secure": None,
        "wallet": None,
    }


def retrieve(call: Call) -> Row:
    return call.load("charge", call.path["id"], "id", status=404)


OPERATIONS = (Operation("GET", "/v1/charges/{id}", "charge", retrieve),)
