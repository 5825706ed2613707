"""What carts and their shipping options look like in answers."""

from __future__ import annotations

from decimal import Decimal

from sandbox.medusa.catalogue import Catalogue, Pricing
from sandbox.medusa.fields import LEAF, Kind, View
from sandbox.medusa.lines import LINE_TOTALS, SNAPSHOT, net, price_view, tax_line
from sandbox.medusa.money import number, raw, tax_percent, taxed, totals, with_raw
from sandbox.medusa.payments import COLLECTION, Payments
from sandbox.medusa.wire import twin
from sandbox.store import Row, Store

ADDRESS_NAMES = (
    "id", "first_name", "last_name", "company", "address_1", "address_2", "city", "postal_code", "country_code",
    "province", "phone",
)  # fmt: skip
ITEM_NAMES = (
    "id", "thumbnail", "variant_id", "product_id", "is_giftcard", "product_type_id", "product_title",
    "product_description", "product_subtitle", "product_type", "product_collection", "product_handle",
    "variant_sku", "variant_barcode", "variant_title", "requires_shipping", "metadata", "created_at",
    "updated_at", "title", "quantity", "unit_price", "compare_at_unit_price", "is_tax_inclusive", "tax_lines",
    "adjustments",
)  # fmt: skip
METHOD_NAMES = ("amount", "is_tax_inclusive", "shipping_option_id", "tax_lines", "adjustments")
CART_DEFAULTS = (
    "id", "currency_code", "email", "locale", "region_id", "created_at", "updated_at", "completed_at",
    *(name for name in totals([], [], None) if name != "original_subtotal"),
    "metadata", "sales_channel_id", "shipping_address_id", "billing_address_id", "customer_id",
    *(f"items.{name}" for name in ITEM_NAMES), "*items.product",
    *(f"shipping_methods.{name}" for name in METHOD_NAMES),
    *(f"{kind}_address.{name}" for kind in ("shipping", "billing") for name in ADDRESS_NAMES),
    "*credit_lines", "customer.email", "*customer.groups", "region.name", "region.currency_code",
    "region.automatic_taxes", "*region.countries", "*promotions",
)  # fmt: skip
ITEM_EXTRAS = frozenset(LINE_TOTALS) | {f"raw_{name}" for name in LINE_TOTALS}
CART = Kind(
    {
        "items": Kind({"product": LEAF, "variant": LEAF}, extras=ITEM_EXTRAS),
        "shipping_methods": LEAF,
        "shipping_address": LEAF,
        "billing_address": LEAF,
        "credit_lines": LEAF,
        "promotions": LEAF,
        "customer": Kind({"groups": LEAF}),
        "region": Kind({"countries": LEAF}),
        "payment_collection": COLLECTION,
    }
)


class CartViews:
    """Views of rows, with what is linked to them."""

    def __init__(self, store: Store, catalogue: Catalogue, payments: Payments) -> None:
        self._store, self._catalogue, self._payments = store, catalogue, payments

    def cart(self, cart: Row) -> View:
        """Everything that `fields` can ask of a cart."""
        percent = tax_percent(cart["shipping_address"])
        country = (cart["shipping_address"] or {}).get("country_code")
        shipping = [Decimal(method["amount"]) for method in cart["shipping_methods"]]
        view = {key: value for key, value in cart.items() if key not in ("order_id", "payment_collection_id")}
        view |= totals(map(net, cart["items"]), shipping, percent)
        view["items"] = [self._item(item, cart, percent, country) for item in cart["items"]]
        view["shipping_methods"] = [
            {
                **method,
                "amount": number(Decimal(method["amount"])),
                "raw_amount": raw(Decimal(method["amount"])),
                "is_tax_inclusive": False,
                "cart_id": cart["id"],
                "tax_lines": tax_line("casmtxl", method, percent, country),
                "adjustments": [],
            }
            for method in cart["shipping_methods"]
        ]
        for name in ("shipping_address", "billing_address"):
            if cart[name]:
                view[f"{name}_id"] = cart[name]["id"]
        view |= {"credit_lines": [], "promotions": [], "region": self._catalogue.region(cart["region_id"])}
        customer = self._store.get("customer", cart["customer_id"] or "")
        if customer:
            view["customer"] = {**customer, "groups": []}
        collection = self._store.get("payment_collection", cart["payment_collection_id"] or "")
        view["payment_collection"] = lambda _: collection and self._payments.collection_view(collection)
        return view

    def _item(self, item: Row, cart: Row, percent: Decimal | None, country: str | None) -> View:
        product = self._store.get("product", item["product_id"]) or {"category_ids": []}
        found = self._catalogue.variant(item["variant_id"])
        return {
            "id": item["id"],
            **{name: item[name] for name in SNAPSHOT},
            **price_view(item),
            "cart_id": cart["id"],
            "adjustments": [],
            "tax_lines": tax_line("calitxl", item, percent, country),
            **with_raw(taxed(net(item), percent)),
            "product": {
                "id": item["product_id"],
                "collection_id": None,
                "type_id": None,
                "categories": [{"id": each} for each in product["category_ids"]],
                "tags": [],
            },
            "variant": lambda _: found and self._catalogue.own_variant_view(found[1]),
        }

    def shipping_option(self, option: Row, currency: str) -> View:
        """A shipping option with its price in the currency of a cart."""
        price_set = twin("pset", option["id"])
        prices = [
            {
                "id": self._catalogue.price_id(price_set, each),
                "title": None,
                "currency_code": each,
                "rules_count": 0,
                "price_set_id": price_set,
                "price_list_id": None,
                "price_list": None,
                **with_raw({"amount": Decimal(amount)}),
                "min_quantity": None,
                "raw_min_quantity": None,
                "max_quantity": None,
                "raw_max_quantity": None,
                "price_rules": [],
                "created_at": option["created_at"],
                "updated_at": option["created_at"],
                "deleted_at": None,
            }
            for each, amount in option["prices"].items()
        ]
        location = self._store.rows("stock_location")[0]
        zone, fulfilment_set = twin("serzo", option["id"]), twin("fuset", option["id"])
        return {
            "id": option["id"],
            "name": option["name"],
            "price_type": "flat",
            "service_zone_id": zone,
            "shipping_profile_id": twin("sp", location["id"]),
            "provider_id": "manual_manual",
            "data": None,
            "service_zone": {
                "id": zone,
                "fulfillment_set_id": fulfilment_set,
                "fulfillment_set": {
                    "id": fulfilment_set,
                    "type": "shipping",
                    "location": {"id": location["id"], "address": location["address"]},
                },
            },
            "type": {
                "id": twin("sotype", option["id"]),
                "label": "Standard",
                "description": "Standard",
                "code": "standard",
            },
            "provider": {"id": "manual_manual", "is_enabled": True},
            "rules": [
                {"attribute": "enabled_in_store", "value": "true", "operator": "eq"},
                {"attribute": "is_return", "value": "false", "operator": "eq"},
            ],
            "calculated_price": self._catalogue.calculated_price(price_set, option["prices"], Pricing(currency)),
            "prices": prices,
            "amount": number(Decimal(option["prices"][currency])),
            "is_tax_inclusive": False,
            "insufficient_inventory": False,
        }
