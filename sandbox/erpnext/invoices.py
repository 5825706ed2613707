"""Sales invoices: who owes what until when, credit notes, and the status that follows from them."""

from __future__ import annotations

from sandbox.erpnext.errors import invalid
from sandbox.erpnext.rules import check_company
from sandbox.erpnext.totals import money, to_pay
from sandbox.erpnext.trading import SellingRules
from sandbox.erpnext.unit import Unit
from sandbox.store import Row

SERIES_OF_RETURNS = "ACC-SINV-RET-.YYYY.-"


class SalesInvoiceRules(SellingRules):
    date_field = "posting_date"

    def series(self, doc: Row, usual: str) -> str:
        return SERIES_OF_RETURNS if doc["is_return"] else usual

    def fill(self, unit: Unit, doc: Row) -> None:
        if not doc["set_posting_time"] or not doc["posting_date"]:
            doc["posting_date"] = unit.today
        doc["posting_time"] = doc["posting_time"] or f"{unit.now:%H:%M:%S.%f}"
        doc["due_date"] = doc["due_date"] or doc["posting_date"]
        super().fill(unit, doc)
        doc["title"] = doc["title"] or doc["customer_name"]
        doc["debit_to"] = doc["debit_to"] or _receivable(unit, doc["company"], doc["currency"])
        account = unit.get("Account", doc["debit_to"] or "")
        doc["party_account_currency"] = account["account_currency"] if account else doc["currency"]

    def fill_line(self, unit: Unit, doc: Row, line: Row, company: Row) -> None:
        super().fill_line(unit, doc, line, company)
        line["income_account"] = line["income_account"] or company["default_income_account"]

    def settle(self, unit: Unit, doc: Row) -> None:
        company = unit.known("Company", doc["company"])
        check_company(unit, "Account", doc["debit_to"], doc["company"])
        if doc["party_account_currency"] not in (doc["currency"], company["default_currency"]):
            text = f"Party Account {doc['debit_to']} currency ({doc['party_account_currency']}) and document currency"
            raise invalid(f"{text} ({doc['currency']}) should be same", "InvalidCurrency")
        if doc["due_date"] < doc["posting_date"]:
            raise invalid("Due Date cannot be before Posting Date")
        for number, line in enumerate(doc["items"], 1):
            if unit.known("Item", line["item_code"])["disabled"]:
                raise invalid(f"Row #{number}: Item {line['item_code']} is disabled")
            if not line["qty"]:
                raise invalid(f"Row #{number}: Quantity for Item {line['item_code']} cannot be zero.")
        if doc["is_return"]:
            self.check_return(unit, doc)
        elif any(line["qty"] < 0 for line in doc["items"]):
            raise invalid("Quantity cannot be negative in an invoice that is not a return")
        super().settle(unit, doc)
        doc["outstanding_amount"] = to_pay(doc, doc["party_account_currency"])
        doc["status"] = "Draft"

    def check_return(self, unit: Unit, doc: Row) -> None:
        if not any(line["qty"] < 0 for line in doc["items"]):
            raise invalid("At least one item should be entered with negative quantity in return document")
        if not doc["return_against"]:
            return
        original = unit.known("Sales Invoice", doc["return_against"])
        if original["docstatus"] != 1:
            raise invalid(f"Return Against Sales Invoice {original['name']} must be submitted")
        if (original["customer"], original["company"]) != (doc["customer"], doc["company"]):
            raise invalid(f"Customer and company must be those of {original['name']}")
        returned = sum(
            -row["grand_total"] for row in unit.rows("Sales Invoice")
            if row.get("return_against") == original["name"] and row["docstatus"] == 1
        )  # fmt: skip
        asked = -sum(line["qty"] for line in doc["items"])
        if asked > original["total_qty"] or returned >= original["grand_total"]:
            raise invalid(f"Cannot return more than was sold with {original['name']}", "StockOverReturnError")

    def on_submit(self, unit: Unit, doc: Row) -> None:
        if doc["update_stock"]:
            self.move_stock(unit, doc, "actual_qty", -1)
        amount = to_pay(doc, doc["party_account_currency"])
        doc["outstanding_amount"] = amount
        original = unit.get("Sales Invoice", doc["return_against"] or "")
        if original is not None and original["outstanding_amount"] < -amount:
            doc["update_outstanding_for_self"] = 1
        if original is not None and not doc["update_outstanding_for_self"]:
            doc["outstanding_amount"] = 0.0
            owe(unit, original["name"], amount)
        doc["status"] = _status(unit, doc)

    def on_cancel(self, unit: Unit, doc: Row) -> None:
        if doc["update_stock"]:
            self.move_stock(unit, doc, "actual_qty", 1)
        if doc["return_against"] and not doc["update_outstanding_for_self"]:
            owe(unit, doc["return_against"], -to_pay(doc, doc["party_account_currency"]))
        doc["outstanding_amount"] = 0.0
        doc["status"] = _status(unit, doc)

    def schedule(self, doc: Row, due_date: str) -> None:
        super().schedule(doc, doc["due_date"])


def owe(unit: Unit, name: str, amount: float) -> None:
    """Add to what is outstanding of a submitted invoice (a payment: negative) and let its status follow."""
    doc = unit.edit("Sales Invoice", name)
    doc["outstanding_amount"] = money(doc["outstanding_amount"] + amount)
    doc["modified"] = unit.stamp
    for due in doc["payment_schedule"]:
        due["outstanding"] = doc["outstanding_amount"]
        due["paid_amount"] = money(due["payment_amount"] - due["outstanding"])
        due["base_outstanding"] = money(due["outstanding"] * doc["conversion_rate"])
        due["base_paid_amount"] = money(due["paid_amount"] * doc["conversion_rate"])
    doc["status"] = _status(unit, doc)


def mark_overdue(unit: Unit) -> None:
    """The daily job: statuses that changed because a day has passed."""
    for row in unit.rows("Sales Invoice"):
        if row["docstatus"] == 1 and row["status"] in ("Unpaid", "Partly Paid") and _status(unit, row) != row["status"]:
            unit.edit("Sales Invoice", row["name"])["status"] = "Overdue"


def _status(unit: Unit, doc: Row) -> str:
    if doc["docstatus"] != 1:
        return ("Draft", "", "Cancelled")[doc["docstatus"]]
    outstanding, total = doc["outstanding_amount"], to_pay(doc, doc["party_account_currency"])
    if outstanding > 0 and doc["due_date"] < unit.today:
        return "Overdue"
    if outstanding > 0:
        return "Partly Paid" if outstanding < total else "Unpaid"
    if doc["is_return"]:
        return "Return"
    returns = (row for row in unit.rows("Sales Invoice") if row.get("return_against") == doc["name"])
    return "Credit Note Issued" if any(row["docstatus"] == 1 for row in returns) else "Paid"


def _receivable(unit: Unit, company: str | None, currency: str | None) -> str | None:
    """The company's receivable account in a currency, else its usual one."""
    for row in unit.rows("Account"):
        if (row["company"], row["account_type"], row["account_currency"]) == (company, "Receivable", currency):
            return str(row["name"])
    known = unit.get("Company", company or "")
    return str(known["default_receivable_account"]) if known else None
