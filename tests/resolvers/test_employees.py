"""Who sees which employees, and which users they are."""

from __future__ import annotations

from core import operation
from datasources.mongo import NewUser
from resolvers.buyers import UserOfEmployee
from resolvers.employees import employees
from tests.callers import SERVICE, WORLD, client, person, platform, user
from tests.office import Office

pytest_plugins = ["tests.backends"]

STAFF = user(person("STAFF"))
PLATFORM, BROWSER = platform(server_side=True), platform(server_side=False)


async def test_everybody_sees_the_employees_of_their_companies(office: Office) -> None:
    for principal, places in (
        (SERVICE, (0, 1, 2, 3)),
        (STAFF, (0,)),
        (client(1), (1,)),
        (PLATFORM, (2, 3)),
        (BROWSER, ()),
    ):
        companies = [WORLD.clients[place].company for place in places]
        page = await employees(office.context(principal), first=100, after=None)
        assert {row.company for row in page.nodes} == set(companies)
        assert len(page.nodes) == 2 * len(companies) == await page.total()


async def test_an_employee_is_the_user_of_their_company_with_their_address(office: Office) -> None:
    staff = person("STAFF")
    both = (staff.email, staff.client.company)
    elsewhere = (staff.email, WORLD.clients[1].company)
    twin = await office.mongo.create_user(NewUser(WORLD.clients[1].id, staff.email.upper(), "Twin"))
    keys = [both, elsewhere, ("nobody@x.example", staff.client.company)]
    for principal, shown in (
        (SERVICE, [staff.id, twin.id, None]),
        (STAFF, [staff.id, None, None]),
        (client(1), [None, twin.id, None]),
        (BROWSER, [None, None, None]),
    ):
        found = await office.context(principal).loader(UserOfEmployee).load_many(keys)
        assert [each and each.id for each in found] == shown
        assert len(operation.current().calls) == 1
