"""Decentralised identifiers that hold their own public key: `did:jwk` and `did:key`. Reading one asks nobody.

https://github.com/quartzjer/did-jwk and https://w3c-ccg.github.io/did-method-key
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

import orjson
from cryptography.hazmat.primitives.asymmetric import ec

_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_CURVES: dict[int, tuple[str, ec.EllipticCurve]] = {
    0x1200: ("P-256", ec.SECP256R1()),
    0xE7: ("secp256k1", ec.SECP256K1()),
}
_ED25519, _JCS_JWK = 0xED, 0xEB51
"""With those of `_CURVES` the multicodec numbers of public keys."""
_PUBLIC = ("crv", "e", "kty", "n", "x", "y")
"""The members of a JWK that make up a public key, in alphabetical order (RFC 7638)."""
LONGEST = 4096
"""Characters of an identifier that is looked into; an RSA key of 4096 bits has a quarter of that."""


class UnknownDid(ValueError):
    """It is no identifier that holds a key, or none whose key is understood."""


def did_jwk(key: Mapping[str, Any]) -> str:
    """The identifier of a key; of a private one only what is public goes into it."""
    public = {name: key[name] for name in _PUBLIC if name in key}
    return f"did:jwk:{encoded(orjson.dumps(public))}"


def public_jwk(did: str) -> dict[str, Any]:
    """The key that an identifier, or a URL of something within it, holds. Raises UnknownDid."""
    method, _, rest = did.partition("#")[0].removeprefix("did:").partition(":")
    if not did.startswith("did:") or len(did) > LONGEST:
        raise UnknownDid("no decentralised identifier")
    match method:
        case "jwk":
            return _public_part(decoded(rest))
        case "key":
            return _of_multibase(rest)
    raise UnknownDid(f"did:{method[:20]} does not hold its own key")


def encoded(raw: bytes) -> str:
    """Base64 for URLs, without padding."""
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def decoded(text: str) -> bytes:
    """Raises UnknownDid for what is no base64."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as exc:
        raise UnknownDid("not base64") from exc


def _public_part(raw: bytes) -> dict[str, Any]:
    try:
        key = orjson.loads(raw)
    except ValueError as exc:
        raise UnknownDid("its key is no JSON") from exc
    if not isinstance(key, dict) or key.get("kty") not in ("OKP", "EC", "RSA"):
        raise UnknownDid("its key is no public key")
    return {name: key[name] for name in _PUBLIC if name in key}


def _of_multibase(text: str) -> dict[str, Any]:
    if not text.startswith("z"):
        raise UnknownDid("not base58")
    kind, raw = _varint(_base58(text[1:]))
    if kind == _JCS_JWK:
        return _public_part(raw)
    if kind == _ED25519 and len(raw) == 32:
        return {"kty": "OKP", "crv": "Ed25519", "x": encoded(raw)}
    if kind not in _CURVES:
        raise UnknownDid("a kind of key that is not understood")
    name, curve = _CURVES[kind]
    try:
        point = ec.EllipticCurvePublicKey.from_encoded_point(curve, raw).public_numbers()
    except ValueError as exc:
        raise UnknownDid("its key is no point of its curve") from exc
    x, y = (encoded(number.to_bytes(32, "big")) for number in (point.x, point.y))
    return {"kty": "EC", "crv": name, "x": x, "y": y}


def _base58(text: str) -> bytes:
    number = 0
    for char in text:
        digit = _BASE58.find(char)
        if digit < 0:
            raise UnknownDid("not base58")
        number = number * 58 + digit
    zeros = len(text) - len(text.lstrip("1"))
    return b"\0" * zeros + number.to_bytes((number.bit_length() + 7) // 8, "big")


def _varint(raw: bytes) -> tuple[int, bytes]:
    """The number at the beginning, and what follows it."""
    number = 0
    for i, byte in enumerate(raw[:4]):
        number |= (byte & 0x7F) << 7 * i
        if byte < 0x80:
            return number, raw[i + 1 :]
    raise UnknownDid("no kind of key")
