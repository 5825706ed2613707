"""The arithmetic of orders and invoices: lines, discount, taxes, rounding, in two currencies; and amounts in words."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

from sandbox.erpnext.errors import NotSupported, invalid
from sandbox.erpnext.unit import Unit
from sandbox.store import Row

CENT, UNIT = Decimal("0.01"), Decimal(1)


def money(value: float | Decimal, step: Decimal = CENT) -> float:
    """Rounded half to even, as a new site does."""
    return float(Decimal(str(value)).quantize(step, ROUND_HALF_EVEN)) + 0.0


def exchange_rate(unit: Unit, source: str, target: str) -> float:
    """How many of `target` one of `source` is. Raises: Refusal (417) when the site has no rate."""
    if source == target:
        return 1.0
    for row in unit.rows("Currency Exchange"):
        pair = (row["from_currency"], row["to_currency"])
        if pair == (source, target):
            return float(row["exchange_rate"])
        if pair == (target, source):
            return float(1 / row["exchange_rate"])
    text = f"Unable to find exchange rate for {source} to {target} for key date {unit.today}."
    raise invalid(f"{text} Please create a Currency Exchange record manually")


def compute(unit: Unit, doc: Row) -> None:
    """Fill every total of a document from its items, taxes and discount."""
    for line in doc["items"]:
        _price(line)
    doc["total_qty"] = float(sum(line["qty"] for line in doc["items"]))
    doc["total"] = money(sum(line["amount"] for line in doc["items"]))
    _apply_taxes(doc)
    if doc["additional_discount_percentage"]:
        doc["discount_amount"] = money(_discount_base(doc) * doc["additional_discount_percentage"] / 100)
    if doc["discount_amount"]:
        _spread_discount(doc)
        _apply_taxes(doc)
    rounded = 0.0 if doc["disable_rounded_total"] else money(doc["grand_total"], UNIT)
    doc["rounded_total"] = rounded
    doc["rounding_adjustment"] = money(rounded - doc["grand_total"]) if rounded else 0.0
    _to_company_currency(unit, doc)


def to_pay(doc: Row, currency: str) -> float:
    """What a document asks for, in its own or its company's currency."""
    prefix = "" if currency == doc["currency"] else "base_"
    return float(doc[f"{prefix}rounded_total"] or doc[f"{prefix}grand_total"])


def _price(line: Row) -> None:
    listed = line["price_list_rate"]
    if not line["rate"]:
        line["rate"] = money(listed * (100 - line["discount_percentage"]) / 100)
    rate = line["rate"]
    above = 0 < listed < rate
    line["margin_type"] = "Amount" if above else ""
    line["margin_rate_or_amount"] = money(rate - listed) if above else 0.0
    line["discount_amount"] = money(listed - rate) if listed else 0.0
    line["distributed_discount_amount"] = 0.0
    line["stock_qty"] = line["qty"] * line["conversion_factor"]
    line["stock_uom_rate"] = money(rate / (line["conversion_factor"] or 1))
    line["amount"] = line["net_amount"] = money(Decimal(str(line["qty"])) * Decimal(str(rate)))
    line["net_rate"] = rate


def _apply_taxes(doc: Row) -> None:
    doc["net_total"] = running = money(sum(line["net_amount"] for line in doc["items"]))
    for tax in doc["taxes"]:
        if tax["charge_type"] not in ("Actual", "On Net Total") or tax["included_in_print_rate"]:
            raise NotSupported(f"taxes of type {tax['charge_type']}, or included in the rate")
        if tax["charge_type"] == "On Net Total":
            tax["tax_amount"] = money(doc["net_total"] * tax["rate"] / 100)
        tax["tax_amount_after_discount_amount"] = tax["tax_amount"]
        tax["total"] = running = money(running + tax["tax_amount"])
    doc["grand_total"] = running
    doc["total_taxes_and_charges"] = money(running - doc["net_total"])


def _discount_base(doc: Row) -> float:
    if doc["apply_discount_on"] == "Net Total":
        return float(doc["net_total"])
    actual = sum(tax["tax_amount"] for tax in doc["taxes"] if tax["charge_type"] == "Actual")
    return float(doc["grand_total"] - actual)


def _spread_discount(doc: Row) -> None:
    """Take the document's discount off the lines in proportion, the last one bearing what rounding leaves."""
    base = _discount_base(doc)
    if not base:
        return
    off = doc["discount_amount"] * doc["net_total"] / base
    target = money(doc["net_total"] - off)
    for line in doc["items"]:
        line["distributed_discount_amount"] = money(off * line["net_amount"] / doc["net_total"])
        line["net_amount"] = money(line["net_amount"] - line["distributed_discount_amount"])
    last = doc["items"][-1]
    last["net_amount"] = money(last["net_amount"] + target - sum(line["net_amount"] for line in doc["items"]))
    for line in doc["items"]:
        line["net_rate"] = money(line["net_amount"] / line["qty"]) if line["qty"] else 0.0


def _to_company_currency(unit: Unit, doc: Row) -> None:
    factor = doc["conversion_rate"]
    names = ("total", "net_total", "total_taxes_and_charges", "grand_total", "rounding_adjustment", "rounded_total")
    for name in (*names, "discount_amount"):
        doc[f"base_{name}"] = money(doc[name] * factor)
    for line in doc["items"]:
        for name in ("price_list_rate", "rate", "amount", "net_rate", "net_amount"):
            line[f"base_{name}"] = money(line[name] * factor)
    for tax in doc["taxes"]:
        for name in ("tax_amount", "total", "tax_amount_after_discount_amount"):
            tax[f"base_{name}"] = money(tax[name] * factor)
    company = unit.known("Company", doc["company"])
    for field, currency in (("in_words", doc["currency"]), ("base_in_words", company["default_currency"])):
        prefix = field.removesuffix("in_words")
        amount = doc[f"{prefix}rounded_total"] or doc[f"{prefix}grand_total"]
        row = unit.get("Currency", currency) or {}
        doc[field] = in_words(amount, currency, row.get("fraction") or "Cent")


_SMALL = (
    "Zero One Two Three Four Five Six Seven Eight Nine Ten Eleven Twelve Thirteen Fourteen Fifteen Sixteen Seventeen "
    "Eighteen Nineteen"
).split()
_TENS = "Twenty Thirty Forty Fifty Sixty Seventy Eighty Ninety".split()
_LARGE = ((1_000_000_000, "Billion"), (1_000_000, "Million"), (1_000, "Thousand"))


def in_words(amount: float, currency: str, fraction: str) -> str:
    """`EUR One Thousand, One Hundred only.`; cents follow as `and Five Cent`."""
    cents = int((abs(Decimal(str(amount))) * 100).to_integral_value())
    text = f"{currency} {_words(cents // 100)}"
    if cents % 100:
        text += f" and {_words(cents % 100)} {fraction}"
    return f"{text} only."


def _words(number: int) -> str:
    if number < len(_SMALL):
        return _SMALL[number]
    if number < 100:
        tens, ones = divmod(number, 10)
        return _TENS[tens - 2] + (f" {_SMALL[ones]}" if ones else "")
    if number < 1000:
        hundreds, rest = divmod(number, 100)
        return f"{_SMALL[hundreds]} Hundred" + (f" And {_words(rest)}" if rest else "")
    size, name = next((size, name) for size, name in _LARGE if number >= size)
    whole, rest = divmod(number, size)
    return f"{_words(whole)} {name}" + (f", {_words(rest)}" if rest else "")
