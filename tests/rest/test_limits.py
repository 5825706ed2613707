"""Rate limits at the entrances: refusals and headers over HTTP, errors on a socket."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fastapi import FastAPI

from core.buckets import Limit, LocalBuckets
from core.demo import DemoCredentials
from core.principals import PrincipalKind
from datasources.mongo import Mongo
from engine.rate_limits import RateLimits
from resolvers.principals import Identification
from tests.clocks import ManualClock
from tests.rest.test_graphql import VIEWER, gateway, init, post, talk

NAMES = ("RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def app(mongo: Mongo, identification: Identification, clock: ManualClock) -> FastAPI:
    """Of two operations at once, and one each two seconds, for users alone."""
    made = gateway(mongo, identification)
    limits = RateLimits(LocalBuckets(clock=clock), {PrincipalKind.USER: Limit(5, 20)})
    made.state.gateway = replace(made.state.gateway, rate_limits=limits)
    return made


@pytest.fixture
def staff_token(demo: DemoCredentials) -> dict[str, str]:
    return {"Authorization": f"Bearer {demo.tokens['STAFF']}"}


async def test_every_answer_to_somebody_known_tells_what_is_left(
    app: FastAPI, staff_token: dict[str, str], clock: ManualClock
) -> None:
    said: list[tuple[object, int, list[str]]] = [
        ({"query": VIEWER}, 200, ["20", "10", "2"]),
        ({"query": "{ nothing }"}, 200, ["20", "0", "4"]),
        (b"no json", 429, ["20", "0", "4"]),
        ({"query": VIEWER}, 429, ["20", "0", "4"]),
    ]
    for body, status, headers in said:
        answer = await post(app, body, staff_token)
        assert (answer.status_code, [answer.headers[name] for name in NAMES]) == (status, headers)
    clock.now += 3
    answer = await post(app, b"no json", staff_token)
    assert (answer.status_code, [answer.headers[name] for name in NAMES]) == (400, ["20", "5", "3"])


async def test_a_refusal_says_when_to_come_back_and_holds(
    app: FastAPI, staff_token: dict[str, str], clock: ManualClock
) -> None:
    for _ in range(2):
        assert (await post(app, {"query": VIEWER}, staff_token)).status_code == 200
    clock.now += 0.5
    answer = await post(app, {"query": VIEWER}, {**staff_token, "X-Request-Id": "r1"})
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "2")
    assert answer.headers["Content-Type"] == "application/json"
    [error] = answer.json()["errors"]
    assert error["extensions"] == {
        "code": "RATE_LIMITED",
        "retryable": True,
        "retryAfterMs": 1500,
        "limit": {"name": "costPerSecond", "value": 5, "request": 10},
        "requestId": "r1",
    }
    clock.now += 1.5
    assert (await post(app, {"query": VIEWER}, staff_token)).status_code == 200


async def test_what_is_no_request_counts_too(app: FastAPI, staff_token: dict[str, str]) -> None:
    assert [(await post(app, b"no json", staff_token)).status_code for _ in range(3)] == [400, 400, 429]


async def test_one_callers_limit_is_no_others(app: FastAPI, staff_token: dict[str, str], demo: DemoCredentials) -> None:
    assert [(await post(app, {"query": VIEWER}, staff_token)).status_code for _ in range(3)] == [200, 200, 429]
    other = await post(app, {"query": VIEWER}, {"Authorization": f"Bearer {demo.tokens['MANAGER']}"})
    service = await post(app, {"query": VIEWER}, {"X-API-Key": demo.service_key})
    assert (other.status_code, service.status_code) == (200, 200)
    assert not any(name in service.headers for name in NAMES), "no limit, nothing to tell"


async def test_nobody_is_told_nothing(app: FastAPI) -> None:
    answer = await post(app, {"query": VIEWER}, {})
    assert answer.status_code == 401
    assert not any(name in answer.headers for name in NAMES)


async def test_a_socket_shares_its_callers_limit_operation_by_operation(
    app: FastAPI, staff_token: dict[str, str]
) -> None:
    assert (await post(app, {"query": VIEWER}, staff_token)).status_code == 200
    asked = {"type": "subscribe", "payload": {"query": VIEWER}}
    heard = await talk(app, init(**staff_token), {"id": "1", **asked})
    assert {"id": "1", "type": "next", "payload": {"data": {"viewer": {"kind": "USER"}}}} in heard
    [acknowledged, refusal] = await talk(app, init(**staff_token), {"id": "2", **asked})
    assert acknowledged == {"type": "connection_ack"}
    assert (refusal["type"], refusal["id"]) == ("error", "2")
    [error] = refusal["payload"]
    assert error["extensions"].pop("requestId")
    assert error["extensions"] == {
        "code": "RATE_LIMITED",
        "retryable": True,
        "retryAfterMs": 2000,
        "limit": {"name": "costPerSecond", "value": 5, "request": 10},
    }
