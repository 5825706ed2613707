"""The collections and their indexes."""

from __future__ import annotations

from pymongo import ASCENDING, DESCENDING, IndexModel

# No index names `_id`: the embedded engine then refuses every write. Rows of one instant are few.
COLLECTIONS: dict[str, list[IndexModel]] = {
    "client_apps": [IndexModel([("createdAt", DESCENDING)])],
    "clients": [
        IndexModel([("clientAppId", ASCENDING), ("code", ASCENDING)], unique=True),
        IndexModel(
            [("clientAppId", ASCENDING), ("externalId", ASCENDING)],
            unique=True,
            partialFilterExpression={"externalId": {"$exists": True}},
        ),
        IndexModel([("createdAt", DESCENDING)]),
    ],
    "users": [
        IndexModel([("clientId", ASCENDING), ("email", ASCENDING)], unique=True),
        IndexModel([("clientId", ASCENDING), ("createdAt", DESCENDING)]),
        IndexModel([("createdAt", DESCENDING)]),
        IndexModel([("medusaCustomerIds", ASCENDING)]),
        IndexModel([("linkedAccounts.erpCustomerId", ASCENDING)]),
        IndexModel([("linkedAccounts.stripeCustomerId", ASCENDING)]),
        IndexModel([("familyId", ASCENDING)]),
    ],
    "families": [
        IndexModel([("clientId", ASCENDING), ("createdAt", DESCENDING)]),
        IndexModel([("memberIds", ASCENDING)]),
    ],
    "keys": [IndexModel([("ownerId", ASCENDING)])],
    "audit": [IndexModel([("at", DESCENDING)]), IndexModel([("subject.id", ASCENDING), ("at", DESCENDING)])],
    "ownership": [
        IndexModel([("backend", ASCENDING), ("rowId", ASCENDING)], unique=True),
        IndexModel([("backend", ASCENDING), ("clientId", ASCENDING), ("createdAt", DESCENDING)]),
        IndexModel([("backend", ASCENDING), ("userId", ASCENDING), ("createdAt", DESCENDING)]),
    ],
    "outbox": [IndexModel([("status", ASCENDING)])],
}
