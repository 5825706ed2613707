"""Print jobs: whose they are, and that one name is one job, whatever happens on the way."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from core import operation
from core.backends import BackendName
from core.errors import BackendRejected, BackendTimeout, BadUserInput, Conflict, NotFound
from core.principals import Principal
from datasources.strapi import MAX_IDS
from resolvers import jobs, print_customers
from resolvers.jobs import JOB, JOB_WITHOUT_CUSTOMER, JobToMake, JobWanted
from resolvers.print_customers import CUSTOMER
from sandbox.faults import FaultLine
from sandbox.strapi import Options, create_app, documents
from sandbox.strapi.seeding import JOBS, PASSER_BY
from sandbox.strapi.types import CUSTOMER as CUSTOMER_TYPE
from sandbox.strapi.types import JOB as JOB_TYPE
from sandbox.world import document_id
from tests.callers import SERVICE, WORLD, client, person, platform, user
from tests.printing import PrintShop, open_strapi

pytest_plugins = ["tests.backends"]

HERE, THERE = client(0), client(1)
STAFF, CUSTOMER_OF_HERE = user(person("STAFF")), user(person("CUSTOMER"))
MINE, YOURS = person("CUSTOMER").print_customer_id, person("CUSTOMER", client=1).print_customer_id
WITHOUT_CUSTOMER = document_id("job", 1)


def jobs_of(*clients: int) -> list[str]:
    """The names of the demo's jobs whose customers are these clients', newest first."""
    customers = [each.print_customer_id for each in WORLD.customers]
    theirs = {each for n in clients for each in WORLD.print_customer_ids(WORLD.clients[n])}
    return [f"JOB-{n:04d}" for n in range(JOBS, 4, -1) if customers[n % len(customers)] in theirs]


async def listed(prints: PrintShop, principal: Principal, **wanted: Any) -> list[str]:
    page = await jobs.jobs(prints.context(principal), first=100, after=None, wanted=JobWanted(**wanted))
    assert await page.total() == len(page.nodes)
    return [job.job_id for job in page.nodes]


async def is_seen(prints: PrintShop, principal: Principal, id: str) -> bool:
    return await jobs.job(prints.context(principal), id) is not None


# -- whose they are ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("principal", "theirs"),
    [
        (HERE, (0,)),
        (STAFF, (0,)),
        (THERE, (1,)),
        (platform(server_side=True), (2, 3)),
        (platform(server_side=False), ()),
    ],
)
async def test_everybody_is_shown_the_jobs_of_their_customers(
    prints: PrintShop, principal: Principal, theirs: tuple[int, ...]
) -> None:
    assert await listed(prints, principal) == jobs_of(*theirs)
    [mine] = (await jobs.jobs(prints.context(HERE), first=1, after=None, wanted=JobWanted())).nodes
    assert await is_seen(prints, principal, mine.id) is (0 in theirs)


async def test_a_service_is_shown_everything_that_is_published(prints: PrintShop) -> None:
    page = await jobs.jobs(prints.context(SERVICE), first=100, after=None, wanted=JobWanted())
    assert (len(page.nodes), await page.total(), page.page_info.has_next_page) == (100, JOBS, True)
    rest = await jobs.jobs(prints.context(SERVICE), first=100, after=page.page_info.end_cursor, wanted=JobWanted())
    assert (len(rest.nodes), await rest.total(), rest.page_info.has_next_page) == (JOBS - 100, JOBS, False)
    assert rest.nodes[-1].job_id == "JOB-0001"
    assert await is_seen(prints, SERVICE, WITHOUT_CUSTOMER)
    assert not await is_seen(prints, SERVICE, document_id("draft", 1))


async def test_whoever_has_no_customers_there_asks_for_nothing(prints: PrintShop) -> None:
    assert await listed(prints, platform(server_side=False)) == []
    assert prints.calls == 0
    assert not await is_seen(prints, CUSTOMER_OF_HERE, WITHOUT_CUSTOMER)
    assert await listed(prints, CUSTOMER_OF_HERE) == []


async def test_a_job_without_customer_is_of_whom_it_was_made_for(prints: PrintShop) -> None:
    assert not await is_seen(prints, HERE, WITHOUT_CUSTOMER)
    made = await jobs.create_job(prints.context(STAFF), JobToMake(5))
    assert await prints.owner(made.id) == (STAFF.client_id, STAFF.user_id)
    assert await listed(prints, HERE) == [made.job_id, *jobs_of(0)]
    assert await is_seen(prints, HERE, made.id)
    assert not await is_seen(prints, THERE, made.id)
    assert made.job_id not in await listed(prints, THERE)


async def test_a_job_that_got_another_clients_customer_is_not_shown_any_more(prints: PrintShop) -> None:
    made = await jobs.create_job(prints.context(HERE), JobToMake(5))
    row = prints.store.get("job", made.id)
    assert row is not None
    documents.update(prints.store, JOB_TYPE, row, {"customer": YOURS}, publish=True)
    page = await jobs.jobs(prints.context(HERE), first=100, after=None, wanted=JobWanted())
    assert made.job_id not in [job.job_id for job in page.nodes]
    assert not await is_seen(prints, HERE, made.id)
    assert await is_seen(prints, THERE, made.id)


async def test_status_and_ids_narrow_and_never_widen(prints: PrintShop) -> None:
    every = [document_id("job", n) for n in range(1, JOBS + 1)]
    some = await listed(prints, HERE, ids=every[-90:], status="Pending")
    assert some == [name for name in jobs_of(0) if int(name[4:]) % 4 == 0 and int(name[4:]) > JOBS - 90]
    assert await listed(prints, HERE, status="Pending") == [name for name in jobs_of(0) if int(name[4:]) % 4 == 0]
    assert await listed(prints, HERE, ids=[]) == []
    assert await listed(prints, HERE, status="pending") == []
    with pytest.raises(BadUserInput, match="at most 100"):
        await jobs.jobs(prints.context(HERE), first=20, after=None, wanted=JobWanted(ids=every[:101]))


async def test_pages_follow_one_another_however_the_list_is_made(prints: PrintShop) -> None:
    loose = [(await jobs.create_job(prints.context(HERE), JobToMake(1, f"LOOSE-{n}"))).job_id for n in range(3)]
    seen: list[str] = []
    after, wanted = None, JobWanted()
    while True:
        page = await jobs.jobs(prints.context(HERE), first=7, after=after, wanted=wanted)
        assert await page.total() == len(jobs_of(0)) + 3
        seen += [job.job_id for job in page.nodes]
        after = page.page_info.end_cursor
        if not page.page_info.has_next_page:
            break
    assert seen == [*reversed(loose), *jobs_of(0)]


@pytest.mark.parametrize("cursor", ["WzFd", "WyIyMDI2LTAxLTAxIiwiYSJd", "nonsense"])
async def test_a_cursor_of_another_list_is_refused(prints: PrintShop, cursor: str) -> None:
    with pytest.raises(BadUserInput, match="cursor"):
        await jobs.jobs(prints.context(HERE), first=1, after=cursor, wanted=JobWanted())


async def test_a_scope_wider_than_a_filter_is_several_calls_and_loses_nothing(prints: PrintShop) -> None:
    """One call would be answered with everybody's jobs."""
    for n in range(2 * MAX_IDS + 1):
        made = document_id("many", n)
        documents.create(prints.store, CUSTOMER_TYPE, {"Name": f"Many {n}"}, publish=True, id=made, at=WORLD.anchor)
        await prints.mongo.record_ownership(BackendName.STRAPI, made, THERE.client_id, None, kind=CUSTOMER)
        if n % 10 == 0:
            values = {"JobID": f"MANY-{n}", "Quantity": 1, "customer": made}
            documents.create(prints.store, JOB_TYPE, values, publish=True, at=None)
    names = await listed(prints, THERE)
    assert prints.calls == 3
    assert sorted(names) == sorted([*jobs_of(1), *(f"MANY-{n}" for n in range(0, 101, 10))])


async def test_a_stranger_and_what_is_not_there_cost_the_same(prints: PrintShop) -> None:
    costs = []
    for hidden in (document_id("absent", 1), WITHOUT_CUSTOMER, document_id("job", 4)):
        ctx = prints.context(HERE)
        assert await jobs.job(ctx, hidden) is None
        costs.append(len(operation.current().calls))
    assert len(set(costs)) == 1


# -- customers ---------------------------------------------------------------------------------------------------------


async def customers_seen(prints: PrintShop, principal: Principal) -> set[str]:
    page = await print_customers.job_customers(prints.context(principal), first=100, after=None)
    assert await page.total() == len(page.nodes)
    return {customer.id for customer in page.nodes}


async def test_customers_are_those_of_the_scope(prints: PrintShop) -> None:
    assert await customers_seen(prints, HERE) == set(WORLD.print_customer_ids(WORLD.clients[0]))
    assert await customers_seen(prints, platform(server_side=False)) == set()
    everybody = await customers_seen(prints, SERVICE)
    assert PASSER_BY in everybody
    assert len(everybody) == len(WORLD.customers) + 1


async def test_a_new_customer_is_the_clients_without_widening_its_scope(prints: PrintShop) -> None:
    made = await print_customers.create_job_customer(
        prints.context(STAFF), name=" Ada ", email="ada@example.com", user_id=None
    )
    assert (made.name, made.email) == ("Ada", "ada@example.com")
    assert made.id in await customers_seen(prints, HERE)
    assert made.id not in await customers_seen(prints, THERE)
    kept = await prints.mongo.client(HERE.client_id or "")
    assert kept is not None
    assert kept.backend_scope is not None
    assert made.id not in kept.backend_scope.strapi_customer_ids
    printed = await jobs.create_job(prints.context(HERE), JobToMake(1, customer_id=made.id))
    assert printed.job_id in await listed(prints, STAFF)
    with pytest.raises(NotFound):
        await jobs.create_job(prints.context(THERE), JobToMake(1, customer_id=made.id))


async def test_a_customer_may_be_one_of_the_clients_people(prints: PrintShop) -> None:
    someone, stranger = person("CUSTOMER", n=1), person("CUSTOMER", client=1)
    made = await print_customers.create_job_customer(prints.context(HERE), name="Ada", email=None, user_id=someone.id)
    assert await prints.owner(made.id) == (someone.client.id, someone.id)
    with pytest.raises(NotFound):
        await print_customers.create_job_customer(prints.context(HERE), name="Eve", email=None, user_id=stranger.id)
    assert prints.customers("Eve") == []


async def test_a_platform_makes_customers_for_somebody(prints: PrintShop) -> None:
    server, someone = platform(server_side=True), person("CUSTOMER", client=2)
    with pytest.raises(BadUserInput, match="userId"):
        await print_customers.create_job_customer(prints.context(server), name="Ada", email=None, user_id=None)
    made = await print_customers.create_job_customer(prints.context(server), name="Ada", email=None, user_id=someone.id)
    assert made.id in await customers_seen(prints, client(2))
    with pytest.raises(BadUserInput, match="customerId"):
        await jobs.create_job(prints.context(server), JobToMake(1))
    printed = await jobs.create_job(prints.context(server), JobToMake(1, customer_id=made.id))
    assert await is_seen(prints, client(2), printed.id)


@pytest.mark.parametrize(("name", "email"), [("", None), ("x" * 201, None), ("Ada", "nobody"), ("Ada\n", "a@b@c")])
async def test_a_customer_needs_a_name_and_an_address_that_is_one(
    prints: PrintShop, name: str, email: str | None
) -> None:
    with pytest.raises(BadUserInput):
        await print_customers.create_job_customer(prints.context(HERE), name=name, email=email, user_id=None)
    assert prints.calls == 0


async def test_a_customer_whose_answer_was_lost_is_found_again(prints: PrintShop) -> None:
    """Under the same key; for somebody else the same name makes somebody new."""
    prints.fail(kind="hang", when="after", method="POST", path="/api/customers", count=1)
    ctx = prints.context(HERE, key="k")
    await begin(prints)
    with pytest.raises(BackendTimeout):
        await print_customers.create_job_customer(ctx, name="Ada", email=None, user_id=None)
    notes = await left_notes(prints)
    assert len(prints.customers("Ada")) == 1
    again = prints.context(HERE, key="k", notes=notes)
    await begin(prints)
    made = await print_customers.create_job_customer(again, name="Ada", email=None, user_id=None)
    assert [row["documentId"] for row in prints.customers("Ada")] == [made.id]
    assert made.id in await customers_seen(prints, HERE)
    other = await print_customers.create_job_customer(prints.context(THERE), name="Ada", email=None, user_id=None)
    assert other.id != made.id


async def begin(prints: PrintShop) -> None:
    """What the engine does before a mutation under a key, and when an earlier try was released."""
    keyed = operation.current().keyed
    assert keyed is not None
    found = await prints.mongo.claim_request(keyed.key, "digest", keyed.attempt, lease_s=30)
    assert found.attempt == keyed.attempt


async def left_notes(prints: PrintShop) -> dict[str, str]:
    """Release the try, and give what it has left."""
    keyed = operation.current().keyed
    assert keyed is not None
    await prints.mongo.release_request(keyed.key, keyed.attempt)
    return keyed.notes


# -- one name, one job -------------------------------------------------------------------------------------------------


async def test_two_gateways_make_one_job_of_a_name(prints: PrintShop) -> None:
    """Both would find the name free, and Strapi would take both."""
    both_looked = asyncio.Event()

    async def pause() -> None:
        both_looked.set()
        await asyncio.sleep(0)

    line = FaultLine(create_app(prints.store, Options(before_insert=pause)))
    prints.strapi = open_strapi(line)
    tries = [jobs.create_job(prints.context(HERE), JobToMake(n, "SAME")) for n in range(1, 6)]
    ends = await asyncio.gather(*tries, return_exceptions=True)
    made = [end for end in ends if not isinstance(end, BaseException)]
    assert len(made) == len(prints.made) == 1
    assert {type(end) for end in ends if isinstance(end, BaseException)} == {Conflict}
    assert both_looked.is_set()
    await prints.strapi.aclose()


async def test_a_name_that_is_taken_is_a_conflict_whosever_the_job_is(prints: PrintShop) -> None:
    await jobs.create_job(prints.context(HERE), JobToMake(5, "MINE", MINE))
    for principal in (HERE, THERE, SERVICE):
        with pytest.raises(Conflict, match="already"):
            await jobs.create_job(prints.context(principal), JobToMake(5, "MINE"))
    with pytest.raises(Conflict, match="already"):
        await jobs.create_job(prints.context(HERE), JobToMake(5, "JOB-0001"))
    assert len(prints.made) == 1


async def test_a_name_that_was_refused_once_can_be_used_at_once(prints: PrintShop) -> None:
    with pytest.raises(BackendRejected, match="Status must be one of"):
        await jobs.create_job(prints.context(HERE), JobToMake(5, "MINE", status="Lost"))
    made = await jobs.create_job(prints.context(HERE), JobToMake(5, "MINE", status="Completed"))
    assert (made.job_id, made.status) == ("MINE", "Completed")


async def test_a_job_whose_answer_was_lost_is_found_by_who_made_it(prints: PrintShop) -> None:
    prints.fail(kind="hang", when="after", method="POST", path="/api/jobs", count=1)
    with pytest.raises(BackendTimeout):
        await jobs.create_job(prints.context(HERE), JobToMake(5, "MINE"))
    [row] = prints.made
    assert not await is_seen(prints, HERE, row["documentId"])
    for principal, quantity in ((THERE, 5), (HERE, 6)):
        with pytest.raises(Conflict, match="being made"):
            await jobs.create_job(prints.context(principal), JobToMake(quantity, "MINE"))
    found = await jobs.create_job(prints.context(HERE), JobToMake(5, "MINE"))
    assert found.id == row["documentId"]
    assert await is_seen(prints, HERE, found.id)
    assert len(prints.made) == 1


async def test_a_name_is_held_while_its_call_may_still_arrive(prints: PrintShop) -> None:
    prints.fail(kind="hang", when="before", method="POST", path="/api/jobs", count=1)
    with pytest.raises(BackendTimeout):
        await jobs.create_job(prints.context(HERE), JobToMake(5, "MINE"))
    with pytest.raises(Conflict, match="being made") as held:
        await jobs.create_job(prints.context(HERE), JobToMake(5, "MINE"))
    assert held.value.retry_after_s is not None
    assert 50 < held.value.retry_after_s <= 60
    await prints.mongo._db.job_claims.update_one({"_id": "job:MINE"}, {"$set": {"heldUntil": time.time() - 1}})
    made = await jobs.create_job(prints.context(HERE), JobToMake(5, "MINE"))
    assert [row["documentId"] for row in prints.made] == [made.id]


async def test_a_gateway_that_died_leaves_its_job_to_its_maker(prints: PrintShop) -> None:
    """Its claim ran out without a last word."""
    await prints.mongo.claim_job("MINE", attempt="dead", maker=HERE.id, lease_s=-1)
    made = documents.create(prints.store, JOB_TYPE, {"JobID": "MINE", "Quantity": 5}, publish=True, at=None)
    prints.fail(kind="status", status=500, method="GET", count=1)
    with pytest.raises(Exception, match="500"):
        await jobs.create_job(prints.context(HERE), JobToMake(5, "MINE"))
    found = await jobs.create_job(prints.context(HERE), JobToMake(5, "MINE"))
    assert found.id == made["documentId"]
    assert await is_seen(prints, HERE, found.id)


async def test_the_same_key_gives_the_same_job(prints: PrintShop) -> None:
    first = await jobs.create_job(prints.context(HERE, key="k"), JobToMake(5))
    again = await jobs.create_job(prints.context(HERE, key="k"), JobToMake(5))
    assert first.id == again.id
    other = await jobs.create_job(prints.context(HERE, key="l"), JobToMake(5))
    assert other.job_id != first.job_id
    assert len(prints.made) == 2


async def test_names_are_made_up_where_none_is_given(prints: PrintShop) -> None:
    names = {(await jobs.create_job(prints.context(HERE), JobToMake(1))).job_id for _ in range(3)}
    assert len(names) == 3


@pytest.mark.parametrize(
    "wanted",
    [
        JobToMake(0),
        JobToMake(-1),
        JobToMake(1, ""),
        JobToMake(1, "x" * 65),
        JobToMake(1, "a\nb"),
        JobToMake(1, status=""),
    ],
)
async def test_what_makes_no_sense_is_not_sent(prints: PrintShop, wanted: JobToMake) -> None:
    with pytest.raises(BadUserInput):
        await jobs.create_job(prints.context(HERE), wanted)
    assert prints.calls == 0


async def test_a_job_is_for_ones_own_customers(prints: PrintShop) -> None:
    for stranger in (YOURS, PASSER_BY, document_id("absent", 1), "1"):
        with pytest.raises(NotFound, match="no such customer"):
            await jobs.create_job(prints.context(HERE), JobToMake(1, customer_id=stranger))
    made = await jobs.create_job(prints.context(HERE), JobToMake(1, customer_id=MINE))
    assert made.customer is not None
    assert made.customer.id == MINE
    owner = await prints.mongo.owner(BackendName.STRAPI, made.id)
    assert owner is not None
    assert (owner.client_id, owner.kind) == (HERE.client_id, JOB)


async def test_kinds_of_what_was_made_are_listed_apart(prints: PrintShop) -> None:
    made = await jobs.create_job(prints.context(HERE), JobToMake(1))
    rows = await prints.mongo.owned(
        BackendName.STRAPI, kind=JOB_WITHOUT_CUSTOMER, limit=10, client_ids=[HERE.client_id or ""]
    )
    assert [row.row_id for row in rows] == [made.id]


# -- changes -----------------------------------------------------------------------------------------------------------


async def test_a_change_leaves_the_rest_as_it_is(prints: PrintShop) -> None:
    made = await jobs.create_job(prints.context(HERE), JobToMake(5, customer_id=MINE))
    changed = await jobs.update_job(prints.context(HERE), made.id, quantity=None, status="Completed")
    assert (changed.id, changed.quantity, changed.status, changed.customer_id) == (made.id, 5, "Completed", MINE)
    ctx = prints.context(HERE)
    assert await jobs.job(ctx, made.id) == changed
    assert (await jobs.update_job(ctx, made.id, quantity=7, status=None)).quantity == 7
    after = await jobs.job(ctx, made.id)
    assert after is not None
    assert after.quantity == 7


async def test_nobody_changes_what_is_not_theirs(prints: PrintShop) -> None:
    made = await jobs.create_job(prints.context(HERE), JobToMake(5, customer_id=MINE))
    for principal, hidden in ((THERE, made.id), (HERE, WITHOUT_CUSTOMER), (HERE, document_id("absent", 1))):
        with pytest.raises(NotFound, match="no such job"):
            await jobs.update_job(prints.context(principal), hidden, quantity=9, status=None)
    with pytest.raises(BadUserInput, match="at least 1"):
        await jobs.update_job(prints.context(HERE), made.id, quantity=0, status=None)
    [row] = prints.made
    assert row["Quantity"] == 5
