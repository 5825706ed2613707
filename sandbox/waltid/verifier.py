"""The verifier: it asks for credentials, waits for a presentation, checks it once and soon forgets it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

from sandbox.store import Row, Store
from sandbox.waltid import keys
from sandbox.waltid.errors import WaltError, bad_request
from sandbox.waltid.policies import Fetch, Policy, Presented, outcome, parsed

SESSION_S, RESULT_S = 300, 60
"""A session is kept so long after it was opened; once its result is there, only so long."""


def opened(store: Store, base: str, headers: Mapping[str, str], body: Any, now_s: float) -> str:
    """The address that a wallet is to open. A session of the same id begins anew."""
    if not isinstance(body, dict) or not body.get("request_credentials"):
        raise bad_request("Field request_credentials is required")
    wanted = body["request_credentials"]
    for each in wanted:
        if not isinstance(each, dict) or not each.get("format") or not each.get("type"):
            raise bad_request("Each of request_credentials needs format and type")
    policies = {"vp": parsed(body.get("vp_policies")), "vc": parsed(body.get("vc_policies"))}
    for each in wanted:
        policies["vc"] += parsed(each.get("policies"), ())
    state = headers.get("stateid") or secrets.token_urlsafe(9)
    session: Row = {
        "id": state,
        "nonce": str(uuid4()),
        "presentationDefinition": {"id": str(uuid4()), "input_descriptors": [_descriptor(each) for each in wanted]},
        "policies": {kind: [[each.name, each.args] for each in some] for kind, some in policies.items()},
        "opened_at": now_s,
        "expires_at": now_s + SESSION_S,
    }
    store.put("session", state, session)
    root = f"{base}/openid4vc"
    said = {
        "response_type": "vp_token",
        "client_id": f"{root}/verify",
        "response_mode": headers.get("responsemode", "direct_post"),
        "state": state,
        "presentation_definition_uri": f"{root}/pd/{state}",
        "client_id_scheme": "redirect_uri",
        "client_metadata": '{"authorization_encrypted_response_alg":"ECDH-ES"}',
        "nonce": session["nonce"],
        "response_uri": f"{root}/verify/{state}",
    }
    return f"{headers.get('authorizebaseurl', 'openid4vp://authorize')}?{urlencode(said)}"


def _descriptor(wanted: Mapping[str, Any]) -> Row:
    field = {"path": ["$.vc.type"], "filter": {"type": "string", "pattern": wanted["type"]}}
    return {
        "id": wanted["type"],
        "format": {wanted["format"]: {"alg": ["EdDSA", "ES256"]}},
        "constraints": {"fields": [field]},
    }


def session(store: Store, id: str, now_s: float) -> Row:
    """As it is kept. Raises WaltError for one that is over."""
    row = store.get("session", id)
    if row is None or row["expires_at"] <= now_s:
        raise WaltError(404, f"Id parameter {id} doesn't refer to an existing session, or session expired")
    return row


def shown(row: Row) -> Row:
    """As it is told: nothing about a result until there is one."""
    return {
        name: row[name]
        for name in ("id", "presentationDefinition", "tokenResponse", "verificationResult", "policyResults")
        if name in row
    }


def fits(claims: Mapping[str, Any] | None, definition: Mapping[str, Any]) -> bool:
    """Whether a credential is one of those that a definition asks for."""
    types = ((claims or {}).get("vc") or claims or {}).get("type") or []
    return any(
        each["constraints"]["fields"][0]["filter"]["pattern"] in types for each in definition["input_descriptors"]
    )


async def presented(store: Store, id: str, vp_token: str, now_s: float, fetch: Fetch) -> None:
    """Check what somebody presents, and keep the result. Raises WaltError when the checks did not succeed."""
    row = session(store, id, now_s)
    claims = keys.claims_of(vp_token)
    inside = tuple(((claims or {}).get("vp") or {}).get("verifiableCredential") or ())
    if claims is None or claims.get("nonce") != row["nonce"]:
        raise bad_request("The presentation is not of this session")
    if not inside or not all(fits(keys.claims_of(each), row["presentationDefinition"]) for each in inside):
        raise bad_request("Verification policies did not succeed: presentation-definition")
    checked = [("VerifiablePresentation", "vp", Presented(vp_token, claims, inside))]
    checked += [("VerifiableCredential", "vc", Presented(each, keys.claims_of(each) or {}, ())) for each in inside]
    results: list[Row] = []
    outcomes: list[list[Row]] = []
    for kind, part, subject in checked:
        policies = [Policy(*each) for each in row["policies"][part]]
        told = [await outcome(policy, subject, now_s, fetch) for policy in policies]
        outcomes.append(told)
        results.append({"credential": kind, "policyResults": told})
    failed = [each["policy"] for told in outcomes for each in told if not each["is_success"]]
    run = sum(len(told) for told in outcomes)
    done = {
        "tokenResponse": {"vp_token": vp_token, "state": id},
        "verificationResult": not failed,
        "policyResults": {"results": results, "time": "PT0.01S", "policiesRun": run},
        "expires_at": max(row["opened_at"] + RESULT_S, now_s + 1),
    }
    store.put("session", id, {**row, **done})
    if failed:
        raise bad_request(f"Verification policies did not succeed: {', '.join(failed)}")
