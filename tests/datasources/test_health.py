"""How backends are asked how they are."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import ClassVar

import pytest

from core import operation
from core.backends import BackendMode, BackendName
from core.errors import BackendTimeout, BackendUnavailable
from core.operation import Operation
from datasources import _health
from datasources._breaker import Breaker, CircuitState
from datasources._health import HealthProbe
from datasources.mongo import Mongo


class Patient:
    """A backend whose ping does as it is told."""

    name: ClassVar[BackendName] = BackendName.MEDUSA

    def __init__(self, *ails: BaseException, wait: asyncio.Event | None = None) -> None:
        self.breaker = Breaker()
        self.ails = list(ails)
        self.wait = wait
        self.pings = 0
        self.left: float | None = None

    async def ping(self) -> None:
        self.pings += 1
        self.left = operation.current().remaining_s()
        if self.wait is not None:
            await self.wait.wait()
        if self.ails:
            raise self.ails.pop(0)


def probe(*patients: Patient | Mongo) -> HealthProbe:
    return HealthProbe([(patient, BackendMode.SANDBOX) for patient in patients])


async def test_a_backend_that_answers_is_up() -> None:
    measured = await probe(Patient()).measure()
    [system] = measured.systems
    assert (system.name, system.is_up, system.message) == (BackendName.MEDUSA, True, None)
    assert (system.mode, system.circuit) == (BackendMode.SANDBOX, CircuitState.CLOSED)
    assert system.latency_ms is not None
    assert measured.checked_at.tzinfo is not None


@pytest.mark.parametrize(
    ("ail", "message"),
    [
        (BackendUnavailable(BackendName.MEDUSA, "medusa cannot be reached"), "medusa cannot be reached"),
        (BackendTimeout(BackendName.MEDUSA, "medusa did not answer"), "medusa did not answer"),
        (TimeoutError(), "medusa did not answer in time"),
    ],
)
async def test_one_that_does_not_is_down_and_hides_nobody(ail: Exception, message: str) -> None:
    down, well = (await probe(Patient(ail), Patient()).measure()).systems
    assert (down.is_up, down.message, down.latency_ms) == (False, message, None)
    assert well.is_up


async def test_a_check_that_breaks_is_logged_and_tells_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.ERROR, "omnistack.health"):
        down, well = (await probe(Patient(RuntimeError("hush")), Patient()).measure()).systems
    assert not down.is_up
    assert "hush" not in (down.message or "")
    assert "hush" in caplog.text
    assert well.is_up


async def test_a_ping_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_health, "TIMEOUT_S", -0.99)
    [system] = (await probe(Patient(wait=asyncio.Event())).measure()).systems
    assert system.message == "medusa did not answer in time"


async def test_all_are_asked_at_once_and_many_callers_share_the_answer() -> None:
    both = asyncio.Barrier(2)

    class Meets(Patient):
        async def ping(self) -> None:
            await super().ping()
            await both.wait()

    patients = [Meets(), Meets()]
    probing = probe(*patients)
    answers = await asyncio.gather(*(probing.measure() for _ in range(5)))
    assert len({id(answer) for answer in answers}) == 1
    assert [patient.pings for patient in patients] == [1, 1]


async def test_it_is_measured_again_when_it_is_no_longer_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    patient = Patient(BackendUnavailable(BackendName.MEDUSA, "down"))
    probing = probe(patient)
    assert not (await probing.measure()).systems[0].is_up
    assert not (await probing.measure()).systems[0].is_up
    monkeypatch.setattr(_health, "FRESH_S", 0)
    assert (await probing.measure()).systems[0].is_up
    assert patient.pings == 2


async def test_a_measurement_stands_in_nobodys_trace_and_has_a_deadline_of_its_own(mongo: Mongo) -> None:
    patient = Patient()
    with operation.running(Operation()) as running:
        measured = await probe(patient, mongo).measure()
    assert all(system.is_up for system in measured.systems)
    assert running.calls == []
    assert patient.left is not None
    assert 0 < patient.left <= _health.TIMEOUT_S


async def test_the_circuit_is_told_as_it_is() -> None:
    patient = Patient()
    for _ in range(5):
        patient.breaker.failed()
    [system] = (await probe(patient).measure()).systems
    assert system.circuit is CircuitState.OPEN


def test_a_breaker_tells_when_to_come_back_whatever_its_clock_says() -> None:
    now: Callable[[], float] = iter([0.0, 0.0, 10.0, 40.0]).__next__
    breaker = Breaker(consecutive=1, clock=now)
    assert breaker.retry_after_s == 0
    breaker.failed()
    assert [breaker.retry_after_s for _ in range(3)] == [30, 20, 0]
