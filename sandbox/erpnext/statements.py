"""Reports over the ledger: statements, balances, entries."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from sandbox.erpnext.errors import invalid
from sandbox.erpnext.ledger import Entry, accounts, balance, entries
from sandbox.erpnext.report_parts import Report, Span, column, company_of, dates_of, fiscal_year, one_of, spans
from sandbox.erpnext.totals import money
from sandbox.erpnext.unit import Unit
from sandbox.store import Row

Amounts = dict[str, float]
PROFIT = "Provisional Profit / Loss (Credit)"


def profit_and_loss(unit: Unit, filters: Row) -> Report:
    company, periods = company_of(unit, filters), spans(unit, filters)
    income, earned = _section(unit, company, "Income", periods, "Total Income (Credit)", _within)
    expense, spent = _section(unit, company, "Expense", periods, "Total Expense (Debit)", _within)
    profit = {key: money(earned.get(key, 0.0) - spent.get(key, 0.0)) for key in _keys(periods)}
    rows = [*income, *expense, _total_row("Profit for the year", profit, company)]
    return Report(_columns(periods), rows)


def balance_sheet(unit: Unit, filters: Row) -> Report:
    """The profit that no year's end has booked yet stands beside what is owed."""
    company, periods = company_of(unit, filters), spans(unit, filters)
    asset, owned = _section(unit, company, "Asset", periods, "Total Asset (Debit)", _until)
    liability, owed = _section(unit, company, "Liability", periods, "Total Liability (Credit)", _until)
    profit = {key: money(owned.get(key, 0.0) - owed.get(key, 0.0)) for key in _keys(periods)}
    total = {key: money(owed.get(key, 0.0) + profit[key]) for key in profit}
    rows = [*asset, *liability, _total_row(PROFIT, profit, company), _total_row("Total (Credit)", total, company)]
    return Report(_columns(periods), rows)


def cash_flow(unit: Unit, filters: Row) -> Report:
    company, periods = company_of(unit, filters), spans(unit, filters)
    _, earned = _section(unit, company, "Income", periods, "", _within)
    _, spent = _section(unit, company, "Expense", periods, "", _within)
    owing = _changes(unit, company, periods, "Receivable")
    keys = _keys(periods)
    profit = {key: money(earned.get(key, 0.0) - spent.get(key, 0.0)) for key in keys}
    operations = {key: money(profit[key] - owing[key]) for key in keys}
    home = company["default_currency"]
    sections: tuple[tuple[str, str | None, Amounts, int], ...] = (
        ("Cash Flow from Operations", None, {}, 0),
        ("Profit for the year", "Cash Flow from Operations", profit, 1),
        ("Net Change in Accounts Receivable", "Cash Flow from Operations", {k: -v for k, v in owing.items()}, 1),
        ("'Net Cash from Operations'", None, operations, 0),
        ("'Net Change in Cash'", None, operations, 0),
    )
    rows = [
        {"section": name, "parent_section": parent, "indent": indent, "currency": home, **amounts}
        for name, parent, amounts, indent in sections
    ]
    return Report([column("section"), *_columns(periods)[1:]], rows)


def trial_balance(unit: Unit, filters: Row) -> Report:
    company = company_of(unit, filters)
    year = fiscal_year(unit, filters.get("fiscal_year"))
    first = filters.get("from_date") or year["year_start_date"]
    last = filters.get("to_date") or year["year_end_date"]
    if not year["year_start_date"] <= first <= last <= year["year_end_date"]:
        raise invalid(f"From Date and To Date must be within the Fiscal Year {year['name']}")
    posted = entries(unit, company["name"])
    rows = []
    for account in accounts(unit, company["name"]):
        own = [entry for entry in posted if entry.account == account["name"] and entry.day <= last]
        before = [entry for entry in own if entry.day < first]
        if not own and not filters.get("show_zero_values"):
            continue
        rows.append(_balances(account, company, before, [entry for entry in own if entry.day >= first]))
    names = ("opening_debit", "opening_credit", "debit", "credit", "closing_debit", "closing_credit")
    if rows:
        total = {name: money(sum(row[name] for row in rows)) for name in names}
        rows += [{}, {"account": "'Total'", "account_name": "'Total'", "indent": 0, **total}]
    return Report(
        [column("account", "Link", "Account"), *(column(name, "Currency", "currency") for name in names)], rows
    )


def general_ledger(unit: Unit, filters: Row) -> Report:
    company = company_of(unit, filters)
    first, last = dates_of(filters)
    wanted = [entry for entry in entries(unit, company["name"]) if entry.day <= last and _is_wanted(entry, filters)]
    home = company["default_currency"]
    opening = sum(entry.debit - entry.credit for entry in wanted if entry.day < first)
    within = [entry for entry in wanted if entry.day >= first]
    rows, running = [_ledger_total("'Opening'", [], opening)], opening
    for entry in within:
        running += entry.debit - entry.credit
        rows.append(
            {
                "posting_date": entry.day, "account": entry.account, "debit": entry.debit, "credit": entry.credit,
                "balance": money(running), "voucher_type": entry.voucher_type, "voucher_no": entry.voucher_no,
                "party_type": entry.party_type, "party": entry.party, "against": entry.against,
                "account_currency": home,
            }
        )  # fmt: skip
    rows += [_ledger_total("'Total'", within, 0.0), _ledger_total("'Closing (Opening + Total)'", within, opening)]
    amounts = [column(name, "Currency", label=f"{name.title()} ({home})") for name in ("debit", "credit", "balance")]
    names = ("voucher_type", "voucher_no", "against", "party_type", "party")
    columns = [column("posting_date", "Date"), column("account", "Link", "Account"), *amounts, *map(column, names)]
    return Report(columns, rows)


def _is_wanted(entry: Entry, filters: Row) -> bool:
    asked = {name: filters[name] for name in ("account", "party_type", "party", "voucher_no") if name in filters}
    return all(getattr(entry, name) in one_of(value) for name, value in asked.items())


def _ledger_total(name: str, of: Sequence[Entry], opening: float) -> Row:
    debit = money(sum(entry.debit for entry in of) + _above(opening))
    credit = money(sum(entry.credit for entry in of) + _above(-opening))
    return {"account": name, "debit": debit, "credit": credit, "balance": money(debit - credit)}


def _balances(account: Row, company: Row, before: Iterable[Entry], during: Sequence[Entry]) -> Row:
    opening = balance(before, "Asset")
    debit, credit = (money(sum(getattr(entry, side) for entry in during)) for side in ("debit", "credit"))
    closing = money(opening + debit - credit)
    return {
        "account": account["name"], "account_name": account["account_name"], "parent_account": None, "indent": 0,
        "currency": company["default_currency"], "debit": debit, "credit": credit, "has_value": True,
        "opening_debit": _above(opening), "opening_credit": _above(-opening), "closing_debit": _above(closing),
        "closing_credit": _above(-closing),
    }  # fmt: skip


def _above(amount: float) -> float:
    return amount if amount > 0 else 0.0


# -- statements --------------------------------------------------------------------------------------------------------


Chosen = Callable[[Entry, Span], bool]


def _within(entry: Entry, span: Span) -> bool:
    return span.first <= entry.day <= span.last


def _until(entry: Entry, span: Span) -> bool:
    return entry.day <= span.last


def _keys(periods: Sequence[Span]) -> list[str]:
    return [*(span.key for span in periods), "total"]


def _columns(periods: Sequence[Span]) -> list[Row]:
    amounts = [column(span.key, "Currency", "currency", span.label) for span in periods]
    total = [column("total", "Currency", "currency")] if len(periods) > 1 else []
    return [column("account", "Link", "Account"), column("currency", "Link", "Currency"), *amounts, *total]


def _section(
    unit: Unit, company: Row, root: str, periods: Sequence[Span], title: str, chosen: Chosen
) -> tuple[list[Row], Amounts]:
    """A section's rows, then a row of its totals and a spacer; and the totals."""
    posted, rows = entries(unit, company["name"]), []
    totals: Amounts = dict.fromkeys(_keys(periods), 0.0)
    for account in accounts(unit, company["name"]):
        own = [entry for entry in posted if entry.account == account["name"]]
        if account["root_type"] != root or not own:
            continue
        amounts = _amounts(own, root, periods, chosen)
        for key, amount in amounts.items():
            totals[key] = money(totals[key] + amount)
        rows.append(
            {
                "account": account["name"], "account_name": account["account_name"], "parent_account": None,
                "indent": 1.0, "currency": company["default_currency"], "has_value": True, **amounts,
            }
        )  # fmt: skip
    return ([*rows, _total_row(title, totals, company), {}] if rows else []), totals


def _amounts(own: Sequence[Entry], root: str, periods: Sequence[Span], chosen: Chosen) -> Amounts:
    amounts = {span.key: balance((entry for entry in own if chosen(entry, span)), root) for span in periods}
    is_running = chosen is _until
    return amounts | {"total": amounts[periods[-1].key] if is_running else money(sum(amounts.values()))}


def _changes(unit: Unit, company: Row, periods: Sequence[Span], kind: str) -> Amounts:
    names = {row["name"] for row in accounts(unit, company["name"]) if row["account_type"] == kind}
    own = [entry for entry in entries(unit, company["name"]) if entry.account in names]
    return _amounts(own, "Asset", periods, _within)


def _total_row(title: str, amounts: Amounts, company: Row) -> Row:
    return {"account_name": f"'{title}'", "account": f"'{title}'", "currency": company["default_currency"], **amounts}
