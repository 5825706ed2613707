"""ERPNext's customers. They are of no company there: a client's are those who are its users."""

from __future__ import annotations

from typing import Any

from core.backends import BackendName
from datasources.erpnext import ErpCustomerRecord
from resolvers.clients import ClientById
from resolvers.context import Context
from resolvers.keysets import keyset_after, keyset_page
from resolvers.pages import Edge, Page, checked_first, no_rows, offset_after, offset_page
from resolvers.users import visible_client_ids


async def erp_customers(ctx: Context, *, first: int | None, after: str | None) -> Page[ErpCustomerRecord]:
    """Newest first: for a service everybody, for others the users of their clients, in the order of these."""
    if ctx.principal.is_service:
        return await _everybody(ctx, checked_first(first), offset_after(after))
    limit, position = checked_first(first), keyset_after(after)
    client_ids = await _invoicing(ctx)
    if not client_ids:
        return no_rows()
    mongo = ctx.sources.mongo
    theirs: dict[str, Any] = {"client_ids": client_ids, "linked_to": BackendName.ERPNEXT}
    people = await mongo.users(limit=limit + 1, after=position, **theirs)
    page = keyset_page(people, limit, position, lambda: mongo.count_users(**theirs))
    ids = [user.linked_accounts.erp_customer_id or "" for user in page.nodes]
    found = {row.id: row for row in await ctx.sources.erpnext.customers_by_ids(ids)} if ids else {}
    # Where the page ends does not depend on whether ERPNext still has its last customer.
    edges = [Edge(found[each], edge.cursor) for each, edge in zip(ids, page.edges, strict=True) if each in found]
    return Page(edges, page.page_info, page.total)


async def _everybody(ctx: Context, limit: int, offset: int) -> Page[ErpCustomerRecord]:
    erpnext = ctx.sources.erpnext
    rows = await erpnext.customers(limit=limit + 1, offset=offset)
    return offset_page(rows[:limit], offset, has_next=len(rows) > limit, total=erpnext.count_customers)


async def _invoicing(ctx: Context) -> list[str]:
    """The clients that a principal may see whose books are anywhere."""
    ids = visible_client_ids(ctx.principal) or ()
    clients = await ctx.loader(ClientById).load_many(list(ids))
    return [each.id for each in clients if each and each.backend_scope and each.backend_scope.erp_company]
