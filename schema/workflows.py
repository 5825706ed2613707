"""Long-running work: starting, following and stopping it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import strawberry
from strawberry.scalars import JSON

from core.backends import BackendName
from datasources.temporal import StepStatus, WorkflowRecord, WorkflowStatus, WorkflowType
from resolvers import workflows
from resolvers.orders import OrderById
from resolvers.users import UserById
from resolvers.workflows import ChildrenByWorkflowId, NewFulfilment, WorkflowWanted
from schema.carts import new_items
from schema.directives import BY_ID, requires
from schema.fields import link
from schema.info import Info
from schema.inputs import AddressInput, LineItemInput, given
from schema.pages import Connection

if TYPE_CHECKING:
    from schema.orders import Order
    from schema.users import User

strawberry.enum(WorkflowType, description="What kind of work it is.")
strawberry.enum(
    WorkflowStatus, description="PLANNED: a dry run that was not started. CANCELED: stopped on request and undone."
)
strawberry.enum(
    StepStatus,
    name="WorkflowStepStatus",
    description="UNKNOWN: sent, and no answer came back; a later event settles it.",
)


@strawberry.type(description="One step of a workflow.")
class WorkflowStep:
    name: str
    system: BackendName | None = strawberry.field(description="Where it acts.")
    status: StepStatus
    attempt: int = strawberry.field(description="Which try it is, counted from 1; 0 before the first.")
    started_at: datetime | None
    closed_at: datetime | None
    error: str | None = strawberry.field(description="What went wrong, in words.")


@strawberry.type(
    description="A card for the copilot's chat: poi-carousel, confirmation-card, order-tracker, agent-sync-card, …"
)
class Artifact:
    type: str
    data: JSON


@strawberry.type(description="What a workflow achieved.")
class WorkflowResult:
    success: bool
    result: JSON | None
    artifacts: list[Artifact]


@strawberry.type(description="Why a workflow failed.")
class WorkflowError:
    code: str
    message: str
    step: str | None = strawberry.field(description="The step that failed.")
    compensated: bool = strawberry.field(description="Whether everything that was done has been undone.")


@strawberry.type(
    description="Work that takes its time: watch it with `Subscription.workflowStatus`.", directives=[BY_ID]
)
class Workflow:
    id: strawberry.ID
    run_id: strawberry.ID | None
    type: WorkflowType
    status: WorkflowStatus
    action: str | None = strawberry.field(description="What the caller called it.")
    current_step: str | None = strawberry.field(description="What it is doing now, in words a person can read.")
    progress: float = strawberry.field(description="Done steps over all known steps, 0 to 1.")
    steps: list[WorkflowStep]
    error: WorkflowError | None
    started_by: Annotated[User, strawberry.lazy("schema.users")] | None = link(
        UserById, key="user_id", description="Whom it works for.", directives=[requires("core:read")]
    )
    order: Annotated[Order, strawberry.lazy("schema.orders")] | None = link(
        OrderById, key="order_id", description="The order it is about.", directives=[requires("commerce:read")]
    )
    started_at: datetime | None
    closed_at: datetime | None

    @strawberry.field(description="What it achieved, once it is COMPLETED.")
    async def result(parent: strawberry.Parent[WorkflowRecord], info: Info) -> WorkflowResult | None:
        return await workflows.result(info.context, parent)

    @strawberry.field(description="The workflows that it started as parts of itself.")
    async def children(parent: strawberry.Parent[WorkflowRecord], info: Info) -> list[Workflow]:
        return await info.context.loader(ChildrenByWorkflowId).load(parent.id)


@strawberry.input(description="Narrows a list of workflows.")
class WorkflowFilter:
    type: WorkflowType | None = strawberry.UNSET
    status: WorkflowStatus | None = strawberry.UNSET
    started_by_id: strawberry.ID | None = strawberry.UNSET
    order_id: strawberry.ID | None = strawberry.UNSET

    def wanted(self) -> WorkflowWanted:
        return WorkflowWanted(
            type=given(self.type),
            status=given(self.status),
            started_by_id=given(self.started_by_id),
            order_id=given(self.order_id),
        )


@strawberry.input(description="Any kind of workflow; `data` is what its own input holds besides `userId`.")
class StartWorkflowInput:
    type: WorkflowType
    action: str = strawberry.field(description="A name of the caller's, such as order.fulfill; it is kept and listed.")
    user_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="Whom it is for; the caller, if they are a user, unless given."
    )
    data: JSON
    idempotency_key: str | None = strawberry.field(
        default=strawberry.UNSET, description="The same key again finds the workflow that it started."
    )
    dry_run: bool | None = strawberry.field(
        default=False, description="Check everything, start nothing: the answer is PLANNED."
    )


@strawberry.input(description="An order to be placed, paid, invoiced and sent.")
class OrderFulfillmentInput:
    user_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="Whom it is for; the caller, if they are a user, unless given."
    )
    items: list[LineItemInput]
    shipping_address: AddressInput
    payment_method_id: strawberry.ID | None = strawberry.field(
        default=strawberry.UNSET, description="The user's default one unless given."
    )
    idempotency_key: str | None = strawberry.field(
        default=strawberry.UNSET, description="The same key again finds the workflow that it started."
    )

    def wanted(self) -> NewFulfilment:
        return NewFulfilment(
            items=new_items(self.items),
            shipping_address=self.shipping_address.to_address(),
            payment_method_id=given(self.payment_method_id),
            user_id=given(self.user_id),
            idempotency_key=given(self.idempotency_key),
        )


@strawberry.type
class WorkflowQuery:
    @strawberry.field(
        description="Workflows, those that run first, then newest first.", directives=[requires("workflows:read")]
    )
    async def workflows(
        self,
        info: Info,
        first: int | None = 20,
        after: str | None = strawberry.UNSET,
        filter: WorkflowFilter | None = strawberry.UNSET,
    ) -> Connection[Workflow] | None:
        wanted = filter.wanted() if filter else WorkflowWanted()
        return await workflows.workflows(info.context, first=first, after=given(after), wanted=wanted)

    @strawberry.field(description="One workflow.", directives=[requires("workflows:read")])
    async def workflow(self, info: Info, id: strawberry.ID) -> Workflow | None:
        return await workflows.workflow(info.context, id)


@strawberry.type
class WorkflowMutation:
    @strawberry.mutation(
        description="Start a workflow of any kind. Answers at once.", directives=[requires("workflows:start")]
    )
    async def start_workflow(self, info: Info, input: StartWorkflowInput) -> Workflow | None:
        return await workflows.start_workflow(
            info.context,
            type=input.type,
            action=input.action,
            data=input.data,
            user_id=given(input.user_id),
            idempotency_key=given(input.idempotency_key),
            dry_run=bool(input.dry_run),
        )

    @strawberry.mutation(
        description="Place, pay, invoice and send an order, or leave nothing behind. Answers at once.",
        directives=[requires("workflows:start")],
    )
    async def fulfill_order(self, info: Info, input: OrderFulfillmentInput) -> Workflow | None:
        return await workflows.fulfil_order(info.context, input.wanted())

    @strawberry.mutation(
        description="Tell a running workflow something that its kind waits for.",
        directives=[requires("workflows:start")],
    )
    async def signal_workflow(
        self, info: Info, id: strawberry.ID, name: str, payload: JSON | None = strawberry.UNSET
    ) -> Workflow | None:
        said: Any = None if payload is strawberry.UNSET else payload
        return await workflows.signal(info.context, id, name, said)

    @strawberry.mutation(
        description="Asks it to stop; what it already did is compensated.", directives=[requires("workflows:start")]
    )
    async def cancel_workflow(
        self, info: Info, id: strawberry.ID, reason: str | None = strawberry.UNSET
    ) -> Workflow | None:
        return await workflows.cancel(info.context, id, reason or None)


@strawberry.type
class WorkflowSubscription:
    @strawberry.subscription(
        description="The current state first, then every change, then completes when the workflow has closed.",
        directives=[requires("workflows:read")],
    )
    async def workflow_status(self, info: Info, id: strawberry.ID) -> AsyncIterator[Workflow]:
        async for state in workflows.follow(info.context, id):
            yield state  # type: ignore[misc]
