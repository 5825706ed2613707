"""What the printed schema offers is all that the contract promises: same names, types, arguments, defaults. What it has
besides is in a table here, decided by hand, and so is what is not built yet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from graphql import (
    GraphQLArgument,
    GraphQLEnumType,
    GraphQLInputField,
    GraphQLInputObjectType,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    build_schema,
    print_ast,
    specified_directives,
)

from core.settings import Settings
from schema import build_schema as build_gateway

pytestmark = pytest.mark.conformance

CONTRACT = Path(__file__).parents[3] / "shared" / "schema.graphql"

ADDED = set(
    """
    Query._service Query._entities Query._entities(representations:) _Any _Entity _Service _Service.sdl
    Query.credentialVerification Query.credentialVerification(id:)
    Mutation.syncBatches(clientId:)
    CreatePurchaseOrderInput.clientId
    """.split()
)
"""Ours alone. What is added to something of the contract is never required."""

NOT_YET = set(
    """
    @cost @cost(weight:)
    @listSize @listSize(assumedSize:) @listSize(slicingArguments:) @listSize(sizedFields:)
    @listSize(requireOneSlicingArgument:)

    Mutation.bookRide Mutation.bookRide(input:) RideBookingInput
    Mutation.bookService Mutation.bookService(input:) ServiceBookingInput
    Mutation.verifyIdentity Mutation.verifyIdentity(input:) IdentityVerificationInput
    Mutation.registerForEvent Mutation.registerForEvent(input:) EventRegistrationInput
    Mutation.copilotAction Mutation.copilotAction(input:) CopilotActionInput

    Query.webhookEvents Query.webhookEvents(first:) Query.webhookEvents(after:) Query.webhookEvents(filter:)
    WebhookEventFilter WebhookEventConnection WebhookEventEdge WebhookEvent WebhookStatus
    Mutation.replayWebhookEvent Mutation.replayWebhookEvent(id:)

    Subscription.orderUpdated Subscription.orderUpdated(id:)
    Subscription.deliveryUpdated Subscription.deliveryUpdated(id:)
    Subscription.webhookReceived Subscription.webhookReceived(source:)
    Subscription.healthChanged
    """.split()
)
"""In the contract alone: work that outlives a request, what comes from webhooks, and what prices operations. Of a type
that is not there, its fields are not named."""


@pytest.fixture(scope="module")
def contract() -> dict[str, str]:
    return dict(_names(build_schema(CONTRACT.read_text("utf-8"), assume_valid_sdl=True)))


@pytest.fixture(scope="module")
def ours() -> dict[str, str]:
    return dict(_names(build_schema(build_gateway(Settings()).as_str(), assume_valid_sdl=True)))


def test_nothing_of_the_contract_is_missing(contract: dict[str, str], ours: dict[str, str]) -> None:
    missing = contract.keys() - ours.keys()
    assert sorted(name for name in missing if name not in NOT_YET and _owner(name) not in NOT_YET) == []


def test_nothing_is_added_that_nobody_decided_about(contract: dict[str, str], ours: dict[str, str]) -> None:
    assert sorted(ours.keys() - contract.keys() - ADDED) == []


def test_nothing_of_the_contract_means_something_else(contract: dict[str, str], ours: dict[str, str]) -> None:
    changed = {name for name in contract.keys() & ours.keys() if contract[name] != ours[name]}
    assert {name: (ours[name], contract[name]) for name in sorted(changed)} == {}


def test_the_tables_name_nothing_that_is_otherwise(contract: dict[str, str], ours: dict[str, str]) -> None:
    """An exception that is none any more would hide the next mistake."""
    assert sorted(NOT_YET - contract.keys()) == []
    assert sorted(NOT_YET & ours.keys()) == []
    assert sorted(ADDED & contract.keys()) == []
    assert sorted(ADDED - ours.keys()) == []


def test_what_is_added_to_something_of_the_contract_is_never_required(
    contract: dict[str, str], ours: dict[str, str]
) -> None:
    inputs = {
        name
        for name in ADDED & ours.keys()
        if name.endswith(":)") or ours.get(_owner(name)) == GraphQLInputObjectType.__name__
    }
    assert inputs
    assert sorted(name for name in inputs if _owner(name) in contract and ours[name].endswith("!")) == []


@pytest.mark.parametrize(
    ("promised", "offered", "names"),
    [
        ("type Query { a: Int }", "type Query { b: Int }", {"Query.a"}),
        ("type Query { a: Int }", "type Query { a: Int! }", {"Query.a"}),
        ("type Query { a(b: Int = 1): Int }", "type Query { a(b: Int = 2): Int }", {"Query.a(b:)"}),
        ("type Query { a(b: Int): Int }", "type Query { a(b: Int = null): Int }", {"Query.a(b:)"}),
        ("type Query { a(b: A): Int } input A { c: ID! }", "type Query { a(b: A): Int } input A { c: ID }", {"A.c"}),
        ("type Query { a: A } enum A { B C }", "type Query { a: A } enum A { B }", {"A.C"}),
        ("type Query { a: A } enum A { B }", "type Query { a: A } scalar A", {"A", "A.B"}),
        ("type Query { a: Int } directive @d(e: Int) on FIELD_DEFINITION", "type Query { a: Int }", {"@d", "@d(e:)"}),
        ("type Query { a: Int } directive @d on OBJECT", "type Query { a: Int } directive @d on SCALAR", {"@d"}),
    ],
)
def test_a_difference_is_seen(promised: str, offered: str, names: set[str]) -> None:
    first, second = (dict(_names(build_schema(sdl))) for sdl in (promised, offered))
    assert {name for name in first if second.get(name) != first[name]} == names


def _owner(name: str) -> str:
    """The type of a field or value, the field of an argument."""
    return name.rpartition("(")[0] if name.endswith(":)") else name.rpartition(".")[0]


def _names(schema: GraphQLSchema) -> Iterator[tuple[str, str]]:
    """Everything that a schema names, and what it is: `Type`, `Type.field`, `Type.field(argument:)`, `@directive`."""
    for name, one in schema.type_map.items():
        if name.startswith("__"):
            continue
        yield name, type(one).__name__
        if isinstance(one, GraphQLObjectType):
            for field_name, field in one.fields.items():
                yield f"{name}.{field_name}", str(field.type)
                yield from _arguments(f"{name}.{field_name}", field.args)
        elif isinstance(one, GraphQLInputObjectType):
            yield from ((f"{name}.{field_name}", _given(field)) for field_name, field in one.fields.items())
        elif isinstance(one, GraphQLEnumType):
            yield from ((f"{name}.{value}", "value") for value in one.values)
        else:
            # Interfaces, and unions but the one of federation, would need a line of their own above.
            assert isinstance(one, GraphQLScalarType) or name == "_Entity", name
    for directive in schema.directives:
        if directive not in specified_directives:
            places = " ".join(sorted(place.name for place in directive.locations))
            yield f"@{directive.name}", f"{places}{' repeatable' if directive.is_repeatable else ''}"
            yield from _arguments(f"@{directive.name}", directive.args)


def _arguments(of: str, args: Mapping[str, GraphQLArgument]) -> Iterator[tuple[str, str]]:
    yield from ((f"{of}({name}:)", _given(argument)) for name, argument in args.items())


def _given(value: GraphQLArgument | GraphQLInputField) -> str:
    # `default_value`, the older attribute, is of schemas made in code and never filled from a document.
    default = value.default
    if default is None:
        return str(value.type)
    assert default.literal is not None
    return f"{value.type} = {print_ast(default.literal)}"
