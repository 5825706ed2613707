"""Which scopes the served schema asks for, and who holds them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from graphql import GraphQLField, GraphQLNonNull, GraphQLObjectType

from core.principals import Principal, PrincipalKind
from core.scopes import ALL_SCOPES, CLIENT_SCOPES, ROLE_SCOPES, SERVICE_ONLY, UserRole
from core.settings import Settings
from engine.scopes import allows
from schema import build_schema

SCHEMA = build_schema(Settings())._schema
FOR_EVERYBODY = {"viewer", "health", "healthChanged", "_service", "_entities"}
"""Root fields that need no scope of their own: who one is, whether the gateway works, and what routers ask, who need
for a row what its own root field needs."""

CUSTOMER, STAFF, MANAGER, ADMIN = UserRole
LEAST: dict[UserRole | None, str] = {
    CUSTOMER: """
        Query.clientApps Query.clientApp Query.clients Query.client Query.users Query.user Query.families Query.family
        Query.products Query.product Query.categories Query.stores Query.cart Query.orders Query.order
        Query.deliveries Query.delivery Query.serviceZones Query.invoices Query.invoice
        Query.credentials Query.credential Query.paymentMethods Query.pages Query.page Query.content
        Query.searchContent Query.file Query.workflows Query.workflow
        Mutation.createCart Mutation.addCartItem Mutation.createOrder Mutation.cancelOrder Mutation.verifyCredential
        Mutation.createPresentation Mutation.chat Mutation.embeddings Mutation.startWorkflow Mutation.fulfillOrder
        Mutation.bookRide Mutation.bookService Mutation.registerForEvent Mutation.signalWorkflow Mutation.cancelWorkflow
        Subscription.workflowStatus Subscription.deliveryUpdated Subscription.orderUpdated Subscription.chatStream
        Order.customer Order.delivery Order.deliveries Order.invoice Order.invoices Order.workflow
        Delivery.order Delivery.driver Invoice.customer Invoice.order InvoiceItem.product StockLevel.product
        User.family User.orders User.invoices User.deliveries User.credentials User.paymentMethods User.workflows
        Client.users Client.families Client.orders Client.invoices Workflow.startedBy Workflow.order""",
    STAFF: """
        Query.drivers Query.vehicles Query.fleets Query.erpCustomers Query.stockLevels Query.employees Query.dids
        Query.jobs Query.job Query.jobCustomers Query.webhookEvents Product.stockLevels
        Mutation.createUser Mutation.updateUser Mutation.createFamily Mutation.addFamilyMember
        Mutation.removeFamilyMember Mutation.shareFamilyBenefit Mutation.revokeFamilyBenefit Mutation.syncBatches
        Mutation.createDelivery Mutation.cancelDelivery Mutation.createJobCustomer Mutation.createJob Mutation.updateJob
        Mutation.sendEmail Mutation.sendTemplateEmail Mutation.sendSms Mutation.uploadFile Mutation.deleteFile
        Subscription.webhookReceived""",
    MANAGER: """
        Query.financialReport Mutation.createInvoice Mutation.createPurchaseOrder Mutation.issueCredential
        Mutation.createPaymentIntent Mutation.createPaymentCustomer Mutation.createSubscription
        Mutation.replayWebhookEvent""",
    ADMIN: "Mutation.rotateClientKey",
    None: "Mutation.registerClientApp Mutation.linkAccount Mutation.setClientBackendScope",
}
"""The least role whose scopes a field asks for; None: a service's alone. Row rules may narrow it further."""


def fields() -> Iterator[tuple[GraphQLObjectType, str, GraphQLField]]:
    for graphql_type in SCHEMA.type_map.values():
        if isinstance(graphql_type, GraphQLObjectType) and not graphql_type.name.startswith("__"):
            for name, field in graphql_type.fields.items():
                yield graphql_type, name, field


def declared(field: GraphQLField) -> list[list[str]]:
    """The alternatives of a field's own `@requiresScopes`."""
    definition = field.extensions.get("strawberry-definition")
    directives = getattr(definition, "directives", None) or ()
    return [scopes for one in directives if type(one).__name__ == "RequiresScopes" for scopes in one.scopes]


def holder(scopes: frozenset[str]) -> Principal:
    return Principal(PrincipalKind.USER, scopes)


def test_scopes_stand_on_nullable_fields_and_subscription_roots_only() -> None:
    guarded = [(parent, name, field) for parent, name, field in fields() if declared(field)]
    assert len(guarded) > 50
    strict = [
        f"{parent.name}.{name}"
        for parent, name, field in guarded
        if parent is not SCHEMA.subscription_type and isinstance(field.type, GraphQLNonNull)
    ]
    assert strict == []


def test_every_root_field_asks_for_a_scope() -> None:
    roots = (SCHEMA.query_type, SCHEMA.mutation_type, SCHEMA.subscription_type)
    open_to_all = [
        f"{parent.name}.{name}"
        for parent, name, field in fields()
        if parent in roots and name not in FOR_EVERYBODY and not declared(field)
    ]
    assert open_to_all == []


def test_nobody_without_scopes_may_change_anything() -> None:
    assert SCHEMA.mutation_type is not None
    for name in SCHEMA.mutation_type.fields:
        assert not allows(SCHEMA, f"Mutation.{name}", holder(frozenset())), name


def test_somebody_holds_every_scope_that_is_asked_for() -> None:
    asked = {scope for _, _, field in fields() for scopes in declared(field) for scope in scopes}
    assert asked <= ALL_SCOPES
    assert asked - ROLE_SCOPES[ADMIN] <= {SERVICE_ONLY}


@pytest.mark.parametrize(
    ("coordinate", "least"),
    [
        (coordinate, least)
        for least, coordinates in LEAST.items()
        for coordinate in coordinates.split()
        if coordinate.split(".")[1] in getattr(SCHEMA.get_type(coordinate.split(".")[0]), "fields", {})
    ],
)
def test_a_field_is_open_from_its_least_role_on(coordinate: str, least: UserRole | None) -> None:
    roles = list(UserRole)
    reached = [role for role in roles if allows(SCHEMA, coordinate, holder(ROLE_SCOPES[role]))]
    assert reached == ([] if least is None else roles[roles.index(least) :])
    assert allows(SCHEMA, coordinate, holder(CLIENT_SCOPES)) is (least is not None)
    assert allows(SCHEMA, coordinate, Principal(PrincipalKind.SERVICE, ALL_SCOPES))
