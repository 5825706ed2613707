"""What surrounds an operation: deadlines, masked errors, the trace and the log line."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest
import strawberry
from strawberry.extensions import MaxTokensLimiter, SchemaExtension
from strawberry.schema.config import StrawberryConfig

from core import operation
from core.errors import NotFound
from core.principals import Principal
from core.telemetry import JsonLines
from resolvers.context import Context
from resolvers.users import UserById
from schema.extensions import OperationEvent, ParsedDocuments
from schema.info import Info
from schema.scalars import SCALARS, CurrencyCode
from tests.conftest import MakeContext

USER = "0000000300000000000000"


@strawberry.type
class Query:
    @strawberry.field
    def seconds(self) -> float | None:
        return operation.current().remaining_s()

    @strawberry.field
    def request_id(self) -> str:
        return operation.current().request_id

    @strawberry.field
    async def people(self, info: Info) -> int:
        loader = info.context.loader(UserById)
        found = await loader.load_many([f"{USER}{n:02x}" for n in range(1, 6)] * 2)
        return len([user for user in found if user])

    @strawberry.field
    def missing(self) -> str | None:
        raise NotFound("it is not there")

    @strawberry.field
    def broken(self) -> str | None:
        raise RuntimeError("hush")

    @strawberry.field
    def strict(self) -> str:
        raise RuntimeError("hush")

    @strawberry.field
    def numbers(self, n: int) -> list[int | None]:
        return [Broken() for _ in range(n)]  # type: ignore[misc]

    @strawberry.field
    def money(self, amount: Decimal, currency: CurrencyCode) -> str:
        return f"{amount} {currency}"


class Broken:
    def __int__(self) -> int:
        raise RuntimeError("hush")


@strawberry.type
class Mutation:
    @strawberry.mutation
    def seconds(self) -> float | None:
        return operation.current().remaining_s()


@strawberry.type
class Event:
    @strawberry.field
    async def loads(self, info: Info) -> int:
        """How often this operation's loader was asked before."""
        await info.context.loader(UserById).load(f"{USER}01")
        return len(operation.current().calls)

    @strawberry.field
    def broken(self) -> str | None:
        raise RuntimeError("hush")

    @strawberry.field
    def seconds(self) -> float | None:
        return operation.current().remaining_s()

    @strawberry.field
    def request_id(self) -> str:
        return operation.current().request_id


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def events(self, fail: bool = False) -> AsyncIterator[Event]:
        for _ in range(3):
            yield Event()
        if fail:
            raise RuntimeError("hush")


class Fails(SchemaExtension):
    """Stands for a limit whose own code is wrong."""

    def on_validate(self) -> Any:
        if "fails" in (self.execution_context.query or ""):
            raise RuntimeError("hush")
        yield


class GatewaySchema(strawberry.federation.Schema):
    def process_errors(self, errors: object, execution_context: object = None) -> None:
        """As the served schema has it."""


@pytest.fixture(scope="module")
def schema() -> GatewaySchema:
    return GatewaySchema(
        query=Query,
        mutation=Mutation,
        subscription=Subscription,
        config=StrawberryConfig(scalar_map=SCALARS),
        extensions=[
            lambda: OperationEvent(query_timeout_s=10, mutation_timeout_s=40),
            lambda: MaxTokensLimiter(max_token_count=200),
            lambda: ParsedDocuments(maxsize=100),
            Fails,
        ],
    )


@pytest.fixture
def ctx(make_context: MakeContext, service: Principal) -> Context:
    return make_context(service)


# -- deadlines ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "asked", "allowed"),
    [
        ("{ seconds }", None, 10),
        ("mutation { seconds }", None, 40),
        ("{ seconds }", 2.0, 2),
        ("mutation { seconds }", 2.0, 2),
        ("{ seconds }", 3600.0, 10),
        ("mutation { seconds }", 3600.0, 40),
    ],
)
async def test_each_kind_has_its_time_which_a_caller_may_only_shorten(
    schema: GatewaySchema, make_context: MakeContext, service: Principal, query: str, asked: float | None, allowed: int
) -> None:
    result = await schema.execute(query, context_value=make_context(service, timeout_s=asked))
    assert result.data is not None
    assert allowed - 1 < result.data["seconds"] <= allowed


async def test_the_request_id_is_the_callers_or_new(
    schema: GatewaySchema, make_context: MakeContext, service: Principal
) -> None:
    given = await schema.execute("{ requestId }", context_value=make_context(service, request_id="r1"))
    assert given.data == {"requestId": "r1"}
    ids = [await schema.execute("{ requestId }", context_value=make_context(service)) for _ in range(2)]
    assert ids[0].data != ids[1].data


# -- errors ------------------------------------------------------------------------------------------------------------


async def told(schema: GatewaySchema, ctx: Context, query: str, **variables: Any) -> list[dict[str, Any]]:
    result = await schema.execute(query, variables, context_value=ctx)
    return [dict(error.formatted) for error in result.errors or []]


async def test_ours_pass_and_others_are_masked(schema: GatewaySchema, ctx: Context) -> None:
    result = await schema.execute("{ missing broken requestId }", context_value=ctx)
    assert result.data is not None
    request_id = result.data["requestId"]
    missing, broken = [dict(error.formatted) for error in result.errors or []]
    assert missing["message"] == "it is not there"
    assert missing["extensions"] == {"code": "NOT_FOUND", "retryable": False, "requestId": request_id}
    assert broken["path"] == ["broken"]
    assert broken["extensions"] == {"code": "INTERNAL", "retryable": False, "requestId": request_id}
    assert "hush" not in json.dumps([missing, broken])


async def test_a_null_that_reaches_the_root_is_masked_too(schema: GatewaySchema, ctx: Context) -> None:
    result = await schema.execute("{ strict requestId }", context_value=ctx)
    assert result.data is None
    assert [(error.extensions or {})["code"] for error in result.errors or []] == ["INTERNAL"]


BAD = [
    ("{ nothing }", {}),
    ("{ seconds ", {}),
    ("{" + " seconds" * 300 + " }", {}),
    ('{ money(amount: "x", currency: "EUR") }', {}),
    ('{ money(amount: "1", currency: "EURO") }', {}),
    ("{ money(amount: {a: 1}, currency: EUR) }", {}),
    ("query($c: CurrencyCode!) { money(amount: 1, currency: $c) }", {"c": "EURO"}),
    ("query($c: CurrencyCode!) { money(amount: 1, currency: $c) }", {"c": {"$ne": ""}}),
    ("query($c: CurrencyCode!) { money(amount: 1, currency: $c) }", {}),
    ("query($a: Decimal!) { money(amount: $a, currency: EUR) }", {"a": "x"}),
    ("query($n: Int!) { numbers(n: $n) }", {"n": 2**40}),
]


@pytest.mark.parametrize(("query", "variables"), BAD)
async def test_a_document_or_variable_that_is_wrong_is_the_callers_mistake(
    schema: GatewaySchema, ctx: Context, query: str, variables: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    errors = await told(schema, ctx, query, **variables)
    assert errors
    for error in errors:
        assert error["extensions"]["code"] == "BAD_USER_INPUT"
        assert error["extensions"]["requestId"]
        assert error["message"]
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


async def test_the_same_wrong_document_is_told_alike_again(schema: GatewaySchema, ctx: Context) -> None:
    first, again = [await told(schema, ctx, "{ seconds ") for _ in range(2)]
    assert first[0]["message"] == again[0]["message"]
    assert first[0]["extensions"]["code"] == again[0]["extensions"]["code"] == "BAD_USER_INPUT"


async def test_an_extension_that_breaks_is_masked(
    schema: GatewaySchema, ctx: Context, caplog: pytest.LogCaptureFixture
) -> None:
    [error] = await told(schema, ctx, "query fails { seconds }")
    assert error["extensions"]["code"] == "INTERNAL"
    assert "hush" not in error["message"]
    assert any("hush" in str(record.exc_info) for record in caplog.records)


async def test_at_most_fifty_errors_and_one_that_counts_the_rest(schema: GatewaySchema, ctx: Context) -> None:
    errors = await told(schema, ctx, "{ numbers(n: 60) }")
    assert len(errors) == 51
    assert errors[-1]["message"] == "10 more errors"


# -- the trace ---------------------------------------------------------------------------------------------------------


async def test_the_trace_tells_the_calls_that_were_made(
    schema: GatewaySchema, make_context: MakeContext, service: Principal
) -> None:
    result = await schema.execute("{ people }", context_value=make_context(service, is_traced=True))
    assert result.data == {"people": 10}
    trace = (result.extensions or {})["trace"]
    [call] = trace["upstreamCalls"]
    assert call.pop("ms") > 0
    assert call == {
        "backend": "OMNISTACK",
        "method": "find",
        "path": "users",
        "status": None,
        "batchSize": 5,
        "retries": 0,
    }
    assert trace["cacheHits"] == 5
    assert set(trace) == {"parseMs", "validateMs", "executeMs", "cacheHits", "upstreamCalls"}
    assert trace["executeMs"] > 0
    assert USER not in json.dumps(trace)


async def test_there_is_no_trace_for_those_who_did_not_ask(schema: GatewaySchema, ctx: Context) -> None:
    assert (await schema.execute("{ people }", context_value=ctx)).extensions == {}


async def test_a_refused_document_has_a_trace_without_calls(
    schema: GatewaySchema, make_context: MakeContext, service: Principal
) -> None:
    result = await schema.execute("{ nothing }", context_value=make_context(service, is_traced=True))
    assert (result.extensions or {})["trace"]["upstreamCalls"] == []


async def test_operations_that_run_side_by_side_have_traces_of_their_own(
    schema: GatewaySchema, make_context: MakeContext, service: Principal
) -> None:
    contexts = [make_context(service, is_traced=True) for _ in range(3)]
    results = await asyncio.gather(
        *(asyncio.create_task(schema.execute("{ people }", context_value=each)) for each in contexts)
    )
    assert [len((result.extensions or {})["trace"]["upstreamCalls"]) for result in results] == [1, 1, 1]


# -- the log line ------------------------------------------------------------------------------------------------------


async def logged(
    schema: GatewaySchema, ctx: Context, caplog: pytest.LogCaptureFixture, query: str, **how: Any
) -> dict[str, Any]:
    """The one line of this operation, as it is written."""
    with caplog.at_level(logging.INFO, "omnistack.operation"):
        await schema.execute(query, context_value=ctx, **how)
    [record] = [record for record in caplog.records if record.name == "omnistack.operation"]
    line: dict[str, Any] = json.loads(JsonLines().format(record))
    return line


async def test_an_operation_is_one_line(
    schema: GatewaySchema, make_context: MakeContext, customer: Principal, caplog: pytest.LogCaptureFixture
) -> None:
    ctx = make_context(customer, request_id="r1")
    line = await logged(schema, ctx, caplog, "query Dashboard { people missing broken }")
    assert line["event"] == line["logger"].rpartition(".")[2] == "operation"
    assert (line["operation"], line["viewer"], line["request_id"]) == ("Dashboard", f"user:{customer.user_id}", "r1")
    assert line["errors"] == ["NOT_FOUND", "INTERNAL"]
    assert line["upstream"]["omnistack"]["calls"] == 1
    assert line["ms"] > 0
    written = json.dumps(line)
    assert customer.email is not None
    assert customer.email not in written
    assert "hush" not in written


@pytest.mark.parametrize("query", ["{ nothing }", "{ seconds ", "query fails { seconds }"])
async def test_an_operation_that_never_ran_is_logged_as_well(
    schema: GatewaySchema, ctx: Context, caplog: pytest.LogCaptureFixture, query: str
) -> None:
    line = await logged(schema, ctx, caplog, query)
    assert line["upstream"] == {}
    assert line["ms"] > 0


async def test_a_name_that_the_document_does_not_have_is_not_logged(
    schema: GatewaySchema, ctx: Context, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "omnistack.operation"), pytest.raises(Exception, match="sk_secret"):
        await schema.execute("query A { seconds } query B { seconds }", operation_name="sk_secret", context_value=ctx)
    assert "sk_secret" not in "".join(JsonLines().format(record) for record in caplog.records)


# -- subscriptions -----------------------------------------------------------------------------------------------------


async def test_each_event_reads_anew_and_is_told_apart(
    schema: GatewaySchema, make_context: MakeContext, service: Principal, caplog: pytest.LogCaptureFixture
) -> None:
    ctx = make_context(service, is_traced=True, request_id="r1")
    query = "subscription Watch { events { loads broken seconds requestId } }"
    with caplog.at_level(logging.INFO, "omnistack.operation"):
        results = [result async for result in await schema.subscribe(query, context_value=ctx)]
    assert [result.data and result.data["events"]["loads"] for result in results] == [1, 1, 1]
    for result in results:
        assert result.data is not None
        assert (result.data["events"]["seconds"], result.data["events"]["requestId"]) == (None, "r1")
        [error] = result.errors or []
        assert (error.extensions or {})["code"] == "INTERNAL"
        assert "hush" not in str(error)
        assert len((result.extensions or {})["trace"]["upstreamCalls"]) == 1
    [record] = [record for record in caplog.records if record.name == "omnistack.operation"]
    line = json.loads(JsonLines().format(record))
    assert (line["operation"], line["errors"], line["upstream"]["omnistack"]["calls"]) == ("Watch", ["INTERNAL"], 3)


async def test_a_source_that_breaks_ends_in_a_masked_error(schema: GatewaySchema, ctx: Context) -> None:
    query = "subscription { events(fail: true) { requestId } }"
    results = [result async for result in await schema.subscribe(query, context_value=ctx)]
    assert len(results) == 4
    [error] = results[-1].errors or []
    assert (error.extensions or {})["code"] == "INTERNAL"
    assert "hush" not in str(error)


@pytest.mark.parametrize("query", ["subscription { nothing }", "subscription { events "])
async def test_a_subscription_that_is_wrong_is_refused_with_a_code(
    schema: GatewaySchema, ctx: Context, query: str
) -> None:
    [result] = [result async for result in await schema.subscribe(query, context_value=ctx)]
    assert {(error.extensions or {})["code"] for error in result.errors or []} == {"BAD_USER_INPUT"}


async def test_a_subscription_that_is_left_is_logged(
    schema: GatewaySchema, ctx: Context, caplog: pytest.LogCaptureFixture
) -> None:
    results: Any = await schema.subscribe("subscription Left { events { loads } }", context_value=ctx)
    with caplog.at_level(logging.INFO, "omnistack.operation"):
        await anext(results)
        await results.aclose()
    [record] = [record for record in caplog.records if record.name == "omnistack.operation"]
    assert vars(record)["operation"] == "Left"
    assert vars(record)["upstream"]["omnistack"]["calls"] == 1
