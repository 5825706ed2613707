"""Mail: SendGrid's v3 API.

There is no idempotency: a mail that is sent twice arrives twice. So nothing here is repeated, and a failure says
whether the mail may have been accepted all the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import aiohttp
import httpx
import msgspec

from core.backends import BackendName
from core.errors import BackendBadResponse, BackendTimeout, BackendUnavailable
from core.settings import SendgridSettings
from datasources._http import Answer, HttpBackend, Limits, open_client

SEND_S = 10.0


class OutcomeUnknown(BackendTimeout):
    """The mail went out of our hands and no answer came back: it may arrive or not. Never send it again."""


@dataclass(frozen=True, slots=True)
class Mail:
    """`message_key` comes back in every event about this mail, as `gateway_message_id`."""

    to_address: str
    to_name: str | None
    subject: str
    text: str
    message_key: str
    html: str | None = None
    categories: Sequence[str] = ()


class _Scopes(msgspec.Struct, frozen=True):
    scopes: list[str]


class _ErrorDetail(msgspec.Struct, frozen=True):
    message: str
    field: str | None = None


class _ErrorBody(msgspec.Struct, frozen=True):
    errors: list[_ErrorDetail]


class Sendgrid(HttpBackend):
    name: ClassVar[BackendName] = BackendName.SENDGRID
    send_timeout_s: float = SEND_S

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
        recipient = {"email": mail.to_address} | ({"name": mail.to_name} if mail.to_name else {})
        content = [{"type": "text/plain", "value": mail.text}]
        if mail.html:
            content.append({"type": "text/html", "value": mail.html})
        body = {
            "personalizations": [{"to": [recipient], "custom_args": {"gateway_message_id": mail.message_key}}],
            "from": {"email": self._sender},
            "subject": mail.subject,
            "content": content,
            **({"categories": list(mail.categories)} if mail.categories else {}),
        }
        try:
            answer = await self.send("POST", "/v3/mail/send", json=body, timeout_s=self.send_timeout_s)
        except (BackendTimeout, BackendBadResponse) as exc:
            raise self._unknown() from exc
        except BackendUnavailable as exc:
            if _may_have_arrived(exc):
                raise self._unknown() from exc
            raise
        if answer.body:
            # An accepted mail is answered without a word; somebody else is speaking.
            raise self._unknown()
        return answer.headers.get("x-message-id")

    def _unknown(self) -> OutcomeUnknown:
        return OutcomeUnknown(self.name, "the mail was handed over, but no answer came back")

    def refusal(self, answer: Answer) -> tuple[str, str | None]:
        try:
            errors = msgspec.json.decode(answer.body, type=_ErrorBody).errors
        except msgspec.DecodeError:
            return super().refusal(answer)
        if not errors:
            return super().refusal(answer)
        return errors[0].message, errors[0].field


def _may_have_arrived(exc: BackendUnavailable) -> bool:
    """Whether the request may have been written: a connection that was lost, not one that was never made.

    An answer of 5xx, an open circuit and a full queue have no httpx error as their cause.
    """
    cause = exc.__cause__
    if not isinstance(cause, httpx.HTTPError):
        return False
    never_connected = isinstance(cause.__cause__, aiohttp.ClientConnectorError | ConnectionRefusedError)
    return not (never_connected or (isinstance(cause, httpx.ConnectError) and cause.__cause__ is None))
