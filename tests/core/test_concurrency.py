from __future__ import annotations

import asyncio

import pytest

from core.concurrency import bounded_map


async def test_answers_come_in_the_order_of_the_keys_and_few_run_at_a_time() -> None:
    running, most = 0, 0

    async def work(key: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _ in range(10 - key):
            await asyncio.sleep(0)
        running -= 1
        return key * key

    assert await bounded_map(work, range(10), at_once=3) == [key * key for key in range(10)]
    assert most == 3


async def test_an_error_is_raised() -> None:
    async def work(key: int) -> int:
        raise LookupError(key)

    with pytest.raises(LookupError):
        await bounded_map(work, [1, 2])
