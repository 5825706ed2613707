"""Currencies that can be charged, and the bounds of an amount."""

from __future__ import annotations

from collections.abc import Mapping

from sandbox.stripe.errors import invalid
from sandbox.stripe.forms import Raw

CURRENCIES = frozenset(
    "aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bhd bif bmd bnd bob brl bsd bwp byn bzd cad cdf "
    "chf clp cny cop crc cve czk djf dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gnf gtq gyd hkd hnl htg "
    "huf idr ils inr isk jmd jod jpy kes kgs khr kmf krw kwd kyd kzt lak lbp lkr lrd lsl mad mdl mga mkd mmk "
    "mnt mop mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd omr pab pen pgk php pkr pln pyg qar ron rsd rub "
    "rwf sar sbd scr sek sgd shp sle sos srd std szl thb tjs tnd top try ttd twd tzs uah ugx usd uyu uzs vnd "
    "vuv wst xaf xcd xof xpf yer zar zmw".split()
)
LEAST: Mapping[str, int] = {
    "aed": 200, "aud": 50, "bgn": 100, "brl": 50, "cad": 50, "chf": 50, "czk": 1500, "dkk": 250, "eur": 50, "gbp": 30,
    "hkd": 400, "huf": 17500, "inr": 50, "jpy": 50, "mxn": 1000, "myr": 200, "nok": 300, "nzd": 50, "pln": 200,
    "ron": 200, "sek": 300, "sgd": 50, "thb": 1000, "usd": 50,
}  # fmt: skip
"""Smallest charge in minor units. Others are held against 0.50 USD by the day's rate, which nobody has here."""
MOST = 99_999_999


def currency(raw: Raw, name: str) -> str:
    """A check: the lower-case code, whatever its case was."""
    code = raw.lower() if isinstance(raw, str) else ""
    if code not in CURRENCIES:
        raise invalid(f"Invalid currency: {raw}", name)
    return code


def check_amount(amount: int, code: str) -> None:
    """Raises: StripeError for an amount that cannot be charged in this currency."""
    least = LEAST.get(code, 1)
    if amount < least:
        raise invalid(f"Amount must be at least {least} in {code}.", "amount", "amount_too_small")
    if amount > MOST:
        raise invalid(f"Amount must be no more than {MOST} in {code}.", "amount", "amount_too_large")
