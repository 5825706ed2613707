"""Lists of several parents at once, of rows in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import Mock

import pytest

from core import operation
from core.operation import Operation
from core.principals import Principal, PrincipalKind
from core.scopes import ALL_SCOPES
from datasources.mongo import Keyset
from resolvers.context import Context
from resolvers.keysets import SPREAD, KeysetSlice, KeysetSlices


@dataclass(frozen=True)
class Thing:
    id: str
    parent: str
    created_at: datetime
    colour: str


START = datetime(2026, 1, 1, tzinfo=UTC)
# Newest first: twenty of a's, then each of b's and c's.
THINGS = [
    Thing(f"{n:024x}", parent, START - timedelta(days=n), "red" if n % 2 else "blue")
    for n, parent in enumerate("a" * 20 + "bcbc")
]


class Things(KeysetSlices[Thing]):
    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx)
        self.calls: list[tuple[list[str], int]] = []

    async def rows(
        self, parent_ids: Sequence[str], *, limit: int, after: Keyset | None, **narrowed: Any
    ) -> list[Thing]:
        self.calls.append((list(parent_ids), limit))
        colour = narrowed.get("colour")
        theirs = [thing for thing in THINGS if thing.parent in parent_ids and colour in (None, thing.colour)]
        return [thing for thing in theirs if after is None or thing.created_at < after.created_at][:limit]

    def parent_id(self, row: Thing) -> str:
        return row.parent


@pytest.fixture
async def things() -> Things:
    operation.enter(Operation())
    return Context(Mock(), Principal(PrincipalKind.SERVICE, ALL_SCOPES)).loader(Things)


def expected(parent: str, colour: str | None = None) -> list[Thing]:
    return [thing for thing in THINGS if thing.parent == parent and colour in (None, thing.colour)]


async def load(things: Things, *slices: KeysetSlice) -> list[list[Thing]]:
    return await asyncio.gather(*(things.load(each) for each in slices))


async def test_several_parents_share_one_call(things: Things) -> None:
    found = await load(things, KeysetSlice("a", 1, None), KeysetSlice("b", 5, None))
    assert [rows[: n + 1] for rows, n in zip(found, (1, 5), strict=True)] == [expected("a")[:2], expected("b")]
    assert things.calls == [(["a", "b"], SPREAD * 8)]


async def test_whom_the_shared_call_leaves_short_is_asked_for_alone(things: Things) -> None:
    slices = [KeysetSlice(parent, 1, None) for parent in ("a", "b")]
    found = await load(things, *slices)
    assert [rows[:2] for rows in found] == [expected("a")[:2], expected("b")[:2]]
    assert things.calls == [(["a", "b"], SPREAD * 4), (["b"], 2)]


async def test_a_page_behind_another_is_of_one_parent(things: Things) -> None:
    behind = expected("a")[4]
    [found] = await load(things, KeysetSlice("a", 3, Keyset(behind.created_at, behind.id)))
    assert found == expected("a")[5:9]
    assert things.calls == [(["a"], 4)]


async def test_lists_that_are_narrowed_in_other_ways_share_nothing(things: Things) -> None:
    red, blue = (("colour", "red"),), (("colour", "blue"),)
    found = await load(things, KeysetSlice("b", 5, None, red), KeysetSlice("c", 5, None, red),
                       KeysetSlice("b", 5, None, blue))  # fmt: skip
    assert found == [expected("b", "red"), expected("c", "red"), expected("b", "blue")]
    assert [parents for parents, _ in things.calls] == [["b", "c"], ["b"]]


async def test_the_same_list_is_read_once_by_those_who_ask_together_and_anew_later(things: Things) -> None:
    same = KeysetSlice("b", 5, None)
    assert await load(things, same, same) == [expected("b"), expected("b")]
    assert len(things.calls) == 1
    await load(things, same)
    assert len(things.calls) == 2
