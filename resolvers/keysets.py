"""Pages of our own records: newest first, continued behind the last row's creation time and id."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Generic, Protocol, TypeVar

from core.concurrency import bounded_map
from core.errors import BadUserInput
from datasources.mongo import Keyset
from resolvers.context import Loader
from resolvers.pages import NO_CURSOR, Edge, Page, decode_cursor, encode_cursor, page_of

_ID = re.compile("[0-9a-f]{24}")
MOST_SHARED = 1_000
"""Rows of one call that several lists share."""
SPREAD = 4
"""How many times more than are wanted such a call reads, for rows are not spread evenly and another call costs more."""


class _Stored(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def created_at(self) -> datetime: ...


R = TypeVar("R", bound=_Stored)
Row = TypeVar("Row")


def keyset_after(after: str | None) -> Keyset | None:
    """Raises BadUserInput for a cursor of another list."""
    if after is None:
        return None
    match decode_cursor(after):
        case [str(written), str(id)] if _ID.fullmatch(id):
            try:
                created_at = datetime.fromisoformat(written)
            except ValueError as exc:
                raise BadUserInput(NO_CURSOR) from exc
            if created_at.tzinfo is not UTC or created_at.isoformat() != written:
                raise BadUserInput(NO_CURSOR)
            return Keyset(created_at, id)
        case _:
            raise BadUserInput(NO_CURSOR)


def keyset_page(rows: Sequence[R], limit: int, after: Keyset | None, count: Callable[[], Awaitable[int]]) -> Page[R]:
    """`rows` holds one more than `limit` where there is a next page; `count` is asked only when a client asks."""
    edges = [Edge(row, encode_cursor(row.created_at.astimezone(UTC).isoformat(), row.id)) for row in rows[:limit]]
    return page_of(edges, has_next=len(rows) > limit, has_previous=after is not None, total=count)


@dataclass(frozen=True)
class KeysetSlice:
    """The first so many rows of a parent's list, behind a position; `narrowed` is what else the list is narrowed to."""

    parent_id: str
    limit: int
    after: Keyset | None
    narrowed: tuple[tuple[str, Any], ...] = ()


class KeysetSlices(Loader[KeysetSlice, list[Row]], Generic[Row]):
    """The lists of several parents: one call for all of them, then one for each whom it has left short. Every list is
    longer than asked for, where there are more."""

    cache = False  # a list may be another one after the next mutation of the same operation

    @abstractmethod
    async def rows(self, parent_ids: Sequence[str], *, limit: int, after: Keyset | None, **narrowed: Any) -> list[Row]:
        """Of all these parents together, newest first."""

    @abstractmethod
    def parent_id(self, row: Row) -> str:
        """Whose row it is."""

    async def batch_load_fn(self, keys: list[KeysetSlice]) -> list[list[Row]]:
        distinct = list(dict.fromkeys(keys))
        alike: dict[Any, list[KeysetSlice]] = {}
        for key in distinct:
            if key.after is None:
                alike.setdefault(key.narrowed, []).append(key)
        pages = await bounded_map(self._shared, [firsts for firsts in alike.values() if len(firsts) > 1])
        shared = {key: rows for page in pages for key, rows in page.items()}

        async def fill(key: KeysetSlice) -> list[Row]:
            if key in shared:
                return shared[key]
            return await self.rows([key.parent_id], limit=key.limit + 1, after=key.after, **dict(key.narrowed))

        found = dict(zip(distinct, await bounded_map(fill, distinct), strict=True))
        return [found[key] for key in keys]

    async def _shared(self, keys: Sequence[KeysetSlice]) -> dict[KeysetSlice, list[Row]]:
        """The slices that a page of everybody's newest rows fills."""
        limit = min(SPREAD * sum(key.limit + 1 for key in keys), MOST_SHARED)
        rows = await self.rows([key.parent_id for key in keys], limit=limit, after=None, **dict(keys[0].narrowed))
        filled = {}
        for key in keys:
            theirs = [row for row in rows if self.parent_id(row) == key.parent_id]
            if len(rows) < limit or len(theirs) > key.limit:
                filled[key] = theirs
        return filled
