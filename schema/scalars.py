"""Types that several domains share: money, places, and the scalars' Python sides."""

from __future__ import annotations

from decimal import Decimal
from typing import NewType

import strawberry
from starlette.datastructures import UploadFile
from strawberry.types.scalar import ScalarDefinition, scalar

from core.backends import BackendName
from core.money import CURRENCIES, written

CurrencyCode = NewType("CurrencyCode", str)
Scope = NewType("Scope", str)
Upload = NewType("Upload", UploadFile)

strawberry.enum(BackendName, description="A system behind the gateway; OMNISTACK is its own store.")

SCALARS: dict[object, ScalarDefinition] = {
    CurrencyCode: scalar(
        name="CurrencyCode", description="ISO 4217 code.", serialize=str, parse_value=lambda value: _currency(value)
    ),
    Scope: scalar(
        name="Scope",
        description="A permission such as `commerce:read`.",
        serialize=str,
        parse_value=str,
    ),
    Upload: scalar(
        name="Upload",
        description="A file of a multipart request. In the variables null stands in its place.",
        parse_value=lambda value: _upload(value),
    ),
}


def _currency(value: object) -> str:
    if not (isinstance(value, str) and value.isascii() and value.upper() in CURRENCIES):
        raise ValueError("a currency is a code of three letters of ISO 4217, such as EUR")
    return value.upper()


def _upload(value: object) -> UploadFile:
    if not isinstance(value, UploadFile):
        raise TypeError("a file comes as a part of a multipart request, and by a variable")
    return value


@strawberry.type(description="An amount in major units (12.50 is twelve and a half) with its currency.")
class Money:
    amount: Decimal
    currency: CurrencyCode


def money_of(amount: Decimal, currency: str) -> Money:
    """`currency` is a code in upper case."""
    return Money(amount=written(amount, currency), currency=CurrencyCode(currency))


@strawberry.type(description="A point on the globe, in degrees (WGS 84).")
class GeoPoint:
    latitude: float
    longitude: float


@strawberry.type(description="A postal address, with its coordinates where they are known.")
class Place:
    name: str | None
    street: str | None
    city: str | None
    postal_code: str | None
    country: str | None = strawberry.field(description="ISO 3166-1 alpha-2.")
    location: GeoPoint | None
