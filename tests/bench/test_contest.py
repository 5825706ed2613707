from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bench.contenders import Contender, Field, Sandbox
from bench.contest import Effort, check_equal, compete, mongo_calls
from bench.load import WrongAnswer
from core.demo import DemoCredentials
from sandbox.app import create_app

DEMO = DemoCredentials(service_key="key")
QUICK = Effort(seconds=0, rounds=3, connections=2, warm_up_s=0)
TRACE = {"upstreamCalls": [{"backend": "MEDUSA"}, {"backend": "OMNISTACK"}, {"backend": "OMNISTACK"}]}


def test_equal_data_passes_whatever_its_layout() -> None:
    check_equal({"gateway": b'{"data":{"a":1,"b":null}}', "plain": b'{"data": {"b": null, "a": 1}, "extensions": {}}'})


@pytest.mark.parametrize(
    ("other", "told"),
    [
        (b'{"data":{"orders":[1,3]}}', "plain does not answer as gateway does"),
        (b'{"data":{"orders":[2,1]}}', "plain does not answer as gateway does"),
        (b'{"data":{"orders":[1,2]},"errors":[{"message":"no"}]}', "plain answered with errors"),
        (b'{"data":null}', "without data"),
    ],
)
def test_another_answer_or_one_with_errors_ends_the_contest(other: bytes, told: str) -> None:
    with pytest.raises(WrongAnswer, match=told):
        check_equal({"gateway": b'{"data":{"orders":[1,2]}}', "plain": other})


def test_calls_of_mongodb_are_read_from_the_trace() -> None:
    assert mongo_calls(orjson.dumps({"data": {}, "extensions": {"trace": TRACE}})) == 2


@asynccontextmanager
async def serving(app: Any) -> AsyncIterator[str]:
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", ws="none"))
    task = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    await task


def contender_app(upstream: httpx.AsyncClient, calls: int, data: Callable[[int], Any]) -> tuple[Starlette, list[bytes]]:
    """A server that asks the sandbox so often for every operation, and what it was asked."""
    asked: list[bytes] = []

    async def graphql(request: Request) -> Response:
        asked.append(await request.body())
        for _ in range(calls):
            await upstream.get("/medusa/health")
        extensions = {"extensions": {"trace": TRACE}} if "x-gateway-trace" in request.headers else {}
        return Response(orjson.dumps({"data": data(len(asked)), **extensions}))

    return Starlette(routes=[Route("/graphql", graphql, methods=["POST"])]), asked


@asynccontextmanager
async def field(
    log: Path, *, calls: tuple[int, int] = (3, 7), data: Callable[[int], Any] = lambda i: {"orders": [1, 2]}
) -> AsyncIterator[tuple[Field, list[bytes]]]:
    async with serving(create_app(None)) as sandbox, httpx.AsyncClient(base_url=sandbox, trust_env=False) as upstream:
        gateway, asked = contender_app(upstream, calls[0], data)
        plain, _ = contender_app(upstream, calls[1], lambda i: {"orders": [1, 2]})
        async with (
            serving(gateway) as a,
            serving(plain) as b,
            httpx.AsyncClient(base_url=f"{sandbox}/_control", trust_env=False) as control,
        ):
            yield (
                Field(
                    Contender("gateway", os.getpid(), a, DEMO, log),
                    Contender("plain", os.getpid(), b, DEMO, log),
                    Sandbox(control, ["medusa", "stripe"]),
                ),
                asked,
            )


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "contender.log"
    path.write_text("the last words")
    return path


async def test_calls_are_those_that_reached_the_sandbox_and_those_of_the_trace(log: Path) -> None:
    async with field(log, calls=(3, 7)) as (running, _):
        gateway, plain = await compete(running, "{ orders }", {"n": 1}, QUICK)
    assert (gateway.name, plain.name) == ("gateway", "plain")
    assert [each.upstream_calls for each in gateway.rounds] == [3 + 2] * 3
    assert [each.upstream_calls for each in plain.rounds] == [7 + 2] * 3


async def test_every_operation_asked_is_the_query_with_its_variables(log: Path) -> None:
    async with field(log) as (running, asked):
        await compete(running, "{ orders }", {"n": 50}, QUICK)
    assert set(asked) == {b'{"query":"{ orders }","variables":{"n":50}}'}


async def test_a_contender_that_answers_something_else_is_not_measured(log: Path) -> None:
    async with field(log, data=lambda i: {"orders": [1]}) as (running, asked):
        with pytest.raises(WrongAnswer, match="plain does not answer as gateway does"):
            await compete(running, "{ orders }", {"n": 1}, QUICK)
    assert len(asked) == 1


async def test_an_answer_that_changes_under_load_ends_the_contest(log: Path) -> None:
    async with field(log, data=lambda i: {"orders": [1, 2] if i < 3 else []}) as (running, _):
        with pytest.raises(WrongAnswer, match=r"(?s)gateway: .* instead of 200 with .*the last words"):
            await compete(running, "{ orders }", {"n": 1}, QUICK)
