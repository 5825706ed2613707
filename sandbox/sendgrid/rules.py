"""The validator in front of Mail Send: every rule that a body breaks, with the path of the field."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

MAX_PERSONALIZATIONS = MAX_RECIPIENTS = MAX_REPLY_TO = 1000
MAX_CATEGORIES, MAX_CATEGORY_LENGTH = 10, 255
MAX_ARGS_BYTES = 10_000
MAX_AHEAD_S = 72 * 3600
MAX_UNSUBSCRIBE_GROUPS = 25
SETTINGS = (
    "sandbox_mode",
    "footer",
    "bypass_list_management",
    "bypass_spam_management",
    "bypass_bounce_management",
    "bypass_unsubscribe_management",
)
RESERVED_HEADERS = frozenset(
    {"x-sg-id", "x-sg-eid", "received", "dkim-signature", "content-type", "content-transfer-encoding"}
    | {"to", "from", "subject", "reply-to", "cc", "bcc"}
)
_ADDRESS = re.compile(r"[^@\s,;<>]+@[^@\s,;<>.]+(\.[^@\s,;<>.]+)*")
_ENVELOPE = ("to", "cc", "bcc")


@dataclass(frozen=True)
class Problem:
    """`field` is a path such as `personalizations.0.to.0.email`; None when the whole body is meant."""

    message: str
    field: str | None = None


@dataclass(frozen=True)
class Known:
    """What the account has: ids of its templates with whether each has a subject, and of its batches."""

    template_subjects: Mapping[str, bool]
    batches: Collection[str]


def problems(body: Mapping[str, Any], known: Known, now_s: float) -> list[Problem]:
    """In the order of the fields in the documentation. Empty: the mail may go. `now_s` is Unix seconds."""
    template = body.get("template_id")
    found = [*_personalizations(body.get("personalizations"), now_s), *_sender(body.get("from"))]
    found += _reply_to(body)
    found += _subject(body, has_template_subject=known.template_subjects.get(str(template), False))
    found += _content(body.get("content"), has_template=template is not None)
    found += _attachments(body.get("attachments"))
    if template is not None and str(template) not in known.template_subjects:
        found.append(
            Problem(f"The template_id must be the id of one of your templates, got {template!r}.", "template_id")
        )
    found += _headers(body.get("headers"), "headers")
    found += _categories(body.get("categories"))
    found += _args(body.get("custom_args"), "custom_args")
    found += _send_at(body.get("send_at"), "send_at", now_s)
    if body.get("batch_id") is not None and str(body["batch_id"]) not in known.batches:
        found.append(Problem("The batch_id is not one that was created for this account.", "batch_id"))
    found += _unsubscribe(body.get("asm"))
    pool = body.get("ip_pool_name")
    if pool is not None and not (isinstance(pool, str) and 2 <= len(pool) <= 64):
        found.append(Problem("The ip_pool_name must be a string of 2 to 64 characters.", "ip_pool_name"))
    return [*found, *_settings(body.get("mail_settings"))]


def _personalizations(value: Any, now_s: float) -> Iterator[Problem]:
    if not isinstance(value, list) or not value:
        yield Problem(
            "The personalizations field is required and must have at least one personalization.", "personalizations"
        )
        return
    if len(value) > MAX_PERSONALIZATIONS:
        yield Problem(f"At most {MAX_PERSONALIZATIONS} personalizations are allowed.", "personalizations")
    recipients = 0
    for index, each in enumerate(value):
        path = f"personalizations.{index}"
        if not isinstance(each, Mapping):
            yield Problem("A personalization must be an object.", path)
            continue
        recipients += sum(len(each[key]) for key in _ENVELOPE if isinstance(each.get(key), list))
        yield from _personalization(each, path, now_s)
    if recipients > MAX_RECIPIENTS:
        yield Problem(f"A request may have at most {MAX_RECIPIENTS} recipients.", "personalizations")


def _personalization(value: Mapping[str, Any], path: str, now_s: float) -> Iterator[Problem]:
    if not isinstance(value.get("to"), list) or not value["to"]:
        yield Problem(
            "The to array is required for all personalization objects, and must have at least one email object with "
            "a valid email address.",
            f"{path}.to",
        )
    seen: set[str] = set()
    repeated: str | None = None
    for key in _ENVELOPE:
        entries = value.get(key)
        if entries is not None and not isinstance(entries, list):
            yield Problem(f"The {key} field must be an array of email objects.", f"{path}.{key}")
            continue
        for index, entry in enumerate(entries or ()):
            yield from _address(entry, f"{path}.{key}.{index}")
            email = str(entry.get("email")).casefold() if isinstance(entry, Mapping) else ""
            repeated = repeated or (email if email in seen else None)
            seen.add(email)
    if repeated:
        yield Problem(
            "Each email address in the personalization block should be unique between to, cc, and bcc. "
            f"{repeated} is not.",
            path,
        )
    if value.get("from") is not None:
        yield from _address(value["from"], f"{path}.from")
    if "subject" in value and not _is_filled(value["subject"]):
        yield Problem("The subject must be a string at least one character in length.", f"{path}.subject")
    for key in ("substitutions", "dynamic_template_data"):
        if value.get(key) is not None and not isinstance(value[key], Mapping):
            yield Problem(f"The {key} field must be an object.", f"{path}.{key}")
    if isinstance(value.get("substitutions"), Mapping):
        yield from _args(value["substitutions"], f"{path}.substitutions")
    yield from _headers(value.get("headers"), f"{path}.headers")
    yield from _args(value.get("custom_args"), f"{path}.custom_args")
    yield from _send_at(value.get("send_at"), f"{path}.send_at", now_s)


def _address(value: Any, path: str) -> Iterator[Problem]:
    if not isinstance(value, Mapping):
        yield Problem("An email object is required.", path)
        return
    if not isinstance(value.get("email"), str) or not _ADDRESS.fullmatch(value["email"]):
        yield Problem("Does not contain a valid address.", f"{path}.email")
    if value.get("name") is not None and not isinstance(value["name"], str):
        yield Problem("The name must be a string.", f"{path}.name")


def _sender(value: Any) -> Iterator[Problem]:
    if not isinstance(value, Mapping) or not value.get("email"):
        yield Problem(
            "The from object must be provided for every email send. It is an object that requires the email parameter, "
            "but may also contain a name parameter.",
            "from.email",
        )
        return
    yield from _address(value, "from")


def _reply_to(body: Mapping[str, Any]) -> Iterator[Problem]:
    single, several = body.get("reply_to"), body.get("reply_to_list")
    if single is not None:
        yield from _address(single, "reply_to")
    if several is None:
        return
    if single is not None:
        yield Problem("Use either reply_to or reply_to_list, not both.", "reply_to_list")
    if not isinstance(several, list) or len(several) > MAX_REPLY_TO:
        yield Problem(f"The reply_to_list must be an array of at most {MAX_REPLY_TO} email objects.", "reply_to_list")
        return
    for index, each in enumerate(several):
        yield from _address(each, f"reply_to_list.{index}")
    if len({str(each).casefold() for each in several}) < len(several):
        yield Problem("Each email address in the reply_to_list should be unique.", "reply_to_list")


def _subject(body: Mapping[str, Any], *, has_template_subject: bool) -> Iterator[Problem]:
    if "subject" in body and not isinstance(body["subject"], str):
        yield Problem("The subject must be a string.", "subject")
        return
    envelopes = body.get("personalizations")
    each_has_one = isinstance(envelopes, list) and all(
        isinstance(each, Mapping) and _is_filled(each.get("subject")) for each in envelopes
    )
    if not body.get("subject") and not has_template_subject and not each_has_one:
        yield Problem(
            "The subject is required. You can get around this requirement if you use a template with a subject defined "
            "or if every personalization has a subject defined.",
            "subject",
        )


def _content(value: Any, *, has_template: bool) -> Iterator[Problem]:
    if value is None or value == []:
        if not has_template:
            yield Problem(
                "Unless a valid template_id is provided, the content parameter is required. There must be at least one "
                "defined content block.",
                "content",
            )
        return
    if not isinstance(value, list):
        yield Problem("The content parameter must be an array of content blocks.", "content")
        return
    types = []
    for index, each in enumerate(value):
        for key in ("type", "value"):
            if not isinstance(each, Mapping) or not _is_filled(each.get(key)):
                yield Problem(
                    f"The content {key} must be a string at least one character in length.", f"content.{index}.{key}"
                )
        types.append(each.get("type") if isinstance(each, Mapping) else None)
    if "text/plain" in types[1:]:
        yield Problem("If present, text/plain and text/html must come first, in this order.", "content")


def _attachments(value: Any) -> Iterator[Problem]:
    if value is None:
        return
    if not isinstance(value, list):
        yield Problem("The attachments field must be an array.", "attachments")
        return
    for index, each in enumerate(value):
        path = f"attachments.{index}"
        if not isinstance(each, Mapping) or not _is_base64(each.get("content")):
            yield Problem("The attachment content must be base64 encoded.", f"{path}.content")
            continue
        if not _is_filled(each.get("filename")):
            yield Problem("The attachment filename is required.", f"{path}.filename")
        if each.get("disposition", "attachment") not in ("attachment", "inline"):
            yield Problem("The disposition must be inline or attachment.", f"{path}.disposition")


def _headers(value: Any, path: str) -> Iterator[Problem]:
    if value is None:
        return
    if not isinstance(value, Mapping) or not all(isinstance(each, str) for each in value.values()):
        yield Problem("The headers must be an object of strings.", path)
        return
    for name in value:
        if name.lower() in RESERVED_HEADERS:
            yield Problem(f"The header {name} is reserved.", f"{path}.{name}")


def _categories(value: Any) -> Iterator[Problem]:
    if value is None:
        return
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        yield Problem("The categories must be an array of strings.", "categories")
        return
    if len(value) > MAX_CATEGORIES:
        yield Problem(f"At most {MAX_CATEGORIES} categories are allowed.", "categories")
    if len(set(value)) < len(value):
        yield Problem("The categories should be unique.", "categories")
    for index, each in enumerate(value):
        if len(each) > MAX_CATEGORY_LENGTH:
            yield Problem(f"A category may have at most {MAX_CATEGORY_LENGTH} characters.", f"categories.{index}")


def _args(value: Any, path: str) -> Iterator[Problem]:
    """Custom arguments and substitutions."""
    if value is None:
        return
    if not isinstance(value, Mapping):
        yield Problem("An object of strings is required.", path)
        return
    for key, each in value.items():
        if not isinstance(each, str):
            yield Problem("The value must be a string.", f"{path}.{key}")
    if len(orjson.dumps(value)) > MAX_ARGS_BYTES:
        yield Problem(f"The total size may not exceed {MAX_ARGS_BYTES} bytes.", path)


def _send_at(value: Any, path: str, now_s: float) -> Iterator[Problem]:
    if value is None:
        return
    if not isinstance(value, int) or isinstance(value, bool):
        yield Problem("The send_at parameter must be an integer, a Unix timestamp in seconds.", path)
    elif value > now_s + MAX_AHEAD_S:
        yield Problem("The send_at parameter may be at most 72 hours in the future.", path)


def _unsubscribe(value: Any) -> Iterator[Problem]:
    if value is None:
        return
    if not isinstance(value, Mapping) or not isinstance(value.get("group_id"), int):
        yield Problem("The asm object requires an integer group_id.", "asm.group_id")
        return
    groups = value.get("groups_to_display", [])
    if not isinstance(groups, list) or len(groups) > MAX_UNSUBSCRIBE_GROUPS:
        yield Problem(f"At most {MAX_UNSUBSCRIBE_GROUPS} groups can be displayed.", "asm.groups_to_display")


def _settings(value: Any) -> Iterator[Problem]:
    if value is None:
        return
    if not isinstance(value, Mapping):
        yield Problem("The mail_settings must be an object.", "mail_settings")
        return
    for name in SETTINGS:
        setting = value.get(name)
        if setting is None:
            continue
        if not isinstance(setting, Mapping) or not isinstance(setting.get("enable", False), bool):
            yield Problem(f"The {name} enable parameter must be a boolean.", f"mail_settings.{name}.enable")


def _is_filled(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _is_base64(value: object) -> bool:
    try:
        return isinstance(value, str) and bool(base64.b64decode(value, validate=True))
    except binascii.Error:
        return False
