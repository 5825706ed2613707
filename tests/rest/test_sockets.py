"""How long a socket may stand: until its token expires, or its credentials are no longer good for the same."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import jwt
import pytest
import strawberry
import uvicorn
from fastapi import FastAPI
from starlette.websockets import WebSocket
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from core.auth import CLOCK_SKEW_S, Credentials
from core.backends import BackendName
from core.demo import DemoCredentials
from core.errors import BackendTimeout, BackendUnavailable, Unauthenticated
from core.principals import BackendScope, Principal, PrincipalKind
from core.signals import LocalSignals
from datasources import Sources
from datasources.identities import Identities
from datasources.mongo import Mongo
from resolvers.context import Context
from resolvers.principals import Identification
from rest.gateway import Gateway
from rest.graphql import GraphQLEntrance
from rest.request_ids import RequestIds
from rest.sockets import CHANGED, EXPIRED, FORBIDDEN, LOOK_EVERY_S, NOT_VALID, has_kept, watch_of, watched
from tests.callers import SERVICE, person, platform, user
from tests.conftest import CLIENT, SERVER_SIDE_PLATFORM, demo_documents

SHOWN = Credentials(api_key="k")
CUSTOMER = user(person("CUSTOMER"))
QUICK_S = 0.002
"""Between looks, where the test has no need for the real interval."""


# -- the watch ---------------------------------------------------------------------------------------------------------


class Connection:
    """A socket whose client says nothing, and its caller as `identify` finds them: a principal, or what it raises."""

    def __init__(self, caller: Principal) -> None:
        self.found: Principal | Exception = caller
        self.context = Context(cast("Sources", SimpleNamespace()), caller)
        self.looks = 0
        self.told: list[dict[str, Any]] = []
        self.socket = WebSocket({"type": "websocket", "headers": []}, self._receive, self._send)

    async def _receive(self) -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def _send(self, message: Any) -> None:
        self.told.append(message)

    async def identify(self, shown: Credentials) -> Principal:
        assert shown is SHOWN
        self.looks += 1
        if isinstance(self.found, Exception):
            raise self.found
        return self.found

    async def stand(self) -> None:
        """Until the watch ends it."""
        await self.socket.accept()
        async with asyncio.timeout(10), watched(self.socket, look_every_s=QUICK_S):
            watch_of(self.socket).begin(self.context, SHOWN, self.identify)
            await asyncio.Event().wait()

    async def looked(self, times: int) -> None:
        """Wait until so many more looks were taken."""
        until = self.looks + times
        while self.looks < until:
            await asyncio.sleep(QUICK_S)

    @property
    def closed_with(self) -> tuple[int, str]:
        accepted, closed = self.told
        assert (accepted["type"], closed["type"]) == ("websocket.accept", "websocket.close")
        return closed["code"], closed["reason"]


async def test_credentials_that_are_no_longer_valid_end_it() -> None:
    connection = Connection(CUSTOMER)
    standing = asyncio.create_task(connection.stand())
    await connection.looked(3)
    assert not standing.done()
    connection.found = Unauthenticated("the credentials are not valid")
    await standing
    assert connection.closed_with == (FORBIDDEN, NOT_VALID)


@pytest.mark.parametrize("failure", [BackendUnavailable, BackendTimeout, TimeoutError])
async def test_a_store_that_is_down_says_nothing_against_a_caller(failure: type[Exception]) -> None:
    connection = Connection(CUSTOMER)
    connection.found = TimeoutError() if failure is TimeoutError else failure(BackendName.OMNISTACK, "down")
    standing = asyncio.create_task(connection.stand())
    await connection.looked(5)
    assert not standing.done()
    connection.found = Unauthenticated("the credentials are not valid")
    await standing
    assert connection.closed_with == (FORBIDDEN, NOT_VALID)


async def test_a_caller_who_may_do_something_else_now_has_to_come_again() -> None:
    connection = Connection(CUSTOMER)
    connection.found = replace(CUSTOMER, scopes=CUSTOMER.scopes - {"commerce:write"})
    await connection.stand()
    assert connection.closed_with == (FORBIDDEN, CHANGED)
    assert connection.context.principal is CUSTOMER


async def test_what_a_caller_gained_is_theirs_on_the_same_socket() -> None:
    connection = Connection(CUSTOMER)
    richer = replace(CUSTOMER, medusa_customer_ids=(*CUSTOMER.medusa_customer_ids, "cus_cart"))
    connection.found = richer
    standing = asyncio.create_task(connection.stand())
    await connection.looked(2)
    assert connection.context.principal == richer
    connection.found = CUSTOMER
    await standing
    assert connection.closed_with == (FORBIDDEN, CHANGED)


async def test_a_token_that_expires_ends_it_though_nobody_can_be_asked() -> None:
    connection = Connection(replace(CUSTOMER, expires_at=time.time() + 0.05))
    connection.found = BackendUnavailable(BackendName.OMNISTACK, "down")
    await connection.stand()
    assert connection.closed_with == (FORBIDDEN, EXPIRED)
    assert time.time() >= connection.context.principal.expires_at  # type: ignore[operator]


async def test_a_token_that_expires_ends_it_though_the_answer_hangs() -> None:
    connection = Connection(replace(CUSTOMER, expires_at=time.time() + 0.05))

    async def hang(shown: Credentials) -> Principal:
        await asyncio.Event().wait()
        return CUSTOMER

    connection.identify = hang  # type: ignore[method-assign]
    await connection.stand()
    assert connection.closed_with == (FORBIDDEN, EXPIRED)


async def test_a_socket_that_was_opened_within_the_skew_lasts_until_the_end_of_it() -> None:
    expires_at = time.time() - CLOCK_SKEW_S + 0.05
    connection = Connection(replace(CUSTOMER, expires_at=expires_at))
    standing = asyncio.create_task(connection.stand())
    await connection.looked(2)
    assert not standing.done()
    await standing
    assert connection.closed_with == (FORBIDDEN, EXPIRED)
    assert time.time() >= expires_at + CLOCK_SKEW_S


async def test_nobody_stays_unwatched_when_a_look_fails_unexpectedly(caplog: pytest.LogCaptureFixture) -> None:
    connection = Connection(CUSTOMER)
    connection.found = KeyError("a mistake of ours")
    with caplog.at_level(logging.ERROR, "omnistack.sockets"):
        await connection.stand()
    assert connection.closed_with == (FORBIDDEN, NOT_VALID)
    [record] = caplog.records
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], KeyError)


async def test_what_runs_on_it_ends_before_it_is_closed() -> None:
    connection = Connection(CUSTOMER)
    connection.found = Unauthenticated("the credentials are not valid")
    told_at_the_end: list[int] = []
    await connection.socket.accept()
    async with watched(connection.socket, look_every_s=QUICK_S):
        watch_of(connection.socket).begin(connection.context, SHOWN, connection.identify)
        try:
            await asyncio.Event().wait()
        finally:
            told_at_the_end.append(len(connection.told))
    assert told_at_the_end == [1]
    assert connection.closed_with == (FORBIDDEN, NOT_VALID)


@pytest.mark.parametrize("outcome", [None, TimeoutError("not ours"), ValueError("x")])
async def test_a_connection_that_ends_by_itself_takes_its_watch_along(outcome: Exception | None) -> None:
    connection, before = Connection(CUSTOMER), asyncio.all_tasks()
    await connection.socket.accept()

    async def end() -> None:
        async with watched(connection.socket, look_every_s=QUICK_S):
            watch_of(connection.socket).begin(connection.context, SHOWN, connection.identify)
            await connection.looked(2)
            if outcome is not None:
                raise outcome

    if outcome is None:
        await end()
    else:
        with pytest.raises(type(outcome)) as raised:
            await end()
        assert raised.value is outcome
    assert asyncio.all_tasks() == before
    assert [message["type"] for message in connection.told] == ["websocket.accept"]


async def test_a_connection_whose_caller_never_was_known_has_no_watch_to_end() -> None:
    connection, before = Connection(CUSTOMER), asyncio.all_tasks()
    async with watched(connection.socket):
        assert asyncio.all_tasks() == before
    assert connection.told == []


async def test_many_connections_leave_no_task_behind_however_they_end() -> None:
    before = asyncio.all_tasks()
    connections = [Connection(CUSTOMER) for _ in range(300)]
    standing = [asyncio.create_task(connection.stand()) for connection in connections]
    for connection in connections:
        await connection.looked(1)
    for n, (connection, task) in enumerate(zip(connections, standing, strict=True)):
        if n % 2:
            connection.found = Unauthenticated("the credentials are not valid")
        else:
            task.cancel()
    ended = await asyncio.gather(*standing, return_exceptions=True)
    assert {type(end) for end in ended[0::2]} == {asyncio.CancelledError}
    assert set(ended[1::2]) == {None}
    assert asyncio.all_tasks() == before


# -- who is still the same ---------------------------------------------------------------------------------------------


DAKKAH = platform(server_side=True)
NEWER = replace(DAKKAH, client_ids=("c9", *DAKKAH.client_ids))


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (CUSTOMER, replace(CUSTOMER, email="other@example.com")),
        (CUSTOMER, replace(CUSTOMER, medusa_customer_ids=("new", *CUSTOMER.medusa_customer_ids))),
        (replace(CUSTOMER, erp_customer_id=None), CUSTOMER),
        (DAKKAH, NEWER),
        (SERVICE, SERVICE),
    ],
)
def test_who_gained_something_is_still_the_same(before: Principal, now: Principal) -> None:
    assert has_kept(before, replace(now))


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (CUSTOMER, user(person("CUSTOMER", n=1))),
        (CUSTOMER, user(person("STAFF"))),
        (CUSTOMER, replace(CUSTOMER, scopes=CUSTOMER.scopes | {"core:write"})),
        (CUSTOMER, replace(CUSTOMER, backend_scope=BackendScope())),
        (CUSTOMER, replace(CUSTOMER, client_id="c9")),
        (CUSTOMER, replace(CUSTOMER, medusa_customer_ids=())),
        (CUSTOMER, replace(CUSTOMER, medusa_customer_ids=("other",))),
        (CUSTOMER, replace(CUSTOMER, erp_customer_id="other")),
        (CUSTOMER, replace(CUSTOMER, erp_customer_id=None)),
        (CUSTOMER, replace(CUSTOMER, allowed_writes=frozenset())),
        (NEWER, DAKKAH),
        (DAKKAH, replace(DAKKAH, is_server_side=False)),
        (DAKKAH, replace(DAKKAH, kind=PrincipalKind.CLIENT)),
        (DAKKAH, SERVICE),
    ],
)
def test_who_lost_or_became_something_is_not(before: Principal, now: Principal) -> None:
    assert not has_kept(before, now)


# -- over a wire -------------------------------------------------------------------------------------------------------


class Ticking:
    """How many subscriptions run."""

    def __init__(self) -> None:
        self.running = 0


@strawberry.type
class Query:
    @strawberry.field
    def kind(self, info: strawberry.Info[Any, None]) -> str:
        return str(info.context.principal.kind.value)


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def ticks(self, info: strawberry.Info[Any, None]) -> AsyncIterator[int]:
        ticking: Ticking = info.context.sources.ticking
        ticking.running += 1
        try:
            yield ticking.running
            await asyncio.Event().wait()
        finally:
            ticking.running -= 1


SCHEMA = strawberry.Schema(query=Query, subscription=Subscription)


class House:
    """A served gateway over a core store, and the subscriptions that run in it."""

    def __init__(self, mongo: Mongo, demo: DemoCredentials, ticking: Ticking, port: int) -> None:
        self.mongo = mongo
        self.demo = demo
        self.ticking = ticking
        self._url = f"ws://127.0.0.1:{port}/graphql"

    @asynccontextmanager
    async def socket(self, **shown: str) -> AsyncIterator[ClientConnection]:
        """Acknowledged, with a subscription that has sent its first event."""
        running = self.ticking.running
        async with connect(self._url, subprotocols=[Subprotocol("graphql-transport-ws")]) as socket:
            payload = {name.replace("_", "-"): value for name, value in shown.items()}
            await socket.send(json.dumps({"type": "connection_init", "payload": payload}))
            assert json.loads(await socket.recv())["type"] == "connection_ack"
            asked = {"id": "1", "type": "subscribe", "payload": {"query": "subscription { ticks }"}}
            await socket.send(json.dumps(asked))
            assert json.loads(await socket.recv())["payload"]["data"]["ticks"] == running + 1
            yield socket

    def token(self, role: str, life_s: float) -> str:
        claims = {"sub": self.demo.users[role], "exp": time.time() + life_s}
        return jwt.encode(claims, self.demo.jwt_secret, algorithm="HS256")


async def end_of(socket: ClientConnection, within_s: float) -> tuple[int, str]:
    async with asyncio.timeout(within_s):
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd is not None
    return closed.value.rcvd.code, closed.value.rcvd.reason


@pytest.fixture
async def house(empty_mongo: Mongo, demo: DemoCredentials, identification: Identification) -> AsyncIterator[House]:
    await empty_mongo.insert(demo_documents(demo))
    ticking = Ticking()
    app = FastAPI()
    app.include_router(GraphQLEntrance(SCHEMA, "/graphql", allowed_origins=[]))
    app.add_middleware(RequestIds)
    sources = SimpleNamespace(mongo=empty_mongo, ticking=ticking, identities=Identities(LocalSignals()))
    app.state.gateway = Gateway(cast("Sources", sources), identification)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", lifespan="off"))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.005)
    before = asyncio.all_tasks()
    yield House(empty_mongo, demo, ticking, server.servers[0].sockets[0].getsockname()[1])
    async with asyncio.timeout(10):
        while ticking.running or asyncio.all_tasks() - before - {asyncio.current_task()}:
            await asyncio.sleep(0.005)
    server.should_exit = True
    await serving


async def test_a_socket_is_closed_when_its_token_expires(house: House) -> None:
    """And its subscription has ended: the fixture waits for that, and for every task of the connection."""
    async with house.socket(authorization=f"Bearer {house.token('STAFF', 1.5)}") as socket:
        assert await end_of(socket, within_s=5) == (FORBIDDEN, EXPIRED)


Change = Callable[[House], Any]


async def _set(house: House, collection: str, query: dict[str, Any], **fields: Any) -> None:
    """Behind the gateway's back, as another worker would."""
    changed = await house.mongo._db[collection].update_one(query, {"$set": fields})
    assert changed.matched_count == 1


async def _key_revoked(house: House) -> None:
    removed = await house.mongo._db["keys"].delete_many({})
    assert removed.deleted_count


async def _user_suspended(house: House) -> None:
    for row in await house.mongo._db["users"].find({"status": "ACTIVE"}).to_list(None):
        await _set(house, "users", {"_id": row["_id"]}, status="SUSPENDED")


async def _clients_deactivated(house: House) -> None:
    for row in await house.mongo._db["clients"].find({}).to_list(None):
        await house.mongo._db["clients"].replace_one({"_id": row["_id"]}, row | {"isActive": False})


async def _apps_deactivated(house: House) -> None:
    for row in await house.mongo._db["client_apps"].find({}).to_list(None):
        await house.mongo._db["client_apps"].replace_one({"_id": row["_id"]}, row | {"isActive": False})


@pytest.mark.parametrize(
    ("who", "change"),
    [
        ("platform", _key_revoked),
        ("client", _key_revoked),
        ("user", _user_suspended),
        ("user", _clients_deactivated),
        ("client", _clients_deactivated),
        ("client", _apps_deactivated),
    ],
)
async def test_a_socket_is_closed_within_five_seconds_of_the_end_of_its_credentials(
    house: House, who: str, change: Change
) -> None:
    shown = {
        "platform": {"x_api_key": house.demo.keys[SERVER_SIDE_PLATFORM]},
        "client": {"x_api_key": house.demo.keys[SERVER_SIDE_PLATFORM], "client_x_api_key": house.demo.keys[CLIENT]},
        "user": {"authorization": f"Bearer {house.token('CUSTOMER', 600)}"},
    }[who]
    async with house.socket(**shown) as socket, house.socket(x_api_key=house.demo.service_key) as other:
        await change(house)
        assert await end_of(socket, within_s=5) == (FORBIDDEN, NOT_VALID)
        await other.send(json.dumps({"type": "ping"}))
        assert json.loads(await other.recv())["type"] == "pong"


async def test_the_looks_are_near_enough_to_each_other_for_five_seconds() -> None:
    assert LOOK_EVERY_S <= 2.5


async def test_many_sockets_leave_nothing_behind(house: House) -> None:
    """The fixture waits for the end of their tasks."""
    bearer = f"Bearer {house.token('STAFF', 600)}"

    async def come_and_go(n: int) -> None:
        async with connect(house._url, subprotocols=[Subprotocol("graphql-transport-ws")]) as socket:
            await socket.send(json.dumps({"type": "connection_init", "payload": {"authorization": bearer}}))
            assert json.loads(await socket.recv())["type"] == "connection_ack"
            asked = {"id": "1", "type": "subscribe", "payload": {"query": "subscription { ticks }"}}
            await socket.send(json.dumps(asked))
            await socket.recv()
            if n % 2:
                socket.transport.abort()

    await asyncio.gather(*(come_and_go(n) for n in range(60)))
