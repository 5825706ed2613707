"""Batches through the schema: their joins, and what a sync says."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from core import operation
from core.demo import DemoCredentials
from core.operation import Operation
from core.principals import Principal
from datasources import Sources
from datasources.mongo import Mongo
from resolvers.context import Context
from tests import callers
from tests.callers import WORLD
from tests.conftest import MakeContext, demo_documents
from tests.schema.people import ask

THEIRS = WORLD.clients[2]
SYNC = """mutation($input: [BatchInput!]!, $of: ID) {
    syncBatches(input: $input, clientId: $of) { created updated unchanged }
}"""
LIST = "{ batches { totalCount nodes { sku quantity warehouse expiresAt updatedAt client { code } } } }"


@pytest.fixture
async def client(empty_mongo: Mongo, demo: DemoCredentials) -> Context:
    await empty_mongo.insert({"clients": demo_documents(demo)["clients"]})
    operation.enter(Operation())
    return Context(cast("Sources", SimpleNamespace(mongo=empty_mongo)), callers.client(2))


async def test_what_was_synced_is_read(client: Context) -> None:
    batches: list[dict[str, Any]] = [
        {"externalId": "7", "sku": "SKU-1", "quantity": "2.50", "warehouse": "Stores", "expiresAt": "2027-02-28"},
        {"externalId": 8, "sku": "SKU-2", "quantity": 3},
    ]
    done = await ask(client, SYNC, input=batches)
    assert (done.errors, done.data["syncBatches"]) == ([], {"created": 2, "updated": 0, "unchanged": 0})
    done = await ask(client, SYNC, input=[{**batches[0], "expiresAt": None}, batches[1]], of=THEIRS.id)
    assert (done.errors, done.data["syncBatches"]) == ([], {"created": 0, "updated": 1, "unchanged": 1})
    read = await ask(client, LIST)
    assert read.errors == []
    assert read.data["batches"]["totalCount"] == 2
    rows = {row["sku"]: row for row in read.data["batches"]["nodes"]}
    assert rows["SKU-1"].pop("updatedAt").endswith("+00:00")
    client_of = {"code": THEIRS.code}
    assert rows["SKU-1"] == {
        "sku": "SKU-1", "quantity": "2.5", "warehouse": "Stores", "expiresAt": None, "client": client_of
    }  # fmt: skip
    assert (rows["SKU-2"]["quantity"], rows["SKU-2"]["warehouse"]) == ("3", None)


@pytest.mark.parametrize(
    "batch",
    [
        {"externalId": "1", "sku": {"$ne": None}, "quantity": "1"},
        {"externalId": {"$gt": ""}, "sku": "S", "quantity": "1"},
        {"externalId": "1", "sku": "S", "quantity": "many"},
        {"externalId": "1", "sku": "S", "quantity": "1", "expiresAt": "2027-02-30"},
        {"externalId": "1", "sku": "S", "quantity": "-1"},
        {"externalId": "1", "sku": "S", "quantity": "1", "warehouse": ""},
    ],
)
async def test_what_is_no_batch_is_bad_user_input(client: Context, batch: dict[str, Any]) -> None:
    answer = await ask(client, SYNC, input=[batch])
    assert {code for _, code in answer.errors} == {"BAD_USER_INPUT"}
    assert (await ask(client, LIST)).data["batches"]["totalCount"] == 0


async def test_customers_neither_see_nor_sync(make_context: MakeContext, customer: Principal) -> None:
    answer = await ask(make_context(customer), LIST)
    assert (answer.errors, answer.data["batches"]) == ([], {"totalCount": 0, "nodes": []})
    batch = {"externalId": "1", "sku": "S", "quantity": "1"}
    answer = await ask(make_context(customer), SYNC, input=[batch])
    assert answer.errors == [(["syncBatches"], "FORBIDDEN")]


async def test_the_clients_of_many_batches_are_one_find(make_context: MakeContext, service: Principal) -> None:
    answer = await ask(make_context(service), "{ batches(first: 40) { nodes { client { code } } } }")
    assert answer.errors == []
    assert sorted(answer.calls) == [("find", "batches"), ("find", "clients")]
    assert {batch["client"]["code"] for batch in answer.data["batches"]["nodes"]} == {c.code for c in WORLD.clients}


async def test_the_products_of_many_batches_are_one_call(make_context: MakeContext, service: Principal) -> None:
    asked: list[list[str]] = []

    class Shop:
        async def products_by_skus(self, skus: list[str], **narrowed: Any) -> list[Any]:
            asked.append(list(skus))
            return [SimpleNamespace(id=f"prod_{sku}", skus=(sku,)) for sku in skus if sku != "SKU-006-1"]

    ctx = make_context(service)
    cast("Any", ctx.sources).medusa = Shop()
    answer = await ask(ctx, "{ batches(first: 30) { nodes { sku product { id } } } }")
    assert answer.errors == []
    nodes = answer.data["batches"]["nodes"]
    assert [sorted(skus) for skus in asked] == [sorted({node["sku"] for node in nodes})]
    for node in nodes:
        assert node["product"] == (None if node["sku"] == "SKU-006-1" else {"id": f"prod_{node['sku']}"})
    assert any(node["product"] is None for node in nodes)
