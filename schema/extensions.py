"""What surrounds every operation: its deadline, its errors as clients may read them, its trace and its event."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from typing import Any

from graphql import GraphQLError, OperationType
from strawberry.extensions import ParserCache, SchemaExtension
from strawberry.types.execution import StreamExecutionResult

from core import operation
from core.errors import BadUserInput
from core.operation import Operation
from core.telemetry import Totals, add_calls, caller
from resolvers.context import Context
from schema.errors import NOT_TO_BE_RUN, readable_all

log = logging.getLogger("omnistack.operation")


class OperationEvent(SchemaExtension):
    """Opens the running operation, closes it with one log line, and adds `extensions.trace` for those who may ask."""

    def __init__(self, *, query_timeout_s: float, mutation_timeout_s: float) -> None:
        self._timeouts = {OperationType.QUERY: query_timeout_s, OperationType.MUTATION: mutation_timeout_s}
        self._ms: dict[str, float] = {}
        self._upstream: Totals = {}
        self._codes: dict[str, None] = {}
        self._was_streamed = False

    def on_operation(self) -> Iterator[None]:
        context: Context = self.execution_context.context
        self._running = Operation(deadline=time.monotonic() + self._timeout_s(OperationType.QUERY))
        if context.request_id is not None:
            self._running.request_id = context.request_id
        operation.enter(self._running)
        started = time.perf_counter()
        try:
            yield
            if not self._was_streamed:
                self._tell(self.execution_context.result)
        except NOT_TO_BE_RUN:
            raise
        except Exception as exc:
            # From another extension: Strawberry makes a result of it only when this one is done.
            error = exc if isinstance(exc, GraphQLError) else GraphQLError(str(exc), original_error=exc)
            raise self._told([error])[0] from exc
        finally:
            add_calls(self._upstream, self._running.calls)
            self._log(context, round((time.perf_counter() - started) * 1000, 2))

    def on_parse(self) -> Iterator[None]:
        yield from self._timed("parse")

    def on_validate(self) -> Iterator[None]:
        yield from self._timed("validate")

    def on_execute(self) -> Iterator[None]:
        # Only now is it known whether this is a mutation, which may take longer.
        kind = self._kind()
        if kind is OperationType.MUTATION:
            self._running.deadline = time.monotonic() + self._timeout_s(kind)
        elif kind is OperationType.SUBSCRIPTION:
            if not self.execution_context.context.may_subscribe:
                refusal = BadUserInput("subscriptions are served over WebSockets, by graphql-transport-ws")
                raise GraphQLError(str(refusal), original_error=refusal)
            self._running.deadline = None
        yield from self._timed("execute")

    def on_stream_result(self, result: StreamExecutionResult) -> Iterator[None]:
        self._was_streamed = True
        self._tell(result)
        yield
        # The next event reads anew: loaders remember, and calls add up, within one.
        add_calls(self._upstream, self._running.calls)
        self._running = self._running.renewed()
        operation.enter(self._running)

    def get_results(self) -> dict[str, Any]:
        context: Context = self.execution_context.context
        if not context.is_traced:
            return {}
        running = self._running
        calls = [
            {
                "backend": call.backend.name,
                "method": call.method,
                "path": call.path,
                "status": call.status,
                "ms": call.ms,
                "batchSize": call.batch_size,
                "retries": call.retries,
            }
            for call in running.calls
        ]
        times = {f"{step}Ms": self._ms.get(step, 0.0) for step in ("parse", "validate", "execute")}
        return {"trace": {**times, "cacheHits": running.cache_hits, "upstreamCalls": calls}}

    def _timed(self, step: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self._ms[step] = round((time.perf_counter() - started) * 1000, 2)

    def _tell(self, result: Any) -> None:
        if errors := getattr(result, "errors", None):
            result.errors = self._told(list(errors))

    def _told(self, errors: list[GraphQLError]) -> list[GraphQLError]:
        told = readable_all(errors)
        self._codes |= {str((error.extensions or {}).get("code")): None for error in told}
        return told

    def _kind(self) -> OperationType:
        return OperationType(self.execution_context.operation_type.value.lower())

    def _timeout_s(self, kind: OperationType) -> float:
        context: Context = self.execution_context.context
        allowed = self._timeouts.get(kind, self._timeouts[OperationType.QUERY])
        return allowed if context.timeout_s is None else min(allowed, context.timeout_s)

    def _log(self, context: Context, ms: float) -> None:
        log.info(
            "operation",
            extra={
                "operation": self._name(),
                "viewer": caller(context.principal),
                "request_id": self._running.request_id,
                "ms": ms,
                "upstream": self._upstream,
                "errors": list(self._codes),
            },
        )

    def _name(self) -> str | None:
        """The operation's name, if the document has it: what a caller says besides may be anything."""
        document, name = self.execution_context.graphql_document, self.execution_context.operation_name
        names = [getattr(node, "name", None) for node in document.definitions] if document else []
        return name if any(node is not None and node.value == name for node in names) else None


class ParsedDocuments(ParserCache):
    """Strawberry's cache of parsed documents, which itself lets a syntax error escape every extension, and on a socket
    escape Strawberry altogether."""

    def on_parse(self) -> Iterator[None]:
        try:
            parsed = self.cached_parse_document(self.execution_context.query, **self.execution_context.parse_options)
        except GraphQLError:
            parsed = None  # Strawberry parses it once more and reports what it finds
        self.execution_context.graphql_document = parsed
        yield
