"""`/livez` and `/readyz`."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import httpx
import pytest
from fastapi import FastAPI

from core.backends import BackendMode, BackendName
from datasources._breaker import CircuitState
from datasources._health import Measurement, SystemState
from rest.probes import NEEDED, probes


class Measured:
    """Everything is up but for what is named."""

    def __init__(self, *down: BackendName) -> None:
        self.down = down

    async def measure(self) -> Measurement:
        states = [
            SystemState(name, name not in self.down, BackendMode.LIVE, CircuitState.CLOSED) for name in BackendName
        ]
        return Measurement(tuple(states), datetime.now(UTC))


async def get(path: str, *down: BackendName) -> httpx.Response:
    app = FastAPI()
    app.include_router(probes())
    app.state.gateway = SimpleNamespace(sources=SimpleNamespace(health=Measured(*down)))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        return await client.get(path)


async def test_a_process_that_lives_says_so_whatever_is_down() -> None:
    answer = await get("/livez", *BackendName)
    assert (answer.status_code, answer.text) == (200, "alive")


async def test_it_is_ready_when_everything_answers() -> None:
    answer = await get("/readyz")
    assert (answer.status_code, answer.json()) == (200, {"ready": True, "waitingFor": []})


@pytest.mark.parametrize("name", sorted(NEEDED, key=str))
async def test_it_is_not_ready_without_what_everything_needs(name: BackendName) -> None:
    answer = await get("/readyz", name, BackendName.MEDUSA)
    assert (answer.status_code, answer.json()) == (503, {"ready": False, "waitingFor": [name.name]})


@pytest.mark.parametrize("name", [name for name in BackendName if name not in NEEDED])
async def test_a_backend_behind_a_field_costs_that_field_only(name: BackendName) -> None:
    assert (await get("/readyz", name)).status_code == 200
