"""People."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bson import ObjectId
from msgspec import UNSET, UnsetType

from core.backends import BackendName
from core.scopes import UserRole
from datasources.mongo.driver import Document, Store, among, containing, matching, moment, one
from datasources.mongo.records import LINKED_ACCOUNTS, Keyset, UserRecord, UserStatus


@dataclass(frozen=True, slots=True)
class NewUser:
    client_id: str
    email: str
    name: str
    phone: str | None = None
    role: UserRole = UserRole.CUSTOMER
    id: str = field(default_factory=lambda: str(ObjectId()))


@dataclass(frozen=True, slots=True)
class UserChanges:
    """What is to become of a user; UNSET: what it was. `permissions` None: no staff access."""

    email: str | UnsetType = UNSET
    name: str | UnsetType = UNSET
    phone: str | UnsetType | None = UNSET
    role: UserRole | UnsetType = UNSET
    status: UserStatus | UnsetType = UNSET
    permissions: tuple[str, ...] | UnsetType | None = UNSET


Check = Callable[[UserRecord], None]
"""Raises when what is about to change must not, told as it is at that instant."""


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
        return await self.users_by_accounts(BackendName.ERPNEXT, ids)

    async def users_by_accounts(self, backend: BackendName, ids: Sequence[str]) -> list[UserRecord]:
        """Whoever is linked to one of these accounts of a backend; each account has one user at most."""
        return await self._in("users", UserRecord, f"linkedAccounts.{LINKED_ACCOUNTS[backend]}", list(ids))

    async def users(self, *, limit: int, after: Keyset | None = None, **filter: Any) -> list[UserRecord]:
        """`filter` as for `count_users`."""
        return await self._page("users", UserRecord, _user_filter(**filter), limit, after)

    async def count_users(self, **filter: Any) -> int:
        """Of these `ids`, `client_ids` (None: all), `role`, `status`, `search` in name or e-mail address; with an
        account in the backend `linked_to`."""
        return await self._count("users", _user_filter(**filter))

    async def users_who_had(self, client_id: str, email: str) -> list[UserRecord]:
        """Whoever of a client bought under this address and has another one now."""
        found = await self._in("users", UserRecord, "formerEmails", [email_key(email)])
        return [user for user in found if user.client_id == client_id]

    # -- writing -----------------------------------------------------------------------------------------------

    async def create_user(self, new: NewUser) -> UserRecord:
        """Raises Conflict where somebody of that client has this address, however it is written."""
        document: Document = {
            "_id": new.id,
            "clientId": new.client_id,
            "email": new.email,
            "emailKey": email_key(new.email),
            "name": new.name,
            "role": new.role.value,
            "status": UserStatus.ACTIVE.value,
            "linkedAccounts": {},
            "medusaCustomerIds": [],
            "cartCustomerIds": [],
        }
        return await self._insert_new("users", {**document, **matching(phone=new.phone)}, UserRecord)

    async def revise_user(self, id: str, changes: UserChanges, *, check: Check) -> UserRecord | None:
        """Make these changes to a user whom `check` lets pass; None when there is no such user.

        Raises what `check` raises; Conflict where somebody of that client has the new address.
        """

        def change(document: Document) -> Document | None:
            check(self._records(UserRecord, [document])[0])
            changed = _changed(document, changes)
            return None if changed == document else changed

        return await self._revise("users", id, change, UserRecord)

    async def link_account(
        self, user_id: str, backend: BackendName, account_id: str, *, replace: bool
    ) -> UserRecord | None:
        """Say who a user is in a backend. Unless `replace`, somebody who is linked already stays so.

        In Medusa the account joins the user's customers; the one that it replaces leaves them, unless a cart made it.
        Raises Conflict where somebody else is linked to the account.
        """
        name = LINKED_ACCOUNTS[backend]

        def change(document: Document) -> Document | None:
            accounts = document.get("linkedAccounts") or {}
            before = accounts.get(name)
            if before == account_id or (before is not None and not replace):
                return None
            changed = {**document, "linkedAccounts": {**accounts, name: account_id}}
            if backend is BackendName.MEDUSA:
                changed["medusaCustomerIds"] = _relinked(document, before, account_id)
            return changed

        return await self._revise("users", user_id, change, UserRecord)

    async def add_medusa_customer_id(self, user_id: str, customer_id: str) -> bool:
        """Remember a customer that a cart of this user made in Medusa. Whether they are theirs only now; nothing
        happens where nobody has that id."""
        is_new = False

        def change(document: Document) -> Document | None:
            nonlocal is_new
            is_new = customer_id not in (document.get("medusaCustomerIds") or ())
            fields = ("medusaCustomerIds", "cartCustomerIds")
            with_it = {name: _with(document.get(name), customer_id) for name in fields}
            return None if all(document.get(name) == with_it[name] for name in fields) else {**document, **with_it}

        return await self._revise("users", user_id, change, UserRecord) is not None and is_new


def email_key(email: str) -> str:
    """What two spellings of one address have in common."""
    return unicodedata.normalize("NFC", email.strip()).casefold()


def _changed(document: Document, changes: UserChanges) -> Document:
    changed = dict(document)
    if changes.email is not UNSET:
        changed |= _with_email(document, changes.email)
    for name, value in (("name", changes.name), ("phone", changes.phone)):
        if value is not UNSET:
            changed[name] = value
    if changes.role is not UNSET:
        changed["role"] = changes.role.value
    if changes.status is not UNSET:
        changed["status"] = changes.status.value
    if changes.permissions is not UNSET:
        changed["staffAccess"] = _staff_access(document.get("staffAccess"), changes.permissions)
    # An optional value that is not there is left out, never null.
    return {name: value for name, value in changed.items() if value is not None}


def _with_email(document: Document, email: str) -> Document:
    """Medusa keeps finding whoever bought under the old address by it, so that it is given to nobody else."""
    old, new = document.get("emailKey") or email_key(document["email"]), email_key(email)
    changed: Document = {"email": email, "emailKey": new}
    former = [each for each in document.get("formerEmails") or () if each != new]
    if old != new and document.get("medusaCustomerIds"):
        former = _with(former, old)
    if former or "formerEmails" in document:
        changed["formerEmails"] = former
    return changed


def _staff_access(before: Document | None, permissions: tuple[str, ...] | None) -> Document | None:
    if permissions is None:
        return None
    if before and list(permissions) == list(before["permissions"]):
        return before
    return {"permissions": list(permissions), "grantedAt": moment()}


def _relinked(document: Document, before: str | None, after: str) -> list[str]:
    theirs, by_carts = document.get("medusaCustomerIds") or [], document.get("cartCustomerIds") or []
    return _with([each for each in theirs if each != before or each in by_carts], after)


def _with(values: Sequence[str] | None, value: str) -> list[str]:
    return list(dict.fromkeys((*(values or ()), value)))


def _user_filter(
    *,
    ids: Sequence[str] | None = None,
    client_ids: Sequence[str] | None = None,
    role: UserRole | None = None,
    status: UserStatus | None = None,
    search: str | None = None,
    linked_to: BackendName | None = None,
) -> Document:
    conditions = matching(
        _id=among(ids),
        clientId=among(client_ids),
        role=role.value if role else None,
        status=status.value if status else None,
    )
    if linked_to is not None:
        conditions[f"linkedAccounts.{LINKED_ACCOUNTS[linked_to]}"] = {"$exists": True}
    return conditions | containing(search, "name", "email")
