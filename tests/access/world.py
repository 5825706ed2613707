"""All rows there are and whose each is, told by what was put into the stores and never by the gateway.

The demo world, and what it has too little of: customers of the shop and the books whom two clients know, deliveries and
carts that only the ownership collection gives to somebody, a client that no part of any backend was given to, and one
that is inactive.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sandbox.strapi.seeding import PASSER_BY
from sandbox.world import document_id, object_id, short, ulid
from tests.access.callers import (
    BARE,
    BARE_ADMIN,
    BARE_CUSTOMER,
    CLOSED,
    CLOSED_CUSTOMER,
    CUSTOMER,
    HERE,
    NEIGHBOUR,
    STRANGER,
    SUSPENDED,
    THERE,
    Caller,
)
from tests.callers import WORLD

Documents = dict[str, list[dict[str, Any]]]

GUEST, BARE_GUEST = "cus_01DEMO0000000000000000GUEST", "cus_01DEMO0000000000000000BARE0"
"""Customers that Medusa made for addresses which people of two clients have."""
SAME_GUEST_THERE, GUESTS_ORDER_HERE, GUESTS_ORDER_THERE, BARE_GUESTS_ORDER = (ulid("order", n) for n in range(901, 905))
INVOICED_ELSEWHERE, INVOICED_AS_NEIGHBOUR = "ACC-SINV-2026-90001", "ACC-SINV-2026-90002"
ERRANDS = [short("order", len(WORLD.orders) + n) for n in (1, 2, 3)]
"""Deliveries without order: the customer's, the stranger's, and one that nobody recorded."""
PRINTED = (
    (PASSER_BY, "customer", HERE.id),
    (document_id("job", 1), "job without customer", HERE.id),
    (document_id("job", 2), "job without customer", THERE.id),
)
"""Customers and jobs of the print shop that the gateway made for somebody. One more job is nobody's."""
ONLY_THERE, DRAFT = WORLD.products[0].id, WORLD.products[1].id
NOBODY: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Row:
    """`apps`, `clients` and `users` are those whose it is. It is in no list of `unlisted_for`, though they may see it.
    `names` are other values that it can be asked for by."""

    kind: str
    key: str
    apps: frozenset[str] = NOBODY
    clients: frozenset[str] = NOBODY
    users: frozenset[str] = NOBODY
    unlisted_for: frozenset[str] = NOBODY
    is_for_sale: bool = True
    was_others: bool = False
    """It was somebody's who sees it no more, and who knows that it is there."""
    names: Mapping[str, str] = field(default_factory=dict, hash=False)

    def is_shown(self, caller: Caller, word: str) -> bool:
        """Whether a word of the tables means this row too."""
        match word:
            case "all":
                return True
            case "placed":
                return caller.client != BARE
            case "app":
                return caller.app in self.apps
            case "listed":
                return caller.app in self.apps and self.is_for_sale
            case "client":
                return caller.client in self.clients
            case "sold":
                return caller.client in self.clients and self.is_for_sale
            case "own":
                return caller.client in self.clients and caller.user in self.users
            case "nothing" | "no":
                return False
        raise AssertionError(f"{word} is no word of the tables")


# -- what is put in ----------------------------------------------------------------------------------------------------


def complete_documents(documents: Documents) -> None:
    """Add this test's people and clients to those of the demo world."""
    clients = {row["_id"]: row for row in documents["clients"]}
    users = {row["_id"]: row for row in documents["users"]}
    for client_id, code, is_active in ((BARE, "BARE01", True), (CLOSED, "CLOS01", False)):
        made = {
            **clients[HERE.id],
            "_id": client_id,
            "code": code,
            "name": f"Client {code}",
            "externalId": f"ext-{code}",
        }
        del made["backendScope"]
        documents["clients"].append(made | {"isActive": is_active})
    admin = next(row for row in documents["users"] if row["role"] == "ADMIN")
    bare = {key: value for key, value in users[CUSTOMER.id].items() if "amily" not in key} | {"linkedAccounts": {}}
    people: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
        (BARE_ADMIN, BARE, admin, {}),
        (BARE_CUSTOMER, BARE, bare, {"medusaCustomerIds": [BARE_GUEST]}),
        (CLOSED_CUSTOMER, CLOSED, bare, {"medusaCustomerIds": []}),
        (SUSPENDED, HERE.id, bare, {"medusaCustomerIds": [], "status": "SUSPENDED"}),
    ]
    for user_id, client, pattern, changes in people:
        email = f"{user_id}@people.example"
        made = {**pattern, "_id": user_id, "clientId": client, "email": email, "emailKey": email, "name": "Somebody"}
        documents["users"].append(made | changes)
    for person in (CUSTOMER, STRANGER):
        users[person.id]["medusaCustomerIds"] = [*users[person.id]["medusaCustomerIds"], GUEST]
    owners = ((ERRANDS[0], HERE.id, CUSTOMER.id), (ERRANDS[1], THERE.id, STRANGER.id))
    documents["ownership"] += [
        {"_id": f"STRAPI:{row_id}", "backend": "STRAPI", "rowId": row_id, "kind": kind, "clientId": client,
         "createdAt": datetime.now(UTC)}
        for row_id, kind, client in PRINTED
    ]  # fmt: skip
    documents["ownership"] += [
        {"_id": f"FLEETBASE:{row_id}", "backend": "FLEETBASE", "rowId": row_id, "clientId": client, "userId": user,
         "createdAt": datetime.now(UTC)}
        for row_id, client, user in owners
    ]  # fmt: skip


def complete_backends(stores: Mapping[str, Any]) -> None:
    """Add orders and invoices of customers whom two clients know, and products that not everybody sells."""
    shop, books = stores["medusa"], stores["erpnext"]
    pattern = next(row for row in reversed(shop.rows("order")) if row["customer_id"] == CUSTOMER.medusa_id)
    for order_id, customer_id, channel_id in (
        (SAME_GUEST_THERE, CUSTOMER.medusa_id, THERE.channel_id),
        (GUESTS_ORDER_HERE, GUEST, HERE.channel_id),
        (GUESTS_ORDER_THERE, GUEST, THERE.channel_id),
        (BARE_GUESTS_ORDER, BARE_GUEST, HERE.channel_id),
    ):
        made = deepcopy(pattern) | {"id": order_id, "customer_id": customer_id, "sales_channel_id": channel_id}
        shop.put("order", order_id, made | {"display_id": int(order_id[-4:])})
    sold: tuple[tuple[str, dict[str, Any]], ...] = (
        (ONLY_THERE, {"sales_channel_ids": [THERE.channel_id]}),
        (DRAFT, {"status": "draft"}),
    )
    for product_id, changes in sold:
        shop.put("product", product_id, {**shop.get("product", product_id), **changes})
    pattern = next(row for row in books.rows("Sales Invoice") if row["customer"] == CUSTOMER.erp_id)
    for name, differences in (
        (INVOICED_ELSEWHERE, {"company": THERE.company, "custom_commerce_order_id": None}),
        (INVOICED_AS_NEIGHBOUR, {"customer": NEIGHBOUR.erp_id, "custom_commerce_order_id": GUESTS_ORDER_HERE}),
    ):
        books.put("Sales Invoice", name, deepcopy(pattern) | {"name": name} | differences)


# -- whose it is -------------------------------------------------------------------------------------------------------


class Owners:
    """Who owns what, by the marks that rows carry."""

    def __init__(self, documents: Documents) -> None:
        self.clients = documents["clients"]
        self.users = documents["users"]
        self.apps = documents["client_apps"]
        self._ownership = {row["rowId"]: row for row in documents["ownership"]}
        self._active = {row["_id"]: row["clientAppId"] for row in self.clients if row["isActive"]}

    def row(self, kind: str, key: str, clients: Iterable[str], users: frozenset[str] = NOBODY, **more: Any) -> Row:
        """A row of these clients, and of the platforms of those that are active."""
        clients = frozenset(clients)
        apps = frozenset(self._active[each] for each in clients & self._active.keys())
        return Row(kind, key, apps, clients, users, **more)

    def with_part(self, name: str, values: Iterable[Any]) -> list[str]:
        """The clients one of whose values of a part of `backendScope` is among these."""
        wanted = set(values)
        return [row["_id"] for row in self.clients if wanted & set(_listed((row.get("backendScope") or {}).get(name)))]

    def selling(self) -> list[str]:
        """The clients that sell anywhere."""
        return [row["_id"] for row in self.clients if (row.get("backendScope") or {}).get("medusaSalesChannelIds")]

    def buyers(self, customer_id: str | None, clients: Iterable[str]) -> frozenset[str]:
        theirs = [row for row in self.users if row["clientId"] in set(clients)]
        return frozenset(row["_id"] for row in theirs if customer_id in row["medusaCustomerIds"])

    def debtors(self, customer_id: str, clients: Iterable[str]) -> frozenset[str]:
        theirs = [row for row in self.users if row["clientId"] in set(clients)]
        return frozenset(row["_id"] for row in theirs if row["linkedAccounts"].get("erpCustomerId") == customer_id)

    def recorded(self, id: str) -> tuple[list[str], frozenset[str]]:
        """What the ownership collection says of a row: clients and users."""
        found = self._ownership.get(id)
        if found is None:
            return [], NOBODY
        return [found["clientId"]], frozenset([found["userId"]] if found.get("userId") else [])


def rows_of(documents: Documents, stores: Mapping[str, Any]) -> dict[str, list[Row]]:
    """Every row there is, by type, but for what is made while a test runs."""
    owners = Owners(documents)
    found = [
        *_core(documents, owners),
        *_shop(stores["medusa"], owners),
        *_content(stores["payload"], owners),
        *_prints(stores["strapi"], owners),
        *_files(stores["s3"], owners),
        *_everybodys(stores, owners),
        *_people_of_books(stores["erpnext"], owners),
    ]
    orders = {row.key: row for row in found if row.kind == "Order"}
    found += [*_couriers(stores["fleetbase"], owners, orders), *_books(stores["erpnext"], owners, orders)]
    rows: dict[str, list[Row]] = {}
    for row in found:
        rows.setdefault(row.kind, []).append(row)
    return rows


def _core(documents: Documents, owners: Owners) -> Iterable[Row]:
    for app in owners.apps:
        yield Row("ClientApp", app["_id"], frozenset([app["_id"]]))
    for client in owners.clients:
        names = {"externalId": client["externalId"], "code": client["code"]}
        apps = frozenset([client["clientAppId"]])
        yield Row("Client", client["_id"], apps, frozenset([client["_id"]]), names=names)
    for user in owners.users:
        yield owners.row("User", user["_id"], [user["clientId"]], frozenset([user["_id"]]))
    for family in documents["families"]:
        members = frozenset(user["_id"] for user in owners.users if user.get("familyId") == family["_id"])
        yield owners.row("Family", family["_id"], [family["clientId"]], members)
    for batch in documents["batches"]:
        yield owners.row("Batch", batch["_id"], [batch["clientId"]])
    for held in documents["credentials"]:
        yield owners.row("Credential", held["credentialId"], [held["clientId"]], frozenset([held["userId"]]))


def _shop(store: Any, owners: Owners) -> Iterable[Row]:
    for order in store.rows("order"):
        clients = owners.with_part("medusaSalesChannelIds", [order["sales_channel_id"]])
        yield owners.row("Order", order["id"], clients, owners.buyers(order["customer_id"], clients))
    for product in store.rows("product"):
        clients = owners.with_part("medusaSalesChannelIds", product["sales_channel_ids"])
        names = {"handle": product["handle"]}
        is_for_sale = product["status"] == "published"
        yield owners.row("Product", product["id"], clients, is_for_sale=is_for_sale, names=names)
    for kind, stored in (("Category", "product_category"), ("Store", "store")):
        for row in store.rows(stored):
            yield owners.row(kind, row["id"], owners.selling())


def _couriers(store: Any, owners: Owners, orders: Mapping[str, Row]) -> Iterable[Row]:
    for delivery in store.rows("order"):
        order = orders.get(delivery["internal_id"] or "")
        if order is not None:
            yield Row("Delivery", delivery["id"], order.apps, order.clients, order.users)
        else:
            yield owners.row("Delivery", delivery["id"], *owners.recorded(delivery["id"]))


def _books(store: Any, owners: Owners, orders: Mapping[str, Row]) -> Iterable[Row]:
    for invoice in store.rows("Sales Invoice"):
        clients = owners.with_part("erpCompany", [invoice["company"]])
        named = owners.debtors(invoice["customer"], clients)
        order = orders.get(invoice["custom_commerce_order_id"] or "")
        by_order = order.users if order is not None and order.clients & set(clients) else NOBODY
        yield owners.row("Invoice", invoice["name"], clients, named | by_order, unlisted_for=by_order - named)
    for level in store.rows("Bin"):
        clients = owners.with_part("erpWarehouse", [level["warehouse"]])
        yield owners.row("StockLevel", f"{level['item_code']}|{level['warehouse']}", clients)


def _people_of_books(store: Any, owners: Owners) -> Iterable[Row]:
    """A customer is a client's who is its user, an employee the company's."""
    with_books = [row["_id"] for row in owners.clients if (row.get("backendScope") or {}).get("erpCompany")]
    client_of = {row["_id"]: row["clientId"] for row in owners.users}
    for customer in store.rows("Customer"):
        users = owners.debtors(customer["name"], with_books)
        yield owners.row("ErpCustomer", customer["name"], [client_of[each] for each in users], users)
    for employee in store.rows("Employee"):
        yield owners.row("Employee", employee["name"], owners.with_part("erpCompany", [employee["company"]]))


def _content(store: Any, owners: Owners) -> Iterable[Row]:
    """What is published. Drafts are nobody's to see."""
    for collection, kind in (("pages", "Page"), ("posts", "ContentItem")):
        for document in store.rows(collection):
            if document["_status"] != "published":
                continue
            key = str(document["id"]) if kind == "Page" else f"{collection}|{document['id']}"
            clients = owners.with_part("payloadTenant", [document["tenant"]])
            yield owners.row(kind, key, clients, names={"slug": document["slug"]})


def _prints(store: Any, owners: Owners) -> Iterable[Row]:
    """What is published. A customer is a client's by its scope, or recorded; a job is whose its customer is."""

    def clients_of(id: str) -> list[str]:
        return [*owners.with_part("strapiCustomerIds", [id]), *owners.recorded(id)[0]]

    for customer in store.rows("customer"):
        yield owners.row("JobCustomer", customer["documentId"], clients_of(customer["documentId"]))
    for job in store.rows("job"):
        if job["published"] is not None:
            decides = job["published"]["customer"] or job["documentId"]
            yield owners.row("Job", job["documentId"], clients_of(decides))


def _files(store: Any, owners: Owners) -> Iterable[Row]:
    for row in store.rows("object"):
        clients = [row["key"].partition("/")[0]]
        yield owners.row("StoredFile", row["key"], clients, owners.recorded(row["key"])[1], names={"key": row["key"]})


def _everybodys(stores: Mapping[str, Any], owners: Owners) -> Iterable[Row]:
    """Fleetbase keeps one fleet for all."""
    for kind in ("driver", "vehicle", "fleet"):
        for row in stores["fleetbase"].rows(kind):
            yield Row(kind.title(), row["id"])
    for row in stores["fleetbase"].rows("zone"):
        yield Row("ServiceZone", row["id"])


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def absent(kind: str) -> str:
    """An id as rows of this type have it, of none that there is."""
    shapes = {
        "StoredFile": f"{object_id(2, 99_999)}/nothing.txt",
        "Order": ulid("order", 99_999), "Product": ulid("prod", 99_999), "Cart": "cart_01DEMO00000000000000099999",
        "Delivery": short("order", 99_999), "Driver": short("driver", 99_999), "Invoice": "ACC-SINV-2026-99999",
        "Workflow": "order-fulfillment-ffffffffffffffffffffffffffffffff", "Category": ulid("pcat", 99_999),
    }  # fmt: skip
    return shapes.get(kind, object_id(7, 99_999))
