"""What answers look like: the fields that were asked for, and the relations, which are absent unless they were."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sandbox.store import Row, Store
from sandbox.strapi import documents
from sandbox.strapi.errors import invalid_key, unsupported
from sandbox.strapi.filters import related
from sandbox.strapi.query import Node
from sandbox.strapi.types import TYPES, ContentType


class View:
    """Made once for a request, so that keys which are none are refused though no row is found."""

    def __init__(self, store: Store, of: ContentType, query: Node, *, drafts: bool) -> None:
        self._store, self._of, self._drafts = store, of, drafts
        self._fields = _fields(of, query.at("fields").words(), "fields")
        self._below = _populated(of, query.at("populate"))

    def of(self, row: Row) -> dict[str, Any]:
        shown = {name: row[name] for name in self._fields}
        for name, fields in self._below.items():
            others = related(self._store, self._of, row, name, drafts=self._drafts)
            views = [{field: other[field] for field in fields} for other in others]
            is_list = self._of.relations[name].inverse is not None
            shown[name] = views if is_list else next(iter(views), None)
        return shown


def _fields(of: ContentType, words: Sequence[str], param: str) -> list[str]:
    """All of them unless some are named; the identities always."""
    named = [word for word in words if word != "*"]
    for word in named:
        if of.kind_of(word) is None:
            raise invalid_key(word, param=param)
    every = documents.plain_fields(of)
    return [name for name in every if not named or name in ("id", "documentId", *named)]


def _populated(of: ContentType, node: Node) -> dict[str, list[str]]:
    """The relations that are wanted, with their fields."""
    wanted: dict[str, list[str]] = {}
    for word in node.words():
        for name in of.relations if word == "*" else [word]:
            wanted[name] = []
    for name, below in node.below.items():
        if name.isdecimal():
            continue
        if unknown := below.below.keys() - {"fields"}:
            raise unsupported(f"populate[{name}][{min(unknown)}]")
        wanted[name] = below.at("fields").words()
    for name in wanted:
        if name not in of.relations:
            raise invalid_key(name, param="populate")
    return {name: _fields(TYPES[of.relations[name].target], words, "populate") for name, words in wanted.items()}
