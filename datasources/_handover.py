"""Handing over messages to people, which must not be handed over twice: providers of mail and SMS know no idempotency.

So nothing is repeated, and a failure says whether the message may have been accepted all the same.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Any, ClassVar

import aiohttp
import httpx

from core.errors import BackendBadResponse, BackendTimeout, BackendUnavailable
from datasources._http import Answer, HttpBackend, NotRepeated

SEND_S = 10.0


class OutcomeUnknown(BackendTimeout):
    """The message went out of our hands and no answer came back: it may arrive or not. Never send it again."""


class _Unclear(NotRepeated):
    """An answer that tells of a failure, but not whether it came before the message was accepted."""


class MessageBackend(HttpBackend):
    """Base of the datasources that send something to people."""

    send_timeout_s: float = SEND_S
    surely_refused: ClassVar[Container[int]] = range(500, 600)
    """Those answers of 5xx that say that nothing was accepted."""

    async def hand_over(self, method: str, path: str, **how: Any) -> Answer:
        """The answer of whoever accepted it. Arguments as in `send`.

        Raises: OutcomeUnknown when it may have been accepted; any other BackendError means that it surely was not.
        """
        try:
            return await self.send(method, path, timeout_s=self.send_timeout_s, **how)
        except BackendTimeout as exc:
            if exc.__cause__ is None:
                raise  # no time was left to begin with
            raise self.unknown() from exc
        except BackendBadResponse as exc:
            raise self.unknown() from exc
        except BackendUnavailable as exc:
            if _may_have_arrived(exc):
                raise self.unknown() from exc
            raise

    def unknown(self) -> OutcomeUnknown:
        return OutcomeUnknown(self.name, "the message was handed over, but no answer came back")

    def _raise_for_status(self, answer: Answer, absent_is_fine: bool) -> None:
        if answer.status >= 500 and answer.status not in self.surely_refused:
            raise _Unclear(self.name, f"{self.name.value} answered {answer.status}")
        super()._raise_for_status(answer, absent_is_fine)


def _may_have_arrived(exc: BackendUnavailable) -> bool:
    """Whether the request may have been written: a connection that was lost, not one that was never made.

    An answer of 5xx, an open circuit and a full queue have no httpx error as their cause.
    """
    if isinstance(exc, _Unclear):
        return True
    cause = exc.__cause__
    if not isinstance(cause, httpx.HTTPError):
        return False
    never_connected = isinstance(cause.__cause__, aiohttp.ClientConnectorError | ConnectionRefusedError)
    return not (never_connected or (isinstance(cause, httpx.ConnectError) and cause.__cause__ is None))
