"""The demo company's HTTP backends behind tests, simulated in process, with the demo world's rows and no calls yet."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from core.settings import ErpnextSettings, FleetbaseSettings, MedusaSettings
from datasources.erpnext import Erpnext
from datasources.fleetbase import Fleetbase
from datasources.medusa import Medusa
from sandbox import keys
from sandbox.app import create_app
from tests.market import Books, Couriers, Market, MemoryMongo, Shop

MEDUSA = MedusaSettings(api_key=SecretStr(keys.MEDUSA_API_KEY), publishable_key=SecretStr(keys.MEDUSA_PUBLISHABLE_KEY))
FLEETBASE = FleetbaseSettings(api_key=SecretStr(keys.FLEETBASE_API_KEY), rate_per_minute=None)
ERPNEXT = ErpnextSettings(
    api_key=SecretStr(keys.ERPNEXT_API_KEY), api_secret=SecretStr(keys.ERPNEXT_API_SECRET), timeout_s=0.4
)
"""Impatient: some tests let it hang."""


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

    def client(backend: str, **headers: str) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app)
        return httpx.AsyncClient(base_url=f"http://sandbox/{backend}", transport=transport, headers=headers)

    medusa = Medusa(client("medusa"), MEDUSA)
    fleetbase = Fleetbase(client("fleetbase", authorization=f"Bearer {keys.FLEETBASE_API_KEY}"), FLEETBASE)
    erpnext = Erpnext(client("erpnext"), ERPNEXT)
    yield Market(
        Shop(stores["medusa"], lines["medusa"], medusa),
        Couriers(stores["fleetbase"], lines["fleetbase"], fleetbase),
        Books(stores["erpnext"], lines["erpnext"], erpnext),
        MemoryMongo(),
    )
    for source in (medusa, fleetbase, erpnext):
        await source.aclose()
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
