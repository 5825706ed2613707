"""Mail: SendGrid's v3 API.

There is no idempotency: a mail that is sent twice arrives twice. So nothing here is repeated, and a failure says
whether the mail may have been accepted all the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import httpx
import msgspec

from core.backends import BackendName
from core.settings import SendgridSettings
from datasources._handover import MessageBackend, OutcomeUnknown
from datasources._http import Answer, Limits, open_client

__all__ = ["Mail", "OutcomeUnknown", "Recipient", "Sendgrid", "TemplateMail"]


@dataclass(frozen=True, slots=True)
class Recipient:
    address: str
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Mail:
    """`message_key` comes back in every event about this mail, as `gateway_message_id`. Each of `to` gets a mail of
    their own. At least one of `text` and `html` is given."""

    to: Sequence[Recipient]
    subject: str
    message_key: str
    text: str | None = None
    html: str | None = None
    categories: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class TemplateMail:
    """A mail whose subject and content are a dynamic template's, filled with `data`; the rest as in `Mail`."""

    to: Sequence[Recipient]
    template_id: str
    data: Mapping[str, Any]
    message_key: str


class _Scopes(msgspec.Struct, frozen=True):
    scopes: list[str]


class _ErrorDetail(msgspec.Struct, frozen=True):
    message: str
    field: str | None = None


class _ErrorBody(msgspec.Struct, frozen=True):
    errors: list[_ErrorDetail]


class Sendgrid(MessageBackend):
    name: ClassVar[BackendName] = BackendName.SENDGRID

    def __init__(self, client: httpx.AsyncClient, settings: SendgridSettings, limits: Limits | None = None) -> None:
        super().__init__(client, limits or Limits(timeout_s=settings.timeout_s))
        self._sender = settings.sender

    @classmethod
    def open(cls, settings: SendgridSettings) -> Self:
        """Raises ValueError without an API key."""
        if settings.api_key is None:
            raise ValueError("SENDGRID_API_KEY is needed")
        headers = {"Authorization": f"Bearer {settings.api_key.get_secret_value()}"}
        return cls(open_client(str(settings.api_base), headers), settings)

    async def ping(self) -> None:
        """`GET /v3/scopes`"""
        await self.read("GET", "/v3/scopes", _Scopes)

    async def send_mail(self, mail: Mail) -> str | None:
        """Hand over one mail: the id under which SendGrid queued it, None where it gives none.
        `POST /v3/mail/send`

        Raises: OutcomeUnknown when it may have been accepted; any other BackendError means that it surely was not.
        """
        # In this order: plain text comes first.
        content = {"text/plain": mail.text, "text/html": mail.html}
        return await self._send(
            {
                "personalizations": [_envelope(each, mail.message_key) for each in mail.to],
                "subject": mail.subject,
                "content": [{"type": kind, "value": value} for kind, value in content.items() if value],
                **({"categories": list(mail.categories)} if mail.categories else {}),
            }
        )

    async def send_template(self, mail: TemplateMail) -> str | None:
        """As `send_mail`; a template that the account does not have is refused."""
        envelopes = [
            {**_envelope(each, mail.message_key), "dynamic_template_data": dict(mail.data)} for each in mail.to
        ]
        return await self._send({"personalizations": envelopes, "template_id": mail.template_id})

    async def _send(self, body: Mapping[str, Any]) -> str | None:
        sender = {"from": {"email": self._sender}}
        answer = await self.hand_over("POST", "/v3/mail/send", json={**body, **sender})
        if answer.body:
            # An accepted mail is answered without a word; somebody else is speaking.
            raise self.unknown()
        return answer.headers.get("x-message-id")

    def refusal(self, answer: Answer) -> tuple[str, str | None]:
        try:
            errors = msgspec.json.decode(answer.body, type=_ErrorBody).errors
        except msgspec.DecodeError:
            return super().refusal(answer)
        if not errors:
            return super().refusal(answer)
        return errors[0].message, errors[0].field


def _envelope(to: Recipient, message_key: str) -> dict[str, Any]:
    """One for each recipient, so that none sees the address of another."""
    recipient = {"email": to.address} | ({"name": to.name} if to.name else {})
    return {"to": [recipient], "custom_args": {"gateway_message_id": message_key}}
