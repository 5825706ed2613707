"""The served gateway before a complete world of its own, asked over HTTP and over WebSockets."""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from contextvars import Context
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI
from pydantic import SecretStr
from temporalio.common import SearchAttributePair, TypedSearchAttributes
from websockets.asyncio.client import connect
from websockets.typing import Subprotocol

from core.buckets import Limit, LocalBuckets
from core.demo import DemoCredentials
from core.settings import MongoSettings, Settings
from datasources._embedded import Endpoints, Needs, children
from datasources.mongo import Mongo
from datasources.rows import KINDS
from datasources.temporal import ACTION, CLIENT_APP_ID, CLIENT_ID, ORDER_ID, USER_ID, WorkflowType
from resolvers.principals import Identification
from rest.gateway import Gateway
from rest.guessing import Guessing
from sandbox.world import Person
from schema import build_schema
from server import create_app
from tests.access import shapes
from tests.access.callers import CUSTOMER, HERE, NEIGHBOUR, OUTSIDER, STRANGER, THERE, Caller, Credentials
from tests.access.decisions import READS
from tests.access.shapes import Field
from tests.access.world import GUESTS_ORDER_HERE, Owners, Row, complete_backends, complete_documents, rows_of
from tests.callers import WORLD
from tests.conftest import demo_documents
from tests.fulfilment import Company, open_company
from tests.servers import serving

SETTLED_S = 10.0
BOOKKEEPING = ("audit", "idempotency")
"""Collections that a refused change may leave its traces in."""
CORE = ("client_apps", "clients", "keys", "users", "families", "batches")
ADDRESS = '{street: "Rruga 1", city: "Tirana", postalCode: "1001", country: "AL", latitude: 41.33, longitude: 19.82}'


@dataclass(frozen=True)
class Answer:
    """`upstream` counts the calls that the operation made, by backend."""

    status: int
    body: Mapping[str, Any]
    upstream: Mapping[str, int] = field(default_factory=dict)

    @property
    def data(self) -> Any:
        return self.body.get("data")

    @property
    def codes(self) -> list[str]:
        return [error["extensions"]["code"] for error in self.body.get("errors", ())]

    @property
    def refusals(self) -> list[tuple[str, str]]:
        """Codes and messages, which is all that a caller can tell errors apart by."""
        return [(error["extensions"]["code"], error["message"]) for error in self.body.get("errors", ())]

    def only(self) -> Any:
        """The value of the one field that was asked for. Fails when there were errors."""
        assert "errors" not in self.body, self.body["errors"]
        [value] = self.data.values()
        return value


class _Events(logging.Handler):
    """The operations that were executed, one log line each."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.upstream: list[dict[str, int]] = []

    def emit(self, record: logging.LogRecord) -> None:
        upstream = vars(record).get("upstream", {})
        self.upstream.append({backend: int(total["calls"]) for backend, total in upstream.items()})


class Served:
    """`rows` are all there are, by type; `callers` all who may ask, by name; `refused` what those show who may not."""

    def __init__(self, app: FastAPI, company: Company, credentials: Credentials, documents: dict[str, Any]) -> None:
        self.app = app
        self.company = company
        self.callers = credentials.callers()
        self.refused = credentials.refused()
        self.owners = Owners(documents)
        self.rows = rows_of(documents, company._stores)
        self.schema = build_schema(Settings())._schema
        # What nobody has decided about fails in `test_decisions`, and there alone.
        self.roots = {name: field for name, field in shapes.roots(self.schema).items() if name in READS}
        self.memo: dict[Any, Any] = {}
        self.events = _Events()
        self.url = ""
        self._client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway")

    async def ask(
        self, caller: Caller | Mapping[str, str], document: str, variables: Mapping[str, Any] | None = None
    ) -> Answer:
        headers = caller.headers if isinstance(caller, Caller) else caller
        self.events.upstream.clear()
        asked = self._client.post("/graphql", **_posted({"query": document, "variables": variables}, headers))
        # As on a server, where no request begins in the context of another.
        answer = await asyncio.create_task(asked, context=Context())
        upstream = self.events.upstream[0] if self.events.upstream else {}
        return Answer(answer.status_code, answer.json(), upstream)

    async def subscribe(self, caller: Caller | Mapping[str, str], document: str) -> dict[str, Any]:
        """The first that a subscription says: its `next`, `error` or `complete`; or `close` and why."""
        headers = caller.headers if isinstance(caller, Caller) else caller
        protocol = Subprotocol("graphql-transport-ws")
        async with connect(self.url, subprotocols=[protocol]) as ws:
            await ws.send(json.dumps({"type": "connection_init", "payload": dict(headers)}))
            try:
                assert json.loads(await ws.recv())["type"] == "connection_ack"
                await ws.send(json.dumps({"id": "1", "type": "subscribe", "payload": {"query": document}}))
                while (heard := json.loads(await ws.recv()))["type"] == "ping":
                    await ws.send(json.dumps({"type": "pong"}))
            except Exception:
                if ws.close_code is None:
                    raise
                return {"type": "close", "code": ws.close_code}
            return dict(heard)

    def shown(self, caller: Caller, kind: str, word: str) -> set[str]:
        """The keys of the rows of a type that a word of the tables means for a caller."""
        return {row.key for row in self.rows.get(kind, ()) if row.is_shown(caller, word)}

    def unlisted(self, caller: Caller, kind: str) -> set[str]:
        """Rows that are not in a caller's lists, though they may see them."""
        return {row.key for row in self.rows.get(kind, ()) if caller.user in row.unlisted_for}

    def some(self, kind: str) -> list[Row]:
        """Two rows of every owner: the others are like them."""
        met: dict[Any, int] = {}
        chosen = []
        for row in reversed(self.rows.get(kind, [])):
            owner = (row.apps, row.clients, row.users, row.is_for_sale)
            met[owner] = met.get(owner, 0) + 1
            if met[owner] <= 2:
                chosen.append(row)
        return chosen

    async def listed(self, caller: Caller, root: Field, arguments: str = "") -> tuple[list[str], int | None]:
        """All pages of a list, and how many rows it says it has."""
        if root.how == "list":
            return root.keys(await self._answered(caller, f"{{ {root.selection(arguments=arguments)} }}")), None
        keys: list[str] = []
        after = "null"
        while True:
            page = ", ".join(each for each in ("first: 100", f"after: {after}", arguments) if each)
            nodes = f"nodes {{ {shapes.key_fields(root.kind)} }}"
            selection = f"{root.name}({root.given}{page}) {{ {nodes} pageInfo {{ hasNextPage endCursor }} totalCount }}"
            [found] = (await self._answered(caller, f"{{ {selection} }}")).values()
            keys += [shapes.key_of(root.kind, node) for node in found["nodes"]]
            if not found["pageInfo"]["hasNextPage"]:
                return keys, found["totalCount"]
            after = json.dumps(found["pageInfo"]["endCursor"])

    async def keys(self, caller: Caller, name: str) -> list[str]:
        return (await self.listed(caller, self.roots[name]))[0]

    async def _answered(self, caller: Caller, document: str) -> Any:
        answer = await self.ask(caller, document)
        assert "errors" not in answer.body, (document, answer.body["errors"])
        return answer.data

    async def forget_rows(self) -> None:
        """As if nobody had asked lately."""
        for backend, kind in KINDS:
            await self.company.sources.rows.drop(backend, kind)

    def forget_calls(self) -> None:
        for line in self.company.lines.values():
            line.calls.clear()

    def calls(self) -> int:
        """How much the simulators have been asked."""
        return sum(len(line.calls) for line in self.company.lines.values())

    @asynccontextmanager
    async def core_kept(self) -> AsyncIterator[None]:
        """Around a change: our own records are afterwards what they were before, so that the next change finds them."""
        mongo = self.company.sources.mongo
        before = {name: await mongo._db[name].find({}).to_list(None) for name in CORE}
        yield
        for name, documents in before.items():
            kept = {row["_id"]: row for row in documents}
            for row in await mongo._db[name].find({}).to_list(None):
                if row["_id"] not in kept:
                    await mongo._db[name].delete_one({"_id": row["_id"]})
                elif kept[row["_id"]] != row:
                    await mongo._db[name].replace_one({"_id": row["_id"]}, kept[row["_id"]])
        await self.company.sources.identities.changed()

    async def everything_stored(self) -> dict[str, str]:
        """A digest of every collection, every simulator and the list of workflows, by name."""
        mongo = self.company.sources.mongo
        digests: dict[str, str] = {}
        for name in await mongo._db.list_collection_names():
            if name not in BOOKKEEPING:
                documents = await mongo._db[name].find({}).to_list(None)
                digests[f"omnistack {name}"] = _digest(sorted(map(repr, documents)))
        for backend, store in self.company._stores.items():
            for kind, rows in store._rows.items():
                digests[f"{backend} {kind}"] = _digest(repr(rows))
        described = [await self.company.sources.temporal.describe(row.key) for row in self.rows["Workflow"]]
        digests["workflows"] = _digest([repr(each and (each.id, each.status)) for each in described])
        return digests


def _posted(operation: dict[str, Any], headers: Mapping[str, str]) -> dict[str, Any]:
    """What is posted; a document that speaks of `$file` comes with one."""
    if "$file" not in operation["query"]:
        return {"json": operation, "headers": dict(headers)}
    operation["variables"] = {**(operation["variables"] or {}), "file": None}
    return {
        "data": {"operations": json.dumps(operation), "map": '{"0": ["variables.file"]}'},
        "files": {"0": ("hello.txt", b"hello", "text/plain")},
        "headers": {**headers, "graphql-require-preflight": "1"},
    }


def _digest(value: Any) -> str:
    return hashlib.sha256(repr(value).encode()).hexdigest()


@asynccontextmanager
async def open_gateway(folder: Path, demo: DemoCredentials, identification: Identification) -> AsyncIterator[Served]:
    """With engines of its own, so that all rows in them are known."""
    async with children(folder, Needs(mongodb=True, temporal=True, sandbox=False)) as endpoints:
        mongo = Mongo.open(MongoSettings(database="access"), endpoints.mongodb_uri or "")
        try:
            await mongo.prepare()
            async with _open(endpoints, mongo, demo, identification) as opened:
                yield opened
        finally:
            await mongo.aclose()


@asynccontextmanager
async def _open(
    endpoints: Endpoints, mongo: Mongo, demo: DemoCredentials, identification: Identification
) -> AsyncIterator[Served]:
    credentials = Credentials(demo)
    documents = demo_documents(demo)
    documents["keys"] += credentials.key_documents(documents["keys"][0])
    complete_documents(documents)
    await mongo.insert(documents)
    async with open_company(endpoints, mongo) as company:
        complete_backends(company._stores)
        # Its key is known from the start: a check of it would stand among the calls of whoever asks first.
        await company.sources.payload.ping()
        settings = company.sources.settings.model_copy(update={"key_pepper": SecretStr(demo.key_pepper)})
        company.sources = replace(company.sources, settings=settings)
        app = create_app(Settings())
        # Tests that show wrong credentials by the hundred are not about guessing.
        guessing = Guessing(LocalBuckets(), Limit(0, 0))
        app.state.gateway = Gateway(company.sources, identification, guessing=guessing)
        served = Served(app, company, credentials, documents)
        log = logging.getLogger("omnistack.operation")
        level = log.level
        log.addHandler(served.events)
        log.setLevel(logging.INFO)
        async with serving(app) as address:
            served.url = f"{address.replace('http', 'ws', 1)}/graphql"
            await _make_rows(served)
            yield served
        log.removeHandler(served.events)
        log.setLevel(level)
        await served._client.aclose()


async def _make_rows(served: Served) -> None:
    """Carts, workflows and requests to present something: what only the gateway makes."""
    callers, variant = served.callers, WORLD.products[5].variants[0].id
    items = f'items: [{{variantId: "{variant}"}}]'
    for caller, user in (
        ("customer", CUSTOMER), ("neighbour", NEIGHBOUR), ("stranger", STRANGER), ("outsider", OUTSIDER),
        ("here", None),
    ):  # fmt: skip
        made = await served.ask(callers[caller], f"mutation {{ createCart(input: {{{items}}}) {{ id }} }}")
        served.rows.setdefault("Cart", []).append(_row_of("Cart", made.only()["id"], user))
        asked = 'mutation { verifyCredential(input: {credentialType: "MembershipCredential"}) { id } }'
        made = await served.ask(callers[caller], asked)
        served.rows.setdefault("CredentialVerification", []).append(
            _row_of("CredentialVerification", made.only()["id"], user)
        )
    # One that has left its client's channel for another of the platform's, with whom alone it is still seen.
    moved = (await served.ask(callers["neighbour"], f"mutation {{ createCart(input: {{{items}}}) {{ id }} }}")).only()[
        "id"
    ]
    shop = served.company._stores["medusa"]
    shop.put("cart", moved, {**shop.get("cart", moved), "sales_channel_id": THERE.channel_id})
    served.rows["Cart"].append(Row("Cart", moved, frozenset([HERE.app.id]), was_others=True))
    for caller, user in (
        ("customer", CUSTOMER), ("neighbour", NEIGHBOUR), ("stranger", STRANGER), ("outsider", OUTSIDER),
    ):  # fmt: skip
        wanted = f"input: {{{items}, shippingAddress: {ADDRESS}}}"
        made = await served.ask(callers[caller], f"mutation {{ fulfillOrder({wanted}) {{ id }} }}")
        served.rows.setdefault("Workflow", []).append(_row_of("Workflow", made.only()["id"], user))
    # Whatever order they say they are about, whose they are does not follow from it.
    for n, user in enumerate((CUSTOMER, STRANGER)):
        served.rows["Workflow"].append(await _workflow_about(served, f"order-fulfillment-{n:032x}", user))
    async with asyncio.timeout(SETTLED_S):
        while len((await served.listed(callers["service"], served.roots["workflows"]))[0]) < len(
            served.rows["Workflow"]
        ):
            await asyncio.sleep(0.02)


async def _workflow_about(served: Served, id: str, user: Person) -> Row:
    client = user.client
    order_id = GUESTS_ORDER_HERE if user is STRANGER else WORLD.orders[-2].id
    pairs = {USER_ID: user.id, CLIENT_ID: client.id, CLIENT_APP_ID: client.app.id, ORDER_ID: order_id, ACTION: "x"}
    attributes = TypedSearchAttributes([SearchAttributePair(key, value) for key, value in pairs.items()])
    temporal = served.company.sources.temporal
    await temporal._client.start_workflow(
        WorkflowType.ORDER_FULFILLMENT.value, id=id, task_queue="nobody", search_attributes=attributes
    )
    return _row_of("Workflow", id, user)


def _row_of(kind: str, id: str, user: Person | None) -> Row:
    client = user.client if user is not None else HERE
    users = frozenset([user.id]) if user is not None else frozenset()
    return Row(kind, id, frozenset([client.app.id]), frozenset([client.id]), users)
