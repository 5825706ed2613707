"""One served gateway for all tests of who is shown what."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from core.demo import DemoCredentials
from resolvers.principals import Identification
from tests.access.gateway import Served, open_gateway


@pytest.fixture(scope="session")
async def served(
    tmp_path_factory: pytest.TempPathFactory, demo: DemoCredentials, identification: Identification
) -> AsyncIterator[Served]:
    """For tests that only read."""
    async with open_gateway(tmp_path_factory.mktemp("access"), demo, identification) as opened:
        yield opened
