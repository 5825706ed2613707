"""ORDER_FULFILLMENT: from a list of items to a paid, invoiced order on its way, or to nothing at all."""

from __future__ import annotations

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from datasources.temporal import ORDER_ID, WorkflowType
    from workflows.activities import OrderActivities as Do
    from workflows.contracts import (
        ORDER_FULFILLMENT_STEPS,
        Artifact,
        CaptureJob,
        CartJob,
        CartRef,
        ConfirmationCard,
        DeliveryJob,
        HoldJob,
        InvoiceJob,
        MailJob,
        OrderFulfillment,
        OrderJob,
        OrderRef,
        OrderTracker,
        PaymentEntryJob,
        PrepareCartJob,
        ReleaseJob,
        WorkflowOutput,
    )
    from workflows.saga import Saga, Undo

WORDS = {
    "cart": "filling the cart",
    "hold": "reserving the money",
    "order": "placing the order",
    "invoice": "writing the invoice",
    "delivery": "ordering the delivery",
    "capture": "taking the money",
    "order-payment": "marking the order as paid",
    "payment-entry": "booking the payment",
    "mail": "sending the confirmation",
}


@workflow.defn(name=WorkflowType.ORDER_FULFILLMENT.value)
class OrderFulfillmentWorkflow:
    @workflow.run
    async def run(self, order: OrderFulfillment) -> WorkflowOutput:
        saga = Saga(ORDER_FULFILLMENT_STEPS, WORDS, order.timing)
        return await saga.run(lambda: self._fulfil(saga, order))

    async def _fulfil(self, saga: Saga, order: OrderFulfillment) -> WorkflowOutput:
        user_id, client_id, wanted = order.user_id, order.client_id, order.data
        pay_back = Undo(Do.release_hold, ReleaseJob(user_id, workflow.info().start_time))

        async with saga.step("cart"):
            # Its id is in the history before anything else happens to it: a cart is made once.
            cart = await saga.do(Do.create_cart, CartJob(user_id, client_id, wanted.items))
            ready = await saga.do(Do.prepare_cart, PrepareCartJob(user_id, cart.cart_id, wanted.shipping_address))
        async with saga.step("hold", undo=pay_back):
            hold = await saga.do(
                Do.place_hold,
                HoldJob(user_id, client_id, ready.amount, ready.currency, wanted.payment_method_id),
            )
        async with saga.step("order", undo=Undo(Do.cancel_order, CartRef(cart.cart_id))):
            placed = await saga.do(Do.place_order, OrderJob(user_id, cart.cart_id, ready.amount))
            workflow.upsert_search_attributes([ORDER_ID.value_set(placed.order_id)])
        ref = OrderRef(placed.order_id)
        async with saga.step("invoice", undo=Undo(Do.cancel_invoices, ref)):
            invoice = await saga.do(Do.create_invoice, InvoiceJob(placed.order_id, user_id, client_id))
        async with saga.step("delivery", undo=Undo(Do.cancel_deliveries, ref)):
            delivery = await saga.do(
                Do.create_delivery, DeliveryJob(placed.order_id, client_id, wanted.shipping_address)
            )
        async with saga.step("capture", undo=pay_back):
            await saga.do(Do.capture_hold, CaptureJob(hold.intent_id))
        async with saga.step("order-payment"):
            # Cancelling the order gives back what Medusa holds for paid.
            await saga.do(Do.capture_order_payment, ref)
        entry = PaymentEntryJob(invoice.invoice_id, hold.intent_id)
        async with saga.step("payment-entry", undo=Undo(Do.cancel_payment_entries, entry)):
            booked = await saga.do(Do.record_payment, entry)

        number, total = str(placed.display_id), f"{ready.amount:f}"
        await saga.message(
            "mail",
            Do.send_confirmation,
            MailJob(user_id, number, ready.amount, ready.currency, delivery.tracking_number),
        )
        confirmation = ConfirmationCard(
            title=f"Order {number} is confirmed",
            orderId=placed.order_id,
            orderNumber=number,
            invoiceId=invoice.invoice_id,
            total=total,
            currency=ready.currency,
            itemCount=sum(item.quantity for item in wanted.items),
        )
        tracker = OrderTracker(
            orderId=placed.order_id,
            deliveryId=delivery.delivery_id,
            trackingNumber=delivery.tracking_number,
            status=delivery.status,
        )
        return WorkflowOutput(
            success=True,
            result={
                "orderId": placed.order_id,
                "invoiceId": invoice.invoice_id,
                "deliveryId": delivery.delivery_id,
                "paymentIntentId": hold.intent_id,
                "paymentEntryId": booked.payment_entry_id,
            },
            artifacts=[
                Artifact(type="confirmation-card", data=confirmation),
                Artifact(type="order-tracker", data=tracker),
            ],
        )
