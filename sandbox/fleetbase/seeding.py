"""Fleetbase's part of the demo world: couriers around Tirana and what they deliver."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from sandbox.fleetbase import geo, rows
from sandbox.fleetbase.database import Database, iso
from sandbox.store import Row, Store
from sandbox.world import FLEETS, Address, Driver, Order, Person, World, short

RESERVED_IDS = 100_000
"""Ids below belong to the demo world; those given later come after."""

_AFTER_ORDER = timedelta(minutes=20)
_COURSES = {
    "created": (),
    "dispatched": (("DISPATCHED", 6),),
    "enroute": (("DISPATCHED", 6), ("STARTED", 15), ("ENROUTE", 17)),
    "completed": (("DISPATCHED", 6), ("STARTED", 15), ("ENROUTE", 17), ("COMPLETED", 52)),
    "canceled": (("CANCELED", 9),),
}
"""What happened to a delivery of each status, and how many minutes after its creation."""


def seed(store: Store) -> None:
    """Fill an empty store."""
    _Seeder(Database(store), World(datetime.now(UTC))).run()


class _Seeder:
    def __init__(self, db: Database, world: World) -> None:
        self._db, self._world = db, world
        self._start = iso(world.anchor - timedelta(days=150))
        self._places: dict[Address, str] = {}

    def run(self) -> None:
        for kind in ("order", "contact"):
            self._db.reserve_ids(kind, RESERVED_IDS)
        for driver in self._world.drivers:
            self._db.put("vehicle", self._vehicle(driver))
            self._db.put("driver", self._driver(driver))
        for n in range(1, FLEETS + 1):
            self._db.put("fleet", self._fleet(n))
        for row in self._areas():
            self._db.put("zone" if "service_area" in row else "service_area", row)
        for person in self._world.customers:
            self._db.put("contact", self._contact(person))
        for age, order in enumerate(self._world.delivered):
            self._db.put("order", self._delivery(order, _status(age, len(self._world.delivered))))
        for n, status in enumerate(("completed", "canceled", "created"), len(self._world.orders) + 1):
            self._db.put("order", self._errand(n, status))
        self._set_current_jobs()

    def _vehicle(self, driver: Driver) -> Row:
        return {
            "id": driver.vehicle_id,
            "internal_id": f"VAN{driver.n:03d}",
            "name": f"Van {driver.n}",
            "description": None,
            "make": "Ford",
            "model": "Transit",
            "year": "2024",
            "trim": None,
            "type": "van",
            "plate_number": driver.plate,
            "vin": None,
            "vin_data": {},
            "status": "active",
            "online": True,
            **_position(driver),
            "payload_capacity": 900,
            "cargo_volume": None,
            "odometer": 20_000 + 731 * driver.n,
            "odometer_unit": "km",
            "fuel_type": "diesel",
            "photo_url": None,
            "avatar_url": rows.AVATAR.format("van"),
            "telematics": None,
            "notes": None,
            "meta": {},
            **rows.stamps(self._start),
        }

    def _driver(self, driver: Driver) -> Row:
        return {
            "id": driver.id,
            "user": short("user", driver.n),
            "internal_id": f"DRV{driver.n:03d}",
            "company": rows.COMPANY_ID,
            "company_name": rows.COMPANY_NAME,
            "name": driver.name,
            "email": driver.email,
            "phone": driver.phone,
            "drivers_license_number": f"AL{driver.n:06d}",
            "license_expiry": "2031-01-31",
            "photo_url": None,
            "avatar_url": rows.AVATAR.format("driver"),
            "vehicle_avatar": rows.AVATAR.format("van"),
            "vehicle": driver.vehicle_id,
            "current_job": None,
            **_position(driver),
            "country": "AL",
            "currency": rows.CURRENCY,
            "city": "Tirana",
            "online": True,
            "status": "active",
            "token": f"sandbox-driver-token-{driver.n}",
            "meta": {},
            "updated_at": iso(self._world.anchor),
            "created_at": self._start,
        }

    def _fleet(self, n: int) -> Row:
        members = [driver for driver in self._world.drivers if driver.fleet == n]
        return {
            "id": short("fleet", n),
            "name": f"City vans {n}",
            "task": "last mile",
            "status": "active",
            "drivers": [driver.id for driver in members],
            "vehicles": [driver.vehicle_id for driver in members],
            **rows.stamps(self._start),
        }

    def _areas(self) -> Iterator[Row]:
        """Two service areas with two zones each, side by side around the centre."""
        halves = (("Tirana West", -0.05, ("Kombinat", "Laprakë")), ("Tirana East", 0.05, ("Centre", "Ali Demi")))
        for n, (name, east, zones) in enumerate(halves, 1):
            area_id = short("sa", n)
            centre = geo.CENTRE.moved(0, east)
            yield {
                "id": area_id,
                "name": name,
                "type": "city",
                "country": "AL",
                "status": "active",
                "center": centre.geojson(),
                "border": {"type": "MultiPolygon", "coordinates": [[_rectangle(centre, 0.06, 0.05)]]},
                "color": "#000000",
                "stroke_color": "#000000",
                "trigger_on_entry": False,
                "trigger_on_exit": False,
                "dwell_threshold_minutes": None,
                "speed_limit_kmh": None,
                **rows.stamps(self._start),
            }
            for i, zone in enumerate(zones):
                middle = centre.moved(0.03 if i else -0.03, 0)
                yield {
                    "id": short("zone", 2 * n - 1 + i),
                    "service_area": area_id,
                    "name": zone,
                    "description": None,
                    "status": "active",
                    "color": "#3388ff",
                    "stroke_color": "#3388ff",
                    "center": middle.geojson(),
                    "border": {"type": "Polygon", "coordinates": [_rectangle(middle, 0.03, 0.05)]},
                    **rows.stamps(self._start),
                }

    def _contact(self, person: Person) -> Row:
        fields = {"internal_id": person.medusa_id, "name": person.name, "email": person.email, "phone": person.phone}
        return rows.contact(self._db, iso(person.created_at), fields, id=person.contact_id)

    def _delivery(self, order: Order, status: str) -> Row:
        created = order.created_at + _AFTER_ORDER
        at = iso(created)
        goods = [
            rows.entity(
                self._db,
                at,
                {
                    "name": line.product.title,
                    "type": "parcel",
                    "sku": line.variant.sku,
                    "declared_value": int(line.variant.price(order.currency) * line.quantity * 100),
                    "currency": order.currency,
                },
            )
            for line in order.lines
        ]
        home = order.customer.address if order.customer else order.client.pickup
        driver = self._world.drivers[order.n % len(self._world.drivers)]
        fields: dict[str, Any] = {
            "internal_id": order.id,
            "customer": order.customer.contact_id if order.customer else None,
            "driver_assigned": driver.id,
            "vehicle_assigned": driver.vehicle_id,
            "meta": {"commerce_order_id": order.id},
        }
        stops = {"pickup": self._place(order.client.pickup), "dropoff": self._place(home)}
        payload = rows.payload(self._db, at, stops, (), goods)
        row = rows.order(self._db, at, payload, fields, id=short("order", order.n))
        return self._after(row, created, status)

    def _errand(self, n: int, status: str) -> Row:
        """A delivery that no order asked for, carried by nobody."""
        created = self._world.anchor - timedelta(days=n % 7, hours=2)
        start, end = self._world.clients[0].pickup, self._world.clients[n % len(self._world.clients)].pickup
        stops = {"pickup": self._place(start), "dropoff": self._place(end)}
        payload = rows.payload(self._db, iso(created), stops, (), ())
        fields = {"notes": "Between warehouses", "adhoc": True}
        return self._after(rows.order(self._db, iso(created), payload, fields, id=short("order", n)), created, status)

    def _after(self, row: Row, created: datetime, status: str) -> Row:
        """The order at the end of the course that leads to its status."""
        for code, minutes in _COURSES[status]:
            at = iso(created + timedelta(minutes=minutes))
            changes: dict[str, Any] = {"status": code.lower()}
            if code == "DISPATCHED":
                changes |= {"dispatched": True, "dispatched_at": at}
            elif code == "STARTED":
                changes |= {"started": True, "started_at": at}
            row = rows.with_activity(self._db, row, at, code, **changes)
        return row

    def _place(self, address: Address) -> str:
        if address not in self._places:
            fields = {
                "name": address.name,
                "street1": address.street,
                "city": address.city,
                "postal_code": address.postal_code,
                "country": address.country,
                "phone": address.phone,
            }
            point = geo.Point(address.latitude, address.longitude)
            place = self._db.put("place", rows.place(self._db, self._start, point, fields))
            self._places[address] = place["id"]
        return self._places[address]

    def _set_current_jobs(self) -> None:
        """A driver's current job is the newest delivery that they have under way."""
        newest = {row["driver_assigned"]: row["id"] for row in self._db.rows("order") if row["status"] == "enroute"}
        for driver in self._db.rows("driver"):
            self._db.put("driver", {**driver, "current_job": newest.get(driver["id"])})


def _status(age: int, count: int) -> str:
    """By place in the row of deliveries, the oldest first: two thirds done, the last tenth hardly begun."""
    if age < count * 2 // 3:
        return "completed"
    if age < count * 5 // 6:
        return "enroute"
    if age < count * 9 // 10:
        return "dispatched"
    return "created" if age % 2 else "dispatched"


def _position(driver: Driver) -> dict[str, Any]:
    point = geo.Point(round(driver.latitude, 6), round(driver.longitude, 6))
    return {"location": point.geojson(), "heading": 30 * driver.n % 360, "altitude": 110, "speed": 0}


def _rectangle(centre: geo.Point, north: float, east: float) -> list[list[float]]:
    """A closed ring of `[lng, lat]`, counter-clockwise, so many degrees to each side."""
    corners = ((-1, -1), (-1, 1), (1, 1), (1, -1), (-1, -1))
    moved = [centre.moved(south_north * north, west_east * east) for south_north, west_east in corners]
    return [[point.longitude, point.latitude] for point in moved]
