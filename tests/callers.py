"""The demo world's people, clients and platforms as principals: who asks, in tests that need no credentials."""

from __future__ import annotations

from datetime import UTC, datetime

from core.principals import BackendScope, Principal, PrincipalKind
from core.scopes import ALL_SCOPES, CLIENT_SCOPES, ROLE_SCOPES, UserRole
from sandbox.world import Client, Person, World

WORLD = World(datetime(2026, 6, 1, tzinfo=UTC))
SERVICE = Principal(PrincipalKind.SERVICE, ALL_SCOPES)


def person(role: str, client: int = 0, n: int = 0) -> Person:
    """The n-th person of a role of a client of the demo world."""
    return [each for each in WORLD.people if each.role == role and each.client is WORLD.clients[client]][n]


def user(someone: Person) -> Principal:
    """Signed in as somebody of the demo world."""
    role = UserRole(someone.role)
    is_customer = role is UserRole.CUSTOMER
    return Principal(
        PrincipalKind.USER,
        ROLE_SCOPES[role],
        client_app_id=someone.client.app.id,
        client_id=someone.client.id,
        user_id=someone.id,
        role=role,
        email=someone.email,
        medusa_customer_ids=(someone.medusa_id,) if is_customer else (),
        erp_customer_id=someone.erp_id if is_customer else None,
        backend_scope=_scope(someone.client),
    )


def client(n: int = 0) -> Principal:
    """A client of the demo world, by its key."""
    of = WORLD.clients[n]
    return Principal(
        PrincipalKind.CLIENT, CLIENT_SCOPES, client_app_id=of.app.id, client_id=of.id, backend_scope=_scope(of)
    )


def platform(*, server_side: bool) -> Principal:
    """The second platform of the demo world, alone."""
    app = WORLD.apps[1]
    clients = [each for each in WORLD.clients if each.app is app] if server_side else []
    return Principal(
        PrincipalKind.PLATFORM,
        CLIENT_SCOPES,
        client_app_id=app.id,
        client_ids=tuple(each.id for each in clients),
        backend_scope=_scope(*clients),
        is_server_side=server_side,
    )


def _scope(*clients: Client) -> BackendScope:
    return BackendScope(
        medusa_sales_channel_ids=tuple(each.channel_id for each in clients),
        erp_companies=tuple(each.company for each in clients),
        erp_warehouses=tuple(each.warehouse for each in clients),
        strapi_customer_ids=tuple(customer_id for each in clients for customer_id in WORLD.print_customer_ids(each)),
        payload_tenants=tuple(each.code for each in clients),
    )
