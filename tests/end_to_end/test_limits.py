"""Limits as the served gateway has them, and as two gateways behind one Redis share them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import pytest

from tests.end_to_end.conftest import NewGateway
from tests.end_to_end.gateway import Gateway
from tests.redis_server import RedisServer

VIEWER = {"query": "{ viewer { kind } }"}


@pytest.fixture
async def redis_server() -> AsyncIterator[RedisServer]:
    with TemporaryDirectory(prefix="redis") as folder:  # a socket's path must be short
        running = RedisServer(Path(folder))
        await running.start()
        try:
            yield running
        finally:
            running.stop()


async def ask(gateway: Gateway, headers: dict[str, str]) -> httpx.Response:
    async with httpx.AsyncClient(timeout=60, trust_env=False) as http:
        return await http.post(f"{gateway.url}/graphql", json=VIEWER, headers=headers)


async def test_gateways_share_their_limits_until_redis_dies(new_gateway: NewGateway, redis_server: RedisServer) -> None:
    # Workers of one gateway have one pepper, under which their keys in Redis are hashed.
    env = {"REDIS_URL": redis_server.url, "REDIS_TIMEOUT_S": "10", "KEY_PEPPER": "p" * 32}
    env |= {"RATE_LIMIT_SERVICE": "0.001:20", "AUTH_FAILURE_LIMIT": "0.001:2"}
    one, other = await new_gateway(**env), await new_gateway(**env)
    answers = [await ask(gateway, gateway.service()) for gateway in (one, other, one, other)]
    assert [answer.status_code for answer in answers] == [200, 200, 429, 429]
    assert [answer.headers["RateLimit-Remaining"] for answer in answers] == ["10", "0", "0", "0"]
    assert {answer.headers["RateLimit-Limit"] for answer in answers} == {"20"}
    assert answers[-1].headers["Retry-After"].isdigit()
    guesses = [await ask(gateway, {"x-api-key": "sk_wrong"}) for gateway in (one, other, one)]
    assert [guess.status_code for guess in guesses] == [401, 401, 429]
    redis_server.kill()
    assert [(await ask(one, one.service())).status_code for _ in range(3)] == [200, 200, 429]
    assert (await ask(other, other.service())).status_code == 200


async def test_a_caller_cannot_say_where_they_are(new_gateway: NewGateway) -> None:
    """The peer here is this machine, which is taken for a proxy only where that is left as it is."""
    gateway = await new_gateway(AUTH_FAILURE_LIMIT="0.001:2", TRUSTED_PROXIES="10.0.0.1")
    guesses = [await ask(gateway, {"x-api-key": "sk_wrong", "x-forwarded-for": f"203.0.113.{n}"}) for n in range(3)]
    assert [guess.status_code for guess in guesses] == [401, 401, 429]
