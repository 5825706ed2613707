"""Minor and major units of currencies."""

from __future__ import annotations

from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.money import exponent, from_minor, to_minor, written

CURRENCIES = st.sampled_from(["EUR", "ALL", "JPY", "KRW", "BHD", "KWD", "CLF", "usd"])
MINOR = st.integers(min_value=-(10**24), max_value=10**24)


@pytest.mark.parametrize(
    ("amount", "currency", "minor"),
    [
        ("10.99", "EUR", 1099),
        ("10.9", "eur", 1090),
        ("1099", "JPY", 1099),
        ("1099.00", "JPY", 1099),
        ("1.234", "KWD", 1234),
        ("0.0001", "CLF", 1),
        ("1.5E+3", "ALL", 150_000),
        ("-0.05", "USD", -5),
        ("0E-9", "JPY", 0),
    ],
)
def test_an_amount_becomes_the_minor_units_of_its_currency(amount: str, currency: str, minor: int) -> None:
    assert to_minor(Decimal(amount), currency) == minor


@pytest.mark.parametrize(
    ("amount", "currency"),
    [("10.999", "EUR"), ("0.5", "JPY"), ("1.2345", "BHD"), ("5", "XX"), ("5", "EURO"), ("5", "€€€"), ("5", "E1R")],
)
def test_what_cannot_be_said_in_a_currency_is_refused(amount: str, currency: str) -> None:
    with pytest.raises(ValueError):
        to_minor(Decimal(amount), currency)


@pytest.mark.parametrize("amount", ["NaN", "sNaN", "Infinity", "-Infinity", "1E+999999999", "1E-999999999"])
def test_numbers_that_are_no_money_are_refused_without_computing_them(amount: str) -> None:
    with localcontext(Emax=999_999_999_999, Emin=-999_999_999_999), pytest.raises(ValueError):
        to_minor(Decimal(amount), "EUR")


@given(MINOR, CURRENCIES)
def test_minor_units_survive_the_way_there_and_back(minor: int, currency: str) -> None:
    assert to_minor(from_minor(minor, currency), currency) == minor


@given(MINOR, CURRENCIES)
def test_major_units_show_every_decimal_of_the_currency(minor: int, currency: str) -> None:
    assert from_minor(minor, currency).as_tuple().exponent == -exponent(currency)


@given(MINOR, st.integers(min_value=1, max_value=9), st.integers(min_value=1, max_value=40), CURRENCIES)
def test_a_digit_beyond_the_last_decimal_is_never_rounded_away(
    minor: int, digit: int, beyond: int, currency: str
) -> None:
    amount = Decimal(
        f"{from_minor(abs(minor), currency):f}" + ("." if exponent(currency) == 0 else "") + f"{digit:0{beyond}d}"
    )
    with pytest.raises(ValueError):
        to_minor(amount, currency)


@given(MINOR, CURRENCIES)
def test_the_surrounding_decimal_context_makes_no_difference(minor: int, currency: str) -> None:
    with localcontext(prec=1):
        assert to_minor(from_minor(minor, currency), currency) == minor


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [
        ("29737.0", "ALL", "29737.00"),
        ("29737", "ALL", "29737.00"),
        ("3E+2", "EUR", "300.00"),
        ("19.0281", "EUR", "19.0281"),
        ("12.50", "EUR", "12.50"),
        ("1099.0", "JPY", "1099"),
        ("-0.0", "EUR", "-0.00"),
    ],
)
def test_one_sum_is_written_in_one_way(amount: str, currency: str, shown: str) -> None:
    assert str(written(Decimal(amount), currency)) == shown
