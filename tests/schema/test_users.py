"""People, clients, platforms and families through the schema: joins, counts of calls, and who may see what."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import Any

import pytest

from core.principals import Principal
from sandbox.world import World
from tests.conftest import Callers, Commands, MakeContext
from tests.office import Office
from tests.schema.people import SCHEMA, ask

pytest_plugins = ["tests.backends"]

WORLD = World(datetime.now(UTC))
THEIRS, FOREIGN = WORLD.clients[2], WORLD.clients[0]
SELF = next(person for person in WORLD.customers if person.client is THEIRS)
MANAGER = next(person for person in WORLD.people if person.client is THEIRS and person.role == "MANAGER")
NEWEST = max(WORLD.people, key=lambda person: person.created_at)
FOREIGNER = next(person for person in WORLD.customers if person.client is FOREIGN)


async def test_a_list_with_its_joins_is_one_find_per_collection(
    make_context: MakeContext, service: Principal, commands: Commands
) -> None:
    commands.forget()
    query = """{ users(first: 20) { nodes {
        id email name phone role status createdAt updatedAt
        linkedAccounts { medusaCustomerId stripeCustomerId erpCustomerId walletId fleetbaseContactId }
        staffAccess { permissions grantedAt }
        client { id code app { id name } }
        family { id name client { code } members { role joinedAt user { id name } }
                 benefits { code percentOff sharedBy { name } validUntil } }
    } } }"""
    answer = await ask(make_context(service), query)
    assert answer.errors == []
    assert sorted(answer.calls) == sorted(commands.sent) == [
        ("find", "client_apps"),
        ("find", "clients"),
        ("find", "families"),
        ("find", "users"),
        ("find", "users"),
        ("find", "users"),
    ]  # fmt: skip
    nodes = answer.data["users"]["nodes"]
    assert len(nodes) == 20
    assert {node["role"] for node in nodes} == {"CUSTOMER"}
    for node in nodes:
        person = next(person for person in WORLD.people if person.id == node["id"])
        assert (node["email"], node["client"]["code"]) == (person.email, person.client.code)
        assert node["client"]["app"]["name"] == person.client.app.name
        assert node["linkedAccounts"]["medusaCustomerId"] == person.medusa_id
        assert node["createdAt"].endswith("+00:00")
    families = await ask(make_context(service), "{ families { nodes { benefits { percentOff } members { role } } } }")
    assert families.data["families"]["nodes"][0]["benefits"] == [{"percentOff": "10"}]
    assert [member["role"] for member in families.data["families"]["nodes"][0]["members"]] == [
        "OWNER",
        "ADULT",
        "CHILD",
    ]


@pytest.mark.parametrize(
    ("selection", "calls"),
    [
        ("clientApp { id }", []),
        ("clients { nodes { app { name } } }", [("find", "client_apps"), ("find", "clients")]),
        ("families { nodes { client { name } } }", [("find", "clients"), ("find", "families")]),
        ("families { nodes { members { user { name } } } }", [("find", "families"), ("find", "users")]),
        ("users { nodes { family { name } } }", [("find", "families"), ("find", "users")]),
        ("users { totalCount }", [("aggregate", "users"), ("find", "users")]),
        ("users { nodes { id } edges { cursor } pageInfo { hasNextPage } }", [("find", "users")]),
    ],
)
async def test_every_join_of_a_list_is_one_call(
    make_context: MakeContext, service: Principal, commands: Commands, selection: str, calls: list[tuple[str, str]]
) -> None:
    commands.forget()
    if not calls:
        selection = f'clientApp(id: "{"f" * 24}") {{ id }}'
        calls = [("find", "client_apps")]
    answer = await ask(make_context(service), f"{{ {selection} }}")
    assert answer.errors == []
    assert sorted(answer.calls) == sorted(commands.sent) == calls


async def test_a_list_is_walked_by_its_cursors(make_context: MakeContext, service: Principal) -> None:
    query = """query($after: String) { users(first: 30, after: $after) {
        nodes { id } edges { cursor node { id } } totalCount
        pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }"""
    ids: list[str] = []
    after = None
    while True:
        page = (await ask(make_context(service), query, after=after)).data["users"]
        assert page["pageInfo"]["hasPreviousPage"] is (after is not None)
        assert page["totalCount"] == len(WORLD.people)
        assert page["nodes"] == [edge["node"] for edge in page["edges"]]
        ids += [node["id"] for node in page["nodes"]]
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert len(ids) == len(set(ids)) == len(WORLD.people)


@pytest.mark.parametrize("after", ["nonsense", "WzVd", "\ud800", "🦄"])
@pytest.mark.parametrize("field", ["users", "clients", "clientApps", "families"])
async def test_a_foreign_cursor_is_bad_user_input(
    make_context: MakeContext, service: Principal, field: str, after: str
) -> None:
    query = f"query($after: String) {{ {field}(after: $after) {{ nodes {{ id }} }} }}"
    answer = await ask(make_context(service), query, after=after)
    assert (answer.data, answer.errors) == ({field: None}, [([field], "BAD_USER_INPUT")])


OPERATORS: list[Any] = [{"$ne": None}, {"$gt": ""}, ["a", "b"], {"$regex": ".*"}]


@pytest.mark.parametrize("value", OPERATORS)
@pytest.mark.parametrize(
    "query",
    [
        "query($v: ID!) { user(id: $v) { id } }",
        "query($v: ID!) { clientApp(id: $v) { id } }",
        "query($v: ID!) { family(id: $v) { id } }",
        "query($v: ID) { client(id: $v) { id } }",
        "query($v: String) { client(code: $v) { id } }",
        "query($v: String) { users(filter: {search: $v}) { nodes { id } } }",
        "query($v: ID) { users(filter: {clientId: $v}) { nodes { id } } }",
        "query($v: ID!) { users(filter: {ids: [$v]}) { nodes { id } } }",
        "query($v: String) { clients(filter: {search: $v}) { nodes { id } } }",
        "query($v: String) { users(after: $v) { nodes { id } } }",
    ],
)
async def test_an_object_never_reaches_the_store(
    make_context: MakeContext, service: Principal, commands: Commands, query: str, value: Any
) -> None:
    commands.forget()
    answer = await ask(make_context(service), query, v=value)
    assert answer.data is None
    assert {code for _, code in answer.errors} == {"BAD_USER_INPUT"}
    assert commands.sent == []


@pytest.mark.parametrize("value", ["\ud800", "a\0b"])
async def test_text_that_is_none_is_the_callers_mistake(
    make_context: MakeContext, service: Principal, value: str
) -> None:
    query = "query($v: String) { users(filter: {search: $v}) { nodes { id } } client(code: $v) { id } }"
    answer = await ask(make_context(service), query, v=value)
    assert {code for _, code in answer.errors} == {"BAD_USER_INPUT"}
    assert answer.data["client"] is None


@pytest.mark.parametrize("caller", ["platform", "client", "customer", "staff", "manager", "admin"])
async def test_somebody_elses_row_looks_like_none(make_context: MakeContext, callers: Callers, caller: str) -> None:
    foreign = WORLD.clients[1]
    person = next(person for person in WORLD.customers if person.client is foreign)
    query = """query($u: ID!, $c: ID!) { user(id: $u) { id } nobody: user(id: "x") { id }
        client(id: $c) { users { nodes { id } totalCount } } }"""
    answer = await ask(make_context(callers[caller]), query, u=person.id, c=foreign.id)
    assert answer.errors == []
    assert answer.data["user"] is answer.data["nobody"] is None
    if caller == "platform":  # of that client: it sees its plain fields, and nobody's data
        assert answer.data["client"] == {"users": {"nodes": [], "totalCount": 0}}
    else:
        assert answer.data["client"] is None


@pytest.mark.parametrize(
    ("caller", "sees"), [("customer", 1), ("staff", 14), ("client", 14), ("server_side_platform", 14)]
)
async def test_nested_lists_follow_the_same_rules(
    make_context: MakeContext, callers: Callers, caller: str, sees: int
) -> None:
    query = """query($c: ID!) { client(id: $c) {
        users(first: 100) { totalCount nodes { id } } others: users(filter: {clientId: "x"}) { totalCount }
        families { totalCount } app { name clients { nodes { code } } } } }"""
    answer = await ask(make_context(callers[caller]), query, c=THEIRS.id)
    assert answer.errors == []
    client = answer.data["client"]
    assert client["users"]["totalCount"] == len(client["users"]["nodes"]) == sees
    assert client["families"]["totalCount"] == (1 if caller == "customer" else 2)
    if callers[caller].user_id:
        assert client["app"] is None
    else:
        codes = {node["code"] for node in client["app"]["clients"]["nodes"]}
        assert codes == ({"DKTR01"} if caller == "client" else {"DKTR01", "DKDR01"})


async def test_a_platforms_public_key_sees_its_clients_and_none_of_their_data(
    make_context: MakeContext, platform: Principal
) -> None:
    query = """{ clients { nodes { code keyHint users { totalCount } families { totalCount } } }
                 users { totalCount nodes { id } } families { totalCount } }"""
    answer = await ask(make_context(platform), query)
    assert answer.errors == []
    nodes = answer.data["clients"]["nodes"]
    assert {node["code"] for node in nodes} == {"BBDF25", "SKBK01"}
    assert all(node["users"]["totalCount"] == node["families"]["totalCount"] == 0 for node in nodes)
    assert answer.data["users"] == {"totalCount": 0, "nodes": []}
    assert answer.data["families"] == {"totalCount": 0}


async def test_members_of_a_family_see_each_others_name_and_role(
    make_context: MakeContext, customer: Principal
) -> None:
    names = await ask(make_context(customer), "{ families { nodes { members { role user { id name role } } } } }")
    assert names.errors == []
    [family] = names.data["families"]["nodes"]
    assert all(member["user"]["name"] for member in family["members"])
    query = """{ families { nodes { members { user { name phone client { id }
                 linkedAccounts { walletId } } } benefits { sharedBy { email } } } } }"""
    answer = await ask(make_context(customer), query)
    assert {code for _, code in answer.errors} == {"FORBIDDEN"}
    users = [member["user"] for member in answer.data["families"]["nodes"][0]["members"]]
    others = [
        user for user, member in zip(users, family["members"], strict=True) if member["user"]["id"] != customer.user_id
    ]
    assert others == [None, None]  # `linkedAccounts` may not be null, so that its error takes the user with it


async def test_without_the_scope_a_field_is_null_and_costs_nothing(
    make_context: MakeContext, customer: Principal, commands: Commands
) -> None:
    narrow = dataclasses.replace(customer, scopes=frozenset({"commerce:read"}))
    commands.forget()
    answer = await ask(make_context(narrow), '{ users { nodes { id } } family(id: "x") { id } viewer { kind } }')
    assert answer.data == {"users": None, "family": None, "viewer": {"kind": "USER"}}
    assert answer.errors == [(["users"], "FORBIDDEN"), (["family"], "FORBIDDEN")]
    assert commands.sent == []


@pytest.mark.parametrize(
    ("arguments", "ids"),
    [
        (f'filter: {{ids: ["{SELF.id}", "{FOREIGNER.id}", "x"]}}', {SELF.id, FOREIGNER.id}),
        ("filter: {ids: []}", set()),
        (f'filter: {{clientId: "{THEIRS.id}", role: MANAGER}}', {MANAGER.id}),
        ("filter: {status: DEACTIVATED}", set()),
        ('filter: {search: "customer1@bbdf25"}', {FOREIGNER.id}),
        ("filter: null, after: null, first: 1", {NEWEST.id}),
        ("filter: {clientId: null, role: null, status: null, search: null, ids: null}, first: 1", {NEWEST.id}),
    ],
)  # fmt: skip
async def test_arguments_narrow_a_list(
    make_context: MakeContext, service: Principal, arguments: str, ids: set[str]
) -> None:
    answer = await ask(make_context(service), f"{{ users({arguments}) {{ nodes {{ id }} }} }}")
    assert answer.errors == []
    assert {node["id"] for node in answer.data["users"]["nodes"]} == ids


@pytest.mark.parametrize("arguments", ["", '(id: "a", code: "b")', '(id: "", externalId: "x")'])
async def test_a_client_is_asked_for_in_one_way(make_context: MakeContext, service: Principal, arguments: str) -> None:
    answer = await ask(make_context(service), f"{{ client{arguments} {{ id }} }}")
    assert answer.errors == [(["client"], "BAD_USER_INPUT")]


async def test_an_empty_filter_narrows_to_nobody_rather_than_not_at_all(
    make_context: MakeContext, service: Principal
) -> None:
    answer = await ask(make_context(service), '{ users(filter: {clientId: ""}) { nodes { id } } }')
    assert answer.data["users"]["nodes"] == []


# -- changing people ---------------------------------------------------------------------------------------------------

ACCOUNTS = "linkedAccounts { medusaCustomerId stripeCustomerId erpCustomerId fleetbaseContactId }"
CREATE = f"""mutation($input: CreateUserInput!) {{ createUser(input: $input) {{
    id email name phone role status client {{ id }} staffAccess {{ permissions }} {ACCOUNTS} }} }}"""
NEWCOMER = {"email": "Ann@New.example", "name": "Ann van Lee", "phone": "+355691234567"}


async def test_the_story_of_a_user(office: Office, server_side_platform: Principal) -> None:
    ctx = office.context(server_side_platform)
    made = await ask(ctx, CREATE, input={**NEWCOMER, "clientId": THEIRS.id})
    assert made.errors == []
    user = made.data["createUser"]
    user_id = user.pop("id")
    assert user == {
        **NEWCOMER,
        "role": "CUSTOMER",
        "status": "ACTIVE",
        "client": {"id": THEIRS.id},
        "staffAccess": None,
        "linkedAccounts": dict.fromkeys(user["linkedAccounts"]),
    }
    changes = """mutation($id: ID!) {
        updateUser(id: $id, input: {name: "Ann Lee", phone: null, role: STAFF, email: null}) { name phone role email }
        grantStaffAccess(userId: $id, permissions: ["orders", "stock"]) { staffAccess { permissions grantedAt } }
        setUserStatus(id: $id, status: SUSPENDED) { status staffAccess { permissions } }
        back: setUserStatus(id: $id, status: ACTIVE) { status }
        revokeStaffAccess(userId: $id) { staffAccess { permissions } } }"""
    after = await ask(ctx, changes, id=user_id)
    assert after.errors == []
    assert after.data["updateUser"] == {"name": "Ann Lee", "phone": None, "role": "STAFF", "email": NEWCOMER["email"]}
    assert after.data["grantStaffAccess"]["staffAccess"]["permissions"] == ["orders", "stock"]
    assert after.data["setUserStatus"] == {"status": "SUSPENDED", "staffAccess": {"permissions": ["orders", "stock"]}}
    assert (after.data["back"], after.data["revokeStaffAccess"]) == ({"status": "ACTIVE"}, {"staffAccess": None})


async def test_what_one_backend_fails_at_is_told_at_its_account(office: Office, client: Principal) -> None:
    office.fail("erpnext", kind="status", status=500)
    result = await SCHEMA.execute(
        CREATE,
        {"input": {**NEWCOMER, "provision": ["MEDUSA", "STRIPE", "ERPNEXT", "FLEETBASE"]}},
        context_value=office.context(client),
    )
    assert result.data is not None
    user = result.data["createUser"]
    accounts = user["linkedAccounts"]
    assert [name for name, account in accounts.items() if account is None] == ["erpCustomerId"]
    [error] = result.errors or []
    assert error.path == ["createUser", "linkedAccounts", "erpCustomerId"]
    assert error.extensions is not None
    assert (error.extensions["code"], error.extensions["source"]) == ("UPSTREAM_UNAVAILABLE", "ERPNEXT")
    office.heal()
    repair = f"mutation($id: ID!) {{ provisionUser(id: $id) {{ {ACCOUNTS} }} }}"
    repaired = await ask(office.context(client), repair, id=user["id"])
    assert repaired.errors == []
    after = repaired.data["provisionUser"]["linkedAccounts"]
    assert after.pop("erpCustomerId")
    assert after.items() <= accounts.items()


LINK = """mutation($user: ID!, $backend: BackendName!, $account: ID!) {
    linkAccount(userId: $user, backend: $backend, accountId: $account) { linkedAccounts { walletId } } }"""


async def test_only_services_link_accounts(office: Office, callers: Callers) -> None:
    said = {"user": SELF.id, "backend": "WALTID", "account": "wallet-1"}
    for caller in ("platform", "server_side_platform", "client", "customer", "staff", "manager", "admin"):
        refused = await ask(office.context(callers[caller]), LINK, **said)
        assert (refused.data, refused.errors) == ({"linkAccount": None}, [(["linkAccount"], "FORBIDDEN")])
    linked = await ask(office.context(callers["service"]), LINK, **said)
    assert (linked.errors, linked.data["linkAccount"]["linkedAccounts"]["walletId"]) == ([], "wallet-1")


@pytest.mark.parametrize("backend", ["TEMPORAL", "OMNISTACK", "SENDGRID"])
async def test_a_backend_that_knows_nobody_is_bad_user_input(office: Office, service: Principal, backend: str) -> None:
    answer = await ask(office.context(service), LINK, user=SELF.id, backend=backend, account="x")
    assert answer.errors == [(["linkAccount"], "BAD_USER_INPUT")]
    provision = f"mutation($id: ID!) {{ provisionUser(id: $id, backends: [{backend}]) {{ id }} }}"
    answer = await ask(office.context(service), provision, id=SELF.id)
    assert answer.errors == [(["provisionUser"], "BAD_USER_INPUT")]


WRITES = [
    'createUser(input: {email: "a@x.example", name: "A"}) { id }',
    f'updateUser(id: "{SELF.id}", input: {{name: "A"}}) {{ id }}',
    f'setUserStatus(id: "{SELF.id}", status: SUSPENDED) {{ id }}',
    f'provisionUser(id: "{SELF.id}") {{ id }}',
    f'grantStaffAccess(userId: "{SELF.id}", permissions: ["orders"]) {{ id }}',
    f'revokeStaffAccess(userId: "{SELF.id}") {{ id }}',
]


@pytest.mark.parametrize("write", WRITES)
async def test_customers_change_nobody_not_even_themselves(
    make_context: MakeContext, customer: Principal, commands: Commands, write: str
) -> None:
    commands.forget()
    answer = await ask(make_context(customer), f"mutation {{ {write} }}")
    field = write.partition("(")[0]
    assert (answer.data, answer.errors, commands.sent) == ({field: None}, [([field], "FORBIDDEN")], [])


@pytest.mark.parametrize("value", OPERATORS)
@pytest.mark.parametrize(
    "mutation",
    [
        'mutation($v: String!) { createUser(input: {email: $v, name: "A"}) { id } }',
        'mutation($v: String!) { createUser(input: {email: "a@x.example", name: $v}) { id } }',
        'mutation($v: String!) { createUser(input: {email: "a@x.example", name: "A", phone: $v}) { id } }',
        'mutation($v: ID!) { createUser(input: {email: "a@x.example", name: "A", clientId: $v}) { id } }',
        'mutation($v: ID!) { updateUser(id: $v, input: {name: "A"}) { id } }',
        'mutation($v: String!) { updateUser(id: "x", input: {name: $v}) { id } }',
        'mutation($v: String!) { updateUser(id: "x", input: {email: $v}) { id } }',
        'mutation($v: String!) { updateUser(id: "x", input: {phone: $v}) { id } }',
        "mutation($v: ID!) { setUserStatus(id: $v, status: ACTIVE) { id } }",
        "mutation($v: ID!) { provisionUser(id: $v) { id } }",
        "mutation($v: ID!) { revokeStaffAccess(userId: $v) { id } }",
        'mutation($v: ID!) { grantStaffAccess(userId: $v, permissions: ["a"]) { id } }',
        'mutation($v: String!) { grantStaffAccess(userId: "x", permissions: [$v]) { id } }',
        'mutation($v: ID!) { linkAccount(userId: $v, backend: STRIPE, accountId: "a") { id } }',
        'mutation($v: ID!) { linkAccount(userId: "x", backend: STRIPE, accountId: $v) { id } }',
    ],
)
async def test_an_object_is_no_text_in_a_mutation(
    make_context: MakeContext, service: Principal, commands: Commands, mutation: str, value: Any
) -> None:
    commands.forget()
    answer = await ask(make_context(service), mutation, v=value)
    assert answer.data is None
    assert {code for _, code in answer.errors} == {"BAD_USER_INPUT"}
    assert commands.sent == []
