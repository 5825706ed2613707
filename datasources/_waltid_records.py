"""What walt.id's services say, and what they are told."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

CONTEXT = "https://www.w3.org/2018/credentials/v1"
"""Of data model 1.1: what checks a status finds the entry of this one for sure."""

STATUS_LIST, STATUS_PURPOSE = "BitstringStatusList", "revocation"


class DidRecord(msgspec.Struct, frozen=True, rename={"key_id": "keyId", "is_default": "default"}):
    """An identifier in a wallet."""

    did: str
    alias: str | None = None
    key_id: str | None = None
    is_default: bool = False


class StatusEntryRecord(msgspec.Struct, frozen=True, rename={"is_set": "result"}):
    """What a wallet finds in the status list of a credential. `is_set`: it is revoked, or suspended."""

    type: str
    is_set: bool


class HeldRecord(msgspec.Struct, frozen=True, rename="camel"):
    """A credential in a wallet. A deleted one stays there with `deleted_on`."""

    id: str
    document: str
    format: str = "jwt_vc_json"
    parsed_document: dict[str, Any] | None = None
    deleted_on: str | None = None


class PolicyOutcome(msgspec.Struct, frozen=True, rename={"passed": "is_success"}):
    policy: str
    passed: bool = msgspec.field(name="is_success", default=False)
    error: Any = None


class CheckedRecord(msgspec.Struct, frozen=True, rename={"outcomes": "policyResults"}):
    """What was checked of one part of a presentation."""

    credential: str
    outcomes: list[PolicyOutcome] = []


class PolicyResults(msgspec.Struct, frozen=True):
    results: list[CheckedRecord] = []


class VerificationRecord(
    msgspec.Struct, frozen=True, rename={"verified": "verificationResult", "checked": "policyResults"}
):
    """A session of the verifier. `verified` None: nobody has presented anything yet."""

    id: str
    verified: bool | None = None
    checked: PolicyResults = PolicyResults()


class Login(msgspec.Struct, frozen=True):
    token: str


class WalletRecord(msgspec.Struct, frozen=True):
    id: str
    permission: str


class Wallets(msgspec.Struct, frozen=True):
    wallets: list[WalletRecord]


class Presented(msgspec.Struct, frozen=True, rename="camel"):
    """Where the verifier sends the holder now."""

    redirect_uri: str | None = None


class Metadata(msgspec.Struct, frozen=True):
    """A service's own description."""

    paths: dict[str, Any]


class Refusal(msgspec.Struct, frozen=True, rename="camel"):
    """How errors are told; `id` is the name of an exception."""

    message: str | None = None
    error_message: str | None = None
    id: str | None = None


def list_url(base: str, number: int) -> str:
    """Where one of our status lists is found; `base` is where others reach the gateway."""
    return f"{base}/status/{number}"


def status_entry(base: str, number: int, place: int) -> dict[str, Any]:
    """What a credential says about where its status stands."""
    url = list_url(base, number)
    return {
        "id": f"{url}#{place}",
        "type": f"{STATUS_LIST}Entry",
        "statusPurpose": STATUS_PURPOSE,
        "statusListIndex": str(place),
        "statusListCredential": url,
    }


@dataclass(frozen=True)
class NewCredential:
    """What is to be issued. `id` is a URN, so that the same one is never issued twice into a wallet; `status` its entry
    in a status list."""

    id: str
    type: str
    claims: Mapping[str, Any]
    status: Mapping[str, Any]
    life_days: int

    def document(self, issuer: str, subject: str | None) -> dict[str, Any]:
        """The credential to be signed. What it says of its subject cannot say who that is."""
        about = {**self.claims, "id": subject} if subject else dict(self.claims)
        return {
            "@context": [CONTEXT],
            "id": self.id,
            "type": ["VerifiableCredential", self.type],
            "issuer": {"id": issuer},
            "credentialSubject": about,
            "credentialStatus": dict(self.status),
        }

    def mapping(self) -> dict[str, Any]:
        """What the issuer fills in. Given one, it adds no claim of its own accord."""
        return {
            "issuanceDate": "<timestamp>",
            "expirationDate": f"<timestamp-in:{self.life_days}d>",
            "jwt:iat": "<timestamp-seconds>",
            "jwt:nbf": "<timestamp-seconds>",
            "jwt:exp": f"<timestamp-in-seconds:{self.life_days}d>",
            "jwt:jti": self.id,
        }


@dataclass(frozen=True)
class IssuedCredential:
    """`held_as` is what the wallet calls it."""

    held_as: str
    issuer: str
    subject: str | None
    issued_at: datetime | None
    expires_at: datetime | None


@dataclass(frozen=True)
class Policies:
    """What the verifier checks: of the presentation, and of every credential in it."""

    presentation: Sequence[str | Mapping[str, Any]] = ("signature",)
    credentials: Sequence[str | Mapping[str, Any]] = ("signature",)


@dataclass(frozen=True)
class IssuerKey:
    """`wire` is what the issuer is told; `jwk` the key itself, None where it stays in a vault; never printed."""

    did: str
    wire: Mapping[str, Any] = field(repr=False)
    jwk: Mapping[str, Any] | None = field(repr=False, default=None)


def parsed_key(text: str) -> dict[str, Any]:
    """Of a JWK, or of what walt.id calls a key: `{"type": "jwk", "jwk": {…}}`, or a reference to a vault's.

    Raises ValueError, which says nothing of the key.
    """
    try:
        key = json.loads(text)
    except ValueError:
        key = None
    if not isinstance(key, dict) or not ("kty" in key or "type" in key):
        raise ValueError("WALTID_ISSUER_KEY is neither a JWK nor a key as walt.id has them") from None
    return key if "type" in key else {"type": "jwk", "jwk": key}
