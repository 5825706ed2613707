"""Mutations under a key, around an execution: what is done once, what is kept, and what may be tried again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any, cast

import orjson
import pytest
import strawberry
from strawberry.extensions import SchemaExtension
from strawberry.schema.config import StrawberryConfig

from core import operation
from core.backends import BackendName
from core.errors import (
    BackendBadResponse,
    BackendRejected,
    BackendTimeout,
    BackendUnavailable,
    BadUserInput,
    Conflict,
    Forbidden,
    GatewayError,
    NotFound,
)
from core.principals import Principal
from core.scopes import UserRole
from datasources import Sources
from datasources.mongo import Mongo
from engine.idempotency import LARGEST_ANSWER, honour_idempotency_keys
from engine.scopes import enforce_scopes
from resolvers.context import Context
from resolvers.idempotency import note, noted
from schema.directives import requires
from schema.errors import readable_all
from schema.extensions import OperationEvent
from schema.fields import secret
from schema.info import Info
from schema.scalars import SCALARS
from tests import callers

Step = Callable[[Context], Awaitable[Any]]
DOWN = BackendUnavailable(BackendName.MEDUSA, "medusa cannot be reached")
TIMEOUT = BackendTimeout(BackendName.MEDUSA, "medusa did not answer within 8.0 s")


@strawberry.type
class Thing:
    id: strawberry.ID
    text: str | None

    @strawberry.field
    def broken(self) -> str | None:
        raise RuntimeError("hush")

    @strawberry.field
    def strict(self) -> str:
        raise RuntimeError("hush")


@strawberry.type
class Issued:
    new_thing: Thing
    api_key: str | None = secret(of="new_thing")


@strawberry.type
class Intent:
    id: strawberry.ID
    client_secret: str = secret()


@strawberry.type
class Query:
    @strawberry.field
    def times(self) -> int:
        return len(Doing.done)


class Doing:
    """What the mutations below do, which a test says, and what they have done."""

    done: list[str]
    steps: list[Step]


async def do(info: Info) -> Any:
    Doing.done.append(info.context.idempotency_key() or "")
    step = Doing.steps.pop(0) if len(Doing.steps) > 1 else Doing.steps[0]
    return await step(info.context)


@strawberry.type
class Mutation:
    @strawberry.mutation
    async def make(self, info: Info, name: str | None = None) -> Thing | None:
        return cast("Thing | None", await do(info))

    @strawberry.mutation(directives=[requires("commerce:write")])  # type: ignore[untyped-decorator]
    async def guarded(self, info: Info) -> Thing | None:
        return cast("Thing | None", await do(info))

    @strawberry.mutation
    async def issue(self, info: Info) -> Issued | None:
        return Issued(new_thing=await do(info), api_key="sk_live_hush")

    @strawberry.mutation
    async def intend(self, info: Info) -> Intent | None:
        await do(info)
        return Intent(id=strawberry.ID("pi_1"), client_secret="pi_1_secret_hush")


class Served(strawberry.federation.Schema):
    def process_errors(self, errors: object, execution_context: object = None) -> None:
        """Nothing, as in the served schema."""


def build(*extensions: Any) -> Served:
    schema = Served(
        query=Query,
        mutation=Mutation,
        config=StrawberryConfig(scalar_map=SCALARS),
        extensions=[lambda: OperationEvent(query_timeout_s=10, mutation_timeout_s=40), *extensions],
    )
    enforce_scopes(schema)
    honour_idempotency_keys(schema, claims=lambda context: context.sources.mongo, readable=readable_all)
    return schema


SCHEMA = build()
MAKE = "mutation { make { id text } }"


async def made(ctx: Context) -> Thing:
    return Thing(id=strawberry.ID(str(len(Doing.done))), text="é")


def failing(error: Exception) -> Step:
    async def fail(ctx: Context) -> None:
        raise error

    return fail


@pytest.fixture(autouse=True)
def fresh() -> None:
    Doing.done, Doing.steps = [], [made]


class Ask:
    """As a transport asks; `header` and `body` are the two places where a key can stand."""

    def __init__(self, mongo: Mongo) -> None:
        self.mongo = mongo

    async def __call__(
        self,
        query: str = MAKE,
        *,
        header: str | None = "k",
        body: Any = None,
        by: Principal = callers.SERVICE,
        schema: Served = SCHEMA,
        named: str | None = None,
        **variables: Any,
    ) -> Any:
        sources = cast("Sources", SimpleNamespace(mongo=self.mongo))
        return await schema.execute(
            query,
            variables,
            Context(sources, by, caller_key=header),
            operation_name=named,
            operation_extensions=None if body is None else {"idempotencyKey": body},
        )

    async def kept(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = await self.mongo._db.idempotency.find({}).to_list(None)
        return found


@pytest.fixture
def ask(empty_mongo: Mongo) -> Ask:
    return Ask(empty_mongo)


def codes(result: Any) -> list[str]:
    return [error.extensions["code"] for error in result.errors or []]


# -- once --------------------------------------------------------------------------------------------------------------


async def test_the_same_request_is_executed_once_and_answered_alike(ask: Ask) -> None:
    first, second, third = await ask(), await ask(), await ask(header=None, body="k")
    assert first.data == {"make": {"id": "1", "text": "é"}}
    assert orjson.dumps(first.data) == orjson.dumps(second.data) == orjson.dumps(third.data)
    assert len(Doing.done) == 1
    assert "idempotency" not in first.extensions
    assert second.extensions["idempotency"] == third.extensions["idempotency"] == {"replayed": True}


async def test_without_a_key_every_request_is_another(ask: Ask) -> None:
    answers = [await ask(header=None) for _ in range(2)]
    assert [answer.data["make"]["id"] for answer in answers] == ["1", "2"]
    assert await ask.kept() == []


async def test_queries_do_not_look_at_keys(ask: Ask) -> None:
    for key in ("k", "k", "no key at all", ""):
        assert (await ask("{ times }", header=key)).data == {"times": 0}
        Doing.done.clear()
    assert await ask.kept() == []


async def test_a_key_that_is_none_stops_the_mutation(ask: Ask) -> None:
    keys: list[dict[str, Any]] = [
        {"header": ""},
        {"header": "a b"},
        {"body": "k" * 256},
        {"body": 7},
        {"body": {"$ne": ""}},
    ]
    for places in keys:
        refused = await ask(**{"header": None, **places})
        assert (refused.data, codes(refused)) == (None, ["BAD_USER_INPUT"])
    assert Doing.done == []


async def test_two_places_may_hold_one_key_but_not_two(ask: Ask) -> None:
    assert codes(await ask(header="k", body="other")) == ["BAD_USER_INPUT"]
    assert Doing.done == []
    assert (await ask(header="k", body="k")).data is not None


@pytest.mark.parametrize(
    ("query", "named", "variables"),
    [
        ("mutation ($n: String) { make(name: $n) { id } }", None, {"n": "b"}),
        ("mutation ($n: String) { make(name: $n) { id } }", None, {}),
        ("mutation ($n: String) { make(name: $n) { id text } }", None, {"n": "a"}),
        ("mutation ($n: String) { other: make(name: $n) { id } }", None, {"n": "a"}),
    ],
)
async def test_a_key_that_comes_with_another_request_is_a_conflict(
    ask: Ask, query: str, named: str | None, variables: dict[str, Any]
) -> None:
    await ask("mutation ($n: String) { make(name: $n) { id } }", n="a")
    refused = await ask(query, named=named, **variables)
    assert (refused.data, codes(refused)) == (None, ["IDEMPOTENCY_CONFLICT"])
    assert refused.errors[0].extensions["retryable"] is False
    assert len(Doing.done) == 1


async def test_the_order_of_variables_does_not_matter(ask: Ask) -> None:
    query = "mutation ($a: String, $b: String) { a: make(name: $a) { id } b: make(name: $b) { id } }"
    first = await ask(query, a="1", b="2")
    assert (await ask(query, b="2", a="1")).data == first.data
    assert len(Doing.done) == 2


async def test_a_key_is_its_callers_own(ask: Ask) -> None:
    someone, other = callers.person("CUSTOMER"), callers.person("CUSTOMER", n=1)
    asking = [callers.SERVICE, callers.client(0), callers.client(1), callers.user(someone), callers.user(other)]
    answers = [await ask(by=principal) for principal in asking]
    assert [answer.data["make"]["id"] for answer in answers] == ["1", "2", "3", "4", "5"]
    assert len(set(Doing.done)) == len(await ask.kept()) == 5


async def test_a_key_is_its_operations_own(ask: Ask) -> None:
    both = "mutation A { make { id } } mutation B { make { id } }"
    assert (await ask(both, named="A")).data["make"]["id"] == "1"
    assert (await ask(both, named="B")).data["make"]["id"] == "2"
    assert len(set(Doing.done)) == 2


async def test_every_field_has_a_key_of_its_own_and_the_same_one_the_next_time(ask: Ask) -> None:
    Doing.steps = [failing(TIMEOUT)]
    twice = "mutation { first: make { id } second: make { id } }"
    await ask(twice)
    await ask(twice)
    assert len(set(Doing.done[:2])) == 2
    assert Doing.done[:2] == Doing.done[2:]


async def test_who_may_do_less_by_now_is_not_shown_what_they_could_do_then(ask: Ask) -> None:
    query = "mutation { make { id } guarded { id } }"
    before = callers.user(callers.person("MANAGER"))
    after = Principal(**{**{name: getattr(before, name) for name in before.__slots__}, "scopes": frozenset()})
    assert before.id == after.id
    assert (await ask(query, by=before)).data["guarded"] is not None
    refused = await ask(query, by=after)
    assert (refused.data, codes(refused)) == (None, ["IDEMPOTENCY_CONFLICT"])


async def test_whose_token_makes_less_of_them_is_not_shown_what_they_saw_as_more(ask: Ask) -> None:
    whole = callers.user(callers.person("STAFF"))
    lesser = Principal(**{**{name: getattr(whole, name) for name in whole.__slots__}, "role": UserRole.CUSTOMER})
    assert whole.id == lesser.id
    assert (await ask(by=whole)).data is not None
    assert codes(await ask(by=lesser)) == ["IDEMPOTENCY_CONFLICT"]


# -- at the same time, and cut off -------------------------------------------------------------------------------------


async def test_while_the_first_runs_the_second_is_told_to_come_back(ask: Ask) -> None:
    begun, may_end = asyncio.Event(), asyncio.Event()

    async def slow(ctx: Context) -> Thing:
        begun.set()
        await may_end.wait()
        return await made(ctx)

    Doing.steps = [slow]
    first = asyncio.create_task(ask())
    await begun.wait()
    refused = await ask()
    assert (refused.data, codes(refused)) == (None, ["IDEMPOTENCY_CONFLICT"])
    assert refused.errors[0].extensions["retryable"] is True
    assert refused.errors[0].extensions["retryAfterMs"] == 1000
    may_end.set()
    assert (await first).data == (await ask()).data
    assert len(Doing.done) == 1


async def test_what_was_cut_off_waits_for_the_end_of_its_lease_and_finds_its_notes(ask: Ask) -> None:
    begun = asyncio.Event()

    async def cut_off(ctx: Context) -> None:
        await note(ctx, "cart", "cart_1")
        begun.set()
        await asyncio.Event().wait()

    async def goes_on(ctx: Context) -> Thing:
        return Thing(id=strawberry.ID(noted(ctx, "cart") or ""), text=None)

    Doing.steps = [cut_off, goes_on]
    first = asyncio.create_task(ask())
    await begun.wait()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert codes(await ask()) == ["IDEMPOTENCY_CONFLICT"]
    [claim] = await ask.kept()
    assert 40 < (claim["leaseUntil"] - claim["createdAt"]).total_seconds() <= 60
    await ask.mongo._db.idempotency.replace_one({"_id": claim["_id"]}, {**claim, "leaseUntil": claim["createdAt"]})
    assert (await ask()).data == {"make": {"id": "cart_1", "text": None}}
    assert (await ask()).data == {"make": {"id": "cart_1", "text": None}}
    assert len(Doing.done) == 2
    assert Doing.done[0] == Doing.done[1]


async def test_a_caller_who_leaves_at_the_last_moment_leaves_the_answer_behind(
    ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeping, may_keep, kept = asyncio.Event(), asyncio.Event(), asyncio.Event()
    keep = Mongo.keep_answer

    async def slow(self: Mongo, key: str, attempt: str, answer: str) -> None:
        keeping.set()
        await may_keep.wait()
        await keep(self, key, attempt, answer)
        kept.set()

    monkeypatch.setattr(Mongo, "keep_answer", slow)
    first = asyncio.create_task(ask())
    await keeping.wait()
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    may_keep.set()
    await kept.wait()
    assert (await ask()).extensions["idempotency"] == {"replayed": True}


async def test_an_answer_that_cannot_be_kept_is_given_all_the_same(
    ask: Ask, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def down(*_: object) -> None:
        raise BackendUnavailable(BackendName.OMNISTACK, "the core store cannot be reached")

    monkeypatch.setattr(Mongo, "keep_answer", down)
    assert (await ask()).data == {"make": {"id": "1", "text": "é"}}
    assert "left to its lease" in caplog.text
    assert codes(await ask()) == ["IDEMPOTENCY_CONFLICT"]
    assert len(Doing.done) == 1


async def test_nothing_is_done_while_keys_cannot_be_claimed(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    async def down(*_: object, **__: object) -> None:
        raise BackendUnavailable(BackendName.OMNISTACK, "the core store cannot be reached")

    monkeypatch.setattr(Mongo, "claim_request", down)
    assert codes(await ask()) == ["UPSTREAM_UNAVAILABLE"]
    assert Doing.done == []


# -- what is kept ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        BadUserInput("no"),
        NotFound("no"),
        Conflict("no"),
        BackendRejected(BackendName.MEDUSA, "no", status=400),
        BackendBadResponse(BackendName.MEDUSA, "medusa answered something unexpected"),
        RuntimeError("hush"),
    ],
)
async def test_a_failure_that_repeating_would_not_change_is_kept(ask: Ask, error: Exception) -> None:
    Doing.steps = [failing(error), made]
    first, second = await ask(), await ask()
    assert len(Doing.done) == 1
    assert second.data == first.data == {"make": None}
    assert [error.formatted for error in second.errors] == [error.formatted for error in first.errors]
    assert second.errors[0].formatted["locations"] == [{"line": 1, "column": 12}]
    assert "hush" not in str(await ask.kept())


@pytest.mark.parametrize("error", [DOWN, TIMEOUT, GatewayError("x")])
async def test_a_failure_that_may_pass_can_be_tried_again(ask: Ask, error: GatewayError) -> None:
    Doing.steps = [failing(error), made]
    first, second = await ask(), await ask()
    assert first.data == {"make": None}
    if not error.retryable:
        assert len(Doing.done) == 1
        return
    assert second.data == {"make": {"id": "2", "text": "é"}}
    assert Doing.done[0] == Doing.done[1], "the effective key, by which what the first has done is found"
    assert (await ask()).data == second.data
    assert len(Doing.done) == 2


async def test_a_request_that_may_have_had_an_effect_keeps_its_key_from_others(ask: Ask) -> None:
    Doing.steps = [failing(TIMEOUT), made]
    await ask()
    assert codes(await ask("mutation { make { id } }")) == ["IDEMPOTENCY_CONFLICT"]


async def test_what_has_succeeded_in_part_is_not_done_again(ask: Ask) -> None:
    Doing.steps = [made, failing(TIMEOUT), made]
    twice = "mutation { first: make { id } second: make { id } }"
    first, second = await ask(twice), await ask(twice)
    assert first.data == second.data == {"first": {"id": "1"}, "second": None}
    assert codes(second) == ["UPSTREAM_TIMEOUT"]
    assert len(Doing.done) == 2


@pytest.mark.parametrize("field", ["broken", "strict"])
async def test_a_field_that_failed_below_what_was_done_is_no_failure_to_do_it(ask: Ask, field: str) -> None:
    query = f"mutation {{ make {{ id {field} }} }}"
    first, second = await ask(query), await ask(query)
    assert len(Doing.done) == 1
    assert first.data == second.data
    assert codes(second) == ["INTERNAL"]
    assert second.errors[0].extensions["requestId"] == first.errors[0].extensions["requestId"], "what the log has"


async def test_who_was_not_let_in_has_used_up_nothing(ask: Ask) -> None:
    stranger = callers.platform(server_side=False)
    stranger = Principal(stranger.kind, frozenset(), client_app_id=stranger.client_app_id)
    assert codes(await ask("mutation { guarded { id } }", by=stranger)) == ["FORBIDDEN"]
    assert codes(await ask("mutation ($n: String!) { make(name: $n) { id } }", by=stranger)) == ["BAD_USER_INPUT"]
    assert codes(await ask("mutation { unknown }", by=stranger)) == ["BAD_USER_INPUT"]
    assert await ask.kept() == []
    Doing.steps = [failing(Forbidden("no")), made]
    assert codes(await ask(by=stranger)) == ["FORBIDDEN"]
    assert (await ask(by=stranger)).data == {"make": {"id": "2", "text": "é"}}


async def test_errors_that_were_only_counted_stay_counted(ask: Ask) -> None:
    query = "mutation { make { " + " ".join(f"b{n}: broken" for n in range(60)) + " } }"
    first, second = await ask(query), await ask(query)
    assert len(first.errors) == 51
    assert [error.formatted for error in second.errors] == [error.formatted for error in first.errors]


# -- what is not kept --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "record"),
    [
        ("mutation { issue { apiKey newThing { id } } }", "Thing 1"),
        ("mutation { a: issue { key: apiKey } }", "Thing 1"),
        ("mutation { intend { ... on Intent { clientSecret } } }", "Intent pi_1"),
    ],
)
async def test_a_secret_is_told_once_and_kept_nowhere(ask: Ask, query: str, record: str) -> None:
    first = await ask(query)
    assert "hush" in str(first.data)
    again = await ask(query)
    assert (again.data, codes(again)) == (None, ["CONFLICT"])
    assert record in again.errors[0].message
    assert len(Doing.done) == 1
    assert "hush" not in str(await ask.kept())


async def test_where_the_secret_was_not_asked_for_the_answer_is_kept(ask: Ask) -> None:
    query = "mutation { issue { newThing { id } } }"
    assert (await ask(query)).data == (await ask(query)).data == {"issue": {"newThing": {"id": "1"}}}
    assert len(Doing.done) == 1


async def test_an_answer_without_bounds_is_not_kept(ask: Ask) -> None:
    async def large(ctx: Context) -> Thing:
        return Thing(id=strawberry.ID("1"), text="é" * (LARGEST_ANSWER // 2))

    Doing.steps = [large]
    assert (await ask()).errors is None
    again = await ask()
    assert codes(again) == ["CONFLICT"]
    assert "too large" in again.errors[0].message
    assert len(str(await ask.kept())) < 2000


async def test_the_callers_own_key_is_not_kept(ask: Ask) -> None:
    await ask(header="my-very-own-key")
    assert "my-very-own-key" not in str(await ask.kept())


# -- around it ---------------------------------------------------------------------------------------------------------


async def test_a_refusal_of_another_extension_claims_nothing(ask: Ask) -> None:
    class Refuses(SchemaExtension):
        def on_execute(self) -> Any:
            raise BadUserInput("not now")
            yield

    assert codes(await ask(schema=build(Refuses))) == ["BAD_USER_INPUT"]
    assert await ask.kept() == []


async def test_over_a_stream_it_is_the_same(ask: Ask) -> None:
    async def streamed() -> Any:
        sources = cast("Sources", SimpleNamespace(mongo=ask.mongo))
        extensions = {"idempotencyKey": "k"}
        stream = await SCHEMA.stream(
            MAKE, context_value=Context(sources, callers.SERVICE), operation_extensions=extensions
        )
        [result] = [result async for result in stream]
        return result

    first, second = await streamed(), await streamed()
    assert first.data == second.data == {"make": {"id": "1", "text": "é"}}
    assert second.extensions["idempotency"] == {"replayed": True}
    assert (await ask()).data == first.data


async def test_resolvers_know_no_key_where_there_is_none(ask: Ask) -> None:
    async def notes(ctx: Context) -> Thing:
        await note(ctx, "cart", "cart_1")
        assert operation.current().keyed is None
        return Thing(id=strawberry.ID(str(noted(ctx, "cart"))), text=None)

    Doing.steps = [notes]
    assert (await ask(header=None)).data == {"make": {"id": "None", "text": None}}
    assert Doing.done == [""]


@strawberry.type
class Wrong:
    api_key: str = secret(of="client")


@strawberry.type
class WrongMutation:
    @strawberry.mutation
    def wrong(self) -> Wrong:
        return Wrong(api_key="")


def test_a_secret_of_what_is_not_there_stops_the_start() -> None:
    schema = strawberry.Schema(query=Query, mutation=WrongMutation)
    with pytest.raises(LookupError, match="Wrong has no attribute client"):
        honour_idempotency_keys(schema, claims=lambda context: context.sources.mongo, readable=readable_all)
