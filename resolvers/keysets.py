"""Pages of our own records: newest first, continued behind the last row's creation time and id."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Protocol, TypeVar

from core.errors import BadUserInput
from datasources.mongo import Keyset
from resolvers.pages import NO_CURSOR, Edge, Page, decode_cursor, encode_cursor, page_of

_ID = re.compile("[0-9a-f]{24}")


class _Stored(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def created_at(self) -> datetime: ...


R = TypeVar("R", bound=_Stored)


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
