"""A store of an earlier release becomes one of this, however many start at once and wherever one is cut off."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bson import ObjectId
from pymongo.errors import DuplicateKeyError, OperationFailure

from core.demo import DemoCredentials
from core.errors import BackendBadResponse, StartFailed
from datasources.mongo import FamilyRole, Mongo
from datasources.mongo import versions as module
from datasources.mongo.migrations import MIGRATIONS, Database, Migration, drop_former_indexes
from tests.conftest import demo_documents

OWNER, ADULT, CHILD = FamilyRole
JOINED = datetime(2026, 3, 1, tzinfo=UTC)
NEWEST = MIGRATIONS[-1].number


def _user(n: int, client: ObjectId, **fields: Any) -> dict[str, Any]:
    """As the first release wrote them."""
    stamp = {"createdAt": JOINED, "updatedAt": JOINED}
    return {
        "_id": ObjectId(f"{n:024x}"),
        "clientId": client,
        "email": f"Person{n}@Example.com",
        "name": f"Person {n}",
        "role": "CUSTOMER",
        "status": "ACTIVE",
        "linkedAccounts": {"medusaCustomerId": f"cus_{n}"},
        "medusaCustomerIds": [f"cus_{n}", f"cus_cart_{n}"],
        **stamp,
        **fields,
    }


class Old:
    """A store as the first release left it: two families, and people who are in none or say otherwise."""

    client, other = ObjectId(), ObjectId()
    first, second, empty = ObjectId(), ObjectId(), ObjectId()

    @classmethod
    async def write(cls, store: Mongo) -> None:
        users = [_user(n, cls.client) for n in range(1, 7)]
        for n, family in ((0, cls.first), (1, cls.first), (2, cls.first), (3, cls.second)):
            users[n]["familyId"] = family
        users[5]["email"] = users[4]["email"].upper()
        # Somebody whom two families name, and who says which is theirs.
        users[4]["familyId"] = cls.second
        members = {
            cls.first: [(1, "ADULT"), (2, "OWNER"), (3, "CHILD"), (5, "ADULT")],
            cls.second: [(4, "CHILD"), (5, "ADULT")],
            cls.empty: [],
        }
        families = [
            {
                "_id": family,
                "clientId": cls.client,
                "name": "Old",
                "members": [
                    {"userId": ObjectId(f"{n:024x}"), "role": role, "joinedAt": JOINED + timedelta(days=n)}
                    for n, role in of
                ],
                "memberIds": [f"{n:024x}" for n, _ in of],
                "benefits": [],
                "createdAt": JOINED,
                "updatedAt": JOINED,
            }
            for family, of in members.items()
        ]
        await store._db.users.insert_many(users)
        await store._db.families.insert_many(families)

    @classmethod
    async def check(cls, store: Mongo) -> None:
        """That it is as this release would have written it."""

        async def members(family: ObjectId) -> dict[int, FamilyRole | None]:
            return {int(user.id, 16): user.family_role for user in await store.members_of_families([str(family)])}

        assert await members(cls.first) == {1: ADULT, 2: OWNER, 3: CHILD}
        assert await members(cls.second) == {4: CHILD, 5: OWNER}
        assert await members(cls.empty) == {}
        for document in await store._db.families.find({}).to_list(None):
            assert document.keys().isdisjoint({"members", "memberIds"})
            assert document["revision"] >= 1
        users = {int(str(user["_id"]), 16): user for user in await store._db.users.find({}).to_list(None)}
        assert users[2]["ownsFamilyId"] == cls.first
        assert users[2]["familyJoinedAt"] == JOINED + timedelta(days=2)
        assert users[5]["ownsFamilyId"] == cls.second
        assert [n for n, user in users.items() if "ownsFamilyId" in user] == [2, 5]
        assert [n for n, user in users.items() if "familyRole" in user] == [1, 2, 3, 4, 5]
        assert {n: user.get("emailKey") for n, user in users.items() if n > 3} == {
            4: "person4@example.com",
            5: "person5@example.com",
            6: None,
        }
        assert all(user["cartCustomerIds"] == [f"cus_cart_{n}"] for n, user in users.items())
        assert all(user["revision"] >= 1 for user in users.values())
        versions = await store._db.schema_versions.find({}).to_list(None)
        assert sorted(version["number"] for version in versions) == [migration.number for migration in MIGRATIONS]
        assert await store._db.leases.find({}).to_list(None) == []


@pytest.fixture
async def old(empty_mongo: Mongo) -> Mongo:
    """In documents alone: indexes cannot be told from those of a new one."""
    await empty_mongo._db.schema_versions.delete_many({})
    await Old.write(empty_mongo)
    return empty_mongo


def again(store: Mongo, migrations: tuple[Migration, ...] = MIGRATIONS) -> Mongo:
    """Another process at the same store."""
    other = Mongo(store._client, store._db.name)
    other.migrations = migrations
    return other


async def test_an_old_store_becomes_one_of_this_release(old: Mongo) -> None:
    await old.prepare()
    await Old.check(old)


async def test_preparing_again_changes_nothing(old: Mongo) -> None:
    await old.prepare()
    before = {name: await old._db[name].find({}).to_list(None) for name in await old._db.list_collection_names()}
    await again(old).prepare()
    assert before == {name: await old._db[name].find({}).to_list(None) for name in before}


async def test_five_processes_that_start_at_once_migrate_once(old: Mongo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL_S", 0.01)
    applied: list[int] = []

    def noting(migration: Migration) -> Migration:
        async def apply(db: Database) -> None:
            applied.append(migration.number)
            await migration.apply(db)

        return Migration(migration.number, migration.name, apply)

    watched = tuple(noting(migration) for migration in MIGRATIONS)
    await asyncio.gather(*(again(old, watched).prepare() for _ in range(5)))
    assert applied == [migration.number for migration in MIGRATIONS]
    await Old.check(old)


class _Dies:
    """A database whose process dies after so many of its writes."""

    def __init__(self, real: Any, left: list[int]) -> None:
        self._real = real
        self._left = left

    def __getitem__(self, name: str) -> Any:
        return _Dies(self._real[name], self._left)

    def __getattr__(self, name: str) -> Any:
        if name in ("replace_one", "update_many", "drop_index"):
            if self._left[0] == 0:
                raise OperationFailure("killed")
            self._left[0] -= 1
        real = getattr(self._real, name)
        return _Dies(real, self._left) if name in ("users", "families") else real


def _killed_after(writes: int) -> tuple[Migration, ...]:
    left = [writes]

    def dying(migration: Migration) -> Migration:
        async def apply(db: Database) -> None:
            await migration.apply(_Dies(db, left))

        return Migration(migration.number, migration.name, apply)

    return tuple(dying(migration) for migration in MIGRATIONS)


@pytest.mark.parametrize("writes", range(28))
async def test_what_was_cut_off_after_any_write_is_finished_by_the_next(old: Mongo, writes: int) -> None:
    try:
        await again(old, _killed_after(writes)).prepare()
    except BackendBadResponse:
        applied = await old._db.schema_versions.find({}).to_list(None)
        assert len(applied) < len(MIGRATIONS)
    else:
        assert writes > 20, "nothing was cut off"
    await again(old).prepare()
    await Old.check(old)


async def test_the_lease_of_the_dead_is_taken_over(old: Mongo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL_S", 0.01)
    assert await old.lease(module.LEASE, seconds=0.3)
    await asyncio.gather(*(again(old).prepare() for _ in range(3)))
    await Old.check(old)


async def test_whoever_waits_gives_up_with_a_word(old: Mongo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL_S", 0.01)
    assert await old.lease(module.LEASE, seconds=60)
    with pytest.raises(StartFailed, match="Another process"):
        await again(old).prepare(wait_s=0.05)
    assert await old._db.families.count_documents({"members": {"$exists": True}}) == 3


async def test_a_lease_is_kept_for_as_long_as_the_work_takes(old: Mongo, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL_S", 0.01)
    begun, enough = asyncio.Event(), asyncio.Event()
    runs = 0

    async def slow(db: Database) -> None:
        nonlocal runs
        runs += 1
        begun.set()
        await enough.wait()

    first, second = (again(old, (Migration(1, "slow", slow),)) for _ in range(2))
    extended = 0
    extend = first.extend_lease

    async def counting(*args: Any, **named: Any) -> bool:
        nonlocal extended
        extended += 1
        if extended == 6:  # Twice the lease has passed.
            enough.set()
        return await extend(*args, **named)

    monkeypatch.setattr(first, "extend_lease", counting)
    working = asyncio.create_task(first.prepare(lease_s=0.6))
    await begun.wait()
    await asyncio.gather(working, second.prepare(lease_s=0.6))
    assert runs == 1


async def test_whoever_lost_the_lease_stops(old: Mongo) -> None:
    stopped = asyncio.Event()
    holders: list[str] = []

    async def robbed(db: Database) -> None:
        [lease] = await db.leases.find({}).to_list(None)
        holders.append(lease["holder"])
        if len(holders) > 1:
            return
        await db.leases.update_one({"_id": module.LEASE}, {"$set": {"holder": "another", "until": 0}})
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    store = again(old, (Migration(1, "robbed", robbed),))
    await store.prepare(lease_s=0.1)
    assert stopped.is_set()
    assert len(set(holders)) == 2


async def test_a_store_of_a_newer_release_is_left_alone(empty_mongo: Mongo) -> None:
    await empty_mongo.prepare()
    newer = {"_id": f"version-{NEWEST + 3}", "number": NEWEST + 3, "name": "later"}
    await empty_mongo._db.schema_versions.insert_one(newer)
    with pytest.raises(StartFailed, match=rf"version {NEWEST + 3}.* up to {NEWEST}"):
        await empty_mongo.prepare()


async def test_what_is_there_twice_stops_the_start_with_its_collection(empty_mongo: Mongo) -> None:
    users = empty_mongo._db.users
    await users.drop_index("ownsFamilyId_1")
    try:
        await users.insert_many([_user(n, Old.client, ownsFamilyId=Old.first) for n in (1, 2)])
        with pytest.raises(StartFailed, match="`users`"):
            await empty_mongo.prepare()
    finally:
        await users.delete_many({})
        await empty_mongo.prepare()
    await users.insert_one(_user(1, Old.client, ownsFamilyId=Old.first))
    with pytest.raises(DuplicateKeyError):
        await users.insert_one(_user(2, Old.client, ownsFamilyId=Old.first))


async def test_indexes_that_are_not_there_are_no_obstacle() -> None:
    dropped: list[str] = []

    class Collection:
        def __init__(self, code: int) -> None:
            self.code = code

        async def drop_index(self, name: str) -> None:
            dropped.append(name)
            raise OperationFailure("no", self.code)

    class Db:
        code = 27

        def __getitem__(self, name: str) -> Collection:
            return Collection(self.code)

    db = Db()
    await drop_former_indexes(db)
    assert len(dropped) == 4
    db.code = 13
    with pytest.raises(OperationFailure):
        await drop_former_indexes(db)


def test_numbers_only_grow() -> None:
    numbers = [migration.number for migration in MIGRATIONS]
    assert numbers == list(range(1, len(MIGRATIONS) + 1))


async def test_the_demo_world_needs_no_migration(empty_mongo: Mongo, demo: DemoCredentials) -> None:
    documents = demo_documents(demo)
    await empty_mongo.insert(documents)
    await empty_mongo._db.schema_versions.delete_many({})
    before = {name: await empty_mongo._db[name].find({}).to_list(None) for name in documents}
    await empty_mongo.prepare()
    for name, rows in before.items():
        after = await empty_mongo._db[name].find({}).to_list(None)
        assert [{**row, "revision": 1} for row in rows] == [{**row, "revision": 1} for row in after]
