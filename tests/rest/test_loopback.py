"""Whether a caller can only be sitting at this machine."""

from __future__ import annotations

import pytest
from starlette.requests import HTTPConnection

from rest.loopback import is_at_this_machine


def connection(**headers: str) -> HTTPConnection:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return HTTPConnection({"type": "http", "server": ("127.0.0.1", 8000), "path": "/graphql", "headers": raw})


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:8000", "localhost:8000", "LOCALHOST", "[::1]:8000"])
@pytest.mark.parametrize("bound_to", ["127.0.0.1", "localhost", "::1"])
def test_a_browser_on_this_machine_is_here(host: str, bound_to: str) -> None:
    assert is_at_this_machine(connection(host=host), bound_to)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "evil.example:8000",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "127.0.0.1@evil.example",
        "localhost#.evil.example",
        "127.0.0.1:8000@evil.example",
    ],
)
def test_a_name_that_was_made_to_lead_here_is_not(host: str) -> None:
    assert not is_at_this_machine(connection(host=host), "127.0.0.1")
    assert not is_at_this_machine(connection(), "127.0.0.1")


@pytest.mark.parametrize("bound_to", ["0.0.0.0", "::", "192.168.1.7", "gateway.example"])
def test_a_gateway_that_others_reach_knows_nobody_to_be_here(bound_to: str) -> None:
    assert not is_at_this_machine(connection(host="localhost:8000"), bound_to)


@pytest.mark.parametrize("header", ["forwarded", "via", "x_forwarded_for", "x_forwarded_host", "x_real_ip"])
def test_what_a_proxy_on_this_machine_relays_is_not_from_here(header: str) -> None:
    assert not is_at_this_machine(connection(host="127.0.0.1:8000", **{header: "203.0.113.7"}), "127.0.0.1")
