"""Who is asking: the kind of principal, what it may do and which rows are its own."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from core.scopes import UserRole


class PrincipalKind(Enum):
    SERVICE = "SERVICE"
    PLATFORM = "PLATFORM"
    CLIENT = "CLIENT"
    USER = "USER"


@dataclass(frozen=True, slots=True)
class BackendScope:
    """Which part of each backend is a client's. What is not set gives nothing."""

    medusa_sales_channel_ids: tuple[str, ...] = ()
    medusa_region_id: str | None = None
    erp_companies: tuple[str, ...] = ()
    erp_warehouses: tuple[str, ...] = ()
    strapi_customer_ids: tuple[str, ...] = ()
    payload_tenants: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Principal:
    """`client_id` is set for clients and users, `client_app_id` for all but services, `user_id` for users.

    `backend_scope` is the client's, or for a server-side platform the union of its clients'; None means everything,
    which is a service's alone.
    """

    kind: PrincipalKind
    scopes: frozenset[str]
    client_app_id: str | None = None
    client_id: str | None = None
    user_id: str | None = None
    role: UserRole | None = None
    email: str | None = None
    medusa_customer_ids: tuple[str, ...] = ()
    erp_customer_id: str | None = None
    backend_scope: BackendScope | None = None
    is_server_side: bool = False
    client_ids: tuple[str, ...] = ()
    """A platform's clients whose data it may read: empty unless it is server-side."""
    expires_at: float | None = None
    """Unix seconds after which its sockets close."""
    allowed_writes: frozenset[str] | None = None
    """Root fields of Mutation and Subscription that it may use at all; None: whatever its scopes allow."""

    @property
    def id(self) -> str:
        """Tells callers apart for as long as their records live: what limits, replays and caches are kept under."""
        return ":".join([self.kind.value, self.client_app_id or "", self.client_id or "", self.user_id or ""])

    @property
    def is_service(self) -> bool:
        return self.kind is PrincipalKind.SERVICE

    @property
    def visible_scope(self) -> BackendScope | None:
        """The part of each backend that it may see; None: all of it, which is a service's alone."""
        if self.is_service:
            return None
        if self.backend_scope is None or (self.kind is PrincipalKind.PLATFORM and not self.is_server_side):
            return BackendScope()
        return self.backend_scope

    @property
    def is_customer(self) -> bool:
        """A user who sees only rows of their own."""
        return self.role is UserRole.CUSTOMER
