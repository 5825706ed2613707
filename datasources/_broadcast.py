"""One stream for many listeners: whoever comes late begins with the newest item, whoever is slow skips to it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


class Heard(NamedTuple, Generic[T]):
    """`gap` says that the listener was too slow and items before this one were left out."""

    item: T
    gap: bool


class _Listener(Generic[T]):
    def __init__(self, buffer: int) -> None:
        self.items: deque[T] = deque()
        self.buffer = buffer
        self.gap = False
        self.ready = asyncio.Event()

    def hear(self, item: T) -> None:
        if len(self.items) >= self.buffer:
            self.items.clear()
            self.gap = True
        self.items.append(item)
        self.ready.set()


class Broadcast(Generic[T]):
    """Runs `source` once, from the first listener until the stream ends or the last one has left; then `on_idle`."""

    def __init__(
        self, source: Callable[[], AsyncIterator[T]], *, buffer: int = 16, on_idle: Callable[[], None] = lambda: None
    ) -> None:
        self._source = source
        self._buffer = buffer
        self._on_idle = on_idle
        self._listeners: set[_Listener[T]] = set()
        self._newest: tuple[T] | None = None
        self._task: asyncio.Task[None] | None = None

    async def listen(self) -> AsyncGenerator[Heard[T], None]:
        """Every item from now on, the newest known one first. Raises what the source raises."""
        listener = _Listener[T](self._buffer)
        if self._newest is not None:
            listener.hear(self._newest[0])
        self._listeners.add(listener)
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        task = self._task
        try:
            while True:
                while listener.items:
                    gap, listener.gap = listener.gap, False
                    yield Heard(listener.items.popleft(), gap)
                if task.done():
                    if not task.cancelled():
                        await task
                    return
                listener.ready.clear()
                await listener.ready.wait()
        finally:
            self._listeners.discard(listener)
            if not self._listeners:
                await self.stop()

    async def stop(self) -> None:
        """End the stream for everybody."""
        task, self._task = self._task, None
        self._on_idle()
        if task is not None and not task.done():
            task.cancel()
            await asyncio.wait([task])

    async def _run(self) -> None:
        try:
            async for item in self._source():
                self._newest = (item,)
                for listener in self._listeners:
                    listener.hear(item)
        finally:
            for listener in self._listeners:
                listener.ready.set()
