"""`@requiresScopes`, enforced on schemas of the test's own."""
# mypy: disable-error-code="untyped-decorator"
# strawberry.field(...) with arguments is untyped, as in schema/.

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import pytest
import strawberry
from graphql import (
    DocumentNode,
    FieldNode,
    InlineFragmentNode,
    NameNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    graphql,
    parse,
)
from strawberry.extensions import ParserCache
from strawberry.schema.config import StrawberryConfig

from core import operation
from core.operation import Operation
from core.principals import Principal, PrincipalKind
from engine.scopes import CACHED_OPERATIONS, allows, enforce_scopes, refusal, refused, rules_of
from resolvers.context import Context
from schema.directives import RequiresScopes, requires
from schema.extensions import OperationEvent
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
    def boxes(self, count: int = 2) -> list[Box]:
        return [Box() for _ in range(count)]

    @strawberry.field(directives=[requires("a:read")])
    def box(self) -> Box | None:
        return Box()


@strawberry.type
class Mutation:
    @strawberry.field(directives=[requires("a:write")])
    def change(self) -> bool | None:
        called.append("change")
        return True

    @strawberry.field
    def note(self) -> bool | None:
        called.append("note")
        return True


@strawberry.type
class Subscription:
    @strawberry.subscription(directives=[requires("a:read")])
    async def events(self) -> AsyncIterator[int]:
        called.append("events")
        for n in range(2):
            yield n

    @strawberry.subscription
    async def boxes(self) -> AsyncIterator[Box]:
        called.append("boxes")
        for _ in range(3):
            yield Box()


def make_schema(*extensions: Any) -> strawberry.federation.Schema:
    made = strawberry.federation.Schema(
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        config=StrawberryConfig(scalar_map=SCALARS),
        extensions=extensions,
    )
    enforce_scopes(made)
    return made


@pytest.fixture(scope="module")
def schema() -> strawberry.federation.Schema:
    return make_schema()


@pytest.fixture(autouse=True)
def forget() -> None:
    called.clear()


def caller(*scopes: str, allowed_writes: frozenset[str] | None = None) -> Principal:
    return Principal(PrincipalKind.USER, frozenset(scopes), allowed_writes=allowed_writes)


def holding(*scopes: str) -> Any:
    """A context, in an operation of its own."""
    return context_of(caller(*scopes))


def context_of(principal: object) -> Any:
    operation.enter(Operation())
    return SimpleNamespace(principal=principal)


def codes(result: Any) -> list[tuple[list[str | int], str]]:
    return [(error.path, getattr(error.original_error, "code", "none")) for error in result.errors or []]


# -- fields ------------------------------------------------------------------------------------------------------------


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
        ("either", [], "a:read or b:read and c:read"),
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
    assert codes(result) == [([field], "FORBIDDEN")]
    [error] = result.errors or []
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


@pytest.mark.parametrize("directive", ["@skip(if: true)", "@include(if: false)", "@skip(if: $left)"])
async def test_a_field_that_is_left_out_is_no_error(schema: strawberry.federation.Schema, directive: str) -> None:
    query = f"query ($left: Boolean = true) {{ one {directive} boxes {{ plain ... {directive} {{ inner }} }} }}"
    if "$left" not in directive:
        query = query.replace("($left: Boolean = true)", "")
    result = await schema.execute(query, context_value=holding())
    assert (result.errors, result.data) == (None, {"boxes": [{"plain": "plain"}] * 2})


async def test_of_several_operations_the_one_that_runs_is_checked(schema: strawberry.federation.Schema) -> None:
    query = "query A { one } query B { both }"
    for name, field in (("A", "one"), ("B", "both")):
        context = holding("a:read", "b:read")
        result = await schema.execute(query, context_value=context, operation_name=name)
        assert (result.data, result.errors) == ({field: field}, None)
    refusals = [refused(schema._schema, parse(query), name, caller()) for name in ("A", "B", "C", None)]
    assert refusals == [{"Query.one"}, {"Query.both"}, set(), set()]


def test_the_directive_stands_in_the_printed_schema(schema: strawberry.federation.Schema) -> None:
    printed = schema.as_str()
    assert 'both: String @requiresScopes(scopes: [["a:read", "b:read"]])' in printed
    assert "directive @requiresScopes(scopes: [[Scope!]!]!) on" in printed


# -- what nobody checked -----------------------------------------------------------------------------------------------


async def test_an_execution_that_was_not_checked_is_refused(schema: strawberry.federation.Schema) -> None:
    context = holding("a:read", "inner:read", "a:write")
    result = await graphql(schema._schema, "{ one boxes { inner plain } }", context_value=context)
    assert result.data == {"one": None, "boxes": [{"inner": None, "plain": "plain"}] * 2}
    assert {code for _, code in codes(result)} == {"FORBIDDEN"}
    changed = await graphql(schema._schema, "mutation { note }", context_value=context)
    assert (changed.data, called) == ({"note": None}, [])


async def test_what_was_permitted_to_one_operation_is_not_to_the_next(schema: strawberry.federation.Schema) -> None:
    context = holding("a:read")
    assert (await schema.execute("{ one }", context_value=context)).data == {"one": "one"}
    context.principal = caller()
    assert codes(await schema.execute("{ one }", context_value=context)) == [(["one"], "FORBIDDEN")]


async def test_where_no_operation_runs_nothing_is_permitted(schema: strawberry.federation.Schema) -> None:
    with operation.running(cast("Operation", None)):
        context = SimpleNamespace(principal=caller("a:read"))
        assert codes(await schema.execute("{ one }", context_value=context)) == [(["one"], "FORBIDDEN")]


@pytest.mark.parametrize("scopes", [[], [[]], [[Scope("a:read")], []]])
def test_a_directive_without_scopes_is_a_mistake(scopes: list[list[Scope]]) -> None:
    @strawberry.type(name="Query")
    class Careless:
        @strawberry.field(directives=[RequiresScopes(scopes=scopes)])
        def field(self) -> str | None:
            return None

    careless = strawberry.federation.Schema(query=Careless, config=StrawberryConfig(scalar_map=SCALARS))
    with pytest.raises(ValueError, match="names no scope"):
        enforce_scopes(careless)


# -- mutations and subscriptions ---------------------------------------------------------------------------------------


async def test_a_mutation_changes_nothing_without_permission(schema: strawberry.federation.Schema) -> None:
    result = await schema.execute("mutation { change }", context_value=holding("a:read"))
    assert (result.data, called) == ({"change": None}, [])
    assert (await schema.execute("mutation { change }", context_value=holding("a:write"))).data == {"change": True}


async def test_a_subscription_is_refused_as_a_whole(schema: strawberry.federation.Schema) -> None:
    results = await schema.subscribe("subscription { events }", context_value=holding())
    [refusal] = [result async for result in results]
    assert (refusal.data, called) == (None, [])
    assert codes(refusal) == [(["events"], "FORBIDDEN")]


async def test_a_subscription_runs_with_permission(schema: strawberry.federation.Schema) -> None:
    results = await schema.subscribe("subscription { events }", context_value=holding("a:read"))
    assert [(result.data, result.errors) async for result in results] == [({"events": 0}, None), ({"events": 1}, None)]


async def test_every_event_has_the_permissions_of_its_subscription() -> None:
    schema = make_schema(lambda: OperationEvent(query_timeout_s=10, mutation_timeout_s=10))
    for scopes, inner, code in ((("inner:read",), "inner", []), ((), None, ["FORBIDDEN"])):
        context = Context(cast("Any", None), caller(*scopes))
        results = await schema.subscribe("subscription { boxes { inner plain } }", context_value=context)
        told = [
            (result.data, [(error.extensions or {})["code"] for error in result.errors or []])
            async for result in results
        ]
        assert told == [({"boxes": {"inner": inner, "plain": "plain"}}, code)] * 3


async def test_some_credentials_write_only_what_is_named(schema: strawberry.federation.Schema) -> None:
    scopes = ("a:read", "a:write")
    limited = caller(*scopes, allowed_writes=frozenset({"note", "boxes"}))
    result = await schema.execute("mutation { change x: note }", context_value=context_of(limited))
    assert (result.data, called) == ({"change": None, "x": True}, ["note"])
    [error] = result.errors or []
    assert error.message == "Mutation.change is not open to these credentials"
    assert (await schema.execute("{ one }", context_value=context_of(limited))).data == {"one": "one"}
    called.clear()
    results = await schema.subscribe("subscription { events }", context_value=context_of(limited))
    assert [result.data async for result in results] == [None]
    results = await schema.subscribe("subscription { boxes { plain } }", context_value=context_of(limited))
    assert [result.errors async for result in results] == [None] * 3
    assert called == ["boxes"]


async def test_what_is_named_still_needs_its_scopes(schema: strawberry.federation.Schema) -> None:
    limited = caller("a:read", allowed_writes=frozenset({"change"}))
    result = await schema.execute("mutation { change }", context_value=context_of(limited))
    assert [error.message for error in result.errors or []] == ["Mutation.change needs a:write"]
    nothing = caller("a:write", allowed_writes=frozenset())
    result = await schema.execute("mutation { change note }", context_value=context_of(nothing))
    assert (result.data, called) == ({"change": None, "note": None}, [])


# -- for other entrances -----------------------------------------------------------------------------------------------


def test_a_single_field_is_asked_about_by_its_name(schema: strawberry.federation.Schema) -> None:
    graphql_schema = schema._schema
    assert allows(graphql_schema, "Query.one", caller("a:read"))
    assert not allows(graphql_schema, "Query.one", caller("b:read"))
    assert allows(graphql_schema, "Query.boxes", caller())
    assert not allows(graphql_schema, "Mutation.note", caller(allowed_writes=frozenset()))
    assert refusal(graphql_schema, "Query.both", caller("b:read")) == "Query.both needs a:read"
    assert refusal(graphql_schema, "Query.both", caller("a:read", "b:read")) is None


@pytest.mark.parametrize("coordinate", ["Query.none", "Nobody.one", "Query", "", "Query.one.two", "Scope.x"])
def test_a_field_that_is_not_there_is_a_mistake(schema: strawberry.federation.Schema, coordinate: str) -> None:
    with pytest.raises(LookupError):
        allows(schema._schema, coordinate, caller("a:read"))


# -- how often it is checked -------------------------------------------------------------------------------------------


@dataclass
class Counted:
    """A principal that tells how often it was asked for its scopes."""

    held: frozenset[str]
    reads: int = 0
    allowed_writes: frozenset[str] | None = None

    @property
    def scopes(self) -> frozenset[str]:
        self.reads += 1
        return self.held


async def test_fifty_rows_are_checked_once_and_a_known_document_not_at_all() -> None:
    schema = make_schema(lambda: ParserCache())
    settled = rules_of(schema._schema)._settle
    query = "{ boxes(count: 50) { inner again: inner plain } }"
    for hits in range(3):
        principal = Counted(frozenset({"inner:read"}))
        result = await schema.execute(query, context_value=context_of(principal))
        assert (result.errors, called) == (None, ["inner"] * 100)
        assert principal.reads == 1
        assert (settled.cache_info().misses, settled.cache_info().hits) == (1, hits)
        called.clear()
    for misses, other in enumerate((caller(), caller("inner:read", allowed_writes=frozenset())), start=2):
        await schema.execute(query, context_value=context_of(other))
        assert settled.cache_info().misses == misses
    assert (await schema.execute(query, context_value=holding("inner:read"))).errors is None
    assert settled.cache_info().misses == 3


def test_what_is_remembered_is_bounded_and_belongs_to_its_document() -> None:
    graphql_schema = make_schema()._schema
    nobody = caller()
    for n in range(CACHED_OPERATIONS + 50):
        # Each dies at once, so that only what is kept with its document can be told from its successor's.
        document = parse("{ one }" if n % 3 else "{ both }")
        assert refused(graphql_schema, document, None, nobody) == {"Query.one" if n % 3 else "Query.both"}
    assert rules_of(graphql_schema)._settle.cache_info().currsize == CACHED_OPERATIONS


# -- documents that validation would refuse ----------------------------------------------------------------------------


def test_fragments_in_a_circle_end(schema: strawberry.federation.Schema) -> None:
    document = parse("""
        { ...F ...Nowhere ... on Nobody { one } nothing { one } boxes }
        fragment F on Query { one ...G } fragment G on Query { both boxes { ...H } ...F }
        fragment H on Box { inner ...H }
        fragment Lost on Lost { one }
    """)
    assert refused(schema._schema, document, None, caller()) == {"Query.one", "Query.both", "Box.inner"}


def test_fragments_that_multiply_are_walked_once(schema: strawberry.federation.Schema) -> None:
    steps = [f"fragment F{n} on Query {{ ...F{n + 1} x: boxes {{ plain }} ...F{n + 1} }}" for n in range(200)]
    document = parse(" ".join(["{ ...F0 ...F0 }", *steps, "fragment F200 on Query { one }"]))
    assert refused(schema._schema, document, None, caller()) == {"Query.one"}


def test_a_document_deeper_than_the_stack_is_walked(schema: strawberry.federation.Schema) -> None:
    inner = SelectionSetNode(selections=(FieldNode(name=NameNode(value="one")),))
    levels = [inner]
    for _ in range(20_000):
        levels.append(SelectionSetNode(selections=(InlineFragmentNode(selection_set=levels[-1]),)))
    chosen = OperationDefinitionNode(operation=OperationType.QUERY, selection_set=levels[-1])
    document = DocumentNode(definitions=(chosen,))
    assert refused(schema._schema, document, None, caller()) == {"Query.one"}
    # From the outside in: Python would take them apart by recursion.
    rules_of(schema._schema)._settle.cache_clear()
    del document, chosen
    while levels:
        levels.pop()
