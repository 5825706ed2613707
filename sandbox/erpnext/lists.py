"""Lists as `frappe.client.get_list` makes them: filters, order, pages; one row per child where a child is asked for."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.erpnext.catalogue import DOCTYPES, PARENTS
from sandbox.erpnext.doctypes import DocType
from sandbox.erpnext.errors import NotSupported, Refusal, forbidden
from sandbox.erpnext.filters import Condition, conditions, decode, doctype_named, unknown_field
from sandbox.erpnext.unit import USER, Unit
from sandbox.store import Row

PAGE = 20
Pair = tuple[Row, Row]
"""A row and one of its children; {} when no child is asked for or there is none."""


@dataclass(frozen=True)
class Column:
    key: str
    name: str
    of_child: bool

    def value(self, pair: Pair) -> Any:
        return pair[self.of_child].get(self.name)


def get_list(unit: Unit, doctype_name: str, args: Mapping[str, Any], page: int = PAGE) -> list[Any]:
    """Rows, or lists of values where `as_dict` is 0; in the order of names unless `order_by` says otherwise."""
    for name in ("group_by", "expand", "distinct", "pluck"):
        if args.get(name):
            raise NotSupported(f"{name} in lists")
    doctype = doctype_named(doctype_name)
    columns, table = _columns(doctype, decode(args.get("fields")) if args.get("fields") != "*" else ["*"])
    pairs = _matching(unit, doctype, args, table)
    _sort(pairs, doctype, str(args.get("order_by") or "name asc"))
    start, limit = _whole(args.get("limit_start")), _whole(args.get("limit_page_length", page))
    pairs = pairs[start : start + limit] if limit else pairs[start:]
    if str(args.get("as_dict", 1)).lower() in ("0", "false"):
        return [[column.value(pair) for column in columns] for pair in pairs]
    return [{column.key: column.value(pair) for column in columns} for pair in pairs]


def count(unit: Unit, doctype_name: str, args: Mapping[str, Any]) -> int:
    return len(_matching(unit, doctype_named(doctype_name), args, None))


def _matching(unit: Unit, doctype: DocType, args: Mapping[str, Any], table: str | None) -> list[Pair]:
    every = conditions(unit, doctype, decode(args.get("filters")))
    some = conditions(unit, doctype, decode(args.get("or_filters")))
    joined = {table} if table else set()
    for condition in (*every, *some):
        if condition.doctype != doctype.name:
            joined.add(next(name for name, child in doctype.tables.items() if child == condition.doctype))
    if len(joined) > 1:
        raise NotSupported("lists over two child tables at once")

    def holds(condition: Condition, pair: Pair) -> bool:
        return condition.holds(pair[condition.doctype != doctype.name])

    own = [condition for condition in every if condition.doctype == doctype.name]
    of_child = [condition for condition in every if condition.doctype != doctype.name]
    rows = [row for row in _rows(unit, doctype, args) if all(condition.holds(row) for condition in own)]
    pairs: Iterator[Pair] = ((row, {}) for row in rows)
    if joined:
        name = joined.pop()
        pairs = ((row, child) for row in rows for child in row[name] or [{}])
    return [
        pair
        for pair in pairs
        if all(holds(condition, pair) for condition in of_child)
        and (not some or any(holds(condition, pair) for condition in some))
    ]


def _rows(unit: Unit, doctype: DocType, args: Mapping[str, Any]) -> list[Row]:
    if not doctype.child:
        return unit.rows(doctype.name)
    parent = args.get("parent")
    if not parent or not any(owner.name == parent for owner, _ in PARENTS.get(doctype.name, ())):
        raise forbidden(USER, doctype.name, traceback=True)
    return [child for owner, table in PARENTS[doctype.name] for row in unit.rows(owner.name) for child in row[table]]


def _columns(doctype: DocType, asked: Any) -> tuple[list[Column], str | None]:
    """The columns and the child table that they join, if any."""
    columns, table = [], None
    for text in asked or ["name"]:
        name = str(text).replace("`", "").removeprefix(f"tab{doctype.name}.").strip()
        if name == "*":
            columns += [Column(listed, listed, of_child=False) for listed in doctype.listed]
            continue
        if re.search(r"\(|\sas\s", name, re.IGNORECASE):
            raise NotSupported("functions and aliases in fields")
        owner, _, field = name.rpartition(".")
        if owner:
            if owner not in doctype.tables or doctype.tables[owner] not in DOCTYPES:
                raise unknown_field(name)
            if table not in (None, owner):
                raise NotSupported("lists over two child tables at once")
            table = owner
        known = DOCTYPES[doctype.tables[owner]].by_name if owner else doctype.by_name
        if field not in known or known[field].kind == "Table":
            raise unknown_field(name)
        columns.append(Column(field, field, of_child=bool(owner)))
    return columns, table


def _sort(pairs: list[Pair], doctype: DocType, order: str) -> None:
    for term in reversed(order.replace("`", "").split(",")):
        words = term.strip().removeprefix(f"tab{doctype.name}.").split()
        name = words[0] if words else ""
        direction = words[1].lower() if len(words) > 1 else "asc"
        if name not in doctype.by_name or direction not in ("asc", "desc") or len(words) > 2:
            raise Refusal("OperationalError", f"(1054, \"Unknown column '{name}' in 'ORDER BY'\")")
        blank = doctype.by_name[name].blank

        def key(pair: Pair, name: str = name, blank: Any = blank) -> tuple[bool, Any]:
            value = pair[0].get(name)
            return value is not None, blank if value is None else value.casefold() if isinstance(value, str) else value

        pairs.sort(key=key, reverse=direction == "desc")


def _whole(value: Any) -> int:
    try:
        return max(int(value or 0), 0)
    except (TypeError, ValueError):
        return 0
