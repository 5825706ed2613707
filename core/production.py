"""What production does not start with."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

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
        "Twilio": settings.twilio.mode,
        "OpenAI": settings.openai.mode,
        "walt.id": settings.waltid.mode,
        "Payload": settings.payload.mode,
        "Strapi": settings.strapi.mode,
        "MinIO": settings.minio.mode,
    }
    if not settings.allow_sandbox:
        for name, mode in blocks.items():
            if mode is not BackendMode.LIVE:
                found.append(f"{name} is {mode.name}: configure it, or set ALLOW_SANDBOX=true")
    if settings.jwt_secret is None and settings.jwks_url is None:
        found.append("neither JWT_SECRET nor JWKS_URL is set")
    if settings.jwt_secret is not None and settings.jwks_url is not None and settings.jwt_issuer is None:
        found.append("JWT_ISSUER must say whose tokens are verified by JWKS_URL where JWT_SECRET verifies others")
    if settings.key_pepper is None:
        found.append("KEY_PEPPER is not set")
    if settings.payload.url is not None and settings.payload_key is None:
        found.append("PAYLOAD_OUTBOUND_API_KEY is not set: callers' service key is not shown to Payload")
    if settings.jwt_secret is not None and len(settings.jwt_secret.get_secret_value()) < SHORTEST_SECRET:
        found.append(f"JWT_SECRET is shorter than {SHORTEST_SECRET} characters")
    found += _about_wallets(settings)
    addresses = {
        "MEDUSA_API_URL": settings.medusa.api_url,
        "FLEETBASE_URL": settings.fleetbase.url,
        "ERPNEXT_URL": settings.erpnext.url,
        "STRIPE_API_BASE": settings.stripe.api_base,
        "SENDGRID_API_BASE": settings.sendgrid.api_base,
        "TWILIO_API_BASE": settings.twilio.api_base,
        "OPENAI_BASE_URL": settings.openai.base_url,
        "PAYLOAD_URL": settings.payload.url,
        "STRAPI_URL": settings.strapi.url,
        "MINIO_ENDPOINT": settings.minio.endpoint,
        "MINIO_PUBLIC_ENDPOINT": settings.minio.public_endpoint,
    }
    addresses |= {f"the {service} of WALTID_URL": HttpUrl(url) for service, url in settings.waltid.bases.items()}
    for name, url in addresses.items():
        if url is not None and url.scheme == "http" and not _is_private(url.host):
            found.append(f"{name} sends credentials over plain http outside a private network")
    if settings.jwks_url is not None and settings.jwks_url.scheme == "http" and not _is_private(settings.jwks_url.host):
        found.append("JWKS_URL fetches the keys that verify tokens over plain http outside a private network")
    if settings.redis_url is not None:
        redis = urlsplit(settings.redis_url.get_secret_value())
        if redis.scheme == "redis" and not _is_private(redis.hostname):
            found.append("REDIS_URL sends its password unencrypted outside a private network: use rediss://")
    for network in settings.trusted_proxies:
        if network.prefixlen == 0:
            found.append(
                f"TRUSTED_PROXIES trusts everybody ({network}), who could then come from any address they name"
            )
    return found


def _about_wallets(settings: Settings) -> list[str]:
    """Nobody could open the wallets again, or trust what was issued, once these are others."""
    waltid = settings.waltid
    if waltid.mode is not BackendMode.LIVE:
        return []
    found = []
    if waltid.issuer_key is None:
        found.append("WALTID_ISSUER_KEY is not set")
    if waltid.wallet_secret is None or len(waltid.wallet_secret.get_secret_value()) < SHORTEST_SECRET:
        found.append(f"WALTID_WALLET_SECRET is not set, or shorter than {SHORTEST_SECRET} characters")
    if settings.public_url is None:
        found.append("PUBLIC_URL is not set: credentials tell others where their status is found")
    return found


def _is_private(host: str | None) -> bool:
    """Loopback and private ranges, by address. A name could resolve to anything, but for localhost."""
    host = (host or "").strip("[]")
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_private or address.is_loopback
