"""The frame around every activity: heartbeats, a deadline, errors in Temporal's words."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import wraps
from typing import Any, TypeVar

from temporalio import activity
from temporalio.exceptions import ApplicationError

from core import operation
from core.errors import BackendBadResponse, BackendError, BackendRejected, GatewayError
from workflows.contracts import Outcome

A = TypeVar("A")
J = TypeVar("J")
O_ = TypeVar("O_", bound=Outcome)

REFUSALS_BEFORE_GIVING_UP = 5
"""An undo that is refused may succeed a moment later (a lock, a stale document); not for ever."""

_log = logging.getLogger(__name__)


class CannotUndo(GatewayError):
    """What was done cannot be undone any more, as a delivery that is under way."""

    code = "CANNOT_UNDO"


def forward(method: Callable[[A, J], Coroutine[Any, Any, O_]]) -> Callable[[A, J], Awaitable[O_]]:
    """An activity that does something: repeated while its backend is out, not when it refuses."""
    return _activity(method, _worth_another_try)


def undo(method: Callable[[A, J], Coroutine[Any, Any, O_]]) -> Callable[[A, J], Awaitable[O_]]:
    """An activity that undoes something: repeated until it succeeds or is refused again and again."""
    return _activity(method, _undo_again)


def running_workflow() -> str:
    """The id of the workflow that the running activity belongs to: what its writes are known by."""
    workflow_id = activity.info().workflow_id
    if workflow_id is None:
        raise RuntimeError("this activity belongs to a workflow")
    return workflow_id


def _worth_another_try(exc: Exception, attempt: int) -> bool:
    # Garbage mostly comes from something in between and is gone the next time.
    return isinstance(exc, BackendError) and (exc.retryable or isinstance(exc, BackendBadResponse))


def _undo_again(exc: Exception, attempt: int) -> bool:
    refused = isinstance(exc, GatewayError) and not _worth_another_try(exc, attempt)
    if isinstance(exc, BackendRejected):
        return attempt < REFUSALS_BEFORE_GIVING_UP
    return not refused


def _activity(
    method: Callable[[A, J], Coroutine[Any, Any, O_]], again: Callable[[Exception, int], bool]
) -> Callable[[A, J], Awaitable[O_]]:
    @wraps(method)
    async def run(self: A, job: J) -> O_:
        info = activity.info()
        try_s = info.start_to_close_timeout.total_seconds() if info.start_to_close_timeout else 30.0
        beat_s = info.heartbeat_timeout.total_seconds() if info.heartbeat_timeout else 3.0
        # Ends a little before Temporal would end it, so that what went wrong can still be told.
        with operation.running(operation.within(try_s * 0.9, may_retry=False, request_id=running_workflow())):
            async with _heartbeats(beat_s / 3):
                try:
                    outcome = await _to_its_end(method(self, job))
                except Exception as exc:
                    raise _failure(exc, info.attempt, again) from exc
        return replace(outcome, attempt=info.attempt)

    return activity.defn(run)


async def _to_its_end(work: Coroutine[Any, Any, O_]) -> O_:
    """Its outcome, also when the workflow is cancelled meanwhile: a call that is under way may have its effect after
    we have turned away, and after its undo has looked for it. A worker that shuts down does turn away; the call is
    made again elsewhere, and finds what it did."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if not (task.done() or activity.is_worker_shutdown()):
            await asyncio.wait({task}, timeout=operation.current().remaining_s())
        if task.done() and not task.cancelled():
            return task.result()
        raise
    finally:
        task.cancel()


def _failure(exc: Exception, attempt: int, again: Callable[[Exception, int], bool]) -> ApplicationError:
    if isinstance(exc, GatewayError):
        message, code = str(exc), exc.code
    else:
        _log.error("an activity failed unexpectedly", exc_info=exc)
        message, code = "something unexpected happened", GatewayError.code
    return ApplicationError(message, attempt, type=code, non_retryable=not again(exc, attempt))


@asynccontextmanager
async def _heartbeats(every_s: float) -> AsyncIterator[None]:
    """Tell Temporal that this worker lives. What comes back is a cancellation, if somebody asked for one."""

    async def beat() -> None:
        while True:
            activity.heartbeat()
            await asyncio.sleep(every_s)

    task = asyncio.create_task(beat())
    try:
        yield
    finally:
        task.cancel()
