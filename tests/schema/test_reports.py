"""Reports, purchases, employees and the ERP's customers as queries see them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import strawberry
from strawberry.schema.config import StrawberryConfig

from core import operation
from core.backends import BackendName
from core.errors import GatewayError
from core.principals import Principal
from engine.scopes import enforce_scopes
from schema.employees import EmployeeQuery
from schema.erp_customers import ErpCustomerQuery
from schema.purchase_orders import PurchaseOrderMutation
from schema.reports import ReportQuery
from schema.scalars import SCALARS
from tests.callers import SERVICE, WORLD, person, user
from tests.office import Office

pytest_plugins = ["tests.backends"]

OWN, OTHER = WORLD.clients[0], WORLD.clients[1]
CUSTOMER, STAFF, MANAGER = user(person("CUSTOMER")), user(person("STAFF")), user(person("MANAGER"))
PRODUCT = WORLD.products[0]


@strawberry.type
class Query(ReportQuery, EmployeeQuery, ErpCustomerQuery):
    pass


@strawberry.type
class Mutation(PurchaseOrderMutation):
    pass


SCHEMA = strawberry.federation.Schema(query=Query, mutation=Mutation, config=StrawberryConfig(scalar_map=SCALARS))
enforce_scopes(SCHEMA)


async def try_to(office: Office, principal: Principal, document: str, **variables: Any) -> tuple[Any, list[str]]:
    """The data of an operation, and its errors' codes."""
    result = await SCHEMA.execute(document, context_value=office.context(principal), variable_values=variables)
    told = []
    for error in result.errors or []:
        assert isinstance(error.original_error, GatewayError), error
        told.append(error.original_error.code)
    return result.data, told


async def ask(office: Office, principal: Principal, document: str, **variables: Any) -> Any:
    data, errors = await try_to(office, principal, document, **variables)
    assert errors == []
    return data


def calls() -> dict[BackendName, int]:
    made = [call.backend for call in operation.current().calls]
    return {backend: made.count(backend) for backend in made}


REPORT = """query ($type: FinancialReportType!, $filters: JSON) { financialReport(type: $type, filters: $filters) {
    type columns { key label type } rows generatedAt
} }"""


async def test_a_report_tells_its_columns_and_rows(office: Office) -> None:
    data = await ask(office, MANAGER, REPORT, type="ACCOUNTS_RECEIVABLE")
    report = data["financialReport"]
    assert report["type"] == "ACCOUNTS_RECEIVABLE"
    assert {"key": "outstanding", "label": "Outstanding", "type": "Currency"} in report["columns"]
    assert {row["party_account"].rpartition(" - ")[2] for row in report["rows"]} == {OWN.company_abbr}
    assert datetime.now(UTC) - datetime.fromisoformat(report["generatedAt"]) < timedelta(minutes=1)
    assert calls() == {BackendName.ERPNEXT: 1}


async def test_reports_of_other_companies_are_not_there(office: Office) -> None:
    data, errors = await try_to(office, MANAGER, REPORT, type="SALES_REGISTER", filters={"company": OTHER.company})
    assert (data, errors) == ({"financialReport": None}, ["NOT_FOUND"])
    data, errors = await try_to(office, MANAGER, REPORT, type="SALES_REGISTER", filters={"owner": "x"})
    assert (data, errors) == ({"financialReport": None}, ["BAD_USER_INPUT"])


@pytest.mark.parametrize("principal", [CUSTOMER, STAFF], ids=["customer", "staff"])
async def test_reports_are_for_managers(office: Office, principal: Principal) -> None:
    data, errors = await try_to(office, principal, REPORT, type="BALANCE_SHEET")
    assert (data, errors) == ({"financialReport": None}, ["FORBIDDEN"])


async def test_people_of_the_books_are_for_staff_and_come_with_their_users(office: Office) -> None:
    document = """{
        employees(first: 50) { totalCount nodes { id name department designation status user { email } } }
        erpCustomers(first: 50) { totalCount nodes { id name group territory user { email } } }
    }"""
    data = await ask(office, STAFF, document)
    staff = [each for each in WORLD.people if each.role == "STAFF" and each.client is OWN]
    assert [(node["name"], node["user"]) for node in data["employees"]["nodes"]] == [
        (each.name, {"email": each.email}) for each in reversed(staff)
    ]
    theirs = [each for each in WORLD.customers if each.client is OWN]
    assert [(node["id"], node["name"], node["user"]["email"]) for node in data["erpCustomers"]["nodes"]] == [
        (each.erp_id, each.name, each.email) for each in reversed(theirs)
    ]
    assert [data[name]["totalCount"] for name in ("employees", "erpCustomers")] == [len(staff), len(theirs)]
    data, errors = await try_to(office, CUSTOMER, document)
    assert data == {"employees": None, "erpCustomers": None}
    assert errors == ["FORBIDDEN", "FORBIDDEN"]


async def test_the_users_of_many_are_one_call(office: Office) -> None:
    data = await ask(office, SERVICE, "{ erpCustomers(first: 50) { nodes { id user { id } } } }")
    assert len(data["erpCustomers"]["nodes"]) == 40
    assert all(node["user"] for node in data["erpCustomers"]["nodes"])
    assert calls() == {BackendName.ERPNEXT: 1, BackendName.OMNISTACK: 1}
    pattern = office._stores["erpnext"].rows("Employee")[0]
    for n in range(50):
        name = f"HR-EMP-9{n:04d}"
        office._stores["erpnext"].put("Employee", name, {**pattern, "name": name, "creation": "2999-01-01 00:00:00"})
    data = await ask(office, SERVICE, "{ employees(first: 50) { nodes { id user { id } } } }")
    assert [node["user"] is not None for node in data["employees"]["nodes"]] == [True] * 50
    assert calls() == {BackendName.ERPNEXT: 1, BackendName.OMNISTACK: 1}


CREATE = """mutation ($input: CreatePurchaseOrderInput!) { createPurchaseOrder(input: $input) {
    id status supplier grandTotal { amount currency }
    items { sku description quantity rate { amount currency } amount { amount } product { id } }
} }"""


def wanted(office: Office, **said: Any) -> dict[str, Any]:
    day = office.sources.erpnext.today() + timedelta(days=2)
    items = [{"sku": PRODUCT.variants[0].sku, "quantity": "2", "rate": "3.50"}]
    return {"supplier": f"Supplier of {OWN.code}", "scheduleDate": day.isoformat(), "items": items, **said}


async def test_a_purchase_order_tells_its_money_and_lines(office: Office) -> None:
    made = (await ask(office, MANAGER, CREATE, input=wanted(office)))["createPurchaseOrder"]
    currency = OWN.default_currency
    assert (made["status"], made["supplier"]) == ("To Receive and Bill", f"Supplier of {OWN.code}")
    assert made["grandTotal"] == {"amount": "7.00", "currency": currency}
    assert made["items"] == [
        {
            "sku": PRODUCT.variants[0].sku, "description": PRODUCT.description, "quantity": "2.0",
            "rate": {"amount": "3.50", "currency": currency}, "amount": {"amount": "7.00"},
            "product": {"id": PRODUCT.id},
        }
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("principal", "said", "code"),
    [
        (STAFF, {}, "FORBIDDEN"),
        (MANAGER, {"items": []}, "BAD_USER_INPUT"),
        (MANAGER, {"scheduleDate": "2020-01-01"}, "BAD_USER_INPUT"),
        (MANAGER, {"clientId": OTHER.id}, "NOT_FOUND"),
        (MANAGER, {"supplier": "Nobody"}, "UPSTREAM_REJECTED"),
    ],
)
async def test_a_purchase_order_that_cannot_be_made_is_null_with_a_reason(
    office: Office, principal: Principal, said: dict[str, Any], code: str
) -> None:
    data, errors = await try_to(office, principal, CREATE, input=wanted(office, **said))
    assert (data, errors) == ({"createPurchaseOrder": None}, [code])
