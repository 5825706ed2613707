"""Credentials in tokens: what they say, and whether their issuer said it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import jwt
import pytest

from core import jwt_credentials
from core.dids import UnknownDid, did_jwk
from core.jwt_credentials import LONGEST, NotACredential, is_signed_by_issuer, read, sign
from sandbox.waltid import keys

KEY, OTHER = keys.new_key("Ed25519"), keys.new_key("Ed25519")
DID = did_jwk(KEY)
BODY: dict[str, Any] = {
    "id": "urn:uuid:1",
    "type": ["VerifiableCredential", "MembershipCredential"],
    "issuer": {"id": DID},
    "credentialSubject": {"id": "did:example:ann", "level": "gold"},
}


def claims(**changes: Any) -> dict[str, Any]:
    return {"iss": DID, "sub": "did:example:ann", "jti": "urn:uuid:1", "iat": 1_700_000_000, "vc": BODY, **changes}


def test_what_a_token_says() -> None:
    read_back = read(sign(KEY, DID, claims(nbf=1_700_000_001, exp=1_800_000_000.5)))
    assert (read_back.id, read_back.issuer, read_back.subject) == ("urn:uuid:1", DID, "did:example:ann")
    assert read_back.types == ("VerifiableCredential", "MembershipCredential")
    assert read_back.issued_at == datetime.fromtimestamp(1_700_000_000, UTC)
    assert read_back.not_before == datetime.fromtimestamp(1_700_000_001, UTC)
    assert read_back.expires_at == datetime.fromtimestamp(1_800_000_000.5, UTC)
    assert read_back.status is None


def test_what_only_the_credential_inside_says() -> None:
    body = {**BODY, "issuanceDate": "2026-01-01T00:00:00Z", "expirationDate": "2027-01-01T00:00:00+01:00",
            "credentialStatus": {"type": "x"}}  # fmt: skip
    inside = read(sign(KEY, DID, {"vc": body}))
    assert (inside.id, inside.issuer, inside.subject) == ("urn:uuid:1", DID, "did:example:ann")
    assert inside.issued_at == inside.not_before == datetime(2026, 1, 1, tzinfo=UTC)
    assert inside.expires_at == datetime(2026, 12, 31, 23, tzinfo=UTC)
    assert inside.status == {"type": "x"}
    assert is_signed_by_issuer(inside)


def test_data_model_two_has_no_wrapper() -> None:
    bare = read(sign(KEY, DID, {**BODY, "issuer": DID, "validUntil": "2027-01-01T00:00:00"}))
    assert (bare.issuer, bare.expires_at) == (DID, datetime(2027, 1, 1, tzinfo=UTC))
    assert is_signed_by_issuer(bare)


@pytest.mark.parametrize("exp", [True, "soon", 1e300, None, [1]])
def test_a_time_that_is_none_is_no_time(exp: Any) -> None:
    assert read(sign(KEY, DID, {"vc": {**BODY, "expirationDate": "soon"}, "iss": DID, "exp": exp})).expires_at is None


@pytest.mark.parametrize(
    "token", ["", "x", "a.b.c", sign(KEY, DID, {"iss": DID}), sign(KEY, DID, {"vc": []}), "e" * (LONGEST + 1)]
)
def test_what_is_no_credential_is_told_so(token: str) -> None:
    with pytest.raises(NotACredential):
        read(token)


@pytest.mark.parametrize("kind", ["Ed25519", "secp256r1"])
def test_its_issuer_has_signed_it(kind: str) -> None:
    key = keys.new_key(kind)
    did = did_jwk(key)
    assert is_signed_by_issuer(read(sign(key, did, claims(iss=did))))
    assert is_signed_by_issuer(read(sign(key, keys.key_did(key), claims(iss=keys.key_did(key)))))


def test_that_it_is_over_is_another_question() -> None:
    assert is_signed_by_issuer(read(sign(KEY, DID, claims(exp=1, nbf=9_999_999_999, aud="somebody", sub="x"))))


def forged() -> dict[str, str]:
    good = sign(KEY, DID, claims())
    head, _, _ = good.split(".")
    secret = jwt.PyJWK(dict(KEY), "EdDSA")
    return {
        "by somebody else": sign(OTHER, DID, claims()),
        "in the name of somebody else": sign(OTHER, did_jwk(OTHER), claims()),
        "cut": good[:-4] + ("AAAA" if good[-4:] != "AAAA" else "BBBB"),
        "by nobody": jwt.encode(claims(), "", "none", {"kid": DID}),
        "by the public key as a secret": jwt.encode(claims(), DID * 2, "HS256", {"kid": DID}),
        "by a key that its header names": jwt.encode(claims(), secret.key, "EdDSA", {"kid": did_jwk(OTHER)}),
        "another body": ".".join([head, sign(KEY, DID, claims(jti="2")).split(".")[1], good.split(".")[2]]),
        "without an issuer": sign(KEY, DID, {"vc": {**BODY, "issuer": None}}),
        "by an issuer whose key is elsewhere": sign(KEY, "did:web:example.com", claims(iss="did:web:example.com")),
    }


@pytest.mark.parametrize("how", forged())
def test_what_is_forged_is_not_its_issuers(how: str) -> None:
    assert not is_signed_by_issuer(read(forged()[how]))


def test_a_key_that_nothing_here_can_use() -> None:
    with pytest.raises(UnknownDid):
        jwt_credentials.algorithm_of({"kty": "OKP", "crv": "X25519"})
    assert jwt_credentials.algorithm_of({"kty": "RSA"}) == "RS256"
