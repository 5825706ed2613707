"""Chat as GraphQL clients meet it: whole by HTTP, token by token over real WebSockets, before the whole schema."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
from fastapi import FastAPI
from pydantic import HttpUrl, SecretStr
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from core.demo import DemoCredentials
from core.settings import OpenaiSettings, Settings
from core.signals import LocalSignals
from datasources.identities import Identities
from datasources.mongo import Mongo
from datasources.openai import Openai
from resolvers.principals import Identification
from rest.gateway import Gateway
from rest.graphql import GraphQLEntrance
from rest.request_ids import RequestIds
from sandbox import keys
from sandbox import openai as simulator
from sandbox.faults import FaultLine
from sandbox.store import Store
from schema import build_schema
from tests.conftest import PLATFORM
from tests.servers import DEADLINE_S, serving, until

SCHEMA = build_schema(Settings())
STREAM = """subscription ($input: ChatInput!) { chatStream(input: $input) { content finishReason } }"""
CHAT = """mutation ($input: ChatInput!) { chat(input: $input) {
    model content finishReason promptTokens completionTokens } }"""
INPUT = {"messages": [{"role": "user", "content": "Where is order 1001?"}], "temperature": 0.2, "maxTokens": 50}
WHOLE = "You asked: “Where is order 1001?”"


class Desk:
    """A served gateway before a served simulator. Each streamed token waits until it is `let`; `given_up` counts the
    generations that were ended while they waited, `begun` the tokens that were asked for."""

    def __init__(self, demo: DemoCredentials) -> None:
        self.demo = demo
        self.store = Store(None)
        self.gate = asyncio.Semaphore(0)
        self.given_up = self.begun = 0
        self.line = FaultLine(simulator.create_app(self.store, simulator.Options(pace=self._pace)))
        self.openai: Any = None
        self.url = ""

    async def _pace(self) -> None:
        self.begun += 1
        try:
            await self.gate.acquire()
        except asyncio.CancelledError:
            self.given_up += 1
            raise

    def let(self, tokens: int = 1000) -> None:
        for _ in range(tokens):
            self.gate.release()

    @property
    def customer(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.demo.tokens['CUSTOMER']}"}

    @property
    def browser(self) -> dict[str, str]:
        return {"x-api-key": self.demo.keys[PLATFORM]}

    async def ask(self, caller: Mapping[str, str], query: str, variables: Any) -> dict[str, Any]:
        async with httpx.AsyncClient(base_url=self.url) as client:
            body = {"query": query, "variables": variables}
            answer: dict[str, Any] = (await client.post("/graphql", json=body, headers=dict(caller))).json()
            return answer

    @asynccontextmanager
    async def listening(self, caller: Mapping[str, str], input: Any = INPUT) -> AsyncIterator[ClientConnection]:
        """A socket on which the chat was asked for, as operation 1."""
        url, protocol = self.url.replace("http", "ws", 1) + "/graphql", Subprotocol("graphql-transport-ws")
        async with asyncio.timeout(DEADLINE_S), connect(url, subprotocols=[protocol]) as ws:
            await ws.send(json.dumps({"type": "connection_init", "payload": dict(caller)}))
            assert json.loads(await ws.recv())["type"] == "connection_ack"
            payload = {"query": STREAM, "variables": {"input": input}}
            await ws.send(json.dumps({"id": "1", "type": "subscribe", "payload": payload}))
            yield ws


async def message(ws: ClientConnection) -> dict[str, Any]:
    heard: dict[str, Any] = json.loads(await ws.recv())
    return heard


async def to_the_end(ws: ClientConnection) -> tuple[list[dict[str, Any]], list[Any]]:
    """The deltas of operation 1, and the errors that were told among or after them."""
    deltas: list[dict[str, Any]] = []
    errors: list[Any] = []
    while True:
        heard = await message(ws)
        if heard["id"] != "1":
            continue
        if heard["type"] == "complete":
            return deltas, errors
        if heard["type"] == "error":
            return deltas, errors + heard["payload"]
        told = heard["payload"]
        errors += told.get("errors", [])
        if told.get("data"):
            deltas.append(told["data"]["chatStream"])


@pytest.fixture
async def desk(mongo: Mongo, demo: DemoCredentials, identification: Identification) -> AsyncIterator[Desk]:
    desk = Desk(demo)
    async with serving(desk.line) as simulated:
        settings = OpenaiSettings(base_url=HttpUrl(f"{simulated}/v1"), api_key=SecretStr(keys.OPENAI_API_KEY))
        desk.openai = Openai.open(settings)
        sources = SimpleNamespace(mongo=mongo, openai=desk.openai, identities=Identities(LocalSignals()))
        app = FastAPI()
        app.include_router(GraphQLEntrance(SCHEMA, "/graphql", allowed_origins=[]))
        app.add_middleware(RequestIds)
        app.state.gateway = Gateway(cast("Any", sources), identification)
        async with serving(app) as desk.url:
            yield desk
            await until(lambda: desk.openai.open_streams == desk.openai._in_flight == 0)
        await desk.openai.aclose()


async def test_a_reply_is_whole_with_what_it_came_to(desk: Desk) -> None:
    answer = await desk.ask(desk.customer, CHAT, {"input": INPUT})
    reply = answer["data"]["chat"]
    assert reply["content"].startswith(WHOLE)
    assert (reply["model"], reply["finishReason"]) == ("gpt-4.1-mini", "stop")
    assert reply["promptTokens"] > 0
    assert reply["completionTokens"] > 0


async def test_embeddings_keep_their_order(desk: Desk) -> None:
    query = 'mutation { embeddings(input: {input: ["one", "two"]}) { index vector } }'
    rows = (await desk.ask(desk.customer, query, None))["data"]["embeddings"]
    assert [(row["index"], len(row["vector"])) for row in rows] == [(0, 1536), (1, 1536)]
    assert all(isinstance(number, float) for number in rows[0]["vector"])


async def test_what_the_model_refuses_is_told(desk: Desk) -> None:
    desk.openai.chat_models = ("gpt-9",)
    answer = await desk.ask(desk.customer, CHAT, {"input": {"messages": INPUT["messages"]}})
    [error] = answer["errors"]
    assert answer["data"] == {"chat": None}
    assert error["extensions"]["code"] == "UPSTREAM_REJECTED"
    assert error["extensions"]["source"] == "OPENAI"


async def test_a_reply_is_heard_as_it_is_made(desk: Desk) -> None:
    async with desk.listening(desk.customer) as ws:
        heard = ""
        for _ in range(2):
            desk.let(1)
            heard += (await message(ws))["payload"]["data"]["chatStream"]["content"]
        assert heard == "You asked:"
        assert desk.openai.open_streams == 1
        desk.let()
        deltas, errors = await to_the_end(ws)
    assert errors == []
    assert (heard + "".join(delta["content"] for delta in deltas)).startswith(WHOLE)
    assert [delta["finishReason"] for delta in deltas] == [None] * (len(deltas) - 1) + ["stop"]


async def test_who_completes_the_operation_ends_the_generation(desk: Desk) -> None:
    async with desk.listening(desk.customer) as ws:
        desk.let(1)
        await message(ws)
        await ws.send(json.dumps({"id": "1", "type": "complete"}))
        await until(lambda: desk.given_up == 1)
        assert desk.openai.open_streams == 0
    [row] = desk.store.rows("completion")
    assert not row["is_taken"]


async def test_who_leaves_ends_the_generation(desk: Desk) -> None:
    async with desk.listening(desk.customer):
        await until(lambda: desk.openai.open_streams == 1)
    await until(lambda: desk.given_up == 1)
    assert desk.openai.open_streams == 0


async def test_several_replies_on_one_socket_do_not_wait_for_each_other(desk: Desk) -> None:
    async with desk.listening(desk.customer) as ws:
        await until(lambda: desk.begun == 1)
        payload = {"query": STREAM, "variables": {"input": {**INPUT, "model": "nobody"}}}
        await ws.send(json.dumps({"id": "2", "type": "subscribe", "payload": payload}))
        refused = await message(ws)
        assert refused["id"] == "2"
        desk.let()
        deltas, errors = await to_the_end(ws)
    assert errors == []
    assert "".join(delta["content"] for delta in deltas).startswith(WHOLE)


async def test_what_goes_wrong_before_the_first_word_is_told_with_its_code(desk: Desk) -> None:
    for asked, code in (
        ({**INPUT, "model": "gpt-9"}, "BAD_USER_INPUT"),
        ({**INPUT, "temperature": 3}, "BAD_USER_INPUT"),
        ({"messages": []}, "BAD_USER_INPUT"),
    ):
        async with desk.listening(desk.customer, asked) as ws:
            deltas, errors = await to_the_end(ws)
        assert deltas == []
        assert [error["extensions"]["code"] for error in errors] == [code]
    assert not desk.line.calls
    desk.line.replace([{"kind": "status", "status": 500}])
    async with desk.listening(desk.customer) as ws:
        deltas, errors = await to_the_end(ws)
    assert (deltas, [error["extensions"]["code"] for error in errors]) == ([], ["UPSTREAM_UNAVAILABLE"])


async def test_what_goes_wrong_in_the_middle_is_told_after_what_was_said(desk: Desk) -> None:
    broken = simulator.create_app(desk.store, simulator.Options(broken_by="error", pace=desk._pace))
    desk.line._app = broken
    desk.let()
    async with desk.listening(desk.customer) as ws:
        deltas, errors = await to_the_end(ws)
    assert "".join(delta["content"] for delta in deltas) == "You asked: “Where"
    [error] = errors
    assert (error["extensions"]["code"], error["extensions"]["source"]) == ("UPSTREAM_UNAVAILABLE", "OPENAI")
    assert "requestId" in error["extensions"]


async def test_a_key_that_stands_in_browsers_may_not(desk: Desk) -> None:
    async with desk.listening(desk.browser) as ws:
        deltas, errors = await to_the_end(ws)
    assert (deltas, [error["extensions"]["code"] for error in errors]) == ([], ["FORBIDDEN"])
    answer = await desk.ask(desk.browser, CHAT, {"input": INPUT})
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["FORBIDDEN"]
    assert not desk.line.calls


async def test_a_stream_is_not_served_over_http(desk: Desk) -> None:
    answer = await desk.ask(desk.customer, STREAM, {"input": INPUT})
    assert [error["extensions"]["code"] for error in answer["errors"]] == ["BAD_USER_INPUT"]
    assert not desk.line.calls
