"""Answers as clients read them, kept as text and given again."""

from __future__ import annotations

from typing import Any

import orjson
from graphql import ExecutionResult, GraphQLError, SourceLocation


class ToldError(GraphQLError):
    """An error whose message and extensions are what the client reads: nothing about it is still to be masked."""


def encode(answer: ExecutionResult) -> str:
    """Its data and errors, as JSON. Raises TypeError for what is none."""
    return orjson.dumps({"data": answer.data, "errors": [error.formatted for error in answer.errors or []]}).decode()


def decode(text: str) -> ExecutionResult:
    """What was encoded. Its errors keep their request ids, under which they were logged."""
    kept = orjson.loads(text)
    return ExecutionResult(data=kept["data"], errors=[_error(error) for error in kept["errors"]] or None)


def _error(kept: dict[str, Any]) -> ToldError:
    error = ToldError(kept["message"], path=kept.get("path"), extensions=kept.get("extensions"))
    error.locations = [SourceLocation(**location) for location in kept.get("locations", [])] or None
    return error
