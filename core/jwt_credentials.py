"""Verifiable credentials as signed tokens (W3C's data model 1.1 in a JWT): read, signed and checked without asking
anybody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import jwt

from core import dids

LONGEST = 64 * 1024
"""Characters of a token that is looked into."""
SKEW_S = 30
ALGORITHMS = {"Ed25519": "EdDSA", "P-256": "ES256", "secp256k1": "ES256K"}
"""By curve; an RSA key has none."""


class NotACredential(ValueError):
    """A token that is no credential, in words for people."""


@dataclass(frozen=True)
class JwtCredential:
    """What a token says, which nobody has checked yet. `id` None: it has no name. `body` is its `vc` claim."""

    token: str
    claims: Mapping[str, Any]
    body: Mapping[str, Any]

    @property
    def id(self) -> str | None:
        return _text(self.claims.get("jti")) or _text(self.body.get("id"))

    @property
    def issuer(self) -> str | None:
        named = self.body.get("issuer")
        named = named.get("id") if isinstance(named, dict) else named
        return _text(self.claims.get("iss")) or _text(named)

    @property
    def subject(self) -> str | None:
        about = self.body.get("credentialSubject")
        return _text(self.claims.get("sub")) or _text(about.get("id") if isinstance(about, dict) else None)

    @property
    def types(self) -> tuple[str, ...]:
        named = self.body.get("type")
        listed = named if isinstance(named, list) else [named]
        return tuple(each for each in listed if isinstance(each, str))

    @property
    def issued_at(self) -> datetime | None:
        return _moment(self.claims.get("iat"), self.body.get("issuanceDate"))

    @property
    def not_before(self) -> datetime | None:
        return _moment(self.claims.get("nbf"), self.body.get("validFrom") or self.body.get("issuanceDate"))

    @property
    def expires_at(self) -> datetime | None:
        return _moment(self.claims.get("exp"), self.body.get("expirationDate") or self.body.get("validUntil"))

    @property
    def status(self) -> Mapping[str, Any] | None:
        """Its entry in a status list."""
        entry = self.body.get("credentialStatus")
        return entry if isinstance(entry, dict) else None


def read(token: str) -> JwtCredential:
    """Raises NotACredential."""
    if len(token) > LONGEST:
        raise NotACredential(f"it has more than {LONGEST} characters")
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
    except (jwt.InvalidTokenError, ValueError) as exc:
        raise NotACredential("it is no signed token") from exc
    body = claims.get("vc", claims)
    if not isinstance(body, dict) or "credentialSubject" not in body:
        raise NotACredential("it is a token, but no credential")
    return JwtCredential(token, claims, body)


def is_signed_by_issuer(credential: JwtCredential) -> bool:
    """Whether the key that its issuer's identifier holds has signed it.

    The key and its algorithm come from the identifier alone: what the token's header says counts only as a
    contradiction.
    """
    try:
        key = dids.public_jwk(credential.issuer or "")
        header = jwt.get_unverified_header(credential.token)
        named = header.get("kid")
        if isinstance(named, str) and named.startswith("did:") and named.partition("#")[0] != credential.issuer:
            return False
        algorithm = algorithm_of(key)
        # When it is good is another question than whose it is.
        ignored = dict.fromkeys(
            ("verify_exp", "verify_nbf", "verify_iat", "verify_aud", "verify_sub", "verify_jti"), False
        )
        jwt.decode(credential.token, jwt.PyJWK(key, algorithm), algorithms=[algorithm], options=ignored)  # type: ignore[arg-type]
    except (jwt.PyJWTError, ValueError):
        return False
    return True


def sign(key: Mapping[str, Any], issuer: str, claims: Mapping[str, Any]) -> str:
    """A token of these claims, signed with a private JWK."""
    algorithm = algorithm_of(key)
    headers = {"kid": issuer, "typ": "JWT"}
    return jwt.encode(dict(claims), jwt.PyJWK(dict(key), algorithm).key, algorithm, headers)


def algorithm_of(key: Mapping[str, Any]) -> str:
    """What a key signs with. Raises dids.UnknownDid for a curve that nothing here can use."""
    if key.get("kty") == "RSA":
        return "RS256"
    curve = key.get("crv")
    if curve not in ALGORITHMS:
        raise dids.UnknownDid("a curve that is not understood")
    return ALGORITHMS[curve]


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _moment(seconds: object, written: object) -> datetime | None:
    """Of Unix seconds, or else of ISO 8601; None for neither."""
    try:
        if isinstance(seconds, int | float) and not isinstance(seconds, bool):
            return datetime.fromtimestamp(seconds, UTC)
        if isinstance(written, str):
            moment = datetime.fromisoformat(written)
            return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return None
