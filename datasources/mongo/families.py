"""Families, and who is in them.

A membership stands in the user's own document, and whoever owns a family has its id in `ownsFamilyId` under a unique
index besides: nobody is in two families, and no family has two owners, at any instant. What takes several documents may
be cut off in between; each step here leaves something that can be finished.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from bson import ObjectId

from core.errors import Conflict
from datasources.mongo.driver import Document, Store, among, matching, object_ids
from datasources.mongo.records import FamilyBenefitRecord, FamilyRecord, FamilyRole, Keyset, UserRecord

Benefits = tuple[FamilyBenefitRecord, ...]

IN_ANOTHER = "this user is in a family already"
_MEMBERSHIP = ("familyId", "familyRole", "familyJoinedAt", "ownsFamilyId")


class Families(Store):
    """The collection `families`, and the memberships in `users`."""

    async def families_by_ids(self, ids: Sequence[str]) -> list[FamilyRecord]:
        return await self._by_ids("families", FamilyRecord, ids)

    async def families(self, *, limit: int, after: Keyset | None = None, **filter: Any) -> list[FamilyRecord]:
        """`filter` as for `count_families`."""
        return await self._page("families", FamilyRecord, _family_filter(**filter), limit, after)

    async def count_families(self, **filter: Any) -> int:
        """Of these `ids` and these `client_ids` (None: all)."""
        return await self._count("families", _family_filter(**filter))

    async def members_of_families(self, ids: Sequence[str]) -> list[UserRecord]:
        """Everybody in these families, in the order in which they joined."""
        found = await self._in("users", UserRecord, "familyId", object_ids(ids))
        return sorted(found, key=lambda user: (user.family_joined_at or user.created_at, user.id))

    async def create_family(self, client_id: str, name: str, owner_id: str) -> FamilyRecord:
        """A family of one. What a call that was cut off began for this owner is finished.

        Raises Conflict for somebody who is in a family already.
        """
        family_id = str(ObjectId())

        def owning(document: Document) -> Document | None:
            nonlocal family_id
            if (current := document.get("familyId")) is None:
                return _as_member(document, family_id, FamilyRole.OWNER)
            family_id = str(current)  # Of a family that never came to be, or the insert below finds it there.
            return None

        await self._revise("users", owner_id, owning, UserRecord)
        family = {"_id": family_id, "clientId": client_id, "name": name, "heirId": owner_id, "benefits": []}
        try:
            return await self._insert_new("families", family, FamilyRecord)
        except Conflict as exc:
            raise Conflict(IN_ANOTHER) from exc

    async def join_family(self, user_id: str, family_id: str, role: FamilyRole) -> UserRecord | None:
        """Make somebody a member, or a member something else, but not an owner. None when there is no such user.

        Raises Conflict for a member of another family, and for the owner of this one.
        """

        def joining(document: Document) -> Document | None:
            current = document.get("familyId")
            if current is not None and str(current) != family_id:
                raise Conflict(IN_ANOTHER)
            if current is None:
                return _as_member(document, family_id, role)
            if document.get("familyRole") == FamilyRole.OWNER.value:
                raise Conflict("the owner hands the family over first")
            return {**document, "familyRole": role.value}

        return await self._revise("users", user_id, joining, UserRecord)

    async def leave_family(self, user_id: str, family_id: str, *, may_be_owner: bool = False) -> UserRecord | None:
        """Nothing happens to somebody who is not in it. Raises Conflict for the owner, unless that may be."""

        def leaving(document: Document) -> Document | None:
            if str(document.get("familyId")) != family_id:
                return None
            if document.get("familyRole") == FamilyRole.OWNER.value and not may_be_owner:
                raise Conflict("the owner hands the family over first")
            return {field: value for field, value in document.items() if field not in _MEMBERSHIP}

        return await self._revise("users", user_id, leaving, UserRecord)

    async def name_heir(self, family_id: str, user_id: str) -> FamilyRecord | None:
        """Write down who is about to own it: whoever finds it without owner goes by that."""
        return await self._revise("families", family_id, lambda found: {**found, "heirId": user_id}, FamilyRecord)

    async def own_family(self, user_id: str, family_id: str) -> UserRecord | None:
        """Make a member the owner. Raises Conflict while somebody else is, and for somebody who is no member."""

        def owning(document: Document) -> Document | None:
            if str(document.get("familyId")) != family_id:
                raise Conflict("this user is not in the family")
            if document.get("familyRole") == FamilyRole.OWNER.value:
                return None
            return {**document, "familyRole": FamilyRole.OWNER.value, "ownsFamilyId": family_id}

        return await self._revise("users", user_id, owning, UserRecord)

    async def disown_family(self, user_id: str, family_id: str) -> UserRecord | None:
        """Make its owner an adult like others. Nothing happens to somebody who does not own it."""

        def disowning(document: Document) -> Document | None:
            if str(document.get("ownsFamilyId")) != family_id:
                return None
            kept = {field: value for field, value in document.items() if field != "ownsFamilyId"}
            return {**kept, "familyRole": FamilyRole.ADULT.value}

        return await self._revise("users", user_id, disowning, UserRecord)

    async def change_benefits(self, family_id: str, change: Callable[[Benefits], Benefits]) -> FamilyRecord | None:
        """Replace a family's benefits by what `change` makes of them. Raises what it raises."""

        def changed(document: Document) -> Document | None:
            family = self._records(FamilyRecord, [document])[0]
            benefits = change(family.benefits)
            if benefits == family.benefits:
                return None
            return {**document, "benefits": [_benefit(benefit) for benefit in benefits]}

        return await self._revise("families", family_id, changed, FamilyRecord)


def _family_filter(*, ids: Sequence[str] | None = None, client_ids: Sequence[str] | None = None) -> Document:
    return matching(_id=among(ids), clientId=among(client_ids))


def _as_member(document: Document, family_id: str, role: FamilyRole) -> Document:
    membership = {"familyId": family_id, "familyRole": role.value, "familyJoinedAt": datetime.now(UTC)}
    if role is FamilyRole.OWNER:
        membership["ownsFamilyId"] = family_id
    return {**document, **membership}


def _benefit(benefit: FamilyBenefitRecord) -> Document:
    fields: Document = msgspec.to_builtins(benefit, builtin_types=(datetime,))
    return {name: value for name, value in fields.items() if value is not None}
