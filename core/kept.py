"""Rows as their backend has said them, word for word, beside the records that were made of them.

Decoding leaves behind what the gateway has no name for. Callers of older interfaces read those words, so an entrance
that serves them lets the running operation keep them; for everybody else nothing is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter
from typing import Any

import msgspec
import orjson

from core.backends import BackendName


class Kept:
    """What an operation has read so far. Who reads from it says which rows a caller may have: it holds them all."""

    def __init__(self) -> None:
        self._rows: list[tuple[int, msgspec.Struct, Any]] = []
        self._bodies: dict[BackendName, Any] = {}

    def add(self, backend: BackendName, decoded: object, body: bytes) -> None:
        """Keep what these records were decoded from."""
        said = orjson.loads(body)
        self._bodies[backend] = said
        self._rows.extend(_rows(decoded, said, 0))

    def rows(self, of: type, *identity: str) -> dict[tuple[Any, ...], Any]:
        """The rows of a kind of record, by these attributes of it, as JSON.

        Of several that are about the same one, the nearest to the root of its answer counts, which is told in most
        detail, and of those the latest.
        """
        attributes = [attrgetter(name) for name in identity]
        found: dict[tuple[Any, ...], tuple[int, Any]] = {}
        for depth, record, said in self._rows:
            if isinstance(record, of):
                key = tuple(attribute(record) for attribute in attributes)
                if key not in found or depth <= found[key][0]:
                    found[key] = depth, said
        return {key: said for key, (_, said) in found.items()}

    def all(self, of: type) -> list[tuple[Any, Any]]:
        """Every row of a kind of record, beside its record, in the order in which they came."""
        return [(record, said) for _, record, said in self._rows if isinstance(record, of)]

    def body(self, backend: BackendName) -> Any:
        """The last whole answer of a backend; None where there was none."""
        return self._bodies.get(backend)


def _rows(decoded: object, said: Any, depth: int) -> Iterator[tuple[int, msgspec.Struct, Any]]:
    """The records in something decoded, each beside the JSON object that it was made of."""
    if isinstance(decoded, msgspec.Struct) and isinstance(said, dict):
        yield depth, decoded, said
        for attribute, name in zip(decoded.__struct_fields__, decoded.__struct_encode_fields__, strict=True):
            if name in said:
                yield from _rows(getattr(decoded, attribute), said[name], depth + 1)
    elif isinstance(decoded, list | tuple) and isinstance(said, list) and len(decoded) == len(said):
        for one, its in zip(decoded, said, strict=True):
            yield from _rows(one, its, depth)
    elif isinstance(decoded, dict) and isinstance(said, dict):
        for name, one in decoded.items():
            if name in said:
                yield from _rows(one, said[name], depth + 1)
