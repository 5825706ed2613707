"""`@requiresScopes`, enforced on a schema of the test's own."""
# mypy: disable-error-code="untyped-decorator"
# strawberry.field(...) with arguments is untyped, as in schema/.

from __future__ import annotations

from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
import strawberry
from strawberry.schema.config import StrawberryConfig

from core.principals import Principal, PrincipalKind
from engine.scopes import enforce_scopes
from schema.directives import RequiresScopes, requires
from schema.scalars import SCALARS, Scope

called: list[str] = []


@strawberry.type
class Box:
    @strawberry.field(directives=[requires("inner:read")])
    def inner(self) -> str | None:
        called.append("inner")
        return "inner"

    @strawberry.field
    def plain(self) -> str:
        return "plain"


@strawberry.type
class Inherited:
    @strawberry.field(directives=[requires("a:read")])
    async def one(self, times: int = 1) -> str | None:
        called.append("one")
        return "one" * times


@strawberry.type
class Query(Inherited):
    @strawberry.field(directives=[requires("a:read", "b:read")])
    def both(self) -> str | None:
        called.append("both")
        return "both"

    @strawberry.field(directives=[RequiresScopes(scopes=[[Scope("a:read")], [Scope("b:read"), Scope("c:read")]])])
    def either(self) -> str | None:
        called.append("either")
        return "either"

    @strawberry.field
    def boxes(self) -> list[Box]:
        return [Box(), Box()]

    @strawberry.field(directives=[requires("a:read")])
    def box(self) -> Box | None:
        return Box()


@strawberry.type
class Mutation:
    @strawberry.field(directives=[requires("a:write")])
    def change(self) -> bool | None:
        called.append("change")
        return True


@strawberry.type
class Subscription:
    @strawberry.subscription(directives=[requires("a:read")])
    async def events(self) -> AsyncIterator[int]:
        called.append("events")
        for n in range(2):
            yield n


@pytest.fixture(scope="module")
def schema() -> strawberry.federation.Schema:
    made = strawberry.federation.Schema(
        query=Query, mutation=Mutation, subscription=Subscription, config=StrawberryConfig(scalar_map=SCALARS)
    )
    enforce_scopes(made._schema)
    return made


@pytest.fixture(autouse=True)
def forget() -> None:
    called.clear()


def holding(*scopes: str) -> Any:
    return SimpleNamespace(principal=Principal(PrincipalKind.USER, frozenset(scopes)))


@pytest.mark.parametrize(
    ("field", "scopes", "missing"),
    [
        ("one", ["a:read"], None),
        ("one", ["a:read", "x"], None),
        ("one", [], "a:read"),
        ("one", ["b:read"], "a:read"),
        ("one", ["a:rea", "a:reads", "a"], "a:read"),
        ("both", ["a:read", "b:read"], None),
        ("both", ["a:read"], "b:read"),
        ("both", [], "a:read and b:read"),
        ("either", ["a:read"], None),
        ("either", ["b:read", "c:read"], None),
        ("either", ["b:read"], "a:read or c:read"),
    ],
)
async def test_a_field_runs_only_for_those_who_may(
    schema: strawberry.federation.Schema, field: str, scopes: list[str], missing: str | None
) -> None:
    result = await schema.execute(f"{{ {field} }}", context_value=holding(*scopes))
    if missing is None:
        assert (result.data, result.errors, called) == ({field: field}, None, [field])
        return
    assert result.data == {field: None}
    assert called == []
    [error] = result.errors or []
    assert error.path == [field]
    assert getattr(error.original_error, "code", None) == "FORBIDDEN"
    assert error.message == f"Query.{field} needs {missing}"


async def test_arguments_reach_the_field(schema: strawberry.federation.Schema) -> None:
    result = await schema.execute("{ one(times: 2) }", context_value=holding("a:read"))
    assert result.data == {"one": "oneone"}


async def test_what_is_beside_and_below_still_arrives(schema: strawberry.federation.Schema) -> None:
    result = await schema.execute("{ boxes { inner plain } box { plain } other: one }", context_value=holding())
    assert result.data == {"boxes": [{"inner": None, "plain": "plain"}] * 2, "box": None, "other": None}
    assert [error.path for error in result.errors or []] == [
        ["boxes", 0, "inner"],
        ["boxes", 1, "inner"],
        ["box"],
        ["other"],
    ]
    assert called == []


async def test_an_alias_or_a_fragment_is_no_way_around(schema: strawberry.federation.Schema) -> None:
    query = "{ x: one ...F ... on Query { y: both } } fragment F on Query { z: either }"
    result = await schema.execute(query, context_value=holding())
    assert result.data == {"x": None, "y": None, "z": None}
    assert called == []


async def test_a_mutation_changes_nothing_without_permission(schema: strawberry.federation.Schema) -> None:
    result = await schema.execute("mutation { change }", context_value=holding("a:read"))
    assert (result.data, called) == ({"change": None}, [])
    assert (await schema.execute("mutation { change }", context_value=holding("a:write"))).data == {"change": True}


async def test_a_subscription_is_refused_as_a_whole(schema: strawberry.federation.Schema) -> None:
    results = await schema.subscribe("subscription { events }", context_value=holding())
    [refused] = [result async for result in results]
    assert (refused.data, called) == (None, [])
    [error] = refused.errors or []
    assert getattr(error.original_error, "code", None) == "FORBIDDEN"


async def test_a_subscription_runs_with_permission(schema: strawberry.federation.Schema) -> None:
    results = await schema.subscribe("subscription { events }", context_value=holding("a:read"))
    assert [(result.data, result.errors) async for result in results] == [({"events": 0}, None), ({"events": 1}, None)]


def test_the_directive_stands_in_the_printed_schema(schema: strawberry.federation.Schema) -> None:
    printed = schema.as_str()
    assert 'both: String @requiresScopes(scopes: [["a:read", "b:read"]])' in printed
    assert "directive @requiresScopes(scopes: [[Scope!]!]!) on" in printed
