"""Twilio's wire, and above all: whether an SMS that failed may have gone out."""

from __future__ import annotations

import asyncio
import base64
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest
from pydantic import HttpUrl, SecretStr

from core.errors import BackendError, BackendRateLimited, BackendRejected, BackendUnavailable
from core.settings import TwilioSettings
from datasources.twilio import OutcomeUnknown, SmsRecord, Twilio, credentials
from sandbox import keys
from sandbox import twilio as simulator
from sandbox.faults import FaultLine
from sandbox.store import Store
from tests.servers import answering as served_by

TO = "+355691234567"
QUEUED = {"sid": "SM" + "0" * 32, "status": "queued", "error_code": None, "error_message": None, "num_segments": "1"}
PATH = f"/2010-04-01/Accounts/{keys.TWILIO_ACCOUNT_SID}/Messages.json"


def settings(**changes: Any) -> TwilioSettings:
    known = {
        "account_sid": keys.TWILIO_ACCOUNT_SID,
        "auth_token": SecretStr(keys.TWILIO_AUTH_TOKEN),
        "phone_number": keys.TWILIO_PHONE_NUMBER,
    }
    return TwilioSettings.model_validate({**known, **changes})


def answering(answer: Callable[[httpx.Request], httpx.Response]) -> Twilio:
    return Twilio(httpx.AsyncClient(base_url="http://twilio", transport=httpx.MockTransport(answer)), settings())


async def test_an_sms_is_sent_as_a_form_and_gives_what_twilio_made_of_it() -> None:
    sent: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(201, json=QUEUED)

    assert await answering(answer).send_sms(TO, "Përshëndetje & 1+1=2") == SmsRecord("SM" + "0" * 32, "queued")
    [request] = sent
    assert (request.method, request.url.path) == ("POST", PATH)
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert parse_qsl(request.content.decode()) == [
        ("To", TO),
        ("From", keys.TWILIO_PHONE_NUMBER),
        ("Body", "Përshëndetje & 1+1=2"),
    ]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (httpx.Response(400, json={"code": 21211, "message": "Invalid 'To'", "status": 400}), BackendRejected),
        (httpx.Response(401, json={"code": 20003, "message": "Authenticate", "status": 401}), BackendRejected),
        (httpx.Response(429, json={"code": 20429, "message": "Too Many Requests", "status": 429}), BackendRateLimited),
        (httpx.Response(503, json={"code": 20503, "message": "Unavailable", "status": 503}), BackendUnavailable),
        (httpx.Response(201, json={**QUEUED, "status": "failed", "error_code": 30006}), BackendRejected),
    ],
)
async def test_an_sms_that_was_refused_surely_did_not_go_out(answer: httpx.Response, error: type[BackendError]) -> None:
    seen: list[str] = []

    def counted(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.path)
        return answer

    with pytest.raises(error) as refused:
        await answering(counted).send_sms(TO, "Hello")
    assert not isinstance(refused.value, OutcomeUnknown)
    assert len(seen) == 1, "no write is repeated"


async def test_a_refusal_tells_its_code() -> None:
    said = {"code": 21610, "message": "Attempt to send to unsubscribed recipient", "more_info": "https://x.example/1"}
    with pytest.raises(BackendRejected) as refused:
        await answering(lambda request: httpx.Response(400, json=said)).send_sms(TO, "Hello")
    assert (str(refused.value), refused.value.reason) == ("Attempt to send to unsubscribed recipient", "21610")
    with pytest.raises(BackendRejected) as refused:
        await answering(lambda request: httpx.Response(400, text="<html>")).send_sms(TO, "Hello")
    assert (str(refused.value), refused.value.reason) == ("twilio answered 400", None)


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(500, json={"code": 20500, "message": "Internal", "status": 500}),
        httpx.Response(502, text="<html>"),
        httpx.Response(504, text="<html>"),
        httpx.Response(201, text='{"sid": "SM'),
        httpx.Response(201, json={"sid": 7, "status": "queued"}),
        httpx.Response(302, headers={"location": "https://elsewhere.example"}),
    ],
    ids=["500", "502", "504", "cut", "wrong type", "redirect"],
)
async def test_what_does_not_tell_whether_it_was_taken_is_unknown(answer: httpx.Response) -> None:
    with pytest.raises(OutcomeUnknown):
        await answering(lambda request: answer).send_sms(TO, "Hello")


# -- on a real socket, with the real engine ------------------------------------------------------------------------


@pytest.mark.parametrize("reply", [b"", b"HTTP/1.1 201 Cre", None], ids=["cut", "cut in the answer", "silent"])
async def test_an_sms_whose_answer_is_lost_may_have_gone_out(reply: bytes | None) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if reply is None:
            await reader.read()
        else:
            writer.write(reply)
            await writer.drain()

    async with served_by(serve) as url:
        twilio = Twilio.open(settings(api_base=HttpUrl(url)))
        twilio.send_timeout_s = 0.3
        with pytest.raises(OutcomeUnknown):
            async with asyncio.timeout(5):
                await twilio.send_sms(TO, "Hello")
        await twilio.aclose()


async def test_an_sms_that_nobody_took_surely_did_not_go_out() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))  # bound but not listening: connections are refused
        twilio = Twilio.open(settings(api_base=HttpUrl(f"http://127.0.0.1:{bound.getsockname()[1]}")))
        with pytest.raises(BackendUnavailable) as refused:
            await twilio.send_sms(TO, "Hello")
        await twilio.aclose()
    assert not isinstance(refused.value, OutcomeUnknown)


# -- against the simulator -----------------------------------------------------------------------------------------


@asynccontextmanager
async def simulated(**changes: Any) -> AsyncIterator[Twilio]:
    line = FaultLine(simulator.create_app(Store(None)))
    known = settings(**changes)
    transport = httpx.ASGITransport(app=line)
    async with httpx.AsyncClient(base_url="http://twilio", headers=credentials(known), transport=transport) as client:
        yield Twilio(client, known)


async def test_the_simulator_takes_what_we_send_and_knows_it_again() -> None:
    async with simulated() as twilio:
        await twilio.ping()
        sent = await twilio.send_sms(TO, "Hello")
        assert sent.status == "queued"
        assert await twilio.sms(sent.sid) == sent
        assert await twilio.sms("SM" + "9" * 32) is None


async def test_wrong_credentials_are_refused() -> None:
    async with simulated(auth_token=SecretStr("wrong")) as twilio:
        with pytest.raises(BackendRejected) as refused:
            await twilio.ping()
        assert (refused.value.status, refused.value.reason) == (401, "20003")


def test_it_says_who_we_are_by_account_and_token() -> None:
    [(name, value)] = credentials(settings()).items()
    pair = f"{keys.TWILIO_ACCOUNT_SID}:{keys.TWILIO_AUTH_TOKEN}".encode()
    assert (name, value) == ("Authorization", f"Basic {base64.b64encode(pair).decode()}")


@pytest.mark.parametrize("missing", ["auth_token", "account_sid", "phone_number"])
def test_it_needs_to_know_who_we_are(missing: str) -> None:
    with pytest.raises(ValueError, match=f"TWILIO_{missing.upper()}"):
        Twilio.open(settings(**{missing: None}))
