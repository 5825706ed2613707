"""The page's examples against the committed schema and the demo world."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from graphql import build_schema, parse, validate

from graphiql.examples import EXAMPLES, FULFILL_ORDER, ORDER
from graphiql.page import Example
from sandbox.world import World

SCHEMA = Path(__file__).parents[2] / "schema" / "schema.graphql"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.query.splitlines()[2].rstrip(" {"))
def test_every_example_is_valid(example: Example) -> None:
    schema = build_schema(SCHEMA.read_text("utf-8"))
    assert validate(schema, parse(example.query)) == []


def test_their_ids_are_the_demo_worlds() -> None:
    world = World(datetime.now(UTC))
    assert ORDER.variables is not None
    assert ORDER.variables["id"] == world.orders[-1].id
    assert FULFILL_ORDER.variables is not None
    variants = {variant.id for product in world.products for variant in product.variants}
    assert {item["variantId"] for item in FULFILL_ORDER.variables["input"]["items"]} <= variants
