"""`expand[]`: ids in an answer replaced by the objects they name, at most four levels deep."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any, TypeAlias

from sandbox.store import Row, Store
from sandbox.stripe.errors import invalid, not_simulated

DEEPEST = 4

Reach: TypeAlias = "str | Mapping[str, Reach] | None"
"""The kind of object an id names, or the members of a nested object; None: Stripe expands it, the sandbox does not."""

EXPANDABLE: Mapping[str, Mapping[str, Reach]] = {
    "balance_transaction": {"source": None},
    "charge": {
        "balance_transaction": "balance_transaction",
        "customer": "customer",
        "payment_intent": "payment_intent",
        "refunds": None,
    },
    "customer": {
        "default_source": None,
        "invoice_settings": {"default_payment_method": "payment_method"},
        "sources": None,
        "subscriptions": None,
        "tax_ids": None,
    },
    "invoice": {
        "confirmation_secret": None,
        "customer": "customer",
        "default_payment_method": "payment_method",
        "payments": None,
    },
    "payment_intent": {
        "customer": "customer",
        "latest_charge": "charge",
        "payment_method": "payment_method",
        "review": None,
    },
    "payment_method": {"customer": "customer"},
    "price": {"product": "product"},
    "product": {"default_price": "price"},
    "refund": {
        "balance_transaction": "balance_transaction",
        "charge": "charge",
        "payment_intent": "payment_intent",
    },
    "setup_intent": {
        "customer": "customer",
        "latest_attempt": None,
        "mandate": None,
        "payment_method": "payment_method",
    },
    "subscription": {
        "customer": "customer",
        "default_payment_method": "payment_method",
        "items": {"data": {"price": {"product": "product"}}},
        "latest_invoice": "invoice",
        "pending_setup_intent": None,
        "schedule": None,
        "test_clock": None,
    },
}


def check(paths: Sequence[str], kind: str, *, listing: bool) -> None:
    """Raises: StripeError for a path that names nothing expandable, before anything is executed."""
    for path in paths:
        segments = path.split(".")
        if listing and segments.pop(0) != "data":
            raise _not_expandable(path)
        if len(segments) > DEEPEST:
            raise invalid(f"You cannot expand more than {DEEPEST} levels of a property.", "expand")
        reach: Reach = kind
        for segment in segments:
            members = EXPANDABLE.get(reach, {}) if isinstance(reach, str) else reach
            if members is None or segment not in members:
                raise _not_expandable(path)
            reach = members[segment]
            if reach is None:
                raise not_simulated(f"the expansion {path}")
        if not isinstance(reach, str) or not segments:
            raise _not_expandable(path)


def apply(store: Store, answer: Row, paths: Sequence[str]) -> Row:
    """A copy of `answer` with every path expanded. Ids of what no longer exists stay ids."""
    expanded = deepcopy(answer)
    for path in paths:
        _expand(store, expanded, path.split("."))
    return expanded


def _expand(store: Store, node: Any, segments: Sequence[str]) -> None:
    if isinstance(node, list):
        for element in node:
            _expand(store, element, segments)
        return
    if not isinstance(node, dict) or not segments:
        return
    name = segments[0]
    value = node.get(name)
    kind = EXPANDABLE.get(node.get("object", ""), {}).get(name)
    if isinstance(value, str) and isinstance(kind, str):
        node[name] = value = deepcopy(store.get(kind, value)) or value
    elif isinstance(value, dict) and isinstance(kind, Mapping) and "object" not in value:
        _expand_nested(store, value, kind, segments[1:])
        return
    _expand(store, value, segments[1:])


def _expand_nested(store: Store, node: Row, members: Mapping[str, Reach], segments: Sequence[str]) -> None:
    """Inside an object of no kind of its own, such as `invoice_settings`."""
    if (
        segments
        and isinstance(kind := members.get(segments[0]), str)
        and isinstance(name := node.get(segments[0]), str)
    ):
        node[segments[0]] = deepcopy(store.get(kind, name)) or name
        _expand(store, node[segments[0]], segments[1:])


def _not_expandable(path: str) -> Exception:
    return invalid(f"This property cannot be expanded ({path}).", "expand")
