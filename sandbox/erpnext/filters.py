"""Frappe's filters as predicates over rows: list of lists, four-element lists, dictionaries; every operator."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sandbox.erpnext.catalogue import ABSENT, DOCTYPES
from sandbox.erpnext.doctypes import DocType, Field
from sandbox.erpnext.errors import NotSupported, bad_json, forbidden, invalid, not_found
from sandbox.erpnext.unit import USER, Unit
from sandbox.store import Row

Test = Callable[[Any], bool]


@dataclass(frozen=True)
class Condition:
    """`doctype` owns the field: the listed one, or one of its child tables."""

    doctype: str
    field: Field
    test: Test

    def holds(self, row: Row) -> bool:
        value = row.get(self.field.name)
        return self.test(self.field.blank if value is None else value)


def doctype_named(name: str) -> DocType:
    """Raises: Refusal (404), NotSupported."""
    found = DOCTYPES.get(name)
    if found is None:
        if name in ABSENT:
            raise NotSupported(f"DocType {name}")
        raise not_found("DocType", name)
    return found


def unknown_field(name: str) -> Exception:
    return invalid(f"Field not permitted in query: {name}", "DataError")


def decode(value: Any) -> Any:
    """An argument that is JSON in a query string and may be JSON or a value in a body. Raises: Refusal (500)."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except json.JSONDecodeError as exc:
        raise bad_json(exc) from exc


def conditions(unit: Unit, doctype: DocType, filters: Any) -> list[Condition]:
    """Raises: Refusal for an unknown field or operator (417) or DocType (404)."""
    if not filters:
        return []
    if isinstance(filters, str):
        filters = {"name": filters}
    if isinstance(filters, dict):
        filters = [
            [name, *(value if isinstance(value, list | tuple) and len(value) == 2 else ("=", value))]
            for name, value in filters.items()
        ]
    return [_condition(unit, doctype, entry) for entry in filters]


def _condition(unit: Unit, doctype: DocType, entry: Any) -> Condition:
    if isinstance(entry, dict) and len(entry) == 1:
        return conditions(unit, doctype, entry)[0]
    if not isinstance(entry, list) or len(entry) < 2:
        # A flat list of texts: Frappe takes the text's first character for a DocType.
        raise not_found("DocType", str(entry)[:1])
    if len(entry) == 2:
        entry = [entry[0], "=", entry[1]]
    owner = doctype if len(entry) == 3 else doctype_named(str(entry[0]))
    name, operator, value = entry if len(entry) == 3 else entry[1:4]
    if owner is not doctype and owner.name not in doctype.tables.values():
        raise forbidden(USER, owner.name, traceback=True)
    field = owner.by_name.get(str(name))
    if field is None or field.kind == "Table":
        raise unknown_field(str(name))
    return Condition(owner.name, field, _test(unit, owner, field, str(operator).lower().strip(), value))


def _test(unit: Unit, doctype: DocType, field: Field, operator: str, value: Any) -> Test:
    if operator in ("in", "not in"):
        wanted = {_comparable(field, one) for one in _many(value)}
        return _negated(operator, lambda got: _folded(got) in wanted)
    if operator in ("like", "not like"):
        pattern = _pattern(str(value))
        return _negated(operator, lambda got: pattern.fullmatch(str(got)) is not None)
    if operator in ("between", "timespan"):
        return _between(field, value if operator == "between" else timespan(unit, str(value)))
    if operator == "is":
        blank = field.blank
        if str(value).lower() not in ("set", "not set"):
            raise invalid(f"Invalid value for operator is: {value}")
        is_set: Test = lambda got: bool(got) and got != blank  # noqa: E731 - both branches read as one rule
        return is_set if str(value).lower() == "set" else lambda got: not is_set(got)
    if "descendants of" in operator or "ancestors of" in operator:
        family = {name.casefold() for name in _family(unit, doctype, field, operator, str(value))}
        return _negated(operator, lambda got: _folded(got) in family)
    return _comparison(field, operator, _comparable(field, value))


def _comparison(field: Field, operator: str, wanted: Any) -> Test:
    tests: dict[str, Test] = {
        "=": lambda got: bool(_folded(got) == wanted),
        "!=": lambda got: bool(_folded(got) != wanted),
        ">": lambda got: bool(_folded(got) > wanted),
        "<": lambda got: bool(_folded(got) < wanted),
        ">=": lambda got: bool(_folded(got) >= wanted),
        "<=": lambda got: bool(_folded(got) <= wanted),
    }
    if operator not in tests:
        raise invalid(f"Operator must be one of {', '.join(tests)}, like, in, between, is, timespan")
    return tests[operator]


def _negated(operator: str, test: Test) -> Test:
    return (lambda got: not test(got)) if operator.startswith("not ") else test


def _folded(value: Any) -> Any:
    """As the site's collation compares: regardless of case."""
    return value.casefold() if isinstance(value, str) else value


def _comparable(field: Field, value: Any) -> Any:
    if value is None or (value == "" and not field.numeric):
        return field.blank
    if field.numeric:
        try:
            return float(value)
        except (TypeError, ValueError):
            return 0.0
    return str(value).casefold()


def _many(value: Any) -> list[Any]:
    if isinstance(value, str):
        return [part.strip() for part in value.split(",")]
    return list(value) if isinstance(value, list | tuple) else [value]


def _pattern(text: str) -> re.Pattern[str]:
    parts = {"%": ".*", "_": "."}
    return re.compile("".join(parts.get(char) or re.escape(char) for char in text), re.IGNORECASE | re.DOTALL)


def _between(field: Field, value: Any) -> Test:
    ends = _many(value)
    if len(ends) != 2:
        raise invalid("Invalid value for operator between: two ends are needed")
    low, high = (_comparable(field, end) for end in ends)
    if field.kind == "Datetime" and len(high) == len("2026-01-01"):
        high += " 23:59:59.999999"
    return lambda got: bool(low <= _folded(got) <= high)


def timespan(unit: Unit, text: str) -> list[str]:
    """First and last day of `today`, `last week`, `this month`, `next 30 days` and the like."""
    today, text = unit.now.date(), text.lower().strip()
    days = {"yesterday": -1, "today": 0, "tomorrow": 1}
    if text in days:
        day = (today + timedelta(days=days[text])).isoformat()
        return [day, day]
    match = re.fullmatch(r"(last|this|next) (week|month|quarter|6 months|year|\d+ days)", text)
    if match is None:
        raise invalid(f"{text} is not a valid timespan")
    step = {"last": -1, "this": 0, "next": 1}[match[1]]
    if match[2].endswith(" days"):
        ends = sorted((today, today + timedelta(days=step * int(match[2].split()[0]))))
        return [end.isoformat() for end in ends]
    if match[2] == "week":
        # Weeks begin on Sunday, as in a new site's settings.
        start = today - timedelta(days=(today.weekday() + 1) % 7) + timedelta(weeks=step)
        return [start.isoformat(), (start + timedelta(days=6)).isoformat()]
    months = {"month": 1, "quarter": 3, "6 months": 6, "year": 12}[match[2]]
    first = (today.year * 12 + today.month - 1) // months * months + step * months
    return [_month(first).isoformat(), (_month(first + months) - timedelta(days=1)).isoformat()]


def _month(number: int) -> date:
    return date(number // 12, number % 12 + 1, 1)


def _family(unit: Unit, doctype: DocType, field: Field, operator: str, name: str) -> set[str]:
    """Nodes above or below one of a tree, itself only where the operator says `inclusive`."""
    tree = doctype if field.name == "name" else DOCTYPES.get(field.options)
    if tree is None or tree.tree_parent is None:
        raise invalid(f"{field.label} is not a tree")
    above = {row["name"]: row.get(tree.tree_parent) for row in unit.rows(tree.name)}

    def ancestors(node: str) -> list[str]:
        parent = above.get(node)
        return [parent, *ancestors(parent)] if parent else []

    found = set(ancestors(name)) if "ancestors" in operator else {node for node in above if name in ancestors(node)}
    return found | ({name} if "inclusive" in operator else set())
