"""Payments: whose a customer of Stripe is, what they can pay with, and what is charged in whose name.

A customer there is the user who is linked to it; one that is nobody's is the client's for whom it was made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from uuid import uuid4

from core.backends import BackendName
from core.concurrency import bounded_map
from core.errors import BackendError, BadUserInput, NotFound
from core.person import REFERENCE
from datasources.mongo import UserRecord, UserStatus
from datasources.stripe import (
    CLIENT_REFERENCE,
    BillingSubscriptionRecord,
    NewIntent,
    NewSubscription,
    PayableIntentRecord,
    PaymentCustomerRecord,
    PaymentMethodRecord,
    to_stripe,
)
from resolvers import provisioning, users
from resolvers._person import checked_account_id, checked_email
from resolvers.bounds import checked_name
from resolvers.context import Context, Loader, OneByKey
from resolvers.ownership import owns

MOST_METADATA, LONGEST_KEY, LONGEST_VALUE = 40, 40, 500
"""Stripe keeps fifty entries; some are ours."""
RESERVED, OURS = "gateway_", frozenset({"workflow_id"})
"""What metadata of callers must not be called: by these the gateway finds its own payments, to release or refund
them."""
SERVICE = "service"
"""For whom customers are made that are of no client."""
NO_CUSTOMER = "there is no such customer"

Methods = list[PaymentMethodRecord]


@dataclass(frozen=True)
class IntentToMake:
    """`customer_id` None: whoever pays is nobody's customer; `metadata` is as the caller has it."""

    amount: Decimal
    currency: str
    customer_id: str | None = None
    payment_method_id: str | None = None
    hold: bool = False
    metadata: object = None


@dataclass(frozen=True)
class CustomerWanted:
    """`user_id` None: somebody who is no user."""

    email: str
    name: str | None = None
    user_id: str | None = None


@dataclass(frozen=True)
class Payer:
    """Whose a customer is. `client_id` None: a service's, like whatever nobody recorded."""

    customer_id: str
    client_id: str | None = None
    user: UserRecord | None = None

    @property
    def user_id(self) -> str | None:
        return self.user.id if self.user else None

    @property
    def metadata(self) -> dict[str, str]:
        """By which it is known in Stripe for whom something was made."""
        told = {CLIENT_REFERENCE: self.client_id, REFERENCE: self.user_id}
        return {name: value for name, value in told.items() if value is not None}


class UserByStripeCustomerId(OneByKey[str, UserRecord]):
    """The user behind a customer of Stripe, if the principal may see them."""

    async def fetch(self, keys: list[str]) -> list[UserRecord]:
        found = await self.sources.mongo.users_by_accounts(BackendName.STRIPE, keys)
        return [user for user in found if users.may_see(self.ctx.principal, user)]

    def key(self, row: UserRecord) -> str:
        return row.linked_accounts.stripe_customer_id or ""


class PaymentMethodsByCustomer(Loader[str, Methods | None]):
    """What a customer can pay with; None where there is no such customer. Stripe has no batch: one call each, side by
    side. Only for customers that are the caller's."""

    async def batch_load_fn(self, keys: list[str]) -> list[Methods | None]:
        found: list[Methods | BackendError | None] = await bounded_map(self._attempt, keys)
        return found  # type: ignore[return-value]  # the loader raises what is an exception, to who asked for it

    async def _attempt(self, customer_id: str) -> Methods | BackendError | None:
        try:
            return await self.sources.stripe.payment_methods(customer_id)
        except BackendError as exc:
            return exc


async def payment_methods(ctx: Context, customer_id: str) -> Methods | None:
    """The saved ones, newest first; None for a customer who is not there, or not theirs."""
    if await payer(ctx, customer_id) is None:
        return None
    return await ctx.loader(PaymentMethodsByCustomer).load(customer_id)


async def payment_methods_of_user(ctx: Context, user: UserRecord) -> Methods:
    """What a user can pay with; nothing for callers who may not see the user's rows."""
    customer_id = user.linked_accounts.stripe_customer_id
    if customer_id is None or not users.may_see(ctx.principal, user):
        return []
    return await ctx.loader(PaymentMethodsByCustomer).load(customer_id) or []


async def payer(ctx: Context, customer_id: str) -> Payer | None:
    """Whose a customer is; None for one that is not the caller's. That it is a service's does not say that it is
    there."""
    mongo = ctx.sources.mongo
    linked = await mongo.users_by_accounts(BackendName.STRIPE, [customer_id])
    owner = await mongo.owner(BackendName.STRIPE, customer_id)
    if linked:
        [user] = linked
        return Payer(customer_id, user.client_id, user) if users.may_see(ctx.principal, user) else None
    return Payer(customer_id, owner.client_id if owner else None) if owns(ctx.principal, owner) else None


async def create_payment_intent(ctx: Context, wanted: IntentToMake) -> PayableIntentRecord:
    """A payment that a browser is to confirm with its secret. Repeated under its idempotency key it is the same one.

    Raises BadUserInput for an amount that cannot be paid and metadata that cannot be kept, NotFound for a customer or
    payment method that is not theirs to charge.
    """
    _check_amount(wanted.amount, wanted.currency)
    metadata = checked_metadata(wanted.metadata)
    by = await _charged(ctx, wanted.customer_id)
    method = wanted.payment_method_id
    if method is not None:
        if by.customer_id == "":
            raise BadUserInput("`paymentMethodId` is one of a customer's; say whose, by `customerId`")
        if not await ctx.sources.stripe.has_payment_method(by.customer_id, method):
            raise NotFound("there is no such payment method of this customer")
    made = await ctx.sources.stripe.create_intent(
        NewIntent(
            amount=wanted.amount,
            currency=wanted.currency,
            customer=by.customer_id or None,
            payment_method=method,
            hold=wanted.hold,
            metadata={**metadata, **by.metadata},
        ),
        key=_key(ctx),
    )
    await ctx.sources.mongo.record_ownership(BackendName.STRIPE, made.id, by.client_id, by.user_id)
    return made


async def create_subscription(ctx: Context, customer_id: str, price_id: str) -> BillingSubscriptionRecord:
    """Have a customer pay regularly, for the first time now. Repeated under its idempotency key it is the same one.

    Raises NotFound for a customer who is not theirs to charge.
    """
    price = checked_account_id("priceId", price_id)
    by = await _charged(ctx, customer_id)
    new = NewSubscription(customer=by.customer_id, price=price, metadata=by.metadata)
    made = await ctx.sources.stripe.create_subscription(new, key=_key(ctx))
    await ctx.sources.mongo.record_ownership(BackendName.STRIPE, made.id, by.client_id, by.user_id)
    return made


async def create_payment_customer(ctx: Context, wanted: CustomerWanted) -> PaymentCustomerRecord:
    """The customer of a user, or of the client's with this address: the one that is there, or a new one.

    Raises BadUserInput for an address or name that is not the user's, NotFound for a user who is not theirs, and what
    provisioning raises.
    """
    email = checked_email("email", wanted.email)
    name = None if wanted.name is None else checked_name("name", wanted.name)
    if wanted.user_id is None:
        return await _guest(ctx, email, name)
    user = await users.user_to_act_for(ctx, wanted.user_id)
    if user is None:
        raise NotFound(users.NOBODY)
    if email.casefold() != user.email.casefold():
        raise BadUserInput("`email` is not that of the user")
    if name is not None and name != user.name:
        raise BadUserInput("`name` is not that of the user; leave it out")
    provisioned = await provisioning.provision_user(ctx, user.id, [BackendName.STRIPE])
    found = await ctx.sources.stripe.customer(provisioned.linked_accounts.stripe_customer_id or "")
    if found is None:
        raise NotFound("the customer that this user is linked to is no longer there")
    return found


async def _guest(ctx: Context, email: str, name: str | None) -> PaymentCustomerRecord:
    stripe, client_id = ctx.sources.stripe, _own_client(ctx, "userId")
    found = await stripe.guests(client_id or SERVICE, email)
    made = found[0] if found else await stripe.create_guest(client_id or SERVICE, email, name)
    await ctx.sources.mongo.record_ownership(BackendName.STRIPE, made.id, client_id, None)
    return made


async def _charged(ctx: Context, customer_id: str | None) -> Payer:
    """Who is to pay, as far as they are known: without customer their id is empty.

    Raises NotFound for a customer who is not theirs to charge, BadUserInput for a user who is not active.
    """
    if customer_id is None:
        return Payer("", _own_client(ctx, "customerId"))
    by = await payer(ctx, customer_id)
    if by is None or await ctx.sources.stripe.customer(customer_id) is None:
        raise NotFound(NO_CUSTOMER)
    if by.user is not None and by.user.status is not UserStatus.ACTIVE:
        raise BadUserInput("this user is not active")
    return by


def _own_client(ctx: Context, needed: str) -> str | None:
    """For which client something is made that names nobody; None: for none, by a service."""
    client_id = ctx.principal.client_id
    if client_id is None and not ctx.principal.is_service:
        raise BadUserInput(f"`{needed}` is needed: it says for which client this is")
    return client_id


def _key(ctx: Context) -> str:
    """Stripe's own key: the caller's, made unlike anybody else's, or one that nobody uses again."""
    return ctx.idempotency_key() or uuid4().hex


def _check_amount(amount: Decimal, currency: str) -> None:
    try:
        to_stripe(amount, currency)
    except ValueError as exc:
        raise BadUserInput(f"`amount`: {exc}") from exc


def checked_metadata(metadata: object) -> dict[str, str]:
    """What a caller wants to be remembered with a payment, as texts.

    Raises BadUserInput for what is no flat object, too much of it, and names that are the gateway's.
    """
    if metadata is None:
        return {}
    if not isinstance(metadata, Mapping):
        raise BadUserInput("`metadata` is an object")
    if len(metadata) > MOST_METADATA:
        raise BadUserInput(f"`metadata` has at most {MOST_METADATA} entries")
    return dict(_checked_entry(name, value) for name, value in metadata.items())


def _checked_entry(name: str, value: object) -> tuple[str, str]:
    if not (0 < len(name) <= LONGEST_KEY and name.isprintable()) or "[" in name or "]" in name:
        raise BadUserInput(f"names in `metadata` have 1 to {LONGEST_KEY} characters, and no brackets")
    if name.strip().casefold().startswith(RESERVED) or name.strip().casefold() in OURS:
        raise BadUserInput(f"`metadata.{name}` is a name of the gateway's own")
    if isinstance(value, bool):
        return name, "true" if value else "false"
    if not isinstance(value, str | int | float):
        raise BadUserInput(f"`metadata.{name}` is a text, a number, true or false")
    text = str(value)
    if not 0 < len(text) <= LONGEST_VALUE:
        raise BadUserInput(f"`metadata.{name}` has 1 to {LONGEST_VALUE} characters")
    return name, text
