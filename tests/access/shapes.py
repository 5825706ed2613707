"""What the schema says about its fields: which of them show rows, and which lead from a row to others."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from graphql import (
    GraphQLField,
    GraphQLInputObjectType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLObjectType,
    GraphQLSchema,
    get_named_type,
)

KEYS = {"ContentItem": ("collection", "id"), "StockLevel": ("sku", "warehouse"), "StoredFile": ("key",)}
"""What tells rows of a type apart, where that is not `id`."""
PARTS = {"DeliveryQuote", "LineItem", "PaymentMethod", "ProductVariant"}
"""Types with an id that are parts of a row, or made for who asks."""

_TOWN = '{street: "Rruga 1", city: "Tirana", country: "AL", latitude: 41.33, longitude: 19.82}'
GIVEN = {
    "file": {"expiresInSeconds": "60"},
    "content": {"collection": '"posts"'},
    "searchContent": {"query": '"news"', "first": "100"},
    "deliveryQuotes": {"input": f"{{pickup: {_TOWN}, dropoff: {_TOWN}}}"},
}
"""What fields of Query are always asked with that need to be told something. It is enough to find every row."""

Node = dict[str, Any]


def is_row(kind: str, type_: Any) -> bool:
    is_object = isinstance(type_, GraphQLObjectType)
    return is_object and kind not in PARTS and (kind in KEYS or "id" in type_.fields)


def key_fields(kind: str) -> str:
    return " ".join(KEYS.get(kind, ("id",)))


def key_of(kind: str, node: Node) -> str:
    return "|".join(node[name] for name in KEYS.get(kind, ("id",)))


@dataclass(frozen=True)
class Field:
    """A field that shows rows of `kind`: one (`one`), several (`list`) or pages of them (`connection`)."""

    path: tuple[str, ...]
    kind: str
    how: str
    arguments: tuple[str, ...] = ()
    """Names of those besides `first` and `after`; those of `filter` as `filter.x`."""

    @property
    def name(self) -> str:
        return self.path[-1]

    @property
    def given(self) -> str:
        """What stands before its other arguments."""
        return "".join(f"{name}: {value}, " for name, value in GIVEN.get(self.name, {}).items())

    def selection(self, page: str = "first: 100", inner: str = "", arguments: str = "") -> str:
        """The field as a document selects it, with its rows' keys; `page` for connections, `arguments` for others."""
        keys = f"{key_fields(self.kind)} {inner}"
        text = f"{{ nodes {{ {keys} }} totalCount }}" if self.how == "connection" else f"{{ {keys} }}"
        if self.how == "connection":
            arguments = page
        if self.given or arguments:
            text = f"({self.given}{arguments}) {text}"
        first, *rest = reversed(self.path)
        text = f"{first}{text}"
        for name in rest:
            text = f"{name} {{ {text} }}"
        return text

    def keys(self, node: Node) -> list[str]:
        """The rows that it has shown, in their order; every level on the way may be a list or null."""
        found: list[Any] = [node]
        for name in self.path:
            found = [inner for each in found if each is not None for inner in _listed(each[name])]
        if self.how == "connection":
            found = [row for page in found if page is not None for row in page["nodes"]]
        return [key_of(self.kind, row) for row in found if row is not None]

    def total(self, node: Node) -> int | None:
        page = node[self.name]
        total: int | None = page["totalCount"] if page is not None else None
        return total


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def roots(schema: GraphQLSchema, operation: str = "Query") -> dict[str, Field]:
    """The root fields that show rows, by name."""
    shown = {name: _field((name,), field) for name, field in fields(schema, operation).items()}
    return {name: field for name, field in shown.items() if field is not None}


def fields(schema: GraphQLSchema, kind: str) -> Mapping[str, GraphQLField]:
    """Those of a type, none of one that is not there."""
    type_ = schema.type_map.get(kind)
    return type_.fields if isinstance(type_, GraphQLObjectType) else {}


def edges(schema: GraphQLSchema, kind: str) -> list[Field]:
    """The fields that lead from a row of this type, or from a part of it, to other rows."""
    return list(_edges(schema.type_map[kind], ()))


def _edges(type_: Any, path: tuple[str, ...]) -> Iterator[Field]:
    for name, field in type_.fields.items():
        inner = get_named_type(field.type)
        if not isinstance(inner, GraphQLObjectType):
            continue
        found = _field((*path, name), field)
        if found is not None:
            yield found
        elif len(path) < 3:
            yield from _edges(inner, (*path, name))


def _field(path: tuple[str, ...], field: GraphQLField) -> Field | None:
    inner: Any = get_named_type(field.type)
    how = "list" if _is_list(field.type) else "one"
    if inner.name.endswith("Connection"):
        inner, how = get_named_type(inner.fields["nodes"].type), "connection"
    if not is_row(inner.name, inner):
        return None
    given = GIVEN.get(path[-1], {})
    return Field(path, inner.name, how, tuple(name for name in _arguments(field) if name not in given))


def _arguments(field: GraphQLField) -> Iterator[str]:
    for name, argument in field.args.items():
        given = get_named_type(argument.type)
        if isinstance(given, GraphQLInputObjectType):
            yield from (f"{name}.{inner}" for inner in given.fields)
        elif name not in ("first", "after"):
            yield name


def _is_list(type_: Any) -> bool:
    if isinstance(type_, GraphQLNonNull):
        return _is_list(type_.of_type)
    return isinstance(type_, GraphQLList)
