"""What Fleetbase answers, under the names of the schema.

Only what the gateway uses is decoded: the images of codes, drivers' tokens and licences stay behind.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType, field
from msgspec.structs import force_setattr

from core.money import exponent, from_minor
from core.person import REFERENCE

FINISHED = frozenset({"completed", "canceled", "cancelled"})
"""Statuses after which nothing happens any more. Companies add words of their own, none of which is among these."""
QUOTE_LIFE = timedelta(minutes=10)
"""How long a quote is taken to hold: Fleetbase does not say."""


class PointRecord(msgspec.Struct, frozen=True):
    """In degrees."""

    latitude: float
    longitude: float


class _GeoJson(msgspec.Struct, frozen=True):
    """Longitude first. A place that nobody has measured lies at 0, 0."""

    coordinates: list[float] | None = None

    @property
    def point(self) -> PointRecord | None:
        if not self.coordinates or len(self.coordinates) < 2:
            return None
        longitude, latitude = self.coordinates[:2]
        return PointRecord(latitude, longitude) if latitude or longitude else None


class _Located(msgspec.Struct, frozen=True, kw_only=True):
    geojson: _GeoJson | None = field(default=None, name="location")

    @property
    def location(self) -> PointRecord | None:
        return self.geojson.point if self.geojson else None


class PlaceRecord(_Located, frozen=True, kw_only=True):
    """`country` is ISO 3166-1 alpha-2."""

    name: str | None = None
    street1: str | None = None
    address: str | None = None
    city: str | None = None
    postal_code: str | None = None
    country: str | None = None

    @property
    def street(self) -> str | None:
        """The whole address in one line where the street alone is not told."""
        return self.street1 or self.address


class VehicleRecord(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str | None = None
    plate_number: str | None = None
    make: str | None = None
    model: str | None = None
    status: str | None = None


class DriverRecord(_Located, frozen=True, kw_only=True):
    """`vehicle` is unset where it was not asked for: a driver inside a delivery or a fleet comes without."""

    id: str
    name: str | None = None
    phone: str | None = None
    status: str | None = None
    online: bool | None = None
    vehicle: VehicleRecord | UnsetType | None = UNSET

    def __post_init__(self) -> None:
        if not self.name:  # it is that of a user account, which may be gone
            force_setattr(self, "name", self.id)


class DeliveryEventRecord(_Located, frozen=True, kw_only=True):
    """A tracking status. `code` is upper-case."""

    code: str
    status: str
    created_at: datetime
    details: str | None = None


class _TrackingNumber(msgspec.Struct, frozen=True):
    tracking_number: str | None = None


class _Payload(msgspec.Struct, frozen=True):
    pickup: PlaceRecord | None = None
    dropoff: PlaceRecord | None = None


class DeliveryRecord(msgspec.Struct, frozen=True, kw_only=True):
    """An order, in Fleetbase's words. `internal_id` is our reference: the commerce order's id, if there is one.

    `status` is any word: companies add their own. `eta_seconds` and `distance_meters` were computed with the route.
    """

    id: str
    status: str
    created_at: datetime
    updated_at: datetime
    internal_id: str | None = None
    driver: DriverRecord | None = field(default=None, name="driver_assigned")
    vehicle: VehicleRecord | None = field(default=None, name="vehicle_assigned")
    eta_seconds: int | None = field(default=None, name="time")
    distance_meters: int | None = field(default=None, name="distance")
    scheduled_at: datetime | None = None
    dispatched: bool | None = None
    started: bool | None = None
    tracking: _TrackingNumber | None = field(default=None, name="tracking_number")
    payload: _Payload | None = None
    tracking_statuses: list[DeliveryEventRecord] | None = None

    @property
    def order_id(self) -> str | None:
        """The commerce order; None for a delivery that belongs to none."""
        return self.internal_id if self.internal_id and self.internal_id.startswith("order_") else None

    @property
    def is_canceled(self) -> bool:
        return self.status in ("canceled", "cancelled")

    @property
    def is_finished(self) -> bool:
        return self.status in FINISHED

    @property
    def tracking_number(self) -> str | None:
        return self.tracking.tracking_number if self.tracking else None

    @property
    def pickup(self) -> PlaceRecord | None:
        return self.payload.pickup if self.payload else None

    @property
    def dropoff(self) -> PlaceRecord | None:
        return self.payload.dropoff if self.payload else None

    @property
    def events(self) -> list[DeliveryEventRecord]:
        """Newest first."""
        return sorted(self.tracking_statuses or (), key=lambda event: event.created_at)[::-1]

    @property
    def location(self) -> PointRecord | None:
        """With its driver while it is under way, else where it was last reported."""
        if self.started and not self.is_finished and self.driver and self.driver.location:
            return self.driver.location
        return next((event.location for event in self.events if event.location), None)


class NewPlace(_Located, frozen=True, kw_only=True):
    """A place that was looked up by its address. It has no location where nothing was found."""

    id: str


class QuoteRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What a delivery would cost. On the wire money is in minor units."""

    id: str
    currency: str
    created_at: datetime
    minor: int = field(name="amount")
    service_name: str | None = None
    expired_at: datetime | None = None

    def __post_init__(self) -> None:
        force_setattr(self, "currency", self.currency.upper())
        exponent(self.currency)

    @property
    def amount(self) -> Decimal:
        return from_minor(self.minor, self.currency)

    @property
    def expires_at(self) -> datetime:
        return self.expired_at or self.created_at + QUOTE_LIFE


class _Eta(msgspec.Struct, frozen=True):
    completion_seconds: float | None = None


class TrackingRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What a route engine says of a delivery under way. Older servers tell the same flat, in `completion_eta`, where
    -1 is unknown."""

    eta: _Eta | None = None
    completion_eta: float | None = None

    @property
    def eta_seconds(self) -> int | None:
        """Until all is delivered, from now; None while nobody drives."""
        seconds = self.eta.completion_seconds if self.eta else self.completion_eta
        return round(seconds) if seconds is not None and seconds >= 0 else None


class FleetRecord(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    name: str
    status: str | None = None
    drivers: list[DriverRecord] | None = None
    vehicles: list[VehicleRecord] | None = None


class ServiceZoneRecord(msgspec.Struct, frozen=True, kw_only=True):
    """`border` is a GeoJSON polygon."""

    id: str
    name: str
    border: Any = None


class ServiceArea(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    zones: list[ServiceZoneRecord] | None = None


class ContactRecord(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody whom deliveries go to. No two have the same name and address. PHP writes empty `meta` as a list."""

    id: str
    name: str | None = None
    email: str | None = None
    meta: dict[str, Any] | list[Any] | None = None

    @property
    def made_for(self) -> str | None:
        """Our user for whom the gateway made it."""
        user_id = self.meta.get(REFERENCE) if isinstance(self.meta, dict) else None
        return user_id if isinstance(user_id, str) else None


class Anything(msgspec.Struct, frozen=True):
    """An answer of which only its being there matters."""


class Said(msgspec.Struct, frozen=True):
    """An error: business rules and validation under `error`, the framework under `errors` alone."""

    error: str | None = None
    errors: list[str] | None = None
