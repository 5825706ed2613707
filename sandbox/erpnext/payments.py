"""Payment entries: money received, what it is for, and what is left to pay by it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.erpnext.errors import NotSupported, invalid, not_found
from sandbox.erpnext.invoices import owe
from sandbox.erpnext.rules import Rules, check_company, default_company
from sandbox.erpnext.totals import exchange_rate, money, to_pay
from sandbox.erpnext.unit import Unit
from sandbox.store import Row

PAID_FOR = "Sales Invoice"


class PaymentEntryRules(Rules):
    def fill(self, unit: Unit, doc: Row) -> None:
        company = unit.get("Company", doc["company"]) if doc["company"] else default_company(unit)
        doc["company"] = doc["company"] or (company and company["name"])
        doc["posting_date"] = doc["posting_date"] or unit.today
        if doc["party_type"] == "Customer":
            party = unit.get("Customer", doc["party"] or "")
            doc["party_name"] = party["customer_name"] if party else None
            doc["title"] = doc["party_name"]
        for side, rate in (("paid_from", "source_exchange_rate"), ("paid_to", "target_exchange_rate")):
            account = unit.get("Account", doc[side] or "")
            if account is None or company is None:
                continue
            currency = doc[f"{side}_account_currency"] = account["account_currency"]
            doc[rate] = doc[rate] or exchange_rate(unit, currency, company["default_currency"])
        for reference in doc["references"]:
            if reference["reference_doctype"] not in (None, PAID_FOR):
                raise NotSupported(f"payments for {reference['reference_doctype']}")
            invoice = unit.get(PAID_FOR, reference["reference_name"] or "")
            if invoice is not None:
                reference["total_amount"] = to_pay(invoice, invoice["party_account_currency"])
                reference["outstanding_amount"] = invoice["outstanding_amount"]
                reference["due_date"] = invoice["due_date"]
                reference["exchange_rate"] = invoice["conversion_rate"]
                reference["account"] = invoice["debit_to"]

    def settle(self, unit: Unit, doc: Row) -> None:
        accounts = [unit.known("Account", doc[side]) for side in ("paid_from", "paid_to")]
        for account in accounts:
            check_company(unit, "Account", account["name"], doc["company"])
        if doc["paid_amount"] <= 0 or doc["received_amount"] <= 0:
            raise invalid("Paid Amount and Received Amount must be greater than zero")
        if doc["payment_type"] != "Internal Transfer" and not (doc["party_type"] and doc["party"]):
            raise invalid("Party Type and Party are mandatory")
        if any(account["account_type"] == "Bank" for account in accounts) and not (
            doc["reference_no"] and doc["reference_date"]
        ):
            raise invalid("Reference No and Reference Date is mandatory for Bank transaction")
        for number, reference in enumerate(doc["references"], 1):
            self.check_reference(unit, doc, number, reference)
        self.compute(doc)
        doc["status"] = "Draft"

    def check_reference(self, unit: Unit, doc: Row, number: int, reference: Row) -> None:
        invoice = unit.known(PAID_FOR, reference["reference_name"])
        name, account = invoice["name"], doc["paid_from" if doc["payment_type"] == "Receive" else "paid_to"]
        if invoice["docstatus"] != 1:
            raise invalid(f"{PAID_FOR} {name} must be submitted")
        if invoice["customer"] != doc["party"]:
            raise invalid(f"{PAID_FOR} {name} is not associated with {doc['party_type']} {doc['party']}")
        if invoice["debit_to"] != account:
            raise invalid(f"{PAID_FOR} {name} is associated with {invoice['debit_to']}, but Party Account is {account}")
        wanted, open_amount = reference["allocated_amount"], invoice["outstanding_amount"]
        wanted += sum(
            one["allocated_amount"] for one in doc["references"][: number - 1] if one["reference_name"] == name
        )
        if abs(wanted) > abs(open_amount) or wanted * open_amount < 0:
            raise invalid(f"Row #{number}: Allocated Amount cannot be greater than outstanding amount.")

    def compute(self, doc: Row) -> None:
        allocated = abs(sum(reference["allocated_amount"] for reference in doc["references"]))
        receives = doc["payment_type"] == "Receive"
        amount = doc["paid_amount"] if receives else doc["received_amount"]
        rate = doc["source_exchange_rate"] if receives else doc["target_exchange_rate"]
        if money(allocated) > money(amount):
            raise invalid("Total Allocated Amount cannot be greater than the amount paid")
        doc["base_paid_amount"] = money(doc["paid_amount"] * doc["source_exchange_rate"])
        doc["base_received_amount"] = money(doc["received_amount"] * doc["target_exchange_rate"])
        doc["total_allocated_amount"], doc["unallocated_amount"] = money(allocated), money(amount - allocated)
        doc["base_total_allocated_amount"] = money(allocated * rate)
        doc["difference_amount"] = money(doc["base_paid_amount"] - doc["base_received_amount"])

    def before_submit(self, unit: Unit, doc: Row) -> None:
        if doc["difference_amount"]:
            raise invalid("Difference Amount must be zero")

    def on_submit(self, unit: Unit, doc: Row) -> None:
        doc["status"] = "Submitted"
        for reference in doc["references"]:
            owe(unit, reference["reference_name"], -reference["allocated_amount"])

    def on_cancel(self, unit: Unit, doc: Row) -> None:
        doc["status"] = "Cancelled"
        for reference in doc["references"]:
            owe(unit, reference["reference_name"], reference["allocated_amount"])


def payment_for(unit: Unit, args: Mapping[str, Any]) -> Row:
    """An unsaved payment entry for a submitted invoice (`dt`, `dn`), of `party_amount` or all that is outstanding."""
    if args.get("dt") != PAID_FOR:
        raise NotSupported(f"payments for {args.get('dt')}")
    invoice = unit.get(PAID_FOR, str(args.get("dn")))
    if invoice is None:
        raise not_found(PAID_FOR, str(args.get("dn")))
    open_amount, currency = invoice["outstanding_amount"], invoice["party_account_currency"]
    if invoice["docstatus"] != 1 or not open_amount:
        raise invalid("Can only make payment against unbilled or outstanding Sales Invoice")
    amount = float(args.get("party_amount") or abs(open_amount))
    bank = str(args.get("bank_account") or _bank(unit, invoice["company"], currency))
    account = unit.get("Account", bank)
    if account is None:
        raise not_found("Account", bank)
    home = unit.known("Company", invoice["company"])["default_currency"]
    other = account["account_currency"]
    at_bank = money(amount * exchange_rate(unit, currency, home) / exchange_rate(unit, other, home))
    mine, theirs = ("paid_to", "paid_from") if open_amount > 0 else ("paid_from", "paid_to")
    reference = {
        "reference_doctype": PAID_FOR, "reference_name": invoice["name"], "due_date": invoice["due_date"],
        "total_amount": to_pay(invoice, currency), "outstanding_amount": open_amount,
        "allocated_amount": min(amount, abs(open_amount)) * (1 if open_amount > 0 else -1),
        "exchange_rate": invoice["conversion_rate"], "account": invoice["debit_to"], "idx": 1, "docstatus": 0,
        "doctype": "Payment Entry Reference", "parentfield": "references", "parenttype": "Payment Entry",
        "__islocal": 1, "__unsaved": 1,
    }  # fmt: skip
    return {
        "doctype": "Payment Entry", "docstatus": 0, "payment_type": "Receive" if open_amount > 0 else "Pay",
        "naming_series": "ACC-PAY-.YYYY.-", "company": invoice["company"], "posting_date": unit.today,
        "reference_date": args.get("reference_date"), "party_type": "Customer", "party": invoice["customer"],
        "party_name": invoice["customer_name"], mine: bank, theirs: invoice["debit_to"],
        f"{mine}_account_currency": other, f"{theirs}_account_currency": currency,
        "paid_amount": amount if theirs == "paid_from" else at_bank,
        "received_amount": at_bank if theirs == "paid_from" else amount,
        "source_exchange_rate": exchange_rate(unit, currency if theirs == "paid_from" else other, home),
        "target_exchange_rate": exchange_rate(unit, other if theirs == "paid_from" else currency, home),
        "references": [reference], "taxes": [], "deductions": [], "__islocal": 1, "__unsaved": 1,
    }  # fmt: skip


def _bank(unit: Unit, company: str, currency: str) -> str:
    """The company's bank account in a currency, else its usual one."""
    for row in unit.rows("Account"):
        if (row["company"], row["account_type"], row["account_currency"]) == (company, "Bank", currency):
            return str(row["name"])
    return str(unit.known("Company", company)["default_bank_account"])
