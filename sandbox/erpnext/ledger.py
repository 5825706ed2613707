"""The general ledger: what submitted invoices and payments post to accounts, in the company's currency."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sandbox.erpnext.totals import money
from sandbox.erpnext.unit import Unit
from sandbox.store import Row

DEBIT_ROOTS = ("Asset", "Expense")
"""Kinds of account whose balance is what was debited; of the others it is what was credited."""


@dataclass(frozen=True)
class Entry:
    day: str
    account: str
    debit: float
    credit: float
    voucher_type: str
    voucher_no: str
    party_type: str | None = None
    party: str | None = None
    against: str | None = None


def entries(unit: Unit, company: str) -> list[Entry]:
    """Oldest first."""
    found = [entry for row in _posted(unit, "Sales Invoice", company) for entry in _of_invoice(row)]
    found += [entry for row in _posted(unit, "Payment Entry", company) for entry in _of_payment(row)]
    return sorted(found, key=lambda entry: (entry.day, entry.voucher_no))


def accounts(unit: Unit, company: str) -> list[Row]:
    return [row for row in unit.rows("Account") if row["company"] == company]


def balance(of: Iterable[Entry], root: str) -> float:
    """Of an account of this kind."""
    total = sum(entry.debit - entry.credit for entry in of)
    return money(total if root in DEBIT_ROOTS else -total)


def _posted(unit: Unit, doctype: str, company: str) -> Iterator[Row]:
    for row in unit.rows(doctype):
        if row["docstatus"] == 1 and row["company"] == company:
            yield row


def _of_invoice(row: Row) -> Iterator[Entry]:
    voucher = (row["doctype"], row["name"])
    whole = row["base_rounded_total"] or row["base_grand_total"]
    customer = ("Customer", row["customer"])
    yield _entry(row["posting_date"], row["debit_to"], whole, voucher, customer)
    credited: dict[str, float] = {}
    for line in row["items"]:
        credited[line["income_account"]] = credited.get(line["income_account"], 0.0) + line["base_net_amount"]
    for tax in row["taxes"]:
        account, amount = tax["account_head"], tax["base_tax_amount_after_discount_amount"]
        credited[account] = credited.get(account, 0.0) + amount
    # What rounding leaves is booked on the first of them, so that the voucher balances.
    first = next(iter(credited))
    credited[first] += whole - sum(credited.values())
    for account, amount in credited.items():
        yield _entry(row["posting_date"], account, -amount, voucher, against=row["customer"])


def _of_payment(row: Row) -> Iterator[Entry]:
    voucher = (row["doctype"], row["name"])
    party = (row["party_type"], row["party"])
    yield _entry(row["posting_date"], row["paid_to"], row["base_paid_amount"], voucher, against=row["party"])
    yield _entry(row["posting_date"], row["paid_from"], -row["base_paid_amount"], voucher, party)


def _entry(
    day: str,
    account: str,
    amount: float,
    voucher: tuple[str, str],
    party: tuple[str | None, str | None] = (None, None),
    against: str | None = None,
) -> Entry:
    """`amount` is debited; below zero, credited."""
    return Entry(day, account, money(max(amount, 0.0)), money(max(-amount, 0.0)), *voucher, *party, against)
