"""Who sees drivers, vehicles, fleets and zones, and in how many calls."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from core.errors import BadUserInput
from core.principals import BackendScope
from resolvers.fleet import drivers, fleets, service_zones, vehicle_of, vehicles
from tests.callers import SERVICE, WORLD, client, person, platform, user
from tests.market import Market

pytest_plugins = ["tests.backends"]

STAFF = user(person("STAFF"))


@pytest.mark.parametrize(("listed", "size"), [(drivers, 12), (vehicles, 12), (fleets, 3)])
async def test_pages_follow_one_another_to_the_end(market: Market, listed: Any, size: int) -> None:
    ctx, ids, after, pages = market.context(STAFF), [], None, 0
    while True:
        page = await listed(ctx, first=2, after=after)
        ids += [row.id for row in page.nodes]
        assert await page.total() is None
        pages += 1
        if not page.page_info.has_next_page:
            break
        after = page.page_info.end_cursor
    assert len(set(ids)) == len(ids) == size
    assert len(market.couriers.paths) == pages


async def test_a_full_page_of_all_there_is_has_no_next_one(market: Market) -> None:
    page = await drivers(market.context(STAFF), first=12, after=None)
    assert (len(page.nodes), page.page_info.has_next_page) == (12, False)


async def test_vehicles_of_drivers_cost_one_call_at_most(market: Market) -> None:
    ctx = market.context(STAFF)
    listed = (await drivers(ctx, first=100, after=None)).nodes
    assert all([await vehicle_of(ctx, driver) for driver in listed])
    assert len(market.couriers.paths) == 1
    inside = [driver for fleet in (await fleets(ctx, first=3, after=None)).nodes for driver in fleet.drivers or ()]
    found = await asyncio.gather(*(vehicle_of(ctx, driver) for driver in inside))
    assert {vehicle.id for vehicle in found if vehicle} == {driver.vehicle_id for driver in WORLD.drivers}
    assert market.couriers.paths == ["GET /v1/drivers", "GET /v1/fleets", "GET /v1/drivers"]


async def test_zones_are_one_call(market: Market) -> None:
    assert len(await service_zones(market.context(client()))) == 4
    assert market.couriers.paths == ["GET /v1/service-areas"]


async def test_a_platforms_browser_key_sees_nothing_of_the_fleet(market: Market) -> None:
    ctx = market.context(platform(server_side=False))
    for listed in (drivers, vehicles, fleets):
        assert (await listed(ctx, first=5, after=None)).nodes == []
    assert await service_zones(ctx) == []
    assert market.couriers.paths == []
    assert (await drivers(market.context(platform(server_side=True)), first=5, after=None)).nodes


@pytest.mark.parametrize(("first", "after"), [(0, None), (101, None), (5, "no cursor")])
async def test_what_cannot_be_asked_is_the_callers_mistake(market: Market, first: int, after: str | None) -> None:
    with pytest.raises(BadUserInput):
        await drivers(market.context(SERVICE), first=first, after=after)
    assert market.couriers.paths == []


async def test_who_has_no_part_of_any_backend_sees_nothing_of_the_fleet(market: Market) -> None:
    """A key that anybody can read registers such clients."""
    ctx = market.context(replace(client(), backend_scope=BackendScope()))
    for listed in (drivers, vehicles, fleets):
        assert (await listed(ctx, first=5, after=None)).nodes == []
    assert await service_zones(ctx) == []
    assert market.couriers.paths == []
