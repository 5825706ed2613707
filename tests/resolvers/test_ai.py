"""What may be asked of a language model, and what is written down about it."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest

from core import operation
from core.errors import BadUserInput
from core.operation import Operation
from core.principals import Principal
from core.settings import OpenaiSettings
from datasources.openai import ChatMessage, Openai
from resolvers import ai
from resolvers.ai import LONGEST_CHAT, LONGEST_MESSAGE, LONGEST_TEXT, MOST_TOKENS, ChatWanted
from resolvers.context import Context
from sandbox import keys
from sandbox import openai as simulator
from sandbox.faults import FaultLine
from sandbox.store import Store
from tests.callers import person, user

ANN, BEN = user(person("CUSTOMER")), user(person("CUSTOMER", n=1))
QUESTION = ChatMessage("user", "Where is order 1001?")


async def no_pause() -> None:
    """Tokens follow each other at once."""


class Desk:
    """The simulator behind its datasource; `asked` are the bodies that reached it."""

    def __init__(self) -> None:
        self.store = Store(None)
        self.line = FaultLine(simulator.create_app(self.store, simulator.Options(pace=no_pause)))
        self.asked: list[dict[str, Any]] = []
        transport = httpx.ASGITransport(self.line)
        self.client = httpx.AsyncClient(
            base_url="http://ai/v1",
            headers={"authorization": f"Bearer {keys.OPENAI_API_KEY}"},
            transport=transport,
            event_hooks={"request": [self._note]},
        )
        self.openai = Openai(self.client, OpenaiSettings(models=("gpt-5-mini", "text-embedding-3-large")))

    async def _note(self, request: httpx.Request) -> None:
        self.asked.append(json.loads(request.content))

    def context(self, principal: Principal = ANN) -> Context:
        operation.enter(Operation())
        return Context(cast("Any", SimpleNamespace(openai=self.openai)), principal)

    async def streamed(self, wanted: ChatWanted) -> list[Any]:
        return [piece async for piece in ai.chat_stream(self.context(), wanted)]


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    desk = Desk()
    yield desk
    await desk.client.aclose()


async def test_a_question_is_answered_by_the_usual_model_unless_another_is_named(desk: Desk) -> None:
    reply = await ai.chat(desk.context(), ChatWanted([QUESTION]))
    assert reply.model == "gpt-4.1-mini"
    assert QUESTION.content in reply.content
    assert (await ai.chat(desk.context(), ChatWanted([QUESTION], model="gpt-5-mini"))).model == "gpt-5-mini"


async def test_what_was_asked_for_is_asked(desk: Desk) -> None:
    conversation = [ChatMessage(role, role) for role in ("system", "developer", "user", "assistant", "user")]
    await ai.chat(desk.context(), ChatWanted(conversation, temperature=2, max_tokens=MOST_TOKENS))
    [asked] = desk.asked
    assert asked["messages"] == [{"role": message.role, "content": message.content} for message in conversation]
    assert (asked["temperature"], asked["max_completion_tokens"]) == (2, MOST_TOKENS)


async def test_the_provider_can_tell_callers_apart_and_learns_nothing_else(desk: Desk) -> None:
    for principal in (ANN, BEN, ANN):
        await ai.chat(desk.context(principal), ChatWanted([QUESTION]))
    first, second, third = [asked["safety_identifier"] for asked in desk.asked]
    assert first == third != second
    assert len(first) == 64
    assert ANN.user_id is not None
    assert ANN.user_id not in json.dumps(desk.asked)


async def test_a_stream_says_the_same_and_tells_callers_nothing_of_its_price(desk: Desk) -> None:
    whole = await ai.chat(desk.context(), ChatWanted([QUESTION]))
    pieces = await desk.streamed(ChatWanted([QUESTION]))
    assert "".join(piece.content for piece in pieces) == whole.content
    assert [piece.finish_reason for piece in pieces] == [None] * (len(pieces) - 1) + ["stop"]
    assert all(piece.usage is None for piece in pieces)


@pytest.mark.parametrize("is_streamed", [False, True])
async def test_what_it_came_to_is_written_down_and_what_was_said_is_not(
    desk: Desk, is_streamed: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "omnistack.ai"):
        if is_streamed:
            await desk.streamed(ChatWanted([QUESTION]))
        else:
            await ai.chat(desk.context(), ChatWanted([QUESTION]))
    [record] = caplog.records
    told = vars(record)
    usage = desk.store.rows("completion")[0]["usage"]
    assert (told["prompt_tokens"], told["completion_tokens"]) == (usage["prompt_tokens"], usage["completion_tokens"])
    assert (told["viewer"], told["model"]) == (f"user:{ANN.user_id}", "gpt-4.1-mini")
    assert "1001" not in repr(told)


@pytest.mark.parametrize(
    "wanted",
    [
        ChatWanted([]),
        ChatWanted([QUESTION] * 101),
        ChatWanted([ChatMessage("tool", "x")]),
        ChatWanted([ChatMessage("function", "x")]),
        ChatWanted([ChatMessage("User", "x")]),
        ChatWanted([ChatMessage("user", " ")]),
        ChatWanted([ChatMessage("user", "x" * (LONGEST_MESSAGE + 1))]),
        ChatWanted([ChatMessage("user", "x" * LONGEST_MESSAGE)] * (LONGEST_CHAT // LONGEST_MESSAGE + 1)),
        ChatWanted([ChatMessage("user", "a\0b")]),
        ChatWanted([ChatMessage("user", "\ud800")]),
        ChatWanted([QUESTION], model="gpt-4.1"),
        ChatWanted([QUESTION], model=""),
        ChatWanted([QUESTION], model="text-embedding-3-small"),
        ChatWanted([QUESTION], temperature=-0.1),
        ChatWanted([QUESTION], temperature=2.1),
        ChatWanted([QUESTION], temperature=float("nan")),
        ChatWanted([QUESTION], max_tokens=0),
        ChatWanted([QUESTION], max_tokens=MOST_TOKENS + 1),
    ],
    ids=lambda wanted: repr(wanted)[:60],
)
async def test_what_may_not_be_asked_reaches_nobody(desk: Desk, wanted: ChatWanted) -> None:
    with pytest.raises(BadUserInput):
        await ai.chat(desk.context(), wanted)
    with pytest.raises(BadUserInput):
        await desk.streamed(wanted)
    assert not desk.line.calls


async def test_a_model_that_is_not_offered_is_refused_with_those_that_are(desk: Desk) -> None:
    with pytest.raises(BadUserInput, match=r"`model` is one of gpt-4\.1-mini, gpt-5-mini"):
        await ai.chat(desk.context(), ChatWanted([QUESTION], model="gpt-4.1"))


async def test_all_texts_are_embedded_by_one_call(desk: Desk) -> None:
    texts = [f"text {n}" for n in range(50)]
    found = await ai.embeddings(desk.context(), model=None, texts=texts)
    assert [row.index for row in found] == list(range(50))
    assert {len(row.vector) for row in found} == {1536}
    assert len(desk.line.calls) == 1
    [call] = operation.current().calls
    assert call.batch_size == 50
    [large] = await ai.embeddings(desk.context(), model="text-embedding-3-large", texts=["x"])
    assert len(large.vector) == 3072


@pytest.mark.parametrize(
    ("model", "texts"),
    [
        (None, []),
        (None, ["x"] * 101),
        (None, ["x", ""]),
        (None, ["x" * (LONGEST_TEXT + 1)]),
        (None, ["x" * LONGEST_TEXT] * 7),
        ("gpt-4.1-mini", ["x"]),
    ],
    ids=["none", "too many", "empty", "too long", "too long in all", "no such model"],
)
async def test_what_may_not_be_embedded_reaches_nobody(desk: Desk, model: str | None, texts: list[str]) -> None:
    with pytest.raises(BadUserInput):
        await ai.embeddings(desk.context(), model=model, texts=texts)
    assert not desk.line.calls
