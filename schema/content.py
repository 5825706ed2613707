"""Published content: pages, and documents of any collection that callers may read."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import strawberry
from strawberry.scalars import JSON

from resolvers import content
from schema.directives import cached, requires
from schema.info import Info
from schema.inputs import given
from schema.pages import Connection, Edge


@strawberry.type(description="A page of a company's site.")
class Page:
    id: strawberry.ID = strawberry.field(description="The content system's id.")
    slug: str = strawberry.field(description="Its part of the address.")
    title: str = strawberry.field(description="Its heading.")
    blocks: JSON = strawberry.field(
        description="What it is built of, in order: a list of objects, each with its `blockType`."
    )
    status: str | None = strawberry.field(description="Always `published`: drafts are not shown.")
    updated_at: datetime | None = strawberry.field(description="When it was last saved.")


@strawberry.type(description="A document of some collection.")
class ContentItem:
    id: strawberry.ID = strawberry.field(description="The content system's id, unique within the collection.")
    collection: str = strawberry.field(description="The collection that it is in, such as `posts`.")
    title: str | None = strawberry.field(description="Its title, or its name where it has no title.")
    data: JSON = strawberry.field(
        description="All its fields, as the content system has them; other documents are told by their ids."
    )
    updated_at: datetime | None = strawberry.field(description="When it was last saved.")


@strawberry.type(description="A document and its cursor.")
class ContentEdge(Edge[ContentItem]):
    pass


@strawberry.type(description="One page of a list of documents.")
class ContentConnection(Connection[ContentItem]):
    edges: list[ContentEdge]  # type: ignore[assignment]  # with this type's own name


@strawberry.type
class ContentQuery:
    @strawberry.field(description="Published pages, newest first.", directives=[requires("content:read"), cached(60)])
    async def pages(
        self, info: Info, first: int | None = 20, after: str | None = strawberry.UNSET
    ) -> Connection[Page] | None:
        return await content.pages(info.context, first=first, after=given(after))

    @strawberry.field(description="A published page by its slug.", directives=[requires("content:read"), cached(60)])
    async def page(self, info: Info, slug: str) -> Page | None:
        return await content.page(info.context, slug)

    @strawberry.field(
        description="Published documents of a collection, newest first.",
        directives=[requires("content:read"), cached(60)],
    )
    async def content(
        self,
        info: Info,
        collection: Annotated[
            str, strawberry.argument(description="One that callers may read: pages, posts, services, events.")
        ],
        first: int | None = 20,
        after: str | None = strawberry.UNSET,
        where: Annotated[
            JSON | None,
            strawberry.argument(
                description='Narrows it, as `{"price": {"less_than": 50}, "or": [{"slug": {"equals": "city-tour"}}, '
                '{"title": {"like": "tour"}}]}`: paths with operators, all of which must hold, and lists of '
                "alternatives. A path or operator that is not known is an error which names those that are."
            ),
        ] = strawberry.UNSET,
    ) -> ContentConnection | None:
        return await content.content(info.context, collection, first=first, after=given(after), where=given(where))

    @strawberry.field(
        description="Published documents whose title has all words of a text, or whose slug has the text.",
        directives=[requires("content:read")],
    )
    async def search_content(
        self,
        info: Info,
        query: str,
        collections: Annotated[
            list[str] | None, strawberry.argument(description="Where to look; everywhere unless it is said.")
        ] = strawberry.UNSET,
        first: int | None = 20,
    ) -> list[ContentItem] | None:
        return await content.search_content(info.context, query, collections=given(collections), first=first)
