"""The routes of `/api/gateway`, one line or a few each: what a request is, and the GraphQL field that it stands for.

A route has no rules of its own. Its field says which scopes it needs and whose rows it shows; limits, deadlines and
idempotency are those of the operation that it becomes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from core.backends import BackendName
from datasources.erpnext import (
    SPECS,
    EmployeeRecord,
    ErpCustomerRecord,
    InvoiceItemRecord,
    InvoiceRecord,
    Kind,
    PurchaseOrderRecord,
    StockLevelRecord,
)
from datasources.fleetbase import (
    DeliveryRecord,
    DriverRecord,
    FleetRecord,
    QuoteRecord,
    ServiceZoneRecord,
    VehicleRecord,
)
from datasources.medusa import CartRecord, CategoryRecord, OrderRecord, ProductRecord, StoreRecord
from datasources.stripe import (
    BillingSubscriptionRecord,
    PaymentCustomerRecord,
    PaymentIntentRecord,
    PaymentMethodRecord,
)
from rest.content_filters import as_graphql
from rest.parameters import DEFAULT_LIMIT, LIMIT, OFFSET, PAGE, WHERE
from rest.proxy import (
    Shape,
    all_rows,
    body,
    embeddings,
    erpnext_list,
    fleetbase_list,
    medusa_list,
    payload_document,
    payload_documents,
    payload_search,
    row,
    row_with_lines,
    rows,
    stripe_list,
    typed,
    typed_rows,
)

PREFIX = "/api/gateway"

PAYLOAD, MEDUSA, FLEETBASE, ERPNEXT, WALTID = (
    BackendName.PAYLOAD,
    BackendName.MEDUSA,
    BackendName.FLEETBASE,
    BackendName.ERPNEXT,
    BackendName.WALTID,
)
STRIPE, SENDGRID, MINIO, OPENAI, TEMPORAL = (
    BackendName.STRIPE,
    BackendName.SENDGRID,
    BackendName.MINIO,
    BackendName.OPENAI,
    BackendName.TEMPORAL,
)

PAGED = {"limit": LIMIT, "offset": OFFSET, "after": "String"}
"""Of lists that count their rows."""
CONTINUED = {"limit": LIMIT, "after": "String"}
"""Of lists that go on behind a row."""
CONTENT_PAGED = {"limit": LIMIT, "page": PAGE, "after": "String"}
PAGE_ARGUMENTS = "first: $limit, after: $after"

_FILTER_TYPES = {Kind.DATE: "String", Kind.TEXT: "String", Kind.TEXTS: "[String!]", Kind.FLAG: "Boolean"}
REPORT_FILTERS = {name: _FILTER_TYPES[kind] for spec in SPECS.values() for name, kind in spec.filters.items()} | {
    "company": "String"
}
"""What any of the reports takes; which report takes what, its field knows."""

_CREDENTIAL = "id type format issuer subject status issuedAt expiresAt claims"
_VERIFICATION = "id verified requestUrl policies { policy passed detail }"
_MESSAGE = "id status channel"
_FILE = "key url contentType sizeBytes expiresAt"
_POINT = "location { latitude longitude }"
_TRACKING = (
    f"id status trackingNumber etaSeconds distanceMeters {_POINT} driver {{ id name phone {_POINT} }} "
    f"events {{ code status details createdAt {_POINT} }} scheduledAt updatedAt"
)
_WORKFLOW = (
    "id runId type status action currentStep progress startedAt closedAt "
    "steps { name system status attempt startedAt closedAt error } error { code message step compensated }"
)
_WORKFLOW_WITH_RESULT = f"{_WORKFLOW} result {{ success result artifacts {{ type data }} }}"

Variables = dict[str, Any]


def _as_they_are(variables: Variables) -> Variables:
    return variables


@dataclass(frozen=True)
class Route:
    """`field` is `Query.name` or `Mutation.name`; `arguments` are those of it, in GraphQL's words. `query` and `named`
    are what a request may say in its address and in its body, by type; `input` is the input type that its body is as a
    whole, and is then `$input`. `fixed` are variables that no request says, by type, made of the others by `prepare`.
    `example` is data of an answer."""

    method: str
    path: str
    source: BackendName
    field: str
    arguments: str
    shape: Shape
    summary: str
    query: Mapping[str, str] = dataclasses.field(default_factory=dict)
    named: Mapping[str, str] = dataclasses.field(default_factory=dict)
    input: str | None = None
    parts: Mapping[str, str] = dataclasses.field(default_factory=lambda: {"id": "ID!"})
    fixed: Mapping[str, str] = dataclasses.field(default_factory=dict)
    prepare: Callable[[Variables], Variables] = _as_they_are
    status: int = 200
    limit: int = DEFAULT_LIMIT
    example: Any = None

    @property
    def is_write(self) -> bool:
        return self.field.startswith("Mutation.")


def _page_by_slug(variables: Variables) -> Variables:
    return {"where": {"slug": {"equals": variables["slug"]}}}


def _filtered(variables: Variables) -> Variables:
    return {**variables, "where": as_graphql(variables.get("where"), variables["collection"])}


def _report(variables: Variables) -> Variables:
    """The kind of report in GraphQL's words, and everything else as its filters."""
    filters = {name: value for name, value in variables.items() if name != "type"}
    return {"type": variables["type"].upper().replace("-", "_"), "filters": filters}


_PRODUCT = {"id": "prod_01", "title": "Espresso cup", "handle": "espresso-cup", "status": "published"}
_ORDER = {"id": "order_01", "display_id": 42, "currency_code": "eur", "total": 18}
_CART = {"id": "cart_01", "currency_code": "eur", "items": [], "total": 0}
_DELIVERY = {"id": "order_k3v9x2m7qa", "internal_id": "order_01", "status": "created"}
_INVOICE = {"name": "ACC-SINV-2026-00001", "customer": "Ada", "grand_total": 18.0, "status": "Unpaid"}

CONTENT = [
    Route(
        "GET", "/content/pages", PAYLOAD, "Query.content", f'collection: "pages", {PAGE_ARGUMENTS}',
        payload_documents(), "Published pages, newest first", query=CONTENT_PAGED,
        example={"docs": [{"id": 1, "slug": "home", "title": "Home"}], "totalDocs": 1, "limit": 20, "page": 1},
    ),
    Route(
        "GET", "/content/pages/{slug}", PAYLOAD, "Query.content", 'collection: "pages", first: 1, where: $where',
        payload_document(), "A published page by its slug", parts={"slug": "String!"}, fixed={"where": "JSON"},
        prepare=_page_by_slug, example={"id": 1, "slug": "home", "title": "Home"},
    ),
    Route(
        "GET", "/content/collections/{collection}", PAYLOAD, "Query.content",
        f"collection: $collection, {PAGE_ARGUMENTS}, where: $where", payload_documents(),
        "Published documents of a collection, newest first", parts={"collection": "String!"},
        query=CONTENT_PAGED | {"where": WHERE}, prepare=_filtered,
        example={"docs": [{"id": 1, "slug": "city-tour", "price": 35}], "totalDocs": 1, "limit": 20, "page": 1},
    ),
    Route(
        "POST", "/content/search", PAYLOAD, "Query.searchContent",
        "query: $query, collections: $collections, first: $limit", payload_search(),
        "Published documents that have these words", named={"query": "String!", "collections": "[String!]",
        "limit": "Int"}, example={"docs": [{"relationTo": "posts", "value": {"id": 1, "title": "Hello"}}]},
    ),
]  # fmt: skip

COMMERCE = [
    Route(
        "GET", "/commerce/products", MEDUSA, "Query.products",
        f"{PAGE_ARGUMENTS}, filter: {{ids: $id, search: $q, categoryId: $category_id, status: $status}}",
        rows(ProductRecord, medusa_list("products")), "Products, newest first",
        query=PAGED | {"id": "[ID!]", "q": "String", "category_id": "ID", "status": "String"},
        example={"products": [_PRODUCT], "count": 1, "offset": 0, "limit": 20},
    ),
    Route(
        "GET", "/commerce/products/{id}", MEDUSA, "Query.product", "id: $id", row(ProductRecord, under="product"),
        "One product", example={"product": _PRODUCT},
    ),
    Route(
        "GET", "/commerce/categories", MEDUSA, "Query.categories", PAGE_ARGUMENTS,
        rows(CategoryRecord, medusa_list("product_categories")), "Groups of products", query=PAGED, limit=50,
        example={"product_categories": [{"id": "pcat_01", "name": "Cups"}], "count": 1, "offset": 0, "limit": 50},
    ),
    Route(
        "POST", "/commerce/cart", MEDUSA, "Mutation.createCart", "input: $input", row(CartRecord, under="cart"),
        "Begin a cart", input="CreateCartInput", status=201, example={"cart": _CART},
    ),
    Route(
        "POST", "/commerce/cart/{id}/items", MEDUSA, "Mutation.addCartItem",
        "cartId: $id, variantId: $variantId, quantity: $quantity", row(CartRecord, under="cart"), "Add to a cart",
        named={"variantId": "ID!", "quantity": "Int"}, example={"cart": _CART},
    ),
    Route(
        "GET", "/commerce/cart/{id}", MEDUSA, "Query.cart", "id: $id", row(CartRecord, under="cart"), "One cart",
        example={"cart": _CART},
    ),
    Route(
        "POST", "/commerce/orders", MEDUSA, "Mutation.createOrder", "input: $input", row(OrderRecord, under="order"),
        "Place an order", input="CreateOrderInput", status=201, example={"order": _ORDER},
    ),
    Route(
        "GET", "/commerce/orders", MEDUSA, "Query.orders",
        f"{PAGE_ARGUMENTS}, filter: {{ids: $id, userId: $user_id, status: $status, createdAfter: $created_after, "
        "createdBefore: $created_before}", rows(OrderRecord, medusa_list("orders")), "Orders, newest first",
        query=PAGED | {"id": "[ID!]", "user_id": "ID", "status": "OrderStatus", "created_after": "DateTime",
        "created_before": "DateTime"}, example={"orders": [_ORDER], "count": 1, "offset": 0, "limit": 20},
    ),
    Route(
        "GET", "/commerce/orders/{id}", MEDUSA, "Query.order", "id: $id", row(OrderRecord, under="order"), "One order",
        example={"order": _ORDER},
    ),
    Route(
        "GET", "/commerce/stores", MEDUSA, "Query.stores", "", all_rows(StoreRecord, medusa_list("stores")),
        "The shops", example={"stores": [{"id": "store_01", "name": "Shop"}], "count": 1, "offset": 0, "limit": 20},
    ),
]  # fmt: skip

LOGISTICS = [
    Route(
        "GET", "/logistics/fleets", FLEETBASE, "Query.fleets", PAGE_ARGUMENTS, rows(FleetRecord, fleetbase_list),
        "Fleets, newest first", query=PAGED, example=[{"id": "fleet_a1b2c3d4e5", "name": "Tirana"}],
    ),
    Route(
        "GET", "/logistics/vehicles", FLEETBASE, "Query.vehicles", PAGE_ARGUMENTS,
        rows(VehicleRecord, fleetbase_list), "Vehicles, newest first", query=PAGED,
        example=[{"id": "vehicle_a1b2c3d4e5", "plate_number": "AA 123 BB"}],
    ),
    Route(
        "GET", "/logistics/drivers", FLEETBASE, "Query.drivers", PAGE_ARGUMENTS, rows(DriverRecord, fleetbase_list),
        "Drivers, newest first", query=PAGED, example=[{"id": "driver_a1b2c3d4e5", "name": "Driver 9"}],
    ),
    Route(
        "POST", "/logistics/orders", FLEETBASE, "Mutation.createDelivery", "input: $input", row(DeliveryRecord),
        "Order a delivery", input="CreateDeliveryInput", status=201, example=_DELIVERY,
    ),
    Route(
        "GET", "/logistics/orders/{id}", FLEETBASE, "Query.delivery", "id: $id", row(DeliveryRecord),
        "One delivery", example=_DELIVERY,
    ),
    Route(
        "GET", "/logistics/orders/{id}/track", FLEETBASE, "Query.delivery", "id: $id", typed(_TRACKING),
        "Where a delivery is now", example={"id": "order_k3v9x2m7qa", "status": "enroute", "etaSeconds": 260},
    ),
    Route(
        "POST", "/logistics/quotes", FLEETBASE, "Query.deliveryQuotes", "input: $input",
        all_rows(QuoteRecord, fleetbase_list), "What a delivery would cost", input="DeliveryQuoteInput",
        example=[{"id": "quote_a1b2c3d4e5", "amount": 450, "currency": "EUR"}],
    ),
    Route(
        "GET", "/logistics/zones", FLEETBASE, "Query.serviceZones", "", all_rows(ServiceZoneRecord, fleetbase_list),
        "Where deliveries are made", example=[{"id": "zone_a1b2c3d4e5", "name": "Centre"}],
    ),
]  # fmt: skip

ERP = [
    Route(
        "GET", "/erp/customers", ERPNEXT, "Query.erpCustomers", PAGE_ARGUMENTS,
        rows(ErpCustomerRecord, erpnext_list), "Customers of the books", query=PAGED,
        example={"data": [{"name": "Ada", "customer_group": "Individual"}]},
    ),
    Route(
        "GET", "/erp/invoices", ERPNEXT, "Query.invoices",
        f"{PAGE_ARGUMENTS}, filter: {{orderIds: $order_id, status: $status, customerId: $customer, overdue: $overdue}}",
        rows(InvoiceRecord, erpnext_list), "Invoices, newest first",
        query=PAGED | {"order_id": "[ID!]", "status": "String", "customer": "ID", "overdue": "Boolean"},
        example={"data": [_INVOICE]},
    ),
    Route(
        "GET", "/erp/invoices/{id:path}", ERPNEXT, "Query.invoice", "id: $id",
        row_with_lines(
            InvoiceRecord, InvoiceItemRecord, line_key="invoice_id", name="items", selection="id items { sku }",
            under="data",
        ), "One invoice with its lines", example={"data": _INVOICE | {"items": [{"item_code": "CUP-1", "qty": 2.0}]}},
    ),
    Route(
        "GET", "/erp/inventory", ERPNEXT, "Query.stockLevels",
        f"skus: $item_code, warehouse: $warehouse, {PAGE_ARGUMENTS}",
        rows(StockLevelRecord, erpnext_list, by=("sku", "warehouse")), "Stock, by item and warehouse",
        query=PAGED | {"item_code": "[String!]", "warehouse": "String"}, limit=50,
        example={"data": [{"item_code": "CUP-1", "warehouse": "Stores - D", "actual_qty": 12.0}]},
    ),
    Route(
        "GET", "/erp/reports/{type}", ERPNEXT, "Query.financialReport", "type: $type, filters: $filters",
        body(ERPNEXT, "type"), "A financial report, such as `profit-and-loss`", parts={"type": "FinancialReportType!"},
        query=REPORT_FILTERS, fixed={"filters": "JSON"}, prepare=_report,
        example={"message": {"columns": [{"fieldname": "account"}], "result": [{"account": "Income"}]}},
    ),
    Route(
        "GET", "/erp/employees", ERPNEXT, "Query.employees", PAGE_ARGUMENTS, rows(EmployeeRecord, erpnext_list),
        "Employees, newest first", query=PAGED, example={"data": [{"name": "HR-EMP-00001", "employee_name": "Ben"}]},
    ),
    Route(
        "POST", "/erp/purchase-orders", ERPNEXT, "Mutation.createPurchaseOrder", "input: $input",
        row(PurchaseOrderRecord, under="data"), "Order from a supplier", input="CreatePurchaseOrderInput", status=201,
        example={"data": {"name": "PUR-ORD-2026-00001", "status": "To Receive and Bill"}},
    ),
]  # fmt: skip

_A_CREDENTIAL = {"id": "66f0c0", "type": ["VerifiableCredential"], "format": "jwt_vc_json", "status": "VALID"}
_A_VERIFICATION = {"id": "s1", "verified": True, "policies": [{"policy": "signature", "passed": True}]}

IDENTITY = [
    Route(
        "POST", "/identity/credentials/issue", WALTID, "Mutation.issueCredential", "input: $input",
        typed(f"{_CREDENTIAL} offerUrl"), "Issue a verifiable credential", input="IssueCredentialInput", status=201,
        example=_A_CREDENTIAL,
    ),
    Route(
        "POST", "/identity/credentials/verify", WALTID, "Mutation.verifyCredential", "input: $input",
        typed(_VERIFICATION), "Verify a credential, or ask for one", input="VerifyCredentialInput",
        example=_A_VERIFICATION,
    ),
    Route(
        "GET", "/identity/credentials/{id}", WALTID, "Query.credential", "id: $id", typed(_CREDENTIAL),
        "One credential", example=_A_CREDENTIAL,
    ),
    Route(
        "POST", "/identity/presentations", WALTID, "Mutation.createPresentation", "input: $input",
        typed("id redirectUri verified"), "Present credentials to a verifier", input="CreatePresentationInput",
        status=201, example={"id": "s1", "redirectUri": None, "verified": True},
    ),
    Route(
        "GET", "/identity/dids", WALTID, "Query.dids", "", typed("did alias keyId isDefault"),
        "Decentralised identifiers", example=[{"did": "did:key:z6Mk", "alias": "issuer", "isDefault": True}],
    ),
]  # fmt: skip

PAYMENTS = [
    Route(
        "POST", "/payments/intents", STRIPE, "Mutation.createPaymentIntent", "input: $input",
        row(PaymentIntentRecord, selection="id clientSecret", shows=("client_secret",)), "Create a payment",
        input="CreatePaymentIntentInput", status=201,
        example={"id": "pi_1", "object": "payment_intent", "amount": 1800, "currency": "eur"},
    ),
    Route(
        "POST", "/payments/customers", STRIPE, "Mutation.createPaymentCustomer", "input: $input",
        row(PaymentCustomerRecord), "Find or create a customer", input="CreatePaymentCustomerInput",
        example={"id": "cus_1", "object": "customer", "email": "ada@example.com"},
    ),
    Route(
        "GET", "/payments/methods/{customerId}", STRIPE, "Query.paymentMethods", "customerId: $customerId",
        all_rows(PaymentMethodRecord, stripe_list), "What a customer has saved to pay with",
        parts={"customerId": "ID!"},
        example={"object": "list", "data": [{"id": "pm_1", "type": "card"}], "has_more": False},
    ),
    Route(
        "POST", "/payments/subscriptions", STRIPE, "Mutation.createSubscription", "input: $input",
        row(BillingSubscriptionRecord), "Begin to pay a price regularly", input="CreateSubscriptionInput", status=201,
        example={"id": "sub_1", "object": "subscription", "status": "active"},
    ),
]  # fmt: skip

COMMS = [
    Route(
        "POST", "/comms/email", SENDGRID, "Mutation.sendEmail", "input: $input", typed(_MESSAGE), "Send a mail",
        input="SendEmailInput", status=202, example={"id": "14c5d75ce93", "status": "SENT", "channel": "EMAIL"},
    ),
    Route(
        "POST", "/comms/email/template", SENDGRID, "Mutation.sendTemplateEmail", "input: $input", typed(_MESSAGE),
        "Send a mail made from a template", input="SendTemplateEmailInput", status=202,
        example={"id": "14c5d75ce93", "status": "SENT", "channel": "EMAIL"},
    ),
]  # fmt: skip

AI = [
    Route(
        "POST", "/ai/chat", OPENAI, "Mutation.chat", "input: $input", body(OPENAI, "model"), "A model's reply",
        input="ChatInput", example={"choices": [{"message": {"role": "assistant", "content": "Hello!"}}]},
    ),
    Route(
        "POST", "/ai/embeddings", OPENAI, "Mutation.embeddings", "input: $input", embeddings(),
        "Texts as points", input="EmbeddingsInput", example={"object": "list", "data": [{"index": 0, "embedding": []}]},
    ),
]  # fmt: skip

_A_FILE = {"key": "66f0/photo.png", "url": "https://files.example.com/…", "contentType": "image/png", "sizeBytes": 9}

STORAGE = [
    Route(
        "POST", "/storage/upload", MINIO, "Mutation.uploadFile", "file: $file, key: $key", typed(_FILE),
        "Upload a file: as the body itself, or as `file` of a form", query={"key": "String", "name": "String"},
        fixed={"file": "Upload!"}, status=201, example=_A_FILE,
    ),
    Route(
        "GET", "/storage/files/{key:path}", MINIO, "Query.file", "key: $key, expiresInSeconds: $expires_in",
        typed(_FILE), "A file's temporary address; with `download=true` the file itself", parts={"key": "String!"},
        query={"expires_in": "Int", "download": "Boolean"}, example=_A_FILE,
    ),
    Route(
        "DELETE", "/storage/files/{key:path}", MINIO, "Mutation.deleteFile", "key: $key", typed(""), "Delete a file",
        parts={"key": "String!"}, example=True,
    ),
]  # fmt: skip

_A_WORKFLOW = {"id": "order-fulfillment-0a1b", "type": "ORDER_FULFILLMENT", "status": "RUNNING", "progress": 0.5}

WORKFLOWS = [
    Route(
        "POST", "/workflows/start", TEMPORAL, "Mutation.startWorkflow", "input: $input", typed(_WORKFLOW),
        "Start a workflow; the answer does not wait for its end", input="StartWorkflowInput", status=202,
        example=_A_WORKFLOW,
    ),
    Route(
        "GET", "/workflows/list", TEMPORAL, "Query.workflows",
        f"{PAGE_ARGUMENTS}, filter: {{type: $type, status: $status, startedById: $user_id, orderId: $order_id}}",
        typed_rows(_WORKFLOW), "Workflows, those that run first", query=CONTINUED | {"type": "WorkflowType",
        "status": "WorkflowStatus", "user_id": "ID", "order_id": "ID"}, example={"nodes": [_A_WORKFLOW]},
    ),
    Route(
        "GET", "/workflows/{id}", TEMPORAL, "Query.workflow", "id: $id", typed(_WORKFLOW_WITH_RESULT), "One workflow",
        example=_A_WORKFLOW,
    ),
    Route(
        "POST", "/workflows/{id}/signal", TEMPORAL, "Mutation.signalWorkflow",
        "id: $id, name: $name, payload: $payload", typed(_WORKFLOW), "Tell a workflow what it waits for",
        named={"name": "String!", "payload": "JSON"}, status=202, example=_A_WORKFLOW,
    ),
    Route(
        "POST", "/workflows/{id}/cancel", TEMPORAL, "Mutation.cancelWorkflow", "id: $id, reason: $reason",
        typed(_WORKFLOW), "Ask a workflow to stop", named={"reason": "String"}, status=202, example=_A_WORKFLOW,
    ),
]  # fmt: skip

ROUTES: list[Route] = [
    *CONTENT, *COMMERCE, *LOGISTICS, *ERP, *IDENTITY, *PAYMENTS, *COMMS, *STORAGE, *AI, *WORKFLOWS,
]  # fmt: skip
