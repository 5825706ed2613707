"""/v1/subscriptions. The first period is billed; renewals do not happen."""

from __future__ import annotations

import calendar
from collections.abc import Mapping
from copy import deepcopy
from datetime import UTC, datetime, timedelta

from sandbox.store import Row
from sandbox.stripe import intents, invoices, methods, profiles
from sandbox.stripe.calls import Call, Operation, given, new_id
from sandbox.stripe.errors import StripeError, invalid, not_simulated
from sandbox.stripe.forms import (
    Check,
    Raw,
    array,
    boolean,
    choice,
    fields,
    integer,
    merged,
    metadata,
    text,
    unsimulated,
)  # fmt: skip
from sandbox.stripe.lists import LISTING, SEARCHING, page, search

ENDED = ("canceled", "incomplete_expired")
STATUSES = ("active", "canceled", "incomplete", "incomplete_expired", "past_due", "paused", "trialing", "unpaid")
FIRST_PAYMENT_S = 23 * 3600
"""How long an incomplete subscription waits to be paid."""


def trial_end(raw: Raw, name: str) -> int | None:
    """A Unix time; None for `now`, which means no trial."""
    if raw == "now":
        return None
    end: int = integer(least=0)(raw, name)
    return end


WRITABLE: Mapping[str, Check] = {
    "cancel_at_period_end": boolean,
    "default_payment_method": text(),
    "description": text(unset=True, most=500),
    "metadata": metadata,
    "off_session": boolean,
    "payment_settings": fields(
        {
            "save_default_payment_method": choice("off", "on_subscription"),
            **unsimulated("payment_method_options", "payment_method_types"),
        }
    ),
    "proration_behavior": choice("always_invoice", "create_prorations", "none"),
    **unsimulated("add_invoice_items", "application_fee_percent", "automatic_tax", "billing_cycle_anchor",
                  "billing_schedules", "billing_thresholds", "cancel_at", "default_source", "default_tax_rates",
                  "discounts", "invoice_settings", "on_behalf_of", "pending_invoice_item_interval", "transfer_data",
                  "trial_from_plan", "trial_settings"),
}  # fmt: skip
CREATING: Mapping[str, Check] = {
    **WRITABLE,
    "collection_method": choice("charge_automatically", "send_invoice"),
    "customer": text(),
    "days_until_due": integer(least=0),
    "items": array(
        fields(
            {
                "metadata": metadata,
                "price": text(),
                "quantity": integer(least=0),
                **unsimulated("billing_thresholds", "discounts", "plan", "price_data", "tax_rates"),
            },
            ("price",),
        )
    ),
    "payment_behavior": choice(
        "allow_incomplete", "default_incomplete", "error_if_incomplete", "pending_if_incomplete"
    ),
    "trial_end": trial_end,
    "trial_period_days": integer(least=1, most=730),
    **unsimulated("backdate_start_date", "billing_cycle_anchor_config", "billing_mode", "currency", "customer_account"),
}


def create(call: Call) -> Row:
    params = call.params
    customer = profiles.find(call, params["customer"])
    subscription = _subscription(call, customer)
    if params.get("payment_behavior") == "pending_if_incomplete":
        raise not_simulated("payment_behavior=pending_if_incomplete")
    free = subscription["status"] == "trialing"
    total = (
        0 if free else sum(item["price"]["unit_amount"] * item["quantity"] for item in subscription["items"]["data"])
    )
    invoice = invoices.invoice(call, subscription, total)
    if total and subscription["collection_method"] == "charge_automatically":
        subscription["status"] = "active" if _first_payment(call, subscription, customer, invoice) else "incomplete"
    elif not total:
        invoices.settle(call, invoice)
    call.save(invoice)
    call.save(subscription)
    call.emit("customer.subscription.created", subscription)
    return subscription


def _first_payment(call: Call, subscription: Row, customer: Row, invoice: Row) -> bool:
    """Bill the first period to the default payment method. Answers whether it was paid.

    Raises: StripeError when there is no such method, or with `error_if_incomplete` when it does not pay.
    """
    behaviour = call.params.get("payment_behavior", "allow_incomplete")
    method = subscription["default_payment_method"] or customer["invoice_settings"]["default_payment_method"]
    subscription["latest_invoice"] = invoice["id"]
    intent = invoices.bill(call, invoice, method)
    if behaviour == "default_incomplete":
        call.save(intent)
        invoices.link(call, invoice, intent)
        return False
    if method is None:
        raise invalid("This customer has no default payment method.", "customer", "resource_missing")
    try:
        intents.attempt(
            call,
            intent,
            methods.usable(call, method, customer["id"]),
            off_session=call.params.get("off_session", False),
            refuse_action=behaviour == "error_if_incomplete",
        )
    except StripeError:
        if behaviour == "error_if_incomplete":
            intents.cancel(call, intent, "void_invoice")
            raise
    invoices.link(call, invoice, intent)
    if intent["status"] == "succeeded":
        invoices.settle(call, invoice)
        return True
    call.emit("invoice.payment_failed" if intent["last_payment_error"] else "invoice.payment_action_required", invoice)
    return False


def _subscription(call: Call, customer: Row) -> Row:
    """The subscription that the parameters ask for, not yet saved or paid. Raises: StripeError."""
    params = call.params
    method = params.get("default_payment_method")
    if method:
        methods.attached_to(call, method, customer["id"], "default_payment_method")
    collection = params.get("collection_method", "charge_automatically")
    if collection == "send_invoice" and "days_until_due" not in params:
        raise invalid("Missing required param: days_until_due.", "days_until_due", "parameter_missing")
    if collection == "charge_automatically" and "days_until_due" in params:
        raise invalid("You can only pass days_until_due with collection_method=send_invoice.", "days_until_due")
    prices = _prices(call)
    trial = _trial_end(call)
    new = new_id("sub")
    end = trial or period_end(call.now, prices[0]["recurring"]["interval"], prices[0]["recurring"]["interval_count"])
    return {
        "id": new,
        "object": "subscription",
        "application": None,
        "application_fee_percent": None,
        "automatic_tax": {"disabled_reason": None, "enabled": False, "liability": None},
        "billing_cycle_anchor": trial or call.now,
        "billing_cycle_anchor_config": None,
        "billing_mode": {"flexible": None, "type": "classic"},
        "billing_schedules": [],
        "billing_thresholds": None,
        "cancel_at": end if params.get("cancel_at_period_end") else None,
        "cancel_at_period_end": params.get("cancel_at_period_end", False),
        "canceled_at": call.now if params.get("cancel_at_period_end") else None,
        "cancellation_details": {"comment": None, "feedback": None, "reason": None},
        "collection_method": collection,
        "created": call.now,
        "currency": prices[0]["currency"],
        "customer": customer["id"],
        "customer_account": None,
        "days_until_due": params.get("days_until_due"),
        "default_payment_method": method,
        "default_source": None,
        "default_tax_rates": [],
        "description": params.get("description"),
        "discounts": [],
        "ended_at": None,
        "items": {
            "object": "list",
            "data": [
                _item(call, new, price, wanted, end) for price, wanted in zip(prices, params["items"], strict=True)
            ],
            "has_more": False,
            "url": f"/v1/subscription_items?subscription={new}",
        },
        "invoice_settings": {
            "account_tax_ids": None,
            "custom_fields": None,
            "description": None,
            "footer": None,
            "issuer": {"type": "self"},
        },
        "latest_invoice": None,
        "livemode": False,
        "managed_payments": {"enabled": False},
        "metadata": merged({}, params.get("metadata", {})),
        "next_pending_invoice_item_invoice": None,
        "on_behalf_of": None,
        "pause_collection": None,
        "payment_settings": {
            "payment_method_options": None,
            "payment_method_types": None,
            "save_default_payment_method": "off",
            **params.get("payment_settings", {}),
        },
        "pending_invoice_item_interval": None,
        "pending_setup_intent": None,
        "pending_update": None,
        "schedule": None,
        "start_date": call.now,
        "status": "trialing" if trial else "active",
        "test_clock": None,
        "transfer_data": None,
        "trial_end": trial,
        "trial_settings": {"end_behavior": {"missing_payment_method": "create_invoice"}},
        "trial_start": call.now if trial else None,
    }


def _prices(call: Call) -> list[Row]:
    items = call.params["items"]
    if not items:
        raise invalid("Missing required param: items.", "items", "parameter_missing")
    prices = [call.load("price", item["price"], f"items[{n}][price]") for n, item in enumerate(items)]
    for n, price in enumerate(prices):
        if price["type"] != "recurring":
            raise invalid("The price specified is of type `one_time`; pass a recurring one.", f"items[{n}][price]")
        if price["currency"] != prices[0]["currency"]:
            raise invalid("All prices of a subscription have the same currency.", f"items[{n}][price]")
    return prices


def _trial_end(call: Call) -> int | None:
    params = call.params
    if "trial_end" in params and "trial_period_days" in params:
        raise invalid("You can pass only one of trial_end and trial_period_days.", "trial_end")
    if days := params.get("trial_period_days"):
        return int(call.now + days * 86_400)
    end: int | None = params.get("trial_end")
    if end is not None and end <= call.now:
        raise invalid("The trial must end in the future.", "trial_end")
    return end


def _item(call: Call, subscription: str, price: Row, wanted: Row, end: int) -> Row:
    return {
        "id": new_id("si", 14),
        "object": "subscription_item",
        "billing_thresholds": None,
        "created": call.now,
        "current_period_end": end,
        "current_period_start": call.now,
        "discounts": [],
        "metadata": merged({}, wanted.get("metadata", {})),
        "price": price,
        "quantity": wanted.get("quantity", 1),
        "subscription": subscription,
        "tax_rates": [],
    }


def period_end(start: int, interval: str, count: int) -> int:
    """The second a period ends that begins at `start`; a month ends on its last day where the day does not exist."""
    begun = datetime.fromtimestamp(start, UTC)
    if interval in ("day", "week"):
        return int((begun + timedelta(**{f"{interval}s": count})).timestamp())
    months = begun.month - 1 + count * (12 if interval == "year" else 1)
    year, month = begun.year + months // 12, months % 12 + 1
    day = min(begun.day, calendar.monthrange(year, month)[1])
    return int(begun.replace(year=year, month=month, day=day).timestamp())


def load(call: Call, id: str) -> Row:
    """A subscription as it is now. Raises: StripeError `resource_missing`."""
    return _age(call, call.load("subscription", id, "id", status=404))


def current(call: Call) -> list[Row]:
    return [_age(call, deepcopy(row)) for row in call.store.rows("subscription")]


def of_customer(call: Call, customer: str) -> list[Row]:
    """The customer's subscriptions that have not ended."""
    return [row for row in current(call) if row["customer"] == customer and row["status"] not in ENDED]


def _age(call: Call, subscription: Row) -> Row:
    """What time and payments have made of it since it was last looked at."""
    if subscription["status"] == "incomplete":
        before = deepcopy(subscription)
        if invoices.was_paid(call, subscription["latest_invoice"]):
            invoices.settle(call, call.load("invoice", subscription["latest_invoice"], "invoice"))
            subscription["status"] = "active"
        elif call.now > subscription["created"] + FIRST_PAYMENT_S:
            subscription |= {"status": "incomplete_expired", "ended_at": call.now}
        else:
            return subscription
        call.save(subscription)
        call.emit("customer.subscription.updated", subscription, before)
    if subscription["status"] not in ENDED and subscription["cancel_at"] and call.now >= subscription["cancel_at"]:
        return end(call, subscription)
    return subscription


def end(call: Call, subscription: Row, details: Mapping[str, str | None] | None = None) -> Row:
    """Cancel it now."""
    subscription |= {"status": "canceled", "ended_at": call.now, "canceled_at": subscription["canceled_at"] or call.now}
    subscription["cancellation_details"] |= {"reason": "cancellation_requested", **(details or {})}
    call.save(subscription)
    call.emit("customer.subscription.deleted", subscription)
    return subscription


def update(call: Call) -> Row:
    params = call.params
    subscription = load(call, call.path["id"])
    before = deepcopy(subscription)
    if subscription["status"] in ENDED:
        raise invalid("A canceled subscription can only update its metadata, which the sandbox does not do.", "id")
    if method := params.get("default_payment_method"):
        methods.attached_to(call, method, subscription["customer"], "default_payment_method")
    subscription |= given(params, "default_payment_method", "description")
    if "metadata" in params:
        subscription["metadata"] = merged(subscription["metadata"], params["metadata"])
    subscription["payment_settings"] |= params.get("payment_settings", {})
    if "cancel_at_period_end" in params:
        leaving = params["cancel_at_period_end"]
        period = subscription["items"]["data"][0]["current_period_end"]
        subscription |= {
            "cancel_at_period_end": leaving,
            "cancel_at": period if leaving else None,
            "canceled_at": call.now if leaving else None,
        }
        subscription["cancellation_details"]["reason"] = "cancellation_requested" if leaving else None
    call.save(subscription)
    call.emit("customer.subscription.updated", subscription, before)
    return subscription


def cancel(call: Call) -> Row:
    subscription = load(call, call.path["id"])
    if subscription["status"] in ENDED:
        raise invalid(f"No such subscription: '{subscription['id']}'", "id", "resource_missing")
    return end(call, subscription, call.params.get("cancellation_details"))


def retrieve(call: Call) -> Row:
    return load(call, call.path["id"])


def listed(call: Call) -> Row:
    """All that were not canceled, unless `status` asks for others."""
    params = call.params
    wanted = given(params, "customer", "collection_method")
    rows = [row for row in current(call) if wanted.items() <= row.items() and _has_status(row, params.get("status"))]
    if price := params.get("price"):
        rows = [row for row in rows if any(item["price"]["id"] == price for item in row["items"]["data"])]
    return page(call, "subscription", rows)


def _has_status(row: Row, status: str | None) -> bool:
    if status is None:
        return bool(row["status"] != "canceled")
    return status == "all" or row["status"] == status or (status == "ended" and row["status"] in ENDED)


def searched(call: Call) -> Row:
    return search(call, "subscription", current(call))


KIND = "subscription"
ONE = "/v1/subscriptions/{id}"
OPERATIONS = (
    Operation("POST", "/v1/subscriptions", KIND, create, CREATING, ("customer", "items")),
    Operation("GET", "/v1/subscriptions", KIND, listed,
              {**LISTING, "collection_method": choice("charge_automatically", "send_invoice"), "customer": text(),
               "price": text(), "status": choice(*STATUSES, "all", "ended"),
               **unsimulated("automatic_tax", "current_period_end", "current_period_start", "customer_account", "plan",
                             "test_clock")}, listing=True),
    Operation("GET", "/v1/subscriptions/search", KIND, searched, SEARCHING, ("query",), listing=True),
    Operation("GET", ONE, KIND, retrieve),
    Operation("POST", ONE, KIND, update,
              {**WRITABLE, **unsimulated("cancellation_details", "collection_method", "days_until_due", "items",
                                         "pause_collection", "payment_behavior", "proration_date", "trial_end")}),
    Operation("DELETE", ONE, KIND, cancel,
              {"cancellation_details": fields({"comment": text(unset=True), "feedback": text(unset=True),
                                               **unsimulated("feedback_option")}),
               "invoice_now": boolean, "prorate": boolean}),
)  # fmt: skip
