"""What the issuer fills into a credential: a mapping is merged over it, and texts such as `<timestamp>` are orders."""

from __future__ import annotations

import re
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from sandbox.waltid.errors import bad_request, not_simulated

V2_CONTEXT = "https://www.w3.org/ns/credentials/v2"
_FUNCTION = re.compile(r"<([a-zA-Z-]+)(?::(.*))?>")
_DURATION = re.compile(r"(\d+)([dhms])")
_UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}


@dataclass(frozen=True)
class Filling:
    """What is known while one credential is filled in."""

    now_s: float
    issuer_did: str
    subject_did: str


def payload(data: Mapping[str, Any], mapping: Mapping[str, Any] | None, filling: Filling) -> tuple[dict[str, Any], str]:
    """The claims of the token and its `typ`. Raises WaltError."""
    document, claims = deepcopy(dict(data)), {"iss": filling.issuer_did, "sub": filling.subject_did}
    for name, template in (mapping or {}).items():
        value = _filled(template, filling)
        if name.startswith("jwt:"):
            claims[name.removeprefix("jwt:")] = value
        else:
            document[name] = _merged(document.get(name), value)
    if V2_CONTEXT not in (document.get("@context") or []):
        return {**claims, "vc": document}, "JWT"
    for old, new in (("issuanceDate", "validFrom"), ("expirationDate", "validUntil")):
        if old in document:
            document[new] = document.pop(old)
    return {**document, **claims}, "vc+jwt"


def _merged(old: Any, new: Any) -> Any:
    if isinstance(old, dict) and isinstance(new, dict):
        return {**old, **{name: _merged(old.get(name), value) for name, value in new.items()}}
    if isinstance(old, list) and isinstance(new, list):
        return [*old, *new]
    return new


def _filled(template: Any, filling: Filling) -> Any:
    match template:
        case dict():
            return {name: _filled(value, filling) for name, value in template.items()}
        case list():
            return [_filled(value, filling) for value in template]
        case str() if found := _FUNCTION.fullmatch(template):
            return _value(found[1], found[2], filling)
    return template


def _value(function: str, argument: str | None, filling: Filling) -> Any:
    now = datetime.fromtimestamp(filling.now_s, UTC)
    match function:
        case "uuid":
            return f"urn:uuid:{uuid4()}"
        case "subjectDid":
            return filling.subject_did
        case "issuerDid" | "issuerId":
            return filling.issuer_did
        case "timestamp":
            return _iso(now)
        case "timestamp-seconds":
            return int(now.timestamp())
        case "timestamp-in":
            return _iso(now + _duration(argument))
        case "timestamp-in-seconds":
            return int((now + _duration(argument)).timestamp())
        case "timestamp-before":
            return _iso(now - _duration(argument))
        case "timestamp-before-seconds":
            return int((now - _duration(argument)).timestamp())
        case "webhook" | "webhook-json" | "context" | "display" | "last" | "timestamp-ebsi" | "timestamp-ebsi-in":
            raise not_simulated(f"the data function {function}")
    raise bad_request(f"No such data function: {function}")


def _duration(text: str | None) -> timedelta:
    found = _DURATION.fullmatch(text or "")
    if not found:
        raise bad_request(f"Invalid duration: {text}")
    return timedelta(**{_UNITS[found[2]]: int(found[1])})


def _iso(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"
