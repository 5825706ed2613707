"""Whose orders are, how they are listed, placed and canceled."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace as replace_struct

from core.address import Address
from core.errors import BackendRejected, BadUserInput, GatewayError, NotFound
from core.principals import Principal
from datasources.medusa import NewItem, OrderRecord, OrderStatus
from resolvers.carts import CartWanted, create_cart
from resolvers.orders import (
    NewOrder,
    OrderById,
    OrderWanted,
    cancel_order,
    create_order,
    order,
    orders,
    orders_of_client,
    orders_of_user,
)
from resolvers.pages import Page
from sandbox.world import Order, ulid
from tests.callers import SERVICE, WORLD, client, person, platform, user
from tests.market import Market

pytest_plugins = ["tests.backends"]

ANN, STAFFER = person("CUSTOMER"), person("STAFF")
CUSTOMER, STAFF = user(ANN), user(STAFFER)
NEIGHBOUR = person("CUSTOMER", n=1)
NOBODY = platform(server_side=False)
TIRANA = Address(name="Ann Lee", street="Rruga 1", city="Tirana", postal_code="1001", country="AL")
ITEMS = (NewItem(ulid("variant", 11), 2),)


def of_world(**having: Any) -> list[str]:
    """Ids of the demo world's orders of a client or customer, newest first."""
    return [
        each.id for each in reversed(WORLD.orders) if all(getattr(each, key) is value for key, value in having.items())
    ]


def newest(**having: Any) -> Order:
    return next(each for each in reversed(WORLD.orders) if all(getattr(each, key) is having[key] for key in having))


def ids(page: Page[OrderRecord]) -> list[str]:
    return [row.id for row in page.nodes]


async def listed(market: Market, principal: Principal, wanted: OrderWanted | None = None) -> list[str]:
    page = await orders(market.context(principal), first=100, after=None, wanted=wanted or OrderWanted())
    assert await page.total() == len(page.nodes)
    return ids(page)


async def test_everybody_sees_their_own_orders(market: Market) -> None:
    theirs = of_world(client=WORLD.clients[0])
    for principal in (STAFF, client(0)):
        assert await listed(market, principal) == theirs
    assert await listed(market, CUSTOMER) == of_world(customer=ANN) != []
    assert set(await listed(market, platform(server_side=True))) == {
        *of_world(client=WORLD.clients[2]),
        *of_world(client=WORLD.clients[3]),
    }
    market.shop.line.calls.clear()
    assert await listed(market, NOBODY) == []
    assert market.shop.paths == []


async def test_a_service_pages_through_all_orders_one_call_a_page(market: Market) -> None:
    ctx, found, after = market.context(SERVICE), [], None
    for _ in range(4):
        page = await orders(ctx, first=50, after=after, wanted=OrderWanted())
        assert await page.total() == 200
        found += ids(page)
        after = page.page_info.end_cursor
    assert found == [each.id for each in reversed(WORLD.orders)]
    assert not page.page_info.has_next_page
    assert market.shop.paths == ["GET /admin/orders"] * 4


async def test_filters_narrow_what_one_sees_and_never_widen_it(market: Market) -> None:
    own, foreign = newest(customer=ANN).id, newest(client=WORLD.clients[1]).id
    assert await listed(market, CUSTOMER, OrderWanted(ids=(own, foreign))) == [own]
    assert await listed(market, CUSTOMER, OrderWanted(ids=())) == []
    assert await listed(market, CUSTOMER, OrderWanted(user_id=ANN.id)) == of_world(customer=ANN)
    assert await listed(market, CUSTOMER, OrderWanted(user_id=NEIGHBOUR.id)) == []
    assert await listed(market, STAFF, OrderWanted(user_id=NEIGHBOUR.id)) == of_world(customer=NEIGHBOUR)
    elsewhere = person("CUSTOMER", client=1)
    assert await listed(market, STAFF, OrderWanted(user_id=elsewhere.id)) == []
    assert await listed(market, SERVICE, OrderWanted(user_id=elsewhere.id)) == of_world(customer=elsewhere)
    assert await listed(market, SERVICE, OrderWanted(user_id=STAFFER.id)) == []
    market.shop.store.put("order", own, {**(market.shop.store.get("order", own) or {}), "status": "requires_action"})
    assert await listed(market, STAFF, OrderWanted(status=OrderStatus.REQUIRES_ACTION)) == [own]
    with pytest.raises(BadUserInput, match="300"):
        await listed(market, STAFF, OrderWanted(ids=("x",) * 301))


async def test_orders_are_found_by_when_they_were_placed(market: Market) -> None:
    page = await orders(market.context(STAFF), first=3, after=None, wanted=OrderWanted())
    first, second, third = page.nodes
    assert await listed(market, STAFF, OrderWanted(created_after=second.created_at)) == [first.id, second.id]
    between = OrderWanted(created_after=third.created_at, created_before=first.created_at - timedelta(hours=1))
    assert await listed(market, STAFF, between) == [second.id, third.id]


@pytest.mark.parametrize(
    ("principal", "visible"),
    [
        (SERVICE, True),
        (CUSTOMER, True),
        (STAFF, True),
        (client(0), True),
        (user(NEIGHBOUR), False),
        (client(1), False),
        (user(person("ADMIN", client=1)), False),
        (platform(server_side=True), False),
        (NOBODY, False),
    ],
)
async def test_an_order_that_is_not_yours_looks_like_none(market: Market, principal: Principal, visible: bool) -> None:
    order_id = newest(customer=ANN).id
    found = await order(market.context(principal), order_id)
    assert (found is not None) is visible
    assert await order(market.context(principal), "order_x") is None


async def test_a_customer_loses_an_order_that_left_their_clients_channel(market: Market) -> None:
    order_id = newest(customer=ANN).id
    row = market.shop.store.get("order", order_id) or {}
    market.shop.store.put("order", order_id, {**row, "sales_channel_id": WORLD.clients[1].channel_id})
    assert await order(market.context(CUSTOMER), order_id) is None


async def test_many_orders_by_id_are_one_call(market: Market) -> None:
    keys = [*of_world(client=WORLD.clients[0]), newest(client=WORLD.clients[1]).id, "order_x"]
    found = await asyncio.gather(*map(market.context(STAFF).loader(OrderById).load, keys))
    assert [row and row.id for row in found] == [*keys[:-2], None, None]
    assert market.shop.paths == ["GET /admin/orders"]


async def test_the_orders_of_a_client_are_cut_to_what_the_caller_sees(market: Market) -> None:
    async def theirs(principal: Principal, n: int, wanted: OrderWanted | None = None) -> list[str]:
        record = market.mongo.clients_by_id[WORLD.clients[n].id]
        return ids(await orders_of_client(market.context(principal), record, first=100, after=None, wanted=wanted))

    assert await theirs(SERVICE, 1) == of_world(client=WORLD.clients[1])
    assert await theirs(STAFF, 0) == of_world(client=WORLD.clients[0])
    assert await theirs(CUSTOMER, 0) == of_world(customer=ANN)
    assert await theirs(STAFF, 1) == []
    assert await theirs(SERVICE, 0, OrderWanted(user_id=ANN.id)) == of_world(customer=ANN)
    assert await theirs(SERVICE, 1, OrderWanted(user_id=ANN.id)) == []


async def test_the_orders_of_several_users_are_one_call_when_a_page_holds_them_all(market: Market) -> None:
    ctx = market.context(STAFF)
    people = [person("CUSTOMER", n=n) for n in range(10)]
    records = [market.mongo.users_by_id[each.id] for each in people]
    pages = await asyncio.gather(*(orders_of_user(ctx, each, first=2, after=None, wanted=None) for each in records))
    for someone, page in zip(people, pages, strict=True):
        theirs = of_world(customer=someone)
        assert ids(page) == theirs[:2]
        assert (page.page_info.has_next_page, await page.total()) == (len(theirs) > 2, len(theirs))
    assert market.shop.paths == ["GET /admin/orders"]


async def test_users_whom_the_shared_page_leaves_short_are_asked_for_one_by_one(market: Market) -> None:
    ctx = market.context(SERVICE)
    people = WORLD.customers
    records = [market.mongo.users_by_id[each.id] for each in people]
    pages = await asyncio.gather(*(orders_of_user(ctx, each, first=2, after=None, wanted=None) for each in records))
    assert [ids(page) for page in pages] == [of_world(customer=each)[:2] for each in people]
    assert all(page.page_info.has_next_page for page in pages)
    on_page = WORLD.orders[-100:]
    short = [each for each in people if sum(o.customer is each for o in on_page) <= 2]
    assert 0 < len(short) < len(people)
    assert len(market.shop.paths) == 1 + len(short)
    market.shop.line.calls.clear()
    assert [await page.total() for page in pages] == [len(of_world(customer=each)) for each in people]
    assert len(market.shop.paths) == len(people) - len(short)


@pytest.mark.parametrize("principal", [SERVICE, platform(server_side=True)], ids=["service", "platform"])
async def test_an_order_in_another_clients_channel_is_not_a_users_by_its_email(
    market: Market, principal: Principal
) -> None:
    """Medusa gives both the same guest; whose the order is, the channel says."""
    someone = person("CUSTOMER", client=2)
    as_guest = NewOrder(items=ITEMS, email=someone.email, shipping_address=TIRANA)
    elsewhere = await create_order(market.context(client(3)), as_guest)
    record = market.mongo.users_by_id[someone.id]
    record = replace_struct(record, medusa_customer_ids=(*record.medusa_customer_ids, elsewhere.customer_id or ""))
    market.mongo.users_by_id[someone.id] = record
    page = await orders_of_user(market.context(principal), record, first=100, after=None, wanted=None)
    assert ids(page) == of_world(customer=someone)
    assert await listed(market, principal, OrderWanted(user_id=someone.id)) == of_world(customer=someone)


async def test_the_orders_of_one_client_are_one_call_however_often_it_is_met(market: Market) -> None:
    ctx, record = market.context(STAFF), market.mongo.clients_by_id[WORLD.clients[0].id]
    pages = await asyncio.gather(*(orders_of_client(ctx, record, first=5, after=None, wanted=None) for _ in range(80)))
    assert [ids(page) for page in pages] == [of_world(client=WORLD.clients[0])[:5]] * 80
    assert await asyncio.gather(*(page.total() for page in pages)) == [50] * 80
    assert market.shop.paths == ["GET /admin/orders"]


async def test_the_orders_of_several_clients_share_a_page(market: Market) -> None:
    ctx = market.context(SERVICE)
    records = [market.mongo.clients_by_id[each.id] for each in WORLD.clients]
    pages = await asyncio.gather(*(orders_of_client(ctx, each, first=5, after=None, wanted=None) for each in records))
    assert [ids(page) for page in pages] == [of_world(client=each)[:5] for each in WORLD.clients]
    assert market.shop.paths == ["GET /admin/orders"]
    totals = await asyncio.gather(*(page.total() for page in [*pages, *pages]))
    assert totals == [len(of_world(client=each)) for each in WORLD.clients] * 2
    assert len(market.shop.paths) == 1 + len(WORLD.clients)


async def test_a_users_further_pages_and_filters_work_for_one_user_too(market: Market) -> None:
    ctx, record = market.context(CUSTOMER), market.mongo.users_by_id[ANN.id]
    first = await orders_of_user(ctx, record, first=2, after=None, wanted=OrderWanted(user_id=ANN.id))
    second = await orders_of_user(ctx, record, first=2, after=first.page_info.end_cursor, wanted=None)
    assert ids(first) + ids(second) == of_world(customer=ANN)[:4]
    assert ids(await orders_of_user(ctx, record, first=2, after=None, wanted=OrderWanted(user_id="x"))) == []
    neighbour = market.mongo.users_by_id[NEIGHBOUR.id]
    assert ids(await orders_of_user(ctx, neighbour, first=2, after=None, wanted=None)) == []


# -- placing and cancelling ----------------------------------------------------------------------------------------


async def test_a_customer_orders_items_and_sees_the_order(market: Market) -> None:
    placed = await create_order(market.context(CUSTOMER), NewOrder(items=ITEMS, shipping_address=TIRANA))
    assert (placed.email, placed.payment_status) == (ANN.email, "authorized")
    assert placed.sales_channel_id == ANN.client.channel_id
    assert [(item.variant_id, item.quantity) for item in placed.items] == [(ulid("variant", 11), 2)]
    assert market.shop.new_orders == [placed.id]
    known = market.mongo.users_by_id[ANN.id].medusa_customer_ids
    assert placed.customer_id in known
    again = replace(CUSTOMER, medusa_customer_ids=known)
    assert await order(market.context(again), placed.id) == placed


async def test_a_cart_is_ordered_once_however_often_it_is_asked(market: Market) -> None:
    ctx = market.context(CUSTOMER)
    made = await create_cart(ctx, CartWanted(items=ITEMS, address=TIRANA))
    placed = await create_order(ctx, NewOrder(cart_id=made.id))
    assert await create_order(ctx, NewOrder(cart_id=made.id, shipping_address=TIRANA)) == placed
    assert await create_order(market.context(STAFF), NewOrder(cart_id=made.id)) == placed
    assert market.shop.new_orders == [placed.id]


async def test_a_guests_order_takes_the_guests_address(market: Market) -> None:
    ctx = market.context(client(0))
    made = await create_cart(ctx, CartWanted(items=ITEMS))
    placed = await create_order(ctx, NewOrder(cart_id=made.id, email="guest@buyers.example", shipping_address=TIRANA))
    assert (placed.email, placed.sales_channel_id) == ("guest@buyers.example", WORLD.clients[0].channel_id)
    for_ann = await create_order(ctx, NewOrder(items=ITEMS, user_id=ANN.id, shipping_address=TIRANA))
    assert for_ann.email == ANN.email
    assert for_ann.customer_id in market.mongo.users_by_id[ANN.id].medusa_customer_ids


@pytest.mark.parametrize(
    ("principal", "new", "expected", "says"),
    [
        (CUSTOMER, NewOrder(shipping_address=TIRANA), BadUserInput, "exactly one"),
        (CUSTOMER, NewOrder(cart_id="c", items=ITEMS), BadUserInput, "exactly one"),
        (CUSTOMER, NewOrder(items=(), shipping_address=TIRANA), BadUserInput, "exactly one"),
        (CUSTOMER, NewOrder(items=ITEMS), BadUserInput, "shippingAddress"),
        (CUSTOMER, NewOrder(items=ITEMS, email="o@b.example", shipping_address=TIRANA), BadUserInput, "email"),
        (client(0), NewOrder(items=ITEMS, shipping_address=TIRANA), BadUserInput, "email"),
        (CUSTOMER, NewOrder(cart_id="cart_x", shipping_address=TIRANA), NotFound, "cart"),
        (CUSTOMER, NewOrder(items=ITEMS, user_id=NEIGHBOUR.id, shipping_address=TIRANA), NotFound, "user"),
        (CUSTOMER, NewOrder(items=(NewItem("v", 1),), shipping_address=TIRANA), NotFound, "variant"),
    ],
)
async def test_an_order_that_contradicts_itself_is_not_placed(
    market: Market, principal: Principal, new: NewOrder, expected: type[GatewayError], says: str
) -> None:
    with pytest.raises(expected, match=says):
        await create_order(market.context(principal), new)
    assert not [path for path in market.shop.paths if path.startswith("POST")]


async def test_a_cart_is_ordered_for_whom_it_is_and_where_it_can_go(market: Market) -> None:
    ctx = market.context(STAFF)
    made = await create_cart(ctx, CartWanted(items=ITEMS, user_id=ANN.id))
    with pytest.raises(BadUserInput, match="userId"):
        await create_order(ctx, NewOrder(cart_id=made.id, user_id=NEIGHBOUR.id, shipping_address=TIRANA))
    with pytest.raises(BadUserInput, match="shippingAddress"):
        await create_order(ctx, NewOrder(cart_id=made.id))
    guests = await create_cart(market.context(client(0)), CartWanted(items=ITEMS, address=TIRANA))
    with pytest.raises(BadUserInput, match="email"):
        await create_order(market.context(client(0)), NewOrder(cart_id=guests.id))
    with pytest.raises(NotFound, match="cart"):
        await create_order(market.context(CUSTOMER), NewOrder(cart_id=guests.id))
    assert market.shop.new_orders == []
    placed = await create_order(ctx, NewOrder(cart_id=made.id, shipping_address=TIRANA))
    assert placed.email == ANN.email


async def test_an_order_is_canceled_by_its_owner_and_twice_is_fine(market: Market) -> None:
    ctx = market.context(CUSTOMER)
    order_id = newest(customer=ANN).id
    with pytest.raises(NotFound):
        await cancel_order(market.context(user(NEIGHBOUR)), order_id)
    assert not [path for path in market.shop.paths if path.startswith("POST")]
    canceled = await cancel_order(market.context(CUSTOMER), order_id)
    assert canceled.status is OrderStatus.CANCELED
    assert await cancel_order(ctx, order_id) == canceled
    row = market.shop.store.get("order", of_world(customer=ANN)[1]) or {}
    fulfilment = {"id": "ful_1", "canceled_at": None, "delivered_at": None}
    market.shop.store.put("order", row["id"], {**row, "fulfillments": [fulfilment]})
    with pytest.raises(BackendRejected, match="fulfillments"):
        await cancel_order(ctx, row["id"])


async def test_an_order_reads_as_canceled_after_it_was(market: Market) -> None:
    ctx, order_id = market.context(CUSTOMER), newest(customer=ANN).id
    await cancel_order(ctx, order_id)
    read = await order(ctx, order_id)
    assert read is not None
    assert read.status is OrderStatus.CANCELED
