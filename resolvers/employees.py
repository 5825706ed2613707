"""Employees: those of the companies whose books a principal may see."""

from __future__ import annotations

from datasources.erpnext import EmployeeRecord
from resolvers.context import Context
from resolvers.invoices import companies_of
from resolvers.pages import Page, checked_first, no_rows, offset_after, offset_page


async def employees(ctx: Context, *, first: int | None, after: str | None) -> Page[EmployeeRecord]:
    """Newest first, those who have left among them."""
    limit, offset = checked_first(first), offset_after(after)
    companies = companies_of(ctx.principal)
    if companies == ():
        return no_rows()
    erpnext = ctx.sources.erpnext
    rows = await erpnext.employees(limit=limit + 1, offset=offset, companies=companies)

    async def count() -> int:
        return await erpnext.count_employees(companies=companies)

    return offset_page(rows[:limit], offset, has_next=len(rows) > limit, total=count)
