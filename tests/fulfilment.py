"""A whole company in a test: real datasources before simulators of its own, the real MongoDB and Temporal, a worker."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, cast
from uuid import uuid4

from starlette.applications import Starlette

from core.address import Address
from core.settings import Settings, TemporalSettings
from datasources import Sources
from datasources._breaker import Breaker
from datasources._embedded import Endpoints
from datasources._health import HealthProbe
from datasources.mongo import Mongo
from datasources.temporal import Memo, NewWorkflow, Temporal, WorkflowRecord, WorkflowType
from sandbox.app import create_app
from sandbox.faults import Fault, FaultLine
from sandbox.world import Person, World
from tests.simulators import open_simulated
from workflows.contracts import ORDER_FULFILLMENT_STEPS, OrderData, OrderFulfillment, OrderItem, StepTiming

WORLD = World(datetime.now(UTC))
HURRY = StepTiming(tries=2, give_up_s=30, try_s=4, heartbeat_s=1.5, first_pause_s=0.05, longest_pause_s=0.2)
"""Long enough for a busy machine, short enough for tests that let a backend hang."""
SEEDED = {
    "order": len(WORLD.orders),
    "delivery": 123,
    "Sales Invoice": 153,
    "Payment Entry": 103,
}
"""Rows of the demo world, which come before those of a test."""
ADDRESS = Address(street="Rruga Myslym Shyri 12", city="Tirana", country="AL", name="Ada Lovelace", postal_code="1001")


@dataclass(frozen=True)
class Left:
    """What an order has left in every simulator, oldest first."""

    intents: list[dict[str, Any]]
    refunds: list[dict[str, Any]]
    orders: list[dict[str, Any]]
    invoices: list[dict[str, Any]]
    entries: list[dict[str, Any]]
    deliveries: list[dict[str, Any]]
    mails: list[dict[str, Any]]

    def nothing_in_force(self) -> None:
        """Assert that whatever was done is undone."""
        refunded = {refund["payment_intent"]: refund["amount"] for refund in self.refunds}
        for intent in self.intents:
            if intent["status"] == "succeeded":
                assert refunded.get(intent["id"]) == intent["amount"], "taken and not given back"
            else:
                assert intent["status"] == "canceled", "money is still held"
        assert {order["status"] for order in self.orders} <= {"canceled"}
        assert {invoice["docstatus"] for invoice in self.invoices} <= {2}
        assert {entry["docstatus"] for entry in self.entries} <= {2}
        assert {delivery["status"] for delivery in self.deliveries} <= {"canceled"}


@dataclass
class Spreading(Fault):
    """Strikes one path, then everything: what a backend looks like that breaks down in the middle of something."""

    has_spread: bool = False

    def strikes(self, method: str, path: str) -> bool:
        self.has_spread = self.has_spread or super().strikes(method, path)
        return self.has_spread


class Company:
    """Sources whose HTTP backends are simulators in process, alone with this test."""

    def __init__(self, sources: Sources, app: Starlette, settings: TemporalSettings) -> None:
        self.sources = sources
        self.settings = settings
        self.lines: dict[str, FaultLine] = app.state.lines
        self._stores = app.state.stores

    def rows(self, backend: str, kind: str) -> list[dict[str, Any]]:
        return cast("list[dict[str, Any]]", self._stores[backend].rows(kind))

    def fail(self, backend: str, *, spreads: bool = False, **rule: Any) -> None:
        """Add a fault. One that spreads strikes the whole backend once it has struck."""
        self.lines[backend].faults.append(Spreading(**rule) if spreads else Fault(**rule))

    def heal(self) -> None:
        """End every fault."""
        for line in self.lines.values():
            line.replace([])

    def left(self) -> Left:
        return Left(
            intents=self.rows("stripe", "payment_intent"),
            refunds=self.rows("stripe", "refund"),
            orders=self.rows("medusa", "order")[SEEDED["order"] :],
            invoices=self.rows("erpnext", "Sales Invoice")[SEEDED["Sales Invoice"] :],
            entries=self.rows("erpnext", "Payment Entry")[SEEDED["Payment Entry"] :],
            deliveries=self.rows("fleetbase", "order")[SEEDED["delivery"] :],
            mails=self.rows("sendgrid", "mail"),
        )

    async def start(self, customer: Person, *, payment_method: str | None = None, **timing: float) -> WorkflowRecord:
        """Start an order of two items for a customer, in a hurry."""
        items = (OrderItem(WORLD.products[0].variants[0].id, 2), OrderItem(WORLD.products[5].variants[0].id, 1))
        order = OrderFulfillment(
            action="order.fulfill",
            user_id=customer.id,
            client_id=customer.client.id,
            data=OrderData(items, ADDRESS, payment_method),
            timing=replace(HURRY, **timing),  # type: ignore[arg-type]
        )
        return await self.sources.temporal.start(
            NewWorkflow(
                id=f"order-fulfillment-{uuid4().hex}",
                type=WorkflowType.ORDER_FULFILLMENT,
                argument=order,
                action=order.action,
                user_id=customer.id,
                client_id=customer.client.id,
                client_app_id=customer.client.app.id,
                memo=Memo(steps=ORDER_FULFILLMENT_STEPS),
            )
        )

    async def end(self, id: str) -> WorkflowRecord:
        """The state in which it closed."""
        last = None
        async for heard in self.sources.temporal.watch(id):
            last = heard.item
        assert last is not None
        return last


@asynccontextmanager
async def open_company(engines: Endpoints, mongo: Mongo) -> AsyncIterator[Company]:
    app = create_app(None)
    settings = TemporalSettings(task_queue=f"test-{uuid4()}")
    async with AsyncExitStack() as stack:
        backends = open_simulated(app)
        for backend in backends.each():
            stack.push_async_callback(backend.aclose)
            # A circuit that stays open for half a minute would make every test of an outage wait for it.
            backend.breaker = Breaker(open_s=0.2)
        # One check of its key is enough: more would turn up among the calls of whoever asks in a later minute.
        backends.payload._clock = lambda: 0.0
        temporal = await Temporal.open(settings, engines.temporal_address or "")
        stack.push_async_callback(temporal.aclose)
        sources = Sources(
            **vars(backends),
            mongo=mongo,
            temporal=temporal,
            health=HealthProbe([]),
            settings=Settings(temporal=settings),
        )
        yield Company(sources, app, settings)


def major(amount_minor: int) -> Decimal:
    return Decimal(amount_minor) / 100
