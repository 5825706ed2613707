"""Language models: chat, whole and token by token, and embeddings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

import strawberry

from datasources.openai import ChatMessage
from resolvers import ai
from resolvers.ai import ChatWanted
from schema.directives import requires
from schema.info import Info
from schema.inputs import given


@strawberry.type(description="What the model said.")
class ChatReply:
    model: str = strawberry.field(description="The one that answered, with its version.")
    content: str
    finish_reason: str | None = strawberry.field(
        description="Why it ended: `stop`, `length` at `maxTokens`, or `content_filter`."
    )
    prompt_tokens: int | None = strawberry.field(description="What the question came to.")
    completion_tokens: int | None = strawberry.field(description="What the reply came to.")


@strawberry.type(description="The next piece of a reply.")
class ChatDelta:
    content: str = strawberry.field(description="To be added to what came before; the last one may be empty.")
    finish_reason: str | None = strawberry.field(description="Only in the last one: why it ended.")


@strawberry.type(description="A text as a point in the model's space: the closer two are, the more alike the texts.")
class Embedding:
    index: int = strawberry.field(description="The place of its text in the input, from 0.")
    vector: list[float]


@strawberry.input(description="Something that was said.")
class ChatMessageInput:
    role: str = strawberry.field(description="`system`, `developer`, `user` or `assistant`.")
    content: str


@strawberry.input(description="A conversation to go on with.")
class ChatInput:
    model: str | None = strawberry.field(
        default=strawberry.UNSET, description="One of those that this gateway offers; the usual one unless given."
    )
    messages: list[ChatMessageInput] = strawberry.field(description="Oldest first, 1 to 100.")
    temperature: float | None = strawberry.field(
        default=strawberry.UNSET, description="From 0, always the likeliest word, to 2. Models that reason take none."
    )
    max_tokens: int | None = strawberry.field(
        default=strawberry.UNSET, description="Where the reply is cut off, at most 16384."
    )

    def wanted(self) -> ChatWanted:
        return ChatWanted(
            messages=[ChatMessage(message.role, message.content) for message in self.messages],
            model=given(self.model),
            temperature=given(self.temperature),
            max_tokens=given(self.max_tokens),
        )


@strawberry.input(description="Texts to be embedded.")
class EmbeddingsInput:
    model: str | None = strawberry.field(
        default=strawberry.UNSET, description="One of those that this gateway offers; the usual one unless given."
    )
    input: list[str] = strawberry.field(description="1 to 100 texts.")


@strawberry.type
class AiMutation:
    @strawberry.mutation(
        description="The whole reply at once; `chatStream` has it as it is made.", directives=[requires("ai:use")]
    )
    async def chat(self, info: Info, input: ChatInput) -> ChatReply | None:
        return await ai.chat(info.context, input.wanted())

    @strawberry.mutation(description="One embedding for each text, in their order.", directives=[requires("ai:use")])
    async def embeddings(self, info: Info, input: EmbeddingsInput) -> list[Embedding] | None:
        return await ai.embeddings(info.context, model=given(input.model), texts=input.input)


@strawberry.type
class AiSubscription:
    @strawberry.subscription(description="The reply token by token.", directives=[requires("ai:use")])
    async def chat_stream(self, info: Info, input: ChatInput) -> AsyncIterator[ChatDelta]:
        async with aclosing(ai.chat_stream(info.context, input.wanted())) as pieces:
            async for piece in pieces:
                yield piece  # type: ignore[misc]
