"""`where` of a list of content: what callers may say, collection by collection, and what it becomes on the way.

Payload would let a filter reach through relations into accounts, and answer a number that is none with a failure: so
only paths of this table are filtered by, only with the operators of their kind, and only with values of their kind.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from enum import Enum, auto
from typing import Any

from core.errors import BadUserInput

Condition = dict[str, Any]
"""A filter with one key: a path, `and` or `or`."""


class Kind(Enum):
    """What a path holds."""

    ID = auto()
    TEXT = auto()
    NUMBER = auto()
    DATE = auto()


_EVERYWHERE = {"id": Kind.ID, "createdAt": Kind.DATE, "updatedAt": Kind.DATE}
_NAMED = {"slug": Kind.TEXT, "title": Kind.TEXT}
_OFFER = _NAMED | {"price": Kind.NUMBER, "currency": Kind.TEXT, "seats": Kind.NUMBER}
PATHS: dict[str, dict[str, Kind]] = {
    "pages": _NAMED,
    "posts": _NAMED | {"publishedAt": Kind.DATE},
    "services": _OFFER,
    "events": _OFFER | {"startsAt": Kind.DATE},
}
"""What may be filtered by, besides what every collection has. Another collection has no more than that."""

_COMPARED = ("equals", "not_equals", "in", "not_in", "greater_than", "greater_than_equal", "less_than")
OPERATORS: dict[Kind, tuple[str, ...]] = {
    Kind.ID: ("equals", "in"),
    Kind.TEXT: ("equals", "not_equals", "in", "not_in", "contains", "like"),
    Kind.NUMBER: (*_COMPARED, "less_than_equal"),
    Kind.DATE: (*_COMPARED[:2], *_COMPARED[4:], "less_than_equal"),
}

DEEPEST = 2
"""`and` and `or` within each other."""
MOST_CONDITIONS, MOST_VALUES, LONGEST_TEXT = 20, 100, 200
MOST_PARTS = 200
"""Values of a whole filter."""
LARGEST = 10**15
"""Of numbers, either way."""


def paths_of(collection: str) -> dict[str, Kind]:
    return _EVERYWHERE | PATHS.get(collection, {})


def checked_where(collection: str, where: Any) -> Condition | None:
    """A caller's filter in Payload's terms, each part with one key; None for one that says nothing.

    Raises BadUserInput, which names what may be said instead.
    """
    if where is None:
        return None
    parts = _Reader(paths_of(collection)).conditions(where, 0)
    return _joined("and", parts)


class _Reader:
    """Reads one filter and counts what is in it."""

    def __init__(self, paths: Mapping[str, Kind]) -> None:
        self._paths = paths
        self._conditions = self._values = 0

    def conditions(self, where: Any, depth: int) -> list[Condition]:
        """The parts of an object, all of which must hold."""
        if not isinstance(where, dict):
            raise BadUserInput("`where` is an object of paths, `and` and `or`")
        found = []
        for name, value in where.items():
            if name in ("and", "or"):
                found += self._alternatives(name, value, depth + 1)
            else:
                found += self._of_path(name, value)
        return found

    def _alternatives(self, name: str, value: Any, depth: int) -> list[Condition]:
        if depth > DEEPEST:
            raise BadUserInput(f"`where` holds `and` and `or` at most {DEEPEST} deep")
        if not isinstance(value, list) or not value:
            raise BadUserInput(f"`{name}` is a list of filters, and not empty")
        parts = []
        for each in value:
            part = _joined("and", self.conditions(each, depth))
            if part is None:
                raise BadUserInput(f"a filter in `{name}` is empty")
            parts.append(part)
        joined = _joined(name, parts)
        return [] if joined is None else [joined]

    def _of_path(self, path: str, value: Any) -> list[Condition]:
        kind = self._paths.get(path)
        if kind is None:
            raise BadUserInput(f"`where` knows {', '.join(sorted(self._paths))}, and not {path[:LONGEST_TEXT]}")
        if not isinstance(value, dict) or not value:
            raise BadUserInput(f"`{path}` is an object of operators: {', '.join(OPERATORS[kind])}")
        return [{path: {operator: self._operand(path, kind, operator, each)}} for operator, each in value.items()]

    def _operand(self, path: str, kind: Kind, operator: str, operand: Any) -> Any:
        if operator not in OPERATORS[kind]:
            raise BadUserInput(f"`{path}` knows {', '.join(OPERATORS[kind])}, and not {operator[:LONGEST_TEXT]}")
        self._conditions += 1
        if self._conditions > MOST_CONDITIONS:
            raise BadUserInput(f"`where` holds at most {MOST_CONDITIONS} conditions")
        is_list = operator in ("in", "not_in")
        if is_list and not (isinstance(operand, list) and 1 <= len(operand) <= MOST_VALUES):
            raise BadUserInput(f"`{operator}` is a list of 1 to {MOST_VALUES} values")
        values = [_READ[kind](path, each) for each in (operand if is_list else [operand])]
        self._values += len(values)
        if self._values > MOST_PARTS:
            raise BadUserInput(f"`where` holds at most {MOST_PARTS} values")
        return values if is_list else values[0]


def _joined(name: str, parts: list[Condition]) -> Condition | None:
    """One filter of several; what holds the same word is part of it, for Payload's parser reads only so deep."""
    if not parts:
        return None
    if len(parts) == 1:
        return parts[0]
    flat: list[Condition] = []
    for part in parts:
        flat += part[name] if part.keys() == {name} else [part]
    return {name: flat}


def _text(path: str, value: Any) -> str:
    # Payload takes these for what they say, whatever the field.
    if not isinstance(value, str) or not 1 <= len(value) <= LONGEST_TEXT or value in ("null", "undefined"):
        raise BadUserInput(f"`{path}` is compared with texts of 1 to {LONGEST_TEXT} characters")
    return value


def _id(path: str, value: Any) -> str:
    return _text(path, str(value) if isinstance(value, int) and not isinstance(value, bool) else value)


def _number(path: str, value: Any) -> int | float:
    # A comparison with NaN is never true.
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) <= LARGEST:
        raise BadUserInput(f"`{path}` is compared with numbers")
    return value


def _date(path: str, value: Any) -> datetime:
    try:
        moment = datetime.fromisoformat(value)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    except (TypeError, ValueError, OverflowError) as exc:
        raise BadUserInput(f"`{path}` is compared with times such as 2026-01-31T12:00:00Z") from exc


_READ: dict[Kind, Callable[[str, Any], Any]] = {
    Kind.ID: _id,
    Kind.TEXT: _text,
    Kind.NUMBER: _number,
    Kind.DATE: _date,
}
