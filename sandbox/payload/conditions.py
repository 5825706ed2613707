"""`where`: which documents a filter means."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from sandbox.payload.config import Collection, Field
from sandbox.payload.wire import broken, no_such_path, not_supported
from sandbox.store import Row

Test = Callable[[Row], bool]
Related = Callable[[str, Any], Row | None]
"""The document of a collection that has an id."""
LARGEST_ID = 2**31 - 1

_OPERATORS = frozenset(
    {"equals", "not_equals", "in", "not_in", "exists", "greater_than", "greater_than_equal", "less_than"}
    | {"less_than_equal", "like", "not_like", "contains"}
)
_ELSEWHERE = frozenset({"all", "near", "within", "intersects"})
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "greater_than": lambda one, other: bool(one > other),
    "greater_than_equal": lambda one, other: bool(one >= other),
    "less_than": lambda one, other: bool(one < other),
    "less_than_equal": lambda one, other: bool(one <= other),
}


def test_of(where: Any, collection: Collection, collections: Mapping[str, Collection], related: Related) -> Test:
    """One test for a whole filter. Raises: PayloadError 400 for paths and operators that are not there, and 500 for
    ids that are no numbers."""
    if not isinstance(where, Mapping):
        return lambda row: True
    tests: list[Test] = []
    for name, value in where.items():
        if name.lower() in ("and", "or"):
            inner = value if isinstance(value, list) else list(value.values()) if isinstance(value, Mapping) else []
            parts = [test_of(each, collection, collections, related) for each in inner]
            if parts:
                tests.append(_any(parts) if name.lower() == "or" else _all(parts))
            continue
        field, reads = _resolve(name, collection, collections, related)
        if not isinstance(value, Mapping):
            raise no_such_path(name)
        for operator, operand in value.items():
            if operator in _ELSEWHERE:
                raise not_supported(f"the operator {operator}")
            if operator not in _OPERATORS:
                raise no_such_path(f"{name}.{operator}")
            tests.append(_condition(field, reads, operator, operand))
    return _all(tests)


def _all(tests: list[Test]) -> Test:
    return lambda row: all(test(row) for test in tests)


def _any(tests: list[Test]) -> Test:
    return lambda row: any(test(row) for test in tests)


def _resolve(
    path: str, collection: Collection, collections: Mapping[str, Collection], related: Related
) -> tuple[Field | None, Callable[[Row], Any]]:
    """The field at the end of a dotted path, None for an id, and how to read it."""
    name, _, rest = path.partition(".")
    if name == "id" and not rest:
        return None, lambda row: row["id"]
    field = collection.queryable.get(name)
    if field is None:
        raise no_such_path(path)
    if not rest:
        return field, lambda row: row.get(name)
    if field.kind == "group" and rest in field.fields:
        return field.fields[rest], lambda row: (row.get(name) or {}).get(rest)
    if field.kind == "relationship" and field.to is not None:
        to = field.to
        inner, reads = _resolve(rest, collections[to], collections, related)

        def follow(row: Row) -> Any:
            target = related(to, row.get(name))
            return None if target is None else reads(target)

        return inner, follow
    if field.kind == "json":
        raise not_supported("filters within JSON")
    raise no_such_path(path)


def _condition(field: Field | None, reads: Callable[[Row], Any], operator: str, operand: Any) -> Test:
    if operator == "exists":
        wanted = str(operand).lower() == "true"
        return lambda row: (reads(row) is not None) is wanted
    if operator in ("in", "not_in"):
        given = operand.split(",") if isinstance(operand, str) else operand
        values = [_read_as(field, each) for each in (given if isinstance(given, list) else list(given.values()))]
        return lambda row: any(each in values for each in _many(reads(row))) is (operator == "in")
    value = _read_as(field, operand)
    if operator in ("equals", "not_equals"):
        return lambda row: (value in _many(reads(row))) is (operator == "equals")
    if operator in _COMPARISONS:
        compare = _COMPARISONS[operator]
        return lambda row: (found := _read_as(field, reads(row))) is not None and compare(found, value)
    words = str(operand).lower().split() if operator.endswith("like") else [str(operand).lower()]

    def holds(row: Row) -> bool:
        text = str(reads(row) or "").lower()
        return all(word in text for word in words) is (operator != "not_like")

    return holds


def _many(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _read_as(field: Field | None, value: Any) -> Any:
    """A value as its column has it. Raises: PayloadError 500 for what the database cannot read."""
    if value is None or value == "null":
        return None
    if field is None or field.kind == "relationship":
        return _id(value)
    if field.kind == "number":
        try:
            return float(value)
        except (TypeError, ValueError):
            return math.nan
    if field.kind == "checkbox":
        return str(value).lower() == "true"
    if field.kind == "date":
        return _moment(value)
    return str(value)


def _id(value: Any) -> int:
    text = str(value)
    if not (text.isascii() and text.isdigit() and int(text) <= LARGEST_ID):
        raise broken()
    return int(text)


def _moment(value: Any) -> str:
    """As documents keep times, so that they compare as texts."""
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError as exc:
        raise broken() from exc
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
