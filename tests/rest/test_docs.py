"""`/docs` and `/openapi.json`: what they say, and that a browser shows it with nothing from elsewhere."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi import FastAPI
from graphql import is_input_object_type, is_required_input_field

from core.settings import Settings
from rest.omnistack import ROUTES as BARE
from rest.routes import PREFIX, ROUTES
from schema import build_schema
from server import create_app
from tests.end_to_end.browser import CHROMIUM, open_page
from tests.servers import serving

SCHEMA = build_schema(Settings())._schema


@pytest.fixture(scope="module")
def app() -> FastAPI:
    return create_app(Settings())


async def get(app: FastAPI, path: str) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        return await client.get(path)


@pytest.fixture
async def document(app: FastAPI) -> dict[str, Any]:
    read: dict[str, Any] = (await get(app, "/openapi.json")).json()
    return read


def references(said: Any) -> Iterator[str]:
    if isinstance(said, dict):
        if "$ref" in said:
            yield said["$ref"]
        for one in said.values():
            yield from references(one)
    elif isinstance(said, list):
        for one in said:
            yield from references(one)


def operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


async def test_every_route_is_described_once(document: dict[str, Any]) -> None:
    routes = {f"{route.method} {PREFIX}{route.path.replace(':path', '')}" for route in ROUTES}
    bare = {f"{each.method} {each.path}" for each in BARE}
    assert {name for name, _ in operations(document)} == routes | bare | {f"GET {PREFIX}/health"}
    ids = [operation["operationId"] for _, operation in operations(document)]
    assert len(set(ids)) == len(ids)


async def test_every_route_of_the_gateway_has_an_example_in_the_envelope(document: dict[str, Any]) -> None:
    for route in ROUTES:
        operation = document["paths"][f"{PREFIX}{route.path.replace(':path', '')}"][route.method.lower()]
        example = operation["responses"][str(route.status)]["content"]["application/json"]["example"]
        assert example["success"] is True, route.path
        assert example["data"], route.path
        assert example["meta"]["source"] == route.source.value
        assert route.field in operation["description"]


async def test_every_part_of_a_path_is_described(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        described = {each["name"] for each in operation.get("parameters", []) if each["in"] == "path"}
        assert described == set(re.findall(r"\{(\w+)\}", name)), name


async def test_words_in_paths_are_written_as_paths_are(document: dict[str, Any]) -> None:
    [kind] = [
        each["schema"]
        for each in document["paths"][f"{PREFIX}/erp/reports/{{type}}"]["get"]["parameters"]
        if each["in"] == "path"
    ]
    assert "profit-and-loss" in kind["enum"]


async def test_what_is_referred_to_is_there(document: dict[str, Any]) -> None:
    components = document["components"]["schemas"]
    for reference in references(document):
        assert reference.removeprefix("#/components/schemas/") in components


async def test_bodies_are_what_graphql_takes(document: dict[str, Any]) -> None:
    components = document["components"]["schemas"]
    assert components["CreateCartInput"]["properties"]["items"]["items"] == {
        "$ref": "#/components/schemas/LineItemInput"
    }
    for name, described in components.items():
        kind = SCHEMA.get_type(name)
        if kind is not None and is_input_object_type(kind):
            required = {field for field, each in kind.fields.items() if is_required_input_field(each)}
            assert set(described.get("required", [])) == required
            assert described["properties"].keys() == kind.fields.keys()


async def test_the_page_and_its_files_let_nothing_else_in(app: FastAPI) -> None:
    page = await get(app, "/docs")
    assert page.headers["content-type"].startswith("text/html")
    loaded = re.findall(r'(?:src|href)="([^"]*)"', page.text)
    assert len(loaded) == 4
    for path in [each for each in loaded if not each.startswith("data:")]:
        answer = await get(app, f"/{path}")
        assert answer.status_code == 200
        assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert "unsafe-eval" not in page.headers["content-security-policy"]
    assert "script-src 'self';" in page.headers["content-security-policy"]


@pytest.mark.parametrize("path", ["/docs/other.js", "/docs/..%2fserver.py", "/docs/__init__.py"])
async def test_no_other_file_is_served(app: FastAPI, path: str) -> None:
    assert (await get(app, path)).status_code == 404


@pytest.mark.skipif(CHROMIUM is None and not os.environ.get("CI"), reason="Chromium is not installed")
async def test_a_browser_shows_it_and_asks_nobody_else(app: FastAPI, tmp_path: Path) -> None:
    async with serving(app) as url, open_page(tmp_path) as page:
        await page.open(f"{url}/docs")
        await page.until("document.querySelector('#operations-commerce-GET_commerce_products') !== null")
        shown = await page.evaluate("document.querySelectorAll('.opblock').length")
        assert shown == len(ROUTES) + len(BARE) + 1
        assert page.problems == []
        assert {urlsplit(request).netloc for request in page.requests} == {urlsplit(url).netloc}
