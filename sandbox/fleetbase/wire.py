"""What Fleetbase's answers look like: rows with their relations filled in."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import orjson

from sandbox.fleetbase.database import Database
from sandbox.store import Row

_PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABAQAAAAA3bvkkAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
"""One pixel; the real codes take several kilobytes each."""

_UNLOADED_BY_CANCEL = ("customer", "facilitator", "driver_assigned", "vehicle_assigned", "tracking_statuses")
_UNLOADED_BY_ACTIVITY = ("customer", "facilitator", "vehicle_assigned", "tracking_statuses")

Expand = Collection[str]
"""Names of relations that the caller asked for with `with[]`."""


def order_bytes(db: Database, row: Row) -> bytes:
    """The order resource with every relation, rendered once per version of the row."""
    rendered = db.rendered_orders.get(row["id"])
    if rendered is None:
        rendered = db.rendered_orders[row["id"]] = orjson.dumps(order(db, row))
    return rendered


def order(db: Database, row: Row) -> Row:
    body = {key: value for key, value in row.items() if key != "unfinished"}
    driver_row, vehicle_row = db.get("driver", row["driver_assigned"]), db.get("vehicle", row["vehicle_assigned"])
    customer_row, facilitator_row = db.get("contact", row["customer"]), db.get("contact", row["facilitator"])
    number = tracking_number(row)
    return {
        **body,
        "customer": contact(db, customer_row) if customer_row else None,
        "payload": payload(db, row["payload"]),
        "facilitator": contact(db, facilitator_row) if facilitator_row else None,
        "driver_assigned": driver(db, driver_row) if driver_row else None,
        "vehicle_assigned": vehicle(db, vehicle_row) if vehicle_row else None,
        "tracking_number": number,
        "tracking_statuses": [{**status, "tracking_number": number} for status in row["tracking_statuses"]],
    }


def order_after_activity(db: Database, row: Row) -> Row:
    return _without(order(db, row), _UNLOADED_BY_ACTIVITY)


def order_after_cancel(db: Database, row: Row) -> Row:
    return _without(order(db, row), _UNLOADED_BY_CANCEL)


def tracking_number(row: Row) -> Row:
    """The tracking number of an order row, with the order's newest status."""
    number, newest = row["tracking_number"], row["tracking_statuses"][-1]
    return {
        **number,
        "status": newest["status"],
        "status_code": newest["code"],
        "qr_code": _PNG,
        "barcode": _PNG,
        "url": f"https://console.omnistack.example/track-order/?order={number['tracking_number']}",
    }


def payload(db: Database, row: Row) -> Row:
    stops = {key: db.get("place", row[key]) for key in ("pickup", "dropoff", "return")}
    return {**row, **stops, "waypoints": [db.get("place", stop) for stop in row["waypoints"]]}


def contact(db: Database, row: Row, expand: Expand = ()) -> Row:
    if row["type"] != "customer":
        return row
    return {"id": row["id"], "customer_id": row["id"].replace("contact_", "customer_", 1), **row}


def driver(db: Database, row: Row, expand: Expand = ()) -> Row:
    """Relations only when asked for: `vehicle`, `currentJob` (as `current_job`), `fleets`."""
    body = {key: value for key, value in row.items() if key not in ("vehicle", "current_job")}
    if "vehicle" in expand:
        body["vehicle"] = db.get("vehicle", row["vehicle"])
    if "currentjob" in expand:
        job = db.get("order", row["current_job"])
        body["current_job"] = order(db, job) if job else None
    if "fleets" in expand:
        body["fleets"] = [fleet(db, each) for each in db.rows("fleet") if row["id"] in each["drivers"]]
    return body


def vehicle(db: Database, row: Row, expand: Expand = ()) -> Row:
    if "driver" not in expand:
        return row
    theirs = next((each for each in db.rows("driver") if each["vehicle"] == row["id"]), None)
    return {**row, "driver": driver(db, theirs) if theirs else None}


def fleet(db: Database, row: Row, expand: Expand = ()) -> Row:
    body = {key: value for key, value in row.items() if key not in ("drivers", "vehicles")}
    if "drivers" in expand:
        body["drivers"] = [driver(db, each) for each in db.by_ids("driver", row["drivers"])]
    if "vehicles" in expand:
        body["vehicles"] = [vehicle(db, each) for each in db.by_ids("vehicle", row["vehicles"])]
    return body


def zone(db: Database, row: Row, expand: Expand = ()) -> Row:
    return {key: value for key, value in row.items() if key != "service_area"}


def service_area(db: Database, row: Row, expand: Expand = ()) -> Row:
    if "zones" not in expand:
        return row
    return {**row, "zones": [zone(db, each) for each in db.rows("zone") if each["service_area"] == row["id"]]}


def as_is(db: Database, row: Row, expand: Expand = ()) -> Row:
    return row


RENDERERS: Mapping[str, Callable[[Database, Row, Expand], Row]] = {
    "driver": driver,
    "vehicle": vehicle,
    "fleet": fleet,
    "place": as_is,
    "contact": contact,
    "zone": zone,
    "service_area": service_area,
    "tracking_number": as_is,
    "tracking_status": as_is,
}
"""How a row of each kind but `order` becomes an answer."""


def _without(body: Row, keys: Collection[str]) -> Row:
    return {key: value for key, value in body.items() if key not in keys}
