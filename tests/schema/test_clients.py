"""Platforms and clients over their life, as callers write it: registered, named, scoped, given keys, put out."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from core.auth import is_key
from core.principals import BackendScope, Principal, PrincipalKind
from core.scopes import CLIENT_SCOPES
from sandbox.world import World
from tests.conftest import CLIENT, PLATFORM, SERVER_SIDE_PLATFORM
from tests.gatehouse import Gatehouse
from tests.schema.people import Answer, ask

WORLD = World(datetime.now(UTC))
BOOKMASTER, DAKKAH = WORLD.apps
OURS, SIBLING, FOREIGN = WORLD.clients[2], WORLD.clients[3], WORLD.clients[0]
ABSENT = "f" * 24
REGISTER = """mutation($input: RegisterClientInput!) { registerClient(input: $input) {
    apiKey client { id name code externalId defaultCurrency isActive keyHint keyExpiresAt app { name } } } }"""
UPDATE = """mutation($id: ID!, $input: UpdateClientInput!) {
    updateClient(id: $id, input: $input) { id name externalId defaultCurrency code } }"""
SCOPE = """mutation($id: ID!, $scope: BackendScopeInput!) {
    setClientBackendScope(id: $id, scope: $scope) { backendScope {
    medusaSalesChannelIds medusaRegionId erpCompany erpWarehouse strapiCustomerIds payloadTenant
    pickup { name street city postalCode country location { latitude longitude } } } } }"""
ACTIVE = "mutation($id: ID!, $on: Boolean!) { setClientActive(id: $id, isActive: $on) { id isActive keyHint } }"
APP_ACTIVE = "mutation($id: ID!, $on: Boolean!) { setClientAppActive(id: $id, isActive: $on) { id isActive keyHint } }"
ROTATE = """mutation($id: ID!, $overlap: Int, $days: Int) {
    rotateClientKey(id: $id, overlapSeconds: $overlap, expiresInDays: $days) {
        apiKey client { keyHint keyExpiresAt } } }"""
ROTATE_APP = """mutation($id: ID!, $overlap: Int) {
    rotateClientAppKey(id: $id, overlapSeconds: $overlap) { apiKey clientApp { keyHint isServerSide } } }"""
REGISTER_APP = """mutation($input: RegisterClientAppInput!) { registerClientApp(input: $input) {
    apiKey clientApp { id name scopes isActive isServerSide keyHint keyExpiresAt } } }"""


class Desk:
    """Callers of the demo world, by name, at a gatehouse."""

    def __init__(self, gatehouse: Gatehouse) -> None:
        self.gatehouse = gatehouse
        keys, tokens = gatehouse.demo.keys, gatehouse.demo.tokens
        self.shown: dict[str, dict[str, str]] = {
            "service": {},
            "platform": {"api_key": keys[PLATFORM]},
            "server_side_platform": {"api_key": keys[SERVER_SIDE_PLATFORM]},
            "client": {"api_key": keys[SERVER_SIDE_PLATFORM], "client_api_key": keys[CLIENT]},
            **{role.lower(): {"bearer": token} for role, token in tokens.items()},
        }

    async def ask(self, caller: str, query: str, **variables: Any) -> Answer:
        return await ask(await self.gatehouse.context(**self.shown[caller]), query, **variables)


@pytest.fixture
def desk(gatehouse: Gatehouse) -> Desk:
    return Desk(gatehouse)


def codes(answer: Answer) -> list[str]:
    return [code for _, code in answer.errors]


# -- the story ---------------------------------------------------------------------------------------------------------


async def test_a_platform_registers_a_client_that_calls_with_both_keys_until_it_is_put_out(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    platform_key = desk.gatehouse.demo.keys[PLATFORM]
    wanted = {"name": "ByBest Duty Free", "code": "BBDF26", "externalId": "6795785555dcaaa39e3f5cb1"}
    registered = await desk.ask("platform", REGISTER, input=wanted | {"defaultCurrency": "ALL"})
    assert registered.errors == [], registered.messages
    issued = registered.data["registerClient"]
    stored_key, client = issued["apiKey"], issued["client"]
    assert is_key(stored_key)
    assert client == wanted | {
        "id": client["id"],
        "defaultCurrency": "ALL",
        "isActive": True,
        "keyHint": stored_key[-4:],
        "keyExpiresAt": None,
        "app": {"name": PLATFORM},
    }

    both = {"api_key": platform_key, "client_api_key": stored_key}
    desk.shown["new"] = both
    viewer = await desk.ask("new", "{ viewer { kind client { id code backendScope { erpCompany } } } }")
    assert viewer.data["viewer"] == {
        "kind": "CLIENT",
        "client": {"id": client["id"], "code": "BBDF26", "backendScope": None},
    }
    assert (await desk.gatehouse.identify(**both)).backend_scope == BackendScope()

    rotated = await desk.ask("new", ROTATE, id=client["id"], overlap=600, days=30)
    assert rotated.errors == []
    new_key = rotated.data["rotateClientKey"]["apiKey"]
    assert rotated.data["rotateClientKey"]["client"]["keyHint"] == new_key[-4:]
    desk.shown["renewed"] = {"api_key": platform_key, "client_api_key": new_key}
    for caller in ("new", "renewed"):
        assert (await desk.ask(caller, "{ viewer { kind } }")).data["viewer"]["kind"] == "CLIENT"

    last = (await desk.ask("renewed", ROTATE, id=client["id"])).data["rotateClientKey"]["apiKey"]
    for key, works in ((stored_key, False), (new_key, False), (last, True)):
        assert await desk.gatehouse.admits(api_key=platform_key, client_api_key=key) is works

    ended = await desk.ask("service", ACTIVE, id=client["id"], on=False)
    assert ended.data["setClientActive"] == {"id": client["id"], "isActive": False, "keyHint": None}
    assert not await desk.gatehouse.admits(api_key=platform_key, client_api_key=last)
    for key in (stored_key, new_key, last):
        assert key not in caplog.text
        assert key not in await desk.gatehouse.everything_kept()


async def test_a_service_makes_a_platform(desk: Desk) -> None:
    wanted = {"name": "  MetroShop ", "scopes": ["erp:read", "core:read", "core:read"], "isServerSide": True}
    answer = await desk.ask("service", REGISTER_APP, input=wanted)
    assert answer.errors == []
    issued = answer.data["registerClientApp"]
    app = issued["clientApp"]
    assert (app["name"], app["scopes"], app["isActive"], app["isServerSide"]) == (
        "MetroShop",
        ["core:read", "erp:read"],
        True,
        True,
    )
    assert app["keyHint"] == issued["apiKey"][-4:]
    principal = await desk.gatehouse.identify(api_key=issued["apiKey"])
    assert (principal.kind, principal.client_app_id, principal.scopes, principal.is_server_side) == (
        PrincipalKind.PLATFORM,
        app["id"],
        frozenset({"core:read", "erp:read"}),
        True,
    )
    plain = await desk.ask("service", REGISTER_APP, input={"name": "Plain", "scopes": []})
    assert plain.data["registerClientApp"]["clientApp"]["isServerSide"] is False


async def test_a_server_side_platform_sees_the_client_that_it_just_registered(desk: Desk) -> None:
    assert len((await desk.gatehouse.identify(**desk.shown["server_side_platform"])).client_ids) == 2
    made = await desk.ask("server_side_platform", REGISTER, input={"name": "Three", "code": "DK3"})
    client_id = made.data["registerClient"]["client"]["id"]
    assert client_id in (await desk.gatehouse.identify(**desk.shown["server_side_platform"])).client_ids
    assert made.data["registerClient"]["client"]["defaultCurrency"] == "EUR"


# -- who may -----------------------------------------------------------------------------------------------------------

CALLERS = (
    "service",
    "platform",
    "server_side_platform",
    "client",
    "customer",
    "staff",
    "manager",
    "admin",
)
NEW = {"name": "New", "code": "NEW01"}
ALLOWED: list[str] = []
FORBIDDEN, HIDDEN, INPUT = ["FORBIDDEN"], ["NOT_FOUND"], ["BAD_USER_INPUT"]
OWN_CLIENT = (ALLOWED, FORBIDDEN, ALLOWED, ALLOWED, FORBIDDEN, FORBIDDEN, FORBIDDEN, ALLOWED)
"""By CALLERS, of the client of Dakkah's whose people and key they are."""
OUTCOMES: list[tuple[str, dict[str, Any], tuple[list[str], ...]]] = [
    (
        REGISTER_APP,
        {"input": {"name": "New", "scopes": ["core:read"]}},
        (ALLOWED, *[FORBIDDEN] * 7),
    ),
    (
        REGISTER,
        {"input": NEW | {"clientAppId": DAKKAH.id}},
        (ALLOWED, ALLOWED, ALLOWED, *[FORBIDDEN] * 5),
    ),
    (REGISTER, {"input": NEW}, (INPUT, ALLOWED, ALLOWED, *[FORBIDDEN] * 5)),
    (
        REGISTER,
        {"input": NEW | {"clientAppId": BOOKMASTER.id}},
        (ALLOWED, HIDDEN, HIDDEN, *[FORBIDDEN] * 5),
    ),
    (UPDATE, {"id": OURS.id, "input": {"name": "Other"}}, OWN_CLIENT),
    (SCOPE, {"id": OURS.id, "scope": {}}, (ALLOWED, *[FORBIDDEN] * 7)),
    (ACTIVE, {"id": OURS.id, "on": False}, OWN_CLIENT),
    (ROTATE, {"id": OURS.id}, OWN_CLIENT),
    (
        UPDATE,
        {"id": SIBLING.id, "input": {"name": "Other"}},
        (ALLOWED, FORBIDDEN, ALLOWED, HIDDEN, FORBIDDEN, HIDDEN, HIDDEN, HIDDEN),
    ),
    (ROTATE, {"id": SIBLING.id}, (ALLOWED, FORBIDDEN, ALLOWED, HIDDEN, FORBIDDEN, FORBIDDEN, FORBIDDEN, HIDDEN)),
    (
        APP_ACTIVE,
        {"id": DAKKAH.id, "on": False},
        (ALLOWED, FORBIDDEN, ALLOWED, FORBIDDEN, FORBIDDEN, FORBIDDEN, FORBIDDEN, HIDDEN),
    ),
    (
        ROTATE_APP,
        {"id": DAKKAH.id},
        (ALLOWED, FORBIDDEN, ALLOWED, FORBIDDEN, FORBIDDEN, FORBIDDEN, FORBIDDEN, HIDDEN),
    ),
]


@pytest.mark.parametrize(("query", "variables", "outcomes"), OUTCOMES)
async def test_who_may_do_what(
    desk: Desk, query: str, variables: dict[str, Any], outcomes: tuple[list[str], ...]
) -> None:
    principals = {caller: await desk.gatehouse.identify(**desk.shown[caller]) for caller in CALLERS}
    # As if the key of Dakkah's stood in browsers.
    principals["platform"] = replace(principals["platform"], client_app_id=DAKKAH.id)
    before = await desk.gatehouse.everything_kept()
    for caller, outcome in sorted(zip(CALLERS, outcomes, strict=True), key=lambda each: each[1] == ALLOWED):
        ctx = await desk.gatehouse.context()
        ctx.principal = principals[caller]
        asked = dict(variables)
        if query == REGISTER:
            asked["input"] = variables["input"] | {"code": f"NEW-{caller}"}
        answer = await ask(ctx, query, **asked)
        assert codes(answer) == outcome, (caller, answer.messages)
        assert (list(answer.data.values()) == [None]) is bool(outcome), caller
        if outcome:
            assert await desk.gatehouse.everything_kept() == before, caller


@pytest.mark.parametrize("caller", ["server_side_platform", "client", "admin"])
async def test_what_is_not_theirs_is_as_if_it_were_not_there(desk: Desk, caller: str) -> None:
    for query, variables in (
        (UPDATE, {"input": {"name": "Other"}}),
        (ACTIVE, {"on": False}),
        (ROTATE, {}),
    ):
        foreign = await desk.ask(caller, query, id=FOREIGN.id, **variables)
        absent = await desk.ask(caller, query, id=ABSENT, **variables)
        nonsense = await desk.ask(caller, query, id="x'; {$ne: 1}", **variables)
        assert foreign.errors == absent.errors == nonsense.errors != []
        assert foreign.messages == absent.messages == nonsense.messages
        assert foreign.calls == absent.calls
        assert codes(foreign) == ["NOT_FOUND"]
    for query, variables in ((APP_ACTIVE, {"on": False}), (ROTATE_APP, {})):
        foreign = await desk.ask(caller, query, id=BOOKMASTER.id, **variables)
        absent = await desk.ask(caller, query, id=ABSENT, **variables)
        assert (foreign.errors, foreign.messages, foreign.calls) == (absent.errors, absent.messages, absent.calls)
        assert codes(foreign) == ["NOT_FOUND"]


async def test_a_key_beside_another_platforms_is_good_for_nothing(desk: Desk) -> None:
    made = await desk.ask("platform", REGISTER, input=NEW)
    key = made.data["registerClient"]["apiKey"]
    assert not await desk.gatehouse.admits(api_key=desk.gatehouse.demo.keys[SERVER_SIDE_PLATFORM], client_api_key=key)
    assert not await desk.gatehouse.admits(client_api_key=key)
    assert not await desk.gatehouse.admits(api_key=key)


# -- what is refused ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "wanted",
    [
        {"name": "Copy", "code": FOREIGN.code},
        {"name": "Copy", "code": "OTHER", "externalId": FOREIGN.external_id},
        {"name": "Copy", "code": FOREIGN.code, "externalId": FOREIGN.external_id},
    ],
)
async def test_a_name_that_is_taken_shows_nothing_of_whose_it_is(desk: Desk, wanted: dict[str, str]) -> None:
    answer = await desk.ask("platform", REGISTER, input=wanted)
    assert codes(answer) == ["CONFLICT"]
    assert answer.data == {"registerClient": None}
    [message] = answer.messages
    kept = await desk.gatehouse.mongo.client(FOREIGN.id)
    assert kept is not None
    for value in (kept.id, kept.name, kept.code, kept.external_id, kept.key_hint, kept.client_app_id):
        assert value is not None
        assert value not in message
    # A key that nobody has seen is not left behind either.
    assert len(await desk.gatehouse.mongo._db["keys"].find({}).to_list(None)) == len(desk.gatehouse.demo.keys)


async def test_names_are_unique_on_a_platform_and_free_on_others(desk: Desk) -> None:
    wanted = {"name": "Copy", "code": FOREIGN.code, "externalId": FOREIGN.external_id}
    assert (await desk.ask("server_side_platform", REGISTER, input=wanted)).errors == []
    for code in ("A1", "A2"):
        assert (await desk.ask("server_side_platform", REGISTER, input={"name": "Without", "code": code})).errors == []


@pytest.mark.parametrize(
    ("wanted", "field"),
    [
        ({"name": " "}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"name": "a\u202eb"}, "name"),
        ({"code": ""}, "code"),
        ({"code": "x" * 33}, "code"),
        ({"code": "a b"}, "code"),
        ({"code": "é"}, "code"),
        ({"externalId": "x" * 129}, "externalId"),
        ({"externalId": "a\nb"}, "externalId"),
        ({"externalId": ""}, "externalId"),
    ],
)
async def test_values_out_of_bounds_are_named(desk: Desk, wanted: dict[str, str], field: str) -> None:
    answer = await desk.ask("platform", REGISTER, input=NEW | wanted)
    assert codes(answer) == ["BAD_USER_INPUT"]
    assert f"`{field}`" in answer.messages[0]
    assert await desk.gatehouse.mongo.audit(last=1) == []


@pytest.mark.parametrize("currency", ["XXX", "EURO", "ZZZ", "", "12", "€€€", "ıdr"])
async def test_a_currency_is_one_of_iso_4217(desk: Desk, currency: str) -> None:
    answer = await desk.ask("platform", REGISTER, input=NEW | {"defaultCurrency": currency})
    assert codes(answer) == ["BAD_USER_INPUT"]


async def test_an_app_that_is_not_active_gets_no_clients(desk: Desk) -> None:
    await desk.ask("service", APP_ACTIVE, id=BOOKMASTER.id, on=False)
    answer = await desk.ask("service", REGISTER, input=NEW | {"clientAppId": BOOKMASTER.id})
    assert codes(answer) == ["BAD_USER_INPUT"]
    assert codes(await desk.ask("service", REGISTER, input=NEW | {"clientAppId": ABSENT})) == ["NOT_FOUND"]


@pytest.mark.parametrize("scope", ["service", "everything", "core:admin", "", "$ne"])
async def test_a_platform_gets_known_scopes_alone(desk: Desk, scope: str) -> None:
    answer = await desk.ask("service", REGISTER_APP, input={"name": "New", "scopes": ["core:read", scope]})
    assert codes(answer) == ["BAD_USER_INPUT"]
    assert repr(scope) in answer.messages[0]


async def test_nobody_grants_a_scope_that_they_lack(desk: Desk) -> None:
    ctx = await desk.gatehouse.context()
    ctx.principal = Principal(PrincipalKind.SERVICE, frozenset({"service", "core:read"}))
    assert codes(await ask(ctx, REGISTER_APP, input={"name": "New", "scopes": ["core:read"]})) == []
    refused = await ask(ctx, REGISTER_APP, input={"name": "New", "scopes": ["core:read", "core:write"]})
    assert codes(refused) == ["FORBIDDEN"]
    assert "core:write" in refused.messages[0]


async def test_a_token_that_may_less_cannot_touch_keys(desk: Desk) -> None:
    principal = await desk.gatehouse.identify(**desk.shown["admin"])
    ctx = await desk.gatehouse.context()
    ctx.principal = replace(principal, scopes=principal.scopes - {"keys:admin"})
    for query, variables in ((ROTATE, {"id": OURS.id}), (ACTIVE, {"id": OURS.id, "on": False})):
        assert codes(await ask(ctx, query, **variables)) == ["FORBIDDEN"]


# -- changes -----------------------------------------------------------------------------------------------------------


async def test_what_is_left_out_of_a_change_stays(desk: Desk) -> None:
    before = await desk.gatehouse.mongo.client(OURS.id)
    assert before is not None
    unchanged = await desk.ask("client", UPDATE, id=OURS.id, input={})
    expected = {
        "id": OURS.id,
        "name": before.name,
        "externalId": before.external_id,
        "defaultCurrency": before.default_currency,
        "code": before.code,
    }
    assert unchanged.data["updateClient"] == expected
    for change in ({"name": "Other"}, {"externalId": "ext-9"}, {"defaultCurrency": "chf"}, {"externalId": None}):
        expected |= {name: value.upper() if value == "chf" else value for name, value in change.items()}
        answer = await desk.ask("client", UPDATE, id=OURS.id, input=change)
        assert (answer.errors, answer.data["updateClient"]) == ([], expected)
    after = await desk.gatehouse.mongo.client(OURS.id)
    assert after is not None
    assert after.updated_at > before.updated_at
    assert (after.backend_scope, after.key_hint, after.created_at) == (
        before.backend_scope,
        before.key_hint,
        before.created_at,
    )


async def test_an_external_id_that_was_given_up_is_free_again(desk: Desk) -> None:
    taken = await desk.ask("service", UPDATE, id=SIBLING.id, input={"externalId": OURS.external_id})
    assert codes(taken) == ["CONFLICT"]
    assert OURS.id not in taken.messages[0]
    await desk.ask("service", UPDATE, id=OURS.id, input={"externalId": None})
    await desk.ask("service", UPDATE, id=FOREIGN.id, input={"externalId": None})
    given = await desk.ask("service", UPDATE, id=SIBLING.id, input={"externalId": OURS.external_id})
    assert given.data["updateClient"]["externalId"] == OURS.external_id


async def test_a_change_is_seen_by_what_follows_in_the_same_operation(desk: Desk) -> None:
    answer = await desk.ask(
        "service",
        """mutation($id: ID!) { a: setClientActive(id: $id, isActive: false) { isActive }
        b: rotateClientKey(id: $id) { apiKey } c: setClientActive(id: $id, isActive: true) { isActive }
        d: rotateClientKey(id: $id) { client { isActive } } }""",
        id=OURS.id,
    )
    assert answer.errors == [(["b"], "BAD_USER_INPUT")]
    assert answer.data["d"] == {"client": {"isActive": True}}


async def test_a_scope_is_replaced_as_a_whole_and_takes_effect_at_once(desk: Desk) -> None:
    shown = desk.shown["client"]
    before = await desk.gatehouse.identify(**shown)
    assert before.backend_scope is not None
    assert before.backend_scope.erp_companies == (OURS.company,)
    pickup = {"street": "Rruga 1", "city": "Tirana", "country": "al", "latitude": 41.3, "longitude": 19.8}
    wanted = {"medusaSalesChannelIds": ["sc_2", "sc_1", "sc_2"], "strapiCustomerIds": ["7"], "pickup": pickup}
    answer = await desk.ask("service", SCOPE, id=OURS.id, scope=wanted)
    assert answer.errors == []
    assert answer.data["setClientBackendScope"]["backendScope"] == {
        "medusaSalesChannelIds": ["sc_2", "sc_1"],
        "medusaRegionId": None,
        "erpCompany": None,
        "erpWarehouse": None,
        "strapiCustomerIds": ["7"],
        "payloadTenant": None,
        "pickup": {
            "name": None,
            "street": "Rruga 1",
            "city": "Tirana",
            "postalCode": None,
            "country": "AL",
            "location": {"latitude": 41.3, "longitude": 19.8},
        },
    }
    assert (await desk.gatehouse.identify(**shown)).backend_scope == BackendScope(
        medusa_sales_channel_ids=("sc_2", "sc_1"), strapi_customer_ids=("7",)
    )
    await desk.ask("service", SCOPE, id=OURS.id, scope={})
    assert (await desk.gatehouse.identify(**shown)).backend_scope == BackendScope()


@pytest.mark.parametrize(
    "scope",
    [
        {"medusaSalesChannelIds": [""]},
        {"medusaSalesChannelIds": ["x" * 129]},
        {"strapiCustomerIds": ["a\u0000b"]},
        {"strapiCustomerIds": [str(n) for n in range(101)]},
        {"medusaRegionId": " "},
        {"erpCompany": "A\tB"},
        {"erpWarehouse": "x" * 129},
        {"payloadTenant": "\u200f"},
    ],
)
async def test_a_scope_out_of_bounds_is_refused(desk: Desk, scope: dict[str, Any]) -> None:
    answer = await desk.ask("service", SCOPE, id=OURS.id, scope=scope)
    assert codes(answer) == ["BAD_USER_INPUT"]
    assert f"`{next(iter(scope))}`" in answer.messages[0]
    kept = await desk.gatehouse.mongo.client(OURS.id)
    assert kept is not None
    assert kept.backend_scope is not None
    assert kept.backend_scope.erp_company == OURS.company


async def test_no_scope_is_service_in_disguise(desk: Desk) -> None:
    made = await desk.ask("service", REGISTER_APP, input={"name": "All", "scopes": sorted(CLIENT_SCOPES)})
    principal = await desk.gatehouse.identify(api_key=made.data["registerClientApp"]["apiKey"])
    assert principal.scopes == CLIENT_SCOPES
    desk.shown["all"] = {"api_key": made.data["registerClientApp"]["apiKey"]}
    assert codes(await desk.ask("all", SCOPE, id=OURS.id, scope={})) == ["FORBIDDEN"]
