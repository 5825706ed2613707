"""People."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bson import ObjectId

from core.scopes import UserRole
from datasources.mongo.driver import Document, Store, among, containing, matching, one
from datasources.mongo.records import Keyset, UserRecord, UserStatus


class Users(Store):
    """The collection `users`."""

    async def user(self, id: str) -> UserRecord | None:
        return one(await self._by_ids("users", UserRecord, [id]))

    async def users_by_ids(self, ids: Sequence[str]) -> list[UserRecord]:
        return await self._by_ids("users", UserRecord, ids)

    async def users_by_medusa_customer_ids(self, ids: Sequence[str]) -> list[UserRecord]:
        """One row may answer several of the ids."""
        return await self._in("users", UserRecord, "medusaCustomerIds", list(ids))

    async def users_by_erp_customer_ids(self, ids: Sequence[str]) -> list[UserRecord]:
        return await self._in("users", UserRecord, "linkedAccounts.erpCustomerId", list(ids))

    async def users(self, *, limit: int, after: Keyset | None = None, **filter: Any) -> list[UserRecord]:
        """`filter` as for `count_users`."""
        return await self._page("users", UserRecord, _user_filter(**filter), limit, after)

    async def count_users(self, **filter: Any) -> int:
        """Of these `ids`, `client_ids` (None: all), `role`, `status`, `search` in name or e-mail address."""
        return await self._count("users", _user_filter(**filter))

    async def add_medusa_customer_id(self, user_id: str, customer_id: str) -> None:
        """Remember a customer that a cart of this user made in Medusa. Every user's document has the array."""
        if not ObjectId.is_valid(user_id):
            return
        async with self._call("update", "users"):
            await self._db.users.update_one(
                {"_id": ObjectId(user_id)},
                {"$addToSet": {"medusaCustomerIds": customer_id}, "$currentDate": {"updatedAt": True}},
            )


def _user_filter(
    *,
    ids: Sequence[str] | None = None,
    client_ids: Sequence[str] | None = None,
    role: UserRole | None = None,
    status: UserStatus | None = None,
    search: str | None = None,
) -> Document:
    conditions = matching(
        _id=among(ids),
        clientId=among(client_ids),
        role=role.value if role else None,
        status=status.value if status else None,
    )
    return conditions | containing(search, "name", "email")
