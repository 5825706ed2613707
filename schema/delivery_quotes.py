"""What deliveries would cost."""

from __future__ import annotations

from datetime import datetime

import strawberry

from resolvers import delivery_quotes
from schema.directives import requires
from schema.fields import money
from schema.info import Info
from schema.inputs import AddressInput
from schema.scalars import Money


@strawberry.type(description="What a service would take for a delivery.")
class DeliveryQuote:
    id: strawberry.ID
    amount: Money = money("amount", description="For the whole delivery.")
    service_name: str | None = strawberry.field(description="Such as `City express`.")
    expires_at: datetime | None = strawberry.field(description="Ask anew after this time: prices may have changed.")


@strawberry.input(description="From where to where. Places without coordinates are looked up by their address.")
class DeliveryQuoteInput:
    pickup: AddressInput
    dropoff: AddressInput


@strawberry.type
class DeliveryQuoteQuery:
    @strawberry.field(
        description="What a delivery would cost, the cheapest first. At most 5 different ones in an operation.",
        directives=[requires("logistics:read")],
    )
    async def delivery_quotes(self, info: Info, input: DeliveryQuoteInput) -> list[DeliveryQuote] | None:
        return await delivery_quotes.delivery_quotes(
            info.context, input.pickup.to_address(), input.dropoff.to_address()
        )
