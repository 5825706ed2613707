"""The collections and their indexes."""

from __future__ import annotations

from pymongo import ASCENDING, DESCENDING, IndexModel

from datasources.mongo.records import LINKED_ACCOUNTS

DAY_S = 24 * 60 * 60


def _unique_if_there(field: str, *, within: str | None = None) -> IndexModel:
    """Documents without the field are any number."""
    keys = [(name, ASCENDING) for name in (within, field) if name is not None]
    return IndexModel(keys, unique=True, partialFilterExpression={field: {"$exists": True}})


# Without `_id`, see `for_mongodb`.
COLLECTIONS: dict[str, list[IndexModel]] = {
    "client_apps": [IndexModel([("createdAt", DESCENDING)])],
    "clients": [
        IndexModel([("clientAppId", ASCENDING), ("createdAt", DESCENDING)]),
        IndexModel([("code", ASCENDING)]),
        IndexModel([("externalId", ASCENDING)]),
        IndexModel([("clientAppId", ASCENDING), ("code", ASCENDING)], unique=True),
        IndexModel(
            [("clientAppId", ASCENDING), ("externalId", ASCENDING)],
            unique=True,
            partialFilterExpression={"externalId": {"$exists": True}},
        ),
        IndexModel([("createdAt", DESCENDING)]),
    ],
    "users": [
        _unique_if_there("emailKey", within="clientId"),
        IndexModel([("emailKey", ASCENDING)]),
        IndexModel([("formerEmails", ASCENDING)]),
        IndexModel([("clientId", ASCENDING), ("createdAt", DESCENDING)]),
        IndexModel([("createdAt", DESCENDING)]),
        IndexModel([("medusaCustomerIds", ASCENDING)]),
        *(_unique_if_there(f"linkedAccounts.{account}") for account in LINKED_ACCOUNTS.values()),
        IndexModel([("familyId", ASCENDING)]),
        _unique_if_there("ownsFamilyId"),
    ],
    "families": [
        IndexModel([("clientId", ASCENDING), ("createdAt", DESCENDING)]),
        IndexModel([("createdAt", DESCENDING)]),
    ],
    "batches": [
        IndexModel([("clientId", ASCENDING), ("externalId", ASCENDING)], unique=True),
        IndexModel([("clientId", ASCENDING), ("createdAt", DESCENDING)]),
        IndexModel([("clientId", ASCENDING), ("sku", ASCENDING), ("createdAt", DESCENDING)]),
        IndexModel([("sku", ASCENDING), ("createdAt", DESCENDING)]),
        IndexModel([("createdAt", DESCENDING)]),
    ],
    "keys": [IndexModel([("ownerId", ASCENDING)]), _unique_if_there("generation", within="ownerId")],
    "audit": [IndexModel([("at", DESCENDING)]), IndexModel([("subject.id", ASCENDING), ("at", DESCENDING)])],
    "ownership": [
        IndexModel([("backend", ASCENDING), ("rowId", ASCENDING)], unique=True),
        IndexModel([("backend", ASCENDING), ("createdAt", DESCENDING)]),
        IndexModel([("backend", ASCENDING), ("clientId", ASCENDING), ("createdAt", DESCENDING)]),
        IndexModel([("backend", ASCENDING), ("userId", ASCENDING), ("createdAt", DESCENDING)]),
        IndexModel([("backend", ASCENDING), ("kind", ASCENDING), ("clientId", ASCENDING), ("createdAt", DESCENDING)]),
    ],
    "job_claims": [IndexModel([("createdAt", ASCENDING)], expireAfterSeconds=DAY_S)],
    "credentials": [
        IndexModel([("credentialId", ASCENDING)], unique=True),
        IndexModel(
            [("statusList", ASCENDING), ("statusListIndex", ASCENDING)],
            unique=True,
            partialFilterExpression={"statusList": {"$exists": True}},
        ),
        IndexModel([("clientId", ASCENDING), ("createdAt", DESCENDING)]),
        IndexModel([("userId", ASCENDING), ("createdAt", DESCENDING)]),
        IndexModel([("createdAt", DESCENDING)]),
    ],
    "outbox": [IndexModel([("status", ASCENDING)])],
    "idempotency": [IndexModel([("createdAt", ASCENDING)], expireAfterSeconds=DAY_S)],
}


def for_mongodb(index: IndexModel) -> IndexModel:
    """What the embedded engine does not bear, for it refuses every write once an index names `_id`: lists are sorted by
    time and id, and MongoDB sorts all of a list in memory unless its index goes as far.

    Rows of one instant are few, so that the engine does without.
    """
    keys = list(index.document["key"].items())
    if keys[-1] not in (("createdAt", DESCENDING), ("at", DESCENDING)):
        return index
    return IndexModel([*keys, ("_id", DESCENDING)])
