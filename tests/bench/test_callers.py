from __future__ import annotations

import os
from pathlib import Path

import orjson
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bench.callers import CLIENT, PLATFORM, Cost, lines, measure
from bench.contenders import Contender
from bench.contest import Effort
from bench.load import WrongAnswer
from core.demo import DemoCredentials
from tests.bench.test_contest import serving

QUICK = Effort(seconds=0, rounds=2, connections=1, warm_up_s=0)
DEMO = DemoCredentials(service_key="s", keys={PLATFORM: "p", CLIENT: "c"}, tokens={"CUSTOMER": "t"})


def recognising(taken_for: dict[str, str]) -> tuple[Starlette, list[str]]:
    """A server that knows the demo's callers, and whom it met; `taken_for` are its mistakes."""
    met: list[str] = []

    async def graphql(request: Request) -> Response:
        shown = (request.headers.get("x-api-key"), request.headers.get("client-x-api-key"))
        kind = {("s", None): "SERVICE", ("p", None): "PLATFORM", ("p", "c"): "CLIENT"}.get(
            (shown[0] or "", shown[1]), "USER" if request.headers.get("authorization") == "Bearer t" else "NOBODY"
        )
        met.append(kind)
        return Response(orjson.dumps({"data": {"viewer": {"kind": taken_for.get(kind, kind)}}}))

    async def livez(request: Request) -> Response:
        met.append("livez")
        return JSONResponse({"status": "ok"})

    return Starlette(routes=[Route("/graphql", graphql, methods=["POST"]), Route("/livez", livez)]), met


async def test_every_kind_of_caller_is_measured_on_both(tmp_path: Path) -> None:
    (cached, met), (cold, met_cold) = recognising({}), recognising({})
    async with serving(cached) as a, serving(cold) as b:
        costs = await measure(
            Contender("cached", os.getpid(), a, DEMO, tmp_path),
            Contender("cold", os.getpid(), b, DEMO, tmp_path),
            QUICK,
        )
    assert [cost.caller for cost in costs] == ["SERVICE", "PLATFORM", "CLIENT", "USER"]
    assert all(len(cost.cached_ms) == len(cost.cold_ms) == len(cost.livez_ms) == 2 for cost in costs)
    kinds = ["SERVICE", "PLATFORM", "CLIENT", "USER"]
    assert met == ["livez", *kinds, "livez", *kinds, "livez", *kinds]
    assert met_cold == kinds * 3


async def test_a_caller_who_is_taken_for_another_ends_it(tmp_path: Path) -> None:
    app, _ = recognising({"CLIENT": "PLATFORM"})
    async with serving(app) as url:
        contender = Contender("gateway", os.getpid(), url, DEMO, tmp_path)
        with pytest.raises(WrongAnswer, match="to CLIENT"):
            await measure(contender, contender, QUICK)


def test_ratios_are_to_the_same_rounds_livez() -> None:
    cost = Cost("USER", cached_ms=[2, 40], cold_ms=[4, 60], livez_ms=[1, 10])
    heading, line, base = lines([cost])
    assert line.split() == "USER 21 (2-40) 3 (2-4) 32 (4-60) 5 (4-6)".split()
    assert base == "/livez: 5.50 CPU ms a request"
    assert heading.split() == "caller cached CPU ms x /livez cold CPU ms x /livez".split()
