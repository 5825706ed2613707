"""Uploads through the GraphQL endpoint: multipart requests, taken from those who may and within bounds."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from types import SimpleNamespace
from typing import Any, cast

import httpx
import pytest
from fastapi import FastAPI
from starlette.requests import HTTPConnection

from core.auth import Credentials
from core.principals import Principal
from core.settings import Settings
from datasources.mongo import Mongo
from resolvers.principals import Identification
from rest.gateway import Gateway
from rest.graphql import GraphQLEntrance
from rest.request_ids import RequestIds
from rest.uploads import FIELDS_BYTES
from schema import build_schema
from tests.callers import SERVICE, WORLD, person, user
from tests.files import Storage, open_storage
from tests.market import MemoryMongo

PEOPLE = {"service": SERVICE, "customer": user(person("CUSTOMER")), "staff": user(person("STAFF"))}
OURS = WORLD.clients[0].id
UPLOAD = "mutation ($file: Upload!, $key: String) { uploadFile(file: $file, key: $key) { key sizeBytes contentType } }"
MAP = '{"0": ["variables.file"]}'
PREFLIGHT = {"graphql-require-preflight": "1"}
MOST = 3_000_000


class Keeping(MemoryMongo):
    """In memory, but for the keys of requests, which are in a real store."""

    def __init__(self, real: Mongo) -> None:
        super().__init__()
        self._client, self._db, self.breaker = real._client, real._db, real.breaker


class Known(Gateway):
    """Everybody is known by name."""

    async def recognise(self, connection: HTTPConnection, shown: Mapping[str, Any]) -> Principal:
        return PEOPLE[shown["x-api-key"]]

    async def identify(self, shown: Credentials) -> Principal:
        return PEOPLE[shown.api_key or ""]


class Desk:
    def __init__(self, app: FastAPI, storage: Storage) -> None:
        self.storage = storage
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway")

    async def send(
        self,
        content: bytes = b"hello",
        *,
        who: str = "staff",
        operations: Any = None,
        map: str = MAP,
        headers: Mapping[str, str] = PREFLIGHT,
        **variables: Any,
    ) -> httpx.Response:
        told = {"query": UPLOAD, "variables": {"file": None, **variables}} if operations is None else operations
        return await self.http.post(
            "/graphql",
            data={"operations": told if isinstance(told, str) else json.dumps(told), "map": map},
            files={"0": ("hello.txt", content, "text/plain")},
            headers={"x-api-key": who, **headers},
        )


@pytest.fixture(scope="module")
async def storage() -> AsyncIterator[Storage]:
    async with open_storage() as opened:
        yield opened


@pytest.fixture
async def desk(storage: Storage, empty_mongo: Mongo) -> AsyncIterator[Desk]:
    settings = Settings(upload_max_bytes=MOST)
    app = FastAPI()
    app.include_router(GraphQLEntrance(build_schema(settings), "/graphql", allowed_origins=[], upload_max_bytes=MOST))
    app.add_middleware(RequestIds)
    sources = SimpleNamespace(mongo=Keeping(empty_mongo), s3=storage.s3, settings=settings)
    app.state.gateway = Known(cast("Any", sources), Identification((), "pepper", None))
    storage.line.calls.clear()
    desk = Desk(app, storage)
    yield desk
    await desk.http.aclose()


def code_of(answer: httpx.Response) -> str:
    code: str = answer.json()["errors"][0]["extensions"]["code"]
    return code


async def test_a_file_of_a_multipart_request_is_stored(desk: Desk) -> None:
    answer = await desk.send(b"x" * 2_000_000, key=f"{OURS}/a.txt")
    told = {"key": f"{OURS}/a.txt", "sizeBytes": 2_000_000, "contentType": "text/plain"}
    assert answer.json()["data"] == {"uploadFile": told}
    assert await desk.storage.content(f"{OURS}/a.txt") == b"x" * 2_000_000


@pytest.mark.parametrize("name", ["apollo-require-preflight", "x-requested-with", "GraphQL-Require-Preflight"])
async def test_each_of_the_headers_will_do(desk: Desk, name: str) -> None:
    assert "errors" not in (await desk.send(headers={name: "1"})).json()


@pytest.mark.parametrize("headers", [{}, {"graphql-require-preflight": ""}, {"x-other": "1"}])
async def test_a_request_that_any_page_could_send_is_refused(desk: Desk, headers: dict[str, str]) -> None:
    answer = await desk.send(headers=headers)
    assert (answer.status_code, code_of(answer)) == (400, "BAD_USER_INPUT")
    assert desk.storage.line.calls == []


async def test_who_may_not_store_files_cannot_make_us_take_one(desk: Desk) -> None:
    answer = await desk.send(who="customer")
    assert (answer.status_code, code_of(answer)) == (403, "FORBIDDEN")


async def test_a_body_that_says_it_is_too_large_is_refused_unread(desk: Desk) -> None:
    answer = await desk.send(b"x" * (MOST + FIELDS_BYTES))
    assert (answer.status_code, code_of(answer)) == (413, "BAD_USER_INPUT")


async def test_a_body_that_does_not_say_how_large_it_is_is_refused_when_it_is(desk: Desk) -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        yield b'--b\r\nContent-Disposition: form-data; name="0"; filename="a"\r\n\r\n'
        while sent < 10 * MOST:
            sent += 100_000
            yield b"x" * 100_000

    headers = {"x-api-key": "staff", "content-type": "multipart/form-data; boundary=b", **PREFLIGHT}
    answer = await desk.http.post("/graphql", content=endless(), headers=headers)
    assert (answer.status_code, code_of(answer)) == (413, "BAD_USER_INPUT")


async def test_a_file_that_is_too_large_in_a_body_that_is_not_is_refused(desk: Desk) -> None:
    answer = await desk.send(b"x" * (MOST + 1), key=f"{OURS}/large")
    assert answer.json()["data"] == {"uploadFile": None}
    assert code_of(answer) == "BAD_USER_INPUT"
    assert await desk.storage.s3.file(f"{OURS}/large") is None


@pytest.mark.parametrize(
    ("operations", "map"),
    [
        ("[]", MAP),
        ("nonsense", MAP),
        ('{"query": "{ viewer { kind } }"}', MAP),
        (None, "[]"),
        (None, "1"),
        (None, "nonsense"),
        (None, '{"0": 1}'),
        (None, '{"0": [1]}'),
        (None, '{"0": ["variables.file.x"]}'),
        (None, '{"9": ["variables.file"]}'),
        (None, '{"0": ["query.x"]}'),
    ],
)
async def test_a_map_that_leads_nowhere_is_refused(desk: Desk, operations: str | None, map: str) -> None:
    answer = await desk.send(operations=operations, map=map)
    assert (answer.status_code, code_of(answer)) == (400, "BAD_USER_INPUT")


async def test_a_body_that_is_no_form_is_refused(desk: Desk) -> None:
    for kind in ("multipart/form-data", "multipart/form-data; boundary=b"):
        headers = {"x-api-key": "staff", "content-type": kind, **PREFLIGHT}
        answer = await desk.http.post("/graphql", content=b"nonsense", headers=headers)
        assert (answer.status_code, code_of(answer)) == (400, "BAD_USER_INPUT")


async def test_more_files_than_a_few_are_refused(desk: Desk) -> None:
    files = [(str(n), (f"{n}.txt", b"x", "text/plain")) for n in range(11)]
    data = {"operations": json.dumps({"query": UPLOAD, "variables": {"file": None}}), "map": MAP}
    answer = await desk.http.post("/graphql", data=data, files=files, headers={"x-api-key": "staff", **PREFLIGHT})
    assert (answer.status_code, code_of(answer)) == (400, "BAD_USER_INPUT")


@pytest.mark.parametrize("variables", [{"file": "text"}, {"file": None}, {"file": {"filename": "a"}}])
async def test_what_is_no_file_is_none(desk: Desk, variables: dict[str, Any]) -> None:
    answer = await desk.http.post(
        "/graphql", json={"query": UPLOAD, "variables": variables}, headers={"x-api-key": "staff"}
    )
    assert code_of(answer) == "BAD_USER_INPUT"
    assert desk.storage.line.calls == []


async def test_a_repeated_upload_is_done_once(desk: Desk) -> None:
    headers = {**PREFLIGHT, "idempotency-key": "k1"}
    first, again = [await desk.send(headers=headers) for _ in range(2)]
    assert first.json()["data"] == again.json()["data"]
    assert again.headers["idempotency-replayed"] == "true"
    assert [call.method for call in desk.storage.line.calls].count("PUT") == 1


async def test_another_file_under_the_same_key_is_a_conflict(desk: Desk) -> None:
    headers = {**PREFLIGHT, "idempotency-key": "k2"}
    assert "errors" not in (await desk.send(b"one", headers=headers)).json()
    answer = await desk.send(b"two", headers=headers)
    assert (answer.status_code, code_of(answer)) == (409, "IDEMPOTENCY_CONFLICT")


async def test_a_stored_file_is_found_and_deleted(desk: Desk) -> None:
    key = f"{OURS}/to-delete.txt"
    await desk.send(key=key)

    async def ask(query: str) -> Any:
        sent = {"query": f"{query.split()[0]} ($key: String!) {query.partition(' ')[2]}", "variables": {"key": key}}
        return (await desk.http.post("/graphql", json=sent, headers={"x-api-key": "staff"})).json()

    found = await ask("query { file(key: $key, expiresInSeconds: 60) { key url contentType sizeBytes expiresAt } }")
    assert found["data"]["file"]["sizeBytes"] == 5
    assert (await desk.storage.http.get(found["data"]["file"]["url"])).content == b"hello"
    assert await ask("mutation { deleteFile(key: $key) }") == {"data": {"deleteFile": True}}
    assert (await ask("query { file(key: $key) { key } }"))["data"] == {"file": None}
