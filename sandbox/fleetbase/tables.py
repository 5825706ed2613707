"""The lists that can be asked for: their columns and the filters that only they have."""

from __future__ import annotations

from collections.abc import Mapping

from sandbox.fleetbase import geo, rows, wire
from sandbox.fleetbase.database import Database
from sandbox.fleetbase.errors import unsupported
from sandbox.fleetbase.queries import Filter, Predicate, Query, Table, any_of, flag, nothing
from sandbox.store import Row

_FINISHED = frozenset({"completed", "canceled"})
_SHARED = frozenset({"public_id", "created_at", "updated_at"})


def _order_status(db: Database, query: Query) -> Predicate | None:
    wanted = set(query.values("status"))
    return lambda row: row["status"] in wanted or ("active" in wanted and row["status"] not in _FINISHED)


def _reference(parameter: str, kind: str, column: str) -> Filter:
    """Orders whose `column` is the row named by public or internal id."""

    def build(db: Database, query: Query) -> Predicate | None:
        row = db.find(kind, query.text(parameter) or "")
        return lambda order: row is not None and order[column] == row["id"]

    return build


def _only(db: Database, query: Query) -> Predicate | None:
    return any_of(db.by_ids("order", query.values("only")))


def _exclude(db: Database, query: Query) -> Predicate | None:
    excluded = set(query.values("exclude"))
    return lambda row: row["id"] not in excluded


def _bulk_query(db: Database, query: Query) -> Predicate | None:
    """Public ids if the first looks like one, else internal ids or tracking numbers."""
    wanted = query.values("bulk_query")
    if wanted and wanted[0].startswith("order_"):
        return any_of(db.by_ids("order", wanted))
    tracked = (db.order_by_tracking_number(number) for number in wanted)
    return any_of([*db.by_internal_ids("order", wanted), *(row for row in tracked if row)])


def _tracking(db: Database, query: Query) -> Predicate | None:
    row = db.order_by_tracking_number(query.text("tracking") or "")
    return any_of([row] if row else [])


def _period(column: str) -> Filter:
    """One day, or `from,to` with both ends inside. A date alone means the whole day."""

    def build(db: Database, query: Query) -> Predicate | None:
        start, *end = query.values(column)
        last = end[0] if end else start
        return lambda row: (
            row[column] is not None and row[column][: len(start)] >= start and row[column][: len(last)] <= last
        )

    return build


def _on(db: Database, query: Query) -> Predicate | None:
    day = query.text("on") or ""
    return lambda row: str(row["scheduled_at"] or row["created_at"]).startswith(day)


def _near(db: Database, value: str) -> geo.Point:
    """Around a driver, coordinates, or an address."""
    driver = db.get("driver", value)
    return geo.from_geojson(driver["location"]) if driver else geo.parse_point(value) or geo.geocode(value)


def _orders_nearby(db: Database, query: Query) -> Predicate | None:
    centre = _near(db, query.text("nearby") or "")
    return lambda row: geo.metres(centre, rows.points(db, row["payload"])[0]) <= rows.ADHOC_DISTANCE_M


def _drivers_nearby(db: Database, query: Query) -> Predicate | None:
    centre, radius = _near(db, query.text("nearby") or ""), query.integer("radius", rows.ADHOC_DISTANCE_M)
    return lambda row: geo.metres(centre, geo.from_geojson(row["location"])) <= radius


def _order_text(db: Database, query: Query) -> Predicate | None:
    wanted = (query.text("query") or "").casefold()

    def fits(row: Row) -> bool:
        texts = (row["id"], row["internal_id"], row["notes"], row["tracking_number"]["tracking_number"])
        return any(wanted in str(text).casefold() for text in texts)

    return fits


def _payload(db: Database, query: Query) -> Predicate | None:
    return lambda row: row["payload"]["id"] == query.text("payload")


def _entity(db: Database, query: Query) -> Predicate | None:
    return lambda row: any(entity["id"] == query.text("entity") for entity in row["payload"]["entities"])


def _not_simulated(parameter: str) -> Filter:
    def refuse(db: Database, query: Query) -> Predicate | None:
        raise unsupported(f"the parameter {parameter} of this list")

    return refuse


def _name(db: Database, query: Query) -> Predicate | None:
    wanted = (query.text("name") or "").casefold()
    return lambda row: wanted in row["name"].casefold()


def _email(db: Database, query: Query) -> Predicate | None:
    """MySQL compares text in any case."""
    wanted = (query.text("email") or "").casefold()
    return lambda row: (row["email"] or "").casefold() == wanted


def _unassigned(parameter: str, column: str) -> Filter:
    """Only `unassigned` works for API callers: anything else is an internal uuid."""
    return lambda db, query: lambda row: query.text(parameter) == "unassigned" and not row[column]


def _vehicle_driver(db: Database, query: Query) -> Predicate | None:
    driven = {driver["vehicle"] for driver in db.rows("driver")}
    return lambda row: query.text("driver") == "unassigned" and row["id"] not in driven


def _zone_area(db: Database, query: Query) -> Predicate | None:
    return lambda row: row["service_area"] == query.text("service_area")


def _tracking_numbers(db: Database) -> list[Row]:
    return [wire.tracking_number(order) for order in db.rows("order")]


def _tracking_statuses(db: Database) -> list[Row]:
    return [
        {**status, "tracking_number": number}
        for order, number in ((order, wire.tracking_number(order)) for order in db.rows("order"))
        for status in order["tracking_statuses"]
    ]


def _status_of_order(db: Database, query: Query) -> Predicate | None:
    order = db.find("order", query.text("order") or "")
    return any_of(order["tracking_statuses"] if order else [])


def _status_of_tracking_number(db: Database, query: Query) -> Predicate | None:
    wanted = query.text("tracking_number")
    return lambda row: wanted in (row["tracking_number"]["id"], row["tracking_number"]["tracking_number"])


ORDERS = Table(
    "order",
    "Order",
    _SHARED
    | {"internal_id", "status", "type", "notes", "order_config", "pod_method", "pod_required", "dispatched"}
    | {"started", "adhoc", "adhoc_distance", "distance", "time", "dispatched_at", "started_at", "scheduled_at"},
    {
        "status": _order_status,
        "driver": _reference("driver", "driver", "driver_assigned"),
        "driver_assigned": _reference("driver_assigned", "driver", "driver_assigned"),
        "vehicle": _reference("vehicle", "vehicle", "vehicle_assigned"),
        "unassigned": flag("unassigned", lambda row: not row["driver_assigned"]),
        "without_driver": flag("without_driver", lambda row: not row["driver_assigned"]),
        "active": flag("active", lambda row: row["status"] not in _FINISHED),
        "dispatched": flag("dispatched", lambda row: bool(row["dispatched"])),
        "pod_required": flag("pod_required", lambda row: bool(row["pod_required"])),
        "payload": _payload,
        "entity": _entity,
        "entity_status": _not_simulated("entity_status"),
        "with_tracker_data": _not_simulated("with_tracker_data"),
        "with_eta": _not_simulated("with_eta"),
        "on": _on,
        "created_at": _period("created_at"),
        "updated_at": _period("updated_at"),
        "scheduled_at": _period("scheduled_at"),
        "nearby": _orders_nearby,
        "tracking": _tracking,
        "query": _order_text,
        "exclude": _exclude,
        "only": _only,
        "bulk_query": _bulk_query,
        "customer": nothing,
        "facilitator": nothing,
    },
)

LISTS: Mapping[str, Table] = {
    "orders": ORDERS,
    "drivers": Table(
        "driver",
        "Driver",
        _SHARED | {"internal_id", "status", "online", "country", "city", "phone", "email"},
        {
            "name": _name,
            "vehicle": _unassigned("vehicle", "vehicle"),
            "fleet": nothing,
            "vendor": nothing,
            "nearby": _drivers_nearby,
        },
    ),
    "vehicles": Table(
        "vehicle",
        "Vehicle",
        _SHARED | {"internal_id", "name", "status", "online", "plate_number", "vin", "make", "model", "year", "type"},
        {"driver": _vehicle_driver, "fleet": nothing, "vendor": nothing},
    ),
    "fleets": Table(
        "fleet",
        "Fleet",
        _SHARED | {"status", "task"},
        {"name": _name, "service_area": nothing, "zone": nothing, "vendor": nothing},
    ),
    "places": Table(
        "place",
        "Place",
        _SHARED | {"name", "street1", "city", "postal_code", "country", "phone"},
    ),
    "contacts": Table(
        "contact",
        "Contact",
        _SHARED | {"internal_id", "name", "email", "phone", "type", "title"},
        {"email": _email},
    ),
    "zones": Table("zone", "Zone", _SHARED | {"name", "status"}, {"service_area": _zone_area}),
    "service-areas": Table("service_area", "ServiceArea", _SHARED | {"name", "status", "type", "country"}),
    "tracking-numbers": Table(
        "tracking_number", "TrackingNumber", _SHARED | {"tracking_number", "region"}, rows=_tracking_numbers
    ),
    "tracking-statuses": Table(
        "tracking_status",
        "TrackingStatus",
        _SHARED | {"status", "code"},
        {
            "order": _status_of_order,
            "tracking_number": _status_of_tracking_number,
            "entity": nothing,
        },
        rows=_tracking_statuses,
    ),
}
"""Lists by the name they have in paths."""
