"""`frappe.desk.query_report.run`: which reports there are, and what they need.

What a report needs is asked for in ERPNext's pages only. Called without it, a report fails in its own way, or is of
everything: some of these are of all companies where none is named.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox.erpnext import open_items, statements, stock_reports
from sandbox.erpnext.errors import NotSupported, Refusal, not_found
from sandbox.erpnext.filters import decode
from sandbox.erpnext.report_parts import Report
from sandbox.erpnext.unit import Unit
from sandbox.store import Row


@dataclass(frozen=True)
class Known:
    """`filters`: those that this simulator looks at. `prepared`: made in the background unless the caller insists."""

    make: Callable[[Unit, Row], Report]
    filters: Sequence[str]
    prepared: bool = False


_STATEMENT = (
    "company filter_based_on from_fiscal_year to_fiscal_year period_start_date period_end_date periodicity "
    "accumulated_values"
).split()
_DATES = "company from_date to_date".split()
_OPEN_ITEMS = "company report_date ageing_based_on range party_type party".split()
REPORTS: Mapping[str, Known] = {
    "Profit and Loss Statement": Known(statements.profit_and_loss, _STATEMENT),
    "Balance Sheet": Known(statements.balance_sheet, _STATEMENT),
    "Cash Flow": Known(statements.cash_flow, _STATEMENT),
    "General Ledger": Known(
        statements.general_ledger, [*_DATES, "account", "party_type", "party", "voucher_no"], prepared=True
    ),
    "Trial Balance": Known(statements.trial_balance, [*_DATES, "fiscal_year", "show_zero_values"]),
    "Accounts Receivable": Known(open_items.receivable, _OPEN_ITEMS),
    "Accounts Payable": Known(open_items.payable, _OPEN_ITEMS),
    "Sales Register": Known(open_items.sales_register, [*_DATES, "customer", "customer_group"]),
    "Stock Balance": Known(
        stock_reports.stock_balance, [*_DATES, "item_code", "item_group", "warehouse"], prepared=True
    ),
}


def run(unit: Unit, args: Mapping[str, Any]) -> Row:
    """Raises: Refusal, NotSupported."""
    name = str(args.get("report_name") or "")
    known = REPORTS.get(name)
    if known is None:
        raise not_found("Report", name)
    filters = decode(args.get("filters")) or {}
    if not isinstance(filters, dict):
        raise Refusal("TypeError", "filters must be an object")
    given = {key: value for key, value in filters.items() if value not in (None, "", [])}
    if unknown := sorted(given.keys() - set(known.filters)):
        raise NotSupported(f"the filter {unknown[0]} of {name}")
    if known.prepared and str(args.get("ignore_prepared_report") or "0").lower() in ("0", "false"):
        return {"prepared_report": True, "doc": {}}
    return known.make(unit, given).answer()
