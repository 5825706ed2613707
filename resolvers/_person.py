"""What may be said about a person. Every check names its field."""

from __future__ import annotations

import re
from collections.abc import Sequence

from core.errors import BadUserInput
from resolvers.bounds import checked_text

LONGEST_EMAIL, LONGEST_PHONE, LONGEST_ACCOUNT_ID = 254, 20, 128
MOST_PERMISSIONS, LONGEST_PERMISSION = 100, 64
_EMAIL = re.compile(r"[^@\s,;<>\"]{1,64}@[^@\s,;<>\"]+\.[^@\s,;<>\".]{2,}")
_PHONE = re.compile(r"\+?\d[\d ().-]{3,}\d", re.ASCII)
_PERMISSION = re.compile(r"[A-Za-z0-9_.:-]+")


def checked_email(field: str, value: str) -> str:
    """As it is written, without blanks around it. Raises BadUserInput for what no mail could reach."""
    email = checked_text(field, value, LONGEST_EMAIL)
    if not _EMAIL.fullmatch(email) or ".." in email:
        raise BadUserInput(f"`{field}` is no e-mail address")
    return email


def checked_phone(field: str, value: str) -> str:
    """Raises BadUserInput for what nobody could dial."""
    phone = checked_text(field, value, LONGEST_PHONE)
    if not _PHONE.fullmatch(phone):
        raise BadUserInput(f"`{field}` is a telephone number, such as +355691234567")
    return phone


def checked_permissions(field: str, values: Sequence[str]) -> tuple[str, ...]:
    """Each once. Raises BadUserInput for none, too many, and what does not look like one."""
    if not 1 <= len(values) <= MOST_PERMISSIONS:
        raise BadUserInput(f"`{field}` names 1 to {MOST_PERMISSIONS} permissions")
    for value in values:
        if len(value) > LONGEST_PERMISSION or not _PERMISSION.fullmatch(value):
            raise BadUserInput(f"each of `{field}` is 1 to {LONGEST_PERMISSION} of A-Z, a-z, 0-9 and `_.:-`")
    return tuple(dict.fromkeys(values))


def checked_account_id(field: str, value: str) -> str:
    """What a backend could call an account. Raises BadUserInput."""
    account_id = checked_text(field, value, LONGEST_ACCOUNT_ID)
    if account_id != value or "/" in value or "\\" in value:
        raise BadUserInput(f"`{field}` is no account's id: it holds a slash or begins or ends with a blank")
    return account_id
