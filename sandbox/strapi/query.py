"""What a URL asks: brackets into a tree, and the parameters that lists have."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from sandbox.strapi.errors import Refusal

MAX_ARRAY = 100
"""What the parser makes an array of. Of more values it makes an object with numbers for keys, and a filter that finds
an object where it wants a list is left out without a word."""
DEFAULT_SIZE, LARGEST_SIZE = 25, 100
_KEY = re.compile(r"([^\[\]]+)((?:\[[^\[\]]*\])*)")


@dataclass
class Node:
    """A place in the tree: the values that were put there, and what lies below it."""

    values: list[str] = field(default_factory=list)
    below: dict[str, Node] = field(default_factory=dict)

    def at(self, *path: str) -> Node:
        """An empty one where there is nothing."""
        node = self
        for key in path:
            node = node.below.get(key, Node())
        return node

    @property
    def value(self) -> str | None:
        return self.values[-1] if self.values else None

    def listed(self) -> list[str]:
        """Its values, however they are spelled: repeated, with `[]`, or with indices."""
        indexed = [value for key, node in self.below.items() if key.isdecimal() for value in node.values]
        return [*self.values, *indexed]

    def words(self) -> list[str]:
        """As `listed`, where commas separate as well."""
        return [word for value in self.listed() for word in value.split(",") if word]


def parse(pairs: Iterable[tuple[str, str]]) -> Node:
    root = Node()
    for key, value in pairs:
        match = _KEY.fullmatch(key)
        if match is None:
            continue
        node = root.below.setdefault(match[1], Node())
        for part in re.findall(r"\[([^\[\]]*)\]", match[2]):
            # `key[]=a&key[]=b` is a list, as `key=a&key=b` is.
            node = node.below.setdefault(part, Node()) if part else node
        node.values.append(value)
    return root


@dataclass(frozen=True)
class Paging:
    """Rows from `start`, at most `limit`; told as pages or as offsets, with totals or without."""

    start: int
    limit: int
    by_page: bool
    with_count: bool

    def described(self, total: int) -> dict[str, int]:
        told = {"page": self.start // self.limit + 1, "pageSize": self.limit}
        if not self.by_page:
            told = {"start": self.start, "limit": self.limit}
        if not self.with_count:
            return told
        pages = {"pageCount": -(-total // self.limit)} if self.by_page else {}
        return {**told, **pages, "total": total}


def paging(node: Node) -> Paging:
    """Raises Refusal where pages and offsets are mixed."""
    by_page, by_offset = (any(name in node.below for name in names) for names in (("page", "pageSize"), _OFFSETS))
    if by_page and by_offset:
        raise Refusal(400, "PaginationError", "Cannot use both page & offset pagination in the same query", {})
    with_count = node.at("withCount").value not in ("false", "0")
    if by_offset:
        limit = _number(node.at("limit").value, DEFAULT_SIZE, 1, LARGEST_SIZE)
        return Paging(_number(node.at("start").value, 0, 0, 2**53), limit, by_page=False, with_count=with_count)
    size = _number(node.at("pageSize").value, DEFAULT_SIZE, 1, LARGEST_SIZE)
    page = _number(node.at("page").value, 1, 1, 2**53)
    return Paging((page - 1) * size, size, by_page=True, with_count=with_count)


_OFFSETS = ("start", "limit")


def _number(text: str | None, default: int, least: int, most: int) -> int:
    """Cut to its bounds in silence."""
    try:
        value = int(text) if text is not None else default
    except ValueError:
        value = default
    return min(max(value, least), most)
