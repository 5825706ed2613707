"""What goes into workflows and activities and what comes out: plain dataclasses, whose fields are only ever added.

They stand in histories for as long as these are kept, so a new field has a default and no field changes its meaning.
Names and mail addresses of people are not among them: activities read them where they are needed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, TypedDict

from core.address import Address
from core.backends import BackendName
from datasources.temporal import StepRecord, WorkflowType


@dataclass(frozen=True)
class StepTiming:
    """How patient a workflow is, in seconds. Tests hurry; everything else keeps the defaults."""

    tries: int = 5
    """Of a step, while its backend is out."""
    give_up_s: float = 120.0
    """All tries of a step together."""
    try_s: float = 35.0
    """One try, by the worker's clock; Fleetbase and card networks may take half a minute."""
    heartbeat_s: float = 3.0
    """A worker that is silent for so long is dead, and its activity is given to another."""
    first_pause_s: float = 1.0
    longest_pause_s: float = 30.0
    """Between tries; undoing goes on at this pace for ever."""


@dataclass(frozen=True)
class OrderItem:
    variant_id: str
    quantity: int


@dataclass(frozen=True)
class OrderData:
    """`payment_method_id` None: the user's default one."""

    items: tuple[OrderItem, ...]
    shipping_address: Address
    payment_method_id: str | None = None


@dataclass(frozen=True)
class OrderFulfillment:
    """Input of ORDER_FULFILLMENT: the order is `user_id`'s, a user of this client."""

    action: str
    user_id: str
    client_id: str
    data: OrderData
    timing: StepTiming = field(default_factory=StepTiming)


ORDER_FULFILLMENT_STEPS = (
    StepRecord("cart", BackendName.MEDUSA),
    StepRecord("hold", BackendName.STRIPE),
    StepRecord("order", BackendName.MEDUSA),
    StepRecord("invoice", BackendName.ERPNEXT),
    StepRecord("delivery", BackendName.FLEETBASE),
    StepRecord("capture", BackendName.STRIPE),
    StepRecord("order-payment", BackendName.MEDUSA),
    StepRecord("payment-entry", BackendName.ERPNEXT),
    StepRecord("mail", BackendName.SENDGRID),
)
"""In this order. `mail` fails alone; every other step that fails has what was done before it undone."""

STEPS = {WorkflowType.ORDER_FULFILLMENT: ORDER_FULFILLMENT_STEPS}
"""The steps of every kind of workflow that is offered."""

SIGNALS: dict[WorkflowType, frozenset[str]] = {WorkflowType.ORDER_FULFILLMENT: frozenset()}
"""What callers may signal to each kind."""


class Artifact(TypedDict):
    """A card for the copilot's chat: `data` is one of the shapes below, by `type`."""

    type: str
    data: Any


class ConfirmationCard(TypedDict):
    """`confirmation-card`: what was bought, for how much, and under which numbers. `total` is in major units."""

    title: str
    orderId: str
    orderNumber: str
    invoiceId: str
    total: str
    currency: str
    itemCount: int


class OrderTracker(TypedDict):
    """`order-tracker`: what is needed to follow a delivery; subscribe to it or read `deliveryId`."""

    orderId: str
    deliveryId: str
    trackingNumber: str | None
    status: str


@dataclass(frozen=True)
class WorkflowOutput:
    """What every workflow answers."""

    success: bool
    result: dict[str, Any]
    artifacts: list[Artifact]


# ---------------------------------------------------------------- activities: in


@dataclass(frozen=True)
class CartJob:
    user_id: str
    client_id: str
    items: tuple[OrderItem, ...]


@dataclass(frozen=True)
class PrepareCartJob:
    user_id: str
    cart_id: str
    shipping_address: Address


@dataclass(frozen=True)
class HoldJob:
    user_id: str
    client_id: str
    amount: Decimal
    currency: str
    payment_method_id: str | None = None


@dataclass(frozen=True)
class ReleaseJob:
    """Whatever payment this workflow made for that user since `started_at`."""

    user_id: str
    started_at: datetime


@dataclass(frozen=True)
class OrderJob:
    """`amount` is what was held: an order for anything else is not placed."""

    user_id: str
    cart_id: str
    amount: Decimal


@dataclass(frozen=True)
class CartRef:
    cart_id: str


@dataclass(frozen=True)
class OrderRef:
    order_id: str


@dataclass(frozen=True)
class InvoiceJob:
    order_id: str
    user_id: str
    client_id: str


@dataclass(frozen=True)
class DeliveryJob:
    order_id: str
    client_id: str
    shipping_address: Address


@dataclass(frozen=True)
class CaptureJob:
    intent_id: str


@dataclass(frozen=True)
class PaymentEntryJob:
    invoice_id: str
    intent_id: str


@dataclass(frozen=True)
class MailJob:
    user_id: str
    order_number: str
    total: Decimal
    currency: str
    tracking_number: str | None = None


# ---------------------------------------------------------------- activities: out


@dataclass(frozen=True)
class Outcome:
    """Of an activity. `attempt` says which try it was, counted from 1."""

    attempt: int = field(default=1, kw_only=True)


@dataclass(frozen=True)
class CartMade(Outcome):
    cart_id: str


@dataclass(frozen=True)
class CartReady(Outcome):
    """`amount` is everything included, in major units."""

    amount: Decimal
    currency: str


@dataclass(frozen=True)
class HoldPlaced(Outcome):
    intent_id: str


@dataclass(frozen=True)
class OrderPlaced(Outcome):
    order_id: str
    display_id: int


@dataclass(frozen=True)
class InvoiceMade(Outcome):
    invoice_id: str


@dataclass(frozen=True)
class DeliveryMade(Outcome):
    delivery_id: str
    status: str
    tracking_number: str | None = None


@dataclass(frozen=True)
class PaymentRecorded(Outcome):
    payment_entry_id: str


@dataclass(frozen=True)
class MessageOutcome(Outcome):
    """`status` is the outbox's: SENT, FAILED or UNKNOWN; `error` in words for people."""

    status: str
    error: str | None = None
