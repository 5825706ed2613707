"""Amounts: decimal strings in rows, Decimals in sums, JSON numbers in major units on the wire."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

ZERO = Decimal(0)
TAX_PERCENT = {"de": Decimal(19), "it": Decimal(22), "gr": Decimal(24)}
"""By country; everywhere else goods are sold free of tax, with a tax line that says so."""


def number(amount: Decimal) -> int | float:
    """As JSON shows it: 5, 9.99, 19.0281."""
    return int(amount) if amount == amount.to_integral_value() else float(amount)


def raw(amount: Decimal) -> dict[str, Any]:
    """The exact twin that Medusa sends beside a number."""
    return {"value": text(amount), "precision": 20}


def text(amount: Decimal) -> str:
    """As rows keep it: no exponent, no trailing zeros."""
    short = format(amount.normalize(), "f")
    return "0" if short == "-0" else short


def with_raw(amounts: dict[str, Decimal]) -> dict[str, Any]:
    """Every amount twice: `total` and `raw_total`."""
    shown: dict[str, Any] = {}
    for name, amount in amounts.items():
        shown[name] = number(amount)
        shown[f"raw_{name}"] = raw(amount)
    return shown


def tax_percent(address: dict[str, Any] | None) -> Decimal | None:
    """None while nobody knows where the goods go."""
    country = (address or {}).get("country_code")
    return TAX_PERCENT.get(country, ZERO) if country else None


def taxed(subtotal: Decimal, percent: Decimal | None) -> dict[str, Decimal]:
    """The totals of one line or shipping method; there are no discounts here."""
    tax = subtotal * (percent or ZERO) / 100
    return {
        "subtotal": subtotal,
        "total": subtotal + tax,
        "original_subtotal": subtotal,
        "original_total": subtotal + tax,
        "discount_subtotal": ZERO,
        "discount_tax_total": ZERO,
        "discount_total": ZERO,
        "tax_total": tax,
        "original_tax_total": tax,
    }


def totals(items: Iterable[Decimal], shipping: Iterable[Decimal], percent: Decimal | None) -> dict[str, Any]:
    """Every total of a cart or an order, from the net amounts of its lines and shipping methods."""
    goods, carriage = taxed(sum(items, ZERO), percent), taxed(sum(shipping, ZERO), percent)
    amounts = {name: goods[name] + carriage[name] for name in goods}
    for prefix, part in (("item", goods), ("shipping", carriage)):
        for name in ("total", "subtotal", "tax_total", "discount_total"):
            amounts[f"{prefix}_{name}"] = part[name]
        for name in ("total", "subtotal", "tax_total"):
            amounts[f"original_{prefix}_{name}"] = part[name]
    for name in ("total", "subtotal", "tax_total"):
        amounts[f"credit_line_{name}"] = ZERO
    return {name: number(amount) for name, amount in amounts.items()}
