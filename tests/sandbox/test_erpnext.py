"""The simulated ERPNext behaves as the contract says: lists, the life of documents, invoices and their payments."""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

from sandbox import erpnext
from sandbox.erpnext.filters import timespan
from sandbox.erpnext.invoices import mark_overdue
from sandbox.erpnext.totals import in_words
from sandbox.erpnext.unit import USER, Unit
from sandbox.keys import ERPNEXT_API_KEY, ERPNEXT_API_SECRET
from sandbox.store import Store
from sandbox.world import World

WORLD = World(datetime.now(UTC))
CLIENT = WORLD.clients[1]
CUSTOMER = next(person for person in WORLD.customers if person.client is CLIENT)
SKU = WORLD.products[0].variants[0].sku
PAYMENT = "erpnext.accounts.doctype.payment_entry.payment_entry.get_payment_entry"


class Site:
    """The calls that these tests make, answers decoded."""

    def __init__(self, http: httpx.AsyncClient, store: Store) -> None:
        self.http, self.store = http, store

    async def get(self, doctype: str, name: str) -> dict[str, Any]:
        answer = await self.http.get(f"/api/resource/{doctype}/{name}")
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]  # type: ignore[no-any-return]

    async def create(self, doctype: str, doc: dict[str, Any]) -> httpx.Response:
        return await self.http.post(f"/api/resource/{doctype}", json=doc)

    async def put(self, doctype: str, name: str, doc: dict[str, Any]) -> httpx.Response:
        return await self.http.put(f"/api/resource/{doctype}/{name}", json=doc)

    async def method(self, path: str, /, **args: Any) -> httpx.Response:
        return await self.http.post(f"/api/method/{path}", json=args)

    async def list(self, doctype: str, **args: Any) -> list[dict[str, Any]]:
        answer = await self.method("frappe.client.get_list", doctype=doctype, **args)
        assert answer.status_code == 200, answer.text
        return answer.json()["message"]  # type: ignore[no-any-return]

    async def invoice(self, **changes: Any) -> dict[str, Any]:
        answer = await self.create("Sales Invoice", invoice(**changes))
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]  # type: ignore[no-any-return]

    async def pay(self, name: str, amount: float, **changes: Any) -> httpx.Response:
        built = await self.method(PAYMENT, dt="Sales Invoice", dn=name, party_amount=amount)
        paid = {"reference_no": "ch_1", "reference_date": "2026-06-01", "docstatus": 1}
        return await self.create("Payment Entry", built.json()["message"] | paid | changes)


def invoice(**changes: Any) -> dict[str, Any]:
    """A draft of 2 x 10.00."""
    lines = [{"item_code": SKU, "qty": 2, "rate": 10, "warehouse": CLIENT.warehouse}]
    return {
        "customer": CUSTOMER.erp_id,
        "company": CLIENT.company,
        "currency": "EUR",
        "disable_rounded_total": 1,
        "items": lines,
    } | changes


def refusal(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["exc_type"]


def told(answer: httpx.Response) -> list[str]:
    return [json.loads(text)["message"] for text in json.loads(answer.json()["_server_messages"])]


def connect(store: Store, **headers: str) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=erpnext.create_app(store))
    return httpx.AsyncClient(transport=transport, base_url="http://erpnext", headers=headers)


TOKEN = f"token {ERPNEXT_API_KEY}:{ERPNEXT_API_SECRET}"


@pytest.fixture(scope="session")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the demo world in it, to be copied."""
    path = tmp_path_factory.mktemp("erpnext") / "seeded.db"
    store = Store(path)
    store.seed(erpnext.seed)
    store.close()
    return path


@pytest.fixture
async def site(seeded: Path, tmp_path: Path) -> AsyncIterator[Site]:
    store = Store(Path(shutil.copy(seeded, tmp_path / "erpnext.db")))
    async with connect(store, authorization=TOKEN) as http:
        yield Site(http, store)
    store.close()


# ------------------------------------------------------------------ the demo world


async def test_every_invoiced_order_has_an_invoice_of_its_total(site: Site) -> None:
    ids = [order.id for order in WORLD.invoiced]
    rows = await site.list(
        "Sales Invoice",
        fields=["custom_commerce_order_id", "grand_total", "currency", "customer", "company", "status"],
        filters=[["custom_commerce_order_id", "in", ids]],
        limit_page_length=0,
    )
    found = {row["custom_commerce_order_id"]: row for row in rows}
    assert len(rows) == len(found) == len(ids)
    for order in WORLD.invoiced:
        row = found[order.id]
        assert Decimal(str(row["grand_total"])) == order.total
        assert (row["currency"], row["company"]) == (order.currency, order.client.company)
        assert order.customer is not None
        assert row["customer"] == order.customer.erp_id
    assert {"Paid", "Overdue", "Unpaid", "Partly Paid"} == {row["status"] for row in rows}


async def test_some_invoices_belong_to_no_order(site: Site) -> None:
    filters = [["custom_commerce_order_id", "is", "not set"], ["docstatus", "=", 1]]
    assert len(await site.list("Sales Invoice", filters=filters, limit_page_length=0)) == 3


async def test_every_sku_is_in_stock_at_every_client(site: Site) -> None:
    skus = [variant.sku for product in WORLD.products for variant in product.variants]
    rows = await site.list(
        "Bin", fields=["item_code", "warehouse", "actual_qty"], filters={"item_code": ["in", skus]}, limit_page_length=0
    )
    places = {(row["item_code"], row["warehouse"]) for row in rows if row["actual_qty"] >= 1000}
    assert places == {(sku, client.warehouse) for sku in skus for client in WORLD.clients}


async def test_customers_and_employees_are_those_of_the_other_backends(site: Site) -> None:
    row = await site.get("Customer", CUSTOMER.erp_id)
    assert (row["email_id"], row["custom_commerce_customer_id"]) == (CUSTOMER.email, CUSTOMER.medusa_id)
    staff = await site.list("Employee", fields=["company", "user_id", "status"])
    wanted = sorted((person.client.company, person.email) for person in WORLD.people if person.role == "STAFF")
    assert sorted((row["company"], row["user_id"]) for row in staff) == wanted
    assert len(await site.list("Purchase Order", filters={"status": "To Receive and Bill"})) == len(WORLD.clients)


# ------------------------------------------------------------------ who may ask


async def test_guests_are_forbidden_and_strangers_unauthorised(site: Site) -> None:
    async with connect(site.store) as guest:
        assert refusal(await guest.get("/api/resource/Item")) == (403, "PermissionError")
        assert refusal(await guest.get("/api/method/frappe.auth.get_logged_user")) == (403, "PermissionError")
        pong = await guest.get("/api/method/ping")
        assert pong.json() == {"message": "pong"}
        assert pong.cookies["sid"] == "Guest"
    for wrong in ("token a:b", "token nothing", f"Bearer {ERPNEXT_API_SECRET}", "Basic !!"):
        answer = await site.http.get("/api/resource/Item", headers={"authorization": wrong})
        assert refusal(answer) == (401, "AuthenticationError")
    known = await site.http.get("/api/method/frappe.auth.get_logged_user")
    assert known.json() == {"message": USER}
    assert "set-cookie" not in known.headers


# ------------------------------------------------------------------ lists


async def test_a_list_is_twenty_names_unless_asked_otherwise(site: Site) -> None:
    page = (await site.http.get("/api/resource/Item")).json()["data"]
    assert len(page) == 20
    assert set(page[0]) == {"name"}
    assert len(await site.list("Item")) == 20
    assert len(await site.list("Item", limit_page_length=0)) == len(site.store.rows("Item"))
    assert len(await site.list("Item", limit=2)) == 20, "the method knows no alias"
    assert len((await site.http.get("/api/resource/Item?limit=2&limit_start=79")).json()["data"]) == 1


async def test_hundreds_of_keys_fit_into_a_post_but_not_into_a_request_line(site: Site) -> None:
    keys = [f"order_{n:026d}" for n in range(500)] + [WORLD.invoiced[0].id]
    filters = [["custom_commerce_order_id", "in", keys]]
    assert len(await site.list("Sales Invoice", filters=filters, limit_page_length=0)) == 1
    answer = await site.http.get("/api/resource/Sales Invoice", params={"filters": json.dumps(filters)})
    assert answer.status_code == 400
    assert answer.headers["content-type"].startswith("text/html")


async def test_the_request_line_may_be_4094_bytes_long(site: Site) -> None:
    rest = 4094 - len("GET /api/method/ping?x= HTTP/1.1")
    assert (await site.http.get("/api/method/ping?x=" + "a" * rest)).status_code == 200
    assert (await site.http.get("/api/method/ping?x=" + "a" * (rest + 1))).status_code == 400


async def test_a_json_body_makes_the_query_string_ignored(site: Site) -> None:
    call = "/api/method/frappe.client.get_list?limit_page_length=1&doctype=Item"
    answer = await site.http.post(call, json={"doctype": "Customer"})
    assert len(answer.json()["message"]) == 20


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ([["item_code", "=", "sku-001-1"]], ["SKU-001-1"]),
        ([["Item", "item_code", "in", "SKU-001-1, SKU-002-1"]], ["SKU-001-1", "SKU-002-1"]),
        ({"item_code": ["like", "SKU-00_-2"]}, ["SKU-003-2", "SKU-006-2", "SKU-009-2"]),
        ([["name", "between", ["SKU-001-1", "SKU-003-1"]]], ["SKU-001-1", "SKU-002-1", "SKU-003-1"]),
        ([["standard_rate", "<", 9]], ["SKU-001-1"]),
        ([["name", "not in", ["SKU-001-1"]], ["name", "<=", "SKU-002-1"]], ["SKU-002-1"]),
        ([["name", "not like", "%-1"], ["name", "<", "SKU-004"]], ["SKU-003-2"]),
        ([["brand", "is", "set"]], []),
        ([["creation", "timespan", "tomorrow"]], []),
        ([["item_group", "descendants of", "All Item Groups"], ["name", "<", "SKU-002"]], ["SKU-001-1"]),
        ([["item_group", "not ancestors of", "Products"], ["name", "<", "SKU-002"]], ["SKU-001-1"]),
    ],
)
async def test_filters(site: Site, filters: Any, names: list[str]) -> None:
    rows = await site.list("Item", filters=filters, order_by="name asc", limit_page_length=0)
    assert [row["name"] for row in rows] == names


async def test_or_filters_order_and_plain_values(site: Site) -> None:
    some = [["name", "=", "SKU-001-1"], ["name", "=", "SKU-005-1"]]
    args = {"or_filters": some, "order_by": "standard_rate desc, name asc"}
    answer = await site.method("frappe.client.get_list", doctype="Item", fields=["name"], as_dict=0, **args)
    assert answer.json()["message"] == [["SKU-005-1"], ["SKU-001-1"]]


async def test_children_are_listed_through_their_parent(site: Site) -> None:
    order = WORLD.invoiced[-1]
    (parent,) = await site.list("Sales Invoice", filters={"custom_commerce_order_id": order.id})
    asked = {"fields": ["item_code", "qty", "rate"], "filters": [["parent", "in", [parent["name"]]]]}
    rows = await site.list("Sales Invoice Item", parent="Sales Invoice", order_by="parent, idx", **asked)
    assert rows == [
        {"item_code": line.variant.sku, "qty": line.quantity, "rate": float(line.variant.price(order.currency))}
        for line in order.lines
    ]
    alone = await site.method("frappe.client.get_list", doctype="Sales Invoice Item", **asked)
    assert refusal(alone) == (403, "PermissionError")


async def test_a_parent_may_be_found_and_shown_by_its_children(site: Site) -> None:
    entry = site.store.rows("Payment Entry")[0]
    paid = entry["references"][0]["reference_name"]
    filters = [["Payment Entry Reference", "reference_name", "=", paid], ["docstatus", "=", 1]]
    rows = await site.list("Payment Entry", filters=filters, fields=["name", "references.reference_name"])
    assert rows == [{"name": entry["name"], "reference_name": paid}]


async def test_bad_lists_are_refused(site: Site) -> None:
    get_list = "frappe.client.get_list"
    unknown = await site.method(get_list, doctype="Item", filters=[["colour", "=", "red"]])
    assert refusal(unknown) == (417, "DataError")
    assert told(unknown) == ["Field not permitted in query: colour"]
    assert refusal(await site.method(get_list, doctype="Item", fields=["colour"])) == (417, "DataError")
    flat = await site.method(get_list, doctype="Item", filters=["item_code", "=", "x"])
    assert refusal(flat) == (404, "DoesNotExistError")
    assert refusal(await site.method(get_list, doctype="Item", order_by="colour desc")) == (500, "OperationalError")
    assert refusal(await site.http.get("/api/resource/Item?filters=[[x")) == (500, "JSONDecodeError")
    assert refusal(await site.method(get_list, doctype="Unheard Of")) == (404, "DoesNotExistError")


async def test_counts_and_single_values(site: Site) -> None:
    count = await site.method("frappe.client.get_count", doctype="Sales Invoice", filters={"docstatus": 1})
    assert count.json() == {"message": 153}
    query = {"doctype": "Item", "filters": SKU, "fieldname": '["item_code","stock_uom"]'}
    one = await site.http.get("/api/method/frappe.client.get_value", params=query)
    assert one.json() == {"message": {"item_code": SKU, "stock_uom": "Nos"}}
    none = await site.method("frappe.client.get_value", doctype="Item", filters={"name": "x"}, fieldname="name")
    assert none.json() == {"message": {}}


async def test_what_is_not_simulated_says_so(site: Site) -> None:
    for path in ("/api/resource/Quotation", "/api/method/frappe.desk.reportview.get", "/app/item"):
        assert (await site.http.get(path)).status_code == 501
    grouped = await site.method("frappe.client.get_list", doctype="Item", group_by="brand")
    assert grouped.status_code == 501
    assert (await site.put("Item", SKU, {"barcodes": [{"barcode": "1"}]})).status_code == 501


# ------------------------------------------------------------------ the life of documents


async def test_draft_submit_cancel(site: Site) -> None:
    doc = await site.invoice()
    assert (doc["docstatus"], doc["status"], doc["outstanding_amount"]) == (0, "Draft", 20.0)
    name = doc["name"]
    early = await site.put("Sales Invoice", name, {"docstatus": 2})
    assert refusal(early) == (417, "DocstatusTransitionError")
    changed = (await site.put("Sales Invoice", name, {"po_no": "7", "remarks": "x"})).json()["data"]
    assert (changed["po_no"], changed["items"][0]["qty"]) == ("7", 2.0)

    submitted = (await site.put("Sales Invoice", name, {"docstatus": 1})).json()["data"]
    assert (submitted["docstatus"], submitted["status"]) == (1, "Unpaid")
    assert submitted["items"][0]["docstatus"] == 1
    assert refusal(await site.put("Sales Invoice", name, {"currency": "ALL"})) == (417, "UpdateAfterSubmitError")
    fewer = await site.put("Sales Invoice", name, {"items": [{"item_code": SKU, "qty": 1}]})
    assert refusal(fewer) == (417, "UpdateAfterSubmitError")
    assert (await site.put("Sales Invoice", name, {"po_no": "8"})).json()["data"]["po_no"] == "8"
    assert refusal(await site.http.delete(f"/api/resource/Sales Invoice/{name}")) == (417, "ValidationError")
    assert refusal(await site.put("Sales Invoice", name, {"docstatus": 0})) == (417, "DocstatusTransitionError")

    cancelled = (await site.method("frappe.client.cancel", doctype="Sales Invoice", name=name)).json()["message"]
    assert (cancelled["docstatus"], cancelled["status"], cancelled["outstanding_amount"]) == (2, "Cancelled", 0.0)
    again = await site.put("Sales Invoice", name, {"docstatus": 2})
    assert refusal(again) == (417, "ValidationError")
    gone = await site.http.delete(f"/api/resource/Sales Invoice/{name}")
    assert (gone.status_code, gone.json()) == (202, {"data": "ok"})


async def test_run_method_submits_and_cancels_too(site: Site) -> None:
    path = f"/api/resource/Sales Invoice/{(await site.invoice())['name']}"
    assert (await site.http.post(path, json={"run_method": "submit"})).json()["data"]["status"] == "Unpaid"
    assert (await site.http.post(path, json={"run_method": "cancel"})).json()["data"]["status"] == "Cancelled"


async def test_a_cancelled_document_is_amended_by_a_new_one(site: Site) -> None:
    old = await site.invoice(docstatus=1)
    await site.put("Sales Invoice", old["name"], {"docstatus": 2})
    assert (await site.invoice(amended_from=old["name"]))["name"] == f"{old['name']}-1"


async def test_a_stale_document_is_not_saved(site: Site) -> None:
    read = await site.get("Item", SKU)
    first = await site.put("Item", SKU, {"item_name": "A", "modified": read["modified"]})
    second = await site.put("Item", SKU, {"item_name": "B", "modified": read["modified"]})
    assert first.status_code == 200
    assert refusal(second) == (417, "TimestampMismatchError")
    assert (await site.get("Item", SKU))["item_name"] == "A"


async def test_broken_references_and_gaps(site: Site) -> None:
    nobody = await site.create("Sales Invoice", invoice(customer="Nobody"))
    assert refusal(nobody) == (417, "LinkValidationError")
    assert told(nobody) == ["Could not find Customer: Nobody"]
    nothing = await site.create("Sales Invoice", invoice(items=[{"item_code": "NOPE", "qty": 1, "rate": 1}]))
    assert refusal(nothing) == (404, "DoesNotExistError")
    assert told(nothing) == ["Item NOPE not found"]
    gap = await site.create("Sales Invoice", {"company": CLIENT.company})
    assert refusal(gap) == (417, "MandatoryError")
    assert told(gap) == [
        "Error: Value missing for Sales Invoice: Customer",
        "Error: Data missing in table: Items",
    ]
    foreign = invoice(items=[{"item_code": SKU, "qty": 1, "rate": 1, "warehouse": WORLD.clients[0].warehouse}])
    assert refusal(await site.create("Sales Invoice", foreign)) == (417, "InvalidWarehouseCompany")
    late = invoice(set_posting_time=1, posting_date="2026-06-02", due_date="2026-06-01")
    assert told(await site.create("Sales Invoice", late)) == ["Due Date cannot be before Posting Date"]
    assert len(site.store.rows("Sales Invoice")) == 153


async def test_bins_are_read_only(site: Site) -> None:
    name = site.store.rows("Bin")[0]["name"]
    assert refusal(await site.put("Bin", name, {"actual_qty": 5})) == (403, "PermissionError")
    assert refusal(await site.create("Bin", {"item_code": SKU})) == (403, "PermissionError")


async def test_several_inserts_are_one_transaction(site: Site) -> None:
    good = {"doctype": "Customer", "customer_name": "Twin", "customer_type": "Individual"}
    both = await site.method("frappe.client.insert_many", docs=[good, good])
    assert both.json()["message"] == ["Twin", "Twin - 1"]
    bad = good | {"territory": "Nowhere", "customer_name": "Third"}
    answer = await site.method("frappe.client.insert_many", docs=[good | {"customer_name": "Second"}, bad])
    assert refusal(answer) == (417, "LinkValidationError")
    assert not await site.list("Customer", filters=[["customer_name", "in", ["Second", "Third"]]])


# ------------------------------------------------------------------ invoices


async def test_totals_taxes_and_rounding(site: Site) -> None:
    abbr = CLIENT.company_abbr
    taxes = [
        {"charge_type": "On Net Total", "account_head": f"VAT - {abbr}", "rate": 21, "description": "VAT"},
        {"charge_type": "Actual", "account_head": f"Freight and Forwarding Charges - {abbr}", "tax_amount": 5},
    ]
    lines = [{"item_code": SKU, "qty": 2, "rate": 454.46, "warehouse": CLIENT.warehouse}]
    exact = await site.invoice(items=lines, taxes=taxes)
    assert (exact["net_total"], exact["total_taxes_and_charges"]) == (908.92, 195.87)
    assert (exact["grand_total"], exact["rounded_total"], exact["outstanding_amount"]) == (1104.79, 0.0, 1104.79)
    rounded = await site.invoice(items=lines, taxes=taxes[:1], disable_rounded_total=0)
    assert (rounded["grand_total"], rounded["rounded_total"], rounded["rounding_adjustment"]) == (1099.79, 1100.0, 0.21)
    assert rounded["outstanding_amount"] == 1100.0
    assert rounded["in_words"] == "EUR One Thousand, One Hundred only."


async def test_a_discount_is_spread_over_the_lines(site: Site) -> None:
    lines = [{"item_code": SKU, "qty": 1, "rate": rate} for rate in (10, 20, 20)]
    tax = {"charge_type": "On Net Total", "account_head": f"VAT - {CLIENT.company_abbr}", "rate": 10}
    doc = await site.invoice(items=lines, taxes=[tax], discount_amount=11)
    assert (doc["total"], doc["net_total"], doc["grand_total"]) == (50.0, 40.0, 44.0)
    assert [line["net_amount"] for line in doc["items"]] == [8.0, 16.0, 16.0]


async def test_another_currency_has_its_own_receivable_account(site: Site) -> None:
    doc = await site.invoice(currency="ALL")
    assert doc["debit_to"] == f"Debtors ALL - {CLIENT.company_abbr}"
    assert (doc["grand_total"], doc["base_grand_total"], doc["outstanding_amount"]) == (20.0, 0.2, 20.0)


async def test_an_order_has_one_invoice_ever(site: Site) -> None:
    first = await site.invoice(custom_commerce_order_id="order_x", docstatus=1)
    second = await site.create("Sales Invoice", invoice(custom_commerce_order_id="order_x"))
    assert refusal(second) == (417, "UniqueValidationError")
    assert "order_x" in second.json()["exception"]
    await site.put("Sales Invoice", first["name"], {"docstatus": 2})
    third = await site.create("Sales Invoice", invoice(custom_commerce_order_id="order_x"))
    assert refusal(third) == (417, "UniqueValidationError"), "cancelled, it still holds the value"


async def test_the_order_can_be_cleared_before_cancelling(site: Site) -> None:
    first = await site.invoice(custom_commerce_order_id="order_x", docstatus=1)
    cleared = {"doctype": "Sales Invoice", "name": first["name"], "fieldname": "custom_commerce_order_id", "value": ""}
    assert (await site.method("frappe.client.set_value", **cleared)).status_code == 200
    assert (await site.invoice(custom_commerce_order_id="order_x"))["docstatus"] == 0


async def test_names_come_from_series(site: Site) -> None:
    year = datetime.now(UTC).year
    doc = await site.invoice(docstatus=1)
    assert doc["name"] == f"ACC-SINV-{year}-00154"
    lines = [{"item_code": SKU, "qty": -1, "rate": 10, "warehouse": CLIENT.warehouse}]
    note = await site.invoice(is_return=1, return_against=doc["name"], items=lines)
    assert note["name"] == f"ACC-SINV-RET-{year}-00001"


async def test_a_credit_note_settles_its_invoice(site: Site) -> None:
    original = await site.invoice(docstatus=1)
    lines = [{"item_code": SKU, "qty": -2, "rate": 10, "warehouse": CLIENT.warehouse}]
    positive = await site.create("Sales Invoice", invoice(is_return=1, return_against=original["name"]))
    assert refusal(positive) == (417, "ValidationError")
    note = await site.invoice(is_return=1, return_against=original["name"], items=lines, docstatus=1)
    assert (note["status"], note["grand_total"]) == ("Return", -20.0)
    after = await site.get("Sales Invoice", original["name"])
    assert (after["status"], after["outstanding_amount"]) == ("Credit Note Issued", 0.0)
    blocked = await site.put("Sales Invoice", original["name"], {"docstatus": 2})
    assert refusal(blocked) == (417, "LinkExistsError")
    await site.put("Sales Invoice", note["name"], {"docstatus": 2})
    assert (await site.get("Sales Invoice", original["name"]))["status"] == "Unpaid"


async def test_an_invoice_moves_stock_only_when_told_to(site: Site) -> None:
    async def in_stock() -> float:
        filters = {"item_code": SKU, "warehouse": CLIENT.warehouse}
        (row,) = await site.list("Bin", fields=["actual_qty"], filters=filters)
        return float(row["actual_qty"])

    before = await in_stock()
    await site.invoice(docstatus=1)
    assert await in_stock() == before
    sold = await site.invoice(docstatus=1, update_stock=1)
    assert await in_stock() == before - 2
    await site.put("Sales Invoice", sold["name"], {"docstatus": 2})
    assert await in_stock() == before
    lines = [{"item_code": SKU, "qty": 10**6, "rate": 1, "warehouse": CLIENT.warehouse}]
    too_many = await site.create("Sales Invoice", invoice(items=lines, update_stock=1, docstatus=1))
    assert refusal(too_many) == (417, "NegativeStockError")


async def test_a_day_later_what_was_due_is_overdue(site: Site) -> None:
    doc = await site.invoice(docstatus=1)
    unit = Unit(site.store, datetime.now(UTC) + timedelta(days=2))
    mark_overdue(unit)
    unit.commit()
    assert (await site.get("Sales Invoice", doc["name"]))["status"] == "Overdue"


# ------------------------------------------------------------------ payments


async def test_payments_change_what_is_outstanding(site: Site) -> None:
    name = (await site.invoice(docstatus=1))["name"]
    part = await site.pay(name, 5.0, custom_gateway_ref="saga-1")
    assert part.status_code == 200, part.text
    assert part.json()["data"]["name"].startswith("ACC-PAY-")
    doc = await site.get("Sales Invoice", name)
    assert (doc["status"], doc["outstanding_amount"]) == ("Partly Paid", 15.0)
    rest = await site.pay(name, 15.0)
    assert (await site.get("Sales Invoice", name))["status"] == "Paid"

    blocked = await site.put("Sales Invoice", name, {"docstatus": 2})
    assert refusal(blocked) == (417, "LinkExistsError")
    assert "Payment Entry" in told(blocked)[0]
    for entry in (rest, part):
        cancelled = await site.put("Payment Entry", entry.json()["data"]["name"], {"docstatus": 2})
        assert cancelled.json()["data"]["status"] == "Cancelled"
    doc = await site.get("Sales Invoice", name)
    assert (doc["status"], doc["outstanding_amount"]) == ("Unpaid", 20.0)
    assert (await site.put("Sales Invoice", name, {"docstatus": 2})).json()["data"]["status"] == "Cancelled"


async def test_a_draft_payment_changes_nothing(site: Site) -> None:
    name = (await site.invoice(docstatus=1))["name"]
    draft = await site.pay(name, 20.0, docstatus=0)
    assert (await site.get("Sales Invoice", name))["outstanding_amount"] == 20.0
    await site.put("Payment Entry", draft.json()["data"]["name"], {"docstatus": 1})
    assert (await site.get("Sales Invoice", name))["status"] == "Paid"


async def test_payments_that_do_not_fit_are_refused(site: Site) -> None:
    draft = (await site.invoice())["name"]
    early = await site.method(PAYMENT, dt="Sales Invoice", dn=draft)
    assert refusal(early) == (417, "ValidationError")
    name = (await site.invoice(docstatus=1))["name"]
    entry = (await site.method(PAYMENT, dt="Sales Invoice", dn=name)).json()["message"]
    assert "name" not in entry
    assert told(await site.create("Payment Entry", entry)) == [
        "Reference No and Reference Date is mandatory for Bank transaction"
    ]
    proof = {
        "reference_no": "ch_1",
        "reference_date": "2026-06-01",
        "docstatus": 1,
        "paid_amount": 30,
        "received_amount": 30,
    }
    over = [entry["references"][0] | {"allocated_amount": 30}]
    answer = await site.create("Payment Entry", entry | proof | {"references": over})
    assert told(answer) == ["Row #1: Allocated Amount cannot be greater than outstanding amount."]
    twice = await site.pay(name, 1.0, custom_gateway_ref="saga-2")
    again = await site.pay(name, 1.0, custom_gateway_ref="saga-2")
    assert (twice.status_code, refusal(again)) == (200, (417, "UniqueValidationError"))


async def test_a_paid_credit_note_is_refunded_by_a_payment_to_the_customer(site: Site) -> None:
    name = (await site.invoice(docstatus=1))["name"]
    await site.pay(name, 20.0)
    lines = [{"item_code": SKU, "qty": -2, "rate": 10, "warehouse": CLIENT.warehouse}]
    note = await site.invoice(is_return=1, return_against=name, items=lines, docstatus=1)
    assert note["outstanding_amount"] == -20.0
    refund = await site.pay(note["name"], 20.0)
    assert refund.json()["data"]["payment_type"] == "Pay"
    assert (await site.get("Sales Invoice", note["name"]))["outstanding_amount"] == 0.0


# ------------------------------------------------------------------ errors and persistence


async def test_errors_hide_their_text_behind_two_encodings(site: Site) -> None:
    body = (await site.create("Sales Invoice", invoice(customer="Nobody"))).json()
    assert body["exc_type"] == "LinkValidationError"
    assert body["exception"] == "frappe.exceptions.LinkValidationError: Could not find Customer: Nobody"
    assert json.loads(body["exc"])[0].startswith("Traceback")
    (message,) = json.loads(body["_server_messages"])
    assert json.loads(message)["message"] == "Could not find Customer: Nobody"
    missing = (await site.http.get("/api/resource/Item/NOPE")).json()
    assert set(missing) == {"exc_type", "_server_messages"}


async def test_duplicates_patches_and_unknown_paths(site: Site) -> None:
    item = {"item_code": SKU, "item_group": "Products", "stock_uom": "Nos"}
    assert refusal(await site.create("Item", item)) == (409, "DuplicateEntryError")
    assert refusal(await site.http.patch(f"/api/resource/Item/{SKU}", json={})) == (404, "DoesNotExistError")
    assert (await site.http.get("/api/nope")).json() == {"exc_type": "DoesNotExistError"}
    assert refusal(await site.method("nope.nope")) == (417, "ValidationError")
    assert refusal(await site.method("frappe.client.get_list")) == (500, "TypeError")


async def test_times_are_the_sites_own(site: Site) -> None:
    here = datetime.now(ZoneInfo(erpnext.SITE_TIME_ZONE)).replace(tzinfo=None)
    created = datetime.fromisoformat((await site.invoice())["creation"])
    assert created.tzinfo is None
    assert timedelta(0) <= created - here < timedelta(minutes=1)


async def test_names_may_hold_spaces_and_slashes(site: Site) -> None:
    made = await site.create("Item", {"item_code": "A/B c", "item_group": "Products", "stock_uom": "Nos"})
    assert made.status_code == 200
    assert (await site.get("Item", "A%2FB%20c"))["item_code"] == "A/B c"


async def test_an_acknowledged_write_survives(tmp_path: Path) -> None:
    store = Store(tmp_path / "erpnext.db")
    store.seed(erpnext.seed)
    async with connect(store, authorization=TOKEN) as http:
        doc = await Site(http, store).invoice(custom_commerce_order_id="order_x", docstatus=1)
    # The first store is left open, as a killed process would leave it.
    reopened = Store(tmp_path / "erpnext.db")
    reopened.seed(erpnext.seed)
    async with connect(reopened, authorization=TOKEN) as http:
        site = Site(http, reopened)
        assert (await site.get("Sales Invoice", doc["name"]))["custom_commerce_order_id"] == "order_x"
        assert (await site.invoice())["name"] > doc["name"], "the series goes on"
    store.close()
    reopened.close()


def test_timespans() -> None:
    unit = Unit(Store(None), datetime(2026, 2, 11, 12, tzinfo=UTC))
    assert timespan(unit, "this week") == ["2026-02-08", "2026-02-14"]
    assert timespan(unit, "last month") == ["2026-01-01", "2026-01-31"]
    assert timespan(unit, "next quarter") == ["2026-04-01", "2026-06-30"]
    assert timespan(unit, "last 7 days") == ["2026-02-04", "2026-02-11"]


def test_amounts_in_words() -> None:
    assert in_words(23, "EUR", "Cent") == "EUR Twenty Three only."
    assert in_words(1100, "EUR", "Cent") == "EUR One Thousand, One Hundred only."
    assert in_words(12.05, "ALL", "Qindarka") == "ALL Twelve and Five Qindarka only."
