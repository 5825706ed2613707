"""The public contract is a committed file; changing it is a decision, not an accident."""

from __future__ import annotations

from pathlib import Path

from graphql import GraphQLNonNull, GraphQLObjectType
from graphql import build_schema as build_plain

from core.settings import Settings
from schema import build_schema

COMMITTED = Path(__file__).parents[2] / "schema" / "schema.graphql"


def test_the_printed_schema_is_the_committed_one() -> None:
    printed = build_schema(Settings()).as_str() + "\n"
    assert printed == COMMITTED.read_text("utf-8"), "python -m schema > schema/schema.graphql"


def test_every_root_field_but_viewer_and_health_is_nullable() -> None:
    schema = build_plain(COMMITTED.read_text("utf-8"), assume_valid_sdl=True)
    for root in (schema.query_type, schema.mutation_type):
        assert root is not None
        for name, field in root.fields.items():
            if name not in {"viewer", "health", "_service", "_entities"}:
                assert not isinstance(field.type, GraphQLNonNull), f"{root.name}.{name}"


def test_scopes_stand_on_nullable_fields_and_subscription_roots_only() -> None:
    schema = build_plain(COMMITTED.read_text("utf-8"), assume_valid_sdl=True)
    for graphql_type in schema.type_map.values():
        if not isinstance(graphql_type, GraphQLObjectType) or graphql_type is schema.subscription_type:
            continue
        for name, field in graphql_type.fields.items():
            node = field.ast_node
            directives = {directive.name.value for directive in (node.directives if node else None) or ()}
            if "requiresScopes" in directives:
                assert not isinstance(field.type, GraphQLNonNull), f"{graphql_type.name}.{name}"


def test_everything_in_the_schema_is_described() -> None:
    """GraphiQL is where developers read it. Fields whose name says all are excused where they are plain values."""
    schema = build_plain(COMMITTED.read_text("utf-8"), assume_valid_sdl=True)
    own = [one for name, one in schema.type_map.items() if not name.startswith("_") and one.ast_node is not None]
    bare = [one.name for one in own if not one.description and not one.name.endswith(("Edge", "Connection"))]
    assert bare == []
    for root in (schema.query_type, schema.mutation_type, schema.subscription_type):
        assert root is not None
        assert [name for name, field in root.fields.items() if not field.description] == []
