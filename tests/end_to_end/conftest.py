from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from tests.end_to_end.gateway import Gateway

NewGateway = Callable[..., Awaitable[Gateway]]


@pytest.fixture(scope="session")
async def gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    """One gateway for the tests that do it no harm; whoever kills or starves one asks for `new_gateway`."""
    running = Gateway(tmp_path_factory.mktemp("gateway") / "data")
    try:
        await running.start()
        yield running
    finally:
        await running.aclose()


@pytest.fixture
async def new_gateway(tmp_path: Path) -> AsyncIterator[NewGateway]:
    """Starts a gateway of the test's own, with these variables in its environment; none outlives the test."""
    made: list[Gateway] = []

    async def start(**env: str) -> Gateway:
        made.append(Gateway(tmp_path / f"data-{len(made)}", **env))
        await made[-1].start()
        return made[-1]

    yield start
    for one in made:
        await one.aclose()
