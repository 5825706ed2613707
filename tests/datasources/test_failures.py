"""Every datasource on a backend's bad days: over a real socket, before its simulator, with one call that reads and one
that writes. Each failure ends in the error that it is, in time, and leaves the datasource as it was."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from starlette.types import ASGIApp

from core import operation
from core.address import Address
from core.errors import BackendError
from core.settings import Settings
from datasources import _sandboxed
from datasources._breaker import CircuitState
from datasources._http import HttpBackend
from datasources._streams import Patience
from datasources.erpnext import Erpnext, NewInvoice, NewInvoiceItem
from datasources.fleetbase import Fleetbase, NewDelivery
from datasources.medusa import Medusa, NewCart, NewItem
from datasources.openai import ChatMessage, ChatRequest, Openai
from datasources.payload import Mirror, Payload
from datasources.s3 import S3
from datasources.sendgrid import Mail, Recipient, Sendgrid
from datasources.strapi import JobSelection, NewJob, Strapi
from datasources.stripe import NewIntent, Stripe
from datasources.twilio import Twilio
from datasources.waltid import Policies, Waltid
from sandbox.app import create_app
from tests.callers import WORLD, person
from tests.datasources.bad_days import (
    RETRY_AFTER_S,
    SECRETS,
    Failure,
    Stage,
    breaks_off,
    drips,
    drops,
    fails,
    hangs,
    hides_an_error,
    is_overrun,
    leads_elsewhere,
    limits_its_rate,
    mistakes_types,
    never_stops,
    on_stage,
    says_nothing,
    says_too_much,
    shows_a_page,
    truncates_json,
)

ADA = person("CUSTOMER", 2)
PLACE = Address("Rruga 1", "Tirana", "AL", latitude=41.33, longitude=19.82)
VARIANT = WORLD.products[5].variants[0]
CHAT = ChatRequest("gpt-4o-mini", [ChatMessage("user", "hello")])

DEADLINE_S, IMPATIENT_S = 5.0, 0.3
"""Of an operation; and where the backend keeps it waiting."""
SLACK_S = 2.0
"""That a busy machine may add to it."""

UNAVAILABLE, TIMEOUT, REJECTED = "UPSTREAM_UNAVAILABLE", "UPSTREAM_TIMEOUT", "UPSTREAM_REJECTED"
BAD, LIMITED = "UPSTREAM_BAD_RESPONSE", "RATE_LIMITED"
FINE = "fine"
"""It does not matter to this call: what it wanted has happened."""
NOT_SAID = "not said"
"""The backend cannot fail in this way here."""

FAILURES: Mapping[Failure, str] = {
    hangs: TIMEOUT,
    drips: TIMEOUT,
    drops: UNAVAILABLE,
    breaks_off: UNAVAILABLE,
    fails: UNAVAILABLE,
    is_overrun: UNAVAILABLE,
    limits_its_rate: LIMITED,
    truncates_json: BAD,
    says_nothing: BAD,
    shows_a_page: BAD,
    mistakes_types: BAD,
    hides_an_error: BAD,
    says_too_much: BAD,
    never_stops: BAD,
    leads_elsewhere: BAD,
}
"""What each comes to, unless a call says otherwise."""
IMPATIENT = (hangs, drips)


@dataclass(frozen=True)
class Call:
    """`strikes` is the request that fails; `tries` how often that is sent before an outage is believed."""

    name: str
    make: Callable[[Any], Awaitable[object]]
    strikes: str
    tries: int = 1
    before: Callable[[Any], Awaitable[object]] | None = None
    """What has to have happened."""
    once_begun: bool = False
    """Whether an answer that has begun is not asked for again."""
    otherwise: Mapping[Failure, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Backend:
    """`block` is its part of the settings; `error_inside` what it would say of an error under a status of success."""

    source: Any
    block: str
    error_inside: str
    calls: tuple[Call, ...]


async def whole(pieces: AsyncIterator[object]) -> list[object]:
    return [piece async for piece in pieces]


async def text(content: bytes) -> AsyncIterator[bytes]:
    yield content


async def store(s3: S3) -> None:
    await s3.write_file("here/b.txt", text(b"hello"), "text/plain")
    await s3.file("here/b.txt")


async def read(s3: S3) -> list[object]:
    found = await s3.file("here/b.txt")
    assert found is not None
    return await whole(s3.read_file(found))


_NO_JSON: dict[Failure, str] = {mistakes_types: NOT_SAID}
_HEAD: dict[Failure, str] = dict.fromkeys(
    (drips, breaks_off, truncates_json, shows_a_page, mistakes_types, hides_an_error, says_too_much, never_stops),
    NOT_SAID,
)
"""An answer to HEAD has no body."""
_WITHOUT_WORDS: dict[Failure, str] = {**_NO_JSON, says_nothing: FINE}
"""Success is told by the status alone."""
_NAMED: dict[Failure, str] = {hides_an_error: REJECTED}
"""It says whose mistake it was."""
_PASSED_ON: dict[Failure, str] = {hides_an_error: UNAVAILABLE}
"""A failure of what stands behind it, which says so in its words alone."""
_HANDED_OVER: dict[Failure, str] = {
    drops: TIMEOUT,
    breaks_off: TIMEOUT,
    truncates_json: TIMEOUT,
    shows_a_page: TIMEOUT,
    hides_an_error: TIMEOUT,
    says_too_much: TIMEOUT,
    never_stops: TIMEOUT,
    leads_elsewhere: TIMEOUT,
}
"""A message may have been accepted all the same: its outcome is unknown, which is a timeout to callers."""

BACKENDS = (
    Backend(
        Medusa, "medusa", '{"type": "unknown_error", "message": "An unknown error occurred."}',
        (
            Call("stores", lambda s: s.stores(), "GET /medusa/admin/stores", tries=3),
            Call(
                "create_cart",
                lambda s: s.create_cart(
                    NewCart([NewItem(VARIANT.id, 1)], currency="EUR", sales_channel_id=ADA.client.channel_id)
                ),
                "POST /medusa/store/carts",
            ),
        ),
    ),
    Backend(
        Fleetbase, "fleetbase", '{"errors": ["Server error"]}',
        (
            Call("service_zones", lambda s: s.service_zones(), "GET /fleetbase/v1/service-areas", tries=3),
            Call(
                "create_delivery", lambda s: s.create_delivery(NewDelivery(f"order_{time.time_ns()}", PLACE, PLACE)),
                "POST /fleetbase/v1/orders", otherwise={mistakes_types: FINE},
            ),
        ),
    ),
    Backend(
        Erpnext, "erpnext", '{"exception": "frappe.exceptions.ValidationError", "exc_type": "ValidationError"}',
        (
            Call("customers", lambda s: s.customers(limit=5), "(GET|POST) /erpnext/api/.*", tries=3, otherwise=_NAMED),
            Call(
                "create_invoice",
                lambda s: s.create_invoice(
                    NewInvoice(ADA.erp_id, ADA.client.company, [NewInvoiceItem(VARIANT.sku, Decimal(1), Decimal(5))])
                ),
                "POST /erpnext/api/resource/Sales%20Invoice", otherwise=_NAMED,
            ),
        ),
    ),
    Backend(
        Stripe, "stripe", '{"error": {"type": "api_error", "message": "Something went wrong."}}',
        (
            Call("payment_methods", lambda s: s.payment_methods(ADA.stripe_id), "GET /stripe/v1/.*", tries=3),
            Call(
                "create_intent",
                lambda s: s.create_intent(NewIntent(Decimal("5.00"), "EUR"), key=f"key-{time.time_ns()}"),
                "POST /stripe/v1/payment_intents", tries=3,
            ),
        ),
    ),
    Backend(
        Sendgrid, "sendgrid", '{"errors": [{"message": "authorization required", "field": null}]}',
        (
            Call("ping", lambda s: s.ping(), "GET /sendgrid/v3/scopes", tries=3),
            Call(
                "send_mail", lambda s: s.send_mail(Mail([Recipient("ada@example.com")], "Hello", "key", text="Hello")),
                "POST /sendgrid/v3/mail/send", otherwise=_HANDED_OVER | _WITHOUT_WORDS,
            ),
        ),
    ),
    Backend(
        Twilio, "twilio", '{"code": 20003, "message": "Authenticate", "status": 401}',
        (
            Call("ping", lambda s: s.ping(), "GET /twilio/.*", tries=3),
            Call(
                "send_sms", lambda s: s.send_sms("+355691234567", "Hello"), "POST /twilio/.*/Messages.json",
                otherwise=_HANDED_OVER | {mistakes_types: TIMEOUT, says_nothing: TIMEOUT, fails: TIMEOUT},
            ),
        ),
    ),
    Backend(
        Payload, "payload", '{"errors": [{"message": "Something went wrong."}]}',
        (
            Call("pages", lambda s: s.pages(limit=5), "(GET|POST) /payload/api/pages", tries=3),
            Call(
                "mirror", lambda s: s.mirror(Mirror.ORDERS, f"order_{time.time_ns()}", {"status": "paid"}),
                "PATCH /payload/api/orders", tries=3,
            ),
        ),
    ),
    Backend(
        Strapi, "strapi", '{"data": null, "error": {"status": 500, "name": "InternalServerError", "message": "x"}}',
        (
            Call("jobs", lambda s: s.jobs(JobSelection(), limit=5), "GET /strapi/api/jobs", tries=3),
            Call("create_job", lambda s: s.create_job(NewJob(f"J-{time.time_ns()}", 1)), "POST /strapi/api/jobs"),
        ),
    ),
    Backend(
        Waltid, "waltid", '{"exception": true, "status": "500", "code": "500", "message": "x"}',
        (
            Call("dids", lambda s: s.dids(ADA.id), "GET /waltid/wallet/.*/dids", tries=3),
            Call(
                "open_verification", lambda s: s.open_verification("s-1", "Membership", Policies((), ())),
                "POST /waltid/verifier/openid4vc/verify", tries=3, otherwise=_NO_JSON,
            ),
        ),
    ),
    Backend(
        Openai, "openai", '{"error": {"message": "The server had an error", "type": "server_error"}}',
        (
            Call(
                "embeddings", lambda s: s.embeddings("text-embedding-3-small", ["a"]), "POST /openai/v1/embeddings",
                tries=3, otherwise=_PASSED_ON,
            ),
            Call("chat", lambda s: s.chat(CHAT), "POST /openai/v1/chat/completions", tries=3, otherwise=_PASSED_ON),
            Call(
                "chat_stream", lambda s: whole(s.chat_stream(CHAT)), "POST /openai/v1/chat/completions", tries=3,
                once_begun=True, otherwise=_NO_JSON,
            ),
        ),
    ),
    Backend(
        S3, "minio", "<Error><Code>InternalError</Code></Error>",
        (
            Call("file", lambda s: s.file("here/a.txt"), "HEAD /s3/.*", tries=3, otherwise=_HEAD),
            Call(
                "read_file", read, "GET /s3/.*", tries=3, before=store, otherwise=_NO_JSON,
            ),
            Call(
                "write_file", lambda s: s.write_file("here/a.txt", text(b"hello"), "text/plain"), "PUT /s3/.*",
                tries=3, otherwise=_NO_JSON,
            ),
        ),
    ),
)  # fmt: skip

CALLS = [
    pytest.param(backend, call, id=f"{backend.block}.{call.name}") for backend in BACKENDS for call in backend.calls
]
CASES = [
    pytest.param(backend, call, failure, id=f"{backend.block}.{call.name}: {failure.__name__}")
    for backend in BACKENDS
    for call in backend.calls
    for failure in FAILURES
    if call.otherwise.get(failure) != NOT_SAID
]


@pytest.fixture(scope="module")
def simulators() -> ASGIApp:
    return create_app(None)


@asynccontextmanager
async def opened(backend: Backend, url: str) -> AsyncIterator[HttpBackend]:
    """As the gateway opens it."""
    source: HttpBackend = backend.source.open(_sandboxed(Settings(), url)[backend.block])
    if isinstance(source, Openai):
        # A stream has no deadline: whoever listens may do so for minutes.
        source.patience = Patience(first_s=IMPATIENT_S, between_s=IMPATIENT_S, whole_s=IMPATIENT_S)
    try:
        yield source
    finally:
        await source.aclose()


async def outcome(source: HttpBackend, call: Call, within_s: float) -> BackendError | None:
    """The error that the call ends in, in time."""
    if call.before is not None:
        with operation.running(operation.within(DEADLINE_S)):
            await call.before(source)
    started = time.monotonic()
    try:
        with operation.running(operation.within(within_s)):
            await call.make(source)
    except BackendError as exc:
        return exc
    finally:
        assert time.monotonic() - started < within_s + SLACK_S
    return None


def code_of(error: BackendError | None) -> str:
    return FINE if error is None else str(error.extensions["code"])


def left_clean(source: HttpBackend) -> None:
    assert source._in_flight == 0
    others = asyncio.all_tasks() - {asyncio.current_task()}
    assert [task for task in others if "datasources" in repr(task.get_coro())] == []


@pytest.mark.parametrize(("backend", "call", "failure"), CASES)
async def test_a_failure_ends_as_what_it_is(
    simulators: ASGIApp, backend: Backend, call: Call, failure: Failure
) -> None:
    stage = Stage(simulators, call.strikes, failure, backend.error_inside.encode())
    async with on_stage(stage) as url, opened(backend, url) as source:
        error = await outcome(source, call, IMPATIENT_S if failure in IMPATIENT else DEADLINE_S)
        assert code_of(error) == call.otherwise.get(failure, FAILURES[failure])
        if error is not None:
            assert error.source is source.name
            assert not any(secret in str(error) for secret in (url.removeprefix("http://"), *SECRETS))
        if failure is limits_its_rate and error is not None:
            assert error.retry_after_s == RETRY_AFTER_S
        is_outage = failure in (drops, is_overrun) or (failure is breaks_off and not call.once_begun)
        assert len(stage.struck) == (call.tries if is_outage else 1)
        assert not any("elsewhere" in line for line in stage.asked)
        left_clean(source)


@pytest.mark.parametrize(("backend", "call"), CALLS)
async def test_a_backend_that_is_down_is_unavailable(backend: Backend, call: Call) -> None:
    call = replace(call, before=None)
    async with on_stage(Stage(_nobody)) as url:
        pass
    async with opened(backend, url) as source:
        assert code_of(await outcome(source, call, DEADLINE_S)) == UNAVAILABLE
        left_clean(source)


@pytest.mark.parametrize(("backend", "call"), CALLS)
async def test_a_backend_that_anybody_could_be_is_told_nothing(
    backend: Backend, call: Call, self_signed: ssl.SSLContext
) -> None:
    """Its certificate is signed by nobody whom we know."""
    call = replace(call, before=None)
    stage = Stage(_nobody)
    async with on_stage(stage, tls=self_signed) as url, opened(backend, url) as source:
        assert code_of(await outcome(source, call, DEADLINE_S)) == UNAVAILABLE
        assert stage.asked == []
        left_clean(source)


@pytest.mark.parametrize(("backend", "call"), CALLS)
async def test_what_has_failed_works_again(simulators: ASGIApp, backend: Backend, call: Call) -> None:
    """And did not fail for want of anything else."""
    stage = Stage(simulators, call.strikes, fails)
    async with on_stage(stage) as url, opened(backend, url) as source:
        assert await outcome(source, call, DEADLINE_S) is not None
        stage.failure = None
        assert await outcome(source, call, DEADLINE_S) is None
        assert source.breaker.state is CircuitState.CLOSED


async def _nobody(scope: Any, receive: Any, send: Any) -> None:
    raise AssertionError("nobody is here to be asked")


@pytest.fixture(scope="module")
def self_signed(tmp_path_factory: pytest.TempPathFactory) -> ssl.SSLContext:
    return _certified(tmp_path_factory.mktemp("tls"))


def _certified(folder: Path) -> ssl.SSLContext:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    pem = serialization.Encoding.PEM
    file = folder / "server.pem"
    file.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + certificate.public_bytes(pem)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context
