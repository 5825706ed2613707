"""What Medusa's answers and requests hold: the records that the gateway speaks in, and the wire's envelopes.

Currencies and countries are lower-case on this wire and upper-case in records; money is decimal in major units.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Any, Generic, TypeVar

import msgspec
from msgspec.structs import force_setattr

from core.address import Address
from core.person import REFERENCE

R = TypeVar("R")


class OrderStatus(Enum):
    PENDING = "pending"
    COMPLETED = "completed"
    DRAFT = "draft"
    ARCHIVED = "archived"
    CANCELED = "canceled"
    REQUIRES_ACTION = "requires_action"


# -- what the gateway reads ----------------------------------------------------------------------------------------


class _Record(msgspec.Struct, frozen=True, kw_only=True):
    """Base of what is read."""


class Rows(_Record, Generic[R], frozen=True, kw_only=True):
    """One page of a list, and how many rows the whole list has."""

    rows: list[R]
    count: int


class CustomerRecord(_Record, frozen=True, kw_only=True):
    """A customer: somebody with an account, or a guest. `email` is in lower case; both may have the same."""

    id: str
    email: str | None = None
    has_account: bool = False
    metadata: dict[str, Any] | None = None

    @property
    def made_for(self) -> str | None:
        """Our user for whom the gateway made it."""
        user_id = (self.metadata or {}).get(REFERENCE)
        return user_id if isinstance(user_id, str) else None


class PriceRecord(_Record, frozen=True, kw_only=True):
    """`rules` and `min_quantity` are set for prices that hold for some buyers only."""

    amount: Decimal
    currency: str = msgspec.field(name="currency_code")
    min_quantity: Decimal | None = None
    rules: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        force_setattr(self, "currency", self.currency.upper())


class VariantRecord(_Record, frozen=True, kw_only=True):
    id: str
    title: str
    sku: str | None = None
    product_id: str | None = None
    price_rows: list[PriceRecord] | None = msgspec.field(name="prices", default=None)

    @property
    def prices(self) -> list[PriceRecord]:
        """What anybody pays for one, per currency."""
        return [price for price in self.price_rows or () if not price.rules and (price.min_quantity or 0) <= 1]


class VariantStockRecord(_Record, frozen=True, kw_only=True):
    """`inventory_quantity` is None where the shop does not keep count."""

    id: str
    inventory_quantity: int | None = None


class CategoryRecord(_Record, frozen=True, kw_only=True):
    id: str
    name: str
    handle: str
    parent_category_id: str | None = None
    is_active: bool = True
    is_internal: bool = False


class ImageRecord(_Record, frozen=True, kw_only=True):
    url: str
    rank: int | None = None


class ProductRecord(_Record, frozen=True, kw_only=True):
    id: str
    title: str
    handle: str
    status: str
    created_at: datetime
    updated_at: datetime
    description: str | None = None
    thumbnail: str | None = None
    variants: list[VariantRecord] = []
    image_rows: list[ImageRecord] = msgspec.field(name="images", default_factory=list)
    category_rows: list[CategoryRecord] = msgspec.field(name="categories", default_factory=list)

    @property
    def images(self) -> list[str]:
        """Addresses, in the shop's order."""
        return [image.url for image in sorted(self.image_rows, key=lambda image: image.rank or 0)]

    @property
    def categories(self) -> list[CategoryRecord]:
        """Without those that the shop hides from buyers."""
        return [category for category in self.category_rows if category.is_active and not category.is_internal]

    @property
    def skus(self) -> tuple[str, ...]:
        return tuple(variant.sku for variant in self.variants if variant.sku)


class CurrencyRecord(_Record, frozen=True, kw_only=True):
    currency_code: str
    is_default: bool = False


class StoreRecord(_Record, frozen=True, kw_only=True):
    id: str
    name: str
    default_sales_channel_id: str | None = None
    supported_currencies: list[CurrencyRecord] = []

    @property
    def default_currency(self) -> str | None:
        return next((each.currency_code.upper() for each in self.supported_currencies if each.is_default), None)


class CountryRecord(_Record, frozen=True, kw_only=True):
    iso_2: str


class RegionRecord(_Record, frozen=True, kw_only=True):
    """Where the shop sells, and in which currency."""

    id: str
    name: str
    currency: str = msgspec.field(name="currency_code")
    country_rows: list[CountryRecord] = msgspec.field(name="countries", default_factory=list)

    def __post_init__(self) -> None:
        force_setattr(self, "currency", self.currency.upper())

    @property
    def countries(self) -> set[str]:
        """ISO 3166-1 alpha-2, upper-case."""
        return {country.iso_2.upper() for country in self.country_rows}


class LineItemRecord(_Record, frozen=True, kw_only=True):
    """One line of a cart or order; `currency` is that of its cart or order."""

    id: str
    title: str
    quantity: int
    unit_price: Decimal
    total: Decimal | None = None
    variant_id: str | None = None
    product_id: str | None = None
    requires_shipping: bool = True
    currency: str = ""

    def __post_init__(self) -> None:
        if self.total is None:
            force_setattr(self, "total", self.unit_price * self.quantity)


class CartAddressRecord(_Record, frozen=True, kw_only=True):
    first_name: str | None = None
    last_name: str | None = None
    address_1: str | None = None
    city: str | None = None
    postal_code: str | None = None
    country_code: str | None = None
    phone: str | None = None


class Ref(_Record, frozen=True, kw_only=True):
    id: str


class CartRecord(_Record, frozen=True, kw_only=True):
    """`completed_at` is set once it has become an order; totals include taxes and shipping as far as they are known."""

    id: str
    currency: str = msgspec.field(name="currency_code")
    email: str | None = None
    region_id: str | None = None
    sales_channel_id: str | None = None
    customer_id: str | None = None
    customer: Ref | None = None
    completed_at: datetime | None = None
    subtotal: Decimal
    total: Decimal
    items: list[LineItemRecord] = []
    shipping_methods: list[Ref] = []
    shipping_address: CartAddressRecord | None = None

    def __post_init__(self) -> None:
        _share_currency(self)
        if self.customer_id is None and self.customer is not None:
            force_setattr(self, "customer_id", self.customer.id)

    @property
    def requires_shipping(self) -> bool:
        return any(item.requires_shipping for item in self.items)


class OrderRecord(_Record, frozen=True, kw_only=True):
    """`subtotal` is before taxes and includes shipping; `shipping_total` includes its taxes."""

    id: str
    display_id: int
    status: OrderStatus
    payment_status: str | None = None
    fulfillment_status: str | None = None
    email: str | None = None
    customer_id: str | None = None
    sales_channel_id: str | None = None
    region_id: str | None = None
    currency: str = msgspec.field(name="currency_code")
    subtotal: Decimal
    shipping_total: Decimal
    tax_total: Decimal
    total: Decimal
    items: list[LineItemRecord]
    created_at: datetime
    updated_at: datetime

    def __post_init__(self) -> None:
        _share_currency(self)

    @property
    def buyer(self) -> tuple[str, str] | None:
        """The customer and the sales channel, which only together say whose the order is."""
        return (self.customer_id, self.sales_channel_id) if self.customer_id and self.sales_channel_id else None


class RefundRecord(_Record, frozen=True, kw_only=True):
    """Money that went back. `note` says for what, and holds our reference if we sent it back."""

    id: str
    amount: Decimal
    note: str | None = None


def _share_currency(owner: CartRecord | OrderRecord) -> None:
    force_setattr(owner, "currency", owner.currency.upper())
    for item in owner.items:
        force_setattr(item, "currency", owner.currency)


# -- what the gateway says -----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class NewItem:
    variant_id: str
    quantity: int


@dataclass(frozen=True)
class NewCart:
    """The region is the one named, else the first that sells in `currency` and to the address's country. A publishable
    key of several sales channels needs `sales_channel_id`. `email` finds or makes Medusa's customer."""

    items: Sequence[NewItem] = ()
    email: str | None = None
    sales_channel_id: str | None = None
    region_id: str | None = None
    currency: str | None = None
    address: Address | None = None


# -- the wire's envelopes ------------------------------------------------------------------------------------------


class ProductsPage(Rows[ProductRecord], frozen=True, kw_only=True):
    rows: list[ProductRecord] = msgspec.field(name="products")


class VariantsPage(Rows[VariantRecord], frozen=True, kw_only=True):
    rows: list[VariantRecord] = msgspec.field(name="variants")


class VariantStocksPage(Rows[VariantStockRecord], frozen=True, kw_only=True):
    rows: list[VariantStockRecord] = msgspec.field(name="variants")


class CategoriesPage(Rows[CategoryRecord], frozen=True, kw_only=True):
    rows: list[CategoryRecord] = msgspec.field(name="product_categories")


class CategoryAnswer(_Record, frozen=True, kw_only=True):
    product_category: CategoryRecord | None = None
    """Missing for an unknown one, which is 200 `{}`."""


class StoresPage(Rows[StoreRecord], frozen=True, kw_only=True):
    rows: list[StoreRecord] = msgspec.field(name="stores")


class RegionsPage(Rows[RegionRecord], frozen=True, kw_only=True):
    rows: list[RegionRecord] = msgspec.field(name="regions")


class OrdersPage(Rows[OrderRecord], frozen=True, kw_only=True):
    rows: list[OrderRecord] = msgspec.field(name="orders")


class OrderAnswer(_Record, frozen=True, kw_only=True):
    order: OrderRecord


class CustomersPage(Rows[CustomerRecord], frozen=True, kw_only=True):
    rows: list[CustomerRecord] = msgspec.field(name="customers")


class CustomerAnswer(_Record, frozen=True, kw_only=True):
    customer: CustomerRecord


class CartAnswer(_Record, frozen=True, kw_only=True):
    cart: CartRecord


class ShippingOption(_Record, frozen=True, kw_only=True):
    id: str
    price_type: str = "flat"
    amount: Decimal | None = None
    shipping_profile_id: str | None = None
    insufficient_inventory: bool = False


class ShippingOptionsAnswer(_Record, frozen=True, kw_only=True):
    shipping_options: list[ShippingOption]


class PaymentCollectionAnswer(_Record, frozen=True, kw_only=True):
    payment_collection: Ref


class Capture(_Record, frozen=True, kw_only=True):
    amount: Decimal


class Payment(_Record, frozen=True, kw_only=True):
    id: str
    captured_at: datetime | None = None
    canceled_at: datetime | None = None
    captures: list[Capture] = []
    refunds: list[RefundRecord] = []

    @property
    def refundable(self) -> Decimal:
        """What was captured and has not gone back."""
        return sum((each.amount for each in self.captures), Decimal(0)) - sum(each.amount for each in self.refunds)


class PaymentCollection(_Record, frozen=True, kw_only=True):
    payments: list[Payment] = []


class PaidOrder(_Record, frozen=True, kw_only=True):
    id: str
    payment_collections: list[PaymentCollection] = []

    @property
    def payments(self) -> list[Payment]:
        return [payment for each in self.payment_collections for payment in each.payments]

    @property
    def refunds(self) -> list[RefundRecord]:
        return [refund for payment in self.payments for refund in payment.refunds]


class PaidOrdersPage(Rows[PaidOrder], frozen=True, kw_only=True):
    rows: list[PaidOrder] = msgspec.field(name="orders")


class PaymentAnswer(_Record, frozen=True, kw_only=True):
    payment: Payment


class OrderPaymentsAnswer(_Record, frozen=True, kw_only=True):
    order: PaidOrder


class Refusal(_Record, frozen=True, kw_only=True):
    message: str = ""
    type: str | None = None
    code: str | None = None


class Completion(_Record, frozen=True, kw_only=True):
    type: str
    order: Ref | None = None
    error: Refusal | None = None


class Done(_Record, frozen=True, kw_only=True):
    """A body that nobody needs."""
