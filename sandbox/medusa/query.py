"""Query strings as Medusa reads them, and the filters they carry."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import parse_qsl

from sandbox.medusa.wire import MedusaError, not_supported
from sandbox.store import Row

Query = dict[str, Any]
Value = Callable[[Row], Any]
"""What a filter looks at in a row; a list matches when any of its elements does."""
Filter = Value | Mapping[str, Value]
"""One level of names below a filter's own is possible: `variants.sku`."""

MOST_PARAMETERS = 1000
PART = re.compile(r"\[([^\]]*)\]")


def parse(query_string: str) -> Query:
    """`a[]=`, `a[0]=` and repeated `a=` make lists, `a[b]=` and `a.b=` make objects. Only 1000 parameters are read."""
    query: Query = {}
    for key, value in parse_qsl(query_string, keep_blank_values=True)[:MOST_PARAMETERS]:
        head, _, rest = key.partition("[")
        path = [*head.split("."), *(PART.findall(f"[{rest}") if rest else [])]
        is_list = len(path) > 1 and (path[-1] == "" or path[-1].isdigit())
        _put(query, path[:-1] if is_list else path, value, is_list=is_list)
    return {name: _split_single(value) for name, value in query.items()}


def _put(query: Query, path: list[str], value: str, *, is_list: bool) -> None:
    for name in path[:-1]:
        below = query.setdefault(name, {})
        if not isinstance(below, dict):
            return
        query = below
    before = query.get(path[-1])
    if before is None:
        query[path[-1]] = [value] if is_list else value
    elif isinstance(before, list):
        before.append(value)
    elif isinstance(before, str):
        query[path[-1]] = [before, value]


def _split_single(value: Any) -> Any:
    """An array of one element is split at its commas; a plain text never is."""
    if isinstance(value, dict):
        return {name: _split_single(below) for name, below in value.items()}
    return value[0].split(",") if isinstance(value, list) and len(value) == 1 else value


def integer(query: Query, name: str, default: int) -> int:
    """Raises: MedusaError for anything but a number of at least 0."""
    value = query.get(name, str(default))
    if not isinstance(value, str) or not re.fullmatch(r"-?\d+", value):
        raise MedusaError(
            "invalid_data", f"Invalid request: Expected type: 'number' for field '{name}', got: '{value}'"
        )
    if int(value) < 0:
        raise MedusaError(
            "invalid_data", f"Invalid request: Value for field '{name}' too small, expected at least: '0'"
        )
    return int(value)


def matcher(query: Query, filters: Mapping[str, Filter]) -> Callable[[Row], bool]:
    """One test for all filters of a query that a route knows."""
    tests: list[Callable[[Row], bool]] = []
    for name, value in filters.items():
        if name not in query:
            continue
        wanted = query[name]
        if isinstance(value, Mapping):
            if not isinstance(wanted, dict) or not wanted.keys() <= value.keys():
                raise not_supported(f"the filter {name} with {wanted}")
            tests += [_test(value[below], each) for below, each in wanted.items()]
        else:
            tests.append(_test(value, wanted))
    return lambda row: all(test(row) for test in tests)


def words(*values: Value) -> Value:
    """What `q` looks at: texts that must hold its words in their order."""
    return lambda row: _Texts([str(text) for value in values for text in _many(value(row)) if text is not None])


class _Texts(list[str]):
    """Marks a value for free-text search."""


def _many(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _test(value: Value, wanted: Any) -> Callable[[Row], bool]:
    if isinstance(wanted, dict):
        tests = [_operator(name, operand) for name, operand in wanted.items()]
        return lambda row: any(all(test(each) for test in tests) for each in _many(value(row)))
    allowed = set(_many(wanted))
    pattern = re.compile(".*".join(re.escape(word) for word in str(wanted).split()), re.IGNORECASE)

    def equals(row: Row) -> bool:
        found = value(row)
        if isinstance(found, _Texts):
            return any(pattern.search(text) for text in found)
        return any(_plain(each) in allowed for each in _many(found))

    return equals


def _plain(value: Any) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "$eq": lambda found, operand: bool(found == operand),
    "$ne": lambda found, operand: bool(found != operand),
    "$gt": lambda found, operand: bool(found > operand),
    "$gte": lambda found, operand: bool(found >= operand),
    "$lt": lambda found, operand: bool(found < operand),
    "$lte": lambda found, operand: bool(found <= operand),
}


def _operator(name: str, operand: Any) -> Callable[[Any], bool]:
    if name in ("$in", "$nin"):
        allowed = [_comparable(each) for each in _many(operand)]
        return lambda found: (_comparable(found) in allowed) is (name == "$in")
    if name in OPERATORS and isinstance(operand, str):
        compare, wanted = OPERATORS[name], _comparable(operand)

        def test(found: Any) -> bool:
            value = _comparable(found)
            return type(value) is type(wanted) and compare(value, wanted)

        return test
    if name in ("$like", "$ilike", "$re", "$contains", "$and", "$or", "$not"):
        raise not_supported(f"the operator {name}")
    raise MedusaError("invalid_data", f"Invalid request: Unrecognized fields: '{name}'")


def _comparable(value: Any) -> datetime | Decimal | str:
    text = _plain(value)
    try:
        return Decimal(text)
    except InvalidOperation:
        pass
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return text
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
