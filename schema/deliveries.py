"""Deliveries: where they are, who carries them and which orders they belong to."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from datasources.fleetbase import DeliveryRecord
from resolvers import deliveries
from resolvers.deliveries import DeliveryWanted
from resolvers.orders import OrderById
from schema.directives import BY_ID, requires
from schema.fields import link
from schema.fleet import Driver, Vehicle
from schema.info import Info
from schema.inputs import AddressInput, given, instant
from schema.pages import Connection
from schema.scalars import GeoPoint, Place

if TYPE_CHECKING:
    from schema.orders import Order


@strawberry.input(description="Narrows a list of deliveries.")
class DeliveryFilter:
    order_ids: list[strawberry.ID] | None = strawberry.field(
        default=strawberry.UNSET, description="Deliveries of these orders, at most 100."
    )
    status: str | None = strawberry.field(
        default=strawberry.UNSET,
        description="One, or several with commas; `active` is all that are neither completed nor canceled.",
    )
    driver_id: strawberry.ID | None = strawberry.UNSET

    def wanted(self) -> DeliveryWanted:
        return DeliveryWanted(
            order_ids=tuple(self.order_ids) if isinstance(self.order_ids, list) else None,
            status=given(self.status),
            driver_id=given(self.driver_id),
        )


@strawberry.type(description="Something that happened to a delivery.")
class DeliveryEvent:
    code: str = strawberry.field(description="Such as `DISPATCHED` or `COMPLETED`.")
    status: str = strawberry.field(description="The same in words.")
    details: str | None
    location: GeoPoint | None = strawberry.field(description="Where it happened, if that is known.")
    created_at: datetime


@strawberry.type(description="Goods on their way from one place to another.", directives=[BY_ID])
class Delivery:
    id: strawberry.ID
    internal_id: str | None = strawberry.field(
        description="The gateway's own reference: the order's id, if it has one."
    )
    status: str = strawberry.field(
        description="Such as `created`, `enroute`, `completed` or `canceled`; companies have words of their own."
    )
    tracking_number: str | None = strawberry.field(description="For people, to follow it by.")
    driver: Driver | None
    vehicle: Vehicle | None
    order: Annotated[Order, strawberry.lazy("schema.orders")] | None = link(
        OrderById, key="order_id", description="What is delivered.", directives=[requires("commerce:read")]
    )
    pickup: Place | None
    dropoff: Place | None
    distance_meters: int | None = strawberry.field(description="How long the way is, as computed with the route.")
    location: GeoPoint | None = strawberry.field(
        description="With its driver while it is under way, else where it was last reported."
    )
    events: list[DeliveryEvent] = strawberry.field(description="What happened to it, newest first.")
    scheduled_at: datetime | None = strawberry.field(description="Not before this time.")
    created_at: datetime
    updated_at: datetime

    @strawberry.field(
        description="How long the way takes: by `delivery`, from where its driver is now; in lists, as computed with "
        "the route."
    )
    def eta_seconds(parent: strawberry.Parent[DeliveryRecord], info: Info) -> int | None:
        return deliveries.eta_seconds(info.context, parent)


@strawberry.input(description="Orders a delivery. Places without coordinates are looked up by their address.")
class CreateDeliveryInput:
    order_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET,
        description="The order that is delivered. If it has one already that is not canceled, that is the answer.",
    )
    pickup: AddressInput
    dropoff: AddressInput
    scheduled_at: datetime | None = strawberry.field(default=strawberry.UNSET, description="Not before this time.")
    driver_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="Who is to carry it; otherwise nobody yet."
    )
    notes: str | None = strawberry.field(default=strawberry.UNSET, description="For the driver.")


@strawberry.type
class DeliveryQuery:
    @strawberry.field(description="Deliveries, newest first.", directives=[requires("logistics:read")])
    async def deliveries(
        self,
        info: Info,
        first: int | None = 20,
        after: str | None = strawberry.UNSET,
        filter: DeliveryFilter | None = strawberry.UNSET,
    ) -> Connection[Delivery] | None:
        wanted = filter.wanted() if filter else DeliveryWanted()
        return await deliveries.deliveries(info.context, first=first, after=given(after), wanted=wanted)

    @strawberry.field(description="One delivery, fresher than in a list.", directives=[requires("logistics:read")])
    async def delivery(self, info: Info, id: strawberry.ID) -> Delivery | None:
        return await deliveries.followed_delivery(info.context, id)


@strawberry.type
class DeliveryMutation:
    @strawberry.mutation(
        description="Orders a delivery, of an order or of anything else.", directives=[requires("logistics:write")]
    )
    async def create_delivery(self, info: Info, input: CreateDeliveryInput) -> Delivery | None:
        return await deliveries.create_delivery(
            info.context,
            # An empty id is a mistake that shall be told, not a delivery of no order.
            order_id=input.order_id if isinstance(input.order_id, str) else None,
            pickup=input.pickup.to_address(),
            dropoff=input.dropoff.to_address(),
            driver_id=given(input.driver_id),
            scheduled_at=instant(input.scheduled_at),
            notes=input.notes or None,
        )

    @strawberry.mutation(
        description="Cancels a delivery; refused once it is completed.", directives=[requires("logistics:write")]
    )
    async def cancel_delivery(self, info: Info, id: strawberry.ID) -> Delivery | None:
        return await deliveries.cancel_delivery(info.context, id)
