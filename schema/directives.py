"""What a field's declaration tells the engine: needed scopes, cost, list sizes, caching."""

from __future__ import annotations

from enum import Enum

import strawberry
from strawberry.schema_directive import Location

from schema.scalars import Scope

_PLACES = [Location.OBJECT, Location.FIELD_DEFINITION, Location.ENUM, Location.SCALAR, Location.INTERFACE]


@strawberry.schema_directive(
    locations=_PLACES,
    name="requiresScopes",
    description="Any inner list grants access; all scopes of that list are needed.",
)
class RequiresScopes:
    scopes: list[list[Scope]]


@strawberry.schema_directive(
    locations=[
        Location.ARGUMENT_DEFINITION,
        Location.ENUM,
        Location.FIELD_DEFINITION,
        Location.INPUT_FIELD_DEFINITION,
        Location.OBJECT,
        Location.SCALAR,
    ],
    name="cost",
    description="Static cost, IBM GraphQL cost specification.",
)
class Cost:
    weight: int


@strawberry.enum
class CacheControlScope(Enum):
    PUBLIC = "PUBLIC"
    PRIVATE = "PRIVATE"


def requires(*scopes: str) -> RequiresScopes:
    """`@requiresScopes` for a field that needs all of these scopes. Only for nullable fields and subscription roots."""
    return RequiresScopes(scopes=[[Scope(scope) for scope in scopes]])
