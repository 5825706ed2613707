"""Search: `field:'value' AND metadata['key']:'value' AND created>123`. The rest of the language is 501.

Stripe's index lags behind its writes by up to a minute; this one does not.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sandbox.store import Row
from sandbox.stripe.calls import Call
from sandbox.stripe.errors import invalid, not_simulated
from sandbox.stripe.forms import Check, text
from sandbox.stripe.lists import COMPARISONS, DEFAULT_LIMIT, LIMIT, newest_first

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
