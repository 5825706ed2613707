"""ORDER_FULFILLMENT against every simulator: what it leaves when all goes well, and that otherwise nothing is left."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from temporalio.client import Client, WorkflowHistory
from temporalio.worker import Replayer, Worker

from datasources._embedded import Endpoints
from datasources.mongo import Mongo
from datasources.temporal import StepStatus, WorkflowFilter, WorkflowRecord, WorkflowStatus
from tests.fulfilment import WORLD, Company, Left, major, open_company
from workflows.activities import OrderActivities
from workflows.contracts import ORDER_FULFILLMENT_STEPS
from workflows.order_fulfillment import OrderFulfillmentWorkflow
from workflows.worker import build_worker

pytest_plugins = ["tests.engines"]
# The SDK says so when an activity ends while the server gives it up; the worker goes on.
pytestmark = pytest.mark.filterwarnings("ignore:Cannot find activity to cancel:UserWarning")

CUSTOMER = next(person for person in WORLD.customers if person.client.code == "SKBK01")
STEPS = [step.name for step in ORDER_FULFILLMENT_STEPS]
UNDOABLE = STEPS[:-1]
AT_ONCE = 6
"""Scenarios side by side: most of their time is waiting."""

WRITES = {
    "cart": ("medusa", "/store/carts"),
    "hold": ("stripe", "/v1/payment_intents"),
    "order": ("medusa", "/store/carts/[^/]+/complete"),
    "invoice": ("erpnext", "/api/resource/Sales Invoice"),
    "delivery": ("fleetbase", "/v1/orders"),
    "capture": ("stripe", "/v1/payment_intents/[^/]+/capture"),
    "order-payment": ("medusa", "/admin/payments/[^/]+/capture"),
    "payment-entry": ("erpnext", "/api/resource/Payment Entry"),
    "mail": ("sendgrid", "/v3/mail/send"),
}
"""Where each step has its effect."""

WAYS: dict[str, dict[str, Any]] = {
    "refused": {"kind": "status", "status": 418},
    "down": {"kind": "status", "status": 503, "spreads": True},
    "hung after its effect": {"kind": "hang", "when": "after", "spreads": True},
}
LOST: dict[str, dict[str, Any]] = {
    "hangs once": {"kind": "hang", "when": "after", "count": 1},
    "garbage once": {"kind": "malformed", "when": "after", "count": 1},
    "503 once": {"kind": "status", "when": "after", "count": 1},
}
LOOKED_UP = ["hold", "order", "invoice", "delivery", "payment-entry"]
"""The steps whose effect is found again, by a key or a reference."""


@dataclass(frozen=True)
class Told:
    """How a scenario ended."""

    record: WorkflowRecord
    left: Left
    history: WorkflowHistory


@asynccontextmanager
async def working(company: Company, client: Client) -> AsyncIterator[None]:
    async with build_worker(client, company.settings, company.sources):
        yield


async def heal_when_it_fails(company: Company, id: str) -> None:
    """Undoing needs the backend that failed: it comes back once the step has given up."""
    async for heard in company.sources.temporal.watch(id):
        if any(step.status is StepStatus.FAILED for step in heard.item.steps):
            company.heal()


async def play(
    engines: Endpoints, mongo: Mongo, client: Client, step: str | None = None, way: str | None = None
) -> Told:
    """An order, with one step going wrong in some way."""
    async with open_company(engines, mongo) as company, working(company, client):
        if step is not None and way is not None:
            backend, path = WRITES[step]
            company.fail(backend, method="POST", path=path, **(WAYS | LOST)[way])
        started = await company.start(CUSTOMER)
        _, record = await asyncio.gather(heal_when_it_fails(company, started.id), company.end(started.id))
        history = await client.get_workflow_handle(started.id).fetch_history()
        return Told(record, company.left(), history)


Scenarios = dict[tuple[str | None, str | None], "asyncio.Task[Told]"]


@pytest.fixture(scope="module")
async def scenarios(engines: Endpoints, company_store: Mongo, worker_client: Client) -> AsyncIterator[Scenarios]:
    """Every step failing in every way, and one order that goes well: running side by side, a few at a time."""
    turn = asyncio.Semaphore(AT_ONCE)

    async def in_turn(step: str | None, way: str | None) -> Told:
        async with turn:
            return await play(engines, company_store, worker_client, step, way)

    failing = [(step, way) for way in WAYS for step in STEPS]
    losing = [(step, way) for way in LOST for step in LOOKED_UP]
    tasks = {key: asyncio.create_task(in_turn(*key)) for key in [(None, None), *failing, *losing]}
    yield tasks
    for task in tasks.values():
        task.cancel()
    await asyncio.gather(*tasks.values(), return_exceptions=True)


def statuses(record: WorkflowRecord) -> dict[str, str]:
    return {step.name: step.status.value for step in record.steps}


async def test_an_order_is_placed_paid_invoiced_sent_and_confirmed(scenarios: Scenarios) -> None:
    told = await scenarios[None, None]
    assert (told.record.status, told.record.error) == (WorkflowStatus.COMPLETED, None)
    assert set(statuses(told.record).values()) == {"DONE"}
    assert told.record.progress == 1

    [order], [invoice], [entry] = told.left.orders, told.left.invoices, told.left.entries
    [delivery], [intent], [mail] = told.left.deliveries, told.left.intents, told.left.mails
    assert told.record.order_id == order["id"]
    prices = [WORLD.products[0].variants[0].eur * 2, WORLD.products[5].variants[0].eur, Decimal(5)]
    total = sum(prices, Decimal(0))
    assert (intent["status"], major(intent["amount_received"])) == ("succeeded", total)
    assert intent["payment_method"] == CUSTOMER.card_id
    assert (order["status"], order["email"]) == ("pending", CUSTOMER.email)
    assert (invoice["docstatus"], invoice["status"], invoice["custom_commerce_order_id"]) == (1, "Paid", order["id"])
    assert Decimal(str(invoice["grand_total"])) == total
    assert (entry["docstatus"], entry["reference_no"]) == (1, intent["id"])
    assert (delivery["internal_id"], delivery["status"]) == (order["id"], "created")
    assert CUSTOMER.email in str(mail)
    assert not told.left.refunds


@pytest.mark.parametrize("way", list(WAYS))
@pytest.mark.parametrize("step", UNDOABLE)
async def test_a_step_that_fails_is_named_and_leaves_nothing(scenarios: Scenarios, step: str, way: str) -> None:
    told = await scenarios[step, way]
    assert told.record.status is WorkflowStatus.FAILED
    error = told.record.error
    assert error is not None
    assert (error.step, error.compensated) == (step, True)
    assert told.record.steps[STEPS.index(step)].error
    shown = statuses(told.record)
    assert shown[step] == "FAILED"
    assert {shown[later] for later in STEPS[STEPS.index(step) + 1 :]} == {"SKIPPED"}
    assert {shown[name] for name in STEPS[: STEPS.index(step)]} <= {"COMPENSATED", "DONE"}
    told.left.nothing_in_force()
    assert not told.left.mails


@pytest.mark.parametrize(
    ("way", "status", "mails"),
    [
        ("refused", "FAILED", 0),
        ("down", "FAILED", 0),
        ("hung after its effect", "UNKNOWN", 1),
    ],
)
async def test_a_mail_that_fails_fails_alone_and_goes_out_at_most_once(
    scenarios: Scenarios, way: str, status: str, mails: int
) -> None:
    told = await scenarios["mail", way]
    assert (told.record.status, told.record.error) == (WorkflowStatus.COMPLETED, None)
    assert statuses(told.record)["mail"] == status
    assert told.record.steps[-1].error
    assert len(told.left.mails) == mails
    assert [intent["status"] for intent in told.left.intents] == ["succeeded"]


@pytest.mark.parametrize("key", [(None, None), ("delivery", "refused"), ("capture", "down")], ids=str)
async def test_a_recorded_history_replays(
    scenarios: Scenarios, worker_client: Client, key: tuple[str | None, str | None]
) -> None:
    told = await scenarios[key]
    replayer = Replayer(workflows=[OrderFulfillmentWorkflow], data_converter=worker_client.data_converter)
    assert (await replayer.replay_workflow(told.history)).replay_failure is None


async def test_histories_hold_no_name_and_no_mail_address(scenarios: Scenarios) -> None:
    told = (await scenarios[None, None]).history.to_json()
    told += "".join(base64.b64decode(data).decode() for data in re.findall(r'"data": "([^"]*)"', told))
    assert CUSTOMER.email not in told
    assert CUSTOMER.name not in told
    assert CUSTOMER.id in told


@pytest.mark.parametrize("step", ["hold", "delivery", "payment-entry"])
async def test_a_cancelled_order_leaves_nothing(company: Company, worker_client: Client, step: str) -> None:
    backend, path = WRITES[step]
    company.fail(backend, method="POST", path=path, **WAYS["hung after its effect"])
    async with working(company, worker_client):
        started = await company.start(CUSTOMER, try_s=20)
        async for heard in company.sources.temporal.watch(started.id):
            running = next((each for each in heard.item.steps if each.status is StepStatus.RUNNING), None)
            if running is not None and running.name == step:
                await company.sources.temporal.cancel(started.id)
                company.heal()
        record = await company.end(started.id)
    assert record.status is WorkflowStatus.CANCELED
    company.left().nothing_in_force()
    assert not company.left().mails


async def test_a_declined_card_ends_the_order_in_the_issuers_words(company: Company, worker_client: Client) -> None:
    async with working(company, worker_client):
        started = await company.start(CUSTOMER, payment_method="pm_card_visa_chargeDeclinedInsufficientFunds")
        record = await company.end(started.id)
    assert record.error is not None
    assert (record.error.step, record.error.code) == ("hold", "UPSTREAM_REJECTED")
    assert "insufficient funds" in record.error.message
    assert not company.left().orders


async def test_a_backend_that_comes_back_in_time_is_waited_for(company: Company, worker_client: Client) -> None:
    for backend, path in WRITES.values():
        company.fail(backend, method="POST", path=path, kind="status", count=1)
    async with working(company, worker_client):
        started = await company.start(CUSTOMER, tries=4)
        record = await company.end(started.id)
    assert record.status is WorkflowStatus.COMPLETED
    assert len(company.left().orders) == len(company.left().invoices) == len(company.left().deliveries) == 1


@pytest.mark.parametrize("way", list(LOST))
@pytest.mark.parametrize("step", LOOKED_UP)
async def test_an_answer_that_is_lost_doubles_nothing(scenarios: Scenarios, step: str, way: str) -> None:
    told = await scenarios[step, way]
    assert told.record.status is WorkflowStatus.COMPLETED
    left = told.left
    assert [len(rows) for rows in (left.orders, left.invoices, left.deliveries, left.entries, left.mails)] == [1] * 5


async def test_a_delivery_under_way_stays_and_the_error_says_so(company: Company, worker_client: Client) -> None:
    company.fail("stripe", method="POST", path=WRITES["capture"][1], **WAYS["refused"])
    async with working(company, worker_client):
        started = await company.start(CUSTOMER)
        async for heard in company.sources.temporal.watch(started.id):
            if deliveries := company.left().deliveries:
                deliveries[0]["status"] = "started"
            record = heard.item
    assert record.status is WorkflowStatus.FAILED
    assert record.error is not None
    assert (record.error.step, record.error.compensated) == ("capture", False)
    assert statuses(record)["delivery"] == "FAILED"
    assert [delivery["status"] for delivery in company.left().deliveries] == ["started"]
    assert [order["status"] for order in company.left().orders] == ["canceled"]


async def test_the_carts_customer_and_what_was_made_become_the_users(
    company: Company, worker_client: Client, company_store: Mongo
) -> None:
    stranger = WORLD.customers[-1]
    async with working(company, worker_client):
        started = await company.start(stranger)
        assert (await company.end(started.id)).status is WorkflowStatus.COMPLETED
    [order] = company.left().orders
    user = await company_store.user(stranger.id)
    assert user is not None
    assert order["customer_id"] in user.medusa_customer_ids


async def test_the_order_finds_its_workflow(company: Company, worker_client: Client) -> None:
    async with working(company, worker_client):
        started = await company.start(CUSTOMER)
        await company.end(started.id)
    [order] = company.left().orders
    async with asyncio.timeout(10):
        while not (found := await company.sources.temporal.workflows_by_order_ids([order["id"]])):
            await asyncio.sleep(0.02)
    assert started.id in {row.id for row in found}
    assert await company.sources.temporal.count(WorkflowFilter(order_ids=("order_nowhere",))) == 0


async def test_a_result_names_everything_that_was_made(company: Company, worker_client: Client) -> None:
    async with working(company, worker_client):
        started = await company.start(CUSTOMER)
        await company.end(started.id)
    result, left = await company.sources.temporal.result(started.id, started.run_id), company.left()
    assert result is not None
    assert result.success
    assert result.result == {
        "orderId": left.orders[0]["id"],
        "invoiceId": left.invoices[0]["name"],
        "deliveryId": left.deliveries[0]["id"],
        "paymentIntentId": left.intents[0]["id"],
        "paymentEntryId": left.entries[0]["name"],
    }
    cards = {artifact.type: artifact.data for artifact in result.artifacts}
    assert cards["confirmation-card"]["orderId"] == left.orders[0]["id"]
    assert cards["confirmation-card"]["itemCount"] == 3
    assert cards["order-tracker"]["deliveryId"] == left.deliveries[0]["id"]


def test_every_activity_of_the_class_is_given_to_the_worker(company: Company) -> None:
    acts = OrderActivities(company.sources)
    defined = {name for name in vars(OrderActivities) if hasattr(getattr(acts, name), "__temporal_activity_definition")}
    assert {act.__name__ for act in acts.all()} == defined


async def test_a_worker_can_be_built(company: Company, worker_client: Client) -> None:
    assert isinstance(build_worker(worker_client, company.settings, company.sources), Worker)
