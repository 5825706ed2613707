"""What is in a wallet, and what it does on behalf of its holder: taking credentials, and presenting them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

from sandbox.store import Row, Store
from sandbox.waltid import issuer, keys, verifier
from sandbox.waltid.accounts import iso_now
from sandbox.waltid.errors import WaltError, bad_request
from sandbox.waltid.policies import Failed, Fetch, status_bit

RESPONSE_PATH = "/verifier/openid4vc/verify/"


# -- identifiers -----------------------------------------------------------------------------------------------------


def dids(store: Store, wallet: Row) -> list[Row]:
    """Their documents are texts within the JSON."""
    names = ("did", "alias", "keyId", "default", "createdOn")
    return [
        {**{name: row[name] for name in names}, "document": _document(row["did"])}
        for row in store.rows("did")
        if row["wallet"] == wallet["id"]
    ]


def _document(did: str) -> str:
    return f'{{"@context":["https://www.w3.org/ns/did/v1"],"id":"{did}"}}'


def _key_of(store: Store, wallet: Row, did: str | None) -> Row:
    """An identifier of a wallet with its key; the usual one unless named. Raises WaltError."""
    for row in store.rows("did"):
        if row["wallet"] == wallet["id"] and (row["did"] == did if did else row["default"]):
            return row
    raise WaltError(404, f"DID not found in wallet: {did}")


# -- credentials -----------------------------------------------------------------------------------------------------


def held(store: Store, wallet: Row, deleted: bool | None) -> list[Row]:
    """`deleted` True: only those; False: only the others; None: all."""
    theirs = [row for row in store.rows("held") if row["wallet"] == wallet["id"]]
    return [row for row in theirs if deleted is None or ("deletedOn" in row) is deleted]


def one(store: Store, wallet: Row, id: str) -> Row:
    row = store.get("held", f"{wallet['id']}|{id}")
    if row is None:
        raise WaltError(404, f"WalletCredential not found for credentialId: {id}")
    return row


def imported(store: Store, wallet: Row, body: Any, now_s: float) -> Row:
    """Put a credential into a wallet, once each. Raises WaltError."""
    token, did = (body.get("jwt"), body.get("associated_did")) if isinstance(body, dict) else (None, None)
    claims = keys.claims_of(token) if isinstance(token, str) else None
    if claims is None or not isinstance(token, str):
        raise bad_request("Invalid JWT")
    document = claims.get("vc") or claims
    if "credentialSubject" not in document or "type" not in document:
        raise bad_request("Not a W3C credential")
    _key_of(store, wallet, did or "-")
    about = document["credentialSubject"]
    named = {about.get("id") if isinstance(about, dict) else None, claims.get("sub")} - {None}
    if named - {did}:
        raise bad_request("The subject of the credential is not the associated DID")
    if claims.get("nbf", now_s) > now_s or claims.get("exp", now_s + 1) <= now_s:
        raise bad_request("The credential is not valid at this time")
    if not keys.is_signed_by(token, str(claims.get("iss"))):
        raise bad_request("The signature of the credential cannot be verified")
    return keep(store, wallet, token, claims)


def keep(store: Store, wallet: Row, token: str, claims: Mapping[str, Any]) -> Row:
    document = claims.get("vc") or claims
    name = claims.get("jti") or document.get("id") or hashlib.sha256(token.encode()).hexdigest()
    if store.get("held", f"{wallet['id']}|{name}") is not None:
        raise WaltError(409, f"Credential with id: {name} already exists in this wallet", is_text=True)
    row = {
        "wallet": wallet["id"],
        "id": name,
        "document": token,
        "addedOn": iso_now(),
        "pending": False,
        "format": "jwt_vc_json",
        "parsedDocument": document,
    }
    return store.put("held", f"{wallet['id']}|{name}", row)


def deleted(store: Store, wallet: Row, id: str, *, is_permanent: bool) -> None:
    row = store.get("held", f"{wallet['id']}|{id}")
    if row is None or ("deletedOn" in row and not is_permanent):
        raise bad_request("No credential was deleted")
    if is_permanent:
        store.delete("held", f"{wallet['id']}|{id}")
    else:
        store.put("held", f"{wallet['id']}|{id}", {**row, "deletedOn": iso_now()})


async def statuses(store: Store, wallet: Row, id: str, fetch: Fetch) -> list[Row]:
    try:
        entry = one(store, wallet, id)["parsedDocument"].get("credentialStatus")
        if not entry:
            return []
        bit = await status_bit(entry, fetch)
    except (WaltError, Failed) as exc:
        raise WaltError(400, str(exc.args[-1]), is_text=True) from exc
    return [{"type": entry["statusPurpose"], "result": bool(bit), "message": "set" if bit else "unset"}]


# -- exchanges -------------------------------------------------------------------------------------------------------


def take_offer(store: Store, wallet: Row, offer: str, did: str | None, now_s: float) -> list[Row]:
    """The whole of an exchange with the issuer. Raises WaltError."""
    holder = _key_of(store, wallet, did)["did"]
    token = issuer.redeem(store, issuer.found_in(offer), holder, now_s)
    claims = keys.claims_of(token) or {}
    if "jti" not in claims:
        raise WaltError(400, "The credential has no id", is_text=True)
    return [keep(store, wallet, token, claims)]


def matching(store: Store, wallet: Row, definition: Any) -> list[Row]:
    if not isinstance(definition, dict) or "input_descriptors" not in definition:
        raise bad_request("Invalid presentation definition")
    return [row for row in held(store, wallet, False) if verifier.fits(keys.claims_of(row["document"]), definition)]


async def present(store: Store, wallet: Row, body: Any, now_s: float, fetch: Fetch) -> tuple[int, Row]:
    """Status and body of the answer: what the verifier says against it is told, and its own words are not."""
    if not isinstance(body, dict) or "selectedCredentials" not in body or "presentationRequest" not in body:
        raise bad_request("Request body is missing required field(s): selectedCredentials, presentationRequest")
    request = parse_qs(urlsplit(body["presentationRequest"]).query)
    where = request.get("response_uri", [""])[0]
    state = where.partition(RESPONSE_PATH)[2]
    if not state or "/" in state:
        return 400, {"errorMessage": f"The verifier cannot be reached at {where}"}
    key = _key_of(store, wallet, body.get("did"))
    try:
        shown = [one(store, wallet, each)["document"] for each in body["selectedCredentials"]]
        claims = {
            "iss": key["did"],
            "sub": key["did"],
            "aud": request["client_id"][0],
            "nonce": request["nonce"][0],
            "iat": int(now_s),
            "nbf": int(now_s),
            "exp": int(now_s) + 60,
            "vp": {"type": ["VerifiablePresentation"], "holder": key["did"], "verifiableCredential": shown},
        }
        await verifier.presented(store, state, keys.sign(key["key"], claims, kid=key["did"]), now_s, fetch)
    except WaltError as exc:
        return 400, {"errorMessage": f"Presentation policies failed: {exc.message}"}
    except (KeyError, IndexError):
        return 400, {"errorMessage": "The request is incomplete"}
    return 200, {"redirectUri": None}
