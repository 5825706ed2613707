"""Where a simulator keeps its rows: in memory to be read, in SQLite before it answers.

Rows are JSON objects by (kind, id). Reads come from dictionaries in insertion order; a write is committed to the
file before the simulator's answer leaves, so a `kill -9` loses nothing that was acknowledged.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

Row = dict[str, Any]


class Store:
    """Rows of one simulator. `path=None` keeps them in memory only."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._db = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS row (seq INTEGER PRIMARY KEY, kind TEXT, id TEXT, body TEXT, UNIQUE (kind, id))"
        )
        self._rows: dict[str, dict[str, Row]] = {}
        self._written: set[str] = set()
        """Kinds written to in the running transaction."""
        for kind, row_id, body in self._db.execute("SELECT kind, id, body FROM row ORDER BY seq"):
            self._rows.setdefault(kind, {})[row_id] = json.loads(body)

    def seed(self, fill: Callable[[Store], None]) -> None:
        """Run `fill` once in the store's life, all or nothing."""
        if self.counter("seeded", step=0):
            return
        with self.transaction():
            fill(self)
            self.counter("seeded")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """One commit for several writes. An exception undoes them, in the file and in memory."""
        self._db.execute("BEGIN IMMEDIATE")
        self._written.clear()
        try:
            yield
            self._db.execute("COMMIT")
        except BaseException:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            self._reload(self._written)
            raise

    def rows(self, kind: str) -> list[Row]:
        """All rows of a kind, oldest first. They are the live objects: change them only to `put` them."""
        return list(self._rows.get(kind, {}).values())

    def get(self, kind: str, id: str) -> Row | None:
        return self._rows.get(kind, {}).get(id)

    def put(self, kind: str, id: str, row: Row) -> Row:
        """Insert or replace; an existing row keeps its place in the order."""
        self._written.add(kind)
        self._db.execute(
            "INSERT INTO row (kind, id, body) VALUES (?, ?, ?) "
            "ON CONFLICT (kind, id) DO UPDATE SET body = excluded.body",
            (kind, id, json.dumps(row, separators=(",", ":"))),
        )
        self._rows.setdefault(kind, {})[id] = row
        return row

    def delete(self, kind: str, id: str) -> None:
        self._written.add(kind)
        self._db.execute("DELETE FROM row WHERE kind = ? AND id = ?", (kind, id))
        self._rows.get(kind, {}).pop(id, None)

    def counter(self, name: str, *, step: int = 1) -> int:
        """A number that survives restarts: adds `step`, answers the new value."""
        value = int((self.get("_counter", name) or {"value": 0})["value"]) + step
        if step:
            self.put("_counter", name, {"value": value})
        return value

    def close(self) -> None:
        self._db.close()

    def _reload(self, kinds: set[str]) -> None:
        """Read these kinds again from the file; rows of others stay the objects they are."""
        for kind in kinds:
            found = self._db.execute("SELECT id, body FROM row WHERE kind = ? ORDER BY seq", (kind,))
            self._rows[kind] = {row_id: json.loads(body) for row_id, body in found}
