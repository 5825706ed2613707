from __future__ import annotations

import pytest
import strawberry

from engine.cache_policy import UNCACHED, CachePolicy, cache_policy
from schema.directives import CacheControl, CacheControlScope

PUBLIC, PRIVATE = CacheControlScope.PUBLIC, CacheControlScope.PRIVATE


@strawberry.type(directives=[CacheControl(max_age=60, scope=PUBLIC)])
class Page:
    id: strawberry.ID


@strawberry.type
class Order:
    id: strawberry.ID


@strawberry.type
class Query:
    page: Page | None = None
    pages: list[Page] | None = strawberry.field(default=None, directives=[CacheControl(max_age=20, scope=PUBLIC)])
    fresh: Page | None = strawberry.field(default=None, directives=[CacheControl(max_age=0)])
    unsaid: Page | None = strawberry.field(default=None, directives=[CacheControl(scope=PUBLIC)])
    own: Page | None = strawberry.field(default=None, directives=[CacheControl(max_age=30, scope=PRIVATE)])
    nobodys: Page | None = strawberry.field(default=None, directives=[CacheControl(max_age=90)])
    order: Order | None = None
    count: int | None = None


SCHEMA = strawberry.Schema(Query)._schema


@pytest.mark.parametrize(
    ("fields", "policy"),
    [
        ("page", CachePolicy(60, is_public=True)),
        ("pages", CachePolicy(20, is_public=True)),
        ("own", CachePolicy(30)),
        ("nobodys", CachePolicy(90)),
        ("page own", CachePolicy(30)),
        ("pages page", CachePolicy(20, is_public=True)),
        ("fresh", UNCACHED),
        ("unsaid", UNCACHED),
        ("order", UNCACHED),
        ("count", UNCACHED),
        ("page order", UNCACHED),
        ("", UNCACHED),
    ],
)
def test_the_strictest_field_counts_and_silence_is_strict(fields: str, policy: CachePolicy) -> None:
    assert cache_policy(SCHEMA, [f"Query.{name}" for name in fields.split()]) == policy


@pytest.mark.parametrize("coordinate", ["Query.nothing", "Nothing.page", "page", "String.x"])
def test_a_field_that_is_not_there_is_a_mistake(coordinate: str) -> None:
    with pytest.raises(LookupError):
        cache_policy(SCHEMA, [coordinate])
