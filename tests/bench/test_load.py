from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from bench.load import Request, WrongAnswer, ask_once, run_load

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


class Server:
    """Answers request number i (from 0) with `answer(i)`, as it is; with None it hangs up."""

    def __init__(self, answer: Callable[[int], bytes | None]) -> None:
        self._answer = answer
        self.seen: list[bytes] = []
        self.connections = 0
        self.most_at_once = 0
        self._now = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
                self.seen.append(head + await reader.readexactly(length))
                answer = self._answer(len(self.seen) - 1)
                if answer is None:
                    return
                self._now += 1
                self.most_at_once = max(self.most_at_once, self._now)
                await asyncio.sleep(0)
                self._now -= 1
                writer.write(answer)
        except asyncio.IncompleteReadError:
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serving(answer: Callable[[int], bytes | None]) -> AsyncIterator[tuple[Server, Request]]:
    server = Server(answer)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        yield server, Request(f"http://127.0.0.1:{port}/graphql", {"x-key": "k"}, b'{"query":"q"}')


async def test_a_load_ends_after_so_many_answers_and_times_each() -> None:
    async with serving(lambda i: ANSWER) as (server, request):
        load = await run_load(request, length=5, seconds=60, connections=3, most=20)
    assert load.answers == len(load.latencies_ms) == len(server.seen) == 20
    assert all(0 < latency <= load.seconds * 1000 for latency in load.latencies_ms)


async def test_a_load_asks_over_persistent_connections_no_more_than_it_has() -> None:
    async with serving(lambda i: ANSWER) as (server, request):
        await run_load(request, length=5, seconds=60, connections=3, most=50)
    assert server.connections == 3
    assert server.most_at_once <= 3


async def test_a_load_whose_time_is_up_asks_once() -> None:
    async with serving(lambda i: ANSWER) as (server, request):
        load = await run_load(request, length=5, seconds=0, connections=4)
    assert load.answers == len(server.seen) == 1


async def test_every_request_is_the_whole_operation() -> None:
    async with serving(lambda i: ANSWER) as (server, request):
        await run_load(request, length=5, seconds=60, connections=1, most=2)
        assert await ask_once(request) == b"hello"
    assert len(set(server.seen)) == 1
    head, body = server.seen[0].split(b"\r\n\r\n")
    first, *headers = head.split(b"\r\n")
    assert first == b"POST /graphql HTTP/1.1"
    assert {b"x-key: k", b"content-length: 13"} < set(headers)
    assert body == b'{"query":"q"}'


@pytest.mark.parametrize(
    ("odd_one", "told"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nhell", "200 with 4 bytes"),
        (b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 5\r\n\r\nhello", "503 with 5 bytes"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", "without content-length"),
        (None, "connection was lost"),
    ],
    ids=["another length", "another status", "no length", "no answer"],
)
async def test_one_wrong_answer_among_many_fails_the_load(odd_one: bytes | None, told: str) -> None:
    async with serving(lambda i: odd_one if i == 7 else ANSWER) as (_, request):
        with pytest.raises(WrongAnswer, match=told):
            await run_load(request, length=5, seconds=60, connections=2, most=20)


async def test_a_server_that_is_not_there_is_a_wrong_answer() -> None:
    async with serving(lambda i: ANSWER) as (_, request):
        pass
    with pytest.raises(WrongAnswer, match="cannot be reached"):
        await run_load(request, length=5, seconds=60, connections=2, most=20)


async def test_a_silent_server_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.load.ANSWER_TIMEOUT_S", 0.01)
    async with serving(lambda i: b"") as (_, request):
        with pytest.raises(WrongAnswer, match="no answer within"):
            await ask_once(request)


async def test_asking_once_refuses_any_status_but_200() -> None:
    async with serving(lambda i: ANSWER.replace(b"200", b"500")) as (_, request):
        with pytest.raises(WrongAnswer, match="500"):
            await ask_once(request)
