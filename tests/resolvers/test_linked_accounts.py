"""Which account a user is in each backend, and that nobody becomes somebody else's."""

from __future__ import annotations

import asyncio

import pytest

from core.backends import BackendName
from core.errors import BadUserInput, Conflict, NotFound
from datasources.mongo import LINKED_ACCOUNTS, LinkedAccountsRecord, UserRecord
from resolvers.carts import keep_customer
from resolvers.linked_accounts import link_account
from sandbox.world import Person
from tests.callers import SERVICE, WORLD
from tests.office import Office

pytest_plugins = ["tests.backends"]

ANN, BEN = [person for person in WORLD.customers if person.client is WORLD.clients[0]][:2]
FOREIGNER = next(person for person in WORLD.customers if person.client is WORLD.clients[1])
NOBODY_THERE = next(person for person in WORLD.people if person.role == "STAFF")


async def link(office: Office, whom: Person, backend: BackendName, account_id: str) -> UserRecord:
    return await link_account(office.context(SERVICE), whom.id, backend, account_id)


@pytest.mark.parametrize("backend", LINKED_ACCOUNTS)
async def test_a_link_stands_in_its_own_field(office: Office, backend: BackendName) -> None:
    before = await office.user(NOBODY_THERE.id)
    after = await link(office, NOBODY_THERE, backend, "somebody new")
    assert {each: after.linked_accounts.of(each) for each in LINKED_ACCOUNTS} == {
        **dict.fromkeys(LINKED_ACCOUNTS),
        backend: "somebody new",
    }
    assert after == await office.user(NOBODY_THERE.id)
    assert after.updated_at > before.updated_at
    assert after.medusa_customer_ids == (("somebody new",) if backend is BackendName.MEDUSA else ())
    assert [each.id for each in await office.mongo.users_by_accounts(backend, ["somebody new", "x"])] == [after.id]
    assert office.told == 1
    [entry] = await office.audit(after.id)
    assert (entry["event"], entry["detail"]) == (
        "account.linked",
        {"backend": backend.name, "accountId": "somebody new"},
    )


@pytest.mark.parametrize("backend", LINKED_ACCOUNTS)
@pytest.mark.parametrize("owner", [BEN, FOREIGNER], ids=["of the client", "of another client"])
async def test_somebody_elses_account_is_refused_without_a_word_about_them(
    office: Office, backend: BackendName, owner: Person
) -> None:
    theirs = (await office.user(owner.id)).linked_accounts.of(backend)
    assert theirs is not None
    before = await office.user(ANN.id)
    with pytest.raises(Conflict) as refused:
        await link(office, ANN, backend, theirs)
    assert str(refused.value) == "this account is another user's"
    assert await office.user(ANN.id) == before
    assert [entry["event"] for entry in await office.audit(ANN.id)] == ["account.linked", "account.linked.failed"]
    assert office.told == 0


async def test_of_two_at_once_one_gets_the_account(office: Office) -> None:
    outcomes = await asyncio.gather(
        *(link(office, whom, BackendName.STRIPE, "cus_one") for whom in (ANN, BEN, FOREIGNER)), return_exceptions=True
    )
    assert sorted(type(each).__name__ for each in outcomes) == ["Conflict", "Conflict", "UserRecord"]
    assert len(await office.mongo.users_by_accounts(BackendName.STRIPE, ["cus_one"])) == 1


async def test_another_link_to_the_shop_replaces_the_first_and_keeps_what_carts_made(office: Office) -> None:
    await office.mongo.add_medusa_customer_id(ANN.id, "cus_cart")
    after = await link(office, ANN, BackendName.MEDUSA, "cus_2")
    assert (after.linked_accounts.medusa_customer_id, after.medusa_customer_ids) == ("cus_2", ("cus_cart", "cus_2"))
    await office.mongo.add_medusa_customer_id(ANN.id, "cus_2")  # a cart found that very customer
    after = await link(office, ANN, BackendName.MEDUSA, "cus_3")
    assert after.medusa_customer_ids == ("cus_cart", "cus_2", "cus_3")
    assert [each.id for each in await office.mongo.users_by_medusa_customer_ids([ANN.medusa_id])] == []


async def test_the_same_link_again_changes_nothing(office: Office) -> None:
    before = await office.user(ANN.id)
    assert await link(office, ANN, BackendName.MEDUSA, ANN.medusa_id) == before


async def test_a_customer_whom_a_cart_made_for_somebody_of_the_same_client_is_theirs(office: Office) -> None:
    await office.mongo.add_medusa_customer_id(BEN.id, "cus_cart")
    with pytest.raises(Conflict):
        await link(office, ANN, BackendName.MEDUSA, "cus_cart")
    linked = await link(office, FOREIGNER, BackendName.MEDUSA, "cus_cart")  # whose orders lie in other channels
    assert linked.linked_accounts.medusa_customer_id == "cus_cart"


@pytest.mark.parametrize("backend", [each for each in BackendName if each not in LINKED_ACCOUNTS])
async def test_a_backend_that_knows_nobody(office: Office, backend: BackendName) -> None:
    with pytest.raises(BadUserInput, match=f"MEDUSA, STRIPE, ERPNEXT, WALTID, FLEETBASE: {backend.name}"):
        await link(office, ANN, backend, "x")


@pytest.mark.parametrize("account_id", ["", " ", "a/b", "a\\b", " a", "a\n", "a\0b", "x" * 129, "\ud800"])
async def test_what_can_be_no_account(office: Office, account_id: str) -> None:
    with pytest.raises(BadUserInput, match="accountId"):
        await link(office, ANN, BackendName.STRIPE, account_id)
    assert await office.audit(ANN.id) == []


@pytest.mark.parametrize("user_id", ["f" * 24, "x", ""])
async def test_nobody_has_no_accounts(office: Office, user_id: str) -> None:
    with pytest.raises(NotFound):
        await link_account(office.context(SERVICE), user_id, BackendName.STRIPE, "cus_x")


def test_a_record_tells_accounts_by_backend() -> None:
    accounts = LinkedAccountsRecord("m", "s", "e", "w", "f")
    assert [accounts.of(backend) for backend in LINKED_ACCOUNTS] == ["m", "s", "e", "w", "f"]


async def test_a_customer_whom_a_cart_made_is_told_of_once(office: Office) -> None:
    """So that a caller who is remembered sees the order at once."""
    before = await office.user(ANN.id)
    for _ in range(2):
        await keep_customer(office.context(SERVICE), before, "cus_cart")
    assert office.told == 1
    assert (await office.user(ANN.id)).medusa_customer_ids == (*before.medusa_customer_ids, "cus_cart")
