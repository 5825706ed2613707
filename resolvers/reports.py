"""Financial reports: of which company, about which time, and what callers may say about them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

from core import operation
from core.errors import BadUserInput, NotFound
from core.operation import Operation
from datasources.erpnext import REPORT_S, SPECS, FinancialReportType, Kind, Period, ReportRecord, ReportSpec
from resolvers.context import Context
from resolvers.invoices import companies_of

Filters = dict[str, Any]

COMPANY = "company"
LONGEST_RANGE = timedelta(days=366)
LONGEST_STATEMENT = timedelta(days=5 * 366)
LONGEST_TEXT, MOST_TEXTS = 140, 100
EARLIEST, LATEST = date(1970, 1, 1), date(2200, 1, 1)


async def financial_report(ctx: Context, type: FinancialReportType, filters: object) -> ReportRecord | None:
    """None for callers who have no company in the ERP.

    Raises BadUserInput for filters that the report does not take, NotFound for a company that is not theirs.
    """
    spec = SPECS[type]
    asked = _checked(spec, filters)
    company = _company(ctx, asked.pop(COMPANY, None))
    if company is None:
        return None
    with operation.running(_slow(ctx)):
        timed = await _with_time(ctx, spec, company, asked)
        return await ctx.sources.erpnext.report(type, {**timed, COMPANY: company})


def _slow(ctx: Context) -> Operation:
    """The operation that runs, with the time that a report may take, unless its caller has less."""
    running = operation.current()
    if ctx.timeout_s is not None or running.deadline is None:
        return running
    return replace(running, deadline=max(running.deadline, time.monotonic() + REPORT_S))


def _company(ctx: Context, named: str | None) -> str | None:
    seen = companies_of(ctx.principal)
    if seen == ():
        return None
    if named is not None:
        if seen is not None and named not in seen:
            raise NotFound("there is no such company")
        return named
    own = (ctx.sources.erpnext.default_company,) if seen is None else seen
    if len(own) != 1 or own[0] is None:
        raise BadUserInput("`filters.company` says of which company")
    return own[0]


# -- about which time --------------------------------------------------------------------------------------------------


async def _with_time(ctx: Context, spec: ReportSpec, company: str, asked: Filters) -> Filters:
    """The filters, and the time that is meant where they say none: the fiscal year that it is, or today."""
    erpnext = ctx.sources.erpnext
    match spec.period:
        case Period.DAY:
            return {"report_date": erpnext.today().isoformat(), **asked}
        case Period.RANGE:
            last = asked.get("to_date") or erpnext.today().isoformat()
            first = asked.get("from_date")
            if first is None:
                first = (await erpnext.fiscal_year(company, date.fromisoformat(last))).starts.isoformat()
            _check_range("from_date", first, "to_date", last, LONGEST_RANGE)
            return {**asked, "from_date": first, "to_date": last}
        case Period.FISCAL_YEAR:
            if "fiscal_year" not in asked:
                day = date.fromisoformat(asked.get("to_date") or erpnext.today().isoformat())
                asked = {**asked, "fiscal_year": (await erpnext.fiscal_year(company, day)).id}
            return asked
        case Period.STATEMENT:
            return await _with_statement_time(ctx, company, {"periodicity": "Yearly", **asked})


async def _with_statement_time(ctx: Context, company: str, asked: Filters) -> Filters:
    first, last = asked.get("period_start_date"), asked.get("period_end_date")
    years = [asked[name] for name in ("from_fiscal_year", "to_fiscal_year") if name in asked]
    if (first or last) and years:
        raise BadUserInput("`filters` name dates or fiscal years, not both")
    if first or last:
        if first is None or last is None:
            raise BadUserInput("`filters.period_start_date` and `filters.period_end_date` come together")
        _check_range("period_start_date", first, "period_end_date", last, LONGEST_STATEMENT)
        return {**asked, "filter_based_on": "Date Range"}
    if not years:
        years = [(await ctx.sources.erpnext.fiscal_year(company, ctx.sources.erpnext.today())).id]
    told = {"from_fiscal_year": years[0], "to_fiscal_year": years[-1]}
    return {**told, **asked, "filter_based_on": "Fiscal Year"}


def _check_range(first_name: str, first: str, last_name: str, last: str, longest: timedelta) -> None:
    length = date.fromisoformat(last) - date.fromisoformat(first)
    if length < timedelta(0):
        raise BadUserInput(f"`filters.{first_name}` is behind `filters.{last_name}`")
    if length > longest:
        raise BadUserInput(f"`filters` are about {length.days} days, more than {longest.days}")


# -- what callers may say ----------------------------------------------------------------------------------------------


def _checked(spec: ReportSpec, filters: object) -> Filters:
    """What is said, without nulls. ERPNext itself would not look: it takes any name, and conditions for values."""
    if filters is None:
        return {}
    if not isinstance(filters, Mapping):
        raise BadUserInput("`filters` is an object")
    known = {**spec.filters, COMPANY: Kind.TEXT}
    if unknown := [str(name) for name in filters if name not in known]:
        raise BadUserInput(f"this report takes no filter {unknown[0][:50]!r}, only {', '.join(sorted(known))}")
    asked = {name: _value(name, known[name], value) for name, value in filters.items() if value is not None}
    for name, choices in spec.choices.items():
        if name in asked and asked[name] not in choices:
            raise BadUserInput(f"`filters.{name}` is one of {', '.join(choices)}")
    return asked


def _value(name: str, kind: Kind, value: object) -> Any:
    match kind:
        case Kind.FLAG if isinstance(value, bool):
            return int(value)
        case Kind.TEXT if _is_text(value):
            return value
        case Kind.TEXTS if _is_text(value):
            return [value]
        case Kind.TEXTS if isinstance(value, list) and 0 < len(value) <= MOST_TEXTS and all(map(_is_text, value)):
            return value
        case Kind.DATE if isinstance(value, str) and (day := _day(value)) is not None:
            return day
    raise BadUserInput(f"`filters.{name}` is {kind.value}")


def _is_text(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value.strip()) <= LONGEST_TEXT and value.isprintable()


def _day(text: str) -> str | None:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day.isoformat() if EARLIEST <= day <= LATEST else None
