"""Mail and SMS: who gets what, and that nothing that may have gone out goes out again."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

import httpx
import pytest
from pydantic import SecretStr

from core import operation
from core.backends import BackendName
from core.errors import BackendError, BackendRateLimited, BackendRejected, BackendUnavailable, BadUserInput
from core.idempotency import KeyedRequest
from core.operation import Operation
from core.settings import SendgridSettings, TwilioSettings
from datasources.mongo import Mongo
from datasources.sendgrid import Sendgrid
from datasources.twilio import Twilio, credentials
from resolvers.context import Context
from resolvers.messages import (
    LONGEST_HTML,
    LONGEST_SUBJECT,
    LONGEST_TEXT,
    MOST_DATA_BYTES,
    MessageChannel,
    SentMessageRecord,
    send_email,
    send_sms,
    send_template_email,
)
from sandbox import keys
from sandbox import sendgrid as mail_simulator
from sandbox import twilio as sms_simulator
from sandbox.faults import FaultLine
from sandbox.store import Row, Store
from tests.callers import person, user

STAFF = user(person("STAFF"))
TEMPLATE = "d-0123456789abcdef0123456789abcdef"
ADA, BEN, NUMBER = "ada@example.com", "Ben@example.com", "+355691234567"
TWILIO = TwilioSettings(
    account_sid=keys.TWILIO_ACCOUNT_SID,
    auth_token=SecretStr(keys.TWILIO_AUTH_TOKEN),
    phone_number=keys.TWILIO_PHONE_NUMBER,
)


class PostOffice:
    """Both simulators behind their datasources, and the real outbox."""

    def __init__(self, mongo: Mongo) -> None:
        self.mongo: Any = mongo
        self.stores = {"sendgrid": Store(None), "twilio": Store(None)}
        self.stores["sendgrid"].seed(mail_simulator.seed)
        self.mail_line = FaultLine(mail_simulator.create_app(self.stores["sendgrid"]))
        self.sms_line = FaultLine(sms_simulator.create_app(self.stores["twilio"]))
        mail = {"authorization": f"Bearer {keys.SENDGRID_API_KEY}"}
        settings = SendgridSettings.model_validate({"sender": keys.SENDGRID_FROM})
        self.sendgrid: Any = Sendgrid(self._client(self.mail_line, mail), settings)
        self.twilio = Twilio(self._client(self.sms_line, credentials(TWILIO)), TWILIO)

    @staticmethod
    def _client(line: FaultLine, headers: dict[str, str]) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url="http://post", headers=headers, transport=httpx.ASGITransport(line))

    @property
    def mails(self) -> list[Row]:
        return self.stores["sendgrid"].rows("mail")

    @property
    def texts(self) -> list[Row]:
        return self.stores["twilio"].rows("message")

    def calls(self) -> int:
        return len(self.mail_line.calls) + len(self.sms_line.calls)

    def context(self, key: str | None = None) -> Context:
        """Of a mutation's field, under this key if there is one."""
        keyed = None if key is None else KeyedRequest(STAFF.id, "", key, uuid4().hex, path="sendEmail")
        operation.enter(Operation(keyed=keyed))
        sources = SimpleNamespace(mongo=self.mongo, sendgrid=self.sendgrid, twilio=self.twilio)
        return Context(cast("Any", sources), STAFF)

    async def mail(self, key: str | None = None, **changes: Any) -> SentMessageRecord:
        wanted = {"to": [ADA], "subject": "Hello", "text": "Hello.", "html": None, **changes}
        return await send_email(self.context(key), **wanted)

    async def text(self, key: str | None = None, **changes: Any) -> SentMessageRecord:
        return await send_sms(self.context(key), **{"to": NUMBER, "body": "Hello", **changes})

    async def template(self, key: str | None = None, **changes: Any) -> SentMessageRecord:
        wanted = {"to": [ADA], "template_id": TEMPLATE, "data": {"order_number": 7}, **changes}
        return await send_template_email(self.context(key), **wanted)

    async def outbox(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await self.mongo._db.outbox.find({}).to_list(None)
        return found


@pytest.fixture
async def post(empty_mongo: Mongo) -> AsyncIterator[PostOffice]:
    office = PostOffice(empty_mongo)
    sendgrid, twilio = office.sendgrid, office.twilio
    yield office
    await sendgrid.aclose()
    await twilio.aclose()


# -- what goes out -----------------------------------------------------------------------------------------------------


async def test_everybody_gets_a_mail_of_their_own_once(post: PostOffice) -> None:
    sent = await post.mail(to=[BEN, ADA, " ben@EXAMPLE.com "], subject=" Hello 👩‍💻 ", html="<p>Hello.</p>")
    assert [mail["to"] for mail in post.mails] == [[{"email": BEN}], [{"email": ADA}]]
    assert {mail["subject"] for mail in post.mails} == {"Hello 👩‍💻"}
    assert [part["type"] for part in post.mails[0]["content"]] == ["text/plain", "text/html"]
    assert {mail["from"]["email"] for mail in post.mails} == {keys.SENDGRID_FROM}
    assert sent == SentMessageRecord(post.mails[0]["message_id"], "SENT", MessageChannel.EMAIL)
    [row] = await post.outbox()
    assert {mail["custom_args"]["gateway_message_id"] for mail in post.mails} == {row["_id"]}
    assert (row["status"], row["providerId"]) == ("SENT", sent.id)


@pytest.mark.parametrize(("text", "html", "type"), [(" ", "<p>x</p>", "text/html"), ("x", "", "text/plain")])
async def test_one_of_text_and_html_is_enough(post: PostOffice, text: str, html: str, type: str) -> None:
    await post.mail(text=text, html=html)
    assert [[part["type"] for part in mail["content"]] for mail in post.mails] == [[type]]


async def test_a_template_is_filled_with_what_is_given(post: PostOffice) -> None:
    sent = await post.template(data={"order_number": 7, "items": [{"name": "Llambë"}]})
    [mail] = post.mails
    assert (mail["template_id"], mail["subject"]) == (TEMPLATE, "Your order {{order_number}}")
    assert mail["dynamic_template_data"] == {"order_number": 7, "items": [{"name": "Llambë"}]}
    assert (sent.status, sent.channel) == ("SENT", MessageChannel.EMAIL)


async def test_a_text_message_goes_out_from_the_companys_number(post: PostOffice) -> None:
    sent = await post.text(body="Përshëndetje")
    [message] = post.texts
    assert (message["to"], message["from"]) == (NUMBER, keys.TWILIO_PHONE_NUMBER)
    assert message["body"] == "Përshëndetje"
    assert sent == SentMessageRecord(message["sid"], "SENT", MessageChannel.SMS)


WITH_NUL = "a\0b"


@pytest.mark.parametrize(
    "changes",
    [
        {"to": []},
        {"to": [f"a{n}@example.com" for n in range(101)]},
        {"to": ["nobody"]},
        {"to": [ADA, "a@b.example\r\nBcc: c@d.example"]},
        {"to": ["a@b.example,c@d.example"]},
        {"to": ["Ada <a@b.example>"]},
        {"subject": " "},
        {"subject": "x" * (LONGEST_SUBJECT + 1)},
        {"subject": "Hello\r\nBcc: c@d.example"},
        {"subject": "Hello\nBcc: c@d.example"},
        {"subject": "Hello\u2028Bcc: c@d.example"},
        {"subject": "Hello\x85Bcc: c@d.example"},
        {"subject": WITH_NUL},
        {"text": None},
        {"text": " ", "html": "\n"},
        {"text": "x" * (LONGEST_TEXT + 1)},
        {"html": "x" * (LONGEST_HTML + 1)},
        {"text": WITH_NUL},
        {"html": "\ud800"},
    ],
    ids=lambda changes: repr(changes)[:40],
)
async def test_a_mail_that_is_none_is_refused_before_anything_happens(post: PostOffice, changes: Any) -> None:
    with pytest.raises(BadUserInput):
        await post.mail(**changes)
    assert post.calls() == 0
    assert await post.outbox() == []


def nested(depth: int) -> Any:
    return {"x": nested(depth - 1)} if depth else 1


@pytest.mark.parametrize(
    "changes",
    [
        {"template_id": "d-0123"},
        {"template_id": "d-" + "0" * 32 + "\n"},
        {"template_id": "0123456789abcdef0123456789abcdef"},
        {"data": [1]},
        {"data": None},
        {"data": {"x": "y" * MOST_DATA_BYTES}},
        {"data": {"x": 2**70}},
        {"data": nested(300)},
        {"data": {"x": WITH_NUL}},
        {"to": []},
    ],
    ids=lambda changes: repr(changes)[:40],
)
async def test_a_template_that_cannot_be_filled_is_refused_and_nothing_remains(post: PostOffice, changes: Any) -> None:
    with pytest.raises(BadUserInput):
        await post.template(**changes)
    assert post.calls() == 0
    assert await post.outbox() == []


@pytest.mark.parametrize(
    "changes",
    [
        {"to": "0691234567"},
        {"to": "+355 69 123 4567"},
        {"to": "+0691234567"},
        {"to": "+123456"},
        {"to": "+1234567890123456"},
        {"to": "whatsapp:+355691234567"},
        {"to": "+35569123456٧"},
        {"to": NUMBER + "\n"},
        {"body": " "},
        {"body": "x" * 1601},
        {"body": WITH_NUL},
    ],
    ids=lambda changes: repr(changes)[:40],
)
async def test_a_text_message_that_is_none_is_refused(post: PostOffice, changes: Any) -> None:
    with pytest.raises(BadUserInput):
        await post.text(**changes)
    assert post.calls() == 0
    assert await post.outbox() == []


# -- at most once ------------------------------------------------------------------------------------------------------


async def test_under_one_key_a_message_goes_out_once(post: PostOffice) -> None:
    first, again = await post.mail("k1"), await post.mail("k1")
    assert first == again
    assert len(post.mails) == 1
    await post.mail("k2")
    await post.mail()
    await post.mail()
    assert len(post.mails) == 4
    assert await post.text("k3") == await post.text("k3")
    assert len(post.texts) == 1


@pytest.mark.parametrize("send", ["mail", "template", "text"])
async def test_what_may_have_gone_out_is_not_sent_again(post: PostOffice, send: str) -> None:
    line = post.sms_line if send == "text" else post.mail_line
    line.replace([{"kind": "hang", "when": "after", "count": 1}])
    post.sendgrid.send_timeout_s = post.twilio.send_timeout_s = 0.1
    for _ in range(3):
        answer = await getattr(post, send)("k")
        assert (answer.id, answer.status) == (None, "UNKNOWN")
    assert len(post.mails) + len(post.texts) == 1
    assert post.calls() == 1


@pytest.mark.parametrize(("status", "expected"), [(503, BackendUnavailable), (429, BackendRateLimited)])
@pytest.mark.parametrize("send", ["mail", "text"])
async def test_what_surely_did_not_go_out_may_be_sent_under_the_same_key(
    post: PostOffice, send: str, status: int, expected: type[BackendError]
) -> None:
    line = post.sms_line if send == "text" else post.mail_line
    line.replace([{"kind": "status", "status": status}])
    with pytest.raises(expected) as refused:
        await getattr(post, send)("k")
    assert refused.value.retryable
    assert post.calls() == 1, "the caller decides whether it is tried again"
    line.replace([])
    assert (await getattr(post, send)("k")).status == "SENT"
    assert (await getattr(post, send)("k")).status == "SENT"
    assert len(post.mails) + len(post.texts) == 1


async def test_a_refusal_is_told_and_kept(post: PostOffice) -> None:
    with pytest.raises(BackendRejected) as refused:
        await post.text("k", to="+15005550004")
    assert refused.value.reason == "21610"
    [row] = await post.outbox()
    assert (row["status"], row["detail"]) == ("FAILED", "Attempt to send to unsubscribed recipient")
    assert await post.text("k") == SentMessageRecord(None, "FAILED", MessageChannel.SMS)
    assert post.calls() == 1


async def test_a_try_that_was_cut_off_leaves_a_message_unknown(post: PostOffice) -> None:
    post.mail_line.replace([{"kind": "hang"}])
    sending = asyncio.create_task(post.mail("k"))
    async with asyncio.timeout(10):
        while not post.calls():
            await asyncio.sleep(0.005)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    post.mail_line.replace([])
    assert (await post.mail("k")).status == "UNKNOWN"
    assert post.calls() == 1


async def test_of_many_tries_at_once_one_sends(post: PostOffice) -> None:
    answers = await asyncio.gather(*(asyncio.create_task(post.text("k")) for _ in range(8)))
    assert len(post.texts) == 1
    assert sorted(answer.status for answer in answers)[0] == "SENT"


class Wrapped:
    """Something with one method in another's place."""

    def __init__(self, inner: Any, name: str, method: Callable[..., Any]) -> None:
        self._inner = inner
        self.__dict__[name] = method

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


async def test_that_a_mail_was_sent_stands_though_it_cannot_be_kept(
    post: PostOffice, caplog: pytest.LogCaptureFixture
) -> None:
    async def down(*args: Any, **kwargs: Any) -> None:
        raise BackendUnavailable(BackendName.OMNISTACK, "down")

    store, post.mongo = post.mongo, Wrapped(post.mongo, "settle_message", down)
    with caplog.at_level(logging.WARNING, "omnistack.messages"):
        assert (await post.mail("k")).status == "SENT"
    assert len(caplog.records) == 1
    assert ADA not in caplog.text
    post.mongo = store
    assert (await post.mail("k")).status == "UNKNOWN"
    assert len(post.mails) == 1


async def test_how_it_ended_is_kept_though_no_time_is_left(post: PostOffice) -> None:
    inner = post.sendgrid

    async def at_the_last_moment(mail: Any) -> Any:
        sent = await inner.send_mail(mail)
        operation.current().deadline = time.monotonic() - 1
        return sent

    post.sendgrid = Wrapped(inner, "send_mail", at_the_last_moment)
    assert (await post.mail("k")).status == "SENT"
    [row] = await post.outbox()
    assert row["status"] == "SENT"
