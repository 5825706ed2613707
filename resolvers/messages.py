"""Mail and SMS to people: to whom, how much, and at most once.

Before a message is handed over, its row stands in the outbox under the effective idempotency key. Whoever repeats the
request finds there how it ended: what was sent, or may have been, is not sent again.
"""

from __future__ import annotations

import logging
import re
import time
import unicodedata
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any
from uuid import uuid4

import orjson

from core import operation
from core.errors import BackendError, BackendRejected, BadUserInput, GatewayError
from datasources.mongo import MessageStatus
from datasources.sendgrid import Mail, OutcomeUnknown, Recipient, TemplateMail
from datasources.twilio import LONGEST_SMS
from resolvers._person import checked_email
from resolvers.bounds import check_long_text
from resolvers.context import Context

log = logging.getLogger("omnistack.messages")

MOST_RECIPIENTS = 100
LONGEST_SUBJECT, LONGEST_TEXT, LONGEST_HTML = 500, 100_000, 500_000
MOST_DATA_BYTES = 100_000
SETTLING_S = 5.0
"""For the last word about a message, whatever is left of the deadline."""
_TEMPLATE = re.compile(r"d-[0-9a-f]{32}")
_E164 = re.compile(r"\+[1-9]\d{6,14}", re.ASCII)
_ENDS_A_LINE = {"Cc", "Zl", "Zp", "Cs"}
"""Unicode's categories of control characters and line ends, and of halves of characters."""

SendTo = Callable[[str], Awaitable[str | None]]
"""Hands the message with this key over: the id that its provider gave it, or None."""


class MessageChannel(Enum):
    EMAIL = "EMAIL"
    SMS = "SMS"


@dataclass(frozen=True, slots=True)
class SentMessageRecord:
    """`id` is the provider's, where it gave one."""

    id: str | None
    status: str
    channel: MessageChannel


async def send_email(
    ctx: Context, *, to: Sequence[str], subject: str, text: str | None, html: str | None
) -> SentMessageRecord:
    """To each recipient a mail of their own, at most once.

    Raises BadUserInput for recipients, a subject or contents that are none; BackendError when it surely was not sent.
    """
    recipients = _recipients(to)
    subject = _subject(subject)
    text, html = _content("text", text, LONGEST_TEXT), _content("html", html, LONGEST_HTML)
    if text is None and html is None:
        raise BadUserInput("`text` or `html` is needed")

    async def send(key: str) -> str | None:
        return await ctx.sources.sendgrid.send_mail(Mail(recipients, subject, key, text=text, html=html))

    return await _once(ctx, MessageChannel.EMAIL, send)


async def send_template_email(ctx: Context, *, to: Sequence[str], template_id: str, data: object) -> SentMessageRecord:
    """As `send_email`, with subject and contents of a dynamic template that `data` fills."""
    recipients = _recipients(to)
    if not _TEMPLATE.fullmatch(template_id):
        raise BadUserInput("`templateId` is that of a dynamic template: d- and 32 hexadecimal digits")
    filled = _template_data(data)

    async def send(key: str) -> str | None:
        return await ctx.sources.sendgrid.send_template(TemplateMail(recipients, template_id, filled, key))

    return await _once(ctx, MessageChannel.EMAIL, send)


async def send_sms(ctx: Context, *, to: str, body: str) -> SentMessageRecord:
    """At most once. Raises as `send_email`."""
    if not _E164.fullmatch(to):
        raise BadUserInput("`to` is a telephone number of E.164, such as +355691234567")
    told = _content("body", body, LONGEST_SMS)
    if told is None:
        raise BadUserInput("`body` is empty")

    async def send(key: str) -> str | None:
        return (await ctx.sources.twilio.send_sms(to, told)).sid

    return await _once(ctx, MessageChannel.SMS, send)


# -- at most once ------------------------------------------------------------------------------------------------------


async def _once(ctx: Context, channel: MessageChannel, send: SendTo) -> SentMessageRecord:
    mongo, key = ctx.sources.mongo, f"message:{ctx.idempotency_key() or uuid4().hex}"
    claim = await mongo.claim_message(key)
    if claim.status is not MessageStatus.SENDING:
        return SentMessageRecord(claim.provider_id, claim.status.value, channel)
    try:
        provider_id = await send(key)
    except OutcomeUnknown as exc:
        await _settle(mongo.settle_message(key, MessageStatus.UNKNOWN, detail=str(exc)))
        return SentMessageRecord(None, MessageStatus.UNKNOWN.value, channel)
    except BackendRejected as exc:
        await _settle(mongo.settle_message(key, MessageStatus.FAILED, detail=str(exc)))
        raise
    except GatewayError:
        # It surely was not sent, and may be under the same key.
        await _settle(mongo.release_message(key))
        raise
    await _settle(mongo.settle_message(key, MessageStatus.SENT, provider_id=provider_id))
    return SentMessageRecord(provider_id, MessageStatus.SENT.value, channel)


async def _settle(last_word: Awaitable[None]) -> None:
    """Say how it ended. That stands even when it cannot be said: then the next try finds it unknown."""
    running = operation.current()
    with operation.running(replace(running, deadline=time.monotonic() + SETTLING_S)):
        try:
            await last_word
        except BackendError as exc:
            log.warning("the end of a message was not kept: %s", exc, extra={"request_id": running.request_id})


# -- what may be sent --------------------------------------------------------------------------------------------------


def _recipients(to: Sequence[str]) -> list[Recipient]:
    """Each once, however it is written. Raises BadUserInput."""
    if not 1 <= len(to) <= MOST_RECIPIENTS:
        raise BadUserInput(f"`to` names 1 to {MOST_RECIPIENTS} recipients")
    addresses: dict[str, str] = {}
    for each in to:
        address = checked_email("to", each)
        addresses.setdefault(address.casefold(), address)
    return [Recipient(address) for address in addresses.values()]


def _subject(subject: str) -> str:
    """One line, so that no header can hide in it. Raises BadUserInput."""
    stripped = subject.strip()
    if not 1 <= len(stripped) <= LONGEST_SUBJECT:
        raise BadUserInput(f"`subject` has 1 to {LONGEST_SUBJECT} characters")
    if any(unicodedata.category(char) in _ENDS_A_LINE for char in stripped):
        raise BadUserInput("`subject` is one line, without control characters")
    return stripped


def _content(field: str, value: str | None, longest: int) -> str | None:
    """None for nothing but blanks. Raises BadUserInput."""
    if value is None or not value.strip():
        return None
    check_long_text(field, value, longest)
    return value


def _template_data(data: object) -> Mapping[str, Any]:
    """Raises BadUserInput for what is no object, or no JSON of a reasonable size."""
    if not isinstance(data, Mapping):
        raise BadUserInput("`data` is an object")
    try:
        size = len(orjson.dumps(data))
    except TypeError as exc:
        raise BadUserInput("`data` holds a number that is too large, or is nested too deeply") from exc
    if size > MOST_DATA_BYTES:
        raise BadUserInput(f"`data` has at most {MOST_DATA_BYTES} bytes")
    return data
