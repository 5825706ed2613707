"""Deliveries, drivers and their vehicles: Fleetbase's API v1.

Fleetbase calls a delivery an order; its `internal_id` is our reference, as a rule the commerce order's id, and nothing
keeps two rows from having the same. The filters `public_id_in` and `internal_id_in`, which make a batch one call, are
undocumented, and a filter that the server does not know is ignored without a word. So every batch is compared with what
was asked for: rows that were not are never handed on, and their filter is not used again.

Lists may be five minutes old on the server as far as dispatches and positions go; a single read is fresh.

Asking for quotes writes them, though it is a GET: it is never repeated.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import astuple, dataclass
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from typing import Any, ClassVar, Generic, Literal, Protocol, Self, TypeVar
from weakref import WeakValueDictionary

import httpx
import msgspec

from core.address import Address
from core.backends import BackendName
from core.concurrency import bounded_map
from core.errors import (
    BackendBadResponse,
    BackendError,
    BackendRejected,
    BackendTimeout,
    BackendUnavailable,
    Conflict,
    NotFound,
)
from core.person import REFERENCE, Person
from core.settings import FleetbaseSettings
from core.signals import Signals
from datasources._fleetbase_records import (
    Anything,
    ContactRecord,
    DeliveryEventRecord,
    DeliveryRecord,
    DriverRecord,
    FleetRecord,
    NewPlace,
    PlaceRecord,
    PointRecord,
    QuoteRecord,
    Said,
    ServiceArea,
    ServiceZoneRecord,
    TrackingRecord,
    VehicleRecord,
)
from datasources._http import Answer, HttpBackend, Limits, Query, open_client
from datasources.rows import DELIVERIES, drop

__all__ = [
    "ContactRecord",
    "DeliveryEventRecord",
    "DeliveryRecord",
    "DriverRecord",
    "FleetRecord",
    "Fleetbase",
    "NewDelivery",
    "PlaceRecord",
    "PointRecord",
    "QuoteRecord",
    "ServiceZoneRecord",
    "TrackingRecord",
    "VehicleRecord",
]

PAGE = 100
"""The most rows in an answer, whatever `limit` says."""
MAX_IDS = 100
SINGLE_READS = 5
"""Side by side, where a filter by ids is ignored."""
CREATE_TIMEOUT_S = 30.0
"""A create looks up addresses and computes a route."""
TRACKER_TIMEOUT_S = 5.0
"""Who is tracked is asked of a route engine that Fleetbase waits for."""


class _Row(Protocol):
    @property
    def id(self) -> str: ...


R = TypeVar("R", bound=_Row)


@dataclass(frozen=True)
class _Resource(Generic[R]):
    """A list and what its rows are decoded into. `relations` are asked for with every row."""

    path: str
    row: type[R]
    rows: type[list[R]]
    relations: tuple[str, ...] = ()

    @property
    def query(self) -> list[tuple[str, str | int]]:
        return [("with[]", relation) for relation in self.relations]


_ORDERS = _Resource("/v1/orders", DeliveryRecord, list[DeliveryRecord])
_DRIVERS = _Resource("/v1/drivers", DriverRecord, list[DriverRecord], ("vehicle",))
_VEHICLES = _Resource("/v1/vehicles", VehicleRecord, list[VehicleRecord])
_FLEETS = _Resource("/v1/fleets", FleetRecord, list[FleetRecord], ("drivers", "vehicles"))
_CONTACTS = _Resource("/v1/contacts", ContactRecord, list[ContactRecord])
_AREAS = _Resource("/v1/service-areas", ServiceArea, list[ServiceArea], ("zones",))

_Column = Literal["public_id", "internal_id"]
_NEWEST_FIRST = ("sort", "-created_at")


@dataclass(frozen=True, slots=True)
class NewDelivery:
    """`internal_id` is our reference, by which it is found again. Places without coordinates are looked up by
    Fleetbase."""

    internal_id: str
    pickup: Address
    dropoff: Address
    driver_id: str | None = None
    scheduled_at: datetime | None = None
    notes: str | None = None


class Fleetbase(HttpBackend):
    name: ClassVar[BackendName] = BackendName.FLEETBASE

    def __init__(
        self,
        client: httpx.AsyncClient,
        settings: FleetbaseSettings,
        limits: Limits | None = None,
        *,
        signals: Signals | None = None,
    ) -> None:
        """`signals`: where it is told that a delivery has changed."""
        super().__init__(client, limits or Limits(timeout_s=settings.timeout_s, per_minute=settings.rate_per_minute))
        self._signals = signals
        self._ignored_filters: set[tuple[str, _Column]] = set()
        self._creating: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @classmethod
    def open(cls, settings: FleetbaseSettings, signals: Signals | None = None) -> Self:
        """Raises ValueError without a key."""
        if settings.api_key is None:
            raise ValueError("FLEETBASE_API_KEY is needed")
        headers = {"Authorization": f"Bearer {settings.api_key.get_secret_value()}"}
        return cls(open_client(str(settings.url), headers), settings, signals=signals)

    async def ping(self) -> None:
        """GET /v1/organizations/current"""
        await self.read("GET", "/v1/organizations/current", Anything)

    # -- deliveries --------------------------------------------------------------------------------------------

    async def delivery(self, id: str) -> DeliveryRecord | None:
        """As it is at this moment. GET /v1/orders/{id}, which would take an `internal_id` as well."""
        return await self._single(_ORDERS, "public_id", id)

    async def deliveries(
        self, *, limit: int, offset: int = 0, status: str | None = None, driver_id: str | None = None
    ) -> list[DeliveryRecord]:
        """Newest first. `status` may be several with commas, and `active` is all that are not finished.
        GET /v1/orders"""
        filters = [(key, value) for key, value in (("status", status), ("driver", driver_id)) if value]
        return await self._slice(_ORDERS, limit, offset, filters)

    async def deliveries_by_ids(self, ids: Sequence[str]) -> list[DeliveryRecord]:
        """In any order, absent ones left out. GET /v1/orders?public_id_in=, once per 100."""
        return await self._by(_ORDERS, "public_id", ids)

    async def deliveries_by_order_ids(self, order_ids: Sequence[str]) -> list[DeliveryRecord]:
        """All deliveries with one of these references, newest first, canceled ones included.

        GET /v1/orders?internal_id_in=, once per 100 and once more behind each full page. Where that filter is ignored,
        a single read finds but one delivery of each order, the oldest.
        """
        found = await self._by(_ORDERS, "internal_id", order_ids)
        return sorted(found, key=lambda row: (row.created_at, row.id), reverse=True)

    async def create_delivery(self, new: NewDelivery) -> DeliveryRecord:
        """The delivery with this reference: the one that is there and not canceled, or a new one.

        POST /v1/orders has no idempotency, so it is looked for before, and after an outcome that nobody saw.
        Raises BackendRejected for places or a driver that Fleetbase does not accept.
        """
        lock = self._creating.setdefault(new.internal_id, asyncio.Lock())
        async with lock:
            if there := await self._uncanceled(new.internal_id):
                return there
            try:
                return await self.write(
                    "POST", "/v1/orders", DeliveryRecord, json=_order_of(new), timeout_s=CREATE_TIMEOUT_S
                )
            except (BackendTimeout, BackendUnavailable, BackendBadResponse):
                if made := await self._made_all_the_same(new.internal_id):
                    return made
                raise
            finally:
                await self._changed(new.internal_id)

    async def cancel_delivery(self, id: str) -> DeliveryRecord:
        """The delivery, canceled now or before. DELETE /v1/orders/{id}/cancel

        The call itself would cancel what has been delivered, so the status is read first.
        Raises NotFound, Conflict for a delivery that is completed.
        """
        before = await self.delivery(id)
        if before is None:
            raise NotFound("there is no such delivery", source=self.name)
        if before.is_canceled:
            return before
        if before.is_finished:
            raise Conflict("the delivery is completed and cannot be canceled", source=self.name)
        return await self._change(before, "DELETE", "/v1/orders/{id}/cancel")

    async def assign_driver(self, id: str, driver_id: str) -> DeliveryRecord:
        """The delivery, with this driver instead of any other, and the driver's vehicle. PUT /v1/orders/{id}

        Raises NotFound, Conflict for a delivery that has ended, BackendRejected for an unknown driver.
        """
        before = await self.delivery(id)
        if before is None:
            raise NotFound("there is no such delivery", source=self.name)
        if before.is_finished:
            raise Conflict("the delivery has ended and takes no driver", source=self.name)
        return await self._change(before, "PUT", "/v1/orders/{id}", json={"driver": driver_id})

    async def dispatch_delivery(self, id: str) -> DeliveryRecord:
        """The delivery, sent to its driver now or before. POST /v1/orders/{id}/dispatch

        Raises NotFound, BackendRejected for a delivery that nobody carries.
        """
        before = await self.delivery(id)
        if before is None:
            raise NotFound("there is no such delivery", source=self.name)
        if before.dispatched:
            return before
        try:
            return await self._change(before, "POST", "/v1/orders/{id}/dispatch")
        except BackendRejected:
            # Once more is refused, be it that a lost answer or somebody else was first.
            after = await self.delivery(id)
            if after is None or not after.dispatched:
                raise
            return after

    async def _change(self, before: DeliveryRecord, method: str, path: str, **how: Any) -> DeliveryRecord:
        """A change that is safe to repeat, and what it has led to."""
        try:
            after = await self.keyed_write(method, path, DeliveryRecord, args={"id": before.id}, **how)
        finally:
            await self._changed(before.id, before.internal_id)
        # The answers of changes may leave out the driver and what happened on the way.
        return await self.delivery(before.id) or after

    async def _changed(self, *ids: str | None) -> None:
        """Whether or not it came off: after a failure nobody knows."""
        if self._signals is not None:
            await drop(self._signals, self.name, DELIVERIES.name, *ids)

    async def _uncanceled(self, internal_id: str) -> DeliveryRecord | None:
        found = await self.deliveries_by_order_ids([internal_id])
        return next((row for row in found if not row.is_canceled), None)

    async def _made_all_the_same(self, internal_id: str) -> DeliveryRecord | None:
        """What a create left behind whose answer was lost; None as well if that cannot be found out."""
        try:
            return await self._uncanceled(internal_id)
        except BackendError:
            return None

    # -- on their way, and before ------------------------------------------------------------------------------

    async def tracking(self, id: str) -> TrackingRecord | None:
        """Where a delivery is and when it arrives, computed anew; None where that cannot be told.

        GET /v1/orders/{id}/tracker, which answers 404 for whatever goes wrong. Raises BackendTimeout after five
        seconds, which count against the route engine and not against Fleetbase.
        """
        try:
            async with asyncio.timeout(TRACKER_TIMEOUT_S):
                return await self.read_or_none("GET", "/v1/orders/{id}/tracker", TrackingRecord, args={"id": id})
        except TimeoutError as exc:
            raise BackendTimeout(self.name, "fleetbase did not track the delivery in time") from exc

    async def delivery_quotes(self, pickup: Address, dropoff: Address) -> list[QuoteRecord]:
        """What each service takes for this way, the cheapest first; none where nobody goes it.

        GET /v1/service-quotes, which writes the quotes; POST /v1/places for an address without coordinates. Raises
        BackendRejected for an address that is nowhere.
        """
        stops = await asyncio.gather(self._stop(pickup), self._stop(dropoff))
        # `currency` is left out: Fleetbase compares its mere presence with the currency of its rates, and none fits.
        query = list(zip(("pickup", "dropoff"), stops, strict=True))
        quotes = await self.write(
            "GET", "/v1/service-quotes", list[QuoteRecord], query=query, timeout_s=CREATE_TIMEOUT_S
        )
        return sorted(quotes, key=lambda quote: (quote.minor, quote.id))

    async def _stop(self, address: Address) -> str:
        """As quotes take it: coordinates, latitude first, or the id of a place."""
        if address.latitude is not None and address.longitude is not None:
            return f"{address.latitude:.6f},{address.longitude:.6f}"
        # Fleetbase writes over the place that has this name and street, whosever it is. A name of our own that stands
        # for the whole address meets none but ours, and asking twice makes one.
        name = f"gateway-{sha256(repr(astuple(address)).encode()).hexdigest()[:32]}"
        place = await self.keyed_write(
            "POST", "/v1/places", NewPlace, json={**_place(address), "name": name}, timeout_s=CREATE_TIMEOUT_S
        )
        if place.location is None:
            raise BackendRejected(
                self.name, "fleetbase does not find this address: give its coordinates", status=422, reason="no_place"
            )
        return place.id

    # -- who carries them, and where ---------------------------------------------------------------------------

    async def drivers(self, *, limit: int, offset: int = 0) -> list[DriverRecord]:
        """With their vehicles, newest first. GET /v1/drivers"""
        return await self._slice(_DRIVERS, limit, offset)

    async def drivers_by_ids(self, ids: Sequence[str]) -> list[DriverRecord]:
        """With their vehicles, in any order, absent ones left out. GET /v1/drivers?public_id_in=, once per 100."""
        return await self._by(_DRIVERS, "public_id", ids)

    async def vehicles(self, *, limit: int, offset: int = 0) -> list[VehicleRecord]:
        """Newest first. GET /v1/vehicles"""
        return await self._slice(_VEHICLES, limit, offset)

    async def fleets(self, *, limit: int, offset: int = 0) -> list[FleetRecord]:
        """With their drivers and vehicles, newest first. GET /v1/fleets"""
        return await self._slice(_FLEETS, limit, offset)

    async def service_zones(self) -> list[ServiceZoneRecord]:
        """All zones of all service areas. GET /v1/service-areas"""
        areas = [area async for page in self._pages(_AREAS, [_NEWEST_FIRST]) for area in page]
        return [zone for area in areas for zone in area.zones or ()]

    # -- whom they go to ---------------------------------------------------------------------------------------

    async def contacts_by_email(self, email: str) -> list[ContactRecord]:
        """Whoever has this address, in any case, the oldest first. GET /v1/contacts?email="""
        wanted, found = email.casefold(), list[ContactRecord]()
        query: Query = [("email", email), ("sort", "created_at")]
        async for page in self._pages(_CONTACTS, query):
            theirs = [row for row in page if (row.email or "").casefold() == wanted]
            found += theirs
            if len(theirs) < len(page):
                break  # The filter is ignored; this might be everybody there is.
        return found

    async def create_contact(self, person: Person) -> ContactRecord:
        """The contact with this person's name and address, who is this person's from now on. POST /v1/contacts, which
        finds such a one before it makes another, so that it is safe to repeat."""
        # Left out, e-mail and phone are server errors.
        body = {
            "name": person.name,
            "type": "customer",
            "email": person.email,
            "phone": person.phone,
            "meta": {REFERENCE: person.user_id},
        }
        return await self.keyed_write("POST", "/v1/contacts", ContactRecord, json=body)

    # -- lists and batches -------------------------------------------------------------------------------------

    async def _slice(self, resource: _Resource[R], limit: int, offset: int, filters: Query = ()) -> list[R]:
        """So many rows of a list, newest first, in as few answers as it takes."""
        rows: list[R] = []
        async for page in self._pages(resource, [*filters, _NEWEST_FIRST], offset=offset, limit=limit):
            rows += page
        return rows

    async def _pages(
        self, resource: _Resource[R], query: Query, *, offset: int = 0, limit: int | None = None, **how: Any
    ) -> AsyncIterator[list[R]]:
        """Answer after answer until one is not full, or `limit` rows have come. `limit` is always sent, because a
        server's own default is 30."""
        while limit is None or limit > 0:
            size = PAGE if limit is None else min(limit, PAGE)
            asked = [*query, *resource.query, ("limit", size), ("offset", offset)]
            rows = await self.read("GET", resource.path, resource.rows, query=asked, **how)
            yield rows[:size]
            if len(rows) < size:
                return
            offset += size
            limit = None if limit is None else limit - size

    async def _by(self, resource: _Resource[R], column: _Column, keys: Sequence[str]) -> list[R]:
        """The rows whose `column` is among the keys, each once."""
        asked = [key for key in dict.fromkeys(keys) if _can_be_asked_for(key)]
        chunks = [asked[i : i + MAX_IDS] for i in range(0, len(asked), MAX_IDS)]
        found = await asyncio.gather(*(self._chunk(resource, column, chunk) for chunk in chunks))
        return [row for rows in found for row in rows]

    async def _chunk(self, resource: _Resource[R], column: _Column, keys: list[str]) -> list[R]:
        if (resource.path, column) in self._ignored_filters:
            return await self._singly(resource, column, keys)
        wanted, found = set(keys), dict[str, R]()
        # One comma string: an array is a server error.
        query = [(f"{column}_in", ",".join(keys)), _NEWEST_FIRST]
        # Several rows may have one internal id, but not one public id.
        limit = len(keys) if column == "public_id" else None
        async for page in self._pages(resource, query, limit=limit, batch_size=len(keys)):
            if any(_value(row, column) not in wanted for row in page):
                self._ignored_filters.add((resource.path, column))
                return await self._singly(resource, column, keys)
            found |= {row.id: row for row in page}
        return list(found.values())

    async def _singly(self, resource: _Resource[R], column: _Column, keys: list[str]) -> list[R]:
        found = await bounded_map(partial(self._single, resource, column), keys, at_once=SINGLE_READS)
        return [row for row in found if row is not None]

    async def _single(self, resource: _Resource[R], column: _Column, key: str) -> R | None:
        """By that one of the two ids only, though Fleetbase looks for both."""
        if not key.strip("."):
            return None
        path = f"{resource.path}/{{id}}"
        row = await self.read_or_none("GET", path, resource.row, args={"id": key}, query=resource.query)
        return row if row is not None and _value(row, column) == key else None

    # -- errors ------------------------------------------------------------------------------------------------

    def _raise_for_status(self, answer: Answer, absent_is_fine: bool) -> None:
        # A 404 of the framework means an unknown path, which must not pass for a row that is not there.
        if answer.status == 404 and _said(answer).error is None:
            raise BackendBadResponse(self.name, "fleetbase does not know this path: its address or version is wrong")
        super()._raise_for_status(answer, absent_is_fine)

    def refusal(self, answer: Answer) -> tuple[str, str | None]:
        """Of `{error}` or `{errors}`. Fleetbase has no machine-readable reasons."""
        if answer.status == 401:
            return "fleetbase does not accept the gateway's credentials: its configuration is wrong", "unauthorized"
        said = _said(answer)
        return said.error or next(iter(said.errors or ()), ""), None


def _said(answer: Answer) -> Said:
    try:
        return msgspec.json.decode(answer.body, type=Said)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Said()


def _can_be_asked_for(key: str) -> bool:
    """Ids are joined by commas, so that no id of a row holds one."""
    return bool(key) and "," not in key


def _value(row: _Row, column: _Column) -> str | None:
    value: str | None = getattr(row, "id" if column == "public_id" else "internal_id")
    return value


def _order_of(new: NewDelivery) -> Mapping[str, object]:
    written = {
        "internal_id": new.internal_id,
        "pickup": _place(new.pickup),
        "dropoff": _place(new.dropoff),
        "driver": new.driver_id,
        "scheduled_at": new.scheduled_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if new.scheduled_at else None,
        "notes": new.notes,
    }
    return {key: value for key, value in written.items() if value is not None}


def _place(address: Address) -> Mapping[str, object]:
    known = address.latitude is not None and address.longitude is not None
    written = {
        "name": address.name,
        "street1": address.street,
        "city": address.city,
        "postal_code": address.postal_code,
        "country": address.country,
        "phone": address.phone,
        "location": {"type": "Point", "coordinates": [address.longitude, address.latitude]} if known else None,
    }
    return {key: value for key, value in written.items() if value is not None}
