"""Stock: who sees which warehouses, and what lies in them."""

from __future__ import annotations

from collections.abc import Sequence

from core.principals import Principal
from datasources.erpnext import MAX_KEYS, StockLevelRecord
from resolvers.bounds import check_length
from resolvers.context import Context, ManyByKey
from resolvers.pages import Page, checked_first, no_rows, offset_after, offset_page


def warehouses_of(principal: Principal) -> tuple[str, ...] | None:
    """The warehouses that a principal may look into; None: all, which is for services alone."""
    scope = principal.visible_scope
    return None if scope is None else scope.erp_warehouses


class StockLevelsBySku(ManyByKey[str, StockLevelRecord]):
    """What lies of an item in each of the principal's warehouses, by warehouse."""

    async def fetch(self, keys: list[str]) -> list[StockLevelRecord]:
        return await self.sources.erpnext.stock_levels_by_skus(keys, warehouses=warehouses_of(self.ctx.principal))

    def key(self, row: StockLevelRecord) -> str:
        return row.sku


async def stock_levels(
    ctx: Context, *, skus: Sequence[str] | None, warehouse: str | None, first: int | None, after: str | None
) -> Page[StockLevelRecord]:
    """By SKU, then warehouse. Raises BadUserInput for more than 500 SKUs."""
    limit, offset = checked_first(first, default=50), offset_after(after)
    check_length("skus", skus, MAX_KEYS)
    warehouses = warehouses_of(ctx.principal)
    if warehouse is not None:
        warehouses = (warehouse,) if warehouses is None or warehouse in warehouses else ()
    if warehouses == () or (skus is not None and not skus):
        return no_rows()
    erpnext = ctx.sources.erpnext
    rows = await erpnext.stock_levels(limit=limit + 1, offset=offset, skus=skus, warehouses=warehouses)

    async def count() -> int:
        return await erpnext.count_stock_levels(skus=skus, warehouses=warehouses)

    return offset_page(rows[:limit], offset, has_next=len(rows) > limit, total=count)
