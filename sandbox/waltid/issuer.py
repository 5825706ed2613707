"""The issuer: it signs what it is given with the key it is given, at once or when a wallet takes an offer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit
from uuid import uuid4

from sandbox.store import Row, Store
from sandbox.waltid import keys
from sandbox.waltid.errors import WaltError, bad_request
from sandbox.waltid.templates import Filling, payload

CONFIGURATIONS = tuple(
    f"{name}_jwt_vc_json"
    for name in (
        "UniversityDegree", "MembershipCredential", "CustomerCredential", "IdentityCredential", "TicketCredential",
    )
)  # fmt: skip
"""The types that an offer can be of; what is signed at once can be of any."""
OFFER_LIFE_S = 300
CODE = "urn:ietf:params:oauth:grant-type:pre-authorized_code"


def onboard(body: Mapping[str, Any]) -> Row:
    asked = body.get("key") or {}
    if asked.get("backend", "jwk") != "jwk":
        raise bad_request(f"No such key backend: {asked['backend']}")
    key = keys.new_key(asked.get("keyType", "secp256r1"))
    method = (body.get("did") or {}).get("method", "jwk")
    if method not in ("jwk", "key"):
        raise bad_request(f"Unsupported DID method: {method}")
    return {
        "issuerKey": {"type": "jwk", "jwk": key},
        "issuerDid": (keys.jwk_did if method == "jwk" else keys.key_did)(key),
    }


def sign_raw(body: Any, now_s: float) -> str:
    """A signed credential; nothing of it is kept."""
    if not isinstance(body, dict):
        raise bad_request("Request body is not a JSON object")
    for name in ("issuerKey", "subjectDid", "credentialData"):
        if not body.get(name):
            raise bad_request(f"Missing {name} in the request body.")
    return _signed(body, body["subjectDid"], now_s)


def _signed(request: Mapping[str, Any], subject: str, now_s: float) -> str:
    key = _private_key(request["issuerKey"])
    data = request["credentialData"]
    if not isinstance(data, dict) or "credentialSubject" not in data or "type" not in data:
        raise bad_request("Invalid credential format")
    issuer = request.get("issuerDid") or keys.key_did(key)
    claims, typ = payload(data, request.get("mapping"), Filling(now_s, issuer, subject))
    return keys.sign(key, claims, kid=issuer, typ=typ)


def _private_key(given: Any) -> keys.Jwk:
    key = given.get("jwk") if isinstance(given, dict) and given.get("type") == "jwk" else None
    if not isinstance(key, dict) or "d" not in key:
        raise bad_request("Invalid issuerKey Format")
    return key


def offer(store: Store, base: str, body: Any, life_s: int, now_s: float) -> str:
    """The address of an offer, which says nothing but where the offer is found."""
    if not isinstance(body, dict) or not body.get("issuerKey"):
        raise bad_request("Request body is missing required field(s): issuerKey")
    wanted = body.get("credentialConfigurationId")
    if not wanted:
        raise bad_request("Request body is missing required field(s): credentialConfigurationId")
    if wanted not in CONFIGURATIONS:
        raise bad_request("Invalid Credential Configuration Id")
    _private_key(body["issuerKey"])
    row: Row = {
        "id": str(uuid4()),
        "request": body,
        "code": uuid4().hex,
        "expires_at": now_s + life_s,
        "is_used": False,
    }
    store.put("offer", row["id"], row)
    found_at = f"{base}/draft13/credentialOffer?id={row['id']}"
    return f"openid-credential-offer://?credential_offer_uri={quote(found_at, safe='')}"


def offered(store: Store, base: str, id: str, now_s: float) -> Row:
    """What an offer offers."""
    row = store.get("offer", id)
    if row is None or row["expires_at"] <= now_s:
        raise WaltError(404, "No such credential offer, or it is expired")
    return {
        "credential_issuer": f"{base}/draft13",
        "credential_configuration_ids": [row["request"]["credentialConfigurationId"]],
        "grants": {CODE: {"pre-authorized_code": row["code"]}},
    }


def found_in(url: str) -> str:
    """The id of the offer that an address leads to. Raises WaltError."""
    parts = urlsplit(url.strip())
    inner = parse_qs(parts.query).get("credential_offer_uri", [""])[0]
    ids = parse_qs(urlsplit(inner).query).get("id", [])
    if parts.scheme != "openid-credential-offer" or len(ids) != 1:
        raise WaltError(400, "This is no credential offer", is_text=True)
    return ids[0]


def redeem(store: Store, id: str, holder: str, now_s: float) -> str:
    """The credential of an offer, for this holder; once."""
    row = store.get("offer", id)
    if row is None or row["expires_at"] <= now_s:
        raise WaltError(400, "The credential offer is not there any more", is_text=True)
    if row["is_used"]:
        raise WaltError(400, "invalid_grant: the pre-authorized code was used already", is_text=True)
    if not row["request"].get("issuerDid"):
        raise WaltError(400, "issuerDid is required for this format", is_text=True)
    request = row["request"]
    data = dict(request.get("credentialData") or {})
    data.setdefault("credentialSubject", {})
    if request.get("credentialStatus"):
        data["credentialStatus"] = request["credentialStatus"]
    token = _signed({**request, "credentialData": data}, holder, now_s)
    store.put("offer", id, {**row, "is_used": True})
    return token


def metadata(base: str) -> Row:
    supported = {
        name: {"format": "jwt_vc_json", "credential_definition": {"type": ["VerifiableCredential", name.split("_")[0]]}}
        for name in CONFIGURATIONS
    }
    return {"credential_issuer": f"{base}/draft13", "credential_configurations_supported": supported}
