"""Amounts as Stripe counts them."""

from __future__ import annotations

from decimal import Decimal

import pytest

from datasources.stripe import from_stripe, to_stripe


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [
        ("10.99", "EUR", 1099),
        ("1099", "JPY", 1099),
        ("5", "ISK", 500),
        ("5", "ugx", 500),
        ("500", "MGA", 500),
        ("5.12", "KWD", 5120),
        ("999999.99", "USD", 99_999_999),
    ],
)
def test_an_amount_comes_back_as_it_went(amount: str, currency: str, minor: int) -> None:
    assert to_stripe(Decimal(amount), currency) == minor
    assert from_stripe(minor, currency) == Decimal(amount)


@pytest.mark.parametrize(
    ("amount", "currency", "told"),
    [
        ("0", "EUR", "above zero"),
        ("-1", "EUR", "above zero"),
        ("1.005", "EUR", "decimals"),
        ("5.5", "ISK", "decimals"),
        ("1.5", "MGA", "without decimals"),
        ("5.124", "KWD", "two decimals"),
        ("1000000", "EUR", "too large"),
        ("1000000", "ISK", "too large"),
        ("1e999999", "EUR", "too large"),
        ("NaN", "EUR", "no amount"),
        ("1", "EURO", "no ISO 4217"),
    ],
)
def test_what_cannot_be_paid_is_refused(amount: str, currency: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        to_stripe(Decimal(amount), currency)


def test_fractions_that_there_cannot_be_are_shown_rather_than_lost() -> None:
    assert from_stripe(550, "ISK") == Decimal("5.5")
