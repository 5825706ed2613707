"""Who sees which content, and in how many calls."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.errors import BackendUnavailable, BadUserInput
from core.principals import BackendScope, Principal
from resolvers import content as contents
from resolvers.context import Context
from sandbox.world import Client
from tests.callers import SERVICE, WORLD, client, person, platform, user
from tests.market import Content, Market

pytest_plugins = ["tests.backends"]

HERE, THERE = WORLD.clients[2:]
CUSTOMER, STAFF, CLIENT = user(person("CUSTOMER", 2)), user(person("STAFF", 2)), client(2)
SERVER, BROWSER = platform(server_side=True), platform(server_side=False)
WITHOUT_TENANT = replace(CUSTOMER, backend_scope=BackendScope(erp_companies=("x",)))
COLLECTIONS = ("pages", "posts", "services", "events")


def published(content: Content, collection: str, *owners: Client) -> set[str]:
    codes = {owner.code for owner in owners}
    rows = content.store.rows(collection)
    return {row["slug"] for row in rows if row["tenant"] in codes and row["_status"] == "published"}


async def slugs(ctx: Context, collection: str) -> list[str | None]:
    page = await contents.content(ctx, collection, first=100, after=None, where=None)
    assert await page.total() == len(page.nodes)
    return [row.slug for row in page.nodes]


@pytest.mark.parametrize("collection", COLLECTIONS)
@pytest.mark.parametrize(
    ("principal", "owners"),
    [
        (SERVICE, WORLD.clients),
        (SERVER, (HERE, THERE)),
        (BROWSER, ()),
        (CLIENT, (HERE,)),
        (STAFF, (HERE,)),
        (CUSTOMER, (HERE,)),
        (WITHOUT_TENANT, ()),
    ],
)
async def test_everybody_sees_what_their_tenants_published(
    market: Market, principal: Principal, owners: tuple[Client, ...], collection: str
) -> None:
    expected = published(market.content, collection, *owners)
    found = await slugs(market.context(principal), collection)
    assert (len(found), set(found)) == (len(expected), expected)
    if collection == "pages":
        page = await contents.pages(market.context(principal), first=100, after=None)
        assert {row.slug for row in page.nodes} == expected
        assert await page.total() == len(expected)
    if not owners:
        assert market.content.line.calls == []


@pytest.mark.parametrize("principal", [CUSTOMER, CLIENT, SERVER, WITHOUT_TENANT])
async def test_a_page_of_others_looks_like_none(market: Market, principal: Principal) -> None:
    ctx = market.context(principal)
    for slug in ("home-bbdf25", "nope", "spring-campaign", ""):
        assert await contents.page(ctx, slug) is None
    own = await contents.page(ctx, "home")
    assert (own is None) is (principal is WITHOUT_TENANT)


async def test_a_slug_of_several_tenants_is_nobodys_in_particular(market: Market) -> None:
    market.content.change("pages", "home-dkdr01", slug="home")
    own = await contents.page(market.context(CUSTOMER), "home")
    assert own is not None
    assert own.data["tenant"] == HERE.code
    for principal in (SERVER, SERVICE):
        with pytest.raises(BadUserInput, match="several companies"):
            await contents.page(market.context(principal), "home")


@pytest.mark.parametrize("principal", [SERVICE, CUSTOMER, WITHOUT_TENANT])
@pytest.mark.parametrize(
    "collection", ["orders", "verifications", "deliveries", "users", "nope", "", "../users", "pages/1"]
)
async def test_other_collections_are_not_there_for_anybody(
    market: Market, principal: Principal, collection: str
) -> None:
    market.content.store.put("orders", "1", {"id": 1, "gatewayId": "order_1", "tenant": HERE.code})
    with pytest.raises(BadUserInput) as caught:
        await contents.content(market.context(principal), collection, first=5, after=None, where=None)
    assert str(caught.value) == "`collection` is one of pages, posts, services, events"
    with pytest.raises(BadUserInput):
        await contents.search_content(market.context(principal), "order", collections=[collection], first=5)
    assert market.content.line.calls == []


async def test_a_filter_narrows_and_never_widens(market: Market) -> None:
    ctx = market.context(CUSTOMER)
    everything = {"or": [{"slug": {"not_equals": "x"}}, {"price": {"greater_than": -1}}]}
    page = await contents.content(ctx, "services", first=100, after=None, where=everything)
    assert {row.slug for row in page.nodes} == published(market.content, "services", HERE)
    page = await contents.content(ctx, "services", first=5, after=None, where={"price": {"less_than": 30}})
    assert [row.slug for row in page.nodes] == ["gift-wrapping", "airport-transfer"]
    assert await page.total() == 2


async def test_pages_of_a_list_follow_one_another(market: Market) -> None:
    ctx = market.context(SERVICE)
    everything, found, after = await slugs(ctx, "posts"), [], None
    for first in (20, 7, 7, 50):
        page = await contents.content(ctx, "posts", first=first, after=after, where=None)
        found += [row.slug for row in page.nodes]
        after = page.page_info.end_cursor
    assert found == everything
    assert not page.page_info.has_next_page


async def test_a_search_looks_everywhere_once(market: Market) -> None:
    found = await contents.search_content(market.context(CUSTOMER), " TOUR ", collections=None, first=20)
    assert [(row.collection, row.slug) for row in found] == [("services", "city-tour")]
    asked = [path for path in market.content.paths if not path.endswith("/me")]
    assert sorted(asked) == [f"GET /api/{name}" for name in sorted(COLLECTIONS)]


async def test_a_search_puts_titles_that_begin_with_it_first(market: Market) -> None:
    market.content.change("events", "book-fair", title="News fair", updatedAt="2020-01-01T00:00:00.000Z")
    market.content.change("services", "city-tour", title="The newest news", updatedAt="2030-01-01T00:00:00.000Z")
    found = await contents.search_content(market.context(CUSTOMER), "news", collections=None, first=100)
    titles = [row.title for row in found]
    assert titles[-2:] == ["News fair", "The newest news"]
    assert len(found) == 14 + 2
    short = await contents.search_content(market.context(CUSTOMER), "news", collections=["events", "events"], first=1)
    assert [row.slug for row in short] == ["book-fair"]


async def test_a_search_finds_slugs_and_all_words(market: Market) -> None:
    ctx = market.context(CUSTOMER)
    assert [row.slug for row in await contents.search_content(ctx, "t-wrap", collections=None, first=5)] == [
        "gift-wrapping"
    ]
    assert [row.slug for row in await contents.search_content(ctx, "fair book", collections=None, first=5)] == [
        "book-fair"
    ]
    assert await contents.search_content(ctx, "fair tour", collections=None, first=5) == []


@pytest.mark.parametrize("query", ["", " a ", "x" * 101])
async def test_a_search_needs_a_word(market: Market, query: str) -> None:
    with pytest.raises(BadUserInput):
        await contents.search_content(market.context(CUSTOMER), query, collections=None, first=5)


async def test_a_search_that_cannot_look_everywhere_says_so(market: Market) -> None:
    market.content.line.replace([{"kind": "status", "status": 500, "path": "/api/posts"}])
    with pytest.raises(BackendUnavailable):
        await contents.search_content(market.context(CUSTOMER), "tour", collections=None, first=5)
