"""The GraphQL schema: one module per domain, put together here."""

from __future__ import annotations

from functools import cached_property

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
from engine.idempotency import honour_idempotency_keys
from engine.scopes import enforce_scopes
from engine.shaping import shape_answers
from schema.ai import AiMutation, AiSubscription
from schema.batches import BatchMutation, BatchQuery
from schema.carts import CartMutation, CartQuery
from schema.clients import ClientMutation, ClientQuery
from schema.content import ContentQuery
from schema.credentials import CredentialMutation, CredentialQuery
from schema.deliveries import DeliveryMutation, DeliveryQuery
from schema.delivery_quotes import DeliveryQuoteQuery
from schema.employees import EmployeeQuery
from schema.erp_customers import ErpCustomerQuery
from schema.errors import readable_all
from schema.extensions import OperationEvent, ParsedDocuments
from schema.families import FamilyMutation, FamilyQuery
from schema.federation import VERSION, FederationQuery, tell_entities_apart
from schema.files import FileMutation, FileQuery
from schema.fleet import FleetQuery
from schema.health import HealthQuery
from schema.invoices import InvoiceMutation, InvoiceQuery
from schema.jobs import JobMutation, JobQuery
from schema.messages import MessageMutation
from schema.orders import OrderMutation, OrderQuery
from schema.payments import PaymentMutation, PaymentQuery
from schema.products import ProductQuery
from schema.purchase_orders import PurchaseOrderMutation
from schema.reports import ReportQuery
from schema.scalars import SCALARS
from schema.stock import StockQuery
from schema.users import UserMutation, UserQuery
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
    BatchQuery,
    ProductQuery,
    CartQuery,
    OrderQuery,
    DeliveryQuery,
    DeliveryQuoteQuery,
    FleetQuery,
    InvoiceQuery,
    ErpCustomerQuery,
    StockQuery,
    EmployeeQuery,
    ReportQuery,
    CredentialQuery,
    PaymentQuery,
    ContentQuery,
    JobQuery,
    FileQuery,
    WorkflowQuery,
):
    pass


@strawberry.type(name="Query", description="Everything that can be read.")
class FederatedQuery(Query, FederationQuery):
    pass


@strawberry.type(description="Everything that can be changed.")
class Mutation(
    ClientMutation,
    UserMutation,
    FamilyMutation,
    BatchMutation,
    CartMutation,
    OrderMutation,
    DeliveryMutation,
    InvoiceMutation,
    PurchaseOrderMutation,
    CredentialMutation,
    PaymentMutation,
    MessageMutation,
    JobMutation,
    FileMutation,
    AiMutation,
    WorkflowMutation,
):
    pass


@strawberry.type(description="Everything that can be watched, over graphql-transport-ws.")
class Subscription(WorkflowSubscription, AiSubscription):
    pass


class GatewaySchema(strawberry.federation.Schema):
    """The schema as it is served."""

    @cached_property
    def _printed(self) -> str:
        return super().as_str()

    def as_str(self) -> str:
        """Printed once: routers ask for it, and printing takes as long as many an operation."""
        return self._printed

    def process_errors(self, errors: object, execution_context: object = None) -> None:
        """Nothing: `OperationEvent` logs what has to be logged, and Strawberry would add a traceback to each."""


def build_schema(settings: Settings) -> GatewaySchema:
    """The schema with everything that surrounds an operation. Scopes are enforced in every one that this makes."""
    schema = GatewaySchema(
        query=FederatedQuery,
        mutation=Mutation,
        subscription=Subscription,
        config=StrawberryConfig(scalar_map=SCALARS),
        federation_version=VERSION,
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
    tell_entities_apart(schema)
    enforce_scopes(schema)
    honour_idempotency_keys(schema, claims=lambda context: context.sources.mongo, readable=readable_all)
    shape_answers(schema)
    return schema
