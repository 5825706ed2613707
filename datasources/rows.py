"""Rows that rarely change, remembered across operations, and reads of them that are under way, shared.

Two callers share an answer only if they asked the same question in the same scope. A scope holds all of a principal on
which the answer depends, such as their sales channels; whose a row is, is decided after that, every time anew. Rows are
dropped as soon as somebody says that they have changed; who is not told finds out by their age.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, OrderedDict
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar
from zlib import crc32

from core import operation
from core.backends import BackendName
from core.errors import BackendTimeout
from core.signals import Signals

V = TypeVar("V")

SIZE = 20_000
"""Rows in all, those in lists counted as often as they are in one."""
SHARDS = 16
"""A signal names no row: it means one of so many parts of all rows of a kind."""
_LISTS, _ALL = -1, -2


@dataclass(frozen=True, slots=True)
class RowKind:
    """`life_s`: how old a row may be shown, at most."""

    backend: BackendName
    name: str
    life_s: float

    def topic(self, shard: int) -> str:
        return f"rows:{self.backend.value}:{self.name}:{'all' if shard == _ALL else shard}"


PRODUCTS = RowKind(BackendName.MEDUSA, "product", 30.0)
CATEGORIES = RowKind(BackendName.MEDUSA, "category", 30.0)
STORES = RowKind(BackendName.MEDUSA, "store", 30.0)
# Fleetbase takes 120 calls a minute from all callers together.
DELIVERIES = RowKind(BackendName.FLEETBASE, "delivery", 10.0)
DRIVERS = RowKind(BackendName.FLEETBASE, "driver", 10.0)
VEHICLES = RowKind(BackendName.FLEETBASE, "vehicle", 10.0)
FLEETS = RowKind(BackendName.FLEETBASE, "fleet", 10.0)
ZONES = RowKind(BackendName.FLEETBASE, "zone", 10.0)
KINDS = {
    (kind.backend, kind.name): kind
    for kind in (PRODUCTS, CATEGORIES, STORES, DELIVERIES, DRIVERS, VEHICLES, FLEETS, ZONES)
}


async def drop(signals: Signals, backend: BackendName, kind: str, *ids: str | None) -> None:
    """Have these rows read anew, and every list that may hold them, by every worker: all of the kind without ids.

    `ids` are all by which a row is asked for: of a delivery its own and its order's. Never fails; kinds that nobody
    remembers are fine.
    """
    known = KINDS.get((backend, kind))
    if known is None:
        return
    for shard in sorted({_shard(row_id) for row_id in ids if row_id} or {_ALL}):
        await signals.send(known.topic(shard))


@dataclass(frozen=True, slots=True)
class _Key:
    kind: RowKind
    shard: int
    scope: Hashable
    question: Hashable


@dataclass(frozen=True, slots=True)
class _Kept:
    """`version`: how often its part of its kind had been dropped when it was asked for."""

    value: Any
    until: float
    version: int
    weight: int


@dataclass(frozen=True, slots=True)
class _Flight:
    task: asyncio.Task[Mapping[Any, Any]]
    version: int


class RowCache:
    """At most `size` rows; the longest unused go first. No failure is kept. What comes out must not be changed.

    An operation that keeps what backends say word for word neither takes from here nor gives, as records do not hold
    those words.
    """

    def __init__(self, signals: Signals, *, size: int = SIZE, clock: Callable[[], float] = time.monotonic) -> None:
        self._signals = signals
        self._size = size
        self._clock = clock
        self._kept: OrderedDict[_Key, _Kept] = OrderedDict()
        self._weight = 0
        self._flights: dict[_Key, _Flight] = {}
        self._dropped: Counter[tuple[RowKind, int]] = Counter()
        for kind in KINDS.values():
            for shard in (*range(SHARDS), _ALL):
                signals.on(kind.topic(shard), partial(self._forget, kind, shard))

    async def by_id(
        self,
        kind: RowKind,
        ids: Sequence[str],
        ask: Callable[[list[str]], Awaitable[Mapping[str, V]]],
        *,
        scope: Hashable,
        are_own: bool = True,
    ) -> dict[str, V]:
        """What each of these ids stands for. `ask` is given those that nobody has asked for lately, and answers all.

        `are_own`: the ids are those by which the rows are dropped; else every drop of the kind drops them.
        Raises what `ask` raises, and BackendTimeout.
        """
        keys = {_Key(kind, _shard(row_id) if are_own else _LISTS, scope, row_id): row_id for row_id in ids}

        async def asked(missing: list[_Key]) -> Mapping[_Key, V]:
            found = await ask([keys[key] for key in missing])
            return {key: found[keys[key]] for key in missing}

        return {keys[key]: value for key, value in (await self._get(list(keys), asked)).items()}

    async def answer(self, kind: RowKind, question: Hashable, ask: Callable[[], Awaitable[V]], *, scope: Hashable) -> V:
        """The answer to one question, a list as a rule: any drop of its kind drops it. Raises as `by_id`."""
        key = _Key(kind, _LISTS, scope, question)

        async def asked(missing: list[_Key]) -> Mapping[_Key, V]:
            return {key: await ask()}

        return (await self._get([key], asked))[key]

    async def drop(self, backend: BackendName, kind: str, *ids: str | None) -> None:
        """As the function `drop`, for who has no signals at hand."""
        await drop(self._signals, backend, kind, *ids)

    # -- reading -------------------------------------------------------------------------------------------------

    async def _get(self, keys: list[_Key], ask: Callable[[list[_Key]], Awaitable[Mapping[_Key, V]]]) -> dict[_Key, V]:
        running = operation.current()
        if running.kept is not None:
            return dict(await ask(keys))
        found: dict[_Key, V] = {}
        shared: dict[asyncio.Task[Mapping[Any, Any]], list[_Key]] = {}
        missing = []
        for key in keys:
            kept, flight = self._fresh(key), self._flights.get(key)
            if kept is not None:
                found[key] = kept.value
            elif flight is not None and flight.version == self._version(key):
                shared.setdefault(flight.task, []).append(key)
            else:
                missing.append(key)
        running.cache_hits += len(keys) - len(missing)
        own = self._take_off(missing, ask) if missing else None
        left: list[_Key] = []
        for task, theirs in shared.items():
            if (landed := await self._landed(task, theirs[0].kind, running)) is None:
                left += theirs
            else:
                found |= {key: landed[key] for key in theirs}
        if left:
            running.cache_hits -= len(left)
            found |= await ask(left)
        if own is not None:
            await asyncio.wait({own})  # one who leaves does not take the answer away from the others
            found |= own.result()
        return found

    async def _landed(
        self, task: asyncio.Task[Mapping[Any, Any]], kind: RowKind, running: operation.Operation
    ) -> Mapping[Any, Any] | None:
        """What somebody else's question has found; None when it was given up for reasons of theirs."""
        await asyncio.wait({task}, timeout=running.remaining_s())
        if not task.done():
            raise BackendTimeout(kind.backend, f"{kind.backend.value} did not answer in time")
        if task.cancelled() or isinstance(task.exception(), BackendTimeout):
            return None
        return task.result()

    def _take_off(
        self, keys: list[_Key], ask: Callable[[list[_Key]], Awaitable[Mapping[_Key, V]]]
    ) -> asyncio.Task[Mapping[_Key, V]]:
        """Ask, in a task of its own that others can wait for too. Age counts from before the question."""

        async def asking() -> Mapping[_Key, V]:
            return await ask(keys)

        task, now = asyncio.create_task(asking()), self._clock()
        for key in keys:
            self._flights[key] = _Flight(task, self._version(key))
        task.add_done_callback(partial(self._keep, keys, now))
        return task

    # -- keeping -------------------------------------------------------------------------------------------------

    def _fresh(self, key: _Key) -> _Kept | None:
        kept = self._kept.get(key)
        if kept is None:
            return None
        if self._clock() >= kept.until or kept.version != self._version(key):
            self._remove(key)
            return None
        self._kept.move_to_end(key)
        return kept

    def _keep(self, keys: list[_Key], asked_at: float, task: asyncio.Task[Mapping[Any, Any]]) -> None:
        has_failed = task.cancelled() or task.exception() is not None
        for key in keys:
            flight = self._flights.get(key)
            if flight is None or flight.task is not task:
                continue
            del self._flights[key]
            if has_failed or flight.version != self._version(key):
                continue
            self._remove(key)
            value = task.result()[key]
            self._kept[key] = _Kept(value, asked_at + key.kind.life_s, flight.version, _weight(value))
            self._weight += self._kept[key].weight
        while self._weight > self._size:
            self._remove(next(iter(self._kept)))

    def _remove(self, key: _Key) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._weight -= kept.weight

    def _version(self, key: _Key) -> int:
        return self._dropped[key.kind, key.shard] + self._dropped[key.kind, _ALL]

    def _forget(self, kind: RowKind, shard: int) -> None:
        """All of a shard, and all lists. What is being asked for now is neither kept nor waited for any more."""
        self._dropped[kind, shard] += 1
        if shard != _ALL:
            self._dropped[kind, _LISTS] += 1


def _shard(id: str) -> int:
    return crc32(id.encode(errors="surrogatepass")) % SHARDS


def _weight(value: object) -> int:
    rows = getattr(value, "rows", value)
    return max(1, len(rows)) if isinstance(rows, list | tuple) else 1
