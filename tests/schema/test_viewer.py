"""Who is calling, as they see it themselves."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from core.principals import Principal
from core.scopes import ALL_SCOPES, CLIENT_SCOPES, ROLE_SCOPES, UserRole
from sandbox.world import World
from tests.conftest import Callers, Commands, MakeContext
from tests.schema.people import ask

WORLD = World(datetime.now(UTC))
VIEWER = (
    "{ viewer { kind scopes user { id email role } client { code backendScope { erpCompany } } clientApp { name } } }"
)


@pytest.mark.parametrize(
    ("caller", "kind", "client", "app"),
    [
        ("service", "SERVICE", None, None),
        ("platform", "PLATFORM", None, "BookMaster"),
        ("server_side_platform", "PLATFORM", None, "Dakkah"),
        ("client", "CLIENT", "DKTR01", "Dakkah"),
        ("customer", "USER", "DKTR01", None),
        ("staff", "USER", "DKTR01", None),
        ("manager", "USER", "DKTR01", None),
        ("admin", "USER", "DKTR01", None),
    ],
)
async def test_everybody_sees_themselves(
    make_context: MakeContext, callers: Callers, caller: str, kind: str, client: str | None, app: str | None
) -> None:
    principal = callers[caller]
    answer = await ask(make_context(principal), VIEWER)
    assert answer.errors == []
    viewer = answer.data["viewer"]
    assert viewer["kind"] == kind
    assert viewer["clientApp"] == (app and {"name": app})
    company = next((each.company for each in WORLD.clients if each.code == client), None)
    scope = None if caller == "customer" else {"erpCompany": company}
    assert viewer["client"] == (client and {"code": client, "backendScope": scope})
    if principal.user_id is None:
        assert viewer["user"] is None
    else:
        role = caller.upper()
        assert viewer["user"] == {"id": principal.user_id, "email": principal.email, "role": role}


@pytest.mark.parametrize(
    ("caller", "scopes"),
    [
        ("service", ALL_SCOPES),
        ("client", CLIENT_SCOPES),
        ("customer", ROLE_SCOPES[UserRole.CUSTOMER]),
        ("admin", ROLE_SCOPES[UserRole.ADMIN]),
    ],
)
async def test_scopes_are_told_in_order(
    make_context: MakeContext, callers: Callers, caller: str, scopes: frozenset[str]
) -> None:
    answer = await ask(make_context(callers[caller]), "{ viewer { scopes } }")
    assert answer.data["viewer"]["scopes"] == sorted(scopes)


async def test_the_viewer_costs_what_is_selected(
    make_context: MakeContext, callers: Callers, commands: Commands
) -> None:
    commands.forget()
    assert (await ask(make_context(callers["staff"]), "{ viewer { kind } }")).calls == commands.sent == []
    answer = await ask(make_context(callers["staff"]), "{ viewer { user { name client { name } } client { code } } }")
    assert sorted(answer.calls) == sorted(commands.sent) == [("find", "clients"), ("find", "users")]


async def test_a_key_in_browsers_does_not_show_which_part_of_the_backends_is_a_clients(
    make_context: MakeContext, platform: Principal, server_side_platform: Principal
) -> None:
    query = "{ clients { nodes { code backendScope { erpCompany } } } }"
    shown = (await ask(make_context(platform), query)).data["clients"]["nodes"]
    assert shown
    assert {node["backendScope"] is None for node in shown} == {True}
    shown = (await ask(make_context(server_side_platform), query)).data["clients"]["nodes"]
    assert {node["backendScope"] is None for node in shown} == {False}
