"""Pages of our own records: newest first, continued behind the last row's creation time and id."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Protocol, TypeVar

from core.errors import BadUserInput
from datasources.mongo import Keyset
from resolvers.pages import Edge, Page, decode_cursor, encode_cursor, page_of


class _Stored(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def created_at(self) -> datetime: ...


R = TypeVar("R", bound=_Stored)


def keyset_after(after: str | None) -> Keyset | None:
    """Raises BadUserInput for a cursor of another list."""
    if not after:
        return None
    match decode_cursor(after):
        case [str(created_at), str(id)]:
            try:
                return Keyset(datetime.fromisoformat(created_at), id)
            except ValueError as exc:
                raise BadUserInput("`after` is not a cursor of this list") from exc
        case _:
            raise BadUserInput("`after` is not a cursor of this list")


def keyset_page(rows: Sequence[R], limit: int, after: Keyset | None, count: Callable[[], Awaitable[int]]) -> Page[R]:
    """`rows` holds one more than `limit` where there is a next page; `count` is asked only when a client asks."""
    edges = [Edge(row, encode_cursor(row.created_at.isoformat(), row.id)) for row in rows[:limit]]
    return page_of(edges, has_next=len(rows) > limit, has_previous=after is not None, total=count)
