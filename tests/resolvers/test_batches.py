"""Whose batches are whose, and what a sync makes of them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast

import pytest

from core import operation
from core.demo import DemoCredentials
from core.errors import BadUserInput, NotFound
from core.operation import Operation
from core.principals import Principal
from datasources import Sources
from datasources.mongo import BatchRecord, BatchToSync, Mongo, SyncedBatches
from resolvers import batches
from resolvers.batches import MAX_BATCHES, MAX_SKUS, BatchWanted
from resolvers.context import Context
from sandbox import omnistack
from sandbox.world import World
from tests import callers as people
from tests.callers import SERVICE
from tests.conftest import Callers, Commands, MakeContext, demo_documents, told

WORLD = World(datetime.now(UTC))
CLIENT, SISTER = WORLD.clients[2], WORLD.clients[3]
SEEDED = omnistack._batches(WORLD)
ALL = {row["_id"] for row in SEEDED}
OF_CLIENT = {row["_id"] for row in SEEDED if row["clientId"] == CLIENT.id}
OF_SISTER = {row["_id"] for row in SEEDED if row["clientId"] == SISTER.id}
SEEN = {
    "service": ALL,
    "platform": set[str](),
    "server_side_platform": OF_CLIENT | OF_SISTER,
    "client": OF_CLIENT,
    "customer": set[str](),
    "staff": OF_CLIENT,
    "manager": OF_CLIENT,
    "admin": OF_CLIENT,
}
EVERY_CALLER = pytest.mark.parametrize("caller", SEEN)


@pytest.fixture
def seeing(callers: Callers, make_context: MakeContext, caller: str) -> Context:
    return make_context(callers[caller])


async def listed(ctx: Context, **wanted: Any) -> set[str]:
    page = await batches.batches(ctx, first=100, after=None, wanted=BatchWanted(**wanted))
    assert await page.total() == len(page.nodes)
    return {batch.id for batch in page.nodes}


@EVERY_CALLER
async def test_in_the_list(seeing: Context, caller: str) -> None:
    assert await listed(seeing) == SEEN[caller]


@EVERY_CALLER
async def test_of_a_client_and_of_products(seeing: Context, caller: str) -> None:
    skus = [SEEDED[0]["sku"], SEEDED[1]["sku"], "none"]
    of_skus = {row["_id"] for row in SEEDED if row["sku"] in skus}
    assert await listed(seeing, client_id=SISTER.id) == SEEN[caller] & OF_SISTER
    assert await listed(seeing, client_id="x") == set()
    assert await listed(seeing, skus=skus) == SEEN[caller] & of_skus
    assert await listed(seeing, skus=skus, client_id=CLIENT.id) == SEEN[caller] & of_skus & OF_CLIENT
    assert await listed(seeing, skus=[]) == set()


@EVERY_CALLER
async def test_pages_hold_the_whole_list_once_newest_first(seeing: Context, caller: str) -> None:
    ids: list[str] = []
    after = None
    while True:
        page = await batches.batches(seeing, first=5, after=after, wanted=BatchWanted())
        ids += [batch.id for batch in page.nodes]
        after = page.page_info.end_cursor
        if not page.page_info.has_next_page:
            break
    assert ids == sorted(SEEN[caller], reverse=True)


async def test_more_skus_than_a_list_takes_are_refused(make_context: MakeContext, callers: Callers) -> None:
    with pytest.raises(BadUserInput):
        await listed(make_context(callers["service"]), skus=["x"] * (MAX_SKUS + 1))


# -- syncing -----------------------------------------------------------------------------------------------------------


class Desk:
    """Where batches are synced, each call an operation of its own."""

    def __init__(self, store: Mongo) -> None:
        self.store = store

    async def sync(
        self, *wanted: BatchToSync, by: Principal | None = None, client_id: str | None = None
    ) -> tuple[int, int, int]:
        with operation.running(Operation()):
            ctx = Context(cast("Sources", SimpleNamespace(mongo=self.store)), by or people.client(2))
            done = await batches.sync_batches(ctx, client_id=client_id, batches=wanted)
        assert isinstance(done, SyncedBatches)
        return done.created, done.updated, done.unchanged

    async def stored(self, client_id: str = CLIENT.id) -> dict[str, BatchRecord]:
        found = await self.store.batches(limit=2000, client_ids=[client_id])
        assert len({batch.external_id for batch in found}) == len(found)
        return {batch.external_id: batch for batch in found}


@pytest.fixture
async def desk(empty_mongo: Mongo, demo: DemoCredentials) -> Desk:
    await empty_mongo.insert({"clients": demo_documents(demo)["clients"]})
    return Desk(empty_mongo)


def batch(external_id: str, quantity: str = "1", **content: Any) -> BatchToSync:
    return BatchToSync(external_id, sku=content.pop("sku", "SKU-1"), quantity=Decimal(quantity), **content)


async def test_a_sync_creates_updates_and_leaves_alone(desk: Desk) -> None:
    full = batch("c", "3.5", warehouse="Stores", expires_at=date(2027, 5, 1))
    assert await desk.sync(batch("a"), batch("b", "2"), full) == (3, 0, 0)
    first = await desk.stored()
    assert await desk.sync(batch("a"), batch("b", "2"), full) == (0, 0, 3)
    assert await desk.stored() == first
    assert await desk.sync(batch("a", "5"), full, batch("d")) == (1, 1, 1)
    second = await desk.stored()
    assert set(second) == {"a", "b", "c", "d"}
    assert (second["a"].quantity, second["a"].id) == (Decimal(5), first["a"].id)
    assert second["a"].created_at == first["a"].created_at
    assert second["a"].updated_at > first["a"].updated_at
    assert (second["b"], second["c"]) == (first["b"], first["c"])
    assert (second["c"].warehouse, second["c"].expires_at, second["c"].quantity) == (
        "Stores",
        date(2027, 5, 1),
        Decimal("3.5"),
    )


@pytest.mark.parametrize(
    "change",
    [{"sku": "SKU-2"}, {"quantity": Decimal(0)}, {"warehouse": "W"}, {"warehouse": None},
     {"expires_at": date(2028, 1, 1)}, {"expires_at": None}],
)  # fmt: skip
async def test_every_part_of_a_batch_can_be_changed(desk: Desk, change: dict[str, Any]) -> None:
    before = batch("a", warehouse="Stores", expires_at=date(2027, 5, 1))
    await desk.sync(before)
    after = replace(before, **change)
    assert await desk.sync(after) == (0, 1, 0)
    assert await desk.sync(after) == (0, 0, 1)
    stored = (await desk.stored())["a"]
    assert {name: getattr(stored, name) for name in change} == change
    assert await desk.sync(before) == (0, 1, 0)


@pytest.mark.parametrize(
    ("said", "kept"),
    [("1.50", "1.5"), ("-0", "0"), ("1E+3", "1000"), ("0.000001", "0.000001"), ("1E12", "1" + "0" * 12)],
)
async def test_equal_quantities_are_no_change(desk: Desk, said: str, kept: str) -> None:
    await desk.sync(batch("a", kept))
    assert await desk.sync(batch("a", said)) == (0, 0, 1)
    [stored] = await desk.store._db.batches.find({}).to_list(None)
    assert stored["quantity"] == kept


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        *((batch("a", n), "quantity") for n in ("-1", "-0.000001", "1E12000", "1000000000000.1", "0.0000001", "NaN",
                                                "Infinity", "1." + "0" * 40 + "1")),
        (batch(""), "externalId"),
        (batch("  "), "externalId"),
        (batch("x" * 129), "externalId"),
        (batch("a", sku=""), "sku"),
        (batch("a", sku="x" * 141), "sku"),
        (batch("a", sku="a\0"), "sku"),
        (batch("a", sku="\ud800"), "sku"),
        (batch("a", warehouse=""), "warehouse"),
        (batch("a", warehouse="x" * 141), "warehouse"),
        (batch("ok"), "externalId"),
        (batch(" ok "), "externalId"),
    ],
)  # fmt: skip
async def test_nothing_is_written_unless_all_is_in_order(desk: Desk, wrong: BatchToSync, field: str) -> None:
    with pytest.raises(BadUserInput, match=rf"`input\.1\.{field}`"):
        await desk.sync(batch("ok"), wrong)
    assert await desk.stored() == {}


@pytest.mark.parametrize("number", [0, MAX_BATCHES + 1])
async def test_a_sync_has_a_size(desk: Desk, number: int) -> None:
    with pytest.raises(BadUserInput, match="1 to 1000"):
        await desk.sync(*(batch(str(n)) for n in range(number)))


async def test_a_thousand_batches_are_a_few_commands(desk: Desk, commands: Commands) -> None:
    many = [batch(f"b{n}") for n in range(MAX_BATCHES)]
    commands.forget()
    with operation.running(Operation()) as running:
        done = await desk.store.sync_batches(CLIENT.id, many)
    assert (done.created, done.updated, done.unchanged) == (MAX_BATCHES, 0, 0)
    assert commands.sent == told(running.calls) == [("find", "batches"), ("update", "batches")] * 2
    commands.forget()
    assert await desk.store.sync_batches(CLIENT.id, many) == SyncedBatches(0, 0, MAX_BATCHES)
    assert commands.sent == [("find", "batches")] * 2


async def test_clients_do_not_meet(desk: Desk) -> None:
    await desk.sync(batch("a"))
    assert await desk.sync(batch("a", "9"), by=people.client(3)) == (1, 0, 0)
    assert (await desk.stored())["a"].quantity == 1
    assert (await desk.stored(SISTER.id))["a"].quantity == 9


async def test_whose_batches_they_are_is_said_by_whoever_has_several_clients(desk: Desk) -> None:
    platform = people.platform(server_side=True)
    for caller in (SERVICE, platform):
        with pytest.raises(BadUserInput, match="clientId"):
            await desk.sync(batch("a"), by=caller)
    assert await desk.sync(batch("a"), by=SERVICE, client_id=CLIENT.id) == (1, 0, 0)
    assert await desk.sync(batch("a"), by=platform, client_id=CLIENT.id) == (0, 0, 1)
    assert await desk.sync(batch("a"), client_id=CLIENT.id) == (0, 0, 1)
    for caller, client_id in (
        (people.client(2), SISTER.id),
        (platform, WORLD.clients[0].id),
        (people.platform(server_side=False), CLIENT.id),
        (SERVICE, "x"),
    ):
        with pytest.raises(NotFound):
            await desk.sync(batch("new"), by=caller, client_id=client_id)
    assert set(await desk.stored()) == {"a"}


async def test_the_numbers_of_syncs_at_once_add_up(desk: Desk) -> None:
    for n in range(20):
        same = [batch(f"{n}-{m}") for m in range(10)]
        results = await asyncio.gather(*(desk.sync(*same) for _ in range(4)))
        assert sum(created for created, _, _ in results) == len(same)
        assert sum(unchanged for _, _, unchanged in results) == 3 * len(same)
        other = [replace(each, quantity=Decimal(2)) for each in same]
        results = await asyncio.gather(*(desk.sync(*other) for _ in range(4)))
        assert sum(updated for _, updated, _ in results) == len(same)


async def test_of_different_contents_at_once_one_is_whole(desk: Desk) -> None:
    contents = [batch("a", str(n), warehouse=f"W{n}" if n % 2 else None) for n in range(20)]
    results = await asyncio.gather(*(desk.sync(content) for content in contents))
    assert sum(created for created, _, _ in results) == 1
    stored = (await desk.stored())["a"]
    assert stored.warehouse == contents[int(stored.quantity)].warehouse
    [document] = await desk.store._db.batches.find({}).to_list(None)
    assert document["revision"] == 1 + sum(updated for _, updated, _ in results)
    assert isinstance(document["updatedAt"], datetime)
