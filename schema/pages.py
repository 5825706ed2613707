"""Connections: `nodes` beside `edges`, and `totalCount` only when it is asked for."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import strawberry
from strawberry.federation.schema_directives import Shareable

T = TypeVar("T")


@strawberry.type(description="Where a page stands in its list.", directives=[Shareable()])
class PageInfo:
    has_next_page: bool
    has_previous_page: bool
    start_cursor: str | None
    end_cursor: str | None


@strawberry.type(description="A row and its cursor.")
class Edge(Generic[T]):
    node: T
    cursor: str = strawberry.field(description="Opaque; give it as `after` to continue behind this row.")


@strawberry.type(description="One page of a list.")
class Connection(Generic[T]):
    nodes: list[T]
    edges: list[Edge[T]]
    page_info: PageInfo

    @strawberry.field(description="The size of the whole list, where the backend can tell.")
    async def total_count(self: Any) -> int | None:
        total: int | None = await self.total()
        return total
