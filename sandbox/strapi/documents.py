"""Documents and their rows. A document has one identity and up to two rows, each numbered by itself: a draft, and what
is published, which gets a new number whenever it is published again.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import Any

from sandbox.store import Row, Store
from sandbox.strapi.types import SYSTEM, ContentType

_LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"


def new_id() -> str:
    return "".join(secrets.choice(_LETTERS) for _ in range(24))


def stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def document(store: Store, of: ContentType, id: str) -> Row | None:
    return store.get(of.name, id)


def rows(store: Store, of: ContentType, *, drafts: bool) -> list[Row]:
    """The rows that are published, or the drafts, oldest first. A type without drafts has the same rows either way."""
    side = "draft" if drafts and of.has_drafts else "published"
    return [each[side] for each in store.rows(of.name) if each[side] is not None]


def row(store: Store, of: ContentType, id: str, *, drafts: bool) -> Row | None:
    side = "draft" if drafts and of.has_drafts else "published"
    found = store.get(of.name, id)
    return found[side] if found else None


def create(
    store: Store, of: ContentType, values: dict[str, Any], *, publish: bool, id: str | None = None, at: datetime | None
) -> Row:
    """A new document's row: the published one, or without `publish` its draft. Relations are in `values`, as ids."""
    made_at = stamp(at or datetime.now(UTC))
    blank: dict[str, Any] = {name: attribute.default for name, attribute in of.attributes.items()}
    blank |= {name: None for name, relation in of.relations.items() if relation.inverse is None}
    common = {"documentId": id or new_id(), **blank, **values, "createdAt": made_at, "updatedAt": made_at}
    made: Row = {"documentId": common["documentId"], "draft": None, "published": None}
    if of.has_drafts:
        made["draft"] = {"id": _number(store, of), **common, "publishedAt": None}
    if publish or not of.has_drafts:
        made["published"] = {"id": _number(store, of), **common, "publishedAt": made_at}
    store.put(of.name, common["documentId"], made)
    written: Row = made["published"] or made["draft"]
    return written


def update(store: Store, of: ContentType, found: Row, values: dict[str, Any], *, publish: bool) -> Row:
    """The row that was written: what is published, or without `publish` the draft."""
    now = stamp(datetime.now(UTC))
    changed = dict(found)
    if not of.has_drafts:
        changed["published"] = {**found["published"], **values, "updatedAt": now, "publishedAt": now}
    else:
        changed["draft"] = {**found["draft"], **values, "updatedAt": now}
        if publish:
            changed["published"] = {**changed["draft"], "id": _number(store, of), "publishedAt": now}
    store.put(of.name, found["documentId"], changed)
    written: Row = changed["published"] if publish or not of.has_drafts else changed["draft"]
    return written


def plain_fields(of: ContentType) -> list[str]:
    """Every field but relations, in the order of answers."""
    return ["id", "documentId", *of.attributes, *[name for name in SYSTEM if name not in ("id", "documentId")]]


def _number(store: Store, of: ContentType) -> int:
    return store.counter(f"{of.name} row")
