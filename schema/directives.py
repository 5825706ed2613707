"""What a field's declaration tells the engine: needed scopes, cost, list sizes, caching."""

from __future__ import annotations

from enum import Enum

import strawberry
from strawberry.federation.schema_directives import Key
from strawberry.federation.types import FieldSet
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


@strawberry.enum(description="Who may keep an answer: everybody on its way, or only whoever has asked.")
class CacheControlScope(Enum):
    PUBLIC = "PUBLIC"
    PRIVATE = "PRIVATE"


@strawberry.schema_directive(
    locations=[Location.FIELD_DEFINITION, Location.OBJECT],
    name="cacheControl",
    description="How many seconds an answer stays good enough to be used again, and by whom.",
)
class CacheControl:
    max_age: int | None = strawberry.UNSET
    scope: CacheControlScope | None = strawberry.UNSET


@strawberry.schema_directive(
    locations=_PLACES, name="authenticated", description="Any valid credentials are enough, whatever their scopes."
)
class Authenticated:
    pass


BY_ID = Key(fields=FieldSet("id"))
"""`@key` of a type whose rows other subgraphs may refer to, and routers ask for: see `schema.federation`."""


def requires(*scopes: str) -> RequiresScopes:
    """`@requiresScopes` for a field that needs all of these scopes. Only for nullable fields and subscription roots."""
    return RequiresScopes(scopes=[[Scope(scope) for scope in scopes]])


def cached(max_age_s: int) -> CacheControl:
    """`@cacheControl` for a root field of rows that rarely change. Always PRIVATE: whatever is shown, is shown to some
    caller because of who they are."""
    return CacheControl(max_age=max_age_s, scope=CacheControlScope.PRIVATE)
