"""The GraphQL endpoint: who comes in, over HTTP and over a socket."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
from fastapi import FastAPI, Request, Response

from core.auth import new_key
from core.backends import BackendName
from core.demo import DemoCredentials
from core.errors import BackendUnavailable, GatewayError
from core.signals import LocalSignals
from datasources import Sources
from datasources.identities import Identities
from datasources.mongo import KeyRecord, Mongo
from resolvers.principals import Identification
from rest.gateway import Gateway
from rest.graphql import GraphQLEntrance, refused
from rest.request_ids import RequestIds, request_id
from server import STATUS
from tests.conftest import CLIENT, SERVER_SIDE_PLATFORM
from tests.schema.people import SCHEMA

VIEWER = "{ viewer { kind } }"


class Down(Mongo):
    """A core store that does not answer."""

    async def key(self, hash: str) -> KeyRecord | None:
        raise BackendUnavailable(BackendName.OMNISTACK, "the core store cannot be reached")


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, GatewayError)
    return refused(error, STATUS.get(type(error), 503), request_id(request))


def gateway(mongo: Mongo, identification: Identification) -> FastAPI:
    made = FastAPI()
    made.include_router(GraphQLEntrance(SCHEMA, "/graphql", allowed_origins=["https://shop.example"]))
    made.add_exception_handler(GatewayError, _refuse)
    made.add_middleware(RequestIds)
    made.state.gateway = Gateway(
        cast("Sources", SimpleNamespace(mongo=mongo, identities=Identities(LocalSignals()))), identification
    )
    return made


@pytest.fixture
def app(mongo: Mongo, identification: Identification) -> FastAPI:
    return gateway(mongo, identification)


@pytest.fixture
def app_without_store(mongo: Mongo, identification: Identification) -> FastAPI:
    return gateway(Down(mongo._client, "x"), identification)


# -- HTTP --------------------------------------------------------------------------------------------------------------


async def post(app: FastAPI, body: Any, headers: dict[str, str]) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        return await client.post("/graphql", content=content, headers={"Content-Type": "application/json"} | headers)


async def test_a_caller_is_recognised_by_what_the_headers_show(app: FastAPI, demo: DemoCredentials) -> None:
    keys = demo.keys
    shown: list[tuple[dict[str, str], str]] = [
        ({"X-API-Key": demo.service_key}, "SERVICE"),
        ({"X-API-Key": keys[SERVER_SIDE_PLATFORM]}, "PLATFORM"),
        ({"X-API-Key": keys[SERVER_SIDE_PLATFORM], "Client-X-API-Key": keys[CLIENT]}, "CLIENT"),
        ({"Authorization": f"Bearer {demo.tokens['STAFF']}"}, "USER"),
    ]
    for headers, kind in shown:
        answer = await post(app, {"query": VIEWER}, headers)
        assert (answer.status_code, answer.json()) == (200, {"data": {"viewer": {"kind": kind}}})


@pytest.mark.parametrize(
    "headers", [{}, {"X-API-Key": "sk_wrong"}, {"Authorization": "Bearer x"}, {"Authorization": "Basic eDp5"}]
)
async def test_nobody_else_comes_in(app: FastAPI, headers: dict[str, str]) -> None:
    for body in ({"query": VIEWER}, {"query": "{ __schema { types { name } } }"}, b"no json"):
        answer = await post(app, body, {**headers, "X-Request-Id": "r1"})
        assert answer.status_code == 401
        [error] = answer.json()["errors"]
        assert error["extensions"] == {"code": "UNAUTHENTICATED", "retryable": False, "requestId": "r1"}


async def test_credentials_elsewhere_than_in_a_header_count_for_nothing(app: FastAPI, demo: DemoCredentials) -> None:
    key, token = demo.service_key, demo.tokens["ADMIN"]
    body = {"query": VIEWER, "x-api-key": key, "extensions": {"x-api-key": key, "authorization": f"Bearer {token}"}}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        for query in ({"x-api-key": key}, {"authorization": f"Bearer {token}"}, {"access_token": token}):
            answer = await client.post("/graphql", params=query, json=body, headers={"cookie": f"x-api-key={key}"})
            assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (401, "UNAUTHENTICATED")
            assert not [secret for secret in (key, token) if secret in answer.text]


async def test_no_answer_repeats_a_credential(app: FastAPI, demo: DemoCredentials) -> None:
    """Neither a refusal, nor an error, nor a trace."""
    key, token = demo.service_key, demo.tokens["ADMIN"]
    asked: list[tuple[dict[str, Any], dict[str, str]]] = [
        ({"query": VIEWER}, {"X-API-Key": f"{key}x"}),
        ({"query": VIEWER}, {"X-API-Key": key, "Authorization": f"Bearer {token}"}),
        ({"query": VIEWER}, {"Authorization": f"Bearer {token}x"}),
        ({"query": "{ nothing }"}, {"X-API-Key": key, "X-Gateway-Trace": "1"}),
        ({"query": VIEWER}, {"X-API-Key": key, "X-Gateway-Trace": "1"}),
        ({"query": VIEWER}, {"Authorization": f"Bearer {token}", "X-Gateway-Trace": "1"}),
    ]
    for body, headers in asked:
        answer = await post(app, body, headers)
        told = answer.text + repr(answer.headers)
        assert not [secret for secret in (key, token) if secret in told]


async def test_without_the_core_store_nobody_can_be_recognised(app_without_store: FastAPI) -> None:
    answer = await post(app_without_store, {"query": VIEWER}, {"X-API-Key": new_key()})
    assert answer.status_code == 503
    assert answer.json()["errors"][0]["extensions"]["code"] == "UPSTREAM_UNAVAILABLE"


BAD_BODIES = [
    b"",
    b"no json",
    b"[]",
    b'[{"query": "{ viewer { kind } }"}]',
    b"5",
    b'"x"',
    b"null",
    b"{}",
    b'{"query": 7}',
    b'{"query": ""}',
    b'{"query": {"a": 1}}',
    b'{"query": "{ viewer { kind } }", "variables": "x"}',
    b'{"query": "{ viewer { kind } }", "variables": [1]}',
    b'{"query": "{ viewer { kind } }", "extensions": [1]}',
    b'{"query": "{ viewer { kind } }", "operationName": 5}',
    b'{"query": "{ viewer { kind } }", "operationName": "Other"}',
    b'{"query": "{ viewer { kind } }", "variables": {"a": NaN}}',
    b'{"query": "{ viewer { kind } }", "variables": {"a": "\\ud800"}}',
    b'{"query": "\xff"}',
    b"[" * 100_000,
    b'{"query": "{ viewer { kind } }", "variables": {"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
]


@pytest.mark.parametrize("body", BAD_BODIES)
async def test_a_body_that_is_no_request_is_refused_with_a_code(
    app: FastAPI, demo: DemoCredentials, body: bytes
) -> None:
    answer = await post(app, body, {"X-API-Key": demo.service_key, "X-Request-Id": "r1"})
    assert answer.status_code == 400
    [error] = answer.json()["errors"]
    assert error["extensions"] == {"code": "BAD_USER_INPUT", "retryable": False, "requestId": "r1"}


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "soon", "", "9" * 10, "1e3"])
async def test_a_timeout_that_is_none_is_refused(app: FastAPI, demo: DemoCredentials, value: str) -> None:
    headers = {"X-API-Key": demo.service_key, "X-Request-Timeout-Ms": value}
    answer = await post(app, {"query": VIEWER}, headers)
    assert (answer.status_code, answer.json()["errors"][0]["extensions"]["code"]) == (400, "BAD_USER_INPUT")


@pytest.mark.parametrize(
    ("role", "header", "is_traced"),
    [
        ("STAFF", "1", True),
        ("MANAGER", "1", True),
        ("CUSTOMER", "1", False),
        ("STAFF", "0", False),
        ("STAFF", "", False),
    ],
)
async def test_a_trace_is_for_those_who_ask_and_may(
    app: FastAPI, demo: DemoCredentials, role: str, header: str, is_traced: bool
) -> None:
    headers = {"Authorization": f"Bearer {demo.tokens[role]}", "X-Gateway-Trace": header}
    answer = (await post(app, {"query": "{ users { nodes { id } } }"}, headers)).json()
    if not is_traced:
        assert "extensions" not in answer
        return
    [call] = answer["extensions"]["trace"]["upstreamCalls"]
    assert (call["backend"], call["method"], call["path"]) == ("OMNISTACK", "find", "users")


# -- sockets -----------------------------------------------------------------------------------------------------------


async def talk(app: FastAPI, *said: Any, origin: str | None = None) -> list[dict[str, Any]]:
    """What a graphql-transport-ws socket answers: its messages, and `close` with its code."""
    heard: list[dict[str, Any]] = []
    waiting = [{"type": "websocket.connect"}, *({"type": "websocket.receive", "text": json.dumps(m)} for m in said)]

    answered = asyncio.Event()

    async def receive() -> dict[str, Any]:
        if not waiting and any('"subscribe"' in json.dumps(message) for message in said):
            await answered.wait()
        return waiting.pop(0) if waiting else {"type": "websocket.disconnect", "code": 1000}

    async def send(message: Any) -> None:
        if message["type"] == "websocket.send":
            heard.append(json.loads(message["text"]))
        elif message["type"] == "websocket.close":
            heard.append({"type": "close", "code": message["code"]})
        if heard and heard[-1]["type"] in ("complete", "error", "close"):
            answered.set()

    headers = [(b"host", b"gateway"), (b"sec-websocket-protocol", b"graphql-transport-ws")]
    if origin:
        headers.append((b"origin", origin.encode()))
    scope = {
        "type": "websocket",
        "path": "/graphql",
        "headers": headers,
        "query_string": b"",
        "scheme": "ws",
        "server": ("gateway", 80),
        "subprotocols": ["graphql-transport-ws"],
    }
    await app(scope, receive, send)
    return heard


def init(**payload: Any) -> dict[str, Any]:
    return {"type": "connection_init", "payload": {name.replace("_", "-"): value for name, value in payload.items()}}


async def test_a_socket_is_acknowledged_when_its_caller_is_known(app: FastAPI, demo: DemoCredentials) -> None:
    for payload in ({"X_API_Key": demo.service_key}, {"authorization": f"Bearer {demo.tokens['CUSTOMER']}"}):
        assert (await talk(app, init(**payload)))[0]["type"] == "connection_ack"


@pytest.mark.parametrize("payload", [{}, {"other": "x"}])
async def test_a_socket_without_credentials_is_closed_with_4401(app: FastAPI, payload: dict[str, Any]) -> None:
    assert await talk(app, init(**payload)) == [{"type": "close", "code": 4401}]


@pytest.mark.parametrize(
    "payload",
    [{"x_api_key": "sk_wrong"}, {"Authorization": "Bearer x"}, {"x_api_key": {"$ne": ""}}, {"x_api_key": "cl\u00e9"}],
)
async def test_a_socket_with_wrong_credentials_is_closed_with_4403(app: FastAPI, payload: dict[str, Any]) -> None:
    assert await talk(app, init(**payload)) == [{"type": "close", "code": 4403}]


async def test_a_socket_is_told_to_come_back_when_nobody_can_be_recognised(app_without_store: FastAPI) -> None:
    assert await talk(app_without_store, init(x_api_key=new_key())) == [{"type": "close", "code": 1013}]


async def test_nothing_is_executed_before_a_socket_is_acknowledged(app: FastAPI) -> None:
    heard = await talk(app, {"id": "1", "type": "subscribe", "payload": {"query": VIEWER}})
    assert heard == [{"type": "close", "code": 4401}]


async def test_an_operation_over_a_socket_is_answered(app: FastAPI, demo: DemoCredentials) -> None:
    asked = {"id": "1", "type": "subscribe", "payload": {"query": VIEWER}}
    heard = await talk(app, init(x_api_key=demo.service_key), asked)
    assert heard[0] == {"type": "connection_ack"}
    assert {"id": "1", "type": "next", "payload": {"data": {"viewer": {"kind": "SERVICE"}}}} in heard


@pytest.mark.parametrize(
    "payload",
    [
        {"query": "{ viewer "},
        {"query": "{ nothing }"},
        {"query": ""},
        {"query": "query A { viewer { kind } } query B { viewer { kind } }", "operationName": "C"},
    ],
)
async def test_an_operation_over_a_socket_that_cannot_run_is_refused_with_a_code(
    app: FastAPI, demo: DemoCredentials, payload: dict[str, Any]
) -> None:
    heard = await talk(app, init(x_api_key=demo.service_key), {"id": "1", "type": "subscribe", "payload": payload})
    [refusal] = [message for message in heard if message["type"] == "error"]
    assert {error["extensions"]["code"] for error in refusal["payload"]} == {"BAD_USER_INPUT"}


NO_MESSAGES: list[Any] = [
    None,
    7,
    "x",
    [],
    {},
    {"type": 1},
    {"type": {}},
    {"type": "unheard-of"},
    {"type": "complete", "id": {}},
    {"type": "subscribe", "id": "1"},
    {"type": "subscribe", "id": {}, "payload": {"query": VIEWER}},
    {"type": "subscribe", "id": [1], "payload": {"query": VIEWER}},
    {"type": "subscribe", "id": "1", "payload": "x"},
    {"type": "subscribe", "id": "1", "payload": []},
    {"type": "subscribe", "id": "1", "payload": {"query": 7}},
    {"type": "subscribe", "id": "1", "payload": {"query": None}},
    {"type": "subscribe", "id": "1", "payload": {"query": VIEWER, "variables": [1]}},
    {"type": "subscribe", "id": "1", "payload": {"query": VIEWER, "operationName": 7}},
]


@pytest.mark.parametrize("message", NO_MESSAGES)
async def test_a_socket_that_says_what_is_no_message_is_closed_with_4400(
    app: FastAPI, demo: DemoCredentials, message: Any
) -> None:
    heard = await talk(app, init(x_api_key=demo.service_key), message)
    assert heard == [{"type": "connection_ack"}, {"type": "close", "code": 4400}]


async def test_headers_do_not_open_a_socket(app: FastAPI) -> None:
    """A browser sends them along unasked; only what a page says itself counts."""
    assert await talk(app, init(), origin="https://shop.example") == [{"type": "close", "code": 4401}]
