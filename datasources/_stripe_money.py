"""Stripe's minor units, which are not always those of ISO 4217 (docs.stripe.com/currencies)."""

from __future__ import annotations

from decimal import Decimal

from core.money import from_minor, to_minor

WHOLE_IN_HUNDREDTHS = frozenset({"ISK", "UGX"})
"""They have no fractions, and are written with two decimals all the same: 5 ISK is 500."""
WITHOUT_MINOR_UNIT = frozenset({"MGA"})
"""ISO gives it two decimals, Stripe none: 500 MGA is 500."""
LAST_DIGIT_ZERO = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})
"""They have three decimals, of which card networks take two."""
LARGEST = 99_999_999
"""In minor units, of most currencies."""


def to_stripe(amount: Decimal, currency: str) -> int:
    """`amount`, in major units, as Stripe writes it.

    Raises: ValueError for what cannot be paid: nothing and less, too much, fractions that the currency lacks.
    """
    code = currency.upper()
    minor = to_minor(amount, code)
    if minor <= 0:
        raise ValueError("the amount is not above zero")
    if code in WHOLE_IN_HUNDREDTHS:
        minor *= 100
    elif code in WITHOUT_MINOR_UNIT:
        minor, fraction = divmod(minor, 100)
        if fraction:
            raise ValueError(f"{code} is paid without decimals")
    elif code in LAST_DIGIT_ZERO and minor % 10:
        raise ValueError(f"{code} is paid with two decimals at most")
    if minor > LARGEST:
        raise ValueError("the amount is too large for one payment")
    return minor


def from_stripe(minor: int, currency: str) -> Decimal:
    """What Stripe writes, in major units."""
    code = currency.upper()
    if code in WHOLE_IN_HUNDREDTHS:
        # Fractions that there cannot be would be shown rather than lost.
        whole, fraction = divmod(minor, 100)
        return Decimal(minor) / 100 if fraction else Decimal(whole)
    return from_minor(minor * 100 if code in WITHOUT_MINOR_UNIT else minor, code)
