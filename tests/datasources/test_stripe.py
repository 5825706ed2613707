"""Stripe's wire: samples over a mock transport, behaviour against the simulator."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest

from core import operation
from core.errors import BackendBadResponse, BackendRejected, BackendUnavailable
from core.settings import StripeSettings
from datasources.stripe import (
    API_VERSION,
    CLIENT_REFERENCE,
    IntentStatus,
    NewHold,
    NewIntent,
    NewSubscription,
    Stripe,
    Undone,
    form_of,
)
from sandbox import stripe as simulator
from sandbox.faults import FaultLine
from sandbox.keys import STRIPE_SECRET_KEY
from sandbox.store import Store
from sandbox.stripe.seeding import MONTHLY_MINOR, PRICE_ID
from sandbox.world import World

ADA = World(datetime.now(UTC)).customers[0]
LONG_AGO = datetime.now(UTC) - timedelta(days=1)
INTENT = {
    "id": "pi_1",
    "object": "payment_intent",
    "amount": 1099,
    "capture_method": "manual",
    "created": 1_768_473_000,
    "currency": "eur",
    "customer": "cus_1",
    "metadata": {"workflow_id": "w1"},
    "payment_method": "pm_1",
    "status": "requires_capture",
}


def answering(answer: Callable[[httpx.Request], httpx.Response]) -> Stripe:
    client = httpx.AsyncClient(base_url="http://stripe", transport=httpx.MockTransport(answer))
    return Stripe(client, StripeSettings())


@pytest.fixture
def line() -> FaultLine:
    store = Store(None)
    store.seed(simulator.seed)
    return FaultLine(simulator.create_app(store))


@pytest.fixture
async def stripe(line: FaultLine) -> AsyncIterator[Stripe]:
    headers = {"Authorization": f"Bearer {STRIPE_SECRET_KEY}", "Stripe-Version": API_VERSION}
    async with httpx.AsyncClient(
        base_url="http://stripe", headers=headers, transport=httpx.ASGITransport(app=line)
    ) as client:
        yield Stripe(client, StripeSettings())


def hold(amount: str = "50.00", method: str = ADA.card_id, workflow_id: str = "w1", currency: str = "EUR") -> NewHold:
    return NewHold(Decimal(amount), currency, ADA.stripe_id, method, workflow_id)


def test_forms_nest_by_brackets_and_leave_out_none() -> None:
    fields = {"a": 1, "on": True, "off": False, "none": None, "deep": {"x": {"y": "z"}}, "list": ["p", {"q": 2}]}
    assert form_of(fields) == [
        ("a", "1"),
        ("on", "true"),
        ("off", "false"),
        ("deep[x][y]", "z"),
        ("list[0]", "p"),
        ("list[1][q]", "2"),
    ]


async def test_a_hold_is_sent_as_a_confirmed_manual_capture_with_its_key() -> None:
    sent: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200, json=INTENT)

    intent = await answering(answer).create_hold(hold("10.99"), key="k1")
    assert (intent.amount, intent.currency, intent.status) == (Decimal("10.99"), "EUR", IntentStatus.REQUIRES_CAPTURE)
    [request] = sent
    assert request.headers["idempotency-key"] == "k1"
    form = dict(parse_qsl(request.content.decode()))
    assert (form["amount"], form["currency"], form["metadata[workflow_id]"]) == ("1099", "eur", "w1")
    assert (form["capture_method"], form["confirm"], form["off_session"]) == ("manual", "true", "true")
    assert form["automatic_payment_methods[allow_redirects]"] == "never"


async def test_the_client_pins_the_version_and_carries_the_key() -> None:
    stripe = Stripe.open(StripeSettings(secret_key="sk_test_1"))  # type: ignore[arg-type]
    assert stripe._client.headers["stripe-version"] == API_VERSION
    assert stripe._client.headers["authorization"] == "Bearer sk_test_1"
    await stripe.aclose()


def test_opening_without_a_key_is_refused() -> None:
    with pytest.raises(ValueError, match="STRIPE_SECRET_KEY"):
        Stripe.open(StripeSettings(secret_key=None))


@pytest.mark.parametrize(
    ("status", "error", "message", "reason"),
    [
        (
            402,
            {
                "type": "card_error",
                "code": "card_declined",
                "decline_code": "insufficient_funds",
                "message": "No funds.",
            },
            "No funds.",
            "insufficient_funds",
        ),
        (402, {"type": "card_error", "code": "expired_card", "message": "Expired."}, "Expired.", "expired_card"),
        (
            400,
            {"type": "invalid_request_error", "code": "amount_too_small", "message": "see https://stripe.example/x"},
            "stripe refused the request (amount_too_small)",
            "amount_too_small",
        ),
    ],
)
async def test_a_refusal_speaks_to_people_and_to_machines(
    status: int, error: dict[str, str], message: str, reason: str
) -> None:
    stripe = answering(lambda request: httpx.Response(status, json={"error": error}))
    with pytest.raises(BackendRejected) as refused:
        await stripe.create_hold(hold(), key="k")
    assert (str(refused.value), refused.value.reason, refused.value.status) == (message, reason, status)


async def test_a_refusal_that_is_no_json_is_summed_up() -> None:
    stripe = answering(lambda request: httpx.Response(400, text="<html>"))
    with pytest.raises(BackendRejected, match="stripe answered 400"):
        await stripe.create_hold(hold(), key="k")


async def test_a_key_that_is_in_use_is_worth_another_try() -> None:
    error = {"error": {"type": "invalid_request_error", "code": "idempotency_key_in_use"}}
    with pytest.raises(BackendUnavailable):
        await answering(lambda request: httpx.Response(409, json=error)).create_hold(hold(), key="k")


async def test_a_wrong_type_names_its_field() -> None:
    broken = {**INTENT, "amount": "1099"}
    with pytest.raises(BackendBadResponse, match=r"\$\.amount"):
        await answering(lambda request: httpx.Response(200, json=broken)).intent("pi_1")


async def test_an_intent_that_needs_its_holder_is_refused() -> None:
    waiting = {**INTENT, "status": "requires_action"}
    with pytest.raises(BackendRejected) as refused:
        await answering(lambda request: httpx.Response(200, json=waiting)).create_hold(hold(), key="k")
    assert refused.value.reason == "requires_action"


async def test_finding_an_intent_walks_all_pages() -> None:
    pages = [
        {"data": [{**INTENT, "id": "pi_9", "metadata": {}}], "has_more": True},
        {"data": [INTENT], "has_more": False},
    ]
    asked: list[dict[str, str]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(dict(request.url.params))
        return httpx.Response(200, json=pages[len(asked) - 1])

    found = await answering(answer).find_intent("cus_1", "w1", created_after=datetime.fromtimestamp(1000, UTC))
    assert found is not None
    assert found.id == "pi_1"
    assert asked == [
        {"customer": "cus_1", "created[gte]": "1000", "limit": "100"},
        {"customer": "cus_1", "created[gte]": "1000", "limit": "100", "starting_after": "pi_9"},
    ]


# -- against the simulator -----------------------------------------------------------------------------------------


async def test_the_default_payment_method_is_the_customers(stripe: Stripe) -> None:
    assert await stripe.default_payment_method(ADA.stripe_id) == ADA.card_id
    assert await stripe.default_payment_method("cus_nobody") is None
    assert await stripe.has_payment_method(ADA.stripe_id, ADA.card_id)
    assert not await stripe.has_payment_method(ADA.stripe_id, "pm_nobody")


async def test_a_hold_is_captured_once(stripe: Stripe) -> None:
    held = await stripe.create_hold(hold(), key="h")
    assert (await stripe.capture(held.id, key="c")).status is IntentStatus.SUCCEEDED
    assert (await stripe.capture(held.id, key="another key")).status is IntentStatus.SUCCEEDED
    taken = await stripe.intent(held.id)
    assert taken is not None
    assert (taken.amount, taken.status) == (Decimal("50.00"), IntentStatus.SUCCEEDED)


async def test_the_same_key_makes_one_hold(stripe: Stripe) -> None:
    assert (await stripe.create_hold(hold(), key="h")).id == (await stripe.create_hold(hold(), key="h")).id


async def test_what_is_only_held_is_released(stripe: Stripe) -> None:
    held = await stripe.create_hold(hold(), key="h")
    assert await stripe.cancel_or_refund(held.id, key="u1") is Undone.RELEASED
    assert await stripe.cancel_or_refund(held.id, key="u2") is Undone.RELEASED
    released = await stripe.intent(held.id)
    assert released is not None
    assert released.status is IntentStatus.CANCELED


async def test_what_was_taken_is_given_back_once(stripe: Stripe, line: FaultLine) -> None:
    held = await stripe.create_hold(hold(), key="h")
    await stripe.capture(held.id, key="c")
    assert await stripe.cancel_or_refund(held.id, key="u1") is Undone.REFUNDED
    assert await stripe.cancel_or_refund(held.id, key="u2") is Undone.REFUNDED
    refunds = [call for call in line.calls if call.path == "/v1/refunds"]
    assert [call.status for call in refunds] == [200, 400]


async def test_a_capture_of_a_released_hold_is_refused(stripe: Stripe) -> None:
    held = await stripe.create_hold(hold(), key="h")
    await stripe.cancel_or_refund(held.id, key="u")
    with pytest.raises(BackendRejected):
        await stripe.capture(held.id, key="c")


async def test_a_declined_card_says_why(stripe: Stripe) -> None:
    with pytest.raises(BackendRejected) as refused:
        await stripe.create_hold(hold(method="pm_card_visa_chargeDeclinedInsufficientFunds"), key="h")
    assert refused.value.reason == "insufficient_funds"


async def test_a_hold_whose_answer_was_lost_is_found_by_its_workflow(stripe: Stripe, line: FaultLine) -> None:
    line.replace([{"kind": "malformed", "when": "after", "method": "POST", "path": "/v1/payment_intents"}])
    with pytest.raises(BackendBadResponse):
        await stripe.create_hold(hold(workflow_id="lost"), key="h")
    found = await stripe.find_intent(ADA.stripe_id, "lost", created_after=LONG_AGO)
    assert found is not None
    assert found.status is IntentStatus.REQUIRES_CAPTURE
    assert await stripe.find_intent(ADA.stripe_id, "other", created_after=LONG_AGO) is None


async def test_a_lost_answer_is_asked_for_again_under_the_same_key(stripe: Stripe, line: FaultLine) -> None:
    rule: dict[str, Any] = {"kind": "status", "when": "after", "method": "POST", "count": 1}
    line.replace([rule])
    with operation.running(operation.Operation()) as running:
        held = await stripe.create_hold(hold(workflow_id="again"), key="h")
    assert [call.retries for call in running.calls] == [1]
    found = await stripe.find_intent(ADA.stripe_id, "again", created_after=LONG_AGO)
    assert found is not None
    assert found.id == held.id


async def test_amounts_follow_the_currencys_minor_unit(stripe: Stripe) -> None:
    held = await stripe.create_hold(hold("5000", currency="JPY"), key="h")
    assert (held.amount_minor, held.amount) == (5000, Decimal(5000))


async def test_ping_answers(stripe: Stripe) -> None:
    await stripe.ping()


# -- customers, methods, payments that a browser confirms ------------------------------------------------------------


def asked(line: FaultLine) -> list[str]:
    return [f"{call.method} {call.path}" for call in line.calls]


async def test_a_customer_is_told_without_what_is_nobodys_business(stripe: Stripe) -> None:
    found = await stripe.customer(ADA.stripe_id)
    assert found is not None
    assert (found.id, found.email, found.name, found.user_id) == (ADA.stripe_id, ADA.email, ADA.name, ADA.id)
    assert await stripe.customer("cus_nobody") is None


async def test_a_deleted_customer_is_answered_200_and_is_not_there(stripe: Stripe) -> None:
    await stripe.send("DELETE", "/v1/customers/{id}", args={"id": ADA.stripe_id})
    assert (await stripe.send("GET", "/v1/customers/{id}", args={"id": ADA.stripe_id})).status == 200
    assert await stripe.customer(ADA.stripe_id) is None
    assert await stripe.payment_methods(ADA.stripe_id) is None
    assert await stripe.default_payment_method(ADA.stripe_id) is None


async def test_a_guest_is_found_by_address_within_the_client_that_made_them(stripe: Stripe) -> None:
    made = await stripe.create_guest("c1", "guest@x.example", "Guest")
    assert (made.email, made.client, made.user_id) == ("guest@x.example", "c1", None)
    assert (await stripe.create_guest("c1", "guest@x.example", "Guest")).id == made.id
    other = await stripe.create_guest("c2", "guest@x.example", "Guest")
    assert [row.id for row in await stripe.guests("c1", "guest@x.example")] == [made.id]
    assert [row.id for row in await stripe.guests("c2", "guest@x.example")] == [other.id]
    assert await stripe.guests("c1", ADA.email) == []


async def test_payment_methods_are_those_of_all_pages(stripe: Stripe, line: FaultLine) -> None:
    for n in range(101):
        path, args = "/v1/payment_methods/{id}/attach", {"id": "pm_card_mastercard"}
        await stripe.send(
            "POST", path, args=args, form=[("customer", ADA.stripe_id)], headers={"Idempotency-Key": f"{n}"}
        )
    line.calls.clear()
    found = await stripe.payment_methods(ADA.stripe_id)
    assert found is not None
    assert len({method.id for method in found}) == 102
    assert asked(line) == [f"GET /v1/customers/{ADA.stripe_id}/payment_methods"] * 2
    [visa] = [method for method in found if method.id == ADA.card_id]
    assert (visa.type, visa.brand, visa.last4, visa.exp_month) == ("card", "visa", "4242", 8)
    assert await stripe.payment_methods("cus_nobody") is None


async def test_what_is_no_card_has_a_type_and_nothing_else() -> None:
    page = {"object": "list", "has_more": False, "data": [{"id": "pm_1", "type": "sepa_debit", "sepa_debit": {}}]}
    [method] = await answering(lambda request: httpx.Response(200, json=page)).payment_methods("cus_1") or []
    assert (method.type, method.brand, method.last4, method.exp_month, method.exp_year) == ("sepa_debit", *[None] * 4)


async def test_a_payment_to_be_confirmed_names_no_payment_method_types() -> None:
    sent: list[dict[str, str]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(dict(parse_qsl(request.content.decode())))
        return httpx.Response(200, json={**INTENT, "client_secret": "pi_1_secret_x"})

    new = NewIntent(Decimal("5"), "ISK", customer="cus_1", payment_method="pm_1", hold=True, metadata={"order": "o1"})
    made = await answering(answer).create_intent(new, key="k")
    assert made.client_secret == "pi_1_secret_x"
    assert sent == [
        {
            "amount": "500", "currency": "isk", "customer": "cus_1", "payment_method": "pm_1",
            "capture_method": "manual", "automatic_payment_methods[enabled]": "true", "metadata[order]": "o1",
        }
    ]  # fmt: skip


async def test_this_version_refuses_the_removed_parameter(stripe: Stripe) -> None:
    form = [("amount", "500"), ("currency", "eur"), ("payment_method_types[0]", "card")]
    with pytest.raises(BackendRejected) as refused:
        await stripe.send("POST", "/v1/payment_intents", form=form)
    assert refused.value.reason == "payment_method_types_no_longer_supported"


async def test_a_payment_waits_for_its_payer_and_one_key_makes_one(stripe: Stripe) -> None:
    new = NewIntent(Decimal("12.50"), "EUR", customer=ADA.stripe_id, metadata={CLIENT_REFERENCE: "c1"})
    made = await stripe.create_intent(new, key="k")
    assert (made.status, made.amount, made.capture_method) == (
        IntentStatus.REQUIRES_PAYMENT_METHOD,
        Decimal("12.50"),
        "automatic",
    )
    assert made.client_secret is not None
    assert made.client_secret.startswith(f"{made.id}_secret_")
    assert (await stripe.create_intent(new, key="k")).id == made.id
    read = await stripe.intent(made.id)
    assert read is not None
    assert read.metadata == {CLIENT_REFERENCE: "c1"}
    assert not hasattr(read, "client_secret")


@pytest.mark.parametrize(("amount", "currency"), [("0", "EUR"), ("1.001", "EUR"), ("1.5", "ISK")])
async def test_an_amount_that_cannot_be_paid_is_not_even_asked_for(
    stripe: Stripe, line: FaultLine, amount: str, currency: str
) -> None:
    with pytest.raises(BackendRejected) as refused:
        await stripe.create_intent(NewIntent(Decimal(amount), currency), key="k")
    assert refused.value.reason == "amount_invalid"
    assert asked(line) == []


# -- refunds and subscriptions -----------------------------------------------------------------------------------------


async def test_what_was_taken_is_given_back_in_parts(stripe: Stripe) -> None:
    held = await stripe.create_hold(hold(), key="h")
    await stripe.capture(held.id, key="c")
    part = await stripe.refund(held.id, key="r1", amount=Decimal("20"), currency="EUR")
    assert (part.amount, part.currency, part.status, part.payment_intent) == (
        Decimal("20.00"),
        "EUR",
        "succeeded",
        held.id,
    )
    assert (await stripe.refund(held.id, key="r2")).amount == Decimal("30.00")
    assert (await stripe.refund(held.id, key="r1", amount=Decimal("20"), currency="EUR")).id == part.id
    with pytest.raises(BackendRejected) as refused:
        await stripe.refund(held.id, key="r3")
    assert refused.value.reason == "charge_already_refunded"
    assert [refund.amount for refund in await stripe.refunds(held.id)] == [Decimal("30.00"), Decimal("20.00")]


async def test_a_subscription_is_paid_at_once_and_its_period_stands_on_its_item(stripe: Stripe) -> None:
    new = NewSubscription(ADA.stripe_id, PRICE_ID, {CLIENT_REFERENCE: "c1"})
    made = await stripe.create_subscription(new, key="s")
    assert (made.status, made.price_id, made.customer) == ("active", PRICE_ID, ADA.stripe_id)
    assert made.current_period_end is not None
    assert timedelta(days=27) < made.current_period_end - datetime.now(UTC) < timedelta(days=32)
    assert (await stripe.create_subscription(new, key="s")).id == made.id
    assert await stripe.subscription(made.id) == made
    assert await stripe.subscription("sub_nobody") is None
    paid = [intent async for intent in stripe._intents(ADA.stripe_id, LONG_AGO)]
    assert [intent.amount_minor for intent in paid] == [MONTHLY_MINOR]


async def test_a_subscription_that_is_not_paid_is_none(stripe: Stripe) -> None:
    path, args = "/v1/payment_methods/{id}/attach", {"id": "pm_card_chargeCustomerFail"}
    attached = await stripe.send("POST", path, args=args, form=[("customer", ADA.stripe_id)])
    method = httpx.Response(200, content=attached.body).json()["id"]
    form = [("invoice_settings[default_payment_method]", method)]
    await stripe.send("POST", "/v1/customers/{id}", args={"id": ADA.stripe_id}, form=form)
    with pytest.raises(BackendRejected) as refused:
        await stripe.create_subscription(NewSubscription(ADA.stripe_id, PRICE_ID), key="s")
    assert (refused.value.status, refused.value.reason) == (402, "generic_decline")
    listed = await stripe.send("GET", "/v1/subscriptions", query=[("customer", ADA.stripe_id), ("status", "all")])
    assert httpx.Response(200, content=listed.body).json()["data"] == []


async def test_a_subscription_ends_once(stripe: Stripe) -> None:
    made = await stripe.create_subscription(NewSubscription(ADA.stripe_id, PRICE_ID), key="s")
    assert (await stripe.cancel_subscription(made.id)).is_ended
    assert (await stripe.cancel_subscription(made.id)).is_ended
    with pytest.raises(BackendRejected):
        await stripe.cancel_subscription("sub_nobody")
