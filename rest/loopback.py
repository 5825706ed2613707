"""Whether a caller can only be sitting at this machine."""

from __future__ import annotations

import re

from starlette.requests import HTTPConnection

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
_HOST = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:\d+)?", re.IGNORECASE)
_RELAYED = ("forwarded", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-real-ip")


def is_at_this_machine(connection: HTTPConnection, bound_to: str) -> bool:
    """A gateway bound to loopback is reached by proxies and tunnels on this machine too, which say so, and by pages
    whose name was made to lead here (DNS rebinding), which still say their own name."""
    headers = connection.headers
    is_relayed = any(name in headers for name in _RELAYED)
    return bound_to in LOOPBACK and not is_relayed and _HOST.fullmatch(headers.get("host", "")) is not None
