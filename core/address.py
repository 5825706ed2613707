"""A postal address between the layers; each datasource writes it in its backend's words."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Address:
    """`country` is ISO 3166-1 alpha-2, upper-case; coordinates are degrees (WGS 84), both or neither."""

    street: str
    city: str
    country: str
    name: str | None = None
    postal_code: str | None = None
    phone: str | None = None
    latitude: float | None = None
    longitude: float | None = None
