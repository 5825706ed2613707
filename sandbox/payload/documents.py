"""Documents: found, made, changed and deleted as their collection says."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Any

from sandbox.payload.accounts import shown_account
from sandbox.payload.conditions import LARGEST_ID, test_of
from sandbox.payload.config import Collection, Field
from sandbox.payload.query import Query
from sandbox.payload.wire import PayloadError, broken, invalid, not_allowed, not_found, now
from sandbox.store import Row, Store

DEFAULT_LIMIT, DEFAULT_DEPTH, DEEPEST = 10, 2, 10


class Documents:
    """Of one collection, as one caller sees them. `user` None: anonymous."""

    def __init__(
        self, store: Store, collections: Mapping[str, Collection], collection: Collection, user: Row | None
    ) -> None:
        self._store, self._collections, self.collection, self._user = store, collections, collection, user

    # -- reading -----------------------------------------------------------------------------------------------

    def find(self, query: Query) -> dict[str, Any]:
        """One page and all about it. Without `limit` it has ten documents; a limit that is no number is none."""
        found = self._sorted(self._matching(query), query.get("sort"))
        asked = query.get("limit", str(DEFAULT_LIMIT) if query.get("pagination") != "false" else "0")
        limit = _integer(asked)
        page = max(_integer(query.get("page", "1")) or 1, 1)
        is_paged = bool(limit and limit > 0) and query.get("pagination") != "false"
        size = limit if limit and limit > 0 else len(found)
        pages = max(ceil(len(found) / size), 1) if is_paged else 1
        start = (page - 1) * size if is_paged else 0
        return {
            "docs": [self._shown(row, query) for row in found[start : start + size]],
            "hasNextPage": is_paged and page < pages,
            "hasPrevPage": is_paged and page > 1,
            "limit": asked if limit is None else limit,
            "nextPage": page + 1 if is_paged and page < pages else None,
            "page": page if is_paged else 1,
            "pagingCounter": None if limit is None else start + 1,
            "prevPage": page - 1 if is_paged and page > 1 else None,
            "totalDocs": len(found),
            "totalPages": pages,
        }

    def count(self, query: Query) -> dict[str, Any]:
        return {"totalDocs": len(self._matching(query))}

    def one(self, id: str, query: Query) -> dict[str, Any]:
        """Raises: PayloadError 404 for what is not there or not this caller's to read, 500 for what is no number."""
        row = self._row(id)
        if row is None or not self._may_read(row):
            raise not_found()
        return self._shown(row, query)

    def _matching(self, query: Query) -> list[Row]:
        if self._user is None and self.collection.read == "users":
            raise not_allowed()
        test = test_of(query.get("where"), self.collection, self._collections, self._related)
        return [row for row in self._store.rows(self.collection.slug) if self._may_read(row) and test(row)]

    def _may_read(self, row: Row) -> bool:
        if self._user is not None or self.collection.read == "anyone":
            return True
        return self.collection.read == "published" and row.get(self.collection.status_field) == "published"

    def _row(self, id: str) -> Row | None:
        if self._user is None and self.collection.read == "users":
            raise not_allowed()
        if not (id.isascii() and id.isdigit() and int(id) <= LARGEST_ID):
            raise broken()
        return self._store.get(self.collection.slug, str(int(id)))

    def _related(self, slug: str, id: Any) -> Row | None:
        return None if id is None else self._store.get(slug, str(id))

    def _sorted(self, rows: list[Row], sort: Any) -> list[Row]:
        """By `a,-b`; what there is not is passed over. Newest first otherwise."""
        names = str(sort).split(",") if sort else []
        known = [name for name in names if name.lstrip("-") == "id" or name.lstrip("-") in self.collection.queryable]
        for name in reversed(known or ["-createdAt"]):
            key = name.lstrip("-")
            rows = sorted(
                rows,
                key=lambda row, key=key: (row.get(key) is not None, row.get(key) if row.get(key) is not None else 0),  # type: ignore[misc]
                reverse=name.startswith("-"),
            )
        return rows

    def _shown(self, row: Row, query: Query) -> dict[str, Any]:
        depth = _integer(query.get("depth", str(DEFAULT_DEPTH)))
        shown = self._populated(row, self.collection, DEFAULT_DEPTH if depth is None else min(depth, DEEPEST))
        select = query.get("select")
        if not isinstance(select, Mapping):
            return shown
        if "true" in select.values():
            return {key: value for key, value in shown.items() if key == "id" or select.get(key) == "true"}
        return {key: value for key, value in shown.items() if key == "id" or select.get(key) != "false"}

    def _populated(self, row: Row, collection: Collection, depth: int) -> dict[str, Any]:
        """With the documents that it relates to in place of their ids, as deep as that and as far as they may be
        read."""
        shown = shown_account(row, collection.slug) if collection.auth else dict(row)
        for name, field in collection.fields.items():
            if field.kind != "relationship" or field.to is None or depth < 1:
                continue
            to, target = self._collections[field.to], self._related(field.to, row.get(name))
            behind = Documents(self._store, self._collections, to, self._user)
            if target is not None and behind._may_read(target):
                shown[name] = self._populated(target, to, depth - 1)
        return shown

    # -- writing -----------------------------------------------------------------------------------------------

    def create(self, body: Mapping[str, Any], query: Query) -> dict[str, Any]:
        self._may_write()
        at = now()
        with self._store.transaction():
            row = self._checked({}, body)
            number = self._store.counter(f"id of {self.collection.slug}")
            row = {"id": number, **row, "updatedAt": at, "createdAt": at, **self._status({}, body)}
            self._store.put(self.collection.slug, str(number), row)
        return {"doc": self._shown(row, query), "message": f"{self.collection.singular} successfully created."}

    def update(self, id: str, body: Mapping[str, Any], query: Query) -> dict[str, Any]:
        self._may_write()
        row = self._row(id)
        if row is None:
            raise not_found()
        return {"doc": self._shown(self._changed(row, body), query), "message": "Updated successfully."}

    def update_where(self, body: Mapping[str, Any], query: Query) -> dict[str, Any]:
        """What cannot be changed is told beside what was, and makes the whole a 400."""
        return self._bulk("update", query, lambda row: self._changed(row, body))

    def delete(self, id: str, query: Query) -> dict[str, Any]:
        self._may_write()
        row = self._row(id)
        if row is None:
            raise not_found()
        return {"doc": self._shown(self._deleted(row), query), "message": "Deleted successfully."}

    def delete_where(self, query: Query) -> dict[str, Any]:
        return self._bulk("delete", query, self._deleted)

    def _bulk(self, verb: str, query: Query, change: Any) -> dict[str, Any]:
        self._may_write()
        if not query.get("where"):
            raise PayloadError(400, f"Missing 'where' query of documents to {verb}.")
        docs, errors = [], []
        for row in self._matching(query):
            try:
                docs.append(self._shown(change(row), query))
            except PayloadError as exc:
                errors.append({"id": row["id"], "message": exc.body["errors"][0]["message"]})
        named = self.collection.singular if len(docs) == 1 else self.collection.plural
        told = {"docs": docs, "errors": errors, "message": f"{verb.title()}d {len(docs)} {named} successfully."}
        if errors:
            failed = PayloadError(400, "")
            failed.body = told
            raise failed
        return told

    def _changed(self, row: Row, body: Mapping[str, Any]) -> Row:
        with self._store.transaction():
            kept = {"updatedAt": now(), "createdAt": row["createdAt"]}
            changed = {**row, **self._checked(row, body), **kept, **self._status(row, body)}
            return self._store.put(self.collection.slug, str(row["id"]), changed)

    def _deleted(self, row: Row) -> Row:
        self._store.delete(self.collection.slug, str(row["id"]))
        return row

    def _may_write(self) -> None:
        if self._user is None:
            raise not_allowed()

    def _status(self, before: Row, body: Mapping[str, Any]) -> dict[str, Any]:
        if not self.collection.drafts:
            return {}
        return {"_status": body.get("_status", before.get("_status", "draft"))}

    def _checked(self, before: Row, body: Mapping[str, Any]) -> dict[str, Any]:
        """The fields of a document after a change; what the collection does not declare is passed over.

        Raises: PayloadError 400 that names every field which is wrong, 500 for a relation to nothing.
        """
        problems: list[dict[str, str]] = []
        row: dict[str, Any] = {}
        for name, field in self.collection.fields.items():
            value = body.get(name, before.get(name, field.empty))
            row[name] = _kept(field, value)
            label = name[:1].upper() + name[1:]
            if field.required and value in (None, ""):
                problems.append({"label": label, "message": "This field is required.", "path": name})
            elif field.options and value is not None and not set(_many(value)) <= set(field.options):
                told = "This field has an invalid selection."
                problems.append({"label": label, "message": told, "path": name})
        if problems:
            raise invalid(self.collection.slug, problems)
        for name, field in self.collection.fields.items():
            if field.kind == "relationship" and row[name] is not None and not self._related(field.to or "", row[name]):
                raise broken()
            if field.unique and any(
                other[name] == row[name] and other["id"] != before.get("id")
                for other in self._store.rows(self.collection.slug)
            ):
                problem = {"message": "Value must be unique", "path": name, "tableName": self.collection.slug}
                raise invalid(self.collection.slug, [problem])
        return row


def _kept(field: Field, value: Any) -> Any:
    """As the database keeps it: a number that is none is nothing, and what is no text becomes one."""
    if value is None:
        return None
    if field.kind == "number":
        return value if isinstance(value, int | float) and not isinstance(value, bool) else None
    if field.kind == "text" and not field.many and not isinstance(value, str):
        return str(value)
    return value


def _many(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _integer(text: Any) -> int | None:
    try:
        return int(str(text))
    except ValueError:
        return None
