"""What may be asked of a language model: which models, how much, and by whom."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass

from core import operation
from core.errors import BadUserInput
from core.telemetry import caller
from datasources.openai import (
    ChatMessage,
    ChatPieceRecord,
    ChatReplyRecord,
    ChatRequest,
    EmbeddingRecord,
    UsageRecord,
)
from resolvers.bounds import check_long_text
from resolvers.context import Context

log = logging.getLogger("omnistack.ai")

ROLES = ("system", "developer", "user", "assistant")
"""Tools are not offered, so that nobody speaks for one."""
MOST_MESSAGES, LONGEST_MESSAGE, LONGEST_CHAT = 100, 32_000, 200_000
"""The lengths are in characters."""
MOST_TOKENS = 16_384
HOTTEST = 2.0
MOST_TEXTS, LONGEST_TEXT, LONGEST_TEXTS = 100, 32_000, 200_000


@dataclass(frozen=True, slots=True)
class ChatWanted:
    """As it was asked for. None: the usual."""

    messages: Sequence[ChatMessage]
    model: str | None = None
    temperature: float | None = None
    max_tokens: int | None = None


async def chat(ctx: Context, wanted: ChatWanted) -> ChatReplyRecord:
    """The whole reply. Raises BadUserInput for what may not be asked."""
    reply = await ctx.sources.openai.chat(_checked(ctx, wanted))
    if reply.prompt_tokens is not None:
        _meter(ctx, reply.model, UsageRecord(reply.prompt_tokens, reply.completion_tokens or 0))
    return reply


async def chat_stream(ctx: Context, wanted: ChatWanted) -> AsyncGenerator[ChatPieceRecord, None]:
    """The reply as it is made, no faster than it is taken. Raises as `chat`."""
    asked = _checked(ctx, wanted)
    async with aclosing(ctx.sources.openai.chat_stream(asked)) as pieces:
        async for piece in pieces:
            if piece.usage is not None:
                _meter(ctx, asked.model, piece.usage)
            if piece.content or piece.finish_reason:
                yield piece


async def embeddings(ctx: Context, *, model: str | None, texts: Sequence[str]) -> list[EmbeddingRecord]:
    """One for each text, in their order. Raises BadUserInput for what may not be asked."""
    chosen = _model(model, ctx.sources.openai.embedding_models)
    if not 1 <= len(texts) <= MOST_TEXTS:
        raise BadUserInput(f"`input` holds 1 to {MOST_TEXTS} texts")
    for text in texts:
        _check_text("input", text, LONGEST_TEXT)
    if sum(map(len, texts)) > LONGEST_TEXTS:
        raise BadUserInput(f"`input` has at most {LONGEST_TEXTS} characters in all")
    return await ctx.sources.openai.embeddings(chosen, texts)


def _checked(ctx: Context, wanted: ChatWanted) -> ChatRequest:
    model = _model(wanted.model, ctx.sources.openai.chat_models)
    if not 1 <= len(wanted.messages) <= MOST_MESSAGES:
        raise BadUserInput(f"`messages` holds 1 to {MOST_MESSAGES} messages")
    for message in wanted.messages:
        if message.role not in ROLES:
            raise BadUserInput(f"`role` is one of {', '.join(ROLES)}")
        _check_text("content", message.content, LONGEST_MESSAGE)
    if sum(len(message.content) for message in wanted.messages) > LONGEST_CHAT:
        raise BadUserInput(f"`messages` has at most {LONGEST_CHAT} characters in all")
    if wanted.temperature is not None and not 0 <= wanted.temperature <= HOTTEST:
        raise BadUserInput(f"`temperature` is from 0 to {HOTTEST:g}")
    if wanted.max_tokens is not None and not 1 <= wanted.max_tokens <= MOST_TOKENS:
        raise BadUserInput(f"`maxTokens` is from 1 to {MOST_TOKENS}")
    return ChatRequest(
        model=model,
        messages=wanted.messages,
        temperature=wanted.temperature,
        max_tokens=wanted.max_tokens,
        end_user=hashlib.sha256(ctx.principal.id.encode()).hexdigest(),
    )


def _model(wanted: str | None, known: Sequence[str]) -> str:
    if wanted is None:
        return known[0]
    if wanted not in known:
        raise BadUserInput(f"`model` is one of {', '.join(known)}")
    return wanted


def _check_text(field: str, text: str, longest: int) -> None:
    if not text.strip():
        raise BadUserInput(f"`{field}` is empty")
    check_long_text(field, text, longest)


def _meter(ctx: Context, model: str, usage: UsageRecord) -> None:
    """What it came to, for whoever pays."""
    used = {"prompt_tokens": usage.prompt_tokens, "completion_tokens": usage.completion_tokens}
    who = {"viewer": caller(ctx.principal), "request_id": operation.current().request_id}
    log.info("tokens", extra={**who, "model": model, **used})
