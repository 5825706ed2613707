"""Invoices and stock as queries see them, joined with people, orders and products, and in how many calls."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from typing import Any

import pytest
import strawberry
from strawberry.schema.config import StrawberryConfig

from core import operation
from core.backends import BackendName
from core.errors import GatewayError
from core.principals import Principal
from engine.scopes import enforce_scopes
from schema.invoices import InvoiceMutation, InvoiceQuery
from schema.orders import OrderQuery
from schema.products import ProductQuery
from schema.scalars import SCALARS
from schema.stock import StockQuery
from schema.users import UserQuery
from tests.callers import SERVICE, WORLD, person, user
from tests.market import Market

pytest_plugins = ["tests.backends"]

ANN, STRANGER = person("CUSTOMER"), person("CUSTOMER", client=1)
CUSTOMER, STAFF, MANAGER = user(ANN), user(person("STAFF")), user(person("MANAGER"))
SKU = WORLD.products[0].variants[0].sku
ORDER = next(order for order in reversed(WORLD.invoiced) if order.customer is ANN)


@strawberry.type
class Query(InvoiceQuery, StockQuery, OrderQuery, ProductQuery, UserQuery):
    pass


@strawberry.type
class Mutation(InvoiceMutation):
    pass


SCHEMA = strawberry.federation.Schema(query=Query, mutation=Mutation, config=StrawberryConfig(scalar_map=SCALARS))
enforce_scopes(SCHEMA)


async def try_to(market: Market, principal: Principal, document: str, **variables: Any) -> tuple[Any, list[str]]:
    """The data of an operation, and its errors' codes with the fields they stand for."""
    ctx = market.context(principal)
    result = await SCHEMA.execute(document, context_value=ctx, variable_values=variables)
    told = []
    for error in result.errors or []:
        assert isinstance(error.original_error, GatewayError), error
        told.append(f"{'.'.join(map(str, error.path or []))}: {error.original_error.code}")
    return result.data, told


async def ask(market: Market, principal: Principal, document: str, **variables: Any) -> Any:
    """The data of an operation that has no errors."""
    data, errors = await try_to(market, principal, document, **variables)
    assert errors == []
    return data


def calls() -> Counter[str]:
    """What the last operation asked of whom, the core store aside."""
    return Counter(call.backend.value for call in operation.current().calls)


async def test_an_invoice_tells_its_money_and_dates(market: Market) -> None:
    document = """query ($id: ID!) { invoice(id: $id) {
        id number status customerName currency postingDate dueDate
        netTotal { amount currency } taxTotal { amount } grandTotal { amount } outstandingAmount { amount }
        customer { id } order { id displayId }
        items { sku description quantity rate { amount currency } amount { amount } product { id } }
    } }"""
    name = market.books.change(ORDER.id, outstanding_amount=1.5, status="Partly Paid", due_date="2026-06-15")
    invoice = (await ask(market, CUSTOMER, document, id=name))["invoice"]
    assert (invoice["id"], invoice["number"], invoice["status"]) == (name, name, "Partly Paid")
    assert (invoice["customerName"], invoice["currency"], invoice["dueDate"]) == (
        ANN.name,
        ORDER.currency,
        "2026-06-15",
    )
    assert len(invoice["postingDate"]) == len("2026-06-15")
    assert invoice["netTotal"]["currency"] == ORDER.currency
    assert Decimal(invoice["netTotal"]["amount"]) == ORDER.item_total
    assert Decimal(invoice["taxTotal"]["amount"]) == ORDER.shipping
    assert Decimal(invoice["grandTotal"]["amount"]) == ORDER.total
    assert Decimal(invoice["outstandingAmount"]["amount"]) == Decimal("1.5")
    assert invoice["customer"] == {"id": ANN.id}
    assert invoice["order"] == {"id": ORDER.id, "displayId": ORDER.n}
    for item, line in zip(invoice["items"], ORDER.lines, strict=True):
        assert (item["sku"], item["product"]["id"]) == (line.variant.sku, line.product.id)
        assert item["description"] == line.product.description
        assert Decimal(item["quantity"]) == line.quantity
        assert item["rate"]["currency"] == ORDER.currency
        assert Decimal(item["amount"]["amount"]) == line.variant.price(ORDER.currency) * line.quantity


async def test_fifty_invoices_with_all_joins_are_one_call_per_join(market: Market) -> None:
    document = """{ invoices(first: 50) { nodes {
        id customer { name } order { id } items { sku product { title } }
    } pageInfo { hasNextPage } } }"""
    data = await ask(market, SERVICE, document)
    nodes = data["invoices"]["nodes"]
    assert len(nodes) == 50
    assert all(node["customer"] and node["items"] for node in nodes)
    assert all(item["product"] for node in nodes for item in node["items"])
    assert sum(node["order"] is not None for node in nodes) >= 47
    # Invoices and their lines; orders, variants and products; people.
    assert calls() == {BackendName.ERPNEXT.value: 2, BackendName.MEDUSA.value: 3}
    assert market.mongo.calls == ["buyers_by_erp_customer_ids"]


async def test_lines_and_totals_cost_nothing_unless_asked_for(market: Market) -> None:
    await ask(market, SERVICE, "{ invoices(first: 50) { nodes { id grandTotal { amount } } } }")
    assert market.books.calls == 1
    data = await ask(market, STAFF, "{ invoices(first: 1) { totalCount edges { cursor node { id } } } }")
    assert data["invoices"]["totalCount"] == sum(order.client is ANN.client for order in WORLD.invoiced) + 1
    assert market.books.calls == 2


async def test_filters_reach_the_list(market: Market) -> None:
    document = "query ($f: InvoiceFilter) { invoices(first: 100, filter: $f) { nodes { status order { id } } } }"
    by_order = await ask(market, SERVICE, document, f={"orderIds": [ORDER.id]})
    assert [node["order"]["id"] for node in by_order["invoices"]["nodes"]] == [ORDER.id]
    paid = await ask(market, STAFF, document, f={"status": "Paid", "overdue": False})
    assert {node["status"] for node in paid["invoices"]["nodes"]} == {"Paid"}
    nobodys = await ask(market, STAFF, document, f={"customerId": STRANGER.erp_id})
    assert nobodys["invoices"]["nodes"] == []
    everything = await ask(market, STAFF, document, f=dict.fromkeys(("orderIds", "status", "customerId", "overdue")))
    assert len(everything["invoices"]["nodes"]) > 1


async def test_an_order_shows_its_invoices(market: Market) -> None:
    document = "query ($id: ID!) { order(id: $id) { invoice { id items { sku } } invoices { id } } }"
    data = await ask(market, CUSTOMER, document, id=ORDER.id)
    assert data["order"]["invoices"] == [{"id": data["order"]["invoice"]["id"]}]
    assert len(data["order"]["invoice"]["items"]) == len(ORDER.lines)
    assert market.books.calls == 2


async def test_a_broken_join_leaves_the_rest(market: Market) -> None:
    market.shop.line.replace([{"kind": "status", "status": 400}])
    data, errors = await try_to(market, STAFF, "{ invoices(first: 3) { nodes { id order { id } } } }")
    assert [set(node) for node in data["invoices"]["nodes"]] == [{"id", "order"}] * 3
    assert errors
    assert {error.rpartition(": ")[2] for error in errors} == {"UPSTREAM_REJECTED"}


async def test_broken_books_leave_the_rest(market: Market) -> None:
    market.books.line.replace([{"kind": "malformed"}])
    data, errors = await try_to(
        market, CUSTOMER, "query ($id: ID!) { order(id: $id) { id invoice { id } } }", id=ORDER.id
    )
    assert data["order"] == {"id": ORDER.id, "invoice": None}
    assert errors == ["order.invoice: UPSTREAM_BAD_RESPONSE"]


CREATE = """mutation ($input: CreateInvoiceInput!) { createInvoice(input: $input) {
    id status dueDate grandTotal { amount currency } customer { id } order { id invoice { id } } items { sku }
} }"""


async def test_an_invoice_is_made_for_an_order_once(market: Market) -> None:
    market.books.change(ORDER.id, docstatus=2, status="Cancelled")
    items = [{"sku": SKU, "quantity": "1.5", "rate": "10.00"}, {"sku": SKU, "quantity": 1, "rate": 0}]
    wanted = {"customerId": ANN.erp_id, "orderId": ORDER.id, "items": items, "dueDate": "2999-01-31"}
    made = (await ask(market, MANAGER, CREATE, input=wanted))["createInvoice"]
    assert (made["status"], made["dueDate"], made["customer"]) == ("Unpaid", "2999-01-31", {"id": ANN.id})
    assert made["grandTotal"]["currency"] == ORDER.currency
    assert Decimal(made["grandTotal"]["amount"]) == 15
    assert made["order"] == {"id": ORDER.id, "invoice": {"id": made["id"]}}
    assert [item["sku"] for item in made["items"]] == [SKU, SKU]
    assert (await ask(market, MANAGER, CREATE, input=wanted))["createInvoice"]["id"] == made["id"]
    assert len(market.books.made) == 1


@pytest.mark.parametrize(
    ("principal", "changes", "code"),
    [
        (STAFF, {}, "FORBIDDEN"),
        (MANAGER, {"customerId": STRANGER.erp_id}, "NOT_FOUND"),
        (MANAGER, {"items": []}, "BAD_USER_INPUT"),
        (MANAGER, {"items": [{"sku": SKU, "quantity": 0, "rate": 1}]}, "BAD_USER_INPUT"),
        (MANAGER, {"items": [{"sku": "NOPE", "quantity": 1, "rate": 1}]}, "UPSTREAM_REJECTED"),
    ],
)
async def test_an_invoice_that_cannot_be_made_is_null_with_a_reason(
    market: Market, principal: Principal, changes: dict[str, Any], code: str
) -> None:
    items = [{"sku": SKU, "quantity": 1, "rate": 1}]
    data, errors = await try_to(market, principal, CREATE, input={"customerId": ANN.erp_id, "items": items, **changes})
    assert data == {"createInvoice": None}
    assert errors == [f"createInvoice: {code}"]
    assert market.books.made == []


async def test_stock_comes_with_its_products_in_one_call_each(market: Market) -> None:
    document = """query ($skus: [String!]) { stockLevels(skus: $skus) { totalCount nodes {
        sku warehouse actualQuantity reservedQuantity availableQuantity product { id }
    } } }"""
    products = WORLD.products[:20]
    skus = [product.variants[0].sku for product in products]
    data = await ask(market, STAFF, document, skus=[*skus, "NOPE"])
    levels = data["stockLevels"]["nodes"]
    assert {level["sku"]: level["product"]["id"] for level in levels} == {
        product.variants[0].sku: product.id for product in products
    }
    assert {level["warehouse"] for level in levels} == {ANN.client.warehouse}
    for level in levels:
        quantities = [Decimal(level[f"{name}Quantity"]) for name in ("actual", "reserved", "available")]
        assert quantities == [100_000, 0, 100_000]
    assert data["stockLevels"]["totalCount"] == 20
    # The list and its count; variants and their products.
    assert calls() == {BackendName.ERPNEXT.value: 2, BackendName.MEDUSA.value: 2}


async def test_stock_of_a_warehouse_pages(market: Market) -> None:
    document = """query ($warehouse: String, $after: String) {
        stockLevels(warehouse: $warehouse, first: 2, after: $after) { nodes { sku } pageInfo { endCursor } }
    }"""
    found, after = [], None
    for _ in range(2):
        page = (await ask(market, SERVICE, document, warehouse=ANN.client.warehouse, after=after))["stockLevels"]
        found += [node["sku"] for node in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
    assert found == sorted(variant.sku for product in WORLD.products for variant in product.variants)[:4]


async def test_stock_is_for_staff(market: Market) -> None:
    data, errors = await try_to(market, CUSTOMER, "{ stockLevels { nodes { sku } } }")
    assert (data, errors) == ({"stockLevels": None}, ["stockLevels: FORBIDDEN"])


async def test_stock_of_a_page_of_products_is_one_call(market: Market) -> None:
    data = await ask(market, STAFF, "{ products(first: 60) { nodes { variants { sku } stockLevels { sku } } } }")
    for product in data["products"]["nodes"]:
        assert sorted(product["stockLevels"], key=str) == sorted(product["variants"], key=str)
    assert market.books.calls == 1


async def test_invoices_of_a_page_of_users_are_one_call(market: Market) -> None:
    everybody = [person.id for person in WORLD.customers if person.client is ANN.client]
    document = "query ($id: ID!) { user(id: $id) { invoices(first: 5) { nodes { order { customer { id } } } } } }"
    data = await ask(market, STAFF, document, id=everybody[0])
    orders = [node["order"] for node in data["user"]["invoices"]["nodes"]]
    assert {order["customer"]["id"] for order in orders if order} == {everybody[0]}
    aliases = " ".join(
        f'u{n}: user(id: "{each}") {{ invoices {{ nodes {{ id }} }} }}' for n, each in enumerate(everybody)
    )
    data = await ask(market, STAFF, f"{{ {aliases} }}")
    assert all(one["invoices"]["nodes"] for one in data.values())
    assert market.books.calls == 1
