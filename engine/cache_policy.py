"""`@cacheControl`, read: for how long an answer may be used again."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from graphql import GraphQLField, GraphQLNamedType, GraphQLSchema, get_named_type


@dataclass(frozen=True)
class CachePolicy:
    """Of a whole answer. `max_age_s` 0: it is not to be used again. Unless it is public, nobody but who has asked may
    keep it."""

    max_age_s: int
    is_public: bool = False


UNCACHED = CachePolicy(0)


def cache_policy(schema: GraphQLSchema, coordinates: Iterable[str]) -> CachePolicy:
    """The strictest of what the root fields of an operation declare, as `Type.field`, on themselves or else on the type
    that they return. One that declares nothing is not cached, nor is an answer without fields.

    Raises LookupError for a field that there is not.
    """
    policies = [_declared(schema, coordinate) for coordinate in coordinates]
    if not policies or UNCACHED in policies:
        return UNCACHED
    return CachePolicy(min(each.max_age_s for each in policies), all(each.is_public for each in policies))


def _declared(schema: GraphQLSchema, coordinate: str) -> CachePolicy:
    type_name, _, name = coordinate.partition(".")
    field = getattr(schema.get_type(type_name), "fields", {}).get(name)
    if field is None:
        raise LookupError(f"the schema has no field {coordinate}")
    on_field, on_type = _directive(field), _directive(get_named_type(field.type))
    for directive in (on_field, on_type):
        max_age = getattr(directive, "max_age", None)
        if isinstance(max_age, int) and max_age > 0:
            scope = getattr(directive, "scope", None)
            return CachePolicy(max_age, is_public=getattr(scope, "value", None) == "PUBLIC")
        if directive is not None:
            return UNCACHED
    return UNCACHED


def _directive(element: GraphQLField | GraphQLNamedType) -> object | None:
    definition = element.extensions.get("strawberry-definition")
    declared = getattr(definition, "directives", None) or ()
    return next((each for each in declared if type(each).__name__ == "CacheControl"), None)
