"""Steps that are done in order and undone backwards: what all workflows share.

A workflow enters each step with `saga.step(name, undo=...)`, inside calls activities with `saga.do(...)`, and runs the
whole inside `saga.run(...)`. The undo is registered before the step begins, since a step that failed may have had its
effect. State is shown in the memo, where lists and subscriptions read it without a worker.

Undoing cannot be stopped, and a cancellation that comes while it runs changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, TypeVar

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, FailureError, is_cancelled_exception
from temporalio.exceptions import TimeoutError as RanOutOfTime

with workflow.unsafe.imports_passed_through():
    import msgspec

    from datasources.temporal import StepRecord, StepStatus, WorkflowErrorRecord
    from workflows.contracts import MessageOutcome, Outcome, StepTiming

T = TypeVar("T")
J = TypeVar("J")
R = TypeVar("R", bound=Outcome)
Activity = Callable[[Any, J], Awaitable[R]]

SETTLED = {"SENT": StepStatus.DONE, "FAILED": StepStatus.FAILED}
"""A message's status as a step's; anything else is UNKNOWN."""


@dataclass(frozen=True)
class Undo:
    """An activity that is safe when nothing was done, when half was, and when it runs twice."""

    activity: Callable[[Any, Any], Awaitable[Outcome]]
    argument: object


@dataclass(frozen=True)
class Failure:
    code: str
    message: str
    attempt: int


class Saga:
    """`steps` in their order; `words` says what each is about, such as "placing the order"."""

    def __init__(self, steps: Sequence[StepRecord], words: Mapping[str, str], timing: StepTiming) -> None:
        self._steps = {step.name: step for step in steps}
        self._words = words
        self._undos: list[tuple[str, Undo]] = []
        self._failed: tuple[str, Failure] | None = None
        self._attempt = 1
        self._forward: dict[str, Any] = {
            "start_to_close_timeout": timedelta(seconds=timing.try_s),
            "heartbeat_timeout": timedelta(seconds=timing.heartbeat_s),
            # Otherwise an effect could come after its undo has looked for it.
            "cancellation_type": workflow.ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
        }
        first, longest = timedelta(seconds=timing.first_pause_s), timedelta(seconds=timing.longest_pause_s)
        patience = RetryPolicy(initial_interval=first, maximum_interval=longest)
        self._backward = {**self._forward, "retry_policy": patience}
        self._forward["schedule_to_close_timeout"] = timedelta(seconds=timing.give_up_s)
        self._forward["retry_policy"] = replace(patience, maximum_attempts=timing.tries)
        # A message is repeated by its activity, which knows whether it may be; that is all one try here.
        self._message = {**self._forward, "start_to_close_timeout": timedelta(seconds=timing.give_up_s)}

    async def run(self, body: Callable[[], Awaitable[T]]) -> T:
        """What `body` gives. When a step fails or the workflow is cancelled, undoes everything and raises.

        Raises: ApplicationError, its type the code and its details a `WorkflowErrorRecord`; or the cancellation.
        """
        try:
            result = await body()
        except (FailureError, asyncio.CancelledError) as exc:
            # The step that was cancelled may have come to an end of its own, also to a bad one.
            cancelled = workflow.cancellation_reason() is not None
            whole = await _unstoppable(self._undo_all())
            if cancelled and whole:
                self._show(current="Cancelled; everything was undone")
                raise asyncio.CancelledError from exc
            raise self._verdict(cancelled, whole) from exc
        self._show(current="Done")
        return result

    @asynccontextmanager
    async def step(self, name: str, *, undo: Undo | None = None) -> AsyncIterator[None]:
        """Everything inside is this step."""
        _stop_if_cancelled()
        if undo is not None:
            self._undos.append((name, undo))
        self._begin(name)
        try:
            yield
        except (FailureError, asyncio.CancelledError) as exc:
            failure = _explain(exc)
            self._failed = (name, failure)
            self._end(name, StepStatus.FAILED, attempt=failure.attempt, error=failure.message)
            raise
        self._end(name, StepStatus.DONE, attempt=self._attempt)

    async def do(self, activity: Activity[J, R], argument: J) -> R:
        """Run an activity as part of the current step, with the patience that `StepTiming` says."""
        outcome: R = await workflow.execute_activity_method(activity, argument, **self._forward)
        self._attempt = max(self._attempt, outcome.attempt)
        return outcome

    async def message(self, name: str, activity: Activity[J, MessageOutcome], argument: J) -> None:
        """A step that sends a message and that fails alone. It stands behind all that can be undone; once it has
        begun, a cancellation comes too late: nobody is told of an order that is then taken back."""
        _stop_if_cancelled()
        self._begin(name)
        try:
            sent = await _unstoppable(workflow.execute_activity_method(activity, argument, **self._message))
        except FailureError as exc:
            failure = _explain(exc)
            self._end(name, StepStatus.FAILED, attempt=failure.attempt, error=failure.message)
        else:
            status = SETTLED.get(sent.status, StepStatus.UNKNOWN)
            self._end(name, status, attempt=sent.attempt, error=sent.error)

    async def _undo_all(self) -> bool:
        """Whether nothing is left of what was done."""
        for name, step in self._steps.items():
            if step.status is StepStatus.PENDING:
                self._set(name, status=StepStatus.SKIPPED)
        whole = True
        for name, undo in reversed(self._undos):
            failed = self._steps[name].status is StepStatus.FAILED
            if not failed:
                self._set(name, status=StepStatus.COMPENSATING)
            self._show(current=f"Undoing: {self._words[name]}")
            try:
                await workflow.execute_activity_method(undo.activity, undo.argument, **self._backward)
            except FailureError as exc:
                whole = False
                self._end(name, StepStatus.FAILED, error=f"could not be undone: {_explain(exc).message}")
            else:
                if not failed:
                    self._end(name, StepStatus.COMPENSATED)
        return whole

    def _verdict(self, cancelled: bool, whole: bool) -> ApplicationError:
        name, failure = self._failed or (None, Failure("WORKFLOW_FAILED", "the workflow was cancelled", 0))
        rest = "what was done before is undone" if whole else "some of what was done could not be undone"
        why = "the workflow was cancelled" if cancelled else f"{self._words.get(name or '', name)}: {failure.message}"
        error = WorkflowErrorRecord(failure.code, f"{why}; {rest}", step=name, compensated=whole)
        told = msgspec.to_builtins(error)
        self._show(current="Failed", error=told)
        return ApplicationError(error.message, told, type=failure.code, non_retryable=True)

    # -- what is shown -----------------------------------------------------------------------------------------

    def _begin(self, name: str) -> None:
        self._attempt = 1
        self._set(name, status=StepStatus.RUNNING, started_at=workflow.now(), attempt=1)
        words = self._words[name]
        self._show(current=words[:1].upper() + words[1:])

    def _end(self, name: str, status: StepStatus, **changes: Any) -> None:
        self._set(name, status=status, closed_at=workflow.now(), **changes)
        self._show()

    def _set(self, name: str, **changes: Any) -> None:
        self._steps[name] = msgspec.structs.replace(self._steps[name], **changes)

    def _show(self, *, current: str | None = None, error: object = None) -> None:
        shown: dict[str, Any] = {"steps": [msgspec.to_builtins(step) for step in self._steps.values()]}
        if current is not None:
            shown["currentStep"] = current
        if error is not None:
            shown["error"] = error
        workflow.upsert_memo(shown)


def _stop_if_cancelled() -> None:
    """A cancellation that came while an activity ended all the same would otherwise go unnoticed."""
    if workflow.cancellation_reason() is not None:
        raise asyncio.CancelledError


async def _unstoppable(work: Coroutine[Any, Any, T]) -> T:
    """Its result, whatever happens to the workflow meanwhile."""
    task = asyncio.create_task(work)
    while not task.done():
        with suppress(asyncio.CancelledError):
            await asyncio.shield(task)
    return task.result()


def _explain(exc: BaseException) -> Failure:
    """What went wrong in an activity, in our words."""
    if is_cancelled_exception(exc):
        return Failure("WORKFLOW_FAILED", "stopped, as the workflow was cancelled", 1)
    cause = exc.cause if isinstance(exc, ActivityError) else exc
    if isinstance(cause, ApplicationError):
        attempt = cause.details[0] if cause.details and isinstance(cause.details[0], int) else 1
        return Failure(cause.type or "INTERNAL", cause.message, attempt)
    if isinstance(cause, RanOutOfTime):
        return Failure("UPSTREAM_TIMEOUT", "did not end in time", 1)
    return Failure("INTERNAL", "something unexpected happened", 1)
