"""Fleetbase's rows, the indexes that make batch reads cheap, and the ids it gives.

A row is never changed in place: a write puts a new one. Relations are ids here and become objects in `wire`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from contextlib import AbstractContextManager
from datetime import UTC, datetime

from sandbox.store import Row, Store
from sandbox.world import short

INTERNAL_ID_KINDS = frozenset({"order", "driver", "vehicle", "contact"})
_KINDS = ("order", "driver", "vehicle", "fleet", "place", "contact", "service_area", "zone", "service_quote")
_EMBEDDED_IN_ORDERS = frozenset({"driver", "vehicle", "contact", "place"})


def iso(moment: datetime) -> str:
    """Fleetbase's spelling of a time: UTC with six decimals."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def now() -> str:
    return iso(datetime.now(UTC))


class Database:
    """Rows by kind. `find` knows both kinds of id; lists come in the order of creation."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._by_internal_id: dict[tuple[str, str], list[str]] = defaultdict(list)
        self._by_tracking_number: dict[str, str] = {}
        self._rank: dict[str, int] = {}
        self.rendered_orders: dict[str, bytes] = {}
        """Answers by order id, as long as neither the order nor a row embedded in it changes."""
        for kind in _KINDS:
            for row in store.rows(kind):
                self._index(kind, row)

    def transaction(self) -> AbstractContextManager[None]:
        return self._store.transaction()

    def new_id(self, kind: str) -> str:
        return short(kind, self._store.counter(kind))

    def number(self, name: str) -> int:
        """The next number of a series that survives restarts."""
        return self._store.counter(name)

    def reserve_ids(self, kind: str, count: int) -> None:
        """Keep the first ids of a kind for the demo world."""
        self._store.counter(kind, step=count)

    def rows(self, kind: str) -> list[Row]:
        return self._store.rows(kind)

    def get(self, kind: str, id: str | None) -> Row | None:
        return self._store.get(kind, id) if id else None

    def find(self, kind: str, id: str) -> Row | None:
        """By public id, else the oldest with this internal id."""
        return self._store.get(kind, id) or next(iter(self.by_internal_ids(kind, [id])), None)

    def by_ids(self, kind: str, ids: Iterable[str]) -> list[Row]:
        """Absent ones left out, in order of creation whatever the order of asking."""
        rows = (self._store.get(kind, each) for each in dict.fromkeys(ids))
        return sorted((row for row in rows if row), key=lambda row: self._rank[row["id"]])

    def by_internal_ids(self, kind: str, internal_ids: Iterable[str]) -> list[Row]:
        wanted = set(internal_ids)
        found = (row_id for key in wanted for row_id in self._by_internal_id.get((kind, key), ()))
        return [row for row in self.by_ids(kind, found) if row["internal_id"] in wanted]

    def order_by_tracking_number(self, number: str) -> Row | None:
        return self.get("order", self._by_tracking_number.get(number))

    def put(self, kind: str, row: Row) -> Row:
        if kind == "order":
            self.rendered_orders.pop(row["id"], None)
        elif kind in _EMBEDDED_IN_ORDERS and self._store.get(kind, row["id"]):
            self.rendered_orders.clear()
        self._store.put(kind, row["id"], row)
        self._index(kind, row)
        return row

    def delete(self, kind: str, id: str) -> None:
        self._store.delete(kind, id)
        self.rendered_orders.pop(id, None)

    def _index(self, kind: str, row: Row) -> None:
        """Add what is new. Entries of the past stay, so readers compare with the row."""
        row_id = row["id"]
        self._rank.setdefault(row_id, len(self._rank))
        if kind in INTERNAL_ID_KINDS:
            ids = self._by_internal_id[kind, row["internal_id"]]
            if row_id not in ids:
                ids.append(row_id)
        if kind == "order":
            self._by_tracking_number[row["tracking_number"]["tracking_number"]] = row_id
