"""How the gateway is served."""

from __future__ import annotations

import pytest
from starlette.types import Receive, Scope, Send

from core.settings import Settings
from server import serving


async def seen(settings: Settings, peer: str, forwarded: str, kind: str = "http") -> str:
    """The address that an application served under these settings takes a caller of that peer to have."""
    addresses: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        addresses.append(scope["client"][0])

    async def receive() -> dict[str, str]:
        return {"type": f"{kind}.request"}

    async def send(message: object) -> None:
        pass

    config = serving(settings, app)
    config.load()
    headers = [(b"x-forwarded-for", forwarded.encode())]
    scope = {"type": kind, "asgi": {"version": "3.0"}, "client": (peer, 1234), "headers": headers, "path": "/"}
    await config.loaded_app(scope, receive, send)
    return addresses[0]


@pytest.mark.parametrize("kind", ["http", "websocket"])
async def test_only_a_proxy_on_this_machine_may_say_where_a_caller_is(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "*")  # what uvicorn would read
    assert await seen(Settings(), "127.0.0.1", "203.0.113.9", kind) == "203.0.113.9"
    assert await seen(Settings(), "198.51.100.1", "203.0.113.9", kind) == "198.51.100.1"


async def test_of_several_the_last_that_is_no_trusted_proxy_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands before it the caller has written."""
    monkeypatch.setenv("TRUSTED_PROXIES", "10.0.0.0/8, 2001:db8::/32")
    for peer in ("10.1.2.3", "2001:db8::5"):
        assert await seen(Settings(), peer, "192.0.2.1, 203.0.113.9, 10.9.9.9") == "203.0.113.9"
    assert await seen(Settings(), "127.0.0.1", "203.0.113.9") == "127.0.0.1", "no longer trusted unless named"
