"""Rows are in memory to be read and in the file before anybody hears of them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.store import Store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rows.db"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    store = Store(path)
    yield store
    store.close()


def reopened(path: Path) -> Store:
    """What another process would find now."""
    return Store(path)


def test_what_was_put_is_there_after_a_restart(store: Store, path: Path) -> None:
    store.put("order", "o1", {"id": "o1", "name": "Laprakë", "lines": [1, 2], "total": 12.5, "note": None})
    again = reopened(path)
    assert again.rows("order") == [{"id": "o1", "name": "Laprakë", "lines": [1, 2], "total": 12.5, "note": None}]
    again.close()


def test_a_deleted_row_stays_deleted(store: Store, path: Path) -> None:
    store.put("order", "o1", {"id": "o1"})
    store.delete("order", "o1")
    store.delete("order", "never was")
    again = reopened(path)
    assert (store.get("order", "o1"), again.get("order", "o1")) == (None, None)
    again.close()


def test_a_replaced_row_keeps_its_place_and_a_new_one_comes_last(store: Store, path: Path) -> None:
    for name in ("a", "b", "c"):
        store.put("order", name, {"id": name, "version": 1})
    store.put("order", "a", {"id": "a", "version": 2})
    store.delete("order", "c")
    store.put("order", "d", {"id": "d", "version": 1})
    again = reopened(path)
    expected = [{"id": "a", "version": 2}, {"id": "b", "version": 1}, {"id": "d", "version": 1}]
    assert store.rows("order") == again.rows("order") == expected
    again.close()


def test_kinds_do_not_mix(store: Store) -> None:
    store.put("order", "1", {"kind": "order"})
    store.put("driver", "1", {"kind": "driver"})
    assert store.get("order", "1") == {"kind": "order"}
    assert store.rows("vehicle") == []


def test_a_transaction_is_invisible_until_it_ends_and_whole_afterwards(store: Store, path: Path) -> None:
    with store.transaction():
        store.put("order", "o1", {"id": "o1"})
        store.counter("orders")
        during = reopened(path)
        assert during.rows("order") == []
        during.close()
    after = reopened(path)
    assert after.rows("order") == [{"id": "o1"}]
    assert after.counter("orders", step=0) == 1
    after.close()


def test_an_error_undoes_a_transaction_in_the_file_and_in_memory(store: Store, path: Path) -> None:
    store.put("order", "o1", {"id": "o1", "status": "created"})
    store.put("order", "o2", {"id": "o2", "status": "created"})
    store.counter("orders", step=2)

    def fail() -> None:
        with store.transaction():
            store.put("order", "o1", {"id": "o1", "status": "canceled"})
            store.delete("order", "o2")
            store.put("order", "o3", {"id": "o3", "status": "created"})
            store.put("driver", "d1", {"id": "d1"})
            store.counter("orders")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    again = reopened(path)
    for seen in (store, again):
        assert seen.rows("order") == [{"id": "o1", "status": "created"}, {"id": "o2", "status": "created"}]
        assert seen.rows("driver") == []
        assert seen.counter("orders", step=0) == 2
    again.close()
    store.put("order", "o4", {"id": "o4"})
    assert [row["id"] for row in store.rows("order")] == ["o1", "o2", "o4"]


def test_what_is_no_json_is_refused_and_leaves_the_old_row(store: Store) -> None:
    store.put("order", "o1", {"id": "o1"})
    with pytest.raises(TypeError):
        store.put("order", "o1", {"id": object()})
    assert store.get("order", "o1") == {"id": "o1"}


def test_counters_go_on_after_a_restart(store: Store, path: Path) -> None:
    assert [store.counter("orders"), store.counter("orders"), store.counter("orders", step=10)] == [1, 2, 12]
    assert store.counter("orders", step=0) == 12
    again = reopened(path)
    assert (again.counter("orders"), again.counter("drivers")) == (13, 1)
    again.close()


def test_seeding_happens_once_in_the_life_of_a_file(store: Store, path: Path) -> None:
    seeded: list[str] = []

    def fill(into: Store) -> None:
        seeded.append("filled")
        into.put("order", "o1", {"id": "o1"})

    store.seed(fill)
    store.seed(fill)
    again = reopened(path)
    again.seed(fill)
    assert seeded == ["filled"]
    assert again.rows("order") == [{"id": "o1"}]
    again.close()


def test_a_seeding_that_failed_leaves_nothing_and_is_tried_again(store: Store, path: Path) -> None:
    def fails_half_way(into: Store) -> None:
        into.put("order", "o1", {"id": "o1"})
        raise RuntimeError

    with pytest.raises(RuntimeError):
        store.seed(fails_half_way)
    assert store.rows("order") == []

    def works(into: Store) -> None:
        into.put("order", "o2", {"id": "o2"})

    store.seed(works)
    assert [row["id"] for row in store.rows("order")] == ["o2"]


def test_a_killed_process_loses_nothing_that_it_had_acknowledged(path: Path) -> None:
    program = (
        "import os, signal, sys; from pathlib import Path; from sandbox.store import Store\n"
        "store = Store(Path(sys.argv[1]))\n"
        "with store.transaction():\n"
        "    store.put('order', 'o1', {'id': 'o1'})\n"
        "store.put('order', 'o2', {'id': 'o2'})\n"
        "store._db.execute('BEGIN IMMEDIATE')\n"
        "store.put('order', 'not committed', {})\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    root = Path(__file__).parents[2]
    killed = subprocess.run([sys.executable, "-c", program, str(path)], cwd=root, check=False, timeout=60)
    assert killed.returncode == -9
    again = reopened(path)
    assert [row["id"] for row in again.rows("order")] == ["o1", "o2"]
    again.close()


def test_without_a_path_nothing_touches_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = Store(None)
    store.put("order", "o1", {"id": "o1"})
    assert store.get("order", "o1") == {"id": "o1"}
    assert list(tmp_path.iterdir()) == []
    store.close()
