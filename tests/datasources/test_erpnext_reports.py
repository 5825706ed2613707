"""Reports, purchases and people on ERPNext's wire: by samples of it, then against the simulator."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import httpx
import orjson
import pytest
from pydantic import SecretStr

from core import operation
from core.errors import (
    BackendBadResponse,
    BackendRateLimited,
    BackendRejected,
    BackendTimeout,
    BackendUnavailable,
)
from core.settings import ErpnextSettings
from datasources.erpnext import (
    SPECS,
    Erpnext,
    FinancialReportType,
    NewInvoiceItem,
    NewPurchaseOrder,
    ReportColumn,
)
from sandbox.faults import Fault
from sandbox.world import World
from tests.callers import WORLD
from tests.market import Books

pytest_plugins = ["tests.backends"]

CLIENT = WORLD.clients[2]
SKU = WORLD.products[0].variants[0].sku
SUPPLIER = f"Supplier of {CLIENT.code}"
REPORT, LIST = "/api/method/frappe.desk.query_report.run", "/api/method/frappe.client.get_list"
PURCHASES = "/api/resource/Purchase Order"
RECEIVABLE = FinancialReportType.ACCOUNTS_RECEIVABLE


def answering(answer: Callable[[httpx.Request], httpx.Response]) -> Erpnext:
    client = httpx.AsyncClient(base_url="http://books", transport=httpx.MockTransport(answer))
    return Erpnext(client, ErpnextSettings(api_key=SecretStr("k"), api_secret=SecretStr("s")))


def saying(body: Any, status: int = 200) -> Erpnext:
    return answering(lambda request: httpx.Response(status, json=body))


def refusal(exc_type: str, text: str) -> dict[str, Any]:
    notice = orjson.dumps({"message": text, "raise_exception": 1}).decode()
    return {"exc_type": exc_type, "exc": "secret", "_server_messages": orjson.dumps([notice]).decode()}


# -- reports: samples --------------------------------------------------------------------------------------------------


async def test_a_report_is_asked_for_by_name_and_not_to_be_prepared() -> None:
    asked: list[Any] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append((request.method, request.url.path, orjson.loads(request.content)))
        return httpx.Response(200, json={"message": {"result": [], "columns": []}})

    await answering(answer).report(RECEIVABLE, {"company": "Acme"})
    body = {"report_name": "Accounts Receivable", "filters": {"company": "Acme"}, "ignore_prepared_report": 1}
    assert asked == [("POST", REPORT, body)]


async def test_rows_are_objects_and_neither_totals_nor_spacers() -> None:
    row = {"party": "Ann Lee", "outstanding": 12.5, "age": 3}
    result = [row, {}, ["Total", 12.5, ""]]
    columns = [{"label": "Party", "fieldname": "party", "fieldtype": "Dynamic Link"}, "Voucher No:Link/Sales Invoice:9"]
    report = await saying({"message": {"result": result, "columns": columns}}).report(RECEIVABLE, {})
    assert report.rows == [row]
    assert report.columns == [
        ReportColumn("party", "Party", "Dynamic Link"),
        ReportColumn("voucher_no", "Voucher No", "Link"),
    ]


async def test_a_report_that_is_still_prepared_is_to_be_asked_for_again() -> None:
    with pytest.raises(BackendUnavailable) as caught:
        await saying({"message": {"prepared_report": True, "doc": {}}}).report(RECEIVABLE, {})
    assert caught.value.retryable
    assert caught.value.retry_after_s is not None


async def test_a_report_without_end_is_refused() -> None:
    rows = [{"n": n} for n in range(5001)]
    with pytest.raises(BackendRejected, match="5001 rows"):
        await saying({"message": {"result": rows, "columns": []}}).report(RECEIVABLE, {})


async def test_a_success_that_names_an_exception_is_a_refusal() -> None:
    with pytest.raises(BackendRejected) as caught:
        await saying(refusal("ValidationError", "<b>Company</b> is mandatory")).report(RECEIVABLE, {})
    assert (caught.value.status, caught.value.reason, str(caught.value)) == (
        200,
        "ValidationError",
        "Company is mandatory",
    )
    with pytest.raises(BackendBadResponse):
        await saying({"_server_messages": "[]"}).report(RECEIVABLE, {})


@pytest.mark.parametrize("status", [403, 417, 200])
async def test_what_the_gateway_may_not_do_tells_nothing_of_its_account(status: int) -> None:
    body = refusal("PermissionError", "User <b>gateway</b> lacks the role Accounts Manager")
    with pytest.raises(BackendRejected, match="does not allow the gateway") as caught:
        await saying(body, status).report(RECEIVABLE, {})
    assert "Accounts Manager" not in str(caught.value)


async def test_older_sites_say_by_417_that_it_was_too_fast() -> None:
    with pytest.raises(BackendRateLimited):
        await saying(refusal("RateLimitExceededError", "Too many"), 417).employees(limit=1)


async def test_a_slow_report_is_waited_for_longer_and_made_once(books: Books) -> None:
    """The usual patience is 0.4 s here. What took too long is not tried again."""
    books.line.faults.append(Fault(kind="latency", ms=600, path=REPORT, count=1))
    filters = {"company": CLIENT.company}
    assert (await books.erpnext.report(RECEIVABLE, filters)).rows
    books.line.calls.clear()
    books.line.faults.append(Fault(kind="hang", path=REPORT))
    with operation.running(operation.within(0.3)), pytest.raises(BackendTimeout):
        await books.erpnext.report(RECEIVABLE, filters)
    assert books.paths == [f"POST {REPORT}"]


async def test_no_more_than_four_reports_are_made_at_a_time() -> None:
    gate, begun = asyncio.Event(), asyncio.Semaphore(0)

    class Slow(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            begun.release()
            await gate.wait()
            return httpx.Response(200, json={"message": {"result": [], "columns": []}})

    settings = ErpnextSettings(api_key=SecretStr("k"), api_secret=SecretStr("s"))
    erpnext = Erpnext(httpx.AsyncClient(base_url="http://books", transport=Slow()), settings)
    running = [asyncio.create_task(erpnext.report(RECEIVABLE, {})) for _ in range(4)]
    for _ in running:
        await begun.acquire()
    with pytest.raises(BackendUnavailable, match="too many reports"):
        await erpnext.report(RECEIVABLE, {})
    gate.set()
    await asyncio.gather(*running)
    assert (await erpnext.report(RECEIVABLE, {})).rows == []


# -- reports: against the simulator ------------------------------------------------------------------------------------


def year_of(erpnext: Erpnext) -> dict[str, str]:
    year = erpnext.today().year
    return {"from_date": f"{year - 1}-12-31", "to_date": f"{year}-12-31"}


def filters_of(erpnext: Erpnext, type: FinancialReportType) -> dict[str, Any]:
    year = str(erpnext.today().year)
    statement = {"filter_based_on": "Fiscal Year", "from_fiscal_year": year, "to_fiscal_year": year}
    by_type: dict[FinancialReportType, dict[str, Any]] = {
        FinancialReportType.GENERAL_LEDGER: year_of(erpnext),
        FinancialReportType.STOCK_BALANCE: year_of(erpnext),
        FinancialReportType.SALES_REGISTER: year_of(erpnext),
        FinancialReportType.TRIAL_BALANCE: {"fiscal_year": year},
        FinancialReportType.ACCOUNTS_RECEIVABLE: {},
        FinancialReportType.ACCOUNTS_PAYABLE: {},
    }
    return {"company": CLIENT.company, **by_type.get(type, {**statement, "periodicity": "Quarterly"})}


@pytest.mark.parametrize("type", list(FinancialReportType))
async def test_every_report_has_columns_and_rows_by_their_keys(books: Books, type: FinancialReportType) -> None:
    assert type in SPECS
    report = await books.erpnext.report(type, filters_of(books.erpnext, type))
    assert report.type is type
    keys = {column.key for column in report.columns}
    assert len(keys) == len(report.columns)
    if type is FinancialReportType.ACCOUNTS_PAYABLE:  # nobody has sent this company an invoice
        assert report.rows == []
        return
    assert report.rows
    assert all(row.keys() & keys for row in report.rows)


async def test_the_reports_of_a_company_agree_with_one_another(books: Books) -> None:
    made = {
        each: (await books.erpnext.report(each, filters_of(books.erpnext, each))).rows for each in FinancialReportType
    }
    sold = [order for order in WORLD.invoiced if order.client is CLIENT]
    assert len(made[FinancialReportType.SALES_REGISTER]) == len(sold) + 1
    profit = made[FinancialReportType.PROFIT_AND_LOSS][-1]["total"]
    assert profit == pytest.approx(sum(row["grand_total"] for row in made[FinancialReportType.SALES_REGISTER]))
    balance = {row["account_name"]: row["total"] for row in made[FinancialReportType.BALANCE_SHEET]}
    assert balance["'Total Asset (Debit)'"] == pytest.approx(balance["'Total (Credit)'"])
    assert balance["'Provisional Profit / Loss (Credit)'"] == pytest.approx(profit)
    trial = made[FinancialReportType.TRIAL_BALANCE][-1]
    assert trial["debit"] == pytest.approx(trial["credit"])
    ledger = made[FinancialReportType.GENERAL_LEDGER][-1]
    assert ledger["debit"] == pytest.approx(trial["debit"])
    owed = sum(
        row["outstanding"] / (100 if row["currency"] == "ALL" else 1)
        for row in made[FinancialReportType.ACCOUNTS_RECEIVABLE]
    )
    debtors = sum(total for name, total in balance.items() if name.startswith("Debtors"))
    assert owed == pytest.approx(debtors)


async def test_a_report_of_a_company_that_is_not_there_is_refused(books: Books) -> None:
    with pytest.raises(BackendRejected) as caught:
        await books.erpnext.report(FinancialReportType.CASH_FLOW, {"company": "Nobody"})
    assert caught.value.status == 417


async def test_the_fiscal_year_is_the_companys_own_before_everybodys(books: Books) -> None:
    today = books.erpnext.today()
    usual = await books.erpnext.fiscal_year(CLIENT.company, today)
    assert (usual.id, usual.starts, usual.ends) == (str(today.year), date(today.year, 1, 1), date(today.year, 12, 31))
    own = {**(books.store.get("Fiscal Year", usual.id) or {}), "name": "own", "year": "own"}
    books.store.put("Fiscal Year", "own", {**own, "companies": [{"company": CLIENT.company}]})
    assert (await books.erpnext.fiscal_year(CLIENT.company, today)).id == "own"
    assert (await books.erpnext.fiscal_year(WORLD.clients[0].company, today)).id == usual.id
    with pytest.raises(BackendRejected, match="no fiscal year"):
        await books.erpnext.fiscal_year(CLIENT.company, date(1999, 1, 1))


# -- purchases ---------------------------------------------------------------------------------------------------------


def order(erpnext: Erpnext, key: str | None = "k1", **changes: Any) -> NewPurchaseOrder:
    said = {
        "supplier": SUPPLIER, "company": CLIENT.company, "schedule_date": erpnext.today() + timedelta(days=3),
        "items": [NewInvoiceItem(SKU, Decimal(2), Decimal("3.50")), NewInvoiceItem(SKU, Decimal(1), Decimal(0))],
        "warehouse": CLIENT.warehouse, "idempotency_key": key,
    }  # fmt: skip
    return NewPurchaseOrder(**{**said, **changes})


def purchases(books: Books) -> list[Any]:
    return books.store.rows("Purchase Order")[len(World(WORLD.anchor).clients) :]


async def test_a_purchase_order_is_made_and_submitted_with_its_lines(books: Books) -> None:
    made = await books.erpnext.create_purchase_order(order(books.erpnext))
    assert (made.supplier, made.status, made.grand_total) == (SUPPLIER, "To Receive and Bill", Decimal("7.0"))
    assert [(item.sku, item.quantity, item.rate, item.currency) for item in made.items] == [
        (SKU, Decimal(2), Decimal("3.5"), made.currency),
        (SKU, Decimal(1), Decimal(0), made.currency),
    ]
    [row] = purchases(books)
    assert row["docstatus"] == 1
    assert {line["warehouse"] for line in row["items"]} == {CLIENT.warehouse}


async def test_a_key_has_one_purchase_order(books: Books) -> None:
    made = await books.erpnext.create_purchase_order(order(books.erpnext))
    again = await books.erpnext.create_purchase_order(order(books.erpnext))
    assert again == made
    assert len(purchases(books)) == 1
    await books.erpnext.create_purchase_order(order(books.erpnext, "k2"))
    await books.erpnext.create_purchase_order(order(books.erpnext, None))
    assert len(purchases(books)) == 3


async def test_a_purchase_order_whose_answer_was_lost_is_found(books: Books) -> None:
    books.line.faults.append(Fault(kind="status", status=502, when="after", method="POST", path=PURCHASES))
    made = await books.erpnext.create_purchase_order(order(books.erpnext))
    assert [row["name"] for row in purchases(books)] == [made.id]
    with pytest.raises(BackendUnavailable):
        await books.erpnext.create_purchase_order(order(books.erpnext, None))


async def test_a_purchase_order_that_nobody_made_is_not_found(books: Books) -> None:
    books.line.faults.append(Fault(kind="status", status=502, when="before", method="POST", path=PURCHASES))
    with pytest.raises(BackendUnavailable):
        await books.erpnext.create_purchase_order(order(books.erpnext))
    assert purchases(books) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"supplier": "Nobody"},
        {"items": [NewInvoiceItem("NOPE", Decimal(1), Decimal(1))]},
        {"warehouse": WORLD.clients[0].warehouse},
        {"schedule_date": date(2020, 1, 1)},
    ],
)
async def test_a_purchase_order_that_makes_no_sense_is_refused(books: Books, changes: dict[str, Any]) -> None:
    with pytest.raises(BackendRejected):
        await books.erpnext.create_purchase_order(order(books.erpnext, **changes))
    assert purchases(books) == []


async def test_a_site_without_the_field_for_keys_says_which_it_lacks() -> None:
    erpnext = saying(refusal("DataError", "Field not permitted in query: custom_gateway_ref"), 417)
    with pytest.raises(BackendRejected, match="purchase orders lack the field custom_gateway_ref"):
        await erpnext.create_purchase_order(order(erpnext))


# -- people ------------------------------------------------------------------------------------------------------------


async def test_employees_are_those_of_the_companies(books: Books) -> None:
    theirs = [person for person in WORLD.people if person.role == "STAFF" and person.client is CLIENT]
    found = await books.erpnext.employees(limit=10, companies=[CLIENT.company])
    assert [row.person for row in found] == [(person.email, CLIENT.company) for person in reversed(theirs)]
    assert {row.company for row in await books.erpnext.employees(limit=100)} == {c.company for c in WORLD.clients}
    assert await books.erpnext.count_employees(companies=[CLIENT.company]) == len(theirs)
    assert await books.erpnext.count_employees() == 8
    books.line.calls.clear()
    assert await books.erpnext.employees(limit=10, companies=[]) == []
    assert await books.erpnext.count_employees(companies=[]) == 0
    assert books.paths == []


async def test_of_employees_no_more_is_read_than_is_shown(books: Books) -> None:
    asked: list[Any] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(orjson.loads(request.content))
        return httpx.Response(200, json={"message": [{"name": "HR-EMP-1", "user_id": "", "company_email": None}]})

    [row] = await answering(answer).employees(limit=1)
    assert (row.name, row.person) == ("HR-EMP-1", None)
    [body] = asked
    assert not set(body["fields"]) & {"*", "date_of_birth", "gender", "personal_email", "cell_number"}
    assert body["limit_page_length"] == 1


async def test_customers_page_beyond_the_silent_twenty(books: Books) -> None:
    assert await books.erpnext.count_customers() == len(WORLD.customers)
    first = await books.erpnext.customers(limit=30)
    rest = await books.erpnext.customers(limit=30, offset=30)
    assert [len(first), len(rest)] == [30, 10]
    assert {row.id for row in (*first, *rest)} == {person.erp_id for person in WORLD.customers}
    assert {(row.group, row.territory) for row in first} == {("Individual", "Albania")}
