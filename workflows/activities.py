"""What workflows do to backends, each act beside what undoes it.

Every activity may run more than once: writes carry a key or look first. Every undo finds what is to be undone by the
workflow's own references, whether or not the step that did it ever told of its success. People's names and addresses
are read here and given to the backend that needs them; they stay out of histories.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from temporalio import activity

from core.address import Address
from core.backends import BackendName
from core.errors import BackendError, BackendRejected, BadUserInput
from datasources.erpnext import NewInvoice, NewInvoiceItem
from datasources.fleetbase import NewDelivery
from datasources.medusa import NewCart, NewItem, OrderRecord
from datasources.mongo import ClientRecord, MessageStatus, UserRecord
from datasources.sendgrid import Mail, OutcomeUnknown, Recipient
from datasources.stripe import NewHold
from workflows._activity import CannotUndo, forward, running_workflow, undo
from workflows.contracts import (
    CaptureJob,
    CartJob,
    CartMade,
    CartReady,
    CartRef,
    DeliveryJob,
    DeliveryMade,
    HoldJob,
    HoldPlaced,
    InvoiceJob,
    InvoiceMade,
    MailJob,
    MessageOutcome,
    OrderJob,
    OrderPlaced,
    OrderRef,
    Outcome,
    PaymentEntryJob,
    PaymentRecorded,
    PrepareCartJob,
    ReleaseJob,
)

if TYPE_CHECKING:
    from datasources import Sources

CLOCKS_APART = timedelta(hours=1)
"""How far our clock and a backend's may differ."""
NOT_UNDER_WAY = frozenset({"created", "pending", "scheduled", "ready", "assigned", "dispatched"})
"""Of a delivery. Companies add words of their own, which are taken for a driver on the road."""
MAIL_PAUSES_S = (1.0, 4.0)
"""Between tries of a mail that was surely not accepted."""


class OrderActivities:
    """The acts of ORDER_FULFILLMENT."""

    def __init__(self, sources: Sources, *, mail_pauses_s: tuple[float, ...] = MAIL_PAUSES_S) -> None:
        self._sources = sources
        self._mail_pauses_s = mail_pauses_s

    def all(self) -> list[Callable[..., Any]]:
        """For a worker."""
        return [
            self.create_cart,
            self.prepare_cart,
            self.place_hold,
            self.release_hold,
            self.place_order,
            self.cancel_order,
            self.create_invoice,
            self.cancel_invoices,
            self.create_delivery,
            self.cancel_deliveries,
            self.capture_hold,
            self.capture_order_payment,
            self.record_payment,
            self.cancel_payment_entries,
            self.send_confirmation,
        ]

    # -- Medusa: the cart --------------------------------------------------------------------------------------

    @forward
    async def create_cart(self, job: CartJob) -> CartMade:
        """A cart that is lost between making and telling is left to Medusa: it binds nothing."""
        user, client = await self._user(job.user_id), await self._client(job.client_id)
        scope = client.backend_scope
        if scope is None or not scope.medusa_sales_channel_ids:
            raise BadUserInput("the client has no sales channel to sell in")
        cart = await self._sources.medusa.create_cart(
            NewCart(
                items=[NewItem(item.variant_id, item.quantity) for item in job.items],
                email=user.email,
                sales_channel_id=scope.medusa_sales_channel_ids[0],
                region_id=scope.medusa_region_id,
                currency=None if scope.medusa_region_id else client.default_currency,
            )
        )
        return CartMade(cart.id)

    @forward
    async def prepare_cart(self, job: PrepareCartJob) -> CartReady:
        """Address, shipping, total; and whose the cart is, as is the customer that Medusa made for it."""
        user = await self._user(job.user_id)
        await self._sources.mongo.record_ownership(BackendName.MEDUSA, job.cart_id, user.client_id, user.id)
        cart = await self._sources.medusa.prepare_cart(job.cart_id, email=user.email, address=job.shipping_address)
        if cart.customer_id is not None:
            await self._keep_customer(user.id, cart.customer_id)
        return CartReady(cart.total, cart.currency)

    # -- Stripe: the payment -----------------------------------------------------------------------------------

    @forward
    async def place_hold(self, job: HoldJob) -> HoldPlaced:
        stripe, customer = self._sources.stripe, await self._stripe_customer(job.user_id)
        method = job.payment_method_id or await stripe.default_payment_method(customer)
        if method is None:
            raise BadUserInput("the user has no payment method")
        workflow_id = running_workflow()
        hold = NewHold(job.amount, job.currency, customer, method, workflow_id)
        intent = await stripe.create_hold(hold, key=f"{workflow_id}:hold")
        await self._sources.mongo.record_ownership(BackendName.STRIPE, intent.id, job.client_id, job.user_id)
        return HoldPlaced(intent.id)

    @undo
    async def release_hold(self, job: ReleaseJob) -> Outcome:
        """Releases what is held, gives back what was taken."""
        info, workflow_id = activity.info(), running_workflow()
        customer, since = await self._stripe_customer(job.user_id), job.started_at - CLOCKS_APART
        intent = await self._sources.stripe.find_intent(customer, workflow_id, created_after=since)
        if intent is not None:
            # A new key for each try, as Stripe would repeat even a failure of its own under the old one.
            key = f"{workflow_id}:{info.activity_id}:{info.attempt}"
            await self._sources.stripe.cancel_or_refund(intent.id, key=key)
        return Outcome()

    @forward
    async def capture_hold(self, job: CaptureJob) -> Outcome:
        await self._sources.stripe.capture(job.intent_id, key=f"{running_workflow()}:capture")
        return Outcome()

    # -- Medusa: the order -------------------------------------------------------------------------------------

    @forward
    async def place_order(self, job: OrderJob) -> OrderPlaced:
        order = await self._sources.medusa.place_order(job.cart_id)
        if order.customer_id is not None:
            await self._keep_customer(job.user_id, order.customer_id)
        if order.total != job.amount:
            raise BadUserInput("the price changed while the order was placed")
        return OrderPlaced(order.id, order.display_id)

    @undo
    async def cancel_order(self, job: CartRef) -> Outcome:
        """Medusa itself refunds what it holds for paid and frees the stock."""
        order = await self._sources.medusa.order_of_cart(job.cart_id)
        if order is not None:
            await self._sources.medusa.cancel_order(order.id)
        return Outcome()

    @forward
    async def capture_order_payment(self, job: OrderRef) -> Outcome:
        await self._sources.medusa.capture_order_payment(job.order_id)
        return Outcome()

    # -- ERPNext: invoice and payment entry --------------------------------------------------------------------

    @forward
    async def create_invoice(self, job: InvoiceJob) -> InvoiceMade:
        user, client, order = await asyncio.gather(
            self._user(job.user_id), self._client(job.client_id), self._order(job.order_id)
        )
        customer = user.linked_accounts.erp_customer_id
        scope = client.backend_scope
        if customer is None or scope is None or scope.erp_company is None:
            raise BadUserInput("the user is no customer of the client's company in the ERP")
        skus = {
            variant.id: variant.sku
            for variant in await self._sources.medusa.variants(
                ids=[item.variant_id for item in order.items if item.variant_id]
            )
        }
        items = [
            NewInvoiceItem(
                sku=skus.get(item.variant_id or "") or "", quantity=Decimal(item.quantity), rate=item.unit_price
            )
            for item in order.items
        ]
        invoice = await self._sources.erpnext.create_invoice(
            NewInvoice(
                customer_id=customer,
                order_id=order.id,
                company=scope.erp_company,
                currency=order.currency,
                items=items,
                # Taxes and discounts too, so that what is invoiced is what is paid.
                shipping=order.total - sum((item.rate * item.quantity for item in items), Decimal(0)),
            )
        )
        return InvoiceMade(invoice.id)

    @undo
    async def cancel_invoices(self, job: OrderRef) -> Outcome:
        erpnext = self._sources.erpnext
        for invoice in await erpnext.invoices_by_order_ids([job.order_id]):
            if not invoice.is_cancelled:
                await erpnext.cancel_invoice(invoice.id)
        return Outcome()

    @forward
    async def record_payment(self, job: PaymentEntryJob) -> PaymentRecorded:
        return PaymentRecorded(await self._sources.erpnext.pay_invoice(job.invoice_id, job.intent_id))

    @undo
    async def cancel_payment_entries(self, job: PaymentEntryJob) -> Outcome:
        await self._sources.erpnext.cancel_payment_entry(job.invoice_id, job.intent_id)
        return Outcome()

    # -- Fleetbase: the delivery -------------------------------------------------------------------------------

    @forward
    async def create_delivery(self, job: DeliveryJob) -> DeliveryMade:
        client = await self._client(job.client_id)
        pickup = client.backend_scope.pickup if client.backend_scope else None
        if pickup is None or pickup.street is None or pickup.city is None or pickup.country is None:
            raise BadUserInput("the client has no place to send from")
        start = Address(
            street=pickup.street,
            city=pickup.city,
            country=pickup.country,
            name=pickup.name,
            postal_code=pickup.postal_code,
            phone=pickup.phone,
            latitude=pickup.location.latitude if pickup.location else None,
            longitude=pickup.location.longitude if pickup.location else None,
        )
        delivery = await self._sources.fleetbase.create_delivery(
            NewDelivery(internal_id=job.order_id, pickup=start, dropoff=job.shipping_address)
        )
        return DeliveryMade(delivery.id, delivery.status, delivery.tracking_number)

    @undo
    async def cancel_deliveries(self, job: OrderRef) -> Outcome:
        """Raises: CannotUndo for one that is on its way."""
        fleetbase = self._sources.fleetbase
        for delivery in await fleetbase.deliveries_by_order_ids([job.order_id]):
            if delivery.is_canceled:
                continue
            if delivery.status not in NOT_UNDER_WAY:
                raise CannotUndo("the delivery is under way", source=BackendName.FLEETBASE)
            await fleetbase.cancel_delivery(delivery.id)
        return Outcome()

    # -- SendGrid: the confirmation ----------------------------------------------------------------------------

    @forward
    async def send_confirmation(self, job: MailJob) -> MessageOutcome:
        """At most once: whoever finds the message claimed by a try that never told its end does not send it."""
        mongo, key = self._sources.mongo, f"{running_workflow()}:mail"
        user = await self._user(job.user_id)
        claim = await mongo.claim_message(key)
        if claim.status is not MessageStatus.SENDING:
            return MessageOutcome(claim.status.value, claim.detail)
        status, provider_id, detail = await self._send(_confirmation(user, job, key))
        await mongo.settle_message(key, status, provider_id=provider_id, detail=detail)
        return MessageOutcome(status.value, detail)

    async def _send(self, mail: Mail) -> tuple[MessageStatus, str | None, str | None]:
        for pause_s in (*self._mail_pauses_s, math.inf):
            try:
                return MessageStatus.SENT, await self._sources.sendgrid.send_mail(mail), None
            except OutcomeUnknown as exc:
                return MessageStatus.UNKNOWN, None, str(exc)
            except BackendError as exc:
                if pause_s == math.inf or not exc.retryable:
                    return MessageStatus.FAILED, None, str(exc)
                await asyncio.sleep(pause_s)
        raise AssertionError("the last try always ends")

    # -- what several of them need -----------------------------------------------------------------------------

    async def _keep_customer(self, user_id: str, customer_id: str) -> None:
        """Medusa's customer is the user's from now on, and so are its orders."""
        if await self._sources.mongo.add_medusa_customer_id(user_id, customer_id):
            await self._sources.identities.changed()

    async def _user(self, id: str) -> UserRecord:
        user = await self._sources.mongo.user(id)
        if user is None:
            raise BadUserInput("the user is not there any more")
        return user

    async def _client(self, id: str) -> ClientRecord:
        client = await self._sources.mongo.client(id)
        if client is None:
            raise BadUserInput("the client is not there any more")
        return client

    async def _stripe_customer(self, user_id: str) -> str:
        customer = (await self._user(user_id)).linked_accounts.stripe_customer_id
        if customer is None:
            raise BadUserInput("the user has no account for payments")
        return customer

    async def _order(self, id: str) -> OrderRecord:
        order = await self._sources.medusa.order(id)
        if order is None:
            raise BackendRejected(BackendName.MEDUSA, "there is no such order", status=404)
        return order


def _confirmation(user: UserRecord, job: MailJob, key: str) -> Mail:
    tracking = f"\n\nFollow your delivery under {job.tracking_number}." if job.tracking_number else ""
    return Mail(
        to=[Recipient(user.email, user.name)],
        subject=f"Order {job.order_number} is confirmed",
        text=f"Thank you for your order {job.order_number} of {job.total} {job.currency}.{tracking}",
        message_key=key,
        categories=("order-confirmation",),
    )
