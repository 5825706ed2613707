"""Content: which published documents a principal may see, how they are listed, found and searched.

A document belongs to the tenant that it names, and is its clients': who has no tenant sees nothing. Drafts are shown to
nobody.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from core.concurrency import bounded_map
from core.errors import BadUserInput
from core.principals import Principal
from datasources.payload import DocumentRecord, PageRecord
from resolvers.content_filters import PATHS, checked_where
from resolvers.context import Context, ManyByKey
from resolvers.pages import Page, checked_first, no_rows, offset_after, offset_page

SHORTEST_SEARCH, LONGEST_SEARCH = 2, 100
"""Characters."""


def tenants_of(principal: Principal) -> tuple[str, ...] | None:
    """The tenants whose content a principal may see; None: all, which is for services alone."""
    scope = principal.visible_scope
    return None if scope is None else scope.payload_tenants


class PagesBySlug(ManyByKey[str, PageRecord]):
    """The principal's pages that have a slug: more than one only where they see several tenants."""

    async def fetch(self, keys: list[str]) -> list[PageRecord]:
        return await self.sources.payload.pages_by_slugs(keys, tenants=tenants_of(self.ctx.principal))

    def key(self, row: PageRecord) -> str:
        return row.slug


async def pages(ctx: Context, *, first: int | None, after: str | None) -> Page[PageRecord]:
    """Newest first."""
    limit, offset = checked_first(first), offset_after(after)
    tenants = tenants_of(ctx.principal)
    if tenants == () or not _is_readable(ctx, "pages"):
        return no_rows()
    found = await ctx.sources.payload.pages(limit=limit, offset=offset, tenants=tenants)
    return offset_page(found.rows, offset, has_next=offset + len(found.rows) < found.count, total=found.count)


async def page(ctx: Context, slug: str) -> PageRecord | None:
    """None for one that is not there, or not for this caller. Raises BadUserInput for a slug that is in use with
    several of the tenants whom the caller sees."""
    if tenants_of(ctx.principal) == () or not slug or not _is_readable(ctx, "pages"):
        return None
    found = await ctx.loader(PagesBySlug).load(slug)
    if len(found) > 1:
        raise BadUserInput("several companies have a page with this slug")
    return found[0] if found else None


async def content(
    ctx: Context, collection: str, *, first: int | None, after: str | None, where: Any
) -> Page[DocumentRecord]:
    """Newest first. Raises BadUserInput for a collection that is not for callers, there or not, and a filter that the
    collection does not know."""
    limit, offset = checked_first(first), offset_after(after)
    _check_readable(ctx, collection)
    wanted = checked_where(collection, where)
    tenants = tenants_of(ctx.principal)
    if tenants == ():
        return no_rows()
    found = await ctx.sources.payload.documents(collection, limit=limit, offset=offset, where=wanted, tenants=tenants)
    return offset_page(found.rows, offset, has_next=offset + len(found.rows) < found.count, total=found.count)


async def search_content(
    ctx: Context, query: str, *, collections: Sequence[str] | None, first: int | None
) -> list[DocumentRecord]:
    """Documents whose title has all these words, or whose slug has the text: titles that begin with it first, then the
    newest. One call for each collection.

    Raises BadUserInput for a text that is too short or too long, and for collections that cannot be searched.
    """
    limit, text = checked_first(first), query.strip()
    if not SHORTEST_SEARCH <= len(text) <= LONGEST_SEARCH:
        raise BadUserInput(f"`query` has {SHORTEST_SEARCH} to {LONGEST_SEARCH} characters")
    searchable = [name for name in ctx.sources.payload.collections if name in PATHS]
    chosen = searchable if collections is None else list(dict.fromkeys(collections))
    if not set(chosen) <= set(searchable):
        raise BadUserInput(f"`collections` are some of {', '.join(searchable)}")
    tenants = tenants_of(ctx.principal)
    if tenants == ():
        return []
    wanted = {"or": [{"title": {"like": text}}, {"slug": {"contains": text}}]}

    async def search(collection: str) -> list[DocumentRecord]:
        found = await ctx.sources.payload.documents(collection, limit=limit, where=wanted, tenants=tenants)
        return found.rows

    found = [row for rows in await bounded_map(search, chosen) for row in rows]
    return sorted(found, key=lambda row: _rank(row, text.casefold()))[:limit]


def _rank(row: DocumentRecord, text: str) -> tuple[bool, float, str, str]:
    begins = (row.title or "").casefold().startswith(text)
    age = -row.updated_at.timestamp() if row.updated_at else 0.0
    return not begins, age, row.collection, str(row.id)


def _is_readable(ctx: Context, collection: str) -> bool:
    return collection in ctx.sources.payload.collections


def _check_readable(ctx: Context, collection: str) -> None:
    if not _is_readable(ctx, collection):
        raise BadUserInput(f"`collection` is one of {', '.join(ctx.sources.payload.collections)}")
