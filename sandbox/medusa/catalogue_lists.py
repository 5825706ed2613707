"""The catalogue's list routes: their filters, defaults and what their records lead to."""

from __future__ import annotations

from sandbox.medusa.body import METADATA, Field
from sandbox.medusa.fields import LEAF, Kind
from sandbox.medusa.listing import Listing, column, columns
from sandbox.medusa.query import Filter, Value, words

OWN = (
    "id", "title", "subtitle", "description", "handle", "is_giftcard", "discountable", "thumbnail",
    "collection_id", "type_id", "weight", "length", "height", "width", "hs_code", "origin_country", "mid_code",
    "material", "created_at", "updated_at",
)  # fmt: skip
RELATED = (
    "*type", "*collection", "*options", "*options.values", "*tags", "*images", "*variants", "*variants.options",
    "*variants.options.option",
)  # fmt: skip
STORE_DEFAULTS = OWN + RELATED
ADMIN_DEFAULTS = (
    *OWN, "status", "external_id", "deleted_at", "metadata", *RELATED, "*variants.images", "*variants.prices",
    "*sales_channels",
)  # fmt: skip
VARIANT_DEFAULTS = ("*", "*options", "*options.option")

VARIANT = Kind(
    relations={
        "options": Kind({"option": LEAF}),
        "images": LEAF,
        "prices": LEAF,
        "calculated_price": LEAF,
        "product": LEAF,
    },
    extras=frozenset({"inventory_quantity"}),
)
STORE_VARIANT = Kind(
    {name: kind for name, kind in VARIANT.relations.items() if name != "prices"}, VARIANT.extras, frozenset({"prices"})
)
PRODUCT_RELATIONS = {
    "type": LEAF, "collection": LEAF, "options": Kind({"values": LEAF}), "tags": LEAF, "images": LEAF,
    "variants": VARIANT, "categories": LEAF, "sales_channels": LEAF,
}  # fmt: skip
PRODUCT = Kind(PRODUCT_RELATIONS)
STORE_PRODUCT = Kind(
    {**{name: kind for name, kind in PRODUCT_RELATIONS.items() if name != "sales_channels"}, "variants": STORE_VARIANT},
    hidden=frozenset({"sales_channels"}),
)

VARIANT_FILTERS: dict[str, Value] = {
    "id": lambda row: [variant["id"] for variant in row["variants"]],
    "sku": lambda row: [variant["sku"] for variant in row["variants"]],
}
PRODUCT_FILTERS: dict[str, Filter] = {
    **columns("id", "title", "handle", "created_at", "updated_at", "external_id", "is_giftcard"),
    "category_id": column("category_ids"),
    "sales_channel_id": column("sales_channel_ids"),
    "variants": VARIANT_FILTERS,
    "q": words(column("title"), column("subtitle"), column("description"), column("handle"), VARIANT_FILTERS["sku"]),
}
DECLINED = frozenset({
    "$and", "$or", "with_deleted", "collection_id", "tag_id", "type_id", "option_id", "option_value_id", "cart_id",
    "province", "locale", "price_list_id", "tags", "collection", "deleted_at",
})  # fmt: skip
SORTABLE = frozenset({"id", "title", "handle", "created_at", "updated_at"})
STORE_PRODUCTS = Listing(
    "products", STORE_PRODUCT, STORE_DEFAULTS, PRODUCT_FILTERS, declined=DECLINED, sortable=SORTABLE,
    context=frozenset({"region_id", "country_code"}),
)  # fmt: skip
ADMIN_PRODUCTS = Listing(
    "products", PRODUCT, ADMIN_DEFAULTS, {**PRODUCT_FILTERS, "status": column("status")}, strict=False,
    declined=DECLINED, sortable=SORTABLE,
)  # fmt: skip
VARIANT_LIST_FILTERS = {
    **columns("id", "sku", "product_id", "created_at", "updated_at", "manage_inventory", "allow_backorder"),
    "q": words(column("title"), column("sku")),
}
STORE_VARIANTS = Listing(
    "variants", STORE_VARIANT, VARIANT_DEFAULTS, VARIANT_LIST_FILTERS, limit=20,
    declined=frozenset({"$and", "$or", "options", "province", "cart_id", "locale"}),
    context=frozenset({"region_id", "country_code", "sales_channel_id"}),
)  # fmt: skip
ADMIN_VARIANTS = Listing(
    "variants", VARIANT, (*VARIANT_DEFAULTS, "*images", "*prices", "*product"), VARIANT_LIST_FILTERS
)
UPDATE = {
    **dict.fromkeys(("title", "subtitle", "description", "handle", "thumbnail", "material"), Field("string")),
    "metadata": METADATA,
    "status": Field("string", supported=False),
    **dict.fromkeys(
        ("variants", "options", "images", "categories", "sales_channels", "tags"), Field("array", supported=False)
    ),
}
CATEGORY_OWN = (
    "id", "name", "description", "handle", "rank", "external_id", "parent_category_id", "created_at",
    "updated_at", "metadata",
)  # fmt: skip
CATEGORY_DEFAULTS = (*CATEGORY_OWN, "*parent_category", "*category_children")
CATEGORY = Kind({"parent_category": LEAF, "category_children": LEAF, "products": STORE_PRODUCT})
CATEGORIES = Listing(
    "product_categories",
    CATEGORY,
    CATEGORY_DEFAULTS,
    {
        **columns(
            "id", "name", "description", "handle", "parent_category_id", "external_id", "created_at", "updated_at"
        ),
        "q": words(column("name"), column("description"), column("handle")),
    },
    declined=frozenset({"$and", "$or", "with_deleted", "include_ancestors_tree", "locale"}),
    context=frozenset({"include_descendants_tree"}),
    sortable=frozenset({"id", "name", "handle", "rank", "created_at", "updated_at"}),
)
