"""Long-running work as GraphQL clients see it: started, watched step by step, looked up, listed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import strawberry
from strawberry.schema.config import StrawberryConfig
from strawberry.types import ExecutionResult
from temporalio.client import Client

from core import operation
from core.errors import GatewayError
from core.principals import Principal
from resolvers.context import Context
from schema.orders import OrderQuery
from schema.scalars import SCALARS
from schema.workflows import WorkflowMutation, WorkflowQuery, WorkflowSubscription
from tests.callers import SERVICE, WORLD, person, user
from tests.fulfilment import Company
from workflows.contracts import ORDER_FULFILLMENT_STEPS
from workflows.worker import build_worker

pytest_plugins = ["tests.engines"]

ADA, BEN = person("CUSTOMER", 2, 2), person("CUSTOMER", 2, 3)
STEPS = [step.name for step in ORDER_FULFILLMENT_STEPS]
INPUT: dict[str, Any] = {
    "items": [{"variantId": WORLD.products[0].variants[0].id, "quantity": 2}],
    "shippingAddress": {"name": "Ada Lovelace", "street": "Rruga Myslym Shyri 12", "city": "Tirana", "country": "AL"},
}
FULFIL = "mutation ($input: OrderFulfillmentInput!) { fulfillOrder(input: $input) { id status type } }"
WATCH = """subscription ($id: ID!) { workflowStatus(id: $id) {
    status currentStep progress steps { name system status attempt startedAt closedAt error }
} }"""


@strawberry.type
class Query(WorkflowQuery, OrderQuery):
    pass


SCHEMA = strawberry.federation.Schema(
    query=Query,
    mutation=WorkflowMutation,
    subscription=WorkflowSubscription,
    config=StrawberryConfig(scalar_map=SCALARS),
)


@pytest.fixture
async def working(company: Company, worker_client: Client) -> AsyncIterator[Company]:
    async with build_worker(worker_client, company.settings, company.sources):
        yield company


async def ask(company: Company, principal: Principal, document: str, **variables: Any) -> Any:
    """The data of an operation that has no errors."""
    operation.enter(operation.Operation())
    result = await SCHEMA.execute(document, variables, Context(company.sources, principal))
    assert result.errors is None
    return result.data


async def refusal(company: Company, principal: Principal, document: str, **variables: Any) -> str:
    """The code of the one error of an operation, whose field is null."""
    operation.enter(operation.Operation())
    result = await SCHEMA.execute(document, variables, Context(company.sources, principal))
    [error] = result.errors or []
    assert isinstance(error.original_error, GatewayError), error
    assert list((result.data or {}).values()) == [None]
    return error.original_error.code


async def watched(company: Company, principal: Principal, id: str) -> list[dict[str, Any]]:
    """Every event of a subscription, to its end."""
    events = await SCHEMA.subscribe(WATCH, {"id": id}, Context(company.sources, principal))
    seen = []
    async for event in events:
        assert isinstance(event, ExecutionResult)
        assert event.errors is None
        assert event.data is not None
        seen.append(event.data["workflowStatus"])
    return seen


async def test_an_order_is_started_watched_and_found(working: Company) -> None:
    started = (await ask(working, user(ADA), FULFIL, input=INPUT))["fulfillOrder"]
    assert (started["status"], started["type"]) == ("RUNNING", "ORDER_FULFILLMENT")

    events = await watched(working, user(ADA), started["id"])
    assert [step["name"] for step in events[0]["steps"]] == STEPS
    ran = [step["name"] for event in events for step in event["steps"] if step["status"] == "RUNNING"]
    assert [name for at, name in enumerate(ran) if name not in ran[:at]] == STEPS
    assert [event["progress"] for event in events] == sorted(event["progress"] for event in events)
    last = events[-1]
    assert (last["status"], last["currentStep"], last["progress"]) == ("COMPLETED", "Done", 1)
    assert {(step["status"], step["attempt"], step["error"]) for step in last["steps"]} == {("DONE", 1, None)}
    assert [step["system"] for step in last["steps"]][:3] == ["MEDUSA", "STRIPE", "MEDUSA"]

    document = """query ($id: ID!) { workflow(id: $id) {
        status action runId startedAt closedAt error { code } children { id } order { id }
        result { success result artifacts { type data } }
    } }"""
    found = (await ask(working, SERVICE, document, id=started["id"]))["workflow"]
    assert found["status"] == "COMPLETED"
    assert found["action"] == "order.fulfill"
    assert (found["error"], found["children"]) == (None, [])
    [order] = working.left().orders
    assert found["order"] == {"id": order["id"]}
    assert found["result"]["success"]
    assert found["result"]["result"]["orderId"] == order["id"]
    assert [card["type"] for card in found["result"]["artifacts"]] == ["confirmation-card", "order-tracker"]


async def test_a_refused_order_shows_the_step_and_why(working: Company) -> None:
    working.fail("fleetbase", method="POST", path="/v1/orders", kind="status", status=418)
    started = (await ask(working, user(ADA), FULFIL, input=INPUT))["fulfillOrder"]
    last = (await watched(working, user(ADA), started["id"]))[-1]
    assert last["status"] == "FAILED"
    assert {step["name"]: step["status"] for step in last["steps"]} == dict(
        zip(STEPS, ["DONE", *["COMPENSATED"] * 3, "FAILED", *["SKIPPED"] * 4], strict=True)
    )
    document = "query ($id: ID!) { workflow(id: $id) { result { success } error { code message step compensated } } }"
    found = (await ask(working, user(ADA), document, id=started["id"]))["workflow"]
    assert found["result"] is None
    assert (found["error"]["code"], found["error"]["step"]) == ("UPSTREAM_REJECTED", "delivery")
    assert found["error"]["compensated"]


async def test_starting_by_type_takes_json_and_can_be_dry(company: Company) -> None:
    document = (
        "mutation ($i: StartWorkflowInput!) { startWorkflow(input: $i) { id runId status steps { name status } } }"
    )
    given = {"type": "ORDER_FULFILLMENT", "action": "order.fulfill", "data": INPUT, "idempotencyKey": "once"}
    planned = (await ask(company, user(ADA), document, i={**given, "dryRun": True}))["startWorkflow"]
    assert (planned["status"], planned["runId"]) == ("PLANNED", None)
    assert planned["steps"] == [{"name": name, "status": "PENDING"} for name in STEPS]
    started = (await ask(company, user(ADA), document, i=given))["startWorkflow"]
    assert (started["id"], started["status"]) == (planned["id"], "RUNNING")
    again = (await ask(company, user(ADA), document, i=given))["startWorkflow"]
    assert again["runId"] == started["runId"]
    other = {**given, "data": {**INPUT, "paymentMethodId": ADA.card_id}}
    assert await refusal(company, user(ADA), document, i=other) == "IDEMPOTENCY_CONFLICT"
    ride = {**given, "type": "RIDE_BOOKING"}
    assert await refusal(company, user(ADA), document, i=ride) == "BAD_USER_INPUT"


async def test_what_is_not_there_or_not_theirs_looks_alike(company: Company) -> None:
    started = (await ask(company, user(ADA), FULFIL, input=INPUT))["fulfillOrder"]
    for workflow_id in (started["id"], "nowhere"):
        read = await ask(company, user(BEN), "query ($id: ID!) { workflow(id: $id) { id } }", id=workflow_id)
        assert read == {"workflow": None}
        for document in (
            "mutation ($id: ID!) { cancelWorkflow(id: $id) { id } }",
            'mutation ($id: ID!) { signalWorkflow(id: $id, name: "stop") { id } }',
        ):
            assert await refusal(company, user(BEN), document, id=workflow_id) == "NOT_FOUND"
        events = await SCHEMA.subscribe(WATCH, {"id": workflow_id}, Context(company.sources, user(BEN)))
        first = [event async for event in events]
        [error] = first[0].errors or []
        assert isinstance(error.original_error, GatewayError)
        assert error.original_error.code == "NOT_FOUND"


async def test_a_signal_that_nobody_waits_for_is_refused(company: Company) -> None:
    started = (await ask(company, user(ADA), FULFIL, input=INPUT))["fulfillOrder"]
    document = 'mutation ($id: ID!) { signalWorkflow(id: $id, name: "approve", payload: {by: "me"}) { id } }'
    assert await refusal(company, user(ADA), document, id=started["id"]) == "BAD_USER_INPUT"


async def test_a_cancelled_workflow_ends_canceled(working: Company) -> None:
    working.fail("stripe", method="POST", path="/v1/payment_intents", kind="status", count=3)
    started = (await ask(working, user(ADA), FULFIL, input=INPUT))["fulfillOrder"]
    document = 'mutation ($id: ID!) { cancelWorkflow(id: $id, reason: "no") { id status } }'
    assert (await ask(working, user(ADA), document, id=started["id"]))["cancelWorkflow"]["id"] == started["id"]
    assert (await watched(working, user(ADA), started["id"]))[-1]["status"] == "CANCELED"
    working.left().nothing_in_force()


async def test_a_list_of_workflows_is_one_call_and_its_orders_another(company: Company) -> None:
    document = """query { workflows(first: 50) {
        nodes { id steps { name } progress children { id } order { id } } pageInfo { hasNextPage }
    } }"""
    for _ in range(2):
        await ask(company, user(ADA), FULFIL, input=INPUT)
    async with asyncio.timeout(10):
        while len((await ask(company, SERVICE, document))["workflows"]["nodes"]) < 2:
            await asyncio.sleep(0.02)
    calls = [call.path for call in operation.current().calls]
    # The list itself and the children of all of them; orders in one call, where any is named.
    assert calls.count("ListWorkflowExecutions") == 2
    assert len([path for path in calls if path.startswith("/admin/orders")]) <= 1
    assert len(calls) <= 3
