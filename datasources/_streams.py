"""Answers that come piece by piece, for as long as somebody listens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

import httpx
import orjson
import stamina

from core import operation
from core.errors import BackendBadResponse, BackendTimeout
from datasources._http import FAIR_WAIT_S, TRIES, Answer, HttpBackend, _wait_before_repeating


@dataclass(frozen=True)
class Patience:
    """How long is waited for an answer to begin, between two of its pieces, and for the whole of it."""

    first_s: float = 15.0
    between_s: float = 30.0
    whole_s: float = 600.0


class StreamingBackend(HttpBackend):
    """A backend that also answers in pieces. A stream counts as a call in flight until it is closed."""

    open_streams: int = 0

    @asynccontextmanager
    async def stream(
        self, method: str, path: str, *, json: object, patience: Patience
    ) -> AsyncIterator[AsyncGenerator[bytes, None]]:
        """The pieces of one answer, which is read no faster than they are taken and given up with the block.

        Until the answer has begun it is asked for again as `read` does, never after. Raises BackendError, from the
        pieces too.
        """
        started, tries, running = time.perf_counter(), 0, operation.current()
        status: int | None = None
        try:
            async for attempt in stamina.retry_context(
                on=_wait_before_repeating(running, may_repeat=True),
                attempts=TRIES,
                timeout=None,
                wait_initial=0.1,
                wait_max=2.0,
                wait_jitter=0.1,
            ):
                with attempt:
                    tries = attempt.num
                    begun = await self._begin(method, path, orjson.dumps(json), patience.first_s, running)
                    if isinstance(begun, Answer):
                        status = begun.status
                        self._raise_for_status(begun, absent_is_fine=False)
                    else:
                        status, response = begun.status_code, begun
        finally:
            if tries:
                ms = round((time.perf_counter() - started) * 1000, 2)
                running.calls.append(operation.UpstreamCall(self.name, method, path, status, ms, None, tries - 1))
        self._in_flight += 1
        self.open_streams += 1
        try:
            async with aclosing(self._pieces(response, patience)) as pieces:
                yield pieces
        finally:
            self._in_flight -= 1
            self.open_streams -= 1
            await response.aclose()

    async def _begin(
        self, method: str, url: str, content: bytes, first_s: float, running: operation.Operation
    ) -> httpx.Response | Answer:
        """An open response, or the whole answer where it is none of 2xx."""
        left = running.remaining_s()
        first_s = first_s if left is None else min(first_s, left)
        if first_s <= 0:
            raise BackendTimeout(self.name, f"no time was left to ask {self.name.value}")
        await self._admit()
        self._in_flight += 1
        sent = {"Content-Type": "application/json", "Accept": "text/event-stream"}
        answer: Answer | None = None
        try:
            async with asyncio.timeout(first_s):
                request = self._client.build_request(method, url, content=content, headers=sent, timeout=None)
                response = await self._client.send(request, stream=True)
                if response.status_code >= 300:
                    try:
                        answer = Answer(response.status_code, response.headers, await self._body(response))
                    finally:
                        await response.aclose()
        except TimeoutError as exc:
            # A caller in a great hurry learns nothing about the backend.
            if first_s >= FAIR_WAIT_S:
                self.breaker.failed()
            else:
                self.breaker.abandoned()
            raise BackendTimeout(self.name, f"{self.name.value} did not answer within {first_s:.1f} s") from exc
        except httpx.HTTPError as exc:
            self.breaker.failed()
            raise self._transport_error(exc, first_s) from exc
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
        return response if answer is None else answer

    async def _pieces(self, response: httpx.Response, patience: Patience) -> AsyncGenerator[bytes, None]:
        size, ends_at = 0, time.monotonic() + patience.whole_s
        async with aclosing(response.aiter_bytes()) as pieces:  # type: ignore[type-var]
            while True:
                wait_s = min(patience.between_s, ends_at - time.monotonic())
                try:
                    async with asyncio.timeout(wait_s):
                        piece = await anext(pieces)
                except StopAsyncIteration:
                    return
                except TimeoutError as exc:
                    self.breaker.failed()
                    raise BackendTimeout(self.name, f"{self.name.value} fell silent in the middle of it") from exc
                except httpx.HTTPError as exc:
                    self.breaker.failed()
                    raise self._transport_error(exc, wait_s) from exc
                size += len(piece)
                if size > self._limits.max_body_bytes:
                    raise BackendBadResponse(
                        self.name, f"{self.name.value} answered more than {self._limits.max_body_bytes} bytes"
                    )
                yield piece
