"""What `@requiresScopes` says in a schema, put together for each field."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product

from graphql import (
    GraphQLField,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLSchema,
    get_named_type,
    is_abstract_type,
    is_interface_type,
    is_object_type,
)

Alternatives = tuple[frozenset[str], ...]
"""Any of these sets grants access; all scopes of that set are needed."""

OPEN: Alternatives = (frozenset(),)


def needs(schema: GraphQLSchema, parent: GraphQLObjectType, name: str) -> Alternatives:
    """What a field of an object type needs: what is declared on the field itself, on the same field of its type's
    interfaces, and on every type that it may return. The types of roots, which no field returns, count for all of
    their fields.

    Raises ValueError for a directive that names no scope.
    """
    field = parent.fields[name]
    elements: list[GraphQLNamedType | GraphQLField] = [field]
    elements += [interface.fields[name] for interface in parent.interfaces if name in interface.fields]
    elements += _with_interfaces(_returned(schema, field))
    if parent in (schema.query_type, schema.mutation_type, schema.subscription_type):
        elements += _with_interfaces([parent])
    return _all_of(alternatives for element in elements for alternatives in _declared(element))


def _returned(schema: GraphQLSchema, field: GraphQLField) -> Iterator[GraphQLNamedType]:
    """The type of the field, without lists and exclamation marks, and those that its values may have."""
    named = get_named_type(field.type)
    yield named
    if is_abstract_type(named):
        yield from schema.get_possible_types(named)


def _with_interfaces(types: Iterable[GraphQLNamedType]) -> Iterator[GraphQLNamedType]:
    for one in types:
        yield one
        if is_object_type(one) or is_interface_type(one):
            yield from one.interfaces


def _declared(element: GraphQLNamedType | GraphQLField) -> Iterator[Alternatives]:
    definition = element.extensions.get("strawberry-definition")
    for directive in getattr(definition, "directives", None) or ():
        if type(directive).__name__ == "RequiresScopes":
            if not directive.scopes or not all(directive.scopes):
                raise ValueError(f"@requiresScopes names no scope: {element}")
            yield tuple(frozenset(scopes) for scopes in directive.scopes)


def _all_of(requirements: Iterable[Alternatives]) -> Alternatives:
    """What grants access where each of them has to be met."""
    combined = dict.fromkeys(frozenset[str]().union(*choice) for choice in product(*requirements))
    return tuple(scopes for scopes in combined if not any(other < scopes for other in combined))
