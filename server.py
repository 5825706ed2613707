"""The gateway: `create_app(settings)` puts it together, `python server.py` runs it."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import uvicorn
from fastapi import FastAPI, Request, Response
from starlette.middleware.cors import CORSMiddleware

from core.auth import TokenVerifier
from core.backends import BackendMode
from core.demo import DemoCredentials
from core.errors import BadUserInput, GatewayError, Unauthenticated
from core.production import refusals
from core.settings import Settings
from core.telemetry import configure_logging
from datasources import open_sources, seed_demo
from graphiql.examples import EXAMPLES
from graphiql.page import Presets, graphiql_router
from resolvers.principals import Identification
from rest.banner import banner
from rest.gateway import Gateway, gateway_of
from rest.graphql import GraphQLEntrance, refused
from rest.loopback import is_at_this_machine
from rest.probes import probes
from rest.request_ids import RequestIds, request_id
from rest.startup import PlainFailures, listen
from schema import build_schema
from workflows.worker import embedded_worker

GRAPHQL = "/graphql"
STATUS = {Unauthenticated: 401, BadUserInput: 400}
"""HTTP statuses of refusals before anything was executed."""


def create_app(settings: Settings) -> FastAPI:
    """The whole gateway. It opens its backends, and starts what it needs itself, when it is served."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_gateway(settings) as gateway:
            app.state.gateway = gateway
            yield

    app = FastAPI(title="OmniStack Gateway", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    app.include_router(probes())
    app.include_router(graphiql_router(presets=lambda request: _presets(settings, request), path=GRAPHQL))
    app.include_router(GraphQLEntrance(build_schema(settings), GRAPHQL, allowed_origins=settings.allowed_origins))
    app.add_exception_handler(GatewayError, _refuse)
    app.add_middleware(
        CORSMiddleware, allow_origins=settings.allowed_origins, allow_methods=["GET", "POST"], allow_headers=["*"]
    )
    app.add_middleware(RequestIds)
    return app


@asynccontextmanager
async def open_gateway(settings: Settings) -> AsyncIterator[Gateway]:
    """Backends, demo world and worker, ready when the block begins."""
    demo = DemoCredentials.load(settings.data_dir) if settings.app_env == "development" else None
    identification = identify_by(settings, demo)
    async with open_sources(settings) as sources:
        await sources.mongo.prepare()
        if demo is not None:
            tokens = identification.tokens
            assert tokens is not None  # noqa: S101 - the demo has a secret if the settings have none
            is_embedded = settings.mongodb.mode is BackendMode.EMBEDDED
            is_new = await seed_demo(
                settings, sources.mongo, demo, jwt_secret=tokens.secret, pepper=identification.pepper, fill=is_embedded
            )
            print(banner(settings, demo if is_new else None), flush=True)
        async with embedded_worker(settings, sources):
            yield Gateway(sources, identification, demo)


def identify_by(settings: Settings, demo: DemoCredentials | None) -> Identification:
    """Secrets of the settings, and in development the demo's where there are none."""
    given = [settings.payload_api_key, settings.cityos_cms_api_key]
    service_keys = [key.get_secret_value() for key in given if key is not None]
    if demo is not None:
        service_keys.append(demo.service_key)
    jwt_secret, pepper = (demo.jwt_secret, demo.key_pepper) if demo is not None else (None, "")
    if settings.jwt_secret is not None:
        jwt_secret = settings.jwt_secret.get_secret_value()
    if settings.key_pepper is not None:
        pepper = settings.key_pepper.get_secret_value()
    tokens = TokenVerifier(jwt_secret, settings.jwt_issuer, settings.jwt_audience) if jwt_secret else None
    return Identification(tuple(service_keys), pepper, tokens)


def _presets(settings: Settings, request: Request) -> Presets:
    """The examples, with a demo token for somebody who can only be sitting at this machine."""
    demo = gateway_of(request).demo
    is_local = is_at_this_machine(request, settings.host)
    return Presets(EXAMPLES, bearer=demo.tokens.get("MANAGER") if demo is not None and is_local else None)


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, GatewayError)  # noqa: S101 - registered for these alone
    return refused(error, STATUS.get(type(error), 503), request_id(request))


def main() -> None:
    settings = Settings()
    configure_logging(settings.log_level)
    if reasons := refusals(settings):
        sys.exit("This configuration must not serve in production:\n" + "\n".join(f"- {reason}" for reason in reasons))
    taken = listen(settings)
    config = uvicorn.Config(
        PlainFailures(create_app(settings)),
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=20,
    )
    server = uvicorn.Server(config)
    with suppress(KeyboardInterrupt):
        server.run(sockets=[taken])
    if not server.started:
        sys.exit(1)


if __name__ == "__main__":
    main()
