"""Everything that can go wrong and may be told to a client, as one tree.

    GatewayError                    code
    ├── Unauthenticated             UNAUTHENTICATED        no credentials, or wrong ones
    ├── Forbidden                   FORBIDDEN              known, but not allowed
    ├── NotFound                    NOT_FOUND              not there, or not yours
    ├── BadUserInput                BAD_USER_INPUT
    ├── Conflict                    CONFLICT
    ├── IdempotencyConflict         IDEMPOTENCY_CONFLICT   one key, two requests
    │   └── StillRunning            IDEMPOTENCY_CONFLICT   one key, and its request has not ended yet
    ├── RateLimited                 RATE_LIMITED           too much, too fast
    ├── Overloaded                  OVERLOADED             the gateway itself is full
    ├── WorkflowFailed              WORKFLOW_FAILED
    └── BackendError                                       names its backend
        ├── BackendUnavailable      UPSTREAM_UNAVAILABLE   not reachable, or answers 5xx
        ├── BackendTimeout          UPSTREAM_TIMEOUT       no answer in time
        ├── BackendRejected         UPSTREAM_REJECTED      it understood and refused
        ├── BackendBadResponse      UPSTREAM_BAD_RESPONSE  not what its contract says
        └── BackendRateLimited      RATE_LIMITED           its limit is used up

The message of any of these reaches the client, so it holds no address, key or traceback. What is not a GatewayError
is masked to INTERNAL at the edge.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from core.backends import BackendName


class GatewayError(Exception):
    """Base of all expected errors. `retry_after_s` is in seconds, where the sender knows it."""

    code: ClassVar[str] = "INTERNAL"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str, *, retry_after_s: float | None = None, source: BackendName | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        self.source = source

    @property
    def extensions(self) -> dict[str, Any]:
        """`errors[].extensions` as clients read it, but for the request id, which the edge adds."""
        told: dict[str, Any] = {"code": self.code, "retryable": self.retryable}
        if self.source is not None:
            told["source"] = self.source.name
        if self.retry_after_s is not None:
            told["retryAfterMs"] = round(self.retry_after_s * 1000)
        return told


class Unauthenticated(GatewayError):
    code = "UNAUTHENTICATED"


class Forbidden(GatewayError):
    code = "FORBIDDEN"


class NotFound(GatewayError):
    code = "NOT_FOUND"


class BadUserInput(GatewayError):
    code = "BAD_USER_INPUT"


class Conflict(GatewayError):
    code = "CONFLICT"


class IdempotencyConflict(GatewayError):
    code = "IDEMPOTENCY_CONFLICT"


class StillRunning(IdempotencyConflict):
    retryable = True


class RateLimited(GatewayError):
    """`limit` is the one that was passed, as clients read it: its name, its value, and what the request came to."""

    code = "RATE_LIMITED"
    retryable = True

    def __init__(
        self, message: str, *, retry_after_s: float | None = None, limit: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(message, retry_after_s=retry_after_s)
        self.limit = limit

    @property
    def extensions(self) -> dict[str, Any]:
        return super().extensions | ({} if self.limit is None else {"limit": dict(self.limit)})


class Overloaded(GatewayError):
    code = "OVERLOADED"
    retryable = True


class WorkflowFailed(GatewayError):
    code = "WORKFLOW_FAILED"


class BackendError(GatewayError):
    """A backend did not do what it was asked."""

    def __init__(self, source: BackendName, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message, retry_after_s=retry_after_s, source=source)
        self.source: BackendName = source


class BackendUnavailable(BackendError):
    """Connection refused or lost, 5xx, circuit open, too many calls in flight."""

    code = "UPSTREAM_UNAVAILABLE"
    retryable = True


class BackendTimeout(BackendError):
    """No answer before the call's deadline. A write may have happened all the same."""

    code = "UPSTREAM_TIMEOUT"
    retryable = True


class BackendRejected(BackendError):
    """The backend understood and refused. `status` is its HTTP status, `reason` its own machine-readable word."""

    code = "UPSTREAM_REJECTED"

    def __init__(self, source: BackendName, message: str, *, status: int, reason: str | None = None) -> None:
        super().__init__(source, message)
        self.status = status
        self.reason = reason


class BackendBadResponse(BackendError):
    """The answer is not JSON, too large, or of another shape than the contract says."""

    code = "UPSTREAM_BAD_RESPONSE"


class BackendRateLimited(BackendError):
    """The backend's own limit, or the gateway's budget for it, is used up."""

    code = "RATE_LIMITED"
    retryable = True


class StartFailed(RuntimeError):
    """A process cannot begin its work. For whoever started it, never for a client."""
