"""What lists are narrowed by: for every filter of the schema values that fit rows of several tenants."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sandbox.world import document_id
from tests.access.callers import CUSTOMER, HERE, NEIGHBOUR, OUTSIDER, SHOP, STRANGER, THERE
from tests.access.world import DRAFT, GUESTS_ORDER_HERE, ONLY_THERE, SAME_GUEST_THERE
from tests.callers import WORLD

PEOPLE = [f'"{person.id}"' for person in (CUSTOMER, NEIGHBOUR, STRANGER, OUTSIDER)]
CLIENTS = [f'"{client.id}"' for client in (HERE, THERE, SHOP)]
ORDERS = [order.id for order in WORLD.orders[-12:]] + [GUESTS_ORDER_HERE, SAME_GUEST_THERE]
LATELY = datetime.now(UTC) - timedelta(days=10)
SKUS = [variant.sku for product in WORLD.products[:4] for variant in product.variants]


def _ids(values: list[str]) -> list[str]:
    """All of them, and each of the first three alone."""
    some = [values, *([value] for value in values[:3])]
    return ["[" + ", ".join(f'"{value}"' for value in each) + "]" for each in some]


FILTERS: dict[str, list[str]] = {
    "clients.filter.isActive": ["true", "false"],
    "clients.filter.search": ['"Dakkah"', '"0"'],
    "users.filter.clientId": CLIENTS,
    "users.filter.role": ["CUSTOMER", "ADMIN"],
    "users.filter.status": ["ACTIVE", "SUSPENDED"],
    "users.filter.search": ['"customer1@"', '"DKDR01"'],
    "users.filter.ids": _ids([person.id for person in (CUSTOMER, NEIGHBOUR, STRANGER, OUTSIDER)]),
    "batches.filter.clientId": CLIENTS,
    "batches.filter.skus": _ids(SKUS),
    "products.filter.ids": _ids([ONLY_THERE, DRAFT, WORLD.products[5].id]),
    "products.filter.categoryId": [f'"{category.id}"' for category in WORLD.categories[:2]],
    "products.filter.search": ['"Guide"', '"Notebook"'],
    "products.filter.status": ['"published"', '"draft"'],
    "orders.filter.ids": _ids(ORDERS),
    "orders.filter.userId": PEOPLE,
    "orders.filter.status": ["CANCELED", "COMPLETED"],
    "orders.filter.createdAfter": [f'"{LATELY.isoformat()}"'],
    "orders.filter.createdBefore": [f'"{LATELY.isoformat()}"'],
    "deliveries.filter.orderIds": _ids(ORDERS),
    "deliveries.filter.status": ['"completed"', '"created,canceled"', '"active"'],
    "deliveries.filter.driverId": [f'"{driver.id}"' for driver in WORLD.drivers[:2]],
    "invoices.filter.orderIds": _ids(ORDERS),
    "invoices.filter.status": ['"Unpaid"', '"Cancelled"'],
    "invoices.filter.customerId": [f'"{person.erp_id}"' for person in (CUSTOMER, NEIGHBOUR, STRANGER, OUTSIDER)],
    "invoices.filter.overdue": ["true"],
    "stockLevels.skus": _ids(SKUS),
    "stockLevels.warehouse": [f'"{client.warehouse}"' for client in (HERE, THERE, SHOP)],
    "content.where": [
        '{slug: {in: ["post-1", "post-2-dkdr01", "post-3-bbdf25", "post-15"]}}',
        '{or: [{slug: {equals: "post-1"}}, {title: {like: "books"}}]}',
        '{createdAt: {greater_than: "2000-01-01"}}',
    ],
    "searchContent.collections": ['["posts"]', '["events", "posts"]'],
    "jobs.filter.status": ['"Pending"', '"Completed"'],
    "jobs.filter.ids": _ids([document_id("job", n) for n in (*range(1, 5), *range(40, 60))]),
    "credentials.holderId": PEOPLE,
    "workflows.filter.type": ["ORDER_FULFILLMENT", "RIDE_BOOKING"],
    "workflows.filter.status": ["RUNNING", "COMPLETED"],
    "workflows.filter.startedById": PEOPLE,
    "workflows.filter.orderId": [f'"{GUESTS_ORDER_HERE}"', f'"{WORLD.orders[-2].id}"'],
}
"""As they stand in a document."""
