"""Who works for a company, as the ERP knows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import strawberry

from resolvers import employees
from resolvers.buyers import UserOfEmployee
from schema.directives import requires
from schema.fields import link
from schema.info import Info
from schema.inputs import given
from schema.pages import Connection

if TYPE_CHECKING:
    from schema.users import User


@strawberry.type(description="Somebody who works, or worked, for a company.")
class Employee:
    id: strawberry.ID = strawberry.field(description="The ERP's number of them.")
    name: str
    department: str | None
    designation: str | None = strawberry.field(description="What they do there.")
    status: str | None = strawberry.field(description="The ERP's word, such as `Active` or `Left`.")
    user: Annotated[User, strawberry.lazy("schema.users")] | None = link(
        UserOfEmployee,
        key="person",
        description="The user with their address, of the client whose company it is.",
        directives=[requires("core:read")],
    )


@strawberry.type
class EmployeeQuery:
    @strawberry.field(description="Employees, newest first.", directives=[requires("erp:staff")])
    async def employees(
        self, info: Info, first: int | None = 20, after: str | None = strawberry.UNSET
    ) -> Connection[Employee] | None:
        return await employees.employees(info.context, first=first, after=given(after))
