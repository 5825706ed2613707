"""/v1/setup_intents: the server's half of saving a card, which the customer's browser then confirms."""

from __future__ import annotations

from sandbox.store import Row
from sandbox.stripe import methods, profiles
from sandbox.stripe.calls import Call, Operation, new_id
from sandbox.stripe.forms import array, boolean, choice, fields, merged, metadata, text, unsimulated
from sandbox.stripe.payments import no_longer_supported


def create(call: Call) -> Row:
    params = call.params
    customer = profiles.find(call, params["customer"])["id"] if "customer" in params else None
    method = methods.usable(call, params["payment_method"], customer) if "payment_method" in params else None
    saved_metadata = merged({}, params.get("metadata", {}))
    if method:
        call.save(method)
    setup_id = new_id("seti")
    automatic = params.get("automatic_payment_methods", {"enabled": "allowed_payment_method_types" not in params})
    row = {
        "id": setup_id,
        "object": "setup_intent",
        "application": None,
        "automatic_payment_methods": {"allow_redirects": "always", **automatic} if automatic["enabled"] else None,
        "cancellation_reason": None,
        "client_secret": f"{setup_id}_{new_id('secret')}",
        "created": call.now,
        "customer": customer,
        "description": params.get("description"),
        "excluded_payment_method_types": None,
        "flow_directions": None,
        "last_setup_error": None,
        "latest_attempt": None,
        "livemode": False,
        "mandate": None,
        "metadata": saved_metadata,
        "next_action": None,
        "on_behalf_of": None,
        "payment_method": method["id"] if method else None,
        "payment_method_configuration_details": None,
        "payment_method_options": {
            "card": {"mandate_options": None, "network": None, "request_three_d_secure": "automatic"}
        },
        "payment_method_types": ["card"],
        "single_use_mandate": None,
        "status": "requires_confirmation" if method else "requires_payment_method",
        "usage": params.get("usage", "off_session"),
    }
    call.save(row)
    call.emit("setup_intent.created", row)
    return row


def retrieve(call: Call) -> Row:
    return call.load("setup_intent", call.path["id"], "intent", status=404)


OPERATIONS = (
    Operation("POST", "/v1/setup_intents", "setup_intent", create,
              {"allowed_payment_method_types": array(choice("card")),
               "automatic_payment_methods": fields(
                   {"allow_redirects": choice("always", "never"), "enabled": boolean}, ("enabled",)),
               "customer": text(), "description": text(), "metadata": metadata, "payment_method": text(),
               "payment_method_types": no_longer_supported, "usage": choice("off_session", "on_session"),
               **unsimulated("attach_to_self", "confirm", "confirmation_token", "customer_account",
                             "excluded_payment_method_types", "flow_directions", "mandate_data", "on_behalf_of",
                             "payment_method_configuration", "payment_method_data", "payment_method_options",
                             "return_url", "single_use", "use_stripe_sdk")}),
    Operation("GET", "/v1/setup_intents/{id}", "setup_intent", retrieve, unsimulated("client_secret")),
)  # fmt: skip
