"""What this schema offers is what the contract promises: same names, types, arguments, defaults."""

from __future__ import annotations

from pathlib import Path

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    build_schema,
)

pytestmark = pytest.mark.conformance

ROOT = Path(__file__).parents[2]
OURS_TO_ADD = {"_Any", "_Service", "_Entity"}
"""What a federated subgraph has besides."""


def load(path: Path) -> GraphQLSchema:
    return build_schema(path.read_text("utf-8"), assume_valid_sdl=True)


@pytest.fixture(scope="module")
def contract() -> GraphQLSchema:
    return load(ROOT.parent / "shared" / "schema.graphql")


@pytest.fixture(scope="module")
def ours() -> GraphQLSchema:
    return load(ROOT / "schema" / "schema.graphql")


def own_types(schema: GraphQLSchema) -> dict[str, GraphQLNamedType]:
    return {name: one for name, one in schema.type_map.items() if not name.startswith("__") and name not in OURS_TO_ADD}


def test_every_type_of_ours_is_in_the_contract(contract: GraphQLSchema, ours: GraphQLSchema) -> None:
    assert sorted(own_types(ours).keys() - own_types(contract).keys()) == []


def test_fields_arguments_and_types_are_equal(contract: GraphQLSchema, ours: GraphQLSchema) -> None:
    differences = []
    for name, mine in own_types(ours).items():
        theirs = contract.type_map.get(name)
        if isinstance(mine, GraphQLObjectType) and isinstance(theirs, GraphQLObjectType):
            for field, definition in mine.fields.items():
                if field in {"_service", "_entities"}:
                    continue
                if field not in theirs.fields:
                    differences.append(f"{name}.{field} is not in the contract")
                    continue
                promised = theirs.fields[field]
                if str(promised.type) != str(definition.type):
                    differences.append(f"{name}.{field}: {definition.type}, promised {promised.type}")
                mine_args = {arg: (str(one.type), one.default_value) for arg, one in definition.args.items()}
                their_args = {arg: (str(one.type), one.default_value) for arg, one in promised.args.items()}
                if mine_args != their_args:
                    differences.append(f"{name}.{field}: {mine_args}, promised {their_args}")
        elif isinstance(mine, GraphQLInputObjectType) and isinstance(theirs, GraphQLInputObjectType):
            mine_fields = {field: (str(one.type), one.default_value) for field, one in mine.fields.items()}
            their_fields = {field: (str(one.type), one.default_value) for field, one in theirs.fields.items()}
            if mine_fields != their_fields:
                differences.append(f"{name}: {mine_fields}, promised {their_fields}")
        elif isinstance(mine, GraphQLEnumType) and isinstance(theirs, GraphQLEnumType):
            if set(mine.values) != set(theirs.values):
                differences.append(f"{name}: {sorted(mine.values)}, promised {sorted(theirs.values)}")
        elif type(mine) is not type(theirs):
            differences.append(f"{name} is of another kind")
    assert differences == []
