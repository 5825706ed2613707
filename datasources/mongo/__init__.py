"""OmniStack's own records, in MongoDB: one module per domain, put together here.

Documents are camelCase as the platforms' documents show them; ids are ObjectId inside and hex outside, and an id that
is no ObjectId is simply not there. A client's JSON never reaches a filter.

Only what means the same on MongoDB and on the embedded engine is used. The engine silently does something else for

- an upsert through find_one_and_update, and `$addToSet` to an array that is not there: nothing is written;
- a date or a boolean in `$set`: text or a number is stored (`$currentDate` and `$setOnInsert` are right);
- an ObjectId by equality, but for `_id`, or inside an array: nothing matches (`$in` does, and ids in arrays are text);
- an ObjectId in a count: nothing matches, so what a find gives is counted;
- a value by equality in an array that has an index, `$in` into arrays of documents, and `$ne` on arrays: the first
  and second find nothing, the third what it should not (`$in` into a flat array is right).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from datasources.mongo.audit import Audit
from datasources.mongo.batches import Batches, BatchToSync, SyncedBatches
from datasources.mongo.buyers import Buyers
from datasources.mongo.clients import ClientChanges, Clients, KeyMark, NewClient, NewClientApp, Owned, new_id
from datasources.mongo.credentials import LIST_SIZE, CredentialRecord, Credentials, CredentialStatus, CredentialToIssue
from datasources.mongo.driver import to_document
from datasources.mongo.families import Families
from datasources.mongo.idempotency import Idempotency
from datasources.mongo.job_claims import JobClaims
from datasources.mongo.keys import Keys
from datasources.mongo.outbox import Outbox
from datasources.mongo.ownership import Ownership
from datasources.mongo.records import (
    LINKED_ACCOUNTS,
    AuditRecord,
    BackendScopeRecord,
    BatchRecord,
    BuyerRecord,
    ClaimRecord,
    ClientAppRecord,
    ClientRecord,
    FamilyBenefitRecord,
    FamilyRecord,
    FamilyRole,
    JobClaimRecord,
    KeyRecord,
    Keyset,
    LinkedAccountsRecord,
    MessageRecord,
    MessageStatus,
    OwnershipRecord,
    PlaceRecord,
    PointRecord,
    StaffAccessRecord,
    UserRecord,
    UserStatus,
)
from datasources.mongo.users import NewUser, UserChanges, Users
from datasources.mongo.versions import Versions

__all__ = [
    "LINKED_ACCOUNTS",
    "LIST_SIZE",
    "AuditRecord",
    "BackendScopeRecord",
    "BatchRecord",
    "BatchToSync",
    "BuyerRecord",
    "ClaimRecord",
    "ClientAppRecord",
    "ClientChanges",
    "ClientRecord",
    "CredentialRecord",
    "CredentialStatus",
    "CredentialToIssue",
    "FamilyBenefitRecord",
    "FamilyRecord",
    "FamilyRole",
    "JobClaimRecord",
    "KeyMark",
    "KeyRecord",
    "Keyset",
    "LinkedAccountsRecord",
    "MessageRecord",
    "MessageStatus",
    "Mongo",
    "NewClient",
    "NewClientApp",
    "NewUser",
    "Owned",
    "OwnershipRecord",
    "PlaceRecord",
    "PointRecord",
    "StaffAccessRecord",
    "SyncedBatches",
    "UserChanges",
    "UserRecord",
    "UserStatus",
    "new_id",
]


class Mongo(
    Clients,
    Users,
    Buyers,
    Families,
    Batches,
    Keys,
    Audit,
    Ownership,
    Outbox,
    Idempotency,
    JobClaims,
    Versions,
    Credentials,
):
    """The core store. Every method raises BackendError when MongoDB does not answer."""

    async def is_empty(self) -> bool:
        async with self._call("find", "client_apps"):
            return await self._db.client_apps.find_one({}, {"_id": 1}) is None

    async def insert(self, documents: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
        """Documents by collection, `_id` and every `…Id` of ours as hex. Those that are there already are left
        alone, so a seeding that was cut off can be repeated.

        Raises Conflict where another document has what must be unique.
        """
        for name, rows in documents.items():
            for row in rows:
                await self._insert_once(name, to_document(row))
