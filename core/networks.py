"""Where in the network callers are, as far as limits go by it."""

from __future__ import annotations

import ipaddress


def network_of(address: str | None) -> str:
    """Who shares a limit: an IPv4 address, or the /64 of an IPv6 one, within which one household or server may use any.
    Everything that is no address counts as one place."""
    try:
        parsed = ipaddress.ip_address(address or "")
    except ValueError:
        return "elsewhere"
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(parsed) >> 64 << 64, 64)))
