"""Fulfilling an order from outside, and what must be in every backend afterwards."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sandbox.world import World
from tests.end_to_end.gateway import Gateway, Sandbox

FULFIL = "mutation ($input: OrderFulfillmentInput!) { fulfillOrder(input: $input) { id status type } }"
WORKFLOW = """query ($id: ID!) { workflow(id: $id) {
  id status type progress currentStep
  steps { name system status attempt error startedAt closedAt }
  result { success result artifacts { type data } }
  error { code message step compensated }
  order { id status paymentStatus } startedBy { id }
} }"""

CUSTOMER = World(datetime.now(UTC)).customers[-1]
VARIANT = World(datetime.now(UTC)).products[5].variants[0]


def new_order(key: str | None = None) -> dict[str, Any]:
    address = CUSTOMER.address
    return {
        "userId": CUSTOMER.id,
        "items": [{"variantId": VARIANT.id, "quantity": 2}],
        "shippingAddress": {
            "name": address.name,
            "street": address.street,
            "city": address.city,
            "postalCode": address.postal_code,
            "country": address.country,
        },
        **({"idempotencyKey": key} if key else {}),
    }


async def start(gateway: Gateway, key: str | None = None) -> str:
    """The workflow's id."""
    started = await gateway.data(FULFIL, {"input": new_order(key)})
    workflow_id: str = started["fulfillOrder"]["id"]
    return workflow_id


async def closed(gateway: Gateway, workflow_id: str, within_s: float = 90) -> dict[str, Any]:
    """The workflow once it no longer runs."""
    give_up = time.monotonic() + within_s
    while True:
        workflow: dict[str, Any] = (await gateway.data(WORKFLOW, {"id": workflow_id}))["workflow"]
        if workflow["status"] != "RUNNING":
            return workflow
        assert time.monotonic() < give_up, workflow
        await asyncio.sleep(0.1)


@dataclass(frozen=True)
class Effects:
    """What the backends hold of everything that was ever placed here besides the demo world."""

    orders: Counter[str]
    invoices: Counter[str]
    deliveries: Counter[str]
    payments: Counter[str]
    entries: Counter[str]
    mails: int

    def since(self, before: Effects) -> Effects:
        return Effects(
            self.orders - before.orders,
            self.invoices - before.invoices,
            self.deliveries - before.deliveries,
            self.payments - before.payments,
            self.entries - before.entries,
            self.mails - before.mails,
        )

    def times(self, n: int) -> Effects:
        def all_of(counted: Counter[str]) -> Counter[str]:
            return Counter({state: count * n for state, count in counted.items()})

        return Effects(
            all_of(self.orders),
            all_of(self.invoices),
            all_of(self.deliveries),
            all_of(self.payments),
            all_of(self.entries),
            self.mails * n,
        )


INVOICE_STATES = {0: "draft", 1: "submitted", 2: "cancelled"}


async def effects(sandbox: Sandbox) -> Effects:
    """Counted by state in each simulator's rows."""
    orders, invoices, deliveries, intents, entries, mails = await asyncio.gather(
        sandbox.rows("medusa", "order"),
        sandbox.rows("erpnext", "Sales Invoice"),
        sandbox.rows("fleetbase", "order"),
        sandbox.rows("stripe", "payment_intent"),
        sandbox.rows("erpnext", "Payment Entry"),
        sandbox.rows("sendgrid", "mail"),
    )
    refunded = Counter(refund["payment_intent"] for refund in await sandbox.rows("stripe", "refund"))
    return Effects(
        orders=Counter(order["status"] for order in orders),
        invoices=Counter(INVOICE_STATES[invoice["docstatus"]] for invoice in invoices),
        deliveries=Counter("canceled" if row["status"] == "canceled" else "open" for row in deliveries),
        payments=Counter("refunded" if refunded[intent["id"]] else intent["status"] for intent in intents),
        entries=Counter(INVOICE_STATES[entry["docstatus"]] for entry in entries),
        mails=len(mails),
    )


FULFILLED = Effects(
    orders=Counter({"pending": 1}),
    invoices=Counter({"submitted": 1}),
    deliveries=Counter({"open": 1}),
    payments=Counter({"succeeded": 1}),
    entries=Counter({"submitted": 1}),
    mails=1,
)
"""What one fulfilled order adds."""
