"""Products with their variants, prices and stock; categories, regions, sales channels and the store itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sandbox.medusa.body import validate
from sandbox.medusa.catalogue_lists import (
    ADMIN_DEFAULTS,
    ADMIN_PRODUCTS,
    ADMIN_VARIANTS,
    CATEGORIES,
    CATEGORY,
    CATEGORY_DEFAULTS,
    CATEGORY_OWN,
    PRODUCT,
    STORE_DEFAULTS,
    STORE_PRODUCT,
    STORE_PRODUCTS,
    STORE_VARIANT,
    STORE_VARIANTS,
    UPDATE,
    VARIANT,
)
from sandbox.medusa.fields import Selection, View, pick, select
from sandbox.medusa.listing import shower
from sandbox.medusa.money import number, raw, tax_percent, taxed
from sandbox.medusa.wire import Call, MedusaError, now, twin
from sandbox.store import Row, Store


@dataclass(frozen=True)
class Pricing:
    """Where prices are asked for: a currency, and a country when taxes are wanted."""

    currency: str | None = None
    country: str | None = None


class Catalogue:
    """Handlers and look-ups. Views of products are kept as long as their rows stay the same objects."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._views: dict[str, tuple[Row, View]] = {}
        self._product_of: dict[str, str] = {}

    def variant(self, id: str) -> tuple[Row, Row] | None:
        """The product and the variant with this id."""
        if id not in self._product_of:
            self._product_of = {
                variant["id"]: product["id"]
                for product in self._store.rows("product")
                for variant in product["variants"]
            }
        product = self._store.get("product", self._product_of.get(id, ""))
        found = [variant for variant in product["variants"] if variant["id"] == id] if product else []
        return (product, found[0]) if product and found else None

    def region(self, id: str) -> Row | None:
        return self._store.get("region", id)

    def stock(self, variant_id: str) -> Row | None:
        """The inventory item of a variant."""
        return self._store.get("inventory_item", twin("iitem", variant_id))

    # Products

    def store_products(self, call: Call) -> Any:
        """GET /store/products: published, in the key's channels."""
        STORE_PRODUCTS.check(call.query)
        wanted, pricing = self._priced(call, select(call.fields, STORE_DEFAULTS))
        asked = call.query.get("sales_channel_id", [])
        if not set([asked] if isinstance(asked, str) else asked) <= set(call.channels):
            raise MedusaError("invalid_data", "Requested sales channel is not part of the publishable key")
        rows = self._visible(call.channels)
        return STORE_PRODUCTS.answer(call, rows, shower(STORE_PRODUCT, self._view, pricing), selection=wanted)

    def store_product(self, call: Call) -> Any:
        """GET /store/products/:id; with a region it shows prices by default."""
        STORE_PRODUCTS.check(call.query)
        defaults = (*STORE_DEFAULTS, "*variants.calculated_price") if "region_id" in call.query else STORE_DEFAULTS
        wanted, pricing = self._priced(call, select(call.fields, defaults))
        row = next((row for row in self._visible(call.channels) if row["id"] == call.id), None)
        if row is None:
            raise MedusaError("not_found", f"Product with id: {call.id} was not found")
        product = pick(self._view(row), wanted, STORE_PRODUCT, pricing)
        if not wanted.wants("categories"):
            # Medusa reads this field of them to hide internal ones, and leaves it in the answer.
            product["categories"] = [{"is_internal": False} for _ in row["category_ids"]]
        return {"product": product}

    def admin_products(self, call: Call) -> Any:
        status = call.query.get("status")
        if isinstance(status, str):
            raise MedusaError(
                "invalid_data", f"Invalid request: Expected type: 'array' for field 'status', got: '{status}'"
            )
        wanted = self._stocked(select(call.fields, ADMIN_DEFAULTS))
        return ADMIN_PRODUCTS.answer(
            call, self._store.rows("product"), shower(PRODUCT, self._view, Pricing()), selection=wanted
        )

    def admin_product(self, call: Call) -> Any:
        row = self._store.get("product", call.id)
        if row is None:
            raise MedusaError("not_found", "Product not found")
        return {
            "product": pick(self._view(row), self._stocked(select(call.fields, ADMIN_DEFAULTS)), PRODUCT, Pricing())
        }

    def update_product(self, call: Call) -> Any:
        """POST /admin/products/:id, for a product's own texts."""
        validate(call.body, UPDATE)
        row = self._store.get("product", call.id)
        if row is None:
            raise MedusaError("not_found", f'Product with id "{call.id}" not found')
        self._store.put("product", call.id, {**row, **call.body, "updated_at": now()})
        return self.admin_product(call)

    # Variants

    def store_variants(self, call: Call) -> Any:
        """GET /store/product-variants of the products that the key shows."""
        STORE_VARIANTS.check(call.query)
        wanted, pricing = self._priced(call, select(call.fields, STORE_VARIANTS.defaults), variant=True)
        return STORE_VARIANTS.answer(
            call,
            self._variants(self._visible(call.channels)),
            shower(STORE_VARIANT, self._variant_view, pricing),
            selection=wanted,
        )

    def store_variant(self, call: Call) -> Any:
        STORE_VARIANTS.check(call.query)
        wanted, pricing = self._priced(call, select(call.fields, STORE_VARIANTS.defaults), variant=True)
        for row in self._variants(self._visible(call.channels)):
            if row["id"] == call.id:
                return {"variant": pick(self._variant_view(row), wanted, STORE_VARIANT, pricing)}
        raise MedusaError("not_found", f"Product variant with id: {call.id} was not found")

    def admin_variants(self, call: Call) -> Any:
        wanted = self._stocked(select(call.fields, ADMIN_VARIANTS.defaults), variant=True)
        rows = self._variants(self._store.rows("product"))
        return ADMIN_VARIANTS.answer(call, rows, shower(VARIANT, self._variant_view, Pricing()), selection=wanted)

    # Categories

    def store_categories(self, call: Call) -> Any:
        tree = call.query.get("include_descendants_tree") == "true"
        wanted = select(call.fields, (*CATEGORY_OWN, "*category_children") if tree else CATEGORY_DEFAULTS)
        show = shower(CATEGORY, lambda row: self._category_view(row, tree=tree), Pricing())
        return CATEGORIES.answer(call, self._store.rows("product_category"), show, selection=wanted)

    def store_category(self, call: Call) -> Any:
        """GET /store/product-categories/:id: 200 {} for an unknown one, which is what Medusa does."""
        CATEGORIES.check(call.query)
        row = self._store.get("product_category", call.id)
        if row is None:
            return {}
        return {
            "product_category": pick(
                self._category_view(row), select(call.fields, CATEGORY_DEFAULTS), CATEGORY, Pricing()
            )
        }

    def admin_categories(self, call: Call) -> Any:
        wanted = select(call.fields, (*CATEGORY_DEFAULTS, "is_active", "is_internal"))
        rows = self._store.rows("product_category")
        return CATEGORIES.answer(call, rows, shower(CATEGORY, self._category_view, Pricing()), selection=wanted)

    def admin_category(self, call: Call) -> Any:
        row = self._store.get("product_category", call.id)
        if row is None:
            raise MedusaError("not_found", f"Product category with id: {call.id} was not found")
        wanted = select(call.fields, (*CATEGORY_DEFAULTS, "is_active", "is_internal"))
        return {"product_category": pick(self._category_view(row), wanted, CATEGORY, Pricing())}

    # Views

    def calculated_price(self, price_set: str, prices: dict[str, str], pricing: Pricing) -> View | None:
        """What Medusa's pricing makes of a price; None when there is none in this currency."""
        if pricing.currency not in prices:
            return None
        amount = Decimal(prices[pricing.currency])
        price = {"id": self.price_id(price_set, pricing.currency), "price_list_id": None, "price_list_type": None,
                 "min_quantity": None, "max_quantity": None}  # fmt: skip
        view = {
            "id": price_set,
            "is_calculated_price_price_list": False,
            "is_calculated_price_tax_inclusive": False,
            "calculated_amount": number(amount),
            "raw_calculated_amount": raw(amount),
            "is_original_price_price_list": False,
            "is_original_price_tax_inclusive": False,
            "original_amount": number(amount),
            "raw_original_amount": raw(amount),
            "currency_code": pricing.currency,
            "calculated_price": price,
            "original_price": price,
        }
        percent = tax_percent({"country_code": pricing.country})
        if percent is not None:
            gross = taxed(amount, percent)["total"]
            for name in ("calculated_amount", "original_amount"):
                view |= {f"{name}_with_tax": number(gross), f"{name}_without_tax": number(amount)}
        return view

    @staticmethod
    def price_id(price_set: str, currency: str) -> str:
        """One price per set and currency; ids have upper-case letters and 26 places."""
        return twin("price", price_set)[: -len(currency)] + currency.upper()

    def own_variant_view(self, variant: Row) -> View:
        """A variant without anything around it."""
        return {key: value for key, value in self._variant_view(variant).items() if key not in VARIANT.apart}

    def own_product_view(self, product: Row) -> View:
        """A product without anything around it."""
        return {key: value for key, value in self._view(product).items() if key not in PRODUCT.apart}

    def _priced(self, call: Call, wanted: Selection, *, variant: bool = False) -> tuple[Selection, Pricing]:
        self._stocked(wanted, variant=variant)
        region_id, country = call.query.get("region_id"), call.query.get("country_code")
        node = wanted if variant else wanted.at("variants")
        if region_id is None:
            if node and node.wants("calculated_price"):
                raise MedusaError("invalid_data", "Missing required pricing context to calculate prices - region_id")
            return wanted, Pricing()
        region = self.region(str(region_id))
        if region is None:
            raise MedusaError("not_found", f"Region with id: {region_id} was not found")
        return wanted, Pricing(region["currency_code"], country)

    def _stocked(self, wanted: Selection, *, variant: bool = False) -> Selection:
        """Medusa reads `manage_inventory` to compute a quantity, and leaves it in the answer."""
        node = wanted if variant else wanted.at("variants")
        if node and "inventory_quantity" in node.names:
            node.names.add("manage_inventory")
        return wanted

    def _visible(self, channels: list[str]) -> list[Row]:
        return [
            row for row in self._store.rows("product")
            if row["status"] == "published" and not set(channels).isdisjoint(row["sales_channel_ids"])
        ]  # fmt: skip

    def _variants(self, products: Iterable[Row]) -> list[Row]:
        return [variant for product in products for variant in product["variants"]]

    def _view(self, row: Row) -> View:
        kept = self._views.get(row["id"])
        if kept is None or kept[0] is not row:
            kept = self._views[row["id"]] = (row, self._make_view(row))
        return kept[1]

    def _make_view(self, row: Row) -> View:
        view = {
            key: value for key, value in row.items() if key not in ("category_ids", "sales_channel_ids", "variants")
        }
        view["options"] = [
            {key: value for key, value in option.items() if key != "values"} | {"values": option["values"]}
            for option in row["options"]
        ]
        view["variants"] = [self._variant_view(variant, row) for variant in row["variants"]]
        view["categories"] = lambda _: self._known("product_category", row["category_ids"], self._product_category)
        view["sales_channels"] = lambda _: self._known("sales_channel", row["sales_channel_ids"])
        return view

    def _variant_view(self, variant: Row, product: Row | None = None) -> View:
        product = product or self._store.get("product", variant["product_id"]) or {}
        view = {key: value for key, value in variant.items() if key not in ("prices", "option_value_id")}
        option = product["options"][0]
        bare = {key: value for key, value in option.items() if key != "values"}
        view["options"] = [
            {**value, "option": bare} for value in option["values"] if value["id"] == variant["option_value_id"]
        ]
        view["images"] = []
        price_set = twin("pset", variant["id"])
        view["prices"] = [
            {
                "id": self.price_id(price_set, currency),
                "amount": number(Decimal(amount)),
                "currency_code": currency,
                "min_quantity": None,
                "max_quantity": None,
                "variant_id": variant["id"],
                "created_at": variant["created_at"],
                "updated_at": variant["updated_at"],
                "rules": {},
            }
            for currency, amount in variant["prices"].items()
        ]
        view["calculated_price"] = lambda pricing: self.calculated_price(price_set, variant["prices"], pricing)
        view["product"] = lambda _: self.own_product_view(product)
        if variant["manage_inventory"]:
            view["inventory_quantity"] = lambda _: self.available(variant["id"])
        return view

    def available(self, variant_id: str) -> int:
        """How many can still be ordered."""
        item = self.stock(variant_id)
        return item["stocked_quantity"] - item["reserved_quantity"] if item else 0

    def _known(self, kind: str, ids: list[str], view: Callable[[Row], View] = lambda row: row) -> list[View]:
        """The rows that ids lead to, those that lead nowhere left out."""
        return [view(row) for row in (self._store.get(kind, each) for each in ids) if row]

    @staticmethod
    def _product_category(row: Row) -> View:
        parent = row["parent_category_id"]
        return {**row, "parent_category": {"id": parent} if parent else None}

    def _category_view(self, row: Row, *, tree: bool = False) -> View:
        return {
            **row,
            "parent_category": lambda _: self._store.get("product_category", row["parent_category_id"] or ""),
            "category_children": self._children(row, tree=tree),
            "products": lambda _: [
                self._view(product) for product in self._store.rows("product") if row["id"] in product["category_ids"]
            ],
        }

    def _children(self, row: Row, *, tree: bool) -> list[View]:
        return [
            {**child, "category_children": self._children(child, tree=True)} if tree else child
            for child in self._store.rows("product_category")
            if child["parent_category_id"] == row["id"]
        ]
