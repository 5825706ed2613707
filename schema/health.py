"""How every backend is doing."""

from __future__ import annotations

from datetime import datetime
from enum import Enum

import strawberry

from core.backends import BackendMode, BackendName
from datasources import CircuitState, SystemState
from resolvers import health
from resolvers.health import HealthStatus
from schema.directives import Authenticated
from schema.info import Info

strawberry.enum(
    BackendMode,
    description="SANDBOX answers come from the built-in simulator, EMBEDDED from an engine the gateway started, "
    "LIVE from the configured address.",
)
strawberry.enum(CircuitState, description="OPEN: it failed repeatedly and is left alone for a while.")
strawberry.enum(HealthStatus, description="DEGRADED: something is down, the rest works.")


@strawberry.enum(description="Whether a system answers.")
class SystemStatus(Enum):
    UP = "UP"
    DOWN = "DOWN"
    UNCONFIGURED = "UNCONFIGURED"


@strawberry.type(description="One system's state.")
class SystemHealth:
    name: BackendName
    latency_ms: float | None = strawberry.field(description="How long it took to answer.")
    mode: BackendMode
    circuit: CircuitState
    message: str | None = strawberry.field(description="What is wrong.")

    @strawberry.field(description="Whether it answers.")
    def status(parent: strawberry.Parent[SystemState]) -> SystemStatus:
        return SystemStatus.UP if parent.is_up else SystemStatus.DOWN


@strawberry.type(description="The state of the whole.")
class Health:
    status: HealthStatus
    systems: list[SystemHealth]
    checked_at: datetime


@strawberry.type
class HealthQuery:
    @strawberry.field(
        description="Every backend's state, measured now. Needs no credentials beyond any valid one.",
        directives=[Authenticated()],
    )
    async def health(self, info: Info) -> Health:
        return await health.health(info.context)
