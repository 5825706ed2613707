"""Whose carts are, for whom they are made, and what may be put into them."""

from __future__ import annotations

from decimal import Decimal

import pytest
from msgspec.structs import replace

from core.backends import BackendName
from core.errors import BackendRejected, BadUserInput, Conflict, Forbidden, GatewayError, NotFound
from core.principals import Principal
from datasources.medusa import NewItem
from resolvers.carts import CartWanted, add_cart_item, cart, create_cart
from sandbox.world import REGION_ALL, REGION_EUR, ulid
from tests.callers import SERVICE, WORLD, client, person, platform, user
from tests.market import Market

pytest_plugins = ["tests.backends"]

ANN, STAFFER = person("CUSTOMER"), person("STAFF")
CUSTOMER, STAFF = user(ANN), user(STAFFER)
VARIANT = ulid("variant", 11)
ONE = (NewItem(VARIANT, 1),)


async def test_a_customers_cart_carries_their_own_address_and_is_theirs(market: Market) -> None:
    made = await create_cart(market.context(CUSTOMER), CartWanted(items=(NewItem(VARIANT, 2),)))
    assert (made.email, made.currency, made.region_id) == (ANN.email, "EUR", REGION_EUR)
    assert made.sales_channel_id == ANN.client.channel_id
    assert made.total == 2 * Decimal("8.77")
    owner = market.mongo.ownership[BackendName.MEDUSA, made.id]
    assert (owner.client_id, owner.user_id) == (ANN.client.id, ANN.id)
    read = await cart(market.context(CUSTOMER), made.id)
    assert read == made


async def test_the_customer_that_a_cart_made_is_kept_beside_the_user(market: Market) -> None:
    made = await create_cart(market.context(STAFF), CartWanted())
    assert made.email == STAFFER.email
    assert made.customer_id is not None
    assert market.mongo.users_by_id[STAFFER.id].medusa_customer_ids == (made.customer_id,)
    await create_cart(market.context(STAFF), CartWanted())
    assert market.mongo.users_by_id[STAFFER.id].medusa_customer_ids == (made.customer_id,)


async def test_a_cart_is_seen_by_its_user_their_client_and_services_alone(market: Market) -> None:
    made = await create_cart(market.context(CUSTOMER), CartWanted())
    for principal in (CUSTOMER, STAFF, client(0), SERVICE):
        assert await cart(market.context(principal), made.id) is not None
    market.shop.line.calls.clear()
    neighbour, elsewhere = user(person("CUSTOMER", n=1)), user(person("STAFF", client=1))
    for principal in (neighbour, elsewhere, client(1), platform(server_side=True), platform(server_side=False)):
        assert await cart(market.context(principal), made.id) is None
    assert market.shop.paths == []


async def test_a_platform_sees_its_clients_carts_if_its_key_never_leaves_a_server(market: Market) -> None:
    somebody = person("CUSTOMER", client=2)
    made = await create_cart(market.context(platform(server_side=True)), CartWanted(user_id=somebody.id))
    assert (made.email, made.sales_channel_id) == (somebody.email, somebody.client.channel_id)
    assert await cart(market.context(platform(server_side=True)), made.id) is not None
    assert await cart(market.context(user(somebody)), made.id) is not None


async def test_a_cart_that_nobody_recorded_is_a_services_alone(market: Market) -> None:
    made = await create_cart(market.context(CUSTOMER), CartWanted())
    market.mongo.ownership.clear()
    assert await cart(market.context(CUSTOMER), made.id) is None
    assert await cart(market.context(SERVICE), made.id) is not None
    assert await cart(market.context(SERVICE), "cart_x") is None


async def test_a_cart_of_another_channel_is_not_shown_though_it_was_recorded(market: Market) -> None:
    made = await create_cart(market.context(CUSTOMER), CartWanted())
    row = market.shop.store.get("cart", made.id) or {}
    market.shop.store.put("cart", made.id, {**row, "sales_channel_id": WORLD.clients[1].channel_id})
    assert await cart(market.context(CUSTOMER), made.id) is None


async def test_somebody_else_is_acted_for_within_ones_reach(market: Market) -> None:
    for principal in (STAFF, client(0), SERVICE):
        made = await create_cart(market.context(principal), CartWanted(user_id=ANN.id))
        assert (made.email, made.sales_channel_id) == (ANN.email, ANN.client.channel_id)
        assert market.mongo.ownership[BackendName.MEDUSA, made.id].user_id == ANN.id


@pytest.mark.parametrize(
    ("principal", "wanted", "expected"),
    [
        (CUSTOMER, CartWanted(user_id=person("CUSTOMER", n=1).id), NotFound),
        (STAFF, CartWanted(user_id=person("CUSTOMER", client=1).id), NotFound),
        (client(1), CartWanted(user_id=ANN.id), NotFound),
        (platform(server_side=False), CartWanted(user_id=person("CUSTOMER", client=2).id), NotFound),
        (platform(server_side=True), CartWanted(), BadUserInput),
        (SERVICE, CartWanted(user_id="x"), NotFound),
        (CUSTOMER, CartWanted(email="other@buyers.example"), BadUserInput),
        (STAFF, CartWanted(user_id=ANN.id, email=STAFFER.email), BadUserInput),
        (client(0), CartWanted(email="no address"), BadUserInput),
        (CUSTOMER, CartWanted(currency="CHF"), BadUserInput),
        (CUSTOMER, CartWanted(items=(NewItem(VARIANT, 0),)), BadUserInput),
        (CUSTOMER, CartWanted(items=(NewItem(VARIANT, 1_000_001),)), BadUserInput),
        (CUSTOMER, CartWanted(items=(NewItem("variant_x", 1),)), NotFound),
    ],
)
async def test_what_is_not_the_callers_to_do_makes_no_cart(
    market: Market, principal: Principal, wanted: CartWanted, expected: type[GatewayError]
) -> None:
    with pytest.raises(expected):
        await create_cart(market.context(principal), wanted)
    assert "POST /store/carts" not in market.shop.paths
    assert market.mongo.ownership == {}


async def test_a_guests_cart_is_the_clients_with_any_address(market: Market) -> None:
    made = await create_cart(market.context(client(0)), CartWanted(email="guest@buyers.example", currency="ALL"))
    assert (made.email, made.currency, made.region_id) == ("guest@buyers.example", "ALL", REGION_ALL)
    assert market.mongo.ownership[BackendName.MEDUSA, made.id].user_id is None
    assert await cart(market.context(STAFF), made.id) is not None
    assert await cart(market.context(CUSTOMER), made.id) is None


async def test_a_service_sells_in_the_shops_default_channel(market: Market) -> None:
    made = await create_cart(market.context(SERVICE), CartWanted(items=ONE, region_id=REGION_ALL))
    assert (made.sales_channel_id, made.region_id, made.email) == (ulid("sc", 1), REGION_ALL, None)


async def test_a_client_without_channel_sells_nothing(market: Market) -> None:
    record = market.mongo.clients_by_id[WORLD.clients[0].id]
    market.mongo.clients_by_id[record.id] = type(record)(
        id=record.id,
        name=record.name,
        code=record.code,
        client_app_id=record.client_app_id,
        created_at=record.created_at,
        updated_at=record.updated_at,
    )
    with pytest.raises(Forbidden, match="sales channel"):
        await create_cart(market.context(client(0)), CartWanted())


async def test_variants_of_other_channels_and_drafts_are_not_for_sale(market: Market) -> None:
    row = market.shop.store.get("product", ulid("prod", 1)) or {}
    made = await create_cart(market.context(CUSTOMER), CartWanted())
    for change in ({"sales_channel_ids": [WORLD.clients[1].channel_id]}, {"status": "draft"}):
        market.shop.store.put("product", row["id"], {**row, **change})
        for principal in (CUSTOMER, SERVICE):
            with pytest.raises(NotFound, match=VARIANT):
                await create_cart(market.context(principal), CartWanted(items=ONE, user_id=ANN.id))
            with pytest.raises(NotFound, match=VARIANT):
                await add_cart_item(market.context(principal), made.id, VARIANT, 1)


async def test_variants_of_many_lines_are_checked_in_two_calls(market: Market) -> None:
    items = tuple(NewItem(ulid("variant", n * 10 + 1), 1) for n in range(1, 30))
    await create_cart(market.context(CUSTOMER), CartWanted(items=items))
    assert market.shop.paths == ["GET /admin/product-variants", "GET /admin/products", "POST /store/carts"]


async def test_items_are_added_to_ones_own_open_cart(market: Market) -> None:
    ctx = market.context(CUSTOMER)
    made = await create_cart(ctx, CartWanted(items=ONE))
    changed = await add_cart_item(ctx, made.id, VARIANT, 2)
    assert [(item.variant_id, item.quantity) for item in changed.items] == [(VARIANT, 3)]
    for principal in (user(person("CUSTOMER", n=1)), client(1)):
        with pytest.raises(NotFound, match="cart"):
            await add_cart_item(market.context(principal), made.id, VARIANT, 1)
    with pytest.raises(BadUserInput, match="quantity"):
        await add_cart_item(ctx, made.id, VARIANT, -1)
    with pytest.raises(BackendRejected, match="inventory"):
        await add_cart_item(ctx, made.id, VARIANT, 999_999)
    market.shop.store.put(
        "cart", made.id, {**(market.shop.store.get("cart", made.id) or {}), "completed_at": "2026-06-01T10:00:00Z"}
    )
    with pytest.raises(Conflict, match="order"):
        await add_cart_item(ctx, made.id, VARIANT, 1)


async def test_an_inactive_client_sells_nothing(market: Market) -> None:
    of = market.mongo.clients_by_id[ANN.client.id]
    market.mongo.clients_by_id[of.id] = replace(of, is_active=False)
    with pytest.raises(BadUserInput, match="not active"):
        await create_cart(market.context(SERVICE), CartWanted(user_id=ANN.id))
    assert market.shop.paths == []
