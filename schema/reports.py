"""Financial reports: columns and rows as the ERP makes them."""

from __future__ import annotations

from datetime import datetime

import strawberry
from strawberry.scalars import JSON

from datasources.erpnext import FinancialReportType
from resolvers import reports
from schema.directives import requires
from schema.info import Info
from schema.inputs import given

strawberry.enum(FinancialReportType, description="The reports that can be asked for.")


@strawberry.type(description="A column of a report.")
class ReportColumn:
    key: str = strawberry.field(description="What rows call it.")
    label: str = strawberry.field(description="What people read above it.")
    type: str | None = strawberry.field(description="The ERP's word for what it holds, such as `Currency` or `Date`.")


@strawberry.type(description="A report as of now. Which columns it has depends on what was asked for and on the books.")
class FinancialReport:
    type: FinancialReportType
    columns: list[ReportColumn]
    rows: list[JSON] = strawberry.field(description="Objects by the columns' keys; they may hold more.")
    generated_at: datetime


@strawberry.type
class ReportQuery:
    @strawberry.field(
        description="A report of a company's books. `filters` are called as the report itself calls them, such as "
        "`from_date` and `to_date`, or for statements `period_start_date`, `period_end_date` and `periodicity`. "
        "Without them it is about this fiscal year; `company` is needed by those who see several.",
        directives=[requires("erp:reports")],
    )
    async def financial_report(
        self, info: Info, type: FinancialReportType, filters: JSON | None = strawberry.UNSET
    ) -> FinancialReport | None:
        return await reports.financial_report(info.context, type, given(filters))
