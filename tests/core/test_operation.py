"""The running operation."""

from __future__ import annotations

import asyncio
import contextvars
import time

from core import operation
from core.operation import Operation


def test_outside_of_any_entrance_there_is_a_fresh_one_without_deadline() -> None:
    outside = contextvars.Context()
    one, other = outside.run(operation.current), outside.run(operation.current)
    assert one.remaining_s() is None
    assert one is not other
    assert one.request_id != other.request_id


def test_it_is_the_current_one_within_its_block() -> None:
    outer, inner = Operation(), Operation()
    with operation.running(outer):
        with operation.running(inner):
            assert operation.current() is inner
        assert operation.current() is outer


async def test_each_task_has_its_own() -> None:
    async def entrance() -> Operation:
        mine = Operation()
        operation.enter(mine)
        await asyncio.sleep(0)
        assert operation.current() is mine
        return mine

    with operation.running(Operation()) as outer:
        first, second = await asyncio.gather(entrance(), entrance())
        assert operation.current() is outer
    assert first is not second


async def test_what_it_starts_belongs_to_it() -> None:
    async def started() -> Operation:
        return operation.current()

    with operation.running(Operation()) as outer:
        assert await asyncio.create_task(started()) is outer


def test_time_runs_out_and_never_below_zero() -> None:
    assert 4 < (operation.within(5).remaining_s() or 0) <= 5
    assert Operation(deadline=time.monotonic() - 1).remaining_s() == 0


def test_within_takes_a_request_id_and_says_who_retries() -> None:
    made = operation.within(1, may_retry=False, request_id="r1")
    assert (made.request_id, made.may_retry) == ("r1", False)
    assert operation.within(1).may_retry
