"""What Stripe does: customers, what they pay with, payments and subscriptions."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

import strawberry
from strawberry.scalars import JSON

from datasources.stripe import PaymentIntentRecord
from resolvers import payments
from resolvers.payments import CustomerWanted, IntentToMake, UserByStripeCustomerId
from schema.directives import requires
from schema.fields import link, money, secret
from schema.info import Info
from schema.inputs import given
from schema.scalars import CurrencyCode, Money

if TYPE_CHECKING:
    from schema.users import User


@strawberry.type(description="A payment that a browser confirms.")
class PaymentIntent:
    id: strawberry.ID
    amount: Money = money("amount", description="What is to be paid.")
    client_secret: str | None = secret(
        description="With it the browser of whoever pays confirms the payment. Shown here and never again; it is for "
        "them and nobody else."
    )
    capture_method: str = strawberry.field(description="`manual` where the amount is only held at first.")

    @strawberry.field(description="Stripe's word, such as `requires_payment_method`.")
    def status(parent: strawberry.Parent[PaymentIntentRecord]) -> str:
        return parent.status.value


@strawberry.type(description="Somebody who pays.")
class PaymentCustomer:
    id: strawberry.ID = strawberry.field(description="Stripe's name of them; `linkedAccounts.stripeCustomerId`.")
    email: str | None
    name: str | None
    user: Annotated[User, strawberry.lazy("schema.users")] | None = link(
        UserByStripeCustomerId,
        key="id",
        description="The user they are, if they are one.",
        directives=[requires("core:read")],
    )


@strawberry.type(description="A saved way to pay.")
class PaymentMethod:
    id: strawberry.ID
    type: str = strawberry.field(description="Stripe's word, such as `card`; only of cards there is more to tell.")
    brand: str | None = strawberry.field(description="Such as `visa`.")
    last4: str | None = strawberry.field(description="The last four digits.")
    exp_month: int | None = strawberry.field(description="The month in which it expires, from 1.")
    exp_year: int | None = strawberry.field(description="The year in which it expires.")


@strawberry.type(description="A price that a customer pays regularly.")
class BillingSubscription:
    id: strawberry.ID
    status: str = strawberry.field(description="Stripe's word, such as `active` or `past_due`.")
    current_period_end: datetime | None = strawberry.field(description="When it is to be paid next.")
    price_id: strawberry.ID = strawberry.field(description="Stripe's price.")


@strawberry.input(description="An amount in major units (12.50 is twelve and a half) with its currency.")
class MoneyInput:
    amount: Decimal
    currency: CurrencyCode


@strawberry.input(description="A payment to be confirmed by whoever pays.")
class CreatePaymentIntentInput:
    amount: MoneyInput = strawberry.field(description="More than zero, with no more decimals than the currency has.")
    customer_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="Stripe's customer, as in `linkedAccounts.stripeCustomerId`."
    )
    payment_method_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="One that this customer has saved."
    )
    hold: bool | None = strawberry.field(
        default=False, description="Only hold the amount, to be captured within a few days."
    )
    metadata: JSON | None = strawberry.field(
        default=strawberry.UNSET,
        description="Texts, numbers, true and false by name, to be remembered with the payment; at most 40. Names that "
        "begin with `gateway_`, and `workflow_id`, are the gateway's.",
    )

    def wanted(self) -> IntentToMake:
        return IntentToMake(
            amount=self.amount.amount,
            currency=self.amount.currency,
            customer_id=given(self.customer_id),
            payment_method_id=given(self.payment_method_id),
            hold=bool(given(self.hold)),
            metadata=given(self.metadata),
        )


@strawberry.input(description="Somebody who is to pay.")
class CreatePaymentCustomerInput:
    user_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="The user they are; left out: somebody who is no user."
    )
    email: str = strawberry.field(description="A user's is their own.")
    name: str | None = strawberry.field(default=strawberry.UNSET, description="A user's is their own.")

    def wanted(self) -> CustomerWanted:
        return CustomerWanted(email=self.email, name=given(self.name), user_id=given(self.user_id))


@strawberry.input(description="A customer, and the price that they are to pay regularly.")
class CreateSubscriptionInput:
    customer_id: strawberry.ID = strawberry.field(
        description="Stripe's customer, as in `linkedAccounts.stripeCustomerId`; they pay with their default method."
    )
    price_id: strawberry.ID = strawberry.field(description="Stripe's price, a recurring one.")


@strawberry.type
class PaymentQuery:
    @strawberry.field(
        description="What a customer of Stripe's has saved to pay with, newest first.",
        directives=[requires("payments:read")],
    )
    async def payment_methods(self, info: Info, customer_id: strawberry.ID) -> list[PaymentMethod] | None:
        return await payments.payment_methods(info.context, customer_id)


@strawberry.type
class PaymentMutation:
    @strawberry.mutation(
        description="A payment, with the secret by which whoever pays confirms it.",
        directives=[requires("payments:write")],
    )
    async def create_payment_intent(self, info: Info, input: CreatePaymentIntentInput) -> PaymentIntent | None:
        return await payments.create_payment_intent(info.context, input.wanted())

    @strawberry.mutation(
        description="The customer that a user, or somebody with this address, is in Stripe: the one that is there, or "
        "a new one.",
        directives=[requires("payments:write")],
    )
    async def create_payment_customer(self, info: Info, input: CreatePaymentCustomerInput) -> PaymentCustomer | None:
        return await payments.create_payment_customer(info.context, input.wanted())

    @strawberry.mutation(
        description="Has a customer pay a price regularly, for the first time at once. Where that is declined there is "
        "no subscription.",
        directives=[requires("payments:write")],
    )
    async def create_subscription(self, info: Info, input: CreateSubscriptionInput) -> BillingSubscription | None:
        return await payments.create_subscription(info.context, input.customer_id, input.price_id)
