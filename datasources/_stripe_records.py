"""What Stripe's answers and requests hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Generic, TypeVar

import msgspec
from msgspec.structs import force_setattr

from core.person import REFERENCE
from datasources._stripe_money import from_stripe

T = TypeVar("T")

CLIENT_REFERENCE = "gateway_client_id"
"""What metadata calls the client that something was made for."""


class IntentStatus(Enum):
    REQUIRES_PAYMENT_METHOD = "requires_payment_method"
    REQUIRES_CONFIRMATION = "requires_confirmation"
    REQUIRES_ACTION = "requires_action"
    PROCESSING = "processing"
    REQUIRES_CAPTURE = "requires_capture"
    CANCELED = "canceled"
    SUCCEEDED = "succeeded"


class Undone(Enum):
    """What became of a payment that was to be undone."""

    RELEASED = "RELEASED"
    """Nothing had been charged, and nothing will be."""
    REFUNDED = "REFUNDED"


# -- what the gateway reads --------------------------------------------------------------------------------------------


class PaymentIntentRecord(msgspec.Struct, frozen=True):
    """A payment. `amount` is in major units of `currency` (upper-case)."""

    id: str
    status: IntentStatus
    amount_minor: int = msgspec.field(name="amount")
    currency: str
    capture_method: str
    created: int
    customer: str | None = None
    payment_method: str | None = None
    metadata: dict[str, str] = {}

    def __post_init__(self) -> None:
        force_setattr(self, "currency", self.currency.upper())

    @property
    def amount(self) -> Decimal:
        return from_stripe(self.amount_minor, self.currency)


class PayableIntentRecord(PaymentIntentRecord, frozen=True):
    """One that was made just now, with what lets a browser pay it: for whoever pays, and nobody else."""

    client_secret: str | None = None


class PaymentCustomerRecord(msgspec.Struct, frozen=True):
    """A deleted one is still found, by its id and `deleted` alone."""

    id: str
    email: str | None = None
    name: str | None = None
    deleted: bool = False
    metadata: dict[str, str] = {}

    @property
    def user_id(self) -> str | None:
        """The user whom it was made for."""
        return self.metadata.get(REFERENCE)

    @property
    def client(self) -> str | None:
        """Whose it is, of those that were made for no user."""
        return self.metadata.get(CLIENT_REFERENCE)


class _Card(msgspec.Struct, frozen=True):
    brand: str | None = None
    last4: str | None = None
    exp_month: int | None = None
    exp_year: int | None = None


class PaymentMethodRecord(msgspec.Struct, frozen=True):
    """A saved way to pay; what tells of a card is None for the others."""

    id: str
    type: str
    card: _Card | None = None

    @property
    def brand(self) -> str | None:
        return self.card.brand if self.card else None

    @property
    def last4(self) -> str | None:
        return self.card.last4 if self.card else None

    @property
    def exp_month(self) -> int | None:
        return self.card.exp_month if self.card else None

    @property
    def exp_year(self) -> int | None:
        return self.card.exp_year if self.card else None


class RefundRecord(msgspec.Struct, frozen=True):
    """Money given back. `amount` is in major units of `currency` (upper-case)."""

    id: str
    amount_minor: int = msgspec.field(name="amount")
    currency: str
    status: str | None = None
    payment_intent: str | None = None

    def __post_init__(self) -> None:
        force_setattr(self, "currency", self.currency.upper())

    @property
    def amount(self) -> Decimal:
        return from_stripe(self.amount_minor, self.currency)


class _Price(msgspec.Struct, frozen=True):
    id: str


class _SubscriptionItem(msgspec.Struct, frozen=True):
    """It is here that the billing period stands; the subscription as a whole has had none since 2025."""

    price: _Price
    current_period_end: int | None = None


class _SubscriptionItems(msgspec.Struct, frozen=True):
    data: list[_SubscriptionItem]


class BillingSubscriptionRecord(msgspec.Struct, frozen=True):
    """A price that is paid regularly."""

    id: str
    status: str
    customer: str
    items: _SubscriptionItems
    metadata: dict[str, str] = {}

    @property
    def price_id(self) -> str:
        """Of the first item; the gateway makes subscriptions of one."""
        return self.items.data[0].price.id if self.items.data else ""

    @property
    def current_period_end(self) -> datetime | None:
        """When it is to be paid next: the first of its items' periods to end."""
        ends = [item.current_period_end for item in self.items.data if item.current_period_end is not None]
        return datetime.fromtimestamp(min(ends), UTC) if ends else None

    @property
    def is_ended(self) -> bool:
        return self.status in ("canceled", "incomplete_expired")


# -- what it writes ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NewHold:
    """Money to be reserved on a saved card, its holder absent. `workflow_id` is how `find_intent` finds it again."""

    amount: Decimal
    currency: str
    customer: str
    payment_method: str
    workflow_id: str


@dataclass(frozen=True, slots=True)
class NewIntent:
    """A payment that its payer is to confirm. `customer` None: a guest; `hold`: it is to be captured later."""

    amount: Decimal
    currency: str
    customer: str | None = None
    payment_method: str | None = None
    hold: bool = False
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class NewSubscription:
    customer: str
    price: str
    metadata: Mapping[str, str] = field(default_factory=dict)


# -- envelopes ---------------------------------------------------------------------------------------------------------


class RowPage(msgspec.Struct, Generic[T], frozen=True):
    data: list[T]
    has_more: bool = False


class _InvoiceSettings(msgspec.Struct, frozen=True):
    default_payment_method: str | None = None


class PayingCustomer(msgspec.Struct, frozen=True):
    """A deleted one is still found, by its id and `deleted` alone."""

    id: str
    deleted: bool = False
    invoice_settings: _InvoiceSettings = _InvoiceSettings()


class OwnedCustomer(msgspec.Struct, frozen=True):
    id: str
    deleted: bool = False
    metadata: dict[str, str] = {}


class CustomerPage(msgspec.Struct, frozen=True):
    data: list[OwnedCustomer]


class IntentPage(msgspec.Struct, frozen=True):
    data: list[PaymentIntentRecord]
    has_more: bool


class AnyRow(msgspec.Struct, frozen=True):
    id: str | None = None


class ErrorDetail(msgspec.Struct, frozen=True):
    type: str = "api_error"
    code: str | None = None
    decline_code: str | None = None
    message: str | None = None


class ErrorBody(msgspec.Struct, frozen=True):
    error: ErrorDetail
