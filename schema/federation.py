"""This schema as part of a larger one: an Apollo Federation 2 subgraph, so that a router can stand in front of it.

Other subgraphs add fields to the types that have a `@key`, and a router asks for rows of these by `_entities`. What it
is shown of a row is what the field of Query that finds it by its id would show the same caller, by the same loader.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

import strawberry
from graphql import GraphQLUnionType
from strawberry.federation.schema import FederationAny

from core.errors import BadUserInput, Forbidden, GatewayError
from datasources.erpnext import InvoiceRecord
from datasources.fleetbase import DeliveryRecord
from datasources.medusa import OrderRecord, ProductRecord
from datasources.mongo import ClientRecord, CredentialRecord, UserRecord
from datasources.temporal import WorkflowRecord
from engine.scopes import refusal
from resolvers.clients import ClientById
from resolvers.context import Loader
from resolvers.credentials import CredentialById
from resolvers.deliveries import DeliveryById
from resolvers.invoices import InvoiceById
from resolvers.orders import OrderById
from resolvers.products import VisibleProductById
from resolvers.users import UserById
from resolvers.workflows import WorkflowById
from schema.clients import Client
from schema.credentials import Credential
from schema.deliveries import Delivery
from schema.info import Info
from schema.invoices import Invoice
from schema.orders import Order
from schema.products import Product
from schema.users import User
from schema.workflows import Workflow

VERSION: Final = "2.9"
"""Of Apollo Federation: the newest that both Apollo's composition and The Guild's understand."""
MOST_REPRESENTATIONS = 1000


@dataclass(frozen=True)
class Kind:
    """A type that has a `@key`: what its rows are here, what finds those that the caller may see, and the field whose
    scopes they need."""

    record: type
    loader: type[Loader[str, Any]]
    root: str


KINDS: Mapping[str, Kind] = {
    "Client": Kind(ClientRecord, ClientById, "Query.client"),
    "Credential": Kind(CredentialRecord, CredentialById, "Query.credential"),
    "Delivery": Kind(DeliveryRecord, DeliveryById, "Query.delivery"),
    "Invoice": Kind(InvoiceRecord, InvoiceById, "Query.invoice"),
    "Order": Kind(OrderRecord, OrderById, "Query.order"),
    "Product": Kind(ProductRecord, VisibleProductById, "Query.product"),
    "User": Kind(UserRecord, UserById, "Query.user"),
    "Workflow": Kind(WorkflowRecord, WorkflowById, "Query.workflow"),
}

Entity = Annotated[
    Client | Credential | Delivery | Invoice | Order | Product | User | Workflow,
    strawberry.union("_Entity", description="What other subgraphs may refer to."),
]


@strawberry.type(name="_Service", description="This subgraph, as routers want to know it.")
class Service:
    sdl: str = strawberry.field(description="Its schema.")


@strawberry.type
class FederationQuery:
    @strawberry.field(name="_service", description="For routers: this subgraph's schema.")
    def service(self, info: Info) -> Service:
        return Service(sdl=info.schema.as_str())

    @strawberry.field(
        name="_entities",
        description="For routers: rows by their type's `@key`, in the order of the representations. One that is not "
        "there, or not the caller's, is null.",
    )
    def entities(self, info: Info, representations: list[FederationAny]) -> list[Entity | None]:
        if len(representations) > MOST_REPRESENTATIONS:
            raise BadUserInput(f"`representations` holds at most {MOST_REPRESENTATIONS}, not {len(representations)}")
        # What is wrong with one is told of that one; together they are one batch of each loader.
        return [_row(info, representation) for representation in representations]


def tell_entities_apart(schema: strawberry.Schema) -> None:
    """Let `_Entity` know the type of a row by its record: Strawberry asks each type about it instead, and GraphQL would
    then ask it about every row that it shows anywhere."""
    union = schema._schema.type_map["_Entity"]  # noqa: SLF001 - the graphql-core schema has no public name
    assert isinstance(union, GraphQLUnionType)  # noqa: S101 - as declared above
    union.resolve_type = lambda row, info, union: next(
        name for name, kind in KINDS.items() if isinstance(row, kind.record)
    )


def _row(info: Info, representation: object) -> Any:
    """The row as it will be loaded, or the error to show in its place."""
    try:
        kind, key = _named(representation)
    except GatewayError as exc:
        return exc
    graphql_schema = info.schema._schema  # noqa: SLF001 - as above
    if (reason := refusal(graphql_schema, kind.root, info.context.principal)) is not None:
        return Forbidden(reason)
    return info.context.loader(kind.loader).load(key)


def _named(representation: object) -> tuple[Kind, str]:
    """Which row is meant. Raises BadUserInput for what names none of ours."""
    if not isinstance(representation, dict):
        raise BadUserInput("a representation is an object with `__typename` and `id`")
    name, key = representation.get("__typename"), representation.get("id")
    kind = KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise BadUserInput(f"`__typename` is one of {', '.join(KINDS)}")
    if isinstance(key, bool) or not isinstance(key, str | int):
        raise BadUserInput("`id` is a string")
    return kind, str(key)
