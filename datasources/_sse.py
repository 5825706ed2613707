"""Server-Sent Events, read as they come."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable

LONGEST_EVENT = 1024 * 1024
"""Bytes."""


class EventTooLong(ValueError):
    """An event without end."""


async def event_data(chunks: AsyncIterable[bytes], *, longest: int = LONGEST_EVENT) -> AsyncGenerator[bytes, None]:
    """The data of each event, wherever the network has cut it; comments, names and ids are left out.

    What follows the last blank line is no event. Lines end in LF, CR LF or CR. Raises EventTooLong.
    """
    rest, data, size, after_cr = b"", [], 0, False
    async for chunk in chunks:
        if not chunk:
            continue
        begins = 1 if after_cr and chunk.startswith(b"\n") else 0  # behind the other half of a line's end
        after_cr = chunk.endswith(b"\r")
        lines = (rest + chunk[begins:]).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        rest = lines.pop()
        for line in lines:
            if line.startswith(b"data:"):
                data.append(line[5:].removeprefix(b" "))
                size += len(line)
            elif not line and data:
                yield b"\n".join(data)
                data, size = [], 0
        if size + len(rest) > longest:
            raise EventTooLong(f"an event has more than {longest} bytes")
