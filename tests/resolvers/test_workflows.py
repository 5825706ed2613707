"""Who may start, see, follow and stop which workflow, before real Temporal, MongoDB and simulators."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing
from typing import Any
from uuid import uuid4

import pytest
from temporalio.client import Client

from core import operation
from core.backends import BackendName
from core.errors import BadUserInput, IdempotencyConflict, NotFound
from core.principals import Principal
from datasources._embedded import Endpoints
from datasources.medusa import NewItem
from datasources.mongo import Mongo
from datasources.temporal import (
    Memo,
    NewWorkflow,
    StepStatus,
    WorkflowRecord,
    WorkflowStatus,
    WorkflowType,
)
from resolvers import workflows
from resolvers.context import Context
from resolvers.workflows import ChildrenByWorkflowId, NewFulfilment, WorkflowByOrderId, WorkflowWanted
from tests.callers import SERVICE, WORLD, client, person, platform, user
from tests.fulfilment import ADDRESS, Company, open_company
from workflows.contracts import ORDER_FULFILLMENT_STEPS
from workflows.worker import build_worker

pytest_plugins = ["tests.engines"]

ADA, BEN = person("CUSTOMER", 2, 0), person("CUSTOMER", 2, 1)
STRANGER = person("CUSTOMER", 0, 0)
STAFF, OTHER_STAFF = person("STAFF", 2), person("STAFF", 3)
VARIANT = WORLD.products[0].variants[0].id
ORDER: dict[str, Any] = {"items": (NewItem(VARIANT, 1),), "shipping_address": ADDRESS}
JSON = {
    "items": [{"variantId": VARIANT}],
    "shippingAddress": {"street": ADDRESS.street, "city": "Tirana", "country": "al"},
}

As = Callable[[Principal], Context]


@pytest.fixture(scope="module")
async def resting(engines: Endpoints, company_store: Mongo) -> AsyncIterator[Company]:
    """One company for all tests in which nobody works."""
    async with open_company(engines, company_store) as opened:
        yield opened


@pytest.fixture
def ctx(resting: Company) -> Iterator[As]:
    """A context of this company for a principal, within one operation for the whole test."""
    with operation.running(operation.Operation()):
        yield lambda principal: Context(resting.sources, principal)


def upstream(backend: BackendName) -> list[str]:
    return [call.path for call in operation.current().calls if call.backend is backend]


async def listed(ctx: Context, wanted: WorkflowWanted, ids: set[str]) -> set[str]:
    """The ids of a list, once visibility has caught up with `ids`."""
    async with asyncio.timeout(10):
        while True:
            found = {row.id for row in (await workflows.workflows(ctx, first=100, after=None, wanted=wanted)).nodes}
            if ids <= found:
                return found
            await asyncio.sleep(0.02)


async def start(ctx: Context, **changes: Any) -> WorkflowRecord:
    return await workflows.fulfil_order(ctx, NewFulfilment(**{**ORDER, **changes}))


async def started_for(resting: Company, order_id: str = "", user_id: str = ADA.id) -> WorkflowRecord:
    """One that waits for ever, as nobody works in this resting."""
    new = NewWorkflow(
        id=f"order-fulfillment-{uuid4().hex}",
        type=WorkflowType.ORDER_FULFILLMENT,
        argument=None,
        action="order.fulfill",
        user_id=user_id,
        client_id=ADA.client.id,
        client_app_id=ADA.client.app.id,
        memo=Memo(steps=ORDER_FULFILLMENT_STEPS),
    )
    return await resting.sources.temporal.start(new)


# -- starting ------------------------------------------------------------------------------------------------------


async def test_a_customer_starts_for_themselves(ctx: As) -> None:
    started = await start(ctx(user(ADA)))
    assert (started.status, started.user_id, started.client_id) == (WorkflowStatus.RUNNING, ADA.id, ADA.client.id)
    assert started.client_app_id == ADA.client.app.id
    assert started.id.startswith("order-fulfillment-")
    assert [step.status for step in started.steps] == [StepStatus.PENDING] * len(ORDER_FULFILLMENT_STEPS)


@pytest.mark.parametrize(
    "caller", [user(STAFF), client(2), platform(server_side=True), SERVICE], ids=lambda c: c.kind.name
)
async def test_others_start_for_their_people(ctx: As, caller: Principal) -> None:
    assert (await start(ctx(caller), user_id=ADA.id)).user_id == ADA.id


@pytest.mark.parametrize(
    "caller",
    [user(BEN), user(OTHER_STAFF), client(3), platform(server_side=False)],
    ids=["customer", "staff", "client", "platform"],
)
async def test_nobody_starts_for_other_peoples_people(ctx: As, caller: Principal) -> None:
    with pytest.raises(NotFound):
        await start(ctx(caller), user_id=ADA.id)


async def test_who_is_no_user_names_one(ctx: As) -> None:
    with pytest.raises(BadUserInput, match="userId"):
        await start(ctx(SERVICE))


async def test_one_key_starts_one_workflow(ctx: As) -> None:
    key = uuid4().hex
    first = await start(ctx(user(ADA)), idempotency_key=key)
    assert (await start(ctx(user(ADA)), idempotency_key=key)).run_id == first.run_id
    assert key not in first.id


async def test_a_key_belongs_to_its_caller_and_its_field(ctx: As) -> None:
    key = uuid4().hex
    mine = await start(ctx(user(ADA)), idempotency_key=key)
    services = await start(ctx(SERVICE), idempotency_key=key, user_id=ADA.id)
    generic = await workflows.start_workflow(
        ctx(user(ADA)),
        type=WorkflowType.ORDER_FULFILLMENT,
        action="order.fulfill",
        data=JSON,
        user_id=None,
        idempotency_key=key,
        dry_run=False,
    )
    assert len({mine.id, services.id, generic.id}) == 3


async def test_without_a_key_every_start_is_another(ctx: As) -> None:
    assert (await start(ctx(user(ADA)))).id != (await start(ctx(user(ADA)))).id


async def test_a_key_that_comes_with_another_input_is_a_conflict(ctx: As) -> None:
    key = uuid4().hex
    await start(ctx(user(ADA)), idempotency_key=key)
    with pytest.raises(IdempotencyConflict):
        await start(ctx(user(ADA)), idempotency_key=key, items=(NewItem(VARIANT, 2),))


async def test_a_dry_run_plans_and_starts_nothing(ctx: As, resting: Company) -> None:
    for line in resting.lines.values():
        line.calls.clear()
    key = uuid4().hex
    planned = await start(ctx(user(ADA)), idempotency_key=key, dry_run=True)
    assert (planned.status, planned.run_id, planned.started_at) == (WorkflowStatus.PLANNED, None, None)
    assert planned.steps == ORDER_FULFILLMENT_STEPS
    assert await resting.sources.temporal.describe(planned.id) is None
    assert all(call.method == "GET" for line in resting.lines.values() for call in line.calls)
    assert (await start(ctx(user(ADA)), idempotency_key=key)).id == planned.id


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"items": ()}, "items"),
        ({"items": (NewItem(VARIANT, 1),) * 101}, "items"),
        ({"items": (NewItem(VARIANT, 0),)}, "quantity"),
        ({"items": (NewItem(VARIANT, 10_001),)}, "quantity"),
        ({"payment_method_id": BEN.card_id}, "paymentMethodId"),
        ({"idempotency_key": ""}, "idempotencyKey"),
        ({"idempotency_key": "k" * 256}, "idempotencyKey"),
    ],
)
async def test_what_cannot_work_is_refused_before_anything_starts(
    ctx: As, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadUserInput, match=message):
        await start(ctx(user(ADA)), **changes)
    assert "StartWorkflowExecution" not in upstream(BackendName.TEMPORAL)


async def test_what_the_users_client_does_not_sell_cannot_be_bought(ctx: As) -> None:
    with pytest.raises(NotFound, match="no variant"):
        await start(ctx(user(ADA)), items=(NewItem("variant_nowhere", 1),))
    assert "StartWorkflowExecution" not in upstream(BackendName.TEMPORAL)


async def test_a_user_without_accounts_cannot_buy(ctx: As) -> None:
    with pytest.raises(BadUserInput, match="account for payments"):
        await start(ctx(user(STAFF)))


async def test_a_user_who_is_not_active_cannot_buy(ctx: As, company_store: Mongo) -> None:
    victim = person("CUSTOMER", 2, 9)
    users = company_store._db.users
    await users.update_one({"email": victim.email}, {"$set": {"status": "SUSPENDED"}})
    with pytest.raises(BadUserInput, match="not active"):
        await start(ctx(SERVICE), user_id=victim.id)
    await users.update_one({"email": victim.email}, {"$set": {"status": "ACTIVE"}})


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("backendScope.pickup", "place to send from"),
        ("backendScope.medusaSalesChannelIds", "sales channel"),
        ("backendScope.erpCompany", "company"),
        ("backendScope", "sales channel"),
    ],
)
async def test_a_client_that_lacks_something_cannot_sell(
    ctx: As, company_store: Mongo, missing: str, message: str
) -> None:
    clients, key = company_store._db.clients, {"code": OTHER_STAFF.client.code}
    before = await clients.find_one(key)
    assert before is not None
    await clients.update_one(key, {"$unset": {missing: ""}})
    try:
        with pytest.raises(BadUserInput, match=message):
            await start(ctx(user(person("CUSTOMER", 3))))
    finally:
        await clients.replace_one(key, before)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ([], "Expected `object`"),
        ({}, "items"),
        ({**JSON, "items": "all"}, r"\$\.items"),
        ({**JSON, "items": [{"variantId": 7}]}, r"\$\.items\[0\]\.variantId"),
        ({**JSON, "items": [{"variantId": VARIANT, "quantity": "2"}]}, "quantity"),
        ({**JSON, "gift": True}, "gift"),
        ({**JSON, "shippingAddress": {"street": "x", "city": "y", "country": "Albania"}}, "country"),
        ({**JSON, "shippingAddress": {**JSON["shippingAddress"], "latitude": 41.3}}, "longitude"),  # type: ignore[dict-item]
        ({**JSON, "shippingAddress": {**JSON["shippingAddress"], "latitude": 91, "longitude": 0}}, "latitude"),  # type: ignore[dict-item]
    ],
)
async def test_data_that_does_not_fit_says_where(ctx: As, data: Any, message: str) -> None:
    with pytest.raises(BadUserInput, match=message):
        await workflows.start_workflow(
            ctx(user(ADA)),
            type=WorkflowType.ORDER_FULFILLMENT,
            action="order.fulfill",
            data=data,
            user_id=None,
            idempotency_key=None,
            dry_run=False,
        )


async def test_data_that_fits_starts_what_fulfil_order_would(ctx: As) -> None:
    started = await workflows.start_workflow(
        ctx(SERVICE),
        type=WorkflowType.ORDER_FULFILLMENT,
        action="copilot.buy",
        data=JSON,
        user_id=ADA.id,
        idempotency_key=None,
        dry_run=False,
    )
    assert (started.type, started.action, started.user_id) == (WorkflowType.ORDER_FULFILLMENT, "copilot.buy", ADA.id)


async def test_a_kind_that_is_not_offered_yet_says_so(ctx: As) -> None:
    with pytest.raises(BadUserInput, match="not offered yet"):
        await workflows.start_workflow(
            ctx(SERVICE),
            type=WorkflowType.RIDE_BOOKING,
            action="ride.book",
            data={},
            user_id=ADA.id,
            idempotency_key=None,
            dry_run=True,
        )


# -- seeing --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("caller", "sees"),
    [
        (SERVICE, True),
        (user(ADA), True),
        (user(STAFF), True),
        (client(2), True),
        (platform(server_side=True), True),
        (user(BEN), False),
        (user(OTHER_STAFF), False),
        (user(STRANGER), False),
        (client(3), False),
        (platform(server_side=False), False),
    ],
)
async def test_a_workflow_is_its_users_and_its_clients(
    ctx: As, resting: Company, caller: Principal, sees: bool
) -> None:
    started = await started_for(resting)
    assert (await workflows.workflow(ctx(caller), started.id) is not None) is sees
    await listed(ctx(SERVICE), WorkflowWanted(started_by_id=ADA.id), {started.id})
    page = await workflows.workflows(ctx(caller), first=100, after=None, wanted=WorkflowWanted())
    assert (started.id in {row.id for row in page.nodes}) is sees
    if not sees:
        for forbidden in (
            workflows.cancel(ctx(caller), started.id, None),
            workflows.signal(ctx(caller), started.id, "x", None),
        ):
            with pytest.raises(NotFound):
                await forbidden
        with pytest.raises(NotFound):
            await anext(workflows.follow(ctx(caller), started.id))


async def test_lists_narrow_by_type_status_user_and_order(ctx: As, resting: Company) -> None:
    started = await started_for(resting, user_id=BEN.id)
    everything = ctx(SERVICE)
    assert started.id in await listed(everything, WorkflowWanted(started_by_id=BEN.id), {started.id})
    for wanted in (
        WorkflowWanted(type=WorkflowType.RIDE_BOOKING),
        WorkflowWanted(status=WorkflowStatus.FAILED, started_by_id=BEN.id),
        WorkflowWanted(status=WorkflowStatus.PLANNED),
        WorkflowWanted(order_id="order_nowhere"),
    ):
        assert started.id not in await listed(everything, wanted, set())


async def test_a_customer_cannot_list_somebody_elses(ctx: As) -> None:
    page = await workflows.workflows(ctx(user(ADA)), first=10, after=None, wanted=WorkflowWanted(started_by_id=BEN.id))
    assert page.nodes == []
    assert await page.total() == 0


async def test_every_cursor_continues_behind_its_row(ctx: As, resting: Company) -> None:
    owner = f"pager-{uuid4()}"
    wanted = WorkflowWanted(started_by_id=owner)
    ids = {(await started_for(resting, user_id=owner)).id for _ in range(5)}
    await listed(ctx(SERVICE), wanted, ids)
    whole = await workflows.workflows(ctx(SERVICE), first=5, after=None, wanted=wanted)
    assert await whole.total() == 5
    assert not whole.page_info.has_previous_page
    for at, edge in enumerate(whole.edges):
        rest = await workflows.workflows(ctx(SERVICE), first=5, after=edge.cursor, wanted=wanted)
        assert [row.id for row in rest.nodes] == [row.id for row in whole.nodes[at + 1 :]]
        assert rest.page_info.has_previous_page
    collected, after = [], None
    while True:
        page = await workflows.workflows(ctx(SERVICE), first=2, after=after, wanted=wanted)
        collected += [row.id for row in page.nodes]
        if not page.page_info.has_next_page:
            break
        after = page.page_info.end_cursor
    assert collected == [row.id for row in whole.nodes]


@pytest.mark.parametrize("cursor", ["rubbish", "WzFd", "WyIiLC0xXQ", "WyIhIiwwXQ", "WyJjblZpWW1semFBPT0iLDBd"])
async def test_a_cursor_that_is_none_of_ours_is_refused(ctx: As, cursor: str) -> None:
    with pytest.raises(BadUserInput, match="after"):
        await workflows.workflows(ctx(SERVICE), first=2, after=cursor, wanted=WorkflowWanted())


async def test_workflows_of_many_orders_are_one_call(ctx: As) -> None:
    context = ctx(SERVICE)
    found = await asyncio.gather(*(context.loader(WorkflowByOrderId).load(f"order-{uuid4()}") for _ in range(20)))
    assert found == [None] * 20
    assert upstream(BackendName.TEMPORAL) == ["ListWorkflowExecutions"]


async def test_children_of_many_workflows_are_one_call(ctx: As, resting: Company) -> None:
    parents = [await started_for(resting) for _ in range(2)]
    operation.current().calls.clear()
    context = ctx(SERVICE)
    found = await asyncio.gather(*(context.loader(ChildrenByWorkflowId).load(parent.id) for parent in parents))
    assert found == [[], []]
    assert upstream(BackendName.TEMPORAL) == ["ListWorkflowExecutions"]


async def test_workflows_of_several_users_share_a_page(ctx: As, resting: Company, company_store: Mongo) -> None:
    people = await company_store.users_by_ids([person("CUSTOMER", 1, n).id for n in range(3)])
    started = {(await started_for(resting, user_id=each.id)).id for each in people}
    for each in people:
        await listed(ctx(SERVICE), WorkflowWanted(started_by_id=each.id), set())
    async with asyncio.timeout(10):
        while True:
            with operation.running(operation.Operation()) as running:
                pages = await asyncio.gather(
                    *(workflows.workflows_of_user(ctx(SERVICE), each, first=5, after=None) for each in people)
                )
            if started <= {row.id for page in pages for row in page.nodes}:
                break
            await asyncio.sleep(0.02)
    for each, page in zip(people, pages, strict=True):
        assert {row.user_id for row in page.nodes} == {each.id}
    assert [call.path for call in running.calls] == ["ListWorkflowExecutions"]


# -- following, signalling, stopping -------------------------------------------------------------------------------


async def test_following_begins_with_the_state_and_a_fresh_operation_each_time(
    company: Company, worker_client: Client
) -> None:
    context = Context(company.sources, user(ADA))
    started = await start(context)
    operations, states = [], []
    following = workflows.follow(context, started.id)
    async with build_worker(worker_client, company.settings, company.sources), aclosing(following):
        async for state in following:
            operations.append(operation.current())
            states.append(state)
    assert states[0].id == started.id
    assert states[-1].status is WorkflowStatus.COMPLETED
    assert len({id(each) for each in operations}) == len(states)
    result = await workflows.result(context, states[-1])
    assert result is not None
    assert result.success
    assert await workflows.result(context, states[0]) is None
    assert (await workflows.cancel(context, started.id, None)).status is WorkflowStatus.COMPLETED


async def test_an_order_takes_no_signal(ctx: As, resting: Company) -> None:
    started = await started_for(resting)
    for name in ("approve", "reject", "stop", ""):
        with pytest.raises(BadUserInput, match="no signal"):
            await workflows.signal(ctx(SERVICE), started.id, name, None)
    assert "SignalWorkflowExecution" not in upstream(BackendName.TEMPORAL)


async def test_cancelling_asks_the_workflow_to_stop(company: Company, worker_client: Client) -> None:
    context = Context(company.sources, user(ADA))
    started = await start(context)
    assert (await workflows.cancel(context, started.id, "changed my mind")).status is WorkflowStatus.RUNNING
    async with build_worker(worker_client, company.settings, company.sources):
        assert (await company.end(started.id)).status is WorkflowStatus.CANCELED
    assert not company.left().orders
