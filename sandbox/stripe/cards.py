"""Test cards and what becomes of a payment with each; the names and last digits are those of Stripe's testing guide.

`pm_card_visa` and its like are no payment methods but recipes: every use makes a new one, which carries its fate in
its last four digits.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from sandbox.store import Row
from sandbox.stripe.calls import new_id


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
