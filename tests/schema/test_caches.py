from __future__ import annotations

from typing import Any
from unittest.mock import Mock

import pytest
from strawberry.extensions import validation_cache

from core.principals import Principal, PrincipalKind
from core.scopes import ALL_SCOPES
from core.settings import Settings
from resolvers.context import Context
from schema import CACHED_DOCUMENTS, MAX_ALIASES, MAX_DEPTH, build_schema

SCHEMA = build_schema(Settings())


async def execute(document: str) -> list[str]:
    """The messages of its errors."""
    context = Context(Mock(), Principal(PrincipalKind.SERVICE, ALL_SCOPES))
    result: Any = await SCHEMA.execute(document, context_value=context)
    return [error.message for error in result.errors or []]


async def test_a_document_is_validated_once_however_often_it_is_executed() -> None:
    cache = validation_cache._get_validate_cache(CACHED_DOCUMENTS)
    document = "query ValidatedOnce { __typename }"
    before = cache.cache_info()  # type: ignore[attr-defined]
    for _ in range(4):
        assert await execute(document) == []
    after = cache.cache_info()  # type: ignore[attr-defined]
    assert (after.misses - before.misses, after.hits - before.hits) == (1, 3)


ALIASES = " ".join(f"a{i}: __typename" for i in range(MAX_ALIASES + 1))
LEVELS = MAX_DEPTH // 3 + 1
DEEP = "orders { nodes { customer { " * LEVELS + "id" + " } } }" * LEVELS


@pytest.mark.parametrize(
    ("selection", "told"), [(ALIASES, "aliases"), (DEEP, "depth")], ids=["too many aliases", "too deep"]
)
async def test_a_document_beyond_the_limits_is_refused_every_time(selection: str, told: str) -> None:
    document = f"{{ {selection} }}"
    first = await execute(document)
    assert [told in message for message in first] == [True]
    assert await execute(document) == first
