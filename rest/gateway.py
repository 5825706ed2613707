"""What every entrance needs once the gateway is up: the backends, and how callers are recognised."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from starlette.requests import HTTPConnection

from core.auth import Credentials
from core.buckets import Limit, LocalBuckets
from core.demo import DemoCredentials
from core.principals import Principal
from datasources import Sources
from engine.rate_limits import RateLimits
from resolvers.identity_cache import IdentityCache
from resolvers.principals import Identification
from rest.guessing import Guessing


@dataclass(frozen=True)
class Gateway:
    """`demo` is set in development only."""

    sources: Sources
    identification: Identification
    demo: DemoCredentials | None = None
    rate_limits: RateLimits = field(default_factory=lambda: RateLimits(LocalBuckets(), {}))
    guessing: Guessing = field(default_factory=lambda: Guessing(LocalBuckets(), Limit(10, 50)))

    async def recognise(self, connection: HTTPConnection, shown: Mapping[str, Any]) -> Principal:
        """Who shows these headers, or this `connection_init`.

        Raises Unauthenticated, or RateLimited instead when too much of it came from the same address.
        """
        return await self.guessing.watch(address_of(connection), shown, self.identify)

    async def identify(self, shown: Credentials) -> Principal:
        """Raises Unauthenticated."""
        return await self._identities.identify(shown)

    @cached_property
    def _identities(self) -> IdentityCache:
        cache = IdentityCache(
            lambda shown: self.identification.recognise(self.sources.mongo, shown),
            life_s=self.identification.remembered_s,
        )
        self.sources.identities.on_change(cache.forget)
        return cache


def gateway_of(connection: HTTPConnection) -> Gateway:
    """The gateway that serves this request or socket."""
    gateway: Gateway = connection.app.state.gateway
    return gateway


def address_of(connection: HTTPConnection) -> str | None:
    """Where in the network the caller is: the peer, or what a trusted proxy says of it; None over a Unix socket."""
    return connection.client.host if connection.client is not None else None
