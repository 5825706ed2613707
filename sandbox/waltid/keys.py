"""Keys, the identifiers that hold them, and tokens that are signed with them."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from jwt.algorithms import ECAlgorithm, OKPAlgorithm

from sandbox.waltid.errors import bad_request

Jwk = dict[str, Any]

_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_ALGORITHMS = {"Ed25519": "EdDSA", "P-256": "ES256", "secp256k1": "ES256K"}
_PRIVATE = ("d", "p", "q", "dp", "dq", "qi", "k")


def new_key(kind: str = "secp256r1") -> Jwk:
    """A private key of walt.id's name for its kind."""
    if kind == "Ed25519":
        made: Jwk = json.loads(OKPAlgorithm.to_jwk(ed25519.Ed25519PrivateKey.generate()))
    elif kind == "secp256r1":
        made = json.loads(ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1())))
    else:
        raise bad_request(f"No such key type: {kind}")
    return _named(made)


def derived_key(seed: str) -> Jwk:
    """The same key for the same seed: of the demo world, which is made in several places."""
    number = int.from_bytes(hashlib.sha256(seed.encode()).digest(), "big") >> 1
    made: Jwk = json.loads(ECAlgorithm.to_jwk(ec.derive_private_key(number or 1, ec.SECP256R1())))
    return _named(made)


def _named(key: Jwk) -> Jwk:
    key.pop("key_ops", None)
    return {**key, "kid": hashlib.sha256(key["x"].encode()).hexdigest()[:16]}


def public_part(key: Mapping[str, Any]) -> Jwk:
    return {name: value for name, value in key.items() if name not in _PRIVATE}


def jwk_did(key: Mapping[str, Any]) -> str:
    public = {name: value for name, value in public_part(key).items() if name != "kid"}
    return f"did:jwk:{_base64(json.dumps(public, separators=(',', ':'), sort_keys=True).encode())}"


def key_did(key: Mapping[str, Any]) -> str:
    """What a service falls back to where nobody has named an identifier."""
    if key.get("crv") == "Ed25519":
        raw = b"\xed\x01" + _unbase64(key["x"])
    else:
        parity = b"\x03" if _unbase64(key["y"])[-1] & 1 else b"\x02"
        raw = b"\x80\x24" + parity + _unbase64(key["x"])
    number, text = int.from_bytes(raw, "big"), ""
    while number:
        number, digit = divmod(number, 58)
        text = _ALPHABET[digit] + text
    return f"did:key:z{text}"


def resolve(did: str) -> Jwk | None:
    """The public key that an identifier holds; None for one that nobody here can read."""
    did = did.partition("#")[0]
    try:
        if did.startswith("did:jwk:"):
            found: Any = json.loads(_unbase64(did.removeprefix("did:jwk:")))
            return found if isinstance(found, dict) else None
        if did.startswith("did:key:z"):
            return _of_did_key(did.removeprefix("did:key:z"))
    except ValueError:
        return None
    return None


def _of_did_key(text: str) -> Jwk | None:
    number = 0
    for char in text:
        number = number * 58 + _ALPHABET.index(char)
    raw = number.to_bytes((number.bit_length() + 7) // 8, "big")
    if raw[:2] == b"\xed\x01":
        return {"kty": "OKP", "crv": "Ed25519", "x": _base64(raw[2:])}
    if raw[:2] == b"\x80\x24":
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), raw[2:])
        made: Jwk = json.loads(ECAlgorithm.to_jwk(key))
        return made
    return None


def sign(key: Mapping[str, Any], payload: Mapping[str, Any], *, kid: str, typ: str = "JWT") -> str:
    """Raises WaltError for a key that cannot sign."""
    try:
        algorithm = _ALGORITHMS[key["crv"]]
        private = jwt.PyJWK(dict(key), algorithm).key
        return jwt.encode(dict(payload), private, algorithm, {"kid": kid, "typ": typ})
    except (KeyError, TypeError, ValueError, jwt.PyJWTError) as exc:
        raise bad_request("Failed to sign the credential") from exc


def is_signed_by(token: str, did: str) -> bool:
    key = resolve(did)
    if key is None:
        return False
    try:
        algorithm = _ALGORITHMS[key["crv"]]
        ignored = dict.fromkeys(
            ("verify_exp", "verify_nbf", "verify_iat", "verify_aud", "verify_sub", "verify_jti"), False
        )
        jwt.decode(token, jwt.PyJWK(key, algorithm), algorithms=[algorithm], options=ignored)  # type: ignore[arg-type]
    except (KeyError, ValueError, jwt.PyJWTError):
        return False
    return True


def claims_of(token: str) -> dict[str, Any] | None:
    """What a token says, checked by nobody; None for what is no token."""
    try:
        claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError):
        return None
    return claims


def _base64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _unbase64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
