"""Orders to suppliers, in the name of a client's company."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from core.backends import BackendName
from core.errors import BadUserInput, Forbidden
from datasources.erpnext import NewInvoiceItem, NewPurchaseOrder, PurchaseOrderRecord
from datasources.mongo import ClientRecord
from resolvers.bounds import checked_text
from resolvers.clients import client_to_act_for
from resolvers.context import Context
from resolvers.invoices import check_items, companies_of

LONGEST_SUPPLIER = 140


@dataclass(frozen=True)
class PurchaseToMake:
    """What to order from whom, to come by `schedule_date`. `client_id` None: for the caller's own client."""

    supplier: str
    schedule_date: date
    items: Sequence[NewInvoiceItem]
    client_id: str | None = None


async def create_purchase_order(ctx: Context, wanted: PurchaseToMake) -> PurchaseOrderRecord:
    """Make and submit it; repeated under its idempotency key it is the same one.

    Raises BadUserInput for lines that make no sense and a day that is past, NotFound for a client that is not theirs,
    Forbidden where there is no company to buy in their name.
    """
    check_items(wanted.items)
    supplier = checked_text("supplier", wanted.supplier, LONGEST_SUPPLIER)
    if wanted.schedule_date < ctx.sources.erpnext.today():
        raise BadUserInput("`scheduleDate` is past")
    client = await _client(ctx, wanted.client_id)
    company, warehouse = _place(ctx, client)
    made = await ctx.sources.erpnext.create_purchase_order(
        NewPurchaseOrder(
            supplier=supplier,
            company=company,
            schedule_date=wanted.schedule_date,
            items=wanted.items,
            warehouse=warehouse,
            idempotency_key=ctx.idempotency_key(),
        )
    )
    await ctx.sources.mongo.record_ownership(BackendName.ERPNEXT, made.id, client.id if client else None, None)
    return made


async def _client(ctx: Context, client_id: str | None) -> ClientRecord | None:
    """None: a service buys for the configured company."""
    if client_id is None and ctx.principal.is_service and ctx.sources.erpnext.default_company is not None:
        return None
    return await client_to_act_for(ctx, client_id)


def _place(ctx: Context, client: ClientRecord | None) -> tuple[str, str | None]:
    """Who buys, and where it goes to."""
    if client is None:
        return ctx.sources.erpnext.default_company or "", None
    scope, seen = client.backend_scope, companies_of(ctx.principal)
    if scope is None or scope.erp_company is None or (seen is not None and scope.erp_company not in seen):
        raise Forbidden("this client has no company in the ERP")
    return scope.erp_company, scope.erp_warehouse
