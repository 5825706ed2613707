"""Loaders: one call for the distinct keys of a moment, in order, with gaps."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from core import operation
from core.backends import BackendName
from core.errors import BackendUnavailable
from core.operation import Operation
from core.principals import Principal
from resolvers.context import Context, ManyByKey, OneByKey
from tests.conftest import MakeContext


class Length(OneByKey[str, str]):
    """The word of that length... by its first letter. Knows no `z`."""

    calls: list[list[str]]

    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx)
        self.calls = []

    async def fetch(self, keys: list[str]) -> Sequence[str]:
        self.calls.append(keys)
        if "!" in keys:
            raise BackendUnavailable(BackendName.MEDUSA, "down")
        return [f"{key}-word" for key in reversed(keys) if key != "z"] + ["unasked"]

    def key(self, row: str) -> str:
        return row[0]


class Words(ManyByKey[str, str]):
    async def fetch(self, keys: list[str]) -> Sequence[str]:
        return ["b2", "a1", "b1", "c1", "a0"]

    def key(self, row: str) -> str:
        return row[0]


@pytest.fixture
def ctx(make_context: MakeContext, service: Principal) -> Context:
    return make_context(service)


async def test_keys_of_a_moment_are_one_call_deduplicated_and_answered_in_order(ctx: Context) -> None:
    loader = ctx.loader(Length)
    loads = [loader.load(key) for key in ("b", "z", "a", "b")]
    assert await asyncio.gather(*loads) == ["b-word", None, "a-word", "b-word"]
    assert loader.calls == [["b", "z", "a"]]


async def test_load_many_with_repeated_keys(ctx: Context) -> None:
    assert await ctx.loader(Length).load_many(["a", "a", "z"]) == ["a-word", "a-word", None]


async def test_what_was_loaded_is_remembered_and_counted(ctx: Context) -> None:
    loader = ctx.loader(Length)
    await loader.load("a")
    assert await ctx.loader(Length).load("a") == "a-word"
    assert len(loader.calls) == 1
    assert operation.current().cache_hits == 1


async def test_rows_are_grouped_by_their_key_in_the_order_they_came(ctx: Context) -> None:
    assert await ctx.loader(Words).load_many(["a", "b", "x"]) == [["a1", "a0"], ["b2", "b1"], []]


async def test_an_error_reaches_every_key_and_is_not_remembered(ctx: Context) -> None:
    loader = ctx.loader(Length)
    outcomes = await asyncio.gather(loader.load("a"), loader.load("!"), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [BackendUnavailable] * 2
    assert await loader.load("a") == "a-word"


async def test_a_loader_is_one_per_operation_and_does_not_outlive_it(ctx: Context) -> None:
    first = ctx.loader(Length)
    assert ctx.loader(Length) is first
    await first.load("a")
    with operation.running(Operation()):
        second = ctx.loader(Length)
        assert second is not first
        await second.load("a")
        assert second.calls == [["a"]]
    assert ctx.loader(Length) is first


async def test_operations_that_run_side_by_side_share_nothing(ctx: Context) -> None:
    async def entrance() -> Length:
        operation.enter(Operation())
        await ctx.loader(Length).load("a")
        return ctx.loader(Length)

    loaders = await asyncio.gather(*(asyncio.create_task(entrance()) for _ in range(3)))
    assert len(set(map(id, loaders))) == 3
    assert all(loader.calls == [["a"]] for loader in loaders)


async def test_the_calls_of_a_batch_belong_to_the_operation_that_asked(ctx: Context) -> None:
    class Asks(OneByKey[str, str]):
        async def fetch(self, keys: list[str]) -> Sequence[str]:
            await self.sources.mongo.ping()
            return keys

        def key(self, row: str) -> str:
            return row

    with operation.running(Operation()) as inner:
        await ctx.loader(Asks).load("a")
    assert [call.method for call in inner.calls] == ["ping"]
    assert operation.current().calls == []
