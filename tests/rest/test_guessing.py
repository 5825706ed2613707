"""Guessing keys: what it costs the guesser, and what it must not cost anybody else."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from core.auth import Credentials, new_key
from core.backends import BackendName
from core.buckets import Limit, LocalBuckets
from core.demo import DemoCredentials
from core.errors import BackendUnavailable, RateLimited, Unauthenticated
from core.principals import Principal
from datasources.mongo import KeyRecord, Mongo
from resolvers.principals import Identification
from rest.guessing import Guessing
from tests.callers import SERVICE
from tests.clocks import ManualClock
from tests.conftest import SERVER_SIDE_PLATFORM
from tests.rest.test_graphql import VIEWER, gateway, init, talk

LIMIT = Limit(rate_per_s=10, burst=50)
GUESSER, OTHER = "203.0.113.9", "203.0.113.10"


class Counted(Mongo):
    """The core store, which counts how often it is asked for a key, and how often at the same time."""

    lookups = 0
    under_way = 0
    most_at_once = 0

    async def key(self, hash: str) -> KeyRecord | None:
        self.lookups += 1
        self.under_way += 1
        self.most_at_once = max(self.most_at_once, self.under_way)
        try:
            return await super().key(hash)
        finally:
            self.under_way -= 1


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def guessing(clock: ManualClock) -> Guessing:
    return Guessing(LocalBuckets(clock=clock), LIMIT, clock=clock)


@pytest.fixture
def store(mongo: Mongo) -> Counted:
    return Counted(mongo._client, mongo._db.name)


@pytest.fixture
def app(store: Counted, identification: Identification, guessing: Guessing) -> FastAPI:
    made = gateway(store, identification)
    made.state.gateway = replace(made.state.gateway, guessing=guessing)
    return made


@pytest.fixture
async def at(app: FastAPI) -> AsyncIterator[Callable[[str], httpx.AsyncClient]]:
    """Clients by the address that they call from."""
    made: dict[str, httpx.AsyncClient] = {}

    def client(address: str) -> httpx.AsyncClient:
        if address not in made:
            transport = httpx.ASGITransport(app, client=(address, 1234))
            made[address] = httpx.AsyncClient(transport=transport, base_url="http://gateway")
        return made[address]

    yield client
    for each in made.values():
        await each.aclose()


async def ask(client: httpx.AsyncClient, **headers: str) -> httpx.Response:
    shown = {name.replace("_", "-"): value for name, value in headers.items()}
    return await client.post("/graphql", json={"query": VIEWER}, headers=shown)


# -- through the entrance ----------------------------------------------------------------------------------------------


async def test_a_thousand_wrong_keys_at_once_hold_up_neither_the_store_nor_a_right_one(
    at: Callable[[str], httpx.AsyncClient], store: Counted, demo: DemoCredentials
) -> None:
    guesser = at(GUESSER)
    right = {"x_api_key": demo.keys[SERVER_SIDE_PLATFORM]}
    guesses = [asyncio.create_task(ask(guesser, x_api_key=new_key())) for _ in range(500)]
    amidst = asyncio.create_task(ask(guesser, **right))
    guesses += [asyncio.create_task(ask(guesser, x_api_key=new_key())) for _ in range(500)]
    assert (await amidst).status_code == 200
    answers = await asyncio.gather(*guesses)
    assert Counter(answer.status_code for answer in answers) == {401: 50, 429: 950}
    assert store.lookups == 1_001
    assert store.most_at_once <= LIMIT.burst + 1
    store.most_at_once = 0
    answers = await asyncio.gather(*(ask(guesser, x_api_key=new_key()) for _ in range(100)))
    assert {answer.status_code for answer in answers} == {429}
    assert store.most_at_once == 1, "from now on one at a time"


async def test_what_cannot_be_a_key_costs_no_lookup(
    at: Callable[[str], httpx.AsyncClient], store: Counted, demo: DemoCredentials
) -> None:
    shapeless = [
        "x",
        "sk_",
        "sk_" + "0" * 63,
        "sk_" + "0" * 65,
        "sk_" + "G" * 64,
        "pk_" + "0" * 64,
        "'; drop",
        "0" * 64,
    ]
    for key in shapeless:
        assert (await ask(at(GUESSER), x_api_key=key)).status_code == 401
    assert store.lookups == 0
    assert (await ask(at(GUESSER), x_api_key=demo.service_key)).status_code == 200, "a service's may look like anything"
    assert store.lookups == 0


async def test_a_refusal_has_a_code_and_a_time_and_is_no_other_addresss(
    at: Callable[[str], httpx.AsyncClient], clock: ManualClock
) -> None:
    for _ in range(50):
        assert (await ask(at(GUESSER), authorization="Bearer x")).status_code == 401
    answer = await ask(at(GUESSER), authorization="Bearer x", x_request_id="r1")
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "1")
    [error] = answer.json()["errors"]
    assert error["extensions"] == {
        "code": "RATE_LIMITED",
        "retryable": True,
        "retryAfterMs": 100,
        "limit": {"name": "failedAuthenticationsPerSecond", "value": 10},
        "requestId": "r1",
    }
    assert (await ask(at(OTHER), authorization="Bearer x")).status_code == 401
    clock.now += 0.1
    assert [(await ask(at(GUESSER), authorization="Basic x")).status_code for _ in range(2)] == [401, 429]


async def test_a_token_is_answered_however_much_was_guessed(
    at: Callable[[str], httpx.AsyncClient], demo: DemoCredentials
) -> None:
    statuses = [(await ask(at(GUESSER))).status_code for _ in range(60)]
    assert statuses == [401] * 50 + [429] * 10
    assert (await ask(at(GUESSER), authorization=f"Bearer {demo.tokens['CUSTOMER']}")).status_code == 200


async def test_sockets_count_too_and_are_closed_with_4429(app: FastAPI, demo: DemoCredentials) -> None:
    payloads: list[dict[str, Any]] = [{"x_api_key": new_key()}, {"x_api_key": {"$ne": ""}}, {}]
    closed = [(await talk(app, init(**payloads[n % 3])))[-1]["code"] for n in range(52)]
    assert closed == [(4403, 4403, 4401)[n % 3] for n in range(50)] + [4429, 4429]
    assert (await talk(app, init(x_api_key=demo.service_key)))[0] == {"type": "connection_ack"}


# -- alone -------------------------------------------------------------------------------------------------------------


async def right(credentials: Credentials) -> Principal:
    return SERVICE


async def wrong(credentials: Credentials) -> Principal:
    raise Unauthenticated("the credentials are not valid")


async def down(credentials: Credentials) -> Principal:
    raise BackendUnavailable(BackendName.OMNISTACK, "the core store cannot be reached")


async def guess(guessing: Guessing, address: str | None, times: int) -> list[type[Exception]]:
    raised: list[type[Exception]] = []
    for _ in range(times):
        with pytest.raises((Unauthenticated, RateLimited)) as caught:
            await guessing.watch(address, {"x-api-key": "x"}, wrong)
        raised.append(caught.type)
    return raised


async def test_only_failures_count(guessing: Guessing) -> None:
    for _ in range(200):
        assert await guessing.watch(GUESSER, {"x-api-key": "x"}, right) is SERVICE
        with pytest.raises(BackendUnavailable):
            await guessing.watch(GUESSER, {"x-api-key": "y"}, down)
    assert await guess(guessing, GUESSER, 51) == [Unauthenticated] * 50 + [RateLimited]


async def test_beyond_the_limit_one_is_looked_up_at_a_time_and_what_was_right_before_at_once(
    guessing: Guessing,
) -> None:
    begun: list[Credentials] = []
    go_on = asyncio.Event()

    async def slowly_wrong(credentials: Credentials) -> Principal:
        begun.append(credentials)
        await go_on.wait()
        return await wrong(credentials)

    await guessing.watch(OTHER, {"x-api-key": "right"}, right)
    await guess(guessing, GUESSER, 51)
    guesses = [asyncio.create_task(guessing.watch(GUESSER, {"x-api-key": str(n)}, slowly_wrong)) for n in range(9)]
    elsewhere = [asyncio.create_task(guessing.watch(OTHER, {"x-api-key": str(n)}, slowly_wrong)) for n in range(3)]
    await asyncio.sleep(0)
    assert len(begun) == 1 + 3
    assert await guessing.watch(GUESSER, {"x-api-key": "right"}, right) is SERVICE
    go_on.set()
    raised = await asyncio.gather(*guesses, *elsewhere, return_exceptions=True)
    assert [type(error) for error in raised] == [RateLimited] * 9 + [Unauthenticated] * 3


async def test_credentials_that_became_wrong_queue_like_any_other(guessing: Guessing) -> None:
    await guessing.watch(GUESSER, {"x-api-key": "x"}, right)
    assert guessing._right
    await guess(guessing, GUESSER, 1)
    assert not guessing._right


async def test_memory_is_bounded(clock: ManualClock) -> None:
    guessing = Guessing(LocalBuckets(size=20, clock=clock), Limit(1, 1), size=10, clock=clock)
    for n in range(100):
        await guess(guessing, f"203.0.113.{n}", 2)
        await guessing.watch(GUESSER, {"x-api-key": str(n)}, right)
    assert (len(guessing._places), len(guessing._right)) == (10, 10)


async def test_an_address_of_which_there_is_nothing_to_know_is_forgotten(
    guessing: Guessing, clock: ManualClock
) -> None:
    await guess(guessing, GUESSER, 50)
    await guessing.watch(GUESSER, {"x-api-key": "x"}, right)
    assert not guessing._places
    await guess(guessing, GUESSER, 1)
    clock.now += 1
    await guessing.watch(GUESSER, {"x-api-key": "x"}, right)
    assert not guessing._places


async def test_it_can_be_switched_off(clock: ManualClock) -> None:
    guessing = Guessing(LocalBuckets(clock=clock), Limit(0, 0), clock=clock)
    assert set(await guess(guessing, GUESSER, 200)) == {Unauthenticated}


async def test_credentials_are_not_kept_as_they_are(guessing: Guessing) -> None:
    await guessing.watch(GUESSER, {"x-api-key": "s3cret"}, right)
    assert "s3cret" not in repr(vars(guessing))
