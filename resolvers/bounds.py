"""How long, how large and of what shape the values in inputs may be. Every check names its field."""

from __future__ import annotations

import re
from collections.abc import Sized
from decimal import Decimal

from core.errors import BadUserInput
from core.money import CURRENCIES

LONGEST_NAME, LONGEST_CODE, LONGEST_EXTERNAL_ID = 200, 32, 128
_CODE = re.compile(r"[A-Za-z0-9_-]+")


def checked_text(field: str, value: str, longest: int) -> str:
    """The value without blanks around it. Raises BadUserInput when nothing is left, it is too long or no text."""
    stripped = value.strip()
    if not stripped:
        raise BadUserInput(f"`{field}` is empty")
    if len(stripped) > longest:
        raise BadUserInput(f"`{field}` has at most {longest} characters")
    if not stripped.isprintable():
        raise BadUserInput(f"`{field}` holds a character that cannot be shown")
    return stripped


def check_long_text(field: str, value: str, longest: int) -> None:
    """Text of any number of lines, blanks around it included. Raises BadUserInput when it is too long or no text."""
    if len(value) > longest:
        raise BadUserInput(f"`{field}` has at most {longest} characters")
    if "\0" in value or any("\ud800" <= char <= "\udfff" for char in value):
        raise BadUserInput(f"`{field}` holds a character that is none")


def check_length(field: str, values: Sized | None, most: int) -> None:
    """Raises BadUserInput for a list of more than `most`."""
    if values is not None and len(values) > most:
        raise BadUserInput(f"`{field}` holds at most {most}, not {len(values)}")


def checked_name(field: str, value: str) -> str:
    return checked_text(field, value, LONGEST_NAME)


def checked_external_id(field: str, value: str) -> str:
    return checked_text(field, value, LONGEST_EXTERNAL_ID)


def checked_code(field: str, value: str) -> str:
    """Raises BadUserInput for anything but 1 to 32 letters, digits, `_` and `-` of ASCII."""
    if len(value) > LONGEST_CODE or not _CODE.fullmatch(value):
        raise BadUserInput(f"`{field}` is 1 to {LONGEST_CODE} of A-Z, a-z, 0-9, `_` and `-`")
    return value


def checked_currency(field: str, value: str) -> str:
    if value not in CURRENCIES:
        raise BadUserInput(f"`{field}` is a code of ISO 4217, such as EUR")
    return value


def checked_decimal(field: str, value: Decimal, *, largest: Decimal, places: int) -> Decimal:
    """A number from 0 to `largest` in its shortest form without exponent: equal numbers are equal texts.

    Raises BadUserInput outside of that, and for more than so many decimal places.
    """
    if not value.is_finite() or not 0 <= value <= largest:
        raise BadUserInput(f"`{field}` is a number from 0 to {largest}")
    if value != (rounded := value.quantize(Decimal(1).scaleb(-places))):
        raise BadUserInput(f"`{field}` has at most {places} decimal places")
    return Decimal(format((rounded + 0).normalize(), "f"))
