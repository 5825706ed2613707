"""Drivers, vehicles, fleets and the zones that are served."""

from __future__ import annotations

import strawberry
from strawberry.scalars import JSON

from datasources.fleetbase import DriverRecord
from resolvers import fleet
from schema.directives import cached, requires
from schema.info import Info
from schema.inputs import given
from schema.pages import Connection
from schema.scalars import GeoPoint


@strawberry.type(description="What a driver drives.")
class Vehicle:
    id: strawberry.ID
    name: str | None
    plate_number: str | None
    make: str | None
    model: str | None
    status: str | None = strawberry.field(description="Such as `active`.")


@strawberry.type(description="Somebody who carries deliveries.")
class Driver:
    id: strawberry.ID
    name: str
    phone: str | None
    status: str | None = strawberry.field(description="Such as `active`.")
    online: bool | None = strawberry.field(description="Whether they take deliveries now.")
    location: GeoPoint | None = strawberry.field(description="Where they were last seen.")

    @strawberry.field(description="What they drive.")
    async def vehicle(parent: strawberry.Parent[DriverRecord], info: Info) -> Vehicle | None:
        return await fleet.vehicle_of(info.context, parent)


@strawberry.type(description="A group of drivers and vehicles.")
class Fleet:
    id: strawberry.ID
    name: str
    status: str | None = strawberry.field(description="Such as `active`.")
    drivers: list[Driver] | None
    vehicles: list[Vehicle] | None


@strawberry.type(description="An area in which deliveries are made.")
class ServiceZone:
    id: strawberry.ID
    name: str
    border: JSON | None = strawberry.field(description="A GeoJSON polygon.")


@strawberry.type
class FleetQuery:
    @strawberry.field(description="Drivers, newest first.", directives=[requires("logistics:staff")])
    async def drivers(
        self, info: Info, first: int | None = 20, after: str | None = strawberry.UNSET
    ) -> Connection[Driver] | None:
        return await fleet.drivers(info.context, first=first, after=given(after))

    @strawberry.field(description="Vehicles, newest first.", directives=[requires("logistics:staff")])
    async def vehicles(
        self, info: Info, first: int | None = 20, after: str | None = strawberry.UNSET
    ) -> Connection[Vehicle] | None:
        return await fleet.vehicles(info.context, first=first, after=given(after))

    @strawberry.field(description="Fleets, newest first.", directives=[requires("logistics:staff")])
    async def fleets(
        self, info: Info, first: int | None = 20, after: str | None = strawberry.UNSET
    ) -> Connection[Fleet] | None:
        return await fleet.fleets(info.context, first=first, after=given(after))

    @strawberry.field(description="Where deliveries are made.", directives=[requires("logistics:read"), cached(300)])
    async def service_zones(self, info: Info) -> list[ServiceZone] | None:
        return await fleet.service_zones(info.context)
