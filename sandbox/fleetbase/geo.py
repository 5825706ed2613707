"""Points on the map, and stand-ins for the geocoder and the routing engine."""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from sandbox.world import TIRANA

EARTH_RADIUS_M = 6_371_000
SPEED_M_PER_S = 8.0
"""A van in town."""


@dataclass(frozen=True)
class Point:
    latitude: float
    longitude: float

    def geojson(self) -> dict[str, Any]:
        """Longitude first."""
        return {"type": "Point", "coordinates": [self.longitude, self.latitude]}

    def moved(self, north: float, east: float) -> Point:
        """The point so many degrees away."""
        return Point(round(self.latitude + north, 6), round(self.longitude + east, 6))


ORIGIN = Point(0.0, 0.0)
CENTRE = Point(*TIRANA)


def parse_point(value: object) -> Point | None:
    """What Fleetbase accepts as a location: GeoJSON, `"lat,lng"`, `[lat, lng]`. None: it is none of them."""
    latitude: Any
    longitude: Any
    try:
        match value:
            case {"type": "Point", "coordinates": [longitude, latitude]}:
                pass
            case {"latitude": latitude, "longitude": longitude}:
                pass
            case [latitude, longitude]:
                pass
            case str():
                latitude, longitude = value.split(",")
            case _:
                return None
        point = Point(float(latitude), float(longitude))
    except (TypeError, ValueError):
        return None
    return point if abs(point.latitude) <= 90 and abs(point.longitude) <= 180 else None


def from_geojson(value: dict[str, Any]) -> Point:
    longitude, latitude = value["coordinates"]
    return Point(latitude, longitude)


def geocode(address: str) -> Point:
    """A point in Tirana, always the same for the same address."""
    digest = zlib.crc32(address.casefold().encode())
    return CENTRE.moved((digest % 401 - 200) / 10_000, (digest // 401 % 401 - 200) / 10_000)


def metres(*stops: Point) -> int:
    """Great-circle length of a way through the stops."""
    return round(sum(_haversine(a, b) for a, b in pairwise(stops)))


def seconds(distance_m: int) -> int:
    return round(distance_m / SPEED_M_PER_S)


def _haversine(a: Point, b: Point) -> float:
    north, south = math.radians(a.latitude), math.radians(b.latitude)
    half_height = math.sin((south - north) / 2) ** 2
    half_width = math.sin(math.radians(b.longitude - a.longitude) / 2) ** 2
    return 2 * EARTH_RADIUS_M * math.asin(math.sqrt(half_height + math.cos(north) * math.cos(south) * half_width))
