"""Reports: of which company, about which time, and what may be said about them."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import orjson
import pytest

from core import operation
from core.errors import BackendTimeout, BadUserInput, NotFound
from core.operation import Operation
from core.principals import Principal
from datasources.erpnext import REPORT_S, SPECS, FinancialReportType
from resolvers.reports import financial_report
from tests.callers import SERVICE, WORLD, client, person, platform, user
from tests.market import Market

pytest_plugins = ["tests.backends"]

MANAGER = user(person("MANAGER"))
OWN, OTHER = WORLD.clients[0].company, WORLD.clients[1].company
RECEIVABLE, LEDGER = FinancialReportType.ACCOUNTS_RECEIVABLE, FinancialReportType.GENERAL_LEDGER
PROFIT, TRIAL = FinancialReportType.PROFIT_AND_LOSS, FinancialReportType.TRIAL_BALANCE


@pytest.fixture
def sent(market: Market) -> list[dict[str, Any]]:
    """The filters that reach ERPNext's reports, in order."""
    filters: list[dict[str, Any]] = []

    async def watch(request: httpx.Request) -> None:
        body = orjson.loads(request.content)
        if "report_name" in body:
            filters.append(body["filters"])

    market.books.erpnext._client.event_hooks = {"request": [watch]}
    return filters


async def ask(market: Market, principal: Principal, type: FinancialReportType = RECEIVABLE, **filters: Any) -> Any:
    return await financial_report(market.context(principal), type, filters)


async def test_the_company_is_the_callers(market: Market, sent: list[dict[str, Any]]) -> None:
    for principal, company in ((MANAGER, OWN), (client(1), OTHER)):
        report = await ask(market, principal)
        invoices = {row["name"]: row["company"] for row in market.books.store.rows("Sales Invoice")}
        assert {invoices[row["voucher_no"]] for row in report.rows} == {company}
    assert await ask(market, MANAGER, company=OWN) is not None
    assert [filters["company"] for filters in sent] == [OWN, OTHER, OWN]


@pytest.mark.parametrize("type", list(FinancialReportType))
async def test_no_report_is_of_another_company(market: Market, type: FinancialReportType) -> None:
    for company in (OTHER, "Nobody"):
        with pytest.raises(NotFound, match="there is no such company"):
            await ask(market, MANAGER, type, company=company)
    assert await ask(market, platform(server_side=False), type) is None
    assert market.books.calls == 0


async def test_who_sees_several_companies_says_which(market: Market, sent: list[dict[str, Any]]) -> None:
    for principal in (SERVICE, platform(server_side=True)):
        with pytest.raises(BadUserInput, match="company"):
            await ask(market, principal)
    third = WORLD.clients[2].company
    assert await ask(market, platform(server_side=True), company=third) is not None
    assert await ask(market, SERVICE, company=third) is not None
    assert [filters["company"] for filters in sent] == [third, third]


@pytest.mark.parametrize("type", list(FinancialReportType))
async def test_every_report_can_be_had_without_saying_anything(market: Market, type: FinancialReportType) -> None:
    report = await ask(market, MANAGER, type)
    assert report.columns
    assert datetime.now(UTC) - report.generated_at < timedelta(minutes=1)


async def test_the_time_is_this_fiscal_year_until_today(market: Market, sent: list[dict[str, Any]]) -> None:
    today = market.books.erpnext.today()
    year = str(today.year)
    for each in (LEDGER, PROFIT, TRIAL, RECEIVABLE):
        await ask(market, MANAGER, each)
    assert sent == [
        {"company": OWN, "from_date": f"{year}-01-01", "to_date": today.isoformat()},
        {
            "company": OWN, "periodicity": "Yearly", "filter_based_on": "Fiscal Year", "from_fiscal_year": year,
            "to_fiscal_year": year,
        },
        {"company": OWN, "fiscal_year": year},
        {"company": OWN, "report_date": today.isoformat()},
    ]  # fmt: skip


async def test_a_time_that_is_said_is_the_time(market: Market, sent: list[dict[str, Any]]) -> None:
    year = market.books.erpnext.today().year
    dates = {"period_start_date": f"{year}-01-01", "period_end_date": f"{year}-06-30"}
    await ask(market, MANAGER, PROFIT, **dates, periodicity="Monthly", accumulated_values=True)
    await ask(market, MANAGER, PROFIT, from_fiscal_year=str(year))
    await ask(market, MANAGER, LEDGER, to_date=f"{year}-02-01", account=None)
    assert sent == [
        {"company": OWN, **dates, "periodicity": "Monthly", "accumulated_values": 1, "filter_based_on": "Date Range"},
        {
            "company": OWN, "periodicity": "Yearly", "filter_based_on": "Fiscal Year", "from_fiscal_year": str(year),
            "to_fiscal_year": str(year),
        },
        {"company": OWN, "from_date": f"{year}-01-01", "to_date": f"{year}-02-01"},
    ]  # fmt: skip


async def test_filters_narrow_the_rows(market: Market) -> None:
    ann = person("CUSTOMER")
    register = await ask(market, MANAGER, FinancialReportType.SALES_REGISTER, customer=ann.erp_id)
    assert {row["customer"] for row in register.rows} == {ann.erp_id}
    ledger = await ask(market, MANAGER, LEDGER, party_type="Customer", party=ann.erp_id)
    assert {row["party"] for row in ledger.rows if "party" in row} == {ann.erp_id}


@pytest.mark.parametrize(
    ("type", "filters", "told"),
    [
        (RECEIVABLE, "x", "is an object"),
        (RECEIVABLE, ["company"], "is an object"),
        (RECEIVABLE, {"owner": "x"}, "takes no filter 'owner'"),
        (LEDGER, {"report_date": "2026-01-01"}, "takes no filter"),
        (RECEIVABLE, {"company": ["like", "%"]}, "company` is a text"),
        (RECEIVABLE, {"party_type": ["!=", "x"]}, "party_type` is a text"),
        (RECEIVABLE, {"party": [["in", "x"]]}, "party` is a text or a list"),
        (RECEIVABLE, {"party": []}, "party` is a text or a list"),
        (RECEIVABLE, {"party": ["x"] * 101}, "party` is a text or a list"),
        (RECEIVABLE, {"party": {"a": 1}}, "party` is a text or a list"),
        (RECEIVABLE, {"report_date": "yesterday"}, "report_date` is a date"),
        (RECEIVABLE, {"report_date": 20260101}, "report_date` is a date"),
        (RECEIVABLE, {"report_date": "0001-01-01"}, "report_date` is a date"),
        (RECEIVABLE, {"ageing_based_on": "Mood"}, "is one of Due Date"),
        (LEDGER, {"show_cancelled_entries": "yes"}, "true or false"),
        (LEDGER, {"voucher_no": ""}, "voucher_no` is a text"),
        (LEDGER, {"voucher_no": "x" * 141}, "voucher_no` is a text"),
        (LEDGER, {"from_date": "2020-01-01", "to_date": "2026-01-01"}, "more than 366"),
        (LEDGER, {"from_date": "2026-02-01", "to_date": "2026-01-01"}, "is behind"),
        (PROFIT, {"periodicity": "Hourly"}, "is one of Monthly"),
        (PROFIT, {"filter_based_on": "Date Range"}, "takes no filter"),
        (PROFIT, {"period_start_date": "2026-01-01"}, "come together"),
        (PROFIT, {"period_start_date": "2000-01-01", "period_end_date": "2026-01-01"}, "more than 1830"),
        (PROFIT, {"period_start_date": "2026-01-01", "from_fiscal_year": "2026"}, "not both"),
    ],
)
async def test_what_a_report_does_not_take_never_reaches_it(
    market: Market, type: FinancialReportType, filters: Any, told: str
) -> None:
    with pytest.raises(BadUserInput, match=re.escape(told)):
        await financial_report(market.context(MANAGER), type, filters)
    assert market.books.paths == []


def test_every_report_has_its_filters() -> None:
    assert set(SPECS) == set(FinancialReportType)
    for spec in SPECS.values():
        assert set(spec.choices) <= set(spec.filters)
        assert "company" not in spec.filters


async def test_a_report_may_take_longer_than_other_reads(market: Market) -> None:
    """Unless its caller is in a hurry."""
    ctx = market.context(MANAGER)
    operation.enter(Operation(deadline=time.monotonic() - 1))
    assert (await financial_report(ctx, RECEIVABLE, None)) is not None
    left = operation.current().remaining_s()
    assert left == 0
    ctx.timeout_s = 0.1
    with pytest.raises(BackendTimeout):
        await financial_report(ctx, RECEIVABLE, None)
    assert REPORT_S > 10
