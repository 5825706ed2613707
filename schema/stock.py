"""Stock, as the ERP keeps it."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

import strawberry

from resolvers import stock
from resolvers.products import ProductBySku
from schema.directives import requires
from schema.fields import link
from schema.info import Info
from schema.inputs import given
from schema.pages import Connection

if TYPE_CHECKING:
    from schema.products import Product


@strawberry.type(description="One item in one warehouse.")
class StockLevel:
    sku: str = strawberry.field(description="The ERP's item code; the SKU of a product variant.")
    warehouse: str = strawberry.field(description="The ERP's name of it.")
    actual_quantity: Decimal = strawberry.field(description="What lies there.")
    reserved_quantity: Decimal = strawberry.field(description="What of it is promised to orders.")
    available_quantity: Decimal = strawberry.field(
        description="What is not promised; negative where more is promised than there is."
    )
    product: Annotated[Product, strawberry.lazy("schema.products")] | None = link(
        ProductBySku,
        key="sku",
        description="The product that has a variant with this SKU.",
        directives=[requires("commerce:read")],
    )


@strawberry.type
class StockQuery:
    @strawberry.field(
        description="Stock of these items (at most 500), or of all, by SKU and warehouse. An item that was never in a "
        "warehouse has no row there.",
        directives=[requires("erp:staff")],
    )
    async def stock_levels(
        self,
        info: Info,
        skus: list[str] | None = strawberry.UNSET,
        warehouse: str | None = strawberry.UNSET,
        first: int | None = 50,
        after: str | None = strawberry.UNSET,
    ) -> Connection[StockLevel] | None:
        some = skus if isinstance(skus, list) else None
        return await stock.stock_levels(
            info.context, skus=some, warehouse=given(warehouse), first=first, after=given(after)
        )
