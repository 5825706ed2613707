"""Selections of everything that a field shows, and what of it an answer has shown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from graphql import (
    GraphQLField,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    GraphQLUnionType,
    get_named_type,
)

from tests.access import shapes

SOME = "(first: 2)"
"""How much is asked of a list that hangs on a row."""


def everything(type_: Any, edges: int = 1) -> str:
    """All fields of a type with all of theirs; over at most so many `edges`, which lead from a row to others.

    Nothing for a scalar. The other way to the rows of a connection, `edges`, is followed no further than to their keys.
    """
    type_ = get_named_type(type_)
    if not isinstance(type_, GraphQLObjectType):
        return ""
    return f"{{ {' '.join(_selected(type_, name, edges) for name in type_.fields if _reaches(type_, name, edges))} }}"


def selections(type_: Any) -> list[str]:
    """One of everything; of a union one for each type, for together their fields may contradict each other."""
    union = get_named_type(type_)
    if not isinstance(union, GraphQLUnionType):
        return [everything(type_)]
    return [f"{{ __typename ... on {each.name} {everything(each)} }}" for each in union.types]


def _reaches(type_: GraphQLObjectType, name: str, edges: int) -> bool:
    inner = _row_type(get_named_type(type_.fields[name].type))
    return edges > 0 or not shapes.is_row(inner.name, inner) or type_.name.endswith(("Connection", "Edge"))


def _selected(type_: GraphQLObjectType, name: str, edges: int) -> str:
    field = type_.fields[name]
    inner: Any = get_named_type(field.type)
    if type_.name.endswith("Edge") and name == "node":
        return f"node {{ {shapes.key_fields(inner.name)} }}"
    row = _row_type(inner)
    is_edge = shapes.is_row(row.name, row) and not type_.name.endswith(("Connection", "Edge"))
    return f"{name}{SOME if 'first' in field.args else ''} {everything(inner, edges - is_edge)}"


def _row_type(type_: Any) -> Any:
    return get_named_type(type_.fields["nodes"].type) if type_.name.endswith("Connection") else type_


def shown(type_: Any, value: Any) -> Iterator[str]:
    """`Type.field` of every field that is somewhere in a value of this type neither null nor an empty list."""
    if isinstance(type_, GraphQLNonNull | GraphQLList):
        for each in value if isinstance(value, list) else [value]:
            yield from shown(type_.of_type, each)
    elif isinstance(type_, GraphQLUnionType) and value is not None:
        yield from shown(next(each for each in type_.types if each.name == value["__typename"]), value)
    elif isinstance(type_, GraphQLObjectType) and value is not None:
        for name, inner in value.items():
            if name in type_.fields and inner not in (None, []):
                yield f"{type_.name}.{name}"
                yield from shown(type_.fields[name].type, inner)


def all_fields(schema: GraphQLSchema) -> dict[str, GraphQLField]:
    """Those of every object type that answers are made of, by `Type.field`."""
    types = (type_ for name, type_ in schema.type_map.items() if not name.startswith("__"))
    return {
        f"{type_.name}.{name}": field
        for type_ in types
        if isinstance(type_, GraphQLObjectType)
        for name, field in type_.fields.items()
    }
