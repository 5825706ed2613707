"""Invoices: whose they are, how they are listed, and how one is made."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal

from core.backends import BackendName
from core.concurrency import bounded_map
from core.errors import BadUserInput, Forbidden, NotFound
from core.principals import Principal
from datasources.erpnext import (
    MAX_KEYS,
    InvoiceItemRecord,
    InvoiceKey,
    InvoiceRecord,
    InvoiceSelection,
    NewInvoice,
    NewInvoiceItem,
)
from datasources.medusa import OrderRecord
from datasources.mongo import ClientRecord, UserRecord
from resolvers import orders, users
from resolvers.bounds import check_length
from resolvers.buyers import BuyerOfOrder
from resolvers.clients import ClientById
from resolvers.context import Context, Loader, ManyByKey, OneByKey
from resolvers.pages import Page, checked_first, no_rows, offset_after, offset_page
from resolvers.users import UserByErpCustomerId

SHARED_ROWS = 500
"""At most, of a page that several lists share."""
SPARE = 3
"""How many times the rows that they want it holds: those who are invoiced most come in front of the others."""
LARGEST = Decimal(10) ** 12
"""A quantity or rate; beyond it floats, which this wire writes, lose cents."""


@dataclass(frozen=True)
class InvoiceWanted:
    """What a list of invoices is narrowed to; None: not at all. `customer_id` is ERPNext's."""

    order_ids: tuple[str, ...] | None = None
    status: str | None = None
    customer_id: str | None = None
    overdue: bool | None = None


@dataclass(frozen=True)
class InvoiceToMake:
    """Whom to invoice for what. `customer_id` is ERPNext's; rates are in the order's currency, if there is an order."""

    customer_id: str
    items: Sequence[NewInvoiceItem]
    order_id: str | None = None
    due_date: date | None = None


def companies_of(principal: Principal) -> tuple[str, ...] | None:
    """The companies whose books a principal may see; None: all, which is for services alone."""
    scope = principal.visible_scope
    return None if scope is None else scope.erp_companies


class InvoiceById(OneByKey[str, InvoiceRecord]):
    """An invoice that the principal may see."""

    async def fetch(self, keys: list[str]) -> list[InvoiceRecord]:
        if companies_of(self.ctx.principal) == ():
            return []
        found = await self.sources.erpnext.invoices_by_ids(keys)
        absent = set(keys) - {invoice.id for invoice in found}
        seen, _ = await asyncio.gather(
            asyncio.gather(*(may_see(self.ctx, invoice) for invoice in found)),
            asyncio.gather(*(_seek(self.ctx, key) for key in absent)),
        )
        return [invoice for invoice, is_seen in zip(found, seen, strict=True) if is_seen]

    def key(self, row: InvoiceRecord) -> str:
        return row.id


class InvoicesByOrderId(ManyByKey[str, InvoiceRecord]):
    """An order's invoices within the principal's companies, newest first. Only for orders that are the caller's."""

    async def fetch(self, keys: list[str]) -> list[InvoiceRecord]:
        companies = companies_of(self.ctx.principal)
        return await self.sources.erpnext.invoices_by_order_ids(keys, companies=companies)

    def key(self, row: InvoiceRecord) -> str:
        return row.order_id or ""


class InvoiceByOrderId(Loader[str, InvoiceRecord | None]):
    """An order's newest invoice that is not cancelled. What `InvoicesByOrderId` has is not asked for again."""

    async def batch_load_fn(self, keys: list[str]) -> list[InvoiceRecord | None]:
        found = await self.ctx.loader(InvoicesByOrderId).load_many(keys)
        return [next((one for one in invoices if not one.is_cancelled), None) for invoices in found]


class InvoiceItemsByInvoice(ManyByKey[InvoiceKey, InvoiceItemRecord]):
    """An invoice's lines, in its order. Only for invoices that are the caller's."""

    async def fetch(self, keys: list[InvoiceKey]) -> list[InvoiceItemRecord]:
        return await self.sources.erpnext.invoice_items(keys)

    def key(self, row: InvoiceItemRecord) -> InvoiceKey:
        return row.key


@dataclass(frozen=True)
class Slice:
    """Some rows of a list of invoices, and one more that tells whether there is a next page."""

    selection: InvoiceSelection
    limit: int
    offset: int

    def holds(self, invoice: InvoiceRecord) -> bool:
        """Whether an invoice that is in a wider list belongs to this one, going by company and customer."""
        companies, customers = self.selection.companies, self.selection.customer_ids
        return (companies is None or invoice.company in companies) and (
            customers is None or invoice.customer_id in customers
        )


class InvoiceSlices(Loader[Slice, list[InvoiceRecord]]):
    """Slices of several lists: one page for all that differ in company or customer only, then one call for each that
    it left short."""

    async def batch_load_fn(self, keys: list[Slice]) -> list[list[InvoiceRecord]]:
        found: dict[Slice, list[InvoiceRecord]] = {}
        alike: dict[Slice, list[Slice]] = {}
        for key in keys:
            alike.setdefault(_but_for_whose(key), []).append(key)
        for slices in alike.values():
            if len(slices) > 1 and slices[0].offset == 0:
                found |= await self._from_one_page(slices)
        left = [key for key in keys if key not in found]
        found.update(zip(left, await bounded_map(self._alone, left), strict=True))
        return [found[key] for key in keys]

    async def _alone(self, key: Slice) -> list[InvoiceRecord]:
        return await self.sources.erpnext.invoices(key.selection, limit=key.limit + 1, offset=key.offset)

    async def _from_one_page(self, slices: list[Slice]) -> dict[Slice, list[InvoiceRecord]]:
        """Those slices that a page of everybody's newest invoices fills."""
        size = min(SHARED_ROWS, SPARE * sum(key.limit + 1 for key in slices))
        rows = await self.sources.erpnext.invoices(_together([key.selection for key in slices]), limit=size)
        filled: dict[Slice, list[InvoiceRecord]] = {}
        for key in slices:
            theirs = [row for row in rows if key.holds(row)]
            # Behind a full page there may be more of theirs.
            if len(rows) < size or len(theirs) > key.limit:
                filled[key] = theirs[: key.limit + 1]
        return filled


class InvoiceCounts(Loader[InvoiceSelection, int]):
    """How many invoices a list has; one call each, for each list once."""

    async def batch_load_fn(self, keys: list[InvoiceSelection]) -> list[int]:
        return await bounded_map(self.sources.erpnext.count_invoices, keys)


async def invoice(ctx: Context, id: str) -> InvoiceRecord | None:
    """None for one that is not there, or not theirs."""
    return await ctx.loader(InvoiceById).load(id)


async def invoices(ctx: Context, *, first: int | None, after: str | None, wanted: InvoiceWanted) -> Page[InvoiceRecord]:
    """Newest first. Raises BadUserInput for more than 500 orders."""
    selection = _selection(ctx.principal, wanted, companies_of(ctx.principal))
    return await _page(ctx, selection, first, after)


async def invoices_of_client(
    ctx: Context, client: ClientRecord, *, first: int | None, after: str | None, wanted: InvoiceWanted | None
) -> Page[InvoiceRecord]:
    """Those of the client's company that the caller may see, newest first."""
    selection = _selection(ctx.principal, wanted or InvoiceWanted(), _companies_of_client(ctx.principal, client))
    return await _page(ctx, selection, first, after)


async def invoices_of_user(
    ctx: Context, user: UserRecord, *, first: int | None, after: str | None
) -> Page[InvoiceRecord]:
    """What this user was invoiced, newest first; nothing for callers who may not see the user's rows."""
    customer_id = user.linked_accounts.erp_customer_id
    if customer_id is None or not users.may_see(ctx.principal, user):
        return await _page(ctx, InvoiceSelection(customer_ids=()), first, after)
    client = await ctx.loader(ClientById).load(user.client_id)
    selection = InvoiceSelection(_companies_of_client(ctx.principal, client), (customer_id,))
    return await _page(ctx, selection, first, after)


async def create_invoice(ctx: Context, new: InvoiceToMake) -> InvoiceRecord:
    """Invoice a customer, for an order or for nothing but its lines. An order that has an invoice keeps that one;
    without an order the same holds for the same idempotency key.

    Raises NotFound for a customer or order that is not theirs, BadUserInput for lines that make no sense and for an
    order of somebody else, Forbidden where there is no company to invoice in their name.
    """
    check_items(new.items)
    user, order = await asyncio.gather(_customer(ctx, new.customer_id), _order(ctx, new.order_id))
    if user is not None and order is not None and not await orders.is_of_user(ctx, order, user):
        raise BadUserInput("`orderId` is not an order of this customer")
    buyer = user
    if buyer is None and order is not None and order.buyer is not None:
        buyer = await ctx.loader(BuyerOfOrder).load(order.buyer)
    client = await ctx.loader(ClientById).load(buyer.client_id) if buyer else None
    made = await ctx.sources.erpnext.create_invoice(
        NewInvoice(
            customer_id=new.customer_id,
            company=_company(ctx, client),
            items=new.items,
            order_id=order.id if order else None,
            idempotency_key=ctx.idempotency_key(),
            currency=order.currency if order else None,
            due_date=new.due_date,
        )
    )
    await ctx.sources.mongo.record_ownership(
        BackendName.ERPNEXT, made.id, client.id if client else None, buyer.id if buyer else None
    )
    if order is not None:
        ctx.loader(InvoicesByOrderId).clear(order.id)
        ctx.loader(InvoiceByOrderId).clear(order.id)
    return made


async def may_see(ctx: Context, invoice: InvoiceRecord) -> bool:
    """Whether an invoice is one that the caller may see: theirs by company, and for customers by name or by the order
    that it is for."""
    companies = companies_of(ctx.principal)
    is_of_company = companies is None or invoice.company in companies
    if not ctx.principal.is_customer or (is_of_company and invoice.customer_id == ctx.principal.erp_customer_id):
        return is_of_company
    return await _seek(ctx, invoice.order_id or invoice.id) and is_of_company


async def _seek(ctx: Context, order_id: str) -> bool:
    """Whether a customer may see an order. It is asked for an invoice that is not there too, which must not be told
    from a stranger's by the time that it takes."""
    return ctx.principal.is_customer and await orders.order(ctx, order_id) is not None


def _selection(principal: Principal, wanted: InvoiceWanted, companies: tuple[str, ...] | None) -> InvoiceSelection:
    """Raises BadUserInput for more orders than one call asks for."""
    check_length("orderIds", wanted.order_ids, MAX_KEYS)
    customers: tuple[str, ...] | None = None if wanted.customer_id is None else (wanted.customer_id,)
    if principal.is_customer:
        own = principal.erp_customer_id
        customers = (own,) if own is not None and wanted.customer_id in (None, own) else ()
    return InvoiceSelection(companies, customers, wanted.order_ids, wanted.status, wanted.overdue)


async def _page(ctx: Context, selection: InvoiceSelection, first: int | None, after: str | None) -> Page[InvoiceRecord]:
    limit, offset = checked_first(first), offset_after(after)
    if selection.is_empty:
        return no_rows()
    rows = await ctx.loader(InvoiceSlices).load(Slice(selection, limit, offset))

    async def count() -> int:
        return await ctx.loader(InvoiceCounts).load(selection)

    return offset_page(rows[:limit], offset, has_next=len(rows) > limit, total=count)


def _companies_of_client(principal: Principal, client: ClientRecord | None) -> tuple[str, ...]:
    """The client's company, if the principal may see its books."""
    company = client.backend_scope.erp_company if client and client.backend_scope else None
    seen = companies_of(principal)
    return (company,) if company and (seen is None or company in seen) else ()


def _but_for_whose(key: Slice) -> Slice:
    """What slices have in common that one page can serve."""
    selection = key.selection
    return replace(
        key,
        selection=replace(
            selection,
            companies=None if selection.companies is None else (),
            customer_ids=None if selection.customer_ids is None else (),
        ),
    )


def _together(selections: list[InvoiceSelection]) -> InvoiceSelection:
    """A selection that covers several which are alike but for whose they are."""

    def union(parts: list[tuple[str, ...] | None]) -> tuple[str, ...] | None:
        named = [part for part in parts if part is not None]
        return tuple(dict.fromkeys(each for part in named for each in part)) if named else None

    return replace(
        selections[0],
        companies=union([one.companies for one in selections]),
        customer_ids=union([one.customer_ids for one in selections]),
    )


def check_items(items: Sequence[NewInvoiceItem]) -> None:
    """Raises BadUserInput for no lines, and for quantities and rates that make no sense."""
    if not items:
        raise BadUserInput("`items` is empty")
    for item in items:
        if not (item.quantity.is_finite() and 0 < item.quantity <= LARGEST):
            raise BadUserInput(f"`quantity` of {item.sku} is not above zero, or too large")
        if not (item.rate.is_finite() and 0 <= item.rate <= LARGEST):
            raise BadUserInput(f"`rate` of {item.sku} is below zero, or too large")


async def _customer(ctx: Context, customer_id: str) -> UserRecord | None:
    """The user behind a customer of ERPNext; None where a service names one who is no user.

    Raises NotFound for one who is not there, or not theirs to invoice.
    """
    user = await ctx.loader(UserByErpCustomerId).load(customer_id)
    if user is None and not (ctx.principal.is_service and await ctx.sources.erpnext.customers_by_ids([customer_id])):
        raise NotFound("there is no such customer")
    return user


async def _order(ctx: Context, order_id: str | None) -> OrderRecord | None:
    if order_id is None:
        return None
    order = await orders.order(ctx, order_id)
    if order is None:
        raise NotFound("there is no such order")
    return order


def _company(ctx: Context, client: ClientRecord | None) -> str:
    """Who invoices: the client's company; for a service, where that is not known, the configured one."""
    company = client.backend_scope.erp_company if client and client.backend_scope else None
    if company is None and ctx.principal.is_service:
        company = ctx.sources.erpnext.default_company
    seen = companies_of(ctx.principal)
    if company is None or (seen is not None and company not in seen):
        raise Forbidden("this client has no company in the ERP")
    return company
