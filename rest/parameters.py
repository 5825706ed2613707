"""What a REST request says, as variables of the operation that it stands for: from its path, its query and its body.

Only what a route names is taken. Values have the types that GraphQL gives them; names in bodies may be written as the
backends write them (`variant_id`) or as GraphQL does (`variantId`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson
from graphql import (
    GraphQLEnumType,
    GraphQLInputObjectType,
    GraphQLSchema,
    get_named_type,
    is_input_object_type,
    type_from_ast,
)
from graphql.language import parse_type

from core.errors import BadUserInput
from resolvers.pages import MAX_FIRST, encode_cursor

LONGEST = 2000
"""Characters of one value of a query or path."""
LARGEST_OFFSET = 1_000_000
DEFAULT_LIMIT = 20
LIMIT, OFFSET, PAGE, WHERE = "Limit", "Offset", "Page", "Where"
"""Types of parameters that GraphQL has not: how many rows; how many to pass over, in rows or in pages; and Payload's
filters, as `where[slug][equals]=x` or as JSON."""
GRAPHQL_TYPES = {LIMIT: "Int", OFFSET: None, PAGE: None, WHERE: "JSON"}
"""What the operation declares for those; None: they are told by `after`."""
_BRACKETS = re.compile(r"where((?:\[[A-Za-z0-9_.]{1,60}\]){1,8})")
_INT = re.compile(r"-?[0-9]{1,9}")

Pairs = Iterable[tuple[str, str]]


def from_query(pairs: Pairs, allowed: Mapping[str, str], schema: GraphQLSchema) -> dict[str, Any]:
    """The variables. Raises BadUserInput for a name that is not allowed, and a value that is none of its type."""
    given: dict[str, list[str]] = {}
    where: dict[str, Any] = {}
    for name, value in pairs:
        if len(value) > LONGEST:
            raise BadUserInput(f"`{name[:50]}` has at most {LONGEST} characters")
        if "where" in allowed and (path := _BRACKETS.fullmatch(name)):
            _put(where, re.findall(r"\[([^\]]*)\]", path[1]), value)
            continue
        plain = name.removesuffix("[]")
        if plain not in allowed:
            known = ", ".join(f"`{each}`" for each in allowed) or "none"
            raise BadUserInput(f"there is no parameter `{name[:50]}` here; there are: {known}")
        given.setdefault(plain, []).append(value)
    variables = {name: _value(name, allowed[name], values, schema) for name, values in given.items()}
    if where:
        if "where" in variables:
            raise BadUserInput("`where` is given in brackets or as JSON, not both")
        variables["where"] = where
    return _with_cursor(variables, allowed)


def from_body(body: Any, allowed: Mapping[str, str], schema: GraphQLSchema) -> dict[str, Any]:
    """The variables that a body names one by one. Raises BadUserInput."""
    named = _named(body, allowed)
    return {name: spelled(value, allowed[name], schema) for name, value in named.items()}


def input_from_body(body: Any, type_name: str, schema: GraphQLSchema) -> Any:
    """The value of an input type that a body is as a whole. Raises BadUserInput."""
    if not isinstance(body, dict):
        raise BadUserInput("the body is a JSON object")
    return spelled(body, type_name, schema)


def with_text(id: str, name: str) -> str:
    """A part of the path. Raises BadUserInput for what can be no name of anything."""
    if not id or len(id) > LONGEST or not id.isprintable():
        raise BadUserInput(f"`{name}` is no id")
    return id


def _put(where: dict[str, Any], path: list[str], value: str) -> None:
    inner = where
    for step in path[:-1]:
        inner = inner.setdefault(step, {})
        if not isinstance(inner, dict):
            raise BadUserInput("`where` contradicts itself")
    if path[-1] in inner:
        raise BadUserInput("`where` says the same thing twice")
    inner[path[-1]] = value.split(",") if path[-1] in ("in", "not_in") else value


def _value(name: str, type_name: str, values: list[str], schema: GraphQLSchema) -> Any:
    if type_name.startswith("["):
        return [each for value in values for each in value.split(",") if each]
    if len(values) > 1:
        raise BadUserInput(f"`{name}` is given once")
    [value] = values
    match type_name:
        case "Limit":
            return _int(name, value, 1, MAX_FIRST)
        case "Offset":
            return _int(name, value, 0, LARGEST_OFFSET)
        case "Page":
            return _int(name, value, 1, LARGEST_OFFSET)
        case "Int":
            return _int(name, value, -(2**31), 2**31 - 1)
        case "Boolean":
            if value not in ("true", "false"):
                raise BadUserInput(f"`{name}` is true or false")
            return value == "true"
        case "Where":
            return _json_object(name, value)
    if isinstance(schema.get_type(type_name), GraphQLEnumType):
        return value.upper().replace("-", "_")
    return value


def _int(name: str, value: str, least: int, most: int) -> int:
    if not _INT.fullmatch(value) or not least <= int(value) <= most:
        raise BadUserInput(f"`{name}` is a whole number from {least} to {most}")
    return int(value)


def _json_object(name: str, value: str) -> Any:
    try:
        read = orjson.loads(value)
    except orjson.JSONDecodeError as exc:
        raise BadUserInput(f"`{name}` is a JSON object") from exc
    if not isinstance(read, dict):
        raise BadUserInput(f"`{name}` is a JSON object")
    return read


def _with_cursor(variables: dict[str, Any], allowed: Mapping[str, str]) -> dict[str, Any]:
    """Rows to be passed over, as the cursor of the last one of them."""
    kinds = {allowed[name]: name for name in variables if allowed[name] in (OFFSET, PAGE)}
    ways = [*kinds.values(), *(["after"] if "after" in variables else [])]
    if len(ways) > 1:
        raise BadUserInput("only one of " + ", ".join(f"`{way}`" for way in ways) + " says where a page begins")
    if kinds:
        number = variables.pop(ways[0])
        limit = variables.get("limit", DEFAULT_LIMIT)
        passed = number if OFFSET in kinds else (number - 1) * limit
        if passed:
            variables["after"] = encode_cursor(passed - 1)
    return variables


def spelled(value: Any, type_name: str, schema: GraphQLSchema) -> Any:
    """A value whose names, where its type has names, are the type's."""
    inner = get_named_type(type_from_ast(schema, parse_type(type_name)))
    if not is_input_object_type(inner):
        return _enum(value) if isinstance(inner, GraphQLEnumType) else value
    return _each(value, lambda one: _object(one, inner, schema))


def _each(value: Any, of: Callable[[Any], Any]) -> Any:
    return [of(one) for one in value] if isinstance(value, list) else of(value)


def _object(value: Any, kind: GraphQLInputObjectType, schema: GraphQLSchema) -> Any:
    if not isinstance(value, dict):
        return value  # GraphQL says what is wrong with it
    named = _named(value, kind.fields)
    return {name: spelled(one, str(kind.fields[name].type), schema) for name, one in named.items()}


def _enum(value: Any) -> Any:
    return value.upper().replace("-", "_") if isinstance(value, str) else value


def _named(body: Any, allowed: Iterable[str]) -> dict[str, Any]:
    """A body by the names that are allowed, in whichever way it spells them."""
    if not isinstance(body, dict):
        raise BadUserInput("the body is a JSON object")
    spelled = {snake(name): name for name in allowed} | {name: name for name in allowed}
    named: dict[str, Any] = {}
    for name, value in body.items():
        meant = spelled.get(name)
        if meant is None:
            known = ", ".join(f"`{each}`" for each in allowed)
            raise BadUserInput(f"the body holds no `{name[:50]}`; it holds {known}")
        if meant in named:
            raise BadUserInput(f"the body says `{meant}` twice")
        named[meant] = value
    return named


def snake(name: str) -> str:
    """
    >>> snake("regionId")
    'region_id'
    """
    return re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()
