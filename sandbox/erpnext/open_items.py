"""Reports over invoices: what is open, and what was sold. Without a company they are of all companies."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

from sandbox.erpnext.errors import invalid
from sandbox.erpnext.report_parts import Report, column, dates_of, one_of
from sandbox.erpnext.totals import money
from sandbox.erpnext.unit import Unit
from sandbox.store import Row

USUAL_RANGES = "30, 60, 90, 120"


def receivable(unit: Unit, filters: Row) -> Report:
    today = str(filters.get("report_date") or unit.today)
    limits = [int(each) for each in str(filters.get("range") or USUAL_RANGES).split(",")]
    rows = []
    for invoice in _invoices(unit, filters):
        if not invoice["outstanding_amount"] or invoice["posting_date"] > today:
            continue
        if "party" in filters and invoice["customer"] not in one_of(filters["party"]):
            continue
        since = "posting_date" if filters.get("ageing_based_on") == "Posting Date" else "due_date"
        age = max((date.fromisoformat(today) - date.fromisoformat(invoice[since])).days, 0)
        rows.append(_open_row(invoice, age, limits))
    names = ("invoiced", "paid", "credit_note", "outstanding")
    columns = [
        column("posting_date", "Date"), column("party", "Dynamic Link", "party_type"),
        column("customer_name", "Data"), column("voucher_type"), column("voucher_no", "Dynamic Link", "voucher_type"),
        column("due_date", "Date"), *(column(name, "Currency", "currency") for name in names), column("age", "Int"),
        *(column(f"range{n + 1}", "Currency", "currency") for n in range(len(limits) + 1)),
        column("currency", "Link", "Currency"),
    ]  # fmt: skip
    return Report(columns, rows, (*names, *(f"range{n + 1}" for n in range(len(limits) + 1))))


def payable(unit: Unit, filters: Row) -> Report:
    """Nothing: this site has no purchase invoices."""
    names = ("invoiced", "paid", "outstanding")
    columns = [column("posting_date", "Date"), column("party", "Dynamic Link", "party_type"), column("voucher_no")]
    return Report([*columns, *(column(name, "Currency", "currency") for name in names)], [], names)


def sales_register(unit: Unit, filters: Row) -> Report:
    """In the company's currency. A column for each income account and for each tax that any of the rows has."""
    first, last = dates_of(filters)
    chosen = [row for row in _invoices(unit, filters) if first <= row["posting_date"] <= last]
    for name in ("customer", "customer_group"):
        if name in filters:
            chosen = [row for row in chosen if row[name] == filters[name]]
    incomes = dict.fromkeys(line["income_account"] for row in chosen for line in row["items"])
    taxes = dict.fromkeys(tax["account_head"] for row in chosen for tax in row["taxes"])
    rows = [_sold_row(row, list(incomes), list(taxes)) for row in chosen]
    sums = ["net_total", "tax_total", "grand_total", "outstanding_amount"]
    columns = [
        column("invoice", "Link", "Sales Invoice"), column("posting_date", "Date"),
        column("customer", "Link", "Customer"), column("customer_name"), column("currency", "Link", "Currency"),
        *(column(_scrub(name), "Currency", "currency", name) for name in (*incomes, *taxes)),
        *(column(name, "Currency", "currency") for name in sums),
    ]  # fmt: skip
    return Report(columns, rows, sums)


def _invoices(unit: Unit, filters: Row) -> Iterator[Row]:
    company = filters.get("company")
    if company is not None and unit.get("Company", str(company)) is None:
        raise invalid(f"Could not find Company: {company}", "LinkValidationError")
    for row in unit.rows("Sales Invoice"):
        if row["docstatus"] == 1 and company in (None, row["company"]):
            yield row


def _open_row(invoice: Row, age: int, limits: list[int]) -> Row:
    owed, whole = invoice["outstanding_amount"], invoice["rounded_total"] or invoice["grand_total"]
    place = next((n for n, limit in enumerate(limits) if age <= limit), len(limits))
    ranges = {f"range{n + 1}": owed if n == place else 0.0 for n in range(len(limits) + 1)}
    return {
        "posting_date": invoice["posting_date"], "party_type": "Customer", "party": invoice["customer"],
        "customer_name": invoice["customer_name"], "party_account": invoice["debit_to"],
        "voucher_type": "Sales Invoice", "voucher_no": invoice["name"], "due_date": invoice["due_date"],
        "invoiced": whole, "paid": money(whole - owed), "credit_note": 0.0, "outstanding": owed, "age": age, **ranges,
        "currency": invoice["party_account_currency"], "po_no": invoice["po_no"], "territory": invoice["territory"],
        "customer_group": invoice["customer_group"],
    }  # fmt: skip


def _sold_row(invoice: Row, incomes: list[str], taxes: list[str]) -> Row:
    sold = {_scrub(name): 0.0 for name in (*incomes, *taxes)}
    for line in invoice["items"]:
        sold[_scrub(line["income_account"])] += line["base_net_amount"]
    for tax in invoice["taxes"]:
        sold[_scrub(tax["account_head"])] += tax["base_tax_amount_after_discount_amount"]
    return {
        "invoice": invoice["name"], "posting_date": invoice["posting_date"], "customer": invoice["customer"],
        "customer_name": invoice["customer_name"], "customer_group": invoice["customer_group"],
        "territory": invoice["territory"], "receivable_account": invoice["debit_to"], "owner": invoice["owner"],
        "currency": invoice["currency"], **{key: money(value) for key, value in sold.items()},
        "net_total": invoice["base_net_total"], "tax_total": invoice["base_total_taxes_and_charges"],
        "grand_total": invoice["base_grand_total"], "rounded_total": invoice["base_rounded_total"],
        "outstanding_amount": invoice["outstanding_amount"],
    }  # fmt: skip


def _scrub(name: str) -> str:
    return name.replace(" ", "_").replace("-", "_").lower()
