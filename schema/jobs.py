"""Print jobs of PrintShop OS, and their customers."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import strawberry

from resolvers import jobs, print_customers
from resolvers.jobs import JobToMake, JobWanted
from resolvers.print_customers import UserOfJobCustomer
from schema.directives import requires
from schema.fields import link
from schema.info import Info
from schema.inputs import given
from schema.pages import Connection

if TYPE_CHECKING:
    from schema.users import User


@strawberry.type(description="Somebody for whom the print shop prints.")
class JobCustomer:
    id: strawberry.ID = strawberry.field(description="The print shop's id.")
    name: str = strawberry.field(description="As the print shop knows them.")
    email: str | None = strawberry.field(description="Where the print shop writes to.")
    user: Annotated[User, strawberry.lazy("schema.users")] | None = link(
        UserOfJobCustomer,
        key="id",
        description="The user they are, if they were made as one.",
        directives=[requires("core:read")],
    )


@strawberry.type(description="A print job.")
class Job:
    id: strawberry.ID = strawberry.field(description="The print shop's id.")
    job_id: str = strawberry.field(description="Its name on the floor, which no other job has.")
    status: str | None = strawberry.field(description="The print shop's word, such as `Pending` or `Completed`.")
    quantity: int | None = strawberry.field(description="How many are printed.")
    customer: JobCustomer | None = strawberry.field(description="For whom.")
    created_at: datetime | None = strawberry.field(description="When it was taken in.")
    updated_at: datetime | None = strawberry.field(description="When it was last changed.")


@strawberry.input(description="Narrows a list of print jobs.")
class JobFilter:
    status: str | None = strawberry.field(
        default=strawberry.UNSET, description="The print shop's word, exactly as it is written there."
    )
    ids: list[strawberry.ID] | None = strawberry.field(default=strawberry.UNSET, description="These jobs, at most 100.")

    def wanted(self) -> JobWanted:
        return JobWanted(given(self.status), given(self.ids))


@strawberry.input(description="A new customer of the print shop.")
class CreateJobCustomerInput:
    name: str = strawberry.field(description="At most 200 characters.")
    email: str | None = strawberry.field(default=strawberry.UNSET, description="Where the print shop writes to.")
    user_id: strawberry.ID | None = strawberry.field(default=strawberry.UNSET, description="The user they are.")


@strawberry.input(description="A new print job.")
class CreateJobInput:
    job_id: str | None = strawberry.field(
        default=strawberry.UNSET, description="Its name, which no other job may have; one is made up unless given."
    )
    quantity: int = strawberry.field(description="At least 1.")
    customer_id: strawberry.ID | None = strawberry.field(default=strawberry.UNSET, description="One of `jobCustomers`.")
    status: str | None = strawberry.field(
        default=strawberry.UNSET, description="One of the print shop's words; its default unless given."
    )

    def wanted(self) -> JobToMake:
        return JobToMake(self.quantity, given(self.job_id), given(self.customer_id), given(self.status))


@strawberry.input(description="Changes of a print job; what is left out stays as it is.")
class UpdateJobInput:
    quantity: int | None = strawberry.field(default=strawberry.UNSET, description="At least 1.")
    status: str | None = strawberry.field(default=strawberry.UNSET, description="One of the print shop's words.")


@strawberry.type
class JobQuery:
    @strawberry.field(description="Print jobs of PrintShop OS, newest first.", directives=[requires("jobs:read")])
    async def jobs(
        self,
        info: Info,
        first: int | None = 20,
        after: str | None = strawberry.UNSET,
        filter: JobFilter | None = strawberry.UNSET,
    ) -> Connection[Job] | None:
        wanted = filter.wanted() if filter else JobWanted()
        return await jobs.jobs(info.context, first=first, after=given(after), wanted=wanted)

    @strawberry.field(description="One print job.", directives=[requires("jobs:read")])
    async def job(self, info: Info, id: strawberry.ID) -> Job | None:
        return await jobs.job(info.context, id)

    @strawberry.field(description="Customers of the print shop, newest first.", directives=[requires("jobs:read")])
    async def job_customers(
        self, info: Info, first: int | None = 20, after: str | None = strawberry.UNSET
    ) -> Connection[JobCustomer] | None:
        return await print_customers.job_customers(info.context, first=first, after=given(after))


@strawberry.type
class JobMutation:
    @strawberry.mutation(description="Makes a customer of the print shop.", directives=[requires("jobs:write")])
    async def create_job_customer(self, info: Info, input: CreateJobCustomerInput) -> JobCustomer | None:
        return await print_customers.create_job_customer(
            info.context, name=input.name, email=given(input.email), user_id=given(input.user_id)
        )

    @strawberry.mutation(
        description="Has something printed. A name that is taken is a CONFLICT.", directives=[requires("jobs:write")]
    )
    async def create_job(self, info: Info, input: CreateJobInput) -> Job | None:
        return await jobs.create_job(info.context, input.wanted())

    @strawberry.mutation(description="Changes a print job.", directives=[requires("jobs:write")])
    async def update_job(self, info: Info, id: strawberry.ID, input: UpdateJobInput) -> Job | None:
        return await jobs.update_job(info.context, id, quantity=given(input.quantity), status=given(input.status))
