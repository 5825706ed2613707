"""Families as they are changed: one owner, one family for everybody, whatever happens at once or is cut off."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, TypeVar, cast

import pytest
from bson import ObjectId

from core import operation
from core.demo import DemoCredentials
from core.errors import BackendUnavailable, BadUserInput, Conflict, NotFound
from core.operation import Operation
from core.principals import Principal
from datasources import Sources
from datasources.mongo import FamilyBenefitRecord, FamilyRecord, FamilyRole, Mongo
from resolvers import families
from resolvers.context import Context
from resolvers.families import MAX_BENEFITS, MAX_MEMBERS, BenefitToShare
from tests import callers
from tests.callers import SERVICE, WORLD
from tests.conftest import demo_documents

R = TypeVar("R")

CLIENT, SISTER = WORLD.clients[2], WORLD.clients[3]
STAFF = callers.user(callers.person("STAFF", client=2))
ANN, BEN, CAT, DAN, *_ = [person.id for person in WORLD.customers if person.client is CLIENT]
STRANGER = next(person.id for person in WORLD.customers if person.client is SISTER)
OWNER, ADULT, CHILD = FamilyRole
LATER = datetime.now(UTC).replace(microsecond=0) + timedelta(days=30)


class Desk:
    """Where families are changed, each call an operation of its own."""

    def __init__(self, store: Mongo) -> None:
        self.store = store

    async def ask(self, what: Callable[..., Awaitable[R]], *args: Any, by: Principal = STAFF, **named: Any) -> R:
        with operation.running(Operation()):
            return await what(Context(cast("Sources", SimpleNamespace(mongo=self.store)), by), *args, **named)

    async def create(self, owner_id: str = ANN, name: str = "Ours", **named: Any) -> FamilyRecord:
        return await self.ask(families.create_family, **{"client_id": None, **named}, name=name, owner_id=owner_id)

    async def add(self, family: FamilyRecord, user_id: str, role: FamilyRole, **named: Any) -> FamilyRecord:
        return await self.ask(families.add_family_member, family.id, user_id, role, **named)

    async def remove(self, family: FamilyRecord, user_id: str, **named: Any) -> FamilyRecord:
        return await self.ask(families.remove_family_member, family.id, user_id, **named)

    async def share(self, family: FamilyRecord, code: str = "TEN", by: str = ANN, **benefit: Any) -> FamilyRecord:
        wanted = BenefitToShare(**{"name": "Ten", **benefit}, code=code, shared_by_id=by)
        return await self.ask(families.share_family_benefit, family.id, wanted)

    async def revoke(self, family: FamilyRecord, code: str) -> FamilyRecord:
        return await self.ask(families.revoke_family_benefit, family.id, code)

    async def members(self, family: FamilyRecord) -> list[tuple[str, FamilyRole | None]]:
        found = await self.store.members_of_families([family.id])
        return [(user.id, user.family_role) for user in found]

    async def benefits(self, family: FamilyRecord) -> tuple[FamilyBenefitRecord, ...]:
        [found] = await self.store.families_by_ids([family.id])
        return found.benefits


@pytest.fixture
async def desk(empty_mongo: Mongo, demo: DemoCredentials) -> Desk:
    """At a store whose people are in no family."""
    documents = demo_documents(demo)
    theirs = {client.id for client in (CLIENT, SISTER)}
    users = [
        {name: value for name, value in user.items() if not name.startswith(("family", "ownsFamily"))}
        for user in documents["users"]
        if user["clientId"] in theirs and user["role"] == "CUSTOMER"
    ]
    await empty_mongo.insert({"clients": documents["clients"], "users": users})
    return Desk(empty_mongo)


# -- members -----------------------------------------------------------------------------------------------------------


async def test_a_new_family_is_its_owner(desk: Desk) -> None:
    made = await desk.create(ANN, " The Demos ")
    assert (made.name, made.client_id, made.benefits) == ("The Demos", CLIENT.id, ())
    assert await desk.members(made) == [(ANN, OWNER)]
    [stored] = await desk.store._db.users.find({"familyId": {"$exists": True}}).to_list(None)
    assert stored["familyId"] == stored["ownsFamilyId"] == ObjectId(made.id)
    assert isinstance(stored["familyJoinedAt"], datetime)


async def test_somebody_with_a_family_begins_no_other(desk: Desk) -> None:
    await desk.add(await desk.create(ANN), BEN, ADULT)
    for somebody in (ANN, BEN):
        with pytest.raises(Conflict):
            await desk.create(somebody)
    assert await desk.store.count_families() == 1


@pytest.mark.parametrize("owner_id", [STRANGER, "x", "f" * 24])
@pytest.mark.parametrize("by", [STAFF, SERVICE])
async def test_an_owner_is_of_the_client(desk: Desk, owner_id: str, by: Principal) -> None:
    with pytest.raises(NotFound):
        await desk.create(owner_id, by=by, client_id=CLIENT.id)
    assert await desk.store.count_families() == 0


async def test_whoever_has_several_clients_names_one(desk: Desk) -> None:
    with pytest.raises(BadUserInput):
        await desk.create(ANN, by=SERVICE)
    assert (await desk.create(ANN, by=SERVICE, client_id=CLIENT.id)).client_id == CLIENT.id


@pytest.mark.parametrize("name", ["", "  ", "x" * 201, "a\0b"])
async def test_a_family_has_a_name(desk: Desk, name: str) -> None:
    with pytest.raises(BadUserInput, match="`name`"):
        await desk.create(ANN, name)


async def test_only_active_people_join(desk: Desk) -> None:
    family = await desk.create(ANN)
    for user_id in (BEN, CAT):
        await desk.store._db.users.update_one({"_id": ObjectId(user_id)}, {"$set": {"status": "SUSPENDED"}})
    with pytest.raises(BadUserInput):
        await desk.create(BEN)
    with pytest.raises(BadUserInput):
        await desk.add(family, CAT, ADULT)
    assert await desk.members(family) == [(ANN, OWNER)]


async def test_members_are_in_the_order_in_which_they_joined(desk: Desk) -> None:
    family = await desk.create(CAT)
    await desk.add(family, ANN, CHILD)
    await desk.add(family, BEN, ADULT)
    assert await desk.members(family) == [(CAT, OWNER), (ANN, CHILD), (BEN, ADULT)]
    await desk.add(family, ANN, ADULT)
    assert await desk.members(family) == [(CAT, OWNER), (ANN, ADULT), (BEN, ADULT)]


async def test_a_member_of_another_family_is_a_conflict_that_shows_nothing(desk: Desk) -> None:
    other, family = await desk.create(ANN, "Secret"), await desk.create(BEN)
    for role in FamilyRole:
        with pytest.raises(Conflict) as caught:
            await desk.add(family, ANN, role)
        assert "Secret" not in str(caught.value)
        assert other.id not in str(caught.value)
    assert await desk.members(family) == [(BEN, OWNER)]
    assert await desk.members(other) == [(ANN, OWNER)]


async def test_a_new_owner_takes_the_place_of_the_one_before(desk: Desk) -> None:
    family = await desk.create(ANN)
    await desk.add(family, BEN, CHILD)
    await desk.add(family, BEN, OWNER)
    assert await desk.members(family) == [(ANN, ADULT), (BEN, OWNER)]
    await desk.add(family, CAT, OWNER)
    assert await desk.members(family) == [(ANN, ADULT), (BEN, ADULT), (CAT, OWNER)]
    assert await desk.add(family, CAT, OWNER) == (await desk.store.families_by_ids([family.id]))[0]


async def test_an_owner_hands_over_before_going(desk: Desk) -> None:
    family = await desk.create(ANN)
    await desk.add(family, BEN, ADULT)
    for role in (ADULT, CHILD):
        with pytest.raises(Conflict):
            await desk.add(family, ANN, role)
    with pytest.raises(Conflict):
        await desk.remove(family, ANN)
    await desk.add(family, BEN, OWNER)
    await desk.remove(family, ANN)
    assert await desk.members(family) == [(BEN, OWNER)]
    with pytest.raises(NotFound):
        await desk.remove(family, ANN)
    assert (await desk.create(ANN)).id != family.id


async def test_the_last_member_goes_as_owner_and_an_empty_family_gets_one_first(desk: Desk) -> None:
    family = await desk.create(ANN)
    await desk.remove(family, ANN)
    assert await desk.members(family) == []
    with pytest.raises(Conflict):
        await desk.add(family, BEN, ADULT)
    await desk.add(family, BEN, OWNER)
    assert await desk.members(family) == [(BEN, OWNER)]


async def test_a_family_has_so_many_members_and_no_more(desk: Desk, demo: DemoCredentials) -> None:
    family = await desk.create(ANN)
    row = next(user for user in demo_documents(demo)["users"] if user["_id"] == BEN)
    unique = ("emailKey", "linkedAccounts")
    people: list[dict[str, Any]] = [
        {name: value for name, value in row.items() if name not in unique}
        | {"_id": str(ObjectId()), "email": f"{n}@many.example", "familyId": family.id, "familyRole": "ADULT"}
        for n in range(MAX_MEMBERS - 2)
    ]
    await desk.store.insert({"users": people})
    results = await asyncio.gather(
        *(desk.add(family, user_id, CHILD) for user_id in (BEN, CAT, DAN)), return_exceptions=True
    )
    assert len(await desk.members(family)) <= MAX_MEMBERS
    assert sum(isinstance(result, Conflict) for result in results) >= 2
    one_by_one = [await both(desk.add(family, user_id, CHILD)) for user_id in (BEN, CAT, DAN)]
    assert any(isinstance(result, Conflict) for [result] in one_by_one)
    assert len(await desk.members(family)) == MAX_MEMBERS


@pytest.mark.parametrize("by", [callers.user(callers.person("ADMIN", client=3)), callers.client(3),
                                callers.platform(server_side=False)])  # fmt: skip
async def test_a_family_of_others_is_not_there(desk: Desk, by: Principal) -> None:
    family = await desk.create(ANN)
    await desk.share(family)
    benefit = BenefitToShare(code="X", name="X", shared_by_id=ANN)
    attempts: list[tuple[Callable[..., Awaitable[FamilyRecord]], tuple[Any, ...]]] = [
        (families.add_family_member, (BEN, ADULT)),
        (families.remove_family_member, (ANN,)),
        (families.share_family_benefit, (benefit,)),
        (families.revoke_family_benefit, ("TEN",)),
    ]
    before = await desk.store._db.families.find({}).to_list(None), await desk.members(family)
    for what, args in attempts:
        told = []
        for family_id in (family.id, "f" * 24, "x"):
            with pytest.raises(NotFound) as caught:
                await desk.ask(what, family_id, *args, by=by)
            told.append(str(caught.value))
        assert len(set(told)) == 1
    assert (await desk.store._db.families.find({}).to_list(None), await desk.members(family)) == before


# -- benefits ----------------------------------------------------------------------------------------------------------


async def test_a_benefit_is_shared_and_changed_by_who_shares_it(desk: Desk) -> None:
    family = await desk.create(ANN)
    await desk.add(family, BEN, ADULT)
    await desk.share(family, percent_off=Decimal("12.50"), valid_until=LATER)
    [benefit] = await desk.benefits(family)
    assert benefit == FamilyBenefitRecord("TEN", "Ten", ANN, Decimal("12.5"), LATER)
    [stored] = await desk.store._db.families.find({}).to_list(None)
    assert stored["benefits"][0]["percentOff"] == "12.5"
    assert stored["benefits"][0]["sharedById"] == ObjectId(ANN)
    await desk.share(family, name="Twenty", percent_off=Decimal(100))
    assert await desk.benefits(family) == (FamilyBenefitRecord("TEN", "Twenty", ANN, Decimal(100)),)
    with pytest.raises(Conflict):
        await desk.share(family, by=BEN)
    await desk.share(family, "ten", by=BEN)
    assert [benefit.code for benefit in await desk.benefits(family)] == ["TEN", "ten"]


@pytest.mark.parametrize(
    ("benefit", "field"),
    [
        ({"code": ""}, "code"),
        ({"code": "x" * 33}, "code"),
        ({"code": "a b"}, "code"),
        ({"code": "ë"}, "code"),
        ({"name": ""}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"by": STRANGER}, "sharedById"),
        ({"by": BEN}, "sharedById"),
        ({"by": ""}, "sharedById"),
        *(({"percent_off": Decimal(n)}, "percentOff") for n in
          ("0", "-1", "100.01", "0.001", "10." + "0" * 40 + "1", "NaN", "Infinity", "1E+999999", "1E-9")),
        ({"valid_until": datetime(2020, 1, 1, tzinfo=UTC)}, "validUntil"),
    ],
)  # fmt: skip
async def test_what_is_no_benefit_is_named(desk: Desk, benefit: dict[str, Any], field: str) -> None:
    family = await desk.create(ANN)
    with pytest.raises(BadUserInput, match=f"`{field}`"):
        await desk.share(family, **benefit)
    assert await desk.benefits(family) == ()


async def test_a_revoked_benefit_stays_with_its_end(desk: Desk) -> None:
    family = await desk.create(ANN)
    await desk.add(family, BEN, ADULT)
    await desk.share(family, valid_until=LATER)
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    await desk.revoke(family, "TEN")
    [ended] = await desk.benefits(family)
    assert ended.valid_until is not None
    assert before <= ended.valid_until <= datetime.now(UTC)
    await desk.revoke(family, "TEN")
    assert await desk.benefits(family) == (ended,)
    with pytest.raises(NotFound):
        await desk.revoke(family, "OTHER")
    await desk.share(family, by=BEN)
    assert await desk.benefits(family) == (FamilyBenefitRecord("TEN", "Ten", BEN),)


async def test_what_a_removed_member_shared_ends(desk: Desk) -> None:
    family = await desk.create(ANN)
    await desk.add(family, BEN, ADULT)
    await desk.share(family, "HERS")
    await desk.share(family, "HIS", by=BEN, valid_until=LATER)
    await desk.remove(family, BEN)
    hers, his = await desk.benefits(family)
    assert hers.valid_until is None
    assert his.valid_until is not None
    assert his.valid_until <= datetime.now(UTC)
    await desk.add(family, BEN, ADULT)
    assert (await desk.benefits(family))[1] == his


async def test_a_family_has_so_many_benefits_and_an_ended_one_makes_room(desk: Desk) -> None:
    family = await desk.create(ANN)
    many = tuple(FamilyBenefitRecord(f"B{n}", "B", ANN) for n in range(MAX_BENEFITS))
    await desk.store.change_benefits(family.id, lambda _: many)
    with pytest.raises(Conflict):
        await desk.share(family)
    await desk.share(family, "B7", name="still possible")
    await desk.revoke(family, "B3")
    await desk.share(family)
    codes = [benefit.code for benefit in await desk.benefits(family)]
    assert (len(codes), "B3" in codes, codes[-1]) == (MAX_BENEFITS, False, "TEN")


async def test_benefits_shared_at_once_are_all_kept(desk: Desk) -> None:
    family = await desk.create(ANN)
    await asyncio.gather(*(desk.share(family, f"B{n}") for n in range(20)))
    assert {benefit.code for benefit in await desk.benefits(family)} == {f"B{n}" for n in range(20)}


# -- cut off -----------------------------------------------------------------------------------------------------------


def cut(patch: pytest.MonkeyPatch, store: Mongo, method: str) -> None:
    """The process dies where it would call this."""

    async def died(*args: Any, **named: Any) -> None:
        raise BackendUnavailable(store.name, "cut off")

    patch.setattr(store, method, died)


async def test_a_creation_that_was_cut_off_is_finished_by_the_next(desk: Desk) -> None:
    with pytest.MonkeyPatch.context() as patch:
        cut(patch, desk.store, "_insert_new")
        with pytest.raises(BackendUnavailable):
            await desk.create(ANN)
    assert await desk.store.count_families() == 0
    made = await desk.create(ANN, "Second try")
    assert await desk.members(made) == [(ANN, OWNER)]
    assert await desk.store.count_families() == 1


@pytest.mark.parametrize("new", [True, False])
async def test_a_handing_over_that_was_cut_off_is_finished_by_any_call(desk: Desk, new: bool) -> None:
    family = await desk.create(ANN)
    await desk.add(family, CAT, ADULT)
    if not new:
        await desk.add(family, BEN, CHILD)
    with pytest.MonkeyPatch.context() as patch:
        cut(patch, desk.store, "own_family")
        with pytest.raises(BackendUnavailable):
            await desk.add(family, BEN, OWNER)
    assert OWNER not in dict(await desk.members(family)).values()
    await desk.share(family, by=CAT)
    assert dict(await desk.members(family)) == {ANN: ADULT, CAT: ADULT, BEN: OWNER}


async def test_a_handing_over_that_was_cut_off_can_be_repeated(desk: Desk) -> None:
    family = await desk.create(ANN)
    for step in ("name_heir", "disown_family", "own_family"):
        with pytest.MonkeyPatch.context() as patch:
            cut(patch, desk.store, step)
            with pytest.raises(BackendUnavailable):
                await desk.add(family, BEN, OWNER)
        assert dict(await desk.members(family))[ANN] is (ADULT if step == "own_family" else OWNER)
    await desk.add(family, BEN, OWNER)
    assert dict(await desk.members(family)) == {ANN: ADULT, BEN: OWNER}


async def test_a_removal_that_was_cut_off_ends_benefits_with_the_next_call(desk: Desk) -> None:
    family = await desk.create(ANN)
    await desk.add(family, BEN, ADULT)
    await desk.share(family, "HIS", by=BEN)
    with pytest.MonkeyPatch.context() as patch:
        cut(patch, desk.store, "change_benefits")
        with pytest.raises(BackendUnavailable):
            await desk.remove(family, BEN)
    assert await desk.members(family) == [(ANN, OWNER)]
    assert [benefit.valid_until for benefit in await desk.benefits(family)] == [None]
    with pytest.raises(NotFound):
        await desk.remove(family, BEN)
    [ended] = await desk.benefits(family)
    assert ended.valid_until is not None


async def test_a_family_whose_heir_has_gone_gets_the_adult_who_joined_first(desk: Desk) -> None:
    family = await desk.create(ANN)
    for user_id, role in ((BEN, CHILD), (CAT, ADULT), (DAN, ADULT)):
        await desk.add(family, user_id, role)
    await desk.store.leave_family(ANN, family.id, may_be_owner=True)
    await desk.share(family, by=BEN)
    assert await desk.members(family) == [(BEN, CHILD), (CAT, OWNER), (DAN, ADULT)]


# -- at once -----------------------------------------------------------------------------------------------------------

ROUNDS = 20


async def both(*calls: Awaitable[FamilyRecord]) -> list[FamilyRecord | Conflict]:
    """What they answer, with nothing but conflicts among it."""
    results = await asyncio.gather(*calls, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, Conflict):
            raise result
    return cast("list[FamilyRecord | Conflict]", results)


async def owners(desk: Desk, family: FamilyRecord) -> list[str]:
    return [user_id for user_id, role in await desk.members(family) if role is OWNER]


async def test_of_two_families_that_claim_somebody_at_once_one_gets_them(desk: Desk) -> None:
    first, second = await desk.create(ANN), await desk.create(BEN)
    for n in range(ROUNDS):
        role = (ADULT, CHILD, OWNER)[n % 3]
        results = await both(desk.add(first, CAT, role), desk.add(second, CAT, role))
        assert sum(isinstance(result, Conflict) for result in results) == 1
        winner, owner = (first, ANN) if isinstance(results[1], Conflict) else (second, BEN)
        loser, others = (second, BEN) if winner is first else (first, ANN)
        assert CAT in dict(await desk.members(winner))
        assert await desk.members(loser) == [(others, OWNER)]
        await desk.add(winner, owner, OWNER if role is OWNER else (await _role(desk, winner, owner)))
        await desk.remove(winner, CAT)


async def _role(desk: Desk, family: FamilyRecord, user_id: str) -> FamilyRole:
    role = dict(await desk.members(family))[user_id]
    assert role is not None
    return role


async def test_of_two_creations_at_once_for_one_owner_one_succeeds(desk: Desk) -> None:
    for _ in range(ROUNDS):
        results = await both(desk.create(ANN, "A"), desk.create(ANN, "B"))
        [made] = [result for result in results if isinstance(result, FamilyRecord)]
        [stored] = await desk.store.families(limit=9)
        assert stored == made
        assert await desk.members(made) == [(ANN, OWNER)]
        await desk.remove(made, ANN)
        await desk.store._db.families.delete_many({})


async def test_of_two_owners_at_once_there_is_one(desk: Desk) -> None:
    family = await desk.create(ANN)
    for user_id in (BEN, CAT):
        await desk.add(family, user_id, ADULT)
    for _ in range(ROUNDS):
        results = await both(desk.add(family, BEN, OWNER), desk.add(family, CAT, OWNER), desk.add(family, DAN, CHILD))
        assert not any(isinstance(result, Conflict) for result in results)
        [owner] = await owners(desk, family)
        assert owner in (BEN, CAT)
        await desk.add(family, ANN, OWNER)
        await desk.remove(family, DAN)


async def test_adding_and_removing_at_once_leaves_no_family_without_owner(desk: Desk) -> None:
    family = await desk.create(ANN)
    for _ in range(ROUNDS):
        await both(desk.remove(family, ANN), desk.add(family, BEN, ADULT), desk.add(family, CAT, CHILD))
        members = await desk.members(family)
        assert len(await owners(desk, family)) == (1 if members else 0)
        for user_id, role in sorted(members, key=lambda member: member[1] is OWNER):
            assert role is not None
            await desk.remove(family, user_id)
        await desk.add(family, ANN, OWNER)


async def test_a_benefit_shared_while_its_member_leaves_ends(desk: Desk) -> None:
    family = await desk.create(ANN)
    for n in range(ROUNDS):
        await desk.add(family, BEN, ADULT)
        results = await asyncio.gather(
            desk.share(family, f"B{n}", by=BEN), desk.remove(family, BEN), return_exceptions=True
        )
        assert all(isinstance(result, FamilyRecord | BadUserInput) for result in results)
        assert all(benefit.valid_until is not None for benefit in await desk.benefits(family))
