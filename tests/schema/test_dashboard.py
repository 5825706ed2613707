"""The main query, counted where the calls arrive: in the simulators and by MongoDB's own monitoring."""

from __future__ import annotations

from dataclasses import replace

import pytest

from core.settings import Settings
from datasources.mongo import Mongo
from graphiql.examples import DASHBOARD
from resolvers.context import Context
from schema import build_schema
from tests.callers import SERVICE
from tests.conftest import Commands
from tests.market import Market

pytest_plugins = ["tests.backends"]

SCHEMA = build_schema(Settings())


@pytest.mark.parametrize(("n", "most"), [(1, 5), (50, 5), (100, 6)])
async def test_the_trace_is_what_the_backends_saw(
    market: Market, mongo: Mongo, commands: Commands, n: int, most: int
) -> None:
    sources = replace(market.context(SERVICE).sources, mongo=mongo)
    commands.forget()
    result = await SCHEMA.execute(
        DASHBOARD.query, variable_values={"n": n}, context_value=Context(sources, SERVICE, is_traced=True)
    )
    assert result.errors is None
    assert result.extensions is not None
    told = result.extensions["trace"]["upstreamCalls"]
    assert len(told) <= most
    assert [(call["method"], call["path"]) for call in told if call["backend"] == "OMNISTACK"] == commands.sent
    assert len(commands.sent) == 1
    seen = [len(each.line.calls) for each in (market.shop, market.couriers, market.books)]
    assert [sum(call["backend"] == name for call in told) for name in ("MEDUSA", "FLEETBASE", "ERPNEXT")] == seen
    assert len(told) == sum(seen) + 1
