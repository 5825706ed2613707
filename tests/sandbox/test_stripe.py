"""The Stripe simulator: most of it through the official SDK, over a real socket; the rest by raw requests."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
import stripe
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.types import ASGIApp

from sandbox.keys import STRIPE_SECRET_KEY
from sandbox.store import Store
from sandbox.stripe import create_app, seed
from sandbox.stripe.seeding import PRICE_ID, PRODUCT_ID
from sandbox.world import Person, World
from tests.clocks import ManualClock

stripe.enable_telemetry = False
# The SDK hands httpx encoded text under the name that httpx has deprecated for it.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=<...>':DeprecationWarning")

NOW = 1_790_000_000
DAY_S = 86_400
NO_REDIRECTS: Any = {"enabled": True, "allow_redirects": "never"}
HOLD: dict[str, str] = {
    "amount": "5000",
    "currency": "eur",
    "capture_method": "manual",
    "confirm": "true",
    "payment_method": "pm_card_visa",
    "automatic_payment_methods[enabled]": "true",
    "automatic_payment_methods[allow_redirects]": "never",
}


@dataclass
class Simulator:
    sdk: stripe.StripeClient
    raw: httpx.AsyncClient
    store: Store
    clock: ManualClock

    async def events(self) -> list[str]:
        """Types of everything that happened, oldest first."""
        listed = await self.sdk.v1.events.list_async({"limit": 100})
        return [str(event.type) for event in listed.data][::-1]


class Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to pytest."""
        yield


@asynccontextmanager
async def serve(app: ASGIApp) -> AsyncIterator[str]:
    """`app` on a loopback port. Its socket listens before anybody is told, so nobody has to wait for it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = Server(uvicorn.Config(app, log_level="warning", lifespan="off"))
        running = asyncio.create_task(server.serve([listening]))
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            await running


def raw_client(app: ASGIApp) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url="http://stripe",
        headers={"Authorization": f"Bearer {STRIPE_SECRET_KEY}"},
    )


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    store, clock = Store(None), ManualClock(NOW)
    store.seed(seed)
    app = create_app(store, clock=clock)
    # Mounted below a path, as the sandbox does it.
    async with serve(Starlette(routes=[Mount("/stripe", app)])) as url, raw_client(app) as raw:
        http = stripe.HTTPXClient()
        yield Simulator(
            stripe.StripeClient(STRIPE_SECRET_KEY, base_addresses={"api": f"{url}/stripe"}, http_client=http),
            raw,
            store,
            clock,
        )
        await http.close_async()  # type: ignore[no-untyped-call]
    store.close()


@pytest.fixture
async def raw() -> AsyncIterator[httpx.AsyncClient]:
    store = Store(None)
    store.seed(seed)
    async with raw_client(create_app(store, clock=ManualClock(NOW))) as client:
        yield client
    store.close()


@pytest.fixture(scope="module")
def person() -> Person:
    return World(datetime.now(UTC)).customers[0]


def plain(value: Any) -> Any:
    """An SDK object as the JSON that it was."""
    return None if value is None else value.to_dict()


def error(response: httpx.Response) -> dict[str, Any]:
    body: dict[str, Any] = response.json()
    assert set(body) == {"error"}
    found: dict[str, Any] = body["error"]
    assert found["message"]
    assert None not in found.values()
    return found


# The demo world ------------------------------------------------------------------------------------------------


async def test_every_customer_of_the_demo_world_has_a_default_card(simulator: Simulator, person: Person) -> None:
    customer = await simulator.sdk.v1.customers.retrieve_async(
        person.stripe_id, {"expand": ["invoice_settings.default_payment_method"]}
    )
    assert (customer.email, plain(customer.metadata)) == (person.email, {"gateway_user_id": person.id})
    assert customer.invoice_settings is not None
    card = customer.invoice_settings.default_payment_method
    assert isinstance(card, stripe.PaymentMethod)
    assert card.card is not None
    assert (card.id, card.card.brand, card.card.last4) == (person.card_id, "visa", "4242")


async def test_a_customer_is_found_by_exact_email(simulator: Simulator, person: Person) -> None:
    found = await simulator.sdk.v1.customers.list_async({"email": person.email})
    assert [customer.id for customer in found.data] == [person.stripe_id]
    assert (await simulator.sdk.v1.customers.list_async({"email": person.email.upper()})).data == []


async def test_cards_of_a_customer_are_listed(simulator: Simulator, person: Person) -> None:
    cards = await simulator.sdk.v1.customers.payment_methods.list_async(person.stripe_id, {"type": "card"})
    assert [card.id for card in cards.data] == [person.card_id]
    one = await simulator.sdk.v1.customers.payment_methods.retrieve_async(person.stripe_id, person.card_id)
    assert one.customer == person.stripe_id


# Holding, taking, giving back ----------------------------------------------------------------------------------


async def hold(simulator: Simulator, amount: int = 5000, **also: Any) -> stripe.PaymentIntent:
    params: Any = {
        "amount": amount,
        "currency": "eur",
        "capture_method": "manual",
        "confirm": True,
        "payment_method": "pm_card_visa",
        "automatic_payment_methods": NO_REDIRECTS,
        **also,
    }
    return await simulator.sdk.v1.payment_intents.create_async(params)


async def test_a_hold_is_placed_on_the_default_card_and_captured_in_part(simulator: Simulator, person: Person) -> None:
    held = await hold(
        simulator, customer=person.stripe_id, payment_method=person.card_id, metadata={"order": "1"}, off_session=True
    )
    assert (held.status, held.amount_capturable, held.amount_received) == ("requires_capture", 5000, 0)
    captured = await simulator.sdk.v1.payment_intents.capture_async(
        held.id, {"amount_to_capture": 3000, "expand": ["latest_charge.balance_transaction"]}
    )
    assert (captured.status, captured.amount_capturable, captured.amount_received) == ("succeeded", 0, 3000)
    charge = captured.latest_charge
    assert isinstance(charge, stripe.Charge)
    assert (charge.captured, charge.amount, charge.amount_captured, charge.refunded) == (True, 5000, 3000, False)
    assert isinstance(charge.balance_transaction, stripe.BalanceTransaction)
    assert charge.balance_transaction.amount == 3000
    assert plain(captured.metadata) == {"order": "1"}
    assert await simulator.events() == [
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.amount_capturable_updated",
        "charge.captured",
        "payment_intent.succeeded",
    ]


async def test_more_than_was_held_cannot_be_captured(simulator: Simulator) -> None:
    held = await hold(simulator)
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await simulator.sdk.v1.payment_intents.capture_async(held.id, {"amount_to_capture": 5001})
    assert refused.value.code == "amount_too_large"
    assert (await simulator.sdk.v1.payment_intents.retrieve_async(held.id)).status == "requires_capture"


async def test_a_hold_is_released_by_canceling_and_then_cannot_be_captured(simulator: Simulator) -> None:
    held = await hold(simulator)
    canceled = await simulator.sdk.v1.payment_intents.cancel_async(held.id, {"cancellation_reason": "abandoned"})
    assert (canceled.status, canceled.amount_capturable, canceled.canceled_at) == ("canceled", 0, NOW)
    assert canceled.cancellation_reason == "abandoned"
    for again in (simulator.sdk.v1.payment_intents.capture_async, simulator.sdk.v1.payment_intents.cancel_async):
        with pytest.raises(stripe.InvalidRequestError) as refused:
            await again(held.id)
        assert refused.value.code == "payment_intent_unexpected_state"
    assert (await simulator.sdk.v1.refunds.list_async({"payment_intent": held.id})).data == []


async def test_a_hold_expires_after_seven_days_and_sooner_when_the_customer_was_away(simulator: Simulator) -> None:
    present, away = await hold(simulator), await hold(simulator, off_session=True)
    simulator.clock.now += 4 * DAY_S + 18 * 3600 + 1
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await simulator.sdk.v1.payment_intents.capture_async(away.id)
    assert refused.value.code == "capture_charge_authorization_expired"
    expired = await simulator.sdk.v1.payment_intents.retrieve_async(away.id)
    assert (expired.status, expired.cancellation_reason) == ("canceled", "expired")
    simulator.clock.now = NOW + 7 * DAY_S
    assert (await simulator.sdk.v1.payment_intents.retrieve_async(present.id)).status == "requires_capture"
    simulator.clock.now += 1
    listed = await simulator.sdk.v1.payment_intents.list_async()
    assert {intent.status for intent in listed.data} == {"canceled"}


async def test_refunds_add_up_to_what_was_captured_and_no_further(simulator: Simulator) -> None:
    held = await hold(simulator)
    await simulator.sdk.v1.payment_intents.capture_async(held.id, {"amount_to_capture": 3000})
    refunds = simulator.sdk.v1.refunds
    first = await refunds.create_async({"payment_intent": held.id, "amount": 1000, "reason": "requested_by_customer"})
    assert (first.status, first.amount, first.reason) == ("succeeded", 1000, "requested_by_customer")
    with pytest.raises(stripe.InvalidRequestError, match="greater than unrefunded amount"):
        await refunds.create_async({"payment_intent": held.id, "amount": 2001})
    assert first.charge is not None
    rest = await refunds.create_async({"charge": str(first.charge)})
    assert rest.amount == 2000
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await refunds.create_async({"payment_intent": held.id})
    assert refused.value.code == "charge_already_refunded"
    charge = await simulator.sdk.v1.charges.retrieve_async(str(first.charge))
    assert (charge.amount_refunded, charge.refunded) == (3000, True)
    listed = await refunds.list_async({"payment_intent": held.id})
    assert [refund.id for refund in listed.data] == [rest.id, first.id]
    assert (await refunds.retrieve_async(first.id)).id == first.id


async def test_a_hold_is_not_refunded_but_canceled(simulator: Simulator) -> None:
    held = await hold(simulator)
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await simulator.sdk.v1.refunds.create_async({"payment_intent": held.id})
    assert refused.value.code == "payment_intent_unexpected_state"


async def test_the_balance_is_what_came_in_less_what_went_out(simulator: Simulator) -> None:
    paid = await hold(simulator, capture_method="automatic")
    await simulator.sdk.v1.refunds.create_async({"payment_intent": paid.id, "amount": 1000})
    fee = 75  # 1.5 % of 50.00
    balance = await simulator.sdk.v1.balance.retrieve_async()
    assert [(sum_.amount, sum_.currency) for sum_ in balance.pending] == [(5000 - fee - 1000, "eur")]
    simulator.clock.now += 3 * DAY_S
    balance = await simulator.sdk.v1.balance.retrieve_async()
    assert [(sum_.amount, sum_.currency) for sum_ in balance.available] == [(5000 - fee - 1000, "eur")]


async def test_a_payment_is_made_in_separate_steps(simulator: Simulator) -> None:
    intents = simulator.sdk.v1.payment_intents
    intent = await intents.create_async(
        {"amount": 1099, "currency": "eur", "automatic_payment_methods": NO_REDIRECTS, "metadata": {"a": "1", "b": "2"}}
    )
    assert intent.status == "requires_payment_method"
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await intents.confirm_async(intent.id)
    assert refused.value.code == "payment_intent_unexpected_state"
    intent = await intents.update_async(
        intent.id, {"amount": 1299, "payment_method": "pm_card_mastercard", "metadata": {"a": "", "c": "3"}}
    )
    assert (intent.status, intent.amount, plain(intent.metadata)) == (
        "requires_confirmation",
        1299,
        {"b": "2", "c": "3"},
    )
    intent = await intents.confirm_async(intent.id)
    assert (intent.status, intent.amount_received) == ("succeeded", 1299)
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await intents.update_async(intent.id, {"amount": 1})
    assert refused.value.code == "payment_intent_unexpected_state"


async def test_incremental_authorization_is_not_enabled(simulator: Simulator) -> None:
    held = await hold(simulator)
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await simulator.sdk.v1.payment_intents.increment_authorization_async(held.id, {"amount": 6000})
    assert refused.value.http_status == 400


# Cards that do not pay -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("card", "code", "decline_code"),
    [
        ("pm_card_visa_chargeDeclined", "card_declined", "generic_decline"),
        ("pm_card_visa_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
        ("pm_card_chargeCustomerFail", "card_declined", "generic_decline"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card", None),
    ],
)
async def test_a_declined_payment_is_an_error_and_leaves_a_payment_to_try_again(
    simulator: Simulator, card: str, code: str, decline_code: str | None
) -> None:
    with pytest.raises(stripe.CardError) as declined:
        await hold(simulator, payment_method=card)
    failure = declined.value.error
    assert failure is not None
    assert (declined.value.http_status, declined.value.code, failure.decline_code) == (402, code, decline_code)
    assert failure.payment_intent is not None
    intent = await simulator.sdk.v1.payment_intents.retrieve_async(
        failure.payment_intent.id, {"expand": ["latest_charge"]}
    )
    assert (intent.status, intent.payment_method) == ("requires_payment_method", None)
    assert intent.last_payment_error is not None
    assert intent.last_payment_error.code == code
    assert isinstance(intent.latest_charge, stripe.Charge)
    assert (intent.latest_charge.id, intent.latest_charge.status) == (failure.charge, "failed")
    again = await simulator.sdk.v1.payment_intents.confirm_async(intent.id, {"payment_method": "pm_card_visa"})
    assert (again.status, again.last_payment_error) == ("requires_capture", None)


@pytest.mark.parametrize("card", ["pm_card_threeDSecure2Required", "pm_card_authenticationRequired"])
async def test_a_card_that_wants_authentication_waits_for_its_owner(simulator: Simulator, card: str) -> None:
    intent = await hold(simulator, payment_method=card)
    assert (intent.status, intent.latest_charge) == ("requires_action", None)
    assert intent.next_action is not None
    assert intent.next_action.type == "use_stripe_sdk"


@pytest.mark.parametrize(
    ("result", "status"), [("succeeded", "requires_capture"), ("failed", "requires_payment_method")]
)
async def test_the_owner_authenticates_on_a_page_and_is_sent_back(
    simulator: Simulator, result: str, status: str
) -> None:
    intent = await hold(
        simulator, payment_method="pm_card_threeDSecure2Required", return_url="https://shop.example/done?cart=7"
    )
    assert intent.next_action is not None
    assert intent.next_action.redirect_to_url is not None
    page = f"{intent.next_action.redirect_to_url.url}&result={result}"
    assert urlsplit(page).path == f"/stripe/authenticate/{intent.id}"
    async with httpx.AsyncClient() as browser:
        forged = await browser.get(page.replace("client_secret=", "client_secret=x"))
        back = await browser.get(page)
        again = await browser.get(page)
    assert (forged.status_code, back.status_code, again.status_code) == (404, 303, 409)
    assert back.headers["location"].startswith("https://shop.example/done?cart=7&payment_intent=")
    assert back.headers["location"].endswith(f"redirect_status={result}")
    assert (await simulator.sdk.v1.payment_intents.retrieve_async(intent.id)).status == status


async def test_a_card_that_wants_authentication_is_declined_when_nobody_is_there(simulator: Simulator) -> None:
    for away in ({"off_session": True}, {"error_on_requires_action": True}):
        with pytest.raises(stripe.CardError) as declined:
            await hold(simulator, payment_method="pm_card_authenticationRequired", **away)
        assert declined.value.code == "authentication_required"
        assert (await simulator.sdk.v1.payment_intents.list_async({"limit": 1})).data[
            0
        ].status == "requires_payment_method"


async def test_a_test_card_that_is_not_simulated_is_said_to_be_so(simulator: Simulator) -> None:
    with pytest.raises(stripe.APIError) as refused:
        await hold(simulator, payment_method="pm_card_createDispute")
    assert refused.value.http_status == 501


# Customers and their cards -------------------------------------------------------------------------------------


async def test_a_customer_is_created_changed_and_deleted(simulator: Simulator) -> None:
    customers = simulator.sdk.v1.customers
    created = await customers.create_async(
        {
            "email": "ada@example.com",
            "name": "Ada",
            "payment_method": "pm_card_visa",
            "invoice_settings": {"default_payment_method": "pm_card_visa"},
            "address": {"city": "Tirana", "country": "AL"},
        }
    )
    assert created.invoice_settings is not None
    card = str(created.invoice_settings.default_payment_method)
    assert card.startswith("pm_")
    assert created.address is not None
    assert (created.address.city, created.address.line1) == ("Tirana", None)
    changed = await customers.update_async(created.id, {"name": "", "metadata": {"a": "1"}})
    assert (changed.name, changed.email, plain(changed.metadata)) == (None, "ada@example.com", {"a": "1"})
    deleted = await customers.delete_async(created.id)
    assert deleted.deleted is True
    gone = await customers.retrieve_async(created.id)
    assert gone.to_dict() == {"id": created.id, "object": "customer", "deleted": True}
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await customers.update_async(created.id, {"name": "Ada"})
    assert (refused.value.http_status, refused.value.code) == (404, "resource_missing")
    assert (await customers.list_async({"email": "ada@example.com"})).data == []
    assert (await simulator.sdk.v1.payment_methods.retrieve_async(card)).customer is None


async def test_a_detached_card_is_no_longer_the_default_nor_ever_usable(simulator: Simulator, person: Person) -> None:
    methods = simulator.sdk.v1.payment_methods
    detached = await methods.detach_async(person.card_id)
    assert detached.customer is None
    customer = await simulator.sdk.v1.customers.retrieve_async(person.stripe_id)
    assert customer.invoice_settings is not None
    assert customer.invoice_settings.default_payment_method is None
    with pytest.raises(stripe.InvalidRequestError, match="may not be used again"):
        await methods.attach_async(person.card_id, {"customer": person.stripe_id})
    with pytest.raises(stripe.InvalidRequestError, match="may not be used again"):
        await hold(simulator, payment_method=person.card_id)


async def test_a_card_is_attached_unless_its_issuer_declines(simulator: Simulator, person: Person) -> None:
    methods = simulator.sdk.v1.payment_methods
    attached = await methods.attach_async("pm_card_mastercard", {"customer": person.stripe_id})
    assert attached.customer == person.stripe_id
    with pytest.raises(stripe.CardError) as declined:
        await methods.attach_async("pm_card_visa_chargeDeclined", {"customer": person.stripe_id})
    assert declined.value.code == "card_declined"
    await methods.attach_async("pm_card_chargeCustomerFail", {"customer": person.stripe_id})
    cards = await simulator.sdk.v1.customers.payment_methods.list_async(person.stripe_id)
    assert sorted(str(card.card.last4) for card in cards.data if card.card) == ["0341", "4242", "4444"]


async def test_nobody_pays_with_the_card_of_another(simulator: Simulator, person: Person) -> None:
    other = await simulator.sdk.v1.customers.create_async({"name": "Other"})
    customers: list[Any] = [{}, {"customer": other.id}]
    for customer in customers:
        with pytest.raises(stripe.InvalidRequestError):
            await hold(simulator, payment_method=person.card_id, **customer)
    assert (await simulator.sdk.v1.payment_intents.list_async()).data == []


async def test_setup_future_usage_saves_the_card_for_the_customer(simulator: Simulator) -> None:
    customer = await simulator.sdk.v1.customers.create_async({"name": "Ada"})
    paid = await hold(simulator, customer=customer.id, setup_future_usage="off_session")
    cards = await simulator.sdk.v1.customers.payment_methods.list_async(customer.id)
    assert [card.id for card in cards.data] == [paid.payment_method]


async def test_a_setup_intent_is_prepared_for_the_browser(simulator: Simulator, person: Person) -> None:
    prepared = await simulator.sdk.v1.setup_intents.create_async(
        {"customer": person.stripe_id, "usage": "off_session", "automatic_payment_methods": {"enabled": True}}
    )
    assert (prepared.status, prepared.usage) == ("requires_payment_method", "off_session")
    found = await simulator.sdk.v1.setup_intents.retrieve_async(prepared.id, {"expand": ["customer"]})
    assert found.client_secret == prepared.client_secret
    assert isinstance(found.customer, stripe.Customer)


# Subscriptions -------------------------------------------------------------------------------------------------


async def test_a_subscription_is_paid_by_the_default_card_and_canceled(simulator: Simulator, person: Person) -> None:
    subscriptions = simulator.sdk.v1.subscriptions
    created = await subscriptions.create_async(
        {"customer": person.stripe_id, "items": [{"price": PRICE_ID, "quantity": 2}], "expand": ["latest_invoice"]}
    )
    item = created["items"].data[0]
    assert (created.status, item.price.id, item.quantity) == ("active", PRICE_ID, 2)
    assert 28 * DAY_S <= item.current_period_end - NOW <= 31 * DAY_S
    assert isinstance(created.latest_invoice, stripe.Invoice)
    assert (created.latest_invoice.status, created.latest_invoice.amount_paid) == ("paid", 3800)
    paid = await simulator.sdk.v1.payment_intents.list_async({"customer": person.stripe_id})
    assert [(intent.status, intent.amount) for intent in paid.data] == [("succeeded", 3800)]
    leaving = await subscriptions.update_async(created.id, {"cancel_at_period_end": True})
    assert (leaving.status, leaving.cancel_at) == ("active", item.current_period_end)
    ended = await subscriptions.cancel_async(created.id)
    assert (ended.status, ended.ended_at) == ("canceled", NOW)
    assert (await subscriptions.list_async({"customer": person.stripe_id})).data == []
    everything = await subscriptions.list_async({"customer": person.stripe_id, "status": "all"})
    assert [subscription.id for subscription in everything.data] == [created.id]


async def test_a_subscription_whose_first_payment_fails_is_incomplete_until_it_is_paid(simulator: Simulator) -> None:
    customer = await simulator.sdk.v1.customers.create_async(
        {
            "payment_method": "pm_card_chargeCustomerFail",
            "invoice_settings": {"default_payment_method": "pm_card_chargeCustomerFail"},
        }
    )
    wanted: Any = {"customer": customer.id, "items": [{"price": PRICE_ID}]}
    with pytest.raises(stripe.CardError):
        await simulator.sdk.v1.subscriptions.create_async(wanted | {"payment_behavior": "error_if_incomplete"})
    assert (await simulator.sdk.v1.subscriptions.list_async({"status": "all"})).data == []
    created = await simulator.sdk.v1.subscriptions.create_async(wanted)
    assert created.status == "incomplete"
    intent = (await simulator.sdk.v1.payment_intents.list_async({"customer": customer.id})).data[0]
    await simulator.sdk.v1.payment_intents.confirm_async(intent.id, {"payment_method": "pm_card_visa"})
    assert (await simulator.sdk.v1.subscriptions.retrieve_async(created.id)).status == "active"


async def test_a_trial_costs_nothing_and_an_unpaid_start_expires(simulator: Simulator, person: Person) -> None:
    wanted: Any = {"customer": person.stripe_id, "items": [{"price": PRICE_ID}]}
    subscriptions = simulator.sdk.v1.subscriptions
    trial = await subscriptions.create_async(wanted | {"trial_period_days": 14})
    assert (trial.status, trial.trial_end) == ("trialing", NOW + 14 * DAY_S)
    assert (await simulator.sdk.v1.payment_intents.list_async()).data == []
    unpaid = await subscriptions.create_async(wanted | {"payment_behavior": "default_incomplete"})
    assert unpaid.status == "incomplete"
    simulator.clock.now += 23 * 3600 + 1
    assert (await subscriptions.retrieve_async(unpaid.id)).status == "incomplete_expired"


async def test_the_catalogue_is_read(simulator: Simulator) -> None:
    prices = await simulator.sdk.v1.prices.list_async({"active": True, "expand": ["data.product"]})
    assert [price.id for price in prices.data] == [PRICE_ID]
    assert isinstance(prices.data[0].product, stripe.Product)
    product = await simulator.sdk.v1.products.retrieve_async(PRODUCT_ID)
    assert product.default_price == PRICE_ID
    assert (await simulator.sdk.v1.prices.list_async({"product": "prod_other"})).data == []


# Lists, search, expansion --------------------------------------------------------------------------------------


async def test_lists_are_newest_first_and_paged_both_ways(simulator: Simulator) -> None:
    made = []
    for n in range(5):
        simulator.clock.now = NOW + n // 2  # several within a second
        made.append((await hold(simulator, 1000 + n)).id)
    newest = made[::-1]
    intents = simulator.sdk.v1.payment_intents
    page = await intents.list_async({"limit": 2})
    assert ([intent.id for intent in page.data], page.has_more) == (newest[:2], True)
    page = await intents.list_async({"limit": 2, "starting_after": newest[3]})
    assert ([intent.id for intent in page.data], page.has_more) == (newest[4:], False)
    page = await intents.list_async({"limit": 2, "ending_before": newest[3]})
    assert ([intent.id for intent in page.data], page.has_more) == (newest[1:3], True)
    page = await intents.list_async({"limit": 2})
    assert [intent.id async for intent in page.auto_paging_iter()] == newest
    page = await intents.list_async({"created": {"gt": NOW, "lte": NOW + 1}})
    assert [intent.id for intent in page.data] == newest[1:3]
    with pytest.raises(stripe.InvalidRequestError) as refused:
        await intents.list_async({"starting_after": "pi_nope"})
    assert (refused.value.code, refused.value.param) == ("resource_missing", "starting_after")


async def test_payments_are_listed_by_customer(simulator: Simulator, person: Person) -> None:
    await hold(simulator)
    theirs = await hold(simulator, customer=person.stripe_id, payment_method=person.card_id)
    listed = await simulator.sdk.v1.payment_intents.list_async({"customer": person.stripe_id})
    assert [intent.id for intent in listed.data] == [theirs.id]


async def test_expansion_replaces_ids_by_objects(simulator: Simulator, person: Person) -> None:
    held = await hold(
        simulator,
        customer=person.stripe_id,
        payment_method=person.card_id,
        expand=["latest_charge.customer", "customer.invoice_settings.default_payment_method", "payment_method"],
    )
    assert isinstance(held.latest_charge, stripe.Charge)
    assert isinstance(held.latest_charge.customer, stripe.Customer)
    assert isinstance(held.customer, stripe.Customer)
    assert held.customer.invoice_settings is not None
    assert isinstance(held.customer.invoice_settings.default_payment_method, stripe.PaymentMethod)
    assert isinstance(held.payment_method, stripe.PaymentMethod)
    listed = await simulator.sdk.v1.payment_intents.list_async({"expand": ["data.customer"]})
    assert isinstance(listed.data[0].customer, stripe.Customer)
    assert listed.data[0].latest_charge == held.latest_charge.id


async def test_search_finds_by_metadata_and_other_fields(simulator: Simulator, person: Person) -> None:
    for n in range(3):
        await hold(simulator, 1000 + n, metadata={"order": "7 AND 8"})
    intents = simulator.sdk.v1.payment_intents
    found = await intents.search_async(
        {"query": "metadata['order']:'7 AND 8' AND amount>1000 AND status:\"requires_capture\"", "limit": 1}
    )
    assert [intent.amount for intent in found.data] == [1002]
    found = await intents.search_async(
        {"query": "metadata['order']:'7 AND 8' AND amount>1000", "limit": 1, "page": str(found.next_page)}
    )
    assert ([intent.amount for intent in found.data], found.has_more) == ([1001], False)
    customers = await simulator.sdk.v1.customers.search_async({"query": f"email:'{person.email}'"})
    assert [customer.id for customer in customers.data] == [person.stripe_id]


@pytest.mark.parametrize(
    ("query", "status"), [("email~'@'", 501), ("email:'a' OR email:'b'", 501), ("", 400), ("colour:'red'", 400)]
)
async def test_a_search_beyond_the_subset_is_refused(raw: httpx.AsyncClient, query: str, status: int) -> None:
    response = await raw.get("/v1/customers/search", params={"query": query})
    assert response.status_code == status, error(response)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/payment_intents?expand[]=data.status", 400),
        ("/v1/payment_intents?expand[]=customer", 400),
        ("/v1/payment_intents?expand[]=data.latest_charge.payment_intent.latest_charge.payment_intent.customer", 400),
        ("/v1/customers?expand[]=data.subscriptions", 501),
    ],
)
async def test_what_cannot_be_expanded_is_refused(raw: httpx.AsyncClient, path: str, status: int) -> None:
    response = await raw.get(path)
    assert response.status_code == status, error(response)


# Credentials, versions, headers --------------------------------------------------------------------------------


@pytest.mark.parametrize("authorization", ["", "Bearer sk_test_wrong", "Basic ?", "Bearer", "Digest x"])
async def test_without_the_key_nothing_answers(raw: httpx.AsyncClient, authorization: str) -> None:
    response = await raw.get("/v1/balance", headers={"Authorization": authorization})
    assert response.status_code == 401
    assert error(response)["type"] == "invalid_request_error"
    assert response.headers["Request-Id"].startswith("req_")


async def test_the_key_is_also_taken_as_basic_user(raw: httpx.AsyncClient) -> None:
    assert (await raw.get("/v1/balance", auth=(STRIPE_SECRET_KEY, ""))).status_code == 200
    assert (await raw.get("/v1/balance", headers={"Stripe-Account": "acct_1"})).status_code == 403


async def test_the_version_is_echoed_and_old_ones_are_refused(raw: httpx.AsyncClient) -> None:
    told = await raw.get("/v1/balance", headers={"Stripe-Version": "2026-10-28.endive"})
    assert told.headers["Stripe-Version"] == "2026-10-28.endive"
    assert (await raw.get("/v1/balance")).headers["Stripe-Version"] == "2026-09-30.endive"
    for asked, status in (("2023-08-16", 501), ("yesterday", 400)):
        response = await raw.get("/v1/balance", headers={"Stripe-Version": asked})
        assert response.status_code == status, error(response)


async def test_what_stripe_has_and_this_has_not_is_501(raw: httpx.AsyncClient) -> None:
    for method, path in (("GET", "/v1/disputes"), ("POST", "/v1/products"), ("PUT", "/v1/balance")):
        response = await raw.request(method, path)
        assert (response.status_code, error(response)["type"]) == (501, "api_error")
    assert (await raw.get("/nothing")).status_code == 404


@pytest.mark.parametrize(
    ("path", "param"),
    [
        ("/v1/payment_intents/pi_x", "intent"),
        ("/v1/customers/cus_x", "id"),
        ("/v1/payment_methods/pm_x", "payment_method"),
    ],
)
async def test_what_the_address_does_not_name_is_404(raw: httpx.AsyncClient, path: str, param: str) -> None:
    response = await raw.get(path)
    assert response.status_code == 404
    assert (error(response)["code"], error(response)["param"]) == ("resource_missing", param)


# Parameters ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "code", "param"),
    [
        ({"colour": "red"}, "parameter_unknown", "colour"),
        ({"automatic_payment_methods[colour]": "red"}, "parameter_unknown", "automatic_payment_methods[colour]"),
        ({"amount": None}, "parameter_missing", "amount"),
        ({"amount": "ten"}, "parameter_invalid_integer", "amount"),
        ({"amount": "10.5"}, "parameter_invalid_integer", "amount"),
        ({"amount": "49"}, "amount_too_small", "amount"),
        ({"amount": "100000000"}, "amount_too_large", "amount"),
        ({"currency": "xyz"}, None, "currency"),
        ({"currency": "isk", "amount": "550"}, None, "amount"),
        ({"currency": "kwd", "amount": "5124"}, None, "amount"),
        ({"confirm": "yes"}, None, "confirm"),
        ({"capture_method": "later"}, None, "capture_method"),
        ({"customer": ""}, "parameter_invalid_empty", "customer"),
        ({"customer": "cus_nope"}, "resource_missing", "customer"),
        ({"payment_method": "pm_nope"}, "resource_missing", "payment_method"),
        ({"payment_method_types[]": "card"}, "payment_method_types_no_longer_supported", "payment_method_types"),
        ({"return_url": "nowhere"}, "url_invalid", "return_url"),
        ({"confirm": "false", "return_url": "https://shop.example"}, None, "return_url"),
        ({"automatic_payment_methods[allow_redirects]": "always"}, None, "return_url"),
        ({f"metadata[{'k' * 41}]": "v"}, None, "metadata"),
        ({"metadata[k]": "v" * 501}, None, "metadata[k]"),
        ({f"metadata[{n}]": "v" for n in range(51)}, None, "metadata"),
        ({"expand[]": "colour"}, None, "expand"),
    ],
)
async def test_a_bad_parameter_is_named_and_nothing_is_made(
    raw: httpx.AsyncClient, change: dict[str, str | None], code: str | None, param: str
) -> None:
    form = {name: value for name, value in {**HOLD, **change}.items() if value is not None}
    response = await raw.post("/v1/payment_intents", data=form)
    assert response.status_code == 400
    assert (error(response).get("code"), error(response)["param"]) == (code, param)
    assert (await raw.get("/v1/payment_intents")).json()["data"] == []


@pytest.mark.parametrize("action", ["", "/confirm"])
async def test_payment_method_types_cannot_be_changed_later_either(raw: httpx.AsyncClient, action: str) -> None:
    held = (await raw.post("/v1/payment_intents", data=HOLD)).json()
    assert held["payment_method_types"] == ["card"]
    response = await raw.post(f"/v1/payment_intents/{held['id']}{action}", data={"payment_method_types[0]": "card"})
    assert (response.status_code, error(response)["code"]) == (400, "payment_method_types_no_longer_supported")


async def test_a_parameter_that_is_not_simulated_is_501(raw: httpx.AsyncClient) -> None:
    response = await raw.post("/v1/payment_intents", data={**HOLD, "application_fee_amount": "1"})
    assert response.status_code == 501
    assert "application_fee_amount" in error(response)["message"]


@pytest.mark.parametrize(
    "body",
    [
        b"customer=%s&items[0][price]=%s&items[0][quantity]=2&expand[]=customer&expand[]=latest_invoice",
        b"customer=%s&items%%5B%%5D%%5Bprice%%5D=%s&items[][quantity]=2&expand[0]=customer&expand[1]=latest_invoice",
    ],
)
async def test_arrays_come_with_indexes_or_without(raw: httpx.AsyncClient, person: Person, body: bytes) -> None:
    form = body % (person.stripe_id.encode(), PRICE_ID.encode())
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    created = (await raw.post("/v1/subscriptions", content=form, headers=headers)).json()
    assert [item["quantity"] for item in created["items"]["data"]] == [2]
    assert (created["customer"]["object"], created["latest_invoice"]["object"]) == ("customer", "invoice")


async def test_a_json_body_is_refused(raw: httpx.AsyncClient) -> None:
    response = await raw.post("/v1/customers", json={"name": "Ada"})
    assert response.status_code == 400, error(response)


# Idempotency ---------------------------------------------------------------------------------------------------


async def test_the_same_key_gets_the_same_answer_even_after_a_restart(tmp_path: Path) -> None:
    key = {"Idempotency-Key": "hold:order-1"}
    store = Store(tmp_path / "stripe.db")
    store.seed(seed)
    async with raw_client(create_app(store, clock=ManualClock(NOW))) as raw:
        first = await raw.post("/v1/payment_intents", data=HOLD, headers=key)
        again = await raw.post("/v1/payment_intents", data=HOLD, headers=key)
    store.close()
    assert first.headers["Idempotency-Key"] == "hold:order-1"
    assert "Idempotent-Replayed" not in first.headers
    reopened = Store(tmp_path / "stripe.db")
    reopened.seed(seed)
    async with raw_client(create_app(reopened, clock=ManualClock(NOW))) as raw:
        later = await raw.post("/v1/payment_intents", data=HOLD, headers=key)
        listed = (await raw.get("/v1/payment_intents")).json()["data"]
    reopened.close()
    assert first.json()["status"] == "requires_capture"
    for replay in (again, later):
        assert (replay.status_code, replay.json()) == (200, first.json())
        assert replay.headers["Idempotent-Replayed"] == "true"
        assert replay.headers["Request-Id"] != first.headers["Request-Id"]
    assert [intent["id"] for intent in listed] == [first.json()["id"]]


async def test_a_replay_tells_what_was_true_then(simulator: Simulator) -> None:
    options: Any = {"idempotency_key": "once"}
    params: Any = {"amount": 900, "currency": "eur"}
    first = await simulator.sdk.v1.payment_intents.create_async(params, options)
    await simulator.sdk.v1.payment_intents.cancel_async(first.id)
    again = await simulator.sdk.v1.payment_intents.create_async(params, options)
    assert (again.id, again.status) == (first.id, "requires_payment_method")


async def test_a_key_is_for_one_request_only(simulator: Simulator) -> None:
    options: Any = {"idempotency_key": "once"}
    await simulator.sdk.v1.payment_intents.create_async({"amount": 900, "currency": "eur"}, options)
    with pytest.raises(stripe.IdempotencyError) as refused:
        await simulator.sdk.v1.payment_intents.create_async({"amount": 901, "currency": "eur"}, options)
    assert refused.value.http_status == 400
    with pytest.raises(stripe.IdempotencyError):
        await simulator.sdk.v1.customers.create_async({"name": "Ada"}, options)
    assert len((await simulator.sdk.v1.payment_intents.list_async()).data) == 1


async def test_a_decline_is_replayed_too(raw: httpx.AsyncClient) -> None:
    form, key = {**HOLD, "payment_method": "pm_card_visa_chargeDeclined"}, {"Idempotency-Key": "declined"}
    first = await raw.post("/v1/payment_intents", data=form, headers=key)
    again = await raw.post("/v1/payment_intents", data=form, headers=key)
    assert (first.status_code, again.status_code) == (402, 402)
    assert again.json() == first.json()
    assert len((await raw.get("/v1/payment_intents")).json()["data"]) == 1


async def test_a_request_that_was_never_executed_does_not_use_its_key_up(raw: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": "k"}
    assert (await raw.post("/v1/payment_intents", data={**HOLD, "colour": "red"}, headers=key)).status_code == 400
    refused = await raw.post("/v1/payment_intents", data=HOLD, headers={**key, "Authorization": "Bearer no"})
    assert refused.status_code == 401
    response = await raw.post("/v1/payment_intents", data=HOLD, headers=key)
    assert response.status_code == 200
    assert "Idempotent-Replayed" not in response.headers


async def test_a_key_is_forgotten_after_a_day(simulator: Simulator) -> None:
    key = {"Idempotency-Key": "k"}
    first = await simulator.raw.post("/v1/customers", data={"name": "Ada"}, headers=key)
    simulator.clock.now += DAY_S - 1
    again = await simulator.raw.post("/v1/customers", data={"name": "Ada"}, headers=key)
    simulator.clock.now += 1
    new = await simulator.raw.post("/v1/customers", data={"name": "Ada"}, headers=key)
    assert first.json()["id"] == again.json()["id"] != new.json()["id"]


async def test_a_key_is_refused_while_its_first_request_runs(tmp_path: Path) -> None:
    reached, answered = asyncio.Event(), asyncio.Event()

    async def card_network() -> None:
        reached.set()
        await answered.wait()

    store, key = Store(None), {"Idempotency-Key": "k"}
    async with raw_client(create_app(store, clock=ManualClock(NOW), card_network=card_network)) as raw:
        first = asyncio.create_task(raw.post("/v1/payment_intents", data=HOLD, headers=key))
        await reached.wait()
        second = await raw.post("/v1/payment_intents", data=HOLD, headers=key)
        assert (second.status_code, error(second)["code"]) == (409, "idempotency_key_in_use")
        answered.set()
        done = await first
        third = await raw.post("/v1/payment_intents", data=HOLD, headers=key)
    store.close()
    assert (done.status_code, third.json()) == (200, done.json())
