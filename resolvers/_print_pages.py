"""Pages of the print shop's rows, newest first.

A filter of Strapi's holds so many ids and no more. So a list is as many streams as it takes, each of which gives its
first rows behind a place; together they are sorted and cut.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Generic, Protocol, TypeVar

from core.concurrency import bounded_map
from core.errors import BadUserInput
from datasources.strapi import Behind, Found, JobCustomerRecord, JobRecord, is_document_id
from resolvers.pages import NO_CURSOR, Edge, Page, decode_cursor, encode_cursor, no_rows, page_of

R = TypeVar("R", JobRecord, JobCustomerRecord)


class Stream(Protocol, Generic[R]):
    """The first rows of a list behind a place."""

    def __call__(self, *, limit: int, behind: Behind | None) -> Awaitable[Found[R]]: ...


def place_of(after: str | None) -> Behind | None:
    """Raises BadUserInput for a cursor of another list."""
    if after is None:
        return None
    match decode_cursor(after):
        case [str(written), str(id)] if is_document_id(id):
            try:
                created_at = datetime.fromisoformat(written)
            except ValueError as exc:
                raise BadUserInput(NO_CURSOR) from exc
            if created_at.tzinfo is not UTC or created_at.isoformat() != written:
                raise BadUserInput(NO_CURSOR)
            return Behind(created_at, id)
        case _:
            raise BadUserInput(NO_CURSOR)


async def merged(
    streams: Sequence[Stream[R]], limit: int, behind: Behind | None, is_shown: Callable[[R], bool]
) -> Page[R]:
    """A page of all of them; a row that two of them have is there once."""
    if not streams:
        return no_rows()

    async def begin(stream: Stream[R]) -> Found[R]:
        return await stream(limit=limit, behind=behind)

    found = await bounded_map(begin, streams)
    rows = {row.id: row for each in found for row in each.rows if is_shown(row)}
    is_cut = any(each.total > len(each.rows) for each in found)

    async def count() -> int:
        """A place has only what is behind it counted already."""
        whole = found if behind is None else await bounded_map(lambda stream: stream(limit=1, behind=None), streams)
        return sum(each.total for each in whole)

    return _page(list(rows.values()), limit, behind, is_cut=is_cut, total=count)


def cut(rows: Sequence[R], limit: int, behind: Behind | None) -> Page[R]:
    """A page of rows that are all here."""
    left = [row for row in rows if behind is None or _rank(row) < (behind.created_at, behind.id)]
    return _page(left, limit, behind, is_cut=False, total=len(rows))


def _page(
    rows: Sequence[R], limit: int, behind: Behind | None, *, is_cut: bool, total: int | Callable[[], Awaitable[int]]
) -> Page[R]:
    newest = sorted(rows, key=_rank, reverse=True)
    edges = [Edge(row, encode_cursor(row.created_at.astimezone(UTC).isoformat(), row.id)) for row in newest[:limit]]
    has_next = bool(edges) and (is_cut or len(newest) > limit)
    return page_of(edges, has_next=has_next, has_previous=behind is not None, total=total)


def _rank(row: R) -> tuple[datetime, str]:
    return (row.created_at, row.id)
