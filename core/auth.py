"""Credentials: where a caller puts them, how tokens are verified, how keys are kept.

Keys are found by their HMAC-SHA256 under a pepper, so that neither the store nor a timing difference gives one away.
Tokens are verified here and never issued, but for the demo's.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import jwt

from core.errors import Unauthenticated

CLOCK_SKEW_S = 30
KEY_PREFIX = "sk_"
CREDENTIAL_NAMES = frozenset({"x-api-key", "client-x-api-key", "authorization"})
"""Where credentials are looked for, in lower case."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a caller showed. Never printed."""

    api_key: str | None = None
    client_api_key: str | None = None
    bearer: str | None = None

    def __repr__(self) -> str:
        return "Credentials(…)"

    @property
    def are_none(self) -> bool:
        return self.api_key is None and self.client_api_key is None and self.bearer is None


def read_credentials(headers: Mapping[str, Any]) -> Credentials:
    """From HTTP headers or a WebSocket's `connection_init` payload, whose names differ at most in case.

    Raises Unauthenticated for an Authorization that is no bearer token, one credential with two values, and values
    that are not text of ASCII characters.
    """
    named: dict[str, str] = {}
    shown = [(name.lower(), value) for name, value in headers.items() if value and name.lower() in CREDENTIAL_NAMES]
    for name, value in shown:
        if not isinstance(value, str) or not value.isascii() or named.setdefault(name, value) != value:
            raise Unauthenticated(f"{name} is not valid")
    bearer = None
    if authorization := named.get("authorization"):
        scheme, _, bearer = authorization.partition(" ")
        if scheme.lower() != "bearer" or not bearer.strip():
            raise Unauthenticated("Authorization must be a bearer token")
    return Credentials(named.get("x-api-key"), named.get("client-x-api-key"), bearer.strip() if bearer else None)


@dataclass(frozen=True, slots=True)
class Token:
    """The claims of a verified token that the gateway reads. `scope` None: the token does not narrow its role."""

    subject: str
    role: str | None
    scope: frozenset[str] | None
    expires_at: float


@dataclass(frozen=True, slots=True)
class TokenVerifier:
    """HS256 under one secret; `exp` and `sub` are required, issuer and audience checked where configured."""

    secret: str = field(repr=False)
    issuer: str | None = None
    audience: str | None = None

    def verify(self, bearer: str) -> Token:
        """Raises Unauthenticated, with one message for every reason."""
        try:
            claims = jwt.decode(
                bearer,
                self.secret,
                algorithms=["HS256"],
                issuer=self.issuer,
                audience=self.audience,
                leeway=CLOCK_SKEW_S,
                options={"require": ["exp", "sub"], "verify_aud": self.audience is not None},
            )
            expires_at = float(claims["exp"])
        except (jwt.InvalidTokenError, ValueError, OverflowError) as exc:  # the last for an `exp` of Infinity
            raise Unauthenticated("the token is not valid") from exc
        scope, role = claims.get("scope"), claims.get("role")
        if not isinstance(scope, str | None) or not isinstance(role, str | None):
            # Read as absent, a claim that is meant to narrow would widen.
            raise Unauthenticated("the token is not valid")
        return Token(
            subject=claims["sub"],
            role=role,
            scope=None if scope is None else frozenset(scope.split()),
            expires_at=expires_at,
        )


def hash_key(pepper: str, key: str) -> str:
    """How a key is stored and found."""
    return hmac.new(pepper.encode(), key.encode(), hashlib.sha256).hexdigest()


def new_key() -> str:
    return KEY_PREFIX + secrets.token_hex(32)


def equal(shown: str, expected: str) -> bool:
    """In constant time; an empty expectation equals nothing."""
    return bool(expected) and hmac.compare_digest(shown.encode(), expected.encode())
