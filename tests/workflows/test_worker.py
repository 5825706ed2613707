"""`python -m workflows.worker`, a process of its own over real sockets: works, ends when told to, and may be killed."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from core.settings import Settings, TemporalSettings
from datasources import Sources, _embedded, open_sources
from datasources._datadir import read_recorded
from datasources.temporal import StepStatus, WorkflowRecord, WorkflowStatus
from sandbox import omnistack
from tests.fulfilment import SEEDED, WORLD, Company
from workflows.worker import embedded_worker

ROOT = Path(__file__).parents[2]
CUSTOMER = WORLD.customers[3]


@dataclass
class Deployment:
    """What a gateway runs beside itself, without the gateway: workers attach to it."""

    sources: Sources
    data_dir: Path
    http: httpx.AsyncClient

    async def worker(self) -> Process:
        inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "workflows.worker",
            cwd=ROOT,
            env=inherited | {"DATA_DIR": str(self.data_dir)},
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )

    async def fail(self, backend: str, *rules: dict[str, Any]) -> None:
        (await self.http.put(f"/_control/{backend}/faults", json=rules)).raise_for_status()

    async def rows(self, backend: str, kind: str) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = (await self.http.get(f"/_control/{backend}/rows/{kind}")).json()
        return rows

    async def start(self) -> WorkflowRecord:
        return await Company.start(self, CUSTOMER, tries=5)  # type: ignore[arg-type]  # it needs the sources alone

    async def end(self, id: str) -> WorkflowRecord:
        return await Company.end(self, id)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
async def deployment(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Deployment]:
    data_dir = tmp_path_factory.mktemp("deployment")
    settings = Settings(data_dir=data_dir, temporal=TemporalSettings(embedded_worker=False))
    async with AsyncExitStack() as stack:
        sources = await stack.enter_async_context(open_sources(settings))
        await sources.mongo.prepare()
        names = omnistack.key_owners()
        documents = omnistack.documents([], {name: f"hash of {name}" for name in names}, dict.fromkeys(names, "none"))
        await sources.mongo.insert({kind: documents[kind] for kind in ("users", "clients", "client_apps")})
        url = _embedded.read_endpoints(data_dir).sandbox_url or ""
        http = await stack.enter_async_context(httpx.AsyncClient(base_url=url, trust_env=False))
        yield Deployment(sources, data_dir, http)
        await asyncio.sleep(0.5)  # temporalio/sdk-python#300


@asynccontextmanager
async def at_work(deployment: Deployment) -> AsyncIterator[Process]:
    process = await deployment.worker()
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_a_worker_alone_works_and_ends_when_it_is_told_to(deployment: Deployment) -> None:
    started = await deployment.start()
    async with at_work(deployment) as process:
        assert (await deployment.end(started.id)).status is WorkflowStatus.COMPLETED
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 20) == 0


@pytest.mark.parametrize(
    ("backend", "path"),
    [("fleetbase", "/v1/orders"), ("stripe", "/v1/payment_intents"), ("sendgrid", "/v3/mail/send")],
)
async def test_a_killed_workers_step_is_taken_over_within_seconds_and_doubles_nothing(
    deployment: Deployment, backend: str, path: str
) -> None:
    kinds = {"fleetbase": "order", "stripe": "payment_intent", "sendgrid": "mail"}
    before = {each: len(await deployment.rows(each, kind)) for each, kind in kinds.items()}
    await deployment.fail(backend, {"method": "POST", "path": path, "kind": "hang", "when": "after"})
    started = await deployment.start()
    async with at_work(deployment) as process:
        async with asyncio.timeout(20):
            while len(await deployment.rows(backend, kinds[backend])) == before[backend]:
                await asyncio.sleep(0.02)
        process.kill()
        await process.wait()
    await deployment.fail(backend)
    async with at_work(deployment), asyncio.timeout(30):
        record = await deployment.end(started.id)
    assert record.status is WorkflowStatus.COMPLETED
    for each, kind in kinds.items():
        assert len(await deployment.rows(each, kind)) == before[each] + 1
    mail = record.steps[-1]
    assert mail.status is (StepStatus.UNKNOWN if backend == "sendgrid" else StepStatus.DONE)
    assert len(await deployment.rows("medusa", "order")) > SEEDED["order"]


async def test_the_gateways_own_worker_can_be_left_out(deployment: Deployment) -> None:
    settings = Settings(temporal=TemporalSettings(embedded_worker=False))
    async with embedded_worker(settings, deployment.sources):
        started = await deployment.start()
        await deployment.sources.temporal.cancel(started.id)
    async with embedded_worker(Settings(temporal=TemporalSettings()), deployment.sources):
        record = await deployment.end(started.id)
    assert record.status is WorkflowStatus.CANCELED


async def test_watching_and_working_survive_a_temporal_that_is_killed_and_restarted(deployment: Deployment) -> None:
    await deployment.fail("fleetbase", {"method": "POST", "path": "/v1/orders", "kind": "hang", "when": "before"})
    server = read_recorded(deployment.data_dir)["temporal"].process
    assert server is not None
    seen: list[WorkflowRecord] = []
    async with at_work(deployment), asyncio.timeout(60):
        started = await deployment.start()
        async for heard in deployment.sources.temporal.watch(started.id):
            seen.append(heard.item)
            step = next((step for step in heard.item.steps if step.name == "delivery"), None)
            if step is not None and step.status is StepStatus.RUNNING and server is not None:
                os.kill(server.pid, signal.SIGKILL)
                server = None
                await deployment.fail("fleetbase")
    assert server is None
    assert seen[-1].status is WorkflowStatus.COMPLETED
    assert len(seen) == len(set(map(repr, seen))), "no state is told twice"
