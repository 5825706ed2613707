"""Orders, carts and products as queries see them, joined with the couriers and the books, and in how many calls."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from decimal import Decimal
from typing import Any

import strawberry
from strawberry.schema.config import StrawberryConfig

from core import operation
from core.errors import GatewayError
from core.principals import Principal
from sandbox.world import ulid
from schema.carts import CartMutation, CartQuery
from schema.orders import OrderMutation, OrderQuery
from schema.products import ProductQuery
from schema.scalars import SCALARS
from tests.callers import SERVICE, WORLD, client, person, user
from tests.market import Market

pytest_plugins = ["tests.backends"]

ANN, STAFFER = person("CUSTOMER"), person("STAFF")
ADDRESS = '{name: "Ann Lee", street: "Rruga 1", city: "Tirana", postalCode: "1001", country: "al"}'


@strawberry.type
class Query(ProductQuery, CartQuery, OrderQuery):
    pass


@strawberry.type
class Mutation(CartMutation, OrderMutation):
    pass


SCHEMA = strawberry.federation.Schema(query=Query, mutation=Mutation, config=StrawberryConfig(scalar_map=SCALARS))


async def ask(market: Market, principal: Principal, document: str, **variables: Any) -> Any:
    """The data of an operation that has no errors."""
    data, errors = await try_to(market, principal, document, **variables)
    assert errors == []
    return data


async def try_to(market: Market, principal: Principal, document: str, **variables: Any) -> tuple[Any, list[str]]:
    """The data of an operation, and its errors' codes with the fields they stand for."""
    ctx = market.context(principal)
    result = await SCHEMA.execute(document, context_value=ctx, variable_values=variables)
    told = []
    for error in result.errors or []:
        assert isinstance(error.original_error, GatewayError), error
        told.append(f"{'.'.join(map(str, error.path or []))}: {error.original_error.code}")
    return result.data, told


def calls() -> Counter[str]:
    """What the last operation asked of whom."""
    return Counter(call.backend.value for call in operation.current().calls)


DASHBOARD = """
    query Dashboard($n: Int!) { orders(first: $n) { nodes {
        id displayId status total { amount currency } createdAt
        customer { id name email }
        items { id title quantity unitPrice { amount } product { id title handle thumbnail } }
        delivery { id status trackingNumber driver { id name phone } }
        invoice { id status grandTotal { amount } outstandingAmount { amount } dueDate }
    } } }
"""


async def test_the_dashboard_of_fifty_orders_is_five_calls_with_every_join_filled(market: Market) -> None:
    data = await ask(market, SERVICE, DASHBOARD, n=50)
    assert calls() == {"medusa": 2, "fleetbase": 1, "erpnext": 1}
    assert market.mongo.calls == ["buyers_by_medusa_customer_ids"]
    assert [len(each.paths) for each in (market.shop, market.couriers, market.books)] == [2, 1, 1]
    nodes = data["orders"]["nodes"]
    for node, expected in zip(nodes, reversed(WORLD.orders), strict=False):
        assert (node["id"], node["displayId"]) == (expected.id, expected.n)
        assert expected.customer is not None
        assert node["customer"] == {
            "id": expected.customer.id,
            "name": expected.customer.name,
            "email": expected.customer.email,
        }
        assert [(item["product"]["id"], item["quantity"]) for item in node["items"]] == [
            (line.product.id, line.quantity) for line in expected.lines
        ]
        assert node["delivery"]["driver"]["name"]
        assert node["total"]["currency"] == expected.currency
        assert Decimal(node["total"]["amount"]) == expected.total
        assert Decimal(node["invoice"]["grandTotal"]["amount"]) == expected.total
    assert len(nodes) == 50


async def test_all_joins_of_several_orders_are_one_call_each(market: Market) -> None:
    document = """{ orders(first: 10) { totalCount edges { cursor node {
        id deliveries { id } delivery { id } invoices { id } invoice { id }
    } } pageInfo { hasNextPage } } }"""
    data = await ask(market, client(0), document)
    assert calls() == {"medusa": 1, "fleetbase": 1, "erpnext": 1}
    assert (data["orders"]["totalCount"], data["orders"]["pageInfo"]["hasNextPage"]) == (50, True)
    for edge in data["orders"]["edges"]:
        node = edge["node"]
        assert node["delivery"] in node["deliveries"]
        assert node["invoice"] in node["invoices"]


async def test_an_order_tells_its_money_and_states(market: Market) -> None:
    document = """query ($id: ID!) { order(id: $id) {
        status paymentStatus fulfillmentStatus email currency
        subtotal { amount currency } shippingTotal { amount } taxTotal { amount } total { amount }
        items { title unitPrice { amount currency } total { amount } variantId } createdAt
    } }"""
    expected = WORLD.orders[-1]
    data = await ask(market, user(ANN), document, id=expected.id)
    order = data["order"]
    assert (order["status"], order["email"], order["currency"]) == ("PENDING", ANN.email, "ALL")
    assert Decimal(order["subtotal"]["amount"]) == expected.total
    assert Decimal(order["shippingTotal"]["amount"]) == expected.shipping
    assert order["items"][0]["unitPrice"]["currency"] == "ALL"
    assert [item["variantId"] for item in order["items"]] == [line.variant.id for line in expected.lines]
    assert order["createdAt"].endswith("+00:00")
    assert (await ask(market, user(person("CUSTOMER", n=1)), document, id=expected.id))["order"] is None


async def test_orders_are_filtered_by_status_user_and_time(market: Market) -> None:
    document = (
        "query ($filter: OrderFilter) { orders(first: 100, filter: $filter) { nodes { id createdAt } totalCount } }"
    )
    everything = (await ask(market, user(STAFFER), document))["orders"]["nodes"]
    of_ann = (await ask(market, user(STAFFER), document, filter={"userId": ANN.id}))["orders"]["nodes"]
    assert [each["id"] for each in of_ann] == [each.id for each in reversed(WORLD.orders) if each.customer is ANN]
    moment = everything[4]["createdAt"]
    for written in (moment, moment.removesuffix("+00:00")):
        since = await ask(market, user(STAFFER), document, filter={"createdAfter": written})
        assert since["orders"]["nodes"] == everything[:5]
    before = await ask(market, user(STAFFER), document, filter={"createdBefore": moment, "ids": None})
    assert before["orders"]["nodes"] == everything[5:]
    draft = await ask(market, user(STAFFER), document, filter={"status": "DRAFT"})
    assert draft["orders"] == {"nodes": [], "totalCount": 0}


async def test_products_show_variants_prices_categories_and_stock(market: Market) -> None:
    document = """{ products(first: 20) { nodes {
        id handle status images categories { name parent { name } }
        variants { sku prices { amount currency } inventoryQuantity }
        stockLevels { sku warehouse actualQuantity }
    } } categories { nodes { name parent { name parent { name } } } } stores { name defaultCurrency } }"""
    data = await ask(market, user(STAFFER), document)
    # Products, their quantities, the parents of categories, all categories, stores; stock.
    assert calls() == {"medusa": 5, "erpnext": 1}
    for node, expected in zip(data["products"]["nodes"], reversed(WORLD.products), strict=False):
        skus = [variant.sku for variant in expected.variants]
        assert [variant["sku"] for variant in node["variants"]] == skus
        assert [variant["inventoryQuantity"] for variant in node["variants"]] == [100_000] * len(skus)
        prices = {price["currency"]: Decimal(price["amount"]) for price in node["variants"][0]["prices"]}
        assert prices == {"EUR": expected.variants[0].eur, "ALL": expected.variants[0].lek}
        assert [category["name"] for category in node["categories"]] == [expected.category.name]
        assert {level["sku"] for level in node["stockLevels"]} == set(skus)
        assert {level["warehouse"] for level in node["stockLevels"]} == {STAFFER.client.warehouse}
    assert {(n["name"], n["parent"]["name"]) for n in data["categories"]["nodes"] if n["parent"]} == {
        ("Children's Books", "Books"),
        ("Notebooks", "Stationery"),
    }
    assert data["stores"] == [{"name": "OmniStack Demo", "defaultCurrency": "EUR"}]


async def test_a_product_is_asked_for_in_one_way(market: Market) -> None:
    document = "query ($id: ID, $handle: String) { product(id: $id, handle: $handle) { title } }"
    assert await ask(market, user(ANN), document, handle="guide-01") == {"product": {"title": "Guide 01"}}
    assert await ask(market, user(ANN), document, id="prod_x") == {"product": None}
    assert await try_to(market, user(ANN), document) == ({"product": None}, ["product: BAD_USER_INPUT"])


async def test_a_cart_is_filled_ordered_and_canceled(market: Market) -> None:
    ann, variant = user(ANN), ulid("variant", 11)
    made = await ask(
        market,
        ann,
        """mutation ($variant: ID!) { createCart(input: {currency: "EUR", items: [{variantId: $variant}]}) {
            id currency email subtotal { amount } total { amount } items { id quantity product { handle } }
        } }""",
        variant=variant,
    )
    cart = made["createCart"]
    assert (cart["currency"], cart["email"]) == ("EUR", ANN.email)
    assert [(item["quantity"], item["product"]["handle"]) for item in cart["items"]] == [(1, "guide-01")]
    added = await ask(
        market,
        ann,
        """mutation ($cart: ID!, $variant: ID!) {
            addCartItem(cartId: $cart, variantId: $variant) { items { quantity } }
        }""",
        cart=cart["id"],
        variant=variant,
    )
    assert added == {"addCartItem": {"items": [{"quantity": 2}]}}
    read = await ask(market, ann, "query ($id: ID!) { cart(id: $id) { total { amount currency } } }", id=cart["id"])
    assert read["cart"]["total"] == {"amount": "17.54", "currency": "EUR"}
    placing = f"""mutation ($cart: ID!) {{ createOrder(input: {{cartId: $cart, shippingAddress: {ADDRESS}}}) {{
        id status paymentStatus total {{ amount }} customer {{ id }}
    }} }}"""
    placed = (await ask(market, ann, placing, cart=cart["id"]))["createOrder"]
    assert placed["total"] == {"amount": "22.54"}
    assert (placed["status"], placed["paymentStatus"], placed["customer"]) == ("PENDING", "authorized", {"id": ANN.id})
    assert (await ask(market, ann, placing, cart=cart["id"]))["createOrder"] == placed
    assert market.shop.new_orders == [placed["id"]]
    again = replace(ann, medusa_customer_ids=market.mongo.users_by_id[ANN.id].medusa_customer_ids)
    canceling = "mutation ($id: ID!) { cancelOrder(id: $id) { status paymentStatus } }"
    canceled = await ask(market, again, canceling, id=placed["id"])
    assert canceled == {"cancelOrder": {"status": "CANCELED", "paymentStatus": "canceled"}}


async def test_with_one_mutation_of_two_failing_the_others_answer_arrives(market: Market) -> None:
    variant = ulid("variant", 11)
    document = f"""mutation ($variant: ID!) {{
        one: createOrder(input: {{items: [{{variantId: "variant_x"}}], shippingAddress: {ADDRESS}}}) {{ id }}
        two: createOrder(input: {{items: [{{variantId: $variant, quantity: 3}}], shippingAddress: {ADDRESS}}}) {{
            items {{ quantity }}
        }}
    }}"""
    data, errors = await try_to(market, user(ANN), document, variant=variant)
    assert data == {"one": None, "two": {"items": [{"quantity": 3}]}}
    assert errors == ["one: NOT_FOUND"]
    assert len(market.shop.new_orders) == 1


async def test_with_the_shop_down_the_errors_name_it_and_with_products_down_orders_remain(market: Market) -> None:
    market.shop.line.replace([{"kind": "malformed", "path": "/admin/products"}])
    document = "{ orders(first: 2) { nodes { id items { product { id } } } } }"
    data, errors = await try_to(market, client(0), document)
    assert [len(node["items"]) for node in data["orders"]["nodes"]] == [3, 2]
    lines = [(n, i) for n, of_order in enumerate((3, 2)) for i in range(of_order)]
    assert set(errors) == {f"orders.nodes.{n}.items.{i}.product: UPSTREAM_BAD_RESPONSE" for n, i in lines}
    market.shop.line.replace([{"kind": "malformed"}])
    assert await try_to(market, client(0), document) == ({"orders": None}, ["orders: UPSTREAM_BAD_RESPONSE"])
