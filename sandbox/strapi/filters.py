"""Which rows a list has, and in which order."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from sandbox.store import Row, Store
from sandbox.strapi import documents
from sandbox.strapi.errors import broken, invalid_key
from sandbox.strapi.query import MAX_ARRAY, Node
from sandbox.strapi.types import TYPES, ContentType, Kind

Test = Callable[[Row], bool]


def matcher(store: Store, of: ContentType, node: Node, *, drafts: bool) -> Test:
    """What `filters` asks for. Raises Refusal for keys that are none."""
    return _Filters(store, drafts).all_of(of, node, ())


def in_order(of: ContentType, rows: Sequence[Row], words: Sequence[str]) -> list[Row]:
    """Sorted by `field:direction`, the first counting most; without any, by number."""
    found = sorted(rows, key=operator.itemgetter("id"))
    for word in reversed(words):
        field, _, direction = word.partition(":")
        if of.kind_of(field) is None:
            raise invalid_key(field, param="sort")
        found.sort(key=lambda row: _rank(row[field]), reverse=direction.lower() == "desc")
    return found


def _rank(value: Any) -> tuple[bool, Any]:
    return (value is not None, value if value is not None else 0)


class _Filters:
    def __init__(self, store: Store, drafts: bool) -> None:
        self._store, self._drafts = store, drafts

    def all_of(self, of: ContentType, node: Node, path: tuple[str, ...]) -> Test:
        tests = [self._condition(of, key, below, path) for key, below in node.below.items()]
        return lambda row: all(test(row) for test in tests)

    def _condition(self, of: ContentType, key: str, node: Node, path: tuple[str, ...]) -> Test:
        if key in ("$or", "$and"):
            tests = [self.all_of(of, each, path) for each in node.below.values()]
            join = any if key == "$or" else all
            return lambda row: join(test(row) for test in tests)
        if key == "$not":
            unwanted = self.all_of(of, node, path)
            return lambda row: not unwanted(row)
        kind = of.kind_of(key)
        if kind is not None:
            return self._comparison(key, kind, node, (*path, key))
        if key not in of.relations:
            raise invalid_key(key, path=".".join(path) or None, param="filters")
        return self._related(of, key, node, (*path, key))

    def _comparison(self, field: str, kind: Kind, node: Node, path: tuple[str, ...]) -> Test:
        tests: list[Test] = []
        if node.values:
            tests.append(_operation("$eq", node.values[-1:], field, kind))
        for name, below in node.below.items():
            if name not in _OPERATIONS:
                raise invalid_key(name, path=".".join(path), param="filters")
            values = below.listed()
            if name in _OF_MANY and len(values) > MAX_ARRAY:
                continue  # no list any more, see MAX_ARRAY
            tests.append(_operation(name, values, field, kind))
        return lambda row: all(test(row) for test in tests)

    def _related(self, of: ContentType, name: str, node: Node, path: tuple[str, ...]) -> Test:
        relation = of.relations[name]
        target = TYPES[relation.target]
        wanted = self.all_of(target, node, path)

        def test(row: Row) -> bool:
            return any(map(wanted, related(self._store, of, row, name, drafts=self._drafts)))

        return test


def related(store: Store, of: ContentType, row: Row, name: str, *, drafts: bool) -> list[Row]:
    """The rows that a relation leads to."""
    relation = of.relations[name]
    target = TYPES[relation.target]
    if relation.inverse is not None:
        others = documents.rows(store, target, drafts=drafts)
        return [other for other in others if other[relation.inverse] == row["documentId"]]
    found = documents.row(store, target, row[name], drafts=drafts) if row[name] else None
    return [found] if found else []


def _typed(kind: Kind, text: str) -> Any:
    """What the database compares with. A text where it has numbers or times breaks the query."""
    try:
        if kind == "integer":
            return int(text)
        return documents.stamp(datetime.fromisoformat(text)) if kind == "datetime" else text
    except ValueError as exc:
        raise broken() from exc


def _operation(name: str, texts: Sequence[str], field: str, kind: Kind) -> Test:
    if name in ("$null", "$notNull"):
        wants_null = (texts[-1:] != ["false"]) == (name == "$null")
        return lambda row: (row[field] is None) == wants_null
    if name in _OF_MANY:
        values = [_typed(kind, text) for text in texts]
        return lambda row: _OF_MANY[name](row[field], values)
    compare, value = _OF_ONE[name], _typed(kind, texts[-1] if texts else "")
    return lambda row: row[field] is not None and compare(row[field], value)


def _folded(compare: Callable[[str, str], bool]) -> Callable[[Any, Any], bool]:
    return lambda left, right: compare(str(left).casefold(), str(right).casefold())


_OF_MANY: Mapping[str, Callable[[Any, Sequence[Any]], bool]] = {
    "$in": lambda value, wanted: value in wanted,
    "$notIn": lambda value, unwanted: value not in unwanted,
    "$between": lambda value, ends: value is not None and ends[0] <= value <= ends[-1],
}
_OF_ONE: Mapping[str, Callable[[Any, Any], bool]] = {
    "$eq": operator.eq,
    "$eqi": _folded(operator.eq),
    "$ne": operator.ne,
    "$nei": _folded(operator.ne),
    "$lt": operator.lt,
    "$lte": operator.le,
    "$gt": operator.gt,
    "$gte": operator.ge,
    "$contains": lambda value, part: str(part) in str(value),
    "$containsi": _folded(lambda value, part: part in value),
    "$notContains": lambda value, part: str(part) not in str(value),
    "$notContainsi": _folded(lambda value, part: part not in value),
    "$startsWith": lambda value, part: str(value).startswith(str(part)),
    "$startsWithi": _folded(str.startswith),
    "$endsWith": lambda value, part: str(value).endswith(str(part)),
    "$endsWithi": _folded(str.endswith),
}
_OPERATIONS = {"$null", "$notNull", *_OF_MANY, *_OF_ONE}
