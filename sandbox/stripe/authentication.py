"""Secret keys, as a Bearer token or as the user of HTTP Basic."""

from __future__ import annotations

import base64
import binascii
import secrets

from starlette.datastructures import Headers

from sandbox.keys import STRIPE_SECRET_KEY
from sandbox.stripe.errors import StripeError


def check(headers: Headers) -> None:
    """Raises: StripeError 401 without the account's key, 403 for another account than the key's."""
    key = _key(headers.get("authorization", ""))
    if not key:
        raise StripeError(
            401, "You did not provide an API key, as a Bearer token or as the user of Basic authentication."
        )
    if not secrets.compare_digest(key.encode(), STRIPE_SECRET_KEY.encode()):
        raise StripeError(401, f"Invalid API Key provided: {key[:8]}{'*' * 8}{key[-4:]}")
    if account := headers.get("stripe-account"):
        message = f"The provided key does not have access to account '{account}' (or that account does not exist)."
        raise StripeError(403, message, code="account_invalid")


def _key(authorization: str) -> str:
    scheme, _, credentials = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return credentials.strip()
    if scheme.lower() == "basic":
        try:
            return base64.b64decode(credentials, validate=True).decode().partition(":")[0]
        except (binascii.Error, UnicodeDecodeError):
            return ""
    return ""
