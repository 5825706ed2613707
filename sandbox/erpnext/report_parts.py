"""What reports are made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from sandbox.erpnext.errors import invalid
from sandbox.erpnext.unit import Unit
from sandbox.store import Row

MONTHS = {"Monthly": 1, "Quarterly": 3, "Half-Yearly": 6, "Yearly": 12}


def column(fieldname: str, fieldtype: str = "Data", options: str | None = None, label: str | None = None) -> Row:
    told = label or fieldname.replace("_", " ").title()
    return {"label": told, "fieldname": fieldname, "fieldtype": fieldtype, "options": options, "width": 120}


@dataclass
class Report:
    """`summed`: the columns of a total row, which the framework adds as a list of values."""

    columns: list[Row]
    rows: list[Row]
    summed: Sequence[str] = field(default_factory=tuple)

    def answer(self) -> Row:
        result: list[Any] = list(self.rows)
        if self.summed and self.rows:
            result.append([self._total(each["fieldname"], first=n == 0) for n, each in enumerate(self.columns)])
        return {
            "result": result, "columns": self.columns, "message": None, "chart": None, "report_summary": None,
            "skip_total_row": 0, "status": None, "execution_time": 0.05, "add_total_row": bool(self.summed),
        }  # fmt: skip

    def _total(self, name: str, *, first: bool) -> Any:
        if name in self.summed:
            return round(sum(row.get(name) or 0 for row in self.rows), 2)
        return "Total" if first else ""


@dataclass(frozen=True)
class Span:
    """A part of a statement's time, from its first to its last day."""

    key: str
    label: str
    first: str
    last: str


def spans(unit: Unit, filters: Row) -> list[Span]:
    """Raises: Refusal for a statement that nobody said the time of."""
    if filters.get("filter_based_on") == "Fiscal Year":
        years = [fiscal_year(unit, filters.get(name)) for name in ("from_fiscal_year", "to_fiscal_year")]
        first, last = years[0]["year_start_date"], years[1]["year_end_date"]
    else:
        first, last = filters.get("period_start_date"), filters.get("period_end_date")
        if not first or not last:
            raise invalid("From Date and To Date are mandatory")
    if first > last:
        raise invalid("To Date cannot be before From Date")
    months = MONTHS.get(filters.get("periodicity") or "")
    if months is None:
        raise invalid("Periodicity is mandatory")
    return list(_cut(date.fromisoformat(first), date.fromisoformat(last), months))


def _cut(first: date, last: date, months: int) -> Iterator[Span]:
    while first <= last:
        number = first.year * 12 + first.month - 1 + months
        end = min(date(number // 12, number % 12 + 1, 1) - timedelta(days=1), last)
        key = f"{end:%b_%Y}".lower()
        yield Span(key, f"{end:%Y}" if months == 12 else f"{end:%b %Y}", first.isoformat(), end.isoformat())
        first = end + timedelta(days=1)


def fiscal_year(unit: Unit, name: object) -> Row:
    """Raises: Refusal for one that is not there."""
    found = unit.get("Fiscal Year", str(name or ""))
    if found is None:
        raise invalid(f"Fiscal Year {name or ''} is required", "FiscalYearError")
    return found


def company_of(unit: Unit, filters: Row) -> Row:
    """Raises: Refusal where there is none, or none is named."""
    company = unit.get("Company", str(filters.get("company") or ""))
    if company is None:
        raise invalid("Company is mandatory")
    return company


def dates_of(filters: Row) -> tuple[str, str]:
    """Raises: Refusal where one is missing, or they are in the wrong order."""
    first, last = filters.get("from_date"), filters.get("to_date")
    if not first or not last:
        raise invalid("From Date and To Date are mandatory")
    if first > last:
        raise invalid("From Date must be before To Date")
    return str(first), str(last)


def one_of(value: Any) -> set[str]:
    """A filter that takes one or several."""
    return set(value) if isinstance(value, list) else {str(value)}
