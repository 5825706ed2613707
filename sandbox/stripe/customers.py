"""Customers and the payment methods saved for them: /v1/customers, /v1/payment_methods."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy

from sandbox.store import Row
from sandbox.stripe import methods, profiles, subscriptions
from sandbox.stripe.calls import Call, Operation, given, new_id
from sandbox.stripe.errors import no_such
from sandbox.stripe.forms import Check, array, choice, fields, integer, merged, metadata, text, unsimulated
from sandbox.stripe.lists import LISTING, PAGING, SEARCHING, page, search
from sandbox.stripe.profiles import address, shipping, whole_address, whole_shipping

PLAIN = ("balance", "description", "email", "name", "phone", "tax_exempt")

WRITABLE: Mapping[str, Check] = {
    "address": address,
    "balance": integer(),
    "description": text(unset=True),
    "email": text(unset=True, most=512),
    "invoice_settings": fields(
        {
            "default_payment_method": text(unset=True),
            **unsimulated("custom_fields", "footer", "rendering_options"),
        }
    ),
    "metadata": metadata,
    "name": text(unset=True, most=256),
    "phone": text(unset=True, most=20),
    "preferred_locales": array(text(), unset=True),
    "shipping": shipping(),
    "tax_exempt": choice("exempt", "none", "reverse", unset=True),
    **unsimulated(
        "business_name", "cash_balance", "individual_name", "invoice_prefix", "next_invoice_sequence", "source", "tax",
        "validate",
    ),
}  # fmt: skip


def create(call: Call) -> Row:
    row = profiles.customer(new_id("cus", 14), call.now)
    method = None
    if wanted := call.params.get("payment_method"):
        method = methods.find_or_make(call, wanted)
        methods.check_attachable(call, method, row["id"])
    _write(call, row, attaching=method)
    call.save(row)
    if method:
        methods.attach(call, method, row["id"])
    call.emit("customer.created", row)
    return row


def update(call: Call) -> Row:
    row = profiles.find(call, call.path["id"], "id", status=404)
    before = deepcopy(row)
    _write(call, row)
    call.save(row)
    call.emit("customer.updated", row, before)
    return row


def _write(call: Call, row: Row, attaching: Row | None = None) -> None:
    """Put the parameters into `row`. `attaching` is the method that the same request saves."""
    params = call.params
    row |= given(params, *PLAIN)
    row["tax_exempt"] = row["tax_exempt"] or "none"
    if "address" in params:
        row["address"] = whole_address(params["address"])
    if "shipping" in params:
        row["shipping"] = whole_shipping(params["shipping"])
    if "preferred_locales" in params:
        row["preferred_locales"] = params["preferred_locales"] or []
    if "metadata" in params:
        row["metadata"] = merged(row["metadata"], params["metadata"])
    if "default_payment_method" in (settings := params.get("invoice_settings", {})):
        default = settings["default_payment_method"]
        if default and attaching and default == params["payment_method"]:
            default = attaching["id"]
        elif default:
            methods.attached_to(call, default, row["id"], "invoice_settings[default_payment_method]")
        row["invoice_settings"]["default_payment_method"] = default


def retrieve(call: Call) -> Row:
    return call.load("customer", call.path["id"], "id", status=404)


def delete(call: Call) -> Row:
    """The customer's subscriptions end, their saved methods are detached; their payments stay."""
    row = profiles.find(call, call.path["id"], "id", status=404)
    for subscription in subscriptions.of_customer(call, row["id"]):
        subscriptions.end(call, subscription)
    for method in methods.of_customer(call, row["id"]):
        methods.detach(call, deepcopy(method))
    call.emit("customer.deleted", row)
    return call.save({"id": row["id"], "object": "customer", "deleted": True})


def _present(call: Call) -> list[Row]:
    return [row for row in call.store.rows("customer") if not row.get("deleted")]


def listed(call: Call) -> Row:
    email = call.params.get("email")
    return page(call, "customer", [row for row in _present(call) if email is None or row["email"] == email])


def searched(call: Call) -> Row:
    return search(call, "customer", _present(call))


def methods_of_customer(call: Call) -> Row:
    owner = profiles.find(call, call.path["customer"], status=404)
    rows = methods.of_customer(call, owner["id"])
    wanted = {name: call.params[name] for name in ("type", "allow_redisplay") if name in call.params}
    return page(call, "payment_method", [row for row in rows if wanted.items() <= row.items()])


def method_of_customer(call: Call) -> Row:
    owner = profiles.find(call, call.path["customer"], status=404)
    method = methods.find(call, call.path["id"], status=404)
    if method["customer"] != owner["id"]:
        raise no_such("PaymentMethod", method["id"], "payment_method", status=404)
    return method


def retrieve_method(call: Call) -> Row:
    return methods.find(call, call.path["id"], status=404)


def attach_method(call: Call) -> Row:
    owner = profiles.find(call, call.params["customer"])
    method = methods.find_or_make(call, call.path["id"], status=404)
    methods.check_attachable(call, method, owner["id"])
    return methods.attach(call, method, owner["id"])


def detach_method(call: Call) -> Row:
    return methods.detach(call, methods.find(call, call.path["id"], status=404))


OPERATIONS = (
    Operation("POST", "/v1/customers", "customer", create, {**WRITABLE, "payment_method": text(),
                                                           **unsimulated("tax_id_data", "test_clock")}),
    Operation("GET", "/v1/customers", "customer", listed,
              {**LISTING, "email": text(), **unsimulated("test_clock")}, listing=True),
    Operation("GET", "/v1/customers/search", "customer", searched, SEARCHING, ("query",), listing=True),
    Operation("GET", "/v1/customers/{id}", "customer", retrieve),
    Operation("POST", "/v1/customers/{id}", "customer", update, {**WRITABLE, **unsimulated("default_source")}),
    Operation("DELETE", "/v1/customers/{id}", "customer", delete),
    Operation("GET", "/v1/customers/{customer}/payment_methods", "payment_method", methods_of_customer,
              {**PAGING, "type": text(), "allow_redisplay": choice("always", "limited", "unspecified")}, listing=True),
    Operation("GET", "/v1/customers/{customer}/payment_methods/{id}", "payment_method", method_of_customer),
    Operation("GET", "/v1/payment_methods/{id}", "payment_method", retrieve_method),
    Operation("POST", "/v1/payment_methods/{id}/attach", "payment_method", attach_method,
              {"customer": text(), **unsimulated("customer_account")}, ("customer",)),
    Operation("POST", "/v1/payment_methods/{id}/detach", "payment_method", detach_method),
)  # fmt: skip
