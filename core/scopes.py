"""Which role holds which scopes, as one table."""

from __future__ import annotations

from enum import Enum
from itertools import accumulate
from operator import or_


class UserRole(Enum):
    CUSTOMER = "CUSTOMER"
    STAFF = "STAFF"
    MANAGER = "MANAGER"
    ADMIN = "ADMIN"


_GAINS: dict[UserRole, str] = {
    UserRole.CUSTOMER: """
        core:read commerce:read commerce:write logistics:read erp:read identity:read payments:read content:read
        storage:read ai:use workflows:read workflows:start""",
    UserRole.STAFF: """
        core:write logistics:write logistics:staff erp:staff identity:staff jobs:read jobs:write comms:send
        storage:write webhooks:read""",
    UserRole.MANAGER: "erp:write erp:reports identity:issue payments:write workflows:approve webhooks:write",
    UserRole.ADMIN: "keys:admin",
}
"""What each role holds besides all that the roles above it in this table hold."""

ROLE_SCOPES: dict[UserRole, frozenset[str]] = dict(
    zip(_GAINS, accumulate((frozenset(gained.split()) for gained in _GAINS.values()), or_), strict=True)
)
CLIENT_SCOPES = ROLE_SCOPES[UserRole.ADMIN]
"""What a client's key may do, before it is cut to its platform's scopes."""
SERVICE_ONLY = "service"
"""Marks the few fields that are a service's alone: no role, key or token holds it."""
ALL_SCOPES = CLIENT_SCOPES | {SERVICE_ONLY}
"""A service's."""
