"""Reports of the ERPNext simulator: as faithful in what they refuse and let pass as in what they say."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from sandbox import erpnext
from sandbox.keys import ERPNEXT_API_KEY, ERPNEXT_API_SECRET
from sandbox.store import Store
from sandbox.world import World

COMPANY = World(datetime.now(UTC)).clients[2].company
LEDGER = {"company": COMPANY, "from_date": "2000-01-01", "to_date": "2999-12-31"}


@pytest.fixture
async def site() -> AsyncIterator[httpx.AsyncClient]:
    store = Store(None)
    store.seed(erpnext.seed)
    headers = {"authorization": f"token {ERPNEXT_API_KEY}:{ERPNEXT_API_SECRET}"}
    transport = httpx.ASGITransport(app=erpnext.create_app(store))
    async with httpx.AsyncClient(transport=transport, base_url="http://site", headers=headers) as client:
        yield client


async def run(site: httpx.AsyncClient, name: str, filters: Any, **more: Any) -> httpx.Response:
    asked = {"report_name": name, "filters": filters, "ignore_prepared_report": 1, **more}
    return await site.post("/api/method/frappe.desk.query_report.run", json=asked)


async def test_the_total_row_is_a_list_of_values(site: httpx.AsyncClient) -> None:
    message = (await run(site, "Accounts Receivable", {"company": COMPANY})).json()["message"]
    *rows, total = message["result"]
    keys = [column["fieldname"] for column in message["columns"]]
    assert message["add_total_row"] is True
    assert all(isinstance(row, dict) for row in rows)
    assert total[0] == "Total"
    assert total[keys.index("outstanding")] == pytest.approx(sum(row["outstanding"] for row in rows))
    assert sum(row[f"range{n}"] for row in rows for n in range(1, 6)) == pytest.approx(
        sum(row["outstanding"] for row in rows)
    )


async def test_statements_have_spacers_and_a_column_for_each_period(site: httpx.AsyncClient) -> None:
    dates = {"filter_based_on": "Date Range", "period_start_date": "2026-01-15", "period_end_date": "2026-03-10"}
    asked = {"company": COMPANY, "periodicity": "Monthly", **dates}
    message = (await run(site, "Profit and Loss Statement", asked)).json()["message"]
    keys = [column["fieldname"] for column in message["columns"]]
    assert keys == ["account", "currency", "jan_2026", "feb_2026", "mar_2026", "total"]


async def test_without_a_company_some_are_of_everybody(site: httpx.AsyncClient) -> None:
    """Why the gateway never leaves it out."""
    everybody = (await run(site, "Accounts Receivable", {})).json()["message"]["result"]
    own = (await run(site, "Accounts Receivable", {"company": COMPANY})).json()["message"]["result"]
    assert len(everybody) > len(own)


async def test_what_takes_long_is_prepared_unless_the_caller_insists(site: httpx.AsyncClient) -> None:
    message = (await run(site, "General Ledger", LEDGER, ignore_prepared_report=0)).json()["message"]
    assert message == {"prepared_report": True, "doc": {}}
    assert (await run(site, "General Ledger", LEDGER)).json()["message"]["result"]


@pytest.mark.parametrize(
    ("name", "filters", "status", "reason"),
    [
        ("Nope", {}, 404, "DoesNotExistError"),
        ("General Ledger", {"company": COMPANY}, 417, "ValidationError"),
        ("General Ledger", {**LEDGER, "company": "Nobody"}, 417, "ValidationError"),
        ("General Ledger", {**LEDGER, "to_date": "1999-01-01"}, 417, "ValidationError"),
        ("Trial Balance", {"company": COMPANY}, 417, "FiscalYearError"),
        ("Trial Balance", {**LEDGER, "fiscal_year": str(datetime.now(UTC).year)}, 417, "ValidationError"),
        ("Balance Sheet", {"company": COMPANY}, 417, "ValidationError"),
        ("Sales Register", {"company": COMPANY, "from_date": "2026-01-01"}, 417, "ValidationError"),
        ("Sales Register", {**LEDGER, "brand": "x"}, 501, "NotImplementedError"),
        ("Accounts Receivable", "[nope", 500, "JSONDecodeError"),
        ("Accounts Receivable", ["x"], 500, "TypeError"),
    ],
)
async def test_what_a_report_cannot_say(
    site: httpx.AsyncClient, name: str, filters: Any, status: int, reason: str
) -> None:
    answer = await run(site, name, filters)
    assert (answer.status_code, answer.json()["exc_type"]) == (status, reason)


async def test_nothing_is_reported_to_a_guest(site: httpx.AsyncClient) -> None:
    del site.headers["authorization"]
    assert (await run(site, "General Ledger", LEDGER)).status_code == 403


async def test_a_purchase_is_not_due_before_it_is_ordered(site: httpx.AsyncClient) -> None:
    items = [{"item_code": "SKU-001-1", "qty": 1, "rate": 2, "schedule_date": "2020-01-01"}]
    said = {"supplier": "Supplier of DKTR01", "company": COMPANY, "schedule_date": "2020-01-01", "items": items}
    answer = await site.post("/api/resource/Purchase Order", json=said)
    assert answer.status_code == 417
    assert "Reqd by Date cannot be before Transaction Date" in answer.text
