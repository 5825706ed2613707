"""What files are called, and what they are said to be."""

from __future__ import annotations

import mimetypes
import re
import unicodedata
from uuid import uuid4

from core.errors import BadUserInput

LONGEST_KEY, LONGEST_PART = 900, 255
"""In bytes of UTF-8. S3 takes keys of 1024; what is known of them is kept under names that are a little longer, and a
part is a file's name to some servers."""
ANYTHING = "application/octet-stream"

_TYPE = re.compile(r"[a-z0-9][a-z0-9!#$&^_.+-]{0,63}/[a-z0-9][a-z0-9!#$&^_.+-]{0,63}")
_HARMLESS = re.compile(
    r"(audio|video|font)/.+|image/(?!svg).+|text/(plain|csv)|application/(pdf|json|zip|gzip|msword|vnd\..+)"
)
"""What no browser takes for a page or a script."""
_CONTROLS = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Unicode's categories of control characters, halves of surrogate pairs, and ends of lines and paragraphs."""


def normal_key(key: str) -> str | None:
    """In Unicode's NFC, so that a key has one spelling; None for what can be no key."""
    if any(unicodedata.category(char) in _CONTROLS for char in key):
        return None
    key = unicodedata.normalize("NFC", key)
    parts = key.split("/")
    if len(parts) < 2 or len(key.encode()) > LONGEST_KEY or "\\" in key:
        return None
    if any(part in ("", ".", "..") or len(part.encode()) > LONGEST_PART for part in parts):
        return None
    return key


def checked_key(key: str) -> str:
    """Raises BadUserInput for what can be no key."""
    found = normal_key(key)
    if found is None:
        raise BadUserInput(
            "`key` is names with slashes between them, none of them empty, `.` or `..`, without backslashes and "
            f"control characters, of at most {LONGEST_KEY} bytes together and {LONGEST_PART} each"
        )
    return found


def new_key(prefix: str, file_name: str | None) -> str:
    """One that nothing is called yet. It ends as the file is called, as far as that can be."""
    return f"{prefix}/{uuid4().hex}/{_last_part(file_name or '') or 'file'}"


def _last_part(name: str) -> str:
    name = "".join(char for char in name if unicodedata.category(char) not in _CONTROLS).replace("\\", "/")
    name = unicodedata.normalize("NFC", name.rpartition("/")[2]).strip()
    if name in (".", ".."):
        return ""
    while len(name.encode()) > LONGEST_PART:
        name = name[1:]  # what it ends with says what it is
    return name


def content_type_of(declared: str | None, file_name: str | None) -> str:
    """What the sender says, without its parameters; what the name says where the sender says nothing."""
    said = (declared or "").partition(";")[0].strip().lower()
    if not _TYPE.fullmatch(said) or said == ANYTHING:
        said = mimetypes.guess_type(file_name or "", strict=True)[0] or ANYTHING
    return said


def served_type(content_type: str | None) -> str:
    """As what a file is given out: itself if it is harmless, else something that browsers only save."""
    kind = (content_type or "").partition(";")[0].strip().lower()
    return kind if _HARMLESS.fullmatch(kind) and not kind.endswith("+xml") and _TYPE.fullmatch(kind) else ANYTHING
