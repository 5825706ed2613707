"""What a shop is made of besides its goods: the store, sales channels, regions, providers, warehouse."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from sandbox.medusa.fields import LEAF, Kind, pick, select
from sandbox.medusa.listing import Listing, column, columns, shower
from sandbox.medusa.money import ZERO, with_raw
from sandbox.medusa.payments import SYSTEM_PROVIDER
from sandbox.medusa.query import words
from sandbox.medusa.wire import Call, MedusaError
from sandbox.store import Row, Store

REGION_OWN = ("id", "name", "currency_code", "created_at", "updated_at", "deleted_at", "metadata")
REGION_FILTERS = {**columns("id", "name", "currency_code", "created_at", "updated_at"), "q": words(column("name"))}
REGIONS = Listing(
    "regions", Kind({"countries": LEAF, "payment_providers": LEAF}), (*REGION_OWN, "*countries"), REGION_FILTERS
)
ADMIN_REGIONS = Listing("regions", REGIONS.kind, (*REGIONS.defaults, "*payment_providers"), REGION_FILTERS)
CHANNELS = Listing(
    "sales_channels",
    LEAF,
    ("*",),
    {
        **columns("id", "name", "description", "is_disabled", "created_at", "updated_at"),
        "q": words(column("name"), column("description")),
    },
    limit=20,
    declined=frozenset({"$and", "$or", "with_deleted", "location_id", "publishable_key_id", "deleted_at"}),
)
STORES = Listing(
    "stores", Kind({"supported_currencies": LEAF}), ("*", "*supported_currencies"),
    {**columns("id", "name"), "q": words(column("name"))},
)  # fmt: skip
COLLECTIONS = Listing(
    "collections",
    LEAF,
    ("id", "title", "handle", "external_id", "created_at", "updated_at"),
    columns("id", "handle", "title"),
)
PROVIDERS = Listing(
    "payment_providers",
    LEAF,
    ("id", "is_enabled"),
    columns("id", "is_enabled"),
    limit=20,
    context=frozenset({"region_id"}),
)
INVENTORY = Listing("inventory_items", Kind({"location_levels": LEAF}), ("*", "*location_levels"), columns("id", "sku"))
LOCATIONS = Listing(
    "stock_locations", Kind({"address": LEAF}),
    ("id", "name", "metadata", "created_at", "updated_at",
     *(f"address.{name}" for name in ("address_1", "address_2", "city", "country_code", "phone", "province",
                                      "postal_code", "metadata"))),
    columns("id", "name"), declined=frozenset({"$and", "$or", "with_deleted", "sales_channel_id", "q"}),
)  # fmt: skip


class Places:
    """Handlers that only read."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def regions(self, call: Call) -> Any:
        return REGIONS.answer(call, self._store.rows("region"), shower(REGIONS.kind))

    def region(self, call: Call) -> Any:
        return {"region": self._one("region", "Region", call, REGIONS)}

    def admin_regions(self, call: Call) -> Any:
        return ADMIN_REGIONS.answer(call, self._store.rows("region"), shower(REGIONS.kind, _with_provider))

    def admin_region(self, call: Call) -> Any:
        return {"region": self._one("region", "Region", call, ADMIN_REGIONS)}

    def channels(self, call: Call) -> Any:
        return CHANNELS.answer(call, self._store.rows("sales_channel"), shower(LEAF))

    def channel(self, call: Call) -> Any:
        return {"sales_channel": self._one("sales_channel", "Sales channel", call, CHANNELS)}

    def stores(self, call: Call) -> Any:
        return STORES.answer(call, self._store.rows("store"), shower(STORES.kind))

    def one_store(self, call: Call) -> Any:
        return {"store": self._one("store", "Store", call, STORES)}

    def collections(self, call: Call) -> Any:
        """GET /store/collections: the demo shop has none."""
        return COLLECTIONS.answer(call, self._store.rows("product_collection"), shower(LEAF))

    def payment_providers(self, call: Call) -> Any:
        """GET /store/payment-providers of a region."""
        if "region_id" not in call.query:
            raise MedusaError("not_allowed", "You must provide the region_id to list payment providers")
        rows = (
            [{"id": SYSTEM_PROVIDER, "is_enabled": True}]
            if self._store.get("region", str(call.query["region_id"]))
            else []
        )
        return PROVIDERS.answer(call, rows, shower(LEAF))

    def inventory_items(self, call: Call) -> Any:
        return INVENTORY.answer(call, self._store.rows("inventory_item"), shower(INVENTORY.kind, self._inventory_view))

    def stock_locations(self, call: Call) -> Any:
        return LOCATIONS.answer(call, self._store.rows("stock_location"), shower(LOCATIONS.kind))

    def _one(self, kind: str, entity: str, call: Call, listing: Listing) -> Row:
        row = self._store.get(kind, call.id)
        if row is None:
            raise MedusaError("not_found", f"{entity} with id: {call.id} was not found")
        view = _with_provider(row) if kind == "region" else row
        return pick(view, select(call.fields, listing.defaults), listing.kind)

    def _inventory_view(self, row: Row) -> Row:
        amounts = {name: Decimal(str(row[name])) for name in ("stocked_quantity", "reserved_quantity")}
        level = {
            "id": row["id"].replace("iitem", "ilev"),
            "location_id": self._store.rows("stock_location")[0]["id"],
            "metadata": None,
            "inventory_item_id": row["id"],
            "created_at": row["created_at"],
            "updated_at": row["updated_at"],
            "deleted_at": None,
            "available_quantity": row["stocked_quantity"] - row["reserved_quantity"],
            **with_raw({**amounts, "incoming_quantity": ZERO}),
        }
        return {**row, "location_levels": [level]}


def _with_provider(region: Row) -> Row:
    return {**region, "payment_providers": [{"id": SYSTEM_PROVIDER, "is_enabled": True}]}
