"""The gateway: `create_app(settings)` puts it together, `python server.py` runs it; with arguments, a command."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import uvicorn
from fastapi import FastAPI, Request, Response
from pydantic import SecretStr
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from core.auth import TokenVerifier
from core.backends import BackendMode
from core.demo import DemoCredentials
from core.errors import BadUserInput, GatewayError, RateLimited, Unauthenticated
from core.production import refusals
from core.settings import Settings
from core.telemetry import configure_logging
from datasources import open_sources, seed_demo
from datasources.jwks import Jwks, open_jwks
from engine.rate_limits import RateLimits
from graphiql.examples import EXAMPLES
from graphiql.page import Presets, graphiql_router
from resolvers.principals import Identification
from rest import commands
from rest.banner import banner
from rest.docs import docs
from rest.gateway import Gateway, gateway_of
from rest.gateway_routes import gateway_routes
from rest.graphql import GraphQLEntrance, refused
from rest.guessing import Guessing
from rest.loopback import is_at_this_machine
from rest.omnistack import omnistack_routes
from rest.probes import probes
from rest.request_ids import RequestIds, request_id
from rest.startup import PlainFailures, listen
from rest.status_lists import status_lists
from schema import build_schema
from workflows.worker import embedded_worker

GRAPHQL = "/graphql"
STATUS = {Unauthenticated: 401, BadUserInput: 400, RateLimited: 429}
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
    app.include_router(status_lists())
    app.include_router(graphiql_router(presets=lambda request: _presets(settings, request), path=GRAPHQL))
    schema = build_schema(settings)
    app.include_router(
        GraphQLEntrance(
            schema, GRAPHQL, allowed_origins=settings.allowed_origins, upload_max_bytes=settings.upload_max_bytes
        )
    )
    app.include_router(docs(schema))
    app.router.routes.extend([*gateway_routes(schema, GRAPHQL), *omnistack_routes(schema, GRAPHQL)])
    app.add_exception_handler(GatewayError, _refuse)
    app.add_middleware(
        CORSMiddleware,
        allow_origins=settings.allowed_origins,
        allow_methods=["GET", "HEAD", "POST", "PATCH", "DELETE"],
        allow_headers=["*"],
        expose_headers=[
            "X-Request-Id",
            "Retry-After",
            "Idempotency-Replayed",
            "Deprecation",
            "Link",
            "ETag",
            "X-Total-Count",
            "Content-Disposition",
            "RateLimit-Limit",
            "RateLimit-Remaining",
            "RateLimit-Reset",
        ],
    )
    app.add_middleware(RequestIds)
    return app


@asynccontextmanager
async def open_gateway(settings: Settings) -> AsyncIterator[Gateway]:
    """Backends, demo world and worker, ready when the block begins."""
    demo = DemoCredentials.load(settings.data_dir) if settings.app_env == "development" else None
    if demo is not None and settings.key_pepper is None:
        settings = settings.model_copy(update={"key_pepper": SecretStr(demo.key_pepper)})
    async with open_jwks(settings.jwks_url) as jwks, open_sources(settings) as sources:
        identification = identify_by(settings, demo, jwks)
        await sources.mongo.prepare()
        if demo is not None:
            tokens = identification.tokens
            assert tokens is not None and tokens.secret is not None  # noqa: S101, PT018 - the demo's at least
            is_embedded = settings.mongodb.mode is BackendMode.EMBEDDED
            is_new = await seed_demo(
                settings, sources.mongo, demo, jwt_secret=tokens.secret, pepper=identification.pepper, fill=is_embedded
            )
            print(banner(settings, demo if is_new else None), flush=True)
        async with embedded_worker(settings, sources):
            yield Gateway(
                sources,
                identification,
                demo,
                RateLimits(sources.shared.buckets("operations"), settings.rate_limit.by_kind),
                Guessing(sources.shared.buckets("failures"), settings.auth_failure_limit),
            )


def identify_by(settings: Settings, demo: DemoCredentials | None, jwks: Jwks | None) -> Identification:
    """Secrets of the settings, and in development the demo's where there are none."""
    given = [settings.payload_api_key, settings.cityos_cms_api_key]
    service_keys = [key.get_secret_value() for key in given if key is not None]
    if demo is not None:
        service_keys.append(demo.service_key)
    jwt_secret = demo.jwt_secret if demo is not None else None
    if settings.jwt_secret is not None:
        jwt_secret = settings.jwt_secret.get_secret_value()
    pepper = settings.key_pepper.get_secret_value() if settings.key_pepper is not None else ""
    tokens = TokenVerifier(jwt_secret, settings.jwt_issuer, settings.jwt_audience, jwks)
    return Identification(tuple(service_keys), pepper, tokens, settings.identity_cache_s)


def _presets(settings: Settings, request: Request) -> Presets:
    """The examples, with a demo token for somebody who can only be sitting at this machine."""
    demo = gateway_of(request).demo
    is_local = is_at_this_machine(request, settings.host)
    return Presets(EXAMPLES, bearer=demo.tokens.get("MANAGER") if demo is not None and is_local else None)


async def _refuse(request: Request, error: Exception) -> Response:
    assert isinstance(error, GatewayError)  # noqa: S101 - registered for these alone
    return refused(error, STATUS.get(type(error), 503), request_id(request))


def serving(settings: Settings, app: ASGIApp) -> uvicorn.Config:
    """How uvicorn serves it. What X-Forwarded-For says is believed of trusted proxies alone."""
    return uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=20,
        forwarded_allow_ips=[str(network) for network in settings.trusted_proxies],
    )


def main() -> None:
    settings = Settings()
    configure_logging(settings.log_level)
    if len(sys.argv) > 1:
        sys.exit(commands.run(settings, sys.argv[1:]))
    if reasons := refusals(settings):
        sys.exit("This configuration must not serve in production:\n" + "\n".join(f"- {reason}" for reason in reasons))
    taken = listen(settings)
    server = uvicorn.Server(serving(settings, PlainFailures(create_app(settings))))
    with suppress(KeyboardInterrupt):
        server.run(sockets=[taken])
    if not server.started:
        sys.exit(1)


if __name__ == "__main__":
    main()
