"""Where scopes are declared: on fields, on those of interfaces, on types, and what that means for each field."""

from __future__ import annotations

from itertools import combinations
from types import SimpleNamespace
from typing import Any

import pytest
import strawberry
from graphql import GraphQLObjectType
from strawberry.schema.config import StrawberryConfig

from core import operation
from core.operation import Operation
from core.principals import Principal, PrincipalKind
from engine.scopes import allows, enforce_scopes, rules_of
from schema.directives import requires
from schema.scalars import SCALARS
from tests.engine import zoo

SCHEMA = zoo.make_schema()
enforce_scopes(SCHEMA)
SOME = [set(some) for size in (0, 1, 2, 3, 9) for some in combinations(zoo.ALL, size)]


def caller(scopes: set[str]) -> Principal:
    return Principal(PrincipalKind.USER, frozenset(scopes))


async def ask(query: str, *scopes: str) -> Any:
    zoo.resolved.clear()
    operation.enter(Operation())
    return await SCHEMA.execute(f"{{ zoo {query} }}", context_value=SimpleNamespace(principal=caller(set(scopes))))


def test_every_field_needs_what_was_worked_out_by_hand() -> None:
    graphql_schema = SCHEMA._schema
    assert set(rules_of(graphql_schema).guarded) == set(zoo.NEEDS)
    for graphql_type in graphql_schema.type_map.values():
        if isinstance(graphql_type, GraphQLObjectType) and not graphql_type.name.startswith("_"):
            for name in graphql_type.fields:
                coordinate = f"{graphql_type.name}.{name}"
                for scopes in SOME:
                    expected = any(needed <= scopes for needed in zoo.NEEDS.get(coordinate, [set()]))
                    assert allows(graphql_schema, coordinate, caller(scopes)) is expected, (coordinate, scopes)


@pytest.mark.parametrize(
    ("query", "scopes", "data", "resolved", "messages"),
    [
        (
            "{ animals { weight } }",
            ["animal:read"],
            {"animals": [{"weight": 4}, {"weight": None}]},
            ["Cat.weight"],
            ["Dog.weight needs dog:read"],
        ),
        (
            "{ anything { ... on Animal { weight } } }",
            ["dog:read"],
            {"anything": [{"weight": None}, {"weight": None}]},
            [],
            ["Dog.weight needs animal:read", "Cat.weight needs animal:read"],
        ),
        ("{ vault { name } }", ["vault:read"], {"vault": None}, [], ["Zoo.vault needs building:read"]),
        ("{ shed { name } }", ["vault:read"], {"shed": None}, [], ["Zoo.shed needs building:read"]),
        ("{ buildings { name } }", ["building:read"], {"buildings": None}, [], ["Zoo.buildings needs vault:read"]),
        (
            "{ places { __typename } }",
            ["tour:read"],
            {"places": None},
            [],
            ["Zoo.places needs building:read and vault:read"],
        ),
        (
            "{ vault { seal } }",
            ["vault:read", "building:read"],
            {"vault": {"seal": None}},
            ["Zoo.vault"],
            ["Vault.seal needs seal:read"],
        ),
        (
            "{ animals { ... on Dog { mood } } }",
            ["animal:read"],
            {"animals": [{}, {"mood": None}]},
            [],
            ["Dog.mood needs mood:read"],
        ),
    ],
)
async def test_what_is_declared_elsewhere_is_enforced(
    query: str, scopes: list[str], data: Any, resolved: list[str], messages: list[str]
) -> None:
    result = await ask(query, *scopes)
    assert result.data == {"zoo": data}
    assert [error.message for error in result.errors] == messages
    assert zoo.resolved == resolved


async def test_with_all_scopes_everything_is_there() -> None:
    query = """{ vault { name seal } shed { name } buildings { name } places { __typename }
                 animals { weight ... on Dog { mood secret } ... on Cat { secret } } }"""
    result = await ask(query, *zoo.ALL)
    assert result.errors is None
    assert result.data["zoo"]["animals"] == [
        {"weight": 4, "secret": "meow"},
        {"weight": 30, "mood": "CALM", "secret": "woof"},
    ]


async def test_what_a_root_type_needs_all_of_its_fields_need() -> None:
    @strawberry.type(directives=[requires("root:read")])
    class Query:
        one: int | None = 1

    schema = strawberry.federation.Schema(query=Query, config=StrawberryConfig(scalar_map=SCALARS))
    enforce_scopes(schema)
    for scopes, one in ((set[str](), None), ({"root:read"}, 1)):
        operation.enter(Operation())
        context = SimpleNamespace(principal=caller(scopes))
        result = await schema.execute("{ one }", context_value=context, root_value=Query())
        assert result.data == {"one": one}
