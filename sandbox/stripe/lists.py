"""Lists, newest first and paged by the id of a neighbour; and search.

A search is `field:'value' AND metadata['key']:'value' AND created>123`; the rest of the language is 501. Stripe's index
lags behind its writes by up to a minute; this one does not.
"""

from __future__ import annotations

import base64
import binascii
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox.store import Row
from sandbox.stripe.calls import Call
from sandbox.stripe.errors import invalid, no_such, not_simulated
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


SEARCHING: Mapping[str, Check] = {**LIMIT, "query": text(), "page": text()}
SEARCHABLE: Mapping[str, Sequence[str]] = {
    "customer": ("created", "email", "metadata", "name", "phone"),
    "payment_intent": ("amount", "created", "currency", "customer", "metadata", "status"),
    "subscription": ("canceled_at", "created", "metadata", "status"),
}

CLAUSE = re.compile(
    r"""(?P<field>\w+) (?:\[(?P<kq>['"]) (?P<key>.+?) (?P=kq)\])? (?P<op>>=|<=|:|>|<)
        (?:(?P<q>['"]) (?P<text>(?:\\.|.)*?) (?P=q) | (?P<number>\d+))""",
    re.VERBOSE,
)
OPERATORS = {">": "gt", ">=": "gte", "<": "lt", "<=": "lte"}


@dataclass(frozen=True)
class Clause:
    field: str
    key: str | None
    op: str
    value: str

    def holds(self, row: Row) -> bool:
        found = row["metadata"].get(self.key) if self.key is not None else row[self.field]
        if found is None:
            return False
        if self.op == ":":
            return str(found).casefold() == self.value.casefold()
        return COMPARISONS[OPERATORS[self.op]](int(found), int(self.value))


def search(call: Call, kind: str, rows: Iterable[Row]) -> Row:
    """The search result for the request's `query`, `limit` and `page`, newest first."""
    clauses = parse(call.params["query"], kind)
    found = newest_first(row for row in rows if all(clause.holds(row) for clause in clauses))
    start = _start(call.params.get("page"))
    end = start + call.params.get("limit", DEFAULT_LIMIT)
    more = len(found) > end
    return {
        "object": "search_result",
        "data": found[start:end],
        "has_more": more,
        "next_page": base64.urlsafe_b64encode(f"page:{end}".encode()).decode() if more else None,
        "url": call.url,
    }


def parse(query: str, kind: str) -> list[Clause]:
    """Raises: StripeError 400 for a field that cannot be searched, 501 for what is more than the subset."""
    clauses: list[Clause] = []
    rest = query.strip()
    while True:
        match = CLAUSE.match(rest)
        if match is None:
            raise not_simulated(f"the search query {query}")
        clauses.append(_clause(match, query, kind))
        rest = rest[match.end() :]
        if not rest.strip():
            return clauses
        conjunction = re.match(r"\s+AND\s+", rest)
        if conjunction is None:
            raise not_simulated(f"the search query {query}")
        rest = rest[conjunction.end() :]


def _clause(match: re.Match[str], query: str, kind: str) -> Clause:
    field, key, op, number = match["field"], match["key"], match["op"], match["number"]
    if field not in SEARCHABLE[kind] or (field == "metadata") != (key is not None):
        raise invalid(f"Field `{field}` is an unsupported search field for resource `{kind}s`.", "query")
    if op != ":" and (number is None or field not in ("amount", "created", "canceled_at")):
        raise invalid(f"Field `{field}` cannot be compared with `{op}` here.", "query")
    return Clause(field, key, op, number or re.sub(r"\\(.)", r"\1", match["text"]))


def _start(token: str | None) -> int:
    if token is None:
        return 0
    try:
        name, _, offset = base64.urlsafe_b64decode(token).decode().partition(":")
        if name == "page":
            return int(offset)
    except (binascii.Error, ValueError):
        pass
    raise invalid("Invalid page token.", "page")
