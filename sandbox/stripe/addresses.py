"""Addresses and shipping, as parameters and as members of objects."""

from __future__ import annotations

from collections.abc import Mapping

from sandbox.store import Row
from sandbox.stripe.forms import Check, fields, text

LINES = ("city", "country", "line1", "line2", "postal_code", "state")
address: Check = fields(dict.fromkeys(LINES, text(unset=True)), unset=True)


def shipping(*also: str) -> Check:
    """A shipping object: `name` and `address` are required, `also` and `phone` are not."""
    optional: Mapping[str, Check] = dict.fromkeys((*also, "phone"), text(unset=True))
    return fields({"address": address, "name": text(), **optional}, ("address", "name"), unset=True)


def whole_address(sent: Row | None) -> Row | None:
    """An address as Stripe shows it: every line, those not sent null."""
    return None if sent is None else {**dict.fromkeys(LINES), **sent}


def whole_shipping(sent: Row | None, *also: str) -> Row | None:
    if sent is None:
        return None
    return {**dict.fromkeys((*also, "phone")), **sent, "address": whole_address(sent["address"])}
