"""How the whole is doing, from how its parts are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from core.backends import BackendName
from datasources import SystemState
from resolvers.context import Context

INDISPENSABLE = frozenset({BackendName.OMNISTACK})
"""Without the core records nobody can be recognised."""


class HealthStatus(Enum):
    OPERATIONAL = "OPERATIONAL"
    DEGRADED = "DEGRADED"
    DOWN = "DOWN"


@dataclass(frozen=True)
class Health:
    status: HealthStatus
    systems: tuple[SystemState, ...]
    checked_at: datetime


async def health(ctx: Context) -> Health:
    """DOWN without the core records or without everything else, DEGRADED without anything."""
    measured = await ctx.sources.health.measure()
    down = {system.name for system in measured.systems if not system.is_up}
    if not down:
        status = HealthStatus.OPERATIONAL
    elif down & INDISPENSABLE or len(down) >= len(measured.systems) - 1:
        status = HealthStatus.DOWN
    else:
        status = HealthStatus.DEGRADED
    return Health(status, measured.systems, measured.checked_at)
