"""Orders: whose they are, how they are listed, placed and canceled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

from core.address import Address
from core.concurrency import bounded_map
from core.errors import BadUserInput, NotFound
from core.principals import Principal
from datasources.medusa import MAX_IDS, NewItem, OrderRecord, OrderStatus, Rows
from datasources.mongo import ClientRecord, UserRecord
from resolvers import users
from resolvers.bounds import check_length
from resolvers.carts import CartWanted, create_cart, email_for, keep_customer, owned_cart
from resolvers.clients import ClientById
from resolvers.context import Context, Loader, OneByKey
from resolvers.pages import MAX_FIRST, Page, checked_first, no_rows, offset_after, offset_page
from resolvers.products import channels_of
from resolvers.users import user_to_act_for


@dataclass(frozen=True)
class OrderWanted:
    """What a list of orders is narrowed to; None: not at all. `created_after` is inclusive, `created_before` not."""

    ids: tuple[str, ...] | None = None
    user_id: str | None = None
    status: OrderStatus | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None


@dataclass(frozen=True)
class NewOrder:
    """What is ordered: a cart, or items; for whom and where to."""

    cart_id: str | None = None
    items: Sequence[NewItem] | None = None
    email: str | None = None
    user_id: str | None = None
    shipping_address: Address | None = None


def may_see(principal: Principal, order: OrderRecord) -> bool:
    """Whether an order is one that a principal may see."""
    channels = channels_of(principal)
    if channels is not None and order.sales_channel_id not in channels:
        return False
    return not principal.is_customer or order.customer_id in principal.medusa_customer_ids


class OrderById(OneByKey[str, OrderRecord]):
    """An order that the principal may see. What leads here (an invoice, a delivery) may name anybody's."""

    async def fetch(self, keys: list[str]) -> list[OrderRecord]:
        principal = self.ctx.principal
        found = await self.sources.medusa.orders_by_ids(keys, channel_ids=channels_of(principal))
        return [order for order in found if may_see(principal, order)]

    def key(self, row: OrderRecord) -> str:
        return row.id


@dataclass(frozen=True)
class Slice:
    """Some rows of the list of orders that these customers (None: all) have in these channels (None: all)."""

    customer_ids: tuple[str, ...] | None
    channel_ids: tuple[str, ...] | None
    wanted: OrderWanted
    limit: int
    offset: int

    @property
    def is_empty(self) -> bool:
        return () in (self.customer_ids, self.channel_ids, self.wanted.ids)

    def holds(self, row: OrderRecord) -> bool:
        """Whether an order that is in a wider list belongs to this one, going by customer and channel."""
        return (self.customer_ids is None or row.customer_id in self.customer_ids) and (
            self.channel_ids is None or row.sales_channel_id in self.channel_ids
        )


@dataclass(frozen=True)
class SliceRows:
    """`count` is the size of the whole list; None: it has not been told."""

    rows: list[OrderRecord]
    has_next: bool
    count: int | None


class OrderSlices(Loader[Slice, SliceRows]):
    """Slices of several lists: one page for all that differ in customer or channel only, then one call for each that
    it left short."""

    async def batch_load_fn(self, keys: list[Slice]) -> list[SliceRows]:
        found: dict[Slice, SliceRows] = {}
        alike: dict[Slice, list[Slice]] = {}
        for key in keys:
            alike.setdefault(_but_for_whose(key), []).append(key)
        for slices in alike.values():
            if len(slices) > 1 and slices[0].offset == 0:
                found |= await self._from_one_page(slices)
        left = [key for key in keys if key not in found]
        found.update(zip(left, await bounded_map(self._alone, left), strict=True))
        return [found[key] for key in keys]

    async def _alone(self, key: Slice) -> SliceRows:
        page = await rows_of(self.ctx, key)
        return SliceRows(page.rows, key.offset + len(page.rows) < page.count, page.count)

    async def _from_one_page(self, slices: list[Slice]) -> dict[Slice, SliceRows]:
        """Those slices that a page of everybody's newest orders fills."""
        shared = replace(
            slices[0],
            customer_ids=_union([key.customer_ids for key in slices]),
            channel_ids=_union([key.channel_ids for key in slices]),
            limit=MAX_FIRST,
        )
        page = await rows_of(self.ctx, shared)
        complete = page.count <= len(page.rows)
        filled: dict[Slice, SliceRows] = {}
        for key in slices:
            theirs = [row for row in page.rows if key.holds(row)]
            # Behind the page there may be more of theirs: their number is known only if nothing is behind it.
            if complete or len(theirs) > key.limit:
                filled[key] = SliceRows(theirs[: key.limit], len(theirs) > key.limit, len(theirs) if complete else None)
        return filled


class OrderCounts(Loader[Slice, int]):
    """How many rows the whole list of a slice has; one call each, for each list once."""

    async def batch_load_fn(self, keys: list[Slice]) -> list[int]:
        return [page.count for page in await bounded_map(partial(rows_of, self.ctx), keys)]


def _but_for_whose(key: Slice) -> Slice:
    """What slices have in common that one page can serve."""
    return replace(
        key,
        customer_ids=None if key.customer_ids is None else (),
        channel_ids=None if key.channel_ids is None else (),
    )


def _union(parts: list[tuple[str, ...] | None]) -> tuple[str, ...] | None:
    """All that any of them names; None: they name nobody, which is everybody."""
    named = [part for part in parts if part is not None]
    return tuple(dict.fromkeys(each for part in named for each in part)) if named else None


async def rows_of(ctx: Context, key: Slice) -> Rows[OrderRecord]:
    """What Medusa has for a slice."""
    return await ctx.sources.medusa.orders(
        limit=key.limit,
        offset=key.offset,
        ids=key.wanted.ids,
        status=key.wanted.status,
        customer_ids=key.customer_ids,
        channel_ids=key.channel_ids,
        created_after=key.wanted.created_after,
        created_before=key.wanted.created_before,
    )


async def order(ctx: Context, id: str) -> OrderRecord | None:
    """None for one that is not there, or not theirs."""
    return await ctx.loader(OrderById).load(id)


async def orders(ctx: Context, *, first: int | None, after: str | None, wanted: OrderWanted) -> Page[OrderRecord]:
    """Newest first. Raises BadUserInput for more than 300 ids."""
    limit, offset = checked_first(first), offset_after(after)
    check_length("ids", wanted.ids, MAX_IDS)
    customer_ids = ctx.principal.medusa_customer_ids if ctx.principal.is_customer else None
    channels = channels_of(ctx.principal)
    if wanted.user_id is not None:
        named = await users.user(ctx, wanted.user_id)
        customer_ids = named.medusa_customer_ids if named else ()
        channels = await channels_of_user(ctx, named) if named else ()
    return await _page(ctx, channels, customer_ids, wanted, limit, offset)


async def orders_of_client(
    ctx: Context, client: ClientRecord, *, first: int | None, after: str | None, wanted: OrderWanted | None
) -> Page[OrderRecord]:
    """Those in the client's sales channels that the caller may see, newest first."""
    wanted = wanted or OrderWanted()
    limit, offset = checked_first(first), offset_after(after)
    check_length("ids", wanted.ids, MAX_IDS)
    channels = client.backend_scope.medusa_sales_channel_ids if client.backend_scope else ()
    seen = channels_of(ctx.principal)
    if seen is not None:
        channels = tuple(channel for channel in channels if channel in seen)
    customer_ids = ctx.principal.medusa_customer_ids if ctx.principal.is_customer else None
    if wanted.user_id is not None:
        named = await users.user(ctx, wanted.user_id)
        customer_ids = named.medusa_customer_ids if named and named.client_id == client.id else ()
    # Who it is has been settled; without the name, slices of several clients are alike.
    return await _shared_page(ctx, Slice(customer_ids, channels, replace(wanted, user_id=None), limit, offset))


async def channels_of_user(ctx: Context, user: UserRecord) -> tuple[str, ...]:
    """The sales channels in which orders are this user's: those of their client that the caller may see.

    Medusa finds guests by e-mail, so that one customer there can have orders in other clients' channels too.
    """
    client = await ctx.loader(ClientById).load(user.client_id)
    theirs = client.backend_scope.medusa_sales_channel_ids if client and client.backend_scope else ()
    seen = channels_of(ctx.principal)
    return theirs if seen is None else tuple(channel for channel in theirs if channel in seen)


async def is_of_user(ctx: Context, order: OrderRecord, user: UserRecord) -> bool:
    """Whether a user whom the caller may see has placed this order."""
    return order.customer_id in user.medusa_customer_ids and order.sales_channel_id in await channels_of_user(ctx, user)


async def orders_of_user(
    ctx: Context, user: UserRecord, *, first: int | None, after: str | None, wanted: OrderWanted | None
) -> Page[OrderRecord]:
    """What this user has ordered, newest first; nothing for callers who may not see the user's rows."""
    wanted = wanted or OrderWanted()
    limit, offset = checked_first(first), offset_after(after)
    check_length("ids", wanted.ids, MAX_IDS)
    if not (users.may_see(ctx.principal, user) and wanted.user_id in (None, user.id)):
        return no_rows()
    channels = await channels_of_user(ctx, user)
    # Who it is has been settled; without the name, slices of several users are alike.
    key = Slice(user.medusa_customer_ids, channels, replace(wanted, user_id=None), limit, offset)
    return await _shared_page(ctx, key)


async def create_order(ctx: Context, new: NewOrder) -> OrderRecord:
    """Place an unpaid order of a cart, or of items by way of a new cart. Repeating it with the same cart gives the
    same order.

    Raises BadUserInput for what contradicts itself or is missing, NotFound for a cart, user or variant that is not
    theirs to use.
    """
    if (new.cart_id is None) == (not new.items):
        raise BadUserInput("give exactly one of `cartId` and `items`")
    if new.cart_id is not None:
        cart_id, email, user = await _chosen_cart(ctx, new.cart_id, new)
    else:
        cart_id, email, user = await _cart_of_items(ctx, new.items or (), new)
    placed = await ctx.sources.medusa.place_order(cart_id, email=email, address=new.shipping_address)
    await keep_customer(ctx, user, placed.customer_id)
    return placed


async def cancel_order(ctx: Context, id: str) -> OrderRecord:
    """Cancel it and give back what was paid, unless that has happened. Raises NotFound for one that is not theirs."""
    if await order(ctx, id) is None:
        raise NotFound("there is no such order")
    ctx.loader(OrderById).clear(id)
    return await ctx.sources.medusa.cancel_order(id)


async def _chosen_cart(ctx: Context, cart_id: str, new: NewOrder) -> tuple[str, str | None, UserRecord | None]:
    """The cart's id, the e-mail address it is to carry and whose it is."""
    found = await owned_cart(ctx, cart_id)
    if found is None:
        raise NotFound("there is no such cart")
    cart, owner = found
    owner_id = owner.user_id if owner else None
    if owner_id is not None and new.user_id not in (None, owner_id):
        raise BadUserInput("`userId` is not the user whose cart it is")
    user = await user_to_act_for(ctx, owner_id or new.user_id)
    email = email_for(user, new.email) or cart.email
    if email is None:
        raise BadUserInput("`email` is needed, for the cart has none")
    if cart.shipping_address is None and new.shipping_address is None:
        raise BadUserInput("`shippingAddress` is needed, for the cart has none")
    return cart.id, email, user


async def _cart_of_items(
    ctx: Context, items: Sequence[NewItem], new: NewOrder
) -> tuple[str, str | None, UserRecord | None]:
    user = await user_to_act_for(ctx, new.user_id)
    email = email_for(user, new.email)
    if email is None:
        raise BadUserInput("`email` or `userId` is needed")
    if new.shipping_address is None:
        raise BadUserInput("`shippingAddress` is needed")
    made = await create_cart(
        ctx, CartWanted(items=items, user_id=new.user_id, email=new.email, address=new.shipping_address)
    )
    return made.id, email, user


async def _shared_page(ctx: Context, key: Slice) -> Page[OrderRecord]:
    """A page of one of several lists that may be asked for side by side."""
    if key.is_empty:
        return no_rows()
    found = await ctx.loader(OrderSlices).load(key)

    async def count() -> int:
        if found.count is not None:
            return found.count
        return await ctx.loader(OrderCounts).load(replace(key, limit=1, offset=0))

    return offset_page(found.rows, key.offset, has_next=found.has_next, total=count)


async def _page(
    ctx: Context,
    channel_ids: Sequence[str] | None,
    customer_ids: Sequence[str] | None,
    wanted: OrderWanted,
    limit: int,
    offset: int,
) -> Page[OrderRecord]:
    found = await ctx.sources.medusa.orders(
        limit=limit,
        offset=offset,
        ids=wanted.ids,
        status=wanted.status,
        customer_ids=customer_ids,
        channel_ids=channel_ids,
        created_after=wanted.created_after,
        created_before=wanted.created_before,
    )
    return offset_page(found.rows, offset, has_next=offset + len(found.rows) < found.count, total=found.count)
