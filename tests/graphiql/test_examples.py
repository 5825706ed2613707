"""The page's examples against the committed schema and the demo world."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from graphql import build_schema, parse, validate

from graphiql.examples import EXAMPLES, FULFILL_ORDER, ORDER, SYNC_BATCHES
from graphiql.page import Example
from sandbox.omnistack import DEMO_CLIENT, _batches
from sandbox.world import World

SCHEMA = Path(__file__).parents[2] / "schema" / "schema.graphql"


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.query.splitlines()[2].rstrip(" {"))
def test_every_example_is_valid(example: Example) -> None:
    schema = build_schema(SCHEMA.read_text("utf-8"), assume_valid_sdl=True)  # its federation directives are elsewhere
    assert validate(schema, parse(example.query)) == []


def test_their_ids_are_the_demo_worlds_and_within_sight_of_the_pages_token() -> None:
    world = World(datetime.now(UTC))
    client = world.clients[DEMO_CLIENT]
    assert ORDER.variables is not None
    [order] = [order for order in world.orders if order.id == ORDER.variables["id"]]
    assert order.client is client
    assert FULFILL_ORDER.variables is not None
    wanted = FULFILL_ORDER.variables["input"]
    [customer] = [person for person in world.customers if person.id == wanted["userId"]]
    assert customer.client is client
    variants = {variant.id for product in world.products for variant in product.variants}
    assert {item["variantId"] for item in wanted["items"]} <= variants
    assert SYNC_BATCHES.variables is not None
    batches = SYNC_BATCHES.variables["input"]
    seeded = {batch["externalId"]: batch for batch in _batches(world) if batch["clientId"] == client.id}
    assert [batch["externalId"] in seeded for batch in batches] == [True, False]
    assert batches[0]["sku"] == seeded[batches[0]["externalId"]]["sku"]
    assert {batch["sku"] for batch in batches} <= {one.sku for product in world.products for one in product.variants}
    assert batches[0]["warehouse"] == client.warehouse
