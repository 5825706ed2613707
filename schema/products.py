"""The catalogue: products with their variants, categories, and the shop itself."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import strawberry

from resolvers import products
from resolvers.products import CategoryById, InventoryByVariantId, ProductWanted
from schema.directives import BY_ID, cached, requires
from schema.fields import link
from schema.info import Info
from schema.inputs import given
from schema.pages import Connection
from schema.scalars import CurrencyCode, Money

if TYPE_CHECKING:
    from schema.stock import StockLevel


@strawberry.input(description="Narrows a list of products.")
class ProductFilter:
    ids: list[strawberry.ID] | None = strawberry.UNSET
    category_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="Products of this category itself, not of those below it."
    )
    search: str | None = strawberry.field(default=strawberry.UNSET, description="Words of the title or description.")
    status: str | None = strawberry.field(
        default=strawberry.UNSET,
        description="`draft`, `proposed`, `published` or `rejected`; customers see published ones.",
    )

    def wanted(self) -> ProductWanted:
        return ProductWanted(
            ids=self.ids if isinstance(self.ids, list) else None,
            category_id=given(self.category_id),
            search=self.search or None,
            status=given(self.status),
        )


@strawberry.type(description="A group of products.")
class Category:
    id: strawberry.ID
    name: str
    handle: str = strawberry.field(description="Its part of an address, unique.")
    parent: Annotated[Category, strawberry.lazy("schema.products")] | None = link(
        CategoryById, key="parent_category_id", description="The category that this one belongs to."
    )


@strawberry.type(description="What is really bought: a product in one size, colour or the like.")
class ProductVariant:
    id: strawberry.ID
    title: str
    sku: str | None = strawberry.field(description="Stock keeping unit; the ERP's item code.")
    prices: list[Money] = strawberry.field(description="What anybody pays for one, per currency.")
    inventory_quantity: int | None = link(
        InventoryByVariantId, key="id", description="How many the shop can sell; null where it keeps no count."
    )


@strawberry.type(description="Something that is sold.", directives=[BY_ID])
class Product:
    id: strawberry.ID
    title: str
    handle: str = strawberry.field(description="Its part of an address, unique.")
    description: str | None
    status: str = strawberry.field(description="`draft`, `proposed`, `published` or `rejected`.")
    thumbnail: str | None = strawberry.field(description="Address of a small image.")
    images: list[str] = strawberry.field(description="Addresses, in the shop's order.")
    variants: list[ProductVariant]
    categories: list[Category]
    created_at: datetime
    updated_at: datetime

    @strawberry.field(description="From the ERP, by the variants' SKUs.", directives=[requires("erp:staff")])
    async def stock_levels(
        self: Any, info: Info
    ) -> list[Annotated[StockLevel, strawberry.lazy("schema.stock")]] | None:
        return await products.stock_levels_of_product(info.context, self)


@strawberry.type(description="A shop.")
class Store:
    id: strawberry.ID
    name: str
    default_currency: CurrencyCode | None


@strawberry.type
class ProductQuery:
    @strawberry.field(description="Products, newest first.", directives=[requires("commerce:read"), cached(30)])
    async def products(
        self,
        info: Info,
        first: int | None = 20,
        after: str | None = strawberry.UNSET,
        filter: ProductFilter | None = strawberry.UNSET,
    ) -> Connection[Product] | None:
        wanted = filter.wanted() if filter else ProductWanted()
        return await products.products(info.context, first=first, after=given(after), wanted=wanted)

    @strawberry.field(
        description="One product, by id or by handle: exactly one of them.",
        directives=[requires("commerce:read"), cached(30)],
    )
    async def product(
        self,
        info: Info,
        id: strawberry.ID | None = strawberry.UNSET,
        handle: str | None = strawberry.UNSET,
    ) -> Product | None:
        return await products.product(info.context, id=given(id), handle=given(handle))

    @strawberry.field(
        description="Groups of products, newest first.", directives=[requires("commerce:read"), cached(300)]
    )
    async def categories(
        self, info: Info, first: int | None = 50, after: str | None = strawberry.UNSET
    ) -> Connection[Category] | None:
        return await products.categories(info.context, first=first, after=given(after))

    @strawberry.field(description="The shops; normally one.", directives=[requires("commerce:read"), cached(300)])
    async def stores(self, info: Info) -> list[Store] | None:
        return await products.stores(info.context)
