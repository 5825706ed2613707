"""How every backend is doing, measured by asking it, at most every two seconds."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import ClassVar, Protocol

from core import operation
from core.backends import BackendMode, BackendName
from core.errors import BackendError
from datasources._breaker import Breaker, CircuitState

log = logging.getLogger("omnistack.health")

TIMEOUT_S = 2.0
FRESH_S = 2.0


class Backend(Protocol):
    name: ClassVar[BackendName]
    breaker: Breaker

    async def ping(self) -> None: ...


@dataclass(frozen=True)
class SystemState:
    """`message` says what is wrong, in words for people; `latency_ms` None: it did not answer."""

    name: BackendName
    is_up: bool
    mode: BackendMode
    circuit: CircuitState
    latency_ms: float | None = None
    message: str | None = None


@dataclass(frozen=True)
class Measurement:
    systems: tuple[SystemState, ...]
    checked_at: datetime


class HealthProbe:
    """Asks all backends at once and remembers the answer for a moment."""

    def __init__(self, backends: Sequence[tuple[Backend, BackendMode]]) -> None:
        self._backends = backends
        self._lock = asyncio.Lock()
        self._latest: Measurement | None = None
        self._measured_at = 0.0

    async def measure(self) -> Measurement:
        """Never raises for a backend that is down, whatever its module raises then."""
        async with self._lock:
            if self._latest is None or time.monotonic() - self._measured_at >= FRESH_S:
                states = await asyncio.gather(*[_ask(backend, mode) for backend, mode in self._backends])
                self._latest = Measurement(tuple(states), datetime.now(UTC))
                self._measured_at = time.monotonic()
            return self._latest


async def _ask(backend: Backend, mode: BackendMode) -> SystemState:
    started = time.perf_counter()
    message = None
    # An operation of its own: a measurement serves many callers and stands in nobody's trace.
    with operation.running(operation.within(TIMEOUT_S, may_retry=False)):
        try:
            async with asyncio.timeout(TIMEOUT_S + 1):
                await backend.ping()
        except BackendError as exc:
            message = str(exc)
        except TimeoutError:
            message = f"{backend.name.value} did not answer in time"
        except Exception:  # one check that is broken must not hide what the others found
            log.exception("a health check failed", extra={"backend": backend.name.value})
            message = "the check itself failed"
    ms = round((time.perf_counter() - started) * 1000, 2) if message is None else None
    return SystemState(backend.name, message is None, mode, backend.breaker.state, ms, message)
