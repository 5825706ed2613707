"""The page at /graphql beside an API of the same address, with a small bundle of the same shape as the real one."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import strawberry
from fastapi import FastAPI
from strawberry.fastapi import GraphQLRouter

from graphiql.page import Example, Presets, graphiql_router

BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
HOSTILE = Example("{ hello } # </script><script>alert('a & b')</script><!--", {"snake": "<ß>"})
POLICY = (
    "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self' 'unsafe-inline'; "
    "font-src 'self' data:; img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)


@strawberry.type
class Query:
    @strawberry.field
    def hello(self) -> str:
        return "world"


def bundle(dist: Path) -> None:
    names = ["boot.js", "boot.css", "editor.worker.js", "graphql.worker.js", "json.worker.js"]
    manifest = {name: name.replace(".", "-A1B2.", 1) for name in names}
    dist.mkdir()
    for file in manifest.values():
        (dist / file).write_text(f"/* {file} */")
    (dist / "manifest.json").write_text(json.dumps(manifest))
    (dist / "boot-A1B2.js.LEGAL.txt").write_text("licences")


def connect(dist: Path, presets: Presets) -> httpx.AsyncClient:
    app = FastAPI()
    app.include_router(graphiql_router(presets=lambda request: presets, dist=dist))
    app.include_router(GraphQLRouter(strawberry.Schema(Query), path="/graphql", graphql_ide=None))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway")


@pytest.fixture
async def gateway(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """With a bundle, a hostile example and no token."""
    bundle(tmp_path / "dist")
    async with connect(tmp_path / "dist", Presets((HOSTILE, Example("{ hello }")))) as client:
        yield client


@pytest.fixture
async def bare(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Without a bundle."""
    async with connect(tmp_path / "dist", Presets((HOSTILE,), bearer="a.demo.token")) as client:
        yield client


def presets_of(html: str) -> Any:
    [text] = re.findall(r'<script id="presets" type="application/json">(.*?)</script>', html, re.DOTALL)
    return json.loads(text)


async def test_a_browser_gets_the_page_and_its_policy(gateway: httpx.AsyncClient) -> None:
    answer = await gateway.get("/graphql", headers=BROWSER)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"] == POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["vary"] == "Accept"
    assert 'src="graphql/assets/boot-A1B2.js"' in answer.text
    assert 'href="graphql/assets/boot-A1B2.css"' in answer.text
    assert "//unpkg.com" not in answer.text


async def test_the_page_says_where_each_worker_is(gateway: httpx.AsyncClient) -> None:
    workers = presets_of((await gateway.get("/graphql", headers=BROWSER)).text)["workers"]
    assert workers == {name: f"graphql/assets/{name}-A1B2.worker.js" for name in ("editor", "graphql", "json")}


@pytest.mark.parametrize(
    "accept",
    [
        "*/*",
        "application/json",
        "application/graphql-response+json",
        "text/html;q=0, application/json",
        "text/html-ish",
    ],
)
async def test_who_does_not_ask_for_a_page_reaches_the_api(gateway: httpx.AsyncClient, accept: str) -> None:
    answer = await gateway.get("/graphql", params={"query": "{ hello }"}, headers={"Accept": accept})
    assert answer.json() == {"data": {"hello": "world"}}
    idle = await gateway.get("/graphql", headers={"Accept": accept})
    assert "text/html" not in idle.headers["content-type"]


async def test_an_operation_in_the_address_reaches_the_api_whatever_is_accepted(gateway: httpx.AsyncClient) -> None:
    answer = await gateway.get("/graphql", params={"query": "{ hello }"}, headers=BROWSER)
    assert answer.json() == {"data": {"hello": "world"}}


async def test_a_post_reaches_the_api_whatever_is_accepted(gateway: httpx.AsyncClient) -> None:
    answer = await gateway.post("/graphql", json={"query": "{ hello }"}, headers=BROWSER)
    assert answer.json() == {"data": {"hello": "world"}}


async def test_examples_arrive_whole_and_cannot_close_their_element(gateway: httpx.AsyncClient) -> None:
    html = (await gateway.get("/graphql", headers=BROWSER)).text
    assert "alert('a & b')" not in html
    assert html.count("</script>") == 2
    assert "<!--" not in html
    first, second = presets_of(html)["tabs"]
    assert first["query"] == HOSTILE.query
    assert json.loads(first["variables"]) == HOSTILE.variables
    assert second == {"query": "{ hello }", "variables": ""}


async def test_a_token_is_shown_only_when_one_is_given(gateway: httpx.AsyncClient, tmp_path: Path) -> None:
    html = (await gateway.get("/graphql", headers=BROWSER)).text
    assert presets_of(html)["headers"] == ""
    assert "Bearer" not in html
    async with connect(tmp_path / "dist", Presets((HOSTILE,), bearer="a.demo.token")) as signed_in:
        html = (await signed_in.get("/graphql", headers=BROWSER)).text
    assert json.loads(presets_of(html)["headers"]) == {"Authorization": "Bearer a.demo.token"}


@pytest.mark.parametrize(("file", "media_type"), [("boot-A1B2.js", "text/javascript"), ("boot-A1B2.css", "text/css")])
async def test_assets_are_typed_and_kept_for_ever(gateway: httpx.AsyncClient, file: str, media_type: str) -> None:
    answer = await gateway.get(f"/graphql/assets/{file}")
    assert answer.text == f"/* {file} */"
    assert answer.headers["content-type"] == f"{media_type}; charset=utf-8"
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["content-security-policy"] == POLICY
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "file",
    [
        "..%2Fdist%2Fboot-A1B2.js",
        "%2e%2e/page.py",
        "..%5c..%5cpyproject.toml",
        "boot-A1B2.js%00",
        "boot.js",
        "manifest.json",
        "boot-A1B2.js.LEGAL.txt",
        "",
    ],
)
async def test_only_files_of_the_bundle_are_assets(gateway: httpx.AsyncClient, file: str) -> None:
    assert (await gateway.get(f"/graphql/assets/{file}")).status_code == 404


async def test_without_a_bundle_the_page_says_how_to_get_it(bare: httpx.AsyncClient) -> None:
    answer = await bare.get("/graphql", headers=BROWSER)
    assert answer.status_code == 200
    assert "npm" in answer.text
    assert "make setup" in answer.text
    assert 'href="?ide=strawberry"' in answer.text
    assert "a.demo.token" not in answer.text
    assert answer.headers["content-security-policy"] == POLICY
    assert (await bare.get("/graphql/assets/boot-A1B2.js")).status_code == 404


async def test_without_a_bundle_strawberrys_own_page_stands_in(bare: httpx.AsyncClient) -> None:
    answer = await bare.get("/graphql?ide=strawberry", headers=BROWSER)
    assert "Strawberry GraphiQL" in answer.text
    policy = dict(part.split(" ", 1) for part in answer.headers["content-security-policy"].split("; "))
    assert re.fullmatch(r"https://unpkg\.com 'sha256-[\w+/]{43}='", policy["script-src"])
    assert policy["style-src"] == "https://unpkg.com 'unsafe-inline'"
    assert policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"


async def test_with_a_bundle_nothing_widens_the_policy(gateway: httpx.AsyncClient) -> None:
    answer = await gateway.get("/graphql?ide=strawberry", headers=BROWSER)
    assert answer.headers["content-security-policy"] == POLICY
    assert "boot-A1B2.js" in answer.text


async def test_a_bundle_made_later_is_served_without_a_restart(bare: httpx.AsyncClient, tmp_path: Path) -> None:
    assert "make setup" in (await bare.get("/graphql", headers=BROWSER)).text
    bundle(tmp_path / "dist")
    assert "boot-A1B2.js" in (await bare.get("/graphql", headers=BROWSER)).text
