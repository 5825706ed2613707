"""Every field of the served schema, asked before a whole company: no answer has errors, each field shows something."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from core.backends import BackendMode
from core.demo import DemoCredentials
from core.settings import Settings
from datasources._health import Backend
from resolvers.principals import Identification
from schema import build_schema
from schema.federation import KINDS
from tests.access import shapes
from tests.access.callers import CUSTOMER, HERE, Caller
from tests.access.gateway import ADDRESS, Served, open_gateway
from tests.access.inputs import INPUTS, NO_SIGNALS, OVER, VARIANT
from tests.access.test_changes import Own, document, fresh_cart, fresh_file
from tests.access.world import Row
from tests.callers import WORLD
from tests.schema.selections import all_fields, everything, selections, shown
from tests.schema.working import ENDED_S, working

SCHEMA = build_schema(Settings())._schema
FIELDS = all_fields(SCHEMA)
ROOTS = [name for name in FIELDS if name.partition(".")[0] in ("Mutation", "Query", "Subscription")]
ROWS = 6
"""How many rows are asked for one by one."""
REPORTS = SCHEMA.type_map["FinancialReportType"].values  # type: ignore[attr-defined]
BROKEN = "twilio"
"""This one is down while the backends' health is measured, so that there is something to say about it."""

NEVER = {
    "Mutation.signalWorkflow": "no kind of workflow takes a signal from a caller, and it says so",
    "Workflow.children": "no kind of workflow starts others",
    "Presentation.redirectUri": "the gateway's verifier sends holders nowhere; others may",
    "DriverConnection.totalCount": "Fleetbase counts no rows",
    "VehicleConnection.totalCount": "Fleetbase counts no rows",
    "FleetConnection.totalCount": "Fleetbase counts no rows",
}
"""Fields that show nothing, and why."""

QUERIES: dict[str, list[str]] = {
    "viewer": [""],
    "health": [""],
    "_service": [""],
    "deliveryQuotes": [", ".join(f"{name}: {value}" for name, value in shapes.GIVEN["deliveryQuotes"].items())],
    "dids": [""],
    "paymentMethods": [f'customerId: "{CUSTOMER.stripe_id}"'],
    "financialReport": [f'type: {report}, filters: {{company: "{HERE.company}"}}' for report in REPORTS],
    "content": [f'collection: "{name}", first: 20' for name in ("pages", "posts", "services", "events")],
}
"""What those fields of Query are asked with whose arguments do not follow from the rows there are."""

MORE = {
    "deliveries": [f'filter: {{orderIds: ["{WORLD.delivered[-1].id}"]}}'],
    "createDelivery": [f'input: {{pickup: {ADDRESS}, dropoff: {ADDRESS}, scheduledAt: "2199-12-31T08:00:00Z"}}'],
    "issueCredential": ['input: {type: "MembershipCredential", claims: {level: "gold"}}'],
    "rotateClientKey": ["id: <Client>, expiresInDays: 30"],
    "rotateClientAppKey": ["id: <ClientApp>, expiresInDays: 30"],
}
"""Fields that show more when they are asked in other ways too."""
CALLERS = {"viewer": ("customer", "here")}
"""Fields that show more to others than to the service."""

CHATTING = 'input: {messages: [{role: "user", content: "Good morning"}]}'


class Walk:
    """Asks every root once, as the service. `seen` are the fields that have shown something."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.service = served.callers["service"]
        self.roots = shapes.roots(SCHEMA)
        self.seen: set[str] = set()
        self._errors: dict[str, list[Any]] = {}

    async def errors(self, root: str) -> list[Any]:
        """Those of all its answers."""
        if root not in self._errors:
            kind, _, name = root.partition(".")
            answers = {"Query": self._queried, "Mutation": self._changed, "Subscription": self._watched}[kind](name)
            self._errors[root] = []
            async for answer in answers:
                self._errors[root] += answer.get("errors") or []
                self.seen.update(shown(SCHEMA.type_map[kind], answer.get("data")))
        return self._errors[root]

    async def _ask(self, text: str, caller: Caller | None = None) -> Mapping[str, Any]:
        return (await self.served.ask(caller or self.service, text)).body

    # -- queries -------------------------------------------------------------------------------------------------------

    async def _queried(self, name: str) -> AsyncIterator[Mapping[str, Any]]:
        if name == "credentialVerification":
            await self.errors("Mutation.createPresentation")  # so that one of them has a result
        if name == "health":
            self.served.company.fail(BROKEN, kind="status", status=500)
        for arguments in self._arguments(name):
            for selection in selections(FIELDS[f"Query.{name}"].type):
                yield await self._ask(f"{{ {name}{f'({arguments})' if arguments else ''} {selection} }}")
        self.served.company.heal()
        for caller in CALLERS.get(name, ()):
            text = f"{{ {name} {everything(FIELDS[f'Query.{name}'].type)} }}"
            yield await self._ask(text, self.served.callers[caller])

    def _arguments(self, name: str) -> Iterator[str]:
        yield from MORE.get(name, ())
        if name in QUERIES:
            yield from QUERIES[name]
        elif name == "_entities":
            rows = (self.served.some(kind)[0] for kind in KINDS)
            named = (f'{{__typename: "{row.kind}", id: "{row.key}"}}' for row in rows)
            yield f"representations: [{', '.join(named)}]"
        else:
            assert name in self.roots, f"say in QUERIES what {name} is asked with"
            yield from self._rows_asked_for(self.roots[name])

    def _rows_asked_for(self, root: shapes.Field) -> Iterator[str]:
        if root.how != "one":
            yield f"{root.given}{'first: 20' if root.how == 'connection' else ''}".removesuffix(", ")
            return
        rows = self.served.some(root.kind)[:ROWS]
        assert rows, f"tests/access/world.py knows no row that {root.name} could show"
        for argument in root.arguments:
            values = [row.key if argument == "id" else row.names[argument] for row in rows]
            yield from (f"{root.given}{argument}: {json.dumps(value)}" for value in values)

    # -- mutations -----------------------------------------------------------------------------------------------------

    async def _changed(self, name: str) -> AsyncIterator[Mapping[str, Any]]:
        assert name in INPUTS, f"say in tests/access/inputs.py what {name} is tried with"
        selection = everything(FIELDS[f"Mutation.{name}"].type)
        own = Own(self.served, self.service)
        for template in INPUTS[name] + MORE.get(name, []):
            values = own.values(template)
            if "Cart" in values:
                values["Cart"] = await fresh_cart(self.served, self.service, own)
            if name == "deleteFile":
                values["StoredFile"] = await fresh_file(self.served, self.service, values["StoredFile"])
            if name == "createPresentation":
                template = template.replace(OVER, await self._request(values["Credential"]))
            async with self.served.core_kept():
                yield await self._ask(document(name, template, values).replace("{ __typename }", selection))

    async def _request(self, credential_id: str) -> str:
        """A new request to present credentials of this one's type. It is among the rows from then on."""
        held = await self._ask(f"{{ credential(id: {json.dumps(credential_id)}) {{ type }} }}")
        [*_, special] = held["data"]["credential"]["type"]
        wanted = f"input: {{credentialType: {json.dumps(special)}}}"
        asked = await self._ask(f"mutation {{ verifyCredential({wanted}) {{ id requestUrl }} }}")
        opened = asked["data"]["verifyCredential"]
        self.served.rows["CredentialVerification"].append(Row("CredentialVerification", opened["id"]))
        return str(opened["requestUrl"])

    # -- subscriptions -------------------------------------------------------------------------------------------------

    async def _watched(self, name: str) -> AsyncIterator[Mapping[str, Any]]:
        asked = {"workflowStatus": self._started, "chatStream": self._chatting}
        assert name in asked, f"say in Walk what {name} is asked with"
        text = f"subscription {{ {name}({await asked[name]()}) {everything(FIELDS[f'Subscription.{name}'].type)} }}"
        protocol = Subprotocol("graphql-transport-ws")
        async with asyncio.timeout(ENDED_S), connect(self.served.url, subprotocols=[protocol]) as ws:
            await ws.send(json.dumps({"type": "connection_init", "payload": dict(self.service.headers)}))
            assert json.loads(await ws.recv())["type"] == "connection_ack"
            await ws.send(json.dumps({"id": "1", "type": "subscribe", "payload": {"query": text}}))
            while (heard := json.loads(await ws.recv()))["type"] != "complete":
                if heard["type"] == "ping":
                    await ws.send(json.dumps({"type": "pong"}))
                else:
                    yield heard["payload"] if heard["type"] == "next" else {"errors": heard["payload"]}

    async def _started(self) -> str:
        wanted = f'userId: "{CUSTOMER.id}", items: [{{variantId: "{VARIANT.id}"}}], shippingAddress: {ADDRESS}'
        started = await self._ask(f"mutation {{ fulfillOrder(input: {{{wanted}}}) {{ id }} }}")
        return f"id: {json.dumps(started['data']['fulfillOrder']['id'])}"

    async def _chatting(self) -> str:
        return CHATTING


@pytest.fixture(scope="module")
async def walk(
    tmp_path_factory: pytest.TempPathFactory, demo: DemoCredentials, identification: Identification
) -> AsyncIterator[Walk]:
    """With a worker, and with workflows that it has completed but for one, which failed at its invoice."""
    async with open_gateway(tmp_path_factory.mktemp("walk"), demo, identification) as served:
        company = served.company
        measured: list[Backend] = [*company.sources.each(), company.sources.mongo, company.sources.temporal]
        company.sources.health._backends = [(each, BackendMode.SANDBOX) for each in measured]
        company.fail("erpnext", method="POST", path="/api/resource/Sales Invoice", kind="status", status=418, count=1)
        async with working(served):
            company.heal()
            yield Walk(served)


@pytest.mark.parametrize("root", ROOTS)
async def test_a_field_answers_without_errors(walk: Walk, root: str) -> None:
    codes = [error["extensions"]["code"] for error in await walk.errors(root)]
    name = root.partition(".")[2]
    if root in NEVER:
        assert codes == [NO_SIGNALS[name]]
    else:
        assert await walk.errors(root) == []


async def test_every_field_shows_something(walk: Walk) -> None:
    for root in ROOTS:
        await walk.errors(root)
    assert set(FIELDS) - walk.seen == set(NEVER)
