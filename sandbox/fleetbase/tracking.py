"""Where a delivery is and when it will arrive, by straight lines instead of a routing engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from sandbox.fleetbase import geo, rows
from sandbox.fleetbase.database import Database
from sandbox.store import Row

_MODES = {"dispatched": "dispatched", "completed": "completed", "canceled": "canceled"}
_MESSAGES = {
    "unassigned": "Waiting for a driver",
    "pre_start": "Not started yet",
    "dispatched": "Sent to the driver",
    "active": "On the way",
    "completed": "Delivered",
    "canceled": "Canceled",
}


def tracker(db: Database, order: Row) -> dict[str, Any]:
    journey = _Journey.of(db, order)
    return {
        "provider": "osrm",
        "fallback_provider": None,
        "generated_at": _second(datetime.now(UTC)),
        "confidence": journey.confidence,
        "warnings": [],
        "driver": journey.driver_part(),
        "progress": journey.progress(),
        "lifecycle": journey.lifecycle(),
        "stops": journey.stops,
        "active_stop": journey.stop(journey.completed_stops),
        "next_stop": journey.stop(journey.completed_stops + 1),
        "route": {
            "distance_m": journey.remaining_m,
            "duration_s": geo.seconds(journey.remaining_m),
            "duration_in_traffic_s": None,
            "polyline": None,
            "coordinates": [],
            "legs": [],
        },
        "eta": journey.eta(),
        "insights": {"is_delayed": False, "delay_seconds": 0, "is_location_stale": False, "is_off_route": False},
        "capabilities": {},
    }


def legacy_tracker(db: Database, order: Row) -> dict[str, Any]:
    """The flat shape of older servers."""
    journey = _Journey.of(db, order)
    eta = journey.eta()
    places = [db.get("place", stop["public_id"]) for stop in journey.stops]
    remaining = places[journey.completed_stops :]
    return {
        "driver_current_location": journey.driver["location"] if journey.driver else None,
        "progress_percentage": journey.progress()["percentage"],
        "total_distance": order["distance"],
        "completed_distance": journey.progress()["completed_distance_m"],
        "current_destination_eta": eta["active_stop_seconds"],
        "completion_eta": eta["completion_seconds"],
        "estimated_completion_time": eta["completion_at"],
        "start_time": order["started_at"],
        "current_destination": remaining[0] if remaining else None,
        "next_destination": remaining[1] if len(remaining) > 1 else None,
        "first_waypoint_completed": journey.completed_stops > 0,
    }


def eta(db: Database, order: Row) -> dict[str, Any]:
    journey = _Journey.of(db, order)
    return {
        **journey.eta(),
        "provider": "osrm",
        "confidence": journey.confidence,
        "lifecycle": journey.lifecycle(),
        "warnings": [],
    }


@dataclass(frozen=True)
class _Journey:
    order: Row
    driver: Row | None
    stops: list[dict[str, Any]]
    mode: str
    completed_stops: int
    legs_m: list[int]
    """Ways still to go: to the active stop first, then from stop to stop."""

    @classmethod
    def of(cls, db: Database, order: Row) -> _Journey:
        driver = db.get("driver", order["driver_assigned"])
        way = rows.points(db, order["payload"])
        assigned = "pre_start" if driver else "unassigned"
        mode = _MODES.get(order["status"], assigned if order["status"] == "created" else "active")
        done = {"active": 1, "completed": len(way)}.get(mode, 0)
        here = geo.from_geojson(driver["location"]) if driver else way[0]
        ahead = [] if mode == "canceled" else way[done:]
        legs = [geo.metres(a, b) for a, b in zip([here, *ahead], ahead, strict=False)]
        return cls(order, driver, _stops(db, order, done), mode, done, legs)

    @property
    def remaining_m(self) -> int:
        return sum(self.legs_m)

    @property
    def confidence(self) -> str:
        return "high" if self.driver else "low"

    @property
    def ended(self) -> bool:
        return self.mode in ("completed", "canceled")

    def stop(self, index: int) -> dict[str, str] | None:
        if self.ended or index >= len(self.stops):
            return None
        return {"public_id": self.stops[index]["public_id"]}

    def driver_part(self) -> dict[str, Any] | None:
        if self.driver is None:
            return None
        age = datetime.now(UTC) - datetime.fromisoformat(self.driver["updated_at"])
        return {
            "location": self.driver["location"],
            "location_age_seconds": max(0, round(age.total_seconds())),
            "online": self.driver["online"],
        }

    def progress(self) -> dict[str, int]:
        total = max(self.order["distance"], 1)
        covered = max(total - self.remaining_m, 0) if self.mode == "active" else 0
        if self.mode == "completed":
            covered = total
        return {
            "percentage": round(100 * covered / total),
            "completed_stops": self.completed_stops,
            "remaining_stops": len(self.stops) - self.completed_stops,
            "total_stops": len(self.stops),
            "completed_distance_m": covered,
            "remaining_distance_m": self.remaining_m,
        }

    def lifecycle(self) -> dict[str, Any]:
        return {
            "status": self.order["status"],
            "mode": self.mode,
            "message": _MESSAGES[self.mode],
            "is_terminal": self.ended,
            "has_started": bool(self.order["started"]),
            "show_live_eta": self.mode == "active",
            "show_start_eta": self.mode in ("pre_start", "dispatched"),
        }

    def eta(self) -> Mapping[str, Any]:
        """Seconds from now; null once the order has ended or while nobody drives."""
        if self.ended or self.driver is None:
            return dict.fromkeys(_ETA)
        first, last = geo.seconds(self.legs_m[0]), geo.seconds(self.remaining_m)
        start = first if self.mode != "active" else None
        moment = datetime.now(UTC)
        values = (first, last, start)
        times = [None if value is None else _second(moment + timedelta(seconds=value)) for value in values]
        return dict(zip(_ETA, (first, last, times[0], times[1], start, times[2]), strict=True))


_ETA = ("active_stop_seconds", "completion_seconds", "active_stop_at", "completion_at", "start_seconds", "start_at")


def _stops(db: Database, order: Row, done: int) -> list[dict[str, Any]]:
    payload = order["payload"]
    named = [("pickup", payload["pickup"]), *(("waypoint", stop) for stop in payload["waypoints"])]
    named += [("dropoff", payload["dropoff"]), ("return", payload["return"])]
    known = [(role, place) for role, place_id in named if (place := db.get("place", place_id))]
    code = order["tracking_statuses"][-1]["code"]
    return [_stop(role, place, index, done, code) for index, (role, place) in enumerate(known)]


def _stop(role: str, place: Row, index: int, done: int, code: str) -> dict[str, Any]:
    point = geo.from_geojson(place["location"])
    return {
        "uuid": str(uuid5(NAMESPACE_URL, place["id"])),
        "public_id": place["id"],
        "type": role,
        "status": "COMPLETED" if index < done else code,
        "completed": index < done,
        "sequence": index + 1,
        "tracking_number_uuid": None,
        "address": place["address"],
        "name": place["name"],
        "location": place["location"],
        "latitude": point.latitude,
        "longitude": point.longitude,
    }


def _second(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")
