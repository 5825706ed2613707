"""Invoices, and what hangs on them in the other backends."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

import strawberry

from datasources.erpnext import NewInvoiceItem
from resolvers import invoices
from resolvers.buyers import BuyerOfInvoice
from resolvers.invoices import InvoiceItemsByInvoice, InvoiceToMake, InvoiceWanted
from resolvers.orders import OrderById
from resolvers.products import ProductBySku
from schema.directives import BY_ID, requires
from schema.fields import link, money
from schema.info import Info
from schema.inputs import given
from schema.pages import Connection
from schema.scalars import CurrencyCode, Money

if TYPE_CHECKING:
    from schema.orders import Order
    from schema.products import Product
    from schema.users import User


@strawberry.input(description="Narrows a list of invoices.")
class InvoiceFilter:
    order_ids: list[strawberry.ID] | None = strawberry.field(
        default=strawberry.UNSET, description="Invoices of these orders, at most 500."
    )
    status: str | None = strawberry.field(
        default=strawberry.UNSET, description="The ERP's word, such as `Unpaid`, `Paid` or `Cancelled`."
    )
    customer_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="The ERP's customer, as in `linkedAccounts.erpCustomerId`."
    )
    overdue: bool | None = strawberry.field(
        default=strawberry.UNSET, description="Whether it was due before today and is not all paid."
    )

    def wanted(self) -> InvoiceWanted:
        return InvoiceWanted(
            order_ids=tuple(self.order_ids) if isinstance(self.order_ids, list) else None,
            status=given(self.status),
            customer_id=given(self.customer_id),
            overdue=self.overdue if isinstance(self.overdue, bool) else None,
        )


@strawberry.type(description="A line of an invoice.")
class InvoiceItem:
    sku: str | None = strawberry.field(description="The ERP's item code; the SKU of a product variant.")
    description: str | None = strawberry.field(description="Plain text.")
    quantity: Decimal = strawberry.field(description="How many, in the item's unit.")
    rate: Money = money("rate", description="The price of one.")
    amount: Money = money("amount", description="The price of all of the line.")
    product: Annotated[Product, strawberry.lazy("schema.products")] | None = link(
        ProductBySku,
        key="sku",
        description="The product that has a variant with this SKU.",
        directives=[requires("commerce:read")],
    )


@strawberry.type(description="What a customer owes, or owed, to a company.", directives=[BY_ID])
class Invoice:
    id: strawberry.ID = strawberry.field(description="The ERP's name of it.")
    number: str = strawberry.field(description="As it is printed.")
    status: str = strawberry.field(description="The ERP's word, such as `Unpaid`, `Paid`, `Overdue` or `Cancelled`.")
    customer_name: str | None = strawberry.field(description="As the ERP knows them.")
    customer: Annotated[User, strawberry.lazy("schema.users")] | None = link(
        BuyerOfInvoice,
        key="buyer",
        description="The user who is invoiced, if the ERP's customer is one.",
        directives=[requires("core:read")],
    )
    order: Annotated[Order, strawberry.lazy("schema.orders")] | None = link(
        OrderById, key="order_id", description="The order that it is for.", directives=[requires("commerce:read")]
    )
    currency: CurrencyCode = strawberry.field(description="Of all its amounts.")
    net_total: Money = money("net_total", description="The lines.")
    tax_total: Money = money("tax_total", description="Taxes and charges, shipping among them.")
    grand_total: Money = money("grand_total", description="Lines, taxes and charges.")
    outstanding_amount: Money = money("outstanding_amount", description="What is still to be paid.")
    posting_date: date = strawberry.field(description="The day on which it was booked, where the company is.")
    due_date: date | None = strawberry.field(description="The last day to pay.")
    items: list[InvoiceItem] = link(InvoiceItemsByInvoice, key="key", description="Its lines, in its order.")


@strawberry.input(description="A line of a new invoice.")
class InvoiceItemInput:
    sku: str = strawberry.field(description="The ERP's item code.")
    quantity: Decimal = strawberry.field(description="More than zero.")
    rate: Decimal = strawberry.field(description="The price of one, zero or more.")


@strawberry.input(description="Invoices a customer; it is due at once unless a date is given.")
class CreateInvoiceInput:
    customer_id: strawberry.ID = strawberry.field(
        description="The ERP's customer, as in `linkedAccounts.erpCustomerId`."
    )
    order_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET,
        description="An order of this customer, whose currency the rates are in. It has one invoice: if it is there "
        "already, it is the answer.",
    )
    due_date: date | None = strawberry.field(default=strawberry.UNSET, description="The last day to pay.")
    items: list[InvoiceItemInput] = strawberry.field(description="At least one.")

    def wanted(self) -> InvoiceToMake:
        return InvoiceToMake(
            customer_id=self.customer_id,
            items=[NewInvoiceItem(sku=item.sku, quantity=item.quantity, rate=item.rate) for item in self.items],
            order_id=given(self.order_id),
            due_date=given(self.due_date),
        )


@strawberry.type
class InvoiceQuery:
    @strawberry.field(description="Invoices, newest first.", directives=[requires("erp:read")])
    async def invoices(
        self,
        info: Info,
        first: int | None = 20,
        after: str | None = strawberry.UNSET,
        filter: InvoiceFilter | None = strawberry.UNSET,
    ) -> Connection[Invoice] | None:
        wanted = filter.wanted() if filter else InvoiceWanted()
        return await invoices.invoices(info.context, first=first, after=given(after), wanted=wanted)

    @strawberry.field(description="One invoice.", directives=[requires("erp:read")])
    async def invoice(self, info: Info, id: strawberry.ID) -> Invoice | None:
        return await invoices.invoice(info.context, id)


@strawberry.type
class InvoiceMutation:
    @strawberry.mutation(
        description="Makes an invoice and submits it, in the name of the customer's company.",
        directives=[requires("erp:write")],
    )
    async def create_invoice(self, info: Info, input: CreateInvoiceInput) -> Invoice | None:
        return await invoices.create_invoice(info.context, input.wanted())
