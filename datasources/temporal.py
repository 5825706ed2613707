"""Long-running work: the gateway's client of Temporal. Starts, finds, follows, signals and cancels workflows.

A workflow shows its state to anybody without a worker: who and what in search attributes, its steps in the memo.
Lists and single reads take them from there, `watch` from the history's long poll.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager, suppress
from datetime import UTC, timedelta
from typing import Any, ClassVar, Self

import msgspec
from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import EventType, IndexedValueType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest, ListSearchAttributesRequest
from temporalio.client import (
    Client,
    RPCError,
    WorkflowExecution,
    WorkflowExecutionDescription,
    WorkflowFailureError,
)
from temporalio.common import (
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RetryConfig, RPCStatusCode

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
    NotFound,
)
from core.settings import TemporalSettings
from datasources._breaker import Breaker
from datasources._broadcast import Broadcast, Heard
from datasources._temporal_records import (
    ACTION,
    CLIENT_APP_ID,
    CLIENT_ID,
    ORDER_ID,
    SEARCH_ATTRIBUTES,
    USER_ID,
    ArtifactRecord,
    Memo,
    NewWorkflow,
    StepRecord,
    StepStatus,
    WorkflowErrorRecord,
    WorkflowFilter,
    WorkflowRecord,
    WorkflowResultRecord,
    WorkflowStatus,
    WorkflowType,
)

__all__ = [
    "ACTION",
    "CLIENT_APP_ID",
    "CLIENT_ID",
    "ORDER_ID",
    "SEARCH_ATTRIBUTES",
    "USER_ID",
    "ArtifactRecord",
    "Memo",
    "NewWorkflow",
    "StepRecord",
    "StepStatus",
    "Temporal",
    "WorkflowErrorRecord",
    "WorkflowFilter",
    "WorkflowRecord",
    "WorkflowResultRecord",
    "WorkflowStatus",
    "WorkflowType",
    "connect",
    "register_search_attributes",
]


CALL_S = 3.0
IDS_IN_A_QUERY = 50
"""A query's length is limited."""
LARGEST_PAGE = 200


async def connect(settings: TemporalSettings, address: str, *, patience_s: float = 30.0, brisk: bool = True) -> Client:
    """A connected client, once the server answers.

    `brisk` clients give up on an outage after 1.5 s, as somebody waits for them; a worker's has Temporal's patience.
    Raises: BackendUnavailable after `patience_s`.
    """
    retry = RetryConfig(initial_interval_millis=50, max_elapsed_time_millis=1500) if brisk else None
    give_up = time.monotonic() + patience_s
    while True:
        try:
            return await Client.connect(
                address,
                namespace=settings.namespace,
                api_key=settings.api_key.get_secret_value() if settings.api_key else None,
                data_converter=pydantic_data_converter,
                retry_config=retry,
            )
        except RuntimeError as exc:  # how the SDK says that nobody answers
            if time.monotonic() >= give_up:
                raise BackendUnavailable(BackendName.TEMPORAL, "temporal cannot be reached") from exc
            await asyncio.sleep(0.1)


async def register_search_attributes(client: Client) -> bool:
    """Register what a workflow upserts, where that is missing; False where we may not and an operator must."""
    try:
        known = await client.operator_service.list_search_attributes(
            ListSearchAttributesRequest(namespace=client.namespace)
        )
        missing = [key.name for key in SEARCH_ATTRIBUTES if key.name not in known.custom_attributes]
        if missing:
            keyword = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
            await client.operator_service.add_search_attributes(
                AddSearchAttributesRequest(
                    namespace=client.namespace, search_attributes=dict.fromkeys(missing, keyword)
                )
            )
    except RPCError as exc:
        # ALREADY_EXISTS: another worker was quicker.
        return exc.status is RPCStatusCode.ALREADY_EXISTS
    return True


class Temporal:
    name: ClassVar[BackendName] = BackendName.TEMPORAL

    def __init__(self, client: Client, settings: TemporalSettings) -> None:
        self._client = client
        self._task_queue = settings.task_queue
        self._streams: dict[str, Broadcast[WorkflowRecord]] = {}
        self.breaker = Breaker()

    @classmethod
    async def open(cls, settings: TemporalSettings, address: str, *, patience_s: float = 30.0) -> Self:
        """Raises: BackendUnavailable if no server answers within `patience_s`."""
        return cls(await connect(settings, address, patience_s=patience_s), settings)

    async def aclose(self) -> None:
        """Stop following. The SDK's client has no end of its own: dropping it closes the connection."""
        for stream in list(self._streams.values()):
            await stream.stop()

    async def ping(self) -> None:
        async with self._call("CheckHealth"):
            await self._client.service_client.check_health(timeout=timedelta(seconds=1), retry=False)

    async def start(self, new: NewWorkflow) -> WorkflowRecord:
        """Start it, or find what was started under the same id, closed or not; its memo tells whose input it has."""
        pairs = ((USER_ID, new.user_id), (CLIENT_ID, new.client_id), (CLIENT_APP_ID, new.client_app_id))
        attributes = [SearchAttributePair(key, value) for key, value in (*pairs, (ACTION, new.action))]
        async with self._call("StartWorkflowExecution"):
            with suppress(WorkflowAlreadyStartedError):
                await self._client.start_workflow(
                    new.type.value,
                    new.argument,
                    id=new.id,
                    task_queue=self._task_queue,
                    id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
                    id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                    memo=msgspec.to_builtins(new.memo),
                    search_attributes=TypedSearchAttributes(attributes),
                )
        started = await self.describe(new.id)
        if started is None:
            raise BackendBadResponse(self.name, "temporal does not know what it has just started")
        return started

    async def describe(self, id: str) -> WorkflowRecord | None:
        """The newest run under this id, as it is now; None without one of our kinds."""
        found = await self._describe(id)
        return found[0] if found else None

    async def _describe(self, id: str) -> tuple[WorkflowRecord, int] | None:
        """With the number of the last event that it reflects."""
        if not id:
            return None
        async with self._call("DescribeWorkflowExecution"):
            try:
                described = await self._client.get_workflow_handle(id).describe()
            except RPCError as exc:
                if exc.status in (RPCStatusCode.NOT_FOUND, RPCStatusCode.INVALID_ARGUMENT):
                    return None
                raise
        record = await self._record(described)
        return None if record is None else (_with_live_attempt(record, described), described.history_length)

    async def list_page(
        self, filter: WorkflowFilter, *, limit: int, token: bytes | None = None
    ) -> tuple[list[WorkflowRecord], bytes | None]:
        """A page and the token of the next one, None behind the last. Order is Temporal's: open ones, then newest.

        Raises BadUserInput for a token that is none of Temporal's.
        """
        if filter.fits_nothing:
            return [], None
        async with self._call("ListWorkflowExecutions"):
            found = self._client.list_workflows(filter.query(), page_size=limit, next_page_token=token)
            try:
                await found.fetch_next_page(page_size=limit)
            except RPCError as exc:
                if token is not None and exc.status in (RPCStatusCode.UNKNOWN, RPCStatusCode.INVALID_ARGUMENT):
                    raise BadUserInput("`after` is not a cursor of this list") from exc
                raise
        records = [await self._record(row) for row in found.current_page or ()]
        return [record for record in records if record is not None], found.next_page_token or None

    async def count(self, filter: WorkflowFilter) -> int:
        if filter.fits_nothing:
            return 0
        async with self._call("CountWorkflowExecutions"):
            return (await self._client.count_workflows(filter.query())).count

    async def workflows_by_ids(self, ids: Sequence[str]) -> list[WorkflowRecord]:
        """Every run under these ids, in one call for fifty. What has begun this moment may not be listed yet."""
        pages = [WorkflowFilter(ids=chunk) for chunk in _fifties(ids)]
        return [row for found in await asyncio.gather(*map(self._all, pages)) for row in found]

    async def workflows_by_order_ids(self, order_ids: Sequence[str]) -> list[WorkflowRecord]:
        """Every workflow about these orders, in one call for fifty."""
        pages = [WorkflowFilter(order_ids=chunk) for chunk in _fifties(order_ids)]
        return [row for found in await asyncio.gather(*map(self._all, pages)) for row in found]

    async def children_by_parent_ids(self, parent_ids: Sequence[str]) -> list[WorkflowRecord]:
        """The workflows that these have started as their own, in one call for fifty."""
        pages = [WorkflowFilter(parent_ids=chunk) for chunk in _fifties(parent_ids)]
        return [row for found in await asyncio.gather(*map(self._all, pages)) for row in found]

    async def _all(self, filter: WorkflowFilter) -> list[WorkflowRecord]:
        found, token = await self.list_page(filter, limit=LARGEST_PAGE)
        while token is not None:
            page, token = await self.list_page(filter, limit=LARGEST_PAGE, token=token)
            found += page
        return found

    async def result(self, id: str, run_id: str | None) -> WorkflowResultRecord | None:
        """What a completed run answered; None for one that ended otherwise. Waits for one that still runs."""
        async with self._call("GetWorkflowExecutionHistory"):
            try:
                answer = await self._client.get_workflow_handle(id, run_id=run_id).result(follow_runs=False)
            except WorkflowFailureError:
                return None
        try:
            return msgspec.convert(answer, WorkflowResultRecord)
        except msgspec.ValidationError as exc:
            raise BackendBadResponse(self.name, "a workflow's result has another shape than expected") from exc

    async def signal(self, id: str, name: str, payload: object) -> None:
        """Raises: NotFound if no such workflow runs."""
        async with self._call("SignalWorkflowExecution"):
            await self._client.get_workflow_handle(id).signal(name, payload)

    async def cancel(self, id: str, reason: str = "") -> None:
        """Ask it to stop and undo what it did; nothing happens to one that is closed. Raises: NotFound."""
        async with self._call("RequestCancelWorkflowExecution"):
            await self._client.get_workflow_handle(id).cancel(reason=reason)

    async def watch(self, id: str) -> AsyncGenerator[Heard[WorkflowRecord], None]:
        """The state now, then every change, until the workflow has closed. Lost connections and a restarted server
        go unnoticed; all watchers of a workflow in this process share one long poll.

        Raises: NotFound for a workflow that is not there.
        """
        stream = self._streams.get(id)
        if stream is None:

            def forget() -> None:
                if self._streams.get(id) is made:
                    del self._streams[id]

            stream = made = Broadcast(lambda: self._follow(id), on_idle=forget)
            self._streams[id] = stream
        async with aclosing(stream.listen()) as heard:
            async for item in heard:
                yield item

    async def _follow(self, id: str) -> AsyncIterator[WorkflowRecord]:
        found = await self._describe(id)
        if found is None:
            raise NotFound("there is no such workflow", source=self.name)
        record, seen = found
        yield record
        handle, pause_s = self._client.get_workflow_handle(id, run_id=record.run_id), 0.2
        while not record.is_closed:
            try:
                async for event in handle.fetch_history_events(wait_new_event=True):
                    pause_s = 0.2
                    if event.event_id <= seen:
                        continue
                    seen = event.event_id
                    changed = await self._after(record, event)
                    if changed is not record:
                        record = changed
                        yield record
                        if record.is_closed:
                            return
            except RPCError as exc:
                if exc.status not in _PASSING:
                    raise self._ours(exc) from exc
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, 5.0)

    async def _after(self, record: WorkflowRecord, event: HistoryEvent) -> WorkflowRecord:
        """The state after an event; the same object if the event changes nothing that is shown."""
        at = event.event_time.ToDatetime(tzinfo=UTC)
        if event.HasField("workflow_properties_modified_event_attributes"):
            fields = event.workflow_properties_modified_event_attributes.upserted_memo.fields
            memo = {**msgspec.to_builtins(record.memo), **await self._decoded(fields)}
            return msgspec.structs.replace(record, memo=_memo(memo))
        if event.HasField("upsert_workflow_search_attributes_event_attributes"):
            fields = event.upsert_workflow_search_attributes_event_attributes.search_attributes.indexed_fields
            order = fields.get(ORDER_ID.name)
            return record if order is None else msgspec.structs.replace(record, order_id=json.loads(order.data))
        if status := _CLOSING.get(event.event_type):
            return msgspec.structs.replace(record, status=status, closed_at=at)
        return record

    async def _decoded(self, fields: Mapping[str, Payload]) -> dict[str, Any]:
        values = await self._client.data_converter.decode(list(fields.values()))
        return dict(zip(fields, values, strict=True))

    async def _record(self, row: WorkflowExecution) -> WorkflowRecord | None:
        try:
            kind = WorkflowType(row.workflow_type)
        except ValueError:
            return None
        attributes = row.typed_search_attributes
        return WorkflowRecord(
            id=row.id,
            type=kind,
            status=WorkflowStatus[row.status.name] if row.status else WorkflowStatus.RUNNING,
            memo=_memo(dict(await row.memo())),
            run_id=row.run_id,
            action=attributes.get(ACTION),
            user_id=attributes.get(USER_ID),
            client_id=attributes.get(CLIENT_ID),
            client_app_id=attributes.get(CLIENT_APP_ID),
            order_id=attributes.get(ORDER_ID),
            parent_id=row.parent_id,
            started_at=row.start_time,
            closed_at=row.close_time,
        )

    @asynccontextmanager
    async def _call(self, what: str) -> AsyncIterator[None]:
        """One call: bounded in time, traced, its errors ours."""
        running, started = operation.current(), time.perf_counter()
        left = running.remaining_s()
        if not self.breaker.admits():
            raise BackendUnavailable(
                self.name, "temporal has failed repeatedly and is left alone", retry_after_s=self.breaker.retry_after_s
            )
        try:
            async with asyncio.timeout(CALL_S if left is None else min(CALL_S, left)):
                yield
        except TimeoutError as exc:
            self.breaker.failed()
            raise BackendTimeout(self.name, "temporal did not answer in time") from exc
        except RPCError as exc:
            error = self._ours(exc)
            if isinstance(error, BackendUnavailable | BackendTimeout):
                self.breaker.failed()
            else:
                self.breaker.succeeded()
            raise error from exc
        except BaseException:
            self.breaker.abandoned()
            raise
        else:
            self.breaker.succeeded()
        finally:
            ms = round((time.perf_counter() - started) * 1000, 2)
            running.calls.append(operation.UpstreamCall(self.name, "RPC", what, None, ms))

    def _ours(self, exc: RPCError) -> BackendError | NotFound:
        match exc.status:
            case RPCStatusCode.NOT_FOUND:
                return NotFound("there is no such workflow, or it has ended", source=self.name)
            case RPCStatusCode.RESOURCE_EXHAUSTED:
                return BackendRateLimited(self.name, "temporal's rate limit is reached")
            case RPCStatusCode.DEADLINE_EXCEEDED | RPCStatusCode.CANCELLED:
                return BackendTimeout(self.name, "temporal did not answer in time")
            case (
                RPCStatusCode.INVALID_ARGUMENT
                | RPCStatusCode.PERMISSION_DENIED
                | RPCStatusCode.UNAUTHENTICATED
                | RPCStatusCode.FAILED_PRECONDITION
            ):
                reason = exc.status.name
                return BackendRejected(self.name, f"temporal refused the request ({reason})", status=400, reason=reason)
            case _:
                return BackendUnavailable(self.name, "temporal cannot be reached")


_CLOSING: Mapping[int, WorkflowStatus] = {
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED: WorkflowStatus.COMPLETED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED: WorkflowStatus.FAILED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED: WorkflowStatus.CANCELED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED: WorkflowStatus.TERMINATED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT: WorkflowStatus.TIMED_OUT,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW: WorkflowStatus.CONTINUED_AS_NEW,
}
_PASSING = frozenset(
    {
        RPCStatusCode.UNAVAILABLE,
        RPCStatusCode.DEADLINE_EXCEEDED,
        RPCStatusCode.UNKNOWN,
        RPCStatusCode.INTERNAL,
        RPCStatusCode.CANCELLED,
        RPCStatusCode.RESOURCE_EXHAUSTED,
    }
)
"""What a connection that was lost, or a server that restarts, looks like to a long poll."""


def _fifties(ids: Sequence[str]) -> list[tuple[str, ...]]:
    return [tuple(ids[at : at + IDS_IN_A_QUERY]) for at in range(0, len(ids), IDS_IN_A_QUERY)]


def _memo(fields: dict[str, Any]) -> Memo:
    """Tolerates a memo that is not ours: a workflow without steps."""
    try:
        return msgspec.convert(fields, Memo, strict=False)
    except msgspec.ValidationError:
        return Memo()


def _with_live_attempt(record: WorkflowRecord, described: WorkflowExecutionDescription) -> WorkflowRecord:
    """The memo knows of an attempt when it has ended; only the server knows which one is running."""
    attempts = [activity.attempt for activity in described.raw_description.pending_activities]
    if not attempts:
        return record
    steps = tuple(
        msgspec.structs.replace(step, attempt=max(step.attempt, *attempts))
        if step.status is StepStatus.RUNNING
        else step
        for step in record.steps
    )
    return msgspec.structs.replace(record, memo=msgspec.structs.replace(record.memo, steps=steps))
