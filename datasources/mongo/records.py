"""What the collections hold, as the rest of the gateway reads it. Documents are camelCase, ids are hex."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any

import msgspec

from core.backends import BackendName
from core.idempotency import ClaimState
from core.scopes import UserRole


class UserStatus(Enum):
    ACTIVE = "ACTIVE"
    SUSPENDED = "SUSPENDED"
    DEACTIVATED = "DEACTIVATED"


class FamilyRole(Enum):
    OWNER = "OWNER"
    ADULT = "ADULT"
    CHILD = "CHILD"


class MessageStatus(Enum):
    """Of a message in the outbox. SENDING that is found by a second attempt is UNKNOWN: nobody saw an answer."""

    SENDING = "SENDING"
    SENT = "SENT"
    FAILED = "FAILED"
    UNKNOWN = "UNKNOWN"


class Record(msgspec.Struct, frozen=True, rename="camel"):
    """Base of what the collections hold."""


class Stored(Record, frozen=True, kw_only=True):
    id: str = msgspec.field(name="_id")
    created_at: datetime
    updated_at: datetime


class PointRecord(Record, frozen=True):
    latitude: float
    longitude: float


class PlaceRecord(Record, frozen=True):
    name: str | None = None
    street: str | None = None
    city: str | None = None
    postal_code: str | None = None
    country: str | None = None
    phone: str | None = None
    location: PointRecord | None = None


class BackendScopeRecord(Record, frozen=True):
    medusa_sales_channel_ids: tuple[str, ...] = ()
    medusa_region_id: str | None = None
    erp_company: str | None = None
    erp_warehouse: str | None = None
    strapi_customer_ids: tuple[str, ...] = ()
    payload_tenant: str | None = None
    pickup: PlaceRecord | None = None


class ClientAppRecord(Stored, frozen=True, kw_only=True):
    """A platform, such as BookMaster."""

    name: str
    scopes: tuple[str, ...]
    is_active: bool = True
    is_server_side: bool = False
    key_hint: str | None = None
    key_expires_at: datetime | None = None


class ClientRecord(Stored, frozen=True, kw_only=True):
    """A company that uses a platform. `code` and `external_id` are unique per client app."""

    name: str
    code: str
    client_app_id: str
    external_id: str | None = None
    default_currency: str = "EUR"
    is_active: bool = True
    key_hint: str | None = None
    key_expires_at: datetime | None = None
    backend_scope: BackendScopeRecord | None = None


class LinkedAccountsRecord(Record, frozen=True):
    medusa_customer_id: str | None = None
    stripe_customer_id: str | None = None
    erp_customer_id: str | None = None
    wallet_id: str | None = None
    fleetbase_contact_id: str | None = None

    def of(self, backend: BackendName) -> str | None:
        """Who they are in one of the backends of `LINKED_ACCOUNTS`."""
        accounts: dict[str, str | None] = msgspec.to_builtins(self)
        return accounts[LINKED_ACCOUNTS[backend]]


LINKED_ACCOUNTS = {
    BackendName.MEDUSA: "medusaCustomerId",
    BackendName.STRIPE: "stripeCustomerId",
    BackendName.ERPNEXT: "erpCustomerId",
    BackendName.WALTID: "walletId",
    BackendName.FLEETBASE: "fleetbaseContactId",
}
"""The backends that know people, and what a document calls theirs."""


class StaffAccessRecord(Record, frozen=True):
    permissions: tuple[str, ...]
    granted_at: datetime


class UserRecord(Stored, frozen=True, kw_only=True):
    """A person. `medusa_customer_ids` are all of theirs in Medusa: the linked account and those that carts made."""

    client_id: str
    email: str
    name: str
    phone: str | None = None
    role: UserRole = UserRole.CUSTOMER
    status: UserStatus = UserStatus.ACTIVE
    linked_accounts: LinkedAccountsRecord = LinkedAccountsRecord()
    medusa_customer_ids: tuple[str, ...] = ()
    staff_access: StaffAccessRecord | None = None
    family_id: str | None = None
    family_role: FamilyRole | None = None
    family_joined_at: datetime | None = None


class BuyerRecord(Record, frozen=True):
    """A user and their client's part of each backend."""

    user: UserRecord
    scope: BackendScopeRecord


class FamilyBenefitRecord(Record, frozen=True):
    """`percent_off` is stored as text; no Decimal128 in the embedded engine."""

    code: str
    name: str
    shared_by_id: str
    percent_off: Decimal | None = None
    valid_until: datetime | None = None


class FamilyRecord(Stored, frozen=True, kw_only=True):
    """Who is in it stands in the users. `heir_id` is who was last made its owner, or was about to be."""

    client_id: str
    name: str
    heir_id: str | None = None
    benefits: tuple[FamilyBenefitRecord, ...] = ()


class BatchRecord(Stored, frozen=True, kw_only=True):
    """Stock that a platform keeps. `external_id` is the platform's own, unique per client. The quantity and the day are
    stored as text; no Decimal128 in the embedded engine."""

    client_id: str
    external_id: str
    sku: str
    quantity: Decimal
    warehouse: str | None = None
    expires_at: date | None = None


class KeyRecord(Record, frozen=True, kw_only=True):
    """An API key by its hash. `owner_kind` is `client_app` or `client`; `hint` are its last four characters.

    `generation` counts an owner's keys: every rotation makes the next one, and no two the same.
    """

    hash: str = msgspec.field(name="_id")
    owner_kind: str
    owner_id: str
    generation: int = 0
    hint: str | None = None
    created_at: datetime | None = None
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    @property
    def ends_at(self) -> datetime | None:
        """From when on it is good for nothing; None: it has no end yet."""
        return min((end for end in (self.expires_at, self.revoked_at) if end is not None), default=None)


class AuditRecord(Record, frozen=True, kw_only=True):
    """What somebody did, or (`error` says why) did not get done."""

    at: datetime
    event: str
    actor: dict[str, str]
    address: str | None
    request_id: str
    subject: dict[str, str]
    detail: dict[str, Any]
    error: str | None = None


class OwnershipRecord(Record, frozen=True, kw_only=True):
    """Whose a row is that the gateway created in a backend."""

    backend: str
    row_id: str
    client_id: str | None = None
    user_id: str | None = None
    kind: str | None = None
    created_at: datetime


class JobClaimRecord(Record, frozen=True, kw_only=True):
    """Who is making, or has made, a print job. `attempt` tells tries apart, `maker` who they are of;
    it is held until that Unix time, `is_in_doubt` when its outcome is not known. `earlier_maker`: whose claim it was
    before it ran out."""

    attempt: str
    maker: str
    held_until: float
    is_in_doubt: bool = False
    earlier_maker: str | None = None


class ClaimRecord(Record, frozen=True, kw_only=True):
    """What became of a request under its caller's key. `answer` is JSON, there once it is DONE; WITHHELD it is for
    the sake of the records `secrets_of`, or (None) of its size."""

    key: str = msgspec.field(name="_id")
    digest: str
    state: ClaimState
    attempt: str
    lease_until: datetime
    notes: dict[str, str]
    answer: str | None = None
    secrets_of: str | None = None


class MessageRecord(Record, frozen=True, kw_only=True):
    """A mail or text message in the outbox, by its key."""

    key: str = msgspec.field(name="_id")
    status: MessageStatus
    provider_id: str | None = None
    detail: str | None = None


class Keyset(msgspec.Struct, frozen=True):
    """Where a page begins: behind the row of this creation time and id."""

    created_at: datetime
    id: str
