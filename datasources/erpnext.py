"""ERPNext: sales invoices, what is paid of them, stock, purchases, people and reports, over Frappe's REST API.

Lists are read by POST, for their filters do not fit into a request line, always with a length, for Frappe would cut
them at 20, and always with columns, for it would give names alone. Dates and times on this wire carry no zone: they
are the site's own. Validation is 417; a 404 may mean that something a new document refers to is missing.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, ClassVar, Self, TypeVar
from urllib.parse import quote
from zoneinfo import ZoneInfo

import httpx
import msgspec
from msgspec.structs import force_setattr, replace

from core.backends import BackendName
from core.errors import BackendBadResponse, BackendError, BackendRateLimited, BackendRejected, BackendUnavailable
from core.person import Person
from core.settings import ErpnextSettings
from datasources._erpnext_records import (
    CANCELLED,
    REISSUE,
    AccountRecord,
    Document,
    DocumentState,
    EmployeeRecord,
    ErpCustomerRecord,
    ErrorBody,
    InvoiceItemRecord,
    InvoiceKey,
    InvoiceRecord,
    InvoiceSelection,
    Message,
    Named,
    NewInvoice,
    NewInvoiceItem,
    NewPurchaseOrder,
    PaymentEntryRecord,
    PurchaseOrderRecord,
    ReferredCustomer,
    StockLevelRecord,
    columns_of,
    invoice_record,
)
from datasources._erpnext_reports import (
    SPECS,
    FinancialReportType,
    FiscalYear,
    Kind,
    Period,
    ReportAnswer,
    ReportColumn,
    ReportRecord,
    ReportSpec,
)
from datasources._http import Answer, HttpBackend, Limits, NotAdmitted, open_client, plain

__all__ = [
    "MAX_KEYS",
    "REPORT_S",
    "SPECS",
    "EmployeeRecord",
    "ErpCustomerRecord",
    "Erpnext",
    "FinancialReportType",
    "FiscalYear",
    "InvoiceItemRecord",
    "InvoiceKey",
    "InvoiceRecord",
    "InvoiceSelection",
    "Kind",
    "NewInvoice",
    "NewInvoiceItem",
    "NewPurchaseOrder",
    "PaymentEntryRecord",
    "Period",
    "PurchaseOrderRecord",
    "ReportColumn",
    "ReportRecord",
    "ReportSpec",
    "StockLevelRecord",
]

T = TypeVar("T")
R = TypeVar("R", bound=msgspec.Struct)
Row = TypeVar("Row", InvoiceRecord, PaymentEntryRecord)
Filters = list[list[Any]]

MAX_KEYS = 500
"""Of one list."""
ISSUES = 5
"""Invoices that an order can have one after the other, all but the last cancelled."""
ALL = 0
"""As a list's length."""
SUBMITTED = 1
REPORT_S = 30.0
"""What a report may take: it reads books rather than rows."""
REPORTS_AT_ONCE = 4
"""Each of them keeps one of the site's few workers busy."""
REPORT_ROWS = 5000
"""At most; reports have no pages."""

INVOICE, INVOICE_ITEM, PAYMENT = "Sales Invoice", "Sales Invoice Item", "Payment Entry"
PURCHASE = "Purchase Order"
GATEWAY_REFERENCE = "custom_gateway_ref"
"""Unique on the site: what the gateway finds again by it what it has made."""
CUSTOMER_REFERENCE = "custom_commerce_customer_id"
"""Unique on the site. Others keep the shop's customer there, the gateway its own user."""
PO_NO = "po_no"
"""The customer's order number: where the order's id goes on a site without the custom field."""
_LIST, _COUNT = "/api/method/frappe.client.get_list", "/api/method/frappe.client.get_count"
_REPORT = "/api/method/frappe.desk.query_report.run"
_DRAFT_PAYMENT = "/api/method/erpnext.accounts.doctype.payment_entry.payment_entry.get_payment_entry"
_ITEM_COLUMNS = [column for column in columns_of(InvoiceItemRecord) if column != "currency"]
_NEWEST_FIRST = "posting_date desc, creation desc, name desc"
_LAST_MADE_FIRST = "creation desc, name desc"

_TAKEN = frozenset({"UniqueValidationError", "DuplicateEntryError"})
_TOO_FAST = frozenset({"TooManyRequestsError", "RateLimitExceededError"})
"""A 429 by now, and a 417 in older versions."""
_PASSING = frozenset({"QueryDeadlockError", "QueryTimeoutError", "OperationalError", "InternalError"})
"""Of the exceptions that end in a 500, those that may not return: the database's."""
_ADDRESSES = re.compile(r"https?://\S+|[\w.+-]+@[\w-]+\.[\w.-]+")
_LONGEST_MESSAGE = 500
_LONGEST_DATA = 140
"""Characters of a field of type Data."""


class Erpnext(HttpBackend):
    """The books. Every method raises BackendError."""

    name: ClassVar[BackendName] = BackendName.ERPNEXT
    ids_hold_slashes: ClassVar[bool] = True

    def __init__(self, client: httpx.AsyncClient, settings: ErpnextSettings, limits: Limits | None = None) -> None:
        super().__init__(client, limits or Limits(timeout_s=settings.timeout_s))
        if settings.api_key and settings.api_secret:
            key, secret = settings.api_key.get_secret_value(), settings.api_secret.get_secret_value()
            client.headers["Authorization"] = f"token {key}:{secret}"
        self.default_company = settings.company
        """Who invoices where nobody says otherwise."""
        self._zone = ZoneInfo(settings.timezone)
        self._order_field = settings.order_field
        self._invoice = invoice_record(settings.order_field)
        self._charges_accounts: dict[str, str] = {}
        self._reports_under_way = 0

    @classmethod
    def open(cls, settings: ErpnextSettings) -> Self:
        """Raises ValueError without key and secret."""
        if settings.api_key is None or settings.api_secret is None:
            raise ValueError("ERPNEXT_API_KEY and ERPNEXT_API_SECRET are needed")
        return cls(open_client(str(settings.url), {}), settings)

    async def ping(self) -> None:
        """`GET /api/method/frappe.auth.get_logged_user`"""
        await self.read("GET", "/api/method/frappe.auth.get_logged_user", Message[str])

    # -- reading invoices --------------------------------------------------------------------------------------

    async def invoices(self, selection: InvoiceSelection, *, limit: int, offset: int = 0) -> list[InvoiceRecord]:
        """Newest first, drafts and cancelled ones among them. `POST get_list`"""
        if selection.is_empty:
            return []
        keys = max(len(selection.order_ids or ()), len(selection.customer_ids or ())) or None
        return await self._invoices(
            lambda: self._filters(selection),
            or_filters=self._not_overdue() if selection.overdue is False else None,
            limit=limit,
            offset=offset,
            batch_size=keys,
        )

    async def count_invoices(self, selection: InvoiceSelection) -> int:
        """How many there are. `POST get_count`, which knows no alternatives: twice for those that are not overdue."""
        if selection.is_empty:
            return 0
        found = await self._with_order_field(lambda: self._count(INVOICE, self._filters(selection)))
        if selection.overdue is not False:
            return found
        overdue = await self._count(INVOICE, [*self._filters(selection), *self._overdue()])
        return found - overdue

    async def invoices_by_ids(self, ids: Sequence[str]) -> list[InvoiceRecord]:
        """In any order, absent ones left out. `POST get_list`, once per 500."""
        return await self._chunked(
            ids, lambda some: self._invoices(lambda: [["name", "in", some]], batch_size=len(some))
        )

    async def invoices_by_order_ids(
        self, order_ids: Sequence[str], *, companies: Sequence[str] | None = None
    ) -> list[InvoiceRecord]:
        """The invoices of these orders, cancelled ones among them; each order's newest first. `companies` None: any
        company's. `POST get_list`, once per 500."""
        if companies is not None and not companies:
            return []
        wanted = tuple(companies) if companies is not None else None

        async def fetch(some: list[str]) -> list[InvoiceRecord]:
            selection = InvoiceSelection(order_ids=tuple(some), companies=wanted)
            return await self._invoices(lambda: self._filters(selection), batch_size=len(some))

        return await self._chunked(order_ids, fetch)

    async def invoice_items(self, invoices: Sequence[InvoiceKey]) -> list[InvoiceItemRecord]:
        """The lines of these invoices, each invoice's in their order. `POST get_list`, once per 500."""
        currencies = dict(invoices)

        async def fetch(some: list[str]) -> list[InvoiceItemRecord]:
            rows = await self._list(
                INVOICE_ITEM,
                InvoiceItemRecord,
                [["parent", "in", some], ["parenttype", "=", INVOICE]],
                columns=_ITEM_COLUMNS,
                order_by="parent asc, idx asc",
                parent=INVOICE,
                batch_size=len(some),
            )
            return [replace(row, currency=currencies.get(row.invoice_id, "")) for row in rows]

        return await self._chunked(list(currencies), fetch)

    # -- writing invoices --------------------------------------------------------------------------------------

    async def create_invoice(self, new: NewInvoice) -> InvoiceRecord:
        """Make and submit an invoice. An order or key that has one which is not cancelled gets no other: that one is
        the answer, also when the first answer was lost on its way. `POST /api/resource/Sales Invoice`

        Raises: BackendRejected for an item, customer or company that is not there, and whatever else ERPNext refuses.
        """
        if new.reference is None:
            return await self._insert_invoice(new, None)
        references = [new.reference]
        earlier = await self.invoices_by_order_ids(references)
        if found := _in_force(earlier):
            return found
        reference = self._free_reference(new.reference, earlier)
        try:
            return await self._insert_invoice(new, reference)
        except BackendError as exc:
            if _surely_not_done(exc):
                raise
            return await self._found_after(exc, lambda: self.invoices_by_order_ids(references))

    async def cancel_invoice(self, id: str) -> None:
        """Fine when that has happened already. `PUT /api/resource/Sales Invoice/{name}`

        Raises: BackendRejected (`LinkExistsError`) while payments are booked on it.
        """
        await self._cancel(INVOICE, id)

    async def pay_invoice(self, id: str, reference: str, *, amount: Decimal | None = None) -> str:
        """Book a payment of all that is outstanding, or of `amount`; the name of the payment entry. One reference
        pays an invoice once: the entry that is there already is the answer. ERPNext itself drafts the entry.
        `POST /api/resource/Payment Entry`

        Raises: BackendRejected for an invoice that is not there, not submitted, or paid already.
        """
        earlier = await self.payment_entries(id, reference)
        if found := _in_force(earlier):
            return found.id
        today = self.today().isoformat()
        asked: dict[str, Any] = {"dt": INVOICE, "dn": id, "reference_date": today}
        if amount is not None:
            asked["party_amount"] = float(amount)
        draft = await self.read("POST", _DRAFT_PAYMENT, Message[dict[str, Any]], json=asked)
        # Unique, so that two that run at once cannot both book it; a cancelled entry keeps its value.
        ours = _numbered(f"{reference}/{id}", len(earlier) + 1)
        booked = {"reference_no": reference, "reference_date": today, GATEWAY_REFERENCE: ours, "docstatus": 1}
        try:
            made = await self.write("POST", _resource(PAYMENT), Document[Named], json=draft.message | booked)
        except BackendError as exc:
            if _surely_not_done(exc):
                raise
            return (await self._found_after(exc, lambda: self.payment_entries(id, reference))).id
        return made.data.name

    async def payment_entries(self, invoice_id: str, reference: str) -> list[PaymentEntryRecord]:
        """What is booked on an invoice under a reference, newest first, cancelled entries among them.
        `POST get_list`"""
        filters: Filters = [
            ["reference_no", "=", reference],
            [f"{PAYMENT} Reference", "reference_name", "=", invoice_id],
        ]
        rows = await self._list(PAYMENT, PaymentEntryRecord, filters, order_by="creation desc, name desc")
        # A filter on a child joins it, which gives an entry once for each of its children.
        return list({row.id: row for row in rows}.values())

    async def cancel_payment_entry(self, invoice_id: str, reference: str) -> None:
        """Take back what `pay_invoice` booked, if anything. `PUT /api/resource/Payment Entry/{name}`"""
        for entry in await self.payment_entries(invoice_id, reference):
            if entry.docstatus == SUBMITTED:
                await self._cancel(PAYMENT, entry.id)

    # -- purchases ---------------------------------------------------------------------------------------------

    async def create_purchase_order(self, new: NewPurchaseOrder) -> PurchaseOrderRecord:
        """Make and submit an order to a supplier. A key that has one gets no other: that one is the answer, also when
        the first answer was lost on its way. `POST /api/resource/Purchase Order`

        Raises: BackendRejected for a supplier, item or warehouse that is not there, a date that is past, and whatever
        else ERPNext refuses; for a key, also on a site without the field that keeps it.
        """
        if new.reference is not None and (found := await self._purchase_order_of(new.reference)):
            return found
        day = new.schedule_date.isoformat()
        document: dict[str, Any] = {
            "supplier": new.supplier,
            "company": new.company,
            "schedule_date": day,
            "set_warehouse": new.warehouse,
            "items": [_line(item) | {"schedule_date": day, "warehouse": new.warehouse} for item in new.items],
            "disable_rounded_total": 1,
            "docstatus": SUBMITTED,
            GATEWAY_REFERENCE: new.reference,
        }
        try:
            path = _resource(PURCHASE)
            return (await self.write("POST", path, Document[PurchaseOrderRecord], json=_told(document))).data
        except BackendError as exc:
            if new.reference is None or _surely_not_done(exc):
                raise
            try:
                found = await self._purchase_order_of(new.reference)
            except BackendError:
                raise exc from None
            if found is None:
                raise
            return found

    async def _purchase_order_of(self, reference: str) -> PurchaseOrderRecord | None:
        """What was made under a reference, whatever became of it."""
        filters: Filters = [[GATEWAY_REFERENCE, "=", reference]]
        try:
            found = await self._list(PURCHASE, Named, filters, limit=1)
        except BackendRejected as exc:
            raise self._lacking(exc, "purchase orders", GATEWAY_REFERENCE) from exc
        if not found:
            return None
        path, args = f"{_resource(PURCHASE)}/{{name}}", {"name": found[0].name}
        return (await self.read("GET", path, Document[PurchaseOrderRecord], args=args)).data

    # -- stock and customers -----------------------------------------------------------------------------------

    async def stock_levels(
        self,
        *,
        limit: int,
        offset: int = 0,
        skus: Sequence[str] | None = None,
        warehouses: Sequence[str] | None = None,
    ) -> list[StockLevelRecord]:
        """By SKU, then warehouse. An item that never moved in a warehouse has no row there. `POST get_list`"""
        if _nothing_matches(skus, warehouses):
            return []
        return await self._list(
            "Bin",
            StockLevelRecord,
            _stock_filters(skus, warehouses),
            order_by="item_code asc, warehouse asc",
            limit=limit,
            offset=offset,
            batch_size=len(skus) if skus else None,
        )

    async def count_stock_levels(
        self, *, skus: Sequence[str] | None = None, warehouses: Sequence[str] | None = None
    ) -> int:
        """How many rows `stock_levels` has in all. `POST get_count`"""
        if _nothing_matches(skus, warehouses):
            return 0
        return await self._count("Bin", _stock_filters(skus, warehouses))

    async def stock_levels_by_skus(
        self, skus: Sequence[str], *, warehouses: Sequence[str] | None = None
    ) -> list[StockLevelRecord]:
        """All of these items; `warehouses` None: everywhere. `POST get_list`, once per 500."""
        return await self._chunked(skus, lambda some: self.stock_levels(limit=ALL, skus=some, warehouses=warehouses))

    async def customers(self, *, limit: int, offset: int = 0) -> list[ErpCustomerRecord]:
        """Everybody's, newest first: a customer is of no company. `POST get_list`"""
        return await self._list(
            "Customer", ErpCustomerRecord, [], order_by=_LAST_MADE_FIRST, limit=limit, offset=offset
        )

    async def count_customers(self) -> int:
        """`POST get_count`"""
        return await self._count("Customer", [])

    async def customers_by_ids(self, ids: Sequence[str]) -> list[ErpCustomerRecord]:
        """In any order, absent ones left out. `POST get_list`, once per 500."""
        return await self._chunked(
            ids,
            lambda some: self._list("Customer", ErpCustomerRecord, [["name", "in", some]], batch_size=len(some)),
        )

    async def customers_by_references(self, references: Sequence[str]) -> list[str]:
        """The names of the customers that carry one of these references, those of the first before those of the next.
        `POST get_list`

        Raises: BackendRejected (`DataError`) on a site without the field for them.
        """
        filters: Filters = [[CUSTOMER_REFERENCE, "in", list(references)]]
        try:
            found = await self._list("Customer", ReferredCustomer, filters)
        except BackendRejected as exc:
            raise self._lacking(exc, "customers", CUSTOMER_REFERENCE) from exc
        rank = {reference.casefold(): i for i, reference in reversed(list(enumerate(references)))}
        found.sort(key=lambda row: rank.get(row.reference.casefold(), len(rank)))
        return [row.name for row in found]

    async def create_customer(self, person: Person) -> str:
        """The customer that carries this person's id as its reference: a new one, or the one that is there; its name.
        Group and territory are the site's own defaults. Safe to repeat, because references are unique; so ask
        `customers_by_references` first, which fails where there are none. `POST /api/resource/Customer`
        """
        document = {
            "customer_name": person.name[:_LONGEST_DATA],
            "customer_type": "Individual",
            "email_id": person.email,
            "mobile_no": person.phone,
            CUSTOMER_REFERENCE: person.user_id,
        }
        known = {key: value for key, value in document.items() if value is not None}
        try:
            return (await self.keyed_write("POST", _resource("Customer"), Document[Named], json=known)).data.name
        except BackendError as exc:
            if _surely_not_done(exc):
                raise
            try:
                found = await self.customers_by_references([person.user_id])
            except BackendError:
                raise exc from None
            if not found:
                raise
            return found[0]

    async def employees(
        self, *, limit: int, offset: int = 0, companies: Sequence[str] | None = None
    ) -> list[EmployeeRecord]:
        """Of these companies (None: of all), newest first, those who have left among them. `POST get_list`"""
        if _nothing_matches(companies):
            return []
        filters = _of_companies(companies)
        return await self._list(
            "Employee", EmployeeRecord, filters, order_by=_LAST_MADE_FIRST, limit=limit, offset=offset
        )

    async def count_employees(self, *, companies: Sequence[str] | None = None) -> int:
        """How many `employees` has in all. `POST get_count`"""
        return 0 if _nothing_matches(companies) else await self._count("Employee", _of_companies(companies))

    # -- reports -----------------------------------------------------------------------------------------------

    async def report(self, type: FinancialReportType, filters: Mapping[str, Any]) -> ReportRecord:
        """What a report says today. `filters` as `SPECS` has them, and the company. `POST query_report.run`

        Raises: BackendRejected for filters that make no sense to it and for more than 5,000 rows;
        BackendUnavailable while it is prepared in the background, or too many are being made.
        """
        if self._reports_under_way >= REPORTS_AT_ONCE:
            raise NotAdmitted(self.name, "too many reports are being made", retry_after_s=2)
        asked = {"report_name": type.value, "filters": dict(filters), "ignore_prepared_report": 1}
        self._reports_under_way += 1
        try:
            # It reads, and is not repeated: what took too long would take as long again.
            answer = (await self.write("POST", _REPORT, Message[ReportAnswer], json=asked, timeout_s=REPORT_S)).message
        finally:
            self._reports_under_way -= 1
        if answer.result is None:
            raise BackendUnavailable(self.name, "erpnext is still preparing this report", retry_after_s=15)
        rows = answer.rows()
        if len(rows) > REPORT_ROWS:
            message = f"the report has {len(rows)} rows, more than {REPORT_ROWS}; filter it"
            raise BackendRejected(self.name, message, status=200, reason="TooManyRows")
        return ReportRecord(type, answer.report_columns(), rows, datetime.now(UTC))

    async def fiscal_year(self, company: str, day: date) -> FiscalYear:
        """The company's own year that this day is in, or everybody's. `POST get_list`

        Raises: BackendRejected where no year is open.
        """
        filters: Filters = [
            ["year_start_date", "<=", day.isoformat()],
            ["year_end_date", ">=", day.isoformat()],
            ["disabled", "=", 0],
        ]
        columns = ["name", "year_start_date", "year_end_date", "companies.company"]
        years = await self._list("Fiscal Year", FiscalYear, filters, columns=columns, order_by="year_start_date desc")
        years = [year for year in years if year.company in (company, None, "")]
        if not years:
            message = f"{company} has no fiscal year for {day}"
            raise BackendRejected(self.name, message, status=417, reason="FiscalYearError")
        return max(years, key=lambda year: year.company == company)

    def today(self) -> date:
        """The day that it is at the site."""
        return datetime.now(self._zone).date()

    # -- how invoices are asked for ----------------------------------------------------------------------------

    async def _invoices(self, filters: Callable[[], Filters], **how: Any) -> list[InvoiceRecord]:
        """`filters` is asked again when the order's field turns out to be another."""
        how.setdefault("order_by", _NEWEST_FIRST)
        rows = await self._with_order_field(lambda: self._list(INVOICE, self._invoice, filters(), **how))
        return [self._in_utc(row) for row in rows]

    async def _with_order_field(self, ask: Callable[[], Awaitable[T]]) -> T:
        """What `ask` gives. On a site without the custom field it is asked once more, and ever after, with `po_no`."""
        field = self._order_field
        try:
            return await ask()
        except BackendRejected as exc:
            if exc.reason != "DataError" or field == PO_NO or field not in str(exc):
                raise
        self._order_field, self._invoice = PO_NO, invoice_record(PO_NO)
        return await ask()

    def _filters(self, selection: InvoiceSelection) -> Filters:
        """But for `overdue=False`, which takes alternatives."""
        filters: Filters = []
        if selection.companies is not None:
            filters.append(["company", "in", list(selection.companies)])
        if selection.customer_ids is not None:
            filters.append(["customer", "in", list(selection.customer_ids)])
        if selection.order_ids is not None:
            references = [each for order_id in selection.order_ids for each in self._references(order_id)]
            filters.append([self._order_field, "in", references])
        if selection.status is not None:
            filters.append(["status", "=", selection.status])
        return filters + (self._overdue() if selection.overdue else [])

    def _overdue(self) -> Filters:
        # The status alone would be a day late: a nightly job sets it. An unset date counts as long past.
        return [
            ["docstatus", "=", SUBMITTED],
            ["outstanding_amount", ">", 0],
            ["due_date", "is", "set"],
            ["due_date", "<", self.today().isoformat()],
        ]

    def _not_overdue(self) -> Filters:
        return [
            ["docstatus", "!=", SUBMITTED],
            ["outstanding_amount", "<=", 0],
            ["due_date", "is", "not set"],
            ["due_date", ">=", self.today().isoformat()],
        ]

    def _references(self, order_id: str) -> Iterator[str]:
        """What invoices of this order may carry, the first one first."""
        for number in range(1, 2 if self._order_field == PO_NO else ISSUES + 1):
            yield _numbered(order_id, number)

    def _free_reference(self, order_id: str, earlier: Sequence[InvoiceRecord]) -> str:
        """Raises: BackendRejected when all of them are taken by cancelled invoices."""
        if self._order_field == PO_NO:
            return order_id
        taken = {(invoice.order_reference or "").casefold() for invoice in earlier}
        for reference in self._references(order_id):
            if reference.casefold() not in taken:
                return reference
        message = f"the order has {ISSUES} cancelled invoices already"
        raise BackendRejected(self.name, message, status=409, reason="TooManyInvoices")

    async def _insert_invoice(self, new: NewInvoice, reference: str | None) -> InvoiceRecord:
        document: dict[str, Any] = {
            "customer": new.customer_id,
            "company": new.company,
            "items": [_line(item) for item in new.items],
            # An order's total is exact; rounded to whole units the invoice would not match the payment.
            "disable_rounded_total": 1,
            "docstatus": SUBMITTED,
        }
        if new.currency is not None:
            document["currency"] = new.currency
        if new.due_date is not None:
            document["due_date"] = new.due_date.isoformat()
        if reference is not None:
            document[self._order_field] = reference
        if new.shipping:
            account = await self._charges_account(new.company)
            charge = {"charge_type": "Actual", "account_head": account, "description": "Shipping"}
            document["taxes"] = [{**charge, "tax_amount": float(new.shipping)}]
        into: Any = Document[self._invoice]  # type: ignore[name-defined]
        made = await self.write("POST", _resource(INVOICE), into, json=document)
        return self._in_utc(made.data)

    async def _charges_account(self, company: str) -> str:
        """The account that the company books freight on.

        Raises: BackendRejected for a company without an account of that type.
        """
        if company not in self._charges_accounts:
            filters: Filters = [
                ["company", "=", company],
                ["account_type", "=", "Chargeable"],
                ["is_group", "=", 0],
                ["disabled", "=", 0],
            ]
            accounts = await self._list("Account", AccountRecord, filters)
            if not accounts:
                message = f"{company} has no account of type Chargeable, which shipping is booked on"
                raise BackendRejected(self.name, message, status=417, reason="NoChargesAccount")
            accounts.sort(key=lambda account: "freight" not in (account.name or account.id).lower())
            self._charges_accounts[company] = accounts[0].id
        return self._charges_accounts[company]

    # -- Frappe ------------------------------------------------------------------------------------------------

    async def _list(
        self,
        doctype: str,
        into: type[R],
        filters: Filters,
        *,
        columns: list[str] | None = None,
        or_filters: Filters | None = None,
        order_by: str = "name asc",
        limit: int = ALL,
        offset: int = 0,
        parent: str | None = None,
        batch_size: int | None = None,
    ) -> list[R]:
        """`parent` is the DocType whose child `doctype` is."""
        asked: dict[str, Any] = {
            "doctype": doctype,
            "fields": columns or columns_of(into),
            "filters": filters,
            "order_by": order_by,
            "limit_start": offset,
            "limit_page_length": limit,
        }
        if or_filters is not None:
            asked["or_filters"] = or_filters
        if parent is not None:
            asked["parent"] = parent
        rows: Any = Message[list[into]]  # type: ignore[valid-type]
        answer = await self.read("POST", _LIST, rows, json=asked, batch_size=batch_size)
        found: list[R] = answer.message
        return found

    async def _count(self, doctype: str, filters: Filters) -> int:
        asked = {"doctype": doctype, "filters": filters}
        return (await self.read("POST", _COUNT, Message[int], json=asked)).message

    async def _chunked(self, keys: Sequence[str], fetch: Callable[[list[str]], Awaitable[list[R]]]) -> list[R]:
        distinct = list(dict.fromkeys(keys))
        chunks = [distinct[start : start + MAX_KEYS] for start in range(0, len(distinct), MAX_KEYS)]
        return [row for rows in await asyncio.gather(*map(fetch, chunks)) for row in rows]

    async def _cancel(self, doctype: str, id: str) -> None:
        try:
            path = f"{_resource(doctype)}/{{name}}"
            await self.keyed_write("PUT", path, Document[Named], args={"name": id}, json={"docstatus": CANCELLED})
        except BackendRejected:
            # Cancelling twice is refused too, as when the answer to the first time was lost.
            found = await self._list(doctype, DocumentState, [["name", "=", id]], limit=1)
            if not found or found[0].docstatus != CANCELLED:
                raise

    async def _found_after(self, exc: BackendError, look_up: Callable[[], Awaitable[Sequence[Row]]]) -> Row:
        """What a create whose outcome is unknown, or that came second, has left.

        Raises: `exc` when there is nothing, or no telling.
        """
        try:
            found = _in_force(await look_up())
        except BackendError:
            raise exc from None
        if found is None:
            raise exc
        return found

    def _lacking(self, exc: BackendRejected, rows: str, field: str) -> BackendRejected:
        """What to say when a site refuses to look for a field that it may not have."""
        if exc.reason != "DataError":
            return exc
        message = f"erpnext's {rows} lack the field {field}, by which the gateway knows them"
        return BackendRejected(self.name, message, status=exc.status, reason=exc.reason)

    def _in_utc(self, row: InvoiceRecord) -> InvoiceRecord:
        force_setattr(row, "updated_at", row.updated_at.replace(tzinfo=self._zone).astimezone(UTC))
        return row

    # -- refusals ----------------------------------------------------------------------------------------------

    def refusal(self, answer: Answer) -> tuple[str, str | None]:
        """Raises: BackendBadResponse for a 404 page: the address leads to no site, or to another. BackendRateLimited
        for what older versions say by 417."""
        try:
            body = msgspec.json.decode(answer.body, type=ErrorBody)
        except (msgspec.DecodeError, UnicodeDecodeError):
            if answer.status == 404:
                raise BackendBadResponse(self.name, "erpnext has no such site, or no API there") from None
            return super().refusal(answer)
        if answer.status == 401:
            return "erpnext does not accept the gateway's credentials", body.exc_type
        if body.exc_type in _TOO_FAST:
            raise BackendRateLimited(self.name, "erpnext's rate limit is reached")
        # Some methods refuse by 417, and say who the gateway is there.
        if answer.status == 403 or body.exc_type == "PermissionError":
            return "erpnext does not allow the gateway to do this", body.exc_type
        told = _ADDRESSES.sub("…", "; ".join(body.notices))[:_LONGEST_MESSAGE]
        return told or f"erpnext refused the request ({body.exc_type or answer.status})", body.exc_type

    def _decode(self, into: type[T], answer: Answer) -> T:
        """Raises: BackendRejected, too, for a success that is none: its body names an exception."""
        try:
            return super()._decode(into, answer)
        except BackendBadResponse:
            try:
                failed = msgspec.json.decode(answer.body, type=ErrorBody).exc_type is not None
            except (msgspec.DecodeError, UnicodeDecodeError):
                failed = False
            if not failed:
                raise
        message, reason = self.refusal(answer)
        raise BackendRejected(self.name, plain(message), status=answer.status, reason=reason)

    def raise_for_odd_status(self, answer: Answer) -> None:
        """A 500 that names an exception of the application's, such as JSONDecodeError, would only come again."""
        try:
            reason = msgspec.json.decode(answer.body, type=ErrorBody).exc_type
        except (msgspec.DecodeError, UnicodeDecodeError):
            reason = None
        if answer.status >= 500 and reason is not None and reason not in _PASSING:
            message = f"erpnext failed on the request ({reason})"
            raise BackendRejected(self.name, message, status=answer.status, reason=reason)
        super().raise_for_odd_status(answer)


def _resource(doctype: str) -> str:
    return f"/api/resource/{quote(doctype)}"


def _numbered(reference: str, number: int) -> str:
    return reference if number == 1 else f"{reference}{REISSUE}{number}"


def _line(item: NewInvoiceItem) -> dict[str, Any]:
    line: dict[str, Any] = {"item_code": item.sku, "qty": float(item.quantity), "rate": float(item.rate)}
    if not item.rate:
        # A rate of nothing means the list price; what is free is discounted.
        line["discount_percentage"] = 100
    return line


def _told(document: Mapping[str, Any]) -> dict[str, Any]:
    """A document as a create has it: without what nobody said, also in its lines."""
    known = {name: value for name, value in document.items() if value is not None}
    return known | {"items": [{k: v for k, v in line.items() if v is not None} for line in document["items"]]}


def _of_companies(companies: Sequence[str] | None) -> Filters:
    return [] if companies is None else [["company", "in", list(companies)]]


def _stock_filters(skus: Sequence[str] | None, warehouses: Sequence[str] | None) -> Filters:
    wanted: Mapping[str, Sequence[str] | None] = {"item_code": skus, "warehouse": warehouses}
    return [[column, "in", list(values)] for column, values in wanted.items() if values is not None]


def _nothing_matches(*conditions: Sequence[str] | None) -> bool:
    """Whether one of them is empty rather than left out: Frappe would look for the empty text."""
    return any(values is not None and not values for values in conditions)


def _in_force(rows: Sequence[Row]) -> Row | None:
    """The first that is not cancelled."""
    return next((row for row in rows if not row.is_cancelled), None)


def _surely_not_done(exc: BackendError) -> bool:
    if isinstance(exc, BackendRejected):
        return exc.reason not in _TAKEN
    return isinstance(exc, BackendRateLimited | NotAdmitted)
