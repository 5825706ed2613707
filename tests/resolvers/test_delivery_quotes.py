"""Who is told what deliveries cost, and in how many calls."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from core.address import Address
from core.errors import BackendUnavailable, BadUserInput
from core.principals import Principal
from resolvers.delivery_quotes import MAX_WAYS, delivery_quotes
from sandbox.faults import Fault
from tests.callers import SERVICE, client, person, platform, user
from tests.market import Market

pytest_plugins = ["tests.backends"]

HERE = Address(street="Rruga 1", city="Tirana", country="AL", latitude=41.33, longitude=19.80)
THERE = replace(HERE, longitude=19.84)


@pytest.mark.parametrize(
    "principal",
    [SERVICE, client(), platform(server_side=True), *(user(person(role)) for role in ("CUSTOMER", "STAFF", "ADMIN"))],
)
async def test_everybody_may_ask(market: Market, principal: Principal) -> None:
    found = await delivery_quotes(market.context(principal), HERE, THERE)
    assert [quote.service_name for quote in found] == ["City standard", "City express"]
    assert market.couriers.paths == ["GET /v1/service-quotes"]


async def test_a_platforms_browser_key_makes_fleetbase_write_nothing(market: Market) -> None:
    assert await delivery_quotes(market.context(platform(server_side=False)), HERE, THERE) == []
    assert market.couriers.paths == []


async def test_the_same_way_is_asked_for_once_in_an_operation_and_anew_in_the_next(market: Market) -> None:
    ctx = market.context(SERVICE)
    once, twice = await asyncio.gather(*(delivery_quotes(ctx, HERE, replace(THERE)) for _ in range(2)))
    assert [quote.id for quote in once] == [quote.id for quote in twice]
    assert len(market.couriers.paths) == 1
    anew = await delivery_quotes(market.context(SERVICE), HERE, THERE)
    assert {quote.id for quote in once}.isdisjoint({quote.id for quote in anew})


async def test_one_operation_cannot_use_up_what_all_share(market: Market) -> None:
    ctx = market.context(SERVICE)
    ways = [replace(THERE, latitude=41.30 + n / 100) for n in range(MAX_WAYS + 1)]
    for way in ways[:MAX_WAYS]:
        await delivery_quotes(ctx, HERE, way)
    with pytest.raises(BadUserInput, match=str(MAX_WAYS)):
        await delivery_quotes(ctx, HERE, ways[-1])
    ctx = market.context(SERVICE)
    found = await asyncio.gather(*(delivery_quotes(ctx, HERE, way) for way in ways), return_exceptions=True)
    assert all(isinstance(each, BadUserInput) for each in found)
    assert len(market.couriers.paths) == MAX_WAYS


async def test_a_way_that_fails_leaves_the_others_alone(market: Market) -> None:
    market.couriers.line.faults = [Fault("status", path="/v1/places", status=500)]
    ctx, unmeasured = market.context(SERVICE), replace(THERE, latitude=None, longitude=None)
    good, bad = await asyncio.gather(
        delivery_quotes(ctx, HERE, THERE), delivery_quotes(ctx, HERE, unmeasured), return_exceptions=True
    )
    assert isinstance(bad, BackendUnavailable)
    assert isinstance(good, list)
    assert len(good) == 2
