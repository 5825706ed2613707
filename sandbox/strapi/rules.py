"""What may be written. The first thing that is wrong is told, and nothing else."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import orjson

from sandbox.store import Row, Store
from sandbox.strapi import documents
from sandbox.strapi.errors import Refusal, invalid, invalid_key, unsupported
from sandbox.strapi.types import TYPES, Attribute, ContentType

_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


def parsed(body: bytes) -> Any:
    """Raises Refusal for what is no JSON."""
    try:
        return orjson.loads(body or b"{}")
    except orjson.JSONDecodeError as exc:
        # Such is Node's complaint about a key without quotes, the one mistake whose text is known.
        raise Refusal(400, "SyntaxError", "Expected property name or '}' in JSON at position 1", None) from exc


def data_of(sent: Any) -> dict[str, Any]:
    """The attributes. Raises Refusal without the wrapper."""
    data = sent.get("data") if isinstance(sent, dict) else None
    if not isinstance(data, dict):
        raise invalid('Missing "data" payload in the request body')
    return data


def checked(store: Store, of: ContentType, data: Mapping[str, Any], *, found: Row | None) -> dict[str, Any]:
    """The values to keep. `found` is the document that is changed, in part; None: it is a new one."""
    for key in data:
        if key not in of.attributes and key not in of.relations:
            raise invalid_key(key)
    values: dict[str, Any] = {}
    # What a text must be one of is checked before what must be there.
    names = sorted(of.attributes, key=lambda name: of.attributes[name].is_required)
    for name in names:
        if name in data or (found is None and of.attributes[name].is_required):
            values[name] = _value(name, of.attributes[name], data.get(name))
    for name in of.relations:
        if name in data:
            values[name] = _relation(store, of, name, data[name])
    return values


def check_unique(store: Store, of: ContentType, values: Mapping[str, Any], *, found: Row | None) -> None:
    """Looked up, and enforced by nothing else."""
    for name, attribute in of.attributes.items():
        if not attribute.is_unique or name not in values:
            continue
        for other in store.rows(of.name):
            same = [side for side in (other["draft"], other["published"]) if side and side[name] == values[name]]
            if same and (found is None or other["documentId"] != found["documentId"]):
                raise invalid("This attribute must be unique", field=name, value=values[name])


def _value(name: str, attribute: Attribute, value: Any) -> Any:
    kind = attribute.kind
    if value is None:
        if attribute.is_required:
            raise invalid(f"{name} must be a `string` type, but the final value was: `null`.", field=name)
        return None
    if kind == "integer":
        return _integer(name, value)
    if not isinstance(value, str):
        shown = json.dumps(value)
        raise invalid(f"{name} must be a `string` type, but the final value was: `{shown}`.", field=name, value=value)
    if kind == "enumeration" and value not in attribute.values:
        message = f"{name} must be one of the following values: {', '.join(attribute.values)}, "
        raise invalid(message, field=name, value=value)
    if kind == "email" and not _EMAIL.fullmatch(value):
        raise invalid(f"{name} must be a valid email", field=name, value=value)
    if kind == "datetime":
        try:
            return documents.stamp(datetime.fromisoformat(value))
        except ValueError as exc:
            raise invalid(f"{name} must be a valid date", field=name, value=value) from exc
    return value


def _integer(name: str, value: Any) -> int:
    try:
        number = float(value)
    except (TypeError, ValueError) as exc:
        cast = f"(cast from the value `{json.dumps(value)}`)"
        message = f"{name} must be a `number` type, but the final value was: `NaN` {cast}."
        raise invalid(message, field=name) from exc
    if isinstance(value, bool) or number != int(number):
        raise invalid(f"{name} must be an integer", field=name, value=value)
    return int(number)


def _relation(store: Store, of: ContentType, name: str, value: Any) -> str | None:
    """One documentId, plain or in `connect` or `set`; None takes the relation away."""
    if of.relations[name].inverse is not None:
        raise unsupported(f"writing {name}: a relation is written where it is held")
    if isinstance(value, dict):
        if value.get("disconnect"):
            return None
        value = next(iter(value.get("connect") or value.get("set") or []), None)
    if isinstance(value, dict):
        value = value.get("documentId")
    if value is None:
        return None
    if documents.document(store, TYPES[of.relations[name].target], str(value)) is None:
        raise invalid(f'Document with id "{value}", locale "null" not found')
    return str(value)
