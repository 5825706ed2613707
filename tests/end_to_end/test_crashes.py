"""kill -9 in the middle of an order, at every step: it is finished all the same, nothing doubled."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.end_to_end.gateway import ROOT, Gateway
from tests.end_to_end.orders import FULFILLED, closed, effects, start

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
"""The write of each step, which hangs after its effect while we kill."""


@pytest.fixture
async def mortal(tmp_path: Path) -> Gateway:
    gateway = Gateway(tmp_path / "data")
    await gateway.start()
    return gateway


async def reached(gateway: Gateway, backend: str, method: str, path: str) -> None:
    """Until that call hangs in the simulator."""
    import re

    give_up = time.monotonic() + 30
    while not any(
        call["method"] == method and re.fullmatch(path, call["path"]) for call in await gateway.sandbox.calls(backend)
    ):
        assert time.monotonic() < give_up, await gateway.sandbox.calls(backend)
        await asyncio.sleep(0.02)


async def test_the_gateway_is_killed_at_every_step(mortal: Gateway) -> None:
    for backend, method, path in STEPS:
        before = await effects(mortal.sandbox)
        await mortal.sandbox.forget_calls()
        await mortal.sandbox.faults(
            backend, {"kind": "hang", "when": "after", "method": method, "path": path, "count": 1}
        )
        workflow_id = await start(mortal)
        await reached(mortal, backend, method, path)
        await mortal.kill()
        await mortal.start()
        await mortal.sandbox.faults(backend)
        workflow = await closed(mortal, workflow_id)
        assert workflow["status"] == "COMPLETED", (path, workflow)
        assert (await effects(mortal.sandbox)).since(before) == FULFILLED, path
    await mortal.aclose()


async def test_a_lone_worker_is_killed_at_every_step(tmp_path: Path) -> None:
    gateway = Gateway(tmp_path / "data", TEMPORAL_EMBEDDED_WORKER="false")
    await gateway.start()
    env = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ} | {
        "DATA_DIR": str(gateway.data_dir)
    }

    async def worker() -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(sys.executable, "-m", "workflows.worker", cwd=ROOT, env=env)

    running = await worker()
    try:
        for backend, method, path in STEPS:
            before = await effects(gateway.sandbox)
            await gateway.sandbox.forget_calls()
            await gateway.sandbox.faults(
                backend, {"kind": "hang", "when": "after", "method": method, "path": path, "count": 1}
            )
            workflow_id = await start(gateway)
            await reached(gateway, backend, method, path)
            running.send_signal(signal.SIGKILL)
            await running.wait()
            await gateway.sandbox.faults(backend)
            running = await worker()
            workflow = await closed(gateway, workflow_id)
            assert workflow["status"] == "COMPLETED", (path, workflow)
            assert (await effects(gateway.sandbox)).since(before) == FULFILLED, path
    finally:
        running.terminate()
        assert await asyncio.wait_for(running.wait(), 30) == 0
        await gateway.aclose()


async def test_a_killed_temporal_loses_nothing_and_subscriptions_survive_it(mortal: Gateway) -> None:
    await mortal.sandbox.faults("fleetbase", {"kind": "hang", "method": "POST", "path": "/v1/orders", "count": 1})
    workflow_id = await start(mortal)
    statuses = []
    async with mortal.socket() as ws:
        query = "subscription ($id: ID!) { workflowStatus(id: $id) { status } }"
        async for payload in mortal.subscribe(ws, query, {"id": workflow_id}):
            statuses.append(payload["data"]["workflowStatus"]["status"])
            if len(statuses) == 1:
                await reached(mortal, "fleetbase", "POST", "/v1/orders")
                pid = json.loads((mortal.data_dir / "endpoints.json").read_text())["temporal"]["pid"]
                os.kill(pid, signal.SIGKILL)
                await mortal.sandbox.faults("fleetbase")
    assert statuses[-1] == "COMPLETED"
    await mortal.aclose()
