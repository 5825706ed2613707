"""Carts, and the lines that carts and orders are made of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import strawberry

from datasources.medusa import NewItem
from resolvers import carts
from resolvers.carts import CartWanted
from resolvers.products import ProductById
from schema.directives import requires
from schema.fields import link, money
from schema.info import Info
from schema.inputs import LineItemInput, given
from schema.scalars import CurrencyCode, Money

if TYPE_CHECKING:
    from schema.products import Product


@strawberry.type(description="So many of one product variant, at a price.")
class LineItem:
    id: strawberry.ID
    title: str
    quantity: int
    unit_price: Money = money("unit_price", description="For one.")
    total: Money = money("total", description="For all of them, with taxes as far as they are known.")
    variant_id: strawberry.ID | None
    product: Annotated[Product, strawberry.lazy("schema.products")] | None = link(ProductById, key="product_id")


@strawberry.type(description="What somebody is about to buy.")
class Cart:
    id: strawberry.ID
    currency: CurrencyCode
    email: str | None
    items: list[LineItem]
    subtotal: Money = money("subtotal", description="Before taxes.")
    total: Money = money("total", description="With taxes and shipping, as far as they are known.")


@strawberry.input(description="A new cart. Without region or currency it is in the client's usual region.")
class CreateCartInput:
    currency: CurrencyCode | None = strawberry.field(
        default=strawberry.UNSET, description="Chooses a region that sells in it."
    )
    region_id: strawberry.ID | None = strawberry.UNSET
    email: str | None = strawberry.field(
        default=strawberry.UNSET, description="Of a guest. A user's cart carries the user's own address."
    )
    user_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="Whom it is for; the caller, if they are a user, unless given."
    )
    items: list[LineItemInput] | None = strawberry.UNSET

    def wanted(self) -> CartWanted:
        return CartWanted(
            items=new_items(self.items or []),
            user_id=given(self.user_id),
            email=given(self.email),
            region_id=given(self.region_id),
            currency=given(self.currency),
        )


def new_items(items: list[LineItemInput]) -> tuple[NewItem, ...]:
    return tuple(NewItem(item.variant_id, item.quantity) for item in items)


@strawberry.type
class CartQuery:
    @strawberry.field(description="One cart.", directives=[requires("commerce:read")])
    async def cart(self, info: Info, id: strawberry.ID) -> Cart | None:
        return await carts.cart(info.context, id)


@strawberry.type
class CartMutation:
    @strawberry.mutation(description="Begins a cart.", directives=[requires("commerce:write")])
    async def create_cart(self, info: Info, input: CreateCartInput) -> Cart | None:
        return await carts.create_cart(info.context, input.wanted())

    @strawberry.mutation(
        description="Adds to a cart; more of a variant that is in it already raises its line's quantity.",
        directives=[requires("commerce:write")],
    )
    async def add_cart_item(
        self, info: Info, cart_id: strawberry.ID, variant_id: strawberry.ID, quantity: int = 1
    ) -> Cart | None:
        return await carts.add_cart_item(info.context, cart_id, variant_id, quantity)
