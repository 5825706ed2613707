"""What can happen to a delivery. Every function validates first and then writes in one transaction."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.fleetbase import geo, intake, rows
from sandbox.fleetbase.database import Database, now
from sandbox.fleetbase.errors import not_found, rejected, unsupported
from sandbox.fleetbase.quotes import purchase
from sandbox.store import Row


def find(db: Database, id: str) -> Row:
    """By public id or internal id. Raises `Refusal` (404)."""
    row = db.find("order", id)
    if row is None:
        raise not_found("Order")
    return row


def create(db: Database, body: Mapping[str, Any]) -> Row:
    """A new delivery, not yet dispatched nor its quote bought: `finish` does that after the answer."""
    stops = intake.read_stops(db, body)
    intake.validate_new(db, body, stops)
    fields = intake.plain_fields(body) | intake.couriers(db, body)
    at = now()
    with db.transaction():
        fields["customer"] = intake.customer_id(db, at, body.get("customer"))
        fields["facilitator"] = body.get("facilitator")
        fields["unfinished"] = {
            "dispatch": intake.is_true(body.get("dispatch")),
            "service_quote": body.get("service_quote"),
        }
        return db.put("order", rows.order(db, at, stops.payload(db, at), fields))


def finish(db: Database, order_id: str) -> None:
    """The background half of a create: buy the quote, dispatch. Nothing happens the second time."""
    row = db.get("order", order_id)
    if row is None or "unfinished" not in row:
        return
    todo = row["unfinished"]
    with db.transaction():
        row = {key: value for key, value in row.items() if key != "unfinished"}
        if quote := db.get("service_quote", todo["service_quote"]):
            rate = purchase(db, quote, row)
            row |= {"purchase_rate": rate, "transaction_amount": rate["amount"], "currency": rate["currency"]}
        if todo["dispatch"] and row["status"] != "canceled" and not row["dispatched"] and _may_dispatch(row):
            row = _dispatched(db, row)
        db.put("order", row)


def finish_all(db: Database) -> None:
    """What the background left undone when the process died."""
    for row in db.rows("order"):
        finish(db, row["id"])


def update(db: Database, row: Row, body: Mapping[str, Any]) -> Row:
    """PUT: driver, vehicle, customer, texts and times; `dispatch` as well."""
    if "payload" in body:
        raise unsupported("changing the payload of an order, which is defective upstream")
    if "driver" in body and body["driver"] is None:
        raise unsupported("taking the driver from an order")
    intake.validate(db, body)
    at = now()
    changed = {**row, **intake.plain_fields(body), **intake.couriers(db, body), "updated_at": at}
    dispatching = intake.is_true(body.get("dispatch")) and not row["dispatched"]
    if dispatching and not _may_dispatch(changed):
        raise rejected("No driver assigned to dispatch!")
    with db.transaction():
        if "customer" in body:
            changed["customer"] = intake.customer_id(db, at, body["customer"])
        return db.put("order", _dispatched(db, changed) if dispatching else changed)


def dispatch(db: Database, row: Row) -> Row:
    if not _may_dispatch(row):
        raise rejected("No driver assigned to dispatch!")
    if row["dispatched"]:
        raise rejected("Order has already been dispatched!")
    with db.transaction():
        return db.put("order", _dispatched(db, row))


def start(db: Database, row: Row, body: Mapping[str, Any]) -> Row:
    if row["started"]:
        raise rejected("Order has already started.")
    driver = db.get("driver", row["driver_assigned"])
    if row["adhoc"] and body.get("assign"):
        driver = db.get("driver", str(body["assign"])) or driver
    if driver is None:
        adhoc = "You must send driver to accept adhoc order."
        raise rejected(adhoc if row["adhoc"] else "No driver assigned to order.")
    if not row["dispatched"] and not body.get("skip_dispatch"):
        raise rejected("Order has not been dispatched yet and cannot be started.")
    at = now()
    assigned = {
        **row,
        "driver_assigned": driver["id"],
        "vehicle_assigned": row["vehicle_assigned"] or driver["vehicle"],
    }
    with db.transaction():
        db.put("driver", {**driver, "current_job": row["id"], "updated_at": at})
        return db.put(
            "order", rows.with_activity(db, assigned, at, "STARTED", status="started", started=True, started_at=at)
        )


def update_activity(db: Database, row: Row, body: Mapping[str, Any]) -> Row:
    """Set the status that an activity `{code, status, details}` names, and end the order if it says `complete`."""
    if row["status"] == "completed":
        raise rejected("Order is already completed.")
    activity = body.get("activity")
    if not isinstance(activity, Mapping) or not isinstance(activity.get("code"), str) or not activity["code"]:
        raise unsupported("an activity without a code")
    code = activity["code"].lower()
    if code == "dispatched" and not body.get("skip_dispatch"):
        if not _may_dispatch(row):
            raise rejected("No driver assigned for order to dispatch to.")
        with db.transaction():
            return db.put("order", _dispatched(db, row))
    if code == "dispatched":
        code = "started"
    at = now()
    status, details = rows.ACTIVITIES.get(code.upper(), (code.title(), code.title()))
    text = str(activity.get("status") or status), str(activity.get("details") or details)
    ends = code == "completed" or activity.get("complete") is True
    changes: dict[str, Any] = {"status": "completed" if ends else code}
    if row["status"] == "created" or code == "started":
        changes |= {"started": True, "started_at": row["started_at"] or at}
    with db.transaction():
        if ends:
            _release_driver(db, row, at)
        return db.put("order", rows.with_activity(db, {**row, **changes}, at, code.upper(), text=text))


def complete(db: Database, row: Row) -> Row:
    if row["payload"]["waypoints"]:
        raise rejected("Not all waypoints completed for order.")
    return _end(db, row, "COMPLETED")


def cancel(db: Database, row: Row) -> Row:
    """Whatever state the order is in, once more if it is canceled already."""
    return _end(db, row, "CANCELED")


def delete(db: Database, row: Row) -> None:
    with db.transaction():
        _release_driver(db, row, now())
        db.delete("order", row["id"])


def measure(db: Database, row: Row) -> Row:
    """The order with its distance and time computed again."""
    distance = geo.metres(*rows.points(db, row["payload"]))
    changed = {**row, "distance": distance, "time": geo.seconds(distance), "updated_at": now()}
    with db.transaction():
        return db.put("order", changed)


def _end(db: Database, row: Row, code: str) -> Row:
    at = now()
    with db.transaction():
        _release_driver(db, row, at)
        return db.put("order", rows.with_activity(db, row, at, code, status=code.lower()))


def _may_dispatch(row: Row) -> bool:
    return bool(row["driver_assigned"] or row["adhoc"])


def _dispatched(db: Database, row: Row) -> Row:
    at = now()
    return rows.with_activity(db, row, at, "DISPATCHED", status="dispatched", dispatched=True, dispatched_at=at)


def _release_driver(db: Database, row: Row, at: str) -> None:
    driver = db.get("driver", row["driver_assigned"])
    if driver and driver["current_job"] == row["id"]:
        db.put("driver", {**driver, "current_job": None, "updated_at": at})
