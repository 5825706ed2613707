"""Keys that come by HTTP and by real sockets, before the whole schema and simulators of the HTTP backends."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
import uvicorn
from fastapi import FastAPI
from starlette.requests import HTTPConnection
from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from core.auth import Credentials
from core.backends import BackendName
from core.demo import DemoCredentials
from core.errors import BackendUnavailable
from core.principals import Principal
from core.settings import Settings
from datasources.mongo import Mongo
from resolvers.principals import Identification
from rest.gateway import Gateway
from rest.graphql import GraphQLEntrance
from rest.request_ids import RequestIds
from sandbox.faults import Fault
from schema import GatewaySchema, build_schema
from tests.callers import SERVICE, WORLD, person, user
from tests.conftest import demo_documents
from tests.fulfilment import Spreading
from tests.gatehouse import core_sources
from tests.market import Market, MemoryMongo

pytest_plugins = ["tests.backends"]

ANN, BEN = person("CUSTOMER"), person("CUSTOMER", n=1)
PEOPLE = {
    "service": SERVICE,
    "ann": user(ANN),
    "ben": user(BEN),
    "staff": user(person("STAFF")),
    "manager": user(person("MANAGER")),
}
VARIANT = WORLD.products[0].variants[0].id
SKU = WORLD.products[0].variants[0].sku
ADDRESS = '{name: "Ann Lee", street: "Rruga 1", city: "Tirana", postalCode: "1001", country: "al"}'

ITEMS = f'items: [{{variantId: "{VARIANT}", quantity: 2}}]'
CREATE_ORDER = f"mutation Buy {{ createOrder(input: {{{ITEMS}, shippingAddress: {ADDRESS}}}) {{ id displayId }} }}"
CREATE_CART = f"mutation {{ createCart(input: {{{ITEMS}}}) {{ id items {{ quantity }} }} }}"
ADD = """mutation ($cart: ID!, $variant: ID!) {
    addCartItem(cartId: $cart, variantId: $variant, quantity: 3) { id items { quantity } } }"""
CREATE_DELIVERY = (
    f"mutation {{ createDelivery(input: {{pickup: {ADDRESS}, dropoff: {ADDRESS}}}) {{ id order {{ id }} }} }}"
)
CREATE_INVOICE = f"""mutation {{ createInvoice(input: {{
    customerId: "{ANN.erp_id}", items: [{{sku: "{SKU}", quantity: "1", rate: "5.00"}}]
}}) {{ id order {{ id }} grandTotal {{ amount }} }} }}"""


class Keeping(MemoryMongo):
    """The core store in memory, but for the keys, which are in a real one."""

    def __init__(self, real: Mongo) -> None:
        super().__init__()
        self._client, self._db, self.breaker = real._client, real._db, real.breaker


class Known(Gateway):
    """Everybody is known by name."""

    async def recognise(self, connection: HTTPConnection, shown: Mapping[str, Any]) -> Principal:
        return PEOPLE[shown["x-api-key"]]

    async def identify(self, shown: Credentials) -> Principal:
        return PEOPLE[shown.api_key or ""]


@pytest.fixture(scope="module")
def schema() -> GatewaySchema:
    return build_schema(Settings())


@pytest.fixture
def app(market: Market, empty_mongo: Mongo, schema: GatewaySchema) -> FastAPI:
    market.mongo = Keeping(empty_mongo)
    made = FastAPI()
    made.include_router(GraphQLEntrance(schema, "/graphql", allowed_origins=[]))
    made.add_middleware(RequestIds)
    made.state.gateway = Known(market.context(SERVICE).sources, Identification((), "pepper", None))
    market.forget_calls()
    return made


class Answer:
    """`code` is that of its first error."""

    def __init__(self, status: int, headers: Mapping[str, str], body: dict[str, Any]) -> None:
        self.status, self.headers = status, headers
        self.data: Any = body.get("data")
        self.errors: list[dict[str, Any]] = body.get("errors", [])
        self.extensions = body.get("extensions", {})
        self.code = self.errors[0]["extensions"]["code"] if self.errors else None
        self.text = json.dumps(self.data)

    @property
    def is_replayed(self) -> bool:
        assert (self.headers.get("idempotency-replayed") == "true") == ("idempotency" in self.extensions)
        return "idempotency" in self.extensions


Post = Callable[..., Any]


@pytest.fixture
async def post(app: FastAPI) -> AsyncIterator[Post]:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as http:

        async def ask(
            query: str, key: str | None = "k", *, by: str = "ann", body: str | None = None, **variables: Any
        ) -> Answer:
            headers = {"X-API-Key": by} | ({} if key is None else {"Idempotency-Key": key})
            sent = {"query": query, "variables": variables, "extensions": {"idempotencyKey": body} if body else None}
            answer = await http.post("/graphql", json=sent, headers=headers)
            return Answer(answer.status_code, answer.headers, answer.json())

        yield ask


def carts(market: Market) -> list[Any]:
    return market.shop.store.rows("cart")


# -- HTTP --------------------------------------------------------------------------------------------------------------


async def test_the_same_request_is_one_order_and_one_answer(market: Market, post: Post) -> None:
    first, second, third = await post(CREATE_ORDER), await post(CREATE_ORDER), await post(CREATE_ORDER, None, body="k")
    assert first.errors == []
    assert [first.data["createOrder"]["id"]] == market.shop.new_orders
    assert first.text == second.text == third.text
    assert [answer.status for answer in (first, second, third)] == [200] * 3
    assert [answer.is_replayed for answer in (first, second, third)] == [False, True, True]


async def test_without_a_key_they_are_two(market: Market, post: Post) -> None:
    for _ in range(2):
        assert not (await post(CREATE_ORDER, None)).is_replayed
    assert len(market.shop.new_orders) == 2


async def test_twenty_at_once_are_one_order(market: Market, post: Post) -> None:
    answers = await asyncio.gather(*(post(CREATE_ORDER) for _ in range(20)))
    [order_id] = market.shop.new_orders
    assert len(carts(market)) == 1
    done = [answer for answer in answers if answer.status == 200]
    others = [answer for answer in answers if answer.status != 200]
    assert sum(not answer.is_replayed for answer in done) == 1
    assert {answer.data["createOrder"]["id"] for answer in done} == {order_id}
    assert others, "nobody came while the first was running"
    for answer in others:
        assert (answer.status, answer.code, answer.data) == (409, "IDEMPOTENCY_CONFLICT", None)
        assert answer.errors[0]["extensions"]["retryable"] is True
        assert answer.headers["retry-after"] == "1"
    assert (await post(CREATE_ORDER)).text == done[0].text


async def test_another_request_with_the_same_key_is_refused(market: Market, post: Post) -> None:
    first = await post(CREATE_CART)
    await post(ADD, "l", cart=first.data["createCart"]["id"], variant=VARIANT)
    for answer in (
        await post(CREATE_CART.replace("quantity: 2", "quantity: 3")),
        await post(ADD, "l", cart="cart_of_somebody_else", variant=VARIANT),
    ):
        assert (answer.status, answer.code, answer.data) == (409, "IDEMPOTENCY_CONFLICT", None)
        assert "retry-after" not in answer.headers
    assert len(carts(market)) == 1


async def test_somebody_elses_key_is_another_one(market: Market, post: Post) -> None:
    answers = [await post(CREATE_ORDER, by=name) for name in ("ann", "ben", "ann", "ben")]
    assert [answer.is_replayed for answer in answers] == [False, False, True, True]
    assert len(market.shop.new_orders) == 2
    assert answers[0].data != answers[1].data


@pytest.mark.parametrize("key", ["", " ", "a b", "k" * 256, "cl\u00e9"])
async def test_a_key_that_is_none_is_refused(market: Market, post: Post, key: str) -> None:
    for answer in (await post(CREATE_ORDER, key.encode()), await post(CREATE_ORDER, None, body=key or " ")):
        assert (answer.code, answer.data) == ("BAD_USER_INPUT", None)
    assert market.shop.new_orders == carts(market) == []


async def test_header_and_body_must_agree(market: Market, post: Post) -> None:
    assert (await post(CREATE_ORDER, "a", body="b")).code == "BAD_USER_INPUT"
    assert market.shop.new_orders == []
    assert (await post(CREATE_ORDER, "a", body="a")).errors == []


async def test_queries_do_not_look_at_keys(post: Post) -> None:
    for _ in range(2):
        answer = await post("{ orders(first: 1) { totalCount } }", "no key at all")
        assert (answer.status, answer.errors, answer.is_replayed) == (200, [], False)


async def test_a_trace_is_the_requests_own(post: Post, market: Market) -> None:
    """What is given again is the answer, not the calls that led to it."""
    await post(CREATE_ORDER)
    market.forget_calls()
    again = await post(CREATE_ORDER)
    assert set(again.extensions) == {"idempotency"}
    assert market.shop.paths == []


async def test_who_was_not_let_in_may_come_again(post: Post, market: Market) -> None:
    answer = await post(CREATE_INVOICE, by="ann")
    assert (answer.status, answer.code) == (200, "FORBIDDEN")
    changed = await post(CREATE_INVOICE.replace("5.00", "6.00"), by="ann")
    assert changed.code == "FORBIDDEN"
    assert market.books.made == []


# -- secrets -----------------------------------------------------------------------------------------------------------

REGISTER = f"""mutation {{ registerClient(input: {{
    clientAppId: "{WORLD.apps[1].id}", name: "Bar Roma", code: "ROMA01"
}}) {{ apiKey client {{ id }} }} }}"""
ROTATE = "mutation ($id: ID!) { rotateClientKey(id: $id, overlapSeconds: 60) { apiKey } }"


async def test_a_key_of_a_client_is_told_once_and_kept_nowhere(
    app: FastAPI, post: Post, empty_mongo: Mongo, demo: DemoCredentials
) -> None:
    await empty_mongo.insert(demo_documents(demo))
    app.state.gateway = Known(core_sources(empty_mongo, demo), Identification((), demo.key_pepper, None))

    async def count(collection: str) -> int:
        return len(await empty_mongo._db[collection].find({}).to_list(None))

    registered = await post(REGISTER, "r", by="service")
    assert registered.errors == []
    client_id = registered.data["registerClient"]["client"]["id"]
    rotated = await post(ROTATE, "s", by="service", id=client_id)
    assert rotated.errors == []
    clients, keys = await count("clients"), await count("keys")
    for again in (await post(REGISTER, "r", by="service"), await post(ROTATE, "s", by="service", id=client_id)):
        assert (again.status, again.code, again.data) == (409, "CONFLICT", None)
        assert f"Client {client_id}" in again.errors[0]["message"]
    assert (await count("clients"), await count("keys")) == (clients, keys)
    secrets = [registered.data["registerClient"]["apiKey"], rotated.data["rotateClientKey"]["apiKey"]]
    for name in await empty_mongo._db.list_collection_names():
        kept = repr(await empty_mongo._db[name].find({}).to_list(None))
        assert not any(secret in kept for secret in secrets), name


# -- bad days ----------------------------------------------------------------------------------------------------------


def breaks_down(method: str, path: str, **how: Any) -> Spreading:
    """The effect takes place, its answer is lost, and from then on nothing can be asked."""
    return Spreading(**{"kind": "status", "when": "after", "method": method, "path": path, "status": 500, **how})


async def test_an_order_whose_answer_was_lost_is_found_by_the_next_try(market: Market, post: Post) -> None:
    market.shop.line.faults = [breaks_down("POST", "/store/carts/[^/]+/complete")]
    first = await post(CREATE_ORDER)
    assert (first.code, first.data) == ("UPSTREAM_UNAVAILABLE", {"createOrder": None})
    [order_id] = market.shop.new_orders
    market.shop.line.faults = []
    second = await post(CREATE_ORDER)
    assert (second.data["createOrder"]["id"], second.is_replayed) == (order_id, False)
    assert (await post(CREATE_ORDER)).is_replayed
    assert market.shop.new_orders == [order_id]
    assert len(carts(market)) == 1


async def test_an_order_that_stopped_half_way_goes_on_with_its_cart(market: Market, post: Post) -> None:
    market.shop.line.faults = [Fault("status", method="POST", path="/store/payment-collections", status=500, count=1)]
    assert (await post(CREATE_ORDER)).code == "UPSTREAM_UNAVAILABLE"
    assert market.shop.new_orders == []
    assert (await post(CREATE_ORDER)).errors == []
    assert len(market.shop.new_orders) == len(carts(market)) == 1


async def test_a_cart_that_could_not_be_recorded_is_taken_up_again(
    market: Market, post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:

        async def down(*_: object) -> None:
            raise BackendUnavailable(BackendName.OMNISTACK, "the core store cannot be reached")

        patch.setattr(MemoryMongo, "record_ownership", down)
        assert (await post(CREATE_CART)).code == "UPSTREAM_UNAVAILABLE"
    [cart] = carts(market)
    assert (await post(CREATE_CART)).data["createCart"]["id"] == cart["id"]
    assert len(carts(market)) == 1
    assert (await post(f'{{ cart(id: "{cart["id"]}") {{ id }} }}')).data == {"cart": {"id": cart["id"]}}


async def test_goods_are_not_added_twice_though_nobody_saw_them_added(market: Market, post: Post) -> None:
    cart = (await post(CREATE_CART)).data["createCart"]
    market.shop.line.faults = [breaks_down("POST", "/store/carts/[^/]+/line-items")]
    assert (await post(ADD, "l", cart=cart["id"], variant=VARIANT)).code == "UPSTREAM_UNAVAILABLE"
    market.shop.line.faults = []
    again = await post(ADD, "l", cart=cart["id"], variant=VARIANT)
    assert again.data["addCartItem"]["items"] == [{"quantity": 5}]


async def test_goods_that_were_not_added_are_added_by_the_next_try(market: Market, post: Post) -> None:
    cart = (await post(CREATE_CART)).data["createCart"]
    market.shop.line.faults = [Fault("status", method="POST", path="/store/carts/[^/]+/line-items", count=1)]
    assert (await post(ADD, "l", cart=cart["id"], variant=VARIANT)).code == "UPSTREAM_UNAVAILABLE"
    again = await post(ADD, "l", cart=cart["id"], variant=VARIANT)
    assert again.data["addCartItem"]["items"] == [{"quantity": 5}]
    assert (await post(ADD, "m", cart=cart["id"], variant=VARIANT)).data["addCartItem"]["items"] == [{"quantity": 8}]


async def test_a_delivery_of_no_order_whose_answer_was_lost_is_found(market: Market, post: Post) -> None:
    market.couriers.line.faults = [breaks_down("POST", "/v1/orders")]
    assert (await post(CREATE_DELIVERY, by="staff")).code == "UPSTREAM_UNAVAILABLE"
    [made] = market.couriers.new_deliveries
    market.couriers.line.faults = []
    again = await post(CREATE_DELIVERY, by="staff")
    assert again.data == {"createDelivery": {"id": made["id"], "order": None}}
    assert len(market.couriers.new_deliveries) == 1
    assert (await post(CREATE_DELIVERY, "l", by="staff")).data["createDelivery"]["id"] != made["id"]


async def test_an_invoice_of_no_order_that_took_too_long_is_found(market: Market, post: Post) -> None:
    market.books.line.faults = [breaks_down("POST", "/api/resource/Sales Invoice", kind="hang")]
    assert (await post(CREATE_INVOICE, by="manager")).code == "UPSTREAM_TIMEOUT"
    [made] = market.books.made
    market.books.line.replace([])
    again = await post(CREATE_INVOICE, by="manager")
    assert again.data["createInvoice"] == {"id": made["name"], "order": None, "grandTotal": {"amount": "5.00"}}
    assert len(market.books.made) == 1
    assert (await post(CREATE_INVOICE, "l", by="manager")).data["createInvoice"]["id"] != made["name"]


async def test_a_process_that_dies_in_between_leaves_its_work_to_whoever_repeats_the_request(
    market: Market, post: Post, empty_mongo: Mongo
) -> None:
    market.shop.line.faults = [Fault("hang", "after", "POST", "/store/carts/[^/]+/complete")]
    first = asyncio.create_task(post(CREATE_ORDER))
    async with asyncio.timeout(10):
        while not market.shop.new_orders:
            await asyncio.sleep(0.01)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    market.shop.line.replace([])
    refused = await post(CREATE_ORDER)
    assert (refused.status, refused.errors[0]["extensions"]["retryable"]) == (409, True)
    claims = empty_mongo._db.idempotency
    claim = await claims.find_one({})
    assert claim is not None
    await claims.replace_one({"_id": claim["_id"]}, {**claim, "leaseUntil": claim["createdAt"]})
    again = await post(CREATE_ORDER)
    assert [again.data["createOrder"]["id"]] == market.shop.new_orders
    assert len(carts(market)) == 1


# -- sockets -----------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def served(app: FastAPI) -> AsyncIterator[int]:
    """Its port, behind a real server."""
    config = uvicorn.Config(app, lifespan="off", log_level="error", ws="websockets-sansio")
    server = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        task = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            async with asyncio.timeout(10):
                while not server.started:
                    await asyncio.sleep(0.01)
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            await task


@asynccontextmanager
async def connected(port: int, by: str = "ann") -> AsyncIterator[ClientConnection]:
    address, protocols = f"ws://127.0.0.1:{port}/graphql", [Subprotocol("graphql-transport-ws")]
    async with connect(address, subprotocols=protocols, proxy=None) as ws:
        await ws.send(json.dumps({"type": "connection_init", "payload": {"x-api-key": by}}))
        assert json.loads(await ws.recv())["type"] == "connection_ack"
        yield ws


async def ask(ws: ClientConnection, query: str, key: Any, id: str = "1") -> dict[str, Any]:
    """The message that answers it, which is `next` or `error`."""
    payload = {"query": query, "extensions": {"idempotencyKey": key}}
    await ws.send(json.dumps({"id": id, "type": "subscribe", "payload": payload}))
    answer: dict[str, Any] = {}
    while not answer or (answer["type"] == "next" and json.loads(await ws.recv())["type"] != "complete"):
        answer = json.loads(await ws.recv())
        assert answer["id"] == id
    return answer


async def test_over_a_socket_it_is_the_same(app: FastAPI, market: Market, post: Post) -> None:
    async with served(app) as port, connected(port) as ws, connected(port, "ben") as bens:
        first, second = await ask(ws, CREATE_ORDER, "k"), await ask(ws, CREATE_ORDER, "k")
        [order_id] = market.shop.new_orders
        assert first["payload"]["data"]["createOrder"]["id"] == order_id
        assert json.dumps(first["payload"]["data"]) == json.dumps(second["payload"]["data"])
        assert "extensions" not in first["payload"]
        assert second["payload"]["extensions"] == {"idempotency": {"replayed": True}}
        over_http = await post(CREATE_ORDER, "k")
        assert over_http.is_replayed
        assert over_http.data == first["payload"]["data"]

        other = await ask(ws, CREATE_CART, "l")
        conflict = await ask(ws, CREATE_CART.replace("2", "3", 1), "l")
        assert (other["type"], conflict["type"]) == ("next", "error")
        assert conflict["payload"][0]["extensions"]["code"] == "IDEMPOTENCY_CONFLICT"
        for key in ("a b", 7, ""):
            refused = await ask(ws, CREATE_ORDER, key)
            assert (refused["type"], refused["payload"][0]["extensions"]["code"]) == ("error", "BAD_USER_INPUT")
        assert market.shop.new_orders == [order_id]

        assert (await ask(bens, CREATE_ORDER, "k"))["payload"]["data"]["createOrder"]["id"] != order_id


async def test_operations_of_one_socket_do_not_see_each_others_keys(app: FastAPI, market: Market) -> None:
    async with served(app) as port, connected(port) as ws:
        for n, key in enumerate(("k", None, "k", "l")):
            payload = {"query": CREATE_ORDER} | ({"extensions": {"idempotencyKey": key}} if key else {})
            await ws.send(json.dumps({"id": str(n), "type": "subscribe", "payload": payload}))
        ended: dict[str, str] = {}
        answers: dict[str, Any] = {}
        while len(ended) < 4:
            message = json.loads(await ws.recv())
            if message["type"] in ("complete", "error"):
                ended[message["id"]] = message["type"]
            answers.setdefault(message["id"], message["payload"]) if "payload" in message else None
    assert ended["1"] == ended["3"] == "complete"
    assert sorted([ended["0"], ended["2"]]) == ["complete", "error"], "one of the two ran, the other came too early"
    assert len(market.shop.new_orders) == 3


async def test_while_the_first_runs_a_socket_is_told_to_come_back(app: FastAPI, market: Market) -> None:
    market.shop.line.faults = [Fault("hang", "before", "POST", "/store/carts")]
    async with served(app) as port, connected(port) as ws, connected(port) as another:
        first = asyncio.create_task(ask(ws, CREATE_CART, "k"))
        async with asyncio.timeout(10):
            while "POST /store/carts" not in market.shop.paths:
                await asyncio.sleep(0.01)
        refused = await ask(another, CREATE_CART, "k")
        assert refused["type"] == "error"
        told = refused["payload"][0]["extensions"]
        assert (told["code"], told["retryable"], told["retryAfterMs"]) == ("IDEMPOTENCY_CONFLICT", True, 1000)
        market.shop.line.replace([])
        await first
