"""Messages as GraphQL clients send them: who may, what is answered, and what a repeated request does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest

from core.principals import Principal
from core.settings import Settings
from resolvers.context import Context
from resolvers.principals import BROWSER_WRITES
from schema import build_schema
from tests.callers import client, person, platform, user
from tests.fulfilment import Company

pytest_plugins = ["tests.engines"]

SCHEMA = build_schema(Settings())
BROWSER = replace(platform(server_side=False), allowed_writes=BROWSER_WRITES)
STAFF, CUSTOMER = user(person("STAFF", 2)), user(person("CUSTOMER", 2))
MAIL = 'sendEmail(input: {to: ["ada@example.com", "ben@example.com"], subject: "Hello", html: "<p>Hello.</p>"})'
TEMPLATE = 'sendTemplateEmail(input: {to: ["ada@example.com"], templateId: "%s", data: {order_number: 7, lines: [1]}})'
TEMPLATE %= "d-0123456789abcdef0123456789abcdef"
SMS = 'sendSms(input: {to: "+355691234567", body: "Hello"})'


class Post:
    """The whole schema before one company."""

    def __init__(self, company: Company) -> None:
        self.company = company

    async def ask(self, field: str, by: Principal = STAFF, key: str | None = None) -> Any:
        context = Context(self.company.sources, by, caller_key=key)
        return await SCHEMA.execute(f"mutation {{ sent: {field} {{ id status channel }} }}", context_value=context)

    def sent(self) -> int:
        return len(self.company.rows("sendgrid", "mail")) + len(self.company.rows("twilio", "message"))


@pytest.fixture
async def post(company: Company) -> Post:
    return Post(company)


@pytest.mark.parametrize(("field", "channel"), [(MAIL, "EMAIL"), (TEMPLATE, "EMAIL"), (SMS, "SMS")])
async def test_a_message_is_sent_and_answered_with_its_id(post: Post, field: str, channel: str) -> None:
    result = await post.ask(field)
    assert result.errors is None
    sent = result.data["sent"]
    assert sent["id"]
    assert (sent["status"], sent["channel"]) == ("SENT", channel)


@pytest.mark.parametrize("by", [CUSTOMER, BROWSER], ids=["customer", "browser"])
async def test_who_may_not_send_sends_nothing(post: Post, by: Principal) -> None:
    for field in (MAIL, TEMPLATE, SMS):
        result = await post.ask(field, by)
        assert [error.extensions["code"] for error in result.errors] == ["FORBIDDEN"]
    assert post.sent() == 0


async def test_a_client_may(post: Post) -> None:
    assert (await post.ask(SMS, client(2))).data["sent"]["status"] == "SENT"


@pytest.mark.parametrize(("field", "messages"), [(MAIL, 2), (TEMPLATE, 1), (SMS, 1)])
async def test_the_same_request_under_the_same_key_sends_once(post: Post, field: str, messages: int) -> None:
    key = uuid4().hex
    first, again = await post.ask(field, key=key), await post.ask(field, key=key)
    assert first.data == again.data
    assert again.extensions["idempotency"] == {"replayed": True}
    assert post.sent() == messages


async def test_what_was_not_sent_is_sent_by_the_next_try_and_what_may_have_been_is_not(post: Post) -> None:
    key = uuid4().hex
    post.company.fail("twilio", kind="status", status=503, count=1)
    refused = await post.ask(SMS, key=key)
    assert [error.extensions["code"] for error in refused.errors] == ["UPSTREAM_UNAVAILABLE"]
    assert (await post.ask(SMS, key=key)).data["sent"]["status"] == "SENT"
    assert post.sent() == 1
    other = uuid4().hex
    post.company.fail("twilio", kind="status", status=502, when="after", count=1)
    for _ in range(2):
        answer = (await post.ask(SMS, key=other)).data["sent"]
        assert answer == {"id": None, "status": "UNKNOWN", "channel": "SMS"}
    assert post.sent() == 2


async def test_two_fields_of_one_request_are_two_messages(post: Post) -> None:
    context = Context(post.company.sources, STAFF, caller_key=uuid4().hex)
    result = await SCHEMA.execute(f"mutation {{ a: {SMS} {{ id }} b: {SMS} {{ id }} }}", context_value=context)
    assert result.errors is None
    assert result.data is not None
    assert result.data["a"]["id"] != result.data["b"]["id"]
    assert post.sent() == 2


async def test_bad_input_is_told_with_the_name_of_its_field(post: Post) -> None:
    result = await post.ask(SMS.replace("+355691234567", "0691234567"))
    [error] = result.errors
    assert (error.extensions["code"], "`to`" in error.message) == ("BAD_USER_INPUT", True)
    assert post.sent() == 0
