"""Prices of deliveries. Asking for quotes writes them, even though it is a GET."""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.fleetbase import geo, intake
from sandbox.fleetbase.database import Database, now
from sandbox.fleetbase.errors import invalid, not_found, unsupported
from sandbox.fleetbase.queries import Query
from sandbox.fleetbase.rows import CURRENCY, points, stamps
from sandbox.store import Row
from sandbox.world import short


@dataclass(frozen=True)
class _Rate:
    """Amounts in minor units."""

    id: str
    name: str
    service_type: str
    base_fee: int
    per_km: int


_RATES = (
    _Rate(short("service", 1), "City standard", "standard", 150, 40),
    _Rate(short("service", 2), "City express", "express", 300, 75),
)


def create(db: Database, query: Query) -> list[Row]:
    """One new quote per matching rate, the cheapest first. Raises `Refusal` (422) when the stops are not clear."""
    if query.text("facilitator"):
        raise unsupported("quotes of a facilitator")
    stops = _stops(db, query)
    distance = query.integer("distance", geo.metres(*stops))
    at = now()
    with db.transaction():
        request_id = db.new_id("request")
        quotes = [_quote(db, at, rate, distance, request_id) for rate in _RATES if _matches(rate, query)]
        return [db.put("service_quote", quote) for quote in quotes]


def read(db: Database, id: str) -> Row:
    """Raises `Refusal` (404)."""
    quote = db.get("service_quote", id)
    if quote is None:
        raise not_found("ServiceQuote")
    return quote


def purchase(db: Database, quote: Row, order: Row) -> Row:
    """The purchase rate that binds a quote to an order; it is kept in the order."""
    return {
        "id": db.new_id("rate"),
        "service_quote": quote["id"],
        "order": order["id"],
        "customer": order["customer"],
        "transaction": None,
        "amount": quote["amount"],
        "currency": quote["currency"],
        "status": "created",
        **stamps(now()),
    }


def _stops(db: Database, query: Query) -> list[geo.Point]:
    if payload_id := query.text("payload"):
        for order in db.rows("order"):
            if order["payload"]["id"] == payload_id:
                return points(db, order["payload"])
        raise invalid(["The selected payload is invalid."])
    waypoints = query.values("waypoints") if query.is_list("waypoints") else []
    missing = [key for key in ("pickup", "dropoff") if not query.text(key)] if len(waypoints) < 2 else []
    if missing:
        raise invalid([f"The {key} field is required." for key in missing])
    named = [
        ("pickup", query.text("pickup")),
        *(("waypoints", each) for each in waypoints),
        ("dropoff", query.text("dropoff")),
    ]
    return [_point(db, key, value) for key, value in named if value]


def _point(db: Database, key: str, value: str) -> geo.Point:
    place = db.get("place", value)
    point = geo.from_geojson(place["location"]) if place else geo.parse_point(value)
    if point is None or intake.names_no_place(db, value):
        raise invalid([f"The selected {key} is invalid."])
    return point


def _matches(rate: _Rate, query: Query) -> bool:
    """Without a payload, `service` is compared with an internal uuid and `currency` with a boolean: no rate fits."""
    if not query.text("payload") and (query.text("service") or query.text("currency")):
        return False
    return (
        query.text("service") in (None, rate.id)
        and query.text("service_type") in (None, rate.service_type)
        and query.text("currency") in (None, CURRENCY)
    )


def _quote(db: Database, at: str, rate: _Rate, distance_m: int, request_id: str) -> Row:
    service_fee = round(distance_m * rate.per_km / 1000)
    lines = (("Base Fee", "BASE_FEE", rate.base_fee), ("Service Fee", "SERVICE_FEE", service_fee))
    return {
        "id": db.new_id("quote"),
        "service_rate_name": rate.name,
        "service_name": rate.name,
        "service_rate": rate.id,
        "facilitator": None,
        "items": [
            {"id": None, "amount": amount, "currency": CURRENCY, "details": details, "code": code}
            for details, code, amount in lines
        ],
        "request_id": request_id,
        "amount": rate.base_fee + service_fee,
        "currency": CURRENCY,
        "meta": {},
        **stamps(at),
    }
