"""Long-running work: whose it is, what may be started, signalled and cancelled, and how it is followed."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any
from uuid import uuid4

import msgspec
import orjson

from core import operation
from core.address import Address
from core.concurrency import bounded_map
from core.errors import BadUserInput, IdempotencyConflict, NotFound
from core.idempotency import checked_key, effective_key
from core.principals import Principal
from datasources.medusa import NewItem
from datasources.mongo import ClientRecord, UserRecord
from datasources.temporal import (
    Memo,
    NewWorkflow,
    WorkflowFilter,
    WorkflowRecord,
    WorkflowResultRecord,
    WorkflowStatus,
    WorkflowType,
)
from resolvers.carts import check_items
from resolvers.context import Context, Loader, ManyByKey, OneByKey
from resolvers.pages import MAX_FIRST, Edge, Page, checked_first, decode_cursor, encode_cursor, no_rows, page_of
from resolvers.users import user_to_act_for, visible_client_ids
from workflows.contracts import SIGNALS, STEPS, OrderData, OrderFulfillment, OrderItem

MAX_ITEMS, MAX_QUANTITY = 100, 10_000
LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class WorkflowWanted:
    """What a list is narrowed to; None: not at all."""

    type: WorkflowType | None = None
    status: WorkflowStatus | None = None
    started_by_id: str | None = None
    order_id: str | None = None


@dataclass(frozen=True)
class NewFulfilment:
    """An order to be placed, paid and sent. `user_id` None: the caller's own; `payment_method_id` None: the user's
    default one."""

    items: Sequence[NewItem]
    shipping_address: Address
    payment_method_id: str | None = None
    user_id: str | None = None
    action: str = "order.fulfill"
    idempotency_key: str | None = None
    dry_run: bool = False


# -- reading -------------------------------------------------------------------------------------------------------


class WorkflowById(OneByKey[str, WorkflowRecord]):
    """The newest run under an id, where the principal may see it. One alone is as it is at this moment; several are as
    they are listed."""

    async def fetch(self, keys: list[str]) -> list[WorkflowRecord]:
        if len(keys) > 1:
            found = await self.sources.temporal.workflows_by_ids(keys)
        else:
            alone = await self.sources.temporal.describe(keys[0])
            found = [] if alone is None else [alone]
        theirs = [row for row in found if may_see(self.ctx.principal, row)]
        return sorted(theirs, key=lambda row: row.started_at or LONG_AGO)  # the last of several is kept

    def key(self, row: WorkflowRecord) -> str:
        return row.id


class WorkflowByOrderId(OneByKey[str, WorkflowRecord]):
    """The newest workflow about an order, where the principal may see it."""

    async def fetch(self, keys: list[str]) -> list[WorkflowRecord]:
        found = await self.sources.temporal.workflows_by_order_ids(keys)
        theirs = [row for row in found if may_see(self.ctx.principal, row)]
        return sorted(theirs, key=lambda row: row.started_at or LONG_AGO)  # the last of several is kept

    def key(self, row: WorkflowRecord) -> str:
        return row.order_id or ""


class ChildrenByWorkflowId(ManyByKey[str, WorkflowRecord]):
    """The workflows that a workflow has started as its own."""

    async def fetch(self, keys: list[str]) -> list[WorkflowRecord]:
        found = await self.sources.temporal.children_by_parent_ids(keys)
        return [row for row in found if may_see(self.ctx.principal, row)]

    def key(self, row: WorkflowRecord) -> str:
        return row.parent_id or ""


def may_see(principal: Principal, row: WorkflowRecord) -> bool:
    """Whether a workflow is one that a principal may see, as its search attributes tell."""
    client_ids = visible_client_ids(principal)
    if client_ids is not None and row.client_id not in client_ids:
        return False
    return not principal.is_customer or row.user_id == principal.user_id


async def workflow(ctx: Context, id: str) -> WorkflowRecord | None:
    """None for one that is not there, or not theirs."""
    found = await ctx.sources.temporal.describe(id)
    return found if found is not None and may_see(ctx.principal, found) else None


async def workflows(
    ctx: Context, *, first: int | None, after: str | None, wanted: WorkflowWanted
) -> Page[WorkflowRecord]:
    """Open ones first, then newest first."""
    principal = ctx.principal
    user_id = wanted.started_by_id
    if principal.is_customer:
        if user_id not in (None, principal.user_id):
            return no_rows()
        user_id = principal.user_id
    listed = WorkflowFilter(
        types=tuple(WorkflowType) if wanted.type is None else (wanted.type,),
        status=wanted.status,
        user_ids=None if user_id is None else (user_id,),
        client_ids=visible_client_ids(principal),
        order_ids=None if wanted.order_id is None else (wanted.order_id,),
    )
    rows = await _slice(ctx, Slice(listed, checked_first(first), *_position(after)))
    return _page(ctx, rows, listed, is_first=after is None)


async def workflows_of_user(
    ctx: Context, user: UserRecord, *, first: int | None, after: str | None
) -> Page[WorkflowRecord]:
    """What was started for a user whom the principal may see."""
    listed = WorkflowFilter(user_ids=(user.id,), client_ids=visible_client_ids(ctx.principal))
    rows = await ctx.loader(WorkflowsOfUsers).load(Slice(listed, checked_first(first), *_position(after)))
    return _page(ctx, rows, listed, is_first=after is None)


async def result(ctx: Context, row: WorkflowRecord) -> WorkflowResultRecord | None:
    """What a completed workflow answered; one call each, as Temporal lists no results."""
    if row.status is not WorkflowStatus.COMPLETED:
        return None
    return await ctx.sources.temporal.result(row.id, row.run_id)


async def follow(ctx: Context, id: str) -> AsyncGenerator[WorkflowRecord, None]:
    """The state now, then each change, until it has closed. Every state begins a new operation, so that what was
    loaded for one is loaded afresh for the next.

    Raises: NotFound for one that is not there, or not theirs.
    """
    if await workflow(ctx, id) is None:
        raise NotFound("there is no such workflow")
    async with aclosing(ctx.sources.temporal.watch(id)) as states:
        async for heard in states:
            operation.enter(operation.current().renewed())
            yield heard.item


# -- pages: Temporal continues by tokens that stand at page ends -----------------------------------------------------


@dataclass(frozen=True)
class Slice:
    """`limit` rows of a list, `skip` rows behind where `token` stands."""

    filter: WorkflowFilter
    limit: int
    token: str
    skip: int


@dataclass(frozen=True)
class SliceRows:
    edges: list[Edge[WorkflowRecord]]
    has_next: bool


class WorkflowsOfUsers(Loader[Slice, SliceRows]):
    """Slices of several users' lists: one page for all of them, then one call for each whom it left short."""

    async def batch_load_fn(self, keys: list[Slice]) -> list[SliceRows]:
        found: dict[Slice, SliceRows] = {}
        fresh = [key for key in keys if not key.token and not key.skip]
        if len(fresh) > 1:
            found |= await self._from_one_page(fresh)
        left = [key for key in keys if key not in found]
        found.update(zip(left, await bounded_map(partial(_slice, self.ctx), left), strict=True))
        return [found[key] for key in keys]

    async def _from_one_page(self, keys: list[Slice]) -> dict[Slice, SliceRows]:
        """Those slices that a page of everybody's newest workflows fills."""
        user_ids = tuple(dict.fromkeys(user_id for key in keys for user_id in key.filter.user_ids or ()))
        shared = replace(keys[0].filter, user_ids=user_ids)
        rows, token = await self.sources.temporal.list_page(shared, limit=MAX_FIRST)
        filled: dict[Slice, SliceRows] = {}
        for key in keys:
            theirs = [row for row in rows if row.user_id in (key.filter.user_ids or ())]
            if token is None or len(theirs) > key.limit:
                edges = [Edge(row, encode_cursor("", at + 1)) for at, row in enumerate(theirs[: key.limit])]
                filled[key] = SliceRows(edges, len(theirs) > key.limit)
        return filled


async def _slice(ctx: Context, key: Slice) -> SliceRows:
    token = base64.b64decode(key.token) or None
    rows, behind = await ctx.sources.temporal.list_page(key.filter, limit=key.skip + key.limit, token=token)
    edges = [Edge(row, encode_cursor(key.token, at + 1)) for at, row in enumerate(rows)][key.skip :]
    if edges and behind is not None:
        edges[-1] = Edge(edges[-1].node, encode_cursor(base64.b64encode(behind).decode(), 0))
    return SliceRows(edges, behind is not None)


def _position(after: str | None) -> tuple[str, int]:
    """Where a page begins. Raises: BadUserInput for a cursor that is none of ours."""
    if after is None:
        return "", 0
    match decode_cursor(after):
        case [str(token), int(skip)] if 0 <= skip <= MAX_FIRST and _is_base64(token):
            return token, skip
        case _:
            raise BadUserInput("`after` is not a cursor of this list")


def _is_base64(text: str) -> bool:
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return False
    return True


def _page(ctx: Context, rows: SliceRows, filter: WorkflowFilter, *, is_first: bool) -> Page[WorkflowRecord]:
    return page_of(
        rows.edges,
        has_next=rows.has_next,
        has_previous=not is_first,
        total=lambda: ctx.sources.temporal.count(filter),
    )


# -- starting ------------------------------------------------------------------------------------------------------


class _AddressData(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    street: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    city: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    country: Annotated[str, msgspec.Meta(pattern="^[A-Za-z]{2}$")]
    name: str | None = None
    postal_code: str | None = None
    latitude: Annotated[float, msgspec.Meta(ge=-90, le=90)] | None = None
    longitude: Annotated[float, msgspec.Meta(ge=-180, le=180)] | None = None


class _ItemData(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    variant_id: str
    quantity: int = 1


class _FulfilmentData(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel"):
    """`StartWorkflowInput.data` of ORDER_FULFILLMENT; the fields of `OrderFulfillmentInput`."""

    items: list[_ItemData]
    shipping_address: _AddressData
    payment_method_id: str | None = None


async def start_workflow(
    ctx: Context,
    *,
    type: WorkflowType,
    action: str,
    data: Any,
    user_id: str | None,
    idempotency_key: str | None,
    dry_run: bool,
) -> WorkflowRecord:
    """Start a workflow of any kind that is offered, its input being JSON. Raises: BadUserInput."""
    if type not in STEPS:
        raise BadUserInput(f"{type.name} is not offered yet")
    if not 1 <= len(action) <= 100:
        raise BadUserInput("`action` has 1 to 100 characters")
    try:
        given = msgspec.convert(data, _FulfilmentData)
    except msgspec.ValidationError as exc:
        raise BadUserInput(f"`data` does not fit {type.name}: {exc}") from exc
    address = given.shipping_address
    if (address.latitude is None) != (address.longitude is None):
        raise BadUserInput("`latitude` and `longitude` come together")
    new = NewFulfilment(
        items=[NewItem(item.variant_id, item.quantity) for item in given.items],
        shipping_address=Address(**{**msgspec.structs.asdict(address), "country": address.country.upper()}),
        payment_method_id=given.payment_method_id,
        user_id=user_id,
        action=action,
        idempotency_key=idempotency_key,
        dry_run=dry_run,
    )
    return await fulfil_order(ctx, new, field="startWorkflow")


async def fulfil_order(ctx: Context, new: NewFulfilment, *, field: str = "fulfillOrder") -> WorkflowRecord:
    """Start ORDER_FULFILLMENT, or find what the same key started before. Everything that can be checked without
    writing is checked first; a dry run ends there, PLANNED.

    Raises: BadUserInput; NotFound for a user whom the caller may not act for; IdempotencyConflict for a key that
    came with another input before.
    """
    _check_items(new.items)
    user = await user_to_act_for(ctx, new.user_id)
    if user is None:
        raise BadUserInput("`userId` is needed: the caller is no user")
    client = await _check_parties(ctx, user, new)
    items = tuple(OrderItem(item.variant_id, item.quantity) for item in new.items)
    data = OrderData(items, new.shipping_address, new.payment_method_id)
    order = OrderFulfillment(new.action, user.id, client.id, data)
    memo = Memo(steps=STEPS[WorkflowType.ORDER_FULFILLMENT], input_digest=_digest(order))
    workflow_id = f"order-fulfillment-{_effective_key(ctx, field, new.idempotency_key)}"
    planned = WorkflowRecord(
        id=workflow_id,
        type=WorkflowType.ORDER_FULFILLMENT,
        status=WorkflowStatus.PLANNED,
        memo=memo,
        action=new.action,
        user_id=user.id,
        client_id=client.id,
        client_app_id=client.client_app_id,
    )
    if new.dry_run:
        return planned
    started = await ctx.sources.temporal.start(
        NewWorkflow(
            id=workflow_id,
            type=planned.type,
            argument=order,
            action=new.action,
            user_id=user.id,
            client_id=client.id,
            client_app_id=client.client_app_id,
            memo=memo,
        )
    )
    if started.memo.input_digest != memo.input_digest:
        raise IdempotencyConflict("this idempotency key came with another input before")
    return started


def _check_items(items: Sequence[NewItem]) -> None:
    if not 1 <= len(items) <= MAX_ITEMS:
        raise BadUserInput(f"`items` holds 1 to {MAX_ITEMS} items")
    if any(not 1 <= item.quantity <= MAX_QUANTITY for item in items):
        raise BadUserInput(f"`quantity` is between 1 and {MAX_QUANTITY}")


async def _check_parties(ctx: Context, user: UserRecord, new: NewFulfilment) -> ClientRecord:
    """The user's client, once everything that the steps will need is there."""
    accounts = user.linked_accounts
    if accounts.stripe_customer_id is None:
        raise BadUserInput("the user has no account for payments")
    if accounts.erp_customer_id is None:
        raise BadUserInput("the user is no customer in the ERP")
    client = await _check_client(ctx, user.client_id)
    await asyncio.gather(
        _check_payment_method(ctx, accounts.stripe_customer_id, new.payment_method_id),
        _check_catalogue(ctx, new.items, client),
    )
    return client


async def _check_client(ctx: Context, client_id: str) -> ClientRecord:
    client = await ctx.sources.mongo.client(client_id)
    if client is None or not client.is_active:
        raise BadUserInput("the user's client is not active")
    scope = client.backend_scope
    if scope is None or not scope.medusa_sales_channel_ids:
        raise BadUserInput("the user's client has no sales channel to sell in")
    if scope.erp_company is None:
        raise BadUserInput("the user's client has no company in the ERP")
    pickup = scope.pickup
    if pickup is None or not (pickup.street and pickup.city and pickup.country):
        raise BadUserInput("the user's client has no place to send from")
    return client


async def _check_payment_method(ctx: Context, customer: str, payment_method: str | None) -> None:
    stripe = ctx.sources.stripe
    if payment_method is None:
        if await stripe.default_payment_method(customer) is None:
            raise BadUserInput("the user has no default payment method: give one")
    elif not await stripe.has_payment_method(customer, payment_method):
        raise BadUserInput("`paymentMethodId` is none of the user's")


async def _check_catalogue(ctx: Context, items: Sequence[NewItem], client: ClientRecord) -> None:
    """What the client sells, and what its ERP can invoice: it knows items by their SKU."""
    scope = client.backend_scope
    variants = await check_items(ctx, items, scope.medusa_sales_channel_ids if scope else ())
    if nameless := [variant.id for variant in variants if not variant.sku]:
        raise BadUserInput(f"variant {nameless[0]} has no SKU to invoice it by")


def _effective_key(ctx: Context, field: str, key: str | None) -> str:
    """What the work is known by. A key in the input wins over the request's: it names this work, whichever operation
    it comes in, while the other one names that operation. Random without either."""
    if key is not None:
        return effective_key(ctx.principal.id, "", field, checked_key(key, "idempotencyKey"))
    return ctx.idempotency_key() or uuid4().hex


def _digest(order: OrderFulfillment) -> str:
    """Tells inputs apart without telling them."""
    told = {"action": order.action, "user": order.user_id, "data": asdict(order.data)}
    return hashlib.sha256(orjson.dumps(told, option=orjson.OPT_SORT_KEYS)).hexdigest()


# -- changing what runs --------------------------------------------------------------------------------------------


async def signal(ctx: Context, id: str, name: str, payload: Any) -> WorkflowRecord:
    """Raises: NotFound for one that is not there, not theirs, or closed; BadUserInput for a signal that its kind does
    not take from callers."""
    found = await _theirs(ctx, id)
    if name not in SIGNALS.get(found.type, ()):
        raise BadUserInput(f"{found.type.name} takes no signal of this name")
    await ctx.sources.temporal.signal(id, name, payload)
    return await _theirs(ctx, id)


async def cancel(ctx: Context, id: str, reason: str | None) -> WorkflowRecord:
    """Ask it to stop and undo what it did; one that is closed stays as it is. Raises: NotFound."""
    found = await _theirs(ctx, id)
    if found.is_closed:
        return found
    await ctx.sources.temporal.cancel(id, (reason or "")[:200])
    return await _theirs(ctx, id)


async def _theirs(ctx: Context, id: str) -> WorkflowRecord:
    found = await workflow(ctx, id)
    if found is None:
        raise NotFound("there is no such workflow")
    return found
