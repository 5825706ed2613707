"""The servers that are compared, as child processes on loopback, over one sandbox and one MongoDB."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import orjson

from bench.load import Request
from bench.processes import Cores, pin
from core.demo import DemoCredentials
from datasources._embedded import read_endpoints

ROOT = Path(__file__).parents[1]
START_S, STOP_S = 60.0, 40.0


class DidNotStart(Exception):
    """A contender ended or stayed silent. The message holds the end of its log."""


@dataclass(frozen=True)
class Contender:
    """A server that answers GraphQL at `url` and writes to `log`; `demo` is who may ask."""

    name: str
    pid: int
    url: str
    demo: DemoCredentials
    log: Path

    def request(self, query: str, variables: dict[str, object], *, is_traced: bool = False) -> Request:
        """An operation, asked as a service."""
        headers = {"content-type": "application/json", "x-api-key": self.demo.service_key}
        if is_traced:
            headers["x-gateway-trace"] = "1"
        return Request(f"{self.url}/graphql", headers, orjson.dumps({"query": query, "variables": variables}))


class Sandbox:
    """The simulators' control surface: what reached them."""

    def __init__(self, control: httpx.AsyncClient, backends: Sequence[str]) -> None:
        self._control, self._backends = control, backends

    @classmethod
    @asynccontextmanager
    async def of(cls, data_dir: Path) -> AsyncIterator[Sandbox]:
        """The sandbox of the gateway that runs in `data_dir`."""
        url = read_endpoints(data_dir).sandbox_url
        async with httpx.AsyncClient(base_url=f"{url}/_control", timeout=30, trust_env=False) as control:
            ready = (await control.get("/ready")).raise_for_status().json()
            yield cls(control, ready["ready"])

    async def forget_calls(self) -> None:
        for backend in self._backends:
            (await self._control.delete(f"/{backend}/calls")).raise_for_status()

    async def calls(self) -> int:
        """How many requests reached any simulator since they were last forgotten."""
        found = [await self._control.get(f"/{backend}/calls") for backend in self._backends]
        return sum(len(answer.raise_for_status().json()) for answer in found)


@dataclass(frozen=True)
class Field:
    """Everybody who takes part, in the order of their turns."""

    gateway: Contender
    plain: Contender
    sandbox: Sandbox


@asynccontextmanager
async def open_field(cores: Cores | None) -> AsyncIterator[Field]:
    """Both contenders, ready, until the end of the block. Raises DidNotStart."""
    if cores is not None:
        os.sched_setaffinity(0, cores.others)  # inherited by all that is started from here
    with TemporaryDirectory(prefix="omnistack-bench-") as folder:
        data_dir = Path(folder) / "data"
        async with (
            _running("gateway", ["server.py"], data_dir, cores) as gateway,
            _running("plain", ["-m", "bench.plain"], data_dir, cores) as plain,
            Sandbox.of(data_dir) as sandbox,
        ):
            yield Field(gateway, plain, sandbox)


@asynccontextmanager
async def open_gateways(cores: Cores | None) -> AsyncIterator[tuple[Contender, Contender]]:
    """Two gateways, each with a store of its own: one as it is, and one that recognises every caller anew."""
    if cores is not None:
        os.sched_setaffinity(0, cores.others)
    with TemporaryDirectory(prefix="omnistack-bench-") as folder:
        async with (
            _running("cached", ["server.py"], Path(folder) / "cached", cores) as cached,
            _running("cold", ["server.py"], Path(folder) / "cold", cores, IDENTITY_CACHE_S="0") as cold,
        ):
            yield cached, cold


@asynccontextmanager
async def _running(
    name: str, what: list[str], data_dir: Path, cores: Cores | None, **settings: str
) -> AsyncIterator[Contender]:
    port = _free_port()
    url, log = f"http://127.0.0.1:{port}", data_dir.with_name(f"{name}.log")
    # Nothing else of the environment: a backend's credential in it would point the load at the real system.
    inherited = {key: os.environ[key] for key in ("PATH", "HOME", "LANG") if key in os.environ}
    env = inherited | {"DATA_DIR": str(data_dir), "PORT": str(port)} | settings
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            sys.executable, *what, cwd=ROOT, env=env, stdout=output, stderr=output, start_new_session=True
        )
    try:
        await _ready(name, process, url, log)
        if cores is not None:
            pin(process.pid, cores.server)
        yield Contender(name, process.pid, url, DemoCredentials.load(data_dir), log)
    finally:
        await _stop(process)


async def _ready(name: str, process: asyncio.subprocess.Process, url: str, log: Path) -> None:
    give_up = time.monotonic() + START_S
    async with httpx.AsyncClient(base_url=url, timeout=START_S, trust_env=False) as client:
        while True:
            if process.returncode is not None or time.monotonic() > give_up:
                raise DidNotStart(f"{name} did not start:\n{end_of(log)}")
            try:
                if (await client.get("/readyz")).status_code == 200:
                    return
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.05)


def end_of(log: Path) -> str:
    """Its last lines, enough for a traceback."""
    return log.read_text(errors="replace")[-3000:]


async def _stop(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        await asyncio.wait_for(process.wait(), STOP_S)
    except TimeoutError:
        process.kill()
        await process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
