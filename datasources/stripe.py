"""Payments: Stripe's API v1, in the version pinned here.

Every POST carries an idempotency key and may so be repeated. A key remembers its first result for a day, refusals and
500s included: an unclear POST is repeated with its key, something that cannot double may as well take a new one.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar, Self, TypeVar

import httpx
import msgspec

from core.backends import BackendName
from core.errors import BackendRejected, BackendUnavailable
from core.person import REFERENCE, Person
from core.settings import StripeSettings
from datasources._http import Answer, HttpBackend, Limits, Query, open_client
from datasources._stripe_money import from_stripe, to_stripe
from datasources._stripe_records import (
    CLIENT_REFERENCE,
    AnyRow,
    BillingSubscriptionRecord,
    CustomerPage,
    ErrorBody,
    IntentPage,
    IntentStatus,
    NewHold,
    NewIntent,
    NewSubscription,
    OwnedCustomer,
    PayableIntentRecord,
    PayingCustomer,
    PaymentCustomerRecord,
    PaymentIntentRecord,
    PaymentMethodRecord,
    RefundRecord,
    RowPage,
    Undone,
)

__all__ = [
    "CLIENT_REFERENCE",
    "BillingSubscriptionRecord",
    "IntentStatus",
    "NewHold",
    "NewIntent",
    "NewSubscription",
    "PayableIntentRecord",
    "PaymentCustomerRecord",
    "PaymentIntentRecord",
    "PaymentMethodRecord",
    "RefundRecord",
    "Stripe",
    "Undone",
    "form_of",
    "from_stripe",
    "to_stripe",
]

T = TypeVar("T")
R = TypeVar("R", PaymentCustomerRecord, PaymentMethodRecord, RefundRecord)

API_VERSION = "2026-09-30.endive"
PAGE = 100
MOVES_MONEY_S = 30.0
"""Confirming, capturing and refunding reach the card networks, which take their time."""

Fields = Mapping[str, Any]


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
        await self.read("GET", "/v1/balance", AnyRow)

    async def customers_of(self, person: Person) -> list[str]:
        """The ids of the customers that were made for this person, newest first.

        `GET /v1/customers?email=`, which is up to date and knows only their address of today, and `GET
        /v1/customers/search`, which is a minute behind and knows them by our reference.
        """
        reference = f"metadata['{REFERENCE}']:'{person.user_id}'"
        listed, found = await asyncio.gather(
            self.read("GET", "/v1/customers", CustomerPage, query=[("email", person.email), ("limit", PAGE)]),
            self.read("GET", "/v1/customers/search", CustomerPage, query=[("query", reference), ("limit", PAGE)]),
        )
        theirs = [row for row in (*listed.data, *found.data) if row.metadata.get(REFERENCE) == person.user_id]
        return list(dict.fromkeys(row.id for row in theirs if not row.deleted))

    async def create_customer(self, person: Person) -> str:
        """A customer for this person; its id. The same one for a day, as long as nothing about them changes.
        `POST /v1/customers`"""
        about: dict[str, Any] = {"email": person.email, "name": person.name, "phone": person.phone}
        digest = hashlib.sha256(repr(sorted(about.items())).encode()).hexdigest()[:16]
        made = await self._post(
            "/v1/customers",
            OwnedCustomer,
            key=f"customer:{person.user_id}:{digest}",
            fields={**about, "metadata": {REFERENCE: person.user_id}},
        )
        return made.id

    async def customer(self, id: str) -> PaymentCustomerRecord | None:
        """None for one that is not there, or no longer. `GET /v1/customers/{id}`"""
        found = await self.read_or_none("GET", "/v1/customers/{id}", PaymentCustomerRecord, args={"id": id})
        return None if found is None or found.deleted else found

    async def guests(self, client: str, email: str) -> list[PaymentCustomerRecord]:
        """The customers with this address that were made for somebody who is no user, newest first. `client` as in
        `create_guest`. `GET /v1/customers?email=`"""
        found = await self._all("/v1/customers", PaymentCustomerRecord, [("email", email)])
        return [row for row in found or () if row.client == client and row.user_id is None]

    async def create_guest(self, client: str, email: str, name: str | None) -> PaymentCustomerRecord:
        """A customer who is no user. `client` is remembered with them: whose they are. The same one for a day, as long
        as nothing about them changes. `POST /v1/customers`"""
        digest = hashlib.sha256(repr((email, name)).encode()).hexdigest()[:16]
        fields = {"email": email, "name": name, "metadata": {CLIENT_REFERENCE: client}}
        return await self._post("/v1/customers", PaymentCustomerRecord, key=f"guest:{client}:{digest}", fields=fields)

    async def payment_methods(self, customer: str) -> list[PaymentMethodRecord] | None:
        """The saved ones, newest first; None where there is no such customer.
        `GET /v1/customers/{id}/payment_methods`"""
        return await self._all("/v1/customers/{id}/payment_methods", PaymentMethodRecord, args={"id": customer})

    async def default_payment_method(self, customer: str) -> str | None:
        """The id of the method that a customer pays with unless told otherwise; None without one, or without such a
        customer. `GET /v1/customers/{id}`"""
        found = await self.read_or_none("GET", "/v1/customers/{id}", PayingCustomer, args={"id": customer})
        return found.invoice_settings.default_payment_method if found and not found.deleted else None

    async def has_payment_method(self, customer: str, payment_method: str) -> bool:
        """Whether this saved method is this customer's. `GET /v1/customers/{id}/payment_methods/{pm}`"""
        path, args = "/v1/customers/{customer}/payment_methods/{id}", {"customer": customer, "id": payment_method}
        return await self.read_or_none("GET", path, AnyRow, args=args) is not None

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
                "amount": self._minor(hold.amount, hold.currency),
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

    async def create_intent(self, new: NewIntent, *, key: str) -> PayableIntentRecord:
        """A payment that is to be confirmed by whoever pays, with its secret. `POST /v1/payment_intents`

        How it may be paid is the account's settings' to say: this version refuses `payment_method_types`.
        """
        fields = {
            "amount": self._minor(new.amount, new.currency),
            "currency": new.currency.lower(),
            "customer": new.customer,
            "payment_method": new.payment_method,
            "capture_method": "manual" if new.hold else "automatic",
            "automatic_payment_methods": {"enabled": True},
            "metadata": new.metadata,
        }
        return await self._post("/v1/payment_intents", PayableIntentRecord, key=key, fields=fields)

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
            await self._give_back(id, key)
            return Undone.REFUNDED
        path, fields = "/v1/payment_intents/{id}/cancel", {"cancellation_reason": "abandoned"}
        await self._post(path, PaymentIntentRecord, key=f"{key}:cancel", args={"id": id}, fields=fields)
        return Undone.RELEASED

    async def _give_back(self, id: str, key: str) -> None:
        try:
            await self.refund(id, key=f"{key}:refund")
        except BackendRejected as exc:
            if exc.reason != "charge_already_refunded":
                raise

    async def refund(
        self, intent: str, *, key: str, amount: Decimal | None = None, currency: str | None = None
    ) -> RefundRecord:
        """Give back of a payment that was taken: `amount` in `currency`, or all that is left. `POST /v1/refunds`

        Raises: BackendRejected (`charge_already_refunded`) where nothing is left.
        """
        minor = None if amount is None else self._minor(amount, currency or "")
        fields = {"payment_intent": intent, "amount": minor, "reason": "requested_by_customer"}
        return await self._post("/v1/refunds", RefundRecord, key=key, fields=fields, timeout_s=MOVES_MONEY_S)

    async def refunds(self, intent: str) -> list[RefundRecord]:
        """Of a payment, newest first. `GET /v1/refunds?payment_intent=`"""
        return await self._all("/v1/refunds", RefundRecord, [("payment_intent", intent)]) or []

    async def create_subscription(self, new: NewSubscription, *, key: str) -> BillingSubscriptionRecord:
        """Have a customer pay a price regularly, for the first time at once, by their default method. `POST
        /v1/subscriptions`

        Raises: BackendRejected with the decline code where that is not paid: there is no subscription then.
        """
        fields = {
            "customer": new.customer,
            "items": [{"price": new.price}],
            "payment_behavior": "error_if_incomplete",
            "off_session": True,
            "metadata": new.metadata,
        }
        return await self._post(
            "/v1/subscriptions", BillingSubscriptionRecord, key=key, fields=fields, timeout_s=MOVES_MONEY_S
        )

    async def subscription(self, id: str) -> BillingSubscriptionRecord | None:
        """`GET /v1/subscriptions/{id}`"""
        return await self.read_or_none("GET", "/v1/subscriptions/{id}", BillingSubscriptionRecord, args={"id": id})

    async def cancel_subscription(self, id: str) -> BillingSubscriptionRecord:
        """End it now; fine when that has happened already. `DELETE /v1/subscriptions/{id}`"""
        path, args = "/v1/subscriptions/{id}", {"id": id}
        try:
            return await self.keyed_write("DELETE", path, BillingSubscriptionRecord, args=args)
        except BackendRejected:
            found = await self.subscription(id)
            if found is None or not found.is_ended:
                raise
            return found

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
        page = await self.read("GET", "/v1/payment_intents", IntentPage, query=query)
        while True:
            for intent in page.data:
                yield intent
            if not (page.has_more and page.data):
                return
            behind = [*query, ("starting_after", page.data[-1].id)]
            page = await self.read("GET", "/v1/payment_intents", IntentPage, query=behind)

    async def _all(
        self, path: str, into: type[R], query: Query = (), *, args: Mapping[str, str] | None = None
    ) -> list[R] | None:
        """All pages of a list; None where the row that it hangs on is not there."""
        asked: list[tuple[str, str | int]] = [*query, ("limit", PAGE)]
        rows: list[R] = []
        while True:
            behind: list[tuple[str, str | int]] = [("starting_after", rows[-1].id)] if rows else []
            kind: Any = RowPage[into]  # type: ignore[valid-type]
            page = await self.read_or_none("GET", path, kind, args=args, query=[*asked, *behind])
            if page is None:
                return None
            rows += page.data
            if not (page.has_more and page.data):
                return rows

    def _minor(self, amount: Decimal, currency: str) -> int:
        """Raises: BackendRejected for what Stripe would refuse, or, worse, take for another amount."""
        try:
            return to_stripe(amount, currency)
        except ValueError as exc:
            raise BackendRejected(self.name, str(exc), status=400, reason="amount_invalid") from exc

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
            error = msgspec.json.decode(answer.body, type=ErrorBody).error
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
