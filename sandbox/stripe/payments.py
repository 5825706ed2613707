"""/v1/payment_intents, and /v1/setup_intents: the server's half of saving a card, which the browser confirms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.store import Row
from sandbox.stripe import charges, intents, methods, profiles
from sandbox.stripe.calls import Call, Operation, given, new_id
from sandbox.stripe.errors import StripeError, invalid, not_simulated
from sandbox.stripe.forms import (
    Check,
    Raw,
    array,
    boolean,
    check_amount,
    choice,
    currency,
    fields,
    integer,
    merged,
    metadata,
    text,
    unsimulated,
    url,
)  # fmt: skip
from sandbox.stripe.lists import LISTING, SEARCHING, page, search
from sandbox.stripe.methods import card_of
from sandbox.stripe.profiles import shipping, whole_shipping

PLAIN = (
    "capture_method", "currency", "description", "receipt_email", "setup_future_usage", "statement_descriptor",
    "statement_descriptor_suffix", "transfer_group",
)  # fmt: skip
ONLY_UNCONFIRMED = ("amount", "capture_method", "currency", "customer", "payment_method", "setup_future_usage")
ONLY_WHEN_CONFIRMING = ("error_on_requires_action", "off_session", "return_url")
DELIVERY = ("carrier", "tracking_number")


def no_longer_supported(raw: Raw, name: str) -> Any:
    """Writable until API version 2026-09-30; still readable."""
    message = f"The parameter {name} is no longer supported; use automatic_payment_methods."
    raise StripeError(400, message, code="payment_method_types_no_longer_supported", param=name)


def off_session(raw: Raw, name: str) -> bool:
    """Whether the customer is away: a boolean, or why one knows."""
    return raw in ("one_off", "recurring") or boolean(raw, name)


AT_ANY_TIME: Mapping[str, Check] = {
    "capture_method": choice("automatic", "automatic_async", "manual"),
    "payment_method": text(),
    "payment_method_options": fields(
        {
            "card": fields(
                {
                    "request_three_d_secure": choice("any", "automatic", "challenge"),
                    **unsimulated("capture_method", "installments", "mandate_options", "moto", "network",
                                  "request_extended_authorization", "request_incremental_authorization",
                                  "request_multicapture", "request_overcapture", "setup_future_usage"),
                }
            )
        }
    ),
    "payment_method_types": no_longer_supported,
    "receipt_email": text(unset=True),
    "setup_future_usage": choice("off_session", "on_session", unset=True),
    "shipping": shipping(*DELIVERY),
    **unsimulated("amount_details", "excluded_payment_method_types", "hooks", "payment_details", "payment_method_data"),
}  # fmt: skip
WRITABLE: Mapping[str, Check] = {
    **AT_ANY_TIME,
    "amount": integer(least=1),
    "currency": currency,
    "customer": text(),
    "description": text(unset=True, most=1000),
    "metadata": metadata,
    "statement_descriptor": text(unset=True, most=22),
    "statement_descriptor_suffix": text(unset=True, most=22),
    "transfer_group": text(),
    **unsimulated("application_fee_amount", "customer_account", "payment_method_configuration", "transfer_data"),
}
CONFIRMING: Mapping[str, Check] = {
    "error_on_requires_action": boolean,
    "off_session": off_session,
    "return_url": url,
    **unsimulated("confirmation_token", "mandate", "mandate_data", "radar_options", "use_stripe_sdk"),
}
CREATING: Mapping[str, Check] = {
    **WRITABLE,
    **CONFIRMING,
    "allowed_payment_method_types": array(choice("card")),
    "automatic_payment_methods": fields(
        {"allow_redirects": choice("always", "never"), "enabled": boolean}, ("enabled",)
    ),
    "confirm": boolean,
    **unsimulated("confirmation_method", "on_behalf_of"),
}


def create(call: Call) -> Row:
    params = call.params
    check_amount(params["amount"], params["currency"])
    intent = intents.intent(call, params["amount"], params["currency"])
    intent["automatic_payment_methods"] = _automatic(params)
    confirming = params.get("confirm", False)
    for name in ONLY_WHEN_CONFIRMING:
        if name in params and not confirming:
            raise invalid(f"`{name}` can only be passed when `confirm` is true.", name)
    method = _write(call, intent)
    if not confirming:
        if method:
            call.save(method)
        call.save(intent)
        call.emit("payment_intent.created", intent)
        return intent
    if method is None:
        raise intents.unexpected_state("You cannot confirm this PaymentIntent because it has no payment method.")
    _check_return_url(call, intent)
    call.save(intent)
    call.emit("payment_intent.created", intent)
    return _attempt(call, intent, method)


def update(call: Call) -> Row:
    intent = intents.load(call, call.path["id"])
    for name in ONLY_UNCONFIRMED:
        if name in call.params:
            intents.require_status(intent, f"update the {name} of", intents.UNCONFIRMED)
    if {"amount", "currency"} & call.params.keys():
        asked = {**intent, **call.params}
        check_amount(asked["amount"], asked["currency"])
    if method := _write(call, intent):
        call.save(method)
    return call.save(intent)


def confirm(call: Call) -> Row:
    intent = intents.load(call, call.path["id"])
    intents.require_status(intent, "confirm", intents.UNCONFIRMED)
    method = _write(call, intent)
    if method is None and intent["payment_method"] is None:
        raise intents.unexpected_state(
            "You cannot confirm this PaymentIntent because it has no payment method.", intent
        )
    _check_return_url(call, intent)
    return _attempt(call, intent, method or methods.usable(call, intent["payment_method"], intent["customer"]))


def capture(call: Call) -> Row:
    intent = intents.load(call, call.path["id"])
    if intent["cancellation_reason"] == "expired":
        message = "The hold on this payment has expired and can no longer be captured."
        raise StripeError(400, message, code="capture_charge_authorization_expired")
    intents.require_status(intent, "capture", ("requires_capture",))
    if call.params.get("final_capture") is False:
        raise invalid("This account cannot capture a payment more than once.", "final_capture")
    amount: int = call.params.get("amount_to_capture") or intent["amount_capturable"]
    if amount > intent["amount_capturable"]:
        message = f"The amount to capture is greater than the capturable {intent['amount_capturable']}."
        raise invalid(message, "amount_to_capture", "amount_too_large")
    _write(call, intent)
    charges.capture(call, call.load("charge", intent["latest_charge"], "charge"), amount)
    intent |= {"status": "succeeded", "amount_received": amount, "amount_capturable": 0}
    call.save(intent)
    call.emit("payment_intent.succeeded", intent)
    return intent


def cancel(call: Call) -> Row:
    intent = intents.load(call, call.path["id"])
    intents.require_status(intent, "cancel", intents.CANCELABLE)
    return intents.cancel(call, intent, call.params.get("cancellation_reason"))


def increment_authorization(call: Call) -> Row:
    """An account has to be enabled for it, and this one is not."""
    intent = intents.load(call, call.path["id"])
    intents.require_status(intent, "increment the authorization of", ("requires_capture",))
    raise invalid("This account is not eligible for incremental authorizations.", "amount")


def retrieve(call: Call) -> Row:
    return intents.load(call, call.path["id"])


def listed(call: Call) -> Row:
    customer = call.params.get("customer")
    if customer is not None:
        call.load("customer", customer, "customer")
    rows = intents.current(call)
    return page(call, "payment_intent", [row for row in rows if customer is None or row["customer"] == customer])


def searched(call: Call) -> Row:
    return search(call, "payment_intent", intents.current(call))


def _automatic(params: Row) -> Row | None:
    """How payment methods are chosen: by the account's settings, unless the request says otherwise."""
    automatic = params.get("automatic_payment_methods")
    if automatic is None:
        return None if "allowed_payment_method_types" in params else {"allow_redirects": "always", "enabled": True}
    return {"allow_redirects": "always", **automatic} if automatic["enabled"] else None


def _write(call: Call, intent: Row) -> Row | None:
    """Put the parameters into `intent`. Answers the payment method if they name one; a new one is not saved yet."""
    params = call.params
    if "customer" in params:
        intent["customer"] = profiles.find(call, params["customer"])["id"]
    intent |= given(params, "amount", *PLAIN)
    if "metadata" in params:
        intent["metadata"] = merged(intent["metadata"], params["metadata"])
    if "shipping" in params:
        intent["shipping"] = whole_shipping(params["shipping"], *DELIVERY)
    options = params.get("payment_method_options", {}).get("card", {})
    intent["payment_method_options"]["card"] |= options
    if "payment_method" not in params:
        return None
    method = methods.usable(call, params["payment_method"], intent["customer"])
    if options.get("request_three_d_secure") in ("any", "challenge") and not card_of(method).needs_authentication:
        raise not_simulated("3-D Secure on request; use pm_card_threeDSecure2Required")
    intent |= {"payment_method": method["id"], "status": "requires_confirmation", "next_action": None}
    return method


def _check_return_url(call: Call, intent: Row) -> None:
    automatic = intent["automatic_payment_methods"]
    if automatic and automatic["allow_redirects"] == "always" and "return_url" not in call.params:
        message = (
            "This PaymentIntent accepts payment methods that redirect the customer: pass a `return_url`, or set "
            "automatic_payment_methods[allow_redirects] to `never`."
        )
        raise invalid(message, "return_url")


def _attempt(call: Call, intent: Row, method: Row) -> Row:
    intents.attempt(
        call,
        intent,
        method,
        off_session=call.params.get("off_session", False),
        refuse_action=call.params.get("error_on_requires_action", False),
        return_url=call.params.get("return_url"),
    )
    return intent


KIND = "payment_intent"
ONE = "/v1/payment_intents/{id}"
OPERATIONS = (
    Operation("POST", "/v1/payment_intents", KIND, create, CREATING, ("amount", "currency")),
    Operation("GET", "/v1/payment_intents", KIND, listed,
              {**LISTING, "customer": text(), **unsimulated("customer_account")}, listing=True),
    Operation("GET", "/v1/payment_intents/search", KIND, searched, SEARCHING, ("query",), listing=True),
    Operation("GET", ONE, KIND, retrieve, unsimulated("client_secret")),
    Operation("POST", ONE, KIND, update, WRITABLE),
    Operation("POST", f"{ONE}/confirm", KIND, confirm,
              {**AT_ANY_TIME, **CONFIRMING, **unsimulated("allowed_payment_method_types", "amount_to_confirm")}),
    Operation("POST", f"{ONE}/capture", KIND, capture,
              {"amount_to_capture": integer(least=1), "final_capture": boolean, "metadata": metadata,
               "statement_descriptor": text(unset=True, most=22),
               "statement_descriptor_suffix": text(unset=True, most=22),
               **unsimulated("amount_details", "application_fee_amount", "hooks", "payment_details", "transfer_data")}),
    Operation("POST", f"{ONE}/cancel", KIND, cancel,
              {"cancellation_reason": choice("abandoned", "duplicate", "fraudulent", "requested_by_customer")}),
    Operation("POST", f"{ONE}/increment_authorization", KIND, increment_authorization,
              {"amount": integer(least=1), "description": text(), "metadata": metadata, "statement_descriptor": text(),
               **unsimulated("amount_details", "application_fee_amount", "hooks", "payment_details", "transfer_data")},
              ("amount",)),
)  # fmt: skip


def create_setup(call: Call) -> Row:
    params = call.params
    customer = profiles.find(call, params["customer"])["id"] if "customer" in params else None
    method = methods.usable(call, params["payment_method"], customer) if "payment_method" in params else None
    saved_metadata = merged({}, params.get("metadata", {}))
    if method:
        call.save(method)
    setup_id = new_id("seti")
    automatic = params.get("automatic_payment_methods", {"enabled": "allowed_payment_method_types" not in params})
    row = {
        "id": setup_id,
        "object": "setup_intent",
        "application": None,
        "automatic_payment_methods": {"allow_redirects": "always", **automatic} if automatic["enabled"] else None,
        "cancellation_reason": None,
        "client_secret": f"{setup_id}_{new_id('secret')}",
        "created": call.now,
        "customer": customer,
        "description": params.get("description"),
        "excluded_payment_method_types": None,
        "flow_directions": None,
        "last_setup_error": None,
        "latest_attempt": None,
        "livemode": False,
        "mandate": None,
        "metadata": saved_metadata,
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": method["id"] if method else None,
        "payment_method_configuration_details": None,
        "payment_method_options": {
            "card": {"mandate_options": None, "network": None, "request_three_d_secure": "automatic"}
        },
        "payment_method_types": ["card"],
        "single_use_mandate": None,
        "status": "requires_confirmation" if method else "requires_payment_method",
        "usage": params.get("usage", "off_session"),
    }
    call.save(row)
    call.emit("setup_intent.created", row)
    return row


def retrieve_setup(call: Call) -> Row:
    return call.load("setup_intent", call.path["id"], "intent", status=404)


SETUP_OPERATIONS = (
    Operation("POST", "/v1/setup_intents", "setup_intent", create_setup,
              {"allowed_payment_method_types": array(choice("card")),
               "automatic_payment_methods": fields(
                   {"allow_redirects": choice("always", "never"), "enabled": boolean}, ("enabled",)),
               "customer": text(), "description": text(), "metadata": metadata, "payment_method": text(),
               "payment_method_types": no_longer_supported, "usage": choice("off_session", "on_session"),
               **unsimulated("attach_to_self", "confirm", "confirmation_token", "customer_account",
                             "excluded_payment_method_types", "flow_directions", "mandate_data", "on_behalf_of",
                             "payment_method_configuration", "payment_method_data", "payment_method_options",
                             "return_url", "single_use", "use_stripe_sdk")}),
    Operation("GET", "/v1/setup_intents/{id}", "setup_intent", retrieve_setup, unsimulated("client_secret")),
)  # fmt: skip
