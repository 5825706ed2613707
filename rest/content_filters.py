"""Payload's filters as an address writes them, with brackets, as the field `content` takes them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from resolvers.content_filters import DEEPEST, Kind, paths_of


def as_graphql(where: Any, collection: str) -> Any:
    """With numbers as numbers and lists as lists, for an address knows texts and names alone. Whether the collection
    knows what is asked, its field says."""
    return _compared(where, paths_of(collection), 0)


def _compared(where: Any, paths: Mapping[str, Kind], depth: int) -> Any:
    if not isinstance(where, dict) or depth > DEEPEST:
        return where  # the field refuses it
    return {name: _operands(name, value, paths, depth) for name, value in where.items()}


def _operands(name: str, value: Any, paths: Mapping[str, Kind], depth: int) -> Any:
    if name in ("and", "or"):
        listed = [value[key] for key in sorted(value, key=int)] if _is_numbered(value) else value
        return [_compared(each, paths, depth + 1) for each in listed] if isinstance(listed, list) else listed
    if paths.get(name) is not Kind.NUMBER or not isinstance(value, dict):
        return value
    return {
        operator: [_number(each) for each in operand] if isinstance(operand, list) else _number(operand)
        for operator, operand in value.items()
    }


def _is_numbered(value: Any) -> bool:
    return isinstance(value, dict) and all(key.isascii() and key.isdigit() for key in value)


def _number(value: Any) -> Any:
    """A number that is written as text; anything else as it is, for the field to refuse."""
    try:
        return float(value) if isinstance(value, str) else value
    except ValueError:
        return value
