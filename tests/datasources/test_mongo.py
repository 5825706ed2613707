"""The core store against the embedded engine (or a real one): every query means what it says, and is one command."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from bson import ObjectId
from pymongo.errors import OperationFailure

from core import operation
from core.backends import BackendName
from core.demo import DemoCredentials
from core.errors import BackendBadResponse, BackendTimeout, BackendUnavailable, BadUserInput, Conflict
from core.operation import Operation
from core.scopes import UserRole
from core.settings import MongoSettings
from datasources._breaker import Breaker, CircuitState
from datasources._embedded import mongodb_answers
from datasources.mongo import BackendScopeRecord, FamilyRole, Keyset, MessageStatus, Mongo, UserRecord, UserStatus
from datasources.mongo import driver as module
from sandbox.world import World, object_id
from tests.conftest import Commands, demo_documents, told

WORLD = World(datetime.now(UTC))
SOMEBODY = WORLD.customers[2]
ABSENT = "f" * 24
NO_IDS = ["", "nobody", "5f" * 11, "g" * 24, "0" * 25, "\ud800", '{"$ne": null}']


@contextmanager
def counted(commands: Commands) -> Iterator[list[tuple[str, str]]]:
    """The commands that the block sends; they must be those that its trace tells."""
    with operation.running(Operation()) as running:
        commands.forget()
        yield commands.sent
        assert told(running.calls) == commands.sent


# -- reading by key ----------------------------------------------------------------------------------------------------


async def test_a_user_is_read_whole(mongo: Mongo) -> None:
    user = await mongo.user(SOMEBODY.id)
    assert isinstance(user, UserRecord)
    assert (user.id, user.name, user.email) == (SOMEBODY.id, SOMEBODY.name, SOMEBODY.email)
    assert (user.client_id, user.role, user.status) == (SOMEBODY.client.id, UserRole.CUSTOMER, UserStatus.ACTIVE)
    assert user.linked_accounts.medusa_customer_id == SOMEBODY.medusa_id
    assert user.linked_accounts.erp_customer_id == SOMEBODY.erp_id
    assert user.medusa_customer_ids == (SOMEBODY.medusa_id,)
    assert user.created_at.utcoffset() == timedelta(0)
    assert user.staff_access is None


async def test_clients_platforms_and_families_are_read_whole(mongo: Mongo) -> None:
    demo = WORLD.clients[2]
    client = await mongo.client(demo.id)
    assert client is not None
    assert (client.code, client.external_id, client.client_app_id) == (demo.code, demo.external_id, demo.app.id)
    scope = client.backend_scope
    assert scope is not None
    assert scope.medusa_sales_channel_ids == (demo.channel_id,)
    assert scope.pickup is not None
    assert scope.pickup.location is not None
    assert scope.pickup.location.latitude == demo.pickup.latitude
    app = await mongo.client_app(demo.app.id)
    assert app is not None
    assert (app.name, app.is_server_side, app.is_active) == ("Dakkah", True, True)
    user = await mongo.user(SOMEBODY.id)
    assert user is not None
    [family] = await mongo.families_by_ids([user.family_id or ""])
    members = await mongo.members_of_families([family.id])
    assert SOMEBODY.id in {member.id for member in members}
    assert [member.family_role for member in members] == [FamilyRole.OWNER, FamilyRole.ADULT, FamilyRole.CHILD]
    assert family.benefits[0].shared_by_id == members[0].id
    assert family.benefits[0].percent_off == 10


@pytest.mark.parametrize("method", ["users_by_ids", "clients_by_ids", "client_apps_by_ids", "families_by_ids"])
async def test_ids_that_are_none_are_absent_and_cost_nothing(mongo: Mongo, commands: Commands, method: str) -> None:
    with counted(commands) as sent:
        assert await getattr(mongo, method)(NO_IDS) == []
        assert await getattr(mongo, method)([]) == []
    assert sent == []
    assert await getattr(mongo, method)([ABSENT, *NO_IDS]) == []


async def test_many_ids_are_one_find(mongo: Mongo, commands: Commands) -> None:
    ids = [person.id for person in WORLD.people]
    with counted(commands) as sent:
        found = await mongo.users_by_ids([*ids, ABSENT, "x"])
    assert sorted(user.id for user in found) == sorted(ids)
    assert sent == [("find", "users")]


async def test_more_ids_than_a_call_carries_are_several(mongo: Mongo, commands: Commands) -> None:
    ids = [object_id(9, n) for n in range(module.IDS_PER_CALL)] + [SOMEBODY.id]
    with counted(commands) as sent:
        assert [user.id for user in await mongo.users_by_ids(ids)] == [SOMEBODY.id]
    assert sent == [("find", "users")] * 2


async def test_people_are_found_by_their_accounts(mongo: Mongo, commands: Commands) -> None:
    some = WORLD.customers[:5]
    with counted(commands) as sent:
        by_shop = await mongo.buyers_by_medusa_customer_ids([person.medusa_id for person in some])
        debtors = await mongo.buyers_by_erp_customer_ids([person.erp_id for person in some])
        by_erp = await mongo.users_by_erp_customer_ids([person.erp_id for person in some])
    assert {user.id for user in by_erp} == {person.id for person in some}
    for buyers in (by_shop, debtors):
        companies = {(buyer.user.id, buyer.scope.erp_company) for buyer in buyers}
        assert companies == {(person.id, person.client.company) for person in some}
    assert sent == [("aggregate", "users")] * 2 + [("find", "users")]
    assert await mongo.buyers_by_medusa_customer_ids(["cus_nobody"]) == []


async def test_a_buyer_of_no_client_has_no_part_of_anything(mongo: Mongo, newcomer: str) -> None:
    await mongo.add_medusa_customer_id(newcomer, "cus_a")
    [buyer] = await mongo.buyers_by_medusa_customer_ids(["cus_a"])
    assert (buyer.user.id, buyer.scope) == (newcomer, BackendScopeRecord())


async def test_a_key_is_found_by_its_hash_alone(mongo: Mongo, demo: DemoCredentials) -> None:
    hashes = [row["_id"] for row in demo_documents(demo)["keys"]]
    found = await mongo.key(hashes[0])
    assert found is not None
    assert (found.owner_kind, found.owner_id) == ("client_app", WORLD.apps[0].id)
    assert found.expires_at is found.revoked_at is None
    assert await mongo.key("0" * 64) is None


async def test_a_stored_record_of_another_shape_is_named_without_its_values(empty_mongo: Mongo) -> None:
    await empty_mongo._db.users.insert_one({"_id": ObjectId(SOMEBODY.id), "email": 7, "secret": "hush"})
    with pytest.raises(BackendBadResponse) as caught:
        await empty_mongo.user(SOMEBODY.id)
    assert caught.value.source is BackendName.OMNISTACK
    assert "hush" not in str(caught.value)


# -- pages -------------------------------------------------------------------------------------------------------------


async def walk(mongo: Mongo, limit: int, **filter: Any) -> list[UserRecord]:
    """Every page of a list, one after the other."""
    rows: list[UserRecord] = []
    after: Keyset | None = None
    while page := await mongo.users(limit=limit, after=after, **filter):
        rows += page
        after = Keyset(page[-1].created_at, page[-1].id)
    return rows


@pytest.mark.parametrize("limit", [1, 7, 100])
async def test_pages_hold_the_whole_list_once_newest_first(mongo: Mongo, limit: int) -> None:
    ids = [user.id for user in await walk(mongo, limit)]
    assert ids == [person.id for person in sorted(WORLD.people, key=lambda p: (p.created_at, p.id), reverse=True)]


async def test_rows_of_one_moment_are_told_apart_by_id(empty_mongo: Mongo, demo: DemoCredentials) -> None:
    moment = datetime(2026, 1, 1, 12, 0, 0, 123000, tzinfo=UTC)
    users = [row | {"createdAt": moment} for row in demo_documents(demo)["users"]]
    await empty_mongo.insert({"users": users})
    ids = [user.id for user in await walk(empty_mongo, 7)]
    assert ids == sorted((row["_id"] for row in users), reverse=True)
    client_id = WORLD.clients[0].id
    theirs = [user.id for user in await walk(empty_mongo, 3, client_ids=[client_id], search="e")]
    assert theirs == sorted((row["_id"] for row in users if row["clientId"] == client_id), reverse=True)


async def test_a_page_is_one_find_and_a_count_one_command(mongo: Mongo, commands: Commands) -> None:
    with counted(commands) as sent:
        assert len(await mongo.users(limit=40)) == 40
        assert await mongo.count_users() == len(WORLD.people)
        assert await mongo.count_users(ids=[SOMEBODY.id]) == 1
    assert sent == [("find", "users"), ("aggregate", "users"), ("find", "users")]


FILTERS: list[tuple[dict[str, Any], Any]] = [
    ({}, lambda p: True),
    ({"ids": []}, lambda p: False),
    ({"ids": NO_IDS}, lambda p: False),
    ({"ids": [SOMEBODY.id, ABSENT]}, lambda p: p is SOMEBODY),
    ({"client_ids": []}, lambda p: False),
    ({"client_ids": [SOMEBODY.client.id]}, lambda p: p.client is SOMEBODY.client),
    ({"client_ids": [SOMEBODY.client.id, "x"], "role": UserRole.STAFF},
     lambda p: p.client is SOMEBODY.client and p.role == "STAFF"),
    ({"role": UserRole.ADMIN}, lambda p: p.role == "ADMIN"),
    ({"status": UserStatus.ACTIVE}, lambda p: True),
    ({"status": UserStatus.SUSPENDED}, lambda p: False),
    ({"search": "manager"}, lambda p: p.role == "MANAGER"),
    ({"search": "MANAGER1@"}, lambda p: p.role == "MANAGER"),
    ({"search": "manager", "client_ids": [SOMEBODY.client.id]},
     lambda p: p.role == "MANAGER" and p.client is SOMEBODY.client),
    ({"search": ".*"}, lambda p: False),
    ({"search": "^c"}, lambda p: False),
    ({"search": "manager|staff"}, lambda p: False),
    ({"search": "("}, lambda p: False),
    ({"search": "\\"}, lambda p: False),
    ({"search": "$where"}, lambda p: False),
    ({"search": " 1 of "}, lambda p: " 1 of " in p.name),
    ({"search": ""}, lambda p: True),
]  # fmt: skip


@pytest.mark.parametrize(("filter", "fits"), FILTERS)
async def test_a_list_of_users_is_narrowed(mongo: Mongo, filter: dict[str, Any], fits: Any) -> None:
    expected = {person.id for person in WORLD.people if fits(person)}
    assert {user.id for user in await walk(mongo, 100, **filter)} == expected
    assert await mongo.count_users(**filter) == len(expected)


async def test_search_finds_letters_beyond_ascii(mongo: Mongo) -> None:
    assert [row.code for row in await mongo.clients(limit=9, search="durrës")] == ["DKDR01"]
    assert {row.code for row in await mongo.clients(limit=9, search="dk")} == {"DKTR01", "DKDR01"}


@pytest.mark.parametrize(
    ("filter", "codes"),
    [
        ({}, {"BBDF25", "SKBK01", "DKTR01", "DKDR01"}),
        ({"ids": [WORLD.clients[0].id]}, {"BBDF25"}),
        ({"ids": []}, set()),
        ({"app_ids": [WORLD.apps[1].id]}, {"DKTR01", "DKDR01"}),
        ({"app_ids": [""]}, set()),
        ({"code": "SKBK01"}, {"SKBK01"}),
        ({"code": "skbk01"}, set()),
        ({"code": "SKBK.*"}, set()),
        ({"external_id": WORLD.clients[3].external_id}, {"DKDR01"}),
        ({"is_active": False}, set()),
        ({"is_active": True, "search": "books"}, {"SKBK01"}),
    ],
)
async def test_a_list_of_clients_is_narrowed(mongo: Mongo, filter: dict[str, Any], codes: set[str]) -> None:
    assert {row.code for row in await mongo.clients(limit=9, **filter)} == codes
    assert await mongo.count_clients(**filter) == len(codes)


async def test_a_list_of_families_is_narrowed(mongo: Mongo) -> None:
    everybody = await mongo.families(limit=100)
    assert len(everybody) == await mongo.count_families() == 2 * len(WORLD.clients)
    user = await mongo.user(SOMEBODY.id)
    assert user is not None
    own = user.family_id or ""
    [theirs] = await mongo.families(limit=9, client_ids=[SOMEBODY.client.id], ids=[own])
    assert theirs.id == own
    assert await mongo.count_families(ids=[own]) == 1
    nothings: list[dict[str, Any]] = [{"ids": ["x"]}, {"ids": []}, {"client_ids": []}]
    for nothing in (*nothings, {"client_ids": [ABSENT], "ids": [own]}):
        assert await mongo.families(limit=9, **nothing) == []
        assert await mongo.count_families(**nothing) == 0


async def test_a_list_of_platforms_is_narrowed(mongo: Mongo) -> None:
    assert [row.name for row in await mongo.client_apps(limit=9)] == ["Dakkah", "BookMaster"]
    assert [row.name for row in await mongo.client_apps(limit=9, ids=[WORLD.apps[0].id])] == ["BookMaster"]
    assert await mongo.client_apps(limit=9, ids=[]) == []
    assert await mongo.count_client_apps(ids=[]) == 0


@pytest.mark.parametrize("odd", ["\ud800", "a\0b"])
async def test_text_that_no_database_takes_is_the_callers_mistake(mongo: Mongo, odd: str) -> None:
    for _ in range(6):
        with pytest.raises(BadUserInput):
            await mongo.users(limit=1, search=odd)
    assert mongo.breaker.state is CircuitState.CLOSED


async def test_an_object_in_the_place_of_text_cannot_reach_a_filter(mongo: Mongo) -> None:
    """Whatever slipped through the schema: an operator is no id, and no pattern."""
    operator: Any = {"$ne": None}
    assert await mongo.users_by_ids([operator]) == []
    assert await mongo.users(limit=9, ids=[operator], client_ids=[operator]) == []
    with pytest.raises(TypeError):
        await mongo.users(limit=9, search=operator)


# -- whose is what -----------------------------------------------------------------------------------------------------


@pytest.fixture
async def newcomer(mongo: Mongo) -> AsyncIterator[str]:
    """A user of this test's own, without accounts."""
    user_id, now = str(ObjectId()), datetime.now(UTC)
    row = {
        "_id": user_id,
        "clientId": str(ObjectId()),
        "email": "new@guests.example",
        "name": "New",
        "medusaCustomerIds": [],
        "createdAt": now,
        "updatedAt": now,
    }
    await mongo.insert({"users": [row]})
    yield user_id
    await mongo._db.users.delete_one({"_id": ObjectId(user_id)})


async def test_customers_that_carts_made_are_kept_once(mongo: Mongo, newcomer: str) -> None:
    await asyncio.gather(*(mongo.add_medusa_customer_id(newcomer, f"cus_{n % 3}") for n in range(12)))
    user = await mongo.user(newcomer)
    assert user is not None
    assert sorted(user.medusa_customer_ids) == ["cus_0", "cus_1", "cus_2"]
    assert user.updated_at.utcoffset() == timedelta(0)
    assert user.updated_at > user.created_at
    assert [found.user.id for found in await mongo.buyers_by_medusa_customer_ids(["cus_0", "cus_2"])] == [newcomer]
    for nobody in ("x", ABSENT):
        await mongo.add_medusa_customer_id(nobody, "cus_x")
    assert await mongo.buyers_by_medusa_customer_ids(["cus_x"]) == []


async def test_a_customer_that_is_known_costs_no_write(mongo: Mongo, newcomer: str, commands: Commands) -> None:
    assert await mongo.add_medusa_customer_id(newcomer, "cus_1") is True
    commands.forget()
    assert await mongo.add_medusa_customer_id(newcomer, "cus_1") is False
    assert commands.sent == [("find", "users")]


async def test_the_first_word_on_ownership_stays(mongo: Mongo) -> None:
    row, client_id, first, second = f"cart_{uuid4()}", WORLD.clients[0].id, WORLD.people[0].id, WORLD.people[1].id
    await mongo.record_ownership(BackendName.MEDUSA, row, client_id, first)
    await mongo.record_ownership(BackendName.MEDUSA, row, None, second)
    owner = await mongo.owner(BackendName.MEDUSA, row)
    assert owner is not None
    assert (owner.backend, owner.row_id, owner.client_id, owner.user_id) == ("MEDUSA", row, client_id, first)
    assert await mongo.owner(BackendName.STRIPE, row) is None


async def test_of_twenty_who_claim_a_row_at_once_one_owns_it(mongo: Mongo) -> None:
    row, people = f"cart_{uuid4()}", [person.id for person in WORLD.people[:20]]
    await asyncio.gather(*(mongo.record_ownership(BackendName.MEDUSA, row, None, person) for person in people))
    owner = await mongo.owner(BackendName.MEDUSA, row)
    assert owner is not None
    assert owner.user_id in people
    assert owner.client_id is None


async def test_owners_of_many_rows_are_one_find(mongo: Mongo, commands: Commands) -> None:
    rows = [f"pi_{uuid4()}" for _ in range(3)]
    for row in rows:
        await mongo.record_ownership(BackendName.STRIPE, row, ABSENT, None)
    with counted(commands) as sent:
        found = await mongo.owners(BackendName.STRIPE, [*rows, "nobody's"])
    assert {owner.row_id for owner in found} == set(rows)
    assert sent == [("find", "ownership")]


async def test_what_somebody_owns_is_listed_newest_first(empty_mongo: Mongo) -> None:
    client, other, user = (str(ObjectId()) for _ in range(3))
    for n in range(5):
        row = {
            "_id": f"FLEETBASE:d{n}",
            "backend": "FLEETBASE",
            "rowId": f"d{n}",
            "clientId": client if n != 2 else other,
            "userId": user if n == 3 else None,
            "createdAt": datetime(2026, 1, 1 + n, tzinfo=UTC),
        }
        await empty_mongo.insert({"ownership": [row]})

    async def owned(**of: Any) -> list[str]:
        rows = await empty_mongo.owned(BackendName.FLEETBASE, **{"limit": 9, **of})
        return [row.row_id for row in rows]

    assert await owned() == ["d4", "d3", "d2", "d1", "d0"]
    assert await owned(client_ids=[client]) == ["d4", "d3", "d1", "d0"]
    assert await owned(client_ids=[client, other], limit=3) == ["d4", "d3", "d2"]
    assert await owned(client_ids=[client], before=datetime(2026, 1, 4, tzinfo=UTC)) == ["d1", "d0"]
    assert await owned(client_ids=[client], user_id=user) == ["d3"]
    assert await owned(client_ids=[]) == []
    assert await owned(client_ids=["x"]) == []
    assert await owned(user_id="x") == []
    assert await empty_mongo.owned(BackendName.MEDUSA, limit=9) == []
    await empty_mongo.record_ownership(BackendName.FLEETBASE, "d5", client, user, kind="drone")
    assert await owned(client_ids=[client], kind="drone") == ["d5"]
    assert await owned(client_ids=[other], kind="drone") == []
    assert (await owned(client_ids=[client]))[0] == "d5"


# -- the outbox --------------------------------------------------------------------------------------------------------


async def test_of_twenty_claims_at_once_one_may_send(mongo: Mongo) -> None:
    key = f"mail-{uuid4()}"
    claims = await asyncio.gather(*(mongo.claim_message(key) for _ in range(20)))
    assert sorted(claim.status.value for claim in claims) == ["SENDING"] + ["UNKNOWN"] * 19


@pytest.mark.parametrize("end", [MessageStatus.SENT, MessageStatus.FAILED])
async def test_how_sending_ended_is_told_to_whoever_claims_it_again(mongo: Mongo, end: MessageStatus) -> None:
    key = f"mail-{uuid4()}"
    assert (await mongo.claim_message(key)).status is MessageStatus.SENDING
    await mongo.settle_message(key, end, provider_id="p1", detail="so")
    for _ in range(2):
        again = await mongo.claim_message(key)
        assert (again.key, again.status, again.provider_id, again.detail) == (key, end, "p1", "so")


async def test_a_message_is_settled_once(mongo: Mongo) -> None:
    key = f"mail-{uuid4()}"
    await mongo.claim_message(key)
    await mongo.claim_message(key)
    ends = [MessageStatus.SENT, MessageStatus.FAILED]
    await asyncio.gather(*(mongo.settle_message(key, ends[n % 2], provider_id=str(n)) for n in range(20)))
    settled = await mongo.claim_message(key)
    await mongo.settle_message(key, MessageStatus.UNKNOWN)
    assert await mongo.claim_message(key) == settled
    assert settled.status is ends[int(settled.provider_id or "x") % 2]


async def test_a_message_that_surely_was_not_sent_may_be_sent_by_the_next(mongo: Mongo) -> None:
    key = f"mail-{uuid4()}"
    await mongo.claim_message(key)
    await mongo.release_message(key)
    assert (await mongo.claim_message(key)).status is MessageStatus.SENDING


@pytest.mark.parametrize("end", [MessageStatus.SENT, MessageStatus.FAILED, MessageStatus.UNKNOWN])
async def test_a_message_whose_end_is_known_is_not_released(mongo: Mongo, end: MessageStatus) -> None:
    key = f"mail-{uuid4()}"
    await mongo.claim_message(key)
    await mongo.settle_message(key, end)
    await mongo.release_message(key)
    assert (await mongo.claim_message(key)).status is end


async def test_a_message_that_nobody_claimed_is_not_settled(mongo: Mongo) -> None:
    key = f"mail-{uuid4()}"
    await mongo.settle_message(key, MessageStatus.SENT)
    assert (await mongo.claim_message(key)).status is MessageStatus.SENDING


# -- making it ---------------------------------------------------------------------------------------------------------


async def test_preparing_may_happen_at_once_and_be_repeated(engine: tuple[asyncio.subprocess.Process, str]) -> None:
    _, uri = engine
    stores = [Mongo.open(MongoSettings(), uri) for _ in range(4)]
    await asyncio.gather(*(store.prepare() for store in stores))
    await stores[0].prepare()
    assert await stores[0].is_empty()
    indexes = await stores[0]._db.clients.index_information()
    assert sum(bool(index.get("unique")) for index in indexes.values()) == 2
    for store in stores:
        await store.aclose()


async def test_seeding_that_was_cut_off_is_finished_by_the_next(empty_mongo: Mongo, demo: DemoCredentials) -> None:
    documents = demo_documents(demo)
    assert list(documents)[-1] == "client_apps"
    half = {**documents, "users": documents["users"][:7]}
    await empty_mongo.insert({name: half[name] for name in list(half)[:3]})
    assert await empty_mongo.is_empty()
    await empty_mongo.insert(demo_documents(demo))
    assert not await empty_mongo.is_empty()
    for name, rows in documents.items():
        assert await empty_mongo._db[name].count_documents({}) == len(rows)


async def test_seeding_leaves_what_is_there_alone(empty_mongo: Mongo, demo: DemoCredentials) -> None:
    documents = demo_documents(demo)
    await empty_mongo.insert(documents)
    await empty_mongo.add_medusa_customer_id(SOMEBODY.id, "cus_of_a_cart")
    await asyncio.gather(*(empty_mongo.insert(documents) for _ in range(3)))
    user = await empty_mongo.user(SOMEBODY.id)
    assert user is not None
    assert "cus_of_a_cart" in user.medusa_customer_ids
    assert await empty_mongo.count_users() == len(documents["users"])


async def test_ids_of_ours_are_stored_as_object_ids_but_in_flat_arrays(mongo: Mongo) -> None:
    [user] = await mongo._db.users.find({"medusaCustomerIds": {"$in": [SOMEBODY.medusa_id]}}).to_list(None)
    assert isinstance(user["familyId"], ObjectId)
    [family] = await mongo._db.families.find({"_id": {"$in": [user["familyId"]]}}).to_list(None)
    assert {type(family["clientId"]), type(family["heirId"])} == {ObjectId}
    assert {type(benefit["sharedById"]) for benefit in family["benefits"]} == {ObjectId}
    assert {type(key["ownerId"]) for key in await mongo._db["keys"].find({}).to_list(None)} == {ObjectId}


@pytest.mark.parametrize("field", ["code", "externalId"])
async def test_code_and_external_id_are_unique_per_platform(
    empty_mongo: Mongo, demo: DemoCredentials, field: str
) -> None:
    first, second, *_ = demo_documents(demo)["clients"]
    await empty_mongo.insert({"clients": [first]})
    taken = {**second, field: first[field]}
    with pytest.raises(Conflict):
        await empty_mongo.insert({"clients": [taken]})
    await empty_mongo.insert({"clients": [{**taken, "clientAppId": str(ObjectId())}]})
    assert await empty_mongo.count_clients() == 2


async def test_clients_without_an_external_id_do_not_meet(empty_mongo: Mongo, demo: DemoCredentials) -> None:
    rows = [{k: v for k, v in row.items() if k != "externalId"} for row in demo_documents(demo)["clients"]]
    await empty_mongo.insert({"clients": rows})
    assert [row.external_id for row in await empty_mongo.clients(limit=9)] == [None] * len(rows)


# -- a bad day ---------------------------------------------------------------------------------------------------------


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """An engine that the test may stop, and its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    options = ["--db", str(tmp_path / "m.db"), "--host", "127.0.0.1", "--port", str(port)]
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).parent / "nx-27017"),
        *(*options, "--pid-file", str(tmp_path / "m.pid"), "--log-file", os.devnull),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(20):
            while not await _answers(port):
                await asyncio.sleep(0.02)
        yield process, f"mongodb://127.0.0.1:{port}"
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _answers(port: int) -> bool:
    try:
        return await mongodb_answers(port)
    except OSError:
        return False


async def test_a_store_that_hangs_costs_the_time_that_is_left_and_no_more(
    engine: tuple[asyncio.subprocess.Process, str],
) -> None:
    process, uri = engine
    store = Mongo.open(MongoSettings(), uri)
    await store.ping()
    process.send_signal(signal.SIGSTOP)
    started = time.monotonic()
    with operation.running(operation.within(0.3)) as running, pytest.raises(BackendTimeout) as caught:
        await store.user(SOMEBODY.id)
    assert time.monotonic() - started < 2
    assert caught.value.source is BackendName.OMNISTACK
    assert [(call.method, call.path) for call in running.calls] == [("find", "users")]
    process.send_signal(signal.SIGCONT)
    assert await store.user(SOMEBODY.id) is None
    await store.aclose()


async def test_callers_in_a_hurry_do_not_open_the_circuit_of_everybody(
    engine: tuple[asyncio.subprocess.Process, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    process, uri = engine
    store = Mongo.open(MongoSettings(), uri)
    await store.ping()
    process.send_signal(signal.SIGSTOP)
    for _ in range(6):
        with operation.running(operation.within(0.02)), pytest.raises(BackendTimeout):
            await store.user(SOMEBODY.id)
    assert store.breaker.admits()
    with operation.running(operation.within(0)) as running, pytest.raises(BackendTimeout, match="no time"):
        await store.user(SOMEBODY.id)
    assert running.calls == []
    monkeypatch.setattr(module, "FAIR_WAIT_S", 0.01)
    for _ in range(5):
        with operation.running(operation.within(0.02)), pytest.raises(BackendTimeout):
            await store.user(SOMEBODY.id)
    assert store.breaker.state is CircuitState.OPEN
    with operation.running(Operation()) as running, pytest.raises(BackendUnavailable, match="left alone") as caught:
        await store.user(SOMEBODY.id)
    assert running.calls == []
    assert (caught.value.retry_after_s or 0) > 0
    await store.aclose()


async def test_a_store_that_is_gone_is_unavailable_and_comes_back(
    engine: tuple[asyncio.subprocess.Process, str],
) -> None:
    process, uri = engine
    store = Mongo.open(MongoSettings(), uri)
    await store.ping()
    process.kill()
    await process.wait()
    with operation.running(operation.within(1)), pytest.raises((BackendUnavailable, BackendTimeout)) as caught:
        await store.user(SOMEBODY.id)
    assert "127.0.0.1" not in str(caught.value)
    await store.aclose()


async def test_a_command_that_is_refused_says_that_the_store_lives(mongo: Mongo) -> None:
    store = Mongo(mongo._client, mongo._db.name)
    store.breaker = Breaker(consecutive=1)
    with pytest.raises(BackendBadResponse) as caught:
        async with store._call("find", "users"):
            raise OperationFailure("unknown operator: $hush")  # the embedded engine never refuses one
    assert "hush" not in str(caught.value)
    assert store.breaker.state is CircuitState.CLOSED


async def test_a_call_is_traced_by_command_and_collection(mongo: Mongo) -> None:
    with operation.running(Operation()) as running:
        await mongo.users_by_ids([SOMEBODY.id, ABSENT])
    [call] = running.calls
    assert (call.backend, call.method, call.path) == (BackendName.OMNISTACK, "find", "users")
    assert (call.status, call.batch_size, call.retries) == (None, 2, 0)
    assert call.ms > 0


# -- revising ----------------------------------------------------------------------------------------------------------


async def test_concurrent_revisions_are_all_kept(empty_mongo: Mongo) -> None:
    made = await empty_mongo._insert_new("users", {"clientId": ABSENT, "email": "a@b.c", "name": "0"}, UserRecord)

    def counted(document: dict[str, Any]) -> dict[str, Any]:
        return {**document, "name": str(int(document["name"]) + 1), "isSeen": True, "seenAt": datetime.now(UTC)}

    await asyncio.gather(*(empty_mongo._revise("users", made.id, counted, UserRecord) for _ in range(20)))
    [stored] = await empty_mongo._db.users.find({}).to_list(None)
    assert (stored["name"], stored["revision"], stored["isSeen"]) == ("20", 21, True)
    assert isinstance(stored["seenAt"], datetime)
    assert isinstance(stored["clientId"], ObjectId)


async def test_documents_from_before_revisions_are_revised_too(empty_mongo: Mongo) -> None:
    now = datetime.now(UTC)
    row = {"_id": ABSENT, "clientId": ABSENT, "email": "a@b.c", "name": "A", "createdAt": now, "updatedAt": now}
    await empty_mongo.insert({"users": [row]})
    revised = await empty_mongo._revise("users", ABSENT, lambda document: {**document, "name": "B"}, UserRecord)
    assert revised is not None
    assert (revised.name, revised.updated_at >= now.replace(microsecond=0)) == ("B", True)
    untouched = await empty_mongo._revise("users", ABSENT, lambda document: None, UserRecord)
    assert untouched is not None
    assert untouched == revised
    assert await empty_mongo._revise("users", "e" * 24, lambda document: document, UserRecord) is None


async def test_a_revision_that_takes_what_is_taken_is_a_conflict(empty_mongo: Mongo) -> None:
    await empty_mongo._insert_new(
        "users", {"clientId": ABSENT, "email": "a@b.c", "emailKey": "a@b.c", "name": "A"}, UserRecord
    )
    other = await empty_mongo._insert_new("users", {"clientId": ABSENT, "email": "b@b.c", "name": "B"}, UserRecord)
    with pytest.raises(Conflict):
        await empty_mongo._revise("users", other.id, lambda document: {**document, "emailKey": "a@b.c"}, UserRecord)
    with pytest.raises(Conflict):
        await empty_mongo._insert_new(
            "users", {"clientId": ABSENT, "email": "a@b.c", "emailKey": "a@b.c", "name": "C"}, UserRecord
        )
