"""The table of roles."""

from __future__ import annotations

from itertools import pairwise

from core.scopes import ALL_SCOPES, CLIENT_SCOPES, ROLE_SCOPES, SERVICE_ONLY, UserRole


def test_each_role_gains_something_and_loses_nothing() -> None:
    assert list(ROLE_SCOPES) == list(UserRole)
    for lesser, greater in pairwise(ROLE_SCOPES.values()):
        assert lesser < greater


def test_how_many_scopes_each_role_holds() -> None:
    assert [len(scopes) for scopes in ROLE_SCOPES.values()] == [12, 22, 28, 29]


def test_what_only_some_roles_hold() -> None:
    first = {scope: next(role for role in UserRole if scope in ROLE_SCOPES[role]) for scope in CLIENT_SCOPES}
    assert {scope for scope, role in first.items() if role is UserRole.ADMIN} == {"keys:admin"}
    assert {scope for scope, role in first.items() if role is UserRole.MANAGER} == {
        *("erp:write", "erp:reports", "identity:issue", "payments:write", "workflows:approve", "webhooks:write")
    }
    assert {scope for scope, role in first.items() if role is UserRole.CUSTOMER and not scope.endswith(":read")} == {
        *("commerce:write", "ai:use", "workflows:start")
    }


def test_a_service_alone_holds_what_is_its_alone() -> None:
    assert ROLE_SCOPES[UserRole.ADMIN] == CLIENT_SCOPES
    assert {SERVICE_ONLY} == ALL_SCOPES - CLIENT_SCOPES
