"""Lists: newest first, paged by the id of a neighbour."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sandbox.store import Row
from sandbox.stripe.calls import Call
from sandbox.stripe.errors import no_such
from sandbox.stripe.forms import Check, Raw, fields, integer, text

DEFAULT_LIMIT, LARGEST_LIMIT = 10, 100
COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "gt": operator.gt,
    "gte": operator.ge,
    "lt": operator.lt,
    "lte": operator.le,
}


def moment(raw: Raw, name: str) -> Row:
    """A time filter: an exact second, or bounds. Answers bounds by their operator."""
    if isinstance(raw, str):
        exact = integer()(raw, name)
        return {"gte": exact, "lte": exact}
    bounds: Row = fields(dict.fromkeys(COMPARISONS, integer()))(raw, name)
    return bounds


LIMIT: Mapping[str, Check] = {"limit": integer(least=1, most=LARGEST_LIMIT)}
PAGING: Mapping[str, Check] = {**LIMIT, "starting_after": text(), "ending_before": text()}
LISTING: Mapping[str, Check] = {**PAGING, "created": moment}


def within(value: int, bounds: Mapping[str, int] | None) -> bool:
    return all(COMPARISONS[name](value, bound) for name, bound in (bounds or {}).items())


def newest_first(rows: Iterable[Row]) -> list[Row]:
    """`rows` come in order of insertion, which decides within a second."""
    return sorted(rows, key=operator.itemgetter("created"))[::-1]


def page(call: Call, kind: str, rows: Iterable[Row]) -> Row:
    """The list object for the request's cursors, `limit` and `created`.

    Raises: StripeError when a cursor is no id of this kind.
    """
    listed = newest_first(row for row in rows if within(row["created"], call.params.get("created")))
    limit = call.params.get("limit", DEFAULT_LIMIT)
    ids = [row["id"] for row in listed]
    if before := call.params.get("ending_before"):
        ahead = listed[: _position(ids, kind, before, "ending_before")]
        return _list(call, ahead[-limit:], has_more=len(ahead) > limit)
    start = 0
    if after := call.params.get("starting_after"):
        start = _position(ids, kind, after, "starting_after") + 1
    return _list(call, listed[start : start + limit], has_more=len(listed) > start + limit)


def _list(call: Call, rows: list[Row], *, has_more: bool) -> Row:
    return {"object": "list", "data": rows, "has_more": has_more, "url": call.url}


def _position(ids: list[str], kind: str, id: str, param: str) -> int:
    if id not in ids:
        raise no_such(kind, id, param)
    return ids.index(id)
