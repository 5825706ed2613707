"""SMS: Twilio's Programmable Messaging, API of 2010-04-01. Forms go in, JSON comes out.

There is no idempotency: an SMS that is sent twice arrives, and is paid, twice.
"""

from __future__ import annotations

import base64
from collections.abc import Container
from typing import ClassVar, Self

import httpx
import msgspec

from core.backends import BackendName
from core.errors import BackendRejected
from core.settings import TwilioSettings
from datasources._handover import MessageBackend, OutcomeUnknown
from datasources._http import Answer, Limits, open_client

__all__ = ["LONGEST_SMS", "OutcomeUnknown", "SmsRecord", "Twilio"]

ACCOUNT = "/2010-04-01/Accounts/{account}"
LONGEST_SMS = 1600
"""Characters."""
IN_FLIGHT = 32
"""What Twilio limits is how many calls there are at once."""
NEVER_SENT = frozenset({"failed", "undelivered", "canceled"})


class SmsRecord(msgspec.Struct, frozen=True):
    """`status` is a word of Twilio's, such as `queued`, `accepted` or `delivered`."""

    sid: str
    status: str
    error_code: int | None = None


class _Account(msgspec.Struct, frozen=True):
    sid: str
    status: str


class _ErrorBody(msgspec.Struct, frozen=True):
    message: str
    code: int | None = None


class Twilio(MessageBackend):
    name: ClassVar[BackendName] = BackendName.TWILIO
    surely_refused: ClassVar[Container[int]] = frozenset({503})
    """What other failures of Twilio's own have done before they failed, nobody says."""

    def __init__(self, client: httpx.AsyncClient, settings: TwilioSettings, limits: Limits | None = None) -> None:
        super().__init__(client, limits or Limits(timeout_s=settings.timeout_s, in_flight=IN_FLIGHT))
        self._account = {"account": settings.account_sid or ""}
        self._from = settings.phone_number or ""

    @classmethod
    def open(cls, settings: TwilioSettings) -> Self:
        """Raises ValueError for what is not set."""
        needed = {
            "TWILIO_AUTH_TOKEN": settings.auth_token,
            "TWILIO_ACCOUNT_SID": settings.account_sid,
            "TWILIO_PHONE_NUMBER": settings.phone_number,
        }
        for name, value in needed.items():
            if not value:
                raise ValueError(f"{name} is needed")
        return cls(open_client(str(settings.api_base), credentials(settings)), settings)

    async def ping(self) -> None:
        """`GET /2010-04-01/Accounts/{sid}.json`"""
        await self.read("GET", f"{ACCOUNT}.json", _Account, args=self._account)

    async def send_sms(self, to: str, body: str) -> SmsRecord:
        """Hand over one SMS, which Twilio queues. `to` is a number of E.164, `body` at most 1600 characters.
        `POST /2010-04-01/Accounts/{sid}/Messages.json`

        Raises: OutcomeUnknown when it may have been accepted; any other BackendError means that it surely was not.
        """
        form = [("To", to), ("From", self._from), ("Body", body)]
        answer = await self.hand_over("POST", f"{ACCOUNT}/Messages.json", args=self._account, form=form)
        try:
            sms = msgspec.json.decode(answer.body, type=SmsRecord)
        except (msgspec.DecodeError, UnicodeDecodeError) as exc:
            raise self.unknown() from exc
        if sms.status in NEVER_SENT:
            code = None if sms.error_code is None else str(sms.error_code)
            told = f"twilio could not send it (error {code})" if code else "twilio could not send it"
            raise BackendRejected(self.name, told, status=answer.status, reason=code)
        return sms

    async def sms(self, sid: str) -> SmsRecord | None:
        """What became of it; None for one that is not of this account.
        `GET /2010-04-01/Accounts/{sid}/Messages/{sid}.json`"""
        args = {**self._account, "sid": sid}
        return await self.read_or_none("GET", f"{ACCOUNT}/Messages/{{sid}}.json", SmsRecord, args=args)

    def refusal(self, answer: Answer) -> tuple[str, str | None]:
        try:
            body = msgspec.json.decode(answer.body, type=_ErrorBody)
        except msgspec.DecodeError:
            return super().refusal(answer)
        return body.message, None if body.code is None else str(body.code)


def credentials(settings: TwilioSettings) -> dict[str, str]:
    """The header that says who we are."""
    token = settings.auth_token.get_secret_value() if settings.auth_token else ""
    pair = f"{settings.account_sid}:{token}".encode()
    return {"Authorization": f"Basic {base64.b64encode(pair).decode()}"}
