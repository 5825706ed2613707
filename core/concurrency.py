"""Doing many things at once, but not too many."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

K = TypeVar("K")
V = TypeVar("V")

SIDE_BY_SIDE = 8
"""Calls of one kind that an operation makes at a time, where a backend has no batch."""


async def bounded_map(work: Callable[[K], Awaitable[V]], keys: Iterable[K], *, at_once: int = SIDE_BY_SIDE) -> list[V]:
    """`work` of every key, in the order of the keys, at most `at_once` of them running. Raises what `work` raises."""
    turn = asyncio.Semaphore(at_once)

    async def one(key: K) -> V:
        async with turn:
            return await work(key)

    return await asyncio.gather(*(one(key) for key in keys))
