"""The life of a PaymentIntent.

    requires_payment_method -> requires_confirmation -> [requires_action] -> requires_capture -> succeeded
                                                                          \\-> succeeded

A decline leads back to the first state; `canceled` is reached from all but the last.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from sandbox.store import Row
from sandbox.stripe import charges, methods
from sandbox.stripe.calls import Call, new_id
from sandbox.stripe.errors import StripeError, doc_url
from sandbox.stripe.methods import AUTHENTICATION_REQUIRED, Decline, card_of

UNCONFIRMED = ("requires_payment_method", "requires_confirmation", "requires_action")
CANCELABLE = (*UNCONFIRMED, "requires_capture", "processing")
AUTHENTICATION_FAILED = Decline(
    "payment_intent_authentication_failure", None, "The provided payment method has failed authentication."
)
NOBODY_TO_AUTHENTICATE = Decline("authentication_required", None, "This payment requires additional user action.")


def intent(call: Call, amount: int, currency: str) -> Row:
    """A PaymentIntent of which only the price is known."""
    intent_id = new_id("pi")
    return {
        "id": intent_id,
        "object": "payment_intent",
        "amount": amount,
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "application": None,
        "application_fee_amount": None,
        "automatic_payment_methods": None,
        "canceled_at": None,
        "cancellation_reason": None,
        "capture_method": "automatic_async",
        "client_secret": f"{intent_id}_{new_id('secret')}",
        "confirmation_method": "automatic",
        "created": call.now,
        "currency": currency,
        "customer": None,
        "customer_account": None,
        "description": None,
        "excluded_payment_method_types": None,
        "last_payment_error": None,
        "latest_charge": None,
        "livemode": False,
        "managed_payments": {"enabled": False},
        "metadata": {},
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": None,
        "payment_method_configuration_details": None,
        "payment_method_options": {
            "card": {
                "installments": None,
                "mandate_options": None,
                "network": None,
                "request_three_d_secure": "automatic",
            }
        },
        "payment_method_types": ["card"],
        "processing": None,
        "receipt_email": None,
        "review": None,
        "setup_future_usage": None,
        "shipping": None,
        "source": None,
        "statement_descriptor": None,
        "statement_descriptor_suffix": None,
        "status": "requires_payment_method",
        "transfer_data": None,
        "transfer_group": None,
    }


def load(call: Call, id: str, param: str = "intent", *, status: int = 404) -> Row:
    """A PaymentIntent as it is now. Raises: StripeError `resource_missing`."""
    return expire(call, call.load("payment_intent", id, param, status=status))


def current(call: Call) -> list[Row]:
    """All PaymentIntents as they are now, oldest first."""
    return [expire(call, row) for row in call.store.rows("payment_intent")]


def expire(call: Call, intent: Row) -> Row:
    """Cancel a hold whose deadline has passed."""
    if intent["status"] != "requires_capture" or call.now <= _deadline(call, intent):
        return intent
    return cancel(call, intent, "expired")


def require_status(intent: Row, verb: str, allowed: Sequence[str]) -> None:
    """Raises: StripeError when `intent` is not in an allowed state; `verb` is what was asked of it."""
    if intent["status"] not in allowed:
        message = (
            f"You cannot {verb} this PaymentIntent because it has a status of {intent['status']}. "
            f"Only a PaymentIntent with one of the following statuses may be used: {', '.join(allowed)}."
        )
        raise unexpected_state(message, intent)


def unexpected_state(message: str, intent: Row | None = None) -> StripeError:
    return StripeError(400, message, code="payment_intent_unexpected_state", payment_intent=intent)


def attempt(
    call: Call,
    intent: Row,
    method: Row,
    *,
    off_session: bool = False,
    refuse_action: bool = False,
    return_url: str | None = None,
) -> None:
    """Confirm `intent` with `method` and record what comes of it: held, paid or waiting for the customer.

    Raises: StripeError 402 when the card is declined, or nobody is there to authenticate; that is recorded too.
    """
    call.save(method)
    intent |= {"payment_method": method["id"], "next_action": None, "last_payment_error": None}
    card = card_of(method)
    if card.decline:
        _decline(call, intent, method, card.decline, off_session=off_session)
    if card.needs_authentication and off_session:
        _decline(call, intent, method, AUTHENTICATION_REQUIRED, off_session=True)
    if card.needs_authentication and refuse_action:
        fail(call, intent, method, NOBODY_TO_AUTHENTICATE)
    if card.needs_authentication:
        intent |= {"status": "requires_action", "next_action": _authentication(call, intent, return_url)}
        call.save(intent)
        call.emit("payment_intent.requires_action", intent)
    else:
        authorize(call, intent, method, off_session=off_session)


def authorize(call: Call, intent: Row, method: Row, *, off_session: bool = False) -> None:
    """Charge `method`: a hold where capture is manual, paid otherwise."""
    charge = charges.record(call, intent, method, off_session=off_session)
    intent |= {"latest_charge": charge["id"], "next_action": None}
    if intent["customer"] and intent["setup_future_usage"]:
        methods.attach(call, method, intent["customer"])
    if intent["capture_method"] == "manual":
        intent |= {"status": "requires_capture", "amount_capturable": intent["amount"]}
        call.save(intent)
        call.emit("payment_intent.amount_capturable_updated", intent)
    else:
        intent |= {"status": "succeeded", "amount_received": intent["amount"]}
        call.save(intent)
        call.emit("payment_intent.succeeded", intent)


def fail(call: Call, intent: Row, method: Row, decline: Decline, charge: str | None = None) -> NoReturn:
    """Record a failed attempt and raise it: StripeError 402."""
    error = {
        "type": "card_error",
        "code": decline.code,
        "decline_code": decline.decline_code,
        "doc_url": doc_url(decline.code),
        "message": decline.message,
        "charge": charge,
        "payment_method": method,
    }
    intent |= {
        "status": "requires_payment_method",
        "payment_method": None,
        "next_action": None,
        "last_payment_error": {name: value for name, value in error.items() if value is not None},
    }
    call.save(intent)
    call.emit("payment_intent.payment_failed", intent)
    raise methods.declined(decline, charge=charge, payment_intent=intent, payment_method=method)


def cancel(call: Call, intent: Row, reason: str | None) -> Row:
    """The canceled intent, releasing what it held. The row given stays as it was."""
    canceled = {
        **intent,
        "status": "canceled",
        "amount_capturable": 0,
        "canceled_at": call.now,
        "cancellation_reason": reason,
        "next_action": None,
    }
    call.emit("payment_intent.canceled", canceled)
    return call.save(canceled)


def _decline(call: Call, intent: Row, method: Row, decline: Decline, *, off_session: bool) -> NoReturn:
    charge = charges.record(call, intent, method, decline=decline, off_session=off_session)
    intent["latest_charge"] = charge["id"]
    fail(call, intent, method, decline, charge["id"])


def _authentication(call: Call, intent: Row, return_url: str | None) -> Row:
    """What the customer has to do. The page stands in for the bank's (see authentication_page.py)."""
    page = f"{call.base_url}authenticate/{intent['id']}?client_secret={intent['client_secret']}"
    if return_url:
        return {"type": "redirect_to_url", "redirect_to_url": {"return_url": return_url, "url": page}}
    return {"type": "use_stripe_sdk", "use_stripe_sdk": {"type": "three_d_secure_redirect", "stripe_js": page}}


def _deadline(call: Call, intent: Row) -> int:
    charge = call.load("charge", intent["latest_charge"], "charge")
    deadline: int = charge["payment_method_details"]["card"]["capture_before"]
    return deadline
