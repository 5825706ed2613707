"""Purchase orders: in whose name."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from core import operation
from core.backends import BackendName
from core.errors import BackendRejected, BadUserInput, Forbidden, NotFound
from core.idempotency import KeyedRequest
from datasources.erpnext import NewInvoiceItem, PurchaseOrderRecord
from resolvers.context import Context
from resolvers.purchase_orders import PurchaseToMake, create_purchase_order
from tests.callers import SERVICE, WORLD, client, person, platform, user
from tests.office import Office

pytest_plugins = ["tests.backends"]

OWN, OTHER, HERE = WORLD.clients[0], WORLD.clients[1], WORLD.clients[2]
MANAGER = user(person("MANAGER"))
SKU = WORLD.products[0].variants[0].sku


def wanted(office: Office, **said: Any) -> PurchaseToMake:
    day = office.sources.erpnext.today() + timedelta(days=3)
    usual = {"supplier": f"Supplier of {OWN.code}", "schedule_date": day, "items": [line()]}
    return PurchaseToMake(**{**usual, **said})


def line(quantity: str = "2", rate: str = "3.50") -> NewInvoiceItem:
    return NewInvoiceItem(SKU, Decimal(quantity), Decimal(rate))


def row(office: Office, made: PurchaseOrderRecord) -> Any:
    return office._stores["erpnext"].get("Purchase Order", made.id)


def count(office: Office) -> int:
    return len(office._stores["erpnext"].rows("Purchase Order"))


async def test_a_company_buys_into_its_own_warehouse(office: Office) -> None:
    for principal, of, said in (
        (MANAGER, OWN, {}),
        (client(1), OTHER, {}),
        (platform(server_side=True), HERE, {"client_id": HERE.id}),
        (SERVICE, OTHER, {"client_id": OTHER.id}),
    ):
        made = await create_purchase_order(office.context(principal), wanted(office, **said))
        stored = row(office, made)
        assert (stored["company"], stored["items"][0]["warehouse"]) == (of.company, of.warehouse)
        owner = await office.mongo.owner(BackendName.ERPNEXT, made.id)
        assert owner is not None
        assert owner.client_id == of.id


async def test_nobody_buys_for_others(office: Office) -> None:
    before = count(office)
    for principal, client_id in (
        (MANAGER, OTHER.id),
        (MANAGER, "000000020000000000009999"),
        (client(0), OTHER.id),
        (platform(server_side=True), OWN.id),
        (platform(server_side=False), HERE.id),
    ):
        with pytest.raises(NotFound, match="there is no such client"):
            await create_purchase_order(office.context(principal), wanted(office, client_id=client_id))
    for principal in (SERVICE, platform(server_side=True)):
        with pytest.raises(BadUserInput, match="clientId"):
            await create_purchase_order(office.context(principal), wanted(office))
    assert count(office) == before


async def test_a_service_buys_for_the_configured_company(office: Office) -> None:
    office.sources.erpnext.default_company = OTHER.company
    made = await create_purchase_order(office.context(SERVICE), wanted(office))
    assert row(office, made)["company"] == OTHER.company


async def test_a_client_without_company_buys_nothing(office: Office) -> None:
    await office.mongo._db.clients.update_one({"code": OTHER.code}, {"$unset": {"backendScope": ""}})
    with pytest.raises(Forbidden, match="no company"):
        await create_purchase_order(office.context(SERVICE), wanted(office, client_id=OTHER.id))


@pytest.mark.parametrize(
    "said",
    [
        {"items": []},
        {"items": [line("0")]},
        {"items": [line("1", "-1")]},
        {"supplier": " "},
        {"supplier": "x" * 141},
        {"schedule_date": WORLD.anchor.date().replace(year=2020)},
    ],
)
async def test_what_makes_no_sense_never_reaches_the_books(office: Office, said: dict[str, Any]) -> None:
    office.forget_calls()
    with pytest.raises(BadUserInput):
        await create_purchase_order(office.context(MANAGER), wanted(office, **said))
    assert office.calls("erpnext") == []


async def test_a_supplier_who_is_not_there_is_refused(office: Office) -> None:
    with pytest.raises(BackendRejected, match="Supplier: Nobody"):
        await create_purchase_order(office.context(MANAGER), wanted(office, supplier="Nobody"))


async def test_one_key_buys_once(office: Office) -> None:
    def keyed(attempt: str) -> Context:
        ctx = office.context(MANAGER)
        operation.current().keyed = KeyedRequest(MANAGER.id, "Buy", "k", attempt, path="made")
        return ctx

    before = count(office)
    made = [await create_purchase_order(keyed(attempt), wanted(office)) for attempt in ("1", "2")]
    assert made[0] == made[1]
    assert count(office) == before + 1
    await create_purchase_order(office.context(MANAGER), wanted(office))
    assert count(office) == before + 2
