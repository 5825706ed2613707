"""Who may read and do what: one line per field, decided by hand. The schema tells which fields there are; one that has
no line here fails `test_decisions.py`."""

from __future__ import annotations

from tests.access.callers import COLUMNS

_READS = """
                 service browser server  client  customer staff   manager admin

viewer           yes     yes     yes     yes     yes      yes     yes     yes
health           yes     yes     yes     yes     yes      yes     yes     yes
_service         yes     yes     yes     yes     yes      yes     yes     yes
_entities        yes     yes     yes     yes     yes      yes     yes     yes

clientApps       all     app     app     app     nothing  nothing nothing nothing
clientApp        all     app     app     app     nothing  nothing nothing nothing
clients          all     app     app     client  client   client  client  client
client           all     app     app     client  client   client  client  client
users            all     nothing app     client  own      client  client  client
user             all     nothing app     client  own      client  client  client
families         all     nothing app     client  own      client  client  client
family           all     nothing app     client  own      client  client  client
batches          all     nothing app     client  nothing  client  client  client

products         all     nothing listed  client  sold     client  client  client
product          all     nothing listed  client  sold     client  client  client
categories       all     nothing app     client  client   client  client  client
stores           all     nothing app     client  client   client  client  client
cart             all     nothing app     client  own      client  client  client
orders           all     nothing app     client  own      client  client  client
order            all     nothing app     client  own      client  client  client

deliveries       all     nothing app     client  own      client  client  client
delivery         all     nothing app     client  own      client  client  client
drivers          all     nothing placed  placed  no       placed  placed  placed
vehicles         all     nothing placed  placed  no       placed  placed  placed
fleets           all     nothing placed  placed  no       placed  placed  placed
serviceZones     all     nothing placed  placed  placed   placed  placed  placed
deliveryQuotes   yes     nothing placed  placed  placed   placed  placed  placed

invoices         all     nothing app     client  own      client  client  client
invoice          all     nothing app     client  own      client  client  client
stockLevels      all     nothing app     client  no       client  client  client
erpCustomers     all     nothing app     client  no       client  client  client
employees        all     nothing app     client  no       client  client  client
financialReport  all     nothing app     client  no       no      client  client

paymentMethods   all     nothing app     client  own      client  client  client

credentials      all     nothing app     client  own      client  client  client
credential       all     nothing app     client  own      client  client  client
credentialVerification all nothing app   client  own      client  client  client
dids             all     nothing app     client  no       client  client  client

pages            all     nothing app     client  client   client  client  client
page             all     nothing app     client  client   client  client  client
content          all     nothing app     client  client   client  client  client
searchContent    all     nothing app     client  client   client  client  client

jobs             all     nothing app     client  no       client  client  client
job              all     nothing app     client  no       client  client  client
jobCustomers     all     nothing app     client  no       client  client  client

file             all     nothing app     client  own      client  client  client

workflows        all     nothing app     client  own      client  client  client
workflow         all     nothing app     client  own      client  client  client
workflowStatus   all     nothing app     client  own      client  client  client
chatStream       yes     no      yes     yes     yes      yes     yes     yes
"""
"""Fields of Query, and those of Subscription that show rows. Of all rows of the field's type

all       every one                          client    those of their client
app       those of their platform            own       those of their own
listed    of these, what is for sale         sold      those of their client that are for sale
nothing   they may ask, and are shown none
placed    every one, unless their client has been given no part of any backend
yes       the field shows nobody's rows      no        FORBIDDEN, and no backend is asked
"""

_EDGES = """
Viewer.user                 cut
Viewer.client               cut
Viewer.clientApp            cut

Client.app                  cut
Client.users                cut
Client.families             cut
Client.orders               cut
Client.invoices             cut
ClientApp.clients           cut
User.client                 cut
User.family                 cut
User.orders                 cut
User.invoices               cut
User.deliveries             cut
User.workflows              cut
User.credentials            cut
Credential.holder           cut
Family.client               cut
Family.members.user         cut     customer=whole
Family.benefits.sharedBy    cut     customer=whole
Batch.client                cut
Batch.product               cut

Product.categories          whole
Product.stockLevels         cut     customer=no
Category.parent             whole
Cart.items.product          whole
Order.items.product         whole
Order.customer              cut
Order.deliveries            cut
Order.delivery              cut
Order.invoices              cut
Order.invoice               cut
Order.workflow              cut

Delivery.driver             whole
Delivery.vehicle            whole
Delivery.order              cut
Driver.vehicle              whole
Fleet.drivers               whole
Fleet.vehicles              whole

Invoice.customer            cut
Invoice.order               cut
Invoice.items.product       cut
ErpCustomer.user            cut
Employee.user               cut
StockLevel.product          cut
Job.customer                whole
JobCustomer.user            cut
Workflow.startedBy          cut
Workflow.order              cut
Workflow.children           cut
"""
"""Fields that lead from a row to others. Of what they lead to, `cut` shows what the caller is shown anywhere, `whole`
all of it, for who sees the row sees this with it; `no` is FORBIDDEN. Then the kinds of caller who differ."""

_CHANGES = """
                       service browser server  client  customer staff   manager admin

registerClientApp      yes     no      no      no      no       no      no      no
registerClient         yes     yes     yes     denied  no       denied  denied  denied
updateClient           yes     no      yes     yes     no       denied  denied  yes
setClientBackendScope  yes     no      no      no      no       no      no      no
setClientActive        yes     no      yes     yes     no       no      no      yes
setClientAppActive     yes     no      yes     denied  no       no      no      denied
rotateClientKey        yes     no      yes     yes     no       no      no      yes
rotateClientAppKey     yes     no      yes     denied  no       no      no      denied
createUser             yes     no      yes     yes     no       yes     yes     yes
updateUser             yes     no      yes     yes     no       yes     yes     yes
setUserStatus          yes     no      yes     yes     no       yes     yes     yes
provisionUser          yes     no      yes     yes     no       yes     yes     yes
linkAccount            yes     no      no      no      no       no      no      no
grantStaffAccess       yes     no      yes     yes     no       yes     yes     yes
revokeStaffAccess      yes     no      yes     yes     no       yes     yes     yes
createFamily           yes     no      yes     yes     no       yes     yes     yes
addFamilyMember        yes     no      yes     yes     no       yes     yes     yes
removeFamilyMember     yes     no      yes     yes     no       yes     yes     yes
shareFamilyBenefit     yes     no      yes     yes     no       yes     yes     yes
revokeFamilyBenefit    yes     no      yes     yes     no       yes     yes     yes
syncBatches            yes     no      yes     yes     no       yes     yes     yes

createCart             yes     no      yes     yes     yes      yes     yes     yes
addCartItem            yes     no      yes     yes     yes      yes     yes     yes
createOrder            yes     no      yes     yes     yes      yes     yes     yes
cancelOrder            yes     no      yes     yes     yes      yes     yes     yes
createDelivery         yes     no      yes     yes     no       yes     yes     yes
cancelDelivery         yes     no      yes     yes     no       yes     yes     yes
createInvoice          yes     no      yes     yes     no       no      yes     yes
createPurchaseOrder    yes     no      yes     yes     no       no      yes     yes
createPaymentIntent    yes     no      yes     yes     no       no      yes     yes
createPaymentCustomer  yes     no      yes     yes     no       no      yes     yes
createSubscription     yes     no      yes     yes     no       no      yes     yes
sendEmail              yes     no      yes     yes     no       yes     yes     yes
sendTemplateEmail      yes     no      yes     yes     no       yes     yes     yes
sendSms                yes     no      yes     yes     no       yes     yes     yes
chat                   yes     no      yes     yes     yes      yes     yes     yes
embeddings             yes     no      yes     yes     yes      yes     yes     yes
issueCredential      yes     no      yes     yes     no       no      yes     yes
verifyCredential     yes     no      yes     yes     yes      yes     yes     yes
createPresentation   yes     no      yes     yes     yes      yes     yes     yes
createJobCustomer      yes     no      yes     yes     no       yes     yes     yes
createJob              yes     no      yes     yes     no       yes     yes     yes
updateJob              yes     no      yes     yes     no       yes     yes     yes
uploadFile             yes     no      yes     yes     no       yes     yes     yes
deleteFile             yes     no      yes     yes     no       yes     yes     yes
startWorkflow          yes     no      yes     yes     yes      yes     yes     yes
fulfillOrder           yes     no      yes     yes     yes      yes     yes     yes
signalWorkflow         yes     no      yes     yes     yes      yes     yes     yes
cancelWorkflow         yes     no      yes     yes     yes      yes     yes     yes
"""
"""Fields of Mutation.

yes       with rows of their own; anybody else's are not there, and nothing has changed
denied    refused whatever they name: they hold the scope, and this kind of caller does not do this
no        FORBIDDEN for want of a scope, and no backend is asked
"""


def _table(text: str) -> dict[str, dict[str, str]]:
    header, *lines = [line.split() for line in text.splitlines() if line.strip()]
    assert tuple(header) == COLUMNS
    return {field: dict(zip(COLUMNS, words, strict=True)) for field, *words in lines}


def _list(text: str) -> dict[str, dict[str, str]]:
    lines = [line.split() for line in text.splitlines() if line.strip()]
    return {
        field: dict.fromkeys(COLUMNS, word) | dict(exception.split("=") for exception in exceptions)
        for field, word, *exceptions in lines
    }


READS, EDGES, CHANGES = _table(_READS), _list(_EDGES), _table(_CHANGES)
