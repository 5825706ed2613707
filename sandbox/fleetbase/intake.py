"""What a request about an order says, and whether it may say so.

Places come by id, by address, by coordinates, or field by field.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sandbox.fleetbase import geo, rows
from sandbox.fleetbase.database import Database, iso
from sandbox.fleetbase.errors import invalid, rejected
from sandbox.store import Row

POD_METHODS = ("scan", "signature", "photo")
_PLAIN = ("internal_id", "notes", "meta", "status", "adhoc_distance", "pod_method")
_FLAGS = ("adhoc", "pod_required")


@dataclass(frozen=True)
class Stops:
    """The places and goods of a request, which stand in its body or in a `payload` inside it."""

    places: dict[str, Any]
    waypoints: Any
    entities: Any
    prefix: str
    """What the names of the fields begin with in messages."""
    existing: Row | None
    """The payload that the caller named by its id."""

    def payload(self, db: Database, at: str) -> Row:
        """The payload, with its places written if they are new."""
        if self.existing:
            return self.existing
        ends = {key: resolve_place(db, at, value)["id"] for key, value in self.places.items()}
        waypoints = [resolve_place(db, at, value)["id"] for value in self.waypoints or ()]
        return rows.payload(db, at, ends, waypoints, [rows.entity(db, at, each) for each in self.entities or ()])

    def problems(self, db: Database) -> list[str]:
        if self.existing:
            return []
        return [*self._missing(), *self._unknown(db)]

    def _missing(self) -> list[str]:
        absent = [key for key in ("pickup", "dropoff") if key not in self.places]
        if self.waypoints is None:
            return [f"The {self.prefix}{key} field is required." for key in absent]
        if not isinstance(self.waypoints, list):
            return [f"The {self.prefix}waypoints field must be an array."]
        if absent and len(self.waypoints) < 2:
            return [f"The {self.prefix}waypoints field must have at least 2 items."]
        return []

    def _unknown(self, db: Database) -> list[str]:
        waypoints = self.waypoints if isinstance(self.waypoints, list) else []
        stops = [*self.places.items(), *(("waypoints", each) for each in waypoints)]
        found = [f"The selected {self.prefix}{key} is invalid." for key, stop in stops if names_no_place(db, stop)]
        if self.entities is not None and not _is_list_of_objects(self.entities):
            found.append(f"The {self.prefix}entities field must be an array.")
        return found


def read_stops(db: Database, body: Mapping[str, Any]) -> Stops:
    inner = body.get("payload")
    source = inner if isinstance(inner, Mapping) else body
    payloads = (row["payload"] for row in db.rows("order")) if isinstance(inner, str) else ()
    return Stops(
        places={
            key: source[key] for key in ("pickup", "dropoff", "return") if source.get(key) not in (None, "", [], {})
        },
        waypoints=source.get("waypoints"),
        entities=source.get("entities"),
        prefix="payload." if source is inner else "",
        existing=next((payload for payload in payloads if payload["id"] == inner), None),
    )


def plain_fields(body: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that are kept as they came; null counts as absent."""
    given = {key: value for key, value in body.items() if value is not None}
    fields = {key: given[key] for key in _PLAIN if key in given}
    fields |= {key: is_true(given[key]) for key in _FLAGS if key in given}
    if "scheduled_at" in given:
        fields["scheduled_at"] = iso(_moment(given["scheduled_at"]))
    return fields


def couriers(db: Database, body: Mapping[str, Any]) -> dict[str, Any]:
    """Driver and vehicle: a driver brings their own vehicle unless another is named."""
    driver, vehicle = db.get("driver", body.get("driver")), db.get("vehicle", body.get("vehicle"))
    fields = {"driver_assigned": driver["id"], "vehicle_assigned": driver["vehicle"]} if driver else {}
    return {**fields, "vehicle_assigned": vehicle["id"]} if vehicle else fields


def customer_id(db: Database, at: str, value: Any) -> str | None:
    """The contact with this id, else with this e-mail, else a new one."""
    if not isinstance(value, Mapping):
        return value if isinstance(value, str) else None
    email = str(value["email"]).casefold()
    for contact in db.rows("contact"):
        if str(contact["email"]).casefold() == email:
            return str(contact["id"])
    return str(db.put("contact", rows.contact(db, at, {**value, "type": "customer"}))["id"])


def contact_named(db: Database, name: str, email: str | None) -> Row | None:
    """The oldest contact of this name and address, in any case."""
    wanted = (name.casefold(), (email or "").casefold())
    named = ((str(row["name"]).casefold(), (row["email"] or "").casefold(), row) for row in db.rows("contact"))
    return next((row for *key, row in named if tuple(key) == wanted), None)


def place_called(db: Database, name: Any, street: Any) -> Row | None:
    """The oldest place of this name and street, in any case."""
    wanted = (str(name).casefold(), str(street).casefold())
    called = ((str(row["name"]).casefold(), str(row["street1"]).casefold(), row) for row in db.rows("place"))
    return next((row for *key, row in called if tuple(key) == wanted), None)


def validate_new(db: Database, body: Mapping[str, Any], stops: Stops) -> None:
    """Raises `Refusal`: 422 by the rules of a create, 400 for an unknown type of order."""
    if isinstance(body.get("payload"), str) and not stops.existing:
        raise invalid(["The selected payload is invalid."])
    validate(db, body, stops.problems(db))
    config = body.get("order_config") or rows.ORDER_CONFIG
    if (body.get("type") or rows.ORDER_TYPE) != rows.ORDER_TYPE or config not in (rows.ORDER_CONFIG, rows.ORDER_TYPE):
        raise rejected("Invalid order `type` or `order_config` provided.")


def validate(db: Database, body: Mapping[str, Any], problems: list[str] | None = None) -> None:
    """Raises `Refusal` (422) naming `problems`, then every rule that the fields of an order break."""
    found = list(problems or ())
    found += [
        f"The {name} field must be {wanted}."
        for key, name, wanted, test in _TYPES
        if body.get(key) is not None and not test(body[key])
    ]
    for key, kind in (("driver", "driver"), ("service_quote", "service_quote"), ("facilitator", "contact")):
        if body.get(key) is not None and not (isinstance(body[key], str) and db.get(kind, body[key])):
            found.append(f"The selected {key.replace('_', ' ')} is invalid.")
    if body.get("purchase_rate") is not None:
        found.append("The selected purchase rate is invalid.")
    found += _customer_problems(db, body.get("customer"))
    method = body.get("pod_method")
    if is_true(body.get("pod_required")) and not method:
        found.append("The proof of delivery method field is required.")
    elif method and method not in POD_METHODS:
        found.append("The selected proof of delivery method is invalid.")
    if found:
        raise invalid(found)


def is_true(value: object) -> bool:
    return value in (True, 1, "1", "true")


def is_email(value: object) -> bool:
    return isinstance(value, str) and "@" in value.strip("@")


def _customer_problems(db: Database, value: Any) -> list[str]:
    if value is None or (isinstance(value, str) and db.get("contact", value)):
        return []
    if not isinstance(value, Mapping):
        return ["The selected customer is invalid."]
    return [] if is_email(value.get("email")) else ["The customer.email field is required."]


def _moment(text: str) -> datetime:
    """A time without zone is UTC."""
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _is_date(value: object) -> bool:
    try:
        return isinstance(value, str) and bool(_moment(value))
    except ValueError:
        return False


def _is_boolean(value: object) -> bool:
    return isinstance(value, bool) or value in (0, 1, "0", "1")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_object(value: object) -> bool:
    return isinstance(value, Mapping)


def _is_list_of_objects(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, Mapping) for each in value)


_TYPES: tuple[tuple[str, str, str, Callable[[object], bool]], ...] = (
    ("adhoc", "adhoc", "true or false", _is_boolean),
    ("dispatch", "dispatch", "true or false", _is_boolean),
    ("pod_required", "proof of delivery required", "true or false", _is_boolean),
    ("adhoc_distance", "adhoc distance", "a number", _is_number),
    ("scheduled_at", "scheduled at", "a valid date", _is_date),
    ("status", "status", "a string", _is_text),
    ("type", "type", "a string", _is_text),
    ("vehicle", "vehicle", "a string", _is_text),
    ("internal_id", "internal id", "a string", _is_text),
    ("notes", "notes", "a string", _is_text),
    ("meta", "meta", "an array", _is_object),
)


def names_no_place(db: Database, value: object) -> bool:
    """Whether it is an id that no place has, or no kind of place at all."""
    if isinstance(value, str):
        return value.startswith("place_") and db.get("place", value) is None
    return not isinstance(value, Mapping) and geo.parse_point(value) is None


def resolve_place(db: Database, at: str, value: Any) -> Row:
    """The place itself, or a new one. An address without coordinates is geocoded, to Tirana."""
    if isinstance(value, str) and (known := db.get("place", value)):
        return known
    point = geo.parse_point(value)
    if isinstance(value, Mapping) and value.get("type") != "Point":
        point = geo.parse_point(value.get("location")) or point
        return db.put("place", rows.place(db, at, point or geo.geocode(address_of(value)), value))
    if point:
        return db.put("place", rows.place(db, at, point, {"name": None}))
    return db.put("place", rows.place(db, at, geo.geocode(value), {"name": value, "city": "Tirana"}))


def address_of(fields: Mapping[str, Any]) -> str:
    """What is looked up of a place: its name only where it has nothing else."""
    known = [str(fields[key]) for key in ("street1", "postal_code", "city") if fields.get(key)]
    return ", ".join(known) or str(fields.get("name") or "")
