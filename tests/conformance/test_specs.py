"""Every request that our clients make of an API with an official description fits that description."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from core import operation
from core.errors import BackendRejected
from core.person import Person
from core.settings import OpenaiSettings, SendgridSettings, StripeSettings, TwilioSettings
from datasources._http import HttpBackend
from datasources.openai import ChatMessage, ChatRequest, Openai
from datasources.sendgrid import Mail, Recipient, Sendgrid, TemplateMail
from datasources.stripe import API_VERSION, NewHold, NewIntent, NewSubscription, Stripe
from datasources.twilio import Twilio, credentials
from sandbox import keys
from sandbox.app import create_app
from sandbox.stripe.seeding import PRICE_ID
from tests.callers import WORLD
from tests.conformance.prism import SPECS, ReadAlong, prisms, verdict

pytestmark = [
    pytest.mark.conformance,
    pytest.mark.timeout(420),
    pytest.mark.skipif(not SPECS.exists(), reason="the descriptions are not here"),
]

ADA = WORLD.customers[0]
PERSON = Person(ADA.id, ADA.name, ADA.email, ADA.phone)
LONG_AGO = datetime.now(UTC) - timedelta(days=1)
APIS = ("stripe", "sendgrid", "twilio", "openai")
SID = keys.TWILIO_ACCOUNT_SID
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/json"}
BEARER = {"Authorization": "Bearer sk_test_0123456789abcdef"}
TWILIO = TwilioSettings(
    account_sid=SID, auth_token=SecretStr(keys.TWILIO_AUTH_TOKEN), phone_number=keys.TWILIO_PHONE_NUMBER
)
CHAT = ChatRequest("gpt-4o-mini", [ChatMessage("system", "Be kind."), ChatMessage("user", "Hello")], 0.5, 20, "u1")

CANARIES = {
    "stripe": ("POST", "/v1/payment_intents", BEARER | FORM, b"amount=abc&currency=eur"),
    "stripe, a parameter that was removed": (
        "POST", "/v1/payment_intents", BEARER | FORM, b"amount=500&currency=eur&payment_method_types[0]=card",
    ),
    "sendgrid": (
        "POST", "/v3/mail/send", BEARER | JSON,
        b'{"from":{"email":"a@b.example"},"subject":"s","content":[{"type":"text/plain","value":"x"}]}',
    ),
    "twilio": (
        "POST", f"/2010-04-01/Accounts/{SID}/Messages.json", credentials(TWILIO) | FORM, b"From=%2B15005550006&Body=x",
    ),
    "openai": ("POST", "/chat/completions", BEARER | JSON, b'{"messages":[{"role":"user","content":"x"}]}'),
}  # fmt: skip
"""Requests that must be refused: where a description does not compile, Prism accepts everything."""


@pytest.fixture(scope="module")
async def descriptions() -> AsyncIterator[dict[str, str]]:
    async with prisms(*APIS) as urls:
        for name, (method, path, headers, content) in CANARIES.items():
            status, text = await verdict(method, urls[name.partition(",")[0]] + path, headers, content)
            assert status in (400, 422), f"{name} is not checked at all: {status} {text[:300]}"
        yield urls


@pytest.fixture
def read_along(descriptions: dict[str, str]) -> Callable[..., ReadAlong]:
    app = create_app(None)

    def make(api: str, prefix: str, *unknown: str) -> ReadAlong:
        return ReadAlong(app, descriptions[api], prefix, frozenset(unknown))

    return make


Calls = Mapping[str, Callable[[Any], Awaitable[object]]]


async def check(source: HttpBackend, along: ReadAlong, calls: Calls) -> None:
    """Make every call, in their order, and see that no other could be made."""
    methods = {
        name
        for name, method in vars(type(source)).items()
        if not name.startswith("_") and (inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method))
    }
    assert {name.partition(",")[0] for name in calls} == methods - {"aclose"}, "add a call of each method"
    for name, make in calls.items():
        before = len(along.read) + len(along.without_spec)
        with operation.running(operation.within(60)):
            await make(source)
        assert len(along.read) + len(along.without_spec) > before, f"{name} asks nothing"
    assert along.refused == []
    assert along.without_spec == along.unknown, "what is described need not be excused"
    await source.aclose()


def client(along: ReadAlong, path: str, headers: Mapping[str, str]) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=along, base_url=f"http://sandbox/{path}", headers=dict(headers))


async def test_what_stripe_is_asked(read_along: Callable[..., ReadAlong]) -> None:
    along = read_along("stripe", "/stripe")
    headers = {"Authorization": f"Bearer {keys.STRIPE_SECRET_KEY}", "Stripe-Version": API_VERSION}
    stripe = Stripe(client(along, "stripe", headers), StripeSettings())
    made: dict[str, Any] = {}

    async def hold(name: str) -> None:
        new = NewHold(Decimal("12.50"), "EUR", ADA.stripe_id, ADA.card_id, f"workflow-{name}")
        made[name] = await stripe.create_hold(new, key=f"key-{name}")

    async def bought() -> None:
        await hold("refunded")
        await stripe.capture(made["refunded"].id, key="capture-2")
        await stripe.cancel_or_refund(made["refunded"].id, key="undo-2")

    async def subscribed() -> None:
        made["subscription"] = await stripe.create_subscription(
            NewSubscription(ADA.stripe_id, PRICE_ID, {"client": "x"}), key="key-subscription"
        )

    await check(
        stripe,
        along,
        {
            "ping": lambda s: s.ping(),
            "customers_of": lambda s: s.customers_of(PERSON),
            "create_customer": lambda s: s.create_customer(PERSON),
            "customer": lambda s: s.customer(ADA.stripe_id),
            "create_guest": lambda s: s.create_guest("client", "guest@example.com", None),
            "guests": lambda s: s.guests("client", "guest@example.com"),
            "payment_methods": lambda s: s.payment_methods(ADA.stripe_id),
            "default_payment_method": lambda s: s.default_payment_method(ADA.stripe_id),
            "has_payment_method": lambda s: s.has_payment_method(ADA.stripe_id, ADA.card_id),
            "create_hold": lambda s: hold("taken"),
            "capture": lambda s: s.capture(made["taken"].id, key="capture-1"),
            "intent": lambda s: s.intent(made["taken"].id),
            "find_intent": lambda s: s.find_intent(ADA.stripe_id, "workflow-taken", created_after=LONG_AGO),
            "refund": lambda s: s.refund(made["taken"].id, key="refund", amount=Decimal("2.50"), currency="EUR"),
            "refunds": lambda s: s.refunds(made["taken"].id),
            "cancel_or_refund, taken": lambda s: bought(),
            "create_hold, again": lambda s: hold("released"),
            "cancel_or_refund, held": lambda s: s.cancel_or_refund(made["released"].id, key="undo-1"),
            "create_intent": lambda s: s.create_intent(NewIntent(Decimal("5.00"), "EUR"), key="intent-1"),
            "create_intent, all said": lambda s: s.create_intent(
                NewIntent(Decimal(500), "ALL", ADA.stripe_id, ADA.card_id, hold=True, metadata={"order": "1"}),
                key="intent-2",
            ),
            "create_subscription": lambda s: subscribed(),
            "subscription": lambda s: s.subscription(made["subscription"].id),
            "cancel_subscription": lambda s: s.cancel_subscription(made["subscription"].id),
        },
    )


async def test_what_sendgrid_is_asked(read_along: Callable[..., ReadAlong]) -> None:
    along = read_along("sendgrid", "/sendgrid", "GET /v3/scopes")
    sendgrid = Sendgrid(
        client(along, "sendgrid", {"Authorization": f"Bearer {keys.SENDGRID_API_KEY}"}),
        SendgridSettings(api_key=SecretStr(keys.SENDGRID_API_KEY), sender=keys.SENDGRID_FROM),
    )
    people = [Recipient("ada@example.com", "Ada"), Recipient("ben@example.com")]

    async def unknown_template(source: Sendgrid) -> None:
        with suppress(BackendRejected):
            await source.send_template(TemplateMail(people, f"d-{'0' * 32}", {"name": "Ada", "rows": [1, 2]}, "key"))

    await check(
        sendgrid,
        along,
        {
            "ping": lambda s: s.ping(),
            "send_mail": lambda s: s.send_mail(Mail(people, "Hello", "key", text="Hello")),
            "send_mail, all said": lambda s: s.send_mail(
                Mail(people, "Hello", "key", text="Hello", html="<p>Hello</p>", categories=["order"])
            ),
            "send_template": unknown_template,
        },
    )


async def test_what_twilio_is_asked(read_along: Callable[..., ReadAlong]) -> None:
    along = read_along("twilio", "/twilio")
    twilio = Twilio(client(along, "twilio", credentials(TWILIO)), TWILIO)
    made: list[Any] = []

    async def send(source: Twilio) -> None:
        made.append(await source.send_sms("+355691234567", "Hello, Ada & Ben"))

    await check(twilio, along, {"ping": lambda s: s.ping(), "send_sms": send, "sms": lambda s: s.sms(made[0].sid)})


async def test_what_openai_is_asked(read_along: Callable[..., ReadAlong]) -> None:
    along = read_along("openai", "/openai/v1")
    openai = Openai(
        client(along, "openai/v1", {"Authorization": f"Bearer {keys.OPENAI_API_KEY}"}),
        OpenaiSettings(api_key=SecretStr(keys.OPENAI_API_KEY)),
    )

    async def listen(source: Openai) -> list[Any]:
        return [piece async for piece in source.chat_stream(CHAT)]

    await check(
        openai,
        along,
        {
            "ping": lambda s: s.ping(),
            "chat": lambda s: s.chat(CHAT),
            "chat, little said": lambda s: s.chat(ChatRequest("gpt-4o-mini", [ChatMessage("user", "Hello")])),
            "chat_stream": listen,
            "embeddings": lambda s: s.embeddings("text-embedding-3-small", ["one", "two"]),
        },
    )
