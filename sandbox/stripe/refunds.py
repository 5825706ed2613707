"""/v1/refunds."""

from __future__ import annotations

from sandbox.store import Row
from sandbox.stripe import charges, intents
from sandbox.stripe.calls import Call, Operation, new_id
from sandbox.stripe.errors import invalid
from sandbox.stripe.forms import choice, integer, merged, metadata, text, unsimulated
from sandbox.stripe.lists import LISTING, page


def create(call: Call) -> Row:
    params = call.params
    charge = _charge(call)
    if not charge["captured"]:
        raise invalid(f"Charge {charge['id']} was not captured; cancel its PaymentIntent instead.", "charge")
    left = charges.refundable(charge)
    if left == 0:
        raise invalid(f"Charge {charge['id']} has already been refunded.", "charge", "charge_already_refunded")
    amount = params.get("amount", left)
    if amount > left:
        raise invalid(f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left}).", "amount")
    refund = {
        "id": new_id("re"),
        "object": "refund",
        "amount": amount,
        "balance_transaction": None,
        "charge": charge["id"],
        "created": call.now,
        "currency": charge["currency"],
        "customer": charge["customer"],
        "customer_account": None,
        "destination_details": {
            "card": {
                "reference_status": "pending",
                "reference_type": "acquirer_reference_number",
                "type": "refund",
            },
            "type": "card",
        },
        "metadata": merged({}, params.get("metadata", {})),
        "payment_intent": charge["payment_intent"],
        "payment_method": charge["payment_method"],
        "reason": params.get("reason"),
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": "succeeded",
        "transfer_reversal": None,
    }
    refund["balance_transaction"] = charges.refund(call, charge, amount)
    call.save(refund)
    call.emit("refund.created", refund)
    return refund


def _charge(call: Call) -> Row:
    """The charge to give back. Raises: StripeError when the request names none, or one that was never paid."""
    params = call.params
    if "charge" in params:
        charge = call.load("charge", params["charge"], "charge")
        if "payment_intent" in params and charge["payment_intent"] != params["payment_intent"]:
            raise invalid("The charge is not one of the PaymentIntent.", "charge")
        return charge
    if "payment_intent" not in params:
        message = "One of the following params should be provided for this request: payment_intent or charge."
        raise invalid(message, "payment_intent", "parameter_missing")
    intent = intents.load(call, params["payment_intent"], "payment_intent", status=400)
    if intent["status"] != "succeeded":
        message = f"This PaymentIntent ({intent['id']}) does not have a successful charge to refund."
        raise intents.unexpected_state(message, intent)
    return call.load("charge", intent["latest_charge"], "charge")


def retrieve(call: Call) -> Row:
    return call.load("refund", call.path["id"], "id", status=404)


def listed(call: Call) -> Row:
    wanted = {name: call.params[name] for name in ("charge", "payment_intent") if name in call.params}
    return page(call, "refund", [row for row in call.store.rows("refund") if wanted.items() <= row.items()])


OPERATIONS = (
    Operation("POST", "/v1/refunds", "refund", create,
              {"amount": integer(least=1), "charge": text(), "metadata": metadata, "payment_intent": text(),
               "reason": choice("duplicate", "fraudulent", "requested_by_customer"),
               **unsimulated("currency", "customer", "instructions_email", "origin", "refund_application_fee",
                             "reverse_transfer")}),
    Operation("GET", "/v1/refunds", "refund", listed, {**LISTING, "charge": text(), "payment_intent": text()},
              listing=True),
    Operation("GET", "/v1/refunds/{id}", "refund", retrieve),
)  # fmt: skip
