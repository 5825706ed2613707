"""The Temporal client against the real dev server, with a workflow that does what it is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any
from uuid import uuid4

import msgspec
import pytest
from temporalio import workflow
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from core import operation
from core.backends import BackendName
from core.errors import BackendRejected, BackendUnavailable, NotFound
from core.settings import TemporalSettings
from datasources._broadcast import Broadcast
from datasources.temporal import (
    ORDER_ID,
    Memo,
    NewWorkflow,
    StepRecord,
    StepStatus,
    Temporal,
    WorkflowErrorRecord,
    WorkflowFilter,
    WorkflowRecord,
    WorkflowStatus,
    WorkflowType,
    connect,
    register_search_attributes,
)

pytest_plugins = ["tests.engines"]

WORK = StepRecord("work", BackendName.MEDUSA)


@workflow.defn(name=WorkflowType.ORDER_FULFILLMENT.value)
class Obedient:
    """Shows each status that it is told by signal; ends on `done`, fails on `fail`."""

    def __init__(self) -> None:
        self.told: list[str] = []

    @workflow.run
    async def run(self, order_id: str) -> dict[str, Any]:
        if order_id:
            workflow.upsert_search_attributes([ORDER_ID.value_set(order_id)])
        while True:
            await workflow.wait_condition(lambda: bool(self.told))
            word = self.told.pop(0)
            if word == "done":
                return {"success": True, "result": {"orderId": order_id}, "artifacts": [{"type": "card", "data": {}}]}
            if word == "fail":
                error = msgspec.to_builtins(WorkflowErrorRecord("UPSTREAM_REJECTED", "no", "work", True))
                workflow.upsert_memo({"error": error})
                raise ApplicationError("no", non_retryable=True)
            step = msgspec.structs.replace(WORK, status=StepStatus(word), started_at=workflow.now(), attempt=1)
            workflow.upsert_memo({"steps": [msgspec.to_builtins(step)], "currentStep": word.title()})

    @workflow.signal
    def tell(self, word: str) -> None:
        self.told.append(word)


@pytest.fixture
async def worker(worker_client: Client, temporal_settings: TemporalSettings) -> AsyncIterator[None]:
    async with Worker(
        worker_client,
        task_queue=temporal_settings.task_queue,
        workflows=[Obedient],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        yield


def new(id: str = "", order_id: str = "", **changes: Any) -> NewWorkflow:
    made = NewWorkflow(
        id=id or f"w-{uuid4()}",
        type=WorkflowType.ORDER_FULFILLMENT,
        argument=order_id,
        action="order.fulfill",
        user_id="u1",
        client_id="c1",
        client_app_id="a1",
        memo=Memo(steps=(WORK,), input_digest="d1"),
    )
    return NewWorkflow(**({name: getattr(made, name) for name in NewWorkflow.__slots__} | changes))


async def listed(temporal: Temporal, filter: WorkflowFilter, count: int) -> list[WorkflowRecord]:
    """Visibility follows a moment behind."""
    async with asyncio.timeout(10):
        while True:
            rows, _ = await temporal.list_page(filter, limit=100)
            if len(rows) >= count:
                return rows
            await asyncio.sleep(0.02)


async def test_a_started_workflow_shows_who_what_and_its_steps_without_a_worker(temporal: Temporal) -> None:
    started = await temporal.start(new("shows-itself"))
    assert started.id == "shows-itself"
    assert started.run_id
    assert (started.type, started.status) == (WorkflowType.ORDER_FULFILLMENT, WorkflowStatus.RUNNING)
    assert (started.user_id, started.client_id, started.client_app_id) == ("u1", "c1", "a1")
    assert started.action == "order.fulfill"
    assert started.steps == (WORK,)
    assert started.progress == 0
    assert started.started_at is not None
    assert started.closed_at is None


@pytest.mark.usefixtures("worker")
async def test_starting_twice_gives_the_same_run_whether_open_or_closed(temporal: Temporal) -> None:
    first = await temporal.start(new("twice"))
    again = await temporal.start(new("twice", memo=Memo(input_digest="other")))
    assert again.run_id == first.run_id
    assert again.memo.input_digest == "d1"
    await temporal.signal("twice", "tell", "done")
    await temporal.result("twice", None)
    closed = await temporal.start(new("twice"))
    assert (closed.run_id, closed.status) == (first.run_id, WorkflowStatus.COMPLETED)


async def test_an_unknown_workflow_is_none_to_read_and_not_found_to_change(temporal: Temporal) -> None:
    assert await temporal.describe("nowhere") is None
    assert await temporal.describe("") is None
    assert await temporal.describe("x" * 2000) is None
    with pytest.raises(NotFound):
        await temporal.signal("nowhere", "tell", "done")
    with pytest.raises(NotFound):
        await temporal.cancel("nowhere")
    with pytest.raises(NotFound):
        await anext(temporal.watch("nowhere"))


@pytest.mark.usefixtures("worker")
async def test_lists_filter_by_owner_order_status_and_page_with_tokens(temporal: Temporal) -> None:
    mine, client, order = f"u-{uuid4()}", f"c-{uuid4()}", f"o-{uuid4()}"
    for n in range(3):
        await temporal.start(new(user_id=mine, client_id=client, order_id=order if n == 0 else ""))
    await temporal.start(new(user_id="somebody else", client_id=client))
    assert {row.user_id for row in await listed(temporal, WorkflowFilter(user_ids=(mine,)), 3)} == {mine}
    assert len(await listed(temporal, WorkflowFilter(client_ids=(client,)), 4)) == 4
    assert [row.order_id for row in await listed(temporal, WorkflowFilter(order_ids=(order,)), 1)] == [order]
    assert await temporal.count(WorkflowFilter(user_ids=(mine,))) == 3
    assert await temporal.count(WorkflowFilter(user_ids=(mine,), status=WorkflowStatus.FAILED)) == 0
    assert await temporal.list_page(WorkflowFilter(client_ids=()), limit=10) == ([], None)
    assert await temporal.list_page(WorkflowFilter(status=WorkflowStatus.PLANNED), limit=10) == ([], None)

    first, token = await temporal.list_page(WorkflowFilter(user_ids=(mine,)), limit=2)
    assert token is not None
    rest, _ = await temporal.list_page(WorkflowFilter(user_ids=(mine,)), limit=2, token=token)
    assert len({row.id for row in first + rest}) == 3


@pytest.mark.parametrize("value", ["o'; x", "a' OR WorkflowType='x", 'say "x"', "back\\slash", "line\nbreak", "\\'"])
async def test_a_value_cannot_leave_its_quotes(temporal: Temporal, value: str) -> None:
    await temporal.start(new(user_id=value, client_id="quotes"))
    for user_id in (value, "anybody"):
        rows, _ = await temporal.list_page(WorkflowFilter(user_ids=(user_id,), client_ids=("quotes",)), limit=50)
        assert {row.user_id for row in rows} <= {user_id}


async def test_a_quoted_value_finds_itself(temporal: Temporal) -> None:
    value = f"O'Hara {uuid4()}"
    await temporal.start(new(user_id=value))
    assert (await listed(temporal, WorkflowFilter(user_ids=(value,)), 1))[0].user_id == value


@pytest.mark.usefixtures("worker")
async def test_workflows_of_many_orders_take_one_call_for_fifty(temporal: Temporal) -> None:
    orders = [f"order-{uuid4()}" for _ in range(3)]
    for order_id in orders:
        await temporal.start(new(order_id=order_id))
    await listed(temporal, WorkflowFilter(order_ids=tuple(orders)), 3)
    with operation.running(operation.Operation()) as running:
        found = await temporal.workflows_by_order_ids([*orders, *(f"absent-{n}" for n in range(47))])
        assert {row.order_id for row in found} == set(orders)
        assert [call.path for call in running.calls] == ["ListWorkflowExecutions"]
        await temporal.workflows_by_order_ids([f"absent-{n}" for n in range(51)])
        assert len(running.calls) == 3


@pytest.mark.usefixtures("worker")
async def test_workflows_are_found_by_fifty_ids_in_one_call(temporal: Temporal) -> None:
    started = [(await temporal.start(new())).id for _ in range(2)]
    await listed(temporal, WorkflowFilter(ids=tuple(started)), 2)
    with operation.running(operation.Operation()) as running:
        found = await temporal.workflows_by_ids([*started, *(f"absent-{n}" for n in range(48))])
        assert {row.id for row in found} == set(started)
        assert [call.path for call in running.calls] == ["ListWorkflowExecutions"]
    assert await temporal.workflows_by_ids([]) == []


@pytest.mark.usefixtures("worker")
async def test_watching_gives_the_state_then_each_change_then_ends(temporal: Temporal) -> None:
    started = await temporal.start(new())
    seen = []
    async for heard in temporal.watch(started.id):
        record = heard.item
        seen.append((record.status, record.steps[0].status, record.current_step))
        if len(seen) == 1:
            await temporal.signal(started.id, "tell", "RUNNING")
        elif record.steps[0].status is StepStatus.RUNNING:
            await temporal.signal(started.id, "tell", "DONE")
        elif not record.is_closed:
            await temporal.signal(started.id, "tell", "done")
    assert seen == [
        (WorkflowStatus.RUNNING, StepStatus.PENDING, None),
        (WorkflowStatus.RUNNING, StepStatus.RUNNING, "Running"),
        (WorkflowStatus.RUNNING, StepStatus.DONE, "Done"),
        (WorkflowStatus.COMPLETED, StepStatus.DONE, "Done"),
    ]
    assert [heard.item.status async for heard in temporal.watch(started.id)] == [WorkflowStatus.COMPLETED]


@pytest.mark.usefixtures("worker")
async def test_all_watchers_of_a_workflow_share_one_long_poll(temporal: Temporal) -> None:
    started = await temporal.start(new())
    with operation.running(operation.Operation()) as running:
        async with aclosing(temporal.watch(started.id)) as one, aclosing(temporal.watch(started.id)) as two:
            assert (await anext(one)).item.status is (await anext(two)).item.status
            assert len(temporal._streams) == 1
            await temporal.signal(started.id, "tell", "done")
            assert [heard.item.status async for heard in one] == [heard.item.status async for heard in two]
        assert [call.path for call in running.calls].count("DescribeWorkflowExecution") == 1
    assert not temporal._streams


async def test_the_long_poll_ends_with_its_last_watcher(temporal: Temporal) -> None:
    started = await temporal.start(new())
    async with aclosing(temporal.watch(started.id)) as heard:
        await anext(heard)
        assert temporal._streams
    assert not temporal._streams


@pytest.mark.usefixtures("worker")
async def test_a_failed_workflow_tells_why_and_has_no_result(temporal: Temporal) -> None:
    started = await temporal.start(new())
    await temporal.signal(started.id, "tell", "fail")
    assert await temporal.result(started.id, started.run_id) is None
    failed = await temporal.describe(started.id)
    assert failed is not None
    assert failed.status is WorkflowStatus.FAILED
    assert failed.error == WorkflowErrorRecord("UPSTREAM_REJECTED", "no", "work", True)


async def test_a_terminated_workflow_says_that_nothing_was_undone(temporal: Temporal, worker_client: Client) -> None:
    started = await temporal.start(new())
    await worker_client.get_workflow_handle(started.id).terminate("by an operator")
    ended = await temporal.describe(started.id)
    assert ended is not None
    assert ended.error is not None
    assert (ended.status, ended.error.compensated) == (WorkflowStatus.TERMINATED, False)


@pytest.mark.usefixtures("worker")
async def test_a_result_is_success_result_and_artifacts(temporal: Temporal) -> None:
    started = await temporal.start(new(order_id="order_1"))
    await temporal.signal(started.id, "tell", "done")
    result = await temporal.result(started.id, started.run_id)
    assert result is not None
    assert (result.success, result.result) == (True, {"orderId": "order_1"})
    assert [artifact.type for artifact in result.artifacts] == ["card"]


async def test_workflows_of_other_kinds_are_not_there(temporal: Temporal, worker_client: Client) -> None:
    foreign = f"foreign-{uuid4()}"
    await worker_client.start_workflow("Foreign", id=foreign, task_queue="nobody")
    assert await temporal.describe(foreign) is None
    await worker_client.get_workflow_handle(foreign).terminate()


async def test_nobody_answering_is_unavailable_once_patience_ends(temporal_settings: TemporalSettings) -> None:
    with pytest.raises(BackendUnavailable):
        await connect(temporal_settings, "127.0.0.1:1", patience_s=0.2)


async def test_a_refused_start_names_temporal(temporal: Temporal) -> None:
    with pytest.raises(BackendRejected) as refused:
        await temporal.start(new("x" * 1500))
    assert refused.value.source is BackendName.TEMPORAL


async def test_search_attributes_that_are_there_stay_as_they_are(worker_client: Client) -> None:
    assert await register_search_attributes(worker_client)


async def test_ping_answers(temporal: Temporal) -> None:
    await temporal.ping()


async def test_a_slow_listener_skips_to_the_newest_and_is_told_of_the_gap() -> None:
    go = asyncio.Event()

    async def numbers() -> AsyncIterator[int]:
        yield 0
        await go.wait()
        for n in range(1, 10):
            yield n

    stream = Broadcast(numbers, buffer=3)
    async with aclosing(stream.listen()) as slow:
        assert await anext(slow) == (0, False)
        go.set()
        fast = [heard.item async for heard in stream.listen()]
        rest = [heard async for heard in slow]
    assert fast[-1] == 9
    assert rest[0].gap
    assert rest[-1].item == 9
    assert len(rest) <= 3


async def test_a_failing_source_fails_every_listener() -> None:
    async def broken() -> AsyncIterator[int]:
        yield 1
        raise ConnectionError

    stream = Broadcast(broken)
    listening = stream.listen()
    assert await anext(listening) == (1, False)
    with pytest.raises(ConnectionError):
        await anext(listening)
