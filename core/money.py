"""Money between major units, as the gateway holds it, and the minor units of ISO 4217, as payment wires write it."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

MINOR_UNIT_EXPONENTS: Mapping[str, int] = {
    **dict.fromkeys("BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF".split(), 0),
    **dict.fromkeys("BHD IQD JOD KWD LYD OMR TND".split(), 3),
    **dict.fromkeys("CLF UYW".split(), 4),
}
"""Decimal places of the currencies that have not two (ISO 4217, list one)."""

CURRENCIES = frozenset(
    "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE "
    "CHF CHW CLF CLP CNY COP COU CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ "
    "GYD HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL "
    "LYD MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR "
    "PLN PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY "
    "TTD TWD TZS UAH UGX USD USN UYI UYU UYW UZS VED VES VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW ZWG".split()
)
"""The codes that money is paid in (ISO 4217, list one, without metals, funds of banks and codes for tests)."""

LARGEST_EXPONENT = 27
"""Of ten: no sum of money is that large, and converting a larger power would cost more than an answer is worth."""


def exponent(currency: str) -> int:
    """How many decimal places `currency` (three letters, any case) has. Raises: ValueError for what is no code."""
    if len(currency) != 3 or not currency.isascii() or not currency.isalpha():
        raise ValueError(f"{currency!r} is no ISO 4217 currency code")
    return MINOR_UNIT_EXPONENTS.get(currency.upper(), 2)


def to_minor(amount: Decimal, currency: str) -> int:
    """`amount` in minor units, exactly: 10.99 EUR is 1099, 1099 JPY is 1099.

    Raises: ValueError when `amount` has more decimals than the currency, is not finite or absurdly large.
    """
    places = exponent(currency)
    if not amount.is_finite():
        raise ValueError(f"{amount} is no amount of money")
    sign, digits, power = amount.as_tuple()
    coefficient = int("".join(map(str, digits)))
    if coefficient == 0:
        return 0
    if amount.adjusted() > LARGEST_EXPONENT:
        raise ValueError("the amount is too large")
    shift = int(power) + places
    # A coefficient cannot be divided by a power of ten that is longer than itself, and such a power may be huge.
    if shift < -len(digits):
        raise _too_fine(amount, currency, places)
    scale: int = 10 ** abs(shift)
    minor, rest = (coefficient * scale, 0) if shift >= 0 else divmod(coefficient, scale)
    if rest:
        raise _too_fine(amount, currency, places)
    return -minor if sign else minor


def from_minor(amount: int, currency: str) -> Decimal:
    """Minor units as major ones, with all the currency's decimals: 1000 EUR cents is 10.00."""
    digits = tuple(int(digit) for digit in str(abs(amount)))
    return Decimal((int(amount < 0), digits, -exponent(currency)))


def written(amount: Decimal, currency: str) -> Decimal:
    """The same amount with the currency's decimals, and more only where it has more: 5 EUR is 5.00, 19.0281 stays.

    Backends write one sum in many ways (29737, 29737.0); callers see one.
    """
    exact = amount.normalize()
    _, _, power = exact.as_tuple()
    places = exponent(currency)
    return exact if isinstance(power, int) and -power > places else exact.quantize(Decimal(1).scaleb(-places))


def _too_fine(amount: Decimal, currency: str, places: int) -> ValueError:
    return ValueError(f"{amount} has more than the {places} decimals of {currency.upper()}")
