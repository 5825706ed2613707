"""The programs that the gateway runs beside itself: the real ones, and what is asked of them."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pymongo
import pytest
from pymongo.errors import PyMongoError
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes
from temporalio.service import RetryConfig, RPCError

from datasources import _embedded
from datasources._datadir import Recorded, hold, read_recorded, write_recorded
from datasources._embedded import Endpoints, Needs, ProgramMissing, children, read_endpoints
from datasources._processes import Process, free_port

MONGODB = Needs(mongodb=True, temporal=False, sandbox=False)
TEMPORAL = Needs(mongodb=False, temporal=True, sandbox=False)
SANDBOX = Needs(mongodb=False, temporal=False, sandbox=True)
NOTHING = Needs(mongodb=False, temporal=False, sandbox=False)

ATTRIBUTES = TypedSearchAttributes(
    [
        SearchAttributePair(SearchAttributeKey.for_keyword(name), f"{name}-1")
        for name in ("UserId", "ClientId", "ClientAppId", "OrderId", "WorkflowAction")
    ]
)


async def eventually(condition: Callable[[], Awaitable[bool]], within_s: float = 20.0) -> None:
    deadline = time.monotonic() + within_s
    while not await condition():
        assert time.monotonic() < deadline, "did not happen in time"
        await asyncio.sleep(0.02)


def process_of(data_dir: Path, name: str) -> Process:
    process = read_recorded(data_dir)[name].process
    assert process is not None
    return process


@asynccontextmanager
async def answering(head: bytes) -> AsyncIterator[int]:
    """A port where every connection is answered with `head` after its first bytes, and closed."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if await reader.read(1000):
            writer.write(head)
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port: int = server.sockets[0].getsockname()[1]
        yield port


async def test_mongodb_keeps_its_address_and_data_when_it_is_killed(tmp_path: Path) -> None:
    (tmp_path / "mongo.pid").write_text(str(os.getpid()))  # as a killed one leaves it, its pid since reused
    async with children(tmp_path, MONGODB) as endpoints:
        assert endpoints == read_endpoints(tmp_path)
        assert endpoints.temporal_address is endpoints.sandbox_url is None
        first = process_of(tmp_path, "mongodb")
        client: Any = pymongo.AsyncMongoClient(endpoints.mongodb_uri, serverSelectionTimeoutMS=500)
        async with client:
            users = client["omnistack"]["users"]
            await users.insert_one({"_id": "u1", "name": "Ardita"})
            os.kill(first.pid, signal.SIGKILL)

            async def found() -> bool:
                try:
                    return bool(await users.find_one({"_id": "u1", "name": "Ardita"}))
                except PyMongoError:
                    return False

            await eventually(lambda: found() if not first.alive() else _no())
        assert process_of(tmp_path, "mongodb") != first
    assert read_endpoints(tmp_path) == endpoints


async def _no() -> bool:
    return False


async def test_temporal_keeps_its_address_and_workflows_when_it_is_killed_and_started_again(tmp_path: Path) -> None:
    async def listed() -> bool:
        try:
            query = " AND ".join(f"{pair.key.name}='{pair.value}'" for pair in ATTRIBUTES)
            return [run.id async for run in client.list_workflows(query)] == ["order-fulfillment-1"]
        except RPCError:
            return False

    quick = RetryConfig(initial_interval_millis=50, max_elapsed_time_millis=500)
    async with children(tmp_path, TEMPORAL) as endpoints:
        first = process_of(tmp_path, "temporal")
        client = await Client.connect(str(endpoints.temporal_address), retry_config=quick)
        assert await _retention_days(client) == 30
        await client.start_workflow("Any", id="order-fulfillment-1", task_queue="none", search_attributes=ATTRIBUTES)
        await eventually(listed)
        os.kill(first.pid, signal.SIGKILL)
        await eventually(lambda: listed() if not first.alive() else _no())
        assert process_of(tmp_path, "temporal") != first
    async with children(tmp_path, TEMPORAL) as again:
        assert again == endpoints
        assert await _retention_days(client) == 30
        await eventually(listed)


async def _retention_days(client: Client) -> float:
    described = await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace="default"))
    return described.config.workflow_execution_retention_ttl.ToTimedelta().total_seconds() / 86_400


async def test_the_simulators_answer_and_have_the_faults_they_were_given(tmp_path: Path) -> None:
    faults = '{"medusa": [{"kind": "status", "status": 503}]}'
    async with children(tmp_path, Needs(mongodb=False, temporal=False, sandbox=True, faults=faults)) as endpoints:
        async with httpx.AsyncClient(base_url=str(endpoints.sandbox_url)) as client:
            ready = await client.get("/_control/ready")
            assert "medusa" in ready.json()["ready"]
            assert (await client.get("/medusa/store/products")).status_code == 503
        assert (tmp_path / "sandbox/medusa.db").exists()


async def test_no_needs_run_nothing_and_make_nothing(tmp_path: Path) -> None:
    async with children(tmp_path / "data", NOTHING) as endpoints:
        assert endpoints == Endpoints()
    assert not (tmp_path / "data").exists()


@pytest.fixture
def leftover(tmp_path: Path) -> Iterator[Process]:
    """A process on record in `tmp_path`, of a gateway that is gone."""
    command = [sys.executable, "-c", "input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True) as running:
        process = Process.of(running.pid)
        assert process is not None
        recorded = Recorded("mongodb://127.0.0.1:1", free_port(), "", process.pid, process.started)
        write_recorded(tmp_path, {"mongodb": recorded})
        yield process


async def test_no_needs_end_what_a_killed_gateway_left(tmp_path: Path, leftover: Process) -> None:
    async with children(tmp_path, NOTHING) as endpoints:
        assert endpoints == Endpoints()
        assert not leftover.alive()
    assert read_endpoints(tmp_path) == Endpoints()


async def test_no_needs_leave_alone_what_another_gateway_runs(tmp_path: Path, leftover: Process) -> None:
    with hold(tmp_path):
        async with children(tmp_path, NOTHING) as endpoints:
            assert endpoints == Endpoints()
            assert leftover.alive()


def test_before_the_first_start_nothing_has_an_address(tmp_path: Path) -> None:
    assert read_endpoints(tmp_path) == Endpoints()


def test_programs_of_this_installation_come_before_those_in_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("temporal", "only-in-path"):
        (tmp_path / name).touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert Path(_embedded._program("temporal")).parent == Path(sys.executable).parent
    assert Path(_embedded._program("only-in-path")).parent == tmp_path
    with pytest.raises(ProgramMissing, match="no-such-program is neither in"):
        _embedded._program("no-such-program")


def test_other_sources_make_another_version(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("1")
    before = _embedded._digest(tmp_path)
    assert _embedded._digest(tmp_path) == before
    (tmp_path / "app.py").write_text("2")
    assert _embedded._digest(tmp_path) != before


@pytest.mark.parametrize(("status", "ready"), [(b"200 OK", True), (b"503 Busy", False)])
async def test_the_simulators_are_ready_when_they_say_so(status: bytes, ready: bool) -> None:
    async with answering(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n") as port:
        assert await _embedded.sandbox_answers(port) is ready


@pytest.mark.parametrize("answers", [_embedded.mongodb_answers, _embedded.temporal_answers, _embedded.sandbox_answers])
async def test_who_talks_otherwise_or_hangs_up_is_not_ready(answers: Callable[[int], Awaitable[bool]]) -> None:
    async with answering(b"220 mail.example ESMTP ready\r\n") as mail, answering(b"") as mute:
        assert await answers(mail) is False
        assert await answers(mute) is False
    with pytest.raises(OSError, match=str(mail)):
        await answers(mail)
