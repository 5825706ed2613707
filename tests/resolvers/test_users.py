"""Who sees whom."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from core import operation
from core.errors import BadUserInput, NotFound
from core.scopes import UserRole
from datasources.mongo import Mongo, UserRecord, UserStatus
from resolvers import users
from resolvers.context import Context
from resolvers.pages import Page
from resolvers.users import UserByErpCustomerId, UserById, UserByMedusaCustomerId, UserWanted
from sandbox.world import Person, World
from tests.conftest import Callers, Commands, MakeContext, demo_documents, told

WORLD = World(datetime.now(UTC))
THEIRS, SISTER, FOREIGN = WORLD.clients[2], WORLD.clients[3], WORLD.clients[0]
SELF = next(person for person in WORLD.customers if person.client is THEIRS)
OTHER = next(person for person in WORLD.customers if person.client is THEIRS and person is not SELF)


def of(*clients: Any) -> set[str]:
    return {person.id for person in WORLD.people if person.client in clients}


SEEN = {
    "service": of(*WORLD.clients),
    "platform": set(),
    "server_side_platform": of(THEIRS, SISTER),
    "client": of(THEIRS),
    "customer": {SELF.id},
    "staff": of(THEIRS),
    "manager": of(THEIRS),
    "admin": of(THEIRS),
}
EVERY_CALLER = pytest.mark.parametrize("caller", SEEN)


async def everybody(ctx: Context, **wanted: Any) -> list[UserRecord]:
    """Every page of the list, one after the other; its size is what `totalCount` says."""
    rows: list[UserRecord] = []
    after = None
    while True:
        page: Page[UserRecord] = await users.users(ctx, first=7, after=after, wanted=UserWanted(**wanted))
        rows += page.nodes
        after = page.page_info.end_cursor
        if not page.page_info.has_next_page:
            assert await page.total() == len(rows)
            return rows


@pytest.fixture
def seeing(callers: Callers, make_context: MakeContext, caller: str) -> Context:
    return make_context(callers[caller])


@EVERY_CALLER
async def test_by_id(seeing: Context, caller: str) -> None:
    found = await seeing.loader(UserById).load_many([person.id for person in WORLD.people])
    assert {user.id for user in found if user} == SEEN[caller]
    assert [user.id if user else None for user in found] == [
        person.id if person.id in SEEN[caller] else None for person in WORLD.people
    ]


@EVERY_CALLER
async def test_by_account(seeing: Context, caller: str) -> None:
    customers = WORLD.customers
    seen = [person.id if person.id in SEEN[caller] else None for person in customers]
    by_shop = await seeing.loader(UserByMedusaCustomerId).load_many([person.medusa_id for person in customers])
    by_erp = await seeing.loader(UserByErpCustomerId).load_many([person.erp_id for person in customers])
    assert [user.id if user else None for user in by_shop] == seen
    assert [user.id if user else None for user in by_erp] == seen


@EVERY_CALLER
async def test_in_the_list_newest_first_and_once(seeing: Context, caller: str) -> None:
    expected = sorted((p for p in WORLD.people if p.id in SEEN[caller]), key=lambda p: p.created_at, reverse=True)
    assert [user.id for user in await everybody(seeing)] == [person.id for person in expected]


FILTERS: dict[str, tuple[dict[str, Any], Any]] = {
    "client": ({"client_id": THEIRS.id}, lambda p: p.client is THEIRS),
    "sister": ({"client_id": SISTER.id}, lambda p: p.client is SISTER),
    "foreign": ({"client_id": FOREIGN.id}, lambda p: p.client is FOREIGN),
    "no client": ({"client_id": "x"}, lambda p: False),
    "ids": ({"ids": [SELF.id, OTHER.id, WORLD.people[0].id]}, lambda p: p in (SELF, OTHER, WORLD.people[0])),
    "no ids": ({"ids": []}, lambda p: False),
    "odd ids": ({"ids": ["x", "{}"]}, lambda p: False),
    "role": ({"role": UserRole.MANAGER}, lambda p: p.role == "MANAGER"),
    "status": ({"status": UserStatus.SUSPENDED}, lambda p: False),
    "search": ({"search": "customer1@"}, lambda p: p.email.startswith("customer1@")),
    "pattern": ({"search": ".*"}, lambda p: False),
    "all": ({"client_id": THEIRS.id, "role": UserRole.CUSTOMER, "search": "1", "ids": [SELF.id]}, lambda p: p is SELF),
}


@EVERY_CALLER
@pytest.mark.parametrize("name", FILTERS)
async def test_a_filter_never_widens_what_is_seen(seeing: Context, caller: str, name: str) -> None:
    wanted, fits = FILTERS[name]
    expected = {person.id for person in WORLD.people if fits(person) and person.id in SEEN[caller]}
    assert {user.id for user in await everybody(seeing, **wanted)} == expected


async def test_the_newest_twenty_hold_customers_with_accounts(make_context: MakeContext, callers: Callers) -> None:
    page = await users.users(make_context(callers["service"]), first=None, after=None, wanted=UserWanted())
    assert len(page.nodes) == 20
    assert all(user.medusa_customer_ids and user.linked_accounts.erp_customer_id for user in page.nodes)


async def test_a_page_is_one_find_and_its_size_is_counted_only_when_asked(
    make_context: MakeContext, callers: Callers, commands: Commands
) -> None:
    ctx = make_context(callers["staff"])
    commands.forget()
    page = await users.users(ctx, first=5, after=None, wanted=UserWanted())
    assert commands.sent == told(operation.current().calls) == [("find", "users")]
    await page.total()
    assert commands.sent == told(operation.current().calls) == [("find", "users")] * 2


async def test_many_people_are_one_find(make_context: MakeContext, callers: Callers, commands: Commands) -> None:
    loader = make_context(callers["service"]).loader(UserById)
    commands.forget()
    await loader.load_many([person.id for person in WORLD.people] * 2 + ["x"])
    assert commands.sent == told(operation.current().calls) == [("find", "users")]
    [call] = operation.current().calls
    assert call.batch_size == len(WORLD.people)


async def test_one_user_answers_several_customers(
    empty_mongo: Mongo, make_context: MakeContext, callers: Callers, commands: Commands
) -> None:
    ctx = make_context(callers["service"])
    ctx.sources.mongo = empty_mongo  # type: ignore[misc]
    [row] = [row for row in _people(callers) if row["_id"] == SELF.id]
    await empty_mongo.insert({"users": [row | {"medusaCustomerIds": [SELF.medusa_id, "cus_cart"]}]})
    commands.forget()
    found = await ctx.loader(UserByMedusaCustomerId).load_many(["cus_cart", "cus_x", SELF.medusa_id])
    assert [user.id if user else None for user in found] == [SELF.id, None, SELF.id]
    assert commands.sent == [("find", "users")]


def _people(callers: Callers) -> list[dict[str, Any]]:
    return demo_documents(callers.demo)["users"]


@pytest.mark.parametrize("first", [0, 101])
async def test_a_page_of_another_size_is_refused(make_context: MakeContext, callers: Callers, first: int) -> None:
    with pytest.raises(BadUserInput):
        await users.users(make_context(callers["service"]), first=first, after=None, wanted=UserWanted())


async def test_more_than_a_thousand_ids_are_refused(make_context: MakeContext, callers: Callers) -> None:
    wanted = UserWanted(ids=["x"] * 1001)
    with pytest.raises(BadUserInput, match="at most 1000"):
        await users.users(make_context(callers["service"]), first=1, after=None, wanted=wanted)


# -- acting for somebody -----------------------------------------------------------------------------------------------


@EVERY_CALLER
@pytest.mark.parametrize("person", [SELF, OTHER, WORLD.people[0]], ids=["self", "other", "foreign"])
async def test_one_acts_for_whom_one_sees(seeing: Context, caller: str, person: Person) -> None:
    if person.id in SEEN[caller]:
        found = await users.user_to_act_for(seeing, person.id)
        assert found is not None
        assert found.id == person.id
    else:
        with pytest.raises(NotFound):
            await users.user_to_act_for(seeing, person.id)


@EVERY_CALLER
async def test_whoever_names_nobody_acts_for_themselves(seeing: Context) -> None:
    found = await users.user_to_act_for(seeing, None)
    assert (found.id if found else None) == seeing.principal.user_id


async def test_nobody_acts_for_a_user_who_is_not_active(
    empty_mongo: Mongo, make_context: MakeContext, callers: Callers
) -> None:
    ctx = make_context(callers["service"])
    ctx.sources.mongo = empty_mongo  # type: ignore[misc]
    await empty_mongo.insert({"users": [row | {"status": "SUSPENDED"} for row in _people(callers)]})
    with pytest.raises(BadUserInput, match="not active"):
        await users.user_to_act_for(ctx, SELF.id)
