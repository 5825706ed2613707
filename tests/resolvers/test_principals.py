"""From credentials to a principal, against the real store."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from bson import ObjectId

from core.auth import CLOCK_SKEW_S, Credentials, TokenVerifier, hash_key, new_key
from core.demo import DemoCredentials
from core.errors import Unauthenticated
from core.principals import BackendScope, Principal, PrincipalKind
from core.scopes import ALL_SCOPES, CLIENT_SCOPES, ROLE_SCOPES, UserRole
from core.settings import Settings
from datasources.mongo import BackendScopeRecord, Mongo
from resolvers.principals import NEWCOMERS_WRITES, Identification, lesser_role, scope_of
from sandbox.world import REGION_EUR, World
from schema import build_schema
from tests.conftest import CLIENT, PLATFORM, SERVER_SIDE_PLATFORM, demo_documents

WORLD = World(datetime.now(UTC))
THEIRS = WORLD.clients[2]
CUSTOMER = next(person for person in WORLD.customers if person.client is THEIRS)
WRONG = "the credentials are not valid"


class Door:
    """Credentials shown to a gateway whose store a test may change."""

    def __init__(self, mongo: Mongo, demo: DemoCredentials, identification: Identification) -> None:
        self.mongo, self.demo, self.identification = mongo, demo, identification

    async def identify(self, **shown: str) -> Principal:
        return await self.identification.identify(self.mongo, Credentials(**shown))

    async def refuses(self, message: str = WRONG, **shown: str) -> None:
        with pytest.raises(Unauthenticated, match=f"^{message}"):
            await self.identify(**shown)

    def token(self, **claims: Any) -> str:
        whole = {"sub": CUSTOMER.id, "exp": time.time() + 60, **claims}
        return jwt.encode({k: v for k, v in whole.items() if v is not None}, self.demo.jwt_secret, algorithm="HS256")


@pytest.fixture
def door(mongo: Mongo, demo: DemoCredentials, identification: Identification) -> Door:
    return Door(mongo, demo, identification)


@pytest.fixture
async def changed(empty_mongo: Mongo, demo: DemoCredentials, identification: Identification) -> Door:
    """A door to a store of the test's own; `change` says what is different in it."""
    return Door(empty_mongo, demo, identification)


async def fill(door: Door, collection: str, id: str, **changes: Any) -> None:
    """The demo world, with one document changed."""
    documents = demo_documents(door.demo)
    documents[collection] = [row | changes if row["_id"] == id else row for row in documents[collection]]
    await door.mongo.insert(documents)


# -- who it is ---------------------------------------------------------------------------------------------------------


async def test_the_service_key_is_everything(door: Door) -> None:
    principal = await door.identify(api_key=door.demo.service_key)
    assert principal == Principal(PrincipalKind.SERVICE, ALL_SCOPES)
    assert principal.is_service
    assert principal.backend_scope is None


async def test_a_platform_whose_key_is_public_has_no_data(door: Door) -> None:
    principal = await door.identify(api_key=door.demo.keys[PLATFORM])
    assert (principal.kind, principal.client_app_id) == (PrincipalKind.PLATFORM, WORLD.apps[0].id)
    assert (principal.client_ids, principal.backend_scope, principal.is_server_side) == ((), BackendScope(), False)
    assert principal.client_id is None
    assert "service" not in principal.scopes
    assert principal.scopes == CLIENT_SCOPES
    assert principal.allowed_writes == frozenset({"registerClient", "healthChanged"})


async def test_a_server_side_platform_has_its_clients_data(door: Door) -> None:
    principal = await door.identify(api_key=door.demo.keys[SERVER_SIDE_PLATFORM])
    theirs = [client for client in WORLD.clients if client.app is WORLD.apps[1]]
    scope = principal.backend_scope
    assert principal.is_server_side
    assert principal.allowed_writes is None
    assert scope is not None
    assert set(principal.client_ids) == {client.id for client in theirs}
    assert set(scope.medusa_sales_channel_ids) == {client.channel_id for client in theirs}
    assert set(scope.erp_companies) == {client.company for client in theirs}
    assert set(scope.erp_warehouses) == {client.warehouse for client in theirs}
    assert set(scope.payload_tenants) == {client.code for client in theirs}


async def test_a_client_has_its_own_data(door: Door) -> None:
    principal = await door.identify(api_key=door.demo.keys[SERVER_SIDE_PLATFORM], client_api_key=door.demo.keys[CLIENT])
    assert (principal.kind, principal.client_id) == (PrincipalKind.CLIENT, THEIRS.id)
    assert principal.scopes == CLIENT_SCOPES
    assert principal.backend_scope == BackendScope(
        (THEIRS.channel_id,),
        REGION_EUR,
        (THEIRS.company,),
        (THEIRS.warehouse,),
        tuple(WORLD.print_customer_ids(THEIRS)),
        (THEIRS.code,),
    )


@pytest.mark.parametrize("role", list(UserRole))
async def test_a_user_is_who_the_token_names(door: Door, role: UserRole) -> None:
    principal = await door.identify(bearer=door.demo.tokens[role.value])
    assert (principal.kind, principal.user_id, principal.role) == (
        PrincipalKind.USER,
        door.demo.users[role.value],
        role,
    )
    assert (principal.client_id, principal.client_app_id) == (THEIRS.id, THEIRS.app.id)
    assert principal.scopes == ROLE_SCOPES[role]
    assert principal.backend_scope is not None
    assert principal.backend_scope.medusa_sales_channel_ids == (THEIRS.channel_id,)
    assert principal.is_customer is (role is UserRole.CUSTOMER)
    assert principal.expires_at is not None


async def test_a_customer_brings_their_accounts(door: Door) -> None:
    principal = await door.identify(bearer=door.demo.tokens["CUSTOMER"])
    assert principal.medusa_customer_ids == (CUSTOMER.medusa_id,)
    assert (principal.erp_customer_id, principal.email) == (CUSTOMER.erp_id, CUSTOMER.email)


# -- what a token narrows ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("claimed", "recorded", "is_role"),
    [
        (None, UserRole.STAFF, UserRole.STAFF),
        ("CUSTOMER", UserRole.ADMIN, UserRole.CUSTOMER),
        ("STAFF", UserRole.MANAGER, UserRole.STAFF),
        ("ADMIN", UserRole.CUSTOMER, UserRole.CUSTOMER),
        ("ADMIN", UserRole.STAFF, UserRole.STAFF),
        ("MANAGER", UserRole.MANAGER, UserRole.MANAGER),
        ("SUPERUSER", UserRole.ADMIN, UserRole.CUSTOMER),
        ("admin", UserRole.ADMIN, UserRole.CUSTOMER),
        ("", UserRole.ADMIN, UserRole.CUSTOMER),
    ],
)
def test_the_role_is_the_lesser_of_token_and_record(claimed: str | None, recorded: UserRole, is_role: UserRole) -> None:
    assert lesser_role(claimed, recorded) is is_role


async def test_a_token_does_not_raise_its_user(door: Door) -> None:
    principal = await door.identify(bearer=door.token(role="ADMIN"))
    assert principal.role is UserRole.CUSTOMER
    assert principal.scopes == ROLE_SCOPES[UserRole.CUSTOMER]


async def test_a_lesser_token_of_an_administrator_sees_only_their_own_rows(door: Door) -> None:
    principal = await door.identify(bearer=door.token(sub=door.demo.users["ADMIN"], role="CUSTOMER"))
    assert principal.is_customer
    assert "keys:admin" not in principal.scopes


@pytest.mark.parametrize(
    ("scope", "held"),
    [
        ("core:read orders:everything", {"core:read"}),
        ("keys:admin service", set()),
        ("", set()),
        ("core:read commerce:read", {"core:read", "commerce:read"}),
    ],
)
async def test_a_tokens_scope_is_intersected_with_its_roles(door: Door, scope: str, held: set[str]) -> None:
    assert (await door.identify(bearer=door.token(scope=scope))).scopes == held


# -- who is refused ----------------------------------------------------------------------------------------------------


async def test_nobody_comes_in_without_credentials(door: Door) -> None:
    await door.refuses("credentials are needed")


async def test_wrong_credentials_are_refused_alike(door: Door) -> None:
    keys, app = door.demo.keys, door.demo.keys[SERVER_SIDE_PLATFORM]
    await door.refuses(api_key="sk_wrong")
    await door.refuses(api_key="")
    await door.refuses(api_key=door.demo.service_key[:-1])
    await door.refuses(api_key=hash_key(door.demo.key_pepper, app))
    await door.refuses(client_api_key=keys[CLIENT])
    await door.refuses(api_key=keys[CLIENT])
    await door.refuses(api_key=app, client_api_key=app)
    await door.refuses(api_key=app, client_api_key="sk_wrong")
    await door.refuses(api_key=app, client_api_key=door.demo.service_key)


@pytest.mark.parametrize("sub", ["f" * 24, "nobody", THEIRS.id, '{"$ne": null}'])
async def test_a_token_of_nobody_is_refused(door: Door, sub: str) -> None:
    await door.refuses(bearer=door.token(sub=sub))


@pytest.mark.parametrize("claims", [{"exp": 1}, {"exp": None}, {"sub": None}, {"sub": {"$ne": None}}])
async def test_a_token_that_is_not_valid_is_refused(door: Door, claims: dict[str, Any]) -> None:
    await door.refuses("the token is not valid", bearer=door.token(**claims))


async def test_without_a_secret_no_token_is_believed(door: Door) -> None:
    deaf = Identification((), "", None)
    with pytest.raises(Unauthenticated):
        await deaf.identify(door.mongo, Credentials(bearer=door.token()))
    empty = Identification(("",), "", TokenVerifier(door.demo.jwt_secret))
    with pytest.raises(Unauthenticated):
        await empty.identify(door.mongo, Credentials(api_key=""))


async def test_a_service_key_stands_alone(door: Door) -> None:
    key = door.demo.service_key
    await door.refuses("a service key stands alone", api_key=key, bearer=door.token())
    await door.refuses("a service key stands alone", api_key=key, client_api_key=door.demo.keys[CLIENT])
    await door.refuses("a service key stands alone", api_key=key, bearer="nonsense")


async def test_credentials_that_agree_are_the_user(door: Door) -> None:
    keys = door.demo.keys
    for beside in ({}, {"client_api_key": keys[CLIENT]}):
        principal = await door.identify(api_key=keys[SERVER_SIDE_PLATFORM], bearer=door.token(), **beside)
        assert (principal.kind, principal.user_id) == (PrincipalKind.USER, CUSTOMER.id)


async def test_credentials_that_disagree_are_refused(door: Door) -> None:
    keys, bearer = door.demo.keys, door.token()
    await door.refuses(api_key=keys[PLATFORM], bearer=bearer)
    await door.refuses(api_key="sk_wrong", bearer=bearer)
    await door.refuses(api_key=keys[PLATFORM], client_api_key=keys[CLIENT])
    await door.refuses(client_api_key=keys[CLIENT], bearer=bearer)
    await door.refuses(api_key=keys[SERVER_SIDE_PLATFORM], client_api_key=keys["DKDR01"], bearer=bearer)
    await door.refuses(api_key=keys[SERVER_SIDE_PLATFORM], client_api_key=keys[PLATFORM], bearer=bearer)
    await door.refuses("the token is not valid", api_key=keys[SERVER_SIDE_PLATFORM], bearer="nonsense")


@pytest.mark.parametrize("status", ["SUSPENDED", "DEACTIVATED"])
async def test_a_user_who_is_not_active_is_refused(changed: Door, status: str) -> None:
    await fill(changed, "users", CUSTOMER.id, status=status)
    await changed.refuses(bearer=changed.token())


async def test_a_client_that_is_not_active_is_refused_with_all_its_people(changed: Door) -> None:
    await fill(changed, "clients", THEIRS.id, isActive=False)
    keys = changed.demo.keys
    await changed.refuses(api_key=keys[SERVER_SIDE_PLATFORM], client_api_key=keys[CLIENT])
    await changed.refuses(bearer=changed.token())
    platform = await changed.identify(api_key=keys[SERVER_SIDE_PLATFORM])
    assert platform.client_ids == (WORLD.clients[3].id,)
    assert platform.backend_scope is not None
    assert platform.backend_scope.medusa_sales_channel_ids == (WORLD.clients[3].channel_id,)


async def test_a_platform_that_is_not_active_is_refused_with_its_clients(changed: Door) -> None:
    await fill(changed, "client_apps", THEIRS.app.id, isActive=False)
    keys = changed.demo.keys
    await changed.refuses(api_key=keys[SERVER_SIDE_PLATFORM])
    await changed.refuses(api_key=keys[SERVER_SIDE_PLATFORM], client_api_key=keys[CLIENT])
    await changed.refuses(api_key=keys[SERVER_SIDE_PLATFORM], bearer=changed.token())
    await changed.refuses(bearer=changed.token())


async def test_a_token_of_a_platform_that_is_gone_is_refused(changed: Door) -> None:
    documents = demo_documents(changed.demo)
    documents["client_apps"] = [row for row in documents["client_apps"] if row["_id"] != THEIRS.app.id]
    await changed.mongo.insert(documents)
    await changed.refuses(bearer=changed.token())


async def test_credentials_are_good_until_the_first_of_them_ends(changed: Door) -> None:
    await changed.mongo.insert(demo_documents(changed.demo))
    key, now = new_key(), datetime.now(UTC).replace(microsecond=0)
    row = {"_id": hash_key(changed.demo.key_pepper, key), "ownerKind": "client_app", "ownerId": THEIRS.app.id}
    await changed.mongo.insert({"keys": [row | {"expiresAt": now + timedelta(seconds=300)}]})
    expiry = int(now.timestamp())
    for exp, ends_at in ((expiry + 200, expiry + 200 + CLOCK_SKEW_S), (expiry + 900, expiry + 300)):
        shown = Credentials(api_key=key, bearer=changed.token(exp=exp))
        assert (await changed.identification.recognise(changed.mongo, shown)).ends_at == ends_at


async def test_a_clients_scopes_are_cut_to_its_platforms(changed: Door) -> None:
    await fill(changed, "client_apps", THEIRS.app.id, scopes=["core:read", "service"])
    keys = changed.demo.keys
    principal = await changed.identify(api_key=keys[SERVER_SIDE_PLATFORM], client_api_key=keys[CLIENT])
    assert principal.scopes == {"core:read"}
    assert (await changed.identify(api_key=keys[SERVER_SIDE_PLATFORM])).scopes == {"core:read"}


@pytest.mark.parametrize(
    ("fields", "works"),
    [
        ({}, True),
        ({"expiresAt": timedelta(minutes=1)}, True),
        ({"expiresAt": timedelta(minutes=-1)}, False),
        ({"revokedAt": timedelta(minutes=-1)}, False),
        ({"revokedAt": timedelta(minutes=1)}, True),
        ({"expiresAt": timedelta(minutes=1), "revokedAt": timedelta(minutes=-1)}, False),
    ],
)
async def test_a_key_works_until_it_expires_or_is_revoked(
    changed: Door, fields: dict[str, timedelta], works: bool
) -> None:
    await changed.mongo.insert(demo_documents(changed.demo))
    key, moments = new_key(), {name: datetime.now(UTC) + ahead for name, ahead in fields.items()}
    row = {"_id": hash_key(changed.demo.key_pepper, key), "ownerKind": "client_app", "ownerId": THEIRS.app.id}
    await changed.mongo.insert({"keys": [row | moments]})
    if works:
        assert (await changed.identify(api_key=key)).client_app_id == THEIRS.app.id
    else:
        await changed.refuses(api_key=key)


async def test_a_key_without_its_owner_is_refused(changed: Door) -> None:
    key = new_key()
    row = {"_id": hash_key(changed.demo.key_pepper, key), "ownerKind": "client_app", "ownerId": str(ObjectId())}
    await changed.mongo.insert({"keys": [row]})
    await changed.refuses(api_key=key)


def test_what_is_not_set_in_a_scope_gives_nothing() -> None:
    assert scope_of(None) == scope_of(BackendScopeRecord()) == BackendScope()
    assert scope_of(BackendScopeRecord(erp_company="A", payload_tenant="t")) == BackendScope(
        erp_companies=("A",), payload_tenants=("t",)
    )


def test_no_secret_is_in_the_repr_of_what_recognises_callers(identification: Identification) -> None:
    printed = repr(identification)
    assert not [key for key in identification.service_keys if key in printed]
    assert identification.pepper not in printed


@pytest.mark.parametrize("backend_scope", [None, {}])
async def test_a_client_without_a_part_of_any_backend_writes_its_own_records_alone(
    changed: Door, backend_scope: dict[str, Any] | None
) -> None:
    await fill(changed, "clients", THEIRS.id, backendScope=backend_scope)
    keys = {"api_key": changed.demo.keys[SERVER_SIDE_PLATFORM], "client_api_key": changed.demo.keys[CLIENT]}
    for shown in (keys, {"bearer": changed.token()}):
        newcomer = await changed.identify(**shown)
        assert newcomer.allowed_writes is not None
        assert {"createUser", "syncBatches", "rotateClientKey"} <= newcomer.allowed_writes
        assert not {"sendEmail", "chat", "chatStream", "issueCredential", "fulfillOrder"} & newcomer.allowed_writes


def test_what_newcomers_may_write_is_in_the_schema() -> None:
    schema = build_schema(Settings())._schema
    assert schema.mutation_type is not None
    assert schema.subscription_type is not None
    known = {*schema.mutation_type.fields, *schema.subscription_type.fields}
    assert NEWCOMERS_WRITES - known == {"healthChanged"}
