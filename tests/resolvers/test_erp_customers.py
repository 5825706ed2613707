"""Who sees which customers of ERPNext."""

from __future__ import annotations

from typing import Any

import pytest

from core import operation
from core.backends import BackendName
from core.errors import BadUserInput
from core.principals import Principal
from resolvers.erp_customers import erp_customers
from tests.callers import SERVICE, WORLD, client, person, platform, user
from tests.office import Office

pytest_plugins = ["tests.backends"]

STAFF = user(person("STAFF"))
PLATFORM, BROWSER = platform(server_side=True), platform(server_side=False)


def customers_of(*places: int) -> list[str]:
    """The demo world's, newest user first."""
    theirs = [each for each in WORLD.customers if each.client in [WORLD.clients[place] for place in places]]
    return [each.erp_id for each in reversed(theirs)]


async def seen(office: Office, principal: Principal, first: int = 100, after: str | None = None) -> Any:
    return await erp_customers(office.context(principal), first=first, after=after)


def calls(backend: BackendName) -> int:
    return sum(call.backend is backend for call in operation.current().calls)


async def test_everybody_sees_the_customers_who_are_their_users(office: Office) -> None:
    for principal, places in ((SERVICE, (0, 1, 2, 3)), (STAFF, (0,)), (client(1), (1,)), (PLATFORM, (2, 3))):
        page = await seen(office, principal)
        assert [row.id for row in page.nodes] == customers_of(*places)
        assert await page.total() == len(page.nodes)
        assert calls(BackendName.ERPNEXT) <= 2


async def test_who_has_no_books_sees_nobody_and_asks_nobody(office: Office) -> None:
    assert (await seen(office, BROWSER)).nodes == []
    await office.mongo._db.clients.update_one({"code": WORLD.clients[1].code}, {"$unset": {"backendScope": ""}})
    office.forget_calls()
    assert (await seen(office, client(1))).nodes == []
    await office.mongo._db.clients.update_one({"code": WORLD.clients[3].code}, {"$unset": {"backendScope": ""}})
    assert [row.id for row in (await seen(office, PLATFORM)).nodes] == customers_of(2)
    assert len(office.calls("erpnext")) == 1


async def test_pages_follow_one_another(office: Office) -> None:
    for principal, places in ((SERVICE, (0, 1, 2, 3)), (STAFF, (0,))):
        found: list[str] = []
        after = None
        while True:
            page = await seen(office, principal, 7, after)
            found += [row.id for row in page.nodes]
            after = page.page_info.end_cursor
            if not page.page_info.has_next_page:
                break
        assert found == customers_of(*places)
    with pytest.raises(BadUserInput):
        await seen(office, STAFF, 7, "nonsense")
    with pytest.raises(BadUserInput):
        await seen(office, STAFF, 101)


async def test_a_customer_whom_the_books_have_lost_ends_no_list(office: Office) -> None:
    lost, *rest = customers_of(0)
    office._stores["erpnext"].delete("Customer", lost)
    page = await seen(office, STAFF, 1)
    assert (page.nodes, page.page_info.has_next_page) == ([], True)
    assert [row.id for row in (await seen(office, STAFF, 100, page.page_info.end_cursor)).nodes] == rest


async def test_a_customer_who_is_no_user_is_a_services_alone(office: Office) -> None:
    pattern = office._stores["erpnext"].get("Customer", customers_of(0)[0]) or {}
    office.put("erpnext", {**pattern, "name": "Walk-in", "customer_name": "", "custom_commerce_customer_id": None})
    by_id = {row.id: row for row in (await seen(office, SERVICE)).nodes}
    assert by_id["Walk-in"].name == "Walk-in"
    assert "Walk-in" not in [row.id for row in (await seen(office, STAFF)).nodes]
