"""Failing to start, told in a sentence where the reason is known, and not as a traceback."""

from __future__ import annotations

import os
import socket
import sys

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from core.errors import GatewayError, StartFailed
from core.settings import Settings


def listen(settings: Settings) -> socket.socket:
    """The socket to serve on, taken before anything else is started. Raises SystemExit when somebody has it."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=2048)
    except OSError as exc:
        sys.exit(f"Cannot listen on {settings.host}:{settings.port} ({os.strerror(exc.errno or 0)}): set HOST or PORT")


class PlainFailures:
    """ASGI middleware: what the server is told when the lifespan does not begin."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def tell(message: Message) -> None:
            reason = sys.exc_info()[1]
            if message["type"] == "lifespan.startup.failed" and isinstance(reason, StartFailed | GatewayError):
                message = {**message, "message": f"The gateway cannot start: {reason}"}
            await send(message)

        await self._app(scope, receive, tell if scope["type"] == "lifespan" else send)
