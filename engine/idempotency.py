"""Mutations that carry their caller's key are executed once: the first answer is kept, and given again.

All of it stands around execution, in the last extension that opens there. It is the one place that HTTP and WebSockets
share, where the document is valid, the deadline runs and it is settled which fields the caller may have, but nothing
has happened yet; and behind it the answer is whole, with its errors still telling what caused them. What a transport
makes of it (status, headers, the kind of message) is the transport's.

The key is claimed, with a digest of what is asked and of what the caller may have of it, before the first resolver
runs. What the claim becomes depends on what may have happened by the end:

- nothing, because no field was let in: it is forgotten;
- something unknown, because every field failed in a way that is worth repeating: it is released, and the next try
  finds the effective keys and the notes of this one, by which resolvers look for what it has left behind;
- anything else: the answer is kept. One that holds a secret, or is too large, is not, and repeating it is refused.

A claim whose try was cut off stays until its lease ends, because calls that were under way may still take effect. No
call outlives the deadline, so that no try outlives its lease.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any, Protocol
from uuid import uuid4

import orjson
import strawberry
from graphql import (
    ExecutionResult,
    GraphQLError,
    GraphQLField,
    GraphQLObjectType,
    OperationType,
    get_named_type,
    is_object_type,
    print_ast,
)
from starlette.datastructures import UploadFile
from strawberry.extensions import SchemaExtension
from strawberry.types.field import StrawberryField

from core import operation
from core.errors import BadUserInput, Conflict, Forbidden, GatewayError, IdempotencyConflict, StillRunning
from core.idempotency import ClaimState, KeyedRequest, checked_key
from engine.answers import decode, encode

log = logging.getLogger("omnistack.idempotency")

SECRET = "secret"  # noqa: S105 - the name of an entry in a field's metadata
"""Marks a field whose value is told once. Its value is the attribute beside it whose secret it is; None: its parent."""
MARGIN_S = 20.0
"""What a lease is longer than the deadline."""
SETTLING_S = 5.0
"""For the last word about a claim, whatever is left of the deadline."""
LARGEST_ANSWER = 1_000_000
"""Bytes, of those that are kept."""
RETRY_AFTER_S = 1.0

Errors = list[GraphQLError]


class Claimed(Protocol):
    """What became of a request."""

    @property
    def digest(self) -> str: ...
    @property
    def state(self) -> ClaimState: ...
    @property
    def attempt(self) -> str: ...
    @property
    def notes(self) -> dict[str, str]: ...
    @property
    def answer(self) -> str | None: ...
    @property
    def secrets_of(self) -> str | None: ...


class Claims(Protocol):
    """Where claims are kept; `key` is the request's effective key, `attempt` who speaks."""

    async def claim_request(self, key: str, digest: str, attempt: str, *, lease_s: float) -> Claimed: ...
    async def keep_answer(self, key: str, attempt: str, answer: str) -> None: ...
    async def withhold_answer(self, key: str, attempt: str, secrets_of: str | None) -> None: ...
    async def release_request(self, key: str, attempt: str) -> None: ...
    async def forget_request(self, key: str, attempt: str) -> None: ...


End = Callable[[Claims, KeyedRequest, ExecutionResult], Awaitable[None]]
"""What becomes of a claim, by the answer as the client reads it."""


def honour_idempotency_keys(
    schema: strawberry.Schema, *, claims: Callable[[Any], Claims], readable: Callable[[Errors], Errors]
) -> None:
    """Let the schema's mutations be executed once for each key. Behind everything else that surrounds execution.

    `claims` are an execution's, by its context; `readable` makes errors what the client reads.
    """
    graphql_schema = schema._schema  # noqa: SLF001 - the graphql-core schema has no public name
    if graphql_schema.mutation_type is not None:
        for field in graphql_schema.mutation_type.fields.values():
            _follow(field)
    for parent in graphql_schema.type_map.values():
        if is_object_type(parent):
            for field in parent.fields.values():
                _watch_secret(parent, field)
    settling: set[asyncio.Task[None]] = set()
    schema.extensions = (*schema.extensions, lambda: Idempotency(claims, readable, settling))


class Idempotency(SchemaExtension):
    """`settling` holds the last words that are on their way; a caller who leaves does not cut them off."""

    def __init__(
        self,
        claims: Callable[[Any], Claims],
        readable: Callable[[Errors], Errors],
        settling: set[asyncio.Task[None]],
    ) -> None:
        self._claims = claims
        self._readable = readable
        self._settling = settling
        self._is_replayed = False

    async def on_execute(self) -> AsyncIterator[None]:
        key = self._caller_key()
        if key is None:
            yield
            return
        asked, running = self.execution_context, operation.current()
        claims = self._claims(asked.context)
        keyed = KeyedRequest(asked.context.principal.id, asked.operation_name or "", key, uuid4().hex)
        remaining_s = running.remaining_s()
        assert remaining_s is not None  # noqa: S101 - every mutation has a deadline
        digest = await asyncio.to_thread(self._digest, running.permitted)  # an upload takes a moment to be read
        found = await claims.claim_request(keyed.key, digest, keyed.attempt, lease_s=remaining_s + MARGIN_S)
        if found.attempt != keyed.attempt:
            asked.result = _answer_of(found, digest)
            self._is_replayed = True
            yield
            return
        keyed.notes = dict(found.notes)
        running.keyed = keyed
        yield
        result = asked.result
        assert isinstance(result, ExecutionResult)  # noqa: S101 - what execution has just made
        end = _end(keyed, result)
        if result.errors:
            result.errors = self._readable(result.errors)
        await self._say(end(claims, keyed, result))

    def get_results(self) -> dict[str, Any]:
        return {"idempotency": {"replayed": True}} if self._is_replayed else {}

    def _caller_key(self) -> str | None:
        """None for what is no mutation. Raises BadUserInput for what is no key, and for two that differ."""
        asked = self.execution_context
        if asked.operation_type.value.lower() != OperationType.MUTATION.value:
            return None
        by_header, by_body = asked.context.caller_key, (asked.operation_extensions or {}).get("idempotencyKey")
        if by_body is not None:
            checked_key(by_body, "extensions.idempotencyKey")
        if by_header is not None:
            checked_key(by_header, "Idempotency-Key")
        if by_header is not None and by_body is not None and by_header != by_body:
            raise BadUserInput("`Idempotency-Key` and `extensions.idempotencyKey` are not the same key")
        return by_header if by_header is not None else by_body

    def _digest(self, permitted: frozenset[str]) -> str:
        """Of what is asked, and of what the caller may have: who may have less than before is not shown what they
        could have then."""
        asked = self.execution_context
        assert asked.graphql_document is not None  # noqa: S101 - it was parsed before
        document = asked.query or print_ast(asked.graphql_document)
        role = asked.context.principal.role  # which a token may lessen, and with it the rows that are the user's
        told = [document, asked.operation_name, asked.variables or {}, sorted(permitted), role]
        return hashlib.sha256(orjson.dumps(told, default=_told_of_file, option=orjson.OPT_SORT_KEYS)).hexdigest()

    async def _say(self, last_word: Awaitable[None]) -> None:
        """Say what became of the claim. The answer stands even when that cannot be said."""
        running = replace(operation.current(), deadline=time.monotonic() + SETTLING_S)

        async def say() -> None:
            operation.enter(running)
            try:
                await last_word
            except GatewayError as exc:
                log.warning("a claim was left to its lease: %s", exc, extra={"request_id": running.request_id})

        task = asyncio.create_task(say())
        self._settling.add(task)
        task.add_done_callback(self._settling.discard)
        await asyncio.shield(task)


def _told_of_file(value: object) -> list[str | None]:
    """What tells an uploaded file from others: its content, too."""
    if not isinstance(value, UploadFile):
        raise TypeError
    content = hashlib.file_digest(value.file, "sha256").hexdigest()  # type: ignore[arg-type]
    value.file.seek(0)
    return [value.filename, value.content_type, content]


def _answer_of(found: Claimed, digest: str) -> ExecutionResult:
    """The kept answer of a request like this one.

    Raises IdempotencyConflict for another request, StillRunning, and Conflict where the answer was not kept.
    """
    if found.digest != digest:
        raise IdempotencyConflict("this idempotency key came with another request before")
    if found.state is ClaimState.WITHHELD and found.secrets_of is not None:
        raise Conflict(f"this was done before; its answer held a secret, told once, of {found.secrets_of}")
    if found.state is ClaimState.WITHHELD:
        raise Conflict("this was done before; its answer was too large to be kept")
    if found.answer is None:
        raise StillRunning("the first request with this idempotency key has not ended", retry_after_s=RETRY_AFTER_S)
    return decode(found.answer)


def _end(keyed: KeyedRequest, result: ExecutionResult) -> End:
    """What becomes of the claim, going by what caused the errors."""
    if not keyed.path:
        return _forget
    errors = [error for error in result.errors or () if error.path is not None and len(error.path) == 1]
    if result.data is None or not result.data.keys() <= {error.path[0] for error in errors if error.path}:
        return _keep
    causes = [error.original_error for error in errors]
    if all(isinstance(cause, Forbidden) for cause in causes):
        return _release if keyed.notes else _forget
    return _release if all(_is_worth_repeating(cause) for cause in causes) else _keep


def _is_worth_repeating(cause: BaseException | None) -> bool:
    return isinstance(cause, Forbidden) or (isinstance(cause, GatewayError) and cause.retryable)


async def _forget(claims: Claims, keyed: KeyedRequest, answer: ExecutionResult) -> None:
    await claims.forget_request(keyed.key, keyed.attempt)


async def _release(claims: Claims, keyed: KeyedRequest, answer: ExecutionResult) -> None:
    await claims.release_request(keyed.key, keyed.attempt)


async def _keep(claims: Claims, keyed: KeyedRequest, answer: ExecutionResult) -> None:
    if keyed.secrets_of:
        await claims.withhold_answer(keyed.key, keyed.attempt, ", ".join(keyed.secrets_of))
        return
    try:
        text = encode(answer)
    except TypeError:
        text = None  # no JSON: the transport cannot send it either
    if text is None or len(text.encode()) > LARGEST_ANSWER:
        await claims.withhold_answer(keyed.key, keyed.attempt, None)
    else:
        await claims.keep_answer(keyed.key, keyed.attempt, text)


def _follow(field: GraphQLField) -> None:
    """Let the running request know which root field runs."""
    resolve = field.resolve
    assert resolve is not None  # noqa: S101 - Strawberry gives every field its resolver

    def followed(root: Any, info: Any, **arguments: Any) -> Any:
        if keyed := operation.current().keyed:
            keyed.path = info.path.key
        return resolve(root, info, **arguments)

    field.resolve = followed


def _watch_secret(parent: GraphQLObjectType, field: GraphQLField) -> None:
    """Let the running request know when a secret goes into its answer."""
    definition = field.extensions.get("strawberry-definition")
    if not isinstance(definition, StrawberryField) or SECRET not in definition.metadata:
        return
    attribute = definition.metadata[SECRET]
    kind = parent.name if attribute is None else _type_of_attribute(parent, attribute)
    resolve = field.resolve
    assert resolve is not None  # noqa: S101 - Strawberry gives every field its resolver

    def watched(root: Any, info: Any, **arguments: Any) -> Any:
        if keyed := operation.current().keyed:
            record = root if attribute is None else getattr(root, attribute)
            keyed.secrets_of[f"{kind} {record.id}"] = None
        return resolve(root, info, **arguments)

    field.resolve = watched


def _type_of_attribute(parent: GraphQLObjectType, attribute: str) -> str:
    """Raises LookupError for a name that no field has."""
    for field in parent.fields.values():
        definition = field.extensions.get("strawberry-definition")
        if isinstance(definition, StrawberryField) and definition.python_name == attribute:
            named: str = get_named_type(field.type).name
            return named
    raise LookupError(f"{parent.name} has no attribute {attribute} whose secret it could be")
