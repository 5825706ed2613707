"""The main query: five backends in one answer, in as many calls as there are backends."""

from __future__ import annotations

from typing import Any

from graphiql.examples import DASHBOARD
from tests.end_to_end.conftest import NewGateway
from tests.end_to_end.gateway import Gateway

TRACED = {"x-gateway-trace": "1"}
HTTP_BACKENDS = ("medusa", "fleetbase", "erpnext", "stripe", "sendgrid")


async def dashboard(gateway: Gateway, n: int, headers: dict[str, str] | None = None) -> dict[str, Any]:
    return await gateway.post(DASHBOARD.query, {"n": n}, headers={**(headers or gateway.service()), **TRACED})


async def test_all_joins_are_filled_in_few_calls_and_the_trace_tells_them_all(new_gateway: NewGateway) -> None:
    gateway = await new_gateway()  # where nobody has ordered anything yet
    for n, most in ((1, 5), (50, 5), (100, 6)):
        await gateway.sandbox.forget_calls()
        body = await dashboard(gateway, n)
        assert "errors" not in body
        orders = body["data"]["orders"]["nodes"]
        assert len(orders) == n
        for order in orders:
            assert order["customer"]["email"]
            assert order["items"]
            assert all(item["product"]["title"] for item in order["items"])
            assert order["delivery"]["driver"]["phone"]
            assert order["invoice"]["grandTotal"]["amount"] == order["total"]["amount"]
        trace = body["extensions"]["trace"]["upstreamCalls"]
        assert len(trace) <= most
        for backend in HTTP_BACKENDS:
            reached = await gateway.sandbox.calls(backend)
            assert len(reached) == sum(call["backend"] == backend.upper() for call in trace)
        assert sum(call["backend"] == "OMNISTACK" for call in trace) == 1


async def test_the_trace_holds_no_ids_and_no_queries(gateway: Gateway) -> None:
    body = await dashboard(gateway, 3)
    for call in body["extensions"]["trace"]["upstreamCalls"]:
        assert "01DEMO" not in call["path"]
        assert "?" not in call["path"]


async def test_only_those_who_may_see_a_trace_get_one(gateway: Gateway) -> None:
    query = "{ viewer { kind } }"
    for role, allowed in (("CUSTOMER", False), ("STAFF", True)):
        body = await gateway.post(query, headers={**gateway.user(role), **TRACED})
        assert ("trace" in body.get("extensions", {})) is allowed
    assert "trace" not in (await gateway.post(query)).get("extensions", {})


async def test_a_client_sees_its_own_orders_with_all_joins(gateway: Gateway) -> None:
    keys = gateway.credentials["keys"]
    body = await dashboard(gateway, 50, {"x-api-key": keys["Dakkah"], "client-x-api-key": keys["DKTR01"]})
    assert "errors" not in body
    orders = body["data"]["orders"]["nodes"]
    assert len(orders) == 50
    assert {order["customer"]["email"].split("@")[1] for order in orders if order["customer"]} == {"dktr01.example"}


async def test_a_customer_sees_their_own_orders_only(gateway: Gateway) -> None:
    body = await dashboard(gateway, 50, gateway.user("CUSTOMER"))
    orders = body["data"]["orders"]["nodes"]
    assert 0 < len(orders) < 50
    assert {order["customer"]["id"] for order in orders} == {gateway.credentials["users"]["CUSTOMER"]}


async def test_nothing_answers_without_credentials(gateway: Gateway) -> None:
    for headers in ({}, {"x-api-key": "sk_wrong"}, {"authorization": "Bearer nonsense"}):
        body = await gateway.post("{ health { status } }", headers=headers)
        assert body["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
        assert "data" not in body
