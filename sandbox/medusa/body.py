"""Strict validation of request bodies, with the words that Medusa's validators use."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sandbox.medusa.wire import MedusaError, not_supported

Type = Literal["string", "number", "object", "array"]
PYTHON: dict[str, tuple[type, ...]] = {"string": (str,), "number": (int, float), "object": (dict,), "array": (list,)}


@dataclass(frozen=True)
class Field:
    """`minimum` is exclusive when `above` is set. `supported=False`: Medusa takes it, the simulator answers 501."""

    type: Type
    required: bool = False
    nullable: bool = True
    minimum: int | None = None
    above: bool = False
    fields: Mapping[str, Field] | None = None
    """Of an object, or of each object in an array; None: free."""
    supported: bool = True


ADDRESS = Field(
    "object",
    fields={
        **dict.fromkeys(
            ("first_name", "last_name", "phone", "company", "address_1", "address_2", "city", "country_code",
             "province", "postal_code"),
            Field("string"),
        ),
        "metadata": Field("object"),
    },
)  # fmt: skip
METADATA = Field("object")
QUANTITY = Field("number", required=True, nullable=False, minimum=0, above=True)


def validate(body: Mapping[str, Any], fields: Mapping[str, Field]) -> None:
    """Raises: MedusaError naming the first three things that are wrong, or the first that is not supported."""
    wrong = _problems(body, fields, ())
    if wrong:
        raise MedusaError("invalid_data", f"Invalid request: {'; '.join(wrong[:3])}")
    for name, field in fields.items():
        if body.get(name) and not field.supported:
            raise not_supported(f"the body field {name}")


def _problems(body: Mapping[str, Any], fields: Mapping[str, Field], path: tuple[str, ...]) -> list[str]:
    wrong = []
    for name, field in fields.items():
        if name in body:
            wrong += _value_problems(body[name], field, (*path, name))
        elif field.required:
            wrong.append(f"Field '{', '.join((*path, name))}' is required")
    unknown = [name for name in body if name not in fields]
    if unknown:
        wrong.append(f"Unrecognized fields: '{', '.join(unknown)}'")
    return wrong


def _value_problems(value: Any, field: Field, path: tuple[str, ...]) -> list[str]:
    where = ", ".join(path)
    if value is None and field.nullable:
        return []
    if not isinstance(value, PYTHON[field.type]) or isinstance(value, bool):
        return [f"Expected type: '{field.type}' for field '{where}', got: '{_shown(value)}'"]
    if field.minimum is not None and _is_below(value, field):
        return [f"Value for field '{where}' too small, expected at least: '{field.minimum}'"]
    if field.fields is None:
        return []
    if isinstance(value, dict):
        return _problems(value, field.fields, path)
    wrong: list[str] = []
    for i, each in enumerate(value if isinstance(value, list) else []):
        wrong += _value_problems(each, Field("object", nullable=False, fields=field.fields), (*path, str(i)))
    return wrong


def _is_below(value: Any, field: Field) -> bool:
    return bool(value < field.minimum or (field.above and value == field.minimum))


def _shown(value: Any) -> str:
    """As a JavaScript template prints it."""
    return value if isinstance(value, str) else json.dumps(value)
