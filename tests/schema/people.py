"""The part of the schema that the core store alone answers, surrounded as the whole is."""

from __future__ import annotations

from typing import Any

import strawberry
from strawberry.schema.config import StrawberryConfig

from core import operation
from core.operation import Operation
from engine.scopes import enforce_scopes
from resolvers.context import Context
from schema.batches import BatchMutation, BatchQuery
from schema.clients import ClientMutation, ClientQuery
from schema.extensions import OperationEvent
from schema.families import FamilyMutation, FamilyQuery
from schema.scalars import SCALARS
from schema.users import UserMutation, UserQuery
from schema.viewer import ViewerQuery


@strawberry.type
class Query(ViewerQuery, ClientQuery, UserQuery, FamilyQuery, BatchQuery):
    pass


@strawberry.type
class Mutation(ClientMutation, UserMutation, FamilyMutation, BatchMutation):
    pass


class _Schema(strawberry.federation.Schema):
    def process_errors(self, errors: object, execution_context: object = None) -> None:
        """Nothing, as in the served schema: the event logs what has to be logged."""


SCHEMA = _Schema(
    query=Query,
    mutation=Mutation,
    config=StrawberryConfig(scalar_map=SCALARS),
    extensions=[lambda: OperationEvent(query_timeout_s=10, mutation_timeout_s=40)],
)
enforce_scopes(SCHEMA)


class Answer:
    """`data`, the `errors` as (path, code), and the calls that a trace tells."""

    def __init__(self, result: Any, running: Operation) -> None:
        self.data: dict[str, Any] = result.data
        self.errors = [(error.path, error.extensions["code"]) for error in result.errors or []]
        self.messages = [error.message for error in result.errors or []]
        self.calls = [(call.method, call.path) for call in running.calls]


async def ask(ctx: Context, query: str, **variables: Any) -> Answer:
    result = await SCHEMA.execute(query, variables, context_value=ctx)
    return Answer(result, operation.current())
