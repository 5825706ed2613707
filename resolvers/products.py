"""The catalogue: who sees which products, and the joins that lead to them."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from core.errors import BadUserInput
from core.principals import Principal, PrincipalKind
from datasources.erpnext import StockLevelRecord
from datasources.medusa import MAX_IDS, CategoryRecord, ProductRecord, Rows, StoreRecord
from datasources.rows import CATEGORIES, PRODUCTS, STORES
from resolvers.bounds import check_length
from resolvers.context import Context, Loader, OneByKey
from resolvers.pages import Page, checked_first, no_rows, offset_after, offset_page
from resolvers.remembered import Remembered
from resolvers.stock import StockLevelsBySku

PUBLISHED = "published"
STATUSES = ("draft", "proposed", "published", "rejected")


@dataclass(frozen=True)
class ProductWanted:
    """What a list of products is narrowed to; None: not at all."""

    ids: Sequence[str] | None = None
    category_id: str | None = None
    search: str | None = None
    status: str | None = None


def channels_of(principal: Principal) -> tuple[str, ...] | None:
    """The sales channels whose products and orders a principal may see; None: all, which is for services alone."""
    scope = principal.visible_scope
    return None if scope is None else scope.medusa_sales_channel_ids


def forced_status(principal: Principal) -> str | None:
    """The only status of products that a principal may see; None: any."""
    return PUBLISHED if principal.is_customer or principal.kind is PrincipalKind.PLATFORM else None


def catalogue_of(principal: Principal) -> Hashable:
    """All of a principal on which it depends what of the catalogue they see."""
    return channels_of(principal), forced_status(principal)


class ProductById(Remembered[ProductRecord | None], OneByKey[str, ProductRecord]):
    """Any product. Only for rows that are the caller's own: what somebody has bought they see, published or not."""

    kind = PRODUCTS

    async def fetch(self, keys: list[str]) -> list[ProductRecord]:
        return await self.sources.medusa.products_by_ids(keys)

    def key(self, row: ProductRecord) -> str:
        return row.id


class VisibleProductById(ProductById):
    """A product that the principal may see."""

    def scope(self, keys: list[str]) -> Hashable:
        return catalogue_of(self.ctx.principal)

    async def fetch(self, keys: list[str]) -> list[ProductRecord]:
        principal = self.ctx.principal
        return await self.sources.medusa.products_by_ids(
            keys, channel_ids=channels_of(principal), status=forced_status(principal)
        )


class ProductBySku(Remembered[ProductRecord | None]):
    """The product that has a variant with this SKU, if the principal may see it: SKUs are shared between companies."""

    kind = PRODUCTS
    are_own = False

    def scope(self, keys: list[str]) -> Hashable:
        return catalogue_of(self.ctx.principal)

    async def asked(self, keys: list[str]) -> list[ProductRecord | None]:
        principal = self.ctx.principal
        products = await self.sources.medusa.products_by_skus(
            keys, channel_ids=channels_of(principal), status=forced_status(principal)
        )
        by_sku = {sku: product for product in products for sku in product.skus}
        return [by_sku.get(key) for key in keys]


class CategoryById(Remembered[CategoryRecord | None], OneByKey[str, CategoryRecord]):
    """A category that buyers see."""

    kind = CATEGORIES

    async def fetch(self, keys: list[str]) -> list[CategoryRecord]:
        return await self.sources.medusa.categories_by_ids(keys)

    def key(self, row: CategoryRecord) -> str:
        return row.id


class InventoryByVariantId(Loader[str, int | None]):
    """How many of a variant can be sold; None where the shop keeps no count."""

    async def batch_load_fn(self, keys: list[str]) -> list[int | None]:
        stocks = await self.sources.medusa.variant_stocks_by_ids(keys)
        quantities = {stock.id: stock.inventory_quantity for stock in stocks}
        return [quantities.get(key) for key in keys]


async def products(ctx: Context, *, first: int | None, after: str | None, wanted: ProductWanted) -> Page[ProductRecord]:
    """Newest first. Raises BadUserInput for a status that there is not, and for more than 300 ids."""
    limit, offset = checked_first(first), offset_after(after)
    if wanted.status is not None and wanted.status not in STATUSES:
        raise BadUserInput(f"`status` is one of {', '.join(STATUSES)}")
    check_length("ids", wanted.ids, MAX_IDS)
    forced = forced_status(ctx.principal)
    if forced is not None and wanted.status not in (None, forced):
        return no_rows()

    async def ask() -> Rows[ProductRecord]:
        return await ctx.sources.medusa.products(
            limit=limit,
            offset=offset,
            ids=wanted.ids,
            search=wanted.search,
            category_id=wanted.category_id,
            status=forced or wanted.status,
            channel_ids=channels_of(ctx.principal),
        )

    ids = None if wanted.ids is None else tuple(wanted.ids)
    question = limit, offset, ids, wanted.search, wanted.category_id, wanted.status
    found = await ctx.sources.rows.answer(PRODUCTS, question, ask, scope=catalogue_of(ctx.principal))
    return offset_page(found.rows, offset, has_next=offset + len(found.rows) < found.count, total=found.count)


async def product(ctx: Context, *, id: str | None, handle: str | None) -> ProductRecord | None:
    """By exactly one of the two; None for one that is not there, or not for this caller."""
    if (id is None) == (handle is None):
        raise BadUserInput("give exactly one of `id` and `handle`")
    if id is not None:
        return await ctx.loader(VisibleProductById).load(id)

    async def ask() -> Rows[ProductRecord]:
        return await ctx.sources.medusa.products(
            limit=1, handle=handle, channel_ids=channels_of(ctx.principal), status=forced_status(ctx.principal)
        )

    question = "handle", handle
    found = await ctx.sources.rows.answer(PRODUCTS, question, ask, scope=catalogue_of(ctx.principal))
    return found.rows[0] if found.rows else None


async def categories(ctx: Context, *, first: int | None, after: str | None) -> Page[CategoryRecord]:
    """Newest first."""
    limit, offset = checked_first(first, default=50), offset_after(after)
    if channels_of(ctx.principal) == ():
        return no_rows()

    async def ask() -> Rows[CategoryRecord]:
        return await ctx.sources.medusa.categories(limit=limit, offset=offset)

    found = await ctx.sources.rows.answer(CATEGORIES, (limit, offset), ask, scope=())
    return offset_page(found.rows, offset, has_next=offset + len(found.rows) < found.count, total=found.count)


async def stores(ctx: Context) -> list[StoreRecord]:
    """Normally one; none for those who sell nowhere."""
    if channels_of(ctx.principal) == ():
        return []
    return await ctx.sources.rows.answer(STORES, (), ctx.sources.medusa.stores, scope=())


async def stock_levels_of_product(ctx: Context, product: ProductRecord) -> list[StockLevelRecord]:
    """What the ERP holds of each of the product's variants, in the variants' order."""
    levels = await ctx.loader(StockLevelsBySku).load_many(list(product.skus))
    return [level for of_sku in levels for level in of_sku]
