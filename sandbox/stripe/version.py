"""API versions: a date, and since 2024 the name of a release."""

from __future__ import annotations

import re

from sandbox.stripe.errors import StripeError, not_simulated

DEFAULT = "2026-09-30.endive"
"""The account's version, for requests that name none. Older ones have other shapes, which are not simulated."""


def effective(header: str | None) -> str:
    """The version a request runs under. Raises: StripeError for one that is none, or is too old."""
    if header is None:
        return DEFAULT
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}(\.[a-z]+)?", header):
        raise StripeError(400, f"Invalid Stripe API version: {header}")
    if header[:10] < DEFAULT[:10]:
        raise not_simulated(f"API versions before {DEFAULT}")
    return header
