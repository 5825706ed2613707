"""Rows that are remembered: for how long, for whom, how they are shared, and what has them forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable

import pytest

from core import operation
from core.backends import BackendName
from core.errors import BackendTimeout, BackendUnavailable
from core.kept import Kept
from core.operation import Operation
from core.signals import LocalSignals
from datasources.rows import CATEGORIES, DELIVERIES, PRODUCTS, RowCache, RowKind, drop
from tests.clocks import ManualClock


class Backend:
    """Answers each id with its number of that question; counts, and can be held up."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.may_go = asyncio.Event()
        self.may_go.set()
        self.failure: Exception | None = None

    async def __call__(self, ids: list[str]) -> dict[str, str]:
        self.asked.append(ids)
        nth, failure = len(self.asked), self.failure
        await self.may_go.wait()
        if failure is not None:
            raise failure
        return {each: f"{each}/{nth}" for each in ids}


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def signals() -> LocalSignals:
    return LocalSignals()


@pytest.fixture
def cache(signals: LocalSignals, clock: ManualClock) -> RowCache:
    return RowCache(signals, size=4, clock=clock)


@pytest.fixture
def backend() -> Backend:
    return Backend()


async def get(
    cache: RowCache,
    backend: Callable[[list[str]], Awaitable[dict[str, str]]],
    *ids: str,
    kind: RowKind = PRODUCTS,
    scope: Hashable = (),
    in_: Operation | None = None,
) -> list[str]:
    """What these ids stand for, in an operation of its own."""
    with operation.running(in_ or Operation()):
        found = await cache.by_id(kind, ids, backend, scope=scope)
    return [found[each] for each in ids]


async def listed(cache: RowCache, asked: list[int], question: Hashable = "all", kind: RowKind = PRODUCTS) -> list[int]:
    """A list that says how often it was asked for."""

    async def ask() -> list[int]:
        asked.append(len(asked))
        return list(asked)

    return await cache.answer(kind, question, ask, scope=())


async def turns(n: int = 5) -> None:
    for _ in range(n):
        await asyncio.sleep(0)


# -- remembering -----------------------------------------------------------------------------------------------------


async def test_only_what_nobody_asked_for_lately_is_asked(cache: RowCache, backend: Backend) -> None:
    assert await get(cache, backend, "a", "b") == ["a/1", "b/1"]
    running = Operation()
    assert await get(cache, backend, "b", "c", "a", in_=running) == ["b/1", "c/2", "a/1"]
    assert backend.asked == [["a", "b"], ["c"]]
    assert running.cache_hits == 2


async def test_a_row_is_as_old_as_its_kind_allows_and_no_older(
    cache: RowCache, backend: Backend, clock: ManualClock
) -> None:
    for kind in (PRODUCTS, DELIVERIES):
        first = await get(cache, backend, "a", kind=kind)
        clock.now += kind.life_s - 0.001
        assert await get(cache, backend, "a", kind=kind) == first
        clock.now += 0.001
        assert await get(cache, backend, "a", kind=kind) != first


async def test_age_counts_from_the_question(cache: RowCache, backend: Backend, clock: ManualClock) -> None:
    backend.may_go.clear()
    asking = asyncio.create_task(get(cache, backend, "a"))
    await turns()
    clock.now += PRODUCTS.life_s
    backend.may_go.set()
    assert await asking == ["a/1"]
    assert await get(cache, backend, "a") == ["a/2"]


async def test_what_differs_for_callers_is_not_shared(cache: RowCache, backend: Backend) -> None:
    """Neither what is kept nor what is under way."""
    backend.may_go.clear()
    scopes = [(("sc_1",), None), (("sc_2",), None), (("sc_1",), "published"), (None, None)]
    asking = [asyncio.create_task(get(cache, backend, "a", scope=scope)) for scope in scopes]
    await turns()
    backend.may_go.set()
    assert await asyncio.gather(*asking) == [["a/1"], ["a/2"], ["a/3"], ["a/4"]]
    assert [await get(cache, backend, "a", scope=scope) for scope in scopes] == [["a/1"], ["a/2"], ["a/3"], ["a/4"]]


async def test_kinds_and_lists_are_told_apart(cache: RowCache, backend: Backend) -> None:
    assert await get(cache, backend, "a", kind=PRODUCTS) == ["a/1"]
    assert await get(cache, backend, "a", kind=CATEGORIES) == ["a/2"]
    asked: list[int] = []
    assert await listed(cache, asked, "a") == [0]
    assert await listed(cache, asked, "b") == [0, 1]
    assert await listed(cache, asked, "a") == [0]


async def test_the_longest_unused_goes_first(cache: RowCache, backend: Backend) -> None:
    await get(cache, backend, "a", "b", "c", "d")
    await get(cache, backend, "a")
    await get(cache, backend, "e")
    assert backend.asked == [["a", "b", "c", "d"], ["e"]]
    await get(cache, backend, "a", "c", "d", "e")
    assert len(backend.asked) == 2
    await get(cache, backend, "b")
    assert len(backend.asked) == 3


async def test_a_list_takes_the_room_of_its_rows(cache: RowCache, backend: Backend) -> None:
    asked = [0, 1, 2]
    await get(cache, backend, "a")
    assert len(await listed(cache, asked)) == 4
    await get(cache, backend, "a")
    assert backend.asked == [["a"], ["a"]], "four rows of a list fill what four rows fill"


async def test_no_failure_is_kept(cache: RowCache, backend: Backend) -> None:
    backend.failure = BackendUnavailable(BackendName.MEDUSA, "down")
    with pytest.raises(BackendUnavailable):
        await get(cache, backend, "a")
    backend.failure = None
    assert await get(cache, backend, "a") == ["a/2"]


async def test_who_wants_the_backends_own_words_is_given_them(cache: RowCache, backend: Backend) -> None:
    await get(cache, backend, "a")
    assert await get(cache, backend, "a", in_=Operation(kept=Kept())) == ["a/2"]
    assert await get(cache, backend, "a") == ["a/1"]


# -- sharing ---------------------------------------------------------------------------------------------------------


async def test_the_same_question_at_the_same_time_is_one(cache: RowCache, backend: Backend) -> None:
    backend.may_go.clear()
    second = Operation()
    one = asyncio.create_task(get(cache, backend, "a", "b"))
    await turns()
    two = asyncio.create_task(get(cache, backend, "b", "c", in_=second))
    await turns()
    backend.may_go.set()
    assert await one == ["a/1", "b/1"]
    assert await two == ["b/1", "c/2"]
    assert backend.asked == [["a", "b"], ["c"]]
    assert second.cache_hits == 1


async def test_one_who_leaves_does_not_take_the_answer_away(cache: RowCache, backend: Backend) -> None:
    backend.may_go.clear()
    hasty = asyncio.create_task(get(cache, backend, "a"))
    await turns()
    patient = asyncio.create_task(get(cache, backend, "a"))
    await turns()
    hasty.cancel()
    await asyncio.wait({hasty})
    backend.may_go.set()
    assert await patient == ["a/1"]
    assert backend.asked == [["a"]]


async def test_one_in_a_hurry_does_not_decide_for_the_others(cache: RowCache, backend: Backend) -> None:
    """Their call ended at their deadline; who has more time asks again."""
    backend.may_go.clear()
    backend.failure = BackendTimeout(BackendName.MEDUSA, "no time was left")
    hasty, running = asyncio.create_task(get(cache, backend, "a")), Operation()
    await turns()
    patient = asyncio.create_task(get(cache, backend, "a", in_=running))
    await turns()
    backend.failure = None
    backend.may_go.set()
    with pytest.raises(BackendTimeout):
        await hasty
    assert await patient == ["a/2"]
    assert running.cache_hits == 0


async def test_a_failure_that_is_the_backends_is_everybodys(cache: RowCache, backend: Backend) -> None:
    backend.may_go.clear()
    backend.failure = BackendUnavailable(BackendName.MEDUSA, "down")
    asking = [asyncio.create_task(get(cache, backend, "a")) for _ in range(3)]
    await turns()
    backend.may_go.set()
    found = await asyncio.gather(*asking, return_exceptions=True)
    assert [type(each) for each in found] == [BackendUnavailable] * 3
    assert backend.asked == [["a"]]


async def test_nobody_waits_for_others_past_their_own_deadline(cache: RowCache, backend: Backend) -> None:
    backend.may_go.clear()
    asking = asyncio.create_task(get(cache, backend, "a"))
    await turns()
    with pytest.raises(BackendTimeout):
        await get(cache, backend, "a", in_=operation.within(0))
    backend.may_go.set()
    assert await asking == ["a/1"]


# -- forgetting ------------------------------------------------------------------------------------------------------


async def test_a_dropped_row_is_asked_for_again_and_others_are_not(
    cache: RowCache, backend: Backend, signals: LocalSignals
) -> None:
    await get(cache, backend, "prod_1", "prod_2")
    await drop(signals, BackendName.MEDUSA, "product", "prod_1", None)
    assert await get(cache, backend, "prod_1", "prod_2") == ["prod_1/2", "prod_2/1"]


async def test_a_dropped_row_is_dropped_in_every_scope(cache: RowCache, backend: Backend) -> None:
    for scope in ("here", "there"):
        await get(cache, backend, "a", scope=scope)
    await cache.drop(BackendName.MEDUSA, "product", "a")
    assert await get(cache, backend, "a", scope="here") == ["a/3"]
    assert await get(cache, backend, "a", scope="there") == ["a/4"]


async def test_any_drop_of_a_kind_drops_its_lists(cache: RowCache) -> None:
    asked: list[int] = []
    await listed(cache, asked)
    await cache.drop(BackendName.MEDUSA, "product", "whichever")
    assert await listed(cache, asked) == [0, 1]
    await cache.drop(BackendName.MEDUSA, "product")
    assert await listed(cache, asked) == [0, 1, 2]
    await cache.drop(BackendName.MEDUSA, "category")
    assert await listed(cache, asked) == [0, 1, 2]


async def test_a_kind_is_dropped_as_a_whole(cache: RowCache, backend: Backend) -> None:
    await get(cache, backend, "a", "b")
    await get(cache, backend, "a", kind=CATEGORIES)
    await cache.drop(BackendName.MEDUSA, "product")
    assert await get(cache, backend, "a", "b") == ["a/3", "b/3"]
    assert await get(cache, backend, "a", kind=CATEGORIES) == ["a/2"]


async def test_rows_asked_for_by_other_names_go_with_any_of_their_kind(cache: RowCache, backend: Backend) -> None:
    async def by_sku() -> str:
        return (await cache.by_id(PRODUCTS, ["SKU-1"], backend, scope=(), are_own=False))["SKU-1"]

    assert [await by_sku(), await by_sku()] == ["SKU-1/1", "SKU-1/1"]
    await cache.drop(BackendName.MEDUSA, "product", "prod_1")
    assert await by_sku() == "SKU-1/2"


async def test_what_was_asked_before_a_change_is_neither_kept_nor_waited_for(cache: RowCache, backend: Backend) -> None:
    backend.may_go.clear()
    before = asyncio.create_task(get(cache, backend, "a"))
    await turns()
    await cache.drop(BackendName.MEDUSA, "product", "a")
    after = asyncio.create_task(get(cache, backend, "a"))
    await turns()
    backend.may_go.set()
    assert await before == ["a/1"]
    assert await after == ["a/2"]
    assert await get(cache, backend, "a") == ["a/2"]


async def test_a_signal_that_may_have_been_missed_counts(
    cache: RowCache, backend: Backend, signals: LocalSignals
) -> None:
    await get(cache, backend, "a")
    signals.tell_all()
    assert await get(cache, backend, "a") == ["a/2"]


async def test_workers_hear_of_each_others_changes(backend: Backend, signals: LocalSignals) -> None:
    here, there = RowCache(signals), RowCache(signals)
    await get(there, backend, "a")
    await here.drop(BackendName.MEDUSA, "product", "a")
    assert await get(there, backend, "a") == ["a/2"]


async def test_dropping_what_nobody_remembers_is_fine(cache: RowCache) -> None:
    await cache.drop(BackendName.STRIPE, "customer", "cus_1")
