"""Stock batches: whose they are, and how a platform keeps them in step with its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from core.errors import BadUserInput
from datasources.mongo import BatchRecord, BatchToSync, SyncedBatches
from resolvers.bounds import check_length, checked_decimal, checked_external_id, checked_text
from resolvers.clients import client_to_act_for
from resolvers.context import Context
from resolvers.keysets import keyset_after, keyset_page
from resolvers.pages import Page, checked_first, no_rows
from resolvers.users import visible_client_ids

MAX_BATCHES = 1000
MAX_SKUS = 500
LONGEST_SKU, LONGEST_WAREHOUSE = 140, 140
"""Characters, as in ERPNext, whose items and warehouses these are."""
LARGEST_QUANTITY, QUANTITY_PLACES = Decimal(10) ** 12, 6


@dataclass(frozen=True)
class BatchWanted:
    """What a list of batches is narrowed to; None: not at all."""

    client_id: str | None = None
    skus: Sequence[str] | None = None


async def batches(ctx: Context, *, first: int | None, after: str | None, wanted: BatchWanted) -> Page[BatchRecord]:
    """Newest first; none for customers, for stock is nobody's own. Raises BadUserInput for more than 500 SKUs."""
    limit, position = checked_first(first), keyset_after(after)
    check_length("skus", wanted.skus, MAX_SKUS)
    if ctx.principal.is_customer:
        return no_rows()
    client_ids = visible_client_ids(ctx.principal)
    if wanted.client_id is not None:
        if client_ids is not None and wanted.client_id not in client_ids:
            return no_rows()
        client_ids = (wanted.client_id,)
    narrowed = {"client_ids": client_ids, "skus": wanted.skus}
    rows = await ctx.sources.mongo.batches(limit=limit + 1, after=position, **narrowed)
    return keyset_page(rows, limit, position, lambda: ctx.sources.mongo.count_batches(**narrowed))


async def sync_batches(ctx: Context, *, client_id: str | None, batches: Sequence[BatchToSync]) -> SyncedBatches:
    """Makes a client's batches equal to these, by `external_id`; what is not among them stays as it is.

    Nothing is written unless all are in order. Raises BadUserInput where one is not, or two have one external id.
    """
    if not 1 <= len(batches) <= MAX_BATCHES:
        raise BadUserInput(f"`input` holds 1 to {MAX_BATCHES} batches, not {len(batches)}")
    checked = [_checked(f"input.{n}", batch) for n, batch in enumerate(batches)]
    seen: set[str] = set()
    for n, batch in enumerate(checked):
        if batch.external_id in seen:
            raise BadUserInput(f"`input.{n}.externalId` is there twice")
        seen.add(batch.external_id)
    client = await client_to_act_for(ctx, client_id)
    return await ctx.sources.mongo.sync_batches(client.id, checked)


def _checked(where: str, batch: BatchToSync) -> BatchToSync:
    warehouse = batch.warehouse
    return replace(
        batch,
        external_id=checked_external_id(f"{where}.externalId", batch.external_id),
        sku=checked_text(f"{where}.sku", batch.sku, LONGEST_SKU),
        quantity=checked_decimal(f"{where}.quantity", batch.quantity, largest=LARGEST_QUANTITY, places=QUANTITY_PLACES),
        warehouse=None if warehouse is None else checked_text(f"{where}.warehouse", warehouse, LONGEST_WAREHOUSE),
    )
