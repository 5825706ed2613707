"""ERPNext's financial reports: what the gateway may ask of each, and what they answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import Enum
from typing import Any

import msgspec

from datasources._erpnext_records import plain_text


class FinancialReportType(Enum):
    PROFIT_AND_LOSS = "Profit and Loss Statement"
    BALANCE_SHEET = "Balance Sheet"
    CASH_FLOW = "Cash Flow"
    GENERAL_LEDGER = "General Ledger"
    ACCOUNTS_RECEIVABLE = "Accounts Receivable"
    ACCOUNTS_PAYABLE = "Accounts Payable"
    TRIAL_BALANCE = "Trial Balance"
    STOCK_BALANCE = "Stock Balance"
    SALES_REGISTER = "Sales Register"


class Kind(Enum):
    """What a filter takes. TEXTS: one or several."""

    DATE = "a date, such as 2026-12-31"
    TEXT = "a text"
    TEXTS = "a text or a list of texts"
    FLAG = "true or false"


class Period(Enum):
    """How a report is told the time that it is about."""

    STATEMENT = "fiscal years, or a range of dates"
    FISCAL_YEAR = "a fiscal year, and dates in it"
    RANGE = "a range of dates"
    DAY = "a day"


@dataclass(frozen=True, slots=True)
class ReportSpec:
    """`filters` are all that callers may name, as the report calls them; `choices` what some of them may say.

    ERPNext checks neither in its API: what a report needs is asked for in its own pages only, and without it a report
    fails, or is of everything.
    """

    period: Period
    filters: Mapping[str, Kind]
    choices: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def _kinds(**names: str) -> dict[str, Kind]:
    return {name: Kind[kind.upper()] for kind, listed in names.items() for name in listed.split()}


_STATEMENT = ReportSpec(
    Period.STATEMENT,
    _kinds(
        date="period_start_date period_end_date",
        text="from_fiscal_year to_fiscal_year periodicity presentation_currency finance_book",
        texts="cost_center project",
        flag="accumulated_values include_default_book_entries",
    ),
    {
        "periodicity": ("Monthly", "Quarterly", "Half-Yearly", "Yearly"),
    },
)
_OPEN_ITEMS = ReportSpec(
    Period.DAY,
    _kinds(date="report_date", text="ageing_based_on range party_type cost_center", texts="party"),
    {"ageing_based_on": ("Due Date", "Posting Date", "Supplier Invoice Date")},
)
SPECS: Mapping[FinancialReportType, ReportSpec] = {
    FinancialReportType.PROFIT_AND_LOSS: _STATEMENT,
    FinancialReportType.BALANCE_SHEET: _STATEMENT,
    FinancialReportType.CASH_FLOW: _STATEMENT,
    FinancialReportType.GENERAL_LEDGER: ReportSpec(
        Period.RANGE,
        _kinds(
            date="from_date to_date",
            text="party_type voucher_no against_voucher_no presentation_currency",
            texts="account party cost_center project",
            flag="show_opening_entries show_cancelled_entries",
        ),
    ),
    FinancialReportType.ACCOUNTS_RECEIVABLE: _OPEN_ITEMS,
    FinancialReportType.ACCOUNTS_PAYABLE: _OPEN_ITEMS,
    FinancialReportType.TRIAL_BALANCE: ReportSpec(
        Period.FISCAL_YEAR,
        _kinds(
            date="from_date to_date",
            text="fiscal_year cost_center project presentation_currency finance_book",
            flag="show_zero_values show_net_values with_period_closing_entry_for_opening",
        ),
    ),
    FinancialReportType.STOCK_BALANCE: ReportSpec(
        Period.RANGE, _kinds(date="from_date to_date", text="item_code item_group warehouse")
    ),
    FinancialReportType.SALES_REGISTER: ReportSpec(
        Period.RANGE,
        _kinds(
            date="from_date to_date",
            text="customer customer_group mode_of_payment warehouse item_group brand cost_center",
        ),
    ),
}


@dataclass(frozen=True, slots=True)
class ReportColumn:
    """`key` is what rows call it; `type` is ERPNext's field type, such as `Currency` or `Link`."""

    key: str
    label: str
    type: str | None = None


@dataclass(frozen=True, slots=True)
class ReportRecord:
    """Columns follow from filters and data; rows are objects by the columns' keys, and hold others besides."""

    type: FinancialReportType
    columns: list[ReportColumn]
    rows: list[dict[str, Any]]
    generated_at: datetime


class FiscalYear(msgspec.Struct, frozen=True):
    """`company` is one of those it is limited to; None: it is everybody's. One row for each company."""

    id: str = msgspec.field(name="name")
    starts: date = msgspec.field(name="year_start_date")
    ends: date = msgspec.field(name="year_end_date")
    company: str | None = None


class ReportAnswer(msgspec.Struct, frozen=True):
    """`result` is missing while a report is prepared in the background."""

    result: list[Any] | None = None
    columns: list[Any] | None = None

    def rows(self) -> list[dict[str, Any]]:
        """Without the spacers between sections, and without the row of totals that is a list of values."""
        return [row for row in self.result or () if isinstance(row, dict) and row]

    def report_columns(self) -> list[ReportColumn]:
        """Old reports write a column as one text."""
        return [_of_text(each) if isinstance(each, str) else _of_dict(each) for each in self.columns or ()]


def _of_text(text: str) -> ReportColumn:
    """
    >>> _of_text("Voucher No:Link/Sales Invoice:120")
    ReportColumn(key='voucher_no', label='Voucher No', type='Link')
    """
    label, _, rest = text.partition(":")
    kind = rest.partition(":")[0].partition("/")[0]
    return ReportColumn(label.strip().lower().replace(" ", "_").replace("-", "_"), plain_text(label), kind or None)


def _of_dict(column: Any) -> ReportColumn:
    told = column if isinstance(column, dict) else {}
    label = str(told.get("label") or told.get("fieldname") or "")
    kind = told.get("fieldtype")
    return ReportColumn(str(told.get("fieldname") or label), plain_text(label), str(kind) if kind else None)
