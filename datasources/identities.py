"""Who callers are may have changed: said by whoever changed it, heard by whoever remembers callers."""

from __future__ import annotations

from collections.abc import Callable

from core.signals import Hearer, Signals

_TOPIC = "identities"


class Identities:
    """What every worker remembers of its callers."""

    def __init__(self, signals: Signals) -> None:
        self._signals = signals

    async def changed(self) -> None:
        """Have it forgotten: here before this returns, elsewhere at once with Redis and by its age without. To be
        called after every change to keys, platforms, clients, and to users' status, role or accounts. Never fails."""
        await self._signals.send(_TOPIC)

    def on_change(self, forget: Hearer) -> Callable[[], None]:
        """Call `forget` at each change. What comes back ends it."""
        return self._signals.on(_TOPIC, forget)
