"""What may be said in a credential: of which type it is, and its claims."""

from __future__ import annotations

import math
import re
from typing import Any

import orjson

from core.errors import BadUserInput

LARGEST, DEEPEST = 16 * 1024, 8
"""Bytes of the claims as JSON, and objects or lists within each other."""
LONGEST_NAME = 100
LARGEST_NUMBER = 2**53 - 1
"""Beyond it readers of JSON do not agree."""
RESERVED = frozenset(
    {"id", "@id", "@context", "@type", "sub", "iss", "issuer", "vc", "credentialSubject", "credentialStatus", "proof"}
)
"""Names that would say who is spoken of, or who speaks."""
_TYPE = re.compile(r"[A-Z][A-Za-z0-9]{0,63}", re.ASCII)
_STATUS_LISTS = ("BitstringStatusList", "StatusList", "RevocationList", "TokenStatusList")
_TEMPLATE = re.compile(r"\s*<[A-Za-z][A-Za-z-]*(:.*)?>\s*", re.DOTALL)
"""What the issuer would take for an order to fill something in, even to fetch it from an address."""


def checked_type(field: str, value: str) -> str:
    """Raises BadUserInput for what is no name of a type, and for the types by which credentials are revoked."""
    if not _TYPE.fullmatch(value) or value in ("VerifiableCredential", "VerifiablePresentation"):
        raise BadUserInput(f"`{field}` is a type's name, such as MembershipCredential: letters and digits, at most 64")
    if value.startswith(_STATUS_LISTS):
        raise BadUserInput(f"`{field}` is a type of the gateway's own")
    return value


def checked_claims(field: str, value: object) -> dict[str, Any]:
    """Raises BadUserInput for anything but an object of JSON, of modest size, that leaves subject and issuer alone."""
    if not isinstance(value, dict) or not value:
        raise BadUserInput(f"`{field}` is an object with at least one claim")
    if reserved := sorted(RESERVED & value.keys()):
        raise BadUserInput(f"`{field}` cannot hold {reserved[0]}: who is spoken of, and by whom, is not a claim")
    _check(field, value, 1)
    try:
        size = len(orjson.dumps(value))
    except (TypeError, ValueError) as exc:
        raise BadUserInput(f"`{field}` holds what JSON cannot") from exc
    if size > LARGEST:
        raise BadUserInput(f"`{field}` has at most {LARGEST} bytes, not {size}")
    return value


def _check(field: str, value: object, depth: int) -> None:
    if depth > DEEPEST and isinstance(value, dict | list):
        raise BadUserInput(f"`{field}` is nested more than {DEEPEST} deep")
    match value:
        case dict():
            for name, inner in value.items():
                if not isinstance(name, str) or not 1 <= len(name) <= LONGEST_NAME or not name.isprintable():
                    raise BadUserInput(f"names in `{field}` have 1 to {LONGEST_NAME} characters")
                _check(field, inner, depth + 1)
        case list():
            for inner in value:
                _check(field, inner, depth + 1)
        case str() if _TEMPLATE.fullmatch(value) or "\0" in value:
            raise BadUserInput(f"`{field}` holds a text that an issuer would not take literally")
        case bool() | None | str():
            return
        case int() if abs(value) > LARGEST_NUMBER:
            raise BadUserInput(f"`{field}` holds a number that is too large; write it as text")
        case float() if not math.isfinite(value):
            raise BadUserInput(f"`{field}` holds what is no number")
