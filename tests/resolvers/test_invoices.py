"""Whose invoices are, how they are listed and made, and in how many calls."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from core.backends import BackendName
from core.errors import BackendRejected, BadUserInput, Forbidden, GatewayError, NotFound
from core.principals import Principal
from datasources.erpnext import InvoiceRecord, NewInvoiceItem
from datasources.mongo import BackendScopeRecord, UserRecord
from resolvers.invoices import (
    InvoiceByOrderId,
    InvoiceItemsByInvoice,
    InvoicesByOrderId,
    InvoiceToMake,
    InvoiceWanted,
    create_invoice,
    invoice,
    invoices,
    invoices_of_client,
    invoices_of_user,
)
from resolvers.pages import Page
from sandbox.world import Client, Order
from tests.callers import SERVICE, WORLD, client, person, platform, user
from tests.market import Market

pytest_plugins = ["tests.backends"]

ANN, STRANGER = person("CUSTOMER"), person("CUSTOMER", client=1)
CUSTOMER, STAFF, MANAGER = user(ANN), user(person("STAFF")), user(person("MANAGER"))
NOBODY = platform(server_side=False)
SKU = WORLD.products[0].variants[0].sku
ITEMS = (NewInvoiceItem(SKU, Decimal(2), Decimal("9.90")),)
EVERYTHING = InvoiceWanted()


def newest(**having: Any) -> Order:
    """The newest order with an invoice."""
    return next(
        order for order in reversed(WORLD.invoiced) if all(getattr(order, key) is having[key] for key in having)
    )


def orders_of(*clients: Client) -> set[str | None]:
    """What the invoices of these clients' companies are for; a walk-in's for nothing."""
    walk_in = any(one in WORLD.clients[:3] for one in clients)
    return {order.id for order in WORLD.invoiced if order.client in clients} | ({None} if walk_in else set())


async def listed(market: Market, principal: Principal, wanted: InvoiceWanted = EVERYTHING) -> list[InvoiceRecord]:
    """All of a list, page by page."""
    ctx, rows, after = market.context(principal), [], None
    while True:
        page = await invoices(ctx, first=100, after=after, wanted=wanted)
        rows += page.nodes
        after = page.page_info.end_cursor
        if not page.page_info.has_next_page:
            assert await page.total() == len(rows) == len({row.id for row in rows})
            return rows


async def test_everybody_sees_the_invoices_of_their_company(market: Market) -> None:
    clients = WORLD.clients
    for principal, theirs in (
        (SERVICE, clients),
        (STAFF, clients[:1]),
        (client(1), clients[1:2]),
        (platform(server_side=True), clients[2:]),
    ):
        assert {row.order_id for row in await listed(market, principal)} == orders_of(*theirs)


async def test_customers_see_their_own_invoices(market: Market) -> None:
    rows = await listed(market, CUSTOMER)
    assert {row.order_id for row in rows} >= {order.id for order in WORLD.invoiced if order.customer is ANN} != set()
    assert {(row.customer_id, row.company) for row in rows} == {(ANN.erp_id, ANN.client.company)}
    assert await listed(market, CUSTOMER, InvoiceWanted(customer_id=ANN.erp_id)) == rows


@pytest.mark.parametrize(
    ("principal", "wanted"),
    [
        (NOBODY, EVERYTHING),
        (replace(CUSTOMER, erp_customer_id=None), EVERYTHING),
        (CUSTOMER, InvoiceWanted(customer_id=STRANGER.erp_id)),
        (STAFF, InvoiceWanted(order_ids=())),
        (replace(STAFF, backend_scope=None), EVERYTHING),
    ],
)
async def test_nothing_to_see_is_not_even_asked_for(
    market: Market, principal: Principal, wanted: InvoiceWanted
) -> None:
    assert await listed(market, principal, wanted) == []
    assert market.books.calls == 0


async def test_another_companys_rows_stay_out_whatever_is_asked_for(market: Market) -> None:
    order = newest(client=STRANGER.client)
    assert order.customer is not None
    assert await listed(market, STAFF, InvoiceWanted(order_ids=(order.id,))) == []
    assert await listed(market, STAFF, InvoiceWanted(customer_id=order.customer.erp_id)) == []
    assert len(await listed(market, SERVICE, InvoiceWanted(order_ids=(order.id,)))) == 1


async def test_filters_narrow_the_list(market: Market) -> None:
    today = datetime.now(UTC).date()
    everything = await listed(market, SERVICE)
    overdue = [row.id for row in everything if row.outstanding_amount and row.due_date and row.due_date < today]
    assert [row.id for row in await listed(market, SERVICE, InvoiceWanted(overdue=True))] == overdue != []
    rest = [row.id for row in everything if row.id not in overdue]
    assert [row.id for row in await listed(market, SERVICE, InvoiceWanted(overdue=False))] == rest
    assert {row.status for row in await listed(market, SERVICE, InvoiceWanted(status="Paid"))} == {"Paid"}


async def test_a_page_is_one_call_and_its_total_another(market: Market) -> None:
    ctx = market.context(STAFF)
    page = await invoices(ctx, first=3, after=None, wanted=EVERYTHING)
    assert (len(page.nodes), page.page_info.has_next_page, market.books.calls) == (3, True, 1)
    following = await invoices(ctx, first=2, after=page.edges[0].cursor, wanted=EVERYTHING)
    assert [row.id for row in following.nodes] == [row.id for row in page.nodes[1:]]
    assert await page.total() == len(orders_of(WORLD.clients[0]))
    assert market.books.calls == 3


@pytest.mark.parametrize("first", [0, 101])
async def test_pages_have_bounds_even_where_nothing_is_seen(market: Market, first: int) -> None:
    for principal in (SERVICE, NOBODY):
        with pytest.raises(BadUserInput):
            await invoices(market.context(principal), first=first, after=None, wanted=EVERYTHING)


async def test_there_is_a_bound_to_the_orders_of_one_list(market: Market) -> None:
    with pytest.raises(BadUserInput, match="500"):
        await listed(market, SERVICE, InvoiceWanted(order_ids=tuple(f"order_{n}" for n in range(501))))


async def test_one_invoice_is_seen_by_those_whose_it_is(market: Market) -> None:
    name = market.books.change(newest(customer=ANN).id)
    for principal in (SERVICE, STAFF, CUSTOMER, client(0)):
        found = await invoice(market.context(principal), name)
        assert found is not None
        assert found.id == name
    for principal in (NOBODY, client(1), user(person("CUSTOMER", n=1)), user(STRANGER), platform(server_side=True)):
        assert await invoice(market.context(principal), name) is None
    assert await invoice(market.context(SERVICE), "ACC-SINV-0000-1") is None


async def test_an_invoice_is_also_theirs_whose_order_it_is_for(market: Market) -> None:
    """As when the market know a customer by another name than the shop."""
    name = market.books.change(newest(customer=ANN).id, customer=person("CUSTOMER", n=1).erp_id)
    assert await invoice(market.context(CUSTOMER), name) is not None
    assert await invoice(market.context(user(person("CUSTOMER", n=2))), name) is None


async def test_invoices_asked_for_one_by_one_are_one_call(market: Market) -> None:
    names = [market.books.change(order.id) for order in WORLD.invoiced[-10:]]
    ctx = market.context(SERVICE)
    found = await asyncio.gather(*(invoice(ctx, name) for name in names))
    assert [row.id for row in found if row] == names
    assert market.books.calls == 1


async def test_invoices_of_a_hundred_orders_are_one_call_however_they_are_asked_for(market: Market) -> None:
    orders = [order.id for order in WORLD.orders[-100:]]
    ctx = market.context(SERVICE)
    lists, singles = await asyncio.gather(
        ctx.loader(InvoicesByOrderId).load_many(orders), ctx.loader(InvoiceByOrderId).load_many(orders)
    )
    assert [[row.order_id for row in rows] for rows in lists] == [[order] for order in orders]
    assert [row.order_id for row in singles if row] == orders
    assert market.books.calls == 1


async def test_the_invoice_of_an_order_is_the_newest_that_is_not_cancelled(market: Market) -> None:
    order = newest(customer=ANN)
    ctx = market.context(SERVICE)
    (first,) = await ctx.loader(InvoicesByOrderId).load(order.id)
    market.books.change(order.id, docstatus=2, status="Cancelled")
    ctx = market.context(SERVICE)
    assert await ctx.loader(InvoiceByOrderId).load(order.id) is None
    second = await create_invoice(market.context(MANAGER), InvoiceToMake(ANN.erp_id, ITEMS, order.id))
    ctx = market.context(SERVICE)
    assert [row.id for row in await ctx.loader(InvoicesByOrderId).load(order.id)] == [second.id, first.id]
    found = await ctx.loader(InvoiceByOrderId).load(order.id)
    assert found is not None
    assert found.id == second.id


async def test_an_orders_invoice_in_another_company_is_not_shown(market: Market) -> None:
    order = newest(client=ANN.client)
    market.books.change(order.id, company=STRANGER.client.company)
    assert await market.context(STAFF).loader(InvoicesByOrderId).load(order.id) == []
    assert len(await market.context(SERVICE).loader(InvoicesByOrderId).load(order.id)) == 1


async def test_lines_of_many_invoices_are_one_call(market: Market) -> None:
    ctx = market.context(SERVICE)
    page = await invoices(ctx, first=50, after=None, wanted=InvoiceWanted(order_ids=orders_with_invoices()))
    lines = await ctx.loader(InvoiceItemsByInvoice).load_many([row.key for row in page.nodes])
    assert market.books.calls == 2
    for row, of_row in zip(page.nodes, lines, strict=True):
        order = next(order for order in WORLD.invoiced if order.id == row.order_id)
        assert [item.sku for item in of_row] == [line.variant.sku for line in order.lines]
        assert {item.currency for item in of_row} == {row.currency}
        assert sum(item.amount for item in of_row) == row.net_total


def orders_with_invoices() -> tuple[str, ...]:
    return tuple(order.id for order in WORLD.invoiced)


# -- lists of users and clients ------------------------------------------------------------------------------------


def records(market: Market, *, of: Client | None = None) -> list[UserRecord]:
    return [market.mongo.users_by_id[one.id] for one in WORLD.customers if of in (None, one.client)]


def ids(page: Page[InvoiceRecord]) -> list[str]:
    return [row.id for row in page.nodes]


async def test_invoices_of_a_lists_users_share_a_call(market: Market) -> None:
    ctx = market.context(STAFF)
    people = records(market, of=ANN.client)
    pages = await asyncio.gather(*(invoices_of_user(ctx, one, first=20, after=None) for one in people))
    assert market.books.calls == 1
    assert sum(len(page.nodes) for page in pages) == len(orders_of(ANN.client))
    for one, page in zip(people, pages, strict=True):
        assert {row.customer_id for row in page.nodes} == {one.linked_accounts.erp_customer_id}
        assert await page.total() == len(page.nodes)


async def test_users_whom_the_shared_page_left_short_are_asked_for_alone(market: Market) -> None:
    rare, frequent = records(market, of=ANN.client)[:2]
    for row in market.books.store.rows("Sales Invoice"):
        market.books.store.put(
            "Sales Invoice", row["name"], {**row, "customer": frequent.linked_accounts.erp_customer_id}
        )
    oldest = WORLD.invoiced[0]
    name = market.books.change(
        oldest.id, customer=rare.linked_accounts.erp_customer_id, company=ANN.client.company, posting_date="2020-01-01"
    )
    ctx = market.context(STAFF)
    pages = await asyncio.gather(*(invoices_of_user(ctx, one, first=1, after=None) for one in (rare, frequent)))
    assert [(len(page.nodes), page.page_info.has_next_page) for page in pages] == [(1, False), (1, True)]
    assert ids(pages[0]) == [name]
    assert market.books.calls == 2


async def test_invoices_of_somebody_elses_users_are_nobodys_business(market: Market) -> None:
    (stranger,) = [one for one in records(market) if one.id == STRANGER.id]
    for principal in (STAFF, CUSTOMER, NOBODY):
        page = await invoices_of_user(market.context(principal), stranger, first=20, after=None)
        assert (page.nodes, await page.total(), market.books.calls) == ([], 0, 0)


async def test_a_user_unknown_to_the_erp_has_no_invoices(market: Market) -> None:
    staff = market.mongo.users_by_id[person("STAFF").id]
    assert ids(await invoices_of_user(market.context(SERVICE), staff, first=20, after=None)) == []
    assert market.books.calls == 0


async def test_invoices_of_a_lists_clients_share_a_call(market: Market) -> None:
    ctx = market.context(SERVICE)
    clients = [market.mongo.clients_by_id[one.id] for one in WORLD.clients]
    pages = await asyncio.gather(*(invoices_of_client(ctx, one, first=5, after=None, wanted=None) for one in clients))
    assert market.books.calls == 1
    for one, page in zip(WORLD.clients, pages, strict=True):
        assert {row.company for row in page.nodes} == {one.company}
        assert (len(page.nodes), page.page_info.has_next_page) == (5, True)
        assert await page.total() == len(orders_of(one))


async def test_a_clients_invoices_are_narrowed_to_what_the_caller_may_see(market: Market) -> None:
    own, other = (market.mongo.clients_by_id[one.id] for one in WORLD.clients[:2])
    ctx = market.context(CUSTOMER)
    page = await invoices_of_client(ctx, own, first=50, after=None, wanted=EVERYTHING)
    assert {row.customer_id for row in page.nodes} == {ANN.erp_id}
    assert (await invoices_of_client(ctx, other, first=50, after=None, wanted=None)).nodes == []


# -- making one ----------------------------------------------------------------------------------------------------


async def test_an_invoice_is_made_in_the_name_of_the_customers_company(market: Market) -> None:
    due = datetime.now(UTC).date() + timedelta(days=10)
    made = await create_invoice(market.context(MANAGER), InvoiceToMake(ANN.erp_id, ITEMS, due_date=due))
    assert (made.company, made.customer_id, made.due_date) == (ANN.client.company, ANN.erp_id, due)
    assert (made.net_total, made.order_id) == (Decimal("19.8"), None)
    owner = await market.mongo.owner(BackendName.ERPNEXT, made.id)
    assert owner is not None
    assert (owner.client_id, owner.user_id) == (ANN.client.id, ANN.id)


@pytest.mark.parametrize("principal", [SERVICE, platform(server_side=True)], ids=["service", "platform"])
async def test_who_serves_several_clients_invoices_for_the_customers(market: Market, principal: Principal) -> None:
    buyer = person("CUSTOMER", client=3)
    made = await create_invoice(market.context(principal), InvoiceToMake(buyer.erp_id, ITEMS))
    assert made.company == buyer.client.company


async def test_an_orders_invoice_is_in_its_currency_and_made_once(market: Market) -> None:
    order = newest(customer=ANN)
    market.books.change(order.id, docstatus=2, status="Cancelled")
    first, again = [
        await create_invoice(market.context(MANAGER), InvoiceToMake(ANN.erp_id, ITEMS, order.id)) for _ in range(2)
    ]
    assert (first.id, first.currency, first.order_id) == (again.id, order.currency, order.id)
    assert len(market.books.made) == 1


async def test_an_order_that_is_invoiced_already_keeps_its_invoice(market: Market) -> None:
    order = newest(customer=ANN)
    name = market.books.change(order.id)
    assert (await create_invoice(market.context(SERVICE), InvoiceToMake(ANN.erp_id, ITEMS, order.id))).id == name
    assert market.books.made == []


async def test_what_was_just_made_is_seen_in_the_same_operation(market: Market) -> None:
    order = newest(customer=ANN)
    market.books.change(order.id, docstatus=2, status="Cancelled")
    ctx = market.context(MANAGER)
    assert await ctx.loader(InvoiceByOrderId).load(order.id) is None
    made = await create_invoice(ctx, InvoiceToMake(ANN.erp_id, ITEMS, order.id))
    found = await ctx.loader(InvoiceByOrderId).load(order.id)
    assert found is not None
    assert found.id == made.id


@pytest.mark.parametrize(
    ("principal", "new", "error"),
    [
        (MANAGER, InvoiceToMake(STRANGER.erp_id, ITEMS), NotFound),
        (NOBODY, InvoiceToMake(ANN.erp_id, ITEMS), NotFound),
        (SERVICE, InvoiceToMake("Nobody", ITEMS), NotFound),
        (MANAGER, InvoiceToMake(ANN.erp_id, ITEMS, newest(client=STRANGER.client).id), NotFound),
        (MANAGER, InvoiceToMake(ANN.erp_id, ITEMS, newest(customer=person("CUSTOMER", n=1)).id), BadUserInput),
        (SERVICE, InvoiceToMake(ANN.erp_id, ITEMS, newest(client=STRANGER.client).id), BadUserInput),
        (SERVICE, InvoiceToMake(ANN.erp_id, ()), BadUserInput),
        *[
            (SERVICE, InvoiceToMake(ANN.erp_id, [NewInvoiceItem(SKU, Decimal(quantity), Decimal(rate))]), BadUserInput)
            for quantity, rate in (("0", "1"), ("-1", "1"), ("NaN", "1"), ("1e13", "1"), ("1", "-0.01"), ("1", "inf"))
        ],
        (SERVICE, InvoiceToMake(ANN.erp_id, ITEMS, due_date=date(2020, 1, 1)), BackendRejected),
    ],
)
async def test_what_cannot_be_invoiced(
    market: Market, principal: Principal, new: InvoiceToMake, error: type[GatewayError]
) -> None:
    with pytest.raises(error):
        await create_invoice(market.context(principal), new)
    assert market.books.made == []
    assert market.mongo.ownership == {}


async def test_a_client_without_company_cannot_invoice(market: Market) -> None:
    known = market.mongo.clients_by_id[ANN.client.id]
    nothing = BackendScopeRecord(medusa_sales_channel_ids=(ANN.client.channel_id,))
    market.mongo.clients_by_id[known.id] = msgspec.structs.replace(known, backend_scope=nothing)
    for principal in (MANAGER, SERVICE):
        with pytest.raises(Forbidden):
            await create_invoice(market.context(principal), InvoiceToMake(ANN.erp_id, ITEMS))


async def test_a_service_invoices_customers_who_are_no_users_for_the_configured_company(market: Market) -> None:
    company = WORLD.clients[2].company
    market.books.erpnext.default_company = company
    del market.mongo.users_by_id[ANN.id]
    made = await create_invoice(market.context(SERVICE), InvoiceToMake(ANN.erp_id, ITEMS))
    assert (made.company, made.customer_id) == (company, ANN.erp_id)
    with pytest.raises(NotFound):
        await create_invoice(market.context(MANAGER), InvoiceToMake(ANN.erp_id, ITEMS))
