"""Cutting lists into pages: `first`, `after` and opaque cursors.

A cursor says where its row stands in the backend's own terms: a row number for backends that count rows, the sort key
for those that continue behind a key. Clients keep it as it is; one that we did not make is BAD_USER_INPUT.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import orjson

from core.errors import BadUserInput

R = TypeVar("R")

MAX_FIRST = 100
NO_CURSOR = "`after` is not a cursor of this list"


@dataclass(frozen=True)
class Edge(Generic[R]):
    node: R
    cursor: str


@dataclass(frozen=True)
class PageInfo:
    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None


@dataclass(frozen=True)
class Page(Generic[R]):
    """One page of a list, newest first unless its resolver says otherwise.

    `total` gives the size of the whole list when somebody asks for it; None: the backend cannot tell.
    """

    edges: list[Edge[R]]
    page_info: PageInfo
    total: Callable[[], Awaitable[int | None]]

    @property
    def nodes(self) -> list[R]:
        return [edge.node for edge in self.edges]


def checked_first(first: int | None, default: int = 20) -> int:
    """How many rows are wanted. Raises BadUserInput outside 1 to 100."""
    first = default if first is None else first
    if not 1 <= first <= MAX_FIRST:
        raise BadUserInput(f"`first` must be between 1 and {MAX_FIRST}, not {first}")
    return first


def encode_cursor(*position: Any) -> str:
    return base64.urlsafe_b64encode(orjson.dumps(position)).decode().rstrip("=")


def decode_cursor(cursor: str) -> list[Any]:
    """The position inside a cursor. Raises BadUserInput for anything that is none of ours."""
    try:
        position = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        # base64 skips what it does not know, so only what we would write ourselves is ours.
        is_ours = isinstance(position, list) and encode_cursor(*position) == cursor
    except (binascii.Error, ValueError, orjson.JSONEncodeError) as exc:
        raise BadUserInput(NO_CURSOR) from exc
    if not is_ours:
        raise BadUserInput(NO_CURSOR)
    decoded: list[Any] = position
    return decoded


def offset_after(after: str | None) -> int:
    """The number of rows before the page that follows this cursor; 0 without one."""
    if after is None:
        return 0
    match decode_cursor(after):
        case [int(row)] if not isinstance(row, bool) and 0 <= row < 2**31:
            return row + 1
        case _:
            raise BadUserInput(NO_CURSOR)


def _known(total: int | None) -> Callable[[], Awaitable[int | None]]:
    async def tell() -> int | None:
        return total

    return tell


def offset_page(
    rows: Sequence[R],
    offset: int,
    *,
    has_next: bool,
    total: int | Callable[[], Awaitable[int | None]] | None = None,
) -> Page[R]:
    """A page of a list that the backend counts in rows. `total` is a number, or how to find it out when asked."""
    edges = [Edge(row, encode_cursor(offset + i)) for i, row in enumerate(rows)]
    return page_of(edges, has_next=has_next, has_previous=offset > 0, total=total)


def page_of(
    edges: list[Edge[R]],
    *,
    has_next: bool,
    has_previous: bool,
    total: int | Callable[[], Awaitable[int | None]] | None = None,
) -> Page[R]:
    """A page of edges whose cursors the caller made."""
    info = PageInfo(
        has_next_page=has_next,
        has_previous_page=has_previous,
        start_cursor=edges[0].cursor if edges else None,
        end_cursor=edges[-1].cursor if edges else None,
    )
    return Page(edges, info, total if callable(total) else _known(total))


def no_rows() -> Page[Any]:
    """The page of a list that is empty for this caller."""
    return page_of([], has_next=False, has_previous=False, total=0)
