"""Which handler answers what, and which of Medusa's routes have none."""

from __future__ import annotations

import re

from sandbox.medusa.carts import Carts
from sandbox.medusa.catalogue import Catalogue
from sandbox.medusa.checkout import Checkout
from sandbox.medusa.customers import Customers
from sandbox.medusa.orders import Orders
from sandbox.medusa.payments import Payments
from sandbox.medusa.places import Places
from sandbox.medusa.wire import Handler
from sandbox.store import Store

Route = tuple[str, str, Handler]
"""Method, path with {names} for what varies, handler."""

UNSUPPORTED_ROUTES = re.compile(
    r"/admin/(api-keys|campaigns|claims|collections|currencies|customer-groups|customers|draft-orders|exchanges"
    r"|feature-flags|fulfillment-providers|fulfillment-sets|fulfillments|index|inventory-items|invites|locales"
    r"|notifications|order-changes|order-edits|orders|payment-collections|payments|plugins|price-lists|price-preferences"
    r"|product-categories|product-options|product-tags|product-types|product-variants|products|promotions"
    r"|property-labels|refund-reasons|regions|reservations|return-reasons|returns|sales-channels|shipping-option-types"
    r"|shipping-options|shipping-profiles|stock-locations|stores|tax-providers|tax-rates|tax-regions|translations"
    r"|uploads|users|views|workflows-executions)(/.+)?"
    r"|/store/(collections/[^/]+|currencies(/[^/]+)?|customers(/.+)?|gift-cards/[^/]+|locales|orders(/[^/]+/transfer/.+)?"
    r"|product-tags(/[^/]+)?|product-types(/[^/]+)?|return-reasons(/[^/]+)?|returns|shipping-options/[^/]+/calculate"
    r"|carts/[^/]+/(credit-lines|customer|gift-cards|promotions|store-credits|taxes))"
    r"|/auth/.+|/hooks/payment/[^/]+"
)
"""What Medusa answers, if not already in the table."""
METHODS = frozenset({"GET", "HEAD", "POST", "DELETE"})
"""No route of Medusa's has another."""


def routes(store: Store) -> list[Route]:
    """Every route of the simulator, over its rows."""
    catalogue, customers, payments, places = Catalogue(store), Customers(store), Payments(store), Places(store)
    carts, orders = Carts(store, catalogue, customers, payments), Orders(store, catalogue, payments)
    checkout = Checkout(store, catalogue, carts, orders)
    return [
        ("GET", "/store/regions", places.regions),
        ("GET", "/store/regions/{id}", places.region),
        ("GET", "/store/collections", places.collections),
        ("GET", "/store/payment-providers", places.payment_providers),
        ("GET", "/store/products", catalogue.store_products),
        ("GET", "/store/products/{id}", catalogue.store_product),
        ("GET", "/store/product-variants", catalogue.store_variants),
        ("GET", "/store/product-variants/{id}", catalogue.store_variant),
        ("GET", "/store/product-categories", catalogue.store_categories),
        ("GET", "/store/product-categories/{id}", catalogue.store_category),
        ("POST", "/store/carts", carts.create),
        ("GET", "/store/carts/{id}", carts.cart),
        ("POST", "/store/carts/{id}", carts.update),
        ("POST", "/store/carts/{id}/line-items", carts.add_item),
        ("POST", "/store/carts/{id}/line-items/{line_id}", carts.update_item),
        ("DELETE", "/store/carts/{id}/line-items/{line_id}", carts.delete_item),
        ("POST", "/store/carts/{id}/shipping-methods", carts.add_shipping_method),
        ("POST", "/store/carts/{id}/complete", checkout.complete),
        ("GET", "/store/shipping-options", carts.shipping_options),
        ("POST", "/store/payment-collections", carts.create_payment_collection),
        ("POST", "/store/payment-collections/{id}/payment-sessions", payments.create_sessions),
        ("GET", "/store/orders/{id}", orders.store_order),
        ("GET", "/admin/products", catalogue.admin_products),
        ("GET", "/admin/products/{id}", catalogue.admin_product),
        ("POST", "/admin/products/{id}", catalogue.update_product),
        ("GET", "/admin/product-variants", catalogue.admin_variants),
        ("GET", "/admin/product-categories", catalogue.admin_categories),
        ("GET", "/admin/product-categories/{id}", catalogue.admin_category),
        ("GET", "/admin/orders", orders.orders),
        ("GET", "/admin/orders/{id}", orders.order),
        ("POST", "/admin/orders/{id}", orders.update),
        ("POST", "/admin/orders/{id}/cancel", orders.cancel),
        ("GET", "/admin/payments", payments.payments),
        ("GET", "/admin/payments/{id}", payments.payment),
        ("POST", "/admin/payments/{id}/capture", payments.capture),
        ("POST", "/admin/payments/{id}/refund", payments.refund),
        ("POST", "/admin/payment-collections/{id}/mark-as-paid", payments.mark_as_paid),
        ("GET", "/admin/customers", customers.customers),
        ("POST", "/admin/customers", customers.create),
        ("GET", "/admin/customers/{id}", customers.customer),
        ("POST", "/admin/customers/{id}", customers.update),
        ("GET", "/admin/stores", places.stores),
        ("GET", "/admin/stores/{id}", places.one_store),
        ("GET", "/admin/sales-channels", places.channels),
        ("GET", "/admin/sales-channels/{id}", places.channel),
        ("GET", "/admin/regions", places.admin_regions),
        ("GET", "/admin/regions/{id}", places.admin_region),
        ("GET", "/admin/inventory-items", places.inventory_items),
        ("GET", "/admin/stock-locations", places.stock_locations),
    ]


class Router:
    """Finds a request's handler. Unlike Starlette's it knows no 405, for neither does Medusa's."""

    def __init__(self, table: list[Route]) -> None:
        self._by_shape: dict[tuple[str, int], list[tuple[list[str], Handler]]] = {}
        for method, path, handler in table:
            parts = path.split("/")
            self._by_shape.setdefault((method, len(parts)), []).append((parts, handler))

    def find(self, method: str, path: str) -> tuple[Handler, dict[str, str]] | None:
        """The handler and what the path says in place of its names."""
        parts = path.split("/")
        for template, handler in self._by_shape.get(("GET" if method == "HEAD" else method, len(parts)), []):
            pairs = list(zip(template, parts, strict=True))
            if all(part if name.startswith("{") else name == part for name, part in pairs):
                return handler, {name[1:-1]: part for name, part in pairs if name.startswith("{")}
        return None
