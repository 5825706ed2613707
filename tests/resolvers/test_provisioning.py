"""Accounts in the backends: one each, whatever fails and whoever else is at it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest

from core.backends import BackendName
from core.errors import BackendError, BadUserInput, Conflict, Forbidden, NotFound
from datasources.mongo import NewUser, UserRecord, UserStatus
from resolvers import provisioning, users
from resolvers.linked_accounts import link_account
from resolvers.users import NewPerson
from sandbox.medusa.customers import customer_row
from tests import callers
from tests.callers import SERVICE, WORLD
from tests.office import ACCOUNTS, Office

pytest_plugins = ["tests.backends"]

THEIRS, OTHERS = WORLD.clients[0], WORLD.clients[1]
STAFF = callers.user(callers.person("STAFF"))
ANN = NewPerson(email="Ann@New.example", name="Ann van Lee", phone="+355691234567")
FIELDS = dict(zip(ACCOUNTS, ("medusa_customer_id", "stripe_customer_id", "erp_customer_id", "fleetbase_contact_id",
                                    "wallet_id"),
                  strict=True))  # fmt: skip
BACKENDS = [BackendName(backend) for backend in ACCOUNTS]
ONE_EACH = dict.fromkeys(ACCOUNTS, 1)


async def newcomer(office: Office, client_id: str = THEIRS.id, **said: Any) -> UserRecord:
    """Somebody without accounts."""
    about = {"email": ANN.email, "name": ANN.name, "phone": ANN.phone, **said}
    return await office.mongo.create_user(NewUser(client_id=client_id, **about))


async def provision(office: Office, user: UserRecord, backends: Iterable[BackendName] | None = None) -> UserRecord:
    return await provisioning.provision_user(office.context(SERVICE), user.id, backends)


def linked(user: UserRecord) -> dict[str, str]:
    """The accounts that can be read, by backend; those that raise when they are read are left out."""
    told = {}
    for backend, field in FIELDS.items():
        try:
            told[backend] = getattr(user.linked_accounts, field)
        except (BackendError, Conflict):
            continue
    return told


def failure(user: UserRecord, backend: str) -> Exception:
    with pytest.raises((BackendError, Conflict)) as caught:
        getattr(user.linked_accounts, FIELDS[backend])
    assert caught.value.source is BackendName(backend)
    return caught.value


async def test_a_newcomer_gets_one_account_in_every_backend(office: Office) -> None:
    made = await provisioning.create_user(office.context(STAFF), ANN, BACKENDS)
    assert office.count_made() == ONE_EACH
    [guest], [payer], [buyer], [contact], [wallet] = (office.made(backend) for backend in ACCOUNTS)
    assert linked(made) == {
        "medusa": guest["id"], "stripe": payer["id"], "erpnext": buyer["name"], "fleetbase": contact["id"],
        "waltid": wallet["id"],
    }  # fmt: skip
    assert made.medusa_customer_ids == (guest["id"],)
    assert (guest["email"], guest["first_name"], guest["last_name"]) == ("ann@new.example", "Ann", "van Lee")
    assert (payer["email"], payer["name"], payer["phone"]) == (ANN.email, ANN.name, ANN.phone)
    assert (buyer["customer_name"], buyer["email_id"], buyer["customer_type"]) == (ANN.name, ANN.email, "Individual")
    assert (contact["name"], contact["email"], contact["type"]) == (ANN.name, ANN.email, "customer")
    assert buyer["custom_commerce_customer_id"] == made.id
    assert all(row[field]["gateway_user_id"] == made.id for row, field in
               ((guest, "metadata"), (payer, "metadata"), (contact, "meta")))  # fmt: skip
    assert await office.user(made.id) == made
    assert made.client_id == THEIRS.id


async def test_what_is_asked_of_the_backends(office: Office) -> None:
    user = await newcomer(office)
    await provision(office, user)
    assert {backend: sorted(office.calls(backend)) for backend in ACCOUNTS} == {
        "medusa": ["GET /admin/customers", "POST /admin/customers"],
        "stripe": ["GET /v1/customers", "GET /v1/customers/search", "POST /v1/customers"],
        "erpnext": ["POST /api/method/frappe.client.get_list", "POST /api/resource/Customer"],
        "fleetbase": ["GET /v1/contacts", "POST /v1/contacts"],
        "waltid": [
            "GET /wallet/wallet-api/wallet/accounts/wallets",
            "POST /wallet/wallet-api/auth/login",
            "POST /wallet/wallet-api/auth/register",
        ],
    }
    office.forget_calls()
    before = await office.user(user.id)
    assert await provision(office, user) == before
    assert [office.calls(backend) for backend in ACCOUNTS] == [[], [], [], [], []]


@pytest.mark.parametrize("backend", ACCOUNTS)
async def test_only_the_named_backends_are_asked(office: Office, backend: str) -> None:
    after = await provision(office, await newcomer(office), [BackendName(backend)] * 2)
    assert office.count_made() == {**dict.fromkeys(ACCOUNTS, 0), backend: 1}
    assert [name for name, account in linked(after).items() if account] == [backend]
    assert [name for name in ACCOUNTS if office.calls(name)] == [backend]


@pytest.mark.parametrize("backends", [[], None])
async def test_none_named_means_all(office: Office, backends: list[BackendName] | None) -> None:
    await provision(office, await newcomer(office), backends)
    assert office.count_made() == ONE_EACH


@pytest.mark.parametrize("backend", [each for each in BackendName if each not in BACKENDS])
async def test_a_backend_without_accounts_is_refused_before_anything_is_made(
    office: Office, backend: BackendName
) -> None:
    with pytest.raises(
        BadUserInput, match=f"{backend.name} cannot be provisioned, only MEDUSA, STRIPE, ERPNEXT, FLEETBASE, WALTID"
    ):
        await provisioning.create_user(office.context(STAFF), ANN, [BackendName.STRIPE, backend])
    assert await office.mongo.count_users(search=ANN.email) == 0
    assert office.count_made() == dict.fromkeys(ACCOUNTS, 0)


async def test_two_at_once_make_one_account_each(office: Office) -> None:
    user = await newcomer(office)
    first, second = await asyncio.gather(provision(office, user), provision(office, user))
    assert office.count_made() == ONE_EACH
    assert linked(first) == linked(second) == linked(await office.user(user.id))
    assert all(linked(first).values())


@pytest.mark.parametrize("backend", ACCOUNTS)
async def test_what_one_backend_fails_at_costs_nothing_of_the_others(office: Office, backend: str) -> None:
    office.fail(backend, kind="status", status=500)
    made = await provisioning.create_user(office.context(STAFF), ANN, BACKENDS)
    assert office.count_made() == {**ONE_EACH, backend: 0}
    assert isinstance(failure(made, backend), BackendError)
    assert sorted(linked(made)) == sorted(set(ACCOUNTS) - {backend})
    kept = await office.user(made.id)
    assert linked(kept) == {**linked(made), backend: None}
    office.heal()
    office.forget_calls()
    repaired = await provision(office, kept)
    assert all(linked(repaired).values())
    assert office.count_made() == ONE_EACH
    assert [name for name in ACCOUNTS if office.calls(name)] == [backend]


@pytest.mark.parametrize("backend", ACCOUNTS)
@pytest.mark.parametrize("kind", ["malformed", "status"])
async def test_an_account_whose_answer_was_lost_is_found_again(office: Office, backend: str, kind: str) -> None:
    """The first try makes it and hears of nothing; what comes after is down as well."""
    user = await newcomer(office)
    path = {"medusa": "/admin/customers", "stripe": "/v1/customers", "erpnext": "/api/resource/Customer",
            "fleetbase": "/v1/contacts", "waltid": "/wallet/wallet-api/auth/register"}[backend]  # fmt: skip
    office.fail(backend, kind=kind, status=500, when="after", method="POST", path=path, count=1)
    after = await provision(office, user, [BackendName(backend)])
    if linked(after).get(backend) is None:  # not found at once
        office.heal()
        after = await provision(office, user, [BackendName(backend)])
    assert len(office.made(backend)) == 1
    assert linked(after)[backend]


@pytest.mark.parametrize("backend", ACCOUNTS)
async def test_an_account_that_was_made_and_not_linked_is_found_again(
    office: Office, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = await newcomer(office)

    async def cut_off(*args: object, **how: object) -> None:
        raise asyncio.CancelledError

    with monkeypatch.context() as patch:
        patch.setattr(office.mongo, "link_account", cut_off)
        with pytest.raises(asyncio.CancelledError):
            await provision(office, user, [BackendName(backend)])
    assert len(office.made(backend)) == 1
    assert linked(await office.user(user.id))[backend] is None
    assert linked(await provision(office, user))[backend]
    assert office.count_made() == ONE_EACH


async def test_a_short_outage_is_waited_out(office: Office) -> None:
    for backend in ACCOUNTS:
        office.fail(backend, kind="status", status=503, count=1)
    after = await provision(office, await newcomer(office))
    assert all(linked(after).values())
    assert office.count_made() == ONE_EACH


# -- who is who --------------------------------------------------------------------------------------------------------


def guest(office: Office, id: str, email: str = "ann@new.example", **known: Any) -> None:
    office.put("medusa", customer_row(email, "2026-01-01T00:00:00.000Z", id=id, **known))


async def test_the_guest_whom_carts_find_comes_before_an_account(office: Office) -> None:
    guest(office, "cus_account", has_account=True)
    guest(office, "cus_guest")
    after = await provision(office, await newcomer(office), [BackendName.MEDUSA])
    assert (linked(after)["medusa"], office.made("medusa")) == ("cus_guest", [])


async def test_an_account_in_the_shop_is_theirs_by_its_address(office: Office) -> None:
    guest(office, "cus_account", has_account=True)
    after = await provision(office, await newcomer(office), [BackendName.MEDUSA])
    assert (linked(after)["medusa"], office.made("medusa")) == ("cus_account", [])


async def test_a_customer_of_somebody_elses_is_never_taken(office: Office) -> None:
    """Two people of two clients have one address, which Medusa gives to one guest alone."""
    first, second = await newcomer(office), await newcomer(office, OTHERS.id)
    theirs = linked(await provision(office, first))
    after = await provision(office, second)
    assert failure(after, "medusa").args == failure(after, "fleetbase").args == ("this account is another user's",)
    assert office.count_made() == {"medusa": 1, "stripe": 2, "erpnext": 2, "fleetbase": 1, "waltid": 2}
    assert linked(await office.user(first.id)) == theirs
    assert office.made("fleetbase")[0]["meta"] == {"gateway_user_id": first.id}


async def test_a_contact_of_another_name_is_no_obstacle(office: Office) -> None:
    await provision(office, await newcomer(office), [BackendName.FLEETBASE])
    other = await provision(office, await newcomer(office, OTHERS.id, name="Ann Lee"), [BackendName.FLEETBASE])
    assert linked(other)["fleetbase"] == office.made("fleetbase")[1]["id"]


async def test_who_was_made_for_somebody_else_is_never_taken(office: Office) -> None:
    """Even before they are linked."""
    guest(office, "cus_theirs", metadata={"gateway_user_id": "f" * 24})
    after = await provision(office, await newcomer(office), [BackendName.MEDUSA])
    assert isinstance(failure(after, "medusa"), Conflict)


async def test_a_guest_through_whom_people_of_one_client_would_see_each_others_orders(office: Office) -> None:
    guest(office, "cus_shared")
    first = await newcomer(office, email="first@new.example")
    await office.mongo.add_medusa_customer_id(first.id, "cus_shared")
    after = await provision(office, await newcomer(office), [BackendName.MEDUSA])
    assert isinstance(failure(after, "medusa"), Conflict)
    elsewhere = await provision(office, await newcomer(office, OTHERS.id), [BackendName.MEDUSA])
    assert linked(elsewhere)["medusa"] == "cus_shared"


async def test_the_books_know_whom_the_shop_knows(office: Office) -> None:
    user = await newcomer(office)
    user = await provision(office, user, [BackendName.MEDUSA])
    known = {**office.rows("erpnext")[0], "name": "Known", "custom_commerce_customer_id": linked(user)["medusa"]}
    office.put("erpnext", known)
    after = await provision(office, user, [BackendName.ERPNEXT])
    assert (linked(after)["erpnext"], office.made("erpnext")) == ("Known", [])


async def test_whoever_is_linked_stays_so(office: Office) -> None:
    user = await newcomer(office)
    await link_account(office.context(SERVICE), user.id, BackendName.STRIPE, "cus_by_hand")
    after = await provision(office, user)
    assert linked(after)["stripe"] == "cus_by_hand"
    assert office.count_made() == {**ONE_EACH, "stripe": 0}


# -- who may -----------------------------------------------------------------------------------------------------------


async def test_nobody_is_provisioned_who_may_not_be_changed(office: Office) -> None:
    admin = callers.person("ADMIN")
    with pytest.raises(Forbidden):
        await provisioning.provision_user(office.context(STAFF), admin.id, None)
    foreigner = await newcomer(office, OTHERS.id)
    for nobody in (foreigner.id, "f" * 24, "x"):
        with pytest.raises(NotFound):
            await provisioning.provision_user(office.context(STAFF), nobody, None)
    assert office.count_made() == dict.fromkeys(ACCOUNTS, 0)


@pytest.mark.parametrize("status", [UserStatus.SUSPENDED, UserStatus.DEACTIVATED])
async def test_only_the_active_are_provisioned(office: Office, status: UserStatus) -> None:
    user = await newcomer(office)
    await users.set_user_status(office.context(SERVICE), user.id, status)
    with pytest.raises(BadUserInput, match="not active"):
        await provision(office, user)
    assert office.count_made() == dict.fromkeys(ACCOUNTS, 0)


async def test_every_link_is_written_down(office: Office) -> None:
    made = await provisioning.create_user(office.context(STAFF), ANN, BACKENDS)
    entries = await office.audit(made.id)
    assert [entry["event"] for entry in entries] == ["user.created", *["account.linked"] * 5]
    assert {entry["detail"]["backend"]: entry["detail"]["accountId"] for entry in entries[1:]} == {
        backend.upper(): account for backend, account in linked(made).items()
    }
    assert {entry["address"] for entry in entries} == {"192.0.2.7"}


async def test_somebody_elses_work_is_waited_for_until_it_runs_out(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = await newcomer(office)
    name = f"provisioning:{user.id}"
    assert await office.mongo.lease(name, seconds=60)
    monkeypatch.setattr(provisioning, "LEASE_S", 0.1)
    with pytest.raises(Conflict, match="try again") as caught:
        await provision(office, user)
    assert caught.value.retry_after_s
    await office.mongo._db.leases.delete_many({})
    assert await office.mongo.lease(name, seconds=0)  # as of a process that died
    assert all(linked(await provision(office, user)).values())


async def test_leases_are_held_by_one(office: Office) -> None:
    mongo = office.mongo
    taken = await asyncio.gather(*(mongo.lease("x", seconds=60) for _ in range(8)))
    [holder] = [each for each in taken if each]
    await mongo.end_lease("x", "somebody else")
    assert await mongo.lease("x", seconds=60) is None
    await mongo.end_lease("x", holder)
    assert await mongo.lease("x", seconds=0)
    taken = await asyncio.gather(*(mongo.lease("x", seconds=60) for _ in range(8)))
    assert len([each for each in taken if each]) == 1


def test_every_account_has_its_attribute() -> None:
    attributes = {backend: provisioning._ATTRIBUTES[backend] for backend in BACKENDS}
    assert attributes == {BackendName(backend): field for backend, field in FIELDS.items()}


async def test_of_two_people_with_one_address_at_once_one_gets_the_guest(office: Office) -> None:
    first, second = await newcomer(office), await newcomer(office, OTHERS.id, name="Ann Lee")
    outcomes = await asyncio.gather(
        *(provision(office, user, [BackendName.MEDUSA]) for user in (first, second)), return_exceptions=True
    )
    [guest_row] = office.made("medusa")
    linked_to = await office.mongo.users_by_accounts(BackendName.MEDUSA, [guest_row["id"]])
    assert [user.id for user in linked_to] == [guest_row["metadata"]["gateway_user_id"]]
    assert sum(isinstance(each, UserRecord) and "medusa" in linked(each) for each in outcomes) == 1
