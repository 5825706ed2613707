"""Who carries deliveries and where they go. Fleetbase keeps one fleet for everybody: there are no rows of a client."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from msgspec import UnsetType

from core.principals import Principal, PrincipalKind
from datasources.fleetbase import DriverRecord, FleetRecord, ServiceZoneRecord, VehicleRecord
from resolvers.context import Context, OneByKey
from resolvers.pages import Page, checked_first, no_rows, offset_after, offset_page

R = TypeVar("R")


class DriverById(OneByKey[str, DriverRecord]):
    """A driver with their vehicle."""

    async def fetch(self, keys: list[str]) -> list[DriverRecord]:
        return await self.sources.fleetbase.drivers_by_ids(keys)

    def key(self, row: DriverRecord) -> str:
        return row.id


async def vehicle_of(ctx: Context, driver: DriverRecord) -> VehicleRecord | None:
    """What they drive. Drivers inside other rows come without, and are read again, together."""
    if isinstance(driver.vehicle, UnsetType):
        driver = await ctx.loader(DriverById).load(driver.id) or driver
    return None if isinstance(driver.vehicle, UnsetType) else driver.vehicle


async def drivers(ctx: Context, *, first: int | None, after: str | None) -> Page[DriverRecord]:
    """Newest first. Fleetbase does not say how many there are."""
    fleetbase = ctx.sources.fleetbase
    return await _page(ctx, lambda limit, offset: fleetbase.drivers(limit=limit, offset=offset), first, after)


async def vehicles(ctx: Context, *, first: int | None, after: str | None) -> Page[VehicleRecord]:
    """Newest first. Fleetbase does not say how many there are."""
    fleetbase = ctx.sources.fleetbase
    return await _page(ctx, lambda limit, offset: fleetbase.vehicles(limit=limit, offset=offset), first, after)


async def fleets(ctx: Context, *, first: int | None, after: str | None) -> Page[FleetRecord]:
    """Newest first, with their drivers and vehicles. Fleetbase does not say how many there are."""
    fleetbase = ctx.sources.fleetbase
    return await _page(ctx, lambda limit, offset: fleetbase.fleets(limit=limit, offset=offset), first, after)


async def service_zones(ctx: Context) -> list[ServiceZoneRecord]:
    """All of them, area by area."""
    return await ctx.sources.fleetbase.service_zones() if _may_see(ctx.principal) else []


async def _page(
    ctx: Context, rows_of: Callable[[int, int], Awaitable[list[R]]], first: int | None, after: str | None
) -> Page[R]:
    limit, offset = checked_first(first), offset_after(after)
    if not _may_see(ctx.principal):
        return no_rows()
    rows = await rows_of(limit + 1, offset)
    return offset_page(rows[:limit], offset, has_next=len(rows) > limit)


def _may_see(principal: Principal) -> bool:
    """Everybody with the scope but platforms whose key may lie in a browser."""
    return principal.kind is not PrincipalKind.PLATFORM or principal.is_server_side
