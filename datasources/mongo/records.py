"""What the collections hold, as the rest of the gateway reads it. Documents are camelCase, ids are hex."""

from __future__ import annotations

from datetime import datetime
from enum import Enum

import msgspec

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


class FamilyMemberRecord(Record, frozen=True):
    user_id: str
    role: FamilyRole
    joined_at: datetime


class FamilyBenefitRecord(Record, frozen=True):
    """`percent_off` is a decimal number as text; no Decimal128 in the embedded engine."""

    code: str
    name: str
    shared_by_id: str
    percent_off: str | None = None
    valid_until: datetime | None = None


class FamilyRecord(Stored, frozen=True, kw_only=True):
    client_id: str
    name: str
    members: tuple[FamilyMemberRecord, ...] = ()
    benefits: tuple[FamilyBenefitRecord, ...] = ()


class KeyRecord(Record, frozen=True, kw_only=True):
    """An API key by its hash. `owner_kind` is `client_app` or `client`."""

    hash: str = msgspec.field(name="_id")
    owner_kind: str
    owner_id: str
    expires_at: datetime | None = None
    revoked_at: datetime | None = None


class OwnershipRecord(Record, frozen=True, kw_only=True):
    """Whose a row is that the gateway created in a backend."""

    backend: str
    row_id: str
    client_id: str | None = None
    user_id: str | None = None
    created_at: datetime


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
