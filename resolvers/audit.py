"""The audit of keys and access: an entry before each change, so that nothing happens unrecorded, and another when it
failed."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from enum import Enum
from typing import Any

from core import operation
from core.errors import GatewayError
from resolvers.context import Context

log = logging.getLogger("omnistack.audit")


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
    USER_CHANGED = "user.changed"
    USER_ROLE_CHANGED = "user.role_changed"
    USER_STATUS_CHANGED = "user.status_changed"
    STAFF_ACCESS_GRANTED = "staff_access.granted"
    STAFF_ACCESS_REVOKED = "staff_access.revoked"
    ACCOUNT_LINKED = "account.linked"


OPERATOR = "OPERATOR"
"""The kind of an actor who is at the command line, in place of a principal's."""


@asynccontextmanager
async def audited(
    ctx: Context, event: AuditEvent, subject_kind: str, subject_id: str, **detail: Any
) -> AsyncIterator[None]:
    """Around a change: `subject_kind` and `subject_id` say to what, `detail` (never a secret) says how.

    Nothing is done when the first entry cannot be written. Whoever is cut off in the middle leaves that entry alone:
    what it announces may have happened. Raises what the block raises, and BackendError when MongoDB does not answer.
    """
    entry = {
        "event": event.value,
        "actor": _actor(ctx),
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
        try:
            await ctx.sources.mongo.record({**entry, "event": f"{event.value}.failed", "error": code})
        except GatewayError:
            # What went wrong first is what the caller has to know.
            log.exception("the audit does not know of a failure", extra={"failed": event.value, "code": code})
        raise


def _actor(ctx: Context) -> dict[str, str]:
    """Who acts; what they have no id of is left out."""
    if ctx.operator is not None:
        return {"kind": OPERATOR, "name": ctx.operator}
    principal = ctx.principal
    ids = {"clientAppId": principal.client_app_id, "clientId": principal.client_id, "userId": principal.user_id}
    return {"kind": principal.kind.value, **{name: value for name, value in ids.items() if value is not None}}
