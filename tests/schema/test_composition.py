"""The schema beside another subgraph, composed as companies' routers have it composed: by Apollo's and The Guild's."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from graphql import DirectiveNode, GraphQLObjectType, GraphQLSchema, StringValueNode, build_schema

from core.settings import Settings
from schema import build_schema as build_gateway
from schema.federation import KINDS
from tests.npm.install import installed

COMPOSERS = ("apollo", "guild")
LINK = 'extend schema @link(url: "https://specs.apollo.dev/federation/v2.3", import: ["@key", "@shareable"])\n'
REVIEWS = f"""{LINK}
    type Query {{ reviews(first: Int): ReviewConnection }}
    type ReviewConnection {{ nodes: [Review!]! pageInfo: PageInfo! }}
    type PageInfo @shareable {{
        hasNextPage: Boolean! hasPreviousPage: Boolean! startCursor: String endCursor: String
    }}
    type Review @key(fields: "id") {{ id: ID! stars: Int! product: Product author: User order: Order }}
    type Product @key(fields: "id") {{ id: ID! reviews: [Review!] }}
    type User @key(fields: "id") {{ id: ID! reviews: [Review!] }}
    type Order @key(fields: "id", resolvable: false) {{ id: ID! }}
"""
"""Somebody else's subgraph, which adds to our types and refers to them."""


@dataclass(frozen=True)
class Composed:
    """`schema` is None where there were `errors`."""

    schema: GraphQLSchema | None
    errors: list[str]


Compose = Callable[..., dict[str, Composed]]


@pytest.fixture(scope="module")
def ours() -> str:
    return build_gateway(Settings()).as_str()


@pytest.fixture(scope="module")
def compose(tmp_path_factory: pytest.TempPathFactory) -> Compose:
    programs = installed("composition")

    def run(**subgraphs: str) -> dict[str, Composed]:
        folder = tmp_path_factory.mktemp("subgraphs")
        for name, sdl in subgraphs.items():
            (folder / name).write_text(sdl, "utf-8")
        named = [f"{name}={folder / name}" for name in subgraphs]
        done = subprocess.run(
            ["node", programs / "compose.mjs", *named], capture_output=True, text=True, check=True, timeout=60
        )
        told: dict[str, Any] = json.loads(done.stdout)
        return {by: _composed(told[by]) for by in COMPOSERS}

    return run


def _composed(told: dict[str, Any]) -> Composed:
    sdl = told["sdl"]
    return Composed(build_schema(sdl, assume_valid_sdl=True) if sdl else None, told["errors"])


@pytest.fixture(scope="module")
def together(compose: Compose, ours: str) -> dict[str, Composed]:
    return compose(omnistack=ours, reviews=REVIEWS)


def fields(schema: GraphQLSchema, kind: str) -> set[str]:
    found = schema.type_map[kind]
    assert isinstance(found, GraphQLObjectType)
    return set(found.fields)


def keys(schema: GraphQLSchema, kind: str) -> set[tuple[str, str]]:
    """The subgraphs that know a type, each with the key that it finds a row by."""
    node = schema.type_map[kind].ast_node
    assert node is not None
    return {(_said(one, "graph"), _said(one, "key")) for one in node.directives or () if one.name.value == "join__type"}


def _said(directive: DirectiveNode, name: str) -> str:
    value: Any = next((one.value for one in directive.arguments or () if one.name.value == name), None)
    return str(getattr(value, "value", "")) if not isinstance(value, StringValueNode) else value.value


@pytest.mark.parametrize("by", COMPOSERS)
def test_it_composes_alone(compose: Compose, ours: str, by: str) -> None:
    assert compose(omnistack=ours)[by].errors == []


@pytest.mark.parametrize("by", COMPOSERS)
def test_other_subgraphs_add_to_its_types_and_refer_to_them(together: dict[str, Composed], by: str) -> None:
    composed = together[by]
    assert composed.errors == []
    assert composed.schema is not None
    assert {"title", "variants", "reviews"} <= fields(composed.schema, "Product")
    assert {"email", "orders", "reviews"} <= fields(composed.schema, "User")
    assert keys(composed.schema, "Product") == {("OMNISTACK", "id"), ("REVIEWS", "id")}


@pytest.mark.parametrize("by", COMPOSERS)
def test_every_entity_is_found_by_its_id(together: dict[str, Composed], by: str) -> None:
    schema = together[by].schema
    assert schema is not None
    assert [kind for kind in KINDS if ("OMNISTACK", "id") not in keys(schema, kind)] == []


@pytest.mark.parametrize("by", COMPOSERS)
def test_what_routers_ask_is_not_shown_to_their_callers(together: dict[str, Composed], by: str) -> None:
    schema = together[by].schema
    assert schema is not None
    assert {"products", "reviews"} <= fields(schema, "Query")
    assert {name for name in fields(schema, "Query") if name.startswith("_")} == set()
    assert {"_Any", "_Entity", "_Service"} & set(schema.type_map) == set()


@pytest.mark.parametrize("by", COMPOSERS)
@pytest.mark.parametrize(
    ("wrong", "about"),
    [
        ("type Query { x: Int } type Product @key(fields: \"id\") { id: ID! title: String! }", "title"),
        ("type Query { x: Int } type Product @key(fields: \"sku\") { id: ID! reviews: Int }", "sku"),
        ("type Query { x: Int } type PageInfo { hasNextPage: Boolean! }", "hasNextPage"),
    ],
    ids=["a field of ours", "a key that is no field", "what is shared by one side alone"],
)  # fmt: skip
def test_what_does_not_fit_is_refused(compose: Compose, ours: str, by: str, wrong: str, about: str) -> None:
    """Or the tests above would mean nothing."""
    composed = compose(omnistack=ours, other=LINK + wrong)[by]
    assert composed.schema is None
    assert any(about in error for error in composed.errors)
