"""Places as callers name them: by id, by address, by coordinates, or field by field."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.fleetbase import geo, rows
from sandbox.fleetbase.database import Database
from sandbox.store import Row


def names_nothing(db: Database, value: object) -> bool:
    """Whether it is an id that no place has, or no kind of place at all."""
    if isinstance(value, str):
        return value.startswith("place_") and db.get("place", value) is None
    return not isinstance(value, Mapping) and geo.parse_point(value) is None


def resolve(db: Database, at: str, value: Any) -> Row:
    """The place itself, or a new one. An address without coordinates is geocoded, to Tirana."""
    if isinstance(value, str) and (known := db.get("place", value)):
        return known
    point = geo.parse_point(value)
    if isinstance(value, Mapping) and value.get("type") != "Point":
        point = geo.parse_point(value.get("location")) or point
        return db.put("place", rows.place(db, at, point or geo.geocode(_address(value)), value))
    if point:
        return db.put("place", rows.place(db, at, point, {"name": None}))
    return db.put("place", rows.place(db, at, geo.geocode(value), {"name": value, "city": "Tirana"}))


def _address(fields: Mapping[str, Any]) -> str:
    return ", ".join(str(fields[key]) for key in ("street1", "postal_code", "city", "name") if fields.get(key))
