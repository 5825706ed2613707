"""The one place that speaks HTTP: pooling, deadlines, retries, circuit, limits, decoding and error mapping.

A datasource derives from `HttpBackend`, says in `refusal` what its error bodies mean and calls `read`,
`keyed_write` or `write`. Only the first two are ever retried: a method says so itself, because a verb does not
(`GET /service-quotes` writes, `POST get_list` reads).
"""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterable, Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any, ClassVar, TypeVar, cast
from urllib.parse import quote, urlencode

import aiohttp
import httpx
import msgspec
import orjson
import stamina
from aiolimiter import AsyncLimiter
from httpx_aiohttp import AiohttpTransport

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
from datasources._breaker import Breaker

T = TypeVar("T")
Query = Sequence[tuple[str, str | int]]

IDLE_S = 4.0
"""Medusa and others close idle connections after five seconds; a POST on such a connection would be lost."""
FAIR_WAIT_S = 1.0
"""Who waits for less and gets no answer cannot say that the backend failed."""
TRIES = 3
_NUL = re.compile(rb"%00|(?<!\\)(?:\\\\)*\\u0000")
"""In a form or in JSON, where a backslash may itself be escaped."""
_UNFIT = re.compile(r"<[^>]*>|\b[a-z][a-z0-9+.-]*://\S+", re.IGNORECASE)
RETRIED_STATUS = frozenset({429, 502, 503, 504})


@cache
def _tls() -> ssl.SSLContext:
    """One for all backends: reading the certificates costs more than a connection."""
    return httpx.create_ssl_context()


def open_client(base_url: str, headers: Mapping[str, str], *, max_connections: int = 64) -> httpx.AsyncClient:
    """A pooled client on aiohttp's engine. It keeps no cookies: a backend's session must not leak between callers."""

    def session() -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(limit=max_connections, keepalive_timeout=IDLE_S, ssl=_tls())
        made = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        # It would send GET, PUT and DELETE once more by itself when a connection is lost. Some of them write.
        made._retry_connection = False  # noqa: SLF001 - there is no public name for it
        return made

    return httpx.AsyncClient(
        base_url=base_url.rstrip("/"),
        cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        headers={"Accept": "application/json", "User-Agent": "omnistack-gateway", **headers},
        transport=AiohttpTransport(verify=_tls(), client=session),
    )


class NotRepeated(BackendUnavailable):
    """Unavailable in a way that asking again at once would not change, such as a plain 500."""


class NotAdmitted(NotRepeated):
    """Not even tried: the circuit is open or a limit of ours is reached. Repeating would defeat the point."""


class BudgetUsedUp(BackendRateLimited):
    """Not even tried: our share of the backend's rate limit is spent."""


@dataclass(frozen=True)
class Limits:
    """Of one backend. `in_flight` calls at most; `per_minute` None: the backend has no limit of its own."""

    timeout_s: float = 8.0
    in_flight: int = 64
    per_minute: int | None = None
    max_body_bytes: int = 32 * 1024 * 1024


@dataclass(frozen=True)
class Answer:
    """A whole HTTP answer."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class HttpBackend(ABC):
    """Base of every datasource that speaks HTTP."""

    name: ClassVar[BackendName]
    ids_hold_slashes: ClassVar[bool] = False
    """Whether its rows may be called such a thing as `2026/001`."""
    unquoted: ClassVar[str] = ""
    """What stays itself in the parts of a path, besides letters, digits and `-._~`."""

    def __init__(
        self, client: httpx.AsyncClient, limits: Limits | None = None, *, breaker: Breaker | None = None
    ) -> None:
        self._client = client
        self._limits = limits or Limits()
        self.breaker = breaker or Breaker()
        self._in_flight = 0
        per_minute = self._limits.per_minute
        self._budget = AsyncLimiter(per_minute, 60) if per_minute else None

    async def aclose(self) -> None:
        await self._client.aclose()

    # -- what a datasource calls -------------------------------------------------------------------------------

    async def read(self, method: str, path: str, into: type[T], **how: Any) -> T:
        """A call without effect, repeated when the backend stumbles. See `_call` for the arguments."""
        return self._decode(into, await self._call(method, path, may_repeat=True, **how))

    async def read_or_none(self, method: str, path: str, into: type[T], **how: Any) -> T | None:
        """As `read`, with None for a 404."""
        answer = await self._call(method, path, may_repeat=True, absent_is_fine=True, **how)
        return None if answer.status == 404 else self._decode(into, answer)

    async def keyed_write(self, method: str, path: str, into: type[T], **how: Any) -> T:
        """A write that is safe to repeat: it carries an idempotency key or sets an absolute state."""
        return self._decode(into, await self._call(method, path, may_repeat=True, **how))

    async def write(self, method: str, path: str, into: type[T], **how: Any) -> T:
        """A write that would double if repeated. After a timeout its outcome is unknown."""
        return self._decode(into, await self._call(method, path, may_repeat=False, **how))

    async def send(self, method: str, path: str, **how: Any) -> Answer:
        """A write without a body to decode; not repeated."""
        return await self._call(method, path, may_repeat=False, **how)

    @abstractmethod
    async def ping(self) -> None:
        """A cheap call that proves the backend answers and accepts our credentials. Raises BackendError."""

    # -- what a datasource says --------------------------------------------------------------------------------

    def refusal(self, answer: Answer) -> tuple[str, str | None]:
        """(message for people, machine-readable reason or None) of a 4xx answer in this backend's dialect.

        What reaches the caller is `plain(message)`.
        """
        return f"{self.name.value} answered {answer.status}", None

    # -- the machinery -----------------------------------------------------------------------------------------

    async def _call(
        self,
        method: str,
        path: str,
        *,
        may_repeat: bool,
        args: Mapping[str, str] | None = None,
        query: Query = (),
        json: object = None,
        form: Query | None = None,
        text: str | None = None,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float | None = None,
        batch_size: int | None = None,
        absent_is_fine: bool = False,
    ) -> Answer:
        """Make one call, with its repetitions.

        `path` is a template whose `{names}` are filled, percent-encoded, from `args`; `query` and `form` are pairs,
        in order, so that a key can come twice; `data` is sent as it is; `batch_size` is how many keys the call asks
        for, told by traces.
        What can be no id is not asked for, and is not there. Raises BackendError, and BadUserInput for text with a
        NUL character, which the databases behind answer with a failure.
        """
        running = operation.current()
        if not all(self._can_be_an_id(value) for value in (args or {}).values()):
            if absent_is_fine:
                return Answer(404, {}, b"")
            raise BackendRejected(self.name, f"{self.name.value} has no such row", status=404, reason="not_found")
        url = path.format_map({key: quote(value, safe=self.unquoted) for key, value in (args or {}).items()})
        if query:
            url = f"{url}?{urlencode(query)}"
        sent = dict(headers or {})
        content: bytes | None = None
        if json is not None:
            content, sent["Content-Type"] = orjson.dumps(json), "application/json"
        elif form is not None:
            content, sent["Content-Type"] = urlencode(form).encode(), "application/x-www-form-urlencoded"
        elif text is not None:
            content, sent["Content-Type"] = text.encode(), "text/plain; charset=utf-8"
        if "%00" in url or (content is not None and _NUL.search(content)):
            raise BadUserInput("text must not hold the NUL character")
        content = content if data is None else data

        started, tries, status = time.perf_counter(), 0, None
        try:
            async for attempt in stamina.retry_context(
                on=_wait_before_repeating(running, may_repeat),
                attempts=TRIES,
                timeout=None,
                wait_initial=0.1,
                wait_max=2.0,
                wait_jitter=0.1,
            ):
                with attempt:
                    tries = attempt.num
                    answer = await self._once(method, url, content, sent, timeout_s, running)
                    status = answer.status
                    self._raise_for_status(answer, absent_is_fine)
        finally:
            if tries:
                ms = (time.perf_counter() - started) * 1000
                running.calls.append(
                    operation.UpstreamCall(self.name, method, path, status, round(ms, 2), batch_size, tries - 1)
                )
        return answer

    def _can_be_an_id(self, value: str) -> bool:
        """Whether it stays one segment of a path, however servers on the way decode and shorten it."""
        if value in ("", ".", "..") or any(char < " " or char == "\x7f" for char in value):
            return False
        return self.ids_hold_slashes or not ("/" in value or "\\" in value)

    async def _once(
        self,
        method: str,
        url: str,
        content: bytes | AsyncIterable[bytes] | None,
        headers: dict[str, str],
        timeout_s: float | None,
        running: operation.Operation,
    ) -> Answer:
        timeout_s = timeout_s or self._limits.timeout_s
        left = running.remaining_s()
        timeout_s = timeout_s if left is None else min(timeout_s, left)
        if timeout_s <= 0:
            raise BackendTimeout(self.name, f"no time was left to ask {self.name.value}")
        await self._admit()
        self._in_flight += 1
        try:
            async with asyncio.timeout(timeout_s):
                request = self._client.build_request(method, url, content=content, headers=headers, timeout=timeout_s)
                response = await self._client.send(request, stream=True)
                try:
                    body = await self._body(response)
                finally:
                    await response.aclose()
        except TimeoutError as exc:
            # A caller in a great hurry learns nothing about the backend.
            if timeout_s >= min(FAIR_WAIT_S, self._limits.timeout_s):
                self.breaker.failed()
            else:
                self.breaker.abandoned()
            raise BackendTimeout(self.name, f"{self.name.value} did not answer within {timeout_s:.1f} s") from exc
        except httpx.HTTPError as exc:
            self.breaker.failed()
            raise self._transport_error(exc, timeout_s) from exc
        except BackendBadResponse:
            self.breaker.failed()
            raise
        except BaseException:
            self.breaker.abandoned()
            raise
        finally:
            self._in_flight -= 1
        if response.status_code >= 500:
            self.breaker.failed()
        else:
            self.breaker.succeeded()
        return Answer(response.status_code, response.headers, body)

    async def _admit(self) -> None:
        """Fail fast rather than pile up."""
        name = self.name.value
        if self._in_flight >= self._limits.in_flight:
            raise NotAdmitted(self.name, f"too many calls to {name} are in flight", retry_after_s=1)
        if self._budget is not None:
            if not self._budget.has_capacity():
                raise BudgetUsedUp(self.name, f"the budget of calls to {name} is used up", retry_after_s=1)
            await self._budget.acquire()
        if not self.breaker.admits():
            raise NotAdmitted(
                self.name,
                f"{name} has failed repeatedly and is left alone",
                retry_after_s=self.breaker.retry_after_s,
            )

    async def _body(self, response: httpx.Response) -> bytes:
        chunks, size = [], 0
        async for chunk in response.aiter_bytes():
            size += len(chunk)
            if size > self._limits.max_body_bytes:
                raise BackendBadResponse(
                    self.name, f"{self.name.value} answered more than {self._limits.max_body_bytes} bytes"
                )
            chunks.append(chunk)
        return b"".join(chunks)

    def _transport_error(self, exc: httpx.HTTPError, timeout_s: float) -> BackendError:
        # The aiohttp engine reports a lost connection as httpx.ConnectTimeout; only its cause tells them apart.
        timed_out = isinstance(exc, httpx.TimeoutException) and (
            exc.__cause__ is None or isinstance(exc.__cause__, TimeoutError)
        )
        if timed_out:
            return BackendTimeout(self.name, f"{self.name.value} did not answer within {timeout_s:.1f} s")
        if isinstance(exc, httpx.DecodingError):
            return BackendBadResponse(self.name, f"{self.name.value} answered with a body that cannot be decompressed")
        return BackendUnavailable(self.name, f"{self.name.value} cannot be reached")

    def _raise_for_status(self, answer: Answer, absent_is_fine: bool) -> None:
        status = answer.status
        if status < 300 or (status == 404 and absent_is_fine):
            return
        name = self.name.value
        if status == 429:
            raise BackendRateLimited(self.name, f"{name}'s rate limit is reached", retry_after_s=_retry_after(answer))
        if status in RETRIED_STATUS:
            raise BackendUnavailable(self.name, f"{name} answered {status}", retry_after_s=_retry_after(answer))
        if 400 <= status < 500:
            message, reason = self.refusal(answer)
            told = plain(message) or f"{self.name.value} answered {status}"
            raise BackendRejected(self.name, told, status=status, reason=reason)
        self.raise_for_odd_status(answer)

    def raise_for_odd_status(self, answer: Answer) -> None:
        """3xx and the 5xx that are not worth repeating. Backends that use 500 for refusals override this."""
        if answer.status >= 500:
            raise NotRepeated(self.name, f"{self.name.value} answered {answer.status}")
        raise BackendBadResponse(
            self.name, f"{self.name.value} answered {answer.status} where no redirect was expected"
        )

    def _decode(self, into: type[T], answer: Answer) -> T:
        try:
            decoded: T = _decoder(cast("Hashable", into)).decode(answer.body)
            if (kept := operation.current().kept) is not None:
                kept.add(self.name, decoded, answer.body)
        except (msgspec.DecodeError, orjson.JSONDecodeError, UnicodeDecodeError) as exc:
            # A ValidationError names the field ("... - at `$.orders[...].id`") and never holds a value.
            detail = str(exc) if isinstance(exc, msgspec.ValidationError) else "its body is not JSON"
            raise BackendBadResponse(self.name, f"{self.name.value} answered something unexpected: {detail}") from exc
        return decoded


@cache
def _decoder(into: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(into)


def _retry_after(answer: Answer) -> float | None:
    value = answer.headers.get("retry-after", "")
    return float(value) if value.isascii() and value.isdigit() else None


def _wait_before_repeating(running: operation.Operation, may_repeat: bool) -> Callable[[Exception], bool | float]:
    """What stamina asks after a failure: False to give up, True for its own backoff, or seconds to wait."""

    def decide(exc: Exception) -> bool | float:
        worth_it = isinstance(exc, BackendUnavailable | BackendTimeout | BackendRateLimited)
        worth_it = worth_it and not isinstance(exc, NotRepeated | BudgetUsedUp)
        if not (worth_it and may_repeat and running.may_retry):
            return False
        wait = exc.retry_after_s if isinstance(exc, BackendError) else None
        left = running.remaining_s()
        if left is not None and (wait or 0.1) >= left:
            return False
        return True if wait is None else wait

    return decide


def plain(message: str) -> str:
    """What a backend says, fit for callers: one line without markup or addresses, at most 500 characters."""
    return " ".join(_UNFIT.sub("", message).split())[:500]
