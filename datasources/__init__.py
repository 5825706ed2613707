"""The backends, each behind one module that speaks only that backend's wire.

`open_sources(settings)` gives all of them, started or attached to what runs already: LIVE backends at their configured
addresses, the others answered by engines and simulators that the gateway keeps as children.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

from pydantic import HttpUrl, SecretStr

from core.backends import BackendMode, BackendName
from core.settings import Settings
from datasources._embedded import Endpoints, Needs, children, read_endpoints
from datasources.erpnext import Erpnext
from datasources.fleetbase import Fleetbase
from datasources.medusa import Medusa
from datasources.mongo import Mongo
from datasources.sendgrid import Sendgrid
from datasources.stripe import Stripe
from datasources.temporal import Temporal

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datasources._breaker import CircuitState


@dataclass(frozen=True)
class Sources:
    """One attribute per backend."""

    mongo: Mongo
    temporal: Temporal
    medusa: Medusa
    fleetbase: Fleetbase
    erpnext: Erpnext
    stripe: Stripe
    sendgrid: Sendgrid
    modes: dict[BackendName, BackendMode]

    def __iter__(self) -> Iterator[Mongo | Temporal | Medusa | Fleetbase | Erpnext | Stripe | Sendgrid]:
        return (getattr(self, field.name) for field in fields(self) if field.name != "modes")
