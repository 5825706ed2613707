"""How Fleetbase's lists are asked: filters by column, filters of one resource, sorting and pages.

Column filters take a suffix for the operator (`status_not=`, `public_id_in=a,b`). Whatever is not known is ignored
without a word, as is an empty value; a list where a column wants one text ends in a server error.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

from sandbox.fleetbase.database import INTERNAL_ID_KINDS, Database
from sandbox.fleetbase.errors import framework
from sandbox.store import Row

DEFAULT_LIMIT, MAX_LIMIT = 30, 100
_TRUE = frozenset({"1", "true", "on", "yes"})

Predicate = Callable[[Row], bool]
Filter = Callable[[Database, "Query"], Predicate | None]
"""Reads its own parameter from the query. None: it does not restrict."""


class Query:
    """A query string read as PHP reads it: `a[]=1&a[]=2` is a list, of repeated plain names the last counts."""

    def __init__(self, query_string: str) -> None:
        self._values: dict[str, str | list[str]] = {}
        for key, value in parse_qsl(query_string, keep_blank_values=True):
            name, bracket, _ = key.partition("[")
            if not bracket:
                self._values[name] = value
                continue
            earlier = self._values.get(name)
            self._values[name] = [*earlier, value] if isinstance(earlier, list) else [value]

    def names(self) -> list[str]:
        """The parameters that say something: PHP takes `0` for empty as well."""
        return [name for name, value in self._values.items() if value not in ("", "0", [])]

    def is_list(self, name: str) -> bool:
        return isinstance(self._values.get(name), list)

    def text(self, name: str) -> str | None:
        """None when absent, empty or a list."""
        value = self._values.get(name)
        return value if isinstance(value, str) and value else None

    def values(self, name: str) -> list[str]:
        """A list, or a text cut at its commas."""
        value = self._values.get(name, [])
        parts = value.split(",") if isinstance(value, str) else value
        return [part for part in parts if part]

    def flag(self, name: str) -> bool:
        return (self.text(name) or "").lower() in _TRUE

    def integer(self, name: str, default: int) -> int:
        """What is no number is 0, as in PHP."""
        value = self.text(name)
        if value is None:
            return default
        try:
            return int(value)
        except ValueError:
            return 0

    def expand(self) -> set[str]:
        """Relations asked for by `with` or `expand`, lower case without underscores, less those in `without`."""
        wanted = {*self.values("with"), *self.values("expand")} - set(self.values("without"))
        return {name.replace("_", "").lower() for name in wanted}


@dataclass(frozen=True)
class Table:
    """What can be asked of the rows of one kind."""

    kind: str
    label: str
    """As it stands in `... resource not found.`"""
    columns: Collection[str]
    filters: Mapping[str, Filter] = field(default_factory=dict)
    """They come before a column of the same name."""
    rows: Callable[[Database], list[Row]] | None = None
    """Where the rows come from when they are not a kind of the database."""


def select(db: Database, table: Table, query: Query, *, ignore_in: bool = False) -> list[Row]:
    """One page of the rows that fit. Raises `Refusal`."""
    rows = _candidates(db, table, query, ignore_in=ignore_in)
    for name in query.names():
        if name in table.filters:
            predicate = table.filters[name](db, query)
        else:
            predicate = None if ignore_in and name.endswith("_in") else _column_filter(table, query, name)
        if predicate:
            rows = [row for row in rows if predicate(row)]
    return _page(_sorted(table, rows, query), query)


def _candidates(db: Database, table: Table, query: Query, *, ignore_in: bool) -> list[Row]:
    """All rows, or those that an index finds; the filters look again."""
    if table.rows:
        return table.rows(db)
    if not ignore_in:
        if query.text("public_id_in"):
            return db.by_ids(table.kind, query.values("public_id_in"))
        if query.text("internal_id_in") and table.kind in INTERNAL_ID_KINDS:
            return db.by_internal_ids(table.kind, query.values("internal_id_in"))
    return db.rows(table.kind)


def _column_filter(table: Table, query: Query, name: str) -> Predicate | None:
    lowered = name.lower()
    suffix = next((suffix for suffix in _OPERATORS if lowered.endswith(suffix)), None)
    column = lowered.removesuffix(suffix) if suffix else name
    if name in table.columns:
        suffix, column = None, name
    if column not in table.columns:
        return None
    value = query.text(name)
    if value is None:
        raise framework(500, "Server Error")
    key = "id" if column == "public_id" else column
    if suffix in _LIST_OPERATORS:
        wanted = frozenset(value.split(","))
        return lambda row: (_as_text(row.get(key)) in wanted) == (suffix == "_in")
    compare = _OPERATORS[suffix] if suffix else _equal
    return lambda row: compare(row.get(key), value)


def _as_text(value: object) -> str:
    return str(int(value)) if isinstance(value, bool) else str(value)


def _equal(value: object, wanted: str) -> bool:
    return value is not None and _as_text(value) == wanted


def _compare(value: object, wanted: str) -> int | None:
    """-1, 0 or 1, numbers as numbers and the rest as text; None when there is nothing to compare."""
    if value is None:
        return None
    if isinstance(value, int | float):
        try:
            number = float(wanted)
        except ValueError:
            return None
        return (value > number) - (value < number)
    text = str(value)
    return (text > wanted) - (text < wanted)


_LIST_OPERATORS = ("_in", "_notin")
_OPERATORS: Mapping[str, Callable[[object, str], bool]] = {
    "_isnotnull": lambda value, wanted: value is not None,
    "_isnull": lambda value, wanted: value is None,
    "_notin": lambda value, wanted: True,
    "_like": lambda value, wanted: str(value).casefold().startswith(wanted.casefold()),
    "_gte": lambda value, wanted: _compare(value, wanted) in (0, 1),
    "_lte": lambda value, wanted: _compare(value, wanted) in (0, -1),
    "_not": lambda value, wanted: value is not None and _as_text(value) != wanted,
    "_gt": lambda value, wanted: _compare(value, wanted) == 1,
    "_lt": lambda value, wanted: _compare(value, wanted) == -1,
    "_in": lambda value, wanted: True,
}


def _sorted(table: Table, rows: list[Row], query: Query) -> list[Row]:
    """By `sort=-created_at,name:asc,latest`; unknown columns are left out. Rows come in order of creation."""
    for term in reversed(query.values("sort")):
        named = {"latest": "-created_at", "oldest": "created_at"}.get(term.lower(), term)
        column, _, direction = named.removeprefix("-").partition(":")
        if column not in table.columns:
            continue
        key = "id" if column == "public_id" else column
        descending = named.startswith("-") or direction.lower() == "desc"
        rows = sorted(rows, key=_sort_key(key), reverse=descending)
    return rows


def _sort_key(key: str) -> Callable[[Row], tuple[bool, float, str]]:
    def of(row: Row) -> tuple[bool, float, str]:
        value = row.get(key)
        number = float(value) if isinstance(value, int | float) else 0.0
        return value is not None, number, "" if isinstance(value, int | float) else str(value)

    return of


def _page(rows: list[Row], query: Query) -> list[Row]:
    asked = query.integer("limit", DEFAULT_LIMIT)
    limit = len(rows) if asked == -1 else min(max(asked, 1), MAX_LIMIT)
    offset = query.integer("offset", (max(query.integer("page", 1), 1) - 1) * limit)
    return rows[max(offset, 0) :][:limit]


def any_of(rows: Iterable[Row]) -> Predicate:
    """Rows that are among these."""
    ids = {row["id"] for row in rows}
    return lambda row: row["id"] in ids


def nothing(db: Database, query: Query) -> Predicate:
    """For filters that only take an internal uuid, which callers never see, or that are broken upstream."""
    return lambda row: False


def flag(name: str, test: Predicate) -> Filter:
    """`test` applies when the parameter is true, and is no filter otherwise."""
    return lambda db, query: test if query.flag(name) else None
