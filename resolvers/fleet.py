"""Who carries deliveries and where they go. Fleetbase keeps one fleet for everybody: there are no rows of a client."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from msgspec import UnsetType

from core.principals import BackendScope, Principal
from datasources.fleetbase import DriverRecord, FleetRecord, ServiceZoneRecord, VehicleRecord
from datasources.rows import DRIVERS, FLEETS, VEHICLES, ZONES, RowKind
from resolvers.context import Context, OneByKey
from resolvers.pages import Page, checked_first, no_rows, offset_after, offset_page
from resolvers.remembered import Remembered

R = TypeVar("R")


class DriverById(Remembered[DriverRecord | None], OneByKey[str, DriverRecord]):
    """A driver with their vehicle."""

    kind = DRIVERS

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
    return await _page(ctx, DRIVERS, lambda limit, offset: fleetbase.drivers(limit=limit, offset=offset), first, after)


async def vehicles(ctx: Context, *, first: int | None, after: str | None) -> Page[VehicleRecord]:
    """Newest first. Fleetbase does not say how many there are."""
    fleetbase = ctx.sources.fleetbase
    return await _page(
        ctx, VEHICLES, lambda limit, offset: fleetbase.vehicles(limit=limit, offset=offset), first, after
    )


async def fleets(ctx: Context, *, first: int | None, after: str | None) -> Page[FleetRecord]:
    """Newest first, with their drivers and vehicles. Fleetbase does not say how many there are."""
    fleetbase = ctx.sources.fleetbase
    return await _page(ctx, FLEETS, lambda limit, offset: fleetbase.fleets(limit=limit, offset=offset), first, after)


async def service_zones(ctx: Context) -> list[ServiceZoneRecord]:
    """All of them, area by area."""
    if not may_see(ctx.principal):
        return []
    return await ctx.sources.rows.answer(ZONES, (), ctx.sources.fleetbase.service_zones, scope=())


async def _page(
    ctx: Context, kind: RowKind, rows_of: Callable[[int, int], Awaitable[list[R]]], first: int | None, after: str | None
) -> Page[R]:
    limit, offset = checked_first(first), offset_after(after)
    if not may_see(ctx.principal):
        return no_rows()
    question = limit + 1, offset
    rows = await ctx.sources.rows.answer(kind, question, lambda: rows_of(*question), scope=())
    return offset_page(rows[:limit], offset, has_next=len(rows) > limit)


def may_see(principal: Principal) -> bool:
    """Everybody with the scope who has a part of any backend. A platform's browser key has none, and neither has a
    client that was registered with one, until a service says what is the client's."""
    return principal.visible_scope != BackendScope()
