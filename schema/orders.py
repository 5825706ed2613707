"""Orders, and everything that hangs on them in the other backends."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from datasources.medusa import OrderStatus
from resolvers import orders
from resolvers.buyers import BuyerOfOrder
from resolvers.deliveries import DeliveriesByOrderId, DeliveryByOrderId
from resolvers.invoices import InvoiceByOrderId, InvoicesByOrderId
from resolvers.orders import NewOrder, OrderWanted
from resolvers.workflows import WorkflowByOrderId
from schema.carts import LineItem, new_items
from schema.directives import BY_ID, requires
from schema.fields import link, money
from schema.info import Info
from schema.inputs import AddressInput, LineItemInput, given, instant
from schema.pages import Connection
from schema.scalars import CurrencyCode, Money

if TYPE_CHECKING:
    from schema.deliveries import Delivery
    from schema.invoices import Invoice
    from schema.users import User
    from schema.workflows import Workflow

strawberry.enum(
    OrderStatus, description="How far an order has come. Payment and fulfilment have a status of their own."
)


@strawberry.input(description="Narrows a list of orders.")
class OrderFilter:
    ids: list[strawberry.ID] | None = strawberry.UNSET
    user_id: strawberry.ID | None = strawberry.UNSET
    status: OrderStatus | None = strawberry.UNSET
    created_after: datetime | None = strawberry.field(default=strawberry.UNSET, description="This instant or later.")
    created_before: datetime | None = strawberry.field(default=strawberry.UNSET, description="Before this instant.")

    def wanted(self) -> OrderWanted:
        return OrderWanted(
            ids=tuple(self.ids) if isinstance(self.ids, list) else None,
            user_id=given(self.user_id),
            status=given(self.status),
            created_after=instant(self.created_after),
            created_before=instant(self.created_before),
        )


@strawberry.type(description="What somebody has bought.", directives=[BY_ID])
class Order:
    id: strawberry.ID
    display_id: int = strawberry.field(description="For people; other systems know it by `id`.")
    status: OrderStatus
    payment_status: str | None = strawberry.field(description="Such as `authorized`, `captured` or `refunded`.")
    fulfillment_status: str | None = strawberry.field(description="Such as `not_fulfilled`, `shipped` or `delivered`.")
    email: str | None
    currency: CurrencyCode
    subtotal: Money = money("subtotal", description="Items and shipping before taxes.")
    shipping_total: Money = money("shipping_total", description="Shipping with its taxes.")
    tax_total: Money = money("tax_total")
    total: Money = money("total", description="What is paid.")
    items: list[LineItem]
    customer: Annotated[User, strawberry.lazy("schema.users")] | None = link(
        BuyerOfOrder,
        key="buyer",
        description="The user who ordered; null for guests.",
        directives=[requires("core:read")],
    )
    deliveries: list[Annotated[Delivery, strawberry.lazy("schema.deliveries")]] | None = link(
        DeliveriesByOrderId, key="id", description="All of them, newest first.", directives=[requires("logistics:read")]
    )
    delivery: Annotated[Delivery, strawberry.lazy("schema.deliveries")] | None = link(
        DeliveryByOrderId,
        key="id",
        description="The newest that is not canceled.",
        directives=[requires("logistics:read")],
    )
    invoices: list[Annotated[Invoice, strawberry.lazy("schema.invoices")]] | None = link(
        InvoicesByOrderId, key="id", description="All of them, newest first.", directives=[requires("erp:read")]
    )
    invoice: Annotated[Invoice, strawberry.lazy("schema.invoices")] | None = link(
        InvoiceByOrderId, key="id", description="The newest that is not canceled.", directives=[requires("erp:read")]
    )
    workflow: Annotated[Workflow, strawberry.lazy("schema.workflows")] | None = link(
        WorkflowByOrderId,
        key="id",
        description="The workflow that fulfils it, if one does.",
        directives=[requires("workflows:read")],
    )
    created_at: datetime
    updated_at: datetime


@strawberry.input(description="Places an unpaid order (the backend's manual payment); paying is `fulfillOrder`'s work.")
class CreateOrderInput:
    cart_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="Either this or `items`. The same cart again is the same order."
    )
    items: list[LineItemInput] | None = strawberry.UNSET
    email: str | None = strawberry.field(
        default=strawberry.UNSET, description="Of a guest. A user's order carries the user's own address."
    )
    user_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="Whom it is for; the caller, if they are a user, unless given."
    )
    shipping_address: AddressInput | None = strawberry.field(
        default=strawberry.UNSET, description="Needed unless the cart has one."
    )

    def wanted(self) -> NewOrder:
        return NewOrder(
            cart_id=given(self.cart_id),
            items=new_items(self.items) if isinstance(self.items, list) else None,
            email=given(self.email),
            user_id=given(self.user_id),
            shipping_address=self.shipping_address.to_address() if self.shipping_address else None,
        )


@strawberry.type
class OrderQuery:
    @strawberry.field(description="Orders, newest first.", directives=[requires("commerce:read")])
    async def orders(
        self,
        info: Info,
        first: int | None = 20,
        after: str | None = strawberry.UNSET,
        filter: OrderFilter | None = strawberry.UNSET,
    ) -> Connection[Order] | None:
        wanted = filter.wanted() if filter else OrderWanted()
        return await orders.orders(info.context, first=first, after=given(after), wanted=wanted)

    @strawberry.field(description="One order.", directives=[requires("commerce:read")])
    async def order(self, info: Info, id: strawberry.ID) -> Order | None:
        return await orders.order(info.context, id)


@strawberry.type
class OrderMutation:
    @strawberry.mutation(
        description="Places an order of a cart, or of items: exactly one of them.",
        directives=[requires("commerce:write")],
    )
    async def create_order(self, info: Info, input: CreateOrderInput) -> Order | None:
        return await orders.create_order(info.context, input.wanted())

    @strawberry.mutation(
        description="Cancels an order and gives back what was paid; refused once it is fulfilled.",
        directives=[requires("commerce:write")],
    )
    async def cancel_order(self, info: Info, id: strawberry.ID) -> Order | None:
        return await orders.cancel_order(info.context, id)
