"""Who sees which platform and which client."""

from __future__ import annotations

from collections.abc import Awaitable
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from bson import ObjectId

from core import operation
from core.buckets import Limit
from core.errors import BadUserInput, RateLimited
from datasources.mongo import ClientRecord, Mongo
from resolvers import clients
from resolvers.clients import ClientAppById, ClientById, ClientToRegister, ClientWanted
from resolvers.context import Context
from resolvers.keys import Issued
from sandbox.world import World
from tests.conftest import Callers, Commands, MakeContext, demo_documents, told
from tests.gatehouse import Gatehouse

WORLD = World(datetime.now(UTC))
ALL = {client.code for client in WORLD.clients}
SEEN = {
    "service": ALL,
    "platform": {"BBDF25", "SKBK01"},
    "server_side_platform": {"DKTR01", "DKDR01"},
    "client": {"DKTR01"},
    "customer": {"DKTR01"},
    "staff": {"DKTR01"},
    "manager": {"DKTR01"},
    "admin": {"DKTR01"},
}
APPS_SEEN = {
    "service": {"BookMaster", "Dakkah"},
    "platform": {"BookMaster"},
    "server_side_platform": {"Dakkah"},
    "client": {"Dakkah"},
    "customer": set[str](),
    "staff": set[str](),
    "manager": set[str](),
    "admin": set[str](),
}
EVERY_CALLER = pytest.mark.parametrize("caller", SEEN)


@pytest.fixture
def seeing(callers: Callers, make_context: MakeContext, caller: str) -> Context:
    return make_context(callers[caller])


async def listed(ctx: Context, **wanted: Any) -> set[str]:
    page = await clients.clients(ctx, first=None, after=None, wanted=ClientWanted(**wanted))
    assert await page.total() == len(page.nodes)
    return {client.code for client in page.nodes}


@EVERY_CALLER
async def test_clients_by_id(seeing: Context, caller: str) -> None:
    found = await seeing.loader(ClientById).load_many([client.id for client in WORLD.clients])
    assert {client.code for client in found if client} == SEEN[caller]
    assert await clients.client(seeing, id="x", external_id=None, code=None) is None


@EVERY_CALLER
async def test_clients_by_code_and_external_id(seeing: Context, caller: str) -> None:
    for client in WORLD.clients:
        expected = client.code if client.code in SEEN[caller] else None
        by_code = await clients.client(seeing, id=None, external_id=None, code=client.code)
        by_external_id = await clients.client(seeing, id=None, external_id=client.external_id, code=None)
        assert [by_code.code if by_code else None, by_external_id.code if by_external_id else None] == [expected] * 2


@EVERY_CALLER
async def test_clients_in_the_list(seeing: Context, caller: str) -> None:
    assert await listed(seeing) == SEEN[caller]
    assert await listed(seeing, is_active=True) == SEEN[caller]
    assert await listed(seeing, is_active=False) == set()
    assert await listed(seeing, search="dakkah tirana") == SEEN[caller] & {"DKTR01"}
    assert await listed(seeing, search=".") == SEEN[caller] & {"BBDF25"}


@EVERY_CALLER
async def test_clients_of_a_platform(seeing: Context, caller: str) -> None:
    of_apps = [await listed(seeing, app_id=app.id) for app in WORLD.apps]
    assert of_apps == [SEEN[caller] & {"BBDF25", "SKBK01"}, SEEN[caller] & {"DKTR01", "DKDR01"}]
    assert await listed(seeing, app_id="x") == set()


@EVERY_CALLER
async def test_platforms(seeing: Context, caller: str) -> None:
    found = await seeing.loader(ClientAppById).load_many([app.id for app in WORLD.apps])
    assert {app.name for app in found if app} == APPS_SEEN[caller]
    page = await clients.client_apps(seeing, first=None, after=None)
    assert {app.name for app in page.nodes} == APPS_SEEN[caller]
    assert await page.total() == len(APPS_SEEN[caller])


@EVERY_CALLER
async def test_pages_hold_the_whole_list_once(seeing: Context, caller: str) -> None:
    codes: list[str] = []
    after = None
    while True:
        page = await clients.clients(seeing, first=1, after=after, wanted=ClientWanted())
        codes += [client.code for client in page.nodes]
        after = page.page_info.end_cursor
        if not page.page_info.has_next_page:
            break
    assert sorted(codes) == sorted(SEEN[caller])


async def test_a_key_that_anybody_can_read_registers_so_many_clients_from_one_place(gatehouse: Gatehouse) -> None:
    def register(ctx: Context, code: str) -> Awaitable[Issued[ClientRecord]]:
        return clients.register_client(ctx, ClientToRegister("New", code, client_app_id=ctx.principal.client_app_id))

    sources = cast("Any", gatehouse.sources)
    sources.settings = sources.settings.model_copy(update={"registration_limit": Limit(0.001, 2)})
    in_browsers, on_servers = gatehouse.demo.keys["BookMaster"], gatehouse.demo.keys["Dakkah"]
    for number in range(2):
        await register(await gatehouse.context(api_key=in_browsers), f"N{number}")
    with pytest.raises(RateLimited) as caught:
        await register(await gatehouse.context(api_key=in_browsers), "N2")
    assert caught.value.retryable
    assert (await gatehouse.mongo.audit(last=1))[0].detail["code"] == "N1"
    elsewhere = await gatehouse.context(api_key=in_browsers)
    elsewhere.address = "192.0.2.8"
    assert (await register(elsewhere, "N2")).owner.code == "N2"
    for number in range(4):
        await register(await gatehouse.context(api_key=on_servers), f"N{number}")


@pytest.mark.parametrize(
    "named",
    [{}, {"id": "a", "code": "b"}, {"id": "a", "external_id": "b"}, {"id": "a", "external_id": "b", "code": "c"}],
)
async def test_a_client_is_named_in_exactly_one_way(
    make_context: MakeContext, callers: Callers, named: dict[str, str]
) -> None:
    every: dict[str, str | None] = {"id": None, "external_id": None, "code": None}
    with pytest.raises(BadUserInput, match="exactly one"):
        await clients.client(make_context(callers["service"]), **every | named)


async def test_a_name_that_fits_several_clients_is_refused_to_those_who_see_them(
    empty_mongo: Mongo, make_context: MakeContext, callers: Callers
) -> None:
    documents = demo_documents(callers.demo)
    twin = documents["clients"][0] | {"_id": str(ObjectId()), "clientAppId": WORLD.apps[1].id}
    await empty_mongo.insert({"clients": [*documents["clients"], twin]})
    for named in ({"code": "BBDF25", "external_id": None}, {"code": None, "external_id": WORLD.clients[0].external_id}):
        for caller, is_refused in (("service", True), ("platform", False), ("client", False)):
            ctx = make_context(callers[caller])
            ctx.sources.mongo = empty_mongo  # type: ignore[misc]
            if is_refused:
                with pytest.raises(BadUserInput, match="several platforms"):
                    await clients.client(ctx, id=None, **named)
            else:
                found = await clients.client(ctx, id=None, **named)
                assert (found.id if found else None) == (WORLD.clients[0].id if caller == "platform" else None)


async def test_many_clients_and_platforms_are_one_find_each(
    make_context: MakeContext, callers: Callers, commands: Commands
) -> None:
    ctx = make_context(callers["service"])
    commands.forget()
    await ctx.loader(ClientById).load_many([client.id for client in WORLD.clients] * 3)
    await ctx.loader(ClientAppById).load_many([client.app.id for client in WORLD.clients])
    assert commands.sent == told(operation.current().calls) == [("find", "clients"), ("find", "client_apps")]
