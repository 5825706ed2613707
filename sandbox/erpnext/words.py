"""Amounts in words, as ERPNext prints them below an invoice."""

from __future__ import annotations

from decimal import Decimal

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
