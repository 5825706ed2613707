"""What a workflow shows of itself, and how lists of workflows are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Any

import msgspec
from temporalio.common import SearchAttributeKey

from core.backends import BackendName

USER_ID = SearchAttributeKey.for_keyword("UserId")
CLIENT_ID = SearchAttributeKey.for_keyword("ClientId")
CLIENT_APP_ID = SearchAttributeKey.for_keyword("ClientAppId")
ORDER_ID = SearchAttributeKey.for_keyword("OrderId")
ACTION = SearchAttributeKey.for_keyword("WorkflowAction")
SEARCH_ATTRIBUTES = (USER_ID, CLIENT_ID, CLIENT_APP_ID, ORDER_ID, ACTION)
"""What every namespace must have registered; an upsert of one that is not would stop its workflow for good."""


class WorkflowType(Enum):
    """The kinds that clients see, by the names that Temporal knows them under."""

    ORDER_FULFILLMENT = "OrderFulfillment"
    RIDE_BOOKING = "RideBooking"
    SERVICE_BOOKING = "ServiceBooking"
    IDENTITY_VERIFICATION = "IdentityVerification"
    EVENT_REGISTRATION = "EventRegistration"
    COPILOT_ACTION = "CopilotAction"


class WorkflowStatus(Enum):
    """PLANNED is of dry runs only; the others are Temporal's, spelled as its queries want them."""

    PLANNED = "Planned"
    RUNNING = "Running"
    COMPLETED = "Completed"
    FAILED = "Failed"
    CANCELED = "Canceled"
    TERMINATED = "Terminated"
    TIMED_OUT = "TimedOut"
    CONTINUED_AS_NEW = "ContinuedAsNew"


class StepStatus(Enum):
    """UNKNOWN: sent, and no answer came back."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    DONE = "DONE"
    FAILED = "FAILED"
    UNKNOWN = "UNKNOWN"
    COMPENSATING = "COMPENSATING"
    COMPENSATED = "COMPENSATED"
    SKIPPED = "SKIPPED"


class StepRecord(msgspec.Struct, frozen=True, rename="camel"):
    """One step as the memo holds it. `attempt` is 0 before the first."""

    name: str
    system: BackendName | None = None
    status: StepStatus = StepStatus.PENDING
    attempt: int = 0
    started_at: datetime | None = None
    closed_at: datetime | None = None
    error: str | None = None


class WorkflowErrorRecord(msgspec.Struct, frozen=True):
    """Why a workflow failed. `compensated` is False if something that was done could not be undone."""

    code: str
    message: str
    step: str | None = None
    compensated: bool = False


class ArtifactRecord(msgspec.Struct, frozen=True):
    type: str
    data: dict[str, Any]


class WorkflowResultRecord(msgspec.Struct, frozen=True):
    success: bool
    result: Any = None
    artifacts: tuple[ArtifactRecord, ...] = ()


class Memo(msgspec.Struct, frozen=True, rename="camel"):
    """What a workflow tells of itself. `input_digest` tells two inputs under one id apart."""

    steps: tuple[StepRecord, ...] = ()
    current_step: str | None = None
    error: WorkflowErrorRecord | None = None
    input_digest: str | None = None


class WorkflowRecord(msgspec.Struct, frozen=True):
    """A workflow's run as of now. `run_id` is None for one that was only planned."""

    id: str
    type: WorkflowType
    status: WorkflowStatus
    memo: Memo = Memo()
    run_id: str | None = None
    action: str | None = None
    user_id: str | None = None
    client_id: str | None = None
    client_app_id: str | None = None
    order_id: str | None = None
    parent_id: str | None = None
    started_at: datetime | None = None
    closed_at: datetime | None = None

    @property
    def steps(self) -> tuple[StepRecord, ...]:
        return self.memo.steps

    @property
    def current_step(self) -> str | None:
        return self.memo.current_step

    @property
    def progress(self) -> float:
        """Done steps over all, 0 to 1."""
        done = sum(step.status is StepStatus.DONE for step in self.steps)
        return done / len(self.steps) if self.steps else float(self.status is WorkflowStatus.COMPLETED)

    @property
    def error(self) -> WorkflowErrorRecord | None:
        """The workflow's own words, or ours for an end that it could not tell of."""
        if self.status in _ENDS_WITHOUT_WORDS:
            return self.memo.error or WorkflowErrorRecord("WORKFLOW_FAILED", _ENDS_WITHOUT_WORDS[self.status])
        return self.memo.error

    @property
    def is_closed(self) -> bool:
        return self.status not in (WorkflowStatus.RUNNING, WorkflowStatus.PLANNED)


_ENDS_WITHOUT_WORDS = {
    WorkflowStatus.FAILED: "the workflow failed",
    WorkflowStatus.TERMINATED: "the workflow was ended by an operator; nothing was undone",
    WorkflowStatus.TIMED_OUT: "the workflow ran out of time; nothing was undone",
}


@dataclass(frozen=True, slots=True)
class NewWorkflow:
    """What is started. `argument` is the workflow's one input; ids only go into search attributes and memo."""

    id: str
    type: WorkflowType
    argument: object
    action: str
    user_id: str
    client_id: str
    client_app_id: str
    memo: Memo


@dataclass(frozen=True, slots=True)
class WorkflowFilter:
    """Which workflows to list; None does not restrict, an empty tuple fits nothing."""

    types: tuple[WorkflowType, ...] = tuple(WorkflowType)
    status: WorkflowStatus | None = None
    user_ids: tuple[str, ...] | None = None
    client_ids: tuple[str, ...] | None = None
    order_ids: tuple[str, ...] | None = None
    parent_ids: tuple[str, ...] | None = None
    ids: tuple[str, ...] | None = None

    def query(self) -> str:
        """Temporal's list filter. Values are quoted; none can end its own string."""
        parts = [_among("WorkflowType", [kind.value for kind in self.types])]
        if self.status is not None:
            parts.append(_among("ExecutionStatus", [self.status.value]))
        for attribute, values in self._narrowed():
            if values is not None:
                parts.append(_among(attribute, values))
        return " AND ".join(parts)

    @property
    def fits_nothing(self) -> bool:
        empty = any(values is not None and not values for _, values in self._narrowed())
        return empty or not self.types or self.status is WorkflowStatus.PLANNED

    def _narrowed(self) -> tuple[tuple[str, Sequence[str] | None], ...]:
        return (
            (USER_ID.name, self.user_ids),
            (CLIENT_ID.name, self.client_ids),
            (ORDER_ID.name, self.order_ids),
            ("ParentWorkflowId", self.parent_ids),
            ("WorkflowId", self.ids),
        )


def _among(attribute: str, values: Sequence[str]) -> str:
    return f"{attribute} IN ({', '.join(_quoted(value) for value in values)})"


def _quoted(value: str) -> str:
    escaped = "".join(f"\\{char}" if char in "\\'\"" else char for char in value if char.isprintable())
    return f"'{escaped}'"
