"""The operation that is running: its deadline and what it has asked of backends so far.

Kept in a context variable, because it belongs to every call below an entrance and to no argument list. An entrance
(GraphQL operation, subscription event, workflow activity) opens one with `running(...)`; datasources read it with
`current()`.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from core.backends import BackendName
from core.idempotency import KeyedRequest
from core.kept import Kept


@dataclass(frozen=True, slots=True)
class UpstreamCall:
    """One call that was really made. `path` is a template, never an id or a query; `ms` includes its retries."""

    backend: BackendName
    method: str
    path: str
    status: int | None
    ms: float
    batch_size: int | None = None
    retries: int = 0


@dataclass(slots=True)
class Operation:
    """`deadline` is on `time.monotonic()`'s clock; None: each call's own timeout is the only bound."""

    request_id: str = field(default_factory=lambda: uuid4().hex)
    deadline: float | None = None
    may_retry: bool = True
    """False where somebody above retries already, as Temporal does for activities."""
    calls: list[UpstreamCall] = field(default_factory=list)
    cache_hits: int = 0
    """Rows that were asked for again and needed no call."""
    loaders: dict[type, Any] = field(default_factory=dict)
    """The resolvers' loaders by class: they batch and remember within one operation, never beyond it."""
    permitted: frozenset[str] = frozenset()
    """Which of the guarded fields that it selects its caller may have, as `Type.field`: none until that is settled."""
    keyed: KeyedRequest | None = None
    """Its caller's idempotency key, for a mutation that came with one."""
    kept: Kept | None = None
    """What backends have said, word for word, where that is wanted."""

    def renewed(self) -> Operation:
        """For the next event of a subscription: the same caller's, with nothing loaded or counted yet."""
        return Operation(request_id=self.request_id, permitted=self.permitted)

    def remaining_s(self) -> float | None:
        """Seconds until the deadline, not below zero; None without one."""
        return None if self.deadline is None else max(0.0, self.deadline - time.monotonic())


_current: ContextVar[Operation | None] = ContextVar("operation", default=None)


def current() -> Operation:
    """The running operation; outside of any entrance a fresh one without deadline."""
    return _current.get() or Operation()


@contextmanager
def running(operation: Operation) -> Iterator[Operation]:
    token = _current.set(operation)
    try:
        yield operation
    finally:
        _current.reset(token)


def enter(operation: Operation) -> None:
    """Make it the current one for the rest of this task. For entrances whose end is not a block."""
    _current.set(operation)


def within(timeout_s: float, *, may_retry: bool = True, request_id: str | None = None) -> Operation:
    """A new operation that ends `timeout_s` seconds from now."""
    operation = Operation(deadline=time.monotonic() + timeout_s, may_retry=may_retry)
    if request_id is not None:
        operation.request_id = request_id
    return operation
