"""What recognising a caller costs: the smallest operation, asked by every kind of caller, beside `/livez`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import orjson

from bench.contenders import Contender
from bench.contest import Effort
from bench.load import Request, WrongAnswer, ask_once, run_load
from bench.processes import cpu_s
from bench.table import Spread, short
from core.demo import DemoCredentials

OPERATION = orjson.dumps({"query": "{ viewer { kind } }"})
PLATFORM, CLIENT = "Dakkah", "DKTR01"
"""Of the demo world; the client is the platform's."""
COLUMNS = "{:<10}  {:>22}  {:>18}  {:>22}  {:>18}"


@dataclass(frozen=True)
class Cost:
    """CPU per request in ms, a value per round, where `livez` is the round's own measure."""

    caller: str
    cached_ms: Sequence[float]
    cold_ms: Sequence[float]
    livez_ms: Sequence[float]


def callers(demo: DemoCredentials) -> dict[str, Mapping[str, str]]:
    """The headers by which each kind of caller is recognised."""
    platform = {"x-api-key": demo.keys[PLATFORM]}
    return {
        "SERVICE": {"x-api-key": demo.service_key},
        "PLATFORM": platform,
        "CLIENT": {**platform, "client-x-api-key": demo.keys[CLIENT]},
        "USER": {"authorization": f"Bearer {demo.tokens['CUSTOMER']}"},
    }


async def measure(cached: Contender, cold: Contender, effort: Effort) -> list[Cost]:
    """A cost per kind of caller, of interleaved rounds. Raises WrongAnswer when somebody is taken for another."""
    livez = _Asked(cached, Request(f"{cached.url}/livez", {}))
    await livez.prepare()
    pairs: dict[str, tuple[_Asked, _Asked]] = {}
    for kind in callers(cached.demo):
        pairs[kind] = (_operation(cached, kind), _operation(cold, kind))
        for asked in pairs[kind]:
            await asked.prepare(expected=kind)
    rounds: dict[str, list[tuple[float, float, float]]] = {kind: [] for kind in pairs}
    for _ in range(effort.rounds):
        base = await livez.cpu_ms(effort)
        for kind, (warm, anew) in pairs.items():
            rounds[kind].append((await warm.cpu_ms(effort), await anew.cpu_ms(effort), base))
    return [Cost(kind, *(list(column) for column in zip(*rows, strict=True))) for kind, rows in rounds.items()]


def lines(costs: Sequence[Cost]) -> Iterator[str]:
    """A table: the CPU of a request, and how many requests to `/livez` that is."""
    yield COLUMNS.format("caller", "cached CPU ms", "x /livez", "cold CPU ms", "x /livez")
    for cost in costs:
        cached = [own / base for own, base in zip(cost.cached_ms, cost.livez_ms, strict=True)]
        cold = [own / base for own, base in zip(cost.cold_ms, cost.livez_ms, strict=True)]
        shown = [Spread.of(each) for each in (cost.cached_ms, cached, cost.cold_ms, cold)]
        yield COLUMNS.format(cost.caller, *map(str, shown))
    yield f"/livez: {short(median(costs[0].livez_ms))} CPU ms a request"


@dataclass
class _Asked:
    contender: Contender
    request: Request
    length: int = 0

    async def prepare(self, *, expected: str | None = None) -> None:
        """Ask once: everybody must be taken for what they are."""
        body = await ask_once(self.request)
        if expected is not None and orjson.loads(body).get("data") != {"viewer": {"kind": expected}}:
            raise WrongAnswer(f"{self.contender.name} answered {body[:300]!r} to {expected}")
        self.length = len(body)

    async def cpu_ms(self, effort: Effort) -> float:
        before = cpu_s(self.contender.pid)
        load = await run_load(self.request, length=self.length, seconds=effort.seconds, connections=effort.connections)
        return (cpu_s(self.contender.pid) - before) * 1000 / load.answers


def _operation(contender: Contender, kind: str) -> _Asked:
    headers = {"content-type": "application/json", **callers(contender.demo)[kind]}
    return _Asked(contender, Request(f"{contender.url}/graphql", headers, OPERATION))
