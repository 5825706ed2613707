"""Print jobs as queries see them, and in how many calls."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import strawberry
from strawberry.schema.config import StrawberryConfig

from core import operation
from core.backends import BackendName
from core.errors import GatewayError
from core.principals import Principal
from engine.scopes import enforce_scopes
from schema.jobs import JobMutation, JobQuery
from schema.scalars import SCALARS
from schema.users import UserQuery
from tests.callers import SERVICE, WORLD, client, person, user
from tests.printing import PrintShop

pytest_plugins = ["tests.backends"]

HERE, STAFF, CUSTOMER = client(0), user(person("STAFF")), user(person("CUSTOMER"))


@strawberry.type
class Query(JobQuery, UserQuery):
    pass


SCHEMA = strawberry.federation.Schema(query=Query, mutation=JobMutation, config=StrawberryConfig(scalar_map=SCALARS))
enforce_scopes(SCHEMA)


async def try_to(prints: PrintShop, principal: Principal, document: str, **variables: Any) -> tuple[Any, list[str]]:
    result = await SCHEMA.execute(document, context_value=prints.context(principal), variable_values=variables)
    codes = []
    for error in result.errors or []:
        assert isinstance(error.original_error, GatewayError), error
        codes.append(error.original_error.code)
    return result.data, codes


async def ask(prints: PrintShop, principal: Principal, document: str, **variables: Any) -> Any:
    data, codes = await try_to(prints, principal, document, **variables)
    assert codes == []
    return data


def calls() -> Counter[BackendName]:
    return Counter(call.backend for call in operation.current().calls)


async def test_a_job_is_made_read_and_changed(prints: PrintShop) -> None:
    someone = person("CUSTOMER", n=2)
    document = """mutation ($user: ID!) {
        createJobCustomer(input: {name: "Ada", email: "ada@example.com", userId: $user}) { id name email user { id } }
    }"""
    customer = (await ask(prints, STAFF, document, user=someone.id))["createJobCustomer"]
    assert (customer["name"], customer["email"], customer["user"]) == ("Ada", "ada@example.com", {"id": someone.id})
    document = """mutation ($customer: ID!) {
        createJob(input: {jobId: "POSTERS", quantity: 50, customerId: $customer}) { id jobId status quantity }
    }"""
    made = (await ask(prints, STAFF, document, customer=customer["id"]))["createJob"]
    assert (made["jobId"], made["status"], made["quantity"]) == ("POSTERS", "Pending", 50)
    document = """mutation ($id: ID!) { updateJob(id: $id, input: {status: "Completed"}) { status quantity } }"""
    assert (await ask(prints, HERE, document, id=made["id"]))["updateJob"] == {"status": "Completed", "quantity": 50}
    document = """query ($id: ID!) { job(id: $id) { jobId customer { id user { name } } createdAt updatedAt } }"""
    read = (await ask(prints, HERE, document, id=made["id"]))["job"]
    assert read["customer"] == {"id": customer["id"], "user": {"name": someone.name}}
    assert read["createdAt"] < read["updatedAt"]


async def test_fifty_jobs_with_their_customers_and_users_are_one_call_to_the_print_shop(prints: PrintShop) -> None:
    document = "{ jobs(first: 50) { nodes { jobId customer { name user { name } } } pageInfo { hasNextPage } } }"
    nodes = (await ask(prints, SERVICE, document))["jobs"]["nodes"]
    assert len(nodes) == 50
    names = {node["customer"]["name"] for node in nodes}
    assert names == {node["customer"]["user"]["name"] for node in nodes}
    # Who the customers are, and those people.
    assert calls() == {BackendName.STRAPI: 1, BackendName.OMNISTACK: 2}


async def test_fifty_jobs_by_their_ids_are_one_call(prints: PrintShop) -> None:
    nodes = (await ask(prints, SERVICE, "{ jobs(first: 50) { nodes { id } } }"))["jobs"]["nodes"]
    fields = " ".join(f'j{n}: job(id: "{node["id"]}") {{ jobId customer {{ id }} }}' for n, node in enumerate(nodes))
    data = await ask(prints, SERVICE, f"{{ {fields} }}")
    assert all(data.values())
    assert calls() == {BackendName.STRAPI: 1}


async def test_a_clients_list_is_two_calls_at_most(prints: PrintShop) -> None:
    document = "{ jobs(first: 50) { nodes { id } totalCount } jobCustomers(first: 50) { nodes { id } totalCount } }"
    data = await ask(prints, HERE, document)
    assert data["jobs"]["totalCount"] == len(data["jobs"]["nodes"])
    assert data["jobCustomers"]["totalCount"] == len(WORLD.print_customer_ids(WORLD.clients[0]))
    # What was made for it: customers, and jobs without any.
    assert calls() == {BackendName.STRAPI: 2, BackendName.OMNISTACK: 2}


async def test_customers_have_no_part_in_it(prints: PrintShop) -> None:
    for document in (
        "{ jobs { nodes { id } } }",
        '{ job(id: "x") { id } }',
        "{ jobCustomers { nodes { id } } }",
        "mutation { createJob(input: {quantity: 1}) { id } }",
        'mutation { createJobCustomer(input: {name: "Ada"}) { id } }',
        'mutation { updateJob(id: "x", input: {quantity: 1}) { id } }',
    ):
        _, codes = await try_to(prints, CUSTOMER, document)
        assert codes == ["FORBIDDEN"], document
        assert not calls()


async def test_a_user_whom_the_caller_may_not_see_is_not_shown(prints: PrintShop) -> None:
    """A customer in the scope of two clients is a person of one."""
    stranger = person("CUSTOMER", client=1)
    scope = HERE.backend_scope
    assert scope is not None
    both = replace(HERE, backend_scope=replace(scope, strapi_customer_ids=(stranger.print_customer_id,)))
    nodes = (await ask(prints, both, "{ jobCustomers { nodes { id name user { id } } } }"))["jobCustomers"]["nodes"]
    assert {"id": stranger.print_customer_id, "name": stranger.name, "user": None} in nodes
