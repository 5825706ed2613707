"""Who sees which family, and what its members see of each other."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from core import operation
from core.errors import Forbidden
from datasources.mongo import UserRecord
from resolvers import families
from resolvers.context import Context
from resolvers.families import FamilyById, MemberById, Relative
from sandbox import omnistack
from sandbox.world import World
from tests.conftest import Callers, Commands, MakeContext, told

WORLD = World(datetime.now(UTC))
THEIRS, SISTER = WORLD.clients[2].id, WORLD.clients[3].id
FAMILIES = omnistack._families(WORLD)
MEMBERS = {
    family["_id"]: [person.id for person in people]
    for family, (_, _, people) in zip(FAMILIES, omnistack._circles(WORLD), strict=True)
}
ALL = set(MEMBERS)
OF_CLIENT = {family["_id"] for family in FAMILIES if family["clientId"] == THEIRS}
OF_SISTER = {family["_id"] for family in FAMILIES if family["clientId"] == SISTER}
[OWN] = [family for family in FAMILIES if omnistack.token_users()["CUSTOMER"] in MEMBERS[family["_id"]]]
SEEN = {
    "service": ALL,
    "platform": set[str](),
    "server_side_platform": OF_CLIENT | OF_SISTER,
    "client": OF_CLIENT,
    "customer": {OWN["_id"]},
    "staff": OF_CLIENT,
    "manager": OF_CLIENT,
    "admin": OF_CLIENT,
}
EVERY_CALLER = pytest.mark.parametrize("caller", SEEN)


@pytest.fixture
def seeing(callers: Callers, make_context: MakeContext, caller: str) -> Context:
    return make_context(callers[caller])


async def listed(ctx: Context, client_id: str | None = None) -> set[str]:
    page = await families.families(ctx, first=100, after=None, client_id=client_id)
    assert await page.total() == len(page.nodes)
    return {family.id for family in page.nodes}


@EVERY_CALLER
async def test_by_id(seeing: Context, caller: str) -> None:
    found = await seeing.loader(FamilyById).load_many(sorted(ALL))
    assert {family.id for family in found if family} == SEEN[caller]
    assert await families.family(seeing, "x") is None


@EVERY_CALLER
async def test_in_the_list(seeing: Context, caller: str) -> None:
    assert await listed(seeing) == SEEN[caller]


@EVERY_CALLER
async def test_of_a_client(seeing: Context, caller: str) -> None:
    assert await listed(seeing, THEIRS) == SEEN[caller] & OF_CLIENT
    assert await listed(seeing, SISTER) == SEEN[caller] & OF_SISTER
    assert await listed(seeing, "x") == set()


@EVERY_CALLER
async def test_pages_hold_the_whole_list_once(seeing: Context, caller: str) -> None:
    ids: list[str] = []
    after = None
    while True:
        page = await families.families(seeing, first=1, after=after)
        ids += [family.id for family in page.nodes]
        after = page.page_info.end_cursor
        if not page.page_info.has_next_page:
            break
    assert sorted(ids) == sorted(SEEN[caller])


async def test_members_see_each_others_name_and_role_and_nothing_more(
    make_context: MakeContext, callers: Callers, commands: Commands
) -> None:
    ctx = make_context(callers["customer"])
    commands.forget()
    members = await ctx.loader(MemberById).load_many(MEMBERS[OWN["_id"]])
    assert commands.sent == told(operation.current().calls) == [("find", "users")]
    for member in members:
        assert member is not None
        assert member.name
        assert member.role.value == "CUSTOMER"
        if member.id == ctx.principal.user_id:
            assert isinstance(member, UserRecord)
            continue
        assert isinstance(member, Relative)
        for secret in ("email", "phone", "status", "linked_accounts", "medusa_customer_ids", "client_id", "created_at"):
            with pytest.raises(Forbidden):
                getattr(member, secret)
    assert sum(isinstance(member, Relative) for member in members) == len(members) - 1


@pytest.mark.parametrize(
    ("caller", "sees"), [("staff", True), ("client", True), ("service", True), ("platform", False)]
)
async def test_others_see_members_as_they_see_users(
    make_context: MakeContext, callers: Callers, caller: str, sees: bool
) -> None:
    members = await make_context(callers[caller]).loader(MemberById).load_many(MEMBERS[OWN["_id"]])
    assert [isinstance(member, UserRecord) for member in members] == [sees] * len(members)
    assert None in members or sees


async def test_a_customer_meets_nobody_of_another_client(make_context: MakeContext, callers: Callers) -> None:
    stranger = next(person for person in WORLD.customers if person.client.id == SISTER)
    assert await make_context(callers["customer"]).loader(MemberById).load(stranger.id) is None
