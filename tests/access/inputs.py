"""What mutations are tried with. `<Kind>` stands for a row: the caller's own, or somebody else's in its place."""

from __future__ import annotations

from sandbox.stripe.seeding import PRICE_ID
from tests.access.gateway import ADDRESS
from tests.callers import WORLD

VARIANT = WORLD.products[5].variants[0]
ITEMS = f'[{{variantId: "{VARIANT.id}"}}]'
LINES = f'[{{sku: "{VARIANT.sku}", quantity: "1", rate: "9.90"}}]'
SUPPLIER = f"Supplier of {WORLD.clients[0].code}"
BATCH = f'{{externalId: "<fresh>", sku: "{VARIANT.sku}", quantity: "3"}}'
DATA = f'{{items: {ITEMS}, shippingAddress: {{street: "Rruga 1", city: "Tirana", country: "AL"}}}}'

VERIFIER = "http%3A%2F%2Fsandbox%2Fwaltid%2Fverifier%2Fopenid4vc"
OVER = (
    f"openid4vp://authorize?response_type=vp_token&client_id={VERIFIER}%2Fverify&response_mode=direct_post&state=over"
    f"&presentation_definition_uri={VERIFIER}%2Fpd%2Fover&response_uri={VERIFIER}%2Fverify%2Fover"
)
"""A request to present something, which nobody waits for any more."""

INPUTS: dict[str, list[str]] = {
    "registerClientApp": ['input: {name: "<fresh>", scopes: ["core:read"]}'],
    "registerClient": ['input: {clientAppId: <ClientApp>, name: "<fresh>", code: "<fresh>"}'],
    "updateClient": ['id: <Client>, input: {name: "<fresh>"}'],
    "setClientBackendScope": ["id: <Client>, scope: {medusaSalesChannelIds: []}"],
    "setClientActive": ["id: <Client>, isActive: <state>"],
    "setClientAppActive": ["id: <ClientApp>, isActive: <state>"],
    "rotateClientKey": ["id: <Client>, overlapSeconds: 3600"],
    "rotateClientAppKey": ["id: <ClientApp>, overlapSeconds: 3600"],
    "createUser": ['input: {clientId: <Client>, email: "<fresh>@people.example", name: "<fresh>"}'],
    "updateUser": ['id: <User>, input: {name: "<fresh>"}', "id: <User>, input: {role: CUSTOMER}"],
    "setUserStatus": ["id: <User>, status: SUSPENDED"],
    "provisionUser": ["id: <User>"],
    "linkAccount": ['userId: <User>, backend: STRIPE, accountId: "cus_<fresh>"'],
    "grantStaffAccess": ['userId: <User>, permissions: ["orders"]'],
    "revokeStaffAccess": ["userId: <User>"],
    "createFamily": ['input: {clientId: <Client>, name: "<fresh>", ownerId: <User>}'],
    "addFamilyMember": ["familyId: <Family>, userId: <User>, role: ADULT"],
    "removeFamilyMember": ["familyId: <Family>, userId: <Member>"],
    "shareFamilyBenefit": ['familyId: <Family>, input: {code: "<fresh>", name: "<fresh>", sharedById: <Member>}'],
    "revokeFamilyBenefit": ['familyId: <Family>, code: "FAMILY10"'],
    "syncBatches": [f"clientId: <Client>, input: [{BATCH}]"],
    "createCart": [f"input: {{userId: <Buyer>, items: {ITEMS}}}"],
    "addCartItem": [f'cartId: <Cart>, variantId: "{VARIANT.id}"'],
    "createOrder": [
        f"input: {{userId: <Buyer>, items: {ITEMS}, shippingAddress: {ADDRESS}}}",
        f"input: {{cartId: <Cart>, shippingAddress: {ADDRESS}}}",
    ],
    "cancelOrder": ["id: <Order>"],
    "createDelivery": [f"input: {{orderId: <Order>, pickup: {ADDRESS}, dropoff: {ADDRESS}}}"],
    "cancelDelivery": ["id: <Delivery>"],
    "createInvoice": [
        f"input: {{customerId: <Debtor>, items: {LINES}}}",
        f"input: {{customerId: <DebtorOfOrder>, orderId: <OrderOfDebtor>, items: {LINES}}}",
    ],
    "createPurchaseOrder": [
        f'input: {{clientId: <Client>, supplier: "{SUPPLIER}", scheduleDate: "2199-12-31", items: {LINES}}}'
    ],
    "createPaymentIntent": ['input: {customerId: <Payer>, amount: {amount: "9.90", currency: "EUR"}}'],
    "createPaymentCustomer": ['input: {userId: <Buyer>, email: "<email of Buyer>"}'],
    "createSubscription": [f'input: {{customerId: <Payer>, priceId: "{PRICE_ID}"}}'],
    "sendEmail": ['input: {to: ["<fresh>@people.example"], subject: "<fresh>", text: "<fresh>"}'],
    "sendTemplateEmail": [
        'input: {to: ["<fresh>@people.example"], templateId: "d-0123456789abcdef0123456789abcdef", data: {order: 1}}'
    ],
    "sendSms": ['input: {to: "+355691234567", body: "<fresh>"}'],
    "chat": ['input: {messages: [{role: "user", content: "<fresh>"}]}'],
    "embeddings": ['input: {input: ["<fresh>"]}'],
    "issueCredential": ['input: {userId: <Buyer>, type: "MembershipCredential", claims: {level: "gold"}}'],
    "verifyCredential": ['input: {credentialType: "MembershipCredential"}'],
    "createPresentation": [f'input: {{userId: <Holder>, credentialIds: [<Credential>], requestUrl: "{OVER}"}}'],
    "createJobCustomer": ['input: {name: "<fresh>", userId: <Buyer>}'],
    "createJob": ['input: {jobId: "<fresh>", quantity: 1, customerId: <JobCustomer>}'],
    "updateJob": ["id: <Job>, input: {quantity: 7}"],
    "uploadFile": ["file: $file, key: <StoredFile>"],
    "deleteFile": ["key: <StoredFile>"],
    "startWorkflow": [f'input: {{type: ORDER_FULFILLMENT, action: "try", userId: <Buyer>, data: {DATA}}}'],
    "fulfillOrder": [f"input: {{userId: <Buyer>, items: {ITEMS}, shippingAddress: {ADDRESS}}}"],
    "signalWorkflow": ['id: <Workflow>, name: "approve"'],
    "cancelWorkflow": ["id: <Workflow>"],
}

KINDS = {
    "Holder": "User",
    "Member": "User",
    "Buyer": "User",
    "Debtor": "User",
    "DebtorOfOrder": "User",
    "OrderOfDebtor": "Order",
    "Payer": "User",
}
"""The types of rows that stand in a special place."""

NO_SIGNALS = {"signalWorkflow": "BAD_USER_INPUT", "createPresentation": "BAD_USER_INPUT"}
"""Mutations that are refused with rows of their own too: this kind of workflow takes no signals, and that request to
present something is over."""

NOT_YOURS = {"shareFamilyBenefit:Member": "BAD_USER_INPUT", "uploadFile:StoredFile": "BAD_USER_INPUT"}
"""How somebody else's row is refused, where that is not NOT_FOUND."""
