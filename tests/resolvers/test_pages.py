"""Pages and cursors: what we made is understood, everything else is the caller's mistake."""

from __future__ import annotations

import base64
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import BadUserInput
from datasources.mongo import Keyset
from resolvers.keysets import keyset_after, keyset_page
from resolvers.pages import checked_first, decode_cursor, encode_cursor, no_rows, offset_after, offset_page

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
FOREIGN = (
    st.text()
    | st.binary().map(lambda raw: base64.urlsafe_b64encode(raw).decode())
    | JSON.map(lambda value: base64.urlsafe_b64encode(_json(value)).decode().rstrip("="))
)
MOMENTS = st.datetimes(min_value=datetime(1970, 1, 1), max_value=datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
IDS = st.binary(min_size=12, max_size=12).map(bytes.hex)


def _json(value: Any) -> bytes:
    with suppress(TypeError):
        return orjson.dumps(value)
    return b"null"


def raw(position: bytes) -> str:
    return base64.urlsafe_b64encode(position).decode().rstrip("=")


@given(st.integers(min_value=0, max_value=2**31 - 1))
def test_an_offset_survives_its_cursor(row: int) -> None:
    assert offset_after(encode_cursor(row)) == row + 1


@given(MOMENTS, IDS)
def test_a_keyset_survives_its_cursor(created_at: datetime, id: str) -> None:
    assert keyset_after(encode_cursor(created_at.isoformat(), id)) == Keyset(created_at, id)


@given(FOREIGN)
def test_a_foreign_cursor_never_crashes(cursor: str) -> None:
    for understand in (offset_after, keyset_after):
        try:
            position = understand(cursor)
        except BadUserInput:
            continue
        assert encode_cursor(*decode_cursor(cursor)) == cursor, position


@given(st.text())
def test_arbitrary_text_is_bad_user_input(text: str) -> None:
    for understand in (offset_after, keyset_after):
        with pytest.raises(BadUserInput):
            understand(text)


@given(MOMENTS, IDS, st.integers(min_value=0, max_value=1000))
def test_a_cursor_of_one_list_is_none_of_another(created_at: datetime, id: str, row: int) -> None:
    with pytest.raises(BadUserInput):
        offset_after(encode_cursor(created_at.isoformat(), id))
    with pytest.raises(BadUserInput):
        keyset_after(encode_cursor(row))


ID = "5f" * 12
NOW = "2026-01-01T12:00:00+00:00"


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "=",
        "é",
        "\ud800",
        "a" * 100_000,
        raw(b"[" * 100_000),
        raw(b"[" * 200 + b"1" + b"]" * 200),
        raw(b"[" * 1000 + b"]" * 1000),
        raw(b'{"a": 1}'),
        raw(b"5"),
        raw(b"[5 ]"),
        encode_cursor(5) + "=",
        encode_cursor(5) + "!",
        "!" + encode_cursor(5),
        encode_cursor(-1),
        encode_cursor(2**31),
        encode_cursor(2**60),
        encode_cursor(True),
        encode_cursor(1.5),
        encode_cursor("5"),
        encode_cursor(5, 5),
        encode_cursor(NOW),
        encode_cursor(NOW, ID, ID),
        encode_cursor(NOW, "x"),
        encode_cursor(NOW, ID.upper()),
        encode_cursor(NOW, "é" * 24),
        encode_cursor(NOW, {"$gt": ""}),
        encode_cursor({"$gt": ""}, ID),
        encode_cursor("yesterday", ID),
        encode_cursor("2026-01-01T12:00:00", ID),
        encode_cursor("2026-01-01T12:00:00Z", ID),
        encode_cursor("0001-01-01T00:00:00+14:00", ID),
        encode_cursor("9999-12-31T23:59:59-14:00", ID),
        encode_cursor("2026-01-01T12:00:00+02:00", ID),
        raw(b'["\\ud800", "x"]'),
    ],
)
def test_what_is_no_cursor_of_ours_is_refused(cursor: str) -> None:
    for understand in (offset_after, keyset_after):
        with pytest.raises(BadUserInput, match="not a cursor"):
            understand(cursor)


def test_without_a_cursor_a_list_begins_at_its_beginning() -> None:
    assert offset_after(None) == 0
    assert keyset_after(None) is None


@pytest.mark.parametrize("first", [0, -1, 101, 2**31])
def test_a_page_has_one_to_a_hundred_rows(first: int) -> None:
    with pytest.raises(BadUserInput, match="between 1 and 100"):
        checked_first(first)


def test_a_page_has_twenty_rows_unless_it_is_said() -> None:
    assert [checked_first(None), checked_first(None, 50), checked_first(1), checked_first(100)] == [20, 50, 1, 100]


async def test_a_page_of_counted_rows_continues_behind_its_last() -> None:
    page = offset_page(["c", "d"], 2, has_next=True, total=9)
    assert page.nodes == ["c", "d"]
    assert [offset_after(edge.cursor) for edge in page.edges] == [3, 4]
    info = page.page_info
    assert (info.has_next_page, info.has_previous_page) == (True, True)
    assert (info.start_cursor, info.end_cursor) == (page.edges[0].cursor, page.edges[1].cursor)
    assert await page.total() == 9


async def test_an_empty_page_has_no_cursors() -> None:
    page = no_rows()
    assert (page.nodes, page.page_info.start_cursor, page.page_info.end_cursor) == ([], None, None)
    assert (page.page_info.has_next_page, page.page_info.has_previous_page) == (False, False)
    assert await page.total() == 0
    assert await offset_page([], 0, has_next=False).total() is None


@dataclass
class Row:
    id: str
    created_at: datetime


async def test_the_size_of_a_list_is_asked_for_only_by_those_who_ask() -> None:
    asked: list[int] = []

    async def count() -> int:
        asked.append(1)
        return 7

    rows = [Row(f"{n:024x}", datetime(2026, 1, 1, tzinfo=UTC) - timedelta(days=n)) for n in range(3)]
    page = keyset_page(rows, 2, None, count)
    assert page.nodes == rows[:2]
    assert (page.page_info.has_next_page, page.page_info.has_previous_page) == (True, False)
    assert asked == []
    assert await page.total() == 7
    last = keyset_page(rows[2:], 2, Keyset(rows[1].created_at, rows[1].id), count)
    assert (last.page_info.has_next_page, last.page_info.has_previous_page) == (False, True)


def test_a_cursor_holds_utc_whatever_zone_the_record_has() -> None:
    async def count() -> int:
        return 1

    there = timezone(timedelta(hours=2))
    [edge] = keyset_page([Row(ID, datetime(2026, 1, 1, 14, tzinfo=there))], 1, None, count).edges
    assert keyset_after(edge.cursor) == Keyset(datetime(2026, 1, 1, 12, tzinfo=UTC), ID)
