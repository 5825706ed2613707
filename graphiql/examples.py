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

EXAMPLES = (DASHBOARD, ORDER, FULFILL_ORDER, WORKFLOW_STATUS, HEALTH)
