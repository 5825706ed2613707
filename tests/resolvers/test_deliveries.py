"""Whose a delivery is, how deliveries are listed, and in how many calls."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from core.address import Address
from core.backends import BackendName
from core.errors import BackendUnavailable, BadUserInput, Conflict, NotFound
from core.principals import Principal
from datasources.fleetbase import DeliveryRecord
from resolvers.deliveries import (
    DeliveriesByOrderId,
    DeliveryById,
    DeliveryByOrderId,
    DeliveryWanted,
    cancel_delivery,
    create_delivery,
    deliveries,
    deliveries_of_user,
    delivery,
)
from resolvers.orders import OrderById
from resolvers.pages import Page
from sandbox.world import Order, short
from tests.callers import SERVICE, WORLD, client, person, platform, user
from tests.market import Market, delivered

pytest_plugins = ["tests.backends"]

CUSTOMER, STAFF = user(person("CUSTOMER")), user(person("STAFF"))
EVERYTHING = DeliveryWanted()
HERE = Address(name="Depot", street="Rruga 1", city="Tirana", country="AL", latitude=41.33, longitude=19.82)
THERE = Address(street="Rruga 2", city="Tirana", country="AL", latitude=41.32, longitude=19.81)


def of_customer(someone: Any = None) -> list[str]:
    """The ids of a customer's deliveries, newest first."""
    theirs = someone or person("CUSTOMER")
    return [short("order", order.n) for order in reversed(WORLD.delivered) if order.customer is theirs]


def without_delivery(n: int = 0, client_n: int = 0) -> Order:
    """A client's order that has no delivery."""
    waiting = [o for o in WORLD.orders if o not in WORLD.delivered and o.client is WORLD.clients[client_n]]
    return waiting[-1 - n]


async def create(market: Market, principal: Principal, order_id: str | None = None) -> DeliveryRecord:
    return await create_delivery(
        market.context(principal),
        order_id=order_id,
        pickup=HERE,
        dropoff=THERE,
        driver_id=None,
        scheduled_at=None,
        notes=None,
    )


async def all_pages(market: Market, principal: Principal, first: int, wanted: DeliveryWanted = EVERYTHING) -> list[str]:
    ids: list[str] = []
    after = None
    for _ in range(200):
        page = await deliveries(market.context(principal), first=first, after=after, wanted=wanted)
        assert len(page.nodes) <= first
        assert await page.total() is None
        ids += [row.id for row in page.nodes]
        if not page.page_info.has_next_page:
            return ids
        assert page.page_info.end_cursor != after
        after = page.page_info.end_cursor
    raise AssertionError("the pages go on for ever")


# -- joins -----------------------------------------------------------------------------------------------------------


async def test_deliveries_of_fifty_orders_are_one_call_however_they_are_asked_for(market: Market) -> None:
    ctx, ids = market.context(SERVICE), [order.id for order in WORLD.delivered[-50:]]
    one, many = await asyncio.gather(
        ctx.loader(DeliveryByOrderId).load_many(ids), ctx.loader(DeliveriesByOrderId).load_many(ids)
    )
    assert market.couriers.paths == ["GET /v1/orders"]
    assert [row.order_id for row in one if row and row.driver and not row.is_canceled] == ids
    assert [[row.id for row in rows] for rows in many] == [[row.id] for row in one if row]


async def test_the_delivery_of_an_order_is_the_newest_that_is_not_canceled(market: Market) -> None:
    order = without_delivery()
    first = await create(market, STAFF, order.id)
    assert (await cancel_delivery(market.context(STAFF), first.id)).status == "canceled"
    assert await market.context(STAFF).loader(DeliveryByOrderId).load(order.id) is None
    second = await create(market, STAFF, order.id)
    ctx = market.context(STAFF)
    newest, all_of_them = await asyncio.gather(
        ctx.loader(DeliveryByOrderId).load(order.id), ctx.loader(DeliveriesByOrderId).load(order.id)
    )
    assert newest is not None
    assert newest.id == second.id
    assert [row.id for row in all_of_them] == [second.id, first.id]


async def test_one_delivery_is_read_fresh_and_several_in_one_call(market: Market) -> None:
    ids = delivered()[:3]
    assert await market.context(SERVICE).loader(DeliveryById).load(ids[0]) is not None
    assert market.couriers.paths == [f"GET /v1/orders/{ids[0]}"]
    market.forget_calls()
    found = await market.context(SERVICE).loader(DeliveryById).load_many([*ids[1:], "order_x"])
    assert [row and row.id for row in found] == [*ids[1:], None]
    assert market.couriers.paths == ["GET /v1/orders"]


# -- whose it is -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("principal", [SERVICE, client(0), STAFF, CUSTOMER], ids=["service", "client", "staff", "own"])
async def test_a_delivery_is_seen_by_whoever_sees_its_order(market: Market, principal: Principal) -> None:
    wanted = of_customer()[0]
    found = await delivery(market.context(principal), wanted)
    assert found is not None
    assert found.id == wanted


@pytest.mark.parametrize(
    "principal",
    [client(1), user(person("STAFF", 1)), user(person("CUSTOMER", 0, 1)), platform(server_side=True),
     platform(server_side=False), replace(CUSTOMER, medusa_customer_ids=()), replace(STAFF, backend_scope=None)],
    ids=["other client", "its staff", "other customer", "other platform", "browser", "no account", "no scope"],
)  # fmt: skip
async def test_what_is_not_theirs_is_not_there(market: Market, principal: Principal) -> None:
    wanted = of_customer()[0]
    ctx = market.context(principal)
    assert await delivery(ctx, wanted) is None
    with pytest.raises(NotFound):
        await cancel_delivery(ctx, wanted)
    assert "DELETE" not in str(market.couriers.paths)


async def test_a_delivery_is_not_found_by_the_id_of_its_order(market: Market) -> None:
    assert await delivery(market.context(SERVICE), WORLD.delivered[-1].id) is None


async def test_an_ownership_record_gives_nobody_the_delivery_of_an_order(market: Market) -> None:
    wanted = of_customer()[0]
    other = client(1)
    await market.mongo.record_ownership(BackendName.FLEETBASE, wanted, other.client_id, None)
    assert await delivery(market.context(other), wanted) is None
    assert wanted not in await all_pages(market, other, 100)


# -- lists -----------------------------------------------------------------------------------------------------------


async def test_services_list_everything_a_page_a_call(market: Market) -> None:
    ids = await all_pages(market, SERVICE, 50)
    assert len(set(ids)) == len(ids) == 123
    assert [each for each in ids if each in set(delivered())] == delivered()
    assert market.couriers.paths == ["GET /v1/orders"] * 3
    assert market.shop.paths == []


@pytest.mark.parametrize("first", [1, 7, 100])
@pytest.mark.parametrize(
    ("principal", "ids"),
    [
        (client(0), delivered(0)),
        (STAFF, delivered(0)),
        (CUSTOMER, of_customer()),
        (platform(server_side=True), [each for each in delivered() if each in delivered(2) or each in delivered(3)]),
        (platform(server_side=False), []),
        (replace(CUSTOMER, medusa_customer_ids=()), []),
        (replace(STAFF, backend_scope=None), []),
    ],
    ids=["client", "staff", "customer", "platform", "browser", "no account", "no scope"],
)
async def test_all_others_list_what_is_theirs_newest_first(
    market: Market, principal: Principal, ids: list[str], first: int
) -> None:
    assert await all_pages(market, principal, first) == ids


async def test_a_page_of_a_client_costs_one_call_of_each_backend(market: Market) -> None:
    page = await deliveries(market.context(client(0)), first=19, after=None, wanted=EVERYTHING)
    assert (len(page.nodes), page.page_info.has_next_page) == (19, True)
    assert market.shop.paths == ["GET /admin/orders"]
    assert market.couriers.paths == ["GET /v1/orders"]
    assert market.mongo.calls == ["owned"]


async def test_recorded_deliveries_stand_between_those_of_orders(market: Market) -> None:
    mine = [(await create(market, client(0))).id for _ in range(3)]
    theirs = await create(market, client(1))
    await create(market, SERVICE)
    for first in (1, 2, 50):
        assert await all_pages(market, client(0), first) == [*reversed(mine), *delivered(0)]
    assert (await all_pages(market, client(1), 100))[0] == theirs.id
    assert await delivery(market.context(client(0)), mine[0]) is not None
    assert await delivery(market.context(client(0)), theirs.id) is None
    assert await delivery(market.context(CUSTOMER), mine[0]) is None


async def test_what_was_recorded_long_ago_comes_after_newer_orders(market: Market) -> None:
    """However many there are of either: one stretch of a walk ends where the next one goes on."""
    old = [(await create(market, client(0))).id for _ in range(25)]
    for age, row_id in enumerate(old):
        key = BackendName.FLEETBASE, row_id
        recorded_at = WORLD.anchor - timedelta(days=1000 + age)
        market.mongo.ownership[key] = msgspec.structs.replace(market.mongo.ownership[key], created_at=recorded_at)
    for first in (7, 100):
        assert await all_pages(market, client(0), first) == [*delivered(0), *old]


async def test_a_customer_sees_recorded_deliveries_of_their_own_alone(market: Market) -> None:
    mine, staffs, moved = [(await create(market, STAFF)).id for _ in range(3)]
    for row_id, client_id, user_id in (
        (mine, CUSTOMER.client_id, CUSTOMER.user_id),
        (moved, WORLD.clients[1].id, CUSTOMER.user_id),
    ):
        market.mongo.ownership.pop((BackendName.FLEETBASE, row_id))
        await market.mongo.record_ownership(BackendName.FLEETBASE, row_id, client_id, user_id)
    assert await all_pages(market, CUSTOMER, 10) == [mine, *of_customer()]
    found = await market.context(CUSTOMER).loader(DeliveryById).load_many([mine, staffs, moved])
    assert [row and row.id for row in found] == [mine, None, None]


async def test_several_deliveries_of_an_order_are_cut_where_the_page_ends(market: Market) -> None:
    order = without_delivery()
    made = []
    for _ in range(3):
        made.append(await create(market, STAFF, order.id))
        await cancel_delivery(market.context(STAFF), made[-1].id)
    for first in (1, 2, 100):
        ids = await all_pages(market, STAFF, first)
        assert ids[len(delivered(0)) :] == [row.id for row in reversed(made)]


@pytest.mark.parametrize("status", ["completed", "dispatched,created", "active", "on the moon"])
async def test_a_status_means_the_same_to_everybody(market: Market, status: str) -> None:
    wanted = DeliveryWanted(status=status)
    ours = set(delivered(0))
    assert [each for each in await all_pages(market, SERVICE, 100, wanted) if each in ours] == await all_pages(
        market, client(0), 4, wanted
    )


async def test_a_driver_narrows_the_list(market: Market) -> None:
    driver = WORLD.drivers[4]
    wanted = DeliveryWanted(driver_id=driver.id)
    orders = [order for order in WORLD.delivered if WORLD.drivers[order.n % len(WORLD.drivers)] is driver]
    everybodys = [short("order", order.n) for order in reversed(orders)]
    assert await all_pages(market, SERVICE, 100, wanted) == everybodys
    assert everybodys
    of_client = [each for each in everybodys if each in delivered(0)]
    assert await all_pages(market, client(0), 3, wanted) == of_client
    assert of_client


async def test_a_search_that_finds_nothing_stops_and_can_be_continued(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("resolvers._delivery_walks.STRETCHES", 1)
    oldest = delivered(0)[-1]
    market.couriers.change(int(oldest.removeprefix("order_demo")), status="lost")
    page = await deliveries(market.context(client(0)), first=5, after=None, wanted=DeliveryWanted(status="lost"))
    assert (page.nodes, page.page_info.has_next_page) == ([], True)
    assert page.page_info.end_cursor is not None
    assert len(market.couriers.paths) == 1
    assert await all_pages(market, client(0), 5, DeliveryWanted(status="lost")) == [oldest]


@pytest.mark.parametrize("after", ["x", "WzFd", "WyJhIiwxLDJd", "Wy0xLG51bGwsMF0", "WzEsIm5vdyIsMF0"])
@pytest.mark.parametrize("first", [0, 5])
async def test_what_cannot_be_asked_is_the_callers_mistake(market: Market, after: str, first: int) -> None:
    with pytest.raises(BadUserInput):
        await deliveries(market.context(client(0)), first=first, after=after, wanted=EVERYTHING)
    assert market.couriers.paths == market.shop.paths == []


# -- of certain orders -----------------------------------------------------------------------------------------------


async def test_deliveries_of_certain_orders_are_one_call_beside_that_for_the_orders(market: Market) -> None:
    ours, foreign = delivered(0)[:4], delivered(1)[:2]
    orders = [f"order_01DEMO{int(each.removeprefix('order_demo')):020d}" for each in [*foreign, *reversed(ours)]]
    wanted = DeliveryWanted(order_ids=(*orders, orders[-1], "order_x"))

    async def page(principal: Principal, after: str | None = None) -> Page[DeliveryRecord]:
        return await deliveries(market.context(principal), first=3, after=after, wanted=wanted)

    first = await page(client(0))
    assert market.shop.paths == ["GET /admin/orders"]
    assert market.couriers.paths == ["GET /v1/orders"]
    assert [row.id for row in first.nodes] == ours[:3]
    assert await first.total() == 4
    rest = await page(client(0), first.page_info.end_cursor)
    assert [row.id for row in rest.nodes] == ours[3:]
    assert not rest.page_info.has_next_page
    assert await (await page(SERVICE)).total() == 6
    assert (await page(CUSTOMER)).nodes == [row for row in first.nodes + rest.nodes if row.id in of_customer()]


async def test_no_orders_have_no_deliveries_and_too_many_are_refused(market: Market) -> None:
    for principal in (SERVICE, STAFF):
        ctx = market.context(principal)
        assert (await deliveries(ctx, first=5, after=None, wanted=DeliveryWanted(order_ids=()))).nodes == []
        many = DeliveryWanted(order_ids=tuple(f"order_{n}" for n in range(101)))
        with pytest.raises(BadUserInput, match="orderIds"):
            await deliveries(ctx, first=5, after=None, wanted=many)
    assert market.couriers.paths == market.shop.paths == []


# -- of users --------------------------------------------------------------------------------------------------------


async def test_deliveries_of_several_users_are_fetched_together(market: Market) -> None:
    people = [person("CUSTOMER", 0, n) for n in range(6)]
    ctx = market.context(STAFF)
    pages = await asyncio.gather(
        *(deliveries_of_user(ctx, market.mongo.users_by_id[each.id], first=2, after=None) for each in people)
    )
    assert [[row.id for row in page.nodes] for page in pages] == [of_customer(each)[:2] for each in people]
    assert market.couriers.paths == ["GET /v1/orders"]
    assert market.shop.paths == ["GET /admin/orders"]


async def test_nobody_sees_the_deliveries_of_a_user_who_is_not_theirs_to_see(market: Market) -> None:
    someone = market.mongo.users_by_id[person("CUSTOMER").id]
    for principal in (client(1), user(person("CUSTOMER", 0, 1)), platform(server_side=False)):
        page = await deliveries_of_user(market.context(principal), someone, first=5, after=None)
        assert page.nodes == []
    assert market.couriers.paths == market.shop.paths == []
    page = await deliveries_of_user(market.context(SERVICE), someone, first=100, after=None)
    assert [row.id for row in page.nodes] == of_customer()


# -- changes ---------------------------------------------------------------------------------------------------------


async def test_an_order_gets_no_second_delivery(market: Market) -> None:
    order = without_delivery()
    first = await create(market, STAFF, order.id)
    assert first.order_id == order.id
    assert (await create(market, client(0), order.id)).id == first.id
    assert len(market.couriers.new_deliveries) == 1
    assert market.mongo.ownership == {}


async def test_only_an_order_of_theirs_can_be_delivered(market: Market) -> None:
    for principal in (client(1), platform(server_side=False)):
        with pytest.raises(NotFound):
            await create(market, principal, without_delivery().id)
    assert market.couriers.paths == []


async def test_what_this_operation_knew_is_read_again_after_a_change(market: Market) -> None:
    ctx, order = market.context(STAFF), without_delivery()
    assert await ctx.loader(DeliveryByOrderId).load(order.id) is None
    made = await create(market, STAFF, order.id)
    known = await ctx.loader(DeliveryByOrderId).load(order.id)
    assert known is not None
    assert known.id == made.id
    await cancel_delivery(ctx, made.id)
    again = await delivery(ctx, made.id)
    assert again is not None
    assert again.status == "canceled"
    assert await ctx.loader(DeliveryByOrderId).load(order.id) is None


async def test_a_delivery_without_order_is_recorded_as_its_makers(market: Market) -> None:
    made = await create(market, STAFF)
    assert made.order_id is None
    record = market.mongo.ownership[BackendName.FLEETBASE, made.id]
    assert (record.client_id, record.user_id) == (STAFF.client_id, STAFF.user_id)
    assert (await cancel_delivery(market.context(client(0)), made.id)).status == "canceled"


async def test_a_delivery_that_cannot_be_recorded_is_taken_back(
    market: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def down(*args: object) -> None:
        raise BackendUnavailable(BackendName.OMNISTACK, "omnistack cannot be reached")

    monkeypatch.setattr(market.mongo, "record_ownership", down)
    with pytest.raises(BackendUnavailable):
        await create(market, STAFF)
    assert [row["status"] for row in market.couriers.new_deliveries] == ["canceled"]


async def test_a_platform_needs_an_order(market: Market) -> None:
    for principal in (platform(server_side=True), platform(server_side=False)):
        with pytest.raises(BadUserInput, match="orderId"):
            await create(market, principal)
    assert market.couriers.paths == []
    order = without_delivery(client_n=2)
    assert (await create(market, platform(server_side=True), order.id)).order_id == order.id


async def test_what_has_been_delivered_stays_delivered(market: Market) -> None:
    with pytest.raises(Conflict):
        await cancel_delivery(market.context(client(0)), delivered(0)[-1])
    assert "DELETE" not in str(market.couriers.paths)


async def test_the_order_behind_a_delivery_is_the_callers_or_none(market: Market) -> None:
    ctx = market.context(client(0))
    rows = (await deliveries(market.context(SERVICE), first=50, after=None, wanted=EVERYTHING)).nodes
    found = await ctx.loader(OrderById).load_many([row.order_id for row in rows if row.order_id])
    assert {order.id for order in found if order} == {row.order_id for row in rows if row.id in delivered(0)}
    assert len(market.shop.paths) == 1
