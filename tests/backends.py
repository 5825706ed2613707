"""The demo company's HTTP backends behind tests, simulated in process, with the demo world's rows and no calls yet."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.demo import DemoCredentials
from core.signals import LocalSignals
from datasources.mongo import Mongo
from sandbox.app import create_app
from tests.conftest import demo_documents
from tests.market import Books, Content, Couriers, Market, MemoryMongo, Shop
from tests.office import Office, open_office
from tests.printing import PrintShop
from tests.simulators import open_simulated

IMPATIENT_S = 0.4
"""Some tests let a backend hang."""


@pytest.fixture(scope="session")
def demo_rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The simulators' files, filled once; a copy is quicker than filling them again."""
    folder = tmp_path_factory.mktemp("sandbox")
    for store in create_app(folder).state.stores.values():
        store.close()
    return folder


@pytest.fixture
async def market(demo_rows: Path, tmp_path: Path) -> AsyncIterator[Market]:
    app = create_app(Path(shutil.copytree(demo_rows, tmp_path / "sandbox")))
    lines, stores = app.state.lines, app.state.stores

    signals = LocalSignals()
    backends = open_simulated(app, signals=signals, erpnext=IMPATIENT_S, payload=IMPATIENT_S)
    yield Market(
        Shop(stores["medusa"], lines["medusa"], backends.medusa),
        Couriers(stores["fleetbase"], lines["fleetbase"], backends.fleetbase),
        Books(stores["erpnext"], lines["erpnext"], backends.erpnext),
        Content(stores["payload"], lines["payload"], backends.payload),
        MemoryMongo(),
        signals,
        backends,
    )
    for backend in backends.each():
        await backend.aclose()
    for store in stores.values():
        store.close()


@pytest.fixture
def shop(market: Market) -> Shop:
    return market.shop


@pytest.fixture
def couriers(market: Market) -> Couriers:
    return market.couriers


@pytest.fixture
def books(market: Market) -> Books:
    return market.books


@pytest.fixture
def content(market: Market) -> Content:
    return market.content


@pytest.fixture
async def office(empty_mongo: Mongo, demo: DemoCredentials, demo_rows: Path, tmp_path: Path) -> AsyncIterator[Office]:
    """With the real core store, which holds the demo world as well."""
    await empty_mongo.insert(demo_documents(demo))
    async with open_office(empty_mongo, Path(shutil.copytree(demo_rows, tmp_path / "office"))) as opened:
        yield opened


@pytest.fixture
async def prints(empty_mongo: Mongo, demo: DemoCredentials) -> AsyncIterator[PrintShop]:
    """With the real core store, which holds the demo world as well."""
    await empty_mongo.insert(demo_documents(demo))
    shop = PrintShop(empty_mongo)
    yield shop
    await shop.strapi.aclose()
    shop.store.close()
