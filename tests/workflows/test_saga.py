"""The step runner on the real dev server, with two steps and a message that do as they are told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest
from temporalio import workflow
from temporalio.client import Client, WorkflowFailureError, WorkflowHistory
from temporalio.exceptions import ApplicationError, CancelledError
from temporalio.worker import Replayer, Worker

from core.errors import BackendRejected, BackendUnavailable, GatewayError

with workflow.unsafe.imports_passed_through():
    from core import operation
    from core.backends import BackendName
    from core.settings import TemporalSettings
    from datasources.temporal import (
        Memo,
        NewWorkflow,
        StepRecord,
        StepStatus,
        Temporal,
        WorkflowRecord,
        WorkflowStatus,
        WorkflowType,
    )
    from workflows._activity import CannotUndo, forward, undo
    from workflows.contracts import MessageOutcome, Outcome, StepTiming
    from workflows.saga import Saga, Undo

pytest_plugins = ["tests.engines"]
# The SDK says so when an activity ends while the server gives it up; the worker goes on.
pytestmark = pytest.mark.filterwarnings("ignore:Cannot find activity to cancel:UserWarning")

STEPS = (
    StepRecord("one", BackendName.MEDUSA),
    StepRecord("two", BackendName.STRIPE),
    StepRecord("mail", BackendName.SENDGRID),
)
HURRY = StepTiming(tries=3, give_up_s=20, try_s=5, heartbeat_s=1, first_pause_s=0.01, longest_pause_s=0.05)


@dataclass
class Told:
    """What each act is to do: raise the next of these errors, if one is left, or wait for ever."""

    does: list[str] = field(default_factory=list)
    errors: dict[str, list[Exception]] = field(default_factory=dict)
    hangs: set[str] = field(default_factory=set)
    began: dict[str, asyncio.Event] = field(default_factory=dict)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)
    operations: list[operation.Operation] = field(default_factory=list)

    async def act(self, name: str) -> None:
        self.does.append(name)
        self.operations.append(operation.current())
        self.beginning(name).set()
        if name in self.hangs:
            await self.go_on.wait()
        if self.errors.get(name):
            raise self.errors[name].pop(0)

    def beginning(self, name: str) -> asyncio.Event:
        return self.began.setdefault(name, asyncio.Event())


class Acts:
    def __init__(self, told: Told) -> None:
        self._told = told

    @forward
    async def do(self, name: str) -> Outcome:
        await self._told.act(name)
        return Outcome()

    @undo
    async def take_back(self, name: str) -> Outcome:
        await self._told.act(f"undo {name}")
        return Outcome()

    @forward
    async def tell(self, status: str) -> MessageOutcome:
        await self._told.act("mail")
        return MessageOutcome(status, None if status == "SENT" else "not sure")


@workflow.defn(name=WorkflowType.ORDER_FULFILLMENT.value)
class TwoSteps:
    @workflow.run
    async def run(self, mail: str) -> str:
        saga = Saga(STEPS, {"one": "doing one", "two": "doing two", "mail": "writing"}, HURRY)
        return await saga.run(lambda: self.body(saga, mail))

    async def body(self, saga: Saga, mail: str) -> str:
        for name in ("one", "two"):
            async with saga.step(name, undo=Undo(Acts.take_back, name)):
                await saga.do(Acts.do, name)
        await saga.message("mail", Acts.tell, mail)
        return "done"


@dataclass
class Run:
    """A finished run: its record, its result or error, its states as watched."""

    record: WorkflowRecord
    error: BaseException | None
    history: WorkflowHistory

    @property
    def statuses(self) -> list[str]:
        return [step.status.value for step in self.record.steps]


class Stage:
    """Runs `TwoSteps` with a worker of its own."""

    def __init__(self, temporal: Temporal, client: Client) -> None:
        self.temporal = temporal
        self.client = client

    async def start(self, mail: str = "SENT") -> str:
        memo = Memo(steps=STEPS)
        new = NewWorkflow(f"saga-{uuid4()}", WorkflowType.ORDER_FULFILLMENT, mail, "test", "u", "c", "a", memo)
        return (await self.temporal.start(new)).id

    async def end(self, id: str) -> Run:
        handle = self.client.get_workflow_handle(id)
        error: BaseException | None = None
        try:
            assert await handle.result() == "done"
        except WorkflowFailureError as exc:
            error = exc.cause
        record = await self.temporal.describe(id)
        assert record is not None
        return Run(record, error, await handle.fetch_history())


@asynccontextmanager
async def staged(temporal: Temporal, client: Client, settings: TemporalSettings, told: Told) -> AsyncIterator[Stage]:
    acts = Acts(told)
    async with Worker(
        client, task_queue=settings.task_queue, workflows=[TwoSteps], activities=[acts.do, acts.take_back, acts.tell]
    ):
        yield Stage(temporal, client)


Staging = Callable[[Told], Any]


@pytest.fixture
def stage(temporal: Temporal, worker_client: Client, temporal_settings: TemporalSettings) -> Staging:
    return lambda told: staged(temporal, worker_client, temporal_settings, told)


def down() -> BackendUnavailable:
    return BackendUnavailable(BackendName.STRIPE, "stripe cannot be reached")


def refused(message: str = "no funds") -> BackendRejected:
    return BackendRejected(BackendName.STRIPE, message, status=402)


async def test_all_steps_are_done_in_order_and_shown(stage: Staging) -> None:
    told = Told()
    async with stage(told) as play:
        run = await play.end(await play.start())
    assert told.does == ["one", "two", "mail"]
    assert run.statuses == ["DONE", "DONE", "DONE"]
    assert (run.record.status, run.record.progress, run.record.current_step) == (WorkflowStatus.COMPLETED, 1, "Done")
    for step in run.record.steps:
        assert step.started_at is not None
        assert step.closed_at is not None
        assert step.started_at <= step.closed_at


async def test_a_refusal_is_not_repeated_and_everything_is_undone_backwards(stage: Staging) -> None:
    told = Told(errors={"two": [refused()]})
    async with stage(told) as play:
        run = await play.end(await play.start())
    assert told.does == ["one", "two", "undo two", "undo one"]
    assert run.statuses == ["COMPENSATED", "FAILED", "SKIPPED"]
    assert run.record.status is WorkflowStatus.FAILED
    error = run.record.error
    assert error is not None
    assert (error.code, error.step, error.compensated) == ("UPSTREAM_REJECTED", "two", True)
    assert "doing two" in error.message
    assert "no funds" in error.message
    assert isinstance(run.error, ApplicationError)
    assert run.error.type == "UPSTREAM_REJECTED"
    assert run.error.details[0] == {"code": error.code, "message": error.message, "step": "two", "compensated": True}


async def test_an_outage_is_waited_out(stage: Staging) -> None:
    told = Told(errors={"two": [down(), down()]})
    async with stage(told) as play:
        run = await play.end(await play.start())
    assert told.does == ["one", "two", "two", "two", "mail"]
    assert run.statuses == ["DONE", "DONE", "DONE"]
    assert [step.attempt for step in run.record.steps] == [1, 3, 1]


async def test_an_outage_that_lasts_ends_the_step_after_its_tries(stage: Staging) -> None:
    told = Told(errors={"two": [down() for _ in range(10)]})
    async with stage(told) as play:
        run = await play.end(await play.start())
    assert told.does == ["one", "two", "two", "two", "undo two", "undo one"]
    error, step = run.record.error, run.record.steps[1]
    assert error is not None
    assert (error.code, step.attempt, step.error) == ("UPSTREAM_UNAVAILABLE", 3, "stripe cannot be reached")


async def test_undoing_waits_out_any_outage(stage: Staging) -> None:
    told = Told(errors={"two": [refused()], "undo one": [down() for _ in range(4)]})
    async with stage(told) as play:
        run = await play.end(await play.start())
    assert told.does.count("undo one") == 5
    assert run.statuses == ["COMPENSATED", "FAILED", "SKIPPED"]


@pytest.mark.parametrize(
    ("error", "tries"), [(CannotUndo("it is under way"), 1), (refused("not now"), 5)], ids=["for good", "by refusal"]
)
async def test_what_cannot_be_undone_is_told_and_the_rest_is_undone(
    stage: Staging, error: GatewayError, tries: int
) -> None:
    told = Told(errors={"two": [refused()], "undo two": [error] * 9})
    async with stage(told) as play:
        run = await play.end(await play.start())
    assert told.does.count("undo two") == tries
    assert told.does[-1] == "undo one"
    assert run.statuses == ["COMPENSATED", "FAILED", "SKIPPED"]
    assert run.record.error is not None
    assert not run.record.error.compensated
    assert "could not be undone" in (run.record.steps[1].error or "")


async def test_an_error_nobody_expected_is_masked_and_not_repeated(stage: Staging) -> None:
    told = Told(errors={"two": [KeyError("secret")]})
    async with stage(told) as play:
        run = await play.end(await play.start())
    assert told.does.count("two") == 1
    assert run.record.error is not None
    assert run.record.error.code == "INTERNAL"
    assert "secret" not in run.record.error.message


async def test_a_cancellation_stops_the_running_step_and_undoes_everything(stage: Staging) -> None:
    told = Told(hangs={"two"})
    async with stage(told) as play:
        workflow_id = await play.start()
        await told.beginning("two").wait()
        await play.temporal.cancel(workflow_id)
        run = await play.end(workflow_id)
    assert told.does == ["one", "two", "undo two", "undo one"]
    assert run.record.status is WorkflowStatus.CANCELED
    assert isinstance(run.error, CancelledError)
    assert run.statuses == ["COMPENSATED", "FAILED", "SKIPPED"]


@pytest.mark.parametrize(
    ("step", "does"), [("one", ["one", "undo one"]), ("two", ["one", "two", "undo two", "undo one"])]
)
async def test_a_cancellation_that_meets_a_finished_step_still_undoes_it(
    stage: Staging, step: str, does: list[str]
) -> None:
    told = Told(hangs={step})
    async with stage(told) as play:
        workflow_id = await play.start()
        await told.beginning(step).wait()
        await play.temporal.cancel(workflow_id)
        told.go_on.set()
        run = await play.end(workflow_id)
    assert told.does == does
    assert run.record.status is WorkflowStatus.CANCELED


async def test_a_cancellation_while_undoing_changes_nothing(stage: Staging) -> None:
    told = Told(errors={"two": [refused()]}, hangs={"undo two"})
    async with stage(told) as play:
        workflow_id = await play.start()
        await told.beginning("undo two").wait()
        await play.temporal.cancel(workflow_id)
        told.go_on.set()
        run = await play.end(workflow_id)
    assert told.does == ["one", "two", "undo two", "undo one"]
    assert run.record.status is WorkflowStatus.FAILED
    assert run.record.error is not None
    assert run.record.error.compensated


async def test_a_cancellation_comes_too_late_for_the_message(stage: Staging) -> None:
    told = Told(hangs={"mail"})
    async with stage(told) as play:
        workflow_id = await play.start()
        await told.beginning("mail").wait()
        await play.temporal.cancel(workflow_id)
        told.go_on.set()
        run = await play.end(workflow_id)
    assert told.does == ["one", "two", "mail"]
    assert (run.record.status, run.error) == (WorkflowStatus.COMPLETED, None)


@pytest.mark.parametrize("status", ["FAILED", "UNKNOWN"])
async def test_a_message_fails_alone(stage: Staging, status: str) -> None:
    told = Told()
    async with stage(told) as play:
        run = await play.end(await play.start(mail=status))
    assert run.record.status is WorkflowStatus.COMPLETED
    assert run.statuses == ["DONE", "DONE", status]
    assert run.record.steps[2].error == "not sure"


async def test_a_message_that_raises_fails_alone_too(stage: Staging) -> None:
    told = Told(errors={"mail": [refused("bad address")]})
    async with stage(told) as play:
        run = await play.end(await play.start())
    assert run.record.status is WorkflowStatus.COMPLETED
    assert (run.statuses[2], run.record.steps[2].error) == ("FAILED", "bad address")


async def test_a_running_step_shows_which_try_it_is(stage: Staging) -> None:
    told = Told(errors={"one": [down()]})
    async with stage(told) as play:
        workflow_id = await play.start()
        await told.beginning("one").wait()
        told.hangs.add("one")
        async with asyncio.timeout(10):
            while (record := await play.temporal.describe(workflow_id)) and record.steps[0].attempt < 2:
                await asyncio.sleep(0.01)
        assert record is not None
        assert record.steps[0].status is StepStatus.RUNNING
        told.go_on.set()
        await play.end(workflow_id)


async def test_activities_have_a_deadline_and_leave_retries_to_temporal(stage: Staging) -> None:
    told = Told()
    async with stage(told) as play:
        await play.end(await play.start())
    for running in told.operations:
        assert running.deadline is not None
        assert not running.may_retry


@pytest.mark.parametrize("errors", [{}, {"two": [refused()]}], ids=["done", "undone"])
async def test_a_recorded_history_replays(stage: Staging, errors: dict[str, list[Exception]]) -> None:
    async with stage(Told(errors={name: list(raised) for name, raised in errors.items()})) as play:
        run = await play.end(await play.start())
        replayer = Replayer(workflows=[TwoSteps], data_converter=play.client.data_converter)
        replayed = await replayer.replay_workflow(run.history)
    assert replayed.replay_failure is None
