"""What every entrance needs once the gateway is up: the backends, and how callers are recognised."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import HTTPConnection

from core.auth import Credentials
from core.demo import DemoCredentials
from core.principals import Principal
from datasources import Sources
from resolvers.principals import Identification


@dataclass(frozen=True)
class Gateway:
    """`demo` is set in development only."""

    sources: Sources
    identification: Identification
    demo: DemoCredentials | None = None

    async def identify(self, shown: Credentials) -> Principal:
        """Raises Unauthenticated."""
        return await self.identification.identify(self.sources.mongo, shown)


def gateway_of(connection: HTTPConnection) -> Gateway:
    """The gateway that serves this request or socket."""
    gateway: Gateway = connection.app.state.gateway
    return gateway
