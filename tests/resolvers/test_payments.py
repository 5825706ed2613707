"""Payments: whose customers somebody may charge, and what may be said about a payment."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from core import operation
from core.backends import BackendName
from core.errors import BackendRejected, BadUserInput, NotFound
from core.idempotency import KeyedRequest
from core.principals import Principal
from datasources.mongo import NewUser, UserStatus
from datasources.mongo.users import UserChanges
from datasources.stripe import IntentStatus
from resolvers import payments
from resolvers.context import Context
from resolvers.payments import CustomerWanted, IntentToMake, checked_metadata
from sandbox.stripe.seeding import PRICE_ID
from tests.callers import SERVICE, WORLD, client, person, platform, user
from tests.office import Office

pytest_plugins = ["tests.backends"]

ANN, BOB = person("CUSTOMER"), person("CUSTOMER", n=1)
STRANGER, ABROAD = person("CUSTOMER", client=1), person("CUSTOMER", client=2)
MANAGER = user(person("MANAGER"))
TEN = Decimal("10.00")


async def methods(office: Office, principal: Principal, customer_id: str) -> list[str] | None:
    found = await payments.payment_methods(office.context(principal), customer_id)
    return None if found is None else [method.id for method in found]


def keyed(office: Office, principal: Principal, key: str, attempt: str = "1") -> Context:
    """Asking under a caller's key."""
    ctx = office.context(principal)
    operation.current().keyed = KeyedRequest(principal.id, "Pay", key, attempt, path="made")
    return ctx


def wanted(**said: Any) -> IntentToMake:
    return IntentToMake(**{"amount": TEN, "currency": "EUR", "customer_id": ANN.stripe_id, **said})


# -- whose they are ----------------------------------------------------------------------------------------------------


async def test_everybody_sees_the_methods_of_customers_who_are_theirs(office: Office) -> None:
    for principal in (SERVICE, client(0), user(person("STAFF")), user(ANN)):
        assert await methods(office, principal, ANN.stripe_id) == [ANN.card_id]
    assert await methods(office, platform(server_side=True), ABROAD.stripe_id) == [ABROAD.card_id]


async def test_what_is_not_theirs_is_not_there_and_stripe_is_not_asked(office: Office) -> None:
    office.forget_calls()
    for principal in (user(BOB), user(STRANGER), client(1), platform(server_side=True), platform(server_side=False)):
        assert await methods(office, principal, ANN.stripe_id) is None
        assert await methods(office, principal, "cus_nobody") is None
    assert office.calls("stripe") == []
    assert await methods(office, SERVICE, "cus_nobody") is None


async def test_a_guest_is_the_clients_that_made_them_until_a_user_is_linked(office: Office) -> None:
    guest = await payments.create_payment_customer(
        office.context(client(0)), CustomerWanted("guest@x.example", "Guest")
    )
    assert await methods(office, MANAGER, guest.id) == []
    assert await methods(office, client(1), guest.id) is None
    assert await methods(office, user(ANN), guest.id) is None
    newcomer = await office.mongo.create_user(NewUser(client_id=WORLD.clients[1].id, email="n@x.example", name="N"))
    await office.mongo.link_account(newcomer.id, BackendName.STRIPE, guest.id, replace=True)
    assert await methods(office, client(1), guest.id) == []
    assert await methods(office, client(0), guest.id) is None


async def test_users_show_what_they_can_pay_with_to_those_who_may_see_them(office: Office) -> None:
    ann = await office.user(ANN.id)
    for principal, shown in ((MANAGER, [ANN.card_id]), (user(BOB), []), (client(1), [])):
        found = await payments.payment_methods_of_user(office.context(principal), ann)
        assert [method.id for method in found] == shown
    staff = await office.user(person("STAFF").id)
    assert await payments.payment_methods_of_user(office.context(MANAGER), staff) == []


# -- payments ----------------------------------------------------------------------------------------------------------


async def test_a_payment_is_made_for_the_customers_user(office: Office) -> None:
    made = await payments.create_payment_intent(
        office.context(MANAGER), wanted(payment_method_id=ANN.card_id, hold=True, metadata={"order": 7})
    )
    assert (made.status, made.amount, made.capture_method) == (IntentStatus.REQUIRES_CONFIRMATION, TEN, "manual")
    assert (made.customer, made.payment_method) == (ANN.stripe_id, ANN.card_id)
    assert made.metadata == {"order": "7", "gateway_client_id": ANN.client.id, "gateway_user_id": ANN.id}
    owner = await office.mongo.owner(BackendName.STRIPE, made.id)
    assert owner is not None
    assert (owner.client_id, owner.user_id) == (ANN.client.id, ANN.id)


async def test_a_payment_of_nobody_in_particular_is_the_callers_clients(office: Office) -> None:
    made = await payments.create_payment_intent(office.context(MANAGER), wanted(customer_id=None))
    assert made.customer is None
    owner = await office.mongo.owner(BackendName.STRIPE, made.id)
    assert owner is not None
    assert (owner.client_id, owner.user_id) == (ANN.client.id, None)
    with pytest.raises(BadUserInput, match="customerId"):
        await payments.create_payment_intent(office.context(platform(server_side=True)), wanted(customer_id=None))
    of_nobody = await payments.create_payment_intent(office.context(SERVICE), wanted(customer_id=None))
    assert of_nobody.metadata == {}


async def test_nobody_charges_customers_or_cards_of_others(office: Office) -> None:
    refused: list[str] = []
    for said in (
        {"customer_id": STRANGER.stripe_id},
        {"customer_id": "cus_nobody"},
        {"payment_method_id": BOB.card_id},
        {"payment_method_id": "pm_nobody"},
        {"payment_method_id": "pm_card_visa"},
    ):
        with pytest.raises(NotFound) as caught:
            await payments.create_payment_intent(office.context(MANAGER), wanted(**said))
        refused.append(str(caught.value))
    assert refused == [payments.NO_CUSTOMER] * 2 + ["there is no such payment method of this customer"] * 3
    with pytest.raises(NotFound):
        await payments.create_payment_intent(office.context(SERVICE), wanted(customer_id="cus_nobody"))
    with pytest.raises(BadUserInput, match="customerId"):
        await payments.create_payment_intent(
            office.context(MANAGER), wanted(customer_id=None, payment_method_id=ANN.card_id)
        )
    assert not any(call.startswith("POST") for call in office.calls("stripe"))


async def test_a_user_who_is_not_active_is_not_charged(office: Office) -> None:
    await office.mongo.revise_user(ANN.id, UserChanges(status=UserStatus.SUSPENDED), check=lambda found: None)
    with pytest.raises(BadUserInput, match="not active"):
        await payments.create_payment_intent(office.context(MANAGER), wanted())
    with pytest.raises(BadUserInput, match="not active"):
        await payments.create_subscription(office.context(MANAGER), ANN.stripe_id, PRICE_ID)


@pytest.mark.parametrize(("amount", "currency"), [("0", "EUR"), ("1.001", "EUR"), ("1.5", "ISK"), ("-3", "USD")])
async def test_an_amount_that_cannot_be_paid_is_the_callers_fault(office: Office, amount: str, currency: str) -> None:
    with pytest.raises(BadUserInput, match="amount"):
        await payments.create_payment_intent(office.context(MANAGER), wanted(amount=Decimal(amount), currency=currency))


async def test_one_key_makes_one_payment_and_is_nobody_elses(office: Office) -> None:
    first = await payments.create_payment_intent(keyed(office, MANAGER, "k"), wanted())
    again = await payments.create_payment_intent(keyed(office, MANAGER, "k", "2"), wanted())
    other = await payments.create_payment_intent(keyed(office, SERVICE, "k"), wanted())
    assert first.id == again.id != other.id
    without = {(await payments.create_payment_intent(office.context(MANAGER), wanted())).id for _ in range(2)}
    assert len(without) == 2


@pytest.mark.parametrize(
    ("metadata", "told"),
    [
        (["a"], "is an object"),
        ({"workflow_id": "order-fulfillment-1"}, "gateway's own"),
        ({"Workflow_ID ": "x"}, "gateway's own"),
        ({"gateway_user_id": "x"}, "gateway's own"),
        ({"gateway_anything": "x"}, "gateway's own"),
        ({"a[b]": "x"}, "brackets"),
        ({"": "x"}, "1 to 40"),
        ({"x" * 41: "x"}, "1 to 40"),
        ({"a": "x" * 501}, "1 to 500"),
        ({"a": ""}, "1 to 500"),
        ({"a": {"b": 1}}, "a text, a number"),
        ({"a": None}, "a text, a number"),
        ({f"k{n}": "x" for n in range(41)}, "at most 40"),
    ],
)
def test_metadata_has_bounds_and_does_not_speak_for_the_gateway(metadata: object, told: str) -> None:
    with pytest.raises(BadUserInput, match=told):
        checked_metadata(metadata)


def test_metadata_is_kept_as_texts() -> None:
    assert checked_metadata({"a": "x", "n": 7, "f": 1.5, "yes": True}) == {
        "a": "x", "n": "7", "f": "1.5", "yes": "true",
    }  # fmt: skip
    assert checked_metadata(None) == {}


# -- customers ---------------------------------------------------------------------------------------------------------


async def test_a_users_customer_is_the_one_they_are_linked_to(office: Office) -> None:
    said = CustomerWanted(ANN.email.upper(), ANN.name, ANN.id)
    found = await payments.create_payment_customer(office.context(MANAGER), said)
    assert (found.id, found.email, found.name) == (ANN.stripe_id, ANN.email, ANN.name)
    assert office.made("stripe") == []


async def test_a_user_without_customer_gets_one_once(office: Office) -> None:
    newcomer = await office.mongo.create_user(NewUser(ANN.client.id, "new@x.example", "New"))
    said = CustomerWanted("new@x.example", user_id=newcomer.id)
    made = await payments.create_payment_customer(office.context(MANAGER), said)
    again = await payments.create_payment_customer(office.context(MANAGER), said)
    assert made.id == again.id
    assert (await office.user(newcomer.id)).linked_accounts.stripe_customer_id == made.id
    [row] = office.made("stripe")
    assert row["metadata"] == {"gateway_user_id": newcomer.id}


async def test_a_users_customer_is_nobody_elses_address(office: Office) -> None:
    for said in (CustomerWanted("other@x.example", user_id=ANN.id), CustomerWanted(ANN.email, "Somebody", ANN.id)):
        with pytest.raises(BadUserInput, match="not that of the user"):
            await payments.create_payment_customer(office.context(MANAGER), said)
    for user_id in (STRANGER.id, "000000030000000000009999"):
        with pytest.raises(NotFound):
            await payments.create_payment_customer(
                office.context(MANAGER), CustomerWanted(STRANGER.email, None, user_id)
            )
    with pytest.raises(BadUserInput, match="no e-mail address"):
        await payments.create_payment_customer(office.context(MANAGER), CustomerWanted("nobody"))
    assert office.made("stripe") == []


async def test_a_guest_is_one_customer_of_each_client(office: Office) -> None:
    said = CustomerWanted("guest@x.example", "Guest")
    made = [
        (await payments.create_payment_customer(office.context(principal), said)).id
        for principal in (MANAGER, client(0), client(1), SERVICE, SERVICE)
    ]
    assert made[0] == made[1]
    assert made[3] == made[4]
    assert len(set(made)) == 3
    with pytest.raises(BadUserInput, match="userId"):
        await payments.create_payment_customer(office.context(platform(server_side=True)), said)
    # Somebody of the same address who was made for a user is not found by it.
    of_users = CustomerWanted(ANN.email)
    assert (await payments.create_payment_customer(office.context(MANAGER), of_users)).id != ANN.stripe_id


# -- subscriptions -----------------------------------------------------------------------------------------------------


async def test_a_subscription_is_the_users_and_one_key_makes_one(office: Office) -> None:
    made = await payments.create_subscription(keyed(office, MANAGER, "k"), ANN.stripe_id, PRICE_ID)
    again = await payments.create_subscription(keyed(office, MANAGER, "k", "2"), ANN.stripe_id, PRICE_ID)
    assert (made.id, made.status, made.price_id) == (again.id, "active", PRICE_ID)
    assert made.metadata == {"gateway_client_id": ANN.client.id, "gateway_user_id": ANN.id}
    owner = await office.mongo.owner(BackendName.STRIPE, made.id)
    assert owner is not None
    assert (owner.client_id, owner.user_id) == (ANN.client.id, ANN.id)


async def test_nobody_subscribes_for_others(office: Office) -> None:
    for customer_id in (STRANGER.stripe_id, "cus_nobody"):
        with pytest.raises(NotFound, match=payments.NO_CUSTOMER):
            await payments.create_subscription(office.context(MANAGER), customer_id, PRICE_ID)
    with pytest.raises(BackendRejected):
        await payments.create_subscription(office.context(MANAGER), ANN.stripe_id, "price_nobody")
