"""The gateway as its users meet it: the process that `make run` starts, spoken to over HTTP and WebSockets."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import orjson
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

ROOT = Path(__file__).parents[2]
START_S = 60.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Gateway:
    """One gateway process over one data directory. It can be killed and started again."""

    def __init__(self, data_dir: Path, **env: str) -> None:
        self.data_dir = data_dir
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._env = env
        self._process: asyncio.subprocess.Process | None = None
        self._http = httpx.AsyncClient(base_url=self.url, timeout=60, trust_env=False)

    async def start(self) -> None:
        """Returns when `/readyz` says so. Raises AssertionError with the end of its log when it does not."""
        inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        env = inherited | {"PORT": str(self.port), "DATA_DIR": str(self.data_dir)} | self._env
        log = self.data_dir.with_suffix(".log")
        with log.open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "server.py", cwd=ROOT, env=env, stdout=output, stderr=output
            )
        give_up = time.monotonic() + START_S
        while not await self._is_ready():
            assert self._process.returncode is None, f"the gateway ended:\n{log.read_text()[-3000:]}"
            assert time.monotonic() < give_up, f"the gateway is not ready:\n{log.read_text()[-3000:]}"
            await asyncio.sleep(0.05)

    async def _is_ready(self) -> bool:
        try:
            return (await self._http.get("/readyz")).status_code == 200
        except httpx.TransportError:
            return False

    async def kill(self) -> None:
        """kill -9: no goodbye to its children."""
        await self._end(signal.SIGKILL)

    async def stop(self) -> None:
        """As Ctrl-C does."""
        await self._end(signal.SIGINT)

    async def _end(self, how: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(how)
            await asyncio.wait_for(self._process.wait(), 40)

    async def aclose(self) -> None:
        await self.stop()
        await self._http.aclose()

    @property
    def pid(self) -> int:
        """Of the process that runs."""
        assert self._process is not None
        return self._process.pid

    # -- what a caller has -------------------------------------------------------------------------------------

    @property
    def credentials(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.data_dir / "credentials.json").read_text())
        return found

    def service(self) -> dict[str, str]:
        return {"x-api-key": self.credentials["service_key"]}

    def user(self, role: str) -> dict[str, str]:
        return {"authorization": f"Bearer {self.credentials['tokens'][role]}"}

    async def post(
        self, query: str, variables: dict[str, Any] | None = None, *, headers: dict[str, str] | None = None
    ) -> dict[str, Any]:
        """A GraphQL answer, whatever it is; as a service unless `headers` say otherwise."""
        answer = await self._http.post(
            "/graphql",
            content=orjson.dumps({"query": query, "variables": variables or {}}),
            headers={"content-type": "application/json", **(self.service() if headers is None else headers)},
        )
        body: dict[str, Any] = orjson.loads(answer.content)
        return body

    async def data(self, query: str, variables: dict[str, Any] | None = None, **how: Any) -> dict[str, Any]:
        """The data of an answer without errors."""
        body = await self.post(query, variables, **how)
        assert "errors" not in body, body["errors"]
        data: dict[str, Any] = body["data"]
        return data

    async def get(self, path: str, **how: Any) -> httpx.Response:
        return await self._http.get(path, **how)

    @asynccontextmanager
    async def socket(self, payload: dict[str, str] | None = None) -> AsyncIterator[ClientConnection]:
        """A graphql-transport-ws connection, acknowledged; as a service unless `payload` says otherwise."""
        address = f"ws://127.0.0.1:{self.port}/graphql"
        async with connect(address, subprotocols=[Subprotocol("graphql-transport-ws")], proxy=None) as ws:
            init = {"type": "connection_init", "payload": self.service() if payload is None else payload}
            await ws.send(json.dumps(init))
            assert json.loads(await ws.recv())["type"] == "connection_ack"
            yield ws

    async def subscribe(
        self, ws: ClientConnection, query: str, variables: dict[str, Any] | None = None
    ) -> AsyncIterator[dict[str, Any]]:
        """Every `next` payload until `complete`; an `error` message fails."""
        request = {"id": "1", "type": "subscribe", "payload": {"query": query, "variables": variables or {}}}
        await ws.send(json.dumps(request))
        async for text in ws:
            message = json.loads(text)
            if message["type"] == "complete":
                return
            assert message["type"] == "next", message
            yield message["payload"]

    # -- behind its back ---------------------------------------------------------------------------------------

    @property
    def sandbox(self) -> Sandbox:
        endpoints = json.loads((self.data_dir / "endpoints.json").read_text())
        return Sandbox(endpoints["sandbox"]["address"])


class Sandbox:
    """The simulators' control surface."""

    def __init__(self, url: str) -> None:
        self._url = url

    async def _ask(self, method: str, path: str, **how: Any) -> Any:
        async with httpx.AsyncClient(base_url=self._url, timeout=30, trust_env=False) as http:
            answer = await http.request(method, f"/_control{path}", **how)
            answer.raise_for_status()
            return answer.json()

    async def calls(self, backend: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await self._ask("GET", f"/{backend}/calls")
        return found

    async def forget_calls(self) -> None:
        for backend in ("medusa", "fleetbase", "erpnext", "stripe", "sendgrid"):
            await self._ask("DELETE", f"/{backend}/calls")

    async def faults(self, backend: str, *rules: dict[str, Any]) -> None:
        """Replace the backend's fault rules; none: it behaves."""
        await self._ask("PUT", f"/{backend}/faults", json=list(rules))

    async def rows(self, backend: str, kind: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await self._ask("GET", f"/{backend}/rows/{kind}")
        return found
