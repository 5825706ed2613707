"""Server-Sent Events, however the network cuts them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasources._sse import EventTooLong, event_data


async def read(*chunks: bytes, longest: int = 1000) -> list[bytes]:
    async def arriving() -> AsyncIterator[bytes]:
        for chunk in chunks:
            yield chunk

    return [data async for data in event_data(arriving(), longest=longest)]


async def test_each_event_gives_its_data() -> None:
    assert await read(b"data: one\n\ndata: two\n\ndata: [DONE]\n\n") == [b"one", b"two", b"[DONE]"]


async def test_comments_names_and_empty_events_are_left_out() -> None:
    stream = b": keep-alive\n\nevent: x\nid: 7\ndata: one\n\n:\n\nevent: y\n\nretry: 5\n\n"
    assert await read(stream) == [b"one"]


async def test_lines_of_one_event_are_joined_and_one_blank_is_not_theirs() -> None:
    assert await read(b"data: a\ndata:b\ndata:  c\ndata:\n\n") == [b"a\nb\n c\n"]


async def test_what_is_cut_off_is_no_event() -> None:
    assert await read(b"data: one\n\ndata: tw") == [b"one"]
    assert await read(b"data: one\n\ndata: two\n") == [b"one"]


async def test_an_event_without_end_is_refused() -> None:
    with pytest.raises(EventTooLong):
        await read(b"data: ", *[b"x" * 100] * 11)
    with pytest.raises(EventTooLong):
        await read(*[b"data: " + b"x" * 100 + b"\n"] * 11)
    assert len(await read(*[b"data: " + b"x" * 100 + b"\n\n"] * 50)) == 50


TEXT = "data: Përshëndetje 👋\n\n: note\n\ndata: a\ndata: b\n\n"


@given(st.sampled_from(["\n", "\r\n", "\r"]), st.lists(st.integers(0, 80), max_size=12))
async def test_it_does_not_matter_where_the_network_cuts(end: str, cuts: list[int]) -> None:
    raw = TEXT.replace("\n", end).encode()
    places = [0, *sorted(cuts), len(raw)]
    chunks = [raw[start:stop] for start, stop in pairwise(places)]
    assert await read(*chunks) == ["Përshëndetje 👋".encode(), b"a\nb"]
