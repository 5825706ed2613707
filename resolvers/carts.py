"""Carts: whose they are, for whom they are made, and what may be put into them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.address import Address
from core.backends import BackendName
from core.errors import BadUserInput, Conflict, Forbidden, NotFound
from core.principals import Principal
from datasources.medusa import CartRecord, NewCart, NewItem, VariantRecord
from datasources.mongo import OwnershipRecord, UserRecord
from resolvers.clients import ClientById
from resolvers.context import Context
from resolvers.idempotency import note, noted
from resolvers.ownership import owns
from resolvers.products import PUBLISHED, channels_of
from resolvers.users import user_to_act_for

MAX_QUANTITY = 1_000_000
CART, QUANTITY = "cart", "quantity"
"""Notes for the next try: which cart was made, and how much of a variant there was before more was added."""


@dataclass(frozen=True)
class Seller:
    """Who sells and where: the client and its part of the shop, never without a channel. A service may sell for no
    client in particular."""

    client_id: str | None
    channel_ids: tuple[str, ...]
    region_id: str | None = None


@dataclass(frozen=True)
class CartWanted:
    """What a new cart is to be."""

    items: Sequence[NewItem] = ()
    user_id: str | None = None
    email: str | None = None
    region_id: str | None = None
    currency: str | None = None
    address: Address | None = None


async def cart(ctx: Context, id: str) -> CartRecord | None:
    """None for one that is not there, or not theirs."""
    found = await owned_cart(ctx, id)
    return found[0] if found else None


async def owned_cart(ctx: Context, id: str) -> tuple[CartRecord, OwnershipRecord | None] | None:
    """A cart with whose it is; None for one that is not there, or not theirs."""
    owner = await ctx.sources.mongo.owner(BackendName.MEDUSA, id)
    if not owns(ctx.principal, owner):
        return None
    found = await ctx.sources.medusa.cart(id)
    return (found, owner) if found is not None and may_see(ctx.principal, found, owner) else None


def may_see(principal: Principal, cart: CartRecord, owner: OwnershipRecord | None) -> bool:
    """Whether a cart is one that a principal may see: recorded as theirs, in a sales channel of theirs."""
    channels = channels_of(principal)
    return owns(principal, owner) and (channels is None or cart.sales_channel_id in channels)


async def create_cart(ctx: Context, wanted: CartWanted) -> CartRecord:
    """Make a cart for the caller, or for the user they name.

    Raises NotFound for a user or variant that is not theirs to use, BadUserInput for an e-mail that is not the user's,
    and for a currency or country that nothing is sold in.
    """
    user = await user_to_act_for(ctx, wanted.user_id)
    email = email_for(user, wanted.email)
    seller = await seller_for(ctx, user)
    await check_items(ctx, wanted.items, seller.channel_ids)
    made = await _cart_made_before(ctx)
    if made is None:
        # A region or currency that the caller names wins over the client's usual region.
        usual = seller.region_id if wanted.currency is None else None
        made = await ctx.sources.medusa.create_cart(
            NewCart(
                items=wanted.items,
                email=email,
                sales_channel_id=seller.channel_ids[0],
                region_id=wanted.region_id or usual,
                currency=wanted.currency,
                address=wanted.address,
            )
        )
        await note(ctx, CART, made.id)
    await ctx.sources.mongo.record_ownership(BackendName.MEDUSA, made.id, seller.client_id, user.id if user else None)
    await keep_customer(ctx, user, made.customer_id)
    return made


async def _cart_made_before(ctx: Context) -> CartRecord | None:
    """What an earlier try under the same key has made. Medusa finds no cart but by its id, so that one whose id was
    lost on the way stays behind, empty of consequences."""
    cart_id = noted(ctx, CART)
    return None if cart_id is None else await ctx.sources.medusa.cart(cart_id)


async def add_cart_item(ctx: Context, cart_id: str, variant_id: str, quantity: int) -> CartRecord:
    """Raises NotFound for a cart or variant that is not theirs to use, Conflict for a cart that is ordered already."""
    found = await cart(ctx, cart_id)
    if found is None:
        raise NotFound("there is no such cart")
    if found.completed_at is not None:
        raise Conflict("this cart has become an order")
    channels = [found.sales_channel_id] if found.sales_channel_id else None
    await check_items(ctx, [NewItem(variant_id, quantity)], channels)
    held = sum(item.quantity for item in found.items if item.variant_id == variant_id)
    before = noted(ctx, QUANTITY)
    if before is not None and held != int(before):
        return found  # an earlier try under the same key has added it, though nobody saw the answer
    await note(ctx, QUANTITY, str(held))
    return await ctx.sources.medusa.add_cart_item(cart_id, variant_id, quantity)


async def check_items(ctx: Context, items: Sequence[NewItem], channel_ids: Sequence[str] | None) -> list[VariantRecord]:
    """The variants that are wanted.

    Raises BadUserInput for a quantity out of range, NotFound for a variant that is not sold in these channels.

    Medusa sells any published variant through any channel, so that this is the place that looks.
    """
    for item in items:
        if not 1 <= item.quantity <= MAX_QUANTITY:
            raise BadUserInput(f"`quantity` is between 1 and {MAX_QUANTITY}, not {item.quantity}")
    wanted = list(dict.fromkeys(item.variant_id for item in items))
    variants = await ctx.sources.medusa.variants(ids=wanted)
    product_of = {variant.id: variant.product_id for variant in variants if variant.product_id}
    sold = await ctx.sources.medusa.products_by_ids(
        list(product_of.values()), channel_ids=channel_ids, status=PUBLISHED
    )
    sold_ids = {product.id for product in sold}
    for variant_id in wanted:
        if product_of.get(variant_id) not in sold_ids:
            raise NotFound(f"there is no variant {variant_id}")
    return variants


def email_for(user: UserRecord | None, email: str | None) -> str | None:
    """A user's cart carries their own address, because Medusa finds guests by it.

    Raises BadUserInput for another one, or for something that is no address.
    """
    if email is not None and not _looks_like_email(email):
        raise BadUserInput("`email` is no e-mail address")
    if user is None:
        return email
    if email is not None and email.lower() != user.email.lower():
        raise BadUserInput("`email` is not that of the user; leave it out")
    return user.email


async def keep_customer(ctx: Context, user: UserRecord | None, customer_id: str | None) -> None:
    """Remember the customer that Medusa made for a user, so that its orders are theirs."""
    if user is None or customer_id is None or customer_id in user.medusa_customer_ids:
        return
    if await ctx.sources.mongo.add_medusa_customer_id(user.id, customer_id):
        await ctx.sources.identities.changed()


async def seller_for(ctx: Context, user: UserRecord | None) -> Seller:
    """Who sells to this user, or to anybody on the caller's behalf.

    Raises Forbidden when the client sells nowhere, BadUserInput for an inactive one and when nobody says which it is.
    """
    principal = ctx.principal
    client_id = principal.client_id or (user.client_id if user else None)
    if client_id is None:
        if not principal.is_service:
            raise BadUserInput("`userId` is needed: it says for which client this is")
        return Seller(None, await _default_channels(ctx))
    client = await ctx.loader(ClientById).load(client_id)
    if client is not None and not client.is_active:
        raise BadUserInput("this client is not active")
    scope = client.backend_scope if client else None
    if scope is None or not scope.medusa_sales_channel_ids:
        raise Forbidden("this client has no sales channel")
    return Seller(client_id, scope.medusa_sales_channel_ids, scope.medusa_region_id)


async def _default_channels(ctx: Context) -> tuple[str, ...]:
    stores = await ctx.sources.medusa.stores()
    channels = tuple(store.default_sales_channel_id for store in stores if store.default_sales_channel_id)
    if not channels:
        raise Forbidden("the shop has no default sales channel; name a user")
    return channels


def _looks_like_email(text: str) -> bool:
    name, at, domain = text.partition("@")
    return bool(name and at and "." in domain.strip(".") and not any(each.isspace() for each in text))
