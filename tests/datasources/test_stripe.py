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
from datasources.stripe import API_VERSION, IntentStatus, NewHold, Stripe, Undone, form_of
from sandbox import stripe as simulator
from sandbox.faults import FaultLine
from sandbox.keys import STRIPE_SECRET_KEY
from sandbox.store import Store
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
