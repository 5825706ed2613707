"""One request's view of the site: the store with this request's changes laid over it.

Nothing reaches the store before `write`, so a refusal half-way leaves no trace, as Frappe's transaction does.
"""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from sandbox.store import Row, Store

SITE_TIME_ZONE = "Europe/Tirane"
"""Times on the wire carry no zone and are in this one."""

USER = "gateway@omnistack.example"
"""Whose API key it is."""

_DIGITS = "0123456789abcdefghijklmnopqrstuv"


class Unit:
    """Rows by (DocType, name). `now` is the site's wall clock."""

    def __init__(self, store: Store, now: datetime | None = None) -> None:
        self._store = store
        self._changed: dict[str, dict[str, Row | None]] = {}
        self._steps: dict[str, int] = {}
        self.now = (now or datetime.now(UTC)).astimezone(ZoneInfo(SITE_TIME_ZONE)).replace(tzinfo=None)

    @property
    def stamp(self) -> str:
        return f"{self.now:%Y-%m-%d %H:%M:%S.%f}"

    @property
    def today(self) -> str:
        return f"{self.now:%Y-%m-%d}"

    def get(self, doctype: str, name: str) -> Row | None:
        """To read, not to change."""
        changed = self._changed.get(doctype)
        if changed is not None and name in changed:
            return changed[name]
        return self._store.get(doctype, name)

    def known(self, doctype: str, name: str) -> Row:
        """A row that must exist, to read. Raises: KeyError."""
        row = self.get(doctype, name)
        if row is None:
            raise KeyError(f"{doctype} {name}")
        return row

    def rows(self, doctype: str) -> list[Row]:
        """To read, not to change; oldest first."""
        rows, changed = self._store.rows(doctype), self._changed.get(doctype)
        if not changed:
            return rows
        merged = {row["name"]: row for row in rows} | changed
        return [row for row in merged.values() if row is not None]

    def edit(self, doctype: str, name: str) -> Row:
        """A private copy of an existing row, already marked as changed. Raises: KeyError."""
        return self.put(doctype, copy.deepcopy(self.known(doctype, name)))

    def put(self, doctype: str, row: Row) -> Row:
        self._changed.setdefault(doctype, {})[row["name"]] = row
        return row

    def delete(self, doctype: str, name: str) -> None:
        self._changed.setdefault(doctype, {})[name] = None

    def count(self, counter: str) -> int:
        """The next number of a counter, from 1."""
        self._steps[counter] = self._steps.get(counter, 0) + 1
        return self._store.counter(counter, step=0) + self._steps[counter]

    def row_name(self) -> str:
        """A name for a row without one of its own: ten characters that sort by age."""
        number, name = self.count("row name"), ""
        for _ in range(9):
            number, digit = divmod(number, len(_DIGITS))
            name = _DIGITS[digit] + name
        return "v" + name

    def write(self) -> None:
        """Hand every change to the store; the caller holds a transaction."""
        for counter, step in self._steps.items():
            self._store.counter(counter, step=step)
        for doctype, changed in self._changed.items():
            for name, row in changed.items():
                if row is None:
                    self._store.delete(doctype, name)
                else:
                    self._store.put(doctype, name, row)
        self._changed, self._steps = {}, {}

    def commit(self) -> None:
        if self._changed or self._steps:
            with self._store.transaction():
                self.write()
