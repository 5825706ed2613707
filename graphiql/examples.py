"""What a newcomer can run at once: the page's first tabs, in order. The ids are the demo world's."""

from __future__ import annotations

from graphiql.page import Example

DASHBOARD = Example(
    """\
# Orders, joined with what three other backends know.
# Press the play button.
query Dashboard($n: Int!) {
  orders(first: $n) {
    nodes {
      id
      displayId
      status
      total { amount currency }
      createdAt
      customer { id name email }
      items {
        id
        title
        quantity
        unitPrice { amount }
        product { id title handle thumbnail }
      }
      delivery { id status trackingNumber driver { id name phone } }
      invoice { id status grandTotal { amount } outstandingAmount { amount } dueDate }
    }
  }
}
""",
    {"n": 10},
)

ORDER = Example(
    """\
# One order, and the workflow that fulfilled it,
# where there was one.
query Order($id: ID!) {
  order(id: $id) {
    id
    displayId
    status
    paymentStatus
    total { amount currency }
    items { title quantity total { amount } }
    delivery { id status trackingNumber }
    invoice { id number status outstandingAmount { amount } }
    workflow {
      id
      status
      progress
      steps { name system status attempt error }
    }
  }
}
""",
    {"id": "order_01DEMO00000000000000000198"},
)

FULFILL_ORDER = Example(
    """\
# Places an order and sees it through: payment, invoice,
# delivery, mail. It answers at once; watch it next door.
# `userId` is whom it is for: staff order for customers.
mutation FulfillOrder($input: OrderFulfillmentInput!) {
  fulfillOrder(input: $input) {
    id
    status
    currentStep
    steps { name system status }
  }
}
""",
    {
        "input": {
            "userId": "000000030000000000000013",
            "items": [{"variantId": "variant_01DEMO00000000000000000011", "quantity": 2}],
            "shippingAddress": {
                "name": "Demo Customer",
                "street": "Rruga e Durrësit 7",
                "city": "Tirana",
                "postalCode": "1001",
                "country": "AL",
            },
        }
    },
)

WORKFLOW_STATUS = Example(
    """\
# Put the id that FulfillOrder answered into the
# variables below, then press play.
subscription WorkflowStatus($id: ID!) {
  workflowStatus(id: $id) {
    status
    progress
    currentStep
    steps { name system status attempt error }
    result { success artifacts { type } }
    error { code message step compensated }
  }
}
""",
    {"id": ""},
)

SYNC_BATCHES = Example(
    """\
# A platform's stock, brought into step with its own: run it
# twice, and the second time all is unchanged.
mutation SyncBatches($input: [BatchInput!]!) {
  syncBatches(input: $input) { created updated unchanged }
}
""",
    {
        "input": [
            {"externalId": "DKTR01-0002", "sku": "SKU-011-1", "quantity": "18.5", "warehouse": "Stores - DKT"},
            {"externalId": "DKTR01-NEW1", "sku": "SKU-012-1", "quantity": "40", "expiresAt": "2030-06-30"},
        ]
    },
)

CONTENT = Example(
    """\
# What editors have published: a page and its blocks, events by
# price, and whatever has a word in its title.
query Content($where: JSON) {
  page(slug: "home") { title blocks updatedAt }
  content(collection: "events", first: 5, where: $where) {
    totalCount
    nodes { id title data }
  }
  searchContent(query: "tour") { collection title }
}
""",
    {"where": {"price": {"less_than": 20}}},
)

CHAT_STREAM = Example(
    """\
# A language model's reply, token by token. It ends by itself;
# stopping it here stops the model too.
subscription ChatStream($input: ChatInput!) {
  chatStream(input: $input) { content finishReason }
}
""",
    {"input": {"messages": [{"role": "user", "content": "What is on the way to Tirana?"}]}},
)

HEALTH = Example(
    """\
# Every backend: whether it answers, how fast, and
# whether it is the real one or the built-in simulator.
query Health {
  health {
    status
    checkedAt
    systems { name status mode latencyMs circuit message }
  }
}
"""
)

EXAMPLES = (DASHBOARD, ORDER, FULFILL_ORDER, WORKFLOW_STATUS, SYNC_BATCHES, CONTENT, CHAT_STREAM, HEALTH)
