"""Who shares a limit that goes by the network address."""

from __future__ import annotations

import pytest

from core.networks import network_of


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("", "elsewhere"),
        ("a proxy's nonsense", "elsewhere"),
        (None, "elsewhere"),
    ],
)
def test_who_shares_a_limit(address: str | None, network: str) -> None:
    assert network_of(address) == network
