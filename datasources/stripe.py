"""Payments: Stripe's API v1, in the version pinned here.

Every POST carries an idempotency key and may so be repeated. A key remembers its first result for a day, refusals and
500s included: an unclear POST is repeated with its key, something that cannot double may as well take a new one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from typing import Any, ClassVar, Self, TypeVar

import httpx
import msgspec
from msgspec.structs import force_setattr

from core.backends import BackendName
from core.errors import BackendRejected, BackendUnavailable
from core.money import from_minor, to_minor
from core.settings import StripeSettings
from datasources._http import Answer, HttpBackend, Limits, Query, open_client

T = TypeVar("T")

API_VERSION = "2026-09-30.endive"
PAGE = 100
MOVES_MONEY_S = 30.0
"""Confirming, capturing and refunding reach the card networks, which take their time."""

Fields = Mapping[str, Any]


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
        return from_minor(self.amount_minor, self.currency)


class _InvoiceSettings(msgspec.Struct, frozen=True):
    default_payment_method: str | None = None


class _Customer(msgspec.Struct, frozen=True):
    """A deleted one is still found, by its id and `deleted` alone."""

    id: str
    deleted: bool = False
    invoice_settings: _InvoiceSettings = _InvoiceSettings()


class _IntentPage(msgspec.Struct, frozen=True):
    data: list[PaymentIntentRecord]
    has_more: bool


class _Anything(msgspec.Struct, frozen=True):
    id: str | None = None


class _ErrorDetail(msgspec.Struct, frozen=True):
    type: str = "api_error"
    code: str | None = None
    decline_code: str | None = None
    message: str | None = None


class _ErrorBody(msgspec.Struct, frozen=True):
    error: _ErrorDetail


@dataclass(frozen=True, slots=True)
class NewHold:
    """Money to be reserved on a saved card, its holder absent. `workflow_id` is how `find_intent` finds it again."""

    amount: Decimal
    currency: str
    customer: str
    payment_method: str
    workflow_id: str


class Stripe(HttpBackend):
    name: ClassVar[BackendName] = BackendName.STRIPE

    def __init__(self, client: httpx.AsyncClient, settings: StripeSettings, limits: Limits | None = None) -> None:
        super().__init__(client, limits or Limits(timeout_s=settings.timeout_s))

    @classmethod
    def open(cls, settings: StripeSettings) -> Self:
        """Raises ValueError without a secret key."""
        if settings.secret_key is None:
            raise ValueError("STRIPE_SECRET_KEY is needed")
        headers = {"Authorization": f"Bearer {settings.secret_key.get_secret_value()}", "Stripe-Version": API_VERSION}
        return cls(open_client(str(settings.api_base), headers), settings)

    async def ping(self) -> None:
        """`GET /v1/balance`"""
        await self.read("GET", "/v1/balance", _Anything)

    async def default_payment_method(self, customer: str) -> str | None:
        """The id of the method that a customer pays with unless told otherwise; None without one, or without such a
        customer. `GET /v1/customers/{id}`"""
        found = await self.read_or_none("GET", "/v1/customers/{id}", _Customer, args={"id": customer})
        return found.invoice_settings.default_payment_method if found and not found.deleted else None

    async def has_payment_method(self, customer: str, payment_method: str) -> bool:
        """Whether this saved method is this customer's. `GET /v1/customers/{id}/payment_methods/{pm}`"""
        path, args = "/v1/customers/{customer}/payment_methods/{id}", {"customer": customer, "id": payment_method}
        return await self.read_or_none("GET", path, _Anything, args=args) is not None

    async def create_hold(self, hold: NewHold, *, key: str) -> PaymentIntentRecord:
        """Reserve the amount; `capture` takes it. `POST /v1/payment_intents`

        Raises: BackendRejected with the decline code (or `requires_action`) as its reason.
        """
        intent = await self._post(
            "/v1/payment_intents",
            PaymentIntentRecord,
            key=key,
            timeout_s=MOVES_MONEY_S,
            fields={
                "amount": to_minor(hold.amount, hold.currency),
                "currency": hold.currency.lower(),
                "customer": hold.customer,
                "payment_method": hold.payment_method,
                "capture_method": "manual",
                "confirm": True,
                "off_session": True,
                "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
                "metadata": {"workflow_id": hold.workflow_id},
            },
        )
        if intent.status is not IntentStatus.REQUIRES_CAPTURE:
            message = "the card needs its holder's consent, which cannot be asked for here"
            raise BackendRejected(self.name, message, status=402, reason=intent.status.value)
        return intent

    async def capture(self, id: str, *, key: str) -> PaymentIntentRecord:
        """Take what was reserved, or see that it was taken. `POST /v1/payment_intents/{id}/capture`"""
        path = "/v1/payment_intents/{id}/capture"
        try:
            return await self._post(path, PaymentIntentRecord, key=key, args={"id": id}, timeout_s=MOVES_MONEY_S)
        except BackendRejected:
            intent = await self.intent(id)
            if intent is not None and intent.status is IntentStatus.SUCCEEDED:
                return intent
            raise

    async def cancel_or_refund(self, id: str, *, key: str) -> Undone:
        """Release what is only reserved, give back what was taken; safe to repeat, with any key: an intent is
        cancelled once, and more than was taken is never given back. `POST /v1/payment_intents/{id}/cancel`,
        `POST /v1/refunds`"""
        intent = await self.read("GET", "/v1/payment_intents/{id}", PaymentIntentRecord, args={"id": id})
        if intent.status is IntentStatus.CANCELED:
            return Undone.RELEASED
        if intent.status is IntentStatus.SUCCEEDED:
            await self._refund(id, key)
            return Undone.REFUNDED
        path, fields = "/v1/payment_intents/{id}/cancel", {"cancellation_reason": "abandoned"}
        await self._post(path, PaymentIntentRecord, key=f"{key}:cancel", args={"id": id}, fields=fields)
        return Undone.RELEASED

    async def _refund(self, id: str, key: str) -> None:
        try:
            await self._post(
                "/v1/refunds",
                _Anything,
                key=f"{key}:refund",
                fields={"payment_intent": id, "reason": "requested_by_customer"},
                timeout_s=MOVES_MONEY_S,
            )
        except BackendRejected as exc:
            if exc.reason != "charge_already_refunded":
                raise

    async def intent(self, id: str) -> PaymentIntentRecord | None:
        """`GET /v1/payment_intents/{id}`"""
        return await self.read_or_none("GET", "/v1/payment_intents/{id}", PaymentIntentRecord, args={"id": id})

    async def find_intent(
        self, customer: str, workflow_id: str, *, created_after: datetime
    ) -> PaymentIntentRecord | None:
        """The payment that a workflow made for this customer, whatever became of it. Walks the customer's list,
        because the search is a minute behind. `GET /v1/payment_intents?customer=`"""
        async for intent in self._intents(customer, created_after):
            if intent.metadata.get("workflow_id") == workflow_id:
                return intent
        return None

    async def _intents(self, customer: str, created_after: datetime) -> AsyncIterator[PaymentIntentRecord]:
        query: list[tuple[str, str | int]] = [
            ("customer", customer),
            ("created[gte]", int(created_after.astimezone(UTC).timestamp())),
            ("limit", PAGE),
        ]
        page = await self.read("GET", "/v1/payment_intents", _IntentPage, query=query)
        while True:
            for intent in page.data:
                yield intent
            if not (page.has_more and page.data):
                return
            behind = [*query, ("starting_after", page.data[-1].id)]
            page = await self.read("GET", "/v1/payment_intents", _IntentPage, query=behind)

    async def _post(self, path: str, into: type[T], *, key: str, fields: Fields | None = None, **how: Any) -> T:
        headers = {"Idempotency-Key": key}
        try:
            return await self.keyed_write("POST", path, into, form=form_of(fields or {}), headers=headers, **how)
        except BackendRejected as exc:
            if exc.status == 409:
                raise BackendUnavailable(self.name, "stripe is still busy with this very request") from exc
            raise

    def refusal(self, answer: Answer) -> tuple[str, str | None]:
        """A card's refusal is written for its holder; other messages talk to programmers and are summed up."""
        try:
            error = msgspec.json.decode(answer.body, type=_ErrorBody).error
        except msgspec.DecodeError:
            return super().refusal(answer)
        reason = error.decline_code or error.code or error.type
        if error.type == "card_error" and error.message:
            return error.message, reason
        return f"stripe refused the request ({reason})", reason


def form_of(fields: Fields) -> Query:
    """Nested fields in Stripe's form encoding: `a[b]=1`, `c[0]=2`, `true` and `false`; None is left out.

    >>> form_of({"confirm": True, "metadata": {"order": 1}, "expand": ["customer"], "description": None})
    [('confirm', 'true'), ('metadata[order]', '1'), ('expand[0]', 'customer')]
    """
    return list(_flat(fields.items(), "{}"))


def _flat(items: Any, name: str) -> Iterator[tuple[str, str]]:
    for key, value in items:
        path = name.format(key)
        if isinstance(value, Mapping):
            yield from _flat(value.items(), f"{path}[{{}}]")
        elif isinstance(value, Sequence) and not isinstance(value, str):
            yield from _flat(enumerate(value), f"{path}[{{}}]")
        elif isinstance(value, bool):
            yield path, "true" if value else "false"
        elif value is not None:
            yield path, str(value)
