"""What is no plain text where a text is meant never reaches a backend, and hostile text is only text there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import pytest
from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLScalarType,
    is_required_argument,
    is_required_input_field,
)

from core.settings import Settings
from datasources import Sources
from resolvers.context import Context
from schema import build_schema
from tests.access.gateway import Served
from tests.callers import SERVICE as SERVICE_PRINCIPAL

SCHEMA = build_schema(Settings())
OPERATORS: list[Any] = [{"$ne": None}, {"$gt": ""}, ["$where", "1"], {"$regex": ".*"}]
TEXTS = [
    '{"$ne": null}',
    "$where",
    "' OR '1'='1",
    "%27%20OR%201=1--",
    "../../etc/passwd",
    "{{7*7}}",
    "a&limit=1000",
    "x\r\nx-api-key: stolen",
    "\u202e\U0001f9be",
    "a" * 5000,
]
SAMPLES: dict[str, Any] = {
    "Boolean": True,
    "Int": 1,
    "Float": 1.0,
    "DateTime": "2026-01-01T00:00:00Z",
    "Date": "2026-01-01",
    "Decimal": "1",
    "CurrencyCode": "EUR",
    "JSON": {},
    "Scope": "core:read",
}
REFUSALS = {"BAD_USER_INPUT", "NOT_FOUND", "FORBIDDEN", "UPSTREAM_REJECTED"}
Place = tuple[str | int, ...]


class Untouched:
    """Backends that nobody may ask."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"{name} was asked")


def sample(type_: GraphQLInputType) -> Any:
    """The least that the type takes."""
    match type_:
        case GraphQLNonNull():
            return sample(type_.of_type)
        case GraphQLList():
            return [sample(type_.of_type)]
        case GraphQLInputObjectType():
            return {name: sample(field.type) for name, field in type_.fields.items() if is_required_input_field(field)}
        case GraphQLEnumType():
            return next(iter(type_.values))
        case _:
            return SAMPLES.get(type_.name, "x")


def texts(type_: GraphQLInputType, place: Place = ()) -> Iterator[Place]:
    """Where in a value of the type a text stands."""
    match type_:
        case GraphQLNonNull():
            yield from texts(type_.of_type, place)
        case GraphQLList():
            yield from texts(type_.of_type, (*place, 0))
        case GraphQLInputObjectType():
            for name, field in type_.fields.items():
                yield from texts(field.type, (*place, name))
        case GraphQLScalarType():
            if type_.name not in ("Boolean", "Int", "Float", "JSON", "Upload"):
                yield place


def with_text(type_: GraphQLInputType, place: Place, text: Any) -> Any:
    """A sample of the type that holds `text` in that place."""
    match type_:
        case GraphQLNonNull():
            return with_text(type_.of_type, place, text)
        case GraphQLList():
            return [with_text(type_.of_type, place[1:], text)] if place else text
        case GraphQLInputObjectType() if place:
            field: GraphQLInputField = type_.fields[str(place[0])]
            return {**sample(type_), str(place[0]): with_text(field.type, place[1:], text)}
        case _:
            return text


def operation(root: str, name: str, argument: str, place: Place, text: Any) -> tuple[str, dict[str, Any]]:
    """An operation on that root field whose `argument` holds `text` in that place, and its variables."""
    kind = {"query": "Query", "mutation": "Mutation", "subscription": "Subscription"}[root]
    field = cast("Any", SCHEMA._schema.type_map[kind]).fields[name]
    needed: dict[str, GraphQLArgument] = {
        each: one for each, one in field.args.items() if each == argument or is_required_argument(one)
    }
    variables = {each: sample(one.type) for each, one in needed.items()}
    variables[argument] = with_text(needed[argument].type, place, text)
    declared = ", ".join(f"${each}: {one.type}" for each, one in needed.items())
    passed = ", ".join(f"{each}: ${each}" for each in needed)
    selection = "" if isinstance(bare(field.type), GraphQLScalarType) else " { __typename }"
    return f"{root} Try({declared}) {{ {name}({passed}){selection} }}", variables


def bare(type_: Any) -> Any:
    while isinstance(type_, GraphQLNonNull | GraphQLList):
        type_ = type_.of_type
    return type_


def places(*roots: str) -> list[tuple[str, str, str, Place]]:
    """Every place for a text in the arguments of these roots' fields: (root, field, argument, place)."""
    kinds = {"query": "Query", "mutation": "Mutation", "subscription": "Subscription"}
    return [
        (root, name, argument, place)
        for root in roots
        for name, field in cast("Any", SCHEMA._schema.type_map[kinds[root]]).fields.items()
        if not name.startswith("_")
        for argument, one in field.args.items()
        if bare(one.type) is not SCHEMA._schema.type_map.get("Upload")
        for place in texts(one.type)
    ]


@pytest.mark.parametrize("operator", OPERATORS, ids=str)
async def test_an_operator_in_place_of_a_text_is_refused_before_anything_is_asked(operator: Any) -> None:
    context = Context(cast("Sources", Untouched()), SERVICE_PRINCIPAL)
    tried = places("query", "mutation")
    assert len(tried) > 100
    for root, name, argument, place in tried:
        if isinstance(operator, list) and place and place[-1] == 0:
            operator_here: Any = [operator]  # a list is a list of texts there
        else:
            operator_here = operator
        query, variables = operation(root, name, argument, place, operator_here)
        result = await SCHEMA.execute(query, variables, context_value=context)
        told = [(error.extensions or {}).get("code") for error in getattr(result, "errors", None) or []]
        assert told, (query, variables, "was taken")
        assert set(told) == {"BAD_USER_INPUT"}, (query, variables, result)


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: text[:12])
async def test_hostile_text_is_only_text(served: Served, text: str) -> None:
    for caller in (served.callers["service"], served.callers["here"]):
        for root, name, argument, place in places("query"):
            query, variables = operation(root, name, argument, place, text)
            answer = await served.ask(caller, query, variables)
            assert set(answer.codes) <= REFUSALS, (query, variables, answer.body)
            if argument in ("id", "code", "externalId", "slug", "handle", "key"):
                assert not (answer.data or {}).get(name), (query, answer.body)
