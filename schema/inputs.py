"""Inputs that several domains share."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TypeVar

import strawberry
from msgspec import UNSET, UnsetType

from core.address import Address
from core.errors import BadUserInput

T = TypeVar("T")

LONGEST_LINE = 200
"""Characters of one line of an address."""


def given(value: T | None) -> T | None:
    """What the caller said, and None for what they left out. An empty text is something they said."""
    return None if value is strawberry.UNSET else value


def or_as_before(value: T | None) -> T | UnsetType:
    """Of something that everything of its kind has: left out or null, it stays what it was."""
    said = given(value)
    return UNSET if said is None else said


def instant(moment: datetime | None) -> datetime | None:
    """In UTC; a time without zone is UTC already. None for what is not given.

    Raises BadUserInput for one that UTC puts before the year 1 or behind 9999.
    """
    if not isinstance(moment, datetime):
        return None
    try:
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except OverflowError as exc:
        raise BadUserInput("this time is out of range") from exc


@strawberry.input(description="A postal address.")
class AddressInput:
    name: str | None = strawberry.UNSET
    street: str
    city: str
    postal_code: str | None = strawberry.UNSET
    country: str = strawberry.field(description="ISO 3166-1 alpha-2, such as AL.")
    latitude: float | None = strawberry.UNSET
    longitude: float | None = strawberry.UNSET

    def to_address(self) -> Address:
        """Raises BadUserInput for an empty or endless line, a country that is no code, half a pair of coordinates."""
        lines = {"street": self.street, "city": self.city, "name": self.name, "postalCode": self.postal_code}
        for line, text in lines.items():
            if isinstance(text, str) and len(text) > LONGEST_LINE:
                raise BadUserInput(f"`{line}` has at most {LONGEST_LINE} characters")
            if line in ("street", "city") and not (text or "").strip():
                raise BadUserInput(f"`{line}` is empty")
        country = self.country.strip().upper()
        if not (len(country) == 2 and country.isascii() and country.isalpha()):
            raise BadUserInput("`country` is a code of two letters, such as AL")
        latitude = self.latitude if isinstance(self.latitude, float) else None
        longitude = self.longitude if isinstance(self.longitude, float) else None
        if (latitude is None) != (longitude is None):
            raise BadUserInput("`latitude` and `longitude` come together")
        if latitude is not None and longitude is not None and not (abs(latitude) <= 90 and abs(longitude) <= 180):
            raise BadUserInput("`latitude` and `longitude` are degrees")
        return Address(
            name=self.name or None,
            street=self.street,
            city=self.city,
            postal_code=self.postal_code or None,
            country=country,
            latitude=latitude,
            longitude=longitude,
        )


@strawberry.input(description="So many of one product variant.")
class LineItemInput:
    variant_id: strawberry.ID
    quantity: int = 1
