"""Checking credentials: one that somebody has in hand at once, and others by asking their holder to present them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4, uuid5

from core import jwt_credentials
from core.backends import BackendName
from core.errors import BadUserInput, NotFound
from core.jwt_credentials import SKEW_S, JwtCredential, NotACredential
from datasources.waltid import STATUS_LIST, STATUS_PURPOSE, Policies, VerificationRecord, readable
from resolvers._credential_claims import checked_type
from resolvers.context import Context
from resolvers.credentials import NO_CREDENTIAL, may_see
from resolvers.ownership import owns

SIGNATURE, EXPIRED, NOT_BEFORE, STATUS, ISSUER = (
    "signature", "expired", "not-before", "credential-status", "allowed-issuer",
)  # fmt: skip
CHECKS = (SIGNATURE, EXPIRED, NOT_BEFORE, STATUS, ISSUER)
"""What may be asked for. The verifier knows more; those take addresses to call, or orders to carry out."""
USUAL = (SIGNATURE, EXPIRED, NOT_BEFORE, STATUS)
TYPE = "credential-type"
_REPEATED = UUID("0a4b8f0e-2f7c-4a6e-9a3f-2b3d0d1f6c55")
"""The namespace of sessions that are named by a caller's key."""


@dataclass(frozen=True)
class PolicyResult:
    """`detail` is JSON that says why, or on what grounds; None: there is nothing to say."""

    policy: str
    passed: bool
    detail: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Verification:
    """`verified` None: nobody has presented anything, or it is over; `request_url` is what the holder's wallet is to
    open."""

    id: str
    verified: bool | None = None
    request_url: str | None = None
    policies: list[PolicyResult] = field(default_factory=list)


async def verify_credential(
    ctx: Context, type: str, credential: str | None, policies: Sequence[str] | None
) -> Verification:
    """Check this credential; without one, ask for a presentation of such a credential.

    Raises BadUserInput for a policy that callers may not choose, NotFound for a credential of ours that is not theirs.
    """
    kind, chosen = checked_type("credentialType", type), _chosen(policies)
    if credential is not None:
        return await _checked(ctx, kind, credential, chosen)
    return await _asked_for(ctx, kind, chosen)


async def verification(ctx: Context, id: str) -> Verification | None:
    """How a request that the caller has made stands; None for one that is not theirs. Of one that is over nothing is
    known any more."""
    if not await _is_theirs(ctx, id):
        return None
    session = await ctx.sources.waltid.verification(id)
    return Verification(id) if session is None else Verification(id, session.verified, None, _results(session))


def _chosen(policies: Sequence[str] | None) -> tuple[str, ...]:
    """Without repetitions; who signed it is always checked. Raises BadUserInput."""
    for policy in policies or ():
        if policy not in CHECKS:
            raise BadUserInput(f"`policies` are some of {', '.join(CHECKS)}, not {policy[:60]}")
    return tuple(dict.fromkeys((SIGNATURE, *(USUAL if policies is None else policies))))


# -- a credential in hand ----------------------------------------------------------------------------------------------


async def _checked(ctx: Context, kind: str, token: str, chosen: Sequence[str]) -> Verification:
    try:
        shown = jwt_credentials.read(token.strip())
    except NotACredential as exc:
        raise BadUserInput(f"`credential` is not one: {exc}") from exc
    is_signed = jwt_credentials.is_signed_by_issuer(shown)
    ours = await ctx.sources.mongo.credential(shown.id) if shown.id else None
    if ours is not None and ours.issuer == shown.issuer and not may_see(ctx.principal, ours):
        raise NotFound(NO_CREDENTIAL)
    told = [PolicyResult(TYPE, kind in shown.types, {"type": list(shown.types)})]
    for policy in chosen:
        if policy == SIGNATURE:
            told.append(PolicyResult(SIGNATURE, is_signed, {"issuer": shown.issuer}))
        elif policy == STATUS:
            told.append(await _status(ctx, shown))
        else:
            told.append(_LOCALLY[policy](ctx, shown))
    return Verification(str(uuid4()), all(result.passed for result in told), None, told)


def _not_expired(ctx: Context, shown: JwtCredential) -> PolicyResult:
    until = shown.expires_at
    passed = until is None or datetime.now(UTC) < until
    return PolicyResult(EXPIRED, passed, {"expiresAt": until.isoformat() if until else None})


def _begun(ctx: Context, shown: JwtCredential) -> PolicyResult:
    since = shown.not_before
    passed = since is None or since <= datetime.now(UTC) + timedelta(seconds=SKEW_S)
    return PolicyResult(NOT_BEFORE, passed, {"validFrom": since.isoformat() if since else None})


def _by_us(ctx: Context, shown: JwtCredential) -> PolicyResult:
    return PolicyResult(ISSUER, shown.issuer == ctx.sources.waltid.issuer_did, {"issuer": shown.issuer})


_LOCALLY: Mapping[str, Callable[[Context, JwtCredential], PolicyResult]] = {
    EXPIRED: _not_expired,
    NOT_BEFORE: _begun,
    ISSUER: _by_us,
}


async def _status(ctx: Context, shown: JwtCredential) -> PolicyResult:
    """By our own list alone: an address in a credential is its holder's to choose, and is not called."""
    ours = await ctx.sources.mongo.credential(shown.id) if shown.id else None
    if ours is not None and ours.issuer == shown.issuer:
        return PolicyResult(STATUS, ours.revoked_at is None, {"revoked": ours.revoked_at is not None})
    if shown.status is None:
        return PolicyResult(STATUS, passed=True, detail={"reason": "it is in no status list"})
    return PolicyResult(STATUS, passed=False, detail={"reason": "its status list is not the gateway's"})


# -- a presentation ----------------------------------------------------------------------------------------------------


async def _asked_for(ctx: Context, kind: str, chosen: Sequence[str]) -> Verification:
    key, principal, waltid = ctx.idempotency_key(), ctx.principal, ctx.sources.waltid
    session_id = str(uuid4() if key is None else uuid5(_REPEATED, key))
    given: dict[str, str | Mapping[str, Any]] = {
        STATUS: {
            "policy": STATUS,
            "args": {"discriminator": "w3c", "value": 0, "purpose": STATUS_PURPOSE, "type": STATUS_LIST},
        },
        ISSUER: {"policy": ISSUER, "args": waltid.issuer_did},
    }
    of_presentation = [policy for policy in chosen if policy not in given]
    policies = Policies([*of_presentation, "holder-binding"], [given.get(policy, policy) for policy in chosen])
    await ctx.sources.mongo.record_ownership(
        BackendName.WALTID, _name(session_id), principal.client_id, principal.user_id
    )
    url = await waltid.open_verification(session_id, kind, policies)
    return Verification(session_id, None, url)


def _name(session_id: str) -> str:
    """What the ownership of a session is recorded under, apart from credentials."""
    return f"session:{session_id}"


async def _is_theirs(ctx: Context, id: str) -> bool:
    owner = await ctx.sources.mongo.owner(BackendName.WALTID, _name(id))
    return owner is not None and owns(ctx.principal, owner)


def _results(session: VerificationRecord) -> list[PolicyResult]:
    """What the verifier says of each part. What it prints when a check fails is for nobody outside."""
    return [
        PolicyResult(
            outcome.policy,
            outcome.passed,
            {"of": part.credential} | ({} if outcome.passed else {"reason": _reason(outcome.error)}),
        )
        for part in session.checked.results
        for outcome in part.outcomes
    ]


def _reason(error: object) -> str:
    return (readable(error) if isinstance(error, str) else "") or "it did not pass"
