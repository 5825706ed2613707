"""Walt.id in a test: its simulator with the demo world's wallets, behind the real datasource."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.routing import Mount

from core.settings import WaltidSettings
from datasources.waltid import NewCredential, Waltid, status_entry
from sandbox import keys, waltid
from sandbox.faults import FaultLine
from sandbox.store import Row, Store
from sandbox.waltid.errors import WaltError

BASE, GATEWAY = "http://sandbox/waltid", "http://gateway"
TYPE = "MembershipCredential"


class Clock:
    """Stands where it is put."""

    def __init__(self, now_s: float) -> None:
        self.now_s = now_s

    def __call__(self) -> float:
        return self.now_s


class Identity:
    """`lists` are the status lists by their address; `requests` what went over the wire."""

    def __init__(self, store: Store, line: FaultLine, source: Waltid, lists: dict[str, str]) -> None:
        self.store, self.line, self.waltid, self.lists = store, line, source, lists
        self.requests: list[httpx.Request] = []

    @property
    def paths(self) -> list[str]:
        return [f"{call.method} {call.path}" for call in self.line.calls]

    def forget_calls(self) -> None:
        self.line.calls.clear()
        self.requests.clear()

    def held(self, wallet_id: str) -> list[Row]:
        return [row for row in self.store.rows("held") if row["wallet"] == wallet_id]


def settings(**changes: Any) -> WaltidSettings:
    given = {
        "issuer_url": f"{BASE}/issuer",
        "verifier_url": f"{BASE}/verifier",
        "wallet_url": f"{BASE}/wallet",
        "wallet_secret": SecretStr(keys.WALTID_WALLET_SECRET),
        "issuer_key": SecretStr(json.dumps(keys.WALTID_ISSUER_KEY)),
    }
    return WaltidSettings.model_validate({**given, **changes})


def new(n: int = 1, *, claims: Mapping[str, Any] | None = None, place: int = 42, type: str = TYPE) -> NewCredential:
    name = f"urn:uuid:7b1f0000-0000-4000-8000-{n:012d}"
    return NewCredential(name, type, claims or {"level": "gold"}, status_entry(GATEWAY, 1, place), 365)


@asynccontextmanager
async def open_identity(
    *, store: Store | None = None, configured: WaltidSettings | None = None, **options: Any
) -> AsyncIterator[Identity]:
    lists: dict[str, str] = {}

    async def fetch(url: str) -> str:
        if url not in lists:
            raise WaltError(400, "no such list")
        return lists[url]

    if store is None:
        store = Store(None)
        store.seed(waltid.seed)
    line = FaultLine(waltid.create_app(store, waltid.Options(**{"fetch": fetch, **options})))
    requests: list[httpx.Request] = []

    async def noted(request: httpx.Request) -> None:
        requests.append(request)

    transport = httpx.ASGITransport(Starlette(routes=[Mount("/waltid", line)]))
    async with httpx.AsyncClient(transport=transport, event_hooks={"request": [noted]}) as client:
        opened = Identity(store, line, Waltid(client, configured or settings()), lists)
        opened.requests = requests
        yield opened
