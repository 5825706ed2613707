"""The OpenAI simulator takes what the real one would, refuses what it would, and answers the same to the same."""

from __future__ import annotations

import base64
import json
import math
import struct
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from sandbox import keys, openai
from sandbox.store import Store

KEY = {"authorization": f"Bearer {keys.OPENAI_API_KEY}"}
CHAT = "/v1/chat/completions"
ASKED: dict[str, Any] = {"model": "gpt-4.1-mini", "messages": [{"role": "user", "content": "Where is order 1001?"}]}


@pytest.fixture
def store() -> Store:
    return Store(None)


def client_of(store: Store, **options: Any) -> httpx.AsyncClient:
    app = openai.create_app(store, openai.Options(**options))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://ai", headers=KEY)


@pytest.fixture
async def api(store: Store) -> AsyncIterator[httpx.AsyncClient]:
    async with client_of(store) as client:
        yield client


def events(answer: httpx.Response) -> list[Any]:
    assert answer.headers["content-type"].startswith("text/event-stream")
    *told, last, rest = answer.text.split("\n\n")
    assert (last, rest) == ("data: [DONE]", "")
    return [json.loads(event.removeprefix("data: ")) for event in told]


def alike(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


async def test_the_same_question_has_the_same_answer_which_is_about_it(api: httpx.AsyncClient, store: Store) -> None:
    first, second = [(await api.post(CHAT, json=ASKED)).json() for _ in range(2)]
    assert first["choices"] == second["choices"]
    assert first["id"] != second["id"]
    [choice] = first["choices"]
    assert "Where is order 1001?" in choice["message"]["content"]
    assert choice["finish_reason"] == "stop"
    usage = first["usage"]
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] > 0
    assert [row["question"] for row in store.rows("completion")] == ["Where is order 1001?"] * 2


async def test_a_stream_has_the_shape_of_the_real_ones(api: httpx.AsyncClient) -> None:
    whole = (await api.post(CHAT, json=ASKED)).json()
    streamed = {**ASKED, "stream": True, "stream_options": {"include_usage": True}}
    first, *pieces, last, usage = events(await api.post(CHAT, json=streamed))
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": "", "refusal": None}
    said = "".join(piece["choices"][0]["delta"]["content"] for piece in pieces)
    assert said == whole["choices"][0]["message"]["content"]
    assert (last["choices"][0]["delta"], last["choices"][0]["finish_reason"]) == ({}, "stop")
    assert (usage["choices"], usage["usage"]) == ([], whole["usage"])
    assert [piece["usage"] for piece in (first, *pieces, last)] == [None] * (len(pieces) + 2)
    assert not any("usage" in piece for piece in events(await api.post(CHAT, json={**ASKED, "stream": True})))


async def test_it_is_cut_off_at_the_limit(api: httpx.AsyncClient) -> None:
    answer = (await api.post(CHAT, json={**ASKED, "max_completion_tokens": 2})).json()
    assert answer["choices"][0]["message"]["content"] == "You asked:"
    assert answer["choices"][0]["finish_reason"] == "length"
    assert answer["usage"]["completion_tokens"] == 2


async def test_a_stream_can_break_by_an_error_told_in_it(store: Store) -> None:
    async with client_of(store, broken_by="error", broken_after=1) as api:
        lines = (await api.post(CHAT, json={**ASKED, "stream": True})).text.strip().split("\n\n")
    assert "[DONE]" not in lines[-1]
    assert json.loads(lines[-1].removeprefix("data: "))["error"]["type"] == "server_error"
    assert [row["is_taken"] for row in store.rows("completion")] == [True]


CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


@pytest.mark.parametrize(
    ("changes", "status", "param", "code"),
    [
        ({"model": None}, 400, None, None),
        ({"model": "gpt-9"}, 404, None, "model_not_found"),
        ({"messages": None}, 400, "messages", "missing_required_parameter"),
        ({"messages": []}, 400, "messages", "empty_array"),
        ({"messages": [{"role": "boss", "content": "x"}]}, 400, "messages[0].role", "invalid_value"),
        ({"messages": [{"role": "user"}]}, 400, "messages[0].content", None),
        ({"messages": [{"role": "tool", "content": "x", "tool_call_id": "c"}]}, 400, "messages.[0].role", None),
        ({"messages": [{"role": "assistant", "content": None, "tool_calls": [CALL]}]}, 400, "messages", None),
        ({"temperature": 2.1}, 400, "temperature", None),
        ({"temperature": "hot"}, 400, "temperature", "invalid_type"),
        ({"max_completion_tokens": 0}, 400, "max_completion_tokens", "integer_below_min_value"),
        ({"model": "gpt-5-mini", "max_tokens": 5}, 400, "max_tokens", "unsupported_parameter"),
        ({"model": "o4-mini", "temperature": 0.5}, 400, "temperature", "unsupported_value"),
        ({"stream_options": {"include_usage": True}}, 400, "stream_options", None),
        ({"maxTokens": 5}, 400, None, None),
        ({"tools": []}, 501, "tools", None),
    ],
)
async def test_it_refuses_what_the_real_one_would(
    api: httpx.AsyncClient, store: Store, changes: dict[str, Any], status: int, param: str | None, code: str | None
) -> None:
    body = {key: value for key, value in {**ASKED, **changes}.items() if value is not None}
    answer = await api.post(CHAT, json=body)
    error = answer.json()["error"]
    assert (answer.status_code, error["param"], error["code"]) == (status, param, code)
    assert error["message"]
    assert not store.rows("completion")


async def test_answered_tool_calls_are_fine(api: httpx.AsyncClient) -> None:
    messages = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "call_1", "content": "done"},
    ]
    assert (await api.post(CHAT, json={**ASKED, "messages": messages})).status_code == 200


async def test_embeddings_are_of_length_one_and_alike_for_texts_that_are(api: httpx.AsyncClient) -> None:
    texts = ["green apples and pears", "green apples and plums", "diesel engine manual"]
    body = {"model": "text-embedding-3-small", "input": texts, "dimensions": 256}
    answer = (await api.post("/v1/embeddings", json=body)).json()
    assert [row["index"] for row in answer["data"]] == [0, 1, 2]
    apples, plums, diesel = [row["embedding"] for row in answer["data"]]
    assert math.hypot(*apples) == pytest.approx(1)
    assert alike(apples, plums) > 0.5 > alike(apples, diesel)
    packed = (await api.post("/v1/embeddings", json={**body, "encoding_format": "base64"})).json()
    raw = base64.b64decode(packed["data"][0]["embedding"])
    assert list(struct.unpack("<256f", raw)) == apples
    usual = (await api.post("/v1/embeddings", json={"model": "text-embedding-3-large", "input": "x"})).json()
    assert len(usual["data"][0]["embedding"]) == 3072


@pytest.mark.parametrize(
    "changes",
    [
        {"input": []},
        {"input": ""},
        {"input": ["a", ""]},
        {"input": ["a"] * 2049},
        {"encoding_format": "hex"},
        {"dimensions": 1537},
        {"model": "text-embedding-ada-002", "dimensions": 10},
        {"user_id": "x"},
    ],
)
async def test_it_refuses_embeddings_of_nothing(api: httpx.AsyncClient, changes: dict[str, Any]) -> None:
    body = {"model": "text-embedding-3-small", "input": "x", **changes}
    assert (await api.post("/v1/embeddings", json=body)).status_code == 400


async def test_nobody_else_may_call_and_nobody_too_often(store: Store) -> None:
    async with client_of(store, rate_per_minute=2, clock=lambda: 1000.0) as api:
        wrong = await api.get("/v1/models", headers={"authorization": "Bearer sk-wrong"})
        assert (wrong.status_code, wrong.json()["error"]["code"]) == (401, "invalid_api_key")
        fine, late = [await api.get("/v1/models") for _ in range(2)]
    assert "gpt-4.1-mini" in [model["id"] for model in fine.json()["data"]]
    assert fine.headers["x-ratelimit-remaining-requests"] == "0"
    assert (late.status_code, late.json()["error"]["code"]) == (429, "rate_limit_exceeded")
    assert (late.headers["retry-after"], late.headers["x-ratelimit-reset-requests"]) == ("60", "60s")


async def test_it_says_what_it_does_not_know(api: httpx.AsyncClient) -> None:
    assert (await api.get("/v1/models/gpt-9")).json()["error"]["code"] == "model_not_found"
    assert (await api.get("/v1/models/gpt-4.1")).json()["id"] == "gpt-4.1"
    assert (await api.get(CHAT)).status_code == 405
    assert (await api.get("/v1/elsewhere")).status_code == 404
    assert (await api.post(CHAT, content=b"{")).status_code == 400
