"""New rows, as the database keeps them: the fields of an answer, with ids where the answer has objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sandbox.fleetbase.database import Database
from sandbox.fleetbase.geo import ORIGIN, Point, from_geojson, metres, seconds
from sandbox.store import Row
from sandbox.world import short

COMPANY_ID, COMPANY_NAME, CURRENCY = short("company", 1), "OmniStack Demo Logistics", "EUR"
ORDER_CONFIG, ORDER_TYPE = short("order_config", 1), "transport"
ADHOC_DISTANCE_M = 6000
AVATAR = "https://cdn.omnistack.example/fleet/{}.png"

ACTIVITIES: Mapping[str, tuple[str, str]] = {
    "CREATED": ("Order Created", "New order was created."),
    "DISPATCHED": ("Order Dispatched", "Order has been dispatched to driver."),
    "STARTED": ("Order Started", "Driver has started the order."),
    "ENROUTE": ("Driver En-route", "Driver is on the way."),
    "COMPLETED": ("Order Completed", "Driver has completed the order."),
    "CANCELED": ("Order Canceled", "Order was canceled."),
}
"""Status text and details by code, in the default flow."""


def stamps(at: str) -> Row:
    return {"updated_at": at, "created_at": at}


def place(db: Database, at: str, point: Point, fields: Mapping[str, Any]) -> Row:
    """A place with the known ones of `fields`; its address is made of them."""
    street, city, postal_code = fields.get("street1"), fields.get("city"), fields.get("postal_code")
    town = " ".join(str(part) for part in (city, postal_code) if part)
    return {
        "id": db.new_id("place"),
        "name": fields.get("name"),
        "location": point.geojson(),
        "address": ", ".join(str(part) for part in (street, town) if part) or fields.get("name"),
        "street1": street,
        "street2": fields.get("street2"),
        "city": city,
        "province": fields.get("province"),
        "postal_code": postal_code,
        "country": str(fields.get("country") or "AL").upper(),
        "phone": fields.get("phone"),
        "type": "place",
        "meta": fields.get("meta") or {},
        **stamps(at),
    }


def contact(db: Database, at: str, fields: Mapping[str, Any], *, id: str | None = None) -> Row:
    return {
        "id": id or db.new_id("contact"),
        "internal_id": fields.get("internal_id") or internal_id(db),
        "name": fields.get("name"),
        "title": fields.get("title"),
        "email": fields.get("email"),
        "phone": fields.get("phone"),
        "photo_url": None,
        "type": fields.get("type") or "customer",
        "meta": fields.get("meta") or {},
        **stamps(at),
    }


def entity(db: Database, at: str, fields: Mapping[str, Any]) -> Row:
    texts = ("name", "type", "description", "sku", "currency", "weight", "weight_unit", "length", "width", "height")
    money = ("price", "sale_price", "declared_value")
    return {
        "id": db.new_id("entity"),
        "internal_id": fields.get("internal_id") or internal_id(db),
        **{key: fields.get(key) for key in (*texts, "dimensions_unit")},
        **{key: minor_units(fields.get(key)) for key in money},
        "meta": fields.get("meta") or {},
        **stamps(at),
    }


def minor_units(value: object) -> int | None:
    """Fleetbase keeps the digits of an amount and drops the rest: `"12.50"` is 1250."""
    digits = "".join(character for character in str(value) if character.isdigit())
    return int(digits) if digits else None


def payload(
    db: Database, at: str, stops: Mapping[str, str | None], waypoints: Sequence[str], entities: Sequence[Row]
) -> Row:
    """`stops`: place ids under `pickup`, `dropoff`, `return`."""
    first = stops.get("pickup") or next(iter(waypoints), None)
    return {
        "id": db.new_id("payload"),
        "current_waypoint": first,
        "pickup": stops.get("pickup"),
        "dropoff": stops.get("dropoff"),
        "return": stops.get("return"),
        "waypoints": list(waypoints),
        "entities": list(entities),
        "cod_amount": None,
        "cod_currency": None,
        "cod_payment_method": None,
        "payment_method": None,
        "meta": {},
        **stamps(at),
    }


def order(db: Database, at: str, payload_row: Row, fields: Mapping[str, Any], *, id: str | None = None) -> Row:
    """A delivery that has just been created. `fields` override what an empty request would give."""
    order_id = id or db.new_id("order")
    way = points(db, payload_row)
    distance = metres(*way)
    region = (db.get("place", payload_row["dropoff"]) or {}).get("country") or "AL"
    row = {
        "id": order_id,
        "internal_id": internal_id(db),
        "order_config": ORDER_CONFIG,
        "customer": None,
        "payload": payload_row,
        "facilitator": None,
        "driver_assigned": None,
        "vehicle_assigned": None,
        "tracking_number": {
            "id": db.new_id("track"),
            "tracking_number": f"ACM{db.number('tracking_number'):010d}{region}",
            "subject": order_id,
            "region": region,
            "type": "order",
            **stamps(at),
        },
        "tracking_statuses": [],
        "purchase_rate": None,
        "notes": None,
        "type": ORDER_TYPE,
        "status": "created",
        "pod_method": None,
        "pod_required": False,
        "dispatched": False,
        "started": False,
        "adhoc": False,
        "adhoc_distance": ADHOC_DISTANCE_M,
        "distance": distance,
        "time": seconds(distance),
        "transaction_amount": None,
        "currency": None,
        "meta": {},
        "dispatched_at": None,
        "started_at": None,
        "scheduled_at": None,
        **stamps(at),
    }
    return with_activity(db, {**row, **fields}, at, "CREATED", location=ORIGIN)


def with_activity(
    db: Database,
    row: Row,
    at: str,
    code: str,
    *,
    text: tuple[str, str] | None = None,
    location: Point | None = None,
    **changes: object,
) -> Row:
    """The order after one more tracking status and `changes`. It happens where the driver is, unless told."""
    status, details = text or ACTIVITIES.get(code) or (code.title(), code.title())
    driver = db.get("driver", row["driver_assigned"])
    where = location or (from_geojson(driver["location"]) if driver else ORIGIN)
    tracking_status = {
        "id": db.new_id("status"),
        "status": status,
        "details": details,
        "code": code,
        "complete": code == "COMPLETED",
        "city": None,
        "province": None,
        "postal_code": None,
        "country": None,
        "location": where.geojson(),
        **stamps(at),
    }
    history = [*row["tracking_statuses"], tracking_status]
    return {**row, **changes, "tracking_statuses": history, "updated_at": at}


def points(db: Database, payload_row: Row) -> list[Point]:
    """The stops of a payload in the order they are visited."""
    ids = [payload_row["pickup"], *payload_row["waypoints"], payload_row["dropoff"], payload_row["return"]]
    return [from_geojson(stop["location"]) for stop in (db.get("place", place_id) for place_id in ids) if stop]


def internal_id(db: Database) -> str:
    """What Fleetbase gives a row for which the caller brought none: two letters and six digits."""
    return f"AC{db.number('internal_id'):06d}"
