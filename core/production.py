"""What production does not start with."""

from __future__ import annotations

import ipaddress

from pydantic import HttpUrl

from core.backends import BackendMode
from core.settings import Settings

SHORTEST_SECRET = 32
"""Characters of a secret that signs tokens: HS256 is no stronger than its key."""


def refusals(settings: Settings) -> list[str]:
    """Why this configuration must not serve, in words for an operator; empty when it may, and in development."""
    if settings.app_env != "production":
        return []
    found = []
    blocks = {
        "MongoDB": settings.mongodb.mode,
        "Temporal": settings.temporal.mode,
        "Medusa": settings.medusa.mode,
        "Fleetbase": settings.fleetbase.mode,
        "ERPNext": settings.erpnext.mode,
        "Stripe": settings.stripe.mode,
        "SendGrid": settings.sendgrid.mode,
    }
    if not settings.allow_sandbox:
        for name, mode in blocks.items():
            if mode is not BackendMode.LIVE:
                found.append(f"{name} is {mode.name}: configure it, or set ALLOW_SANDBOX=true")
    for name in ("jwt_secret", "key_pepper"):
        if getattr(settings, name) is None:
            found.append(f"{name.upper()} is not set")
    if settings.jwt_secret is not None and len(settings.jwt_secret.get_secret_value()) < SHORTEST_SECRET:
        found.append(f"JWT_SECRET is shorter than {SHORTEST_SECRET} characters")
    addresses = {
        "MEDUSA_API_URL": settings.medusa.api_url,
        "FLEETBASE_URL": settings.fleetbase.url,
        "ERPNEXT_URL": settings.erpnext.url,
        "STRIPE_API_BASE": settings.stripe.api_base,
        "SENDGRID_API_BASE": settings.sendgrid.api_base,
    }
    for name, url in addresses.items():
        if url.scheme == "http" and not _is_private(url):
            found.append(f"{name} sends credentials over plain http outside a private network")
    return found


def _is_private(url: HttpUrl) -> bool:
    """Loopback and private ranges, by address. A name could resolve to anything, but for localhost."""
    host = (url.host or "").strip("[]")
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_private or address.is_loopback
