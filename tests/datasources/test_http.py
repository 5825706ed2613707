from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import msgspec
import pytest

from core import operation
from core.backends import BackendName
from core.errors import (
    BackendBadResponse,
    BackendError,
    BackendRateLimited,
    BackendRejected,
    BackendTimeout,
    BackendUnavailable,
    BadUserInput,
)
from core.kept import Kept
from core.operation import Operation
from datasources._breaker import Breaker, CircuitState
from datasources._http import Answer, HttpBackend, Limits, NotAdmitted, open_client
from tests.clocks import ManualClock


class Row(msgspec.Struct, frozen=True):
    id: str


class Shop(HttpBackend):
    name = BackendName.MEDUSA

    async def ping(self) -> None:
        await self.send("GET", "/health")

    def refusal(self, answer: Answer) -> tuple[str, str | None]:
        body = msgspec.json.decode(answer.body)
        return body["message"], body["type"]


Handler = Callable[[httpx.Request], Any]


def shop(handler: Handler, **limits: Any) -> Shop:
    client = httpx.AsyncClient(base_url="http://shop", transport=httpx.MockTransport(handler))
    return Shop(client, Limits(**limits))


class Script:
    """Answers one after the other; an exception is raised."""

    def __init__(self, *answers: httpx.Response | Exception) -> None:
        self.answers = list(answers)
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def row() -> httpx.Response:
    return httpx.Response(200, json={"id": "p1"})


@pytest.fixture
async def running() -> AsyncIterator[operation.Operation]:
    with operation.running(operation.within(5)) as current:
        yield current


async def test_a_row_is_decoded_and_the_call_is_traced_by_its_template(running: operation.Operation) -> None:
    script = Script(row())
    found = await shop(script).read(
        "GET", "/products/{id}", Row, args={"id": "a&b c"}, query=[("f", "x y"), ("f", "+")], batch_size=3
    )
    assert found == Row("p1")
    assert str(script.requests[0].url) == "http://shop/products/a%26b%20c?f=x+y&f=%2B"
    [call] = running.calls
    assert (call.backend, call.method, call.path, call.status) == (BackendName.MEDUSA, "GET", "/products/{id}", 200)
    assert (call.batch_size, call.retries) == (3, 0)


@pytest.mark.parametrize("id", ["", ".", "..", "../stores", "a/b", "a\\b", "a\nb", "\0", "a\x7f"])
async def test_what_can_be_no_id_is_not_there_and_not_asked_for(running: operation.Operation, id: str) -> None:
    """In a path it would lead elsewhere, and what it meets there would count as the backend's failure."""
    backend = shop(Script())
    assert await backend.read_or_none("GET", "/products/{id}", Row, args={"id": id}) is None
    with pytest.raises(BackendRejected) as caught:
        await backend.write("POST", "/products/{id}", Row, args={"id": id}, json={})
    assert (caught.value.status, caught.value.reason) == (404, "not_found")
    assert running.calls == []


async def test_a_backend_that_has_ids_with_slashes_is_asked_for_them(running: operation.Operation) -> None:
    script = Script(row())
    backend = shop(script)
    backend.ids_hold_slashes = True  # type: ignore[misc]
    await backend.read("GET", "/products/{id}", Row, args={"id": "2026/1"})
    assert script.requests[0].url.raw_path == b"/products/2026%2F1"


@pytest.mark.parametrize("how", [{"query": [("q", "a\0")]}, {"form": [("q", "a\0")]}, {"json": {"q": "a\\\0"}}])
async def test_text_that_databases_fail_on_is_the_callers_mistake(
    running: operation.Operation, how: dict[str, Any]
) -> None:
    with pytest.raises(BadUserInput, match="NUL"):
        await shop(Script()).read("POST", "/x", Row, **how)


async def test_text_about_the_nul_character_is_sent(running: operation.Operation) -> None:
    how = {"query": [("q", "%00")], "json": {"q": r"\u0000"}}
    assert await shop(Script(row())).read("POST", "/x", Row, **how) == Row("p1")


@pytest.mark.parametrize(
    ("answer", "expected", "says"),
    [
        (httpx.ConnectError("refused"), BackendUnavailable, "cannot be reached"),
        (httpx.ReadError("reset"), BackendUnavailable, "cannot be reached"),
        (httpx.RemoteProtocolError("half"), BackendUnavailable, "cannot be reached"),
        (httpx.ReadTimeout("slow"), BackendTimeout, "did not answer"),
        (httpx.Response(503, html="<h1>down</h1>"), BackendUnavailable, "answered 503"),
        (httpx.Response(500, html="<h1>trace</h1>"), BackendUnavailable, "answered 500"),
        (httpx.Response(302, headers={"location": "/x"}), BackendBadResponse, "redirect"),
        (httpx.Response(429, json={}), BackendRateLimited, "rate limit"),
        (httpx.Response(422, json={"message": "no", "type": "bad"}), BackendRejected, "no"),
        (httpx.Response(404, json={"message": "gone", "type": "not_found"}), BackendRejected, "gone"),
        (httpx.Response(200, text="<html>"), BackendBadResponse, "not JSON"),
        (httpx.Response(200, text='{"id": "tru'), BackendBadResponse, "not JSON"),
        (httpx.Response(200, content=b'{"id": "\xff"}'), BackendBadResponse, "unexpected"),
        (httpx.Response(200, json={"id": 7}), BackendBadResponse, "`$.id`"),
        (httpx.Response(200, json={}), BackendBadResponse, "`id`"),
    ],
)
async def test_every_failure_becomes_an_error_of_ours_that_names_the_backend(
    running: operation.Operation, answer: httpx.Response | Exception, expected: type[BackendError], says: str
) -> None:
    running.may_retry = False
    with pytest.raises(expected, match=re.escape(says)) as caught:
        await shop(Script(answer)).read("GET", "/x", Row)
    assert caught.value.source is BackendName.MEDUSA
    assert caught.value.extensions["source"] == "MEDUSA"
    assert "shop" not in str(caught.value)
    assert len(running.calls) == 1


def test_no_transport_error_of_httpx_is_left_unmapped() -> None:
    backend = shop(Script())

    def kinds(kind: type[httpx.HTTPError]) -> list[type[httpx.HTTPError]]:
        return [kind, *[one for below in kind.__subclasses__() for one in kinds(below)]]

    for kind in kinds(httpx.TransportError):
        mapped = backend._transport_error(kind("x"), 1.0)
        assert isinstance(mapped, BackendTimeout if issubclass(kind, httpx.TimeoutException) else BackendError)


async def test_a_404_may_mean_that_a_row_is_absent(running: operation.Operation) -> None:
    assert await shop(Script(httpx.Response(404, text="no"))).read_or_none("GET", "/x", Row) is None


@pytest.mark.parametrize("stumble", [httpx.ConnectError("x"), httpx.Response(502), httpx.Response(429)])
async def test_a_read_is_repeated(running: operation.Operation, stumble: httpx.Response | Exception) -> None:
    script = Script(stumble, row())
    assert await shop(script).read("GET", "/x", Row) == Row("p1")
    assert [call.retries for call in running.calls] == [1]


async def test_a_keyed_write_is_repeated_three_times_at_most(running: operation.Operation) -> None:
    script = Script(*[httpx.Response(503) for _ in range(5)])
    with pytest.raises(BackendUnavailable):
        await shop(script).keyed_write("POST", "/x", Row, json={"a": 1})
    assert len(script.requests) == 3
    assert {request.content for request in script.requests} == {b'{"a":1}'}


async def test_a_write_without_key_is_never_repeated(running: operation.Operation) -> None:
    script = Script(httpx.Response(503), row())
    with pytest.raises(BackendUnavailable):
        await shop(script).write("POST", "/x", Row, json={})
    assert len(script.requests) == 1


@pytest.mark.parametrize("status", [400, 401, 404, 409, 422, 500])
async def test_refusals_and_plain_server_errors_are_not_repeated(running: operation.Operation, status: int) -> None:
    script = Script(httpx.Response(status, json={"message": "no", "type": "t"}), row())
    with pytest.raises(BackendError):
        await shop(script).read("GET", "/x", Row)
    assert len(script.requests) == 1


async def test_nothing_is_repeated_where_somebody_above_repeats(running: operation.Operation) -> None:
    running.may_retry = False
    script = Script(httpx.Response(503), row())
    with pytest.raises(BackendUnavailable):
        await shop(script).read("GET", "/x", Row)
    assert len(script.requests) == 1


async def test_a_repetition_never_passes_the_deadline() -> None:
    script = Script(httpx.Response(503, headers={"retry-after": "30"}), row())
    with operation.running(operation.within(2)), pytest.raises(BackendUnavailable) as caught:
        await shop(script).read("GET", "/x", Row)
    assert caught.value.retry_after_s == 30
    assert len(script.requests) == 1


async def test_the_operations_deadline_cuts_a_call_short() -> None:
    async def never(request: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    started = time.monotonic()
    with operation.running(operation.within(0.05)), pytest.raises(BackendTimeout):
        await shop(never).read("GET", "/x", Row)
    assert time.monotonic() - started < 2


async def test_no_call_is_made_after_the_deadline() -> None:
    script = Script(row())
    with operation.running(operation.within(0)), pytest.raises(BackendTimeout):
        await shop(script).read("GET", "/x", Row)
    assert script.requests == []


async def test_too_much_body_is_refused(running: operation.Operation) -> None:
    with pytest.raises(BackendBadResponse, match="more than 10 bytes"):
        await shop(Script(httpx.Response(200, text="x" * 100)), max_body_bytes=10).read("GET", "/x", Row)


async def test_calls_beyond_the_limit_in_flight_fail_fast(running: operation.Operation) -> None:
    release = asyncio.Event()

    async def slow(request: httpx.Request) -> httpx.Response:
        await release.wait()
        return row()

    backend = shop(slow, in_flight=1)
    first = asyncio.create_task(backend.read("GET", "/x", Row))
    while backend._in_flight == 0:
        await asyncio.sleep(0)
    with pytest.raises(NotAdmitted):
        await backend.read("GET", "/x", Row)
    release.set()
    assert await first == Row("p1")


async def test_a_used_up_budget_fails_fast_and_says_when_to_come_back(running: operation.Operation) -> None:
    script = Script(*[row() for _ in range(5)])
    backend = shop(script, per_minute=2)
    await backend.read("GET", "/x", Row)
    await backend.read("GET", "/x", Row)
    with pytest.raises(BackendRateLimited) as caught:
        await backend.read("GET", "/x", Row)
    assert caught.value.extensions["code"] == "RATE_LIMITED"
    assert caught.value.retry_after_s
    assert len(script.requests) == 2


async def test_a_circuit_opens_after_five_failures_and_costs_nothing_then(running: operation.Operation) -> None:
    running.may_retry = False
    script = Script(*[httpx.ConnectError("x") for _ in range(5)])
    backend = shop(script)
    for _ in range(5):
        with pytest.raises(BackendUnavailable):
            await backend.read("GET", "/x", Row)
    assert backend.breaker.state is CircuitState.OPEN
    with pytest.raises(NotAdmitted) as caught:
        await backend.read("GET", "/x", Row)
    assert len(script.requests) == 5
    assert caught.value.extensions["retryAfterMs"] > 0


async def test_a_refusal_is_no_failure_of_the_backend(running: operation.Operation) -> None:
    backend = shop(lambda request: httpx.Response(422, json={"message": "no", "type": "t"}))
    for _ in range(8):
        with pytest.raises(BackendRejected):
            await backend.read("GET", "/x", Row)
    assert backend.breaker.state is CircuitState.CLOSED


async def test_callers_in_a_great_hurry_do_not_open_the_circuit_for_others() -> None:
    async def never(request: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    backend = shop(never)
    for _ in range(6):
        with operation.running(operation.within(0.01, may_retry=False)), pytest.raises(BackendTimeout):
            await backend.read("GET", "/x", Row)
    assert backend.breaker.state is CircuitState.CLOSED


async def test_a_caller_who_leaves_is_no_failure_of_the_backend(running: operation.Operation) -> None:
    async def never(request: httpx.Request) -> httpx.Response:
        await asyncio.Event().wait()
        raise AssertionError

    backend = shop(never)
    task = asyncio.create_task(backend.read("GET", "/x", Row))
    while backend._in_flight == 0:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert backend._in_flight == 0
    assert backend.breaker.state is CircuitState.CLOSED


def test_half_of_twenty_calls_opens_the_circuit_too() -> None:
    breaker = Breaker(clock=ManualClock(0.0))
    for _ in range(10):
        breaker.succeeded()
        breaker.failed()
    assert breaker.state is CircuitState.OPEN


def test_a_half_open_circuit_admits_one_probe_whose_outcome_decides() -> None:
    clock = ManualClock(0.0)
    breaker = Breaker(clock=clock)
    for _ in range(5):
        breaker.failed()
    assert not breaker.admits()
    clock.now = 30.0
    assert breaker.state is CircuitState.HALF_OPEN
    assert breaker.admits()
    assert not breaker.admits()
    breaker.failed()
    assert not breaker.admits()
    clock.now = 60.0
    assert breaker.admits()
    breaker.abandoned()
    assert breaker.admits()
    breaker.succeeded()
    assert breaker.retry_after_s == 0
    assert [breaker.admits() for _ in range(3)] == [True, True, True]


class OneShotServer:
    """A real server: says what a test tells it to, then closes."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.requests: list[bytes] = []

    async def __aenter__(self) -> str:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"

    async def __aexit__(self, *exc: object) -> None:
        self.server.close()
        await self.server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.requests.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(self.answer)
        writer.close()


async def test_over_the_real_engine_a_lost_connection_is_unavailable_not_a_timeout(
    running: operation.Operation,
) -> None:
    running.may_retry = False
    async with OneShotServer(b"") as url:
        backend = Shop(open_client(url, {}))
        with pytest.raises(BackendUnavailable):
            await backend.write("POST", "/x", Row, json={})
        await backend.aclose()


async def test_over_the_real_engine_nobody_listening_is_unavailable(running: operation.Operation) -> None:
    running.may_retry = False
    async with OneShotServer(b"") as url:
        pass
    backend = Shop(open_client(url, {}))
    with pytest.raises(BackendUnavailable):
        await backend.read("GET", "/x", Row)
    await backend.aclose()


async def test_over_the_real_engine_no_cookie_is_kept_and_bytes_arrive_as_written(
    running: operation.Operation,
) -> None:
    body = b'{"id":"p1"}'
    head = b"HTTP/1.1 200 OK\r\nset-cookie: sid=guest\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % len(body)
    server = OneShotServer(head + body)
    async with server as url:
        backend = Shop(open_client(f"{url}/base/", {"x-key": "k"}))
        for _ in range(2):
            await backend.read("GET", "/a/{id}", Row, args={"id": "SINV-1 é"}, query=[("id[]", "a+b"), ("id[]", "c,d")])
        await backend.aclose()
    assert server.requests[0].startswith(b"GET /base/a/SINV-1%20%C3%A9?id%5B%5D=a%2Bb&id%5B%5D=c,d HTTP/1.1")
    assert b"cookie" not in server.requests[1].lower()
    assert b"x-key: k" in server.requests[1].lower()


# -- word for word -----------------------------------------------------------------------------------------------------


async def test_what_a_backend_has_said_is_kept_where_that_is_wanted() -> None:
    said = {"id": "1", "more": {"of": "it"}}
    backend = shop(Script(*[httpx.Response(200, json=said) for _ in range(2)]))
    with operation.running(Operation(kept=Kept())) as running:
        await backend.read("GET", "/rows/1", Row)
    assert running.kept is not None
    assert running.kept.rows(Row, "id") == {("1",): said}
    with operation.running(Operation()) as running:
        await backend.read("GET", "/rows/1", Row)
    assert running.kept is None


async def test_what_cannot_be_kept_is_a_bad_response() -> None:
    """Decoding passes over what it has no name for, whatever it is."""
    backend = shop(Script(httpx.Response(200, content=b'{"id": "1", "more": "\xff"}')))
    with operation.running(Operation(kept=Kept())), pytest.raises(BackendBadResponse):
        await backend.read("GET", "/rows/1", Row)
