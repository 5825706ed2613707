"""Payment methods: the test cards they are made of, finding, attaching, detaching, and whether a customer may pay.

`pm_card_visa` and its like are no payment methods but recipes, named as in Stripe's testing guide: every use makes a
new one, which carries its fate in its last four digits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sandbox.store import Row
from sandbox.stripe.calls import Call, new_id
from sandbox.stripe.errors import StripeError, invalid, no_such, not_simulated


@dataclass(frozen=True)
class Decline:
    """Why an issuer refuses: the wire's `code` and `decline_code`, and the words for the customer."""

    code: str
    decline_code: str | None
    message: str


GENERIC = Decline("card_declined", "generic_decline", "Your card was declined.")
AUTHENTICATION_REQUIRED = Decline(
    "authentication_required",
    "authentication_required",
    "Your card was declined. This transaction requires authentication.",
)


@dataclass(frozen=True)
class Card:
    last4: str
    brand: str = "visa"
    funding: str = "credit"
    decline: Decline | None = None
    declines_attaching: bool = True
    """Whether the decline also meets an attempt to save the card for a customer."""
    needs_authentication: bool = False


CARDS: Mapping[str, Card] = {
    "pm_card_visa": Card("4242"),
    "pm_card_visa_debit": Card("5556", funding="debit"),
    "pm_card_mastercard": Card("4444", brand="mastercard"),
    "pm_card_visa_chargeDeclined": Card("0002", decline=GENERIC),
    "pm_card_visa_chargeDeclinedInsufficientFunds": Card(
        "9995", decline=Decline("card_declined", "insufficient_funds", "Your card has insufficient funds.")
    ),
    "pm_card_chargeDeclinedExpiredCard": Card("0069", decline=Decline("expired_card", None, "Your card has expired.")),
    "pm_card_chargeDeclinedIncorrectCvc": Card(
        "0127", decline=Decline("incorrect_cvc", None, "Your card's security code is incorrect.")
    ),
    "pm_card_chargeDeclinedProcessingError": Card(
        "0119", decline=Decline("processing_error", None, "An error occurred while processing your card.")
    ),
    "pm_card_chargeCustomerFail": Card("0341", decline=GENERIC, declines_attaching=False),
    "pm_card_threeDSecure2Required": Card("3220", needs_authentication=True),
    "pm_card_authenticationRequired": Card("3184", needs_authentication=True),
}
BY_LAST4: Mapping[str, Card] = {card.last4: card for card in CARDS.values()}


def card_of(method: Row) -> Card:
    return BY_LAST4[method["card"]["last4"]]


def payment_method(card: Card, now: int, *, id: str | None = None, billing_details: Row | None = None) -> Row:
    """A payment method as Stripe shows it, of no customer yet."""
    return {
        "id": id or new_id("pm"),
        "object": "payment_method",
        "allow_redisplay": "unspecified",
        "billing_details": {
            "address": dict.fromkeys(("city", "country", "line1", "line2", "postal_code", "state")),
            "email": None,
            "name": None,
            "phone": None,
            "tax_id": None,
            **(billing_details or {}),
        },
        "card": {
            "brand": card.brand,
            "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": None},
            "country": "US",
            "display_brand": card.brand,
            "exp_month": 8,
            "exp_year": datetime.fromtimestamp(now, UTC).year + 4,
            "fingerprint": f"sandbox{card.last4}00000",
            "funding": card.funding,
            "generated_from": None,
            "last4": card.last4,
            "networks": {"available": [card.brand], "preferred": None},
            "regulated_status": "unregulated",
            "three_d_secure_usage": {"supported": True},
            "wallet": None,
        },
        "created": now,
        "customer": None,
        "customer_account": None,
        "livemode": False,
        "metadata": {},
        "type": "card",
    }


RETIRED = "retired_payment_method"
"""Kind of the rows that remember detached methods: Stripe lets nobody use or attach one again."""


def find(call: Call, id: str, param: str = "payment_method", *, status: int = 400) -> Row:
    """A saved payment method. Raises: StripeError `resource_missing`."""
    if call.store.get("payment_method", id) is None:
        raise no_such("PaymentMethod", id, param, status=status)
    return call.load("payment_method", id, param)


def find_or_make(call: Call, id: str, *, status: int = 400) -> Row:
    """As `find`, but a test token such as `pm_card_visa` makes a new payment method, which is not saved yet."""
    if id in CARDS:
        return payment_method(CARDS[id], call.now)
    if id.startswith("pm_card_"):
        raise not_simulated(f"the test payment method {id}")
    return find(call, id, status=status)


def usable(call: Call, id: str, customer: str | None) -> Row:
    """The payment method, if `customer` (None: a guest) may pay with it. Raises: StripeError."""
    method = find_or_make(call, id)
    if call.store.get(RETIRED, id):
        raise invalid(
            "The provided PaymentMethod was detached from a customer and may not be used again.", "payment_method"
        )
    if method["customer"] and customer is None:
        raise invalid(
            "The provided PaymentMethod is attached to a customer. Pass that customer too, or detach it.",
            "payment_method",
        )
    if method["customer"] and method["customer"] != customer:
        raise not_theirs(id)
    return method


def of_customer(call: Call, customer: str) -> list[Row]:
    return [row for row in call.store.rows("payment_method") if row["customer"] == customer]


def attached_to(call: Call, id: str, customer: str, param: str) -> str:
    """`id`, if that method is attached to the customer. Raises: StripeError."""
    method = call.store.get("payment_method", id)
    if method is None:
        raise no_such("PaymentMethod", id, param)
    if method["customer"] != customer:
        raise not_theirs(id, param)
    return id


def check_attachable(call: Call, method: Row, customer: str) -> None:
    """Raises: StripeError when the method is used up or another's, 402 when its issuer refuses to have it saved."""
    if call.store.get(RETIRED, method["id"]):
        raise invalid("This PaymentMethod was detached from a customer and may not be used again.", "payment_method")
    if method["customer"] not in (None, customer):
        raise invalid("The payment method you provided has already been attached to a customer.", "payment_method")
    card = card_of(method)
    if card.decline and card.declines_attaching:
        raise declined(card.decline)


def attach(call: Call, method: Row, customer: str) -> Row:
    """Save `method` (see `check_attachable`) for the customer."""
    if method["customer"] == customer:
        return method
    method["customer"] = customer
    call.save(method)
    call.emit("payment_method.attached", method)
    return method


def detach(call: Call, method: Row) -> Row:
    """Take `method` away from its customer, for good. Raises: StripeError when it has none."""
    if method["customer"] is None:
        raise invalid("The payment method you provided is not attached to a customer.", "payment_method")
    customer = call.load("customer", method["customer"], "customer")
    before = {"customer": method["customer"]}
    method["customer"] = None
    call.save(method)
    call.store.put(RETIRED, method["id"], {"created": call.now})
    if not customer.get("deleted") and customer["invoice_settings"]["default_payment_method"] == method["id"]:
        customer["invoice_settings"]["default_payment_method"] = None
        call.save(customer)
    call.emit("payment_method.detached", method, before)
    return method


def declined(decline: Decline, **fields: Any) -> StripeError:
    """402 for an issuer's refusal; `fields` as StripeError takes them."""
    return StripeError(
        402, decline.message, type="card_error", code=decline.code, decline_code=decline.decline_code, **fields
    )


def not_theirs(id: str, param: str = "payment_method") -> StripeError:
    message = f"The customer does not have a payment method with the ID {id}. It must be attached to the customer."
    return invalid(message, param, "resource_missing")
