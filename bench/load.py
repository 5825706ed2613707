"""Load by a few persistent connections, each asking again as soon as it is answered.

HTTP/1.1 is spoken here by hand, and answers are measured but not parsed: a client that costs as much as the server
would measure itself.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

ANSWER_TIMEOUT_S = 30.0


class WrongAnswer(Exception):
    """What came back is not what was expected, so nothing was measured."""


@dataclass(frozen=True)
class Request:
    """A POST of `body` to `url`, plain http; without a body a GET."""

    url: str
    headers: Mapping[str, str]
    body: bytes | None = None

    def encoded(self) -> bytes:
        parts = urlsplit(self.url)
        method, body = ("GET", b"") if self.body is None else ("POST", self.body)
        lines = [f"{method} {parts.path or '/'} HTTP/1.1", f"host: {parts.netloc}", f"content-length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        return "\r\n".join([*lines, "", ""]).encode("ascii") + body


@dataclass(frozen=True)
class Load:
    """What a load met. `seconds` last from the first question to the last answer; one latency per answer."""

    seconds: float
    latencies_ms: list[float]

    @property
    def answers(self) -> int:
        return len(self.latencies_ms)


async def run_load(request: Request, *, length: int, seconds: float, connections: int, most: int | None = None) -> Load:
    """Ask for that long, at least once and at most `most` times in all, expecting bodies of `length` bytes.

    Raises WrongAnswer for a status other than 200, another length, a lost connection, or no answer in time.
    """
    encoded, latencies_ms = request.encoded(), list[float]()
    started, asked = time.perf_counter(), 0
    end = started + seconds

    def may_ask() -> bool:
        return (most is None or asked < most) and (asked == 0 or time.perf_counter() < end)

    async def keep_asking() -> None:
        nonlocal asked
        connection = await _Connection.open(request.url)
        try:
            while may_ask():
                asked += 1
                sent = time.perf_counter()
                status, body = await connection.ask(encoded)
                latencies_ms.append((time.perf_counter() - sent) * 1000)
                if status != 200 or len(body) != length:
                    raise WrongAnswer(f"{status} with {len(body)} bytes instead of 200 with {length}: {body[:200]!r}")
        finally:
            await connection.aclose()

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(connections):
                group.create_task(keep_asking())
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from failed
    return Load(time.perf_counter() - started, latencies_ms)


async def ask_once(request: Request) -> bytes:
    """The body of one answer. Raises WrongAnswer, for what `run_load` does and for any status but 200."""
    connection = await _Connection.open(request.url)
    try:
        status, body = await connection.ask(request.encoded())
    finally:
        await connection.aclose()
    if status != 200:
        raise WrongAnswer(f"{request.url} answered {status}: {body[:200]!r}")
    return body


class _Connection:
    """One keep-alive connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, url: str) -> _Connection:
        parts = urlsplit(url)
        try:
            return cls(*await asyncio.open_connection(parts.hostname, parts.port or 80))
        except OSError as exc:
            raise WrongAnswer(f"{url} cannot be reached") from exc

    async def ask(self, encoded: bytes) -> tuple[int, bytes]:
        """(status, body). Raises WrongAnswer."""
        self._writer.write(encoded)
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                head = await self._reader.readuntil(b"\r\n\r\n")
                return int(head[9:12]), await self._reader.readexactly(_length(head))
        except TimeoutError as exc:
            raise WrongAnswer(f"no answer within {ANSWER_TIMEOUT_S:.0f} s") from exc
        except (asyncio.IncompleteReadError, OSError) as exc:
            raise WrongAnswer("the connection was lost before an answer was complete") from exc

    async def aclose(self) -> None:
        self._writer.close()
        with suppress(OSError):
            await self._writer.wait_closed()


def _length(head: bytes) -> int:
    """Raises WrongAnswer when a head does not say how long its body is."""
    for line in head.split(b"\r\n")[1:]:
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            return int(value)
    raise WrongAnswer("an answer without content-length cannot be measured")
