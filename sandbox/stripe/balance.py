"""/v1/balance and /v1/events: what the account has, and what happened to it."""

from __future__ import annotations

from sandbox.store import Row
from sandbox.stripe.calls import Call, Operation
from sandbox.stripe.forms import array, text, unsimulated
from sandbox.stripe.lists import LISTING, page

EVENTS_KEPT_S = 30 * 86_400


def balance(call: Call) -> Row:
    """Money that may be paid out, and money still on its way to that, by currency. Nothing is ever paid out."""
    booked = call.store.rows("balance_transaction")
    return {
        "object": "balance",
        "available": _sums([row for row in booked if row["available_on"] <= call.now]),
        "livemode": False,
        "pending": _sums([row for row in booked if row["available_on"] > call.now]),
    }


def _sums(booked: list[Row]) -> list[Row]:
    sums: dict[str, int] = {} if booked else {"eur": 0}
    for row in booked:
        sums[row["currency"]] = sums.get(row["currency"], 0) + row["net"]
    return [
        {"amount": amount, "currency": currency, "source_types": {"card": amount}}
        for currency, amount in sorted(sums.items())
    ]


def events(call: Call) -> Row:
    types = call.params.get("types") or ([call.params["type"]] if "type" in call.params else None)
    recent = [row for row in call.store.rows("event") if call.now - row["created"] < EVENTS_KEPT_S]
    return page(call, "event", [row for row in recent if types is None or _matches(row["type"], types)])


def _matches(type: str, wanted: list[str]) -> bool:
    return any(type.startswith(name[:-1]) if name.endswith("*") else type == name for name in wanted)


def event(call: Call) -> Row:
    return call.load("event", call.path["id"], "id", status=404)


OPERATIONS = (
    Operation("GET", "/v1/balance", "balance", balance),
    Operation("GET", "/v1/events", "event", events,
              {**LISTING, "type": text(), "types": array(text()), **unsimulated("delivery_success")}, listing=True),
    Operation("GET", "/v1/events/{id}", "event", event),
)  # fmt: skip
