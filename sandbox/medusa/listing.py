"""What every list route does: filter, sort, cut a page out, show it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.medusa.fields import Kind, Selection, View, pick, select
from sandbox.medusa.query import Filter, Value, integer, matcher
from sandbox.medusa.wire import Call, MedusaError, not_supported
from sandbox.store import Row

PAGING = frozenset({"limit", "offset", "order", "fields"})


@dataclass(frozen=True)
class Listing:
    """One list route. `declined` are parameters that Medusa has and the simulator has not; others are an error, or
    ignored where `strict` is off."""

    plural: str
    kind: Kind
    defaults: tuple[str, ...]
    filters: Mapping[str, Filter]
    limit: int = 50
    strict: bool = True
    declined: frozenset[str] = frozenset({"$and", "$or", "with_deleted"})
    context: frozenset[str] = frozenset()
    """Parameters that are no filters but known to the route."""
    sortable: frozenset[str] = field(default=frozenset({"id", "created_at", "updated_at"}))

    def check(self, query: Mapping[str, Any]) -> None:
        """Raises: MedusaError for parameters that are unknown or not supported."""
        known = PAGING | self.context | self.filters.keys() | self.declined
        unknown = [name for name in query if name not in known]
        if unknown and self.strict:
            raise MedusaError("invalid_data", f"Invalid request: Unrecognized fields: '{', '.join(unknown)}'")
        for name in query:
            if name in self.declined:
                raise not_supported(f"the parameter {name} here")

    def answer(
        self,
        call: Call,
        rows: Iterable[Row],
        show: Callable[[Row, Selection], View],
        *,
        selection: Selection | None = None,
    ) -> dict[str, Any]:
        """`{<plural>: [...], count, offset, limit}`; only the page's rows are shown."""
        self.check(call.query)
        limit, offset = integer(call.query, "limit", self.limit), integer(call.query, "offset", 0)
        wanted = selection or select(call.fields, self.defaults)
        matches = matcher(call.query, self.filters)
        found = self._sorted([row for row in rows if matches(row)], call.query.get("order"))
        page = [show(row, wanted) for row in found[offset : offset + limit]]
        return {self.plural: page, "count": len(found), "offset": offset, "limit": limit}

    def _sorted(self, rows: list[Row], order: Any) -> list[Row]:
        if order is None:
            return rows
        name = str(order).removeprefix("-")
        if name not in self.sortable:
            raise MedusaError("invalid_data", f"Order field {name} is not valid")
        known = [row for row in rows if row.get(name) is not None]
        return sorted(known, key=lambda row: row[name], reverse=str(order).startswith("-")) + [
            row for row in rows if row.get(name) is None
        ]


def shower(
    kind: Kind, view: Callable[[Row], View] = lambda row: row, context: Any = None
) -> Callable[[Row, Selection], View]:
    """Shows a row by picking from its view."""
    return lambda row, wanted: pick(view(row), wanted, kind, context)


def column(name: str) -> Value:
    """A filter on a row's own value."""
    return lambda row: row.get(name)


def columns(*names: str) -> dict[str, Value]:
    return {name: column(name) for name in names}
