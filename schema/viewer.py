"""Who is calling."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import strawberry

from core.principals import Principal, PrincipalKind
from resolvers.clients import ClientAppById, ClientById
from resolvers.users import UserById
from schema.directives import Authenticated
from schema.fields import link
from schema.info import Info
from schema.scalars import Scope

if TYPE_CHECKING:
    from schema.clients import Client, ClientApp
    from schema.users import User

PrincipalKindEnum = strawberry.enum(PrincipalKind, name="PrincipalKind", description="What kind of caller this is.")


@strawberry.type(description="The caller, as the gateway sees them.")
class Viewer:
    kind: PrincipalKindEnum  # type: ignore[valid-type]
    user: Annotated[User, strawberry.lazy("schema.users")] | None = link(
        UserById, key="user_id", description="The user behind the token."
    )
    client: Annotated[Client, strawberry.lazy("schema.clients")] | None = link(
        ClientById, key="client_id", description="The client that the key or the user belongs to."
    )
    client_app: Annotated[ClientApp, strawberry.lazy("schema.clients")] | None = link(
        ClientAppById, key="client_app_id", description="The platform behind the credentials."
    )

    @strawberry.field(description="What the caller may do.")
    def scopes(parent: strawberry.Parent[Principal]) -> list[Scope]:
        return [Scope(scope) for scope in sorted(parent.scopes)]


@strawberry.type
class ViewerQuery:
    @strawberry.field(
        description="Who is calling: kind of principal, scopes, the user or client behind the credentials.",
        directives=[Authenticated()],
    )
    def viewer(self, info: Info) -> Viewer:
        return info.context.principal
