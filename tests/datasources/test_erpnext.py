"""ERPNext's wire: by samples of it, then against the simulator."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import orjson
import pytest
from pydantic import SecretStr

from core import operation
from core.errors import BackendBadResponse, BackendRateLimited, BackendRejected, BackendTimeout, BackendUnavailable
from core.settings import ErpnextSettings
from datasources.erpnext import (
    Erpnext,
    InvoiceKey,
    InvoiceRecord,
    InvoiceSelection,
    NewInvoice,
    NewInvoiceItem,
)
from sandbox import keys
from sandbox.store import Row
from tests.callers import WORLD
from tests.market import Books

pytest_plugins = ["tests.backends"]

ORDER = WORLD.invoiced[-1]
UNINVOICED = WORLD.orders[0]
CLIENT = WORLD.clients[0]
ANN = next(person for person in WORLD.customers if person.client is CLIENT)
SKU = WORLD.products[0].variants[0].sku
LIST = "/api/method/frappe.client.get_list"
INVOICES = "/api/resource/Sales Invoice"
PAYMENTS = "/api/resource/Payment Entry"
EVERYTHING = InvoiceSelection()


# -- samples of the wire -------------------------------------------------------------------------------------------


def invoice_row(**changes: Any) -> dict[str, Any]:
    return {
        "name": "ACC-SINV-2026-00042",
        "docstatus": 1,
        "customer": "Ann Lee",
        "customer_name": "Ann Lee",
        "company": "Acme Ltd",
        "currency": "EUR",
        "posting_date": "2026-06-01",
        "due_date": "2026-06-15",
        "net_total": 908.92,
        "total_taxes_and_charges": 190.87,
        "grand_total": 1099.79,
        "outstanding_amount": 1099.79,
        "party_account_currency": "EUR",
        "conversion_rate": 1.0,
        "status": "Unpaid",
        "custom_commerce_order_id": "order_1",
        "modified": "2026-07-01 01:30:02.517277",
        **changes,
    }


def refusal(exc_type: str, *messages: str, fatal: int = 1) -> dict[str, Any]:
    """As Frappe writes one: its notices are encoded twice."""
    notices = [orjson.dumps({"message": text, "raise_exception": fatal}).decode() for text in messages]
    return {
        "exc_type": exc_type,
        "exception": f"frappe.exceptions.{exc_type}: secret",
        "exc": '["Traceback (most recent call last): secret"]',
        "_server_messages": orjson.dumps(notices).decode(),
    }


def answering(answer: Callable[[httpx.Request], httpx.Response], **settings: Any) -> Erpnext:
    given = {"api_key": SecretStr("k"), "api_secret": SecretStr("s"), "timezone": "Europe/Berlin", **settings}
    client = httpx.AsyncClient(base_url="http://books", transport=httpx.MockTransport(answer))
    return Erpnext(client, ErpnextSettings(**given))


def refusing(status: int, body: Any) -> Erpnext:
    content = body.encode() if isinstance(body, str) else orjson.dumps(body)
    return answering(lambda request: httpx.Response(status, content=content))


async def refused(erpnext: Erpnext) -> BackendRejected:
    with pytest.raises(BackendRejected) as caught:
        await erpnext.invoices(EVERYTHING, limit=1)
    return caught.value


async def test_a_list_is_asked_for_with_token_length_and_columns() -> None:
    requests: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200, json={"message": []})

    await answering(answer).invoices_by_order_ids(["order_1"])
    (request,) = requests
    body = orjson.loads(request.content)
    assert request.headers["authorization"] == "token k:s"
    assert body["limit_page_length"] == 0
    assert {"name", "custom_commerce_order_id", "outstanding_amount"} <= set(body["fields"])
    ((field, operator, values),) = body["filters"]
    assert (field, operator, values[:2]) == ("custom_commerce_order_id", "in", ["order_1", "order_1#2"])


async def test_an_invoice_comes_with_decimals_dates_and_utc() -> None:
    (invoice,) = await answering(lambda _: httpx.Response(200, json={"message": [invoice_row()]})).invoices(
        EVERYTHING, limit=1
    )
    assert (invoice.id, invoice.number, invoice.order_id) == ("ACC-SINV-2026-00042", "ACC-SINV-2026-00042", "order_1")
    assert (invoice.grand_total, invoice.tax_total) == (Decimal("1099.79"), Decimal("190.87"))
    assert (invoice.posting_date, invoice.due_date) == (date(2026, 6, 1), date(2026, 6, 15))
    assert invoice.updated_at == datetime(2026, 6, 30, 23, 30, 2, 517277, tzinfo=UTC)
    assert invoice.key == InvoiceKey("ACC-SINV-2026-00042", "EUR")


async def test_blanks_nulls_and_a_second_issue_are_read_as_what_they_mean() -> None:
    row = invoice_row(status="", docstatus=2, due_date=None, customer_name=None, custom_commerce_order_id="order_1#2")
    (invoice,) = await answering(lambda _: httpx.Response(200, json={"message": [row]})).invoices(EVERYTHING, limit=1)
    assert (invoice.status, invoice.is_cancelled, invoice.due_date) == ("Cancelled", True, None)
    assert invoice.order_id == "order_1"


async def test_what_is_owed_is_told_in_the_invoices_currency() -> None:
    row = invoice_row(party_account_currency="ALL", conversion_rate=100.0, outstanding_amount=54989.5)
    (invoice,) = await answering(lambda _: httpx.Response(200, json={"message": [row]})).invoices(EVERYTHING, limit=1)
    assert invoice.outstanding_amount == Decimal("549.90")


async def test_a_refusal_is_told_in_frappes_words_without_tags_or_tracebacks() -> None:
    text = 'Invoice <a href="http://erp.internal/app/x">A&amp;B</a> is<br>linked, ask root@example.com'
    exc = await refused(refusing(417, refusal("LinkExistsError", text)))
    assert str(exc) == "Invoice A&B is linked, ask …"
    assert (exc.reason, exc.status, exc.code) == ("LinkExistsError", 417, "UPSTREAM_REJECTED")


async def test_notices_beside_the_fatal_one_are_left_out() -> None:
    body = refusal("ValidationError", "Due Date cannot be before Posting Date")
    harmless = orjson.dumps({"message": "No record found"}).decode()
    body["_server_messages"] = orjson.dumps([harmless, *orjson.loads(body["_server_messages"])]).decode()
    assert str(await refused(refusing(417, body))) == "Due Date cannot be before Posting Date"


@pytest.mark.parametrize("messages", [None, "no json", '["no json"]', "[1]"])
async def test_a_refusal_without_readable_words_names_its_type_alone(messages: str | None) -> None:
    body = {"exc_type": "MandatoryError", "exc": "secret", "_server_messages": messages}
    assert str(await refused(refusing(417, body))) == "erpnext refused the request (MandatoryError)"


@pytest.mark.parametrize(("status", "word"), [(401, "credentials"), (403, "allow")])
async def test_what_we_may_not_do_is_told_without_names(status: int, word: str) -> None:
    exc = await refused(refusing(status, refusal("PermissionError", "User <b>gateway</b> has no access", fatal=0)))
    assert word in str(exc)
    assert "gateway</b>" not in str(exc)
    assert exc.status == status


async def test_a_404_page_means_the_wrong_site() -> None:
    with pytest.raises(BackendBadResponse):
        await refusing(404, "<html>erp2 does not exist</html>").invoices(EVERYTHING, limit=1)


async def test_a_500_of_the_application_is_not_repeated() -> None:
    calls = []

    def answer(request: httpx.Request) -> httpx.Response:
        calls.append(request)
        return httpx.Response(500, json={"exc_type": "JSONDecodeError", "exc": "secret"})

    exc = await refused(answering(answer))
    assert (exc.reason, len(calls)) == ("JSONDecodeError", 1)
    assert "secret" not in str(exc)


@pytest.mark.parametrize("body", [{"exc_type": "QueryDeadlockError"}, "<html>Internal Server Error</html>"])
async def test_a_500_that_may_pass_is_an_outage(body: Any) -> None:
    operation.enter(operation.Operation(may_retry=False))
    with pytest.raises(BackendUnavailable):
        await refusing(500, body).invoices(EVERYTHING, limit=1)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"message": [invoice_row(grand_total="a lot")]}, "grand_total"),
        ({"message": [{"name": "X"}]}, "docstatus"),
        ({"data": []}, "message"),
        ("<html>", "JSON"),
    ],
)
async def test_another_shape_is_a_bad_response_that_names_the_field(body: Any, field: str) -> None:
    with pytest.raises(BackendBadResponse, match=field):
        await refusing(200, body).invoices(EVERYTHING, limit=1)


async def test_a_rate_limit_is_one() -> None:
    operation.enter(operation.Operation(may_retry=False))
    with pytest.raises(BackendRateLimited):
        await refusing(429, {"exc_type": "RateLimitExceededError"}).invoices(EVERYTHING, limit=1)


async def test_a_site_without_the_custom_field_is_asked_by_po_no_ever_after() -> None:
    asked: list[dict[str, Any]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        body = orjson.loads(request.content)
        asked.append(body)
        if "custom_commerce_order_id" in body["fields"]:
            text = "Field not permitted in query: custom_commerce_order_id"
            return httpx.Response(417, json=refusal("DataError", text))
        row = invoice_row(po_no="order_1")
        return httpx.Response(200, json={"message": [row]})

    erpnext = answering(answer)
    for _ in range(2):
        (invoice,) = await erpnext.invoices_by_order_ids(["order_1"])
        assert invoice.order_id == "order_1"
    assert len(asked) == 3
    assert asked[-1]["filters"] == [["po_no", "in", ["order_1"]]]


async def test_another_unknown_field_is_a_refusal() -> None:
    exc = await refused(refusing(417, refusal("DataError", "Field not permitted in query: party_account_currency")))
    assert exc.reason == "DataError"


async def test_a_thousand_orders_are_two_calls() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        (first, *_) = orjson.loads(request.content)["filters"][0][2]
        return httpx.Response(200, json={"message": [invoice_row(custom_commerce_order_id=first)]})

    operation.enter(operation.Operation())
    found = await answering(answer).invoices_by_order_ids([f"order_{n}" for n in range(1000)])
    assert [invoice.order_id for invoice in found] == ["order_0", "order_500"]
    assert [(call.path, call.batch_size) for call in operation.current().calls] == [(LIST, 500)] * 2


async def test_an_empty_selection_asks_nobody() -> None:
    erpnext = refusing(500, "")
    for nobody in (InvoiceSelection(companies=()), InvoiceSelection(order_ids=()), InvoiceSelection(customer_ids=())):
        assert await erpnext.invoices(nobody, limit=5) == []
        assert await erpnext.count_invoices(nobody) == 0
    assert await erpnext.invoices_by_order_ids(["order_1"], companies=[]) == []
    assert await erpnext.invoices_by_ids([]) == []
    assert await erpnext.stock_levels_by_skus([SKU], warehouses=[]) == []
    assert await erpnext.count_stock_levels(skus=[]) == 0


async def test_descriptions_lose_their_tags_and_fall_back_on_the_items_name() -> None:
    row = {"parent": "X", "item_code": "A", "item_name": "Desk", "qty": 2.0, "rate": 1.5, "amount": 3.0}
    rows = [{**row, "description": "<div><p>Oak &amp; ash</p></div>"}, {**row, "description": "<p></p>"}]
    items = await answering(lambda _: httpx.Response(200, json={"message": rows})).invoice_items(
        [InvoiceKey("X", "EUR")]
    )
    assert [item.description for item in items] == ["Oak & ash", "Desk"]
    assert [item.key for item in items] == [InvoiceKey("X", "EUR")] * 2


def test_credentials_are_needed() -> None:
    with pytest.raises(ValueError, match="ERPNEXT_API_KEY"):
        Erpnext.open(ErpnextSettings(api_key=SecretStr("k")))


# -- against the simulator -----------------------------------------------------------------------------------------


def bookings(books: Books, invoice: str) -> list[Row]:
    """Payment entries on an invoice."""
    return [
        row
        for row in books.store.rows("Payment Entry")
        if any(reference["reference_name"] == invoice for reference in row["references"])
    ]


def new_invoice(order_id: str | None = UNINVOICED.id, **changes: Any) -> NewInvoice:
    values: dict[str, Any] = {
        "customer_id": ANN.erp_id,
        "company": CLIENT.company,
        "items": [NewInvoiceItem(SKU, Decimal(2), Decimal("9.90"))],
        "order_id": order_id,
        "currency": "EUR",
        "shipping": Decimal(5),
        **changes,
    }
    return NewInvoice(**values)


async def test_it_pings_with_credentials_only(books: Books) -> None:
    await books.erpnext.ping()
    stranger = Erpnext(
        httpx.AsyncClient(base_url="http://books", transport=httpx.ASGITransport(app=books.line)), ErpnextSettings()
    )
    with pytest.raises(BackendRejected) as caught:
        await stranger.ping()
    assert caught.value.status == 403


async def test_a_hundred_orders_invoices_and_their_lines_are_two_calls(books: Books) -> None:
    orders = WORLD.orders[-100:]
    invoices = await books.erpnext.invoices_by_order_ids([order.id for order in orders])
    assert {(invoice.order_id, invoice.grand_total) for invoice in invoices} == {
        (order.id, order.total) for order in orders
    }
    items = await books.erpnext.invoice_items([invoice.key for invoice in invoices])
    assert len(items) == sum(len(order.lines) for order in orders)
    assert len(books.line.calls) == 2
    lines = {invoice.id: order for invoice in invoices for order in orders if invoice.order_id == order.id}
    name, order = next(iter(lines.items()))
    assert [(item.sku, item.quantity, item.rate, item.currency) for item in items if item.invoice_id == name] == [
        (line.variant.sku, Decimal(line.quantity), line.variant.price(order.currency), order.currency)
        for line in order.lines
    ]


async def test_lists_are_newest_first_and_page_without_gaps(books: Books) -> None:
    pages = [await books.erpnext.invoices(EVERYTHING, limit=60, offset=offset) for offset in (0, 60, 120)]
    rows = [row for page in pages for row in page]
    assert [len(page) for page in pages] == [60, 60, 33]
    assert len({row.id for row in rows}) == await books.erpnext.count_invoices(EVERYTHING) == 153
    assert [row.posting_date for row in rows] == sorted((row.posting_date for row in rows), reverse=True)


@pytest.mark.parametrize(
    "selection",
    [
        InvoiceSelection(companies=(CLIENT.company,)),
        InvoiceSelection(customer_ids=(ANN.erp_id,)),
        InvoiceSelection(status="Paid"),
        InvoiceSelection(overdue=True),
        InvoiceSelection(overdue=False),
        InvoiceSelection(companies=(CLIENT.company,), overdue=False, status="Unpaid"),
        InvoiceSelection(order_ids=tuple(order.id for order in WORLD.orders[-60:]), overdue=False),
    ],
)
async def test_conditions_narrow_list_and_count_alike(books: Books, selection: InvoiceSelection) -> None:
    everything = await books.erpnext.invoices(EVERYTHING, limit=500)
    today = datetime.now(UTC).date()

    def fits(row: InvoiceRecord) -> bool:
        overdue = row.outstanding_amount > 0 and row.due_date is not None and row.due_date < today
        return (
            (selection.companies is None or row.company in selection.companies)
            and (selection.customer_ids is None or row.customer_id in selection.customer_ids)
            and (selection.order_ids is None or row.order_id in selection.order_ids)
            and selection.status in (None, row.status)
            and selection.overdue in (None, overdue)
        )

    expected = [row.id for row in everything if fits(row)]
    assert 0 < len(expected) < len(everything)
    assert [row.id for row in await books.erpnext.invoices(selection, limit=500)] == expected
    assert await books.erpnext.count_invoices(selection) == len(expected)


async def test_invoices_are_found_by_name_whatever_it_holds(books: Books) -> None:
    (newest,) = await books.erpnext.invoices(EVERYTHING, limit=1)
    found = await books.erpnext.invoices_by_ids([newest.id, "no, such/one % '"])
    assert [row.id for row in found] == [newest.id]


async def test_an_invoice_is_submitted_at_once_with_shipping_on_top(books: Books) -> None:
    due = datetime.now(UTC).date() + timedelta(days=30)
    made = await books.erpnext.create_invoice(new_invoice(due_date=due))
    assert (made.net_total, made.tax_total, made.grand_total) == (Decimal("19.8"), Decimal(5), Decimal("24.8"))
    assert (made.outstanding_amount, made.currency, made.due_date) == (Decimal("24.8"), "EUR", due)
    assert (made.status, made.company, made.order_id) == ("Unpaid", CLIENT.company, UNINVOICED.id)
    (row,) = books.made
    assert (row["docstatus"], row["rounded_total"]) == (1, 0)
    assert row["taxes"][0]["account_head"].startswith("Freight")


async def test_what_is_free_costs_nothing_though_it_has_a_list_price(books: Books) -> None:
    gift = NewInvoiceItem(SKU, Decimal(1), Decimal(0))
    made = await books.erpnext.create_invoice(
        new_invoice(items=[gift, NewInvoiceItem(SKU, Decimal("1.5"), Decimal(10))], shipping=Decimal(0))
    )
    assert made.grand_total == 15


async def test_an_order_is_invoiced_once(books: Books) -> None:
    first = await books.erpnext.create_invoice(new_invoice())
    again = await books.erpnext.create_invoice(new_invoice(items=[NewInvoiceItem(SKU, Decimal(9), Decimal(9))]))
    assert again.id == first.id
    assert again.grand_total == first.grand_total
    assert len(books.made) == 1


async def test_invoices_without_order_are_all_made(books: Books) -> None:
    for _ in range(2):
        assert (await books.erpnext.create_invoice(new_invoice(None))).order_id is None
    assert len(books.made) == 2


@pytest.mark.parametrize("kind", ["hang", "malformed", "status"])
async def test_an_invoice_whose_answer_was_lost_is_found_again(books: Books, kind: str) -> None:
    books.line.replace([{"kind": kind, "when": "after", "path": INVOICES, "count": 1}])
    made = await books.erpnext.create_invoice(new_invoice())
    assert [row["name"] for row in books.made] == [made.id]


async def test_an_invoice_that_was_not_made_keeps_its_error(books: Books) -> None:
    books.line.replace([{"kind": "hang", "when": "before", "path": INVOICES, "count": 1}])
    with pytest.raises(BackendTimeout):
        await books.erpnext.create_invoice(new_invoice())
    assert books.made == []


async def test_of_several_at_once_all_get_the_firsts(books: Books) -> None:
    """All have looked before the first has inserted; the others meet its unique value."""
    made = await asyncio.gather(*(books.erpnext.create_invoice(new_invoice()) for _ in range(3)))
    assert [call.path for call in books.line.calls[:3]] == [LIST] * 3
    assert {invoice.id for invoice in made} == {row["name"] for row in books.made}
    assert len(books.made) == 1


async def test_a_cancelled_invoice_makes_room_for_another(books: Books) -> None:
    names = []
    for _ in range(3):
        made = await books.erpnext.create_invoice(new_invoice())
        await books.erpnext.cancel_invoice(made.id)
        names.append(made.id)
    last = await books.erpnext.create_invoice(new_invoice())
    found = await books.erpnext.invoices_by_order_ids([UNINVOICED.id])
    assert [row.id for row in found] == [last.id, *reversed(names)]
    assert {row.order_id for row in found} == {UNINVOICED.id}
    assert [row["custom_commerce_order_id"].removeprefix(UNINVOICED.id) for row in books.made] == ["", "#2", "#3", "#4"]


async def test_there_is_an_end_to_issuing_again(books: Books) -> None:
    for _ in range(5):
        await books.erpnext.cancel_invoice((await books.erpnext.create_invoice(new_invoice())).id)
    with pytest.raises(BackendRejected) as caught:
        await books.erpnext.create_invoice(new_invoice())
    assert caught.value.reason == "TooManyInvoices"


async def test_by_po_no_an_order_is_invoiced_once_too(books: Books) -> None:
    settings = ErpnextSettings(
        api_key=SecretStr(keys.ERPNEXT_API_KEY), api_secret=SecretStr(keys.ERPNEXT_API_SECRET), order_field="po_no"
    )
    by_po_no = Erpnext(books.erpnext._client, settings)
    made = await by_po_no.create_invoice(new_invoice())
    assert (await by_po_no.create_invoice(new_invoice())).id == made.id
    await by_po_no.cancel_invoice(made.id)
    assert (await by_po_no.create_invoice(new_invoice())).id != made.id
    assert [row["po_no"] for row in books.made] == [UNINVOICED.id] * 2


@pytest.mark.parametrize(
    ("change", "reason", "status"),
    [
        ({"items": [NewInvoiceItem("NOPE", Decimal(1), Decimal(1))]}, "DoesNotExistError", 404),
        ({"customer_id": "Nobody"}, "LinkValidationError", 417),
        ({"due_date": date(2020, 1, 1)}, "ValidationError", 417),
    ],
)
async def test_what_an_invoice_refers_to_must_be_there(
    books: Books, change: dict[str, Any], reason: str, status: int
) -> None:
    with pytest.raises(BackendRejected) as caught:
        await books.erpnext.create_invoice(new_invoice(**change))
    assert (caught.value.reason, caught.value.status) == (reason, status)
    assert books.made == []


async def test_shipping_needs_an_account_to_book_it_on(books: Books) -> None:
    for account in books.store.rows("Account"):
        if account["account_type"] == "Chargeable":
            books.store.put("Account", account["name"], {**account, "disabled": 1})
    with pytest.raises(BackendRejected, match="Chargeable"):
        await books.erpnext.create_invoice(new_invoice())


async def test_cancelling_twice_is_fine_and_cancelling_nothing_is_not(books: Books) -> None:
    made = await books.erpnext.create_invoice(new_invoice())
    for _ in range(2):
        await books.erpnext.cancel_invoice(made.id)
    assert books.made[0]["docstatus"] == 2
    with pytest.raises(BackendRejected) as caught:
        await books.erpnext.cancel_invoice("ACC-SINV-0000-1")
    assert caught.value.status == 404


async def test_a_cancellation_whose_answer_was_lost_is_fine(books: Books) -> None:
    made = await books.erpnext.create_invoice(new_invoice())
    books.line.replace([{"kind": "status", "when": "after", "method": "PUT", "count": 1}])
    await books.erpnext.cancel_invoice(made.id)
    assert books.made[0]["docstatus"] == 2


async def test_an_invoice_is_paid_once_by_a_reference(books: Books) -> None:
    made = await books.erpnext.create_invoice(new_invoice())
    entry = await books.erpnext.pay_invoice(made.id, "pi_1")
    assert await books.erpnext.pay_invoice(made.id, "pi_1") == entry
    (paid,) = await books.erpnext.invoices_by_ids([made.id])
    assert (paid.status, paid.outstanding_amount) == ("Paid", Decimal(0))
    (row,) = bookings(books, made.id)
    assert (row["name"], row["docstatus"], row["reference_no"]) == (entry, 1, "pi_1")
    assert row["paid_amount"] == 24.8


async def test_of_several_payments_at_once_one_is_booked(books: Books) -> None:
    made = await books.erpnext.create_invoice(new_invoice())
    entries = await asyncio.gather(*(books.erpnext.pay_invoice(made.id, "pi_1", amount=Decimal(1)) for _ in range(3)))
    assert set(entries) == {row["name"] for row in bookings(books, made.id)}
    assert len(bookings(books, made.id)) == 1


async def test_a_part_can_be_paid_and_then_the_rest(books: Books) -> None:
    made = await books.erpnext.create_invoice(new_invoice())
    await books.erpnext.pay_invoice(made.id, "pi_1", amount=Decimal("4.80"))
    await books.erpnext.pay_invoice(made.id, "pi_2")
    assert [row["paid_amount"] for row in bookings(books, made.id)] == [4.8, 20.0]
    with pytest.raises(BackendRejected):
        await books.erpnext.pay_invoice(made.id, "pi_3")


async def test_one_reference_can_pay_two_invoices(books: Books) -> None:
    first, second = [await books.erpnext.create_invoice(new_invoice(None)) for _ in range(2)]
    assert await books.erpnext.pay_invoice(first.id, "pi_1") != await books.erpnext.pay_invoice(second.id, "pi_1")


@pytest.mark.parametrize("kind", ["hang", "malformed", "status"])
async def test_a_payment_whose_answer_was_lost_is_found_again(books: Books, kind: str) -> None:
    made = await books.erpnext.create_invoice(new_invoice())
    books.line.replace([{"kind": kind, "when": "after", "path": PAYMENTS, "count": 1}])
    entry = await books.erpnext.pay_invoice(made.id, "pi_1")
    assert [row["name"] for row in bookings(books, made.id)] == [entry]


async def test_a_paid_invoice_is_cancelled_after_its_payment(books: Books) -> None:
    made = await books.erpnext.create_invoice(new_invoice())
    entry = await books.erpnext.pay_invoice(made.id, "pi_1")
    with pytest.raises(BackendRejected) as caught:
        await books.erpnext.cancel_invoice(made.id)
    assert caught.value.reason == "LinkExistsError"
    assert str(caught.value).endswith(f"is linked with Payment Entry {entry}")
    for _ in range(2):
        await books.erpnext.cancel_payment_entry(made.id, "pi_1")
    await books.erpnext.cancel_invoice(made.id)
    assert [row["docstatus"] for row in bookings(books, made.id)] == [2]


async def test_a_payment_that_was_taken_back_can_be_booked_again(books: Books) -> None:
    made = await books.erpnext.create_invoice(new_invoice())
    await books.erpnext.pay_invoice(made.id, "pi_1")
    await books.erpnext.cancel_payment_entry(made.id, "pi_1")
    await books.erpnext.pay_invoice(made.id, "pi_1")
    assert [row["docstatus"] for row in bookings(books, made.id)] == [2, 1]


async def test_taking_back_a_payment_that_was_never_booked_is_fine(books: Books) -> None:
    made = await books.erpnext.create_invoice(new_invoice())
    await books.erpnext.cancel_payment_entry(made.id, "pi_1")
    assert bookings(books, made.id) == []


async def test_stock_is_read_for_all_skus_in_one_call(books: Books) -> None:
    skus = [variant.sku for product in WORLD.products for variant in product.variants]
    levels = await books.erpnext.stock_levels_by_skus([*skus, "NOPE"], warehouses=[CLIENT.warehouse])
    assert len(books.line.calls) == 1
    assert sorted(level.sku for level in levels) == sorted(skus)
    assert {(level.warehouse, level.actual_quantity) for level in levels} == {(CLIENT.warehouse, Decimal(100_000))}


async def test_reserved_stock_is_not_available(books: Books) -> None:
    (row, *_) = [row for row in books.store.rows("Bin") if row["item_code"] == SKU]
    books.store.put("Bin", row["name"], {**row, "actual_qty": 3.5, "reserved_qty": 4.0})
    (level,) = await books.erpnext.stock_levels(limit=1, skus=[SKU], warehouses=[row["warehouse"]])
    assert (level.actual_quantity, level.reserved_quantity) == (Decimal("3.5"), Decimal(4))
    assert level.available_quantity == Decimal("-0.5")


async def test_stock_pages_by_sku_and_warehouse(books: Books) -> None:
    everything = await books.erpnext.stock_levels(limit=0)
    assert len(everything) == await books.erpnext.count_stock_levels() == len(books.store.rows("Bin"))
    assert await books.erpnext.stock_levels(limit=7, offset=5) == everything[5:12]
    keys = [(level.sku, level.warehouse) for level in everything]
    assert len(set(keys)) == len(keys)
    assert [sku for sku, _ in keys] == sorted(sku for sku, _ in keys)


async def test_customers_are_found_by_name(books: Books) -> None:
    found = await books.erpnext.customers_by_ids([ANN.erp_id, "Nobody"])
    assert [(customer.id, customer.name) for customer in found] == [(ANN.erp_id, ANN.name)]
