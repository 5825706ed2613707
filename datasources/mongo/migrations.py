"""How documents of earlier releases become those of this one: numbered steps on the database, each applied once.

A step may be cut off anywhere and is then applied again, perhaps while a process that was thought dead still applies
it: each looks at what it finds, and changes a document only as long as nobody else did.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from bson import ObjectId
from pymongo.errors import OperationFailure

from datasources.mongo.driver import Document
from datasources.mongo.users import email_key

Database = Any
"""Motor's, which ships no types."""

NOT_THERE = (26, 27)
"""MongoDB's codes for a collection and an index that do not exist."""


@dataclass(frozen=True)
class Migration:
    """`number` says after which others; `apply` must be safe to repeat."""

    number: int
    name: str
    apply: Callable[[Database], Awaitable[None]]


async def number_revisions(db: Database) -> None:
    """Documents that are revised carry the number of their revision."""
    for name in ("client_apps", "clients", "users", "families", "keys"):
        await db[name].update_many({"revision": {"$exists": False}}, {"$set": {"revision": 1}})


async def move_members_into_users(db: Database) -> None:
    """A family's `members` become `familyRole` and `familyJoinedAt` of the users; those who say that they are in
    another family stay there. A family with several owners keeps the first, one without gets the first adult."""
    for family_id in await _ids(db.families, {"members": {"$exists": True}}):
        family: Document | None = await db.families.find_one({"_id": family_id})
        members = _with_one_owner((family or {}).get("members") or [])
        for member in members:
            await _rewrite(db.users, member["userId"], partial(_as_member, family_id, member))
        await _rewrite(db.families, family_id, partial(_without_members, members[0]["userId"] if members else None))


async def add_keys_of_addresses(db: Database) -> None:
    """Users are told apart by `emailKey`, however their address is written, and know which of their customers in Medusa
    carts made. Of two spellings of one address the later user stays without, until somebody gives them another."""
    for user_id in await _ids(db.users, {"emailKey": {"$exists": False}}):
        user: Document | None = await db.users.find_one({"_id": user_id})
        if user is None:
            continue
        key = email_key(user["email"])
        is_taken = await db.users.find_one({"clientId": {"$in": [user["clientId"]]}, "emailKey": key}, {"_id": 1})
        await _rewrite(db.users, user_id, partial(_with_address_key, None if is_taken else key))


async def drop_former_indexes(db: Database) -> None:
    """Those that nothing uses any more, and those that are unique now: an index does not change under its name."""
    former = {
        "users": ("clientId_1_email_1", "linkedAccounts.erpCustomerId_1", "linkedAccounts.stripeCustomerId_1"),
        "families": ("memberIds_1",),
    }
    for collection, indexes in former.items():
        for index in indexes:
            try:
                await db[collection].drop_index(index)
            except OperationFailure as exc:
                if exc.code not in NOT_THERE:
                    raise


MIGRATIONS = (
    Migration(1, "number revisions", number_revisions),
    Migration(2, "move members of families into users", move_members_into_users),
    Migration(3, "add keys of addresses", add_keys_of_addresses),
    Migration(4, "drop former indexes", drop_former_indexes),
)
"""In order. A step that was released is never changed, and its number never used again."""


async def _ids(collection: Any, conditions: Document) -> list[ObjectId]:
    """All at once: a cursor does not bear that what it reads is changed."""
    return [document["_id"] for document in await collection.find(conditions, {"_id": 1}).to_list(None)]


async def _rewrite(collection: Any, id: Any, change: Callable[[Document], Document]) -> None:
    """Replace a document by what `change` makes of it, as if nobody else wrote in the meantime."""
    while (found := await collection.find_one({"_id": id})) is not None:
        revision = found.get("revision")
        changed = change(dict(found))
        if changed == found:
            return
        new = {**changed, "revision": (revision or 0) + 1}
        if (await collection.replace_one({"_id": id, "revision": revision}, new)).matched_count:
            return


def _with_one_owner(members: Iterable[Mapping[str, Any]]) -> list[Document]:
    """The owner first."""
    left = [dict(member) for member in members]
    if not left:
        return []
    by_right = [member for role in ("OWNER", "ADULT") for member in left if member["role"] == role]
    owner = (by_right or left)[0]
    others = [
        member | {"role": "ADULT"} if member["role"] == "OWNER" else member for member in left if member is not owner
    ]
    return [owner | {"role": "OWNER"}, *others]


def _as_member(family_id: ObjectId, member: Document, user: Document) -> Document:
    if "familyRole" in user or user.get("familyId") not in (None, family_id):
        return user
    membership = {"familyId": family_id, "familyRole": member["role"], "familyJoinedAt": member["joinedAt"]}
    if member["role"] == "OWNER":
        membership["ownsFamilyId"] = family_id
    return {**user, **membership}


def _without_members(heir: ObjectId | None, family: Document) -> Document:
    kept = {name: value for name, value in family.items() if name not in ("members", "memberIds")}
    return kept if heir is None else {"heirId": heir, **kept}


def _with_address_key(key: str | None, user: Document) -> Document:
    linked = (user.get("linkedAccounts") or {}).get("medusaCustomerId")
    theirs = user.get("medusaCustomerIds") or []
    added: Document = {"medusaCustomerIds": theirs, "cartCustomerIds": [one for one in theirs if one != linked]}
    if key is not None:
        added["emailKey"] = key
    return added | user
