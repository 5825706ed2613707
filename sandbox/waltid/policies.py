"""What a verifier can check of a presentation, and of each credential in it."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sandbox.waltid import keys
from sandbox.waltid.errors import WaltError, bad_request, not_simulated

DESCRIPTIONS = {
    "signature": "Checks a JWT credential by verifying its cryptographic signature.",
    "signature_sd-jwt-vc": "Checks an SD-JWT credential by verifying its cryptographic signature.",
    "expired": "Verifies that the credentials expiration date has not been exceeded.",
    "not-before": "Verifies that the credentials not-before date is correctly exceeded.",
    "schema": "Verifies a credentials data against a JSON Schema.",
    "webhook": "Sends the credential data to an webhook URL as HTTP POST.",
    "minimum-credentials": "Verifies that a minimum number of credentials are included in the presentation.",
    "maximum-credentials": "Verifies that a maximum number of credentials are included in the presentation.",
    "holder-binding": "Verifies that issuer of the presentation is also the subject of all credentials in it.",
    "allowed-issuer": "Checks that the issuer of the credential is among the allowed ones.",
    "revoked-status-list": "Verifies the credential is not revoked.",
    "presentation-definition": "Verifies that the presentation fits its definition.",
    "dynamic": "Evaluates a policy on a server.",
    "credential-status": "Verifies the status of the credential.",
    "vp_required_credentials": "Verifies that the required credentials are presented.",
}
_SIMULATED = frozenset(
    {"signature", "expired", "not-before", "minimum-credentials", "maximum-credentials", "holder-binding"}
    | {"allowed-issuer", "revoked-status-list", "presentation-definition", "credential-status"}
)
_STACK = "\n\tat id.walt.policies.policies.JwtSignaturePolicy.verify(JwtSignaturePolicy.kt:48)"

Fetch = Callable[[str], Awaitable[str]]


class Failed(Exception):
    """What the policy says about it."""


@dataclass(frozen=True)
class Policy:
    name: str
    args: Any = None


@dataclass(frozen=True)
class Presented:
    """A presentation's credentials and the claims of each; what is checked is `token` with `claims`."""

    token: str
    claims: Mapping[str, Any]
    credentials: tuple[str, ...]


def parsed(given: Any, usual: tuple[str, ...] = ("signature",)) -> list[Policy]:
    """From names, or names with arguments. Raises WaltError for one that nobody knows."""
    found = []
    for each in usual if given is None else given:
        policy = Policy(each) if isinstance(each, str) else Policy(each.get("policy", ""), each.get("args"))
        if policy.name not in DESCRIPTIONS:
            raise bad_request(f"No policy found by name: {policy.name}")
        if policy.name not in _SIMULATED:
            raise not_simulated(f"the policy {policy.name}")
        found.append(policy)
    return found


async def outcome(policy: Policy, shown: Presented, now_s: float, fetch: Fetch) -> dict[str, Any]:
    told: dict[str, Any] = {"policy": policy.name, "description": DESCRIPTIONS[policy.name]}
    if policy.args is not None:
        told["args"] = policy.args
    try:
        result = await _checked(policy, shown, now_s, fetch)
    except Failed as failure:
        return {**told, "is_success": False, "error": failure.args[0]}
    return {**told, "is_success": True, "result": result}


async def _checked(policy: Policy, shown: Presented, now_s: float, fetch: Fetch) -> Any:
    claims, body = shown.claims, shown.claims.get("vc") or shown.claims
    match policy.name:
        case "signature":
            if not keys.is_signed_by(shown.token, str(claims.get("iss"))):
                raise Failed(f"java.security.SignatureException: Signature is invalid{_STACK}")
            return dict(claims)
        case "expired":
            at = _seconds(claims.get("exp"), body.get("expirationDate") or body.get("validUntil"))
            if at is not None and at <= now_s:
                raise Failed({"date": at, "date_seconds": int(at), "expired_since": f"PT{int(now_s - at)}S",
                              "policy_available": True})  # fmt: skip
            return {"policy_available": at is not None}
        case "not-before":
            at = _seconds(claims.get("nbf"), body.get("validFrom"))
            if at is not None and at > now_s:
                raise Failed({"date_seconds": int(at), "available_in": f"PT{int(at - now_s)}S"})
            return {"policy_available": at is not None}
        case "minimum-credentials" | "maximum-credentials":
            few = policy.name.startswith("min")
            if len(shown.credentials) < policy.args if few else len(shown.credentials) > policy.args:
                raise Failed(f"{len(shown.credentials)} credentials were presented")
            return {"total": len(shown.credentials)}
        case "holder-binding":
            subjects = {(keys.claims_of(each) or {}).get("sub") for each in shown.credentials}
            if subjects != {claims.get("iss")}:
                raise Failed("The presenter is not the holder")
            return None
        case "allowed-issuer":
            allowed = policy.args if isinstance(policy.args, list) else [policy.args]
            if claims.get("iss") not in allowed:
                raise Failed({"issuer": claims.get("iss"), "allowed_issuer": allowed})
            return claims.get("iss")
        case "credential-status" | "revoked-status-list":
            args = policy.args or {"type": "StatusList2021", "purpose": "revocation", "value": 0}
            return await _status(body.get("credentialStatus"), args, fetch)
    return None  # presentation-definition: checked before any policy runs


async def _status(entry: Any, args: Mapping[str, Any], fetch: Fetch) -> Any:
    if not entry:
        return {"policy_available": False}
    if entry.get("type") != f"{args.get('type')}Entry" or entry.get("statusPurpose") != args.get("purpose"):
        raise Failed(f"Status entry {entry.get('type')} is not what was asked for")
    value = await status_bit(entry, fetch)
    if value != args.get("value"):
        raise Failed(f"Status verification failed: expected {args.get('value')}, but got {value}")
    return {"value": value}


async def status_bit(entry: Mapping[str, Any], fetch: Fetch) -> int:
    """What the list says at a credential's place in it. Raises Failed when that cannot be told."""
    try:
        claims = keys.claims_of((await fetch(entry["statusListCredential"])).strip()) or {}
        about = (claims.get("vc") or claims)["credentialSubject"]
        if about["type"] != "BitstringStatusList" or about["statusPurpose"] != entry["statusPurpose"]:
            raise Failed("The status list is of another kind")
        packed = about["encodedList"].removeprefix("u")
        bits = gzip.decompress(base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4)))
        place = int(entry["statusListIndex"])
        return bits[place // 8] >> (7 - place % 8) & 1
    except (KeyError, ValueError, IndexError, OSError, WaltError) as exc:
        raise Failed(f"Failed to read the status list: {exc}") from exc


def _seconds(seconds: Any, written: Any) -> float | None:
    if isinstance(seconds, int | float):
        return float(seconds)
    return datetime.fromisoformat(written).timestamp() if isinstance(written, str) else None
