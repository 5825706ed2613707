"""/v1/products and /v1/prices, to be read: what can be subscribed to is seeded."""

from __future__ import annotations

from sandbox.store import Row
from sandbox.stripe.calls import Call, Operation
from sandbox.stripe.forms import array, boolean, choice, currency, text, unsimulated
from sandbox.stripe.lists import LISTING, page


def product(id: str, name: str, description: str, created: int) -> Row:
    return {
        "id": id,
        "object": "product",
        "active": True,
        "created": created,
        "default_price": None,
        "description": description,
        "images": [],
        "livemode": False,
        "marketing_features": [],
        "metadata": {},
        "name": name,
        "package_dimensions": None,
        "shippable": None,
        "statement_descriptor": None,
        "tax_code": None,
        "type": "service",
        "unit_label": None,
        "updated": created,
        "url": None,
    }


def monthly_price(id: str, product: str, amount: int, currency: str, created: int) -> Row:
    return {
        "id": id,
        "object": "price",
        "active": True,
        "billing_scheme": "per_unit",
        "created": created,
        "currency": currency,
        "custom_unit_amount": None,
        "livemode": False,
        "lookup_key": None,
        "metadata": {},
        "nickname": None,
        "product": product,
        "recurring": {
            "interval": "month",
            "interval_count": 1,
            "meter": None,
            "trial_period_days": None,
            "usage_type": "licensed",
        },
        "tax_behavior": "unspecified",
        "tiers_mode": None,
        "transform_quantity": None,
        "type": "recurring",
        "unit_amount": amount,
        "unit_amount_decimal": str(amount),
    }


def _listed(call: Call, kind: str, *filters: str) -> Row:
    wanted = {name: call.params[name] for name in filters if name in call.params}
    ids = call.params.get("ids")
    rows = [row for row in call.store.rows(kind) if wanted.items() <= row.items()]
    return page(call, kind, [row for row in rows if ids is None or row["id"] in ids])


def products(call: Call) -> Row:
    return _listed(call, "product", "active", "shippable", "url")


def prices(call: Call) -> Row:
    return _listed(call, "price", "active", "currency", "product", "type")


def retrieve_product(call: Call) -> Row:
    return call.load("product", call.path["id"], "id", status=404)


def retrieve_price(call: Call) -> Row:
    return call.load("price", call.path["id"], "price", status=404)


OPERATIONS = (
    Operation("GET", "/v1/products", "product", products,
              {**LISTING, "active": boolean, "ids": array(text()), "shippable": boolean, "url": text()}, listing=True),
    Operation("GET", "/v1/products/{id}", "product", retrieve_product),
    Operation("GET", "/v1/prices", "price", prices,
              {**LISTING, "active": boolean, "currency": currency, "product": text(),
               "type": choice("one_time", "recurring"), **unsimulated("lookup_keys", "recurring")}, listing=True),
    Operation("GET", "/v1/prices/{id}", "price", retrieve_price),
)  # fmt: skip
