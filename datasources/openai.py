"""AI: OpenAI's REST API, version 1, which many other servers speak too. Chat, whole or token by token; embeddings.

There is no idempotency, and need for none: what is asked twice is paid twice and changes nothing, so that all of this
is reading. A stream that has begun is not begun again.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
import struct
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, ClassVar, NoReturn, Self

import httpx
import msgspec

from core.backends import BackendName
from core.errors import BackendBadResponse, BackendRateLimited, BackendRejected
from core.settings import OpenaiSettings
from datasources._http import Answer, Limits, NotRepeated, open_client, plain
from datasources._sse import EventTooLong, event_data
from datasources._streams import Patience, StreamingBackend

IN_FLIGHT = 256
"""Streams are calls in flight, and last."""
MAX_BODY_BYTES = 8 * 1024 * 1024
PING_S = 5.0
_OF_THE_ACCOUNT = re.compile(r"\b(?:sk|org|proj)[-_][\w*-]+")
_THEIR_FAULT = frozenset({"server_error", "slow_down", "server_is_overloaded", "overloaded_error"})
_OUT_OF_MONEY = "insufficient_quota"


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """`role` is system, developer, user or assistant."""

    role: str
    content: str


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """`max_tokens` None: as many as the model has; `temperature` None: the model's own. `end_user` tells the provider
    whose requests belong together, and nothing else: at most 64 characters."""

    model: str
    messages: Sequence[ChatMessage]
    temperature: float | None = None
    max_tokens: int | None = None
    end_user: str | None = None


class UsageRecord(msgspec.Struct, frozen=True):
    """In tokens."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


class ChatReplyRecord(msgspec.Struct, frozen=True):
    """`finish_reason`: stop, length, content_filter, …; the counts are None where the server counts nothing."""

    model: str
    content: str
    finish_reason: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class ChatPieceRecord(msgspec.Struct, frozen=True):
    """Of a streamed reply: some more text, why it ended, or at last what it came to."""

    content: str
    finish_reason: str | None = None
    usage: UsageRecord | None = None


class EmbeddingRecord(msgspec.Struct, frozen=True):
    """`index` is the place of its text in the input."""

    index: int
    vector: list[float]


class _Error(msgspec.Struct, frozen=True):
    message: str = ""
    type: str | None = None
    code: str | int | None = None


class _ErrorBody(msgspec.Struct, frozen=True):
    error: _Error


class _Text(msgspec.Struct, frozen=True):
    """A message, or a piece of one."""

    content: str | None = None
    refusal: str | None = None

    @property
    def said(self) -> str:
        return self.content or self.refusal or ""


class _Choice(msgspec.Struct, frozen=True):
    message: _Text
    finish_reason: str | None = None


class _Completion(msgspec.Struct, frozen=True):
    model: str
    choices: list[_Choice]
    usage: UsageRecord | None = None


class _PieceOfChoice(msgspec.Struct, frozen=True):
    delta: _Text = _Text()
    finish_reason: str | None = None


class _Chunk(msgspec.Struct, frozen=True):
    choices: list[_PieceOfChoice] = []
    usage: UsageRecord | None = None
    error: _Error | None = None


class _Vector(msgspec.Struct, frozen=True):
    index: int
    embedding: str | list[float]


class _Vectors(msgspec.Struct, frozen=True):
    data: list[_Vector]


class _Models(msgspec.Struct, frozen=True):
    data: list[Any]


class Openai(StreamingBackend):
    """`chat_models` and `embedding_models` are those that may be asked for, the usual one first."""

    name: ClassVar[BackendName] = BackendName.OPENAI
    patience: Patience = Patience()

    def __init__(self, client: httpx.AsyncClient, settings: OpenaiSettings, limits: Limits | None = None) -> None:
        usual = Limits(timeout_s=settings.timeout_s, in_flight=IN_FLIGHT, max_body_bytes=MAX_BODY_BYTES)
        super().__init__(client, limits or usual)
        self.chat_models = tuple(dict.fromkeys((settings.model, *settings.models)))
        self.embedding_models = tuple(dict.fromkeys((settings.embedding_model, *settings.models)))

    @classmethod
    def open(cls, settings: OpenaiSettings) -> Self:
        """Raises ValueError without an API key."""
        if settings.api_key is None:
            raise ValueError("OPENAI_API_KEY is needed")
        headers = {"Authorization": f"Bearer {settings.api_key.get_secret_value()}"}
        return cls(open_client(str(settings.base_url), headers, max_connections=IN_FLIGHT), settings)

    async def ping(self) -> None:
        """`GET /models`"""
        await self.read("GET", "/models", _Models, timeout_s=PING_S)

    async def chat(self, asked: ChatRequest) -> ChatReplyRecord:
        """The whole reply. A model that refuses says so in the reply itself. `POST /chat/completions`"""
        answer = await self._asked("/chat/completions", _body(asked))
        completion = self._decode(_Completion, answer)
        if not completion.choices:
            raise BackendBadResponse(self.name, "openai answered without a reply")
        choice, usage = completion.choices[0], completion.usage
        return ChatReplyRecord(
            model=completion.model,
            content=choice.message.said,
            finish_reason=choice.finish_reason,
            prompt_tokens=usage.prompt_tokens if usage else None,
            completion_tokens=usage.completion_tokens if usage else None,
        )

    async def chat_stream(self, asked: ChatRequest) -> AsyncGenerator[ChatPieceRecord, None]:
        """The reply as it is made. Whoever stops listening closes it, which ends the generation.
        `POST /chat/completions` with `stream`

        Raises BackendError, in the middle of it too: BackendBadResponse for a reply that breaks off.
        """
        body = {**_body(asked), "stream": True, "stream_options": {"include_usage": True}}
        has_ended = False
        async with (
            self.stream("POST", "/chat/completions", json=body, patience=self.patience) as pieces,
            aclosing(event_data(pieces)) as events,
        ):
            try:
                async for event in events:
                    if event == b"[DONE]":
                        return
                    piece = self._piece(event)
                    has_ended = has_ended or piece.finish_reason is not None
                    if piece.content or piece.finish_reason or piece.usage:
                        yield piece
            except EventTooLong as exc:
                raise BackendBadResponse(self.name, f"openai answered something unexpected: {exc}") from exc
        if not has_ended:
            raise BackendBadResponse(self.name, "openai's reply broke off")

    async def embeddings(self, model: str, texts: Sequence[str]) -> list[EmbeddingRecord]:
        """One for each text, in their order. `POST /embeddings`"""
        # A quarter of the bytes that decimal fractions take. Servers that do not know it answer those.
        body = {"model": model, "input": list(texts), "encoding_format": "base64"}
        answer = await self._asked("/embeddings", body, batch_size=len(texts))
        found = sorted(self._decode(_Vectors, answer).data, key=lambda row: row.index)
        if [row.index for row in found] != list(range(len(texts))):
            raise BackendBadResponse(self.name, f"openai answered {len(found)} embeddings for {len(texts)} texts")
        return [EmbeddingRecord(row.index, self._vector(row.embedding)) for row in found]

    async def _asked(self, path: str, body: dict[str, Any], *, batch_size: int | None = None) -> Answer:
        answer = await self._call("POST", path, may_repeat=True, json=body, batch_size=batch_size)
        # Servers in front of others pass on a failure of theirs under a status of their own.
        if error := _error_in(answer.body):
            self._raise(error, answer.status)
        return answer

    def _piece(self, event: bytes) -> ChatPieceRecord:
        chunk = self._decode(_Chunk, Answer(200, {}, event))
        if chunk.error is not None:
            self._raise(chunk.error, 200)
        if not chunk.choices:
            return ChatPieceRecord("", usage=chunk.usage)
        choice = chunk.choices[0]
        return ChatPieceRecord(choice.delta.said, choice.finish_reason, chunk.usage)

    def _vector(self, embedding: str | list[float]) -> list[float]:
        """From base64 of little-endian float32, or as it is."""
        if isinstance(embedding, str):
            try:
                raw = base64.b64decode(embedding, validate=True)
                embedding = list(struct.unpack(f"<{len(raw) // 4}f", raw))
            except (binascii.Error, struct.error, ValueError) as exc:
                raise BackendBadResponse(self.name, "openai answered an embedding that is none") from exc
        if not embedding or not all(map(math.isfinite, embedding)):
            raise BackendBadResponse(self.name, "openai answered an embedding that is none")
        return embedding

    # -- refusals ------------------------------------------------------------------------------------------------------

    def refusal(self, answer: Answer) -> tuple[str, str | None]:
        if answer.status in (401, 403):
            # It would tell part of the key.
            return "openai does not accept the gateway's credentials", None
        error = _error_in(answer.body)
        if error is None:
            return super().refusal(answer)
        return _OF_THE_ACCOUNT.sub("…", error.message), _word(error)

    def _raise_for_status(self, answer: Answer, absent_is_fine: bool) -> None:
        if answer.status == 429 and (error := _error_in(answer.body)) and _word(error) == _OUT_OF_MONEY:
            self._raise(error, answer.status)
        super()._raise_for_status(answer, absent_is_fine)

    def _raise(self, error: _Error, status: int) -> NoReturn:
        """What an error means that came under a status which does not tell."""
        word = _word(error)
        if word == _OUT_OF_MONEY:
            # No waiting helps.
            raise BackendRejected(self.name, "openai's quota is used up", status=status, reason=word)
        if word == "rate_limit_exceeded":
            raise BackendRateLimited(self.name, "openai's rate limit is reached")
        if word in _THEIR_FAULT or error.type in _THEIR_FAULT:
            raise NotRepeated(self.name, "openai failed")
        told = plain(_OF_THE_ACCOUNT.sub("…", error.message)) or "openai refused"
        raise BackendRejected(self.name, told, status=status, reason=word)


def _body(asked: ChatRequest) -> dict[str, Any]:
    """`max_completion_tokens`, for models that reason refuse the older `max_tokens`; nor do they take a temperature,
    so that it is sent by those alone who ask for one."""
    told = {
        "model": asked.model,
        "messages": [{"role": message.role, "content": message.content} for message in asked.messages],
        "temperature": asked.temperature,
        "max_completion_tokens": asked.max_tokens,
        "safety_identifier": asked.end_user,
    }
    return {name: value for name, value in told.items() if value is not None}


def _error_in(body: bytes) -> _Error | None:
    try:
        return msgspec.json.decode(body, type=_ErrorBody).error
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _word(error: _Error) -> str | None:
    word = error.code or error.type
    return None if word is None else str(word)
