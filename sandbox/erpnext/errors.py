"""Frappe's refusals and how they are written: `exc_type` always, notices encoded twice, tracebacks for some."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

STATUS = {
    "AuthenticationError": 401,
    "PermissionError": 403,
    "DoesNotExistError": 404,
    "DuplicateEntryError": 409,
    "JSONDecodeError": 500,
    "OperationalError": 500,
    "TypeError": 500,
}
"""Everything else belongs to the ValidationError family: 417."""

MODULES = {"JSONDecodeError": "json.decoder.", "OperationalError": "pymysql.err.", "TypeError": ""}

Notice = dict[str, Any]


class NotSupported(Exception):
    """Something the real ERPNext does and this simulator does not: 501."""


@dataclass
class Refusal(Exception):
    """An error answer. `traceback`: whether Frappe shows `exception` and `exc` for it."""

    exc_type: str
    message: str = ""
    notices: tuple[Notice, ...] = ()
    error_message: str | None = None
    traceback: bool = True

    @property
    def status(self) -> int:
        return STATUS.get(self.exc_type, 417)

    def body(self) -> dict[str, Any]:
        """The answer of v1 routes."""
        body: dict[str, Any] = {"exc_type": self.exc_type}
        if self.traceback:
            module = MODULES.get(self.exc_type, "frappe.exceptions.")
            line = f"{module}{self.exc_type}" + (f": {self.message}" if self.message else "")
            trace = f'Traceback (most recent call last):\n  File "apps/frappe/frappe/app.py", in application\n{line}\n'
            body |= {"exception": line, "exc": json.dumps([trace])}
        if self.notices:
            body["_server_messages"] = json.dumps([json.dumps(notice) for notice in self.notices])
        if self.error_message:
            body["_error_message"] = self.error_message
        return body

    def body_v2(self) -> dict[str, Any]:
        notice = self.notices[0] if self.notices else {"message": self.message, "title": "Message", "indicator": "red"}
        kept = {key: value for key, value in notice.items() if key in ("message", "title", "indicator")}
        return {"errors": [{"type": self.exc_type, **kept}]}


def notice(message: str, title: str = "Message") -> Notice:
    """What `frappe.throw` leaves for the user to read."""
    exc_id = hashlib.sha224(message.encode()).hexdigest()
    return {"message": message, "title": title, "indicator": "red", "raise_exception": 1, "__frappe_exc_id": exc_id}


def invalid(message: str, exc_type: str = "ValidationError", title: str = "Message") -> Refusal:
    """A rule of the application broken, told to the user too."""
    return Refusal(exc_type, message, (notice(message, title),))


def not_found(doctype: str, name: str) -> Refusal:
    return Refusal("DoesNotExistError", notices=(notice(f"{doctype} {name} not found"),), traceback=False)


def no_route() -> Refusal:
    return Refusal("DoesNotExistError", traceback=False)


def forbidden(user: str, doctype: str, *, traceback: bool = False) -> Refusal:
    """No role of the user's opens this DocType. Lists show the traceback, documents do not."""
    text = f"User <strong>{user}</strong> does not have doctype access via role permission for document "
    told = {"message": f"{text}<strong>{doctype}</strong>", "title": "Message"}
    return Refusal("PermissionError", "", (told,), f"No permission for {doctype}", traceback)


def bad_json(exc: json.JSONDecodeError) -> Refusal:
    return Refusal("JSONDecodeError", str(exc))
