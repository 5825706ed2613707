"""REST requests as operations of the schema, so that they are executed as those are: one set of rules for both."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graphql import GraphQLSchema
from starlette.requests import Request
from starlette.responses import Response
from strawberry.schema import BaseSchema

from core.errors import GatewayError
from core.principals import Principal
from core.telemetry import caller
from engine.shaping import Shape
from rest.envelope import Told
from rest.graphql import ConnectionContext, context_of
from rest.limits import admit
from rest.request_ids import request_id

log = logging.getLogger("omnistack.operation")

ANSWER = "answer"
"""What the one field is called in the answer."""
_VARIABLE = re.compile(r"\$(\w+)")


@dataclass(frozen=True)
class Document:
    """An operation of one field. `name` tells it apart from others, in logs and under idempotency keys."""

    name: str
    text: str
    field: str


def document(name: str, field: str, arguments: str, selection: str, types: Mapping[str, str]) -> Document:
    """`field` is `Query.name` or `Mutation.name`; `types` are those of the variables that `arguments` may use."""
    kind, _, field_name = field.partition(".")
    used = dict.fromkeys(_VARIABLE.findall(arguments))
    declared = ", ".join(f"${each}: {types[each]}" for each in used)
    head = f"{kind.lower()} {name}({declared})" if declared else f"{kind.lower()} {name}"
    called = f"{field_name}({arguments})" if arguments else field_name
    selected = f" {{ {selection} }}" if selection else ""
    return Document(name, f"{head} {{ {ANSWER}: {called}{selected} }}", field)


def name_of(method: str, path: str) -> str:
    """What a route's operation is called.

    >>> name_of("GET", "/erp/invoices/{id:path}")
    'GET_erp_invoices_id'
    """
    plain = path.replace(":path", "").replace("{", "").replace("}", "")
    return f"{method}{''.join(each if each.isalnum() else '_' for each in plain)}"


@dataclass(frozen=True)
class Outcome:
    """`value` is what the field answered; None where it answered nothing, or `error` says why it did not."""

    value: Any
    error: Told | None
    extensions: Mapping[str, Any]

    @property
    def is_replayed(self) -> bool:
        """Whether this is the answer to an earlier request with the same idempotency key."""
        return "idempotency" in self.extensions


class Operations:
    """What executes them. `schema` is the one that GraphQL is served by."""

    def __init__(self, schema: BaseSchema) -> None:
        self._schema = schema

    @property
    def graphql(self) -> GraphQLSchema:
        return self._schema._schema  # type: ignore[attr-defined,no-any-return]  # noqa: SLF001 - it has no public name

    async def admitted(self, request: Request, asked: Document) -> ConnectionContext:
        """Who is asking, let in at the operation's cost. Raises GatewayError, which is logged here."""
        ctx: ConnectionContext | None = None
        try:
            ctx = await context_of(request)
            await admit(request, ctx.principal, asked.text)
        except GatewayError as exc:
            self.refused(request, asked.name, exc, ctx.principal if ctx is not None else None)
            raise
        return ctx

    def refused(self, request: Request, name: str, error: GatewayError, principal: Principal | None) -> None:
        """Log what was never executed; what was has its line from there."""
        log.info(
            "operation",
            extra={
                "operation": name,
                "viewer": None if principal is None else caller(principal),
                "request_id": request_id(request),
                "ms": 0.0,
                "upstream": {},
                "errors": [error.code],
            },
        )

    async def execute(
        self, ctx: ConnectionContext, asked: Document, variables: dict[str, Any], shape: Shape | None = None
    ) -> Outcome:
        """`shape` makes the field's value of what it was, and of what backends have said; it is not asked about
        None."""
        if shape is not None:
            make = shape
            ctx.shape = lambda data, kept: {
                name: None if value is None else make(value, kept) for name, value in data.items()
            }
        result = await self._schema.execute(
            asked.text, variable_values=variables, context_value=ctx, operation_name=asked.name
        )
        value = None if result.data is None else result.data.get(ANSWER)
        error: Told | None = None
        if value is None and result.errors:
            first = result.errors[0]
            error = {"message": first.message, "extensions": first.extensions or {"code": "INTERNAL"}}
        return Outcome(value, error, result.extensions or {})


def tell(answer: Response, outcome: Outcome, field: str, path: str) -> None:
    """Put into the answer's headers that GraphQL has this too, and whether it is an earlier answer."""
    answer.headers["Deprecation"] = DEPRECATED_SINCE
    answer.headers.append("Link", f'<{path}>; rel="successor-version"; title="{field}"')
    if outcome.is_replayed:
        answer.headers["Idempotency-Replayed"] = "true"


DEPRECATED_SINCE = "@1780272000"
"""As RFC 9745 writes it: 1 June 2026, since when GraphQL has everything that these routes have."""
