"""OpenAI's wire: whole replies, streams that end well, badly or early, embeddings in both encodings."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any

import httpx
import pytest
from pydantic import HttpUrl, SecretStr

from core import operation
from core.errors import (
    BackendBadResponse,
    BackendError,
    BackendRateLimited,
    BackendRejected,
    BackendTimeout,
    BackendUnavailable,
)
from core.operation import Operation
from core.settings import OpenaiSettings
from datasources._breaker import CircuitState
from datasources._http import Limits
from datasources._streams import Patience
from datasources.openai import ChatMessage, ChatPieceRecord, ChatReplyRecord, ChatRequest, Openai, UsageRecord
from sandbox import keys
from sandbox import openai as simulator
from sandbox.faults import FaultLine
from sandbox.store import Store
from tests.servers import answering, serving, until

ASKED = ChatRequest("gpt-4.1-mini", [ChatMessage("system", "Be brief."), ChatMessage("user", "Where is order 1001?")])
FULL = ChatRequest("gpt-5-mini", [ChatMessage("user", "Hi")], temperature=0.0, max_tokens=5, end_user="f" * 64)
COMPLETION = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "gpt-4.1-mini-2025-04-14",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Here."}, "finish_reason": "stop"}],
    "usage": {"prompt_tokens": 24, "completion_tokens": 2, "total_tokens": 26},
}


def settings(url: str = "http://openai/v1", **changes: Any) -> OpenaiSettings:
    return OpenaiSettings(base_url=HttpUrl(url), api_key=SecretStr(keys.OPENAI_API_KEY), **changes)


def told(answer: Callable[[httpx.Request], httpx.Response], limits: Limits | None = None) -> Openai:
    client = httpx.AsyncClient(base_url="http://openai/v1", transport=httpx.MockTransport(answer))
    return Openai(client, settings(), limits)


def telling(status: int = 200, **body: Any) -> Openai:
    return told(lambda request: httpx.Response(status, json=body))


async def test_a_chat_is_asked_with_no_more_than_was_said_and_gives_the_reply() -> None:
    sent: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200, json=COMPLETION)

    openai = told(answer)
    reply = await openai.chat(ASKED)
    assert reply == ChatReplyRecord("gpt-4.1-mini-2025-04-14", "Here.", "stop", 24, 2)
    await openai.chat(FULL)
    first, second = [json.loads(request.content) for request in sent]
    assert sent[0].url.path == "/v1/chat/completions"
    assert first == {
        "model": "gpt-4.1-mini",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Where is order 1001?"},
        ],
    }
    assert (second["temperature"], second["max_completion_tokens"], second["safety_identifier"]) == (0.0, 5, "f" * 64)
    assert "max_tokens" not in second, "models that reason refuse it"


async def test_a_model_that_refuses_says_so_in_its_reply() -> None:
    message = {"role": "assistant", "content": None, "refusal": "I cannot help with that."}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    reply = await telling(model="m", choices=[choice]).chat(ASKED)
    assert reply == ChatReplyRecord("m", "I cannot help with that.", "stop", None, None)


@pytest.mark.parametrize("body", [{"model": "m"}, {"model": "m", "choices": []}, {"model": 7, "choices": []}])
async def test_an_answer_without_a_reply_is_none(body: dict[str, Any]) -> None:
    with pytest.raises(BackendBadResponse):
        await telling(**body).chat(ASKED)


def error(code: str | None, type: str = "invalid_request_error", message: str = "No.") -> dict[str, Any]:
    return {"error": {"message": message, "type": type, "param": None, "code": code}}


@pytest.mark.parametrize(
    ("status", "body", "expected", "calls"),
    [
        (400, error("context_length_exceeded"), BackendRejected, 1),
        (404, error("model_not_found"), BackendRejected, 1),
        (429, error("rate_limit_exceeded", "tokens"), BackendRateLimited, 3),
        (429, error("insufficient_quota", "insufficient_quota"), BackendRejected, 1),
        (503, error(None, "server_error"), BackendUnavailable, 3),
        (500, error(None, "server_error"), BackendUnavailable, 1),
        (200, error(None, "server_error"), BackendUnavailable, 1),
        (200, error("rate_limit_exceeded"), BackendRateLimited, 1),
        (200, error("insufficient_quota"), BackendRejected, 1),
        (200, error("content_policy_violation"), BackendRejected, 1),
    ],
)
async def test_refusals_are_told_apart_and_only_those_repeated_that_may_pass(
    status: int, body: dict[str, Any], expected: type[BackendError], calls: int
) -> None:
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.path)
        return httpx.Response(status, json=body, headers={"retry-after": "0"})

    with pytest.raises(expected) as raised:
        await told(answer).chat(ASKED)
    assert type(raised.value).code == expected.code
    assert len(seen) == calls
    if isinstance(raised.value, BackendRejected):
        assert raised.value.reason == body["error"]["code"]


async def test_nothing_of_the_account_is_told() -> None:
    told_key = "Incorrect API key provided: sk-pro***abcd. You can find yours at https://platform.example/keys."
    with pytest.raises(BackendRejected) as refused:
        await telling(401, **error("invalid_api_key", message=told_key)).chat(ASKED)
    assert str(refused.value) == "openai does not accept the gateway's credentials"
    with pytest.raises(BackendRejected) as refused:
        await telling(400, **error("x", message="Project proj_abc of org-xyz may not, with sk-1234567890.")).chat(ASKED)
    assert str(refused.value) == "Project … of … may not, with …."


# -- embeddings --------------------------------------------------------------------------------------------------------


def vectors(*embeddings: tuple[int, Any]) -> dict[str, Any]:
    return {"data": [{"object": "embedding", "index": index, "embedding": value} for index, value in embeddings]}


async def test_embeddings_come_in_the_order_of_the_texts_in_either_encoding() -> None:
    sent: list[Any] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(json.loads(request.content))
        return httpx.Response(200, json=vectors((1, [0.5, -0.5]), (0, "AACAPwAAAEA=")))

    found = await told(answer).embeddings("text-embedding-3-small", ["one", "two"])
    assert [(row.index, row.vector) for row in found] == [(0, [1.0, 2.0]), (1, [0.5, -0.5])]
    assert sent == [{"model": "text-embedding-3-small", "input": ["one", "two"], "encoding_format": "base64"}]


@pytest.mark.parametrize(
    "body",
    [
        vectors((0, [1.0])),
        vectors((0, [1.0]), (0, [1.0])),
        vectors((0, [1.0]), (2, [1.0])),
        vectors((0, [1.0]), (1, [])),
        vectors((0, [1.0]), (1, "AAC")),
        vectors((0, [1.0]), (1, "AACAPwA=")),
        vectors((0, [1.0]), (1, "AADAfw==")),
        vectors((0, [1.0]), (1, "é")),
    ],
    ids=["too few", "twice", "a gap", "empty", "no base64", "half a number", "not a number", "no ASCII"],
)
async def test_embeddings_that_do_not_fit_the_texts_are_refused(body: dict[str, Any]) -> None:
    with pytest.raises(BackendBadResponse):
        await telling(**body).embeddings("m", ["one", "two"])


# -- streams, against the simulator on a real socket -------------------------------------------------------------------


class Served:
    """The simulator behind a fault line; each token of its streams waits until it is `let`. `given_up` counts the
    streams that were ended while they waited."""

    def __init__(self, **options: Any) -> None:
        self.store = Store(None)
        self.gate = asyncio.Semaphore(0)
        self.given_up = 0
        self.line = FaultLine(simulator.create_app(self.store, simulator.Options(pace=self._pace, **options)))

    async def _pace(self) -> None:
        try:
            await self.gate.acquire()
        except asyncio.CancelledError:
            self.given_up += 1
            raise

    def let(self, tokens: int = 1000) -> None:
        for _ in range(tokens):
            self.gate.release()

    @property
    def rows(self) -> list[dict[str, Any]]:
        return self.store.rows("completion")


@asynccontextmanager
async def open_openai(served: Served, **changes: Any) -> AsyncIterator[Openai]:
    async with serving(served.line) as url:
        openai = Openai.open(settings(f"{url}/v1", **changes))
        try:
            yield openai
        finally:
            await openai.aclose()


async def pieces_of(openai: Openai, asked: ChatRequest = ASKED) -> list[ChatPieceRecord]:
    return [piece async for piece in openai.chat_stream(asked)]


async def said_before_failing(openai: Openai, expected: type[BackendError]) -> str:
    said: list[str] = []

    async def listen() -> None:
        async for piece in openai.chat_stream(ASKED):
            said.append(piece.content)

    with pytest.raises(expected):
        await listen()
    return "".join(said)


async def test_a_reply_comes_token_by_token_as_it_is_made() -> None:
    served = Served()
    async with open_openai(served) as openai, aclosing(openai.chat_stream(ASKED)) as stream:
        said = ""
        for _ in range(3):
            served.let(1)
            said += (await anext(stream)).content
        waiting = asyncio.ensure_future(anext(stream))
        await asyncio.wait({waiting}, timeout=0.05)
        assert not waiting.done(), "there is no fourth token yet"
        assert said == "You asked: “Where"
        served.let()
        rest = [await waiting, *[piece async for piece in stream]]
        whole = said + "".join(piece.content for piece in rest)
        assert whole.startswith("You asked: “Where is order 1001?”")
        assert [piece.finish_reason for piece in rest if piece.finish_reason] == ["stop"]
        [usage] = [piece.usage for piece in rest if piece.usage]
        assert usage == UsageRecord(**{key: served.rows[0]["usage"][key] for key in UsageRecord.__struct_fields__})
        assert openai.open_streams == openai._in_flight == 0
        await until(lambda: bool(served.rows[0]["is_taken"]))


async def test_the_stream_says_what_the_whole_reply_says() -> None:
    served = Served()
    served.let()
    async with open_openai(served) as openai:
        reply, pieces = await openai.chat(ASKED), await pieces_of(openai)
        assert "".join(piece.content for piece in pieces) == reply.content
        short = ChatRequest("gpt-5-mini", ASKED.messages, max_tokens=4)
        assert [piece.finish_reason for piece in await pieces_of(openai, short) if piece.finish_reason] == ["length"]


async def test_whoever_stops_listening_ends_the_generation() -> None:
    served = Served()
    async with open_openai(served) as openai:
        stream = openai.chat_stream(ASKED)
        served.let(1)
        await anext(stream)
        assert openai.open_streams == openai._in_flight == 1
        await stream.aclose()
        assert openai.open_streams == openai._in_flight == 0
        await until(lambda: served.given_up == 1)
    assert [row["is_taken"] for row in served.rows] == [False]


async def test_whoever_is_cancelled_ends_the_generation() -> None:
    served = Served()
    async with open_openai(served) as openai:
        listening = asyncio.create_task(pieces_of(openai))
        await until(lambda: openai.open_streams == 1)
        listening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await listening
        assert openai.open_streams == openai._in_flight == 0
        assert openai.breaker.state is CircuitState.CLOSED
        await until(lambda: served.given_up == 1)


async def test_an_error_in_the_middle_ends_the_stream_as_that_error() -> None:
    served = Served(broken_by="error")
    served.let()
    async with open_openai(served) as openai:
        assert await said_before_failing(openai, BackendUnavailable) == "You asked: “Where"
        assert openai.open_streams == openai._in_flight == 0
        assert len(served.line.calls) == 1, "what has begun is not begun again"


@pytest.mark.parametrize("code", ["rate_limit_exceeded", "content_policy_violation"])
async def test_what_the_error_in_a_stream_means_is_told(code: str) -> None:
    events = f"data: {json.dumps(error(code))}\n\n".encode()
    openai = told(lambda request: httpx.Response(200, content=events))
    with pytest.raises(BackendRateLimited if code == "rate_limit_exceeded" else BackendRejected):
        await pieces_of(openai)


def chunk(content: str, finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"content": content}, "finish_reason": finish_reason}
    return b"data: " + json.dumps({"id": "c", "choices": [choice]}).encode() + b"\n\n"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        chunk("a"),
        chunk("a") + b'data: {"id": "tru',
        chunk("a") + b"data: nonsense\n\n",
        chunk("a") + b'data: {"choices": 7}\n\n',
        b'{"not": "a stream"}',
    ],
    ids=["empty", "unfinished", "cut", "no JSON", "wrong type", "no events"],
)
async def test_a_stream_that_breaks_off_is_told_from_one_that_ends(body: bytes) -> None:
    with pytest.raises(BackendBadResponse):
        await pieces_of(told(lambda request: httpx.Response(200, content=body)))


async def test_a_reply_that_has_finished_needs_no_last_word() -> None:
    openai = told(lambda request: httpx.Response(200, content=chunk("a") + chunk("", "stop")))
    assert [piece.content for piece in await pieces_of(openai)] == ["a", ""]


async def test_a_stream_without_measure_is_given_up() -> None:
    endless = told(lambda request: httpx.Response(200, content=chunk("a" * 500) * 10), Limits(max_body_bytes=2000))
    with pytest.raises(BackendBadResponse):
        await pieces_of(endless)


async def test_a_connection_that_breaks_in_the_middle_is_no_end() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
        piece = chunk("a")
        writer.write(head + f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        await writer.drain()

    async with answering(serve) as url:
        openai = Openai.open(settings(url))
        assert await said_before_failing(openai, BackendUnavailable) == "a"
        assert openai.open_streams == 0
        await openai.aclose()


@pytest.mark.parametrize("part", ["first_s", "between_s", "whole_s"])
async def test_silence_is_waited_out_for_so_long(part: str) -> None:
    served = Served()
    if part == "first_s":
        served.line.replace([{"kind": "hang"}])
    async with open_openai(served) as openai:
        openai.patience = Patience(**{part: 0.2})
        with pytest.raises(BackendTimeout):
            await pieces_of(openai)
        assert openai.open_streams == openai._in_flight == 0


async def test_a_stream_is_asked_for_again_until_it_has_begun() -> None:
    served = Served()
    served.let()
    served.line.replace([{"kind": "status", "status": 503, "count": 2}])
    async with open_openai(served) as openai:
        with operation.running(Operation()) as running:
            assert await pieces_of(openai)
        [call] = running.calls
        assert (call.method, call.path, call.status, call.retries) == ("POST", "/chat/completions", 200, 2)
        assert len(served.line.calls) == 3


async def test_a_stream_that_is_refused_is_refused_as_a_whole_reply_is() -> None:
    served = Served()
    async with open_openai(served) as openai:
        with operation.running(Operation()) as running, pytest.raises(BackendRejected) as refused:
            await pieces_of(openai, ChatRequest("gpt-9", ASKED.messages))
        assert (refused.value.status, refused.value.reason) == (404, "model_not_found")
        assert [(call.status, call.retries) for call in running.calls] == [(404, 0)]
        assert openai._in_flight == 0


async def test_an_operation_out_of_time_asks_nobody() -> None:
    openai = told(lambda request: httpx.Response(200, content=chunk("a", "stop")))
    with operation.running(operation.within(0)), pytest.raises(BackendTimeout):
        await pieces_of(openai)


async def test_streams_fill_the_places_that_there_are() -> None:
    served = Served()
    async with open_openai(served) as usual:
        openai = Openai(usual._client, settings(), Limits(in_flight=1))
        listening = asyncio.create_task(pieces_of(openai))
        await until(lambda: openai.open_streams == 1)
        with pytest.raises(BackendUnavailable):
            await openai.chat(ASKED)
        served.let()
        assert await listening
        assert (await openai.chat(ASKED)).finish_reason == "stop"


async def test_nothing_is_read_ahead_of_who_listens() -> None:
    """The server is held up long before it has sent everything."""
    piece = chunk("a" * 60_000)
    sent, held_up = 0, asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
        for _ in range(1500):  # 90 MB
            writer.write(piece)
            sent += 1
            draining = asyncio.ensure_future(writer.drain())
            if not (await asyncio.wait({draining}, timeout=0.5))[0]:
                held_up.set()
            await draining

    async with answering(serve) as url:
        openai = Openai.open(settings(url))
        stream = openai.chat_stream(ASKED)
        await anext(stream)
        async with asyncio.timeout(20):
            await held_up.wait()
        assert sent < 1500
        await stream.aclose()
        await openai.aclose()


# -- the rest ----------------------------------------------------------------------------------------------------------


async def test_the_simulator_takes_what_we_ask() -> None:
    served = Served()
    async with open_openai(served) as openai:
        await openai.ping()
        found = await openai.embeddings("text-embedding-3-small", ["one", "two", "one"])
        assert [len(row.vector) for row in found] == [1536] * 3
        assert found[0].vector == found[2].vector != found[1].vector


async def test_an_open_circuit_opens_no_streams() -> None:
    served = Served()
    served.line.replace([{"kind": "status", "status": 500}])
    async with open_openai(served) as openai:
        for _ in range(5):
            with pytest.raises(BackendUnavailable):
                await pieces_of(openai)
        served.line.calls.clear()
        with pytest.raises(BackendUnavailable):
            await pieces_of(openai)
        assert not served.line.calls


def test_callers_may_ask_for_the_usual_models_and_those_of_the_list() -> None:
    openai = Openai(httpx.AsyncClient(), settings(model="a", embedding_model="e", models=("b", "a")))
    assert openai.chat_models == ("a", "b")
    assert openai.embedding_models == ("e", "b", "a")


def test_it_needs_a_key() -> None:
    with pytest.raises(ValueError, match="OPENAI_API_KEY"):
        Openai.open(OpenaiSettings())
