"""Credentials: where a caller puts them, how tokens are verified, how keys are kept.

Keys are found by their HMAC-SHA256 under a pepper, so that neither the store nor a timing difference gives one away.
Tokens are verified here and never issued, but for the demo's. What a token may be signed with follows from the issuer
that it names, never from its own header.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from core.errors import Unauthenticated

CLOCK_SKEW_S = 30
LONGEST_TOKEN = 8192
"""Characters; a longer one is not read."""
LONGEST_KID = 256
SYMMETRIC = "HS256"
ASYMMETRIC = ("RS256", "ES256")
KEY_PREFIX = "sk_"
_KEY = re.compile(KEY_PREFIX + "[0-9a-f]{64}", re.ASCII)
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


PublicKey = RSAPublicKey | EllipticCurvePublicKey


class PublicKeys(Protocol):
    """An issuer's published keys."""

    async def key(self, kid: str | None, algorithm: str) -> PublicKey | None:
        """The key of that name for `algorithm`, one of ASYMMETRIC; with `kid` None the only key there is.

        None when there is no such key. Raises BackendUnavailable when no keys can be had.
        """


@dataclass(frozen=True, slots=True)
class TokenVerifier:
    """HS256 under one secret, RS256 and ES256 by an issuer's public keys, each token by one of the two.

    `exp` and `sub` are required, issuer and audience checked where configured. With both sources `issuer` is that of
    the public keys: they alone judge a token that names an issuer, and the secret alone one that names none.
    """

    secret: str | None = field(repr=False)
    issuer: str | None = None
    audience: str | None = None
    keys: PublicKeys | None = None

    async def verify(self, bearer: str) -> Token:
        """Raises Unauthenticated, with one message for every reason, and what `keys` raises when it has none."""
        try:
            key, algorithm, issuer = await self._judge(bearer)
            claims = jwt.decode(
                bearer,
                key,
                algorithms=[algorithm],
                issuer=issuer,
                audience=self.audience,
                leeway=CLOCK_SKEW_S,
                options={"require": ["exp", "sub"], "verify_aud": self.audience is not None},
            )
            return _read(claims)
        except (jwt.PyJWTError, ValueError, OverflowError) as exc:  # the last for times beyond every calendar
            raise Unauthenticated("the token is not valid") from exc

    async def _judge(self, bearer: str) -> tuple[str | PublicKey, str, str | None]:
        """The key and algorithm by which this token stands or falls, and the issuer that it must name, if any."""
        if len(bearer) > LONGEST_TOKEN:
            raise jwt.InvalidTokenError("too long")
        if self.keys is None:
            if not self.secret:
                raise jwt.InvalidKeyError("no source of keys")
            return self.secret, SYMMETRIC, self.issuer
        read = jwt.decode_complete(bearer, options={"verify_signature": False})
        header, issuer = read["header"], read["payload"].get("iss")
        if self.secret and issuer is None:
            return self.secret, SYMMETRIC, None
        algorithm, kid = header.get("alg"), header.get("kid")
        if algorithm not in ASYMMETRIC or (self.issuer is not None and issuer != self.issuer):
            raise jwt.InvalidTokenError("not what this issuer signs")
        if not isinstance(kid, str | None) or len(kid or "") > LONGEST_KID:
            raise jwt.InvalidTokenError("no name of a key")
        key = await self.keys.key(kid, algorithm)
        if key is None:
            raise jwt.InvalidKeyError("no such key")
        return key, algorithm, self.issuer


def _read(claims: dict[str, Any]) -> Token:
    """What was verified. Raises InvalidTokenError for claims of another type than theirs: read as absent, one that is
    meant to narrow would widen."""
    times = [claims[name] for name in ("exp", "nbf", "iat") if name in claims]
    if any(isinstance(at, bool) or not isinstance(at, int | float) for at in times):
        raise jwt.InvalidTokenError("a time must be a number")
    scope, role = claims.get("scope"), claims.get("role")
    if not isinstance(scope, str | None) or not isinstance(role, str | None):
        raise jwt.InvalidTokenError("scope and role must be text")
    return Token(
        subject=claims["sub"],
        role=role,
        scope=None if scope is None else frozenset(scope.split()),
        expires_at=float(claims["exp"]),
    )


def hash_key(pepper: str, key: str) -> str:
    """How a key is stored and found."""
    return hmac.new(pepper.encode(), key.encode(), hashlib.sha256).hexdigest()


def new_key() -> str:
    return KEY_PREFIX + secrets.token_hex(32)


def is_key(shown: str) -> bool:
    """Whether `new_key` could have made it: what else is shown need not be looked for."""
    return _KEY.fullmatch(shown) is not None


def equal(shown: str, expected: str) -> bool:
    """In constant time; an empty expectation equals nothing."""
    return bool(expected) and hmac.compare_digest(shown.encode(), expected.encode())
