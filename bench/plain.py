"""The contender: an ordinary Strawberry server with the gateway's types and resolvers.

What a tutorial leads to: `strawberry.Schema` behind `GraphQLRouter`, no cache of parsed or validated documents, the
standard library's JSON, httpx as it comes. It does less than the gateway, which also recognises its callers, checks
their scopes, limits what they may ask and logs every operation: here everybody is a service.

Run beside a gateway, in whose data directory it finds the sandbox and MongoDB:

    DATA_DIR=... PORT=... python -m bench.plain
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from unittest.mock import patch

import httpx
import strawberry
import uvicorn
from fastapi import FastAPI
from starlette.requests import HTTPConnection
from strawberry.fastapi import GraphQLRouter
from strawberry.schema.config import StrawberryConfig

from core.principals import Principal, PrincipalKind
from core.scopes import ALL_SCOPES
from core.settings import Settings
from datasources import _http, open_sources
from rest.graphql import ConnectionContext
from schema import Query
from schema.extensions import OperationEvent
from schema.scalars import SCALARS

EVERYBODY = Principal(PrincipalKind.SERVICE, ALL_SCOPES)


def create_app(settings: Settings) -> FastAPI:
    """`/graphql`, and `/readyz`, which answers once the backends are open."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        with stock_transports():
            async with open_sources(settings, attach=True) as sources:
                app.state.sources = sources
                yield

    app = FastAPI(lifespan=lifespan)
    app.include_router(
        GraphQLRouter[ConnectionContext, None](plain_schema(settings), "/graphql", context_getter=_context)
    )
    app.add_api_route("/readyz", _ready)
    return app


def plain_schema(settings: Settings) -> strawberry.Schema:
    """The gateway's queries, with nothing around them but the event in which its resolvers run."""
    return strawberry.federation.Schema(  # for the directives of its types
        query=Query,
        config=StrawberryConfig(scalar_map=SCALARS),
        extensions=[
            lambda: OperationEvent(
                query_timeout_s=settings.query_timeout_s, mutation_timeout_s=settings.mutation_timeout_s
            )
        ],
    )


@contextmanager
def stock_transports() -> Iterator[None]:
    """Within the block, clients of backends are opened on httpx's own transport with its own defaults."""

    def stock(**_: Any) -> httpx.AsyncHTTPTransport:
        return httpx.AsyncHTTPTransport()

    with patch.object(_http, "AiohttpTransport", stock):
        yield


async def _context(connection: HTTPConnection) -> ConnectionContext:
    is_traced = connection.headers.get("x-gateway-trace") == "1"
    return ConnectionContext(connection.app.state.sources, EVERYBODY, is_traced=is_traced)


async def _ready() -> bool:
    return True


if __name__ == "__main__":
    settings = Settings()
    uvicorn.run(create_app(settings), host=settings.host, port=settings.port, log_level="warning", access_log=False)
