"""kill -9 in the middle of an order, at every step: it is finished all the same, nothing doubled."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sys
import time
from typing import Any

from tests.end_to_end.conftest import NewGateway
from tests.end_to_end.gateway import ROOT, Gateway
from tests.end_to_end.orders import FULFILLED, Effects, closed, effects, start

STEPS = [
    ("medusa", "POST", "/store/carts"),
    ("medusa", "POST", "/store/carts/.*/shipping-methods"),
    ("stripe", "POST", "/v1/payment_intents"),
    ("medusa", "POST", "/store/carts/.*/complete"),
    ("erpnext", "POST", "/api/resource/Sales%20Invoice|/api/resource/Sales Invoice"),
    ("fleetbase", "POST", "/v1/orders"),
    ("stripe", "POST", "/v1/payment_intents/.*/capture"),
    ("medusa", "POST", "/admin/payments/.*/capture"),
    ("erpnext", "POST", "/api/resource/Payment%20Entry|/api/resource/Payment Entry"),
    ("sendgrid", "POST", "/v3/mail/send"),
]
"""The write of each step."""


async def hang_one_order_at_every_step(gateway: Gateway) -> list[str]:
    """As many orders as there are steps, each hanging after the effect of another one. Their workflows' ids."""
    for backend in {backend for backend, _, _ in STEPS}:
        rules = [
            {"kind": "hang", "when": "after", "method": method, "path": path, "count": 1}
            for where, method, path in STEPS
            if where == backend
        ]
        await gateway.sandbox.faults(backend, *rules)
    workflow_ids = await asyncio.gather(*[start(gateway) for _ in STEPS])
    for backend, method, path in STEPS:
        await hangs(gateway, backend, method, path)
    return workflow_ids


async def hangs(gateway: Gateway, backend: str, method: str, path: str) -> None:
    """Until such a call has reached the simulator and has no answer."""

    def is_it(call: dict[str, Any]) -> bool:
        return call["method"] == method and call["status"] is None and bool(re.fullmatch(path, call["path"]))

    give_up = time.monotonic() + 60
    while not any(is_it(call) for call in await gateway.sandbox.calls(backend)):
        assert time.monotonic() < give_up, (backend, path)
        await asyncio.sleep(0.05)


async def check_all_are_fulfilled(gateway: Gateway, workflow_ids: list[str], before: Effects) -> None:
    for workflow in await asyncio.gather(*[closed(gateway, workflow_id) for workflow_id in workflow_ids]):
        assert workflow["status"] == "COMPLETED", workflow
    assert (await effects(gateway.sandbox)).since(before) == FULFILLED.times(len(workflow_ids))


async def behave(gateway: Gateway) -> None:
    for backend in {backend for backend, _, _ in STEPS}:
        await gateway.sandbox.faults(backend)


async def test_a_gateway_killed_at_every_step_finishes_every_order_once(new_gateway: NewGateway) -> None:
    gateway = await new_gateway()
    before = await effects(gateway.sandbox)
    workflow_ids = await hang_one_order_at_every_step(gateway)
    await gateway.kill()
    await behave(gateway)
    await gateway.start()
    await check_all_are_fulfilled(gateway, workflow_ids, before)


async def test_a_lone_worker_killed_at_every_step_finishes_every_order_once(new_gateway: NewGateway) -> None:
    gateway = await new_gateway(TEMPORAL_EMBEDDED_WORKER="false")
    env = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}

    async def work() -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "workflows.worker", cwd=ROOT, env={**env, "DATA_DIR": str(gateway.data_dir)}
        )

    worker = await work()
    try:
        before = await effects(gateway.sandbox)
        workflow_ids = await hang_one_order_at_every_step(gateway)
        worker.send_signal(signal.SIGKILL)
        await worker.wait()
        await behave(gateway)
        worker = await work()
        await check_all_are_fulfilled(gateway, workflow_ids, before)
    finally:
        worker.terminate()
        assert await asyncio.wait_for(worker.wait(), 30) == 0


async def test_a_killed_temporal_loses_nothing_and_subscriptions_survive_it(new_gateway: NewGateway) -> None:
    mortal = await new_gateway()
    await mortal.sandbox.faults("fleetbase", {"kind": "hang", "method": "POST", "path": "/v1/orders", "count": 1})
    workflow_id = await start(mortal)
    statuses = []
    async with mortal.socket() as ws:
        query = "subscription ($id: ID!) { workflowStatus(id: $id) { status } }"
        async for payload in mortal.subscribe(ws, query, {"id": workflow_id}):
            statuses.append(payload["data"]["workflowStatus"]["status"])
            if len(statuses) == 1:
                await hangs(mortal, "fleetbase", "POST", "/v1/orders")
                pid = json.loads((mortal.data_dir / "endpoints.json").read_text())["temporal"]["pid"]
                os.kill(pid, signal.SIGKILL)
                await mortal.sandbox.faults("fleetbase")
    assert statuses[-1] == "COMPLETED"
