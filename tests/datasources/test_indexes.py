"""Every way in which the core store is asked goes by an index.

The embedded engine explains little: it does not bind ObjectIds, and reads through `$in` and sorts without its indexes.
What it cannot tell is read off the commands themselves and `COLLECTIONS`; a real MongoDB is asked about every command.
"""

from __future__ import annotations

import inspect
import itertools
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from bson import ObjectId
from pymongo import DESCENDING, IndexModel, monitoring

from core.backends import BackendName
from core.scopes import UserRole
from core.settings import MongoSettings
from datasources.mongo import BatchToSync, Keyset, MessageStatus, Mongo, UserStatus
from datasources.mongo.indexes import COLLECTIONS, for_mongodb

ID, OTHER = "a" * 24, "b" * 24
AFTER = Keyset(datetime(2026, 6, 1, tzinfo=UTC), ID)

FEW_VALUES = {"role", "status", "isActive"}
"""What divides rows into few kinds: a walk along an index that sorts the list meets enough of any."""
SELECTIVE = {"code", "externalId", "emailKey", "formerEmails", "familyId", "ownerId", "userId", "rowId", "subject.id"}
"""What at most a handful of rows share, so that they may be narrowed and sorted in memory."""

LISTS: dict[str, dict[str, Any]] = {
    "client_apps": {"ids": [ID]},
    "clients": {"ids": [ID], "app_ids": [ID], "external_id": "7", "code": "X", "is_active": True, "search": "x"},
    "users": {
        "ids": [ID], "client_ids": [ID], "role": UserRole.STAFF, "status": UserStatus.ACTIVE, "search": "x",
        "linked_to": BackendName.ERPNEXT,
    },
    "families": {"ids": [ID], "client_ids": [ID]},
    "batches": {"client_ids": [ID], "skus": ["S", "T"]},
    "credentials": {"client_ids": [ID], "user_ids": [ID]},
}  # fmt: skip
"""Methods that give pages, each with its `count_…`, and what they can be narrowed to."""

OTHERS: dict[str, list[tuple[Any, ...]]] = {
    "client_app": [(ID,)],
    "client_apps_by_ids": [([ID, OTHER],)],
    "client": [(ID,)],
    "clients_by_ids": [([ID, OTHER],)],
    "user": [(ID,)],
    "users_by_ids": [([ID, OTHER],)],
    "users_by_medusa_customer_ids": [(["cus_1", "cus_2"],)],
    "users_by_erp_customer_ids": [(["C1"],)],
    "users_by_accounts": [(backend, ["a"]) for backend in (BackendName.MEDUSA, BackendName.STRIPE, BackendName.WALTID)],
    "users_who_had": [(ID, "a@b.example")],
    "buyers_by_medusa_customer_ids": [(["cus_1"],)],
    "buyers_by_erp_customer_ids": [(["C1"],)],
    "buyers_by_emails": [(["a@b.example"],)],
    "families_by_ids": [([ID, OTHER],)],
    "members_of_families": [([ID, OTHER],)],
    "key": [("0" * 64,)],
    "keys_of": [(ID,)],
    "credential": [("urn:uuid:1",)],
    "credentials_by_ids": [(["urn:uuid:1", "urn:uuid:2"],)],
    "revoked_in_list": [(1,)],
    "owner": [(BackendName.MEDUSA, "cart_1")],
    "owners": [(BackendName.MEDUSA, ["cart_1", "cart_2"])],
    # Those that write, but not by the id of a document alone.
    "claim_message": [("m",), ("m",)],
    "settle_message": [],
    "forget_credential": [("urn:uuid:1",)],
    "sync_batches": [(ID, [BatchToSync("1", "S", Decimal(n))]) for n in (1, 2)],
}
KEYWORDS: dict[str, list[dict[str, Any]]] = {
    "audit": [{"last": 5}, {"last": 5, "subject_id": ID}],
    "owned": [
        {"backend": BackendName.FLEETBASE, "limit": 5, **narrowed}
        for narrowed in (
            {}, {"client_ids": [ID]}, {"user_id": ID}, {"client_ids": [ID], "user_id": ID},
            {"client_ids": [ID], "before": AFTER.created_at}, {"client_ids": [ID], "kind": "customer"},
        )
    ],
}  # fmt: skip
BY_ID_ALONE = {
    "add_key", "add_medusa_customer_id", "change_benefits", "claim_request", "create_client", "create_client_app",
    "create_family", "create_user", "disown_family", "drop_key", "end_key", "end_lease", "extend_lease",
    "forget_request", "insert", "join_family", "keep_answer", "lease", "leave_family", "link_account", "mark_key",
    "name_heir", "note_request", "own_family", "record", "record_ownership", "release_message", "release_request",
    "revise_client", "revise_user", "set_active", "set_backend_scope", "withhold_answer",
    "claim_job", "doubt_job", "settle_job", "give_up_job",
    "end_keys",  # what `keys_of` finds, each by its id
    "credential_issued", "credential_offered", "reserve_credential", "revoke_credential",  # what `credential` finds
    "forget_ownership",
}  # fmt: skip
"""Those that write a document by its id, or add one."""
ABOUT_THE_STORE = {"aclose", "ping", "prepare", "is_empty"}


def test_every_method_of_the_store_is_accounted_for() -> None:
    methods = {name for name, _ in inspect.getmembers(Mongo, inspect.isfunction) if not name.startswith("_")}
    asked = {*LISTS, *(f"count_{name}" for name in LISTS), *OTHERS, *KEYWORDS}
    unknown = methods - asked - BY_ID_ALONE - ABOUT_THE_STORE
    assert unknown == set(), "say in this file how these ask, so that it is seen that they go by an index"
    assert asked | BY_ID_ALONE | ABOUT_THE_STORE == methods, "these are no more"


# -- what was asked ----------------------------------------------------------------------------------------------------


class Recorder(monitoring.CommandListener):
    """The commands that look for documents, whole."""

    def __init__(self) -> None:
        self.commands: list[dict[str, Any]] = []

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        if event.command_name in ("find", "aggregate", "update", "delete"):
            self.commands.append(dict(event.command))

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        pass

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        pass


@dataclass(frozen=True)
class Question:
    """What is looked for in a collection: fields by their values, in an order, and whether only to count."""

    collection: str
    conditions: Mapping[str, Any]
    sort: tuple[str, ...] = ()
    is_count: bool = False

    @property
    def equal(self) -> set[str]:
        """The fields that must have one of some values."""
        return {field for field, value in _flat(self.conditions) if not _is_operator(value) or "$in" in value}

    @property
    def is_everything(self) -> bool:
        """Whatever answers it has to look at every document: a total over all, or over one of few kinds."""
        return self.is_count and self.equal <= FEW_VALUES

    @property
    def is_plain(self) -> bool:
        """Whether the embedded engine can explain it."""
        values = list(self.conditions.values())
        return bool(values) and not self.sort and all(isinstance(value, str) for value in values)

    def way(self, indexes: list[IndexModel]) -> str | None:
        """The index that answers it, in words; None: there is none."""
        if "_id" in self.equal:
            return "_id"
        for index in indexes:
            keys = list(index.document["key"])
            for n in range(len(keys) + 1):
                by, rest = set(keys[:n]), self.equal - set(keys[:n])
                if not by <= self.equal:
                    break
                is_sorted = list(self.sort) == keys[n : n + len(self.sort)]
                few_are_left = bool(by & SELECTIVE) or any("." in key or key == "medusaCustomerIds" for key in by)
                if few_are_left or (is_sorted and (by or self.sort) and rest <= FEW_VALUES):
                    return ", ".join(keys)
        return None


def _flat(conditions: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Field and condition, of those that all must hold. What alternatives say narrows no index."""
    for field, value in conditions.items():
        if field == "$and":
            for each in value:
                yield from _flat(each)
        elif field != "$or":
            yield field, value


def _is_operator(value: Any) -> bool:
    return isinstance(value, Mapping) and any(str(key).startswith("$") for key in value)


def questions(command: Mapping[str, Any]) -> list[Question]:
    """What a command asks; one may hold several."""
    match command:
        case {"find": collection, **rest}:
            sort = tuple(field for field in rest.get("sort", {}) if field != "_id")
            is_count = "limit" not in rest and rest.get("projection") == {"_id": 1}
            return [Question(collection, rest.get("filter", {}), sort, is_count)]
        case {"aggregate": collection, "pipeline": [{"$match": conditions}, *stages]}:
            joins = [stage["$lookup"] for stage in stages if "$lookup" in stage]
            joined = [Question(join["from"], {join["foreignField"]: "?"}) for join in joins]
            return [Question(collection, conditions, is_count=any("$group" in stage for stage in stages)), *joined]
        case {"update": collection, "updates": parts} | {"delete": collection, "deletes": parts}:
            return [Question(collection, part["q"]) for part in parts]
    raise AssertionError(f"what does this ask? {command}")


# -- asking ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
async def store(empty_mongo: Mongo, recorder: Recorder) -> AsyncIterator[Mongo]:
    address: Any = empty_mongo._client.address
    host, port = address
    uri = os.environ.get("TEST_MONGODB_URI") or f"mongodb://{host}:{port}"
    opened = Mongo.open(MongoSettings(database=empty_mongo._db.name), uri, event_listeners=[recorder])
    yield opened
    await opened.aclose()


async def check(store: Mongo, commands: list[dict[str, Any]]) -> None:
    """That each goes by an index."""
    asked = {repr(question): (question, command) for command in commands for question in questions(command)}
    for question, command in asked.values():
        told = f"{question.collection} has no index for {command}"
        if question.is_everything:
            continue
        assert question.way(COLLECTIONS[question.collection]) is not None, told
        if "TEST_MONGODB_URI" in os.environ or question.is_plain:
            assert not scans(await explained(store, question)), told


async def explained(store: Mongo, question: Question) -> Any:
    find: dict[str, Any] = {"find": question.collection, "filter": dict(question.conditions)}
    if question.sort:
        find["sort"] = {**dict.fromkeys(question.sort, DESCENDING), "_id": DESCENDING}
    plan: dict[str, Any] = await store._db.command("explain", find)
    return plan["queryPlanner"]["winningPlan"]


def scans(plan: Any) -> bool:
    """Whether a plan, MongoDB's or SQLite's, looks at every document."""
    match plan:
        case {"stage": "COLLSCAN"}:
            return True
        case {"detail": str(detail)}:
            return detail.startswith("SCAN ") and "json_each" not in detail
        case {**fields}:
            return any(scans(value) for value in fields.values())
        case [*parts]:
            return any(scans(part) for part in parts)
    return False


@pytest.mark.parametrize("method", LISTS)
async def test_lists_and_their_totals_go_by_an_index_however_they_are_narrowed(
    store: Mongo, recorder: Recorder, method: str
) -> None:
    narrowings = LISTS[method]
    for chosen in itertools.product([False, True], repeat=len(narrowings)):
        narrowed = {name: narrowings[name] for name, is_chosen in zip(narrowings, chosen, strict=True) if is_chosen}
        for after in (None, AFTER):
            await getattr(store, method)(limit=3, after=after, **narrowed)
        await getattr(store, f"count_{method}")(**narrowed)
    assert len(recorder.commands) == 3 * 2 ** len(narrowings)
    await check(store, recorder.commands)


@pytest.mark.parametrize("method", [*OTHERS, *KEYWORDS])
async def test_everything_else_goes_by_an_index(store: Mongo, recorder: Recorder, method: str) -> None:
    if method == "settle_message":
        await store.settle_message("m", MessageStatus.SENT)
    for arguments in OTHERS.get(method, ()):
        await getattr(store, method)(*arguments)
    for named in KEYWORDS.get(method, ()):
        await getattr(store, method)(**named)
    assert recorder.commands
    await check(store, recorder.commands)


# -- that it would be seen ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "command",
    [
        {"find": "users", "filter": {"phone": "1"}},
        {"find": "users", "filter": {"$or": [{"clientId": 1}, {"phone": "1"}]}, "limit": 1},
        {"find": "users", "filter": {"name": "x"}, "sort": {"createdAt": -1}, "limit": 3},
        {"find": "users", "filter": {"clientId": {"$in": [ObjectId()]}}, "sort": {"name": 1}, "limit": 3},
        {"find": "users", "filter": {"clientId": {"$in": [ObjectId()]}, "phone": "1"}, "limit": 3},
        {"find": "batches", "filter": {"externalId": {"$ne": "1"}}, "limit": 3},
        {"aggregate": "users", "pipeline": [{"$match": {"name": "x"}}, {"$group": {"_id": 1}}]},
        {"update": "users", "updates": [{"q": {"phone": "1"}, "u": {}}]},
    ],
)
async def test_a_question_without_index_is_seen(store: Mongo, command: dict[str, Any]) -> None:
    with pytest.raises(AssertionError, match="has no index for"):
        await check(store, [command])


async def test_the_engines_word_is_heard(store: Mongo) -> None:
    assert scans(await explained(store, Question("clients", {"name": "x"})))
    assert not scans(await explained(store, Question("clients", {"code": "x"})))


def test_mongodbs_word_is_heard() -> None:
    by_index = {"stage": "FETCH", "inputStage": {"stage": "IXSCAN"}}
    assert not scans(by_index)
    assert scans({"stage": "SORT", "inputStage": {"stage": "COLLSCAN"}})
    assert scans({"stage": "OR", "inputStages": [by_index, {"stage": "COLLSCAN"}]})


def test_on_mongodb_an_index_that_sorts_goes_as_far_as_the_order() -> None:
    sorted_by = for_mongodb(IndexModel([("clientId", 1), ("createdAt", -1)]))
    assert list(sorted_by.document["key"].items()) == [("clientId", 1), ("createdAt", -1), ("_id", -1)]
    for indexes in COLLECTIONS.values():
        for index in indexes:
            keys = list(index.document["key"].items())
            wanted = [*keys, ("_id", -1)] if keys[-1] in (("createdAt", -1), ("at", -1)) else keys
            assert list(for_mongodb(index).document["key"].items()) == wanted
