"""The audit of keys and access: an entry before each change, so that nothing happens unrecorded, and another when it
failed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum
from typing import Any

from core import operation
from core.errors import GatewayError
from resolvers.context import Context


class AuditEvent(Enum):
    APP_REGISTERED = "app.registered"
    CLIENT_REGISTERED = "client.registered"
    KEY_ROTATED = "key.rotated"
    CLIENT_ACTIVATED = "client.activated"
    CLIENT_DEACTIVATED = "client.deactivated"
    APP_ACTIVATED = "app.activated"
    APP_DEACTIVATED = "app.deactivated"
    SCOPE_SET = "client.backend_scope_set"
    USER_CREATED = "user.created"
    USER_ROLE_CHANGED = "user.role_changed"
    USER_STATUS_CHANGED = "user.status_changed"
    STAFF_ACCESS_GRANTED = "staff_access.granted"
    STAFF_ACCESS_REVOKED = "staff_access.revoked"
    ACCOUNT_LINKED = "account.linked"


@asynccontextmanager
async def audited(
    ctx: Context, event: AuditEvent, subject_kind: str, subject_id: str, **detail: Any
) -> AsyncIterator[None]:
    """Around a change: `subject_kind` and `subject_id` say to what, `detail` (never a secret) says how."""
    principal = ctx.principal
    entry = {
        "event": event.value,
        "actor": {
            "kind": principal.kind.value,
            "clientAppId": principal.client_app_id,
            "clientId": principal.client_id,
            "userId": principal.user_id,
        },
        "address": ctx.address,
        "requestId": operation.current().request_id,
        "subject": {"kind": subject_kind, "id": subject_id},
        "detail": detail,
    }
    await ctx.sources.mongo.record(entry)
    try:
        yield
    except Exception as exc:
        code = exc.code if isinstance(exc, GatewayError) else GatewayError.code
        await ctx.sources.mongo.record({**entry, "event": f"{event.value}.failed", "error": code})
        raise
