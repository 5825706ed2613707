from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.end_to_end.gateway import Gateway


@pytest.fixture(scope="session")
async def gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gateway]:
    """One gateway for the tests that do it no harm; whoever kills or starves one makes their own."""
    running = Gateway(tmp_path_factory.mktemp("gateway") / "data")
    await running.start()
    yield running
    await running.aclose()
