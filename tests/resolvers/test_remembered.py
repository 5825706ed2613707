"""What one caller's operation leaves for the next one's, and what it does not."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from core import operation
from core.address import Address
from core.operation import Operation
from core.principals import Principal
from datasources.rows import KINDS
from resolvers import deliveries, fleet, products
from resolvers.context import Context
from resolvers.deliveries import DeliveriesByOrderId, DeliveryWanted
from resolvers.fleet import DriverById
from resolvers.products import CategoryById, ProductById, ProductBySku, ProductWanted, VisibleProductById
from sandbox.world import short
from tests.callers import SERVICE, WORLD, client, person, platform, user
from tests.market import Market, delivered

pytest_plugins = ["tests.backends"]

STAFF, CUSTOMER = user(person("STAFF")), user(person("CUSTOMER"))
DRAFT, SOLD = WORLD.products[1], WORLD.products[5]


class Worker:
    """One worker, which answers one caller after the other."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._sources = market.context(SERVICE).sources

    def context(self, principal: Principal) -> Context:
        operation.enter(Operation())
        return Context(self._sources, principal)

    @property
    def calls(self) -> int:
        return len(self._market.couriers.paths) + len(self._market.shop.paths)


@pytest.fixture
def worker(market: Market) -> Worker:
    return Worker(market)


def draft(market: Market) -> None:
    row = market.shop.store.get("product", DRAFT.id) or {}
    market.shop.store.put("product", DRAFT.id, {**row, "status": "draft"})


def only_in(market: Market, channel_id: str) -> str:
    """A product that is sold in this channel alone."""
    row = market.shop.store.get("product", SOLD.id) or {}
    market.shop.store.put("product", SOLD.id, {**row, "sales_channel_ids": [channel_id]})
    return SOLD.id


def cancelable(market: Market, n: int) -> bool:
    row = market.couriers.store.get("order", short("order", n))
    return row is not None and row["status"] == "created"


READS: dict[str, Any] = {
    "products": lambda ctx: products.products(ctx, first=3, after=None, wanted=ProductWanted(ids=[SOLD.id])),
    "product by handle": lambda ctx: products.product(ctx, id=None, handle=SOLD.handle),
    "product": lambda ctx: ctx.loader(VisibleProductById).load(SOLD.id),
    "bought product": lambda ctx: ctx.loader(ProductById).load(SOLD.id),
    "product by SKU": lambda ctx: ctx.loader(ProductBySku).load(SOLD.variants[0].sku),
    "categories": lambda ctx: products.categories(ctx, first=3, after=None),
    "category": lambda ctx: ctx.loader(CategoryById).load(WORLD.categories[0].id),
    "stores": products.stores,
    "deliveries of an order": lambda ctx: ctx.loader(DeliveriesByOrderId).load(WORLD.delivered[-1].id),
    "drivers": lambda ctx: fleet.drivers(ctx, first=3, after=None),
    "driver": lambda ctx: ctx.loader(DriverById).load(WORLD.drivers[0].id),
    "vehicles": lambda ctx: fleet.vehicles(ctx, first=3, after=None),
    "fleets": lambda ctx: fleet.fleets(ctx, first=3, after=None),
    "zones": fleet.service_zones,
}


@pytest.mark.parametrize("name", READS)
async def test_what_was_read_a_moment_ago_is_not_read_again(worker: Worker, name: str) -> None:
    first = await READS[name](worker.context(STAFF))
    calls = worker.calls
    second = await READS[name](worker.context(STAFF))
    assert calls > 0
    assert worker.calls == calls
    assert operation.current().cache_hits == 1
    assert operation.current().calls == []
    assert getattr(second, "nodes", second) == getattr(first, "nodes", first)


@pytest.mark.parametrize("name", READS)
async def test_what_is_being_read_is_read_once(worker: Worker, name: str) -> None:
    await READS[name](worker.context(STAFF))
    alone = worker.calls
    for backend, kind in KINDS:
        await worker.context(STAFF).sources.rows.drop(backend, kind)

    async def one() -> Any:
        return await READS[name](worker.context(STAFF))

    await asyncio.gather(*(asyncio.create_task(one()) for _ in range(4)))
    assert worker.calls == 2 * alone


async def test_drafts_that_staff_have_read_stay_hidden_from_customers(market: Market, worker: Worker) -> None:
    draft(market)

    async def seen(principal: Principal) -> list[Any]:
        ctx = worker.context(principal)
        page = await products.products(ctx, first=100, after=None, wanted=ProductWanted(ids=[DRAFT.id]))
        one = await products.product(ctx, id=DRAFT.id, handle=None)
        by_handle = await products.product(ctx, id=None, handle=DRAFT.handle)
        by_sku = await ctx.loader(ProductBySku).load(DRAFT.variants[0].sku)
        return [len(page.nodes), *(row and row.id for row in (one, by_handle, by_sku))]

    assert await seen(STAFF) == [1, DRAFT.id, DRAFT.id, DRAFT.id]
    assert await seen(CUSTOMER) == [0, None, None, None]
    assert await seen(STAFF) == [1, DRAFT.id, DRAFT.id, DRAFT.id]


async def test_what_one_client_sells_stays_hidden_from_the_next(market: Market, worker: Worker) -> None:
    sold_here = only_in(market, WORLD.clients[0].channel_id)

    async def seen(principal: Principal) -> list[Any]:
        ctx = worker.context(principal)
        page = await products.products(ctx, first=100, after=None, wanted=ProductWanted(ids=[sold_here]))
        one = await products.product(ctx, id=sold_here, handle=None)
        by_handle = await products.product(ctx, id=None, handle=SOLD.handle)
        by_sku = await ctx.loader(ProductBySku).load(SOLD.variants[0].sku)
        return [len(page.nodes), *(row and row.id for row in (one, by_handle, by_sku))]

    for principal in (SERVICE, client(0), client(1), client(0)):
        assert await seen(principal) == (
            [0, None, None, None] if principal == client(1) else [1, sold_here, sold_here, sold_here]
        )


async def test_a_platforms_browser_key_is_shown_nothing_that_others_have_read(worker: Worker) -> None:
    browser = platform(server_side=False)
    for name in ("products", "product", "product by SKU", "categories", "stores", "drivers", "zones"):
        await READS[name](worker.context(SERVICE))
        shown = await READS[name](worker.context(browser))
        assert not getattr(shown, "nodes", shown)


async def test_whose_a_remembered_delivery_is_is_decided_every_time(worker: Worker) -> None:
    theirs, others = delivered(0)[0], delivered(1)[0]
    for each in (theirs, others):
        assert await deliveries.delivery(worker.context(SERVICE), each) is not None
    for principal, shown, hidden in ((client(0), theirs, others), (client(1), others, theirs)):
        for _ in range(2):
            assert await deliveries.delivery(worker.context(principal), shown) is not None
            assert await deliveries.delivery(worker.context(principal), hidden) is None


async def test_a_strangers_delivery_takes_as_long_as_one_that_is_not_there(market: Market, worker: Worker) -> None:
    """However often its owner looks."""
    theirs = delivered(1)[0]
    for principal in (SERVICE, client(1), user(person("STAFF", 1))):
        assert await deliveries.delivery(worker.context(principal), theirs) is not None
    market.forget_calls()
    assert await deliveries.delivery(worker.context(client(0)), theirs) is None
    foreign = worker.calls
    assert await deliveries.delivery(worker.context(client(0)), short("order", 999)) is None
    assert worker.calls == 2 * foreign > 0


async def test_colleagues_share_what_they_read(market: Market, worker: Worker) -> None:
    theirs = delivered(0)[0]
    assert await deliveries.delivery(worker.context(STAFF), theirs) is not None
    market.couriers.line.calls.clear()
    assert await deliveries.delivery(worker.context(client(0)), theirs) is not None
    assert market.couriers.paths == []


async def test_a_change_is_seen_by_the_next_who_looks(market: Market, worker: Worker) -> None:
    delivery_id = next(short("order", n) for n in range(200, 0, -1) if cancelable(market, n))
    before = await deliveries.delivery(worker.context(SERVICE), delivery_id)
    order_id = before.order_id if before else None
    assert before is not None
    assert order_id is not None
    await worker.context(SERVICE).loader(DeliveriesByOrderId).load(order_id)
    await deliveries.deliveries(worker.context(SERVICE), first=100, after=None, wanted=DeliveryWanted())
    canceled = await worker.context(SERVICE).sources.fleetbase.cancel_delivery(delivery_id)
    assert canceled.is_canceled
    after = await deliveries.delivery(worker.context(SERVICE), delivery_id)
    of_order = await worker.context(SERVICE).loader(DeliveriesByOrderId).load(order_id)
    page = await deliveries.deliveries(worker.context(SERVICE), first=100, after=None, wanted=DeliveryWanted())
    assert after is not None
    assert [row.status for row in (after, *of_order, *(row for row in page.nodes if row.id == delivery_id))] == [
        "canceled"
    ] * 3


async def test_an_order_gets_its_first_delivery_before_the_eyes_of_who_saw_none(market: Market, worker: Worker) -> None:
    order = next(order for order in WORLD.orders if order not in WORLD.delivered)
    assert await worker.context(SERVICE).loader(DeliveriesByOrderId).load(order.id) == []
    where = Address(street="Rruga 1", city="Tirana", country="AL")
    made = await deliveries.create_delivery(
        worker.context(SERVICE),
        order_id=order.id,
        pickup=where,
        dropoff=where,
        driver_id=None,
        scheduled_at=None,
        notes=None,
    )
    found = await worker.context(SERVICE).loader(DeliveriesByOrderId).load(order.id)
    assert [row.id for row in found] == [made.id]
