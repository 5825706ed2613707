"""Which role holds which scopes, as one table."""

from __future__ import annotations

from enum import Enum


class UserRole(Enum):
    CUSTOMER = "CUSTOMER"
    STAFF = "STAFF"
    MANAGER = "MANAGER"
    ADMIN = "ADMIN"


_CUSTOMER = frozenset(
    "core:read commerce:read commerce:write logistics:read erp:read identity:read payments:read content:read "
    "storage:read ai:use workflows:read workflows:start".split()
)
_STAFF = _CUSTOMER | frozenset(
    "core:write logistics:write logistics:staff erp:staff identity:staff jobs:read jobs:write comms:send "
    "storage:write webhooks:read".split()
)
_MANAGER = _STAFF | frozenset(
    "erp:write erp:reports identity:issue payments:write workflows:approve webhooks:write".split()
)
_ADMIN = _MANAGER | {"keys:admin"}

ROLE_SCOPES: dict[UserRole, frozenset[str]] = {
    UserRole.CUSTOMER: _CUSTOMER,
    UserRole.STAFF: _STAFF,
    UserRole.MANAGER: _MANAGER,
    UserRole.ADMIN: _ADMIN,
}
CLIENT_SCOPES = _ADMIN
"""What a client's key may do, before it is cut to its platform's scopes."""
ALL_SCOPES = _ADMIN | {"service"}
"""A service's; `service` marks the few fields that are its alone."""
