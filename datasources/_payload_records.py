"""What Payload's answers hold: documents as the gateway shows them, and the wire's envelopes.

Ids are numbers or texts, as the site's database has it, and texts in records.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from msgspec.structs import force_setattr

R = TypeVar("R")
Document = dict[str, Any]
Where = Mapping[str, Any]
"""A filter in Payload's own terms: `{path: {operator: value}}`, `{"and": [...]}` or `{"or": [...]}`."""
Id = int | Annotated[str, msgspec.Meta(min_length=1)]

MIRROR_KEY = "gatewayId"
"""The field, text and unique, by which a mirrored row is found: the gateway's id of it."""
_OF_ACCOUNTS = frozenset({"sessions", "enableAPIKey", "hasAPIKey", "loginAttempts", "_strategy"})
"""One of these beside an `email` is what only documents have that can sign in."""
_SECRETS = _OF_ACCOUNTS | {"apiKey", "apiKeyIndex", "password", "salt", "hash", "lockUntil", "resetPasswordToken"}


class Mirror(Enum):
    """The collections in which the gateway keeps other backends' rows up to date for editors."""

    VERIFICATIONS = "verifications"
    ORDERS = "orders"
    DELIVERIES = "deliveries"


class _Record(msgspec.Struct, frozen=True, kw_only=True):
    """Base of what is read."""


class Rows(_Record, Generic[R], frozen=True, kw_only=True):
    """Some rows of a list, and how many the whole list has."""

    rows: list[R]
    count: int


class DocumentRecord(_Record, frozen=True, kw_only=True):
    """A published document. `title` is None where it has no text of that name; `data` is all of it, as Payload has it
    but for accounts, of which only their ids are left."""

    id: Id
    collection: str = ""
    slug: str | None = None
    title: Any = None
    status: str | None = None
    updated_at: datetime | None = msgspec.field(name="updatedAt", default=None)
    data: Document = {}

    def __post_init__(self) -> None:
        force_setattr(self, "id", str(self.id))
        if not isinstance(self.title, str):
            force_setattr(self, "title", None)

    @property
    def blocks(self) -> list[Any]:
        """What a page is built of, in its order."""
        found = self.data.get("layout", self.data.get("blocks"))
        return found if isinstance(found, list) else []


class PageRecord(DocumentRecord, frozen=True, kw_only=True):
    """A page, which has an address and a heading."""

    slug: str
    title: str


class _Offer(_Record, frozen=True, kw_only=True):
    """What can be booked. `price` is in major units of `currency`; `seats` is how many can be had at most."""

    id: Id
    slug: str
    title: str
    description: str | None = None
    price: Decimal | None = None
    currency: str | None = None
    seats: int | None = None
    tenant: Any = None

    def __post_init__(self) -> None:
        force_setattr(self, "id", str(self.id))
        if self.currency is not None:
            force_setattr(self, "currency", self.currency.upper())


class ServiceRecord(_Offer, frozen=True, kw_only=True):
    duration_minutes: int | None = msgspec.field(name="durationMinutes", default=None)


class EventRecord(_Offer, frozen=True, kw_only=True):
    starts_at: datetime | None = msgspec.field(name="startsAt", default=None)
    location: str | None = None


class MirrorRecord(_Record, frozen=True, kw_only=True):
    """A mirrored row: `key` is the gateway's id of it, `data` the whole document."""

    key: str
    data: Document


# -- the wire's envelopes ------------------------------------------------------------------------------------------


class DocumentsPage(_Record, frozen=True, kw_only=True):
    docs: list[Document]
    total: int = msgspec.field(name="totalDocs")


class ChangedDocuments(_Record, frozen=True, kw_only=True):
    docs: list[Document]


class ChangedDocument(_Record, frozen=True, kw_only=True):
    doc: Document


class Account(_Record, frozen=True, kw_only=True):
    id: Id


class Me(_Record, frozen=True, kw_only=True):
    """`user` is None for somebody anonymous, as whoever shows a wrong key is."""

    user: Account | None = None


class FieldProblem(_Record, frozen=True, kw_only=True):
    message: str = ""
    path: str = ""


class ErrorData(_Record, frozen=True, kw_only=True):
    errors: list[FieldProblem] = []


class ErrorItem(_Record, frozen=True, kw_only=True):
    """`data` is an object for a document that is not valid, and a list for a filter that is none."""

    message: str = ""
    data: ErrorData | list[FieldProblem] | None = None


class ErrorBody(_Record, frozen=True, kw_only=True):
    """`message` alone for a route that is not there."""

    errors: list[ErrorItem] = []
    message: str = ""


def shown(document: Document) -> Document:
    """A document without what belongs to accounts: one that was put in the place of its id is its id again."""
    if _is_account(document):
        return {key: _shown(value) for key, value in document.items() if key not in _SECRETS}
    return {key: _shown(value) for key, value in document.items()}


def _shown(value: Any) -> Any:
    if isinstance(value, list):
        return [_shown(each) for each in value]
    if isinstance(value, dict):
        return value.get("id") if _is_account(value) else {key: _shown(each) for key, each in value.items()}
    return value


def _is_account(document: Document) -> bool:
    return "email" in document and not _OF_ACCOUNTS.isdisjoint(document)
