"""Identifiers that hold their own key: vectors of the methods' specifications, and what is none."""

from __future__ import annotations

import pytest

from core.dids import LONGEST, UnknownDid, did_jwk, encoded, public_jwk
from sandbox.waltid import keys


def test_a_private_key_gives_the_identifier_of_its_public_part() -> None:
    private = keys.new_key("Ed25519")
    did = did_jwk(private)
    assert public_jwk(did) == {"kty": "OKP", "crv": "Ed25519", "x": private["x"]}
    assert public_jwk(f"{did}#0") == public_jwk(did)
    assert did == keys.jwk_did(private)


@pytest.mark.parametrize(
    ("did", "curve", "x"),
    [
        ("z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK", "Ed25519", "Lm_M42cB3HkUiODQsXRcweM6TByfzEHGO9ND274JcOY"),
        ("zDnaerDaTF5BXEavCrfRZEk316dpbLsfPDZ3WJ5hRTPFU2169", "P-256", "fyNYMN0976ci7xqiSdag3buk-ZCwgXU4kz9XNkBlNUI"),
        (
            "zQ3shokFTS3brHcDQrn82RUDfCZESWL1ZdCEJwekUDPQiYBme",
            "secp256k1",
            "h0wVx_2iDlOcblulc8E5iEw1EYh5n1RYtLQfeSTyNc0",
        ),
    ],
)
def test_keys_in_multibase(did: str, curve: str, x: str) -> None:
    found = public_jwk(f"did:key:{did}")
    assert (found["crv"], found["x"]) == (curve, x)


@pytest.mark.parametrize("kind", ["Ed25519", "secp256r1"])
def test_what_walt_id_derives_from_a_key_leads_back_to_it(kind: str) -> None:
    key = keys.new_key(kind)
    found = public_jwk(keys.key_did(key))
    assert {name: key[name] for name in found} == found


@pytest.mark.parametrize(
    "did",
    [
        "",
        "did:jwk:",
        "jwk:e30",
        "did:jwk:e30",
        f"did:jwk:{encoded(b'[]')}",
        f"did:jwk:{encoded(b'{')}",
        f"did:jwk:{encoded(b'{' + b'kty' + b'}')}",
        "did:jwk:é",
        "did:web:example.com",
        "did:key:",
        "did:key:m6Mk",
        "did:key:z0",
        "did:key:z",
        "did:key:z6Mk",
        "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2do",
        f"did:key:z{'1' * 40}",
        f"did:jwk:{'A' * LONGEST}",
    ],
)
def test_what_holds_no_key_is_told_so(did: str) -> None:
    with pytest.raises(UnknownDid):
        public_jwk(did)
