"""What a bad day does to a simulator: to its answer, and to its effect."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import Receive

from sandbox import faults
from sandbox.app import SIMULATORS
from sandbox.faults import Call, Fault, FaultLine


class Till:
    """A backend with one effect: every POST rings once."""

    def __init__(self) -> None:
        self.rung = 0
        self.line = FaultLine(Starlette(routes=[Route("/{path:path}", self.answer, methods=["GET", "POST"])]))
        self.app = Starlette(routes=[Mount("/till", self.line)])
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://sandbox/till")

    async def answer(self, request: Request) -> Response:
        await request.body()
        self.rung += request.method == "POST"
        return JSONResponse({"rung": self.rung})

    def given(self, *rules: dict[str, Any]) -> None:
        self.line.replace(list(rules))

    async def post(self, path: str = "/v1/orders") -> httpx.Response:
        return await self.client.post(path, json={})


@pytest.fixture
async def till() -> AsyncIterator[Till]:
    till = Till()
    async with till.client:
        yield till


async def test_without_rules_a_call_passes_and_is_counted(till: Till) -> None:
    answer = await till.client.get("/v1/orders?limit=1&limit=2")
    assert (answer.status_code, answer.json()) == (200, {"rung": 0})
    assert till.line.calls == [Call("GET", "/v1/orders", "limit=1&limit=2", 200)]


@pytest.mark.parametrize(("when", "rung"), [("before", 0), ("after", 1)])
async def test_a_status_fault_answers_an_error_page(till: Till, when: str, rung: int) -> None:
    till.given({"kind": "status", "status": 502, "when": when})
    answer = await till.post()
    assert (answer.status_code, answer.headers["content-type"]) == (502, "text/html; charset=utf-8")
    assert till.rung == rung
    assert till.line.calls[0].status == 502


@pytest.mark.parametrize(("when", "rung"), [("before", 0), ("after", 1)])
async def test_a_malformed_answer_is_a_success_that_is_no_json(till: Till, when: str, rung: int) -> None:
    till.given({"kind": "malformed", "when": when})
    answer = await till.post()
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    with pytest.raises(ValueError):
        answer.json()
    assert till.rung == rung


@dataclass
class Hang:
    """Tells when a hanging call has begun to wait and when it has been let go."""

    begun: asyncio.Event = field(default_factory=asyncio.Event)
    ended: asyncio.Event = field(default_factory=asyncio.Event)


@pytest.fixture
def hang(monkeypatch: pytest.MonkeyPatch) -> Hang:
    hang, wait = Hang(), faults._wait_for_release_or_departure

    async def announced(released: asyncio.Event, receive: Receive) -> None:
        hang.begun.set()
        await wait(released, receive)
        hang.ended.set()

    monkeypatch.setattr(faults, "_wait_for_release_or_departure", announced)
    return hang


@pytest.mark.parametrize(("when", "rung"), [("before", 0), ("after", 1)])
async def test_a_hang_lasts_until_the_rules_change(till: Till, hang: Hang, when: str, rung: int) -> None:
    till.given({"kind": "hang", "when": when})
    hanging = asyncio.create_task(till.post())
    await asyncio.wait_for(hang.begun.wait(), 10)
    assert (till.line.calls[0].status, till.rung) == (None, rung)
    assert not hanging.done()
    till.given()
    assert (await hanging).status_code == 504
    assert till.rung == rung


@pytest.mark.parametrize(("when", "rung_during_the_wait"), [("before", 0), ("after", 1)])
async def test_latency_holds_back_the_effect_or_only_its_answer(
    till: Till, monkeypatch: pytest.MonkeyPatch, when: str, rung_during_the_wait: int
) -> None:
    waits: list[tuple[float, int]] = []

    async def wait(delay_s: float) -> None:
        waits.append((delay_s, till.rung))

    monkeypatch.setattr("sandbox.faults.asyncio.sleep", wait)
    till.given({"kind": "latency", "ms": 250, "when": when}, {"kind": "latency", "ms": 500, "when": when})
    answer = await till.post()
    assert (answer.status_code, till.rung) == (200, 1)
    assert waits == [(0.75, rung_during_the_wait)]


async def test_latency_goes_with_another_fault(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    async def wait(delay_s: float) -> None:
        waits.append(delay_s)

    monkeypatch.setattr("sandbox.faults.asyncio.sleep", wait)
    till.given({"kind": "status"}, {"kind": "latency", "ms": 100}, {"kind": "latency", "ms": 300, "when": "after"})
    assert (await till.post()).status_code == 503
    assert waits == [0.1, 0.3]


async def test_a_count_is_how_often_a_rule_strikes(till: Till) -> None:
    till.given({"kind": "status", "count": 2})
    assert [(await till.post()).status_code for _ in range(3)] == [503, 503, 200]
    assert till.rung == 1


async def test_rules_with_counts_strike_one_after_the_other(till: Till) -> None:
    till.given({"kind": "status", "status": 500, "count": 1}, {"kind": "status", "status": 502, "count": 1})
    assert [(await till.post()).status_code for _ in range(3)] == [500, 502, 200]


async def test_a_path_must_match_the_whole_path_below_the_backend(till: Till) -> None:
    till.given({"kind": "status", "path": r"/v1/orders/[^/]+/cancel"})
    paths = ("/v1/orders", "/v1/orders/o1/cancel", "/v1/orders/o1/cancel/again", "/x/v1/orders/o1/cancel")
    assert [(await till.post(path)).status_code for path in paths] == [200, 503, 200, 200]


async def test_a_method_limits_a_rule_whatever_its_case(till: Till) -> None:
    till.given({"kind": "status", "method": "post"})
    assert ((await till.post()).status_code, (await till.client.get("/v1/orders")).status_code) == (503, 200)


async def test_a_call_that_does_not_fit_keeps_the_count(till: Till) -> None:
    till.given({"kind": "status", "method": "POST", "path": "/a", "count": 1})
    assert [(await till.post(path)).status_code for path in ("/b", "/a", "/a")] == [200, 503, 200]


async def test_a_rate_is_a_probability(till: Till, monkeypatch: pytest.MonkeyPatch) -> None:
    dice = iter([0.29, 0.3, 0.9])
    monkeypatch.setattr("sandbox.faults.random.random", lambda: next(dice))
    till.given({"kind": "status", "rate": 0.3})
    assert [(await till.post()).status_code for _ in range(3)] == [503, 200, 200]


@pytest.mark.parametrize(
    "rule",
    [
        {"kind": "flood"},
        {"kind": "status", "when": "sometimes"},
        {"kind": "status", "path": "("},
        {"kind": "status", "rate": 2},
        {"kind": "status", "status": 42},
        {"kind": "latency", "ms": -1},
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(rule: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        Fault(**rule)


async def test_wrong_rules_leave_the_old_ones(till: Till) -> None:
    till.given({"kind": "status"})
    with pytest.raises(ValueError):
        till.line.replace([{"kind": "malformed"}, {"kind": "flood"}])
    assert (await till.post()).status_code == 503


@contextlib.asynccontextmanager
async def served(app: Starlette) -> AsyncIterator[str]:
    """The address of a real server, for what only happens on a socket."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical", lifespan="off"))
    ready = asyncio.Event()
    startup = server.startup

    async def announced(*args: Any, **options: Any) -> None:
        await startup(*args, **options)
        ready.set()

    server.startup = announced  # type: ignore[method-assign]
    serving = asyncio.create_task(server.serve())
    await asyncio.wait_for(ready.wait(), 30)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        await serving


@pytest.mark.parametrize(("when", "rung"), [("before", 0), ("after", 1)])
async def test_a_dropped_call_ends_without_an_answer(till: Till, when: str, rung: int) -> None:
    till.given({"kind": "drop", "when": when, "count": 1})
    async with served(till.app) as address, httpx.AsyncClient(base_url=f"{address}/till") as client:
        with pytest.raises(httpx.TransportError):
            await client.post("/v1/orders", json={})
        assert till.rung == rung
        assert (await client.post("/v1/orders", json={})).status_code == 200


async def test_a_hang_ends_when_the_caller_leaves_and_the_effect_stays(till: Till, hang: Hang) -> None:
    till.given({"kind": "hang", "when": "after", "count": 1})
    async with served(till.app) as address, httpx.AsyncClient(base_url=f"{address}/till") as client:
        with pytest.raises(httpx.ReadTimeout):
            await client.post("/v1/orders", json={}, timeout=0.3)
        assert till.rung == 1
        await asyncio.wait_for(hang.ended.wait(), 10)
        assert (await client.get("/v1/orders")).json() == {"rung": 1}


@pytest.fixture
async def control() -> AsyncIterator[httpx.AsyncClient]:
    from sandbox.app import create_app

    app = create_app(None, {"fleetbase": [{"kind": "status", "path": "/v1/zones"}]})
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://sandbox") as client:
        yield client
    for store in app.state.stores.values():
        store.close()


async def test_the_control_routes_tell_who_is_there(control: httpx.AsyncClient) -> None:
    ready = await control.get("/_control/ready")
    assert ready.json() == {"ready": sorted(SIMULATORS)}


async def test_the_control_routes_list_and_forget_calls(control: httpx.AsyncClient) -> None:
    await control.get("/fleetbase/v1/orders?limit=1")
    await control.get("/sendgrid/v3/scopes")
    calls = (await control.get("/_control/fleetbase/calls")).json()
    assert calls == [{"method": "GET", "path": "/v1/orders", "query": "limit=1", "status": 401}]
    assert (await control.delete("/_control/fleetbase/calls")).json() == []
    assert (await control.get("/_control/fleetbase/calls")).json() == []
    assert len((await control.get("/_control/sendgrid/calls")).json()) == 1


async def test_the_control_routes_set_the_faults_of_one_backend(control: httpx.AsyncClient) -> None:
    assert (await control.get("/fleetbase/v1/zones")).status_code == 503
    set_rules = await control.put("/_control/fleetbase/faults", json=[{"kind": "status", "status": 500, "count": 1}])
    assert set_rules.status_code == 200
    assert set_rules.json()[0] | {"kind": "status", "status": 500, "count": 1, "when": "before"} == set_rules.json()[0]
    statuses = [(await control.get(f"/{backend}/")).status_code for backend in ("fleetbase", "fleetbase")]
    assert statuses == [500, 200]
    assert (await control.get("/sendgrid/v3/scopes")).status_code == 401


@pytest.mark.parametrize("body", ['[{"kind": "flood"}]', '[{"nobody": "knows"}]', '{"kind": "status"}', "[", "3"])
async def test_the_control_routes_refuse_rules_that_make_no_sense(control: httpx.AsyncClient, body: str) -> None:
    assert (await control.put("/_control/fleetbase/faults", content=body)).status_code == 400
    assert (await control.get("/fleetbase/v1/zones")).status_code == 503


async def test_the_control_routes_show_rows(control: httpx.AsyncClient) -> None:
    rows = (await control.get("/_control/fleetbase/rows/driver")).json()
    assert [row["id"] for row in rows] == [f"driver_demo{n:06d}" for n in range(1, 13)]
    assert (await control.get("/_control/sendgrid/rows/mail")).json() == []


@pytest.mark.parametrize("path", ["nobody/calls", "nobody/rows/order"])
async def test_the_control_routes_know_no_other_backend(control: httpx.AsyncClient, path: str) -> None:
    assert (await control.get(f"/_control/{path}")).status_code == 404
