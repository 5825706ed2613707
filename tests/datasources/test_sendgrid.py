"""SendGrid's wire, and above all: whether a mail that failed may have gone out."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
import pytest

from core import operation
from core.errors import BackendError, BackendRateLimited, BackendRejected, BackendTimeout, BackendUnavailable
from core.settings import SendgridSettings
from datasources._http import Limits
from datasources.sendgrid import Mail, OutcomeUnknown, Recipient, Sendgrid, TemplateMail
from sandbox import sendgrid as simulator
from sandbox.faults import FaultLine
from sandbox.keys import SENDGRID_API_KEY, SENDGRID_FROM
from sandbox.store import Store

ADA = Recipient("ada@example.com", "Ada")
MAIL = Mail([ADA], "Order 1", "m1", text="Thank you.", html="<p>Thank you.</p>", categories=("orders",))


def settings(**changes: object) -> SendgridSettings:
    return SendgridSettings.model_validate({"sender": SENDGRID_FROM, "api_key": SENDGRID_API_KEY, **changes})


def answering(answer: Callable[[httpx.Request], httpx.Response]) -> Sendgrid:
    return Sendgrid(httpx.AsyncClient(base_url="http://sendgrid", transport=httpx.MockTransport(answer)), settings())


async def test_a_mail_is_sent_with_its_key_and_gives_the_id_it_got() -> None:
    sent: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(202, headers={"X-Message-Id": "14c5.dfd"})

    assert await answering(answer).send_mail(MAIL) == "14c5.dfd"
    [request] = sent
    assert (request.method, request.url.path) == ("POST", "/v3/mail/send")
    assert json.loads(request.content) == {
        "personalizations": [
            {
                "to": [{"email": "ada@example.com", "name": "Ada"}],
                "custom_args": {"gateway_message_id": "m1"},
            }
        ],
        "from": {"email": SENDGRID_FROM},
        "subject": "Order 1",
        "content": [
            {"type": "text/plain", "value": "Thank you."},
            {"type": "text/html", "value": "<p>Thank you.</p>"},
        ],
        "categories": ["orders"],
    }


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (httpx.Response(400, json={"errors": [{"message": "bad", "field": "from"}]}), BackendRejected),
        (httpx.Response(429, json={"errors": [{"message": "too many requests"}]}), BackendRateLimited),
        (httpx.Response(503, text="<html>"), BackendUnavailable),
        (httpx.Response(500), BackendUnavailable),
    ],
)
async def test_a_mail_that_was_refused_surely_did_not_go_out(answer: httpx.Response, error: type[BackendError]) -> None:
    with pytest.raises(error) as refused:
        await answering(lambda request: answer).send_mail(MAIL)
    assert not isinstance(refused.value, OutcomeUnknown)


async def test_a_refusal_tells_its_first_error_and_field() -> None:
    said = "No verified sender. See https://sendgrid.example/x"
    answer = httpx.Response(403, json={"errors": [{"message": said, "field": "from", "help": None}]})
    with pytest.raises(BackendRejected) as refused:
        await answering(lambda request: answer).send_mail(MAIL)
    assert (str(refused.value), refused.value.reason) == ("No verified sender. See", "from")


async def test_an_answer_that_says_something_is_not_sendgrids() -> None:
    with pytest.raises(OutcomeUnknown):
        await answering(lambda request: httpx.Response(200, text='{"da')).send_mail(MAIL)


# -- on a real socket, with the real engine ------------------------------------------------------------------------


@asynccontextmanager
async def server(reply: bytes | None) -> AsyncIterator[str]:
    """Reads a whole request, then answers `reply` and closes; None: never answers."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(int(line[15:]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length"))
        await reader.readexactly(length)
        if reply is None:
            await reader.read()
        else:
            writer.write(reply)
            await writer.drain()
        writer.close()

    served = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with served:
        yield f"http://127.0.0.1:{served.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize("reply", [b"", b"HTTP/1.1 202 Acc", None], ids=["cut", "cut in the answer", "silent"])
async def test_a_mail_whose_answer_is_lost_may_have_gone_out(reply: bytes | None) -> None:
    async with server(reply) as url:
        sendgrid = Sendgrid.open(settings(api_base=url))
        with pytest.raises(OutcomeUnknown):
            async with asyncio.timeout(5):
                await _hurried(sendgrid).send_mail(MAIL)
        await sendgrid.aclose()


async def test_a_mail_that_nobody_took_surely_did_not_go_out() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        sendgrid = Sendgrid.open(settings(api_base=f"http://127.0.0.1:{bound.getsockname()[1]}"))
        with pytest.raises(BackendUnavailable) as refused:
            await sendgrid.send_mail(MAIL)
        await sendgrid.aclose()
    assert not isinstance(refused.value, OutcomeUnknown)


def _hurried(sendgrid: Sendgrid) -> Sendgrid:
    hurried = Sendgrid(sendgrid._client, settings(), Limits())
    hurried.send_timeout_s = 0.3
    return hurried


# -- against the simulator -----------------------------------------------------------------------------------------


@asynccontextmanager
async def simulated() -> AsyncIterator[tuple[Sendgrid, FaultLine]]:
    store = Store(None)
    store.seed(simulator.seed)
    line = FaultLine(simulator.create_app(store))
    headers = {"Authorization": f"Bearer {SENDGRID_API_KEY}"}
    transport = httpx.ASGITransport(app=line)
    async with httpx.AsyncClient(base_url="http://sendgrid", headers=headers, transport=transport) as client:
        yield Sendgrid(client, settings()), line


async def test_the_simulator_accepts_what_we_send() -> None:
    async with simulated() as (sendgrid, _):
        assert await sendgrid.send_mail(MAIL)


async def test_an_open_circuit_surely_sends_nothing() -> None:
    async with simulated() as (sendgrid, line):
        line.replace([{"kind": "status"}])
        for _ in range(5):
            with pytest.raises(BackendUnavailable):
                await sendgrid.send_mail(MAIL)
        line.calls.clear()
        with pytest.raises(BackendUnavailable) as refused:
            await sendgrid.send_mail(MAIL)
        assert not isinstance(refused.value, OutcomeUnknown)
        assert not line.calls


async def test_ping_answers() -> None:
    async with simulated() as (sendgrid, _):
        await sendgrid.ping()


# -- several recipients, templates ---------------------------------------------------------------------------------


async def test_each_recipient_gets_a_mail_of_their_own() -> None:
    sent: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(202)

    mail = Mail([ADA, Recipient("ben@example.com")], "Hello", "m2", html="<p>Hello.</p>")
    assert await answering(answer).send_mail(mail) is None
    body = json.loads(sent[0].content)
    assert [each["to"] for each in body["personalizations"]] == [
        [{"email": "ada@example.com", "name": "Ada"}],
        [{"email": "ben@example.com"}],
    ]
    assert {each["custom_args"]["gateway_message_id"] for each in body["personalizations"]} == {"m2"}
    assert body["content"] == [{"type": "text/html", "value": "<p>Hello.</p>"}]


async def test_a_template_is_filled_for_each_recipient() -> None:
    sent: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(202, headers={"X-Message-Id": "t1"})

    template = "d-0123456789abcdef0123456789abcdef"
    assert await answering(answer).send_template(TemplateMail([ADA], template, {"order_number": 7}, "m3")) == "t1"
    assert json.loads(sent[0].content) == {
        "personalizations": [
            {
                "to": [{"email": "ada@example.com", "name": "Ada"}],
                "custom_args": {"gateway_message_id": "m3"},
                "dynamic_template_data": {"order_number": 7},
            }
        ],
        "template_id": template,
        "from": {"email": SENDGRID_FROM},
    }


async def test_the_simulator_knows_its_templates_and_no_others() -> None:
    async with simulated() as (sendgrid, _):
        data = {"order_number": 7}
        assert await sendgrid.send_template(TemplateMail([ADA], "d-0123456789abcdef0123456789abcdef", data, "m4"))
        with pytest.raises(BackendRejected) as refused:
            await sendgrid.send_template(TemplateMail([ADA], "d-" + "0" * 32, data, "m5"))
        assert refused.value.status == 400


async def test_a_mail_for_which_no_time_was_left_surely_did_not_go_out() -> None:
    async with simulated() as (sendgrid, line):
        with operation.running(operation.within(0)), pytest.raises(BackendTimeout) as late:
            await sendgrid.send_mail(MAIL)
        assert not isinstance(late.value, OutcomeUnknown)
        assert not line.calls
