"""Signals: a worker tells all workers that something changed, so that they forget what they remembered of it.

A signal is a hint. It may be lost, so whoever acts on one also has a time after which it would have found out alone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Protocol

Hearer = Callable[[], None]
log = logging.getLogger("omnistack.signals")


class Signals(Protocol):
    """Topics are plain words; nothing travels but the topic."""

    async def send(self, topic: str) -> None:
        """Let every worker hear it, this one before it returns. Never fails."""

    def on(self, topic: str, heard: Hearer) -> Callable[[], None]:
        """Call `heard` at each signal, and whenever one may have been missed. What comes back ends it."""


class LocalSignals:
    """Signals within this process."""

    def __init__(self) -> None:
        self._hearers: dict[str, list[Hearer]] = {}

    async def send(self, topic: str) -> None:
        """As `Signals` says."""
        self.tell(topic)

    def on(self, topic: str, heard: Hearer) -> Callable[[], None]:
        """As `Signals` says."""
        hearers = self._hearers.setdefault(topic, [])
        hearers.append(heard)
        return lambda: hearers.remove(heard)

    def tell(self, topic: str) -> None:
        for heard in list(self._hearers.get(topic, ())):
            try:
                heard()
            except Exception:
                log.exception("a hearer failed", extra={"topic": topic})

    def tell_all(self) -> None:
        """Every topic: something may have been missed."""
        for topic in list(self._hearers):
            self.tell(topic)
