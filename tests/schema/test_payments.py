"""Payments as queries see them: who gets which, in how many calls, and a secret that is told once."""

from __future__ import annotations

from typing import Any

import pytest
import strawberry
from strawberry.schema.config import StrawberryConfig

from core import operation
from core.backends import BackendName
from core.errors import GatewayError
from core.principals import Principal
from datasources.mongo import NewUser
from engine.idempotency import honour_idempotency_keys
from engine.scopes import enforce_scopes
from sandbox.stripe.seeding import PRICE_ID
from schema.errors import readable_all
from schema.extensions import OperationEvent
from schema.payments import PaymentMutation, PaymentQuery
from schema.scalars import SCALARS
from schema.users import UserQuery
from tests.callers import SERVICE, WORLD, client, person, user
from tests.office import Office

pytest_plugins = ["tests.backends"]

ANN, STRANGER = person("CUSTOMER"), person("CUSTOMER", client=1)
MANAGER, STAFF, CUSTOMER = user(person("MANAGER")), user(person("STAFF")), user(ANN)


@strawberry.type
class Query(PaymentQuery, UserQuery):
    pass


@strawberry.type
class Mutation(PaymentMutation):
    pass


class _Schema(strawberry.federation.Schema):
    def process_errors(self, errors: object, execution_context: object = None) -> None:
        """Nothing, as in the served schema."""


SCHEMA = _Schema(
    query=Query,
    mutation=Mutation,
    config=StrawberryConfig(scalar_map=SCALARS),
    extensions=[lambda: OperationEvent(query_timeout_s=10, mutation_timeout_s=40)],
)
enforce_scopes(SCHEMA)
honour_idempotency_keys(SCHEMA, claims=lambda context: context.sources.mongo, readable=readable_all)


async def try_to(
    office: Office, principal: Principal, document: str, key: str | None = None, **variables: Any
) -> tuple[Any, list[tuple[str, str]]]:
    """The data of an operation, and its errors' codes and messages."""
    ctx = office.context(principal)
    ctx.caller_key = key
    try:
        result = await SCHEMA.execute(document, context_value=ctx, variable_values=variables)
    except GatewayError as exc:
        return None, [(exc.code, str(exc))]
    told = [((error.extensions or {})["code"], error.message) for error in result.errors or []]
    return result.data, told


async def ask(office: Office, principal: Principal, document: str, **variables: Any) -> Any:
    data, errors = await try_to(office, principal, document, **variables)
    assert errors == []
    return data


def stripe_calls() -> int:
    return sum(call.backend is BackendName.STRIPE for call in operation.current().calls)


METHODS = "query ($id: ID!) { paymentMethods(customerId: $id) { id type brand last4 expMonth expYear } }"
CREATE = """mutation ($input: CreatePaymentIntentInput!) { createPaymentIntent(input: $input) {
    id status amount { amount currency } clientSecret captureMethod
} }"""
TEN = {"amount": "10.5", "currency": "EUR"}


async def test_a_saved_card_is_told_to_whose_it_is(office: Office) -> None:
    for principal in (CUSTOMER, STAFF, client(0), SERVICE):
        [card] = (await ask(office, principal, METHODS, id=ANN.stripe_id))["paymentMethods"]
        assert (card["id"], card["type"], card["brand"], card["last4"]) == (ANN.card_id, "card", "visa", "4242")
        assert 1 <= card["expMonth"] <= 12 < card["expYear"]
    for customer_id in (STRANGER.stripe_id, "cus_nobody"):
        assert await ask(office, CUSTOMER, METHODS, id=customer_id) == {"paymentMethods": None}


async def test_methods_of_many_users_are_one_call_each_and_side_by_side(office: Office) -> None:
    """Stripe has no batch."""
    made = [NewUser(ANN.client.id, f"more{n}@x.example", "More") for n in range(40)]
    for new in made:
        await office.mongo.create_user(new)
    document = "{ users(first: 100, filter: {role: CUSTOMER}) { nodes { id paymentMethods { id } } } }"
    nodes = (await ask(office, STAFF, document))["users"]["nodes"]
    assert len(nodes) == 50
    cards = {each.id: [{"id": each.card_id}] for each in WORLD.customers}
    assert all(node["paymentMethods"] == cards.get(node["id"], []) for node in nodes)
    assert stripe_calls() == 10


async def test_methods_that_cannot_be_had_cost_nothing_else(office: Office) -> None:
    office.fail("stripe", kind="status", status=400, path=f"/v1/customers/{ANN.stripe_id}/payment_methods")
    document = "{ users(first: 100, filter: {role: CUSTOMER}) { nodes { id paymentMethods { id } } } }"
    data, errors = await try_to(office, STAFF, document)
    assert [code for code, _ in errors] == ["UPSTREAM_REJECTED"]
    lost = [node["id"] for node in data["users"]["nodes"] if node["paymentMethods"] is None]
    assert lost == [ANN.id]


async def test_a_payment_is_made_with_its_secret(office: Office) -> None:
    said = {"amount": TEN, "customerId": ANN.stripe_id, "hold": True, "metadata": {"order": "o1"}}
    made = (await ask(office, MANAGER, CREATE, input=said))["createPaymentIntent"]
    assert made["amount"] == {"amount": "10.50", "currency": "EUR"}
    assert (made["status"], made["captureMethod"]) == ("requires_payment_method", "manual")
    assert made["clientSecret"].startswith(f"{made['id']}_secret_")


async def test_a_secret_is_told_once(office: Office) -> None:
    said = {"amount": TEN, "customerId": ANN.stripe_id}
    data, errors = await try_to(office, MANAGER, CREATE, key="once", input=said)
    assert errors == []
    made = data["createPaymentIntent"]
    data, errors = await try_to(office, MANAGER, CREATE, key="once", input=said)
    assert data is None
    [(code, message)] = errors
    assert (code, f"PaymentIntent {made['id']}" in message) == ("CONFLICT", True)
    assert made["clientSecret"] not in message
    kept = await office.mongo._db.idempotency.find({}).to_list(None)
    assert kept
    assert made["clientSecret"] not in repr(kept)
    assert made["clientSecret"] not in repr(await office.mongo._db.ownership.find({}).to_list(None))


async def test_without_its_secret_the_answer_is_given_again(office: Office) -> None:
    document = "mutation ($i: CreatePaymentIntentInput!) { createPaymentIntent(input: $i) { id } }"
    said = {"amount": TEN, "customerId": ANN.stripe_id}
    first, _ = await try_to(office, MANAGER, document, key="again", i=said)
    again, errors = await try_to(office, MANAGER, document, key="again", i=said)
    assert errors == []
    assert again == first


@pytest.mark.parametrize("principal", [CUSTOMER, STAFF], ids=["customer", "staff"])
async def test_who_only_reads_payments_makes_none(office: Office, principal: Principal) -> None:
    office.forget_calls()
    for field, said in (
        ("createPaymentIntent", 'amount: {amount: "1", currency: "EUR"}'),
        ("createPaymentCustomer", f'email: "{ANN.email}", userId: "{ANN.id}"'),
        ("createSubscription", f'customerId: "{ANN.stripe_id}", priceId: "{PRICE_ID}"'),
    ):
        data, errors = await try_to(office, principal, f"mutation {{ {field}(input: {{{said}}}) {{ id }} }}")
        assert data == {field: None}
        assert [code for code, _ in errors] == ["FORBIDDEN"]
    assert office.calls("stripe") == []


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"amount": {"amount": "0", "currency": "EUR"}}, "BAD_USER_INPUT"),
        ({"amount": {"amount": "1.5", "currency": "ISK"}}, "BAD_USER_INPUT"),
        ({"metadata": {"workflow_id": "x"}}, "BAD_USER_INPUT"),
        ({"customerId": STRANGER.stripe_id}, "NOT_FOUND"),
        ({"paymentMethodId": STRANGER.card_id}, "NOT_FOUND"),
        ({"amount": {"amount": "0.01", "currency": "EUR"}}, "UPSTREAM_REJECTED"),
    ],
)
async def test_a_payment_that_cannot_be_made_is_null_with_a_reason(
    office: Office, said: dict[str, Any], code: str
) -> None:
    said = {"amount": TEN, "customerId": ANN.stripe_id, **said}
    data, errors = await try_to(office, MANAGER, CREATE, input=said)
    assert data == {"createPaymentIntent": None}
    assert [each for each, _ in errors] == [code]


async def test_a_customer_is_told_with_the_user_they_are(office: Office) -> None:
    document = """mutation ($i: CreatePaymentCustomerInput!) {
        createPaymentCustomer(input: $i) { id email name user { id } }
    }"""
    found = (await ask(office, MANAGER, document, i={"userId": ANN.id, "email": ANN.email}))["createPaymentCustomer"]
    assert found == {"id": ANN.stripe_id, "email": ANN.email, "name": ANN.name, "user": {"id": ANN.id}}
    guest = (await ask(office, MANAGER, document, i={"email": "g@x.example", "name": "G"}))["createPaymentCustomer"]
    assert (guest["email"], guest["name"], guest["user"]) == ("g@x.example", "G", None)


async def test_a_subscription_tells_when_it_is_to_be_paid_next(office: Office) -> None:
    document = """mutation ($i: CreateSubscriptionInput!) {
        createSubscription(input: $i) { id status priceId currentPeriodEnd }
    }"""
    said = {"customerId": ANN.stripe_id, "priceId": PRICE_ID}
    made = (await ask(office, MANAGER, document, i=said))["createSubscription"]
    assert (made["status"], made["priceId"]) == ("active", PRICE_ID)
    assert made["currentPeriodEnd"].endswith("+00:00")
