"""Orders to suppliers."""

from __future__ import annotations

from datetime import date

import strawberry

from datasources.erpnext import NewInvoiceItem
from resolvers import purchase_orders
from resolvers.purchase_orders import PurchaseToMake
from schema.directives import requires
from schema.fields import money
from schema.info import Info
from schema.inputs import given
from schema.invoices import InvoiceItem, InvoiceItemInput
from schema.scalars import Money


@strawberry.type(description="What a company orders from a supplier.")
class PurchaseOrder:
    id: strawberry.ID = strawberry.field(description="The ERP's name of it.")
    status: str = strawberry.field(description="The ERP's word, such as `To Receive and Bill`.")
    supplier: str = strawberry.field(description="The ERP's name of them.")
    grand_total: Money = money("grand_total", description="Lines, taxes and charges.")
    items: list[InvoiceItem] = strawberry.field(description="Its lines, in its order.")


@strawberry.input(description="What to order from whom.")
class CreatePurchaseOrderInput:
    client_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET,
        description="Whose company orders; callers that are a client, or work for one, leave it out.",
    )
    supplier: str = strawberry.field(description="The ERP's name of them.")
    schedule_date: date = strawberry.field(description="The day by which it is to come; not a past one.")
    items: list[InvoiceItemInput] = strawberry.field(description="At least one; rates are in the company's currency.")

    def wanted(self) -> PurchaseToMake:
        return PurchaseToMake(
            supplier=self.supplier,
            schedule_date=self.schedule_date,
            items=[NewInvoiceItem(sku=item.sku, quantity=item.quantity, rate=item.rate) for item in self.items],
            client_id=given(self.client_id),
        )


@strawberry.type
class PurchaseOrderMutation:
    @strawberry.mutation(
        description="Orders from a supplier and submits the order, in the name of the client's company.",
        directives=[requires("erp:write")],
    )
    async def create_purchase_order(self, info: Info, input: CreatePurchaseOrderInput) -> PurchaseOrder | None:
        return await purchase_orders.create_purchase_order(info.context, input.wanted())
