"""Whatever way a document finds to a guarded field, it is found there too."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from graphql import GraphQLObjectType, parse
from hypothesis import event, given, settings
from hypothesis import strategies as st

from core import operation
from core.errors import Forbidden
from core.operation import Operation
from core.principals import Principal, PrincipalKind
from engine._selections import selected
from engine.scopes import enforce_scopes, refused
from tests.engine import zoo

CHECKED, NAIVE = zoo.make_schema(), zoo.make_schema()
enforce_scopes(CHECKED)


def _guard_each(schema: Any) -> None:
    """The other way to enforce scopes: every guarded field looks at the caller's each time that it is resolved."""

    def put(coordinate: str, sets: list[set[str]]) -> None:
        type_name, name = coordinate.split(".")
        definition = schema._schema.type_map[type_name].fields[name]
        resolve = definition.resolve

        def guarded(root: Any, info: Any, **arguments: Any) -> Any:
            if not any(needed <= info.context.principal.scopes for needed in sets):
                info.context.refused.add(coordinate)
                raise Forbidden(f"{coordinate} is not theirs")
            return resolve(root, info, **arguments)

        definition.resolve = guarded

    for coordinate, sets in zoo.NEEDS.items():
        put(coordinate, sets)


_guard_each(NAIVE)

ANIMALS = ["Animal", "Cat", "Dog"]
PLAIN: dict[str, list[str]] = {
    "Zoo": [],
    "Animal": ["name", "weight"],
    "Cat": ["name", "weight", "lives", "secret"],
    "Dog": ["name", "weight", "secret", "mood"],
    "Building": ["name"],
    "Vault": ["name", "seal"],
    "Shed": ["name"],
    "Anything": [],
    "Prey": [],
    "Sight": [],
}
NESTED: dict[str, dict[str, str]] = {
    "Zoo": {
        "cat": "Cat",
        "animals": "Animal",
        "anything": "Anything",
        "vault": "Vault",
        "shed": "Shed",
        "buildings": "Building",
        "places": "Sight",
        "again": "Zoo",
    },
    "Animal": {"friends": "Animal"},
    "Cat": {"friends": "Animal", "prey": "Prey"},
    "Dog": {"friends": "Animal"},
    "Shed": {"inhabitants": "Animal"},
}
CONDITIONS: dict[str, list[str]] = {
    "Zoo": ["Zoo"],
    "Animal": [*ANIMALS, "Anything"],
    "Cat": ["Cat", "Animal", "Anything", "Sight"],
    "Dog": ["Dog", "Animal", "Prey"],
    "Building": ["Building", "Vault", "Shed", "Sight"],
    "Vault": ["Vault", "Building", "Sight"],
    "Shed": ["Shed", "Building"],
    "Anything": [*ANIMALS, "Prey"],
    "Prey": [*ANIMALS, "Anything"],
    "Sight": ["Cat", "Vault", "Animal", "Building"],
}
"""Types whose fragments may stand in a type's selections."""


@dataclass
class Writing:
    """A document in the making. Each field has an alias of its own, so that no two have to agree."""

    draw: Any
    fields: int = 0
    fragments: list[tuple[str, str]] = field(default_factory=list)
    """Name and type of those that are complete, which may be spread again."""
    texts: list[str] = field(default_factory=list)

    def selections(self, within: str, depth: int) -> str:
        count = self.draw(st.integers(1, 3 if depth > 2 else 2))
        return " ".join(["__typename", *(self.selection(within, depth) for _ in range(count))])

    def selection(self, within: str, depth: int) -> str:
        ways = ["plain"] * bool(PLAIN[within])
        if depth:
            ways += ["nested"] * (2 * bool(NESTED.get(within))) + ["inline", "bare", "fragment", "again"]
        match self.draw(st.sampled_from(ways or ["typename"])):
            case "plain":
                return f"{self.alias()}: {self.draw(st.sampled_from(PLAIN[within]))}"
            case "nested":
                name = self.draw(st.sampled_from(sorted(NESTED[within])))
                return f"{self.alias()}: {name} {{ {self.selections(NESTED[within][name], depth - 1)} }}"
            case "inline":
                condition = self.draw(st.sampled_from(CONDITIONS[within]))
                return f"... on {condition} {{ {self.selections(condition, depth - 1)} }}"
            case "bare":
                return f"... @include(if: true) {{ {self.selections(within, depth - 1)} }}"
            case "fragment":
                return self.spread(self.draw(st.sampled_from(CONDITIONS[within])), depth - 1)
            case "again":
                known = [name for name, condition in self.fragments if condition in CONDITIONS[within]]
                return f"...{self.draw(st.sampled_from(known))}" if known else "__typename"
            case _:
                return "__typename"

    def spread(self, condition: str, depth: int) -> str:
        text = self.selections(condition, depth)
        name = f"F{len(self.fragments)}"
        self.fragments.append((name, condition))
        self.texts.append(f"fragment {name} on {condition} {{ {text} }}")
        return f"...{name}"

    def alias(self) -> str:
        self.fields += 1
        return f"f{self.fields}"


@st.composite
def documents(draw: Any) -> str:
    writing = Writing(draw)
    root = writing.selections("Zoo", 4)
    return " ".join([f"{{ zoo {{ {root} }} }}", *writing.texts])


def run(schema: Any, document: str, scopes: set[str]) -> tuple[Any, list[Any], list[str], SimpleNamespace]:
    """Its data, the paths of its errors, the guarded resolvers that ran, and the context."""
    zoo.resolved.clear()
    context = SimpleNamespace(principal=Principal(PrincipalKind.USER, frozenset(scopes)), refused=set())
    with operation.running(Operation()):
        result = schema.execute_sync(document, context_value=context)
    errors = result.errors or []
    assert [error for error in errors if not isinstance(error.original_error, Forbidden)] == []
    return result.data, [error.path for error in errors], list(zoo.resolved), context


@settings(deadline=None)  # some documents have many rows
@given(documents(), st.sets(st.sampled_from(zoo.ALL)))
def test_checked_once_or_at_every_field_the_answer_is_the_same(document: str, scopes: set[str]) -> None:
    data, errors, resolved, context = run(CHECKED, document, scopes)
    naive_data, naive_errors, naive_resolved, naive_context = run(NAIVE, document, scopes)
    assert (data, errors, resolved) == (naive_data, naive_errors, naive_resolved)
    found = refused(CHECKED._schema, parse(document), None, context.principal)
    assert naive_context.refused <= found
    event("something was refused" if errors else "nothing was refused")


@settings(deadline=None)
@given(documents())
def test_what_is_executed_was_found(document: str) -> None:
    """And what is found is a field of an object type."""
    found = selected(NAIVE._schema, parse(document), None)
    _, _, resolved, _ = run(NAIVE, document, set(zoo.ALL))
    assert set(resolved) <= found
    for coordinate in found:
        type_name, name = coordinate.split(".")
        graphql_type = NAIVE._schema.type_map[type_name]
        assert isinstance(graphql_type, GraphQLObjectType)
        assert name in graphql_type.fields


def test_what_is_not_selected_is_not_found() -> None:
    document = "{ zoo { cat { name } ...F } } fragment F on Zoo { again { animals { ... on Dog { mood } weight } } }"
    assert selected(NAIVE._schema, parse(document), None) == {
        "Query.zoo",
        "Zoo.cat",
        "Cat.name",
        "Zoo.again",
        "Zoo.animals",
        "Dog.mood",
        "Cat.weight",
        "Dog.weight",
    }
