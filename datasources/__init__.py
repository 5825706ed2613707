"""The backends, each behind one module that speaks only that backend's wire.

`open_sources(settings)` gives all of them, started or attached to what runs already: LIVE backends at their configured
addresses, the others answered by engines and simulators that the gateway keeps as children.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from core.backends import BackendMode, BackendName
    from datasources.erpnext import Erpnext
    from datasources.fleetbase import Fleetbase
    from datasources.medusa import Medusa
    from datasources.mongo import Mongo
    from datasources.sendgrid import Sendgrid
    from datasources.stripe import Stripe
    from datasources.temporal import Temporal


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
