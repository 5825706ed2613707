"""A backend that is slow, down or lying costs its own fields only."""

from __future__ import annotations

import json
import os
import signal
import time
from typing import Any

import pytest

from graphiql.examples import DASHBOARD
from tests.end_to_end.conftest import NewGateway
from tests.end_to_end.gateway import Gateway

DEADLINE_S = 6.0
BAD_DAYS: list[tuple[dict[str, Any], str]] = [
    ({"kind": "malformed"}, "UPSTREAM_BAD_RESPONSE"),
    ({"kind": "hang"}, "UPSTREAM_TIMEOUT"),
    ({"kind": "status", "status": 503}, "UPSTREAM_UNAVAILABLE"),
    ({"kind": "drop"}, "UPSTREAM_UNAVAILABLE"),
]
"""In this order: the last two open the circuit, which answers as they do."""


@pytest.fixture
async def starved(new_gateway: NewGateway) -> Gateway:
    """A gateway with little patience, for us to starve: of its own, as circuits stay open for a while."""
    return await new_gateway(
        QUERY_TIMEOUT_S=str(DEADLINE_S), MEDUSA_TIMEOUT_S="0.7", FLEETBASE_TIMEOUT_S="0.7", ERPNEXT_TIMEOUT_S="0.7"
    )


async def timed_dashboard(gateway: Gateway, n: int) -> dict[str, Any]:
    """The answer, which came within the deadline and a little."""
    started = time.monotonic()
    body = await gateway.post(DASHBOARD.query, {"n": n})
    assert time.monotonic() - started < DEADLINE_S + 2
    return body


@pytest.mark.parametrize(("backend", "field"), [("fleetbase", "delivery"), ("erpnext", "invoice")])
async def test_a_joined_backend_costs_its_own_fields_only(starved: Gateway, backend: str, field: str) -> None:
    for fault, code in BAD_DAYS:
        await starved.sandbox.faults(backend, fault)
        body = await timed_dashboard(starved, 5)
        await starved.sandbox.faults(backend)
        for order in body["data"]["orders"]["nodes"]:
            assert order[field] is None
            others = {"delivery", "invoice", "customer"} - {field}
            assert all(order[other] for other in others)
            assert all(item["product"] for item in order["items"])
        assert len(body["errors"]) == 5
        for error in body["errors"]:
            assert error["path"][-1] == field
            assert error["extensions"]["source"] == backend.upper()
            assert error["extensions"]["code"] == code
            assert error["extensions"]["requestId"]
            assert "127.0.0.1" not in json.dumps(error)


async def test_a_core_store_that_hangs_costs_the_customers_only(starved: Gateway) -> None:
    pid = json.loads((starved.data_dir / "endpoints.json").read_text())["mongodb"]["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        body = await timed_dashboard(starved, 3)
    finally:
        os.kill(pid, signal.SIGCONT)
    for order in body["data"]["orders"]["nodes"]:
        assert order["customer"] is None
        assert order["delivery"]
        assert order["invoice"]
    assert {error["extensions"]["source"] for error in body["errors"]} == {"OMNISTACK"}
    assert {error["extensions"]["code"] for error in body["errors"]} <= {"UPSTREAM_TIMEOUT", "UPSTREAM_UNAVAILABLE"}


async def test_of_two_mutations_one_may_fail_and_the_others_answer_arrives(starved: Gateway) -> None:
    body = await starved.post(
        """mutation { bad: cancelOrder(id: "order_nope") { id }
                      good: createCart(input: { currency: "EUR" }) { id } }""",
        headers=starved.user("MANAGER"),
    )
    assert body["data"]["bad"] is None
    assert body["data"]["good"]["id"].startswith("cart_")
    [error] = body["errors"]
    assert error["path"] == ["bad"]
    assert error["extensions"]["code"] == "NOT_FOUND"


async def test_without_the_shop_everything_else_still_answers(starved: Gateway) -> None:
    query = """{ orders(first: 3) { nodes { id } }
                 users(first: 3) { nodes { id } }
                 health { status systems { name status mode } } }"""
    for fault, code in BAD_DAYS:
        await starved.sandbox.faults("medusa", fault)
        body = await starved.post(query)
        await starved.sandbox.faults("medusa")
        assert body["data"]["orders"] is None
        assert len(body["data"]["users"]["nodes"]) == 3
        [error] = body["errors"]
        assert error["path"] == ["orders"]
        assert (error["extensions"]["source"], error["extensions"]["code"]) == ("MEDUSA", code)
        assert body["data"]["health"]["status"] in {"OPERATIONAL", "DEGRADED"}
