"""What an entrance makes of an answer."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import strawberry
from graphql import ExecutionResult
from strawberry.extensions import SchemaExtension

from core import operation
from core.kept import Kept
from core.operation import Operation
from engine.shaping import shape_answers


@strawberry.type
class Query:
    @strawberry.field
    def keeps(self) -> bool:
        return operation.current().kept is not None

    @strawberry.field
    def fails(self) -> int:
        raise ValueError("no")


class Answered(SchemaExtension):
    """As if the answer had been given before."""

    def on_execute(self) -> Iterator[None]:
        self.execution_context.result = ExecutionResult(data={"kept": "before"})
        yield


async def ask(query: str, shape: Any, *extensions: type[SchemaExtension]) -> Any:
    schema = strawberry.Schema(Query, extensions=extensions)
    shape_answers(schema)
    operation.enter(Operation())
    return await schema.execute(query, context_value=SimpleNamespace(shape=shape))


def shape(data: Any, kept: Kept) -> Any:
    assert isinstance(kept, Kept)
    return {"shaped": data}


async def test_without_a_shape_an_answer_stays_as_it_is_and_nothing_is_kept() -> None:
    assert (await ask("{ keeps }", None)).data == {"keeps": False}


async def test_an_answer_is_shaped_with_what_was_kept() -> None:
    assert (await ask("{ keeps }", shape)).data == {"shaped": {"keeps": True}}


async def test_what_was_answered_before_is_not_shaped_again() -> None:
    assert (await ask("{ keeps }", shape, Answered)).data == {"kept": "before"}


async def test_without_data_there_is_nothing_to_shape() -> None:
    answer = await ask("{ fails }", shape)
    assert answer.data is None
    assert [str(error.message) for error in answer.errors] == ["no"]
