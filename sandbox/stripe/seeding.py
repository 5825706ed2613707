"""The demo world's part in Stripe: every customer with a card that works, and one thing to subscribe to."""

from __future__ import annotations

from datetime import UTC, datetime

from sandbox.store import Row, Store
from sandbox.stripe.catalogue import monthly_price, product
from sandbox.stripe.methods import CARDS, payment_method
from sandbox.stripe.profiles import customer
from sandbox.world import Person, World

PRODUCT_ID, PRICE_ID = "prod_Demo0000000001", "price_Demo0000000001"
MONTHLY_MINOR = 1900
"""Euro cents."""


def seed(store: Store) -> None:
    world = World(datetime.now(UTC))
    for person in world.customers:
        card, owner = _card(person), _customer(person)
        store.put("customer", owner["id"], owner)
        store.put("payment_method", card["id"], card)
    opened = int(world.products[0].created_at.timestamp())
    membership = product(PRODUCT_ID, "Membership", "Free delivery in Tirana, every month.", opened)
    store.put("product", PRODUCT_ID, membership | {"default_price": PRICE_ID})
    store.put("price", PRICE_ID, monthly_price(PRICE_ID, PRODUCT_ID, MONTHLY_MINOR, "eur", opened))


def _customer(person: Person) -> Row:
    row = customer(person.stripe_id, int(person.created_at.timestamp()))
    row["invoice_settings"]["default_payment_method"] = person.card_id
    return row | {
        "address": _address(person),
        "email": person.email,
        "metadata": {"gateway_user_id": person.id},
        "name": person.name,
        "phone": person.phone,
    }


def _card(person: Person) -> Row:
    details = {"address": _address(person), "email": person.email, "name": person.name, "phone": person.phone}
    created = int(person.created_at.timestamp())
    card = payment_method(CARDS["pm_card_visa"], created, id=person.card_id, billing_details=details)
    return card | {"customer": person.stripe_id}


def _address(person: Person) -> Row:
    address = person.address
    return {
        "city": address.city,
        "country": address.country,
        "line1": address.street,
        "line2": None,
        "postal_code": address.postal_code,
        "state": None,
    }
