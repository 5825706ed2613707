"""Whose an order or an invoice is, where customers of the backends are known to several clients."""

from __future__ import annotations

from typing import Any

import pytest

from core.principals import Principal
from datasources.mongo import Mongo
from resolvers.buyers import BuyerOfInvoice, BuyerOfOrder
from resolvers.context import Loader
from tests.callers import SERVICE, WORLD, client, person, platform, user
from tests.conftest import Callers, Commands, MakeContext, demo_documents

HERE, THERE = WORLD.clients[2], WORLD.clients[3]
ANN, BEN = person("CUSTOMER", client=2), person("CUSTOMER", client=3)
GUEST = "cus_guest"
"""A customer that Medusa made for an e-mail address which Ann and Ben share."""


@pytest.fixture
async def shared_guest(empty_mongo: Mongo, callers: Callers) -> Mongo:
    documents = demo_documents(callers.demo)
    for row in documents["users"]:
        if row["_id"] in (ANN.id, BEN.id):
            row["medusaCustomerIds"].append(GUEST)
    await empty_mongo.insert({name: documents[name] for name in ("users", "clients")})
    return empty_mongo


def loader(make_context: MakeContext, store: Mongo, principal: Principal, cls: type[Loader[Any, Any]]) -> Any:
    ctx = make_context(principal)
    ctx.sources.mongo = store  # type: ignore[misc]
    return ctx.loader(cls)


@pytest.mark.parametrize(
    ("principal", "expected"),
    [
        (SERVICE, [ANN.id, BEN.id, None]),
        (platform(server_side=True), [ANN.id, BEN.id, None]),
        (client(2), [ANN.id, None, None]),
        (user(person("STAFF", client=3)), [None, BEN.id, None]),
        (user(ANN), [ANN.id, None, None]),
        (user(person("CUSTOMER", client=2, n=1)), [None, None, None]),
        (platform(server_side=False), [None, None, None]),
    ],
)
async def test_the_channel_says_whose_order_a_guest_has_placed(
    make_context: MakeContext, shared_guest: Mongo, principal: Principal, expected: list[str | None]
) -> None:
    channels = [each.channel_id for each in (HERE, THERE, WORLD.clients[0])]
    found = await loader(make_context, shared_guest, principal, BuyerOfOrder).load_many([(GUEST, c) for c in channels])
    assert [each and each.id for each in found] == expected


@pytest.mark.parametrize("principal", [SERVICE, platform(server_side=True), user(ANN)])
async def test_an_invoice_of_another_company_is_nobodys(
    make_context: MakeContext, shared_guest: Mongo, principal: Principal
) -> None:
    keys = [(ANN.erp_id, HERE.company), (ANN.erp_id, THERE.company), ("CUST-0", HERE.company)]
    found = await loader(make_context, shared_guest, principal, BuyerOfInvoice).load_many(keys)
    assert [each and each.id for each in found] == [ANN.id, None, None]


async def test_everybody_who_bought_is_found_in_one_call(
    make_context: MakeContext, mongo: Mongo, commands: Commands
) -> None:
    orders = WORLD.orders[-100:]
    buyers = loader(make_context, mongo, SERVICE, BuyerOfOrder)
    commands.forget()
    found = await buyers.load_many([(order.medusa_customer_id, order.client.channel_id) for order in orders])
    assert [each.id for each in found] == [order.customer.id for order in orders if order.customer]
    assert commands.sent == [("aggregate", "users")]
