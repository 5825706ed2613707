"""One query, asked of both contenders in turn: first for equality, then under load."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import orjson

from bench.contenders import Contender, Field, Sandbox, end_of
from bench.load import Load, Request, WrongAnswer, ask_once, run_load
from bench.processes import cpu_s
from bench.table import Result, Round

MONGODB = "OMNISTACK"
"""The one backend whose calls a trace tells and the sandbox does not see."""


@dataclass(frozen=True)
class Effort:
    """How much load: `rounds` of `seconds` each per contender, by so many connections, after warming up once."""

    seconds: float
    rounds: int
    connections: int
    warm_up_s: float = 0.5


async def compete(field: Field, query: str, variables: dict[str, object], effort: Effort) -> list[Result]:
    """A result per contender, of interleaved rounds.

    Raises WrongAnswer when the contenders do not answer alike, an answer has errors, or a later one differs.
    """
    contenders = [field.gateway, field.plain]
    bodies = {each.name: await _asked(each, each.request(query, variables)) for each in contenders}
    check_equal(bodies)
    entries = [
        _Entry(
            each,
            each.request(query, variables),
            len(bodies[each.name]),
            mongo_calls(await _asked(each, each.request(query, variables, is_traced=True))),
        )
        for each in contenders
    ]
    for entry in entries:
        await _loaded(entry, effort.warm_up_s, effort)
    rounds: dict[str, list[Round]] = {each.name: [] for each in contenders}
    for _ in range(effort.rounds):
        for entry in entries:
            rounds[entry.contender.name].append(await _measure(entry, field.sandbox, effort))
    return [Result(name, measured) for name, measured in rounds.items()]


def check_equal(bodies: dict[str, bytes]) -> None:
    """Raises WrongAnswer unless all bodies hold the same data and no errors."""
    answers = {name: orjson.loads(body) for name, body in bodies.items()}
    for name, answer in answers.items():
        if answer.get("errors") or not answer.get("data"):
            raise WrongAnswer(f"{name} answered with errors or without data: {bodies[name][:300]!r}")
    (first, expected), *others = answers.items()
    for name, answer in others:
        if answer["data"] != expected["data"]:
            raise WrongAnswer(f"{name} does not answer as {first} does")


def mongo_calls(traced: bytes) -> int:
    """How often MongoDB was asked, by an answer's own trace."""
    trace = orjson.loads(traced)["extensions"]["trace"]["upstreamCalls"]
    return Counter(call["backend"] for call in trace)[MONGODB]


@dataclass(frozen=True)
class _Entry:
    contender: Contender
    request: Request
    length: int
    mongo_calls: int


async def _measure(entry: _Entry, sandbox: Sandbox, effort: Effort) -> Round:
    await sandbox.forget_calls()
    cpu_before = cpu_s(entry.contender.pid)
    load = await _loaded(entry, effort.seconds, effort)
    used_s = cpu_s(entry.contender.pid) - cpu_before
    calls = await sandbox.calls() / load.answers + entry.mongo_calls
    return Round.of(load, cpu_s=used_s, upstream_calls=calls)


async def _loaded(entry: _Entry, seconds: float, effort: Effort) -> Load:
    with _named(entry.contender):
        return await run_load(entry.request, length=entry.length, seconds=seconds, connections=effort.connections)


async def _asked(contender: Contender, request: Request) -> bytes:
    with _named(contender):
        return await ask_once(request)


@contextmanager
def _named(contender: Contender) -> Iterator[None]:
    """Say whose a wrong answer was, with the end of its log."""
    try:
        yield
    except WrongAnswer as exc:
        raise WrongAnswer(f"{contender.name}: {exc}\n{end_of(contender.log)}".rstrip()) from exc
