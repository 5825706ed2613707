"""What names a workflow: the key in its input, else the request's own, before real Temporal and simulators."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from core import operation
from core.errors import IdempotencyConflict
from core.idempotency import KeyedRequest
from core.operation import Operation
from core.principals import Principal
from datasources._embedded import Endpoints
from datasources.medusa import NewItem
from datasources.mongo import Mongo
from datasources.temporal import WorkflowRecord, WorkflowType
from resolvers.context import Context
from resolvers.workflows import NewFulfilment, fulfil_order, start_workflow
from tests.callers import SERVICE, WORLD, person, user
from tests.fulfilment import ADDRESS, Company, open_company

pytest_plugins = ["tests.engines"]

ADA = person("CUSTOMER", 2, 0)
VARIANT = WORLD.products[0].variants[0].id


@pytest.fixture(scope="module")
async def resting(engines: Endpoints, company_store: Mongo) -> AsyncIterator[Company]:
    """One company for all tests, in which nobody works."""
    async with open_company(engines, company_store) as opened:
        yield opened


class Start:
    """Starts a fulfilment as the field `path` of a request under `key`, if there is one."""

    def __init__(self, company: Company) -> None:
        self._company = company

    async def __call__(
        self, key: str | None, path: str = "fulfillOrder", *, by: Principal | None = None, **changes: Any
    ) -> WorkflowRecord:
        by = by or user(ADA)
        keyed = None if key is None else KeyedRequest(by.id, "Buy", key, uuid4().hex, path=path)
        with operation.running(Operation(keyed=keyed)):
            ctx = Context(self._company.sources, by)
            if path == "startWorkflow":
                return await start_workflow(ctx, **{**JSON, **changes})
            items = (NewItem(VARIANT, 1),)
            new = NewFulfilment(**{"items": items, "shipping_address": ADDRESS, "user_id": ADA.id, **changes})
            return await fulfil_order(ctx, new)


JSON: dict[str, Any] = {
    "type": WorkflowType.ORDER_FULFILLMENT,
    "action": "order.fulfill",
    "data": {
        "items": [{"variantId": VARIANT}],
        "shippingAddress": {"street": ADDRESS.street, "city": "Tirana", "country": "al"},
    },
    "user_id": ADA.id,
    "idempotency_key": None,
    "dry_run": False,
}


@pytest.fixture
def start(resting: Company) -> Start:
    return Start(resting)


async def test_a_request_that_is_tried_again_finds_its_workflow(start: Start) -> None:
    key = uuid4().hex
    first, second = await start(key), await start(key)
    assert (first.id, first.run_id) == (second.id, second.run_id)
    assert key not in first.id


async def test_fields_keys_and_callers_have_workflows_of_their_own(start: Start) -> None:
    key = uuid4().hex
    ids = {
        (await start(key)).id,
        (await start(key, "second")).id,
        (await start(key, "startWorkflow")).id,
        (await start(uuid4().hex)).id,
        (await start(key, by=SERVICE)).id,
        (await start(None)).id,
        (await start(None)).id,
    }
    assert len(ids) == 7


async def test_the_key_in_the_input_wins_wherever_it_comes(start: Start) -> None:
    own = uuid4().hex
    first = await start(uuid4().hex, idempotency_key=own)
    for again in (
        await start(uuid4().hex, "another", idempotency_key=own),
        await start(None, idempotency_key=own),
    ):
        assert again.run_id == first.run_id


async def test_the_key_in_the_input_is_its_fields_own(start: Start) -> None:
    own = uuid4().hex
    started = await start(None, idempotency_key=own)
    assert (await start(None, "startWorkflow", idempotency_key=own)).id != started.id


async def test_a_request_under_the_same_key_with_another_input_is_a_conflict(start: Start) -> None:
    key = uuid4().hex
    await start(key)
    with pytest.raises(IdempotencyConflict):
        await start(key, items=(NewItem(VARIANT, 2),))
