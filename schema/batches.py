"""Stock batches, kept in step with what platforms have."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated

import strawberry

from datasources.mongo import BatchToSync
from resolvers import batches
from resolvers.batches import BatchWanted
from resolvers.clients import ClientById
from resolvers.products import ProductBySku
from schema.directives import requires
from schema.fields import link
from schema.info import Info
from schema.inputs import given
from schema.pages import Connection

if TYPE_CHECKING:
    from schema.clients import Client
    from schema.products import Product


@strawberry.type(description="Stock of one kind, as a platform keeps it.")
class Batch:
    id: strawberry.ID
    client: Annotated[Client, strawberry.lazy("schema.clients")] | None = link(
        ClientById, key="client_id", description="The company whose stock it is."
    )
    sku: str
    product: Annotated[Product, strawberry.lazy("schema.products")] | None = link(
        ProductBySku,
        key="sku",
        description="The product that has a variant with this SKU.",
        directives=[requires("commerce:read")],
    )
    quantity: Decimal
    warehouse: str | None
    expires_at: date | None = strawberry.field(description="The last day on which it may be sold.")
    updated_at: datetime


@strawberry.type(description="What became of the batches of a sync, in numbers.")
class BatchSyncResult:
    created: int
    updated: int
    unchanged: int


@strawberry.input(description="Narrows a list of batches.")
class BatchFilter:
    client_id: strawberry.ID | None = strawberry.UNSET
    skus: list[str] | None = strawberry.field(default=strawberry.UNSET, description="At most 500.")

    def wanted(self) -> BatchWanted:
        return BatchWanted(client_id=given(self.client_id), skus=given(self.skus))


@strawberry.input(description="A batch as the platform has it.")
class BatchInput:
    external_id: strawberry.ID = strawberry.field(description="The platform's own id of this batch.")
    sku: str
    quantity: Decimal = strawberry.field(description="From 0 to 10^12, with at most 6 decimal places.")
    warehouse: str | None = strawberry.UNSET
    expires_at: date | None = strawberry.field(
        default=strawberry.UNSET, description="The last day on which it may be sold."
    )

    def to_sync(self) -> BatchToSync:
        return BatchToSync(
            external_id=self.external_id,
            sku=self.sku,
            quantity=self.quantity,
            warehouse=given(self.warehouse),
            expires_at=given(self.expires_at),
        )


@strawberry.type
class BatchQuery:
    @strawberry.field(
        description="Stock batches synchronised from platforms such as BookMaster, newest first.",
        directives=[requires("core:read")],
    )
    async def batches(
        self,
        info: Info,
        first: int | None = 20,
        after: str | None = strawberry.UNSET,
        filter: BatchFilter | None = strawberry.UNSET,
    ) -> Connection[Batch] | None:
        wanted = filter.wanted() if filter else BatchWanted()
        return await batches.batches(info.context, first=first, after=given(after), wanted=wanted)


@strawberry.type
class BatchMutation:
    @strawberry.mutation(
        description="Make a client's batches equal to these (1 to 1,000), by `externalId`; those left out stay as they "
        "are. The same again changes nothing.",
        directives=[requires("core:write")],
    )
    async def sync_batches(
        self,
        info: Info,
        input: list[BatchInput],
        client_id: Annotated[
            strawberry.ID | None,
            strawberry.argument(description="Whose they are, where the caller acts for several clients."),
        ] = strawberry.UNSET,
    ) -> BatchSyncResult | None:
        wanted = [batch.to_sync() for batch in input]
        return await batches.sync_batches(info.context, client_id=given(client_id), batches=wanted)
