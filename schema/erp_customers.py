"""The ERP's customers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import strawberry

from resolvers import erp_customers
from resolvers.users import UserByErpCustomerId
from schema.directives import requires
from schema.fields import link
from schema.info import Info
from schema.inputs import given
from schema.pages import Connection

if TYPE_CHECKING:
    from schema.users import User


@strawberry.type(description="Somebody whom companies invoice.")
class ErpCustomer:
    id: strawberry.ID = strawberry.field(description="The ERP's name of them; `linkedAccounts.erpCustomerId`.")
    name: str = strawberry.field(description="As it is printed.")
    group: str | None = strawberry.field(description="Such as `Individual`.")
    territory: str | None = strawberry.field(description="The ERP's word for where they are.")
    user: Annotated[User, strawberry.lazy("schema.users")] | None = link(
        UserByErpCustomerId,
        key="id",
        description="The user they are, if they are one.",
        directives=[requires("core:read")],
    )


@strawberry.type
class ErpCustomerQuery:
    @strawberry.field(
        description="The ERP's customers, newest first: for a client those who are its users.",
        directives=[requires("erp:staff")],
    )
    async def erp_customers(
        self, info: Info, first: int | None = 20, after: str | None = strawberry.UNSET
    ) -> Connection[ErpCustomer] | None:
        return await erp_customers.erp_customers(info.context, first=first, after=given(after))
