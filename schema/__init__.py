"""The GraphQL schema: one module per domain, put together here."""

from __future__ import annotations

import strawberry
from strawberry.extensions import (
    AddValidationRules,
    MaxAliasesLimiter,
    MaxTokensLimiter,
    QueryDepthLimiter,
    ValidationCache,
)
from strawberry.schema.config import StrawberryConfig

from core.settings import Settings
from engine.scopes import enforce_scopes
from schema.carts import CartMutation, CartQuery
from schema.clients import ClientQuery
from schema.deliveries import DeliveryMutation, DeliveryQuery
from schema.extensions import OperationEvent, ParsedDocuments
from schema.families import FamilyQuery
from schema.fleet import FleetQuery
from schema.health import HealthQuery
from schema.invoices import InvoiceMutation, InvoiceQuery
from schema.orders import OrderMutation, OrderQuery
from schema.products import ProductQuery
from schema.scalars import SCALARS
from schema.stock import StockQuery
from schema.users import UserQuery
from schema.viewer import ViewerQuery
from schema.workflows import WorkflowMutation, WorkflowQuery, WorkflowSubscription

MAX_TOKENS, MAX_DEPTH, MAX_ALIASES = 2000, 12, 30
CACHED_DOCUMENTS = 1000
LIMITS = [
    *QueryDepthLimiter(max_depth=MAX_DEPTH).validation_rules,
    *MaxAliasesLimiter(max_alias_count=MAX_ALIASES).validation_rules,
]
"""Made once, because each limiter makes new rules and the cache of validated documents is keyed by them: limiters made
for every operation would have every document validated every time."""


@strawberry.type(description="Everything that can be read.")
class Query(
    ViewerQuery,
    HealthQuery,
    ClientQuery,
    UserQuery,
    FamilyQuery,
    ProductQuery,
    CartQuery,
    OrderQuery,
    DeliveryQuery,
    FleetQuery,
    InvoiceQuery,
    StockQuery,
    WorkflowQuery,
):
    pass


@strawberry.type(description="Everything that can be changed.")
class Mutation(CartMutation, OrderMutation, DeliveryMutation, InvoiceMutation, WorkflowMutation):
    pass


@strawberry.type(description="Everything that can be watched, over graphql-transport-ws.")
class Subscription(WorkflowSubscription):
    pass


class GatewaySchema(strawberry.federation.Schema):
    """The schema as it is served."""

    def process_errors(self, errors: object, execution_context: object = None) -> None:
        """Nothing: `OperationEvent` logs what has to be logged, and Strawberry would add a traceback to each."""


def build_schema(settings: Settings) -> GatewaySchema:
    """The schema with everything that surrounds an operation. Scopes are enforced in every one that this makes."""
    schema = GatewaySchema(
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        config=StrawberryConfig(scalar_map=SCALARS),
        extensions=[
            lambda: OperationEvent(
                query_timeout_s=settings.query_timeout_s, mutation_timeout_s=settings.mutation_timeout_s
            ),
            lambda: MaxTokensLimiter(max_token_count=MAX_TOKENS),
            lambda: AddValidationRules(LIMITS),
            lambda: ParsedDocuments(maxsize=CACHED_DOCUMENTS),
            lambda: ValidationCache(maxsize=CACHED_DOCUMENTS),
        ],
    )
    enforce_scopes(schema._schema)  # noqa: SLF001 - the graphql-core schema has no public name
    return schema
