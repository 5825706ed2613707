"""Who sees which products, and in how many calls."""

from __future__ import annotations

import asyncio

import pytest

from core.errors import BadUserInput
from core.principals import Principal
from resolvers.products import (
    CategoryById,
    InventoryByVariantId,
    ProductById,
    ProductBySku,
    ProductWanted,
    categories,
    product,
    products,
    stores,
)
from sandbox.world import ulid
from tests.callers import SERVICE, WORLD, client, person, platform, user
from tests.market import Market

pytest_plugins = ["tests.backends"]

CUSTOMER, STAFF = user(person("CUSTOMER")), user(person("STAFF"))
EVERYTHING = ProductWanted()
PROD = ulid("prod", 1)


def change(market: Market, n: int, **changes: object) -> str:
    """Change the demo world's n-th product. Gives its id."""
    product_id = ulid("prod", n)
    market.shop.store.put("product", product_id, {**(market.shop.store.get("product", product_id) or {}), **changes})
    return product_id


async def seen(market: Market, principal: Principal, wanted: ProductWanted = EVERYTHING) -> set[str]:
    page = await products(market.context(principal), first=100, after=None, wanted=wanted)
    return {row.id for row in page.nodes}


async def test_everybody_sees_what_their_channels_sell_and_services_see_all(market: Market) -> None:
    foreign = change(market, 1, sales_channel_ids=[WORLD.clients[1].channel_id])
    nowhere = change(market, 2, sales_channel_ids=[])
    everything = {product.id for product in WORLD.products}
    assert await seen(market, SERVICE) == everything
    for principal in (CUSTOMER, STAFF, client(0), platform(server_side=True)):
        assert await seen(market, principal) == everything - {foreign, nowhere}
    assert await seen(market, client(1)) == everything - {nowhere}
    assert await seen(market, platform(server_side=False)) == set()


async def test_customers_and_platforms_see_published_products_alone(market: Market) -> None:
    draft = change(market, 1, status="draft")
    for principal in (CUSTOMER, platform(server_side=True)):
        assert draft not in await seen(market, principal)
        assert await seen(market, principal, ProductWanted(status="draft")) == set()
        assert len(await seen(market, principal, ProductWanted(status="published"))) == 59
    for principal in (STAFF, client(0), SERVICE):
        assert await seen(market, principal, ProductWanted(status="draft")) == {draft}


async def test_filters_narrow_the_list(market: Market) -> None:
    assert await seen(market, STAFF, ProductWanted(ids=[PROD, "prod_x"])) == {PROD}
    assert await seen(market, STAFF, ProductWanted(ids=[])) == set()
    assert await seen(market, STAFF, ProductWanted(search="Atlas")) == {
        p.id for p in WORLD.products if "Atlas" in p.title
    }
    of_category = {p.id for p in WORLD.products if p.category.id == ulid("pcat", 5)}
    assert await seen(market, STAFF, ProductWanted(category_id=ulid("pcat", 5))) == of_category


async def test_pages_follow_one_another_newest_first(market: Market) -> None:
    ctx, ids, after = market.context(STAFF), [], None
    for _ in range(3):
        page = await products(ctx, first=25, after=after, wanted=EVERYTHING)
        ids += [row.id for row in page.nodes]
        assert await page.total() == 60
        after = page.page_info.end_cursor
    assert ids == [product.id for product in reversed(WORLD.products)]
    assert not page.page_info.has_next_page
    assert page.page_info.has_previous_page
    assert len(market.shop.paths) == 3


@pytest.mark.parametrize(
    ("wanted", "says"), [(ProductWanted(status="new"), "status"), (ProductWanted(ids=["p"] * 301), "ids")]
)
async def test_what_cannot_be_asked_is_the_callers_mistake(market: Market, wanted: ProductWanted, says: str) -> None:
    with pytest.raises(BadUserInput, match=says):
        await seen(market, STAFF, wanted)
    assert market.shop.paths == []


async def test_one_product_is_found_by_id_or_by_handle(market: Market) -> None:
    hidden = change(market, 2, sales_channel_ids=[])
    ctx = market.context(CUSTOMER)
    by_id, by_handle = await product(ctx, id=PROD, handle=None), await product(ctx, id=None, handle="guide-01")
    assert by_id == by_handle
    assert by_id is not None
    assert by_id.handle == "guide-01"
    assert await product(ctx, id=hidden, handle=None) is None
    assert await product(ctx, id=None, handle="novel-02") is None
    assert await product(market.context(SERVICE), id=None, handle="novel-02") is not None
    for none_or_both in (None, "x"):
        with pytest.raises(BadUserInput, match="exactly one"):
            await product(ctx, id=none_or_both, handle=none_or_both)


async def test_products_of_many_lines_are_one_call(market: Market) -> None:
    loader = market.context(CUSTOMER).loader(ProductById)
    keys = [ulid("prod", n) for n in (1, 2, 3, 2, 99)]
    found = await asyncio.gather(*map(loader.load, keys))
    assert [row and row.id for row in found] == [*keys[:4], None]
    assert market.shop.paths == ["GET /admin/products"]


async def test_what_somebody_bought_they_see_though_it_is_sold_no_more(market: Market) -> None:
    hidden = change(market, 2, sales_channel_ids=[], status="draft")
    found = await market.context(CUSTOMER).loader(ProductById).load(hidden)
    assert found is not None


async def test_products_by_sku_are_two_calls_and_stay_within_the_channels(market: Market) -> None:
    foreign = change(market, 6, sales_channel_ids=[WORLD.clients[1].channel_id])
    skus = ["SKU-003-1", "SKU-006-2", "SKU-003-2", "SKU-999-9"]
    found = await asyncio.gather(*map(market.context(CUSTOMER).loader(ProductBySku).load, skus))
    assert [row and row.id for row in found] == [ulid("prod", 3), None, ulid("prod", 3), None]
    assert market.shop.paths == ["GET /admin/product-variants", "GET /admin/products"]
    theirs = await market.context(client(1)).loader(ProductBySku).load("SKU-006-2")
    assert theirs is not None
    assert theirs.id == foreign


async def test_parents_of_categories_are_one_call(market: Market) -> None:
    ctx = market.context(CUSTOMER)
    page = await categories(ctx, first=None, after=None)
    assert [row.id for row in page.nodes] == [category.id for category in WORLD.categories]
    parents = {row.parent_category_id for row in page.nodes if row.parent_category_id}
    found = await asyncio.gather(*map(ctx.loader(CategoryById).load, parents))
    assert {row.name for row in found if row} == {"Books", "Stationery"}
    assert market.shop.paths == ["GET /store/product-categories"] * 2


async def test_stock_of_many_variants_is_one_call(market: Market) -> None:
    loader = market.context(CUSTOMER).loader(InventoryByVariantId)
    quantities = await asyncio.gather(*map(loader.load, [ulid("variant", 11), ulid("variant", 21), "variant_x"]))
    assert quantities == [100_000, 100_000, None]
    assert market.shop.paths == ["GET /admin/product-variants"]


async def test_the_shop_is_shown_to_those_who_sell_in_it(market: Market) -> None:
    [store] = await stores(market.context(CUSTOMER))
    assert (store.name, store.default_currency) == ("OmniStack Demo", "EUR")
    nobody = market.context(platform(server_side=False))
    assert await stores(nobody) == []
    assert (await categories(nobody, first=None, after=None)).nodes == []
