"""`@requiresScopes`, enforced: a field without permission is null with FORBIDDEN, and its resolver never runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from graphql import GraphQLField, GraphQLObjectType, GraphQLSchema
from strawberry.types.field import StrawberryField

from core.errors import Forbidden

Resolver = Callable[..., Any]


def enforce_scopes(schema: GraphQLSchema) -> None:
    """Put the check in front of every field of the schema that carries the directive."""
    for graphql_type in schema.type_map.values():
        if isinstance(graphql_type, GraphQLObjectType):
            for name, field in graphql_type.fields.items():
                if alternatives := _needed(field):
                    guard = _guard(f"{graphql_type.name}.{name}", alternatives)
                    if graphql_type is schema.subscription_type:
                        field.subscribe = guard(field.subscribe)
                    else:
                        field.resolve = guard(field.resolve)


def _needed(field: GraphQLField) -> list[frozenset[str]]:
    definition = field.extensions.get("strawberry-definition")
    if not isinstance(definition, StrawberryField):
        return []
    return [
        frozenset(scopes)
        for directive in definition.directives
        if type(directive).__name__ == "RequiresScopes"
        for scopes in directive.scopes  # type: ignore[attr-defined]
    ]


def _guard(field: str, alternatives: list[frozenset[str]]) -> Callable[[Resolver | None], Resolver]:
    def wrap(resolve: Resolver | None) -> Resolver:
        assert resolve is not None  # noqa: S101 - Strawberry gives every field its resolver

        def guarded(root: Any, info: Any, **arguments: Any) -> Any:
            held = info.context.principal.scopes
            if not any(scopes <= held for scopes in alternatives):
                missing = " or ".join(" and ".join(sorted(scopes - held)) for scopes in alternatives)
                raise Forbidden(f"{field} needs {missing}")
            return resolve(root, info, **arguments)

        return guarded

    return wrap
