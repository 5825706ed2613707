"""Who sees whom, and who changes whom."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from core import operation
from core.auth import Credentials
from core.demo import DemoCredentials
from core.errors import BadUserInput, Conflict, Forbidden, NotFound, Unauthenticated
from core.operation import Operation
from core.principals import Principal
from core.scopes import UserRole
from core.signals import LocalSignals
from datasources.identities import Identities
from datasources.mongo import LinkedAccountsRecord, Mongo, UserChanges, UserRecord, UserStatus
from resolvers import users
from resolvers.context import Context
from resolvers.pages import Page
from resolvers.principals import Identification
from resolvers.users import NewPerson, UserByErpCustomerId, UserById, UserWanted
from sandbox.world import Person, World
from tests import callers as callers_of_world
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
    by_erp = await seeing.loader(UserByErpCustomerId).load_many([person.erp_id for person in customers])
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


# -- changing people ---------------------------------------------------------------------------------------------------

NEWCOMER = NewPerson(email=" Ann@New.example ", name=" Ann van Lee ", phone="+355 69 1234567")
ROLES = list(UserRole)
Change = Callable[[Context], Awaitable[UserRecord]]


class Desk:
    """Where people are changed: the store with the demo world, and an ear for changes of identity."""

    def __init__(self, mongo: Mongo) -> None:
        self.mongo, self.told = mongo, 0
        identities = Identities(LocalSignals())
        identities.on_change(self._hear)
        self.sources: Any = SimpleNamespace(mongo=mongo, identities=identities)

    def _hear(self) -> None:
        self.told += 1

    def context(self, principal: Principal) -> Context:
        operation.enter(Operation())
        return Context(self.sources, principal, address="192.0.2.7")

    async def documents(self, collection: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await self.mongo._db[collection].find({}).to_list(None)
        return found

    async def document(self, user_id: str) -> dict[str, Any]:
        return next(each for each in await self.documents("users") if str(each["_id"]) == user_id)

    async def audited(self, user_id: str) -> list[tuple[str, dict[str, Any]]]:
        entries = [each for each in await self.documents("audit") if str(each["subject"]["id"]) == user_id]
        return [(entry["event"], entry["detail"]) for entry in entries]


@pytest.fixture
async def desk(empty_mongo: Mongo, demo: DemoCredentials) -> Desk:
    await empty_mongo.insert(demo_documents(demo))
    return Desk(empty_mongo)


def somebody(role: str, client: int = 0, n: int = 0) -> Principal:
    return callers_of_world.user(callers_of_world.person(role, client, n))


CLIENT = callers_of_world.client()
SERVICE = callers_of_world.SERVICE


async def test_a_newcomer_is_as_the_caller_said(desk: Desk) -> None:
    made = await users.create_user(desk.context(CLIENT), NEWCOMER)
    assert (made.email, made.name, made.phone) == ("Ann@New.example", "Ann van Lee", "+355 69 1234567")
    assert (made.client_id, made.role, made.status) == (CLIENT.client_id, UserRole.CUSTOMER, UserStatus.ACTIVE)
    assert (made.linked_accounts, made.medusa_customer_ids) == (LinkedAccountsRecord(), ())
    assert (await desk.mongo.user(made.id), made.created_at) == (made, made.updated_at)
    assert await desk.audited(made.id) == [("user.created", {"clientId": CLIENT.client_id, "role": "CUSTOMER"})]


async def test_whoever_has_several_clients_names_one(desk: Desk) -> None:
    for principal in (SERVICE, callers_of_world.platform(server_side=True)):
        with pytest.raises(BadUserInput, match="clientId"):
            await users.create_user(desk.context(principal), NEWCOMER)
    there = replace(NEWCOMER, client_id=WORLD.clients[3].id)
    made = await users.create_user(desk.context(callers_of_world.platform(server_side=True)), there)
    assert made.client_id == WORLD.clients[3].id
    for principal in (callers_of_world.platform(server_side=True), CLIENT, somebody("ADMIN")):
        with pytest.raises(NotFound):
            await users.create_user(desk.context(principal), replace(NEWCOMER, client_id=WORLD.clients[1].id))
    with pytest.raises(NotFound):
        await users.create_user(desk.context(callers_of_world.platform(server_side=False)), there)


@pytest.mark.parametrize("written", ["ann@new.example", "ANN@NEW.EXAMPLE", "  Ann@New.Example"])
async def test_an_address_is_one_persons_within_a_client_however_it_is_written(desk: Desk, written: str) -> None:
    first = await users.create_user(desk.context(CLIENT), NEWCOMER)
    for attempt in (
        users.create_user(desk.context(CLIENT), replace(NEWCOMER, email=written)),
        users.update_user(desk.context(CLIENT), callers_of_world.person("STAFF").id, UserChanges(email=written)),
    ):
        with pytest.raises(Conflict, match="e-mail") as refused:
            await attempt
        assert first.id not in str(refused.value)
        assert first.name not in str(refused.value)
    elsewhere = await users.create_user(desk.context(callers_of_world.client(1)), replace(NEWCOMER, email=written))
    assert elsewhere.client_id == WORLD.clients[1].id
    rewritten = await users.update_user(desk.context(CLIENT), first.id, UserChanges(email=written))
    assert rewritten.email == written.strip()


async def test_of_two_at_once_with_one_address_one_is_made(desk: Desk) -> None:
    async def make(email: str) -> UserRecord:
        return await users.create_user(desk.context(CLIENT), replace(NEWCOMER, email=email))

    made = await asyncio.gather(*map(make, ("a@x.example", "A@x.example")), return_exceptions=True)
    assert sorted(type(each).__name__ for each in made) == ["Conflict", "UserRecord"]
    [refused] = [each for each in await desk.documents("audit") if each["event"] == "user.created.failed"]
    assert refused["error"] == "CONFLICT"


async def test_an_address_that_was_bought_under_is_given_to_nobody_else(desk: Desk) -> None:
    """Medusa finds guests by it: the next to have it would share their orders."""
    buyer, other = WORLD.customers[0], await users.create_user(desk.context(CLIENT), NEWCOMER)
    assert buyer.client.id == CLIENT.client_id
    await users.update_user(desk.context(CLIENT), buyer.id, UserChanges(email="moved@x.example"))
    for attempt in (
        users.create_user(desk.context(CLIENT), replace(NEWCOMER, email=buyer.email.upper())),
        users.update_user(desk.context(CLIENT), other.id, UserChanges(email=buyer.email)),
    ):
        with pytest.raises(Conflict):
            await attempt
    await users.create_user(desk.context(callers_of_world.client(1)), replace(NEWCOMER, email=buyer.email))
    back = await users.update_user(desk.context(CLIENT), buyer.id, UserChanges(email=buyer.email))
    assert back.email == buyer.email
    await users.update_user(desk.context(CLIENT), other.id, UserChanges(email="moved-too@x.example"))
    assert (await users.create_user(desk.context(CLIENT), NEWCOMER)).id != other.id


BAD: dict[str, list[str]] = {
    "email": ["", " ", "ann", "ann@", "@x.example", "a b@x.example", "a@x", "a@x..example",
              f"a@{'x' * 260}.example", "a@x.ex\0"],
    "name": ["", "  ", "x" * 201, "A\nB", "A\0", "\ud800"],
    "phone": ["", "12", "+", "phone", "+3556912345678901234567", "+355 69\n12", "1234$5678"],
}  # fmt: skip


@pytest.mark.parametrize(("field", "value"), [(field, value) for field, values in BAD.items() for value in values])
async def test_what_cannot_be_said_about_a_person(desk: Desk, field: str, value: str) -> None:
    said: dict[str, Any] = {field: value}
    for attempt in (
        users.create_user(desk.context(CLIENT), replace(NEWCOMER, **said)),
        users.update_user(desk.context(CLIENT), WORLD.customers[0].id, UserChanges(**said)),
    ):
        with pytest.raises(BadUserInput, match=f"`{field}`"):
            await attempt
    assert await desk.documents("audit") == []


@pytest.mark.parametrize("own", ROLES[1:])
@pytest.mark.parametrize("given", ROLES)
async def test_a_role_is_given_up_to_ones_own(desk: Desk, own: UserRole, given: UserRole) -> None:
    caller, target = somebody(own.value), WORLD.customers[0]
    if ROLES.index(given) <= ROLES.index(own):
        assert (await users.create_user(desk.context(caller), replace(NEWCOMER, role=given))).role is given
        assert (await users.update_user(desk.context(caller), target.id, UserChanges(role=given))).role is given
        return
    with pytest.raises(Forbidden):
        await users.create_user(desk.context(caller), replace(NEWCOMER, role=given))
    for whom in (target.id, caller.user_id or ""):  # nor to oneself
        with pytest.raises(Forbidden):
            await users.update_user(desk.context(caller), whom, UserChanges(role=given))
    assert desk.told == 0


@pytest.mark.parametrize("own", ROLES[1:])
@pytest.mark.parametrize("other", ROLES)
async def test_nobody_changes_somebody_above_them(desk: Desk, own: UserRole, other: UserRole) -> None:
    caller, target = somebody(own.value), callers_of_world.person(other.value)
    may = ROLES.index(other) <= ROLES.index(own)
    for attempt in (
        users.update_user(desk.context(caller), target.id, UserChanges(name="New")),
        users.update_user(desk.context(caller), target.id, UserChanges(role=UserRole.CUSTOMER)),
    ):
        if may:
            await attempt
            await desk.mongo.revise_user(target.id, UserChanges(role=other), check=lambda user: None)
        else:
            with pytest.raises(Forbidden):
                await attempt
    changes: list[Change] = [
        lambda ctx: users.set_user_status(ctx, target.id, UserStatus.SUSPENDED),
        lambda ctx: users.revoke_staff_access(ctx, target.id),
    ]
    for change in changes:
        if may:
            await change(desk.context(caller))
        else:
            with pytest.raises(Forbidden):
                await change(desk.context(caller))
    if not may:
        assert (await desk.audited(target.id), desk.told) == ([], 0)


@pytest.mark.parametrize("principal", [SERVICE, CLIENT], ids=["service", "client"])
async def test_keys_stand_above_everybody(desk: Desk, principal: Principal) -> None:
    admin = callers_of_world.person("ADMIN")
    assert (await users.update_user(desk.context(principal), admin.id, UserChanges(name="X"))).name == "X"
    raised = await users.update_user(desk.context(principal), WORLD.customers[0].id, UserChanges(role=UserRole.ADMIN))
    assert raised.role is UserRole.ADMIN


@pytest.mark.parametrize("id", [WORLD.customers[1].id, "f" * 24, "x", ""])
async def test_somebody_elses_people_look_like_nobody(desk: Desk, id: str) -> None:
    changes: list[Change] = [
        lambda ctx: users.update_user(ctx, id, UserChanges(name="X")),
        lambda ctx: users.set_user_status(ctx, id, UserStatus.SUSPENDED),
        lambda ctx: users.grant_staff_access(ctx, id, ["orders"]),
        lambda ctx: users.revoke_staff_access(ctx, id),
    ]
    for change in changes:
        with pytest.raises(NotFound, match="there is no such user"):
            await change(desk.context(CLIENT))
    assert (await desk.documents("audit"), desk.told) == ([], 0)


@pytest.mark.parametrize("kind", ["client", "manager"])
async def test_whoever_was_cut_gives_no_role_that_reaches_further(desk: Desk, kind: str) -> None:
    whole = (
        callers_of_world.client(2) if kind == "client" else callers_of_world.user(callers_of_world.person("MANAGER", 2))
    )
    cut = replace(whole, scopes=whole.scopes - {"workflows:approve"})
    with pytest.raises(Forbidden, match="workflows:approve"):
        await users.create_user(desk.context(cut), NewPerson(email="m@example.com", name="M", role=UserRole.MANAGER))
    made = await users.create_user(desk.context(cut), NewPerson(email="s@example.com", name="S", role=UserRole.STAFF))
    with pytest.raises(Forbidden, match="workflows:approve"):
        await users.update_user(desk.context(cut), made.id, UserChanges(role=UserRole.MANAGER))
    assert (
        await users.create_user(desk.context(cut), NewPerson(email="c@example.com", name="C"))
    ).role is UserRole.CUSTOMER


async def test_whoever_was_cut_lets_nobody_in_again_who_reaches_further(desk: Desk) -> None:
    manager = callers_of_world.person("MANAGER", 2)
    cut = replace(callers_of_world.user(manager), scopes=frozenset({"core:read", "core:write"}))
    newcomer = NewPerson(email="m@example.com", name="M", role=UserRole.MANAGER)
    made = await users.create_user(desk.context(callers_of_world.user(manager)), newcomer)
    out = await users.set_user_status(desk.context(cut), made.id, UserStatus.SUSPENDED)
    assert out.status is UserStatus.SUSPENDED
    with pytest.raises(Forbidden, match="workflows:approve"):
        await users.set_user_status(desk.context(cut), made.id, UserStatus.ACTIVE)
    back = await users.set_user_status(desk.context(callers_of_world.user(manager)), made.id, UserStatus.ACTIVE)
    assert back.status is UserStatus.ACTIVE


async def test_somebody_raised_meanwhile_is_above_the_caller(desk: Desk) -> None:
    """Between the look and the write."""
    target, ctx = WORLD.customers[0], desk.context(somebody("STAFF"))
    assert await users.user(ctx, target.id)
    await desk.mongo.revise_user(target.id, UserChanges(role=UserRole.ADMIN), check=lambda user: None)
    with pytest.raises(Forbidden):
        await users.set_user_status(ctx, target.id, UserStatus.DEACTIVATED)
    kept = await desk.mongo.user(target.id)
    assert kept is not None
    assert kept.status is UserStatus.ACTIVE
    assert [event for event, _ in await desk.audited(target.id)] == [
        "user.status_changed",
        "user.status_changed.failed",
    ]


async def test_a_change_is_told_written_down_and_dated(desk: Desk) -> None:
    target, caller = WORLD.customers[0], somebody("ADMIN")
    before = await desk.mongo.user(target.id)
    changes = UserChanges(email="New@x.example", name="New", phone=None)
    after = await users.update_user(desk.context(caller), target.id, changes)
    assert before is not None
    assert (after.email, after.name, after.phone, after.role) == ("New@x.example", "New", None, before.role)
    assert after.updated_at > before.updated_at
    assert (after.created_at, after.linked_accounts, after.family_id) == (
        before.created_at,
        before.linked_accounts,
        before.family_id,
    )
    assert "phone" not in await desk.document(target.id)
    assert desk.told == 1
    assert await desk.audited(target.id) == [("user.changed", {"fields": ["email", "name", "phone"]})]
    await users.update_user(desk.context(caller), target.id, UserChanges(role=UserRole.STAFF))
    assert (await desk.audited(target.id))[1] == (
        "user.role_changed",
        {"from": "CUSTOMER", "to": "STAFF", "fields": ["role"]},
    )
    [*_, entry] = await desk.documents("audit")
    assert (entry["actor"]["userId"], entry["address"]) == (caller.user_id, "192.0.2.7")


async def test_nothing_said_is_nothing_done(desk: Desk) -> None:
    before = await desk.mongo.user(WORLD.customers[0].id)
    assert await users.update_user(desk.context(CLIENT), WORLD.customers[0].id, UserChanges()) == before
    assert (await desk.documents("audit"), desk.told) == ([], 0)


@pytest.mark.parametrize("status", [UserStatus.SUSPENDED, UserStatus.DEACTIVATED])
async def test_only_the_active_sign_in_and_whatever_else_they_have_stays(
    desk: Desk, identification: Identification, demo: DemoCredentials, status: UserStatus
) -> None:
    shown = Credentials(bearer=demo.tokens["STAFF"])
    signed_in = await identification.identify(desk.mongo, shown)
    before = await desk.document(signed_in.user_id or "")
    after = await users.set_user_status(desk.context(SERVICE), signed_in.user_id or "", status)
    assert after.status is status
    with pytest.raises(Unauthenticated):
        await identification.identify(desk.mongo, shown)
    kept = await desk.document(after.id)
    changed = {name for name in before.keys() | kept.keys() if before.get(name) != kept.get(name)}
    assert changed == {"status", "updatedAt", "revision"}
    assert after.staff_access
    await users.set_user_status(desk.context(SERVICE), after.id, UserStatus.ACTIVE)
    assert (await identification.identify(desk.mongo, shown)).user_id == after.id
    assert desk.told == 2
    assert (await desk.audited(after.id))[0] == ("user.status_changed", {"from": "ACTIVE", "to": status.value})


async def test_a_deactivated_member_stays_in_the_family(desk: Desk) -> None:
    member = await desk.mongo.user(WORLD.customers[0].id)
    assert member is not None
    assert member.family_id
    after = await users.set_user_status(desk.context(CLIENT), member.id, UserStatus.DEACTIVATED)
    assert (after.family_id, after.family_role) == (member.family_id, member.family_role)


async def test_staff_access_is_what_was_granted_last(desk: Desk) -> None:
    target = callers_of_world.person("MANAGER")
    granted = await users.grant_staff_access(desk.context(CLIENT), target.id, ["orders", "stock:read", "orders"])
    assert granted.staff_access is not None
    assert granted.staff_access.permissions == ("orders", "stock:read")
    again = await users.grant_staff_access(desk.context(CLIENT), target.id, ["orders", "stock:read"])
    assert again.staff_access == granted.staff_access
    less = await users.grant_staff_access(desk.context(CLIENT), target.id, ["stock:read"])
    assert less.staff_access is not None
    assert less.staff_access.permissions == ("stock:read",)
    for _ in range(2):
        assert (await users.revoke_staff_access(desk.context(CLIENT), target.id)).staff_access is None
    assert "staffAccess" not in await desk.document(target.id)
    assert [event for event, _ in await desk.audited(target.id)] == [
        *["staff_access.granted"] * 3,
        *["staff_access.revoked"] * 2,
    ]
    assert desk.told == 5


async def test_nobody_grants_a_permission_that_they_lack(desk: Desk) -> None:
    """The demo's staff hold `orders` and `deliveries`."""
    colleague = callers_of_world.person("STAFF", n=1)
    caller = somebody("STAFF")
    granted = await users.grant_staff_access(desk.context(caller), colleague.id, ["orders"])
    assert granted.staff_access is not None
    for permissions in (["refunds"], ["orders", "refunds"]):
        for whom in (colleague.id, caller.user_id or ""):
            with pytest.raises(Forbidden, match="lack"):
                await users.grant_staff_access(desk.context(caller), whom, permissions)
    await users.revoke_staff_access(desk.context(SERVICE), caller.user_id or "")
    with pytest.raises(Forbidden):
        await users.grant_staff_access(desk.context(caller), colleague.id, ["orders"])


@pytest.mark.parametrize("permissions", [[], ["a b"], [""], ["x" * 65], ["$ne"], [f"p{n}" for n in range(101)]])
async def test_what_is_no_permission(desk: Desk, permissions: list[str]) -> None:
    with pytest.raises(BadUserInput, match="permissions"):
        await users.grant_staff_access(desk.context(SERVICE), WORLD.people[0].id, permissions)


async def test_a_repeated_request_meets_the_user_it_made(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    notes: dict[str, str] = {}

    async def note(ctx: Context, what: str, value: str) -> None:
        notes[what] = value

    monkeypatch.setattr(users, "note", note)
    monkeypatch.setattr(users, "noted", lambda ctx, what: notes.get(what))
    first = await users.create_user(desk.context(CLIENT), NEWCOMER)
    assert await users.create_user(desk.context(CLIENT), NEWCOMER) == first
    await desk.mongo._db.users.delete_many({"emailKey": "ann@new.example"})  # as if the first had not got that far
    assert (await users.create_user(desk.context(CLIENT), NEWCOMER)).id == first.id
