"""How long a socket may stand: no longer than the credentials that opened it are good for the same things."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

from starlette.requests import HTTPConnection
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from core.auth import CLOCK_SKEW_S, Credentials
from core.errors import BackendError, Unauthenticated
from core.principals import Principal
from resolvers.context import Context

log = logging.getLogger("omnistack.sockets")

FORBIDDEN = 4403
LOOK_EVERY_S = 2.0
"""Between two looks at whether the credentials are still good. With what an identification may be remembered for, no
more than five seconds from a revocation to the end of its sockets."""
LONGEST_LOOK_S = 30.0
EXPIRED = "The token has expired"
NOT_VALID = "The credentials are no longer valid"
CHANGED = "What these credentials may do has changed"

Identify = Callable[[Credentials], Awaitable[Principal]]


class Watch:
    """Over one connection, from `begin` on, which is when its caller is known."""

    def __init__(self, connection: asyncio.Timeout, look_every_s: float) -> None:
        self._connection = connection
        self._look_every_s = look_every_s
        self._task: asyncio.Task[str] | None = None
        self.reason = NOT_VALID

    def begin(self, context: Context, credentials: Credentials, identify: Identify) -> None:
        """Watch the caller whom `identify` has just found, `context.principal`."""
        self._task = asyncio.create_task(self._reason_to_end(context, credentials, identify))
        self._task.add_done_callback(self._ended)

    async def stop(self) -> None:
        if self._task is not None:
            self._task.remove_done_callback(self._ended)
            self._task.cancel()
            await asyncio.wait({self._task})

    async def _reason_to_end(self, context: Context, credentials: Credentials, identify: Identify) -> str:
        """Wait for one. Until then the context's principal is kept up to date."""
        expires_at = _expiry(context.principal)
        while (left_s := expires_at - time.time()) > 0:
            await asyncio.sleep(min(self._look_every_s, left_s))
            try:
                async with asyncio.timeout(max(0.0, min(LONGEST_LOOK_S, expires_at - time.time()))):
                    now = await identify(credentials)
            except Unauthenticated:
                return NOT_VALID if time.time() < expires_at else EXPIRED
            except (BackendError, TimeoutError):
                continue  # nobody can be recognised for now, which says nothing against this caller
            if not has_kept(context.principal, now):
                return CHANGED
            context.principal = now
        return EXPIRED

    def _ended(self, task: asyncio.Task[str]) -> None:
        # However the watch ends, nobody stays unwatched.
        if task.cancelled():
            pass
        elif (failure := task.exception()) is not None:
            log.error("a socket's caller could not be looked at", exc_info=failure)
        else:
            self.reason = task.result()
        self._connection.reschedule(asyncio.get_running_loop().time())


@asynccontextmanager
async def watched(socket: WebSocket, *, look_every_s: float = LOOK_EVERY_S) -> AsyncIterator[None]:
    """Around a connection. When its watch ends, so does the block and every operation in it; then the socket is closed
    with FORBIDDEN and the reason."""
    try:
        async with asyncio.timeout(None) as connection:
            watch = socket.state.watch = Watch(connection, look_every_s)
            try:
                yield
            finally:
                await watch.stop()
    except TimeoutError:
        if not connection.expired():
            raise
        if WebSocketState.DISCONNECTED not in (socket.client_state, socket.application_state):
            with suppress(WebSocketDisconnect):
                await socket.close(FORBIDDEN, watch.reason)


def watch_of(socket: HTTPConnection) -> Watch:
    """That of the connection that `watched` is around."""
    watch: Watch = socket.state.watch
    return watch


def _expiry(principal: Principal) -> float:
    """When its sockets close, in Unix seconds. One that was opened within the clock skew lasts until the end of it."""
    if principal.expires_at is None:
        return float("inf")
    return principal.expires_at if principal.expires_at > time.time() else principal.expires_at + CLOCK_SKEW_S


def has_kept(before: Principal, now: Principal) -> bool:
    """Whether the same caller may still do the same. What is theirs may grow meanwhile: clients that registered,
    customer records that carts made for them."""
    grown = replace(before, email=now.email, medusa_customer_ids=now.medusa_customer_ids, client_ids=now.client_ids)
    if before.erp_customer_id is None:
        grown = replace(grown, erp_customer_id=now.erp_customer_id)
    has_all = set(before.medusa_customer_ids) <= set(now.medusa_customer_ids)
    return grown == now and has_all and set(before.client_ids) <= set(now.client_ids)
