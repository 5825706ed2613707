"""Who sees which stock, and in how many calls."""

from __future__ import annotations

import asyncio

import pytest

from core.errors import BadUserInput
from core.principals import Principal
from resolvers.products import VisibleProductById, stock_levels_of_product
from resolvers.stock import StockLevelsBySku, stock_levels
from tests.callers import SERVICE, WORLD, client, person, platform, user
from tests.market import Market

pytest_plugins = ["tests.backends"]

STAFF = user(person("STAFF"))
NOBODY = platform(server_side=False)
SKUS = sorted(variant.sku for product in WORLD.products for variant in product.variants)


async def seen(market: Market, principal: Principal, warehouse: str | None = None) -> set[str]:
    """The warehouses where this caller sees the first item."""
    ctx = market.context(principal)
    page = await stock_levels(ctx, skus=SKUS[:1], warehouse=warehouse, first=None, after=None)
    assert await page.total() == len(page.nodes)
    assert {row.sku for row in page.nodes} <= set(SKUS[:1])
    return {row.warehouse for row in page.nodes}


async def test_everybody_sees_the_stock_in_their_warehouses(market: Market) -> None:
    warehouses = [one.warehouse for one in WORLD.clients]
    assert await seen(market, SERVICE) == set(warehouses)
    assert await seen(market, STAFF) == {warehouses[0]}
    assert await seen(market, client(1)) == {warehouses[1]}
    assert await seen(market, platform(server_side=True)) == set(warehouses[2:])


async def test_a_warehouse_narrows_what_is_theirs_and_opens_nothing(market: Market) -> None:
    own, other = (one.warehouse for one in WORLD.clients[:2])
    assert await seen(market, SERVICE, other) == {other}
    assert await seen(market, STAFF, own) == {own}
    assert await seen(market, STAFF, other) == set()
    assert market.books.calls == 0


async def test_nothing_to_see_is_not_even_asked_for(market: Market) -> None:
    assert await seen(market, NOBODY) == set()
    page = await stock_levels(market.context(SERVICE), skus=[], warehouse=None, first=None, after=None)
    assert page.nodes == []
    assert await market.context(NOBODY).loader(StockLevelsBySku).load(SKUS[0]) == []
    assert market.books.calls == 0


async def test_pages_of_fifty_follow_one_another_by_sku(market: Market) -> None:
    ctx = market.context(STAFF)
    page = await stock_levels(ctx, skus=None, warehouse=None, first=None, after=None)
    rest = await stock_levels(ctx, skus=None, warehouse=None, first=100, after=page.page_info.end_cursor)
    assert [len(page.nodes), page.page_info.has_next_page, rest.page_info.has_next_page] == [50, True, False]
    assert [row.sku for row in (*page.nodes, *rest.nodes)] == SKUS
    assert await page.total() == len(SKUS)
    assert market.books.calls == 3


async def test_there_is_a_bound_to_the_skus_of_one_list(market: Market) -> None:
    with pytest.raises(BadUserInput, match="500"):
        await stock_levels(market.context(SERVICE), skus=["A"] * 501, warehouse=None, first=None, after=None)


async def test_stock_of_many_products_is_one_call(market: Market) -> None:
    ctx = market.context(STAFF)
    products = await ctx.loader(VisibleProductById).load_many([product.id for product in WORLD.products])
    levels = await asyncio.gather(*(stock_levels_of_product(ctx, product) for product in products if product))
    assert [[level.sku for level in of_product] for of_product in levels] == [
        [variant.sku for variant in product.variants] for product in WORLD.products
    ]
    assert {level.warehouse for of_product in levels for level in of_product} == {WORLD.clients[0].warehouse}
    assert market.books.calls == 1


async def test_an_item_that_never_moved_has_no_stock(market: Market) -> None:
    assert await market.context(SERVICE).loader(StockLevelsBySku).load("NOPE") == []
