"""What Twilio refuses about a new message, with its codes, and into how many segments it cuts one."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox import keys

LONGEST_BODY = 1600
_E164 = re.compile(r"\+[1-9]\d{6,14}", re.ASCII)
_GSM_7 = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
_TWO_SEPTETS = frozenset("^{}\\[~]|€")
_REFUSED_TO = {
    "+15005550001": (21211, "Invalid 'To' Phone Number: {to}"),
    "+15005550009": (21614, "'To' number is not a valid mobile number"),
    "+15005550004": (21610, "Attempt to send to unsubscribed recipient"),
    "+15005550002": (21612, "Message cannot be sent with the current combination of 'To' and/or 'From' parameters"),
}
"""The magic numbers of real test accounts."""


@dataclass
class Refused(Exception):
    """An error answer."""

    status: int
    code: int
    message: str

    @property
    def body(self) -> dict[str, Any]:
        more = f"https://www.twilio.com/docs/errors/{self.code}"
        return {"code": self.code, "message": self.message, "more_info": more, "status": self.status}


def check_message(form: Mapping[str, str]) -> None:
    """Raises Refused. Parameters that it does not know are ignored, as the real API ignores them."""
    to, sender, body = form.get("To", ""), form.get("From", ""), form.get("Body", "")
    if not to:
        raise Refused(400, 21604, "A 'To' phone number is required.")
    if form.get("MessagingServiceSid") or form.get("ContentSid") or form.get("MediaUrl"):
        raise Refused(501, 20501, "The sandbox sends plain messages only.")
    if not sender:
        raise Refused(400, 21603, "A 'From' phone number is required.")
    if not body:
        raise Refused(400, 21602, "Message body is required.")
    if not _E164.fullmatch(to):
        raise Refused(400, 21211, f"Invalid 'To' Phone Number: {to}")
    if to in _REFUSED_TO:
        code, message = _REFUSED_TO[to]
        raise Refused(400, code, message.format(to=to))
    if not _E164.fullmatch(sender) or sender == "+15005550001":
        raise Refused(400, 21212, f"Invalid 'From' Phone Number: {sender}")
    if sender != keys.TWILIO_PHONE_NUMBER:
        raise Refused(400, 21606, f"The 'From' phone number {sender} is not an SMS-capable number of your account.")
    if len(body) > LONGEST_BODY:
        raise Refused(400, 21617, f"The concatenated message body exceeds the {LONGEST_BODY} character limit.")


def segments(body: str) -> int:
    """By the alphabet of GSM, if that has all its characters, else by UCS-2."""
    if all(char in _GSM_7 or char in _TWO_SEPTETS for char in body):
        septets = sum(1 + (char in _TWO_SEPTETS) for char in body)
        return 1 if septets <= 160 else math.ceil(septets / 153)
    units = len(body.encode("utf-16-le")) // 2
    return 1 if units <= 70 else math.ceil(units / 67)
