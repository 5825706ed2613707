"""The workflow, from the mutation that starts it to the rows it leaves in five backends."""

from __future__ import annotations

from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from tests.end_to_end.gateway import Gateway
from tests.end_to_end.orders import CUSTOMER, FULFIL, FULFILLED, closed, effects, new_order, start

STATUS = """subscription ($id: ID!) { workflowStatus(id: $id) {
  id status progress currentStep steps { name status } order { id } } }"""


async def test_an_order_is_fulfilled_in_every_backend_and_watched_step_by_step(gateway: Gateway) -> None:
    before = await effects(gateway.sandbox)
    workflow_id = await start(gateway)
    events: list[dict[str, Any]] = []
    async with gateway.socket() as ws:
        async for payload in gateway.subscribe(ws, STATUS, {"id": workflow_id}):
            assert "errors" not in payload
            events.append(payload["data"]["workflowStatus"])
    assert events[-1]["status"] == "COMPLETED"
    assert events[-1]["progress"] == 1.0
    progress = [event["progress"] for event in events]
    assert progress == sorted(progress)
    seen = {(step["name"], step["status"]) for event in events for step in event["steps"]}
    for step in events[-1]["steps"]:
        assert step["status"] == "DONE"
        assert (step["name"], "RUNNING") in seen
    workflow = await closed(gateway, workflow_id)
    assert workflow["result"]["success"]
    assert {artifact["type"] for artifact in workflow["result"]["artifacts"]} == {"confirmation-card", "order-tracker"}
    assert workflow["order"]["paymentStatus"] == "captured"
    assert workflow["startedBy"] == {"id": CUSTOMER.id}
    assert (await effects(gateway.sandbox)).since(before) == FULFILLED


async def test_the_joined_order_has_its_delivery_invoice_and_workflow(gateway: Gateway) -> None:
    workflow = await closed(gateway, await start(gateway))
    query = """query ($id: ID!) { order(id: $id) {
      customer { id } deliveries { id } delivery { id } invoices { id } invoice { id status } workflow { id } } }"""
    order = (await gateway.data(query, {"id": workflow["order"]["id"]}))["order"]
    assert order["customer"] == {"id": CUSTOMER.id}
    assert order["delivery"] == {"id": workflow["result"]["result"]["deliveryId"]}
    assert order["invoice"] == {"id": workflow["result"]["result"]["invoiceId"], "status": "Paid"}
    assert order["workflow"] == {"id": workflow["id"]}


async def test_the_same_key_starts_one_workflow(gateway: Gateway) -> None:
    before = await effects(gateway.sandbox)
    first, second = await start(gateway, "once"), await start(gateway, "once")
    assert first == second
    await closed(gateway, first)
    assert await start(gateway, "once") == first
    assert (await effects(gateway.sandbox)).since(before) == FULFILLED


async def test_somebody_elses_workflow_looks_as_if_it_were_not_there(gateway: Gateway) -> None:
    workflow_id = await start(gateway)
    query = "query ($id: ID!) { workflow(id: $id) { id } }"
    stranger = gateway.user("CUSTOMER")
    assert await gateway.data(query, {"id": workflow_id}, headers=stranger) == {"workflow": None}
    await closed(gateway, workflow_id)


async def test_an_invalid_order_is_refused_before_anything_is_written(gateway: Gateway) -> None:
    before = await effects(gateway.sandbox)
    changes: list[dict[str, Any]] = [
        {"items": []},
        {"items": [{"variantId": "variant_x", "quantity": 0}]},
        {"userId": "f" * 24},
    ]
    for change in changes:
        body = await gateway.post(FULFIL, {"input": new_order() | change})
        assert body["data"]["fulfillOrder"] is None
        assert body["errors"][0]["extensions"]["code"] in {"BAD_USER_INPUT", "NOT_FOUND"}
    assert await effects(gateway.sandbox) == before


async def test_a_socket_without_credentials_is_closed_with_4401_and_a_wrong_one_with_4403(gateway: Gateway) -> None:
    for payload, code in (({}, 4401), ({"x-api-key": "sk_wrong"}, 4403)):
        with pytest.raises(ConnectionClosed) as caught:
            async with gateway.socket(payload):
                pass
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == code


async def test_the_legacy_protocol_is_not_spoken(gateway: Gateway) -> None:
    address = gateway.url.replace("http", "ws") + "/graphql"
    async with connect(address, subprotocols=[Subprotocol("graphql-ws")], proxy=None) as ws:
        await ws.wait_closed()
        assert ws.close_code == 4406


async def test_a_subscription_by_post_is_refused_with_a_code(gateway: Gateway) -> None:
    body = await gateway.post(STATUS, {"id": "order-fulfillment-x"})
    [error] = body["errors"]
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert "graphql-transport-ws" in error["message"]
