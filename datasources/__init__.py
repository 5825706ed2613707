"""The backends, each behind one module that speaks only that backend's wire.

`open_sources(settings)` gives all of them, started or attached to what runs already: LIVE backends at their configured
addresses, the others answered by engines and simulators that the gateway keeps as children.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, fields
from functools import cached_property

from pydantic import HttpUrl, SecretStr
from pydantic_settings import BaseSettings

from core.auth import hash_key
from core.backends import BackendMode
from core.buckets import Buckets
from core.demo import DemoCredentials
from core.errors import StartFailed
from core.scopes import CLIENT_SCOPES
from core.settings import Settings
from core.signals import LocalSignals, Signals
from datasources._breaker import CircuitState
from datasources._embedded import Endpoints, Needs, children, read_endpoints
from datasources._health import HealthProbe, SystemState
from datasources._http import HttpBackend
from datasources.erpnext import Erpnext
from datasources.fleetbase import Fleetbase
from datasources.identities import Identities
from datasources.medusa import Medusa
from datasources.mongo import Mongo
from datasources.openai import Openai
from datasources.payload import Payload
from datasources.redis import Shared
from datasources.rows import RowCache
from datasources.s3 import S3
from datasources.sendgrid import Sendgrid
from datasources.strapi import Strapi
from datasources.stripe import Stripe
from datasources.temporal import Temporal
from datasources.twilio import Twilio
from datasources.waltid import Waltid

__all__ = [
    "CircuitState",
    "Core",
    "HealthProbe",
    "HttpBackends",
    "NotRunning",
    "Sources",
    "SystemState",
    "open_backends",
    "open_core",
    "open_sources",
    "seed_demo",
]


class NotRunning(StartFailed):
    """A process beside the gateway was told to use the gateway's engines, and they are not there."""


@dataclass(frozen=True)
class HttpBackends:
    """One attribute per backend that speaks HTTP."""

    medusa: Medusa
    fleetbase: Fleetbase
    erpnext: Erpnext
    stripe: Stripe
    sendgrid: Sendgrid
    payload: Payload
    twilio: Twilio
    openai: Openai
    waltid: Waltid
    strapi: Strapi
    s3: S3

    def each(self) -> list[HttpBackend]:
        """Those backends, in the order of their attributes."""
        return [getattr(self, attribute.name) for attribute in fields(HttpBackends)]


@dataclass(frozen=True)
class Sources(HttpBackends):
    """One attribute per backend."""

    mongo: Mongo
    temporal: Temporal
    health: HealthProbe
    settings: Settings
    """As used: with the addresses and keys of what is embedded or simulated. A worker connects by them."""
    shared: Shared = field(default_factory=lambda: Shared(LocalSignals()))

    @property
    def identities(self) -> Identities:
        """What all workers remember of their callers."""
        return Identities(self.shared.signals)

    @cached_property
    def registrations(self) -> Buckets:
        """How much was registered with keys that anybody can read."""
        return self.shared.buckets("registrations")

    @cached_property
    def rows(self) -> RowCache:
        """What this worker remembers of rows that rarely change."""
        return RowCache(self.shared.signals)


@dataclass(frozen=True)
class Core:
    """Of `Sources`, what keys and access need: for a process that calls no other backend."""

    mongo: Mongo
    settings: Settings
    shared: Shared

    @property
    def identities(self) -> Identities:
        """What all workers remember of their callers."""
        return Identities(self.shared.signals)


@asynccontextmanager
async def open_sources(settings: Settings, *, attach: bool = False) -> AsyncIterator[Sources]:
    """Every backend, connected, until the end of the block.

    `attach`: use the engines of the gateway that runs in the same data directory instead of starting any.
    Raises NotRunning when there are none, and what `_embedded.children` raises.
    """
    needs = _needs(settings)
    async with AsyncExitStack() as stack:
        if attach:
            endpoints = read_endpoints(settings.data_dir)
        else:
            endpoints = await stack.enter_async_context(children(settings.data_dir, needs))
        yield await _connect(stack, settings, endpoints)


@asynccontextmanager
async def open_core(settings: Settings) -> AsyncIterator[Core]:
    """The core store alone, prepared: the configured one, or that of the gateway which runs in the data directory.

    Raises NotRunning when there is neither, and what `Mongo.prepare` raises.
    """
    uri = settings.mongodb.uri
    if uri is None:
        uri = SecretStr(_running(read_endpoints(settings.data_dir).mongodb_uri, "MongoDB"))
    async with AsyncExitStack() as stack:
        mongo = Mongo.open(settings.mongodb, uri.get_secret_value())
        stack.push_async_callback(mongo.aclose)
        shared = Shared.open(settings)
        stack.push_async_callback(shared.aclose)
        await mongo.prepare()
        yield Core(mongo, settings, shared)


def _needs(settings: Settings) -> Needs:
    http = (
        settings.medusa,
        settings.fleetbase,
        settings.erpnext,
        settings.stripe,
        settings.sendgrid,
        settings.payload,
        settings.twilio,
        settings.openai,
        settings.waltid,
        settings.strapi,
        settings.minio,
    )
    return Needs(
        mongodb=settings.mongodb.mode is BackendMode.EMBEDDED,
        temporal=settings.temporal.mode is BackendMode.EMBEDDED,
        sandbox=any(block.mode is BackendMode.SANDBOX for block in http),
        faults=settings.sandbox_faults,
    )


def _resolved(settings: Settings, endpoints: Endpoints) -> Settings:
    """The settings with the addresses and keys of whatever is not LIVE."""
    update: dict[str, BaseSettings] = {}
    if settings.mongodb.mode is BackendMode.EMBEDDED:
        uri = SecretStr(_running(endpoints.mongodb_uri, "MongoDB"))
        update["mongodb"] = settings.mongodb.model_copy(update={"uri": uri})
    if settings.temporal.mode is BackendMode.EMBEDDED:
        address = _running(endpoints.temporal_address, "Temporal")
        update["temporal"] = settings.temporal.model_copy(update={"address": address})
    if settings.payload.mode is BackendMode.LIVE:
        update["payload"] = settings.payload.model_copy(update={"outbound_api_key": settings.payload_key})
    if _needs(settings).sandbox:
        update |= _sandboxed(settings, _running(endpoints.sandbox_url, "the sandbox"))
    return settings.model_copy(update=update)


def _sandboxed(settings: Settings, url: str) -> dict[str, BaseSettings]:
    from sandbox import keys
    from sandbox.world import REGION_EUR

    told: dict[str, dict[str, object]] = {
        "medusa": {
            "api_url": HttpUrl(f"{url}/medusa"),
            "api_key": SecretStr(keys.MEDUSA_API_KEY),
            "publishable_key": SecretStr(keys.MEDUSA_PUBLISHABLE_KEY),
            "region_id": REGION_EUR,
        },
        "fleetbase": {
            "url": HttpUrl(f"{url}/fleetbase"),
            "api_key": SecretStr(keys.FLEETBASE_API_KEY),
            "rate_per_minute": None,
        },
        "erpnext": {
            "url": HttpUrl(f"{url}/erpnext"),
            "api_key": SecretStr(keys.ERPNEXT_API_KEY),
            "api_secret": SecretStr(keys.ERPNEXT_API_SECRET),
        },
        "stripe": {"api_base": HttpUrl(f"{url}/stripe"), "secret_key": SecretStr(keys.STRIPE_SECRET_KEY)},
        "sendgrid": {
            "api_base": HttpUrl(f"{url}/sendgrid"),
            "api_key": SecretStr(keys.SENDGRID_API_KEY),
            "sender": keys.SENDGRID_FROM,
        },
        "twilio": {
            "api_base": HttpUrl(f"{url}/twilio"),
            "account_sid": keys.TWILIO_ACCOUNT_SID,
            "auth_token": SecretStr(keys.TWILIO_AUTH_TOKEN),
            "phone_number": keys.TWILIO_PHONE_NUMBER,
        },
        "waltid": {
            "issuer_url": HttpUrl(f"{url}/waltid/issuer"),
            "verifier_url": HttpUrl(f"{url}/waltid/verifier"),
            "wallet_url": HttpUrl(f"{url}/waltid/wallet"),
            "wallet_secret": SecretStr(keys.WALTID_WALLET_SECRET),
            "issuer_key": SecretStr(json.dumps(keys.WALTID_ISSUER_KEY)),
        },
        "openai": {"base_url": HttpUrl(f"{url}/openai/v1"), "api_key": SecretStr(keys.OPENAI_API_KEY)},
        "strapi": {"url": HttpUrl(f"{url}/strapi"), "api_token": SecretStr(keys.STRAPI_API_TOKEN)},
        "minio": {
            "endpoint": HttpUrl(f"{url}/s3"),
            "public_endpoint": None,
            "access_key": SecretStr(keys.MINIO_ACCESS_KEY),
            "secret_key": SecretStr(keys.MINIO_SECRET_KEY),
            "bucket": keys.MINIO_BUCKET,
            "region": "us-east-1",
        },
        "payload": {
            "url": HttpUrl(f"{url}/payload"),
            "outbound_api_key": SecretStr(keys.PAYLOAD_API_KEY),
            "auth_collection": "users",
            "tenant_field": "tenant",
        },
    }
    blocks = {name: getattr(settings, name) for name in told}
    return {
        name: block.model_copy(update=told[name]) for name, block in blocks.items() if block.mode is BackendMode.SANDBOX
    }


def _running(address: str | None, what: str) -> str:
    if address is None:
        raise NotRunning(f"{what} is not configured, and no gateway in this data directory runs one")
    return address


async def _connect(stack: AsyncExitStack, asked: Settings, endpoints: Endpoints) -> Sources:
    settings = _resolved(asked, endpoints)
    uri, address = settings.mongodb.uri, settings.temporal.address
    assert uri is not None and address is not None  # noqa: S101, PT018 - resolved above
    mongo = Mongo.open(settings.mongodb, uri.get_secret_value())
    stack.push_async_callback(mongo.aclose)
    temporal = await Temporal.open(settings.temporal, address)
    stack.push_async_callback(temporal.aclose)
    shared = Shared.open(settings)
    stack.push_async_callback(shared.aclose)
    backends = open_backends(settings, shared.signals)
    for backend in backends.each():
        stack.push_async_callback(backend.aclose)
    modes = [(backend, getattr(asked, backend.name.value).mode) for backend in backends.each()]
    health = HealthProbe([(mongo, asked.mongodb.mode), *modes, (temporal, asked.temporal.mode)])
    return Sources(**vars(backends), mongo=mongo, temporal=temporal, health=health, settings=settings, shared=shared)


def open_backends(settings: Settings, signals: Signals) -> HttpBackends:
    """Clients of all backends that speak HTTP; none connects before its first call."""
    return HttpBackends(
        medusa=Medusa.open(settings.medusa),
        fleetbase=Fleetbase.open(settings.fleetbase, signals),
        erpnext=Erpnext.open(settings.erpnext),
        stripe=Stripe.open(settings.stripe),
        sendgrid=Sendgrid.open(settings.sendgrid),
        payload=Payload.open(settings.payload),
        twilio=Twilio.open(settings.twilio),
        openai=Openai.open(settings.openai),
        waltid=Waltid.open(settings.waltid),
        strapi=Strapi.open(settings.strapi),
        s3=S3.open(settings.minio),
    )


async def seed_demo(
    settings: Settings, mongo: Mongo, demo: DemoCredentials, *, jwt_secret: str, pepper: str, fill: bool
) -> bool:
    """Make and keep the demo's keys and tokens, and with `fill` put the demo world into an empty store, once.

    True when it was empty.
    """
    from sandbox import omnistack

    if fill:
        demo.complete(omnistack.key_owners(), omnistack.token_users(), jwt_secret)
    # Kept first: a store that holds a key's hash whose key is lost would be of no use.
    demo.save(settings.data_dir)
    if not fill or not await mongo.is_empty():
        return False
    hashes = {owner: hash_key(pepper, key) for owner, key in demo.keys.items()}
    hints = {owner: key[-4:] for owner, key in demo.keys.items()}
    await mongo.insert(omnistack.documents(sorted(CLIENT_SCOPES), hashes, hints))
    return True
